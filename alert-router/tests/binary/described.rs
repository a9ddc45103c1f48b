//! Every answer of the API is as `openapi.yaml` describes it, and all that it describes is to be had.

use alert_router::testing::Description;
use serde_json::{Value, json};

use crate::router::{Folder, Router, body, firing};
use crate::sink::Sink;
use crate::wait::until;

/// A router whose answers are held against the description.
struct Described {
    router: Router,
    description: Description,
}

impl Described {
    /// Asks, and holds the answer against its description, which must be of this status.
    async fn ask(&mut self, method: &str, path: &str, said: &str, status: u16) -> Value {
        let answer = self.router.ask(&method.to_uppercase(), path, said).await;
        let answer = answer.expect("it answers");
        assert_eq!(answer.status, status, "{method} {path}: {answer:?}");
        let json = answer.head.to_lowercase();
        let json = json.contains("content-type: application/json");
        let found = json.then(|| answer.json());
        let fits = self
            .description
            .answer(method, path, status, found.as_ref());
        fits.unwrap_or_else(|why| panic!("{why}\n{found:#?}"));
        found.unwrap_or_default()
    }

    /// Waits for the first row of a list, and returns its id.
    async fn first(&mut self, list: &str) -> String {
        until(list, async || {
            let rows = self.router.list(list).await;
            let id = rows.first().and_then(|row| row["id"].as_str());
            id.map(str::to_owned).ok_or("none".to_owned())
        })
        .await
    }

    async fn what_it_is(&mut self, folder: &Folder, config: &str) {
        for path in [
            "/-/healthy",
            "/-/ready",
            "/metrics",
            "/api/v1/openapi.yaml",
            "/api/v1/status",
        ] {
            self.ask("get", path, "", 200).await;
        }
        folder.configure("receivers: nonsense\n");
        self.ask("post", "/-/reload", "", 400).await;
        self.ask("get", "/api/v1/status", "", 200).await;
        folder.configure(config);
        self.ask("post", "/-/reload", "", 200).await;
        // This one does not end, so only its beginning is read.
        let head = begun(&self.router, "/api/v1/events").await;
        assert!(head.contains("text/event-stream"), "{head}");
        let described = self.description.answer("get", "/api/v1/events", 200, None);
        described.expect("it is described");
    }

    /// More alerts than a group has room for the texts of, and one that cannot be read.
    async fn intake(&mut self) {
        let mut alerts: Vec<Value> = (0..502)
            .map(|n| firing(&[("alertname", "Disk"), ("id", &n.to_string()), ("a", "b")]))
            .collect();
        alerts.push(json!({"status": "exploding", "labels": {"alertname": "Odd"}}));
        self.ask("post", "/webhook", &body(&alerts), 200).await;
        self.ask("post", "/webhook/prod", "no JSON", 400).await;
        self.first("inbox").await;
        self.ask("get", "/api/v1/inbox", "", 200).await;
        self.ask("get", "/api/v1/groups", "", 200).await;
        let cut = json!({"receiver": "web", "truncatedAlerts": 7, "alerts": [firing(&[("alertname", "Cut")])]});
        self.ask("post", "/webhook/prod", &cut.to_string(), 200)
            .await;
        self.ask("get", "/api/v1/sources", "", 200).await;
        self.ask("post", "/api/v1/test-alert", "", 202).await;
    }

    async fn dead_letters(&mut self, sink: &Sink) {
        let path = "/api/v1/dead-letters";
        let one = format!("{path}/{}", self.first("dead-letters").await);
        self.ask("get", path, "", 200).await;
        self.ask("get", &one, "", 200).await;
        let again = format!("{one}/replay?as_sent=true");
        self.ask("post", &again, "", 502).await;
        sink.answer("/room", 200);
        self.ask("post", &again, "", 200).await;
        self.ask("post", &again, "", 404).await;
        sink.answer("/room", 400);
        for (method, end) in [("delete", ""), ("post", "/replay")] {
            let name = format!("{method}{end}");
            let alert = firing(&[("alertname", &name)]);
            self.ask("post", "/webhook", &body(&[alert]), 200).await;
            let one = format!("{path}/{}{end}", self.first("dead-letters").await);
            self.ask(method, &one, "", 204).await;
        }
        self.ask("get", &one, "", 404).await;
        self.ask("get", "/api/v1/history", "", 200).await;
    }

