//! Programs of other projects: where they are, how to get them, and what happens without them. A test
//! that cannot run says so in one line that ci.sh repeats in its summary, and fails where the run has
//! promised that the program is there.

use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Output};

/// A program that a test needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tool {
    /// The Collector, from its builder manifest.
    Collector,
    /// Jaeger, from its Go module.
    Jaeger,
    /// Checks of Prometheus' files.
    Promtool,
    /// Checks of Alertmanager's files.
    Amtool,
    /// Alertmanager itself.
    Alertmanager,
}

impl Tool {
    /// Its path, if it is on the PATH or in the cache folder. Otherwise says NOT RUN for `test`.
    ///
    /// # Panics
    /// If it is missing although the environment promises it (`CI_STACK`, `CI`).
    #[must_use]
    pub fn find(self, test: &str) -> Option<PathBuf> {
        let found = self.look();
        if found.is_none() {
            self.not_run(test);
        }
        found
    }

    /// Its path, after [`Self::find`] has found it.
    ///
    /// # Panics
    /// It is not there.
    #[must_use]
    pub fn found(self) -> PathBuf {
        self.look()
            .unwrap_or_else(|| panic!("{} is missing: {}", self.name(), self.how_to_get_it()))
    }

    fn look(self) -> Option<PathBuf> {
        let files = folders().into_iter().map(|folder| folder.join(self.name()));
        files.into_iter().find(|path| path.is_file())
    }

    fn name(self) -> &'static str {
        match self {
            Self::Collector => "otelcol-toolkit",
            Self::Jaeger => "jaeger",
            Self::Promtool => "promtool",
            Self::Amtool => "amtool",
            Self::Alertmanager => "prometheus-alertmanager",
        }
    }

    fn how_to_get_it(self) -> &'static str {
        match self {
            Self::Collector | Self::Jaeger => "run demo/parts/build.sh --fetch-go",
            Self::Promtool => "apt-get install prometheus",
            Self::Amtool | Self::Alertmanager => "apt-get install prometheus-alertmanager",
        }
    }

    /// The variable that, when set, promises that the program is there.
    fn promise(self) -> &'static str {
        match self {
            Self::Collector | Self::Jaeger => "CI_STACK",
            Self::Promtool | Self::Amtool | Self::Alertmanager => "CI",
        }
    }

    fn not_run(self, test: &str) {
        let missing = format!("{} is missing: {}", self.name(), self.how_to_get_it());
        assert!(
            std::env::var_os(self.promise()).is_none(),
            "{test}: {missing}"
        );
        // Past the harness, which swallows what a passing test prints.
        writeln!(std::io::stderr(), "\nNOT RUN: {test}: {missing}").expect("stderr is open");
    }
}

/// Runs a command to its end and returns what it printed; a failure shows all of it.
///
/// # Panics
/// If the command cannot start or ends with another code than 0.
#[must_use]
pub fn run(command: &mut Command) -> String {
    let Output {
        status,
        stdout,
        stderr,
    } = command
        .output()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let (stdout, stderr) = (
        String::from_utf8_lossy(&stdout),
        String::from_utf8_lossy(&stderr),
    );
    assert!(
        status.success(),
        "{command:?} ended with {status}:\n{stdout}{stderr}"
    );
    stdout.into_owned()
}

fn folders() -> Vec<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let cache = cache.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache")));
    std::env::split_paths(&path)
        .chain(cache.map(|cache| cache.join("observability-toolkit/bin")))
        .collect()
}
