//! The stock: reserves goods, tells how a delivery goes, and can be broken.

use std::time::Duration;

use axum::Router;
use axum::extract::{Path, State};
use axum::routing::{get, post};
use http::StatusCode;
use telemetry_lib::Telemetry;
use tokio::sync::mpsc;
use tonic::Status;
use tracing::Instrument;

use super::Background;
use super::queue::{Queue, Refused};
use super::rpc::{self, Progress, Steps, StockServer};
use super::store::Store;
use super::switch::{Mode, Switch};

/// What a delivery goes through, and how long each step takes: together less than the latency
/// objective of 500 ms.
const STEPS: [&str; 3] = ["packed", "on the way", "delivered"];
const STEP: Duration = Duration::from_millis(80);

#[derive(Clone)]
struct Stock {
    telemetry: Telemetry,
    switch: Switch,
    queue: Queue,
}

/// The gRPC methods, the same over HTTP for people with curl, the routes that break it, and what
/// has to end after them.
pub(super) fn routes(telemetry: &Telemetry, redis: Option<Store>) -> (Router, Background) {
    let (queue, background) = Queue::new(telemetry, redis);
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
    (routes.merge(trouble), background)
}

impl rpc::Stock for Stock {
    async fn reserve(self, item: u32) -> Result<(), Status> {
        self.suffer(item).await?;
        let sent = self.queue.send(&self.telemetry, item).await;
        sent.map_err(|refused| match refused {
            Refused::Full => Status::resource_exhausted(refused.to_string()),
            Refused::Redis(ref error) => {
                tracing::warn!(item, %error, "{refused}");
                Status::unavailable(refused.to_string())
            }
        })
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
