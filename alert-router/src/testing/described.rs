//! Holds answers against `openapi.yaml`, both ways: an answer has no field that is not described
//! there, and what is described there is to be seen in an answer. It knows the few words of JSON
//! Schema that the description uses, and takes no other.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

/// The description of the API, and which parts of it answers had so far.
pub struct Description {
    root: Value,
    seen: BTreeSet<String>,
}

/// A schema and its place in the description.
type At<'a> = (&'a Value, &'a str);

impl Description {
    /// What `/api/v1/openapi.yaml` says.
    #[must_use]
    pub fn of_the_api() -> Self {
        Self {
            root: serde_yaml::from_str(crate::web::OPENAPI).expect("it is YAML"),
            seen: BTreeSet::new(),
        }
    }

    /// Holds an answer against what is said of this method, path and status. An answer that is no
    /// JSON is `None`.
    ///
    /// # Errors
    /// What is not as described, and where.
    pub fn answer(
        &mut self,
        method: &str,
        path: &str,
        status: u16,
        body: Option<&Value>,
    ) -> Result<(), String> {
        let what = format!("{method} {path}: {status}");
        let template = self.template(path).ok_or(format!("{what}: no such path"))?;
        let operation = &self.root["paths"][&template][method];
        let response = operation["responses"]
            .get(status.to_string())
            .ok_or(format!("{what}: no such answer"))?;
        let (response, at) = self.resolve((response, &format!("{template} {method} {status}")));
        let schema = &response["content"]["application/json"]["schema"];
        let (schema, at) = (
            schema.clone(),
            format!("{at}/content/application/json/schema"),
        );
        self.seen.insert(format!("{method} {template}"));
        match (body, schema.is_null()) {
            (None, true) => Ok(()),
            (Some(body), false) => self.walk((&schema, &at), body),
            (None, false) => Err(format!("{what}: JSON is described")),
            (Some(_), true) => Err(format!("{what}: JSON is not described")),
        }
        .map_err(|why| format!("{what}: {why}"))
    }

    /// Holds a value against a schema by its name.
    ///
    /// # Errors
    /// What is not as described, and where.
    pub fn value(&mut self, schema: &str, value: &Value) -> Result<(), String> {
        let at = format!("#/components/schemas/{schema}");
        let schema = self.root["components"]["schemas"][schema].clone();
        self.walk((&schema, &at), value)
    }

    /// Fields and operations that were in no answer so far.
    #[must_use]
    pub fn unseen(&self) -> BTreeSet<String> {
        let mut all = BTreeSet::new();
        let schemas = &self.root["components"]["schemas"];
        fields((schemas, "#/components/schemas"), &mut all);
        for (path, item) in self.root["paths"].as_object().into_iter().flatten() {
            let methods = item.as_object().into_iter().flatten();
            let methods = methods.filter(|(key, _)| *key != "parameters");
            all.extend(methods.map(|(method, _)| format!("{method} {path}")));
        }
        all.difference(&self.seen).cloned().collect()
    }

    /// The described path that fits, rather one without parameters.
    fn template(&self, path: &str) -> Option<String> {
        let path = path.split('?').next().unwrap_or_default();
        let fits = |template: &&String| {
            let mut pairs = template.split('/').zip(path.split('/'));
            template.split('/').count() == path.split('/').count()
                && pairs.all(|(wanted, found)| wanted == found || wanted.starts_with('{'))
        };
        let templates = self.root["paths"].as_object()?.keys();
        let fitting = templates.filter(fits);
        fitting
            .min_by_key(|template| template.contains('{'))
            .cloned()
    }

    /// What a `$ref` leads to.
    fn resolve(&self, (schema, at): At<'_>) -> (Value, String) {
        match schema["$ref"].as_str() {
            Some(place) => {
                let found = self.root.pointer(place.trim_start_matches('#'));
                let found = found.unwrap_or_else(|| panic!("{at}: {place} leads nowhere"));
                self.resolve((found, place))
            }
            None => (schema.clone(), at.to_owned()),
        }
    }

