//! The stock: reserves goods, and hands each reservation to a worker through a bounded queue. The
//! context travels with the entry, so the worker's span belongs to the same trace.

use std::convert::Infallible;
use std::time::Duration;

use axum::Router;
use axum::extract::{Path, State};
use axum::routing::{get, post};
use http::{HeaderMap, StatusCode};
use telemetry_lib::propagation::{self, HeaderCarrier, HeaderCarrierMut};
use telemetry_lib::{Message, Operation, Origin, Telemetry};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tonic::Status;
use tracing::Instrument;

use super::rpc::{self, Progress, Steps, StockServer};
use super::switch::{Mode, Switch};

/// Reservations that may wait for the worker; more are refused.
const WAITING: usize = 1_000;
/// What a delivery goes through, and how long each step takes: together less than the latency
/// objective of 500 ms.
const STEPS: [&str; 3] = ["packed", "on the way", "delivered"];
const STEP: Duration = Duration::from_millis(80);

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

/// The gRPC methods, the same over HTTP for people with curl, the routes that break it, and the
/// worker, which ends when the routes are gone and its queue is empty.
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
        .route_service(rpc::ROUTE, StockServer(stock.clone()))
        .route("/reserve/{item}", post(reserve))
        .with_state(stock);
    let trouble = Router::new()
        .route("/trouble", get(now))
        .route("/trouble/{mode}", post(change))
        .with_state(switch);
    (routes.merge(trouble), worker)
}

impl rpc::Stock for Stock {
    async fn reserve(self, item: u32) -> Result<(), Status> {
        self.suffer(item).await?;
        let sending = reservations(&self.telemetry, Operation::Send, Origin::Current);
        let mut headers = HeaderMap::new();
        sending.inject(&mut HeaderCarrierMut(&mut headers));
        let sent = sending.in_scope(|| self.queue.try_send(Reserved { item, headers }));
        sent.map_err(|_| Status::resource_exhausted("too many reservations wait"))
    }

    async fn watch(self, item: u32) -> Result<Steps, Status> {
        self.suffer(item).await?;
        let (tell, steps) = mpsc::channel(1);
        // A task of its own, in the span of the call: what it logs belongs to the trace.
        let delivery = async move {
            for step in STEPS {
                tokio::time::sleep(STEP).await;
                let step = step.to_owned();
                if tell.send(Ok(Progress { step })).await.is_err() {
                    tracing::debug!(item, "nobody watches any more");
                    return;
                }
            }
        };
        tokio::spawn(delivery.in_current_span());
        Ok(steps)
    }
}

impl Stock {
    async fn suffer(&self, item: u32) -> Result<(), Status> {
        self.switch.suffer().await.map_err(|_| {
            tracing::warn!(item, "the shelf fell over");
            Status::internal("the shelf fell over")
        })
    }
}

async fn reserve(State(stock): State<Stock>, Path(item): Path<u32>) -> (StatusCode, String) {
    match rpc::Stock::reserve(stock, item).await {
        Ok(()) => (StatusCode::OK, "reserved\n".to_owned()),
        Err(status) if status.code() == tonic::Code::Internal => {
            (StatusCode::INTERNAL_SERVER_ERROR, line(&status))
        }
        Err(status) => (StatusCode::SERVICE_UNAVAILABLE, line(&status)),
    }
}

fn line(status: &Status) -> String {
    format!("{}\n", status.message())
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
