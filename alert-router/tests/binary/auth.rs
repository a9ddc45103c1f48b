//! Who may post and who may look.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::router::{Folder, Router, body, firing};
use crate::sink::Sink;

fn config(sink: &Sink, auth: &str) -> String {
    let url = sink.url("/room");
    format!(
        "route: {{receiver: room, group_by: [alertname], group_wait: 50ms}}\n\
         receivers: [{{name: room, webhook_configs: [{{url: \"{url}\"}}]}}]\n\
         sources:\n\
         \x20 prod: {{bearer_token: t0ken-of-prod}}\n\
         \x20 lab: {{basic_auth: {{username: am, password: \"pass:word\"}}}}\n\
         {auth}"
    )
}

fn basic(user: &str, password: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{user}:{password}")))
}

async fn post(router: &Router, path: &str, authorization: Option<&str>, body: &str) -> u16 {
    let shown = authorization.map(|value| ("Authorization", value));
    let headers: Vec<_> = shown.into_iter().collect();
    let answer = router
        .call("POST", path, &headers, body.as_bytes())
        .await
        .expect("it answers");
    if answer.status == 401 {
        assert!(answer.body.len() < 300, "a refusal is short: {answer:?}");
        assert!(
            answer.body.contains("http_config.authorization"),
            "{answer:?}"
        );
        assert!(!answer.body.contains("t0ken") && !answer.body.contains("pass:word"));
    }
    answer.status
}

#[tokio::test]
async fn f11_each_source_asks_for_its_own_credential_and_a_401_stores_nothing() {
    let sink = Sink::start().await;
    let folder = Folder::with(&config(&sink, ""));
    let router = folder.start().await;
    let (lab, wrong) = (basic("am", "pass:word"), basic("am", "pass"));
    let alert = body(&[firing(&[("alertname", "Forged")])]);
    for (path, shown) in [
        ("/webhook/prod", None),
        ("/webhook/prod", Some("Bearer wrong")),
        ("/webhook/prod", Some("Bearer t0ken-of-pro")),
        ("/webhook/prod", Some(lab.as_str())),
        ("/webhook/lab", Some("Bearer t0ken-of-prod")),
        ("/webhook/lab", Some(wrong.as_str())),
        ("/webhook/lab", None),
    ] {
        assert_eq!(
            post(&router, path, shown, &alert).await,
            401,
            "{path} {shown:?}"
        );
        assert_eq!(post(&router, path, shown, "not even JSON").await, 401);
    }
    assert_eq!(router.list("groups").await.len(), 0);
    assert_eq!(router.list("quarantine").await.len(), 0);
    let unauthorized = "alert_router_webhook_requests_total{outcome=\"unauthorized\"}";
    assert_eq!(router.metric(unauthorized).await, 14.0);

    let prod = body(&[firing(&[("alertname", "Prod")])]);
    assert_eq!(
        post(
            &router,
            "/webhook/prod",
            Some("Bearer t0ken-of-prod"),
            &prod
        )
        .await,
        200
    );
    let own = body(&[firing(&[("alertname", "Lab")])]);
    assert_eq!(post(&router, "/webhook/lab", Some(&lab), &own).await, 200);
    sink.until_heard("alertname", "+Prod").await;
    sink.until_heard("alertname", "+Lab").await;
    assert_eq!(sink.messages().len(), 2, "nobody hears of forged alerts");
    let said = router.said();
    assert!(
        !said.contains("t0ken-of-prod") && !said.contains("pass:word"),
        "{said}"
    );
}

#[tokio::test]
async fn f11_nothing_in_a_request_chooses_where_it_goes() {
    let sink = Sink::start().await;
    let folder = Folder::with(&config(&sink, ""));
    let router = folder.start().await;
    let evil = sink.url("/evil");
    let path =
        format!("/webhook?url={evil}&receiver=evil&type=wx&wxurl={evil}&email=a@example.com");
    let mut alert = firing(&[("alertname", "A"), ("receiver", &evil)]);
    alert["annotations"]["webhook_url"] = evil.clone().into();
    assert_eq!(post(&router, &path, None, &body(&[alert])).await, 200);
    sink.until_heard("alertname", "+A").await;
    assert_eq!(sink.messages().len(), sink.at("/room").len());
}

