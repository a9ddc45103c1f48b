#![doc = include_str!("../README.md")]
#![warn(missing_docs)]

#[cfg(feature = "axum")]
mod admin;
mod clock;
mod config;
mod doctor;
mod endpoint;
mod engine;
mod export;
mod health;
mod http;
mod init;
mod job;
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
pub use doctor::{Diagnosis, Finding, Severity};
pub use export::{Dropped, SignalReport};
pub use http::{
    EnteredRequest, HttpServer, HttpServerLayer, ResponseFuture, RouteTemplate, ServerRequest,
    Watched,
};
pub use init::{InitError, Report, Telemetry, init};
pub use metrics::catalog;
#[cfg(feature = "axum")]
pub use serve::{Grace, serve_gracefully};

/// The versions that this crate was built with: use these, not copies of your own.
pub use {opentelemetry, opentelemetry_sdk, prometheus, tracing, tracing_opentelemetry};
