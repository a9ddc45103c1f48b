//! What commands print of what is kept: every text that came from outside is shown so that a
//! terminal obeys none of it.

use std::fmt::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::dead_letter::{DeadLetter, RawAlerts};
use crate::quarantine::Quarantined;
use crate::render::{Language, Phrase};

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
pub fn letter(letter: &DeadLetter, language: Language) -> String {
    let to = format!(
        "{} ({} {})",
        letter.receiver, letter.channel, letter.destination
    );
    let reason = match &letter.code {
        Some(code) => format!("{} {code}", letter.reason),
        None => letter.reason.clone(),
    };
    let pairs = [
        (ID, &*letter.id),
        (TO, &to),
        (GIVEN_UP, &time(letter.at_ms)),
        (REASON, &reason),
        (ANSWER, &letter.answer),
        (TO_DO, letter.fix_in(language).unwrap_or_default()),
    ];
    let mut out = fields(&pairs, language);
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
            format!(" {} {}", TO.in_language(language), people.join(", "))
        };
        let name = part["id"].as_str().unwrap_or_default();
        let heading = format!("{} {}", PART.in_language(language), line(name));
        let _ = writeln!(out, "\n--- {heading}{}", line(&to));
        out.push_str(&decoded(part["body"].as_str().unwrap_or_default()));
    }
    if letter.rendered.is_none() {
        let _ = writeln!(out, "\n{}", NOTHING.in_language(language));
    }
    out + &raw_alerts(&letter.raw, language)
}

/// The alerts of a dead letter, as JSON that can be posted elsewhere.
fn raw_alerts(raw: &RawAlerts, language: Language) -> String {
    let mut out = String::new();
    if !raw.alerts.is_empty() {
        let _ = writeln!(out, "\n--- {}", ALERTS.in_language(language));
        let json = serde_json::to_string_pretty(&raw.alerts).expect("JSON serialises");
        out.push_str(&shown(&json));
    }
    if raw.alerts_left_out > 0 {
        let more = raw.alerts_left_out;
        let _ = writeln!(out, "\n{} {more}", LEFT_OUT.in_language(language));
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
pub fn quarantined(kept: &Quarantined, language: Language) -> String {
    let bytes = match kept.is_whole() {
        true => kept.bytes.to_string(),
        false => format!("{}{}", kept.bytes, CUT.in_language(language)),
    };
    let pairs = [
        (ID, &*kept.id),
        (CAME, &time(kept.at_ms)),
        (SOURCE, &kept.source),
        (REASON, &kept.reason),
        (WHY, &kept.why),
        (BYTES, &bytes),
    ];
    let mut out = fields(&pairs, language);
    let _ = writeln!(out, "\n--- {}", BODY.in_language(language));
    out.push_str(&decoded(&kept.body));
    out
}

const ID: Phrase = Phrase::fixed("id", "编号");
const TO: Phrase = Phrase::fixed("to", "收件人");
const GIVEN_UP: Phrase = Phrase::fixed("given up", "放弃时间");
const REASON: Phrase = Phrase::fixed("reason", "原因");
const ANSWER: Phrase = Phrase::fixed("answer", "应答");
const TO_DO: Phrase = Phrase::fixed("to do", "处理办法");
const CAME: Phrase = Phrase::fixed("came", "收到时间");
const SOURCE: Phrase = Phrase::fixed("source", "来源");
const WHY: Phrase = Phrase::fixed("why", "说明");
const BYTES: Phrase = Phrase::fixed("bytes", "字节数");
const PART: Phrase = Phrase::fixed("part", "部分");
const BODY: Phrase = Phrase::fixed("body", "请求体");
const NOTHING: Phrase = Phrase::fixed("nothing was rendered", "没有生成任何内容");
const ALERTS: Phrase = Phrase::fixed("alerts", "告警");
const LEFT_OUT: Phrase = Phrase::fixed("alerts that were not kept:", "未保留的告警数：");
const CUT: Phrase = Phrase::fixed(", of which only the first were kept", "，只保留了开头部分");

fn fields(pairs: &[(Phrase, &str)], language: Language) -> String {
    let given = pairs.iter().filter(|(_, value)| !value.is_empty());
    given
        .map(|(name, value)| format!("{:<9} {}\n", name.in_language(language), line(value)))
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
    shown(&String::from_utf8_lossy(&bytes))
}

/// Lines that a terminal obeys in nothing.
fn shown(text: &str) -> String {
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
        let kept_whole = kept(body, body.len());
        insta::assert_snapshot!(quarantined(&kept_whole, Language::English));
        assert!(!quarantined_line(&kept(b"", 0)).contains('\u{1b}'));
    }

    #[test]
    fn a_body_that_was_cut_says_so() {
        let shown = |language| quarantined(&kept(b"{", 300_000), language);
        let english = shown(Language::English);
        assert!(english.contains("300000, of which only the first were kept"));
        assert!(shown(Language::Chinese).contains("300000，只保留了开头部分"));
    }
}
