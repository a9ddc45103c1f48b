//! `message/send`.

use std::collections::BTreeSet;

use super::*;
use crate::markup::Warning;
use crate::world::Fate;

fn check(name: &str, body: &Value, expected: i64) {
    assert_eq!(code(&Bench::new().app(body)), expected, "{name}");
}

fn with(field: &str, value: impl Into<Value>) -> Value {
    let mut body = to("wangqing", "a");
    body[field] = value.into();
    body
}

fn many(count: usize) -> String {
    vec!["wangqing"; count].join("|")
}

#[test]
fn a_message_needs_an_agent_of_its_token_and_someone_to_reach() {
    check("good", &to("wangqing", "a"), 0);
    check("agentid as a string", &with("agentid", "1000002"), 0);
    check("no agentid", &with("agentid", Value::Null), 40056);
    check("agentid of letters", &with("agentid", "abc"), 40056);
    check("unknown agentid", &with("agentid", 9), 40056);
    check(
        "another app's agentid",
        &with("agentid", 1_000_003),
        301_002,
    );
    check("nobody named", &with("touser", ""), 82001);
    check("nobody found", &with("touser", "ghost"), 81013);
    check("nobody with a licence", &with("touser", "zhaolei"), 81013);
    check("1000 users", &with("touser", many(1000)), 0);
    check("1001 users", &with("touser", many(1001)), 40032);
    check("100 parties", &with("toparty", vec!["1"; 100].join("|")), 0);
    check(
        "101 parties",
        &with("toparty", vec!["1"; 101].join("|")),
        82002,
    );
    check("101 tags", &with("totag", vec!["7"; 101].join("|")), 82003);
    check(
        "users as a list",
        &with("touser", json!(["wangqing"])),
        40058,
    );
    check("a bot's type", &with("msgtype", "markdown_v2"), 40008);
    check(
        "everybody; the rest is ignored",
        &{
            let mut body = with("touser", "@all");
            body["toparty"] = "999".into();
            body
        },
        0,
    );
}

#[test]
fn an_app_that_is_off_or_calls_from_a_strange_address_is_refused() {
    let mut bench = Bench::with(|config| {
        config.apps[0].trusted_ips = Some(BTreeSet::from([IpAddr::from([10, 0, 0, 1])]));
    });
    let answer = bench.app(&to("wangqing", "a"));
    assert_eq!(code(&answer), 60020);
    assert!(
        answer["errmsg"]
            .as_str()
            .unwrap()
            .contains("from ip: 203.0.113.7"),
        "{answer}"
    );
    let token = bench.token_of("off-secret");
    let mut body = to("wangqing", "a");
    body["agentid"] = 1_000_004.into();
    assert_eq!(code(&bench.app_with(&token, &body)), 50003);
}

#[test]
fn a_partial_failure_is_a_success_that_names_the_missing() {
    let mut bench = Bench::new();
    let mut body = to("WangQing | Ghost|zhaolei", "a");
    body["toparty"] = "1|99".into();
    body["totag"] = "7|8".into();
    let answer = bench.app(&body);
    assert_eq!(code(&answer), 0);
    for (field, expected) in [
        ("invaliduser", "ghost"),
        ("invalidparty", "99"),
        ("invalidtag", "8"),
        ("unlicenseduser", "zhaolei"),
    ] {
        assert_eq!(answer[field], expected, "{field}");
    }
    assert!(answer["msgid"].as_str().unwrap().len() >= 40);
    assert_eq!(
        bench.world.outbox.messages().next().unwrap().shown_to,
        ["lina", "wangqing"]
    );
}

#[test]
fn a_long_text_is_cut_in_silence_and_a_long_markdown_is_refused() {
    let mut bench = Bench::new();
    let long = "字".repeat(683);
    assert_eq!(code(&bench.app(&to("wangqing", &long))), 0);
    let message = bench.world.outbox.messages().next().unwrap();
    assert_eq!(
        message.text().len(),
        2046,
        "2048 would cut through a character"
    );
    assert_eq!(message.warnings, [Warning::CutAt(2046)]);
    let mut body = markdown(&"x".repeat(2048));
    body["touser"] = "wangqing".into();
    body["agentid"] = 1_000_002.into();
    assert_eq!(code(&bench.app(&body)), 0);
    body["markdown"]["content"] = "x".repeat(2049).into();
    assert_eq!(code(&bench.app(&body)), 40058);
}

