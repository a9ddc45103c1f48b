#![doc = include_str!("../README.md")]
#![warn(missing_docs)]

mod admin;
mod clock;
mod config;
mod doctor;
mod endpoint;
mod engine;
mod error_type;
mod export;
mod findable;
mod fork;
mod gate;
mod grpc;
mod health;
mod http;
mod http_client;
mod init;
mod job;
pub mod layers;
mod log;
mod messaging;
mod metrics;
mod notice;
pub mod propagation;
mod redact;
mod resource;
#[cfg(feature = "axum")]
mod router;
#[cfg(feature = "axum")]
mod serve;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
mod text;
mod work;

pub use config::{
    Callers, Config, EndpointError, Endpoints, HostRule, HostRuleError, LogFormat, Network,
    NetworkError,
};
pub use doctor::{Diagnosis, Finding, Severity};
pub use export::{Dropped, SignalReport};
pub use http::{EnteredRequest, RouteTemplate, ServerRequest};
pub use http_client::Resends;
pub use init::{InitError, Report, Telemetry, init};
pub use log::LogFilterError;
pub use messaging::{Message, Operation, Origin};
pub use metrics::Exemplars;
#[cfg(feature = "axum")]
pub use serve::{Grace, serve_gracefully};

/// The versions that this crate was built with: use these, not copies of your own.
pub use {opentelemetry, opentelemetry_sdk, prometheus, tracing, tracing_opentelemetry};
