//! The router's real binary: started on loopback, killed without warning, its store read before it
//! starts again.

use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use alert_router::clock::SystemClock;
use alert_router::store::{SqliteSettings, SqliteStore};
use alert_router::tools::in_flight;
use rustix::process::{Pid, Signal, kill_process};
use stack_tests::parts;
use tempfile::TempDir;
use tokio::sync::watch;

use crate::load::instant;
use crate::world;

/// The file of the store, with what SQLite puts beside it.
const STORE: [&str; 2] = ["router.db", "router.db-wal"];

/// An alert-router that lives many times on the same data.
pub(crate) struct Router {
    folder: TempDir,
    trigger: Arc<Trigger>,
    child: Option<Child>,
}

/// Kills the router, from wherever the moment is known.
pub(crate) struct Trigger {
    victim: Mutex<Option<Pid>>,
    struck: watch::Sender<bool>,
}

impl Trigger {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            victim: Mutex::new(None),
            struck: watch::Sender::new(true),
        })
    }

    /// Begins a life. Providers answer before the router can ask: otherwise they would take it for
    /// the one that died.
    fn arm(&self, spawn: impl FnOnce() -> Child) -> Child {
        let mut victim = self.victim.lock().expect("no panic");
        self.struck.send_replace(false);
        let child = spawn();
        *victim = Some(Pid::from_child(&child));
        child
    }

    /// SIGKILL. The second time does nothing.
    pub(crate) fn strike(&self) {
        let victim = self.victim.lock().expect("no panic").take();
        // Before the signal: no provider answers from now on.
        self.struck.send_replace(true);
        if let Some(pid) = victim {
            // Its child is not reaped before it was struck, so the id is still its own.
            kill_process(pid, Signal::KILL).expect("it is our child");
        }
    }

    /// Whether the router lives, as far as we know.
    pub(crate) fn is_armed(&self) -> bool {
        !*self.struck.borrow()
    }

    pub(crate) fn struck(&self) -> watch::Receiver<bool> {
        self.struck.subscribe()
    }
}

impl Router {
    /// Prepares its folder; starts nothing.
    pub(crate) fn new(providers: SocketAddr, trigger: Arc<Trigger>) -> Self {
        let folder = parts::folder();
        let config = world::router_config(providers).to_string();
        fs::write(folder.path().join("router.yaml"), config).expect("the folder is ours");
        Self {
            folder,
            trigger,
            child: None,
        }
    }

    /// Where it says where it listens: a port of its own in each life, so that nobody can take it
    /// between two lives.
    pub(crate) fn log(&self) -> PathBuf {
        self.folder.path().join("log")
    }

    /// Begins a life. Returns at once: it may be killed before it is ready.
    pub(crate) fn start(&mut self) -> Instant {
        assert!(self.child.is_none(), "it lives");
        let folder = self.folder.path();
        let log = File::create(self.log()).expect("the folder is ours");
        let mut command = Command::new(parts::binary("alert-router"));
        command
            .args(["--config=router.yaml", "--store=sqlite:data/router.db"])
            .arg("--listen=127.0.0.1:0")
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log);
        self.child = Some(
            self.trigger
                .arm(|| command.spawn().expect("the router starts")),
        );
        instant()
    }

    /// Ends this life with SIGKILL, if it was not ended already, and returns when it is gone.
    ///
    /// # Panics
    /// If it ended in another way.
    pub(crate) fn kill(&mut self) {
        use std::os::unix::process::ExitStatusExt as _;
        self.trigger.strike();
        let mut child = self.child.take().expect("it lives");
        let status = child.wait().expect("it ends");
        let log = fs::read_to_string(self.log()).unwrap_or_default();
        assert_eq!(status.signal(), Some(9), "{status}:\n{log}");
    }

    /// The messages that the store has under way, byte for byte. It is read as a copy, so that the
    /// router finds what it left, and not what another process has tidied up.
    pub(crate) async fn in_flight(&self) -> Vec<Vec<u8>> {
        let copy = parts::folder();
        let data = self.folder.path().join("data");
        for file in STORE.iter().filter(|file| data.join(file).exists()) {
            fs::copy(data.join(file), copy.path().join(file)).expect("a copy");
        }
        let Some(store) = open(copy.path()) else {
            return Vec::new();
        };
        let deliveries = in_flight(&store).await.expect("the store is whole");
        let parts = deliveries.into_iter().flat_map(|delivery| delivery.parts);
        parts.map(|part| part.body.to_vec()).collect()
    }
}

/// Nothing if the router was killed before it made a store.
fn open(folder: &Path) -> Option<SqliteStore> {
    let path = folder.join(STORE[0]);
    if !path.exists() {
        return None;
    }
    let settings = SqliteSettings {
        path,
        max_bytes: None,
    };
    let store = SqliteStore::open(&settings, Arc::new(SystemClock));
    Some(store.unwrap_or_else(|error| panic!("the store opens after a kill: {error}")))
}

impl Drop for Router {
    fn drop(&mut self) {
        if self.child.is_some() {
            self.kill();
        }
    }
}
