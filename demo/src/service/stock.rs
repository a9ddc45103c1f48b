//! The stock: reserves goods, and hands each reservation to a worker through a bounded queue. The
//! context travels with the entry, so the worker's span belongs to the same trace.

use axum::Router;
use axum::extract::{Path, State};
use axum::routing::{get, post};
use http::{HeaderMap, StatusCode};
use telemetry_lib::opentelemetry::Context;
use telemetry_lib::propagation::{self, HeaderCarrier, HeaderCarrierMut};
use tokio::sync::mpsc;
use tracing::Instrument;

use super::switch::{Mode, Switch};

/// Reservations that may wait for the worker; more are refused.
const WAITING: usize = 1_000;

/// An entry of the queue, with headers as a broker would carry them.
struct Reserved {
    item: u32,
    headers: HeaderMap,
}

#[derive(Clone)]
struct Stock {
    switch: Switch,
    queue: mpsc::Sender<Reserved>,
}

/// The routes for customers, and those that break it. Starts the worker.
pub(super) fn routes() -> Router {
    let (queue, waiting) = mpsc::channel(WAITING);
    tokio::spawn(work(waiting));
    let switch = Switch::default();
    let stock = Stock {
        switch: switch.clone(),
        queue,
    };
    let routes = Router::new()
        .route("/reserve/{item}", post(reserve))
        .with_state(stock);
    let trouble = Router::new()
        .route("/trouble", get(now))
        .route("/trouble/{mode}", post(change))
        .with_state(switch);
    routes.merge(trouble)
}

async fn reserve(State(stock): State<Stock>, Path(item): Path<u32>) -> (StatusCode, &'static str) {
    if stock.switch.suffer().await.is_err() {
        tracing::warn!(item, "the shelf fell over");
        return (StatusCode::INTERNAL_SERVER_ERROR, "the shelf fell over\n");
    }
    let span = tracing::info_span!(
        "send reservations",
        otel.kind = "producer",
        messaging.system = "in_process",
        messaging.destination.name = "reservations",
    );
    let queued = span.in_scope(|| {
        let mut headers = HeaderMap::new();
        propagation::inject(&Context::current(), &mut HeaderCarrierMut(&mut headers));
        stock.queue.try_send(Reserved { item, headers })
    });
    match queued {
        Ok(()) => (StatusCode::OK, "reserved\n"),
        Err(_) => (
            StatusCode::SERVICE_UNAVAILABLE,
            "too many reservations wait\n",
        ),
    }
}

async fn work(mut waiting: mpsc::Receiver<Reserved>) {
    while let Some(Reserved { item, headers }) = waiting.recv().await {
        let remote = propagation::extract(&HeaderCarrier(&headers)).attach();
        let span = tracing::info_span!(
            "process reservations",
            otel.kind = "consumer",
            messaging.system = "in_process",
            messaging.destination.name = "reservations",
            item,
        );
        drop(remote);
        async { tracing::debug!(item, "packed") }
            .instrument(span)
            .await;
    }
}

async fn now(State(switch): State<Switch>) -> &'static str {
    switch.get().map_or("none", Mode::as_str)
}

async fn change(State(switch): State<Switch>, Path(mode): Path<String>) -> StatusCode {
    let mode = match mode.as_str() {
        "none" => None,
        other => match Mode::parse(other) {
            Some(mode) => Some(mode),
            None => return StatusCode::NOT_FOUND,
        },
    };
    switch.set(mode);
    StatusCode::NO_CONTENT
}
