//! The webhook body of Alertmanager (version 4) as it comes over the wire, from 0.15 on. Wire types
//! stay here. Parsing is tolerant of what is missing or new and strict about what is wrong; one odd
//! alert does not cost the others, and what is odd about a body does not cost its alerts.

mod alert;
mod shorten;

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use alert_engine::{BodyHash, Fingerprint, Labels, Timestamp};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use alert::{WireAlert, WireStatus};

/// Fields that Alertmanager does not have yet, for whoever reads our webhooks.
pub type Unknown = serde_json::Map<String, serde_json::Value>;

/// How much one body may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BodyLimits {
    /// Bytes of one body. Default 16 MiB: 20,000 alerts of 800 bytes.
    pub body_bytes: usize,
    /// Alerts in one body. Default 20,000.
    pub alerts: usize,
    /// Labels, and annotations, of one alert. An alert with more labels is refused, annotations are
    /// left out. Default 128.
    pub labels: usize,
    /// Bytes of one alert as it stands in the body: the annotations of a longer one are cut.
    /// Default 64 KiB.
    pub alert_bytes: usize,
}

impl Default for BodyLimits {
    fn default() -> Self {
        Self {
            body_bytes: 16 << 20,
            alerts: 20_000,
            labels: 128,
            alert_bytes: 64 << 10,
        }
    }
}

/// What one body said.
#[derive(Clone, Debug, PartialEq)]
pub struct Batch {
    /// The alerts that could be read, in the order of the body.
    pub alerts: Vec<SeenAlert>,
    /// Those that could not.
    pub refused: Vec<RefusedAlert>,
    /// What the body says of itself.
    pub envelope: Envelope,
}

/// What a body says of itself beside its alerts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Envelope {
    /// Upstream's receiver, its escapes undone (`web\.hook` is `web.hook`).
    pub receiver: String,
    /// Base URL of the Alertmanager, for links.
    pub external_url: String,
    /// Upstream's group; shown to people, never an identity.
    pub group_key: String,
    /// Why upstream spoke (since 0.32).
    pub notification_reason: String,
    /// How many alerts upstream left out (`max_alerts`).
    pub truncated: u64,
    /// The labels of upstream's route (since 0.34), at most 4 KiB.
    pub route_labels: Labels,
    /// The fields of these that are there and are not what they should be: they count as missing.
    pub odd: Vec<&'static str>,
}

/// One alert of a body. Its text stays in the body until somebody needs it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeenAlert {
    /// Its place in the body, from 0.
    pub index: usize,
    /// Over all labels: one upstream copy of the alert.
    pub voice: Fingerprint,
    /// Over the labels that make its identity.
    pub identity: Fingerprint,
    /// Of its text.
    pub body: BodyHash,
    /// When upstream says it began.
    pub starts_at: Timestamp,
    /// When upstream says it ended; `None` while it fires.
    pub ends_at: Option<Timestamp>,
    /// When it is over unless it is said again; `None`, as for every webhook: when upstream says so.
    pub expires: Option<Timestamp>,
    route_labels: Labels,
    raw: Bytes,
}

/// The text of an alert.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AlertText {
    /// Its labels, without those that are empty.
    pub labels: Labels,
    /// Its annotations.
    pub annotations: Labels,
    /// Link to the expression in Prometheus; may be empty.
    pub generator_url: String,
    /// The labels of the upstream route by which it came.
    pub route_labels: Labels,
    /// Its unknown fields, at most 4 KiB.
    pub unknown: Unknown,
}

/// An alert that could not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefusedAlert {
    /// Its place in the body, from 0.
    pub index: usize,
    /// Why, and what to change.
    pub why: String,
    /// Its bytes as they came, for quarantine.
    pub raw: Bytes,
}

