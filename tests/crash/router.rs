//! The router's real binary: started on loopback, posted to over HTTP, killed without warning.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// A running alert-router with its data.
pub(crate) struct Router {
    child: Child,
    folder: tempfile::TempDir,
    port: u16,
}

impl Router {
    pub(crate) async fn start(sink: &str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let config = format!(
            "route: {{receiver: sink, group_by: [alertname], group_wait: 50ms, group_interval: 100ms}}\n\
             receivers: [{{name: sink, webhook_configs: [{{url: \"{sink}\"}}]}}]\n"
        );
        std::fs::write(folder.path().join("router.yaml"), config).expect("a config");
        let port = free_port();
        let child = spawn(folder.path(), port);
        let router = Self {
            child,
            folder,
            port,
        };
        router.wait().await;
        router
    }

    /// Posts new alerts for a while; returns the ids of those that were acknowledged.
    pub(crate) async fn post_for(&self, round: u32, groups: u32, time: Duration) -> Vec<String> {
        let mut acknowledged = Vec::new();
        let posting = async {
            for number in 0..400 {
                let id = format!("{round}-{number}");
                if self.post(&id, number % groups).await {
                    acknowledged.push(id);
                }
            }
        };
        // The time is over in the midst of a post: whether that one got its 200 is open, so it is
        // not among those that must be heard.
        let _in_the_midst = tokio::time::timeout(time, posting).await;
        acknowledged
    }

    async fn post(&self, id: &str, group: u32) -> bool {
        let body = format!(
            r#"{{"version":"4","alerts":[{{"status":"firing","labels":{{"alertname":"Group{group}","id":"{id}"}},"startsAt":"2026-11-24T00:00:00Z"}}]}}"#
        );
        let request = format!(
            "POST /webhook HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let Ok(mut stream) = TcpStream::connect(("127.0.0.1", self.port)).await else {
            return false;
        };
        let mut answer = String::new();
        let sent = stream.write_all(request.as_bytes()).await;
        sent.is_ok()
            && stream.read_to_string(&mut answer).await.is_ok()
            && answer.starts_with("HTTP/1.1 200")
    }

    pub(crate) async fn kill_and_restart(&mut self) {
        self.child.kill().expect("it runs");
        self.child.wait().expect("it ends");
        self.child = spawn(self.folder.path(), self.port);
        self.wait().await;
    }

    async fn wait(&self) {
        for _ in 0..400 {
            if TcpStream::connect(("127.0.0.1", self.port)).await.is_ok() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        panic!("the router did not listen within 10 s");
    }
}

impl Drop for Router {
    fn drop(&mut self) {
        // A process that is gone already is what we want.
        let _gone = self.child.kill();
        let _reaped = self.child.wait();
    }
}

/// Tells whoever runs the tests, past the harness that swallows stdout.
#[expect(
    clippy::print_stderr,
    reason = "what was measured is part of the result"
)]
pub(crate) fn say(what: &str) {
    eprintln!("{what}");
}

fn spawn(folder: &Path, port: u16) -> Child {
    let mut command = Command::new(binary());
    command.arg("--config").arg(folder.join("router.yaml"));
    command
        .arg("--listen")
        .arg(format!("127.0.0.1:{port}"))
        .current_dir(folder);
    command
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the router starts")
}

/// The router's binary, built by the same cargo for the same profile.
fn binary() -> PathBuf {
    let tests = std::env::current_exe().expect("this test is a file");
    let profile = tests.ancestors().nth(2).expect("target/PROFILE/deps/crash");
    let binary = profile.join("alert-router");
    if !binary.exists() {
        let built = Command::new(env!("CARGO"))
            .args(["build", "-p", "alert-router", "--bin", "alert-router"])
            .env(
                "CARGO_TARGET_DIR",
                profile.parent().expect("target/PROFILE"),
            )
            .status();
        assert!(
            built.is_ok_and(|status| status.success()),
            "the router could not be built"
        );
    }
    binary
}

fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("loopback");
    listener.local_addr().expect("it listens").port()
}
