//! Cuts the body of a message that WeCom found too long into two that say the same.

use bytes::Bytes;
use serde_json::{Map, Value};

/// Two bodies with the first and the second half of the lines, or of the characters if there is
/// one line; `None` if there is nothing to halve. The same body gives the same halves.
pub(crate) fn halves(body: &Bytes) -> Option<[Bytes; 2]> {
    let body: Map<String, Value> = serde_json::from_slice(body).ok()?;
    let kind = body.get("msgtype")?.as_str()?.to_owned();
    let content = body.get(&kind)?.get("content")?.as_str()?;
    let (first, second) = in_the_middle(content)?;
    Some([(first, "(1/2)"), (second, "(2/2)")].map(|(half, marker)| {
        let mut body = body.clone();
        body[&kind]["content"] = format!("{marker}\n{half}").into();
        Value::Object(body).to_string().into()
    }))
}

fn in_the_middle(content: &str) -> Option<(&str, &str)> {
    let middle = content.ceil_char_boundary(content.len() / 2);
    let lines = content[..middle].rfind('\n').or_else(|| content.find('\n'));
    let (first, second) = match lines {
        Some(end) => (&content[..end], &content[end + 1..]),
        None => content.split_at(middle),
    };
    let cut = !first.is_empty() && !second.is_empty();
    cut.then_some((first, second))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(content: &str) -> Option<[String; 2]> {
        let body = serde_json::json!({"msgtype": "text", "text": {"content": content}, "safe": 0});
        let halves = halves(&body.to_string().into())?;
        Some(halves.map(|half| {
            let half: Value = serde_json::from_slice(&half).unwrap();
            assert_eq!(half["safe"], 0);
            half["text"]["content"].as_str().unwrap().to_owned()
        }))
    }

    #[test]
    fn a_body_is_cut_between_lines_or_else_between_characters() {
        let two = |a: &str, b: &str| Some([a.to_owned(), b.to_owned()]);
        assert_eq!(check("a\nb\nc\nd"), two("(1/2)\na", "(2/2)\nb\nc\nd"));
        assert_eq!(check("a\nb b b b b"), two("(1/2)\na", "(2/2)\nb b b b b"));
        assert_eq!(check("磁盘"), two("(1/2)\n磁", "(2/2)\n盘"));
        assert_eq!(check("x"), None);
        assert_eq!(check(""), None);
    }

    #[test]
    fn what_is_no_message_has_no_halves() {
        assert_eq!(halves(&Bytes::from_static(b"{}")), None);
        assert_eq!(halves(&Bytes::from_static(b"not json")), None);
    }
}
