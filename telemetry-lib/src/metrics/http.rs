//! The metrics of HTTP servers: what a request adds to them, on the hot path. A series is looked up
//! once for all its metrics; the time comes with the observation.

use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use http::StatusCode;

use super::MetricsConfig;
use super::catalog::{
    Desc, HTTP_SERVER_ACTIVE, HTTP_SERVER_DURATION, HTTP_SERVER_REQUEST_BODY,
    HTTP_SERVER_RESPONSE_BODY, MALFORMED_HEADERS, Values,
};
use super::exemplar::Exemplar;
use super::family::{Entry, Family};
use super::instrument::{Counter, Gauge, Histogram};
use super::model::{Gathered, OwnFamily, Point, PointValue};
use super::recent::Recent;
use super::timed::{Common, Timed};
use crate::notice::Notices;

/// Methods with both schemes whose gauges are found without a look at their names.
const MET: usize = 32;

/// Records requests. Clones share everything.
#[derive(Clone, Debug)]
pub(crate) struct HttpServerMetrics(Arc<Inner>);

/// Counts a request as active until it is dropped, wherever that happens.
#[must_use]
pub(crate) struct ActiveGuard(Arc<Gauge>);

/// A request that has ended.
#[derive(Debug)]
pub(crate) struct Observation<'a> {
    /// A known method or `_OTHER`.
    pub(crate) method: &'a str,
    /// What always stands for this method.
    pub(crate) number: usize,
    /// `http` or `https`.
    pub(crate) scheme: &'a str,
    /// `1.0`, `1.1`, `2` or `3`; empty when it is not known.
    pub(crate) version: &'a str,
    /// The template, never the path.
    pub(crate) route: Option<&'a str>,
    pub(crate) status: Option<u16>,
    pub(crate) error_type: Option<&'a str>,
    pub(crate) duration: Duration,
    /// Bytes, where they were counted.
    pub(crate) request_body: Option<u64>,
    pub(crate) response_body: Option<u64>,
    /// For a sampled span that will reach the collector.
    pub(crate) exemplar: Option<Exemplar>,
}

#[derive(Debug)]
struct Inner {
    series: Family<HttpSeries>,
    recent: Recent<HttpSeries>,
    active: Family<Gauge>,
    /// The gauges that were looked up before, by the caller's number for the method and by the scheme.
    met: Box<[OnceLock<Arc<Gauge>>]>,
    malformed: Vec<(&'static str, Counter)>,
    common: Arc<Common>,
}

/// The metrics that share one set of labels. Sizes cost memory once they are used.
#[derive(Debug)]
struct HttpSeries {
    duration: Timed,
    request_body: OnceLock<Histogram>,
    response_body: OnceLock<Histogram>,
}

impl HttpServerMetrics {
    pub(super) fn new(config: &MetricsConfig, common: Arc<Common>, notices: &Notices) -> Self {
        let cap = config.max_series;
        // With room for all of them none is the overflow, which counts what comes to it.
        let met = if cap < MET { 0 } else { MET };
        let headers = match &MALFORMED_HEADERS.labels[0].values {
            Values::Closed(headers) => *headers,
            Values::Bounded(_) => &[],
        };
        Self(Arc::new(Inner {
            series: Family::new(&HTTP_SERVER_DURATION, cap, HttpSeries::new, notices.clone()),
            recent: Recent::new(),
            active: Family::new(&HTTP_SERVER_ACTIVE, cap, Gauge::new, notices.clone()),
            met: (0..met).map(|_| OnceLock::new()).collect(),
            malformed: headers
                .iter()
                .map(|header| (*header, Counter::default()))
                .collect(),
            common,
        }))
    }

    /// A request has begun. `number` always stands for this method: low ones save a look-up by the name.
    pub(crate) fn start(&self, number: usize, method: &str, scheme: &str) -> ActiveGuard {
        let find = || Arc::clone(self.0.active.series(&[method, scheme]));
        let place = number.saturating_mul(2) + usize::from(scheme == "https");
        let met = self.0.met.get(place);
        let gauge = met.map_or_else(find, |it| Arc::clone(it.get_or_init(find)));
        gauge.increase();
        ActiveGuard(gauge)
    }

    /// A propagation header could not be read. One that is not declared is not counted.
    pub(crate) fn malformed(&self, header: &str) {
        if let Some((_, counter)) = self.0.malformed.iter().find(|(name, _)| *name == header) {
            counter.add_one();
        }
    }

