//! A rendered delivery as a document: written with the claim, so that a retry sends the same bytes,
//! and removed when the delivery is over.

use alert_engine::{DeliveryId, Timestamp};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::receiver::{Delivery, Part, Progress};
use crate::store::{DocKey, Kind};

#[derive(Serialize, Deserialize)]
struct Stored {
    created_ms: i64,
    parts: Vec<StoredPart>,
    progress: Progress,
}

#[derive(Serialize, Deserialize)]
struct StoredPart {
    id: String,
    body: String,
    recipients: Vec<String>,
}

pub(crate) fn parts_key(id: DeliveryId) -> DocKey {
    DocKey {
        kind: Kind::Parts,
        id: Bytes::copy_from_slice(&id.0),
    }
}

pub(crate) fn write(delivery: &Delivery) -> Bytes {
    let part = |part: &Part| StoredPart {
        id: part.id.clone(),
        body: STANDARD.encode(&part.body),
        recipients: part.recipients.clone(),
    };
    let stored = Stored {
        created_ms: delivery.created.as_millis(),
        parts: delivery.parts.iter().map(part).collect(),
        progress: delivery.progress.clone(),
    };
    serde_json::to_vec(&stored)
        .expect("strings and numbers always serialise")
        .into()
}

/// `None` if these are other bytes: then the delivery is rendered anew.
pub(crate) fn read(id: DeliveryId, attempt: u32, bytes: &[u8]) -> Option<Delivery> {
    let stored: Stored = serde_json::from_slice(bytes).ok()?;
    let part = |part: StoredPart| {
        let body = STANDARD.decode(part.body).ok()?.into();
        Some(Part {
            id: part.id,
            body,
            recipients: part.recipients,
        })
    };
    Some(Delivery {
        id,
        attempt,
        created: Timestamp::from_millis(stored.created_ms),
        parts: stored.parts.into_iter().map(part).collect::<Option<_>>()?,
        progress: stored.progress,
    })
}
