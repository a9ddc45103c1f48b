//! `sources`: who may post alerts, and what is special about theirs.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use alert_engine::SourceName;

use super::fields::{Fields, Given};
use super::problem::Complaint;
use super::read::Node;
use super::{Secret, webhook};

/// One entry of `sources`. The source `default` is whoever posts to `/webhook`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Source {
    /// What a post must show; `None`: anybody may post.
    pub credential: Option<Credential>,
    /// Labels that do not belong to an alert's identity, such as `replica`.
    pub ignore_labels: BTreeSet<String>,
    /// The name under which its alerts were taken in earlier, and stay known. It must stay in the
    /// config for as long as the source does.
    pub formerly: Option<SourceName>,
    /// How long a firing that is not later than the known end is doubted; default 5 m.
    pub doubt: Option<Duration>,
    /// Silence after which it is reported; by default twice the `repeat_interval` it shows.
    pub silent_after: Option<Duration>,
    /// Age at which an alert that is no longer spoken of is closed; by default the larger of twice
    /// the `repeat_interval` and 130 h.
    pub stale_after: Option<Duration>,
    /// How many requests it may send; `None`: as many as the server takes.
    pub rate_limit: Option<RateLimit>,
}

/// How many requests a source may send: a burst of so many, and on average so many `per`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateLimit {
    /// At least one.
    pub requests: u32,
    /// In which time.
    pub per: Duration,
}

/// What a request must show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Credential {
    /// `Authorization: Bearer …`: `bearer_token` or `bearer_token_file`.
    Bearer(Secret),
    /// `Authorization: Basic …`: `basic_auth` with `username` and `password` or `password_file`.
    Basic {
        /// The user.
        username: String,
        /// The password.
        password: Secret,
    },
}

/// What holds for a source that the file does not name.
pub(super) static PLAIN: Source = Source {
    credential: None,
    ignore_labels: BTreeSet::new(),
    formerly: None,
    doubt: None,
    silent_after: None,
    stale_after: None,
    rate_limit: None,
};

/// What to do about a credential that is a key without a value.
pub(super) const NO_CREDENTIAL: &str =
    "write its value, or remove the key: then nothing is asked for";

impl Source {
    fn read(f: &mut Fields<'_>) -> Option<Self> {
        let credential = Credential::read(f).optional();
        let ignore_labels = f
            .read("ignore_labels", |n| Some(n.texts()))
            .unwrap_or_default();
        let formerly = f.read("formerly", former);
        let doubt = f.read("doubt", Node::duration);
        let silent_after = f.read("silent_after", Node::interval);
        let stale_after = f.read("stale_after", Node::interval);
        let rate_limit = f.read("rate_limit", |n| n.fields(RateLimit::read));
        Some(Self {
            credential,
            ignore_labels: ignore_labels.into_iter().collect(),
            formerly,
            doubt,
            silent_after,
            stale_after,
            rate_limit,
        })
    }
}

impl RateLimit {
    /// Whoever is over a limit waits for at most its span, and a page should not wait for longer
    /// than an hour.
    fn read(f: &mut Fields<'_>) -> Option<Self> {
        const LONGEST: Duration = Duration::from_secs(3600);
        let requests = f.given("requests", |n| n.number(1, 100_000));
        let requests = requests.required(f, "requests", "say how many");
        let per = f.given("per", Node::interval);
        let per = per.required(f, "per", "say in how long, such as 1s");
        if per.is_some_and(|per| per > LONGEST) {
            f.error_at("per", ("it is longer than an hour", "write at most 1h"));
        }
        Some(Self {
            requests: u32::try_from(requests?).ok()?,
            per: per?,
        })
    }
}

impl Credential {
    /// Reads `bearer_token` or `basic_auth` from a mapping that may hold other keys too.
    pub(super) fn read(f: &mut Fields<'_>) -> Given<Self> {
        let keys = ["bearer_token", "bearer_token_file", "basic_auth"];
        f.refuse_empty(&keys, NO_CREDENTIAL);
        let token = f.secret("bearer_token", "bearer_token_file");
        if token.peek().is_some_and(|token| !fits_a_header(token)) {
            let what = "the bearer token has characters that no HTTP header carries";
            f.error((what, "write it in printable ASCII, on one line"));
        }
        let token = token.map(Self::Bearer);
        let basic = f.given("basic_auth", webhook::basic_auth);
        if token.is_present() && basic.is_present() {
            let what = "both bearer_token and basic_auth";
            f.error((what, "keep one of them"));
        }
        token.or(&basic.map(|(username, password)| Self::Basic { username, password }))
    }
}

/// Whether a sender can show this token at all.
fn fits_a_header(token: &Secret) -> bool {
    let printable = |c: char| c.is_ascii_graphic() || c == ' ';
    token.expose().chars().all(printable)
}

/// Whom the alerts of the page's button come from.
pub(crate) fn test_button() -> SourceName {
    SourceName::new("test-button")
}

/// What a source is that only this server itself speaks for; `None`: programs may post as it.
pub(crate) fn built_in(name: &SourceName) -> Option<&'static str> {
    match name {
        name if *name == SourceName::ours() => Some("alert-router is the source of its own alerts"),
        name if *name == test_button() => Some("test-button is the source of the page's button"),
        _ => None,
    }
}

/// Reads `sources`.
pub(super) fn read(node: &Node<'_>) -> Option<BTreeMap<SourceName, Source>> {
    let mut sources = BTreeMap::new();
    let mut earlier: BTreeMap<SourceName, SourceName> = BTreeMap::new();
    for (key, entry) in node.entries() {
        let name = match name(&key) {
            Ok(name) => name,
            Err(complaint) => {
                entry.error(complaint);
                continue;
            }
        };
        let Some(source) = entry.fields(Source::read) else {
            continue;
        };
        if let Some(former) = &source.formerly
            && let Some(other) = earlier.insert(former.clone(), name.clone())
        {
            let what = format!("{} already was {}", other.as_str(), former.as_str());
            entry.error((what, "keep that name in `formerly` of one source"));
        }
        sources.insert(name, source);
    }
    for (former, name) in earlier {
        if sources.contains_key(&former) {
            let (former, name) = (former.as_str(), name.as_str());
            let what = format!("{former} is listed, and {name} was {former} formerly");
            node.error((
                what,
                "keep the newer name: its settings hold for posts to both",
            ));
        }
    }
    Some(sources)
}

/// `formerly: [NAME]`. One name only: alerts of a second one would be strangers.
fn former(node: &Node<'_>) -> Option<SourceName> {
    let names = node.list();
    if names.len() > 1 {
        let what = "a source continues one earlier source, not several";
        node.error((what, "keep the name whose alerts are to stay known"));
    }
    names.first()?.parse(name)
}

/// A name that stands in a URL.
fn name(text: &str) -> Result<SourceName, Complaint> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    if text.is_empty() || text.len() > 64 || !text.chars().all(plain) {
        let what = format!("{text:?} is no name for a source");
        return Err(Complaint::new(
            what,
            "use up to 64 letters, digits, dots, dashes and underscores",
        ));
    }
    let name = SourceName::new(text);
    match built_in(&name) {
        Some(what) => Err(Complaint::new(what, "choose another name")),
        None => Ok(name),
    }
}
