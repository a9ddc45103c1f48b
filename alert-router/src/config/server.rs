//! What concerns this server as a whole: where it listens and keeps its data, how its people read,
//! and how much it takes.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::tz::TimeZone;

use super::fields::Fields;
use super::problem::Complaint;
use super::read::Node;
use crate::render::{Language, Locale};

/// Where data is kept: `store`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StorePlace {
    /// `sqlite:PATH`, relative to the config's folder, or on the command line to the working
    /// directory. The default is `data/alert-router.db` in the latter.
    Sqlite(PathBuf),
    /// `memory:`, for tests: all is lost at the end.
    Memory,
}

/// Bounds: `limits`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The largest request body in bytes: `body_bytes`, default 10 MiB.
    pub body_bytes: usize,
    /// The most alerts in one request: `alerts_per_request`, default 10,000.
    pub alerts_per_request: usize,
    /// The most labels, or annotations, of one alert: `labels_per_alert`, default 64.
    pub labels_per_alert: usize,
    /// How long history is kept: `history`, default 30 d.
    pub history: Duration,
    /// How long dead letters are kept: `dead_letters`, default as long as history.
    pub dead_letters: Duration,
    /// Missed occurrences older than this are only counted: `missed_ttl`, default 4 h.
    pub missed_ttl: Duration,
}

impl Default for StorePlace {
    fn default() -> Self {
        Self::Sqlite(PathBuf::from("data/alert-router.db"))
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            body_bytes: 10 << 20,
            alerts_per_request: 10_000,
            labels_per_alert: 64,
            history: Duration::from_secs(30 * 86_400),
            dead_letters: Duration::from_secs(30 * 86_400),
            missed_ttl: Duration::from_secs(4 * 3_600),
        }
    }
}

impl StorePlace {
    /// Reads `sqlite:PATH` or `memory:`. No error repeats the text: later places hold passwords.
    pub fn parse(text: &str) -> Result<Self, String> {
        place(text).map_err(|c| format!("{}: {}", c.what, c.fix))
    }

    /// The place that is named in a file in `folder`.
    pub(super) fn within(self, folder: &Path) -> Self {
        match self {
            Self::Sqlite(path) => Self::Sqlite(folder.join(path)),
            Self::Memory => Self::Memory,
        }
    }

    /// The same place for a process in another folder.
    pub(crate) fn absolute(&self) -> Self {
        match self {
            Self::Sqlite(path) => Self::Sqlite(std::path::absolute(path).unwrap_or(path.clone())),
            Self::Memory => Self::Memory,
        }
    }
}

/// As it is written.
impl fmt::Display for StorePlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => write!(f, "sqlite:{}", path.display()),
            Self::Memory => f.write_str("memory:"),
        }
    }
}

impl Limits {
    pub(super) fn read(f: &mut Fields<'_>) -> Option<Self> {
        let usual = Self::default();
        let mut count = |key, low, high, usual: usize| {
            let number = f.read(key, |n| n.number(low, high));
            number.map_or(usual, |n| {
                usize::try_from(n).expect("the range was checked")
            })
        };
        let body_bytes = count("body_bytes", 1 << 10, 256 << 20, usual.body_bytes);
        let alerts_per_request =
            count("alerts_per_request", 1, 1_000_000, usual.alerts_per_request);
        let labels_per_alert = count("labels_per_alert", 1, 10_000, usual.labels_per_alert);
        let history = f.read("history", Node::interval);
        let history = history.unwrap_or(usual.history);
        // A letter that is older than what explains it helps nobody.
        let dead_letters = f.read("dead_letters", Node::interval).unwrap_or(history);
        Some(Self {
            body_bytes,
            alerts_per_request,
            labels_per_alert,
            history,
            dead_letters,
            missed_ttl: f
                .read("missed_ttl", Node::interval)
                .unwrap_or(usual.missed_ttl),
        })
    }
}

pub(super) fn place(text: &str) -> Result<StorePlace, Complaint> {
    let fix = "write sqlite:PATH, such as sqlite:data/alert-router.db, or memory: (in a file \"memory:\")";
    match text.split_once(':') {
        Some(("sqlite", path)) if !path.is_empty() => Ok(StorePlace::Sqlite(PathBuf::from(
            path.strip_prefix("//").unwrap_or(path),
        ))),
        Some(("sqlite", _)) => Err(Complaint::new("no file is named", fix)),
        Some(("memory", "")) => Ok(StorePlace::Memory),
        Some((scheme, _)) => Err(Complaint::new(
            format!("no kind of store is named {scheme:?}"),
            fix,
        )),
        None => Err(Complaint::new("no kind of store is named", fix)),
    }
}

/// `language` and `time_zone` of a mapping, over what is inherited.
pub(super) fn locale(f: &mut Fields<'_>, inherited: &Locale) -> Locale {
    const LANGUAGES: &[(&str, Language)] = &[
        ("en", Language::English),
        ("zh-CN", Language::Chinese),
        ("zh", Language::Chinese),
    ];
    let language = f.read("language", |n| n.choice(LANGUAGES));
    let zone = f.read("time_zone", |n| n.parse(zone));
    Locale {
        language: language.unwrap_or(inherited.language),
        zone: zone.unwrap_or_else(|| inherited.zone.clone()),
    }
}

fn zone(text: &str) -> Result<TimeZone, Complaint> {
    TimeZone::get(text).map_err(|_| {
        let what = format!("{text:?} is no time zone that this machine knows");
        Complaint::new(
            what,
            "write such as Asia/Shanghai or UTC; the tzdata package may be missing",
        )
    })
}
