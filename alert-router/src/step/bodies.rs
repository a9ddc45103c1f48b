//! The texts of alerts as documents: written when new, immutable under their hash.

use std::time::Duration;

use alert_engine::{BodyHash, Labels, Timestamp};
use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::store::{DocKey, Kind, Write};
use crate::webhook::payload::{AlertText, SeenAlert};

/// How long a text is kept after it was last written, whether or not a group still names it. The
/// sweeper looks at each when this is over.
const KEPT_FOR: Duration = Duration::from_secs(24 * 60 * 60);
/// Wakes fall on multiples of this, so that a text that comes again is not written again.
const ROUNDED_TO_MS: i64 = 12 * 60 * 60 * 1000;

#[derive(Serialize, Deserialize)]
struct Stored {
    labels: Vec<(String, String)>,
    annotations: Vec<(String, String)>,
    generator_url: String,
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
    })
}