    async fn quarantine(&mut self) {
        let path = "/api/v1/quarantine";
        self.ask("get", path, "", 200).await;
        let rows = self.router.list("quarantine").await;
        for row in rows {
            let one = format!("{path}/{}", row["id"].as_str().expect("an id"));
            self.ask("get", &one, "", 200).await;
            self.ask("post", &format!("{one}/replay"), "", 422).await;
            self.ask("delete", &one, "", 204).await;
            self.ask("get", &one, "", 404).await;
        }
        self.ask("get", "/api/v1/history", "", 200).await;
    }

    /// A body that can be read once a limit is raised.
    async fn late_intake(&mut self, folder: &Folder, config: &str) {
        folder.configure(&format!("{config}limits: {{alerts_per_request: 1}}\n"));
        self.ask("post", "/-/reload", "", 200).await;
        let two = ["a", "b"].map(|name| firing(&[("alertname", name)]));
        self.ask("post", "/webhook", &body(&two), 422).await;
        folder.configure(config);
        self.ask("post", "/-/reload", "", 200).await;
        let one = self.first("quarantine").await;
        let replay = format!("/api/v1/quarantine/{one}/replay");
        self.ask("post", &replay, "", 200).await;
    }

    async fn tests_of_receivers(&mut self) {
        let path = |receiver: &str| format!("/api/v1/receivers/{receiver}/test");
        self.ask("post", &path("room"), "", 200).await;
        self.ask("post", &path("inbox"), "", 200).await;
        self.ask("post", &path("nobody"), "", 404).await;
    }
}

/// The head of an answer that goes on.
async fn begun(router: &Router, path: &str) -> String {
    use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};

    let mut stream = tokio::net::TcpStream::connect(router.address())
        .await
        .expect("it listens");
    let call = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n");
    stream.write_all(call.as_bytes()).await.expect("it reads");
    let mut lines = BufReader::new(stream).lines();
    let mut head = String::new();
    while let Ok(Some(line)) = lines.next_line().await
        && !line.is_empty()
    {
        head.push_str(&line.to_lowercase());
    }
    head
}

/// What only unit tests can show: events that take days, and a provider that refuses recipients.
fn is_shown_elsewhere(place: &str) -> bool {
    ["Event/", "Alerts/", "Recipients/", "RefusedRecipients/"]
        .iter()
        .any(|name| place.starts_with(&format!("#/components/schemas/{name}")))
}

#[tokio::test]
async fn every_answer_is_as_described_and_all_that_is_described_is_answered() {
    let sink = Sink::start().await;
    sink.answer("/room", 400);
    let url = sink.url("/room");
    let config = format!(
        "route:\n  receiver: room\n  group_by: [alertname]\n  group_wait: 50ms\n  group_interval: 100ms\n  \
         routes: [{{receiver: inbox, continue: true}}, {{receiver: room}}]\n\
         receivers:\n  - {{name: room, webhook_configs: [{{url: \"{url}\"}}]}}\n  - {{name: inbox, inbox_configs: [{{}}]}}\n"
    );
    let folder = Folder::with(&config);
    let mut described = Described {
        router: folder.start().await,
        description: Description::of_the_api(),
    };
    described.what_it_is(&folder, &config).await;
    described.intake().await;
    described.dead_letters(&sink).await;
    described.quarantine().await;
    described.late_intake(&folder, &config).await;
    described.tests_of_receivers().await;
    let mut unseen = described.description.unseen();
    unseen.retain(|place| !is_shown_elsewhere(place));
    assert!(unseen.is_empty(), "no answer has these: {unseen:#?}");
}
