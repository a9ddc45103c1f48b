//! The shop: what people talk to. An order asks the stock over HTTP, with the trace's context.

use std::net::SocketAddr;

use axum::Router;
use axum::extract::{Path, State};
use axum::routing::post;
use http::{HeaderMap, Method, StatusCode};
use telemetry_lib::opentelemetry::Context;
use telemetry_lib::propagation::{self, HeaderCarrierMut};
use tracing::{Instrument, field};

use crate::http::Client;

#[derive(Clone)]
struct Shop {
    client: Client,
    stock: SocketAddr,
}

pub(super) fn routes(stock: SocketAddr) -> Router {
    let shop = Shop {
        client: Client::new(),
        stock,
    };
    Router::new()
        .route("/orders/{item}", post(order))
        .with_state(shop)
}

async fn order(State(shop): State<Shop>, Path(item): Path<u32>) -> (StatusCode, String) {
    match shop.reserve(item).await {
        Some(200) => (StatusCode::CREATED, format!("ordered {item}\n")),
        Some(_) | None => (
            StatusCode::BAD_GATEWAY,
            "the stock does not answer\n".into(),
        ),
    }
}

impl Shop {
    /// The status of the stock's answer; one client span around the call.
    async fn reserve(&self, item: u32) -> Option<u16> {
        let span = tracing::info_span!(
            "POST",
            otel.kind = "client",
            http.request.method = "POST",
            server.address = "127.0.0.1",
            server.port = self.stock.port(),
            http.response.status_code = field::Empty,
            error.r#type = field::Empty,
            otel.status_code = field::Empty,
        );
        let called = async {
            let mut headers = HeaderMap::new();
            propagation::inject(&Context::current(), &mut HeaderCarrierMut(&mut headers));
            let path = format!("/reserve/{item}");
            self.client
                .call(Method::POST, self.stock, &path, headers)
                .await
        };
        let answer = called.instrument(span.clone()).await;
        let status = answer.ok().map(|answer| answer.status);
        if let Some(status) = status {
            span.record("http.response.status_code", status);
        }
        if status != Some(200) {
            let kind = status.map_or("no_answer".to_owned(), |status| status.to_string());
            span.record("error.type", kind.as_str());
            span.record("otel.status_code", "ERROR");
        }
        status
    }
}
