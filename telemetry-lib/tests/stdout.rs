//! Standard output that nobody reads, or that takes nothing: the test starts itself as the service.
#![cfg(target_os = "linux")]
#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests, too, fail by panicking"
)]

use std::fs::File;
use std::io::Read;
use std::os::fd::AsRawFd;
use std::process::{Child, Command, Stdio, exit};
use std::sync::mpsc::sync_channel;
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use telemetry_lib::testing::Exposition;
use telemetry_lib::{Config, Telemetry};

/// For what must end by itself, on a busy machine, too.
const GRACE: Duration = Duration::from_secs(60);
/// More than a pipe holds.
const MUCH: usize = 1 << 20;

fn config() -> Config {
    let variables = [("OTEL_TRACES_EXPORTER".to_owned(), "none".to_owned())];
    Config::from_vars("orders", variables).log_lines_per_second(1)
}

fn lost(telemetry: &Telemetry) -> f64 {
    let page = Exposition::scrape(telemetry);
    page.value("telemetry_log_lines_lost_total", &[]).unwrap()
}

#[test]
#[ignore = "the service whose lines nobody reads"]
fn unread() {
    let telemetry = telemetry_lib::init(config()).unwrap();
    // Something to tell at the end.
    (0..1_000).for_each(|_| tracing::info!("flood"));
    thread::spawn(|| tracing::info!("{}", "x".repeat(MUCH)));
    // The thread waits in its write as soon as another one's line is lost.
    while lost(&telemetry) == 0.0 {
        tracing::info!("another");
    }
    end(&telemetry);
}

#[test]
#[ignore = "the service whose first line that cannot be written is its last"]
fn filled() {
    let telemetry = telemetry_lib::init(config()).unwrap();
    (0..1_000).for_each(|_| tracing::info!("flood"));
    fill();
    end(&telemetry);
}

fn end(telemetry: &Telemetry) -> ! {
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    let limit = Duration::from_millis(1);
    let _ = runtime.unwrap().block_on(telemetry.flush(limit));
    let report = telemetry.shutdown_blocking(limit);
    eprintln!("ended: {report}");
    // The harness would write to the pipe.
    exit(0);
}

/// Leaves no room in the pipe.
#[expect(unsafe_code, reason = "no safe function makes a pipe refuse")]
fn fill() {
    // SAFETY: the descriptor is open, and the bytes are there while they are written.
    unsafe {
        let flags = libc::fcntl(1, libc::F_GETFL);
        assert_eq!(libc::fcntl(1, libc::F_SETFL, flags | libc::O_NONBLOCK), 0);
        for size in [4_096, 1] {
            while libc::write(1, [b'x'; 4_096].as_ptr().cast(), size) > 0 {}
        }
        assert_eq!(libc::fcntl(1, libc::F_SETFL, flags), 0);
    }
}

#[test]
#[ignore = "the service on a full disk"]
#[expect(unsafe_code, reason = "no safe function exchanges a descriptor")]
fn full() {
    let disk = File::options().write(true).open("/dev/full").unwrap();
    // SAFETY: both descriptors are open, and nobody relies on what standard output was.
    assert_eq!(unsafe { libc::dup2(disk.as_raw_fd(), 1) }, 1);
    let telemetry = telemetry_lib::init(config()).unwrap();
    tracing::info!("one");
    tracing::info!("two");
    tracing::info!("three");
    eprintln!("lost {}", lost(&telemetry));
    exit(0);
}

fn start(service: &str) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", service, "--nocapture", "--ignored"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// What the service said on standard error, if it ended by itself. Nobody reads its lines until then.
fn ended(mut child: Child) -> String {
    let pid = Pid::from_child(&child);
    let mut stderr = child.stderr.take().unwrap();
    let stdout = child.stdout.take();
    let (end, is_ended) = sync_channel(1);
    thread::spawn(move || end.send(child.wait().unwrap()));
    let status = is_ended.recv_timeout(GRACE).unwrap_or_else(|_| {
        kill_process(pid, Signal::KILL).unwrap();
        is_ended.recv().unwrap()
    });
    drop(stdout);
    let mut said = String::new();
    stderr.read_to_string(&mut said).unwrap();
    assert_eq!(status.code(), Some(0), "{status:?}: {said}");
    said
}

#[test]
fn f43_a_pipe_that_nobody_reads_holds_up_one_thread_and_no_shutdown() {
    let said = ended(start("unread"));
    assert!(said.contains("ended: spans: 0 exported"), "{said}");
}

#[test]
fn f43_what_a_shutdown_itself_has_to_write_does_not_hold_it_up() {
    let said = ended(start("filled"));
    assert!(said.contains("ended: spans: 0 exported"), "{said}");
}

#[test]
fn f43_lines_that_a_full_disk_refuses_are_counted_and_told_once() {
    let said = ended(start("full"));
    assert!(said.contains("lost 3\n"), "{said}");
    let notices: Vec<_> = said.lines().filter(|it| it.contains("lines")).collect();
    assert_eq!(notices.len(), 1, "{said}");
    for part in ["telemetry_log_lines_lost_total", "No space left on device"] {
        assert!(notices[0].contains(part), "{said}");
    }
}
