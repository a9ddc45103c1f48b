//! The built-in receiver: keeps its messages as documents, which the server's own page shows. It
//! needs no account and no network, so a first run has somebody to tell.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use alert_engine::LaneKey;
use bytes::Bytes;
use futures_util::future::BoxFuture;
use serde::{Deserialize, Serialize};

use super::{
    Delivery, Destination, Failure, Limits, Part, Progress, Receipt, Receiver, RenderError,
    Rendering, SendError,
};
use crate::message::Message;
use crate::render::{Locale, Renderer, View};
use crate::store::{DocKey, Kind, Loaded, Scan, Store, StoreError, Unit, Write};

pub(crate) const CHANNEL: &str = "inbox";
/// For one write and, now and then, a clean-up.
const DEADLINE: Duration = Duration::from_secs(10);
/// The newest messages, all names together.
const KEPT: usize = 200;
/// A clean-up comes after so many writes, so that one write is one write.
const CLEAN_UP_EVERY: u32 = 16;
/// Alerts of one message that are shown one by one; the others are counted.
const ALERTS: usize = 100;

/// A named inbox, ready to write.
pub struct Inbox {
    destination: Destination,
    limits: Limits,
    renderer: Arc<Renderer>,
    store: Arc<dyn Store>,
    written: AtomicU32,
}

/// A message as the page shows it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// The delivery's id.
    pub id: String,
    /// The receiver's name in the config.
    pub receiver: String,
    /// When it was composed, in milliseconds since the epoch.
    pub created_ms: i64,
    /// What it is about, in one line.
    pub title: String,
    /// The whole message as text.
    pub text: String,
    /// The message as templates see it ([`View`]), for a page that shows more than text.
    pub view: serde_json::Value,
}

impl Inbox {
    /// The inbox of the receiver `name`; starts nothing.
    #[must_use]
    pub fn new(name: &str, renderer: Arc<Renderer>, store: Arc<dyn Store>) -> Self {
        Self {
            destination: Destination {
                channel: CHANNEL,
                key: LaneKey::of(&[CHANNEL.as_bytes(), name.as_bytes()]),
                label: format!("inbox {name}"),
            },
            limits: Limits {
                windows: Vec::new(),
                shared: Vec::new(),
                deadline: DEADLINE,
                priority_exempt_hourly: false,
            },
            renderer,
            store,
            written: AtomicU32::new(0),
        }
    }

    async fn write(&self, delivery: &Delivery) -> Result<(), StoreError> {
        let writes = delivery.parts.iter().map(|part| Write::Keep {
            key: key(delivery),
            wake_at: None,
            bytes: part.body.clone(),
        });
        let unit = Unit {
            writes: writes.collect(),
            history: Vec::new(),
        };
        self.store.commit(vec![unit]).await?;
        let written = self.written.fetch_add(1, Ordering::Relaxed);
        if written.is_multiple_of(CLEAN_UP_EVERY)
            && let Err(error) = self.clean_up().await
        {
            tracing::warn!(%error, "old messages of the inbox stayed; the next clean-up tries again");
        }
        Ok(())
    }

    /// Removes what is beyond the newest [`KEPT`]. One that is removed meanwhile is no conflict
    /// worth a word: each goes in a unit of its own.
    async fn clean_up(&self) -> Result<(), StoreError> {
        let all = scan(&*self.store).await?;
        let docs: Vec<_> = all.docs.into_iter().flatten().collect();
        let surplus = docs.len().saturating_sub(KEPT);
        let deletes = docs
            .into_iter()
            .take(surplus)
            .map(|doc| doc.removal().into());
        let deletes: Vec<Unit> = deletes.collect();
        if !deletes.is_empty() {
            self.store.commit(deletes).await?;
        }
        Ok(())
    }
}

/// Reads the newest messages of all inboxes, newest first, at most `limit`.
///
/// # Errors
/// If the store cannot answer. A document that is no message is left out.
pub async fn newest(store: &dyn Store, limit: usize) -> Result<Vec<Entry>, StoreError> {
    let docs = scan(store).await?.docs.into_iter().flatten().rev();
    let entries = docs.filter_map(|doc| serde_json::from_slice(&doc.bytes).ok());
    Ok(entries.take(limit).collect())
}

/// All messages, oldest first.
async fn scan(store: &dyn Store) -> Result<Loaded, StoreError> {
    let scan = Scan {
        kind: Kind::Inbox,
        after: Bytes::new(),
        limit: KEPT + 4 * CLEAN_UP_EVERY as usize,
    };
    store.scan(scan).await
}

/// Time first, so that keys are in the order of time; an attempt after the first writes the same.
fn key(delivery: &Delivery) -> DocKey {
    // The sign bit is turned so that bytes sort as the numbers do.
    let time = (delivery.created.as_millis() as u64) ^ (1 << 63);
    let id = [&time.to_be_bytes()[..], &delivery.id.0[..]].concat();
    DocKey {
        kind: Kind::Inbox,
        id: id.into(),
    }
}

impl Receiver for Inbox {
    fn destination(&self) -> &Destination {
        &self.destination
    }

    fn limits(&self) -> &Limits {
        &self.limits
    }

    fn render(&self, rendering: &Rendering<'_>) -> Result<Vec<Part>, RenderError> {
        let entry = Entry::of(rendering.message, rendering.locale, &self.renderer);
        let body = serde_json::to_vec(&entry).map_err(|error| RenderError {
            channel: CHANNEL,
            why: error.to_string(),
        })?;
        Ok(vec![Part {
            id: "1".to_owned(),
            body: body.into(),
            recipients: Vec::new(),
        }])
    }

    fn look(&self) -> Option<String> {
        Some(String::new())
    }

    fn send<'a>(&'a self, delivery: &'a Delivery) -> BoxFuture<'a, Result<Receipt, SendError>> {
        Box::pin(async move {
            match tokio::time::timeout(DEADLINE, self.write(delivery)).await {
                Ok(Ok(())) => Ok(Receipt::default()),
                Ok(Err(error)) => Err(failed("store", error.to_string())),
                Err(_) => Err(failed(
                    "timeout",
                    format!("not written within {DEADLINE:?}"),
                )),
            }
        })
    }
}

impl Entry {
    fn of(message: &Message, locale: &Locale, renderer: &Renderer) -> Self {
        let view = View::of(message, locale).limited(ALERTS);
        let mut json = serde_json::to_value(&view).unwrap_or_default();
        if let Some(fields) = json.as_object_mut() {
            // These two mean something to templates only.
            fields.remove("zone");
            fields.remove("words");
        }
        Self {
            id: message.id.to_string(),
            receiver: message.receiver.clone(),
            created_ms: message.created.as_millis(),
            title: renderer.render("subject.txt", &view).text.trim().to_owned(),
            text: renderer.render("email.txt", &view).text,
            view: json,
        }
    }
}

fn failed(reason: &'static str, answer: String) -> SendError {
    SendError {
        failure: Failure::Failed { retry_after: None },
        reason,
        code: None,
        answer,
        fix: None,
        progress: Progress::new(),
    }
}

/// Without the store behind it.
impl fmt::Debug for Inbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inbox")
            .field("destination", &self.destination)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