    /// A request has ended. `true` when its exemplar was taken: the span should then carry
    /// `exemplar="true"`, so that a tail sampler keeps its trace.
    pub(crate) fn observe(&self, seen: &Observation<'_>) -> bool {
        let status = seen
            .status
            .and_then(|status| StatusCode::from_u16(status).ok());
        let Inner {
            series: all,
            recent,
            common,
            ..
        } = &*self.0;
        let route = seen.route.unwrap_or_default();
        let find = || {
            all.series(&[
                seen.method,
                seen.scheme,
                route,
                status.as_ref().map_or("", StatusCode::as_str),
                seen.error_type.unwrap_or_default(),
                seen.version,
            ])
        };
        let series = match seen.code() {
            // The overflow counts what comes to it.
            Some(code) => recent.series(code, route, || {
                let before = all.overflowed();
                (find(), all.overflowed() == before)
            }),
            None => find(),
        };
        series.observe_sizes(seen);
        series
            .duration
            .observe(seen.duration, seen.exemplar, common)
    }

    /// Observations beyond the cap, by metric.
    pub(super) fn overflowed(&self) -> [(&'static str, u64); 2] {
        let Inner { series, active, .. } = &*self.0;
        [
            (active.desc().name, active.overflowed()),
            (series.desc().name, series.overflowed()),
        ]
    }

    pub(super) fn gather(&self) -> Vec<Gathered> {
        let active = self.0.active.entries().map(|entry| Point {
            labels: Arc::clone(&entry.labels),
            value: PointValue::Number(entry.value.get() as f64),
        });
        let malformed = self
            .0
            .malformed
            .iter()
            .map(|(header, counter)| ((*header).to_owned(), PointValue::Count(counter.get())));
        vec![
            own(&HTTP_SERVER_ACTIVE, active.collect()),
            own(
                &HTTP_SERVER_DURATION,
                self.points(|series| Some(series.duration.get())),
            ),
            own(
                &HTTP_SERVER_REQUEST_BODY,
                self.points(|series| series.request_body.get().map(plain)),
            ),
            own(
                &HTTP_SERVER_RESPONSE_BODY,
                self.points(|series| series.response_body.get().map(plain)),
            ),
            Gathered::Own(OwnFamily::by_label(&MALFORMED_HEADERS, malformed)),
        ]
    }

    fn points(&self, value: impl Fn(&HttpSeries) -> Option<PointValue>) -> Vec<Point> {
        let point = |entry: &Entry<HttpSeries>| {
            value(&entry.value).map(|value| Point {
                labels: Arc::clone(&entry.labels),
                value,
            })
        };
        self.0.series.entries().filter_map(point).collect()
    }
}

impl Observation<'_> {
    /// A number for all labels but the route; `None` where an error or a rare method has one of many names.
    fn code(&self) -> Option<u64> {
        let number = u16::try_from(self.number).ok()?;
        let version = match self.version.as_bytes() {
            [major] => [*major, 0],
            [major, _, minor] => [*major, *minor],
            _ => [0; 2],
        };
        let [major, minor] = version;
        let [number_high, number_low] = number.to_be_bytes();
        let [status_high, status_low] = self.status.unwrap_or_default().to_be_bytes();
        let secure = u8::from(self.scheme == "https");
        let parts = [
            number_high,
            number_low,
            status_high,
            status_low,
            major,
            minor,
            secure,
            0,
        ];
        self.error_type
            .is_none()
            .then_some(u64::from_be_bytes(parts))
    }
}

impl HttpSeries {
    fn new() -> Self {
        Self {
            duration: Timed::new(HTTP_SERVER_DURATION.buckets),
            request_body: OnceLock::new(),
            response_body: OnceLock::new(),
        }
    }

    fn observe_sizes(&self, seen: &Observation<'_>) {
        let sizes = [
            (
                &self.request_body,
                &HTTP_SERVER_REQUEST_BODY,
                seen.request_body,
            ),
            (
                &self.response_body,
                &HTTP_SERVER_RESPONSE_BODY,
                seen.response_body,
            ),
        ];
        for (histogram, desc, bytes) in sizes {
            if let Some(bytes) = bytes {
                let histogram = histogram.get_or_init(|| Histogram::new(desc.buckets));
                // A number of bytes is finite and not negative.
                let _bucket = histogram.observe(bytes as f64);
            }
        }
    }
}

impl Drop for ActiveGuard {
    fn drop(&mut self) {
        self.0.decrease();
    }
}

impl fmt::Debug for ActiveGuard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ActiveGuard")
    }
}

fn plain(histogram: &Histogram) -> PointValue {
    PointValue::Histogram {
        value: histogram.get(),
        exemplars: Vec::new(),
    }
}

fn own(desc: &'static Desc, points: Vec<Point>) -> Gathered {
    Gathered::Own(OwnFamily { desc, points })
}
