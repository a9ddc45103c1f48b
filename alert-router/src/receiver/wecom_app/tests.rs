//! What the application sends, whom it counts, and how it keeps its token: against a scripted
//! server on a clock that only the test moves.

use alert_engine::{DeliveryId, Timestamp};
use reqwest::Url;
use serde_json::Value;

use super::*;
use crate::clock::ManualClock;
use crate::config::Secret;
use crate::message::Reason;
use crate::receiver::scripted::{Reply, Seen, Server};
use crate::receiver::{Failure, Progress};
use crate::render::{Language, samples};

fn config() -> config::WecomApp {
    config::WecomApp {
        corp_id: "ww1".into(),
        secret: Secret::new("planted-secret"),
        agent_id: 1_000_002,
        to_user: vec!["wangqing".into(), "lina".into()],
        to_party: Vec::new(),
        to_tag: Vec::new(),
        text_copy: config::TextCopy::default(),
        format: AppFormat::Markdown,
        api_url: Url::parse("http://127.0.0.1:9/cgi-bin/").unwrap(),
        proxy_url: None,
    }
}

/// The receiver of these settings, in a config where another receiver writes to three members.
fn app(config: &config::WecomApp, clock: &Arc<ManualClock>) -> WecomApp {
    let other = config::WecomApp {
        to_user: ["wangqing", "lina", "zhao"].map(str::to_owned).to_vec(),
        ..config.clone()
    };
    let applications = Applications::of([config, &other], clock.clone()).unwrap();
    WecomApp::new(config, &applications, Arc::new(Renderer::built_in())).unwrap()
}

fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::at(Timestamp::from_millis(1_767_323_045_000)))
}

fn rendered(app: &WecomApp) -> Vec<Part> {
    let message = samples::group(Reason::First);
    let locale = samples::locale(Language::Chinese);
    let rendering = Rendering {
        message: &message,
        memory: None,
        locale: &locale,
    };
    app.render(&rendering).unwrap()
}

fn delivery(app: &WecomApp, attempt: u32) -> Delivery {
    Delivery {
        id: DeliveryId([7; 16]),
        attempt,
        created: samples::NOW,
        parts: rendered(app),
        progress: Progress::new(),
    }
}

fn body(part: &Part) -> Value {
    serde_json::from_slice(&part.body).unwrap()
}

