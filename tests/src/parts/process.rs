//! A child process with a log file, known to be ready, and gone when its value is dropped.

use std::fs::File;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tokio::net::TcpStream;

use super::http::get_text;
use super::wait::until;

/// How long a process may take to end after SIGTERM.
const PATIENCE: Duration = Duration::from_secs(30);

/// Lines of its log that a failed test shows.
const SHOWN: usize = 40;

/// What shows that a process can be used.
#[derive(Clone, Debug)]
pub enum Ready {
    /// This page answers 2xx.
    Page(String),
    /// This address takes connections.
    Port(SocketAddr),
    /// This file is there.
    File(PathBuf),
}

/// A child process. Dropping it ends it, by its id, and waits until it is gone.
pub struct Process {
    name: String,
    command: Command,
    log: PathBuf,
    ready: Ready,
    running: Option<Running>,
}

struct Running {
    pid: Pid,
    ended: Receiver<ExitStatus>,
}

impl Process {
    /// Starts `command`, with its output in `folder/name.log`, and returns when it is ready.
    ///
    /// # Panics
    /// It does not start, ends, or is not ready in time; its log is shown.
    pub async fn start(name: &str, mut command: Command, folder: &Path, ready: Ready) -> Self {
        let log = folder.join(format!("{name}.log"));
        let file = File::create(&log).expect("the folder is ours");
        let again = file.try_clone().expect("a file handle can be copied");
        command.stdin(Stdio::null()).stdout(file).stderr(again);
        let mut process = Self {
            name: name.to_owned(),
            command,
            log,
            ready,
            running: None,
        };
        process.start_again().await;
        process
    }

    /// Starts it as before, after [`Self::kill`], and returns when it is ready.
    ///
    /// # Panics
    /// As [`Self::start`].
    pub async fn start_again(&mut self) {
        assert!(self.running.is_none(), "{} runs", self.name);
        let child = self.command.spawn();
        let mut child = child.unwrap_or_else(|error| panic!("{} starts: {error}", self.name));
        let pid = Pid::from_child(&child);
        let (end, ended) = sync_channel(1);
        std::thread::spawn(move || {
            let status = child.wait().expect("the child is ours to wait for");
            // Nobody may be left to ask.
            let _unasked = end.send(status);
        });
        self.running = Some(Running { pid, ended });
        let what = format!("{} is ready", self.name);
        until(&what, async || {
            self.assert_runs();
            self.answers().await
        })
        .await;
    }

    /// Ends it with SIGKILL, and returns when it is gone.
    pub fn kill(&mut self) {
        if let Some(Running { pid, ended }) = self.running.take() {
            send(pid, Signal::KILL);
            ended.recv().expect("a killed process ends");
        }
    }

    /// Ends it with SIGTERM, and returns when it is gone.
    ///
    /// # Panics
    /// It does not end, or with another code than 0.
    pub fn terminate(&mut self) {
        if let Some(Running { pid, ended }) = self.running.take() {
            send(pid, Signal::TERM);
            let Ok(status) = ended.recv_timeout(PATIENCE) else {
                send(pid, Signal::KILL);
                panic!("{} did not end after SIGTERM:\n{}", self.name, self.log());
            };
            assert!(status.success(), "{}: {status}:\n{}", self.name, self.log());
        }
    }

    /// What it has written so far.
    #[must_use]
    pub fn log(&self) -> String {
        let bytes = std::fs::read(&self.log).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    fn assert_runs(&self) {
        let running = self.running.as_ref().expect("it was started");
        if let Ok(status) = running.ended.try_recv() {
            panic!("{} ended with {status}", self.name);
        }
    }

    async fn answers(&self) -> Result<(), String> {
        match &self.ready {
            Ready::Page(url) => get_text(url).await.map(drop),
            Ready::File(path) if path.exists() => Ok(()),
            Ready::File(path) => Err(format!("no {}", path.display())),
            Ready::Port(address) => match TcpStream::connect(address).await {
                Ok(_) => Ok(()),
                Err(error) => Err(format!("{address}: {error}")),
            },
        }
    }

    fn stop(&mut self) {
        if let Some(Running { pid, ended }) = self.running.take() {
            send(pid, Signal::TERM);
            if ended.recv_timeout(PATIENCE) == Err(RecvTimeoutError::Timeout) {
                send(pid, Signal::KILL);
                // Disconnected means that it is gone, too.
                let _gone = ended.recv();
            }
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.stop();
        if std::thread::panicking() {
            let log = self.log();
            let lines: Vec<&str> = log.lines().collect();
            let last = &lines[lines.len().saturating_sub(SHOWN)..];
            eprintln!("--- end of the log of {}\n{}", self.name, last.join("\n"));
        }
    }
}

/// A process that is gone already is as it should be.
fn send(pid: Pid, signal: Signal) {
    let _gone = kill_process(pid, signal);
}