/// Why a whole body was refused: sending the same again can never succeed.
#[derive(Debug, thiserror::Error)]
pub enum Rejection {
    /// No bytes came.
    #[error(
        "the body is empty: Alertmanager posts JSON; a redirect on the way may have dropped it, \
         so point `url` at the final address"
    )]
    Empty,
    /// More bytes than the limit.
    #[error(
        "the body is larger than {limit} bytes: set `max_alerts` in Alertmanager's webhook_configs or raise `limits.body_bytes` here"
    )]
    TooLarge {
        /// The limit.
        limit: usize,
    },
    /// Not the JSON of a webhook.
    #[error("the body is not an Alertmanager webhook: {source}")]
    Unreadable {
        /// Where and why.
        #[source]
        source: serde_json::Error,
    },
    /// Another version of the format.
    #[error(
        "the body has version {found:?}, only \"4\" is read: post with Alertmanager's webhook_configs (Grafana: use an Alertmanager contact point)"
    )]
    Version {
        /// What it says.
        found: String,
    },
    /// No alert in it.
    #[error("the body has no alerts")]
    NoAlerts,
    /// More alerts than the limit.
    #[error(
        "the body has {found} alerts, more than {limit}: set `max_alerts` in Alertmanager's webhook_configs or raise `limits.alerts_per_request` here"
    )]
    TooManyAlerts {
        /// How many it has.
        found: usize,
        /// The limit.
        limit: usize,
    },
}

impl Rejection {
    /// All words that [`reason`](Self::reason) may say.
    pub(crate) const REASONS: [&'static str; 6] = [
        "empty",
        "too_large",
        "unreadable",
        "version",
        "no_alerts",
        "too_many_alerts",
    ];

    /// A word for metrics.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::TooLarge { .. } => "too_large",
            Self::Unreadable { .. } => "unreadable",
            Self::Version { .. } => "version",
            Self::NoAlerts => "no_alerts",
            Self::TooManyAlerts { .. } => "too_many_alerts",
        }
    }
}

/// Reads a body. `ignore` are the labels that are no part of an alert's identity.
///
/// # Errors
///
/// Only what makes the whole body useless; an odd alert is listed in [`Batch::refused`].
pub fn parse(
    body: &Bytes,
    ignore: &BTreeSet<String>,
    limits: &BodyLimits,
) -> Result<Batch, Rejection> {
    if body.is_empty() {
        return Err(Rejection::Empty);
    }
    if body.len() > limits.body_bytes {
        return Err(Rejection::TooLarge {
            limit: limits.body_bytes,
        });
    }
    let wire: WireBody<'_> =
        serde_json::from_slice(body).map_err(|source| Rejection::Unreadable { source })?;
    if let Some(found) = wire.other_version() {
        return Err(Rejection::Version { found });
    }
    let found = wire.alerts.len();
    if found == 0 {
        return Err(Rejection::NoAlerts);
    }
    if found > limits.alerts {
        return Err(Rejection::TooManyAlerts {
            found,
            limit: limits.alerts,
        });
    }
    let envelope = wire.envelope();
    let reader = Reader {
        ignore,
        limits,
        route_labels: &envelope.route_labels,
    };
    let (mut alerts, mut refused) = (Vec::with_capacity(found), Vec::new());
    for (index, raw) in wire.alerts.iter().enumerate() {
        let slice = body.slice_ref(raw.get().as_bytes());
        match reader.read(index, slice.clone()) {
            Ok(alert) => alerts.push(alert),
            Err(why) => refused.push(RefusedAlert {
                index,
                why,
                raw: slice,
            }),
        }
    }
    Ok(Batch {
        alerts,
        refused,
        envelope,
    })
}

impl SeenAlert {
    /// As an alert that is refused all the same.
    pub(crate) fn refused(&self, why: &str) -> RefusedAlert {
        RefusedAlert {
            index: self.index,
            why: why.to_owned(),
            raw: self.raw.clone(),
        }
    }

    /// Reads the text of the alert out of the body.
    #[must_use]
    pub fn text(&self) -> AlertText {
        let wire: WireAlert<'_> =
            serde_json::from_slice(&self.raw).expect("these bytes were read as an alert before");
        AlertText {
            unknown: wire.kept(),
            route_labels: self.route_labels.clone(),
            labels: wire
                .labels
                .0
                .into_iter()
                .filter(|(_, value)| !value.as_str().is_empty())
                .collect(),
            annotations: wire.annotations.unwrap_or_default().0.into_iter().collect(),
            generator_url: wire
                .generator_url
                .map_or_else(String::new, |url| url.0.into_owned()),
        }
    }
}

