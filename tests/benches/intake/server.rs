//! The servers under load: started on loopback in a folder of their own, killed at the end.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use stack_tests::free_port;
use tokio::net::TcpStream;

use super::alerts::Api;
use super::load::{get, instant};

/// A running server.
pub(crate) struct Server {
    child: Child,
    port: u16,
    folder: tempfile::TempDir,
    program: Program,
}

#[derive(Clone, Copy)]
enum Program {
    Router,
    Alertmanager,
}

/// What a process has used so far.
#[derive(Clone, Copy)]
pub(crate) struct Usage {
    pub(crate) cpu: Duration,
    /// Bytes in memory now.
    pub(crate) resident: u64,
    /// Bytes given to the disk.
    pub(crate) written: u64,
}

/// What a process did while nobody asked it for anything.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rest {
    /// Time on a core, of all threads.
    pub(crate) cpu: Duration,
    /// How often a thread went to sleep, and so how often one woke.
    pub(crate) wakes: u64,
    /// Bytes given to the disk.
    pub(crate) written: u64,
}

impl Server {
    pub(crate) async fn router(config: &str) -> Result<Self, String> {
        Self::start(Program::Router, config).await
    }

    pub(crate) async fn alertmanager(config: &str) -> Result<Self, String> {
        Self::start(Program::Alertmanager, config).await
    }

    async fn start(program: Program, config: &str) -> Result<Self, String> {
        let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
        let file = folder.path().join("config.yml");
        std::fs::write(&file, config).map_err(|error| error.to_string())?;
        let port = free_port();
        let child = spawn(program, folder.path(), port)?;
        let server = Self {
            child,
            port,
            folder,
            program,
        };
        server.wait().await?;
        Ok(server)
    }

    /// As a power cut would: SIGKILL, then a new process on the same data. Returns how long that one
    /// took until it was ready.
    pub(crate) async fn kill_and_restart(&mut self) -> Result<Duration, String> {
        self.child.kill().map_err(|error| error.to_string())?;
        self.child.wait().map_err(|error| error.to_string())?;
        let began = instant();
        self.child = spawn(self.program, self.folder.path(), self.port)?;
        self.wait().await?;
        Ok(began.elapsed())
    }

    pub(crate) async fn connect(&self) -> Result<TcpStream, String> {
        let stream = TcpStream::connect(("127.0.0.1", self.port)).await;
        let stream = stream.map_err(|error| error.to_string())?;
        stream
            .set_nodelay(true)
            .map_err(|error| error.to_string())?;
        Ok(stream)
    }

    pub(crate) fn path(&self, api: Api) -> &'static str {
        match api {
            Api::Webhook => "/webhook",
            Api::Alertmanager => "/api/v2/alerts",
        }
    }

    pub(crate) fn usage(&self) -> Result<Usage, String> {
        let proc = PathBuf::from(format!("/proc/{}", self.child.id()));
        let read = |name: &str| {
            std::fs::read_to_string(proc.join(name)).map_err(|error| format!("{name}: {error}"))
        };
        let stat = read("stat")?;
        let fields: Vec<&str> = stat
            .rsplit(')')
            .next()
            .unwrap_or_default()
            .split_whitespace()
            .collect();
        let ticks = |at: usize| fields.get(at).and_then(|field| field.parse::<u64>().ok());
        // utime and stime, in hundredths of a second on every Linux that runs Rust.
        let ticks = ticks(11).unwrap_or(0) + ticks(12).unwrap_or(0);
        Ok(Usage {
            cpu: Duration::from_millis(ticks * 10),
            resident: number(&read("status")?, "VmRSS:").unwrap_or(0) * 1024,
            written: number(&read("io")?, "write_bytes:").unwrap_or(0),
        })
    }

    /// What all threads did since they began.
    pub(crate) fn rest(&self) -> Result<Rest, String> {
        let tasks = format!("/proc/{}/task", self.child.id());
        let mut rest = Rest {
            cpu: Duration::ZERO,
            wakes: 0,
            written: self.usage()?.written,
        };
        for task in std::fs::read_dir(tasks).map_err(|error| error.to_string())? {
            let task = task.map_err(|error| error.to_string())?.path();
            let read = |name: &str| std::fs::read_to_string(task.join(name)).unwrap_or_default();
            // The first number is nanoseconds on a core.
            let on_core = read("schedstat");
            let on_core = on_core.split(' ').next().and_then(|n| n.parse().ok());
            rest.cpu += Duration::from_nanos(on_core.unwrap_or(0));
            rest.wakes += number(&read("status"), "voluntary_ctxt_switches:").unwrap_or(0);
        }
        Ok(rest)
    }

    async fn wait(&self) -> Result<(), String> {
        let mut ticks = tokio::time::interval(Duration::from_millis(5));
        let ready = async {
            loop {
                ticks.tick().await;
                if let Ok(mut stream) = self.connect().await
                    && get(&mut stream, "/-/ready").await.is_ok()
                {
                    return;
                }
            }
        };
        let in_time = tokio::time::timeout(Duration::from_secs(30), ready).await;
        in_time.map_err(|_| "the server was not ready within 30 s".to_owned())
    }
}

impl Rest {
    pub(crate) fn since(&self, before: &Self) -> Self {
        Self {
            cpu: self.cpu.saturating_sub(before.cpu),
            wakes: self.wakes.saturating_sub(before.wakes),
            written: self.written.saturating_sub(before.written),
        }
    }
}

/// The number behind a name in a file of `/proc`.
fn number(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find(|line| line.starts_with(name))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

impl Drop for Server {
    fn drop(&mut self) {
        // A process that is gone already is what we want.
        let _gone = self.child.kill();
        let _reaped = self.child.wait();
    }
}

fn spawn(program: Program, folder: &Path, port: u16) -> Result<Child, String> {
    let config = folder.join("config.yml");
    let listen = format!("127.0.0.1:{port}");
    let mut command = match program {
        Program::Router => {
            let mut command = Command::new(router_binary()?);
            command
                .arg("--config")
                .arg(config)
                .args(["--listen", &listen]);
            command
        }
        Program::Alertmanager => {
            let mut command = Command::new("prometheus-alertmanager");
            command
                .arg(format!("--config.file={}", config.display()))
                .arg(format!("--storage.path={}", folder.join("am").display()))
                .arg(format!("--web.listen-address={listen}"))
                .arg("--cluster.listen-address=");
            command
        }
    };
    let child = command
        .current_dir(folder)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    child.map_err(|error| format!("{command:?}: {error}"))
}

fn router_binary() -> Result<PathBuf, String> {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../target"),
        PathBuf::from,
    );
    let binary = target.join("release/alert-router");
    if binary.exists() {
        Ok(binary)
    } else {
        Err("build it first: cargo build --release -p alert-router".to_owned())
    }
}
