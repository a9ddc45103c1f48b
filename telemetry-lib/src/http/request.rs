//! The door for frameworks that are not tower: a request begun and finished by hand.

use std::sync::Arc;

use http::StatusCode;

use super::Shared;
use super::flight::Flight;
use super::head::RequestHead;
use super::outcome::Ending;
use super::route::RouteTemplate;
use crate::engine::Entered;

/// A request under way. Dropping it before [`finish`](Self::finish) records it as cancelled,
/// or as a panic while unwinding.
#[derive(Debug)]
#[must_use = "dropping it ends the request as cancelled"]
pub struct ServerRequest {
    flight: Flight,
}

/// While it lives, new spans on this thread are children of the request's.
#[must_use = "dropping it leaves the request's span"]
pub struct EnteredRequest<'r>(
    #[expect(dead_code, reason = "held for its drop")] Option<Entered<'r>>,
);

impl ServerRequest {
    pub(crate) fn begin(shared: &Arc<Shared>, head: RequestHead<'_>) -> Self {
        let skips = shared.config.skips(head.uri.path());
        let begin = if skips {
            Flight::skipped
        } else {
            Flight::begin
        };
        Self {
            flight: begin(shared, head),
        }
    }

    /// Tells which route the framework matched; the span is renamed.
    pub fn set_route(&mut self, template: RouteTemplate) {
        self.flight.set_route(template);
    }

    /// Enters the request's span on this thread; never hold it across an `await`.
    pub fn enter(&self) -> EnteredRequest<'_> {
        EnteredRequest(self.flight.enter())
    }

    /// The request's span, for `tracing::Instrument`.
    #[must_use]
    pub fn span(&self) -> tracing::Span {
        self.flight.span()
    }

    /// The response was handed over, its body included.
    pub fn finish(mut self, status: StatusCode) {
        self.flight.set_status(status);
        self.flight.finish(Ending::Complete, None);
    }

    /// There was no response, or its body broke: an error whose `error.type` is `error_type`, such as
    /// the name of the error's type; it becomes a label. `status` is that of the head, if it was sent.
    pub fn fail(mut self, status: Option<StatusCode>, error_type: &'static str) {
        if let Some(status) = status {
            self.flight.set_status(status);
        }
        self.flight.finish(Ending::Failed(error_type), None);
    }
}

impl std::fmt::Debug for EnteredRequest<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("EnteredRequest")
    }
}
