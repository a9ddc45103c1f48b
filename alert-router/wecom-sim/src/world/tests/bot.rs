//! `webhook/send`.

use proptest::prelude::*;

use super::*;
use crate::config::{Block, Window};
use crate::markup::Warning;
use crate::world::ErrCode;

fn check(name: &str, body: &Value, expected: i64) {
    assert_eq!(Bench::new().bot(KEY, body), expected, "{name}");
}

#[test]
fn a_limit_is_in_bytes_and_includes_its_last_byte() {
    let cut = |kind: &str, bytes: usize, filler: &str| {
        let mut content = filler.repeat(bytes / filler.len());
        content.push_str(&"x".repeat(bytes - content.len()));
        message(kind, json!({ "content": content }))
    };
    for (kind, max) in [("text", 2048), ("markdown", 4096), ("markdown_v2", 4096)] {
        for filler in ["x", "字", "😀"] {
            let name = format!("{kind} of {filler}");
            check(&name, &cut(kind, max - 1, filler), 0);
            check(&name, &cut(kind, max, filler), 0);
            check(&name, &cut(kind, max + 1, filler), 40058);
        }
    }
    let mut emoji = "x".repeat(4095);
    emoji.push('😀');
    check("4095 bytes and an emoji", &markdown(&emoji), 40058);
}

#[test]
fn a_text_limit_of_5120_is_a_switch() {
    let mut bench = Bench::rules(|rules| rules.bot_text_max = 5120);
    assert_eq!(bench.bot(KEY, &text(&"x".repeat(5120))), 0);
    assert_eq!(bench.bot(KEY, &text(&"x".repeat(5121))), 40058);
}

#[test]
fn what_cannot_be_read_is_refused() {
    let good = json!({ "content": "a" });
    check("empty", &text(""), 44004);
    check("blank", &markdown(" \n"), 44004);
    check("no content", &message("text", json!({})), 44004);
    check(
        "content of a wrong type",
        &message("text", json!({ "content": 1 })),
        40058,
    );
    check(
        "unknown type",
        &message("carrier_pigeon", good.clone()),
        40008,
    );
    check("no type", &json!({ "text": good }), 40008);
    check("no part", &json!({ "msgtype": "text" }), 40008);
    check(
        "the part of another type",
        &json!({ "msgtype": "text", "markdown": good }),
        40008,
    );
    check("a list", &json!([1]), 40008);
    check(
        "mentions",
        &message("text", json!({ "content": "a", "mentioned_list": "b" })),
        40058,
    );
    let numbers = json!({ "content": "a", "mentioned_mobile_list": [138] });
    check("a number among mobiles", &message("text", numbers), 40058);
    for body in [
        &b"{"[..],
        b"",
        b"\xff",
        b"{\"msgtype\":\"text\",\"text\":{\"content\":\"a\nb\"}}",
    ] {
        assert_eq!(Bench::new().bot_bytes(KEY, body), 40008, "{body:?}");
    }
    let surrogate = br#"{"msgtype":"text","text":{"content":"\ud83d"}}"#;
    assert_eq!(Bench::new().bot_bytes(KEY, surrogate), 40008);
}

#[test]
fn the_answer_to_an_absent_part_is_a_switch() {
    let mut bench = Bench::rules(|rules| rules.missing_object = ErrCode(40063));
    assert_eq!(bench.bot(KEY, &json!({ "msgtype": "text" })), 40063);
}

#[test]
fn a_key_decides_who_may_speak() {
    let mut bench = Bench::new();
    for (key, expected) in [
        ("", 93000),
        ("nobody", 93000),
        ("off", 93004),
        ("out", 93008),
    ] {
        assert_eq!(bench.bot(key, &text("a")), expected, "{key}");
    }
    assert_eq!(
        code(&bench.answer(Method::POST, "webhook/send", b"{}")),
        93000
    );
    assert_eq!(
        code(&bench.answer(Method::GET, "webhook/send?key=sim-bot-key", b"")),
        40058
    );
}

