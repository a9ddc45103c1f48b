//! One call under way: opened once, ended once, whatever happens in between.

use std::net::SocketAddr;
use std::sync::Arc;

use http::{HeaderMap, HeaderValue, StatusCode, response};
use hyper_util::client::legacy::connect::HttpInfo;
use opentelemetry::{KeyValue, Value};

use super::code::Code;
use super::deadline::Deadline;
use super::method::{Asked, OTHER, Proof};
use super::outcome::{End, Ending, Kind, Outcome};
use super::{Shared, has_grpc_content};
use crate::clock::{Elapsed, Moment};
use crate::engine::{Entered, OpenSpan, RPC_SYSTEM};
use crate::findable::findable;
use crate::http::peer_attributes;
use crate::layers::Panicked;
use crate::metrics::{CallObservation, RpcServer};

/// Ends itself when it is dropped: as a panic while unwinding, else as left.
#[derive(Debug)]
pub(super) struct Call {
    /// Boxed, as a flight's is: every request makes room for a call, few are one.
    state: Option<Box<State>>,
}

#[derive(Debug)]
struct State {
    shared: Arc<Shared>,
    side: Side,
    span: OpenSpan,
    started: Moment,
    asked: Asked,
    deadline: Option<Deadline>,
    http: Option<StatusCode>,
    told: Option<Code>,
    /// The server's end of the connection, if the client's transport tells.
    peer: Option<SocketAddr>,
    answer: Option<Answer>,
    /// The panic layer made the response.
    panicked: bool,
}

/// Which side we are, and for a client whom it asked.
#[derive(Debug)]
pub(super) enum Side {
    Server,
    Client(Option<Arc<RpcServer>>),
}

/// The head of a response of gRPC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    /// Messages may follow, then trailers.
    Began,
    /// It has nothing but the status.
    StatusOnly,
}

impl Call {
    pub(super) fn new(
        shared: &Arc<Shared>,
        side: Side,
        span: OpenSpan,
        asked: Asked,
        headers: &HeaderMap,
        started: Moment,
    ) -> Self {
        Self {
            state: Some(Box::new(State {
                shared: Arc::clone(shared),
                side,
                span,
                started,
                asked,
                deadline: Deadline::of(headers),
                http: None,
                told: None,
                peer: None,
                answer: None,
                panicked: false,
            })),
        }
    }

    /// While the guard lives, new spans are children of this call's.
    pub(super) fn enter(&self) -> Option<Entered<'_>> {
        self.state.as_ref().map(|state| state.span.enter())
    }

    /// The head of the response stands.
    pub(super) fn respond(&mut self, response: &mut response::Parts) {
        if let Some(state) = &mut self.state {
            state.respond(response);
        }
    }

    /// The response has ended, and told how it went.
    pub(super) fn trailers(&mut self, trailers: &HeaderMap) {
        if let Some(state) = &mut self.state {
            state.told = Code::told(trailers).or(state.told);
        }
        self.finish(Ending::Complete);
    }

    /// Whether nothing that the body may still bring can change the status.
    pub(super) fn is_settled(&self) -> bool {
        self.state.as_ref().is_none_or(|state| {
            let refused = state.http.is_some_and(|status| status != StatusCode::OK);
            state.told.is_some() || refused
        })
    }

    /// Ends span and metric with one reading; every later call does nothing.
    pub(super) fn finish(&mut self, ending: Ending) {
        if let Some(state) = self.state.take() {
            state.finish(ending);
        }
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        self.finish(if std::thread::panicking() {
            Ending::Panicked
        } else {
            Ending::Left
        });
    }
}

impl State {
    fn respond(&mut self, response: &mut response::Parts) {
        self.http = Some(response.status);
        self.told = Code::told(&response.headers);
        self.panicked = response.extensions.get::<Panicked>().is_some();
        let of_grpc = response.status == StatusCode::OK && has_grpc_content(&response.headers);
        self.answer = of_grpc.then_some(match self.told {
            None => Answer::Began,
            Some(_) => Answer::StatusOnly,
        });
        match self.side {
            Side::Server => self.tell_trace_id(response),
            Side::Client(_) => {
                self.peer = response.extensions.get().map(HttpInfo::remote_addr);
            }
        }
    }

