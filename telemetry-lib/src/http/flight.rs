//! One request under way: opened once, ended once, whatever happens in between.

use std::sync::Arc;

use http::{HeaderValue, StatusCode, response};
use opentelemetry::trace::TraceContextExt;
use opentelemetry::{Context, KeyValue, Value};

use super::Shared;
use super::captured::capture;
use super::head::{RequestHead, protocol_version};
use super::method::{Folded, span_name};
use super::outcome::{Ending, Outcome};
use super::received::BodySize;
use super::route::{Route, RouteTemplate};
use crate::clock::{Elapsed, Moment};
use crate::config::Callers;
use crate::engine::{Entered, Fields, OpenSpan};
use crate::findable::findable;
use crate::layers::Panicked;
use crate::metrics::{ActiveGuard, Observation};

/// Ends itself when it is dropped: as a panic while unwinding, else as cancelled.
#[derive(Debug)]
pub(crate) struct Flight {
    /// Boxed: it moves with the future and the body through everything that wraps them.
    state: Option<Box<State>>,
}

#[derive(Debug)]
struct State {
    shared: Arc<Shared>,
    span: OpenSpan,
    started: Moment,
    method: Folded,
    scheme: &'static str,
    version: &'static str,
    route: Option<Route>,
    request_body: Option<BodySize>,
    status: Option<StatusCode>,
    /// The panic layer made the response.
    panicked: bool,
    /// Told to nobody, so that only the caller's context passes through.
    skipped: bool,
    _active: Option<ActiveGuard>,
}

impl Flight {
    pub(crate) fn begin(shared: &Arc<Shared>, head: RequestHead<'_>) -> Self {
        let config = &shared.config;
        let method = Folded::new(head.method, &config.known_methods);
        let scheme = head.scheme(config);
        let route = Route::find(head.extensions);
        let started = Moment::now();
        let mut span = open(shared, head, method, route.as_ref());
        if span.is_recording() {
            span.describe(|attributes| {
                head.describe(config, method, scheme, attributes);
                let route = route.as_ref().map(Route::value);
                attributes.extend(route.map(|route| KeyValue::new("http.route", route)));
            });
        }
        let metrics = shared.metrics.as_ref();
        let name = method.as_str(&config.known_methods);
        let active = metrics.map(|it| it.start(method.number(), name, scheme));
        Self {
            state: Some(Box::new(State {
                shared: Arc::clone(shared),
                span,
                started,
                method,
                scheme,
                version: head.version.and_then(protocol_version).unwrap_or_default(),
                route,
                request_body: head.body_size(),
                status: None,
                panicked: false,
                skipped: false,
                _active: active,
            })),
        }
    }

    /// A request that the service does not want to see: it has no span and counts in no metric, and what
    /// it calls belongs to its caller's trace.
    pub(crate) fn skipped(shared: &Arc<Shared>, head: RequestHead<'_>) -> Self {
        let carried = match shared.config.callers {
            Callers::Trusted => shared.propagators.extract(&head.headers).context,
            Callers::Public => Context::new(),
        };
        Self {
            state: Some(Box::new(State {
                shared: Arc::clone(shared),
                span: OpenSpan::carried(carried),
                started: Moment::now(),
                method: Folded::new(head.method, &shared.config.known_methods),
                scheme: "",
                version: "",
                route: None,
                request_body: None,
                status: None,
                panicked: false,
                skipped: true,
                _active: None,
            })),
        }
    }

    /// While the guard lives, spans of the service become children of this request's span.
    pub(crate) fn enter(&self) -> Option<Entered<'_>> {
        self.state.as_ref().map(|state| state.span.enter())
    }

    /// The `tracing` span, for futures that are to run in it.
    pub(crate) fn span(&self) -> tracing::Span {
        let state = self.state.as_ref();
        state.map_or_else(tracing::Span::none, |state| state.span.tracing())
    }

    pub(crate) fn set_route(&mut self, template: RouteTemplate) {
        if let Some(state) = &mut self.state {
            state.route_late(template);
        }
    }

    pub(crate) fn set_status(&mut self, status: StatusCode) {
        if let Some(state) = &mut self.state {
            state.status = Some(status);
        }
    }

    /// The head of the response stands.
    pub(crate) fn respond(&mut self, response: &mut response::Parts) {
        if let Some(state) = &mut self.state {
            state.respond(response);
        }
    }

    /// Ends span and metric with one reading; every later call does nothing.
    pub(crate) fn finish(&mut self, ending: Ending, response_body: Option<u64>) {
        if let Some(state) = self.state.take() {
            state.finish(ending, response_body);
        }
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        let ending = if std::thread::panicking() {
            Ending::Panicked
        } else {
            Ending::Cancelled
        };
        self.finish(ending, None);
    }
}

