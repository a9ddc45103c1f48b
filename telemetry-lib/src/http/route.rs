//! The route template of a request: from axum, or from whoever routes; never the path.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use http::Extensions;
use opentelemetry::{StringValue, Value};

use crate::notice::Notices;

/// The template that a router other than axum's matched, such as `/users/{id}`.
///
/// Put it into the extensions of the request, before the layer, or of the response, after
/// the routing. It becomes a label: it must come from the code, never from the request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouteTemplate(Arc<str>);

/// A template without a copy of its text.
#[derive(Clone, Debug)]
pub(crate) enum Route {
    #[cfg(feature = "axum")]
    Axum(axum::extract::MatchedPath),
    Given(RouteTemplate),
}

/// Notices a layer that stands where no route can be seen.
#[derive(Debug)]
pub(crate) struct RouteWatch {
    /// Requests without a route; [`SEEN`](Self::SEEN) once there was one.
    without: AtomicU32,
    notices: Notices,
}

impl RouteTemplate {
    /// Takes a template of the service's own.
    #[must_use]
    pub fn new(template: impl Into<Arc<str>>) -> Self {
        Self(template.into())
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl Route {
    pub(crate) fn find(extensions: &Extensions) -> Option<Self> {
        #[cfg(feature = "axum")]
        if let Some(matched) = extensions.get::<axum::extract::MatchedPath>() {
            return Some(Self::Axum(matched.clone()));
        }
        extensions.get().cloned().map(Self::Given)
    }

    pub(crate) fn as_str(&self) -> &str {
        match self {
            #[cfg(feature = "axum")]
            Self::Axum(matched) => matched.as_str(),
            Self::Given(template) => template.as_str(),
        }
    }

    /// As an attribute's value.
    pub(crate) fn value(&self) -> Value {
        match self {
            #[cfg(feature = "axum")]
            Self::Axum(matched) => crate::text::shared(matched.as_str().as_bytes()).into(),
            Self::Given(RouteTemplate(template)) => StringValue::from(Arc::clone(template)).into(),
        }
    }
}

impl RouteWatch {
    /// Requests without any route until the operator is told.
    const PATIENCE: u32 = 100;
    const SEEN: u32 = u32::MAX;

    pub(crate) fn new(notices: Notices) -> Self {
        Self {
            without: AtomicU32::new(0),
            notices,
        }
    }

    pub(crate) fn saw(&self, route: Option<&Route>) {
        let before = self.without.load(Ordering::Relaxed);
        if before == Self::SEEN {
            return;
        }
        if route.is_some() {
            self.without.store(Self::SEEN, Ordering::Relaxed);
            return;
        }
        // Two threads may count as one: a late notice is good enough.
        self.without.store(before + 1, Ordering::Relaxed);
        if before + 1 == Self::PATIENCE {
            self.without.store(Self::SEEN, Ordering::Relaxed);
            self.notices.once("no route template", || {
                "no route template seen in 100 requests, so http.route is missing: call \
                 `telemetry.instrument(router)` last, on the router that has the routes; \
                 below `nest_service` and in fallbacks there is no template"
                    .to_owned()
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::notice::tests::recorded;

    fn requests(routes: impl IntoIterator<Item = bool>) -> usize {
        let (notices, lines) = recorded();
        let watch = RouteWatch::new(notices);
        let route = Route::Given(RouteTemplate::new("/a"));
        for has_route in routes {
            watch.saw(has_route.then_some(&route));
        }
        lines.lock().unwrap().len()
    }

    #[test]
    fn a_hundred_requests_without_a_route_are_told_once() {
        assert_eq!(requests([false; 99]), 0);
        assert_eq!(requests([false; 100]), 1);
        assert_eq!(requests([false; 300]), 1);
    }

    #[test]
    fn one_route_is_enough_to_stay_silent() {
        assert_eq!(requests([true].into_iter().chain([false; 300])), 0);
    }
}
