//! The texts of alerts as documents: written when new, immutable under their hash.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use alert_engine::{BodyHash, Labels, Timestamp};
use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::store::{DocKey, Kind, Store, StoreError, Write};
use crate::webhook::payload::{AlertText, SeenAlert, Unknown};

/// How long a text is kept after it was last written, whether or not a group still names it. The
/// sweeper looks at each when this is over.
const KEPT_FOR: Duration = Duration::from_secs(24 * 60 * 60);
/// Wakes fall on multiples of this, so that a text that comes again is not written again.
const ROUNDED_TO_MS: i64 = 12 * 60 * 60 * 1000;

/// What came later is left out where there is none, and has a default where it was not yet written.
#[derive(Serialize, Deserialize)]
struct Stored {
    labels: Vec<(String, String)>,
    annotations: Vec<(String, String)>,
    generator_url: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    route_labels: Vec<(String, String)>,
    #[serde(default, skip_serializing_if = "Unknown::is_empty")]
    unknown: Unknown,
}

/// Writes the text of an alert, if it is not there yet.
pub(crate) fn keep(alert: &SeenAlert, now: Timestamp) -> Write {
    let text = alert.text();
    let pairs = |labels: &Labels| {
        labels
            .iter()
            .map(|(n, v)| (n.to_owned(), v.to_owned()))
            .collect()
    };
    let stored = Stored {
        labels: pairs(&text.labels),
        annotations: pairs(&text.annotations),
        generator_url: text.generator_url,
        route_labels: pairs(&text.route_labels),
        unknown: text.unknown,
    };
    let bytes = serde_json::to_vec(&stored)
        .expect("strings always serialise")
        .into();
    let wake = (now + KEPT_FOR).as_millis() / ROUNDED_TO_MS * ROUNDED_TO_MS;
    Write::Keep {
        key: body_key(alert.body),
        wake_at: Some(Timestamp::from_millis(wake)),
        bytes,
    }
}

pub(crate) fn body_key(hash: BodyHash) -> DocKey {
    DocKey {
        kind: Kind::Body,
        id: Bytes::copy_from_slice(&hash.0),
    }
}

/// Reads a stored text; `None` if these are other bytes.
pub(crate) fn read(bytes: &[u8]) -> Option<AlertText> {
    let stored: Stored = serde_json::from_slice(bytes).ok()?;
    Some(AlertText {
        labels: stored.labels.into_iter().collect(),
        annotations: stored.annotations.into_iter().collect(),
        generator_url: stored.generator_url,
        route_labels: stored.route_labels.into_iter().collect(),
        unknown: stored.unknown,
    })
}

/// The texts with these hashes, as far as they are stored and can be read.
pub(crate) async fn load(
    store: &dyn Store,
    hashes: BTreeSet<BodyHash>,
) -> Result<BTreeMap<BodyHash, AlertText>, StoreError> {
    let keys = hashes.iter().map(|hash| body_key(*hash)).collect();
    let docs = store.load(keys).await?.docs;
    let texts = hashes.into_iter().zip(docs);
    Ok(texts
        .filter_map(|(hash, doc)| Some((hash, read(&doc?.bytes)?)))
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::webhook::payload::{BodyLimits, parse};

    fn stored(body: &str) -> Bytes {
        let body = Bytes::copy_from_slice(body.as_bytes());
        let batch = parse(&body, &BTreeSet::new(), &BodyLimits::default()).unwrap();
        let Write::Keep { bytes, .. } = keep(&batch.alerts[0], Timestamp::from_millis(0)) else {
            panic!("a text is kept");
        };
        bytes
    }

    #[test]
    fn a_text_of_the_first_version_reads_and_is_written_as_it_was() {
        let first = r#"{"labels":[["alertname","A"]],"annotations":[["b","c"]],"generator_url":"http://p"}"#;
        let body = r#"{"alerts":[{"status":"firing","labels":{"alertname":"A"},"annotations":{"b":"c"},
            "startsAt":"2026-11-24T00:00:00Z","generatorURL":"http://p"}]}"#;
        assert_eq!(stored(body), first);
        let text = read(first.as_bytes()).unwrap();
        assert_eq!(text.labels, Labels::from_iter([("alertname", "A")]));
        assert_eq!(text.route_labels, Labels::default());
    }

    #[test]
    fn what_came_beside_the_known_fields_is_stored() {
        let body = r#"{"routeLabels":{"team":"db"},"alerts":[{"status":"firing","ticket":[7],
            "labels":{"alertname":"A"},"startsAt":"2026-11-24T00:00:00Z"}]}"#;
        let text = read(&stored(body)).unwrap();
        assert_eq!(text.route_labels, Labels::from_iter([("team", "db")]));
        assert_eq!(text.unknown["ticket"], serde_json::json!([7]));
    }
}
