//! The cache: reads from Redis what happened, and renews what it knows of the item. A reservation and
//! all that follows from it is one trace, through the stream's fields.

use std::time::Duration;

use axum::Router;
use axum::extract::{Path, State};
use axum::routing::get;
use http::StatusCode;
use redis::{RedisError, RedisResult};
use telemetry_lib::propagation::{Pairs, extract};
use telemetry_lib::{Operation, Origin, Telemetry};
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval};
use tracing::{Instrument, info_span};

use super::Background;
use super::store::{EVENTS, Event, Store, Which};

/// Between two tries to reach Redis.
const AGAIN: Duration = Duration::from_millis(500);
/// Between two runs of the job.
const STOCK_TAKING: Duration = Duration::from_secs(10);

/// The route for people, the consumer and the job. `events` is read from, and waits.
pub(super) fn routes(telemetry: &Telemetry, store: Store, events: Store) -> (Router, Background) {
    let mut background = Background::default();
    let stop = background.stop.subscribe();
    let consumer = consume(telemetry.clone(), events, stop.clone());
    background.tasks.spawn(consumer);
    let job = take_stock(telemetry.clone(), store.clone(), stop);
    background.tasks.spawn(job);
    let routes = Router::new().route("/items/{item}", get(view));
    (routes.with_state(store), background)
}

async fn view(State(store): State<Store>, Path(item): Path<u32>) -> (StatusCode, String) {
    match store.view(item).await {
        Ok(Some(view)) => (StatusCode::OK, view),
        Ok(None) => (StatusCode::NOT_FOUND, "never reserved\n".to_owned()),
        Err(error) => {
            tracing::warn!(%error, "Redis does not answer");
            (StatusCode::SERVICE_UNAVAILABLE, "try again\n".to_owned())
        }
    }
}

/// Follows the stream until it is told to stop; what it has taken by then it finishes.
async fn consume(telemetry: Telemetry, store: Store, mut stop: watch::Receiver<bool>) {
    while !*stop.borrow() {
        if let Err(error) = follow(&telemetry, &store, &stop).await {
            tracing::warn!(%error, "events cannot be read; trying again");
            wait(AGAIN, &mut stop).await;
        }
    }
}

/// From the beginning after each failure: Redis may have come back without the group, and what was
/// not acknowledged comes again, which does no harm here.
async fn follow(
    telemetry: &Telemetry,
    store: &Store,
    stop: &watch::Receiver<bool>,
) -> RedisResult<()> {
    store.join().await?;
    let mut which = Which::Unfinished;
    while !*stop.borrow() {
        let events = store.take(which).await?;
        if events.is_empty() {
            which = Which::New;
        }
        for event in events {
            handle(telemetry, store, event).await?;
        }
    }
    Ok(())
}

async fn handle(telemetry: &Telemetry, store: &Store, event: Event) -> RedisResult<()> {
    let sender = Origin::Parent(extract(&Pairs(&event.fields)));
    let message = telemetry.message(Operation::Process, "redis", EVENTS, sender);
    let renewing = async {
        match event.item() {
            Some(item) => renew(store, item).await?,
            // It would come again for ever.
            None => tracing::warn!(id = event.id, "an event without an item is left out"),
        }
        store.acknowledge(&event).await
    };
    message.run(renewing).await
}

async fn renew(store: &Store, item: u32) -> RedisResult<()> {
    let invalidating = store.invalidate(item);
    invalidating.instrument(info_span!("invalidate")).await?;
    let rebuilding = store.rebuild(item);
    rebuilding.instrument(info_span!("rebuild")).await
}

/// Compares the cache with the reservations, now and then. A few items may always be on their way.
async fn take_stock(telemetry: Telemetry, store: Store, mut stop: watch::Receiver<bool>) {
    let mut tick = interval(STOCK_TAKING);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = tick.tick() => {}
            _ = stop.wait_for(|stop| *stop) => return,
        }
        let comparing = async {
            let (items, old) = store.compare().await?;
            tracing::info!(items, old, "stock taken");
            Ok::<_, RedisError>(())
        };
        if let Err(error) = telemetry.job("stock_taking", comparing).await {
            tracing::warn!(%error, "no stock taken");
        }
    }
}

async fn wait(time: Duration, stop: &mut watch::Receiver<bool>) {
    // Either is a reason to go on.
    let _ = tokio::time::timeout(time, stop.wait_for(|stop| *stop)).await;
}