#[test]
fn sloppy_types_are_served_with_a_warning_in_errmsg() {
    let answer = Bench::new().app(&with("agentid", "1000002"));
    assert_eq!(answer["errmsg"], "ok. Warning: wrong json format. ");
}

/// Sends bodies at given seconds and compares what became of each.
fn check_duplicates(name: &str, sends: &[(u64, &Value, Fate)]) {
    let mut bench = Bench::new();
    for (second, body, expected) in sends {
        bench.now = START + Duration::from_secs(*second);
        assert_eq!(
            code(&bench.app(body)),
            0,
            "{name}: a duplicate looks like a success"
        );
        let message = bench.world.outbox.messages().last().unwrap();
        assert_eq!(message.fate, *expected, "{name} at {second} s");
    }
}

#[test]
fn a_duplicate_is_swallowed_within_its_interval() {
    let plain = to("wangqing", "a");
    check_duplicates(
        "unasked",
        &[(0, &plain, Fate::Shown), (0, &plain, Fate::Shown)],
    );
    let checked = with("enable_duplicate_check", 1);
    let other = {
        let mut body = checked.clone();
        body["text"]["content"] = "b".into();
        body
    };
    let sends = [
        (0, &checked, Fate::Shown),
        (1, &other, Fate::Shown),
        (1799, &checked, Fate::Duplicate),
        (1800, &checked, Fate::Shown),
    ];
    check_duplicates("half an hour by default", &sends);
    let mut short = checked.clone();
    short["duplicate_check_interval"] = 60.into();
    check_duplicates(
        "as asked",
        &[
            (0, &short, Fate::Shown),
            (59, &short, Fate::Duplicate),
            (60, &short, Fate::Shown),
        ],
    );
    let mut long = checked;
    long["duplicate_check_interval"] = 99_999.into();
    let sends = [
        (0, &long, Fate::Shown),
        (14_399, &long, Fate::Duplicate),
        (14_400, &long, Fate::Shown),
    ];
    check_duplicates("four hours at most", &sends);
}

#[test]
fn what_exceeds_a_members_limit_vanishes_with_a_success() {
    let mut bench = Bench::new();
    for n in 0..30 {
        assert_eq!(code(&bench.app(&to("wangqing", "a"))), 0, "{n}");
    }
    assert_eq!(code(&bench.app(&to("wangqing", "a"))), 0);
    assert_eq!(
        bench.world.outbox.messages().last().unwrap().fate,
        Fate::Dropped
    );
    assert_eq!(code(&bench.app(&to("wangqing|lina", "a"))), 0);
    let message = bench.world.outbox.messages().last().unwrap();
    assert_eq!(
        (message.fate, message.shown_to.as_slice()),
        (Fate::Shown, &["lina".to_owned()][..])
    );
    assert_eq!(message.dropped_for, ["wangqing"]);
    bench.pass(Duration::from_secs(60));
    assert_eq!(code(&bench.app(&to("wangqing", "a"))), 0);
    assert_eq!(
        bench.world.outbox.messages().last().unwrap().fate,
        Fate::Shown
    );
}

#[test]
fn a_member_gets_a_thousand_an_hour() {
    let mut bench = Bench::new();
    let mut fates = Vec::new();
    for _ in 0..1001 {
        bench.app(&to("wangqing", "a"));
        fates.push(bench.world.outbox.messages().last().unwrap().fate);
        bench.pass(Duration::from_secs(3));
    }
    assert_eq!(
        fates.iter().filter(|fate| **fate == Fate::Shown).count(),
        1000
    );
    assert_eq!(fates[1000], Fate::Dropped);
    bench.now = START + Duration::from_secs(3600);
    bench.app(&to("wangqing", "a"));
    assert_eq!(
        bench.world.outbox.messages().last().unwrap().fate,
        Fate::Shown
    );
}