    fn walk(&mut self, schema: At<'_>, value: &Value) -> Result<(), String> {
        let (schema, at) = self.resolve(schema);
        let words = schema.as_object().ok_or(format!("{at}: no schema"))?;
        if let Some(unknown) = words.keys().find(|word| !KNOWN.contains(&word.as_str())) {
            return Err(format!("{at}: {unknown} is not understood here"));
        }
        if let Some(choices) = schema["oneOf"].as_array() {
            let fits = |choice: &&Value| has_constants(choice, value);
            let found = choices.iter().position(|choice| fits(&choice));
            let found = found.ok_or(format!("{at}: none describes {value}"))?;
            return self.walk((&choices[found], &format!("{at}/oneOf/{found}")), value);
        }
        if let Some(constant) = words.get("const") {
            return same(constant == value, &at, value);
        }
        if let Some(choices) = schema["enum"].as_array() {
            return same(choices.contains(value), &at, value);
        }
        same(is_of_type(&schema["type"], value), &at, value)?;
        match value {
            Value::Object(fields) => self.object((&schema, &at), fields),
            Value::Array(items) => {
                let (each, at) = (&schema["items"], format!("{at}/items"));
                items
                    .iter()
                    .try_for_each(|item| self.walk((each, &at), item))
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Ok(()),
        }
    }

    fn object(&mut self, (schema, at): At<'_>, fields: &Map<String, Value>) -> Result<(), String> {
        let required = schema["required"].as_array().into_iter().flatten();
        for name in required.filter_map(Value::as_str) {
            if !fields.contains_key(name) {
                return Err(format!("{at}: {name} is missing"));
            }
        }
        for (name, value) in fields {
            let field = format!("{at}/properties/{name}");
            match (
                schema["properties"].get(name),
                schema.get("additionalProperties"),
            ) {
                (Some(described), _) => self.walk((described, &field), value)?,
                (None, Some(any)) => {
                    self.walk((any, &format!("{at}/additionalProperties")), value)?
                }
                (None, None) => return Err(format!("{at}: {name} is not described")),
            }
            self.seen.insert(field);
        }
        Ok(())
    }
}

const KNOWN: [&str; 10] = [
    "type",
    "description",
    "required",
    "properties",
    "additionalProperties",
    "items",
    "oneOf",
    "const",
    "enum",
    "pattern",
];

fn same(good: bool, at: &str, value: &Value) -> Result<(), String> {
    good.then_some(())
        .ok_or_else(|| format!("{at}: not {value}"))
}

/// Whether a value has the constants of an object, which tell it from the other choices.
fn has_constants(choice: &Value, value: &Value) -> bool {
    let properties = choice["properties"].as_object().into_iter().flatten();
    let mut constants = properties.filter_map(|(name, field)| Some((name, field.get("const")?)));
    constants.all(|(name, constant)| value.get(name) == Some(constant))
}

fn is_of_type(wanted: &Value, value: &Value) -> bool {
    let is = |name: &Value| match name.as_str() {
        Some("string") => value.is_string(),
        Some("integer") => value.is_i64() || value.is_u64(),
        Some("boolean") => value.is_boolean(),
        Some("object") => value.is_object(),
        Some("array") => value.is_array(),
        Some("null") => value.is_null(),
        Some(_) | None => false,
    };
    match wanted {
        Value::Array(names) => names.iter().any(is),
        Value::String(_) => is(wanted),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => false,
    }
}

/// All fields of all objects below a place.
fn fields((value, at): At<'_>, all: &mut BTreeSet<String>) {
    let pairs: Vec<(String, &Value)> = match value {
        Value::Object(map) => map
            .iter()
            .map(|(key, value)| (key.clone(), value))
            .collect(),
        Value::Array(list) => {
            let numbered = list.iter().enumerate();
            numbered.map(|(n, value)| (n.to_string(), value)).collect()
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => return,
    };
    for (key, value) in pairs {
        let place = format!("{at}/{key}");
        if at.ends_with("/properties") {
            all.insert(place.clone());
        }
        fields((value, &place), all);
    }
}
