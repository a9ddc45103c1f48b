//! The span of one attempt to deliver: a client's, by the conventions of messaging. It begins a trace
//! of its own, because the news came earlier and perhaps from many requests, and links to those.

use std::sync::Arc;

use alert_engine::{Due, LineKind};
use telemetry_lib::opentelemetry::trace::TraceContextExt;
use telemetry_lib::tracing_opentelemetry::OpenTelemetrySpanExt;
use tracing::Span;
use tracing::field::Empty;

use super::deliver::Outgoing;
use crate::receiver::{Failure, Receipt, SendError};
use crate::trace::{Origins, Sampled};

/// What a delivery is about, for whoever reads its span.
pub(crate) struct About {
    /// Why it speaks, as the metrics say it.
    reason: &'static str,
    firing: usize,
    resolved: usize,
    /// The receiver that failed, if this one stands in for it.
    failed_over_from: Option<Arc<str>>,
    /// The requests that brought what it tells.
    origins: Vec<Sampled>,
}

/// The open span.
pub(super) struct Attempt(pub(super) Span);

impl About {
    pub(crate) fn new(reason: &'static str) -> Self {
        Self {
            reason,
            firing: 0,
            resolved: 0,
            failed_over_from: None,
            origins: Vec::new(),
        }
    }

    /// It speaks for this lane.
    pub(super) fn add(&mut self, due: &Due, origins: &Origins, failed: Option<Arc<str>>) {
        let firing = due.content.lines.iter().filter(|line| match line.kind {
            LineKind::New | LineKind::Reopened | LineKind::Firing => true,
            LineKind::Over | LineKind::Missed => false,
        });
        let firing = firing.count();
        self.firing += firing;
        self.resolved += due.content.lines.len() - firing;
        self.failed_over_from = self.failed_over_from.take().or(failed);
        for origin in origins.since(due.since) {
            // One request may have brought news to all groups of a digest.
            if !self.origins.contains(&origin) {
                self.origins.push(origin);
            }
        }
    }
}

impl Attempt {
    pub(super) fn open(outgoing: &Outgoing) -> Self {
        let destination = outgoing.outlet.receiver.destination();
        let (receiver, about) = (&*outgoing.outlet.name, &outgoing.about);
        let mut groups = outgoing.lanes.groups();
        let first = groups.next().map(|group| group.to_string());
        let count = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
        let attempt = outgoing.delivery.as_ref().ok();
        let attempt = attempt.map(|delivery| u64::from(delivery.attempt));
        let span = tracing::info_span!(
            target: "alert_router::delivery",
            "send",
            otel.name = format!("send {receiver}"),
            otel.kind = "client",
            otel.status_code = Empty,
            "messaging.system" = destination.channel,
            "messaging.operation.name" = "send",
            "messaging.operation.type" = "send",
            "messaging.destination.name" = destination.label,
            "messaging.message.id" = %outgoing.id,
            "alert_router.receiver" = receiver,
            "alert_router.reason" = about.reason,
            "alert_router.attempt" = attempt,
            "alert_router.group" = first,
            "alert_router.groups" = count(1 + groups.count()),
            "alert_router.alerts.firing" = count(about.firing),
            "alert_router.alerts.resolved" = count(about.resolved),
            "alert_router.failed_over_from" = about.failed_over_from.as_deref(),
            "alert_router.outcome" = Empty,
            "error.type" = Empty,
        );
        for origin in &about.origins {
            span.add_link(origin.context());
        }
        Self(span)
    }

    /// Its ids, if somebody may look for it.
    pub(super) fn ids(&self) -> Option<Sampled> {
        Sampled::of(self.0.context().span().span_context())
    }

    /// How it ended. What only waits for its turn is no error.
    pub(super) fn end(&self, result: &Result<Receipt, SendError>) {
        self.0.record("alert_router.outcome", outcome(result));
        if let Err(error) = result {
            self.0.record("error.type", error.reason);
            if !matches!(error.failure, Failure::Deferred { .. }) {
                self.0.record("otel.status_code", "ERROR");
            }
        }
    }
}

fn outcome(result: &Result<Receipt, SendError>) -> &'static str {
    match result.as_ref().map_err(|error| error.failure) {
        Ok(receipt) if receipt.refused.is_empty() => "delivered",
        Ok(_) => "partly_delivered",
        Err(Failure::Failed { .. }) => "failed",
        Err(Failure::Refused) => "refused",
        Err(Failure::Deferred { .. }) => "deferred",
        Err(Failure::Blocked { .. }) => "blocked",
    }
}
