//! The schema for editors says what the parser says.

use std::collections::BTreeSet;

use serde_json::Value;

use super::*;

const SCHEMA: &str = include_str!("../../../config.schema.json");

/// A key that nobody knows, in every mapping that there is: the parser then names those it knows.
const STRANGE: &str = "
qqqqqq: 1
auth: {qqqqqq: 1, basic_auth: {qqqqqq: 1}}
global: {qqqqqq: 1, smtp_tls_config: {qqqqqq: 1}, smtp_auth_oauth2: {qqqqqq: 1}, smtp_account_limits: [{qqqqqq: 1}]}
route: {receiver: a, qqqqqq: 1, routes: [{qqqqqq: 1}]}
receivers:
  - name: a
    qqqqqq: 1
    email_configs: [{qqqqqq: 1, auth_oauth2: {qqqqqq: 1, tls_config: {qqqqqq: 1}}}]
    webhook_configs:
      - qqqqqq: 1
        http_config: {qqqqqq: 1, authorization: {qqqqqq: 1}, basic_auth: {qqqqqq: 1}}
    wecom_configs:
      - {qqqqqq: 1, bot: {qqqqqq: 1}, mention_when: [{qqqqqq: 1}]}
      - {app: {qqqqqq: 1}}
    wechat_configs: [{qqqqqq: 1}]
    inbox_configs: [{qqqqqq: 1}]
sources: {x: {qqqqqq: 1, rate_limit: {qqqqqq: 1}}}
limits: {qqqqqq: 1}
";

/// The schema itself, and where in it one is.
#[derive(Clone, Copy)]
struct Schema<'a> {
    whole: &'a Value,
    here: &'a Value,
}

impl<'a> Schema<'a> {
    fn new(whole: &'a Value) -> Self {
        Self { whole, here: whole }
    }

    /// At this place, or where it refers to.
    fn at(self, here: &'a Value) -> Self {
        let named = here["$ref"].as_str();
        let here = named.map_or(here, |name| {
            let path = name.strip_prefix('#').expect("a place in this file");
            self.whole.pointer(path).expect("a place that is there")
        });
        Self { here, ..self }
    }

    /// What it says of a key, or of an element.
    fn below(self, step: &str) -> Self {
        let known = &self.here["properties"][step];
        let own = match (step.parse::<usize>(), known) {
            (Ok(_), _) => &self.here["items"],
            (Err(_), Value::Null) => &self.here["additionalProperties"],
            (Err(_), known) => known,
        };
        self.at(own)
    }

    fn keys(self) -> BTreeSet<&'a str> {
        let known = self.here["properties"].as_object().expect("a mapping");
        known.keys().map(String::as_str).collect()
    }

    /// Whether it allows `value`. Patterns are for editors, and not looked at here.
    fn allows(self, value: &Value) -> bool {
        let is_type = |name: &Value| match name.as_str() {
            Some("string") => value.is_string(),
            Some("integer") => value.is_u64(),
            Some("boolean") => value.is_boolean(),
            Some("array") => value.is_array(),
            Some("object") => value.is_object(),
            other => panic!("{other:?} is no type that this schema uses"),
        };
        let here = self.here;
        let kind = &here["type"];
        let of_type = match kind.as_array() {
            Some(names) => names.iter().any(is_type),
            None => kind.is_null() || is_type(kind),
        };
        let within = |bound: &str, fits: fn(u64, u64) -> bool| {
            let (bound, value) = (here[bound].as_u64(), value.as_u64());
            bound
                .zip(value)
                .is_none_or(|(bound, value)| fits(value, bound))
        };
        let one_of = |words: &Value| words.as_array().is_none_or(|words| words.contains(value));
        let any = here["anyOf"].as_array();
        let least = here["minItems"].as_u64().zip(value.as_array());
        of_type
            && one_of(&here["enum"])
            && here.get("const").is_none_or(|only| only == value)
            && within("minimum", |value, least| value >= least)
            && within("maximum", |value, most| value <= most)
            && least.is_none_or(|(least, list)| list.len() as u64 >= least)
            && any.is_none_or(|any| any.iter().any(|one| self.at(one).allows(value)))
            && self.allows_inside(value)
    }

    fn allows_inside(self, value: &Value) -> bool {
        let key_fits = |(key, value): (&String, &Value)| {
            let below = self.below(key);
            *below.here != Value::Bool(false) && below.allows(value)
        };
        match value {
            Value::Object(map) => {
                let required = self.here["required"].as_array();
                let is_there = |key: &Value| map.contains_key(key.as_str().expect("a key"));
                required.is_none_or(|keys| keys.iter().all(is_there)) && map.iter().all(key_fits)
            }
            Value::Array(list) => list.iter().all(|value| self.below("0").allows(value)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => true,
        }
    }
}

#[test]
fn the_schema_knows_the_keys_that_the_parser_knows() {
    let whole: Value = serde_json::from_str(SCHEMA).unwrap();
    let mut looked_at = BTreeSet::new();
    for problem in parse(STRANGE).unwrap_err().problems {
        let Some((_, known)) = problem.fix.split_once("known here: ") else {
            continue;
        };
        let path = problem.key.strip_suffix("qqqqqq").expect("about that key");
        let steps = path.split(['.', '[', ']']).filter(|step| !step.is_empty());
        let place = steps.fold(Schema::new(&whole), Schema::below);
        assert_eq!(place.keys(), known.split(", ").collect(), "{path:?}");
        looked_at.insert(place.here.to_string());
    }
    let defined = whole["$defs"].as_object().unwrap().iter();
    let all = defined.filter(|(_, place)| place["properties"].is_object());
    for (name, place) in all {
        assert!(looked_at.contains(&place.to_string()), "{name} was not met");
    }
    assert!(looked_at.contains(&whole.to_string()), "the whole");
}

#[test]
fn the_schema_allows_the_reference_and_a_file_with_everything() {
    let whole: Value = serde_json::from_str(SCHEMA).unwrap();
    let readme = include_str!("../../../README.md");
    let (_, rest) = readme.split_once("```yaml\n").unwrap();
    let (reference, _) = rest.split_once("```\n").unwrap();
    for text in [reference, examples::FULL] {
        let config: Value = serde_yaml::from_str(text).unwrap();
        let mut parts = config.as_object().unwrap().iter();
        let wrong = parts.find(|(key, value)| !Schema::new(&whole).below(key).allows(value));
        assert_eq!(wrong, None);
        assert!(Schema::new(&whole).allows(&config));
    }
}

#[test]
fn the_schema_refuses_what_the_parser_refuses() {
    let whole: Value = serde_json::from_str(SCHEMA).unwrap();
    for text in [
        "",
        "strange: 1",
        "language: fr",
        "limits: {body_bytes: 1}",
        "limits: {body_bytes: many}",
        "sources: {x: {rate_limit: {requests: 1}}}",
        "sources: {x: {ignore_labels: replica}}",
        "route: {receiver: ops, routes: [{timing: slow}]}",
        "receivers: [{email_configs: []}]",
        "receivers: []",
    ] {
        let text = complete(text);
        let config: Value = serde_yaml::from_str(&text).unwrap();
        let is_allowed = Schema::new(&whole).allows(&config);
        assert_eq!(is_allowed, parse(&text).is_ok(), "{text}");
    }
}
