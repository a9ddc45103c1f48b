//! The body against what an Alertmanager 0.34 wrote, and what each answer means.

use std::sync::Arc;

use alert_engine::{DeliveryId, Fingerprint, GroupId, Labels, Timestamp};
use reqwest::Url;
use serde_json::{Value, json};

use super::*;
use crate::config::Trust;
use crate::message::{AlertLine, Counted, GroupNews, Line, Message, Reason, Says};
use crate::receiver::scripted::{Reply, Server};
use crate::render::{Language, samples};
use crate::webhook::payload::{BodyLimits, parse};

fn config(url: Url) -> config::Webhook {
    config::Webhook {
        url: SecretUrl::new(url),
        auth: None,
        proxy_url: None,
        trust: Trust::default(),
        timeout: Duration::from_secs(10),
        max_alerts: 0,
    }
}

fn delivery(webhook: &Webhook, message: &Message) -> Delivery {
    let locale = samples::locale(Language::English);
    let rendering = Rendering {
        message,
        memory: None,
        locale: &locale,
    };
    Delivery {
        id: DeliveryId([1; 16]),
        attempt: 1,
        created: message.created,
        parts: webhook.render(&rendering).unwrap(),
        progress: Progress::new(),
    }
}

fn body(message: &Message, max_alerts: u32) -> Value {
    let url = Url::parse("http://127.0.0.1:9/hook").unwrap();
    let config = config::Webhook {
        max_alerts,
        ..config(url)
    };
    let delivery = delivery(&Webhook::new(&config).unwrap(), message);
    serde_json::from_slice(&delivery.parts[0].body).unwrap()
}

/// The message that a recorded body tells.
fn told(recorded: &Value) -> Message {
    let labels = |value: &Value| -> Labels {
        let pairs = value.as_object().unwrap().iter();
        pairs
            .map(|(name, value)| (name.as_str(), value.as_str().unwrap()))
            .collect()
    };
    let time = |value: &Value| {
        let at: jiff::Timestamp = value.as_str().unwrap().parse().unwrap();
        Timestamp::from_millis(at.as_millisecond())
    };
    let alert = |value: &Value| {
        let resolved = value["status"] == "resolved";
        AlertLine {
            line: if resolved { Line::Over } else { Line::New },
            fingerprint: Fingerprint(
                u64::from_str_radix(value["fingerprint"].as_str().unwrap(), 16).unwrap(),
            ),
            labels: labels(&value["labels"]),
            annotations: labels(&value["annotations"]),
            starts_at: time(&value["startsAt"]),
            ends_at: resolved.then(|| time(&value["endsAt"])),
            generator_url: value["generatorURL"].as_str().unwrap().to_owned(),
            route_labels: labels(&recorded["routeLabels"]),
            unknown: Default::default(),
            reopened: 0,
            stale: false,
        }
    };
    let hidden = recorded["truncatedAlerts"].as_u64().unwrap() as usize;
    let uncounted = (hidden > 0).then(|| Counted {
        name: String::new(),
        firing: hidden,
        over: 0,
    });
    let news = GroupNews {
        group: GroupId([0; 16]),
        thread: String::new(),
        opens_thread: true,
        reason: match recorded["notification_reason"].as_str().unwrap() {
            "first notification" => Reason::First,
            "new alerts added" => Reason::NewAlerts,
            "some alerts resolved" => Reason::SomeResolved,
            "all alerts resolved" => Reason::AllResolved,
            _ => Reason::Repeat,
        },
        priority: false,
        group_labels: labels(&recorded["groupLabels"]),
        common_labels: labels(&recorded["commonLabels"]),
        common_annotations: labels(&recorded["commonAnnotations"]),
        alerts: recorded["alerts"]
            .as_array()
            .unwrap()
            .iter()
            .map(alert)
            .collect(),
        uncounted: uncounted.into_iter().collect(),
        muted: 1,
        expired: 0,
        delayed_by: None,
        failed_over_from: None,
        external_url: recorded["externalURL"].as_str().unwrap().to_owned(),
        source: "default".into(),
    };
    Message {
        receiver: recorded["receiver"].as_str().unwrap().to_owned(),
        ..samples::message(Says::Group(Box::new(news)))
    }
}

/// Alertmanager writes microseconds or nanoseconds; instants here are milliseconds.
fn in_millis(mut body: Value) -> Value {
    for alert in body["alerts"].as_array_mut().unwrap() {
        for field in ["startsAt", "endsAt"] {
            let at: jiff::Timestamp = alert[field].as_str().unwrap().parse().unwrap();
            let at = jiff::Timestamp::from_millisecond(at.as_millisecond()).unwrap();
            alert[field] = at.to_string().into();
        }
    }
    // The route's matchers are its own.
    body["groupKey"] = Value::Null;
    body
}

