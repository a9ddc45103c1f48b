//! Programs of other projects: where they are, and how to get them.

use std::ffi::OsString;
use std::path::PathBuf;

use alert_router::render::Phrase;

use crate::voice::called;

/// A program that is not ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tool {
    Prometheus,
    Alertmanager,
    Collector,
    Jaeger,
    Redis,
}

/// Where a tool comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// A package of Debian.
    Package(&'static str),
    /// Built with Go into the cache folder.
    Build,
}

/// Which of them this machine has. What needs a missing one does without, or is left out, and the start
/// page says so: nothing looks for it, and no alert tells of what nobody has started.
#[derive(Clone, Debug)]
pub(crate) struct Installed(Vec<Tool>);

impl Installed {
    pub(crate) fn find() -> Self {
        let there = Tool::ALL.into_iter().filter(|tool| tool.find().is_some());
        Self(there.collect())
    }

    pub(crate) fn missing(&self) -> Vec<Tool> {
        let all = Tool::ALL.into_iter();
        all.filter(|tool| !self.has(*tool)).collect()
    }

    pub(crate) fn has(&self, tool: Tool) -> bool {
        self.0.contains(&tool)
    }

    #[cfg(test)]
    pub(crate) fn all_but(missing: &[Tool]) -> Self {
        let there = Tool::ALL.into_iter().filter(|tool| !missing.contains(tool));
        Self(there.collect())
    }
}

impl Tool {
    pub(crate) const ALL: [Self; 5] = [
        Self::Prometheus,
        Self::Alertmanager,
        Self::Collector,
        Self::Jaeger,
        Self::Redis,
    ];

    /// Its path, if it is in a folder of the `PATH` or in the cache folder.
    pub(crate) fn find(self) -> Option<PathBuf> {
        let folders = folders(std::env::var_os("PATH"), cache()).into_iter();
        folders
            .flat_map(|folder| self.names().iter().map(move |name| folder.join(name)))
            .find(|path| path.is_file())
    }

    /// As people know it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Prometheus => "Prometheus",
            Self::Alertmanager => "Alertmanager",
            Self::Collector => "Collector",
            Self::Jaeger => "Jaeger",
            Self::Redis => "Redis",
        }
    }

    pub(crate) fn source(self) -> Source {
        match self {
            Self::Prometheus => Source::Package("prometheus"),
            Self::Alertmanager => Source::Package("prometheus-alertmanager"),
            Self::Redis => Source::Package("redis-server"),
            Self::Collector | Self::Jaeger => Source::Build,
        }
    }

    /// The command that gets it, and what that does.
    pub(crate) fn how_to_get_it(self) -> Phrase {
        let (english, chinese) = match self.source() {
            Source::Package(name) => {
                let command = format!("sudo apt-get install {name}");
                (command.clone(), command)
            }
            Source::Build => {
                let command = "demo/parts/build.sh --fetch-go";
                (
                    format!("{command}, about 10 minutes"),
                    format!("{command}，约 10 分钟"),
                )
            }
        };
        let get = format!("{} --get", called());
        Phrase::new(format!("{get} ({english})"), format!("{get}（{chinese}）"))
    }

    fn names(self) -> &'static [&'static str] {
        match self {
            Self::Prometheus => &["prometheus"],
            // Debian's name first: only the other one says nothing about its origin.
            Self::Alertmanager => &["prometheus-alertmanager", "alertmanager"],
            Self::Collector => &["otelcol-toolkit"],
            Self::Jaeger => &["jaeger"],
            Self::Redis => &["redis-server"],
        }
    }
}

fn cache() -> Option<PathBuf> {
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let cache = cache.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache")));
    Some(cache?.join("observability-toolkit/bin"))
}

fn folders(path: Option<OsString>, cache: Option<PathBuf>) -> Vec<PathBuf> {
    let path = path.unwrap_or_default();
    std::env::split_paths(&path).chain(cache).collect()
}
