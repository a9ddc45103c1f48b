//! Secrets of every kind stand in the config, and every receiver fails at somebody who repeats all
//! that it was sent. Whatever people and machines read of the router then, no secret is in it.

use axum::extract::Request;
use axum::http::StatusCode;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use telemetry_lib::testing::FakeCollector;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

use crate::router::{Folder, Router, body, firing};
use crate::wait::until;

/// What stands in the config and in the environment, and what somebody shows who may not enter.
const SECRETS: [&str; 16] = [
    "planted-api",
    "planted-source",
    "planted-am",
    "planted-path",
    "planted-bearer",
    "planted-basic",
    "planted-proxy",
    "planted-robot",
    "planted-secret",
    "planted-smtp",
    "planted-client",
    "planted-refresh",
    "planted-application",
    "planted-token",
    "planted-retired",
    "planted-otlp",
];
/// Who logs in with them.
const NAME: &str = "us";

fn config(http: &str, smtp: &str) -> String {
    format!(
        "auth: {{bearer_token: planted-api}}\n\
         sources:\n\
         \x20 prod: {{bearer_token: planted-source}}\n\
         \x20 lab: {{basic_auth: {{username: {NAME}, password: planted-am}}}}\n\
         operators: page\n\
         route:\n\
         \x20 receiver: page\n\
         \x20 group_wait: 0s\n\
         \x20 routes:\n\
         \x20   - {{receiver: hook, continue: true}}\n\
         \x20   - {{receiver: basic, continue: true}}\n\
         \x20   - {{receiver: proxied, continue: true}}\n\
         \x20   - {{receiver: robot, continue: true}}\n\
         \x20   - {{receiver: app, continue: true}}\n\
         \x20   - {{receiver: refused, continue: true}}\n\
         \x20   - {{receiver: token, continue: true}}\n\
         \x20   - {{receiver: mail}}\n\
         receivers:\n\
         \x20 - {{name: page, inbox_configs: [{{}}]}}\n\
         \x20 - {{name: hook, webhook_configs: [{{url: 'http://{http}/planted-path', http_config: {{bearer_token: planted-bearer}}}}]}}\n\
         \x20 - {{name: basic, webhook_configs: [{{url: 'http://{http}/basic', http_config: {{basic_auth: {{username: {NAME}, password: planted-basic}}}}}}]}}\n\
         \x20 - {{name: proxied, webhook_configs: [{{url: 'http://far.test/', http_config: {{proxy_url: 'http://{NAME}:planted-proxy@{http}/'}}}}]}}\n\
         \x20 - {{name: robot, wecom_configs: [{{bot: {{key: planted-robot, api_url: 'http://{http}/cgi-bin/'}}}}]}}\n\
         \x20 - {{name: app, wecom_configs: [{{app: {{corp_id: ww1, secret: planted-secret, agent_id: 7, to_user: lina, api_url: 'http://{http}/cgi-bin/'}}}}]}}\n\
         \x20 - {{name: mail, email_configs: [{{to: a@x.test, from: r@x.test, smarthost: '{smtp}', require_tls: false, auth_username: {NAME}, auth_password: planted-smtp}}]}}\n\
         \x20 - {{name: refused, email_configs: [{{to: b@x.test, from: r@x.test, smarthost: '{smtp}', require_tls: false, auth_username: {NAME}, \
         auth_oauth2: {{client_id: a, client_secret: planted-client, refresh_token: planted-refresh, token_url: 'http://{http}/token'}}}}]}}\n\
         \x20 - {{name: token, email_configs: [{{to: c@x.test, from: r@x.test, smarthost: '{smtp}', require_tls: false, auth_username: {NAME}, \
         auth_oauth2: {{client_id: b, client_secret: planted-application, token_url: 'http://{http}/grant'}}}}]}}\n"
    )
}

/// The receivers that fail.
const FAILING: [&str; 8] = [
    "hook", "basic", "proxied", "robot", "app", "mail", "refused", "token",
];

/// A secret in every form in which it may be shown: as it is, and as logins carry it.
fn forms(secret: &str) -> [String; 4] {
    [
        secret.to_owned(),
        STANDARD.encode(format!("user={NAME}\x01auth=Bearer {secret}\x01\x01")),
        STANDARD.encode(format!("{NAME}:{secret}")),
        STANDARD.encode(format!("\0{NAME}\0{secret}")),
    ]
}

