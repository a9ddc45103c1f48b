//! Regular expressions as Alertmanager's engine, RE2, reads them, on the `regex` crate.
//!
//! The two differ in spellings that people do use: `\d`, `\w`, `\s` and `\b` are ASCII in RE2, a
//! `[` inside a class and a lone `{` are plain characters there, and `\Q…\E` quotes.

use regex::{Regex, RegexBuilder};

use super::MatcherProblem;

/// The most memory a compiled expression may take.
const SIZE_LIMIT: usize = 1 << 20;

/// Compiles a pattern that must match the whole text.
pub(super) fn compile(pattern: &str) -> Result<Regex, MatcherProblem> {
    let bad = |why: String| MatcherProblem::BadRegex {
        pattern: pattern.to_owned(),
        why,
    };
    RegexBuilder::new(&format!("^(?:{})$", translate(pattern)))
        .size_limit(SIZE_LIMIT)
        .dfa_size_limit(SIZE_LIMIT)
        .build()
        .map_err(|error| {
            if matches!(error, regex::Error::CompiledTooBig(_)) {
                return bad("it is larger than 1 MiB when compiled: shorten it".to_owned());
            }
            // The parser draws a picture first; the reason is its last line.
            let text = error.to_string();
            let why = text.rsplit("error: ").next().unwrap_or(&text).trim();
            bad(format!(
                "{why}; correct it, or write a backslash before special characters"
            ))
        })
}

/// Rewrites RE2's spelling into that of the `regex` crate.
fn translate(pattern: &str) -> String {
    let mut out = String::with_capacity(pattern.len() + 8);
    let mut rest = pattern;
    while let Some(c) = rest.chars().next() {
        let (written, taken) = match c {
            '\\' => escape(rest),
            '[' => class(rest),
            '{' if !repeats(rest) => ("\\{".to_owned(), 1),
            c => (c.to_string(), c.len_utf8()),
        };
        out.push_str(&written);
        rest = &rest[taken..];
    }
    out
}

/// An escape outside of a class, and how many bytes it takes.
fn escape(text: &str) -> (String, usize) {
    if let Some(quoted) = text.strip_prefix("\\Q") {
        let end = quoted.find("\\E");
        let literal = &quoted[..end.unwrap_or(quoted.len())];
        let taken = 2 + literal.len() + end.map_or(0, |_| 2);
        return (regex::escape(literal), taken);
    }
    let Some(c) = text[1..].chars().next() else {
        return ("\\".to_owned(), 1);
    };
    let rest = &text[1 + c.len_utf8()..];
    if let ('p' | 'P' | 'x', Some(end)) = (c, rest.find('}'))
        && rest.starts_with('{')
    {
        // `\p{Han}`, `\x{4e2d}`: the brace belongs to the escape.
        let taken = 2 + end + 1;
        return (text[..taken].to_owned(), taken);
    }
    let written = match c {
        'd' | 'D' | 's' | 'S' | 'w' | 'W' => format!("[{}]", ascii_set(c)),
        'b' | 'B' => format!("(?-u:\\{c})"),
        c => format!("\\{c}"),
    };
    (written, 1 + c.len_utf8())
}

/// A bracketed class: its inner `[`, `&`, `-` and `~` are plain, where the `regex` crate would see
/// nested classes and set operations.
fn class(text: &str) -> (String, usize) {
    let mut out = String::from("[");
    let mut at = 1;
    if text[at..].starts_with('^') {
        out.push('^');
        at += 1;
    }
    let first = at;
    while let Some(c) = text[at..].chars().next() {
        at += c.len_utf8();
        match c {
            ']' if at > first + 1 => {
                out.push(']');
                return (out, at);
            }
            '[' if posix_end(&text[at..]).is_some() => {
                let end = posix_end(&text[at..]).unwrap_or(0);
                out.push('[');
                out.push_str(&text[at..at + end]);
                at += end;
            }
            '\\' => {
                let Some(next) = text[at..].chars().next() else {
                    break;
                };
                at += next.len_utf8();
                match next {
                    'd' | 'D' | 's' | 'S' | 'w' | 'W' => {
                        out.push_str(&format!("[{}]", ascii_set(next)));
                    }
                    next => out.extend(['\\', next]),
                }
            }
            '[' | ']' | '&' | '~' => out.extend(['\\', c]),
            '-' if out.ends_with('-') => out.push_str("\\-"),
            c => out.push(c),
        }
    }
    // Never closed: let the compiler say so.
    (out, text.len())
}

/// The length of what remains of a class such as `[:alpha:]`, after its first bracket.
fn posix_end(text: &str) -> Option<usize> {
    let name = text.strip_prefix(':')?;
    let end = name.find(":]")?;
    let plain = name[..end]
        .chars()
        .all(|c| c.is_ascii_lowercase() || c == '^');
    plain.then_some(1 + end + 2)
}

/// What stands between the brackets of a class that means `\d` and its kin.
fn ascii_set(letter: char) -> &'static str {
    match letter {
        'd' => "0-9",
        'D' => "^0-9",
        's' => "\\t\\n\\x0c\\r ",
        'S' => "^\\t\\n\\x0c\\r ",
        'w' => "0-9A-Za-z_",
        _ => "^0-9A-Za-z_",
    }
}

/// Whether a brace opens a repetition such as `{2}`, `{2,}` or `{2,3}`.
fn repeats(text: &str) -> bool {
    let Some((inner, _)) = text[1..].split_once('}') else {
        return false;
    };
    let (low, high) = inner.split_once(',').unwrap_or((inner, "0"));
    let number = |s: &str| !s.is_empty() && s.bytes().all(|b| b.is_ascii_digit());
    number(low) && (high.is_empty() || number(high))
}
