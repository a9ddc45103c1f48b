//! Faults, the wording of answers, and what is not simulated.

use insta::assert_snapshot;

use super::*;
use crate::world::{Api, ErrCode, Fault, ReplyFate};

/// An answer as bytes on the wire would tell it.
fn show(reply: &Reply) -> String {
    match reply {
        Reply::Close => "closed".into(),
        Reply::Hang => "hangs".into(),
        Reply::Send { sent, after } => {
            let headers = sent
                .headers
                .iter()
                .map(|(name, value)| format!("{name}: {value}\n"));
            let headers: String = headers.collect();
            let wait = if after.is_zero() {
                String::new()
            } else {
                format!("after {after:?} ")
            };
            format!(
                "{wait}{}\n{headers}{}",
                sent.status,
                String::from_utf8_lossy(&sent.body)
            )
        }
    }
}

fn struck(fault: Fault) -> (Bench, String) {
    let mut bench = Bench::new();
    bench.world.faults.add(fault.on(Api::WebhookSend));
    let body = text("a").to_string();
    let reply = bench.raw(
        Method::POST,
        "webhook/send?key=sim-bot-key",
        body.as_bytes(),
    );
    (bench, show(&reply))
}

/// What the client sees, and whether people saw the message and the sender can know.
fn check(fault: Fault, expected: &str, fate: Option<ReplyFate>) {
    let name = format!("{fault:?}");
    let (mut bench, reply) = struck(fault);
    assert!(reply.contains(expected), "{name}: {reply}");
    assert_eq!(
        bench.world.outbox.messages().next().map(|m| m.reply),
        fate,
        "{name}"
    );
    assert_eq!(
        bench.world.outbox.refusals().count(),
        usize::from(fate.is_none()),
        "{name}"
    );
    assert_eq!(bench.bot(KEY, &text("b")), 0, "{name} strikes once");
}

