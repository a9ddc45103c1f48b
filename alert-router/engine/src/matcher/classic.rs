//! The classic grammar, tolerant of unquoted values: `foo=bar baz`, `path=~"/\d+"`. Its names are
//! ASCII, and a backslash before anything but `n`, `"` and `\` stands for itself.

use std::fmt::{self, Write};

use super::{MatchOp, Matcher, Matchers};

/// Reads all of `text`; `None` where the UTF-8 grammar has the last word.
pub(super) fn parse(text: &str) -> Option<Matchers> {
    let text = text.strip_prefix('{').unwrap_or(text);
    let text = text.strip_suffix('}').unwrap_or(text);
    split(text).into_iter().map(matcher).collect()
}

/// Writes `text` so that both grammars read it back.
pub(super) fn quote(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    f.write_char('"')?;
    for c in text.chars() {
        match c {
            '"' | '\\' => write!(f, "\\{c}")?,
            '\n' => f.write_str("\\n")?,
            c => f.write_char(c)?,
        }
    }
    f.write_char('"')
}

/// Cuts at commas outside of quotes; blank text after the last comma is no matcher.
fn split(text: &str) -> Vec<&str> {
    let (mut quoted, mut escaped, mut start) = (false, false, 0);
    let mut pieces = Vec::new();
    for (at, c) in text.char_indices() {
        match c {
            ',' if !quoted => {
                pieces.push(&text[start..at]);
                start = at + 1;
            }
            '"' if !escaped => quoted = !quoted,
            _ => {}
        }
        escaped = c == '\\' && !escaped;
    }
    if !text[start..].trim().is_empty() {
        pieces.push(&text[start..]);
    }
    pieces
}

fn matcher(text: &str) -> Option<Matcher> {
    let text = text.trim();
    let name_end = text
        .find(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == ':'))
        .unwrap_or(text.len());
    let (name, rest) = text.split_at(name_end);
    if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    let rest = rest.trim_start();
    // The two-character operators first, or `=~` would be `=` and a value.
    let ops = [
        MatchOp::Regexp,
        MatchOp::Equal,
        MatchOp::NotEqual,
        MatchOp::NotRegexp,
    ];
    let (op, value) = ops
        .into_iter()
        .find_map(|op| Some((op, rest.strip_prefix(op.as_str())?)))?;
    Matcher::new(name, op, &unquote(value.trim())?).ok()
}

/// A quote may stand at both ends or nowhere.
fn unquote(value: &str) -> Option<String> {
    let (inner, quoted) = match value.strip_prefix('"') {
        Some(inner) => (inner, true),
        None => (value, false),
    };
    let mut text = String::with_capacity(inner.len());
    let mut rest = inner.chars().peekable();
    while let Some(c) = rest.next() {
        match (c, rest.peek().copied()) {
            ('"', None) if quoted => return Some(text),
            ('"', _) => return None,
            ('\\', Some(next @ ('"' | '\\'))) => {
                rest.next();
                text.push(next);
            }
            ('\\', Some('n')) => {
                rest.next();
                text.push('\n');
            }
            (c, _) => text.push(c),
        }
    }
    (!quoted).then_some(text)
}
