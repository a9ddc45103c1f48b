//! One span, open: made under a remote parent, changed late, ended at a given instant.

use std::time::SystemTime;

use opentelemetry::trace::{SpanContext, SpanId, Status, TraceContextExt, TraceId};
use opentelemetry::{Context, ContextGuard, KeyValue};
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;

use super::finish;
use crate::clock::Elapsed;

/// What is known when a server span starts: all that a sampler may ask for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fields<'a> {
    pub(crate) name: &'a str,
    pub(crate) method: &'a str,
    pub(crate) route: Option<&'a str>,
    pub(crate) path: &'a str,
}

/// A span's address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ids {
    pub(crate) trace: TraceId,
    pub(crate) span: SpanId,
}

/// A `tracing` span and its OpenTelemetry context.
#[derive(Debug)]
pub(crate) struct OpenSpan {
    span: Span,
    /// The span's own context; the caller's if the span is disabled or has no engine.
    context: Context,
    /// Nothing attaches the caller's context for us, so entering must.
    carried: bool,
}

/// While it lives, new spans are children of the entered one.
pub(crate) enum Entered<'a> {
    Span {
        _guard: tracing::span::Entered<'a>,
    },
    Carried {
        _guard: ContextGuard,
        _span: tracing::span::Entered<'a>,
    },
}

impl OpenSpan {
    /// Opens a server span under `parent`, which is empty for a new trace.
    pub(crate) fn server(parent: Context, fields: Fields<'_>) -> Self {
        // Not `set_parent`: a layer that reads ids on creation would already have started
        // the span, and the parent would be refused.
        let attached = parent.clone().attach();
        let span = tracing::info_span!(
            target: "telemetry_lib::http",
            "request",
            otel.name = fields.name,
            otel.kind = "server",
            http.request.method = fields.method,
            http.route = fields.route,
            url.path = fields.path,
        );
        drop(attached);
        Self::started(span, parent)
    }

    /// Opens a span for work of the service's own, under whatever is current.
    pub(crate) fn job(name: &'static str) -> Self {
        let span = tracing::info_span!(
            target: "telemetry_lib::job",
            "job",
            otel.name = name,
            otel.kind = "internal",
        );
        Self::started(span, Context::current())
    }

    /// The sampler runs here at the latest, before code of the service.
    pub(super) fn started(span: Span, parent: Context) -> Self {
        let own = span.context();
        let carried = !own.span().span_context().is_valid();
        Self {
            span,
            context: if carried { parent } else { own },
            carried,
        }
    }

    /// No span of ours: the caller's context passes through unchanged.
    pub(crate) fn carried(caller: Context) -> Self {
        Self {
            span: Span::none(),
            context: caller,
            carried: true,
        }
    }

    pub(crate) fn enter(&self) -> Entered<'_> {
        if self.carried {
            Entered::Carried {
                _guard: self.context.clone().attach(),
                _span: self.span.enter(),
            }
        } else {
            Entered::Span {
                _guard: self.span.enter(),
            }
        }
    }

    /// What travels on: the span's own context, or the caller's.
    pub(crate) fn context(&self) -> &Context {
        &self.context
    }

    pub(crate) fn tracing(&self) -> Span {
        self.span.clone()
    }

    /// The ids of a span of our own; none if it is disabled or without an engine.
    pub(crate) fn ids(&self) -> Option<Ids> {
        if self.carried {
            return None;
        }
        let span = self.context.span();
        let context = span.span_context();
        Some(Ids {
            trace: context.trace_id(),
            span: context.span_id(),
        })
    }

    /// Whether somebody will see the span.
    pub(crate) fn is_sampled(&self) -> bool {
        !self.carried && self.context.span().span_context().is_sampled()
    }

    /// Whether attributes are worth building.
    pub(crate) fn is_recording(&self) -> bool {
        !self.carried && self.context.span().is_recording()
    }

    pub(crate) fn rename(&self, name: String) {
        self.context.span().update_name(name);
    }

    pub(crate) fn set(&self, attributes: Vec<KeyValue>) {
        self.context.span().set_attributes(attributes);
    }

    /// An error that the status code or `error.type` explains needs no description.
    pub(crate) fn fail(&self) {
        self.context.span().set_status(Status::error(""));
    }

    pub(crate) fn link(&self, to: SpanContext) {
        self.context.span().add_link(to, Vec::new());
    }

    /// Ends the span with the reading that the metric uses, its start included: the bridge has read
    /// the time itself, and between the two readings a call site may have been visited for the
    /// first time or the thread been put aside.
    pub(crate) fn end(&self, elapsed: Elapsed) {
        finish::started_at(elapsed.start(), || self.end_at(elapsed.end));
    }

    /// Ends the OpenTelemetry span; the `tracing` span may live on in a spawned task.
    pub(crate) fn end_at(&self, instant: SystemTime) {
        if !self.carried {
            self.context.span().end_with_timestamp(instant);
        }
    }
}