#[test]
fn the_outbox_holds_the_exact_bytes_and_the_mentions() {
    let mut bench = Bench::new();
    let body =
        r#"{ "msgtype":"text","text":{"content":"磁盘","mentioned_list":["wangqing","x","@all"]}}"#;
    assert_eq!(bench.bot_bytes(KEY, body.as_bytes()), 0);
    let message = bench.world.outbox.messages().next().unwrap();
    assert_eq!(message.body, body.as_bytes());
    assert_eq!(message.at, START);
    assert_eq!(message.warnings, [Warning::UnknownMention("x".into())]);
}

#[test]
fn mentions_beside_markdown_are_accepted_and_ignored() {
    let mut bench = Bench::new();
    let body = message(
        "markdown",
        json!({ "content": "a", "mentioned_list": ["wangqing"] }),
    );
    assert_eq!(bench.bot(KEY, &body), 0);
    let message = bench.world.outbox.messages().next().unwrap();
    assert_eq!(message.warnings, [Warning::MentionedListIgnored]);
}

/// Sends at each second after the start and compares the answers.
fn check_rate(name: &str, change: impl FnOnce(&mut Rules), sends: &[(u64, i64)]) {
    let mut bench = Bench::rules(|rules| {
        rules.bot_per_minute = 2;
        change(rules);
    });
    for (second, expected) in sends {
        bench.now = START + Duration::from_secs(*second);
        assert_eq!(
            bench.bot(KEY, &text("a")),
            *expected,
            "{name} at {second} s"
        );
    }
}

#[test]
fn an_excess_is_refused_and_punished_as_the_rules_say() {
    let no_block = |rules: &mut Rules| rules.block = Block::None;
    check_rate(
        "rolling",
        no_block,
        &[(0, 0), (30, 0), (59, 45009), (60, 0), (61, 45009), (90, 0)],
    );
    let block = [
        (0, 0),
        (30, 0),
        (59, 45009),
        (60, 45009),
        (118, 45009),
        (119, 0),
    ];
    check_rate("blocked for a minute", |_| {}, &block);
    let extend = |rules: &mut Rules| rules.block = Block::MinuteFromLastAttempt;
    let sends = [
        (0, 0),
        (1, 0),
        (2, 45009),
        (61, 45009),
        (120, 45009),
        (180, 0),
    ];
    check_rate("each attempt extends", extend, &sends);
    let fixed = |rules: &mut Rules| {
        rules.window = Window::FixedMinute;
        rules.block = Block::None;
    };
    check_rate(
        "fixed minute",
        fixed,
        &[(58, 0), (59, 0), (59, 45009), (60, 0), (61, 0)],
    );
}

#[test]
fn twenty_messages_a_minute_for_each_key() {
    let mut bench = Bench::new();
    for n in 0..20 {
        assert_eq!(bench.bot(KEY, &text("a")), 0, "{n}");
    }
    assert_eq!(bench.bot(KEY, &text("a")), 45009);
    assert_eq!(bench.bot("other", &text("a")), 0);
    bench.pass(Duration::from_secs(60));
    assert_eq!(bench.bot(KEY, &text("a")), 0);
}

#[test]
fn a_refused_message_uses_up_a_place_unless_switched_off() {
    for (counts, expected) in [(true, 45009), (false, 0)] {
        let mut bench = Bench::rules(|rules| {
            rules.bot_per_minute = 1;
            rules.refused_counts = counts;
        });
        assert_eq!(bench.bot(KEY, &text("")), 44004);
        assert_eq!(bench.bot(KEY, &text("a")), expected, "counts: {counts}");
    }
}

proptest! {
    #[test]
    fn no_minute_ever_shows_more_than_the_limit(gaps in prop::collection::vec(0u64..20_000, 1..120)) {
        let mut bench = Bench::rules(|rules| rules.block = Block::None);
        for gap in gaps {
            bench.pass(Duration::from_millis(gap));
            bench.bot(KEY, &text("a"));
        }
        let times: Vec<Timestamp> = bench.world.outbox.messages().map(|m| m.at).collect();
        for first in times.windows(21) {
            prop_assert!(first[20] >= first[0] + Duration::from_secs(60));
        }
    }

    #[test]
    fn no_body_makes_it_panic(body in prop::collection::vec(any::<u8>(), 0..300)) {
        let mut bench = Bench::new();
        prop_assert!(bench.bot_bytes(KEY, &body) != 0);
    }
}