#[tokio::test]
async fn the_common_credential_guards_pages_api_and_sources_without_their_own() {
    let sink = Sink::start().await;
    let folder = Folder::with(&config(&sink, "auth: {bearer_token: t0ken-of-all}\n"));
    let mut command = folder.command(&["--listen", "127.0.0.1:0"]);
    command.env("NO_COLOR", "1");
    let router = Router::start(command).await;
    for path in [
        "/",
        "/view",
        "/metrics",
        "/api/v1/groups",
        "/api/v1/dead-letters",
        "/nowhere",
    ] {
        let without = router.get(path).await;
        assert_eq!(without.status, 401, "{path}");
        assert!(
            without.head.to_lowercase().contains("www-authenticate"),
            "{without:?}"
        );
        let headers = [("Authorization", "Bearer t0ken-of-all")];
        let with = router.call("GET", path, &headers, b"").await.unwrap();
        assert_eq!(
            with.status,
            if path == "/nowhere" { 404 } else { 200 },
            "{path}"
        );
    }
    let reload = router.ask("POST", "/-/reload", "").await.unwrap();
    assert_eq!(reload.status, 401);
    let alert = body(&[firing(&[("alertname", "A")])]);
    assert_eq!(post(&router, "/webhook", None, &alert).await, 401);
    assert_eq!(
        post(&router, "/webhook", Some("Bearer t0ken-of-all"), &alert).await,
        200
    );
    assert_eq!(
        post(
            &router,
            "/webhook/prod",
            Some("Bearer t0ken-of-all"),
            &alert
        )
        .await,
        401
    );
    // Whoever watches the process needs no credential.
    assert_eq!(router.get("/-/healthy").await.status, 200);
}

#[tokio::test]
async fn a_page_of_another_site_can_change_nothing() {
    let folder = Folder::new();
    let router = folder.start().await;
    let alert = body(&[firing(&[("alertname", "Forged")])]);
    for (path, body) in [
        ("/api/v1/test-alert", ""),
        ("/-/reload", ""),
        // A browser sends text/plain anywhere without asking.
        ("/webhook", &alert),
        ("/webhook/prod", &alert),
    ] {
        let headers = [
            ("Origin", "http://evil.example.com"),
            ("Content-Type", "text/plain"),
        ];
        let answer = router.call("POST", path, &headers, body.as_bytes()).await;
        let answer = answer.unwrap();
        assert_eq!(answer.status, 403, "{path}");
        assert!(answer.json()["error"].is_string(), "{path}: {answer:?}");
    }
    assert_eq!(router.list("groups").await.len(), 0);
}

/// Asks under another name, as a browser does that was told that this name leads to 127.0.0.1.
async fn ask_as(router: &Router, name: &str, call: &str) -> String {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    let mut stream = tokio::net::TcpStream::connect(router.address())
        .await
        .expect("it listens");
    let text = format!("{call} HTTP/1.1\r\n{name}Connection: close\r\nContent-Length: 0\r\n\r\n");
    stream.write_all(text.as_bytes()).await.expect("it reads");
    let mut answer = String::new();
    stream
        .read_to_string(&mut answer)
        .await
        .expect("it answers");
    answer
}

#[tokio::test]
async fn a_name_of_somebody_else_that_leads_here_shows_and_changes_nothing() {
    let sink = Sink::start().await;
    let folder = Folder::with(&config(&sink, ""));
    let router = folder.start().await;
    let evil = "Host: evil.example:9095\r\nOrigin: http://evil.example:9095\r\n";
    for call in [
        "GET /",
        "GET /api/v1/groups",
        "GET /metrics",
        "POST /api/v1/test-alert",
        "POST /-/reload",
        "POST /webhook",
        "POST /webhook/other",
    ] {
        let answer = ask_as(&router, evil, call).await;
        assert!(answer.starts_with("HTTP/1.1 421"), "{call}: {answer}");
        assert!(answer.contains("external_url"), "{call}: {answer}");
    }
    // An Alertmanager is no browser. It may know us by any name, and would not come again.
    let answer = ask_as(&router, "Host: router.lan\r\n", "POST /webhook/other").await;
    assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
    // Such a page has no credential to show.
    let answer = ask_as(&router, evil, "POST /webhook/prod").await;
    assert!(answer.starts_with("HTTP/1.1 401"), "{answer}");
    assert_eq!(router.list("groups").await.len(), 0);
    for host in ["localhost", "[::1]:9095", "host.docker.internal:9095"] {
        let answer = ask_as(&router, &format!("Host: {host}\r\n"), "GET /view").await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{host}: {answer}");
    }
    let own = "external_url: https://alerts.example.com\n";
    folder.configure(&config(&sink, own));
    let reloaded = router.ask("POST", "/-/reload", "").await.unwrap();
    assert_eq!(reloaded.status, 200, "{reloaded:?}");
    let answer = ask_as(&router, "Host: alerts.example.com\r\n", "GET /").await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

#[tokio::test]
async fn every_refusal_of_the_api_is_json_that_says_why() {
    let folder = Folder::new();
    let router = folder.start().await;
    for (method, path, status) in [
        ("GET", "/nowhere", 404),
        ("PUT", "/api/v1/groups", 405),
        ("GET", "/-/reload", 405),
        ("GET", "/api/v1/history?before=-1", 400),
        ("GET", "/api/v1/history?group=x", 400),
        ("POST", "/api/v1/dead-letters/00/replay?as_sent=maybe", 400),
    ] {
        let answer = router.ask(method, path, "").await.unwrap();
        assert_eq!(answer.status, status, "{method} {path}: {answer:?}");
        let why = answer.json()["error"].as_str().map(str::len);
        assert!(why > Some(10), "{method} {path}: {answer:?}");
    }
    let head = router.ask("HEAD", "/metrics", "").await.unwrap();
    assert_eq!((head.status, head.body.as_str()), (200, ""));
}
