//! Correct traces, metrics and logs for a Rust service, in two lines:
//!
//! ```no_run
//! use axum::{Router, extract::Path, routing::get};
//! use telemetry_lib::{Config, Grace};
//!
//! async fn user(Path(id): Path<u64>) -> String {
//!     format!("user {id}")
//! }
//!
//! #[tokio::main]
//! async fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let telemetry = telemetry_lib::init(Config::from_env("orders"))?;
//!     let app = telemetry.instrument(Router::new().route("/users/{id}", get(user)));
//!
//!     let listener = tokio::net::TcpListener::bind("127.0.0.1:8080").await?;
//!     let report =
//!         telemetry_lib::serve_gracefully(&telemetry, listener, app, Grace::default()).await?;
//!     eprintln!("{report}");
//!     Ok(())
//! }
//! ```
//!
//! Spans go to an OpenTelemetry Collector over OTLP/HTTP; `/metrics` answers Prometheus with
//! exemplars of the traces; log lines on stdout carry `trace_id` and `span_id`. `OTEL_*`
//! variables are honoured. What deviates from the OpenTelemetry specification, and why, stands
//! in the README of this crate.
#![warn(missing_docs)]

#[cfg(feature = "axum")]
mod admin;
mod clock;
mod config;
mod endpoint;
mod engine;
mod export;
mod health;
mod http;
mod init;
pub mod layers;
mod log;
mod metrics;
mod notice;
pub mod propagation;
mod resource;
#[cfg(feature = "axum")]
mod router;
#[cfg(feature = "axum")]
mod serve;
#[cfg(any(test, feature = "testing"))]
pub mod testing;

pub use config::{Callers, Config, EndpointError, Endpoints, LogFormat, Network, NetworkError};
pub use export::{Dropped, SignalReport};
pub use http::{HttpServer, HttpServerLayer, ResponseFuture, RouteTemplate, Watched};
pub use init::{InitError, Report, Telemetry, init};
pub use metrics::catalog;
#[cfg(feature = "axum")]
pub use serve::{Grace, serve_gracefully};

/// The versions that this crate was built with: use these, not copies of your own.
pub use {opentelemetry, opentelemetry_sdk, prometheus, tracing, tracing_opentelemetry};
