//! Which real parts this machine has. A test without them says so aloud, and fails on a build
//! server.

use std::io::Write;
use std::path::PathBuf;

/// A program that tests start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Program {
    /// Package `prometheus`.
    Prometheus,
    /// Package `prometheus-alertmanager`.
    Alertmanager,
    /// Package `postfix`. Runs as root only.
    Postfix,
    /// Package `dovecot-imapd`. Runs as root only.
    Dovecot,
    /// Package `python3`.
    Python,
    /// Package `redis-server`.
    Redis,
}

impl Program {
    /// A whole chain, from metrics to a mailbox.
    pub const ALL: [Self; 5] = [
        Self::Prometheus,
        Self::Alertmanager,
        Self::Postfix,
        Self::Dovecot,
        Self::Python,
    ];

    /// Its file, if it is installed.
    #[must_use]
    pub fn find(self) -> Option<PathBuf> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        // Debian keeps servers where the PATH of most users does not look.
        let places = std::env::split_paths(&path).chain(["/usr/sbin".into(), "/sbin".into()]);
        let mut files = places.map(|place| place.join(self.file()));
        files.find(|file| file.is_file())
    }

    pub(crate) fn path(self) -> PathBuf {
        self.find()
            .unwrap_or_else(|| panic!("{} is not installed: ask `installed` first", self.file()))
    }

    fn file(self) -> &'static str {
        match self {
            Self::Prometheus => "prometheus",
            Self::Alertmanager => "prometheus-alertmanager",
            Self::Postfix => "postfix",
            Self::Dovecot => "dovecot",
            Self::Python => "python3",
            Self::Redis => "redis-server",
        }
    }

    fn package(self) -> &'static str {
        match self {
            Self::Prometheus => "prometheus",
            Self::Alertmanager => "prometheus-alertmanager",
            Self::Postfix => "postfix",
            Self::Dovecot => "dovecot-imapd",
            Self::Python => "python3",
            Self::Redis => "redis-server",
        }
    }

    fn needs_root(self) -> bool {
        match self {
            Self::Postfix | Self::Dovecot => true,
            Self::Prometheus | Self::Alertmanager | Self::Python | Self::Redis => false,
        }
    }
}

/// Whether `test` can run. If not, a line on stderr says what is missing.
///
/// # Panics
/// It cannot, and `CI` is set: a build server that skips is not green.
#[must_use]
pub fn installed(test: &str, programs: &[Program]) -> bool {
    let root = rustix::process::geteuid().is_root();
    let lacking = |program: &&Program| program.find().is_none();
    let missing: Vec<_> = programs
        .iter()
        .filter(lacking)
        .map(|p| p.package())
        .collect();
    let why = if !missing.is_empty() {
        format!("apt-get install {}", missing.join(" "))
    } else if !root && programs.iter().any(|program| program.needs_root()) {
        "mail servers start as root only".to_owned()
    } else {
        return true;
    };
    assert!(std::env::var_os("CI").is_none(), "{test}: {why}");
    // Past the harness, which hides what a passing test prints.
    writeln!(std::io::stderr(), "\nNOT RUN: {test}: {why}").expect("stderr is open");
    false
}
