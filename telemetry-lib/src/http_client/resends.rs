//! Tells the attempts of one request apart.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// Counts how often a request was sent, across all its clones: `http.request.resend_count`.
///
/// A layer that retries clones the request before the client layer sees it, so the count must be
/// among the extensions before that. Put a fresh one into each request, outside the retries:
///
/// ```
/// use telemetry_lib::Resends;
/// use tower::ServiceBuilder;
/// # fn client<S>(telemetry: &telemetry_lib::Telemetry, client: S) -> impl Sized {
/// ServiceBuilder::new()
///     .map_request(|mut request: http::Request<String>| {
///         request.extensions_mut().insert(Resends::default());
///         request
///     })
///     // .retry(policy)
///     .layer(telemetry.http_client())
///     .service(client)
/// # }
/// ```
///
/// Without it every attempt has its span and its observation all the same, only unnumbered.
#[derive(Clone, Debug, Default)]
pub struct Resends(Arc<AtomicU32>);

impl Resends {
    /// How often the request was sent before this time.
    pub(super) fn next(&self) -> u32 {
        self.0.fetch_add(1, Ordering::Relaxed)
    }
}
