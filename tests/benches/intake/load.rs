//! The load: a fixed number of connections, each with one request under way.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::alerts::{Fleet, Scenario};
use super::server::{Server, Usage};

const CONNECTIONS: usize = 64;
/// How long one scenario is measured.
const MEASURE: Duration = Duration::from_secs(5);

/// What one scenario showed.
pub(crate) struct Measured {
    alerts: usize,
    changes: usize,
    took: Duration,
    latencies: Vec<Duration>,
    before: Usage,
    after: Usage,
}

impl Measured {
    /// Alerts per second.
    pub(crate) fn rate(&self) -> f64 {
        self.alerts as f64 / self.took.as_secs_f64()
    }

    /// Bytes given to the disk for each alert that changed; `None` if none did.
    pub(crate) fn bytes_per_change(&self) -> Option<f64> {
        let written = self.after.written.saturating_sub(self.before.written);
        (self.changes > 0).then(|| written as f64 / self.changes as f64)
    }

    /// Bytes of memory at the end.
    pub(crate) fn resident(&self) -> f64 {
        self.after.resident as f64
    }

    fn p99(&self) -> Duration {
        let mut sorted = self.latencies.clone();
        sorted.sort_unstable();
        sorted
            .get(sorted.len() * 99 / 100)
            .copied()
            .unwrap_or_default()
    }
}

impl std::fmt::Display for Measured {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let cpu = self.after.cpu.saturating_sub(self.before.cpu).as_secs_f64() * 1e6;
        write!(
            f,
            "{:>15.0} {:>7.1} {:>13.1} {:>7.0}",
            self.rate(),
            self.p99().as_secs_f64() * 1e3,
            cpu / self.alerts as f64,
            self.after.resident as f64 / 1e6,
        )
    }
}

/// Teaches the server all alerts, then measures passes over them.
pub(crate) async fn measure(
    server: &Server,
    fleet: &mut Fleet,
    scenario: Scenario,
    per_request: usize,
) -> Result<Measured, String> {
    pass(server, fleet, 100).await?;
    let before = server.usage()?;
    let mut measured = Measured {
        alerts: 0,
        changes: 0,
        took: Duration::ZERO,
        latencies: Vec::new(),
        before,
        after: before,
    };
    let mut passes = 0;
    while measured.took < MEASURE {
        passes += 1;
        measured.changes += fleet.advance(scenario, passes);
        let done = pass(server, fleet, per_request).await?;
        measured.alerts += fleet.len();
        measured.took += done.took;
        measured.latencies.extend(done.latencies);
    }
    measured.after = server.usage()?;
    Ok(measured)
}

/// Says once more how all alerts are; returns how many the server called changed.
pub(crate) async fn say_again(server: &Server, fleet: &Fleet) -> Result<u64, String> {
    Ok(pass(server, fleet, 100).await?.changed)
}

struct Pass {
    took: Duration,
    latencies: Vec<Duration>,
    changed: u64,
}

async fn pass(server: &Server, fleet: &Fleet, per_request: usize) -> Result<Pass, String> {
    let path = server.path(fleet.api());
    let requests: Arc<Vec<Vec<u8>>> = Arc::new(
        (0..fleet.len())
            .step_by(per_request)
            .map(|at| post(path, &fleet.body(at..at + per_request)))
            .collect(),
    );
    let next = Arc::new(AtomicUsize::new(0));
    let mut connections = Vec::new();
    for _ in 0..CONNECTIONS.min(requests.len()) {
        connections.push(server.connect().await?);
    }
    let began = instant();
    let tasks: Vec<_> = connections
        .into_iter()
        .map(|stream| tokio::spawn(send(stream, Arc::clone(&requests), Arc::clone(&next))))
        .collect();
    let (mut latencies, mut changed) = (Vec::new(), 0);
    for task in tasks {
        let (took, news) = task.await.map_err(|error| error.to_string())??;
        latencies.extend(took);
        changed += news;
    }
    Ok(Pass {
        took: began.elapsed(),
        latencies,
        changed,
    })
}

async fn send(
    mut stream: TcpStream,
    requests: Arc<Vec<Vec<u8>>>,
    next: Arc<AtomicUsize>,
) -> Result<(Vec<Duration>, u64), String> {
    let (mut latencies, mut changed) = (Vec::new(), 0);
    let mut answer = Vec::with_capacity(4096);
    while let Some(request) = requests.get(next.fetch_add(1, Ordering::Relaxed)) {
        let began = instant();
        write(&mut stream, request).await?;
        let (_, news) = read_answer(&mut stream, &mut answer).await?;
        changed += news;
        latencies.push(began.elapsed());
    }
    Ok((latencies, changed))
}

/// Posts one body, which must be answered with a 200.
pub(crate) async fn post_body(
    stream: &mut TcpStream,
    path: &str,
    body: &str,
) -> Result<(), String> {
    write(stream, &post(path, body)).await?;
    read_answer(stream, &mut Vec::new()).await.map(drop)
}

/// The body of a page, which must be answered with a 200.
pub(crate) async fn get(stream: &mut TcpStream, path: &str) -> Result<String, String> {
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n");
    write(stream, request.as_bytes()).await?;
    let mut answer = Vec::with_capacity(4096);
    Ok(read_answer(stream, &mut answer).await?.0)
}

/// One request in one piece, as HTTP clients buffer it: in two, the server would be woken twice.
fn post(path: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!("POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}")
        .into_bytes()
}

async fn write(stream: &mut TcpStream, request: &[u8]) -> Result<(), String> {
    let sent = stream.write_all(request).await;
    sent.map_err(|error| error.to_string())
}

/// Reads one answer; it must be a 200. Returns its body, and its `changed`, if it is ours.
async fn read_answer(
    stream: &mut TcpStream,
    answer: &mut Vec<u8>,
) -> Result<(String, u64), String> {
    answer.clear();
    loop {
        let read = stream
            .read_buf(answer)
            .await
            .map_err(|error| error.to_string())?;
        let text = String::from_utf8_lossy(answer);
        if read == 0 {
            return Err(format!("the connection ended: {text}"));
        }
        let Some((head, body)) = text.split_once("\r\n\r\n") else {
            continue;
        };
        if !head.starts_with("HTTP/1.1 200") {
            return Err(format!("not a 200: {text}"));
        }
        let length = head.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case("content-length")
                .then(|| value.trim().parse().ok())?
        });
        let chunked = length.is_none() && !body.ends_with("0\r\n\r\n") && !body.is_empty();
        if body.len() >= length.unwrap_or(0) && !chunked {
            let changed = body.split_once("\"changed\":").map(|(_, rest)| rest);
            let digits = changed.and_then(|rest| rest.split([',', '}']).next());
            let changed = digits.and_then(|digits| digits.parse().ok());
            return Ok((body.to_owned(), changed.unwrap_or(0)));
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "a benchmark runs in real time")]
pub(crate) fn instant() -> Instant {
    Instant::now()
}
