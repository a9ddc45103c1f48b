//! The JSON form of a line: one object, fields beside `timestamp`, `level`, `target`,
//! `message`, `trace_id` and `span_id`, and the spans around it under `spans`.

use std::fmt::Write as _;

use super::line::{Line, Scalar, SpanText};

/// Names that the line itself uses; a field of such a name becomes `field.{name}`.
const OWN: [&str; 7] = [
    "timestamp",
    "level",
    "target",
    "message",
    "trace_id",
    "span_id",
    "spans",
];

pub(super) fn render(line: &Line<'_>) -> String {
    let mut json = String::with_capacity(256);
    json.push('{');
    member(&mut json, "", "timestamp", &line.timestamp);
    member(&mut json, "", "level", line.source.level.as_str());
    member(&mut json, "", "target", &line.source.target);
    member(&mut json, "", "message", &line.fields.message);
    if let Some(ids) = line.ids {
        member(&mut json, "", "trace_id", &ids.trace.to_string());
        member(&mut json, "", "span_id", &ids.span.to_string());
    }
    for (name, value) in line.fields.iter() {
        scalar(&mut json, is_taken(name), name, value);
    }
    if !line.spans.is_empty() {
        key(&mut json, "", "spans");
        json.push('[');
        json.push_str(&line.spans.join(","));
        json.push(']');
    }
    json.push_str("}\n");
    json
}

/// Also what such a name becomes is taken: no member may stand twice.
fn is_taken(name: &str) -> bool {
    OWN.contains(&name.trim_start_matches("field."))
}

/// `{"name":…,…}`
pub(super) fn span(span: &SpanText) -> String {
    let mut json = String::from("{");
    member(&mut json, "", "name", &span.name);
    for (name, value) in &span.fields {
        scalar(&mut json, *name == "name", name, value);
    }
    json.push('}');
    json
}

fn scalar(json: &mut String, taken: bool, name: &str, value: &Scalar) {
    let prefix = if taken { "field." } else { "" };
    match value {
        Scalar::Text(text) => member(json, prefix, name, text),
        Scalar::Bare(text) => {
            key(json, prefix, name);
            json.push_str(text);
        }
    }
}

fn member(json: &mut String, prefix: &str, name: &str, text: &str) {
    key(json, prefix, name);
    json.push('"');
    escape(json, text);
    json.push('"');
}

fn key(json: &mut String, prefix: &str, name: &str) {
    if !json.ends_with('{') {
        json.push(',');
    }
    json.push('"');
    json.push_str(prefix);
    escape(json, name);
    json.push_str("\":");
}

fn escape(json: &mut String, text: &str) {
    for character in text.chars() {
        match character {
            '"' => json.push_str("\\\""),
            '\\' => json.push_str("\\\\"),
            '\n' => json.push_str("\\n"),
            '\r' => json.push_str("\\r"),
            '\t' => json.push_str("\\t"),
            // Those of a terminal beyond ASCII, too.
            control if control.is_control() => {
                // Writing to a String cannot fail.
                let _ = write!(json, "\\u{:04x}", u32::from(control));
            }
            plain => json.push(plain),
        }
    }
}

#[cfg(test)]
mod tests {
    proptest::proptest! {
        #[test]
        fn any_text_survives(text: String) {
            let mut json = String::from("\"");
            super::escape(&mut json, &text);
            json.push('"');
            let read: String = serde_json::from_str(&json).unwrap();
            proptest::prop_assert_eq!(read, text);
        }
    }
}