#[test]
fn a_body_says_what_alertmanager_0_34_would_say() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/testdata/alertmanager-0.34");
    let mut checked = 0;
    for file in std::fs::read_dir(folder).unwrap() {
        let path = file.unwrap().path();
        if path
            .extension()
            .is_some_and(|extension| extension == "json")
        {
            let recorded: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
            let ours = body(&told(&recorded), 0);
            assert_eq!(in_millis(ours), in_millis(recorded), "{}", path.display());
            checked += 1;
        }
    }
    assert_eq!(checked, 14);
}

#[test]
fn what_came_beside_the_known_fields_goes_on() {
    let mut message = samples::group(Reason::NewAlerts);
    let Says::Group(news) = &mut message.says else {
        panic!("news of a group");
    };
    for (n, alert) in news.alerts.iter_mut().enumerate() {
        let route = n.to_string();
        alert.route_labels = Labels::from_iter([("team", "db"), ("route", &*route)]);
        alert.unknown.insert("ticket".into(), json!({ "id": n }));
    }
    let body = body(&message, 0);
    assert_eq!(body["routeLabels"], json!({"team": "db"}), "what all share");
    assert_eq!(body["alerts"][1]["ticket"], json!({"id": 1}));
}

#[test]
fn a_fallback_says_for_whom_it_stands_in_and_another_router_takes_it() {
    let mut message = samples::group(Reason::First);
    assert_eq!(body(&message, 0).get("failedOverFrom"), None);
    let Says::Group(news) = &mut message.says else {
        panic!("news of a group");
    };
    news.failed_over_from = Some("sre-bot".to_owned());
    let failed_over = (**news).clone();
    let said = body(&message, 0);
    assert_eq!(said["failedOverFrom"], "sre-bot");
    let bytes = Bytes::from(said.to_string());
    let batch = parse(&bytes, &Default::default(), &BodyLimits::default()).unwrap();
    assert_eq!(batch.alerts.len(), said["alerts"].as_array().unwrap().len());
    assert_eq!(batch.refused, []);
    let digest = Says::Digest(vec![samples::news(Reason::First), failed_over]);
    let said = body(&samples::message(digest), 0);
    assert_eq!(said["failedOverFrom"], "sre-bot");
}

#[test]
fn max_alerts_cuts_and_counts() {
    let body = body(&samples::group(Reason::NewAlerts), 1);
    assert_eq!(body["alerts"].as_array().unwrap().len(), 1);
    assert_eq!(body["truncatedAlerts"], 2);
}

#[test]
fn of_an_alert_that_began_anew_the_earlier_end_is_listed_first() {
    let mut news = samples::news(Reason::NewAlerts);
    let mut other = news.alerts[0].clone();
    other.fingerprint = Fingerprint(7);
    let mut earlier = news.alerts[0].clone();
    earlier.ends_at = Some(earlier.starts_at);
    let mut now = earlier.clone();
    now.ends_at = None;
    let again = now.fingerprint.to_string();
    news.alerts = vec![now, other.clone(), earlier];
    let listed = |max| {
        let message = samples::message(Says::Group(Box::new(news.clone())));
        let body = body(&message, max);
        let alerts = body["alerts"].as_array().unwrap().clone();
        let text = |alert: &Value, key: &str| alert[key].as_str().unwrap().to_owned();
        let one = |alert| (text(alert, "fingerprint"), text(alert, "status"));
        alerts.iter().map(one).collect::<Vec<_>>()
    };
    let [over, fires] = ["resolved", "firing"].map(|status| (again.clone(), status.to_owned()));
    assert_eq!(listed(0)[..2], [over, fires.clone()]);
    assert_eq!(listed(0)[2].0, other.fingerprint.to_string());
    assert_eq!(listed(1), [fires], "a cut loses the earlier end");
}

#[test]
fn a_test_says_so() {
    let body = body(&samples::message(Says::Test), 0);
    assert_eq!(body["status"], "firing");
    assert_eq!(body["alerts"][0]["labels"]["alertname"], "AlertRouterTest");
    assert_eq!(body["alerts"][0]["endsAt"], "0001-01-01T00:00:00Z");
    assert_eq!(body["version"], "4");
}

#[test]
fn in_a_digest_only_what_all_groups_share_is_common() {
    let mut other = samples::news(Reason::AllResolved);
    other.group_labels = Labels::from_iter([("alertname", "DiskFull"), ("cluster", "west")]);
    let digest = Says::Digest(vec![samples::news(Reason::First), other]);
    let body = body(&samples::message(digest), 0);
    assert_eq!(
        body["groupLabels"],
        serde_json::json!({"alertname": "DiskFull"})
    );
    assert_eq!(body["groupKey"], "{}:{alertname=\"DiskFull\"}");
    assert_eq!(body["alerts"].as_array().unwrap().len(), 4);
    assert_eq!(body["status"], "firing");
}

async fn outcome(reply: Reply) -> String {
    let server = Server::start(move |_, _| reply.clone()).await;
    let webhook = Webhook::new(&config(server.url("/hook?token=planted"))).unwrap();
    let delivery = delivery(&webhook, &samples::group(Reason::First));
    match webhook.send(&delivery).await {
        Ok(_) => "delivered".to_owned(),
        Err(error) => format!("{:?} | {}", error.failure, error.answer),
    }
}

