//! What the specifications say, row by row, against what is on the wire: requests go over real
//! sockets to a real server, and what is checked are the OTLP bytes that a collector received or
//! the page that a scraper got, never a getter.
//!
//! Each module is one chapter and begins with its table.
#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests, too, fail by panicking"
)]

mod accept;
mod context;
mod environment;
mod export;
mod exposition;
mod foreign;
mod http_client;
mod http_metrics;
mod http_span;
mod invalid;
mod messaging;
#[path = "../http_client/net.rs"]
#[expect(dead_code, reason = "shared with the tests of http_client")]
mod net;
mod read;
mod resource;
mod rpc;
mod service;
#[path = "../shop/mod.rs"]
#[expect(dead_code, reason = "shared with the tests of grpc")]
mod shop;
