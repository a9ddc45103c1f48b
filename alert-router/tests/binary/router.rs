//! The real binary in a folder of its own: started on a free port, read, signalled, and gone when
//! its value is dropped.

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tokio::sync::{oneshot, watch};

use crate::http::{Answer, Call, call};
use crate::wait::{DEADLINE, until};

/// Where a router lives: its config, and the data that outlives it.
pub(crate) struct Folder(tempfile::TempDir);

/// A running router.
pub(crate) struct Router {
    address: String,
    pid: Pid,
    ended: oneshot::Receiver<ExitStatus>,
    said: Arc<Mutex<String>>,
}

/// How a command ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Folder {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().expect("a temporary folder"))
    }

    /// A folder with a config.
    pub(crate) fn with(config: &str) -> Self {
        let folder = Self::new();
        folder.configure(config);
        folder
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    pub(crate) fn config(&self) -> PathBuf {
        self.path().join("alert-router.yaml")
    }

    pub(crate) fn configure(&self, config: &str) {
        std::fs::write(self.config(), config).expect("the folder is ours");
    }

    /// The binary, to be run here; with the config, if there is one.
    pub(crate) fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_alert-router"));
        command.args(words).current_dir(self.path());
        command
            .env_remove("ALERT_ROUTER_CONFIG")
            .env_remove("RUST_LOG");
        if self.config().exists() {
            command.env("ALERT_ROUTER_CONFIG", "alert-router.yaml");
        }
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// Runs a command to its end.
    pub(crate) async fn run(&self, words: &[&str]) -> Ended {
        let mut command = self.command(words);
        let output = tokio::task::spawn_blocking(move || command.output());
        let output = tokio::time::timeout(DEADLINE, output).await;
        let output = output
            .expect("the command ends")
            .expect("no panic")
            .expect("it starts");
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("people read UTF-8");
        Ended {
            code: output.status.code(),
            stdout: text(output.stdout),
            stderr: text(output.stderr),
        }
    }

    /// Starts the server here and waits until it is ready.
    pub(crate) async fn start(&self) -> Router {
        Router::start(self.command(&["--listen", "127.0.0.1:0"])).await
    }
}

impl Router {
    /// Runs a prepared `serve`, and waits until it is ready.
    pub(crate) async fn start(mut command: Command) -> Self {
        let mut child = command.spawn().expect("the router starts");
        let said = Arc::new(Mutex::new(String::new()));
        let (tell, mut told) = watch::channel(None);
        let out = gather(child.stdout.take().expect("it is piped"), &said, |_| {});
        let errors = gather(
            child.stderr.take().expect("it is piped"),
            &said,
            move |line| {
                if let Some(address) = line.strip_prefix("alert-router  http://") {
                    tell.send_replace(Some(address.to_owned()));
                }
            },
        );
        let (pid, ended) = watch_over(child, [out, errors]);
        let address = tokio::time::timeout(DEADLINE, told.wait_for(Option::is_some)).await;
        let address = match address {
            Ok(Ok(address)) => address.clone().expect("it was waited for"),
            Ok(Err(_)) | Err(_) => panic!("it did not start: {}", said.lock().expect("no panic")),
        };
        let router = Self {
            address,
            pid,
            ended,
            said,
        };
        until("the router is ready", async || {
            let answer = router.ask("GET", "/-/ready", "").await?;
            (answer.status == 200).then_some(()).ok_or(answer.body)
        })
        .await;
        router
    }