fn check(place: &str, text: &str) {
    for form in SECRETS.iter().flat_map(|secret| forms(secret)) {
        assert!(!text.contains(&form), "{place} shows {form}: {text}");
    }
}

/// What was sent to somebody who repeats it.
#[derive(Clone, Default)]
struct Heard(std::sync::Arc<std::sync::Mutex<String>>);

impl Heard {
    fn add(&self, text: &str) {
        self.0.lock().expect("no panic").push_str(text);
    }

    fn text(&self) -> String {
        self.0.lock().expect("no panic").clone()
    }
}

/// Refuses every request but one for a token, as WeCom, as a token endpoint and as plain HTTP, with
/// all that it knows of it.
async fn http_echo(heard: Heard) -> String {
    let answer = move |request: Request| {
        let heard = heard.clone();
        async move {
            let (head, body) = request.into_parts();
            let body = axum::body::to_bytes(body, 1 << 20).await.expect("it ends");
            let body = String::from_utf8_lossy(&body);
            let said = format!("{} {:?} {body} ", head.uri, head.headers);
            heard.add(&said);
            let status = match head.uri.path() {
                "/grant" => {
                    return (
                        StatusCode::OK,
                        r#"{"access_token": "planted-token"}"#.to_owned(),
                    );
                }
                path if path.starts_with("/cgi-bin/") => StatusCode::OK,
                _ => StatusCode::BAD_REQUEST,
            };
            let answer = serde_json::json!({
                "errcode": 93000, "errmsg": said, "error": said, "error_description": said,
            });
            (status, answer.to_string())
        }
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback");
    let address = listener.local_addr().expect("it listens").to_string();
    let app = axum::Router::new().fallback(answer);
    tokio::spawn(async move { axum::serve(listener, app).await });
    address
}

/// A mail server that refuses every login, and repeats it.
async fn smtp_echo(heard: Heard) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback");
    let address = listener.local_addr().expect("it listens").to_string();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(refuse_login(stream, heard.clone()));
        }
    });
    address
}

async fn refuse_login(stream: TcpStream, heard: Heard) -> std::io::Result<()> {
    let (read, mut write) = stream.into_split();
    write.write_all(b"220 mx.test ESMTP\r\n").await?;
    let mut lines = BufReader::new(read).lines();
    while let Some(line) = lines.next_line().await? {
        heard.add(&line);
        let answer = match line.split(' ').next() {
            Some("EHLO") => "250-mx.test\r\n250 AUTH PLAIN XOAUTH2\r\n".to_owned(),
            Some("AUTH") if line.contains("PLAIN") => {
                format!("535 5.7.8 planted-smtp is not the password: {line}\r\n")
            }
            Some("AUTH") => format!("535 5.7.8 planted-token is not the token: {line}\r\n"),
            Some(_) | None => "250 ok\r\n".to_owned(),
        };
        write.write_all(answer.as_bytes()).await?;
    }
    Ok(())
}

/// Everything that the API and the page show, with the path of each.
async fn shown(router: &Router) -> Vec<(String, String)> {
    let token = [("Authorization", "Bearer planted-api")];
    let get = async |path: String| {
        let answer = router
            .call("GET", &path, &token, b"")
            .await
            .expect("it answers");
        assert_eq!(answer.status, 200, "{path}: {answer:?}");
        (path, answer.head + &answer.body)
    };
    let mut paths = ["/metrics", "/view", "/view?lang=zh", "/-/ready"]
        .map(str::to_owned)
        .to_vec();
    let lists = [
        "status",
        "sources",
        "groups",
        "history",
        "inbox",
        "dead-letters",
        "quarantine",
    ];
    paths.extend(lists.map(|list| format!("/api/v1/{list}")));
    for kept in ["dead-letters", "quarantine"] {
        let path = format!("/api/v1/{kept}");
        let list = router
            .call("GET", &path, &token, b"")
            .await
            .expect("it answers")
            .json();
        let rows = list
            .get("records")
            .unwrap_or(&list)
            .as_array()
            .expect("a list")
            .clone();
        assert!(
            !rows.is_empty(),
            "{kept} has nothing that could show a secret"
        );
        let ids = rows.iter().map(|row| row["id"].as_str().expect("an id"));
        paths.extend(ids.map(|id| format!("{path}/{id}")));
    }
    let mut shown = Vec::new();
    for path in paths {
        shown.push(get(path).await);
    }
    shown
}

