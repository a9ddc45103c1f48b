//! The form of a line for people at a terminal.

use std::fmt::Write as _;

use super::line::{Line, Scalar, SpanText};

pub(super) fn render(line: &Line<'_>) -> String {
    let mut text = format!("{} {:>5} ", line.timestamp, line.source.level);
    for span in &line.spans {
        text.push_str(span);
        text.push_str(": ");
    }
    // Writing to a String cannot fail.
    let _ = write!(text, "{}: ", line.source.target);
    plain(&mut text, &line.fields.message);
    for (name, value) in line.fields.iter() {
        field(&mut text, " ", name, value);
    }
    if let Some(ids) = line.ids {
        let _ = write!(text, " trace_id={} span_id={}", ids.trace, ids.span);
    }
    text.push('\n');
    text
}

/// `name{field=value …}`
pub(super) fn span(span: &SpanText) -> String {
    let mut text = String::new();
    plain(&mut text, &span.name);
    for (at, (name, value)) in span.fields.iter().enumerate() {
        field(&mut text, if at == 0 { "{" } else { " " }, name, value);
    }
    if !span.fields.is_empty() {
        text.push('}');
    }
    text
}

/// Texts may be a stranger's, who must neither write lines of his own nor talk to the terminal nor make a
/// line look as it is not: what does that is shown as an escape, and the lines of one message are set in.
fn plain(text: &mut String, from: &str) {
    for character in from.chars() {
        match character {
            '\n' => text.push_str("\n    "),
            '\t' => text.push('\t'),
            control if control.is_control() || is_format(control) => {
                text.extend(control.escape_default())
            }
            other => text.push(other),
        }
    }
}

/// Whether a character breaks lines, turns the direction of text, or is not seen: the separators of lines
/// and paragraphs, and the format characters of Unicode without those that are signs of a script.
fn is_format(character: char) -> bool {
    matches!(
        character,
        '\u{ad}'
            | '\u{61c}'
            | '\u{180e}'
            | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{feff}'
            | '\u{fff9}'..='\u{fffb}'
            | '\u{1bca0}'..='\u{1bca3}'
            | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0000}'..='\u{e007f}'
    )
}

fn field(text: &mut String, before: &str, name: &str, value: &Scalar) {
    text.push_str(before);
    // A name is code's own, but the keys of a record may be anybody's.
    match name.contains(|it: char| it.is_control() || is_format(it)) {
        true => text.extend(name.escape_debug()),
        false => text.push_str(name),
    }
    // Writing to a String cannot fail.
    let _ = match value {
        Scalar::Bare(value) => write!(text, "={value}"),
        Scalar::Text(value) => write!(text, "={value:?}"),
    };
}
