//! The shop: what people talk to. An order asks the stock over HTTP; the client's layer puts the
//! context into the request.

use std::net::SocketAddr;

use axum::Router;
use axum::extract::{Path, State};
use axum::routing::post;
use http::StatusCode;
use telemetry_lib::Telemetry;

use crate::http::{Client, TracedClient};

#[derive(Clone)]
struct Shop {
    client: TracedClient,
    stock: SocketAddr,
}

pub(super) fn routes(telemetry: &Telemetry, stock: SocketAddr) -> Router {
    let shop = Shop {
        client: Client::new().traced(telemetry),
        stock,
    };
    Router::new()
        .route("/orders/{item}", post(order))
        .with_state(shop)
}

async fn order(State(shop): State<Shop>, Path(item): Path<u32>) -> (StatusCode, String) {
    let path = format!("/reserve/{item}");
    match shop.client.post(shop.stock, &path).await {
        Ok(answer) if answer.is_success() => (StatusCode::CREATED, format!("ordered {item}\n")),
        Ok(_) | Err(_) => (
            StatusCode::BAD_GATEWAY,
            "the stock does not answer\n".into(),
        ),
    }
}
