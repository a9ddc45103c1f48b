//! The labels of `target_info`: the resource of the spans by Prometheus' rules for names.

use std::collections::BTreeMap;
use std::sync::Arc;

use opentelemetry_sdk::Resource;

use super::model::write_label;
use crate::redact::{REDACTED, Redaction};

/// A label is for people who search; what is longer is cut.
const MAX_CHARS: usize = 256;

/// One label for each attribute, secrets hidden. Attributes whose names become the same label share it,
/// in the order of their names.
pub(crate) fn labels(resource: &Resource, redaction: &Redaction) -> Arc<str> {
    let attributes: BTreeMap<&str, String> = resource
        .iter()
        .map(|(key, value)| (key.as_str(), value.to_string()))
        .map(|(key, value)| match redaction.hides_pair(key, &value) {
            true => (key, REDACTED.to_owned()),
            false => (key, value),
        })
        .collect();
    let mut labels: BTreeMap<String, String> = BTreeMap::new();
    for (key, value) in attributes {
        let joined = labels.entry(cut(&name(key))).or_default();
        if !joined.is_empty() {
            joined.push(';');
        }
        joined.push_str(&value);
    }
    let mut written = String::new();
    for (name, value) in labels.iter().filter(|(_, value)| !value.is_empty()) {
        write_label(&mut written, name, &cut(value));
    }
    written.into()
}

/// A letter, digit or one `_` for all that is neither; not a digit first.
fn name(attribute: &str) -> String {
    let mut name = String::with_capacity(attribute.len() + 4);
    if attribute.starts_with(|first: char| first.is_ascii_digit()) {
        name.push_str("key_");
    }
    for char in attribute.chars() {
        if char.is_ascii_alphanumeric() {
            name.push(char);
        } else if !name.ends_with('_') {
            name.push('_');
        }
    }
    name
}

fn cut(text: &str) -> String {
    text.chars().take(MAX_CHARS).collect()
}
