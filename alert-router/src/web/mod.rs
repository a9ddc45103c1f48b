//! What people and programs see of this server over HTTP, beside the intake of webhooks.

mod api;
mod forms;
mod guard;
mod kept;
mod page;
mod reader;
mod ready;
mod refusal;
mod routes;
mod serve;
mod trials;
mod view;

pub(crate) use api::OPENAPI;
pub use reader::language_of;
pub use ready::Proof;
pub use serve::serve;
pub use trials::Trials;

use std::sync::Arc;

use axum::Router;
use axum::middleware;
use axum::routing::{any, get, post};
use telemetry_lib::Telemetry;
use tokio::sync::watch;

use crate::dead_letter::Resender;
use crate::metrics::Metrics;
use crate::quarantine::Quarantine;
use crate::reload::Reloader;
use crate::render::Language;
use crate::step::StepHandle;
use crate::store::Store;
use crate::webhook::{self, Intake};

/// Paths that programs ask all the time, for `telemetry_lib::Config::skip_paths`: their requests have
/// neither spans nor metrics, which would show those who look instead of those who come.
pub const PROBES: [&str; 3] = ["/-/healthy", "/-/ready", "/metrics"];

/// What the handlers need.
#[derive(Clone)]
pub struct Web {
    /// Takes webhooks; the test button goes the same way.
    pub intake: Intake,
    /// Reads what is stored.
    pub store: Arc<dyn Store>,
    /// Asks for what is in memory, and changes things.
    pub step: StepHandle,
    /// Holds unreadable bodies.
    pub quarantine: Quarantine,
    /// Sends dead letters again as they were.
    pub resender: Resender,
    /// Lets one test message go at a time.
    pub trials: Trials,
    /// Exposes metrics.
    pub metrics: Arc<Metrics>,
    /// Says that something changed, for open pages.
    pub changes: watch::Receiver<u64>,
    /// Where this server listens, as people reach it.
    pub url: Arc<str>,
    /// Whether work is taken: false while starting and stopping.
    pub ready: watch::Receiver<bool>,
    /// When the store last took a write that somebody asked for by `/-/ready`.
    pub proof: Proof,
    /// Reads the config anew.
    pub reloader: Arc<Reloader>,
    /// Answers `/metrics`: ours, and those of the process.
    pub telemetry: Telemetry,
}

impl Web {
    /// The language of the config, for whoever asks for none.
    fn language(&self) -> Language {
        self.intake.plan.borrow().config().locale.language
    }
}

/// All routes of this server.
pub fn router(web: Web) -> Router {
    let intake = Router::new()
        .route(
            "/webhook",
            post(webhook::post_default).fallback(webhook::wrong_method),
        )
        .route(
            "/webhook/{source}",
            post(webhook::post_source).fallback(webhook::wrong_method),
        )
        .with_state(web.intake.clone());
    Router::new()
        .route("/", get(page::whole))
        .route("/view", get(page::view))
        .route("/metrics", get(api::metrics))
        .route("/-/reload", post(api::reload))
        .merge(routes::api())
        .merge(forms::routes(&web))
        .method_not_allowed_fallback(api::wrong_method)
        .fallback(any(api::not_found))
        .layer(middleware::from_fn_with_state(
            web.intake.plan.clone(),
            guard::guard,
        ))
        .route("/-/healthy", get(api::healthy))
        .route("/-/ready", get(ready::ready))
        .with_state(web)
        .merge(intake)
}