/// Waits until every receiver has failed, and operators were told why.
async fn until_all_failed(router: &Router) {
    let token = [("Authorization", "Bearer planted-api")];
    let ask = async |path: &str| router.call("GET", path, &token, b"").await;
    until("every receiver has failed", async || {
        let metrics = ask("/metrics").await?.body;
        // Every reason stands at zero from the start.
        let failed = |receiver: &&str| {
            let label = format!("receiver=\"{receiver}\"");
            let mut lines = metrics.lines().filter(|line| !line.ends_with(" 0"));
            lines.any(|line| line.contains("delivery_failures_total{") && line.contains(&label))
        };
        let left: Vec<_> = FAILING.into_iter().filter(|name| !failed(name)).collect();
        left.is_empty().then_some(()).ok_or(left.join(", "))
    })
    .await;
    until("operators hear of it", async || {
        let inbox = ask("/api/v1/inbox").await?.body;
        let told = ["DeliveryGivenUp", "DestinationBlocked"];
        let told = told.iter().all(|name| inbox.contains(name));
        told.then_some(()).ok_or(inbox)
    })
    .await;
}

/// Posts what is refused, what is unreadable, and what every receiver is told.
async fn post(router: &Router) {
    let post = async |token: &str, body: &str| {
        let headers = [("Authorization", token)];
        let path = "/webhook/prod";
        let answer = router.call("POST", path, &headers, body.as_bytes()).await;
        answer.expect("it answers")
    };
    let alert = body(&[firing(&[("alertname", "A")])]);
    let refused = post("Bearer planted-retired", &alert).await;
    assert_eq!(refused.status, 401);
    check("a refusal", &format!("{refused:?}"));
    assert_eq!(post("Bearer planted-source", "not JSON").await.status, 400);
    assert_eq!(post("Bearer planted-source", &alert).await.status, 200);
}

/// What commands print; none of them asks the server.
const COMMANDS: [&[&str]; 10] = [
    &["check"],
    &["doctor"],
    &["dead-letters", "list"],
    &["quarantine", "list"],
    &["send-test", "--receiver", "hook"],
    &["send-test", "--receiver", "mail"],
    &["send-test", "--receiver", "app"],
    &["send-test", "--receiver", "refused"],
    &["send-test", "--receiver", "token"],
    &["route-test", "alertname=A"],
];

#[tokio::test]
async fn f45_no_secret_is_shown_anywhere_when_every_receiver_fails() {
    let (heard, collector) = (Heard::default(), FakeCollector::start());
    let http = http_echo(heard.clone()).await;
    let folder = Folder::with(&config(&http, &smtp_echo(heard.clone()).await));
    let mut command = folder.command(&["--listen", "127.0.0.1:0"]);
    command
        .env("RUST_LOG", "trace")
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", collector.endpoint())
        .env("OTEL_EXPORTER_OTLP_HEADERS", "authorization=planted-otlp");
    let router = Router::start(command).await;
    post(&router).await;
    until_all_failed(&router).await;
    for (path, text) in shown(&router).await {
        check(&path, &text);
    }
    router.signal(rustix::process::Signal::TERM);
    let (code, said) = router.ended().await;
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("TRACE"), "the log is as talkative as can be");
    check("the log", &said);
    for words in COMMANDS {
        let ended = folder.run(words).await;
        check(&words.join(" "), &format!("{ended:?}"));
    }
    let spans = collector.spans();
    let sent = spans.iter().find(|span| span.name() == "send mail");
    assert!(sent.is_some(), "spans were exported");
    let spans: Vec<_> = spans.iter().map(|span| span.as_otlp()).collect();
    check("a span", &format!("{spans:?}"));

    // They were used: whoever was called has seen them.
    let heard = heard.text();
    let used = [
        "path",
        "bearer",
        "basic",
        "proxy",
        "robot",
        "secret",
        "smtp",
        "client",
        "refresh",
        "application",
        "token",
    ];
    for secret in used.map(|name| format!("planted-{name}")) {
        let seen = forms(&secret).iter().any(|form| heard.contains(form));
        assert!(seen, "{secret} was not sent: {heard}");
    }
}