    fn tell_trace_id(&self, response: &mut response::Parts) {
        if let Some(name) = &self.shared.http.config.trace_id_header
            && let Some(ids) = self.span.ids()
            && let Ok(value) = HeaderValue::try_from(ids.trace.to_string())
        {
            response.headers.insert(name.clone(), value);
        }
    }

    fn finish(mut self: Box<Self>, ending: Ending) {
        let ending = match ending {
            Ending::Complete if self.panicked => Ending::Panicked,
            Ending::Complete | Ending::Failed(_) | Ending::Left | Ending::Panicked => ending,
        };
        let elapsed = self.started.elapsed();
        let outcome = Outcome::of(&End {
            kind: self.side.kind(),
            told: self.told,
            http: self.http,
            ending,
            late: self.deadline.is_some_and(|it| it.is_over(elapsed.duration)),
        });
        let method = match self.side {
            Side::Server => self.shared.served.settle(&self.asked, self.proof()),
            // Its names stand in the code.
            Side::Client(_) => self.shared.called.settle(&self.asked, Proof::Answered),
        };
        let marked = self.observe(method, &outcome, elapsed);
        if self.span.is_recording() {
            let peer = self.peer;
            Self::describe(&mut self.span, &self.asked, method, &outcome, peer, marked);
        }
        self.span.end(elapsed);
    }

    /// What the server has shown of the method. Whoever calls chooses the path and the content type,
    /// and when to leave; who guards, limits or routes answers for any path. So it takes a response of
    /// gRPC that began; a status alone, of those that methods give, may be an interceptor's.
    fn proof(&self) -> Proof {
        match (self.answer, self.told) {
            (None, _) | (Some(_), Some(Code::Unimplemented)) => Proof::Nothing,
            (Some(Answer::Began), _) => Proof::Answered,
            (Some(Answer::StatusOnly), told) => match told.is_some_and(Code::comes_from_methods) {
                true => Proof::Refused,
                false => Proof::Nothing,
            },
        }
    }

    /// Says whether the metric took this trace for an exemplar.
    fn observe(&self, method: Option<&str>, outcome: &Outcome, elapsed: Elapsed) -> bool {
        let Some(metrics) = &self.shared.metrics else {
            return false;
        };
        let seen = CallObservation {
            method: method.unwrap_or(OTHER),
            code: outcome.code.as_str(),
            error_type: outcome.error_type.unwrap_or_default(),
            duration: elapsed.duration,
        };
        let exemplar = findable(&self.span, self.shared.http.exemplars.as_ref(), elapsed);
        match &self.side {
            Side::Server => metrics.observe_server(&seen, exemplar),
            Side::Client(server) => metrics.observe_client(&seen, server.as_deref(), exemplar),
        }
    }

    fn describe(
        span: &mut OpenSpan,
        asked: &Asked,
        method: Option<&str>,
        outcome: &Outcome,
        peer: Option<SocketAddr>,
        marked: bool,
    ) {
        let mut attributes = Vec::with_capacity(7);
        let mut add = |key: &'static str, value: Value| attributes.push(KeyValue::new(key, value));
        if method.is_none() {
            span.rename(RPC_SYSTEM.to_owned());
            span.set_again(KeyValue::new("rpc.method", OTHER));
            add("rpc.method_original", asked.as_str().to_owned().into());
        }
        add("rpc.status_code", outcome.code.as_str().into());
        if let Some(error_type) = outcome.error_type {
            add("error.type", error_type.into());
        }
        if marked {
            add("exemplar", "true".into());
        }
        attributes.extend(peer.into_iter().flat_map(peer_attributes));
        span.set_all(attributes);
        if outcome.error_type.is_some() {
            span.fail();
        }
    }
}

impl Side {
    fn kind(&self) -> Kind {
        match self {
            Self::Server => Kind::Server,
            Self::Client(_) => Kind::Client,
        }
    }
}
