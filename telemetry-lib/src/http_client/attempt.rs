//! One attempt under way: opened once, ended once, whatever happens in between.

use std::net::SocketAddr;
use std::sync::Arc;

use http::{Extensions, HeaderMap, Method, Request, StatusCode, Uri};
use hyper_util::client::legacy::connect::HttpInfo;
use opentelemetry::{Context, KeyValue, Value};

use super::Shared;
use super::answer::Answer;
use super::resends::Resends;
use super::target::{Target, full_url};
use crate::clock::{Elapsed, Moment};
use crate::engine::{ClientFields, Entered, OpenSpan};
use crate::findable::findable;
use crate::http::{
    Ending, ErrorType, Folded, Outcome, peer_attributes, protocol_version, span_name,
};
use crate::metrics::ClientObservation;
use crate::propagation;

/// Ends itself when it is dropped: as a panic while unwinding, else as cancelled.
#[derive(Debug)]
pub(super) struct Attempt {
    state: Option<State>,
}

#[derive(Debug)]
struct State {
    shared: Arc<Shared>,
    span: OpenSpan,
    started: Moment,
    method: Folded,
    target: Target,
}

/// What the layer needs of a request, whatever type the client takes.
#[derive(Clone, Copy, Debug)]
pub(super) struct RequestHead<'r> {
    pub(super) method: &'r Method,
    pub(super) uri: &'r Uri,
    pub(super) headers: &'r HeaderMap,
    pub(super) extensions: &'r Extensions,
}

impl<'r> RequestHead<'r> {
    pub(super) fn of<A>(request: &'r Request<A>) -> Self {
        Self {
            method: request.method(),
            uri: request.uri(),
            headers: request.headers(),
            extensions: request.extensions(),
        }
    }
}

impl Attempt {
    /// Opens the span under the current context.
    pub(super) fn begin(shared: &Arc<Shared>, head: RequestHead<'_>) -> Self {
        let known = &shared.http.known_methods;
        let method = Folded::new(head.method, known);
        let target = Target::of(head.uri, head.headers);
        let started = Moment::now();
        let mut span = if shared.spans {
            OpenSpan::client(ClientFields {
                name: &span_name(method.as_str(known), None),
                method: method.as_str(known),
                address: &target.address,
                port: target.port,
            })
        } else {
            OpenSpan::carried(Context::current())
        };
        let resends = head.extensions.get::<Resends>().map(Resends::next);
        if span.is_recording() {
            let url = full_url(head.uri, &target, &shared.http);
            span.set(KeyValue::new("url.full", url));
            if let Some(resends @ 1..) = resends {
                let resends = i64::from(resends);
                span.set(KeyValue::new("http.request.resend_count", resends));
            }
            if method.is_other() {
                let original = head.method.as_str().to_owned();
                span.set(KeyValue::new("http.request.method_original", original));
            }
        }
        Self {
            state: Some(State {
                shared: Arc::clone(shared),
                span,
                started,
                method,
                target,
            }),
        }
    }

    /// Writes the context into the headers.
    pub(super) fn inject(&self, headers: &mut HeaderMap) {
        if let Some(state) = &self.state {
            let shared = &state.shared;
            let host = shared.http.host(&state.target.address);
            propagation::stamp(state.span.context(), headers, shared.propagators, host);
        }
    }

    pub(super) fn enter(&self) -> Option<Entered<'_>> {
        self.state.as_ref().map(|state| state.span.enter())
    }

    /// The head of the response is there.
    pub(super) fn answered(&mut self, answer: &impl Answer) {
        if let Some(state) = self.state.take() {
            let version = protocol_version(answer.version()).unwrap_or_default();
            let peer = answer.extensions().get().map(HttpInfo::remote_addr);
            state.finish(
                outcome(Some(answer.status()), Ending::Complete),
                version,
                peer,
            );
        }
    }

    /// There will be no response. Every call after the first end does nothing.
    pub(super) fn finish(&mut self, ending: Ending) {
        if let Some(state) = self.state.take() {
            state.finish(outcome(None, ending), "", None);
        }
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        let ending = if std::thread::panicking() {
            Ending::Panicked
        } else {
            Ending::Cancelled
        };
        self.finish(ending);
    }
}

impl State {
    fn finish(mut self, outcome: Outcome, version: &'static str, peer: Option<SocketAddr>) {
        let elapsed = self.started.elapsed();
        let marked = self.observe(&outcome, version, elapsed);
        if self.span.is_recording() {
            self.describe(&outcome, version, peer, marked);
        }
        self.span.end(elapsed);
    }

    /// Says whether the metric took this trace for an exemplar.
    fn observe(&self, outcome: &Outcome, version: &str, elapsed: Elapsed) -> bool {
        let Some(metrics) = &self.shared.metrics else {
            return false;
        };
        metrics.observe(&ClientObservation {
            method: self.method.as_str(&self.shared.http.known_methods),
            address: &self.target.address,
            port: self.target.port,
            version,
            status: outcome.status.map(|status| status.as_u16()),
            error_type: outcome.error_type.as_ref().map(ErrorType::as_str),
            duration: elapsed.duration,
            exemplar: findable(&self.span, self.shared.exemplars.as_ref(), elapsed),
        })
    }

    fn describe(
        &mut self,
        outcome: &Outcome,
        version: &'static str,
        peer: Option<SocketAddr>,
        marked: bool,
    ) {
        let mut attributes = Vec::with_capacity(6);
        if let Some(status) = outcome.status {
            let status = Value::I64(status.as_u16().into());
            attributes.push(KeyValue::new("http.response.status_code", status));
        }
        if let Some(error_type) = outcome.error_type {
            attributes.push(KeyValue::new("error.type", error_type.to_string()));
        }
        if !version.is_empty() {
            attributes.push(KeyValue::new("network.protocol.version", version));
        }
        attributes.extend(peer.into_iter().flat_map(peer_attributes));
        if marked {
            attributes.push(KeyValue::new("exemplar", "true"));
        }
        self.span.set_all(attributes);
        if outcome.is_error {
            self.span.fail();
        }
    }
}

/// A client has failed with a 4xx as well. Who drops the future wanted it to end: no error.
fn outcome(status: Option<StatusCode>, ending: Ending) -> Outcome {
    let server = Outcome::new(status, ending);
    match status.filter(StatusCode::is_client_error) {
        Some(status) if ending == Ending::Complete => Outcome {
            status: Some(status),
            error_type: Some(ErrorType::Status(status)),
            is_error: true,
        },
        Some(_) | None => server,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_from_400_is_an_error_of_the_client_and_leaving_is_none() {
        let check = |code: Option<u16>, ending, error_type: Option<&str>, is_error| {
            let status = code.map(|code| StatusCode::from_u16(code).unwrap());
            let outcome = outcome(status, ending);
            let shown = outcome.error_type.as_ref().map(ErrorType::as_str);
            assert_eq!(shown, error_type, "{code:?} {ending:?}");
            assert_eq!(outcome.is_error, is_error, "{code:?} {ending:?}");
            assert_eq!(outcome.status, status);
        };
        for code in [101, 200, 204, 304, 399] {
            check(Some(code), Ending::Complete, None, false);
        }
        for code in [400, 404, 499, 500, 503] {
            check(Some(code), Ending::Complete, Some(&code.to_string()), true);
        }
        check(None, Ending::Cancelled, Some("cancelled"), false);
        check(None, Ending::Failed("timeout"), Some("timeout"), true);
        check(None, Ending::Panicked, Some("panic"), true);
    }
}