/// Reads the alerts of one body.
struct Reader<'a> {
    ignore: &'a BTreeSet<String>,
    limits: &'a BodyLimits,
    route_labels: &'a Labels,
}

impl Reader<'_> {
    fn read(&self, index: usize, mut raw: Bytes) -> Result<SeenAlert, String> {
        let whole = raw.clone();
        let mut wire: WireAlert<'_> =
            serde_json::from_slice(&whole).map_err(|error| error.to_string())?;
        self.fit(&mut wire, &mut raw)?;
        let labels = || wire.labels.pairs().filter(|(_, value)| !value.is_empty());
        if labels().next().is_none() {
            return Err("no labels: nothing says which alert it is".to_owned());
        }
        let starts_at =
            instant(&wire.starts_at, "startsAt")?.ok_or("startsAt is missing or zero")?;
        let ends_at = match wire.status {
            // Whatever `endsAt` says: it fires.
            WireStatus::Firing => None,
            WireStatus::Resolved => {
                let end = wire.ends_at.map(|end| serde_json::from_str(end.get()));
                let end = end
                    .transpose()
                    .map_err(|error| format!("endsAt: {error}"))?;
                Some(instant(&end, "endsAt")?.ok_or("a resolved alert without endsAt")?)
            }
        };
        let kept = labels().filter(|(name, _)| !self.ignore.contains::<str>(name));
        Ok(SeenAlert {
            index,
            voice: Fingerprint::of_sorted(labels()),
            identity: Fingerprint::of_sorted(kept),
            body: body_hash(&wire, self.route_labels),
            starts_at,
            ends_at: ends_at.map(|end| end.max(starts_at)),
            expires: None,
            route_labels: self.route_labels.clone(),
            raw,
        })
    }

    /// Cuts what is too long, and refuses what is so even then.
    fn fit(&self, wire: &mut WireAlert<'_>, raw: &mut Bytes) -> Result<(), String> {
        let limits = self.limits;
        if wire.labels.0.len() > limits.labels {
            return Err(format!(
                "{} labels, more than {}: drop some, or raise `limits.labels_per_alert` here",
                wire.labels.0.len(),
                limits.labels
            ));
        }
        let annotations = wire.annotations.as_ref().map_or(0, |pairs| pairs.0.len());
        if raw.len() > limits.alert_bytes || annotations > limits.labels {
            *raw = shorten::shorten(wire, limits);
        }
        if raw.len() > limits.alert_bytes {
            return Err(format!(
                "{} bytes without the ends of its annotations, more than {}: shorten its labels",
                raw.len(),
                limits.alert_bytes
            ));
        }
        Ok(())
    }
}

fn body_hash(wire: &WireAlert<'_>, route_labels: &Labels) -> BodyHash {
    let mut parts: Vec<&[u8]> = Vec::with_capacity(32);
    let labels = wire.labels.pairs().filter(|(_, value)| !value.is_empty());
    // A name is never empty, so this cannot be taken for a label.
    let between = std::iter::once(("", ""));
    let annotations = wire.annotations.iter().flat_map(Pairs::pairs);
    for (name, value) in labels.chain(between).chain(annotations) {
        parts.extend([name.as_bytes(), value.as_bytes()]);
    }
    let generator_url = wire.generator_url.as_ref().map_or("", Text::as_str);
    parts.push(generator_url.as_bytes());
    // One part more, and so no text without them; most have none, and keep the hash that they had.
    let has_more = !route_labels.is_empty() || !wire.unknown.is_empty();
    let beside = has_more.then(|| {
        let route_labels: Vec<(&str, &str)> = route_labels.iter().collect();
        serde_json::to_vec(&(route_labels, wire.kept())).expect("JSON serialises")
    });
    parts.extend(beside.as_deref());
    BodyHash::of(&parts)
}

/// Go's zero time: what Alertmanager sends for "not ended".
const ZERO_TIME: &str = "0001-01-01T00:00:00Z";

