//! The shop: what people talk to, over HTTP. It asks the stock over gRPC and the cache over HTTP, and says
//! in HTTP's words what went wrong there.

use std::net::SocketAddr;

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use http::StatusCode;
use telemetry_lib::Telemetry;
use tonic::codegen::tokio_stream::StreamExt;
use tonic::{Code, Status};

use super::rpc::StockClient;
use crate::Failure;
use crate::http::{CallError, Observed};

/// Without a `cache` the shop shows no items.
pub(super) fn routes(
    telemetry: &Telemetry,
    stock: SocketAddr,
    cache: Option<SocketAddr>,
) -> Result<Router, Failure> {
    let stock = StockClient::new(telemetry, stock)?;
    let mut routes = Router::new()
        .route("/orders/{item}", post(order))
        .route("/orders/{item}/progress", get(progress))
        .with_state(stock);
    if let Some(at) = cache {
        let client = Observed::observed(telemetry);
        let items = Router::new().route("/items/{item}", get(item));
        routes = routes.merge(items.with_state(Cache { client, at }));
    }
    Ok(routes)
}

/// Whom the shop asks about an item.
#[derive(Clone)]
struct Cache {
    client: Observed,
    at: SocketAddr,
}

async fn order(State(stock): State<StockClient>, Path(item): Path<u32>) -> Response {
    match stock.reserve(item).await {
        Ok(()) => (StatusCode::CREATED, format!("ordered {item}\n")).into_response(),
        Err(status) => refusal(&status),
    }
}

/// A line for each step of the delivery, as the stock tells it: one stream is handed on as another.
async fn progress(State(stock): State<StockClient>, Path(item): Path<u32>) -> Response {
    match stock.watch(item).await {
        Ok(steps) => {
            let lines = steps.map(|step| step.map(|it| format!("{}\n", it.step)));
            Body::from_stream(lines).into_response()
        }
        Err(status) => refusal(&status),
    }
}

/// What the cache knows of an item; that it knows nothing is an answer, too.
async fn item(State(cache): State<Cache>, Path(item): Path<u32>) -> Response {
    let asked = cache.client.get(cache.at, &format!("/items/{item}")).await;
    match asked {
        Ok(answer) if answer.is_success() || answer.status == StatusCode::NOT_FOUND => {
            (answer.status, answer.body).into_response()
        }
        Ok(_) | Err(CallError::Send(_)) => (
            StatusCode::SERVICE_UNAVAILABLE,
            "the cache cannot be asked; try again\n",
        )
            .into_response(),
        Err(CallError::Late) => (
            StatusCode::GATEWAY_TIMEOUT,
            "the cache does not answer in time\n",
        )
            .into_response(),
        Err(CallError::Address(_) | CallError::Body(_)) => {
            (StatusCode::BAD_GATEWAY, "the cache failed\n").into_response()
        }
    }
}

fn refusal(status: &Status) -> Response {
    let (code, text) = in_http(status.code());
    (code, text).into_response()
}

/// What the stock's failure is to the shop's customers: never their fault.
fn in_http(code: Code) -> (StatusCode, &'static str) {
    match code {
        Code::Unavailable | Code::ResourceExhausted => (
            StatusCode::SERVICE_UNAVAILABLE,
            "the stock cannot be reached, or has too much to do\n",
        ),
        Code::DeadlineExceeded | Code::Cancelled => (
            StatusCode::GATEWAY_TIMEOUT,
            "the stock does not answer in time\n",
        ),
        Code::Ok
        | Code::Unknown
        | Code::InvalidArgument
        | Code::NotFound
        | Code::AlreadyExists
        | Code::PermissionDenied
        | Code::FailedPrecondition
        | Code::Aborted
        | Code::OutOfRange
        | Code::Unimplemented
        | Code::Internal
        | Code::DataLoss
        | Code::Unauthenticated => (StatusCode::BAD_GATEWAY, "the stock failed\n"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_call_is_never_the_customers_fault_and_tells_dead_from_slow_from_broken() {
        for number in 1..=16 {
            let code = Code::from_i32(number);
            assert!(in_http(code).0.is_server_error(), "{code:?}");
        }
        assert_eq!(in_http(Code::Internal).0, 502);
        assert_eq!(in_http(Code::Unavailable).0, 503);
        assert_eq!(in_http(Code::ResourceExhausted).0, 503);
        assert_eq!(in_http(Code::DeadlineExceeded).0, 504);
    }
}
