//! Every metric of this binary, declared once. Series of closed label sets stand at zero from the
//! start, those of a receiver since the config names it; those of a source appear when it first posts.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, UNIX_EPOCH};

use alert_engine::{Became, Timestamp};
use prometheus::core::Collector;
use prometheus::{
    GaugeVec, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge,
    IntGaugeVec, Opts, Registry, TextEncoder,
};

use telemetry_lib::Exemplars;

use crate::receiver::reasons;
use crate::step::words;
use crate::trace::Sampled;
use crate::webhook::{self, payload::Rejection};

/// A metric as declared, for docs, dashboards and rules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Declared {
    /// Its full name.
    pub name: String,
    /// What it counts.
    pub help: String,
    /// Its label names.
    pub labels: Vec<String>,
}

/// How a webhook request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestOutcome {
    /// Durable, answered 200.
    Accepted,
    /// Can never succeed: 4xx.
    Rejected,
    /// Wrong or no credential: 401.
    Unauthorized,
    /// More than the source's limit: 503.
    Limited,
    /// The sender hung up or was too slow before its body was whole: 503.
    Incomplete,
    /// We could not write it down: 503, worth a retry.
    Unavailable,
}

impl RequestOutcome {
    const ALL: [Self; 6] = [
        Self::Accepted,
        Self::Rejected,
        Self::Unauthorized,
        Self::Limited,
        Self::Incomplete,
        Self::Unavailable,
    ];

    fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Rejected => "rejected",
            Self::Unauthorized => "unauthorized",
            Self::Limited => "limited",
            Self::Incomplete => "incomplete",
            Self::Unavailable => "unavailable",
        }
    }
}

/// What is done for the first of all that happens within a second.
#[derive(Default)]
struct OncePerSecond(AtomicI64);

impl OncePerSecond {
    fn is_first(&self, at: Timestamp) -> bool {
        let second = at.as_millis().div_euclid(1000);
        self.0.swap(second, Ordering::Relaxed) != second
    }
}

/// How long people waited for one alert.
pub(crate) struct Heard {
    /// When it was confirmed.
    pub(crate) at: Timestamp,
    pub(crate) from_start: f64,
    pub(crate) from_intake: f64,
    pub(crate) priority: bool,
}

