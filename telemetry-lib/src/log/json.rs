//! The JSON form of a line: one object, fields beside `timestamp`, `level`, `target`,
//! `message`, `trace_id` and `span_id`.

use std::fmt::Write as _;

use super::line::{Line, Scalar};

/// Names that the line itself uses; a field of such a name becomes `field.{name}`.
const OWN: [&str; 6] = [
    "timestamp",
    "level",
    "target",
    "message",
    "trace_id",
    "span_id",
];

pub(super) fn render(line: &Line) -> String {
    let mut json = String::with_capacity(256);
    json.push('{');
    member(&mut json, "", "timestamp", &line.timestamp);
    member(&mut json, "", "level", line.metadata.level().as_str());
    member(&mut json, "", "target", line.metadata.target());
    member(&mut json, "", "message", &line.message);
    if let Some(ids) = line.ids {
        member(&mut json, "", "trace_id", &ids.trace.to_string());
        member(&mut json, "", "span_id", &ids.span.to_string());
    }
    for (name, value) in &line.fields {
        let prefix = if OWN.contains(name) { "field." } else { "" };
        match value {
            Scalar::Text(text) => member(&mut json, prefix, name, text),
            Scalar::Bare(text) => {
                key(&mut json, prefix, name);
                json.push_str(text);
            }
        }
    }
    json.push_str("}\n");
    json
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
            control if control < ' ' => {
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
