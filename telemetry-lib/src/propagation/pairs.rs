//! Carriers of brokers and of processes: lists of pairs, and environments.

use std::collections::BTreeMap;
use std::process::Command;

use opentelemetry::propagation::{Extractor, Injector};

/// The variables that carry a context, with the headers that they stand for.
const VARIABLES: [(&str, &str); 8] = [
    ("TRACEPARENT", "traceparent"),
    ("TRACESTATE", "tracestate"),
    ("BAGGAGE", "baggage"),
    ("B3", "b3"),
    ("X_B3_TRACEID", "x-b3-traceid"),
    ("X_B3_SPANID", "x-b3-spanid"),
    ("X_B3_SAMPLED", "x-b3-sampled"),
    ("X_B3_FLAGS", "x-b3-flags"),
];

/// Reads context from a list of names and values with [`extract`](super::extract): Kafka headers
/// (`&[(String, Vec<u8>)]`), the fields of a Redis stream entry (`&[(String, String)]`), the
/// properties of an MQTT message. Names are compared without regard to case.
#[derive(Clone, Copy, Debug)]
pub struct Pairs<'a, K, V>(pub &'a [(K, V)]);

/// Writes context into such a list with [`inject`](super::inject), replacing what has the same
/// name.
#[derive(Debug)]
pub struct PairsMut<'a, K, V>(pub &'a mut Vec<(K, V)>);

/// The context that the parent of this process left in its environment: `TRACEPARENT`,
/// `TRACESTATE`, `BAGGAGE`, and those of B3 (`B3`, `X_B3_…`).
///
/// For commands, cron jobs and steps of a build; a service has no parent of this kind.
#[derive(Clone, Debug, Default)]
pub struct Environment(BTreeMap<&'static str, String>);

/// Writes context into the environment of a child process with [`inject`](super::inject).
#[derive(Debug)]
pub struct CommandMut<'a>(pub &'a mut Command);

impl<K: AsRef<str>, V: AsRef<[u8]>> Extractor for Pairs<'_, K, V> {
    fn get(&self, key: &str) -> Option<&str> {
        let mut found = self.0.iter().filter(|(name, _)| is(name, key));
        found.next().map(|(_, value)| shown(value.as_ref()))
    }

    fn keys(&self) -> Vec<&str> {
        self.0.iter().map(|(name, _)| name.as_ref()).collect()
    }

    fn get_all(&self, key: &str) -> Option<Vec<&str>> {
        let found = self.0.iter().filter(|(name, _)| is(name, key));
        let values: Vec<&str> = found.map(|(_, value)| shown(value.as_ref())).collect();
        (!values.is_empty()).then_some(values)
    }
}

impl<K, V> Injector for PairsMut<'_, K, V>
where
    K: AsRef<str> + From<String>,
    V: From<String>,
{
    fn set(&mut self, key: &str, value: String) {
        self.0.retain(|(name, _)| !is(name, key));
        self.0.push((key.to_owned().into(), value.into()));
    }
}

impl Environment {
    /// Reads the environment of this process, now.
    #[must_use]
    pub fn read() -> Self {
        Self::of(|variable| std::env::var(variable).ok())
    }

    fn of(variable: impl Fn(&str) -> Option<String>) -> Self {
        let found = VARIABLES
            .into_iter()
            .filter_map(|(name, header)| Some((header, variable(name)?)));
        Self(found.filter(|(_, value)| !value.is_empty()).collect())
    }
}

impl Extractor for Environment {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(String::as_str)
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().copied().collect()
    }
}

impl Injector for CommandMut<'_> {
    fn set(&mut self, key: &str, value: String) {
        if let Some((variable, _)) = VARIABLES.into_iter().find(|(_, header)| *header == key) {
            self.0.env(variable, value);
        }
    }
}

fn is(name: &impl AsRef<str>, key: &str) -> bool {
    name.as_ref().eq_ignore_ascii_case(key)
}

/// A value that is not UTF-8 must not vanish: one line of two would look like one.
fn shown(value: &[u8]) -> &str {
    std::str::from_utf8(value).unwrap_or("\u{fffd}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_in_any_case_and_replaced_when_written() {
        let mut list: Vec<(String, Vec<u8>)> = vec![
            ("Traceparent".to_owned(), b"old".to_vec()),
            ("other".to_owned(), vec![0xff]),
        ];
        assert_eq!(Pairs(&list).get("traceparent"), Some("old"));
        assert_eq!(Pairs(&list).get("other"), Some("\u{fffd}"));
        assert_eq!(Pairs(&list).get_all("baggage"), None);
        PairsMut(&mut list).set("traceparent", "new".to_owned());
        assert_eq!(list.len(), 2);
        assert_eq!(Pairs(&list).get_all("TRACEPARENT"), Some(vec!["new"]));
        assert_eq!(Pairs(&list).keys(), ["other", "traceparent"]);
    }

    #[test]
    fn an_environment_has_the_variables_of_the_headers_and_an_empty_one_is_unset() {
        let environment = Environment::of(|name| match name {
            "TRACEPARENT" => Some("parent".to_owned()),
            "X_B3_TRACEID" => Some("b3".to_owned()),
            "BAGGAGE" => Some(String::new()),
            _ => None,
        });
        assert_eq!(environment.keys(), ["traceparent", "x-b3-traceid"]);
        assert_eq!(environment.get("traceparent"), Some("parent"));
        assert_eq!(environment.get("baggage"), None);
    }

    #[test]
    fn a_child_gets_variables_and_nothing_that_is_none() {
        let mut command = Command::new("true");
        let mut carrier = CommandMut(&mut command);
        carrier.set("traceparent", "parent".to_owned());
        carrier.set("x-b3-sampled", "1".to_owned());
        carrier.set("LD_PRELOAD", "no".to_owned());
        let set: Vec<_> = command
            .get_envs()
            .map(|(name, value)| (name.to_str().unwrap(), value.and_then(|it| it.to_str())))
            .collect();
        assert_eq!(
            set,
            [("TRACEPARENT", Some("parent")), ("X_B3_SAMPLED", Some("1"))]
        );
    }
}