/// A service with tokens `t0`, `t1`, …; `send` answers a message with the token that it came with.
async fn service(send: impl Fn(&str) -> String + Send + Sync + 'static) -> Server {
    let tokens = std::sync::atomic::AtomicU32::new(0);
    Server::start(move |_, seen: &Seen| {
        let line = seen.head.lines().next().unwrap();
        if line.contains("/gettoken?") {
            let n = tokens.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            let token = format!(r#"{{"errcode":0,"access_token":"t{n}","expires_in":7200}}"#);
            return Reply::Ok(token);
        }
        let token = line.split("access_token=").nth(1).unwrap();
        Reply::Ok(send(token.split(' ').next().unwrap()))
    })
    .await
}

fn ok(_: &str) -> String {
    r#"{"errcode":0,"errmsg":"ok","msgid":"m"}"#.to_owned()
}

fn at(server: &Server) -> config::WecomApp {
    config::WecomApp {
        api_url: server.url("/cgi-bin/"),
        ..config()
    }
}

#[test]
fn a_body_names_only_its_type_and_asks_for_the_duplicate_check() {
    let parts = rendered(&app(&config(), &clock()));
    assert_eq!(parts.len(), 1);
    let mut body = body(&parts[0]);
    assert!(body["markdown"]["content"].as_str().unwrap().len() <= 2048);
    body["markdown"]["content"] = "…".into();
    let expected = json!({
        "touser": "lina|wangqing",
        "toparty": "",
        "totag": "",
        "agentid": 1_000_002,
        "msgtype": "markdown",
        "markdown": {"content": "…"},
        "enable_duplicate_check": 1,
        "duplicate_check_interval": 14_400,
    });
    assert_eq!(body, expected);
}

/// F-46
#[test]
fn members_in_personal_wechat_get_text_and_the_others_markdown() {
    let config = config::WecomApp {
        text_copy: config::TextCopy::Members(vec!["lina".into()]),
        ..config()
    };
    let parts = rendered(&app(&config, &clock()));
    let told: Vec<_> = parts
        .iter()
        .map(|part| {
            let body = body(part);
            (
                part.id.clone(),
                body["touser"].to_string(),
                body["msgtype"].to_string(),
            )
        })
        .collect();
    let told: Vec<_> = told
        .iter()
        .map(|(a, b, c)| (a.as_str(), b.as_str(), c.as_str()))
        .collect();
    assert_eq!(
        told,
        [
            ("1", "\"wangqing\"", "\"markdown\""),
            ("copy-1", "\"lina\"", "\"text\"")
        ]
    );
}

#[test]
fn where_nobody_knows_who_reads_in_wechat_everybody_gets_text_beside_markdown() {
    let config = config::WecomApp {
        to_user: vec!["@all".into()],
        text_copy: config::TextCopy::Everybody,
        ..config()
    };
    let parts = rendered(&app(&config, &clock()));
    let told: Vec<_> = parts
        .iter()
        .map(|part| (body(part)["touser"].clone(), body(part)["msgtype"].clone()))
        .collect();
    let to_all = |kind: &str| (json!("@all"), json!(kind));
    assert_eq!(told, [to_all("markdown"), to_all("text")]);
}

#[test]
fn a_message_to_a_department_counts_against_every_known_member() {
    let clock = clock();
    let named = app(&config(), &clock);
    let wide = config::WecomApp {
        to_user: Vec::new(),
        to_party: vec!["2".into()],
        ..config()
    };
    let wide = app(&wide, &clock);
    assert_eq!(named.limits().shared.len(), 2);
    assert_eq!(
        wide.limits().shared.len(),
        4,
        "three known members, and those whom nobody names"
    );
    assert!(
        named
            .limits()
            .shared
            .iter()
            .all(|member| wide.limits().shared.contains(member))
    );
}

#[test]
fn the_order_of_recipients_is_not_part_of_the_destination() {
    let clock = clock();
    let turned = config::WecomApp {
        to_user: vec!["lina".into(), "wangqing".into()],
        secret: Secret::new("rotated"),
        ..config()
    };
    assert_eq!(
        app(&config(), &clock).destination(),
        app(&turned, &clock).destination()
    );
    assert_eq!(
        app(&config(), &clock).destination().label,
        "WeCom app 1000002 → lina, wangqing"
    );
}

#[test]
fn readers_of_text_are_recipients_even_if_nothing_else_names_them() {
    let text = config::WecomApp {
        text_copy: config::TextCopy::Members(vec!["zhao".into()]),
        format: AppFormat::Text,
        ..config()
    };
    let text = app(&text, &clock());
    assert_eq!(body(&rendered(&text)[0])["touser"], "lina|wangqing|zhao");
    assert_eq!(text.limits().shared.len(), 3);
    let everybody = config::WecomApp {
        to_user: vec!["@all".into()],
        text_copy: config::TextCopy::Members(vec!["zhao".into()]),
        ..config()
    };
    let parts = rendered(&app(&everybody, &clock()));
    assert_eq!(body(&parts[0])["touser"], "@all");
    assert_eq!(body(&parts[1])["touser"], "zhao");
}

/// F-39
#[tokio::test]
async fn receivers_of_one_application_share_its_token() {
    let server = service(ok).await;
    let settings = [
        &at(&server),
        &config::WecomApp {
            to_user: vec!["zhao".into()],
            ..at(&server)
        },
    ];
    let applications = Applications::of(settings, clock()).unwrap();
    for config in settings {
        let app = WecomApp::new(config, &applications, Arc::new(Renderer::built_in())).unwrap();
        app.send(&delivery(&app, 1)).await.unwrap();
    }
    assert_eq!(
        (server.count("gettoken"), server.count("message/send")),
        (1, 2)
    );
}

/// F-44
#[test]
fn a_member_gets_at_most_thirty_a_minute_and_a_thousand_an_hour() {
    let app = app(&config(), &clock());
    let windows = app
        .limits()
        .windows
        .iter()
        .map(|window| (window.messages, window.per.as_secs()));
    assert_eq!(windows.collect::<Vec<_>>(), [(30, 61), (1000, 3601)]);
}

/// F-39
#[tokio::test]
async fn one_token_serves_until_nine_tenths_of_its_life() {
    let server = service(ok).await;
    let clock = clock();
    let app = app(&at(&server), &clock);
    for _ in 0..5 {
        app.send(&delivery(&app, 1)).await.unwrap();
    }
    assert_eq!(server.count("gettoken"), 1);
    clock.advance(Duration::from_secs(6479));
    app.send(&delivery(&app, 1)).await.unwrap();
    assert_eq!(server.count("gettoken"), 1);
    clock.advance(Duration::from_secs(2));
    app.send(&delivery(&app, 1)).await.unwrap();
    assert_eq!(server.count("gettoken"), 2);
}

/// F-38
#[tokio::test]
async fn fifty_sends_with_a_revoked_token_fetch_one_new_token() {
    let server = service(|token| match token {
        "t0" => r#"{"errcode":40014,"errmsg":"invalid access_token"}"#.to_owned(),
        _ => ok(token),
    })
    .await;
    let app = app(&at(&server), &clock());
    let delivery = delivery(&app, 1);
    let sends = (0..50).map(|_| app.send(&delivery));
    let results = futures_util::future::join_all(sends).await;
    assert!(results.iter().all(Result::is_ok));
    assert_eq!(server.count("gettoken"), 2);
    assert!(
        server
            .seen()
            .iter()
            .all(|seen| seen.body.is_empty() || seen.body.as_bytes() == delivery.parts[0].body)
    );
}

/// F-38
#[tokio::test]
async fn a_token_that_never_holds_blocks_after_one_more_try() {
    for code in [40014, 42001, 40001] {
        let server = service(move |_| format!(r#"{{"errcode":{code},"errmsg":"no"}}"#)).await;
        let app = app(&at(&server), &clock());
        let error = app.send(&delivery(&app, 1)).await.unwrap_err();
        assert!(
            matches!(error.failure, Failure::Blocked { .. }),
            "{error:?}"
        );
        assert_eq!(
            (server.count("gettoken"), server.count("message/send")),
            (2, 2)
        );
    }
}

/// F-38
#[tokio::test]
async fn a_wrong_secret_blocks_and_is_not_tried_again_for_ten_minutes() {
    let server = Server::start(|_, _| {
        Reply::Ok(r#"{"errcode":40001,"errmsg":"invalid credential planted-secret"}"#.to_owned())
    })
    .await;
    let clock = clock();
    let app = app(&at(&server), &clock);
    for _ in 0..20 {
        let error = app.send(&delivery(&app, 1)).await.unwrap_err();
        assert!(matches!(error.failure, Failure::Blocked { .. }));
        assert_eq!(error.code.as_deref(), Some("40001"));
        assert_eq!(error.answer, "no token: invalid credential ***");
        assert_eq!(
            error.fix.map(|fix| fix.to_string()).as_deref(),
            Some("correct the secret of the application")
        );
    }
    assert_eq!(server.seen().len(), 1);
    clock.advance(Duration::from_secs(601));
    app.send(&delivery(&app, 2)).await.unwrap_err();
    assert_eq!(server.seen().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn senders_that_wait_for_a_token_share_its_failure() {
    let clock = clock();
    let time = clock.clone();
    let server = Server::start(move |_, _| {
        time.advance(Duration::from_secs(1));
        Reply::Hang
    })
    .await;
    let app = app(&at(&server), &clock);
    let delivery = delivery(&app, 1);
    let sends = (0..20).map(|_| app.send(&delivery));
    for result in futures_util::future::join_all(sends).await {
        let failure = result.unwrap_err().failure;
        assert_eq!(failure, Failure::Failed { retry_after: None });
    }
    assert_eq!(server.count("gettoken"), 1);
    app.send(&delivery).await.unwrap_err();
    assert_eq!(server.count("gettoken"), 2, "who asks later tries again");
}

#[tokio::test]
async fn a_token_without_a_life_is_still_kept_for_a_while() {
    let server = Server::start(|_, seen| {
        Reply::Ok(match seen.head.contains("/gettoken?") {
            true => r#"{"errcode":0,"access_token":"t"}"#.to_owned(),
            false => ok(""),
        })
    })
    .await;
    let app = app(&at(&server), &clock());
    for _ in 0..3 {
        app.send(&delivery(&app, 1)).await.unwrap();
    }
    assert_eq!(server.count("gettoken"), 1);
}

/// F-41
#[tokio::test]
async fn invalid_users_are_refused_and_the_others_have_it() {
    let server = service(|_| {
        r#"{"errcode":0,"errmsg":"ok","invaliduser":"a|b","unlicenseduser":"c"}"#.to_owned()
    })
    .await;
    let app = app(&at(&server), &clock());
    let receipt = app.send(&delivery(&app, 1)).await.unwrap();
    let refused: Vec<_> = receipt
        .refused
        .iter()
        .map(|r| r.recipient.as_str())
        .collect();
    assert_eq!(refused, ["a", "b", "c"]);
}

/// F-40, F-41
#[tokio::test]
async fn codes_become_outcomes_with_what_to_do() {
    let ip = "not allow, hint: [1], from ip: 203.0.113.7, more info at https://x";
    let cases = [
        (
            60020,
            ip,
            "Blocked",
            Some("WeCom saw 203.0.113.7: add this address"),
        ),
        (
            81013,
            "all invalid",
            "Refused",
            Some("correct the recipients"),
        ),
        (45009, "limit", "Deferred", None),
        (-1, "busy", "Failed", None),
        (40056, "agent", "Blocked", Some("correct agent_id")),
    ];
    for (code, errmsg, outcome, fix) in cases {
        let server = service(move |_| format!(r#"{{"errcode":{code},"errmsg":"{errmsg}"}}"#)).await;
        let app = app(&at(&server), &clock());
        let error = app.send(&delivery(&app, 1)).await.unwrap_err();
        assert!(
            format!("{:?}", error.failure).starts_with(outcome),
            "{code}: {error:?}"
        );
        let told = error.fix.map(|fix| fix.to_string());
        let told = told.as_deref();
        assert!(
            told.is_some() == fix.is_some() && told.unwrap_or("").starts_with(fix.unwrap_or("")),
            "{told:?}"
        );
        assert_eq!(
            server.count("message/send"),
            1,
            "{code} is not sent again at once"
        );
    }
}

#[tokio::test]
async fn after_the_rate_limit_nothing_leaves_for_a_minute() {
    let server =
        service(|_| r#"{"errcode":45009,"errmsg":"api freq out of limit"}"#.to_owned()).await;
    let clock = clock();
    let app = app(&at(&server), &clock);
    app.send(&delivery(&app, 1)).await.unwrap_err();
    clock.advance(Duration::from_secs(20));
    let error = app.send(&delivery(&app, 1)).await.unwrap_err();
    assert_eq!(
        error.failure,
        Failure::Deferred {
            wait: Duration::from_secs(40)
        }
    );
    assert_eq!(server.count("message/send"), 1);
    clock.advance(Duration::from_secs(40));
    app.send(&delivery(&app, 1)).await.unwrap_err();
    assert_eq!(server.count("message/send"), 2);
}