macro_rules! metrics {
    ($($(#[$doc:meta])* $field:ident : $kind:ident = $name:literal, [$($label:literal),*] $(in $buckets:ident)?, $help:literal;)*) => {
        /// The metrics of this process. Cheap to share behind an `Arc`.
        pub struct Metrics {
            registry: Registry,
            exemplars: Exemplars,
            answers_marked: OncePerSecond,
            declared: Vec<Declared>,
            $($(#[$doc])* #[doc = $help] pub $field: $kind,)*
        }

        impl Metrics {
            /// All metrics, registered in a registry of their own.
            #[must_use]
            pub fn new() -> Self {
                let registry = Registry::new();
                let mut declared = Vec::new();
                $(let $field = new_metric!($kind, $name, $help, [$($label),*] $(, $buckets)?);
                registry.register(Box::new($field.clone())).expect("each name is declared once");
                declared.extend($field.desc().into_iter().map(|desc| Declared {
                    name: desc.fq_name.clone(),
                    help: desc.help.clone(),
                    labels: desc.variable_labels.clone(),
                }));)*
                let exemplars = Exemplars::default();
                let answers_marked = OncePerSecond::default();
                let metrics = Self { registry, exemplars, answers_marked, declared, $($field,)* };
                metrics.start_at_zero();
                metrics
            }
        }
    };
}

macro_rules! new_metric {
    (IntCounter, $name:literal, $help:literal, []) => {
        IntCounter::new($name, $help).expect("a valid name")
    };
    (IntGauge, $name:literal, $help:literal, []) => {
        IntGauge::new($name, $help).expect("a valid name")
    };
    (Gauge, $name:literal, $help:literal, []) => {
        Gauge::new($name, $help).expect("a valid name")
    };
    (IntCounterVec, $name:literal, $help:literal, $labels:expr) => {
        IntCounterVec::new(Opts::new($name, $help), &$labels).expect("a valid name")
    };
    (IntGaugeVec, $name:literal, $help:literal, $labels:expr) => {
        IntGaugeVec::new(Opts::new($name, $help), &$labels).expect("a valid name")
    };
    (GaugeVec, $name:literal, $help:literal, $labels:expr) => {
        GaugeVec::new(Opts::new($name, $help), &$labels).expect("a valid name")
    };
    (Histogram, $name:literal, $help:literal, [], $buckets:expr) => {
        Histogram::with_opts(HistogramOpts::new($name, $help).buckets($buckets.to_vec()))
            .expect("a valid name")
    };
    (HistogramVec, $name:literal, $help:literal, $labels:expr, $buckets:expr) => {
        HistogramVec::new(
            HistogramOpts::new($name, $help).buckets($buckets.to_vec()),
            &$labels,
        )
        .expect("a valid name")
    };
}

/// From one millisecond to ten seconds: an answer to Alertmanager.
const ANSWER_SECONDS: [f64; 10] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 2.5, 10.0];
/// From half a second to four hours: how long people waited.
const HEARD_SECONDS: [f64; 13] = [
    0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0, 14400.0,
];

metrics! {
    build_info: IntGaugeVec = "alert_router_build_info", ["version"],
        "Always 1; the version is the label.";
    webhook_requests: IntCounterVec = "alert_router_webhook_requests_total", ["outcome"],
        "Webhook requests by how they ended.";
    webhook_limited: IntCounterVec = "alert_router_webhook_limited_total", ["source"],
        "Webhook requests beyond the `rate_limit` of their source.";
    webhook_seconds: Histogram = "alert_router_webhook_duration_seconds", [] in ANSWER_SECONDS,
        "Time from the last byte of a webhook request to its answer.";
    alerts_received: IntCounterVec = "alert_router_alerts_received_total", ["source", "status"],
        "Alerts read from webhook requests, by source and status.";
    alerts_observed: IntCounterVec = "alert_router_alerts_observed_total", ["effect"],
        "Alerts taken in, by whether they changed something.";
    quarantined: IntCounterVec = "alert_router_quarantined_total", ["reason"],
        "Request bodies and alerts that could not be read, by reason.";
    quarantine_full: IntCounter = "alert_router_quarantine_full_total", [],
        "Unreadable bodies that were counted but not kept, because quarantine was full.";
    group_full: IntCounter = "alert_router_group_full_total", [],
        "Alerts that did not fit into their group.";
    notifications: IntCounterVec = "alert_router_notifications_total",
        ["receiver", "channel", "reason", "outcome"],
        "Attempts to deliver a notification, by receiver, channel, why it spoke, and how it ended.";
    delivery_failures: IntCounterVec = "alert_router_delivery_failures_total",
        ["receiver", "channel", "reason"],
        "Deliveries that were not confirmed, by bounded reason.";
    delivery_seconds: HistogramVec = "alert_router_delivery_duration_seconds", ["channel"] in ANSWER_SECONDS, "Time that one attempt of a delivery took.";
    recipients_refused: IntCounterVec = "alert_router_recipients_refused_total", ["receiver"],
        "Recipients whom the provider refused for good while others got the message.";
    heard_from_start: HistogramVec = "alert_router_time_to_heard_seconds",
        ["receiver", "priority"] in HEARD_SECONDS,
        "Time from the start of an alert to the provider's confirmation that people were told.";
    heard_from_intake: HistogramVec = "alert_router_time_to_heard_from_intake_seconds",
        ["receiver", "priority"] in HEARD_SECONDS,
        "Time from the intake of an alert to the provider's confirmation that people were told.";
    lanes_waiting: IntGaugeVec = "alert_router_lanes_waiting", ["receiver", "why"],
        "Groups with overdue news for a receiver, by what they wait for.";
    oldest_waiting: GaugeVec = "alert_router_oldest_waiting_timestamp_seconds", ["receiver"],
        "Unix time since when the oldest news for a receiver waits; 0 while none does.";
    in_flight: IntGauge = "alert_router_deliveries_in_flight", [],
        "Deliveries that are being sent.";
    dead_letters: IntCounterVec = "alert_router_dead_letters_total", ["receiver"],
        "Deliveries that were given up.";
    dead_letters_swept: IntCounter = "alert_router_dead_letters_swept_total", [],
        "Dead letters that went because nobody cared for them within `limits.dead_letters`.";
    blocked: IntGaugeVec = "alert_router_destination_blocked", ["receiver", "channel", "destination"],
        "1 while a destination takes nothing until somebody mends its settings.";
    render_errors: IntCounter = "alert_router_render_errors_total", [],
        "Messages that went out with the fallback text because their template failed.";
    commits: IntCounterVec = "alert_router_store_units_total", ["outcome"],
        "Units written to the store, by whether they conflicted.";
    store_errors: IntCounterVec = "alert_router_store_errors_total", ["kind"],
        "Calls that the store could not answer.";
    store_full: IntGauge = "alert_router_store_full", [],
        "1 while the store's disk is full, and until it had room for five minutes.";
    step_seconds: Histogram = "alert_router_step_duration_seconds", [] in ANSWER_SECONDS,
        "Time that one step over all waiting work took, with its commit.";
    groups_cached: IntGauge = "alert_router_groups_cached", [],
        "Groups that are held decoded in memory.";
    source_silent: IntGaugeVec = "alert_router_source_silent", ["source"],
        "1 while a source has not spoken for its `silent_after`.";
    reloads: IntCounterVec = "alert_router_config_reloads_total", ["outcome"],
        "Reloads of the config, by outcome.";
    config_ok: IntGauge = "alert_router_config_last_reload_successful", [],
        "Whether the last reload took effect.";
    panics: IntCounter = "alert_router_panics_total", [],
        "Panics that were contained.";
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// Counts one webhook request.
    pub fn count_request(&self, outcome: RequestOutcome) {
        self.webhook_requests
            .with_label_values(&[outcome.as_str()])
            .inc();
    }

    /// Lets the series of a receiver stand at zero, so that its first message, and its first failure,
    /// is an increase.
    pub(crate) fn begin_receiver(&self, receiver: &str, channel: &str) {
        for verdict in words::VERDICTS.map(words::verdict) {
            let heard = words::became(Became::Heard);
            self.notifications
                .with_label_values(&[receiver, channel, verdict, heard]);
        }
        for priority in ["high", "normal"] {
            for heard in [&self.heard_from_start, &self.heard_from_intake] {
                heard.with_label_values(&[receiver, priority]);
            }
        }
        for counter in [&self.dead_letters, &self.recipients_refused] {
            counter.with_label_values(&[receiver]);
        }
        for reason in reasons(channel) {
            self.delivery_failures
                .with_label_values(&[receiver, channel, reason]);
        }
    }

    /// Counts a delivery that was not confirmed. The series of a reason that its channel does not list
    /// begins with the failure.
    pub(crate) fn delivery_failed(&self, receiver: &str, channel: &str, reason: &str) {
        self.delivery_failures
            .with_label_values(&[receiver, channel, reason])
            .inc();
    }

    /// All metrics as declared, in the order of declaration.
    #[must_use]
    pub fn declared(&self) -> &[Declared] {
        &self.declared
    }

    /// The registry, for whoever exposes it.
    #[must_use]
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// Which delivery told an alert, beside the buckets of the time that people waited for it.
    #[must_use]
    pub fn exemplars(&self) -> &Exemplars {
        &self.exemplars
    }

    /// A delivery told people of these alerts. Its exemplar stands beside the one that waited longest,
    /// and names the delivery: history, log and page know it by that. If its span is sampled, it leads
    /// there, and from there to the requests.
    pub(crate) fn heard(
        &self,
        receiver: &str,
        heard: &[Heard],
        delivery: &str,
        span: Option<Sampled>,
    ) {
        for one in heard {
            for (series, wait) in self.waits(receiver, one) {
                series.observe(wait);
            }
        }
        let longest = heard.iter();
        let longest = longest.max_by(|a, b| a.from_start.total_cmp(&b.from_start));
        let Some(longest) = longest else { return };
        for (series, wait) in self.waits(receiver, longest) {
            self.mark(&series, wait, Some(delivery), span, longest.at);
        }
    }

    /// Says which attempt of a delivery took so many seconds.
    pub(crate) fn attempted(
        &self,
        channel: &str,
        took: f64,
        delivery: &str,
        span: Option<Sampled>,
        at: Timestamp,
    ) {
        let series = self.delivery_seconds.with_label_values(&[channel]);
        self.mark(&series, took, Some(delivery), span, at);
    }

    /// Says in which span a webhook was answered after so many seconds. Of one second the first is
    /// told: a mark costs more than taking in an alert, and Prometheus looks every few seconds.
    pub(crate) fn answered(&self, took: f64, span: Option<Sampled>, at: Timestamp) {
        if span.is_some() && self.answers_marked.is_first(at) {
            self.mark(&self.webhook_seconds, took, None, span, at);
        }
    }

    /// Says what this observation belongs to: a delivery, and a span that is sampled.
    fn mark(
        &self,
        series: &Histogram,
        value: f64,
        delivery: Option<&str>,
        span: Option<Sampled>,
        at: Timestamp,
    ) {
        let at = UNIX_EPOCH + Duration::from_millis(at.as_millis().max(0).unsigned_abs());
        let ids = span.map(|span| (span.trace.to_string(), span.span.to_string()));
        let mut labels: Vec<_> = delivery.map(|id| ("delivery_id", id)).into_iter().collect();
        if let Some((trace, span)) = &ids {
            labels.extend([("trace_id", trace.as_str()), ("span_id", span)]);
        }
        if !labels.is_empty() {
            self.exemplars.mark(series, value, &labels, at);
        }
    }

    fn waits(&self, receiver: &str, heard: &Heard) -> [(Histogram, f64); 2] {
        let labels = [receiver, if heard.priority { "high" } else { "normal" }];
        let series = |of: &HistogramVec| of.with_label_values(&labels);
        [
            (series(&self.heard_from_start), heard.from_start),
            (series(&self.heard_from_intake), heard.from_intake),
        ]
    }

    /// The text that Prometheus scrapes (format 0.0.4).
    #[must_use]
    pub fn render(&self) -> String {
        TextEncoder::new()
            .encode_to_string(&self.registry.gather())
            .expect("names and labels were checked when they were declared")
    }

    fn start_at_zero(&self) {
        self.build_info
            .with_label_values(&[env!("CARGO_PKG_VERSION")])
            .set(1);
        for outcome in RequestOutcome::ALL {
            self.webhook_requests.with_label_values(&[outcome.as_str()]);
        }
        for effect in ["changed", "seen"] {
            self.alerts_observed.with_label_values(&[effect]);
        }
        for reason in Rejection::REASONS.into_iter().chain([webhook::ALERT]) {
            self.quarantined.with_label_values(&[reason]);
        }
        for outcome in ["done", "conflict"] {
            self.commits.with_label_values(&[outcome]);
        }
        for outcome in ["done", "refused"] {
            self.reloads.with_label_values(&[outcome]);
        }
        for kind in ["unavailable", "full", "corrupt"] {
            self.store_errors.with_label_values(&[kind]);
        }
        self.config_ok.set(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_the_conventions_of_the_field() {
        for metric in Metrics::new().declared() {
            assert!(metric.name.starts_with("alert_router_"), "{metric:?}");
            assert!(metric.help.ends_with('.'), "{metric:?}");
        }
    }

    #[test]
    fn of_a_second_one_is_the_first_also_when_the_clock_steps_back() {
        let once = OncePerSecond::default();
        let first = |millis| once.is_first(Timestamp::from_millis(millis));
        let seen = [5_000, 5_999, 6_000, 6_001, 5_500, 5_501].map(first);
        assert_eq!(seen, [true, false, true, false, true, false]);
    }

    #[test]
    fn closed_label_sets_stand_at_zero_from_the_start() {
        let text = Metrics::new().render();
        assert!(text.contains("alert_router_webhook_requests_total{outcome=\"unavailable\"} 0"));
        assert!(text.contains("alert_router_panics_total 0"));
        assert!(text.contains("alert_router_quarantined_total{reason=\"alert\"} 0"));
        assert!(text.contains("alert_router_quarantined_total{reason=\"version\"} 0"));
    }
}
