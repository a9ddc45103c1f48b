//! The stock: reserves goods, and hands each reservation to a worker through a bounded queue. The
//! context travels with the entry, so the worker's span belongs to the same trace.

use std::convert::Infallible;

use axum::Router;
use axum::extract::{Path, State};
use axum::routing::{get, post};
use http::{HeaderMap, StatusCode};
use telemetry_lib::propagation::{self, HeaderCarrier, HeaderCarrierMut};
use telemetry_lib::{Message, Operation, Origin, Telemetry};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

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
    telemetry: Telemetry,
    switch: Switch,
    queue: mpsc::Sender<Reserved>,
}

/// The routes for customers, and those that break it, and the worker, which ends when the routes are
/// gone and its queue is empty.
pub(super) fn routes(telemetry: &Telemetry) -> (Router, JoinHandle<()>) {
    let (queue, waiting) = mpsc::channel(WAITING);
    let worker = tokio::spawn(work(telemetry.clone(), waiting));
    let switch = Switch::default();
    let stock = Stock {
        telemetry: telemetry.clone(),
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
    (routes.merge(trouble), worker)
}

async fn reserve(State(stock): State<Stock>, Path(item): Path<u32>) -> (StatusCode, &'static str) {
    if stock.switch.suffer().await.is_err() {
        tracing::warn!(item, "the shelf fell over");
        return (StatusCode::INTERNAL_SERVER_ERROR, "the shelf fell over\n");
    }
    let sending = reservations(&stock.telemetry, Operation::Send, Origin::Current);
    let mut headers = HeaderMap::new();
    sending.inject(&mut HeaderCarrierMut(&mut headers));
    match sending.in_scope(|| stock.queue.try_send(Reserved { item, headers })) {
        Ok(()) => (StatusCode::OK, "reserved\n"),
        Err(_) => (
            StatusCode::SERVICE_UNAVAILABLE,
            "too many reservations wait\n",
        ),
    }
}

async fn work(telemetry: Telemetry, mut waiting: mpsc::Receiver<Reserved>) {
    while let Some(Reserved { item, headers }) = waiting.recv().await {
        let sender = Origin::Parent(propagation::extract(&HeaderCarrier(&headers)));
        let message = reservations(&telemetry, Operation::Process, sender);
        let packing = async {
            tracing::debug!(item, "packed");
            Ok::<_, Infallible>(())
        };
        let Ok(()) = message.run(packing).await;
    }
}

fn reservations(telemetry: &Telemetry, operation: Operation, origin: Origin) -> Message {
    telemetry.message(operation, "in_process", "reservations", origin)
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
