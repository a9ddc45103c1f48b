//! What the services keep in Redis, and the only place that speaks with it: how much of each item is
//! reserved, the stream of what happened, and the views that a cache holds. It knows keys and
//! commands, and nothing of spans.

use std::net::SocketAddr;
use std::time::Duration;

use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use redis::streams::{StreamMaxlen, StreamReadOptions, StreamReadReply};
use redis::{AsyncCommands, RedisResult};

/// A hash: an item, and how often it is reserved.
const RESERVED: &str = "reserved";
/// A stream, under the name that its spans carry.
pub(super) const EVENTS: &str = "reservations";
/// Events that are kept, about: a stream grows until somebody cuts it.
const KEPT: usize = 10_000;
/// Who reads the stream. Redis remembers by these names what was taken and not acknowledged.
const GROUP: &str = "cache";
const CONSUMER: &str = "cache-1";
/// The field of an event that names the item; the others are its context.
const ITEM: &str = "item";
/// Events that one read takes at most: what is left to finish when the consumer is told to stop.
const TAKEN_AT_ONCE: usize = 16;
/// How long a read waits for an event, in milliseconds: so late it may hear that it shall stop.
const WAIT_MS: usize = 500;
/// For an answer, or a connection. More than a read waits, less than the stock's callers do.
const PATIENCE: Duration = Duration::from_millis(1_500);

/// A connection that comes back by itself: the command that finds it broken fails, a later one works.
/// Each blocking reader needs its own.
#[derive(Clone)]
pub(super) struct Store(ConnectionManager);

/// An entry of the stream.
#[derive(Clone, Debug)]
pub(super) struct Event {
    pub(super) id: String,
    /// As they were written: the context that came along among them.
    pub(super) fields: Vec<(String, String)>,
}

/// Which events to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Which {
    /// Those that were taken in an earlier life, and not finished.
    Unfinished,
    /// Those that nobody has taken.
    New,
}

impl Store {
    /// Connects with the first command.
    pub(super) fn at(address: SocketAddr) -> RedisResult<Self> {
        let client = redis::Client::open(format!("redis://{address}"))?;
        let config = ConnectionManagerConfig::new()
            // One more, after 0.1 s: enough where everything starts at once, and where Redis is dead
            // requests fail before they are slow, too.
            .set_number_of_retries(1)
            .set_connection_timeout(Some(PATIENCE))
            .set_response_timeout(Some(PATIENCE));
        Ok(Self(ConnectionManager::new_lazy_with_config(
            client, config,
        )?))
    }

    /// Writes a reservation and its event, both or neither. `context` goes along as fields.
    pub(super) async fn reserve(
        &self,
        item: u32,
        context: Vec<(String, String)>,
    ) -> RedisResult<()> {
        let mut fields = context;
        fields.push((ITEM.to_owned(), item.to_string()));
        redis::pipe()
            .atomic()
            .hincr(RESERVED, item, 1)
            .ignore()
            .xadd_maxlen(EVENTS, StreamMaxlen::Approx(KEPT), "*", &fields)
            .ignore()
            .query_async(&mut self.0.clone())
            .await
    }

    /// Makes the group of readers, if it is not there: it reads from the beginning.
    pub(super) async fn join(&self) -> RedisResult<()> {
        let made: RedisResult<()> = self
            .0
            .clone()
            .xgroup_create_mkstream(EVENTS, GROUP, "0")
            .await;
        match made {
            Err(error) if error.code() == Some("BUSYGROUP") => Ok(()),
            made => made,
        }
    }

    /// Takes some events; of new ones it waits for the first, not for long.
    pub(super) async fn take(&self, which: Which) -> RedisResult<Vec<Event>> {
        let options = StreamReadOptions::default()
            .group(GROUP, CONSUMER)
            .count(TAKEN_AT_ONCE);
        let (from, options) = match which {
            Which::Unfinished => ("0", options),
            Which::New => (">", options.block(WAIT_MS)),
        };
        let mut connection = self.0.clone();
        let reply: Option<StreamReadReply> = connection
            .xread_options(&[EVENTS], &[from], &options)
            .await?;
        let entries = reply.into_iter().flat_map(|reply| reply.keys);
        let entries = entries.flat_map(|key| key.ids);
        let events = entries.map(|entry| Event {
            fields: entry
                .map
                .keys()
                .filter_map(|name| Some((name.clone(), entry.get(name)?)))
                .collect(),
            id: entry.id,
        });
        Ok(events.collect())
    }

    /// The event is finished: nobody gets it again.
    pub(super) async fn acknowledge(&self, event: &Event) -> RedisResult<()> {
        self.0.clone().xack(EVENTS, GROUP, &[&event.id]).await
    }

    /// What the cache has about an item.
    pub(super) async fn view(&self, item: u32) -> RedisResult<Option<String>> {
        self.0.clone().get(key(item)).await
    }

    /// Forgets what the cache has about an item.
    pub(super) async fn invalidate(&self, item: u32) -> RedisResult<()> {
        self.0.clone().del(key(item)).await
    }

    /// Makes it again from what is reserved. Only the reader of events may: the last one to write is
    /// then the one that knows most.
    pub(super) async fn rebuild(&self, item: u32) -> RedisResult<()> {
        let mut connection = self.0.clone();
        let reserved: Option<u64> = connection.hget(RESERVED, item).await?;
        let view = text(item, reserved.unwrap_or_default());
        connection.set(key(item), view).await
    }

    /// How many items there are, and of how many the cache has nothing, or something old.
    pub(super) async fn compare(&self) -> RedisResult<(usize, usize)> {
        let mut connection = self.0.clone();
        let reserved: Vec<(u32, u64)> = connection.hgetall(RESERVED).await?;
        if reserved.is_empty() {
            return Ok((0, 0));
        }
        let keys: Vec<String> = reserved.iter().map(|(item, _)| key(*item)).collect();
        let views: Vec<Option<String>> = connection.mget(keys).await?;
        let is_old = |((item, count), view): &(&(u32, u64), &Option<String>)| {
            view.as_deref() != Some(text(*item, *count).as_str())
        };
        let old = reserved.iter().zip(&views).filter(is_old).count();
        Ok((reserved.len(), old))
    }
}

impl Event {
    /// Of what it tells; none if somebody else wrote into the stream.
    pub(super) fn item(&self) -> Option<u32> {
        let (_, item) = self.fields.iter().find(|(name, _)| name == ITEM)?;
        item.parse().ok()
    }
}

fn key(item: u32) -> String {
    format!("view:{item}")
}

fn text(item: u32, reserved: u64) -> String {
    format!("{{\"item\":{item},\"reserved\":{reserved}}}\n")
}