#[tokio::test]
async fn an_answer_becomes_an_outcome() {
    let body = || "see /hook?token=planted".to_owned();
    let cases = [
        ("200 OK", "delivered"),
        ("202 Accepted", "delivered"),
        (
            "500 Internal",
            "Failed { retry_after: None } | HTTP status 500 Internal Server Error: see ***?***",
        ),
        (
            "503 Busy\r\nretry-after: 7",
            "Failed { retry_after: Some(7s) } | HTTP status 503 Service Unavailable: see ***?***",
        ),
        (
            "429 Slow\r\nretry-after: 99999",
            "Failed { retry_after: Some(3600s) } | HTTP status 429 Too Many Requests: see ***?***",
        ),
        (
            "400 Bad",
            "Refused | HTTP status 400 Bad Request: see ***?***",
        ),
        ("404 No", "Refused | HTTP status 404 Not Found: see ***?***"),
        (
            "401 Who",
            "Blocked { probe_after: 900s } | HTTP status 401 Unauthorized: see ***?***",
        ),
        (
            "302 Moved\r\nlocation: http://127.0.0.1:1/",
            "Blocked { probe_after: 900s } | 127.0.0.1 answered with a redirect (302 Found), which is not followed",
        ),
    ];
    for (head, expected) in cases {
        assert_eq!(outcome(Reply::Http(head, body())).await, expected);
    }
    assert!(
        outcome(Reply::Close)
            .await
            .starts_with("Failed { retry_after: None } | the connection to 127.0.0.1 broke")
    );
}

#[tokio::test]
async fn an_endless_answer_counts_by_its_status() {
    let long = |head| Reply::Http(head, "x".repeat(1 << 20));
    assert_eq!(outcome(long("200 OK")).await, "delivered");
    let answer = outcome(long("404 Not Found")).await;
    assert!(answer.starts_with("Refused | HTTP status 404"), "{answer}");
    let answer = outcome(long("401 Who")).await;
    assert!(answer.starts_with("Blocked"), "{answer}");
    let longest_shown = 2_000;
    assert!(answer.len() < longest_shown, "{}", answer.len());
}

#[tokio::test]
async fn credentials_go_in_the_header() {
    let basic = HttpAuth::Basic {
        username: "u".into(),
        password: Secret::new("p"),
    };
    let bearer = HttpAuth::Bearer(Secret::new("t0k"));
    for (auth, header) in [
        (basic, "authorization: Basic dTpw"),
        (bearer, "authorization: Bearer t0k"),
    ] {
        let server = Server::start(|_, _| Reply::Ok(String::new())).await;
        let config = config::Webhook {
            auth: Some(auth),
            ..config(server.url("/hook"))
        };
        let webhook = Webhook::new(&config).unwrap();
        webhook
            .send(&delivery(&webhook, &samples::group(Reason::First)))
            .await
            .unwrap();
        assert!(
            server.seen()[0].head.contains(header),
            "{}",
            server.seen()[0].head
        );
    }
}

#[tokio::test]
async fn loopback_never_goes_through_the_proxy() {
    let proxy = Server::start(|_, _| Reply::Ok(String::new())).await;
    let server = Server::start(|_, _| Reply::Ok(String::new())).await;
    let proxied = |url| config::Webhook {
        proxy_url: Some(SecretUrl::new(proxy.url("/"))),
        ..config(url)
    };
    let local = Webhook::new(&proxied(server.url("/hook"))).unwrap();
    local
        .send(&delivery(&local, &samples::group(Reason::First)))
        .await
        .unwrap();
    assert_eq!((server.seen().len(), proxy.seen().len()), (1, 0));
    let far = Url::parse("http://hooks.example.com/hook").unwrap();
    let far = Webhook::new(&proxied(far)).unwrap();
    far.send(&delivery(&far, &samples::group(Reason::First)))
        .await
        .unwrap();
    assert_eq!((server.seen().len(), proxy.seen().len()), (1, 1));
}

#[test]
fn roots_that_cannot_be_read_are_an_error_at_build_time() {
    let trust = |pem: &str| Trust {
        ca_pem: Some(Arc::from(pem)),
        server_name: None,
    };
    let url = Url::parse("https://hooks.example.com/").unwrap();
    let broken = config::Webhook {
        trust: trust("no pem"),
        ..config(url.clone())
    };
    let error = Webhook::new(&broken).unwrap_err();
    assert_eq!(
        error.to_string(),
        "tls_config.ca_file holds no usable certificate: no CERTIFICATE block"
    );
    let key = rcgen::KeyPair::generate().unwrap();
    let certificate = rcgen::CertificateParams::new(vec!["h".into()])
        .unwrap()
        .self_signed(&key)
        .unwrap();
    let good = config::Webhook {
        trust: trust(&certificate.pem()),
        ..config(url)
    };
    assert!(Webhook::new(&good).is_ok());
}
