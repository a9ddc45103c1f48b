//! A webhook receiver on loopback that remembers every message, and answers as it is told to.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use axum::extract::State;
use axum::http::{StatusCode, Uri};
use serde_json::Value;
use tokio::sync::watch;

use crate::wait::until;

/// Takes messages at any path of its address.
pub(crate) struct Sink {
    address: String,
    state: Arc<Told>,
}

struct Told {
    messages: Mutex<Vec<Message>>,
    answers: Mutex<BTreeMap<String, StatusCode>>,
    /// Whether answers leave.
    open: watch::Sender<bool>,
}

/// A message as it came.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Message {
    pub(crate) path: String,
    pub(crate) text: String,
    pub(crate) body: Value,
}

impl Message {
    /// Its alerts, sorted: the value of a label, after `+` if they fire and `-` if they are over.
    pub(crate) fn says(&self, label: &str) -> Vec<String> {
        let alerts = self.body["alerts"].as_array().expect("a webhook body");
        let word = |alert: &Value| {
            let sign = if alert["status"] == "firing" {
                '+'
            } else {
                '-'
            };
            format!("{sign}{}", alert["labels"][label].as_str().unwrap_or("?"))
        };
        let mut words: Vec<String> = alerts.iter().map(word).collect();
        words.sort();
        words
    }
}

impl Sink {
    pub(crate) async fn start() -> Self {
        let (open, _) = watch::channel(true);
        let state = Arc::new(Told {
            messages: Mutex::default(),
            answers: Mutex::default(),
            open,
        });
        let app = axum::Router::new()
            .fallback(tell)
            .with_state(Arc::clone(&state));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
            .await
            .expect("loopback");
        let address = listener.local_addr().expect("it listens").to_string();
        tokio::spawn(async move { axum::serve(listener, app).await });
        Self { address, state }
    }

    /// A URL of it.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Answers messages at `path` with `status` from now on.
    pub(crate) fn answer(&self, path: &str, status: u16) {
        let status = StatusCode::from_u16(status).expect("a status");
        self.state
            .answers
            .lock()
            .expect("no panic")
            .insert(path.to_owned(), status);
    }

    /// Keeps answers back, or lets them go.
    pub(crate) fn hold(&self, hold: bool) {
        self.state.open.send_replace(!hold);
    }

    /// Every message so far.
    pub(crate) fn messages(&self) -> Vec<Message> {
        self.state.messages.lock().expect("no panic").clone()
    }

    /// Every message at a path so far.
    pub(crate) fn at(&self, path: &str) -> Vec<Message> {
        self.messages()
            .into_iter()
            .filter(|message| message.path == path)
            .collect()
    }

    /// What all messages said of a label, each as one line such as `+a -b`.
    pub(crate) fn heard(&self, label: &str) -> Vec<String> {
        self.messages()
            .iter()
            .map(|message| message.says(label).join(" "))
            .collect()
    }

    /// Waits until a message says `what` (`+a`) of a label, alone or among others.
    pub(crate) async fn until_heard(&self, label: &str, what: &str) {
        until(&format!("somebody hears {what}"), async || {
            let heard = self.heard(label);
            let found = heard
                .iter()
                .any(|line| line.split(' ').any(|word| word == what));
            found.then_some(()).ok_or_else(|| heard.join("; "))
        })
        .await;
    }
}

async fn tell(State(told): State<Arc<Told>>, uri: Uri, text: String) -> StatusCode {
    let path = uri.path().to_owned();
    let answer = told.answers.lock().expect("no panic").get(&path).copied();
    let body = serde_json::from_str(&text).expect("a webhook body");
    told.messages
        .lock()
        .expect("no panic")
        .push(Message { path, text, body });
    // The channel lives as long as the sink.
    let mut gate = told.open.subscribe();
    drop(gate.wait_for(|open| *open).await);
    answer.unwrap_or(StatusCode::OK)
}