fn instant(text: &Option<Text<'_>>, field: &str) -> Result<Option<Timestamp>, String> {
    let text = text.as_ref().map_or(ZERO_TIME, Text::as_str);
    if text.starts_with("0001-01-01T") {
        return Ok(None);
    }
    let instant: jiff::Timestamp = text
        .parse()
        .map_err(|error| format!("{field} {text:?} is not RFC 3339: {error}"))?;
    Ok(Some(Timestamp::from_millis(instant.as_millisecond())))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", expecting = "a JSON object with `alerts`")]
struct WireBody<'a> {
    #[serde(borrow)]
    version: Odd<'a>,
    #[serde(borrow)]
    receiver: Odd<'a>,
    #[serde(borrow)]
    group_key: Odd<'a>,
    #[serde(borrow, rename = "externalURL")]
    external_url: Odd<'a>,
    #[serde(borrow, rename = "notification_reason")]
    notification_reason: Odd<'a>,
    #[serde(borrow)]
    truncated_alerts: Odd<'a>,
    #[serde(borrow)]
    route_labels: Odd<'a>,
    #[serde(borrow)]
    alerts: Vec<&'a RawValue>,
}

/// A field beside the alerts. It is read on its own: alerts count even where it makes no sense.
type Odd<'a> = Option<&'a RawValue>;

impl WireBody<'_> {
    /// Another version than ours, if the body says so.
    fn other_version(&self) -> Option<String> {
        let said = self.version?.get();
        let is_ours = matches!(said, "4" | r#""4""#);
        (!is_ours).then(|| string(self.version).unwrap_or_else(|| said.to_owned()))
    }

    fn envelope(&self) -> Envelope {
        let mut odd = Vec::new();
        let receiver: String = read("receiver", self.receiver, &mut odd);
        let route_labels: Pairs<'_> = read("routeLabels", self.route_labels, &mut odd);
        Envelope {
            receiver: undo_quote_meta(&receiver),
            external_url: read("externalURL", self.external_url, &mut odd),
            group_key: read("groupKey", self.group_key, &mut odd),
            notification_reason: read("notification_reason", self.notification_reason, &mut odd),
            truncated: read("truncatedAlerts", self.truncated_alerts, &mut odd),
            route_labels: alert::route_labels(&route_labels),
            odd,
        }
    }
}

/// A field beside the alerts; its default if it is missing, `null`, or odd, which is noted.
fn read<'a, T: Deserialize<'a> + Default>(
    name: &'static str,
    field: Odd<'a>,
    odd: &mut Vec<&'static str>,
) -> T {
    let read = field.map(|raw| serde_json::from_str::<Option<T>>(raw.get()));
    match read {
        Some(Ok(value)) => value.unwrap_or_default(),
        None => T::default(),
        Some(Err(_)) => {
            odd.push(name);
            T::default()
        }
    }
}

fn string(field: Odd<'_>) -> Option<String> {
    serde_json::from_str(field?.get()).ok()
}

/// Pairs sorted by name; of a name that comes twice the last value holds.
#[derive(Serialize, Deserialize, Default)]
#[serde(transparent)]
struct Pairs<'a>(#[serde(borrow)] BTreeMap<Text<'a>, Text<'a>>);

impl Pairs<'_> {
    fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (&*name.0, &*value.0))
    }
}

/// A string that borrows from the body unless it has escapes.
#[derive(Serialize, Deserialize, PartialEq, Eq, PartialOrd, Ord)]
#[serde(transparent)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

impl Text<'_> {
    fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<Text<'_>> for Box<str> {
    fn from(text: Text<'_>) -> Self {
        text.0.into()
    }
}

/// Undoes Go's `regexp.QuoteMeta`, through which Alertmanager passes the receiver's name.
fn undo_quote_meta(quoted: &str) -> String {
    let mut name = String::with_capacity(quoted.len());
    let mut chars = quoted.chars().peekable();
    while let Some(c) = chars.next() {
        let escapes = c == '\\'
            && chars
                .peek()
                .is_some_and(|next| r"\.+*?()|[]{}^$".contains(*next));
        name.extend(if escapes { chars.next() } else { Some(c) });
    }
    name
}

#[cfg(test)]
mod tests;
