//! Messages of any broker: the span of sending or processing one, and its context on the way.
//!
//! A broker's client is not wrapped here: there are too many, and each has its own headers. What
//! they have in common is small: a span of the right kind and name, opened under the sender's or
//! linked to several senders', and a context that is written to or read from a list of headers
//! (`propagation`). Done by hand it goes wrong in the order of things (the parent must be known
//! before the span is made) and cannot link, which `tracing` has no word for. So there is one
//! method, `Telemetry::message`, and three on what it returns.

use std::fmt;

use opentelemetry::propagation::Injector;
use opentelemetry::trace::TraceContextExt;
use opentelemetry::{Context, KeyValue};

use crate::clock::Moment;
use crate::engine::{MessageFields, MessageKind, OpenSpan};
use crate::propagation::Propagators;
use crate::work;

/// What is done with a message; the types of the semantic conventions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// One of a batch is made: its context goes into its headers.
    Create,
    /// One message, or a batch, is handed to the broker.
    Send,
    /// Messages are asked for.
    Receive,
    /// Messages are worked on.
    Process,
    /// Messages are acknowledged, or refused.
    Settle,
}

/// Where the span of a message belongs.
#[derive(Clone, Debug, Default)]
pub enum Origin {
    /// Under the current span: whoever sends.
    #[default]
    Current,
    /// In the sender's trace, under its span, with its baggage: for one message at a time. An
    /// empty context begins a trace.
    Parent(Context),
    /// Under the current span, linked to the senders' spans: for a batch. Contexts without a
    /// span are left out; at most OTEL_SPAN_LINK_COUNT_LIMIT (128) links are kept.
    Links(Vec<Context>),
}

/// The span of a message, open; made by [`Telemetry::message`](crate::Telemetry::message).
///
/// Dropping it ends it without an outcome.
#[must_use = "run the work in it"]
pub struct Message {
    /// Taken by whoever runs work in it.
    span: Option<OpenSpan>,
    opened: Moment,
    propagators: Propagators,
}

impl Message {
    pub(crate) fn open(
        (spans, propagators): (bool, Propagators),
        operation: Operation,
        (system, destination): (&str, &str),
        origin: Origin,
    ) -> Self {
        let (parent, links) = match origin {
            Origin::Current => (Context::current(), None),
            Origin::Parent(parent) => (parent, None),
            Origin::Links(links) => (Context::current(), Some(links)),
        };
        if !spans {
            let span = OpenSpan::carried(parent);
            return Self {
                span: Some(span),
                opened: Moment::now(),
                propagators,
            };
        }
        let count = links.as_ref().map(Vec::len);
        let senders = links.into_iter().flatten();
        let senders = senders.map(|context| context.span().span_context().clone());
        let fields = MessageFields {
            name: &format!("{} {destination}", operation.as_str()),
            kind: operation.kind(),
            operation: operation.as_str(),
            operation_type: operation.as_str(),
            system,
            destination,
        };
        let senders = senders.filter(|sender| sender.is_valid());
        let opened = Moment::now();
        let mut span = OpenSpan::message(parent, senders, fields);
        if let Some(count) = count {
            let count = i64::try_from(count).unwrap_or(i64::MAX);
            span.set(KeyValue::new("messaging.batch.message_count", count));
        }
        Self {
            span: Some(span),
            opened,
            propagators,
        }
    }

    /// Writes the span's context into the headers of a message; see
    /// [`propagation`](crate::propagation) for carriers.
    pub fn inject(&self, carrier: &mut dyn Injector) {
        if let Some(span) = &self.span {
            self.propagators.inject(span.context(), carrier);
        }
    }

    /// Runs `work` in the span and ends it with the outcome. Dropped before its end it counts as
    /// cancelled.
    ///
    /// # Errors
    ///
    /// What `work` returns; the name of the error's type is recorded, never its text.
    pub async fn run<T, E>(mut self, work: impl Future<Output = Result<T, E>>) -> Result<T, E> {
        work::run(self.take(), |_, _| {}, work).await
    }

    /// [`run`](Self::run) without `async`.
    ///
    /// # Errors
    ///
    /// What `work` returns.
    pub fn in_scope<T, E>(mut self, work: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
        work::run_here(self.take(), |_, _| {}, work)
    }

    fn take(&mut self) -> OpenSpan {
        self.span
            .take()
            .expect("only `run`, `in_scope` and `drop` take it, and each consumes the message")
    }
}

impl Drop for Message {
    fn drop(&mut self) {
        if let Some(mut span) = self.span.take() {
            span.end(self.opened.elapsed());
        }
    }
}

impl Operation {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Send => "send",
            Self::Receive => "receive",
            Self::Process => "process",
            Self::Settle => "settle",
        }
    }

    const fn kind(self) -> MessageKind {
        match self {
            Self::Create | Self::Send => MessageKind::Producer,
            Self::Process => MessageKind::Consumer,
            Self::Receive | Self::Settle => MessageKind::Client,
        }
    }
}

impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Message").finish_non_exhaustive()
    }
}