impl State {
    fn respond(&mut self, response: &mut response::Parts) {
        if self.skipped {
            return;
        }
        self.status = Some(response.status);
        self.panicked = response.extensions.get::<Panicked>().is_some();
        if self.route.is_none()
            && let Some(template) = response.extensions.get::<RouteTemplate>()
        {
            self.route_late(template.clone());
        }
        self.shared.routes.saw(self.route.as_ref());

        let config = &self.shared.config;
        if !config.response_headers.is_empty() && self.span.is_recording() {
            let mut attributes = Vec::new();
            let (headers, allowed) = (&response.headers, &config.response_headers);
            capture("response", headers, allowed, config, &mut attributes);
            attributes.into_iter().for_each(|it| self.span.set(it));
        }
        if let (Some(name), Some(ids)) = (&config.trace_id_header, self.span.ids())
            && let Ok(value) = HeaderValue::try_from(ids.trace.to_string())
        {
            response.headers.insert(name.clone(), value);
        }
    }

    /// A router that tells its template with the response.
    fn route_late(&mut self, template: RouteTemplate) {
        let method = self.method.as_str(&self.shared.config.known_methods);
        let name = span_name(method, Some(template.as_str()));
        let route = Route::Given(template);
        if self.span.is_recording() {
            self.span.rename(name);
            self.span
                .set_again(KeyValue::new("http.route", route.value()));
        }
        self.route = Some(route);
    }

    fn finish(mut self: Box<Self>, ending: Ending, response_body: Option<u64>) {
        let ending = match ending {
            Ending::Complete if self.panicked => Ending::Panicked,
            Ending::Complete | Ending::Failed(_) | Ending::Cancelled | Ending::Panicked => ending,
        };
        let elapsed = self.started.elapsed();
        let outcome = Outcome::new(self.status, ending);
        let marked = self.observe(&outcome, elapsed, response_body);
        if self.span.is_recording() {
            self.describe(&outcome, marked);
        }
        self.span.end(elapsed);
    }

    /// Says whether the metric took this trace for an exemplar.
    fn observe(&self, outcome: &Outcome, elapsed: Elapsed, response_body: Option<u64>) -> bool {
        let Some(metrics) = self.shared.metrics.as_ref().filter(|_| !self.skipped) else {
            return false;
        };
        metrics.observe(&Observation {
            method: self.method.as_str(&self.shared.config.known_methods),
            number: self.method.number(),
            scheme: self.scheme,
            version: self.version,
            route: self.route.as_ref().map(Route::as_str),
            status: outcome.status.map(|status| status.as_u16()),
            error_type: outcome.error_type.as_ref().map(|it| it.as_str()),
            duration: elapsed.duration,
            request_body: self.request_body.as_ref().map(BodySize::get),
            response_body,
            exemplar: findable(&self.span, self.shared.exemplars.as_ref(), elapsed),
        })
    }

    fn describe(&mut self, outcome: &Outcome, marked: bool) {
        if let Some(status) = outcome.status {
            let status = Value::I64(status.as_u16().into());
            self.span
                .set(KeyValue::new("http.response.status_code", status));
        }
        if let Some(error_type) = outcome.error_type {
            self.span
                .set(KeyValue::new("error.type", error_type.to_string()));
        }
        if marked {
            self.span.set(KeyValue::new("exemplar", "true"));
        }
        if outcome.is_error {
            self.span.fail();
        }
    }
}

fn open(shared: &Shared, head: RequestHead<'_>, method: Folded, route: Option<&Route>) -> OpenSpan {
    let extraction = shared.propagators.extract(&head.headers);
    if let Some(metrics) = &shared.metrics {
        for header in extraction.malformed.headers() {
            metrics.malformed(header.as_str());
        }
    }
    let remote = extraction.context;
    if !shared.spans {
        return OpenSpan::carried(remote);
    }
    let method = method.as_str(&shared.config.known_methods);
    let route = route.map(Route::as_str);
    let name = || span_name(method, route);
    let fields = Fields {
        method,
        route,
        path: head.path(),
    };
    match shared.config.callers {
        Callers::Trusted => OpenSpan::server(remote, name, fields),
        Callers::Public => {
            // Its baggage stays outside, too.
            let span = OpenSpan::server(Context::new(), name, fields);
            let caller = remote.span().span_context().clone();
            if caller.is_valid() {
                span.link(caller);
            }
            span
        }
    }
}