    /// Host and port.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    pub(crate) fn pid(&self) -> Pid {
        self.pid
    }

    /// Everything that it wrote.
    pub(crate) fn said(&self) -> String {
        self.said.lock().expect("no panic").clone()
    }

    pub(crate) async fn ask(&self, method: &str, path: &str, body: &str) -> Result<Answer, String> {
        let headers = [("Content-Type", "application/json")];
        self.call(method, path, &headers, body.as_bytes()).await
    }

    pub(crate) async fn call(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Result<Answer, String> {
        let what = Call {
            method,
            path,
            headers,
            body,
        };
        call(&self.address, &what).await
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, "").await.expect("it answers")
    }

    /// Posts a webhook body.
    pub(crate) async fn post(&self, body: &str) -> Answer {
        self.ask("POST", "/webhook", body)
            .await
            .expect("it answers")
    }

    /// Posts alerts, which must be taken.
    pub(crate) async fn take(&self, alerts: &[Value]) -> Value {
        let answer = self.post(&body(alerts)).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.json()
    }

    /// A list of its API, such as `groups`; of one that comes in pages the first.
    pub(crate) async fn list(&self, name: &str) -> Vec<Value> {
        let answer = self.get(&format!("/api/v1/{name}")).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        let list = answer.json();
        let rows = list.get("records").unwrap_or(&list);
        rows.as_array().expect("a list").clone()
    }

    /// The value of one sample, such as `alert_router_panics_total`, labels as they are exposed.
    pub(crate) async fn metric(&self, sample: &str) -> f64 {
        let text = self.get("/metrics").await.body;
        let value = text.lines().find_map(|line| {
            let (name, value) = line.rsplit_once(' ')?;
            (name == sample).then(|| value.parse().expect("a number"))
        });
        value.unwrap_or_else(|| panic!("no {sample} in\n{text}"))
    }

    /// Waits until a sample has a value.
    pub(crate) async fn until_metric(&self, sample: &str, wanted: f64) {
        until(sample, async || {
            let text = self.ask("GET", "/metrics", "").await?.body;
            let line = format!("{sample} {wanted}");
            let found = text.lines().any(|found| found == line);
            let near = || {
                text.lines()
                    .filter(|l| l.starts_with(sample))
                    .collect::<Vec<_>>()
                    .join("; ")
            };
            found.then_some(()).ok_or_else(near)
        })
        .await;
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(self.pid, signal).expect("it runs");
    }

    pub(crate) fn runs(&mut self) -> bool {
        self.ended.try_recv().is_err()
    }

    /// Waits for its end; returns its exit code.
    pub(crate) async fn ended(mut self) -> (Option<i32>, String) {
        let status = tokio::time::timeout(DEADLINE, &mut self.ended).await;
        let status = status.expect("it ends").expect("it is watched over");
        (status.code(), self.said())
    }

    /// Ends it with SIGTERM, which must go well.
    pub(crate) async fn stop(self) {
        self.signal(Signal::TERM);
        let (code, said) = self.ended().await;
        assert_eq!(code, Some(0), "{said}");
    }

    /// Ends it without warning.
    pub(crate) async fn kill(self) {
        self.signal(Signal::KILL);
        self.ended().await;
    }
}

impl Drop for Router {
    fn drop(&mut self) {
        if self.runs() {
            // It may end by itself at this very moment.
            let _gone = kill_process(self.pid, Signal::KILL);
        }
        if std::thread::panicking() {
            eprintln!("--- the router said:\n{}", self.said());
        }
    }
}

/// Keeps what a pipe brings, line by line.
fn gather(
    pipe: impl Read + Send + 'static,
    said: &Arc<Mutex<String>>,
    mut also: impl FnMut(&str) + Send + 'static,
) -> JoinHandle<()> {
    let said = Arc::clone(said);
    std::thread::spawn(move || {
        for line in BufReader::new(pipe).lines().map_while(Result::ok) {
            said.lock()
                .expect("no panic")
                .push_str(&format!("{line}\n"));
            also(&line);
        }
    })
}

/// A thread that waits for the child, so that nobody else has to.
fn watch_over(
    mut child: Child,
    readers: [JoinHandle<()>; 2],
) -> (Pid, oneshot::Receiver<ExitStatus>) {
    let pid = Pid::from_child(&child);
    let (end, ended) = oneshot::channel();
    std::thread::spawn(move || {
        let status = child.wait().expect("the child is ours to wait for");
        // Its last words come before the news of its end.
        for reader in readers {
            reader.join().expect("reading does not panic");
        }
        // Nobody may be left to ask.
        let _unasked = end.send(status);
    });
    (pid, ended)
}

/// A webhook body of version 4.
pub(crate) fn body(alerts: &[Value]) -> String {
    json!({"version": "4", "alerts": alerts}).to_string()
}

/// A firing alert, begun on a day that is long over.
pub(crate) fn firing(labels: &[(&str, &str)]) -> Value {
    let labels: serde_json::Map<String, Value> = labels
        .iter()
        .map(|(name, value)| ((*name).to_owned(), json!(value)))
        .collect();
    json!({
        "status": "firing",
        "labels": labels,
        "annotations": {"summary": "disk almost full"},
        "startsAt": "2026-01-24T08:00:00Z",
        "endsAt": "0001-01-01T00:00:00Z",
        "generatorURL": "http://prometheus.example.com/graph",
    })
}

/// The same alert, over.
pub(crate) fn resolved(labels: &[(&str, &str)]) -> Value {
    let mut alert = firing(labels);
    alert["status"] = json!("resolved");
    alert["endsAt"] = json!("2026-01-24T09:00:00Z");
    alert
}
