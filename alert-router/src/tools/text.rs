//! What commands print of what is kept: every text that came from outside is shown so that a
//! terminal obeys none of it.

use std::fmt::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::dead_letter::DeadLetter;
use crate::quarantine::Quarantined;

/// One line for a list.
#[must_use]
pub fn letter_line(letter: &DeadLetter) -> String {
    let DeadLetter {
        id,
        receiver,
        destination,
        reason,
        answer,
        ..
    } = letter;
    line(&format!(
        "{id}  {receiver} ({destination})  {reason}: {answer}"
    ))
}

/// Everything about a dead letter, with the text that would have been sent.
#[must_use]
pub fn letter(letter: &DeadLetter) -> String {
    let to = format!(
        "{} ({} {})",
        letter.receiver, letter.channel, letter.destination
    );
    let reason = match &letter.code {
        Some(code) => format!("{} {code}", letter.reason),
        None => letter.reason.clone(),
    };
    let mut out = fields(&[
        ("id", &letter.id),
        ("to", &to),
        ("given up", &time(letter.at_ms)),
        ("reason", &reason),
        ("answer", &letter.answer),
        ("to do", letter.fix.as_deref().unwrap_or_default()),
    ]);
    let parts = letter
        .rendered
        .as_ref()
        .and_then(|rendered| rendered["parts"].as_array());
    for part in parts.into_iter().flatten() {
        let people = part["recipients"].as_array().into_iter().flatten();
        let people: Vec<&str> = people.filter_map(|who| who.as_str()).collect();
        let to = if people.is_empty() {
            String::new()
        } else {
            format!(" to {}", people.join(", "))
        };
        let name = part["id"].as_str().unwrap_or_default();
        let _ = writeln!(out, "\n--- part {}{}", line(name), line(&to));
        out.push_str(&decoded(part["body"].as_str().unwrap_or_default()));
    }
    if letter.rendered.is_none() {
        out.push_str("\nnothing was rendered\n");
    }
    out
}

/// One line for a list.
#[must_use]
pub fn quarantined_line(kept: &Quarantined) -> String {
    let Quarantined {
        id,
        source,
        reason,
        why,
        bytes,
        ..
    } = kept;
    let at = time(kept.at_ms);
    line(&format!(
        "{id}  {at}  {source}  {reason}, {bytes} bytes: {why}"
    ))
}

/// Everything about a body that could not be read, with the body.
#[must_use]
pub fn quarantined(kept: &Quarantined) -> String {
    let bytes = match kept.is_whole() {
        true => kept.bytes.to_string(),
        false => format!("{}, of which only the first were kept", kept.bytes),
    };
    let mut out = fields(&[
        ("id", &kept.id),
        ("came", &time(kept.at_ms)),
        ("source", &kept.source),
        ("reason", &kept.reason),
        ("why", &kept.why),
        ("bytes", &bytes),
    ]);
    out.push_str("\n--- body\n");
    out.push_str(&decoded(&kept.body));
    out
}

fn fields(pairs: &[(&str, &str)]) -> String {
    let given = pairs.iter().filter(|(_, value)| !value.is_empty());
    given
        .map(|(name, value)| format!("{name:<9} {}\n", line(value)))
        .collect()
}

fn time(millis: i64) -> String {
    jiff::Timestamp::from_millisecond(millis)
        .unwrap_or_default()
        .to_string()
}

/// Stored bytes as text that ends its last line.
fn decoded(base64: &str) -> String {
    let bytes = STANDARD.decode(base64).unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    let lines = text.lines().map(|line| visible(line, &['\t']) + "\n");
    lines.collect()
}

/// Text from outside on one line that a terminal obeys in nothing.
#[must_use]
pub fn line(text: &str) -> String {
    visible(text, &[])
}

/// Controls and marks that turn the direction of text are written as escapes.
fn visible(text: &str, stays: &[char]) -> String {
    let turns = |c| matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if (c.is_control() || turns(c)) && !stays.contains(&c) {
            out.extend(c.escape_default());
        } else {
            out.push(c);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(body: &[u8], bytes: usize) -> Quarantined {
        Quarantined {
            id: "00".to_owned(),
            at_ms: 1_795_479_775_200,
            source: "prod".to_owned(),
            reason: "unreadable".to_owned(),
            why: "no\u{1b}[2J JSON".to_owned(),
            body: STANDARD.encode(body),
            bytes,
        }
    }

    #[test]
    fn a_terminal_obeys_nothing_of_what_is_shown() {
        let body = b"{\r\n\t\"a\": \x1b]0;owned\x07 \xff \xc2\x9b31m \xe2\x80\xae!\n}";
        insta::assert_snapshot!(quarantined(&kept(body, body.len())));
        assert!(!quarantined_line(&kept(b"", 0)).contains('\u{1b}'));
    }

    #[test]
    fn a_body_that_was_cut_says_so() {
        assert!(
            quarantined(&kept(b"{", 300_000)).contains("300000, of which only the first were kept")
        );
    }
}