#[test]
fn a_fault_strikes_before_the_service_or_only_its_answer() {
    let code = |code| Fault::Errcode {
        code: ErrCode(code),
    };
    check(
        code(-1),
        r#"{"errcode":-1,"errmsg":"system busy, hint"#,
        None,
    );
    check(code(60020), "not allow to access from your ip, hint", None);
    check(code(12345), r#""errcode":12345"#, None);
    check(
        Fault::Status {
            status: 503,
            retry_after: None,
        },
        "503\ncontent-type: text/html",
        None,
    );
    check(
        Fault::Status {
            status: 429,
            retry_after: Some(7),
        },
        "retry-after: 7",
        None,
    );
    check(Fault::Html, "200\ncontent-type: text/html", None);
    check(Fault::Redirect, "302", None);
    check(Fault::Close, "closed", None);
    check(Fault::Hang, "hangs", None);
    check(Fault::LoseReply, "closed", Some(ReplyFate::Lost));
    check(Fault::DeliverThenHang, "hangs", Some(ReplyFate::Lost));
    check(
        Fault::Slow { millis: 20 },
        "after 20ms 200",
        Some(ReplyFate::Sent),
    );
    check(
        Fault::TruncatedJson,
        "{\"errcode\":0",
        Some(ReplyFate::Lost),
    );
    check(Fault::EmptyBody, "200\ncontent-type", Some(ReplyFate::Lost));
    check(Fault::Bom, "\u{feff}{\"errcode\":0", Some(ReplyFate::Sent));
    check(
        Fault::StringErrcode,
        r#"{"errcode":"0","#,
        Some(ReplyFate::Lost),
    );
}

#[test]
fn a_lost_reply_still_checks_the_message() {
    let mut bench = Bench::new();
    bench
        .world
        .faults
        .add(Fault::LoseReply.on(Api::WebhookSend));
    let body = text("").to_string();
    let reply = bench.raw(
        Method::POST,
        "webhook/send?key=sim-bot-key",
        body.as_bytes(),
    );
    assert_eq!(reply, Reply::Close);
    assert_eq!(bench.world.outbox.messages().count(), 0);
    assert_eq!(
        bench.world.outbox.refusals().next().unwrap().code,
        Some(ErrCode(44004))
    );
}

#[test]
fn faults_are_aimed_and_counted() {
    let mut bench = Bench::new();
    let busy = || Fault::Errcode {
        code: ErrCode::BUSY,
    };
    bench
        .world
        .faults
        .add(busy().on(Api::WebhookSend).only("other").times(2));
    bench
        .world
        .faults
        .add(busy().on(Api::MessageSend).only(1_000_002).always());
    assert_eq!(bench.bot(KEY, &text("a")), 0);
    let codes = [(); 3].map(|()| bench.bot("other", &text("a")));
    assert_eq!(codes, [-1, -1, 0]);
    let codes = [(); 3].map(|()| code(&bench.app(&to("wangqing", "a"))));
    assert_eq!(codes, [-1; 3]);
    bench.world.faults.clear();
    assert_eq!(code(&bench.app(&to("wangqing", "a"))), 0);
    bench
        .world
        .faults
        .add(busy().on(Api::GetToken).only(1_000_002));
    assert_eq!(code(&bench.get_token("sim-corp", "other-secret")), 0);
    assert_eq!(code(&bench.get_token("sim-corp", "sim-secret")), -1);
}

#[test]
fn an_error_reads_like_the_services() {
    let mut bench = Bench::new();
    let body = markdown(&"x".repeat(4097)).to_string();
    let reply = bench.raw(
        Method::POST,
        "webhook/send?key=sim-bot-key",
        body.as_bytes(),
    );
    assert_snapshot!(show(&reply), @r#"
    200
    content-type: application/json; charset=UTF-8
    error-code: 40058
    error-msg: markdown.content exceed max length 4096. invalid Request Parameter, hint: [1767574800000000000000001], from ip: 203.0.113.7, more info at https://open.work.weixin.qq.com/devtool/query?e=40058
    {"errcode":40058,"errmsg":"markdown.content exceed max length 4096. invalid Request Parameter, hint: [1767574800000000000000001], from ip: 203.0.113.7, more info at https://open.work.weixin.qq.com/devtool/query?e=40058"}
    "#);
}

#[test]
fn wording_can_vary_and_fields_come_and_go() {
    let mut bench = Bench::rules(|rules| rules.varied_wording = true);
    let answer = bench.app(&to("wangqing|ghost", "a"));
    assert_eq!(code(&answer), 0);
    assert_ne!(answer["errmsg"], "ok");
    assert_eq!(answer["invaliduser"], "ghost");
    assert!(
        answer["invalidparty"].is_null(),
        "empty fields are left out"
    );
    assert!(answer["x_unknown"].is_object());
    assert!(
        !bench.answer(Method::POST, "webhook/send", b"")["errmsg"]
            .to_string()
            .contains("webhook")
    );
}

#[test]
fn what_is_not_simulated_says_so_in_no_voice_of_the_service() {
    let mut bench = Bench::new();
    let image = message("image", json!({})).to_string();
    let reply = bench.raw(
        Method::POST,
        "webhook/send?key=sim-bot-key",
        image.as_bytes(),
    );
    assert!(
        show(&reply).starts_with("501\ncontent-type: text/html"),
        "{}",
        show(&reply)
    );
    let reply = bench.raw(Method::POST, "message/recall?access_token=x", b"{}");
    assert!(show(&reply).starts_with("501"), "{}", show(&reply));
    let reply = bench.raw(Method::GET, "nothing/here", b"");
    assert!(
        show(&reply).starts_with("404\ncontent-type: text/html"),
        "{}",
        show(&reply)
    );
}

#[test]
fn what_is_kept_is_bounded() {
    let mut bench = Bench::rules(|rules| rules.keep = 3);
    for _ in 0..5 {
        bench.bot(KEY, &text("a"));
        bench.bot(KEY, &text(""));
    }
    assert_eq!(bench.world.outbox.messages().count(), 3);
    assert_eq!(bench.world.outbox.refusals().count(), 3);
    assert_eq!(bench.world.outbox.last(), 10);
}

#[test]
fn no_key_secret_or_token_is_printed() {
    let config = Config::demo();
    let printed = format!("{config:?}");
    let mut bench = Bench::new();
    let token = bench.token();
    bench.bot("leaked-key", &text("a"));
    bench.bot(KEY, &text("a"));
    bench.app_with(&token, &text(""));
    let messages: Vec<_> = bench.world.outbox.messages().collect();
    let refusals: Vec<_> = bench.world.outbox.refusals().collect();
    let printed = format!("{printed}{messages:?}{refusals:?}");
    for secret in [KEY, "sim-secret", "leaked-key", &token] {
        assert!(!printed.contains(secret), "{secret}");
    }
}
