//! `/metrics`, `/healthz` and `/readyz`: what they say, wherever they are served.

use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode, header};

use crate::config::Endpoints;
use crate::health::Readiness;
use crate::metrics::Metrics;
use crate::notice::Notices;

/// A path that we may answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Endpoint {
    Metrics,
    Live,
    Ready,
}

/// The endpoints of one handle.
#[derive(Debug)]
pub(crate) struct EndpointSet {
    allowed: Endpoints,
    metrics: Metrics,
    readiness: Readiness,
    #[cfg_attr(
        not(feature = "axum"),
        expect(dead_code, reason = "only axum's routes can win")
    )]
    notices: Notices,
    /// An admin port serves `/metrics`, so the service's own port does not.
    metrics_moved: AtomicBool,
}

impl EndpointSet {
    pub(crate) fn new(
        allowed: Endpoints,
        metrics: Metrics,
        readiness: Readiness,
        notices: Notices,
    ) -> Self {
        Self {
            allowed,
            metrics,
            readiness,
            notices,
            metrics_moved: AtomicBool::new(false),
        }
    }

    /// The endpoint that the service's port answers for this request.
    pub(crate) fn find(&self, method: &Method, path: &str) -> Option<Endpoint> {
        let endpoint = Endpoint::of(method, path)?;
        let allowed = match (self.allowed, endpoint) {
            (Endpoints::None, _) => false,
            (Endpoints::Health, Endpoint::Metrics) => false,
            (Endpoints::All, Endpoint::Metrics) => !self.metrics_moved.load(Ordering::Relaxed),
            (Endpoints::All | Endpoints::Health, Endpoint::Live | Endpoint::Ready) => true,
        };
        allowed.then_some(endpoint)
    }

    pub(crate) fn answer(&self, endpoint: Endpoint, headers: &HeaderMap) -> Response<Bytes> {
        match endpoint {
            Endpoint::Metrics => self.metrics.render(headers),
            Endpoint::Live => text(StatusCode::OK, "ok\n"),
            Endpoint::Ready if self.readiness.get() => text(StatusCode::OK, "ready\n"),
            Endpoint::Ready => text(StatusCode::SERVICE_UNAVAILABLE, "stopping\n"),
        }
    }

    /// The service's requests come on this thread; scrapes of an admin port do not.
    #[cfg(feature = "axum")]
    pub(crate) fn serves_here(&self) {
        self.metrics.watch_this_runtime();
    }

    /// A route of the user's takes `path`; a catch-all probably does not mean to.
    #[cfg(feature = "axum")]
    pub(crate) fn route_wins(&self, path: &str, route: &str) {
        if route != path {
            self.notices.once("swallowed endpoint", || {
                format!(
                    "the route {route} takes {path}, so telemetry does not answer it: add a \
                     route for {path}, or serve it elsewhere with `telemetry.admin`"
                )
            });
        }
    }

    pub(crate) fn move_metrics(&self) {
        self.metrics_moved.store(true, Ordering::Relaxed);
    }
}

impl Endpoint {
    /// A server leaves the body out of an answer to HEAD.
    pub(crate) fn of(method: &Method, path: &str) -> Option<Self> {
        if *method != Method::GET && *method != Method::HEAD {
            return None;
        }
        match path {
            "/metrics" => Some(Self::Metrics),
            "/healthz" => Some(Self::Live),
            "/readyz" => Some(Self::Ready),
            _ => None,
        }
    }
}

fn text(status: StatusCode, text: &'static str) -> Response<Bytes> {
    let mut response = Response::new(Bytes::from_static(text.as_bytes()));
    *response.status_mut() = status;
    let plain = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, plain);
    response
}
