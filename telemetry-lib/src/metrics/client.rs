//! The metric of HTTP clients: how long the servers that a service calls take to answer.

use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;

use super::MetricsConfig;
use super::catalog::HTTP_CLIENT_DURATION;
use super::exemplar::Exemplar;
use super::family::Family;
use super::model::{Gathered, OwnFamily, Point};
use super::timed::{Common, Timed};
use crate::notice::Notices;

/// Records attempts. Clones share everything.
#[derive(Clone, Debug)]
pub(crate) struct HttpClientMetrics(Arc<Inner>);

/// An attempt that has ended.
#[derive(Debug)]
pub(crate) struct ClientObservation<'a> {
    /// A known method or `_OTHER`.
    pub(crate) method: &'a str,
    pub(crate) address: &'a str,
    pub(crate) port: u16,
    /// `1.0`, `1.1`, `2` or `3`; empty without a response.
    pub(crate) version: &'a str,
    pub(crate) status: Option<u16>,
    pub(crate) error_type: Option<&'a str>,
    pub(crate) duration: Duration,
    /// For a sampled span that will reach the collector.
    pub(crate) exemplar: Option<Exemplar>,
}

#[derive(Debug)]
struct Inner {
    series: Family<Timed>,
    common: Arc<Common>,
}

impl HttpClientMetrics {
    pub(super) fn new(config: &MetricsConfig, common: Arc<Common>, notices: &Notices) -> Self {
        let new = || Timed::new(HTTP_CLIENT_DURATION.buckets);
        let cap = config.max_series;
        Self(Arc::new(Inner {
            series: Family::new(&HTTP_CLIENT_DURATION, cap, new, notices.clone()),
            common,
        }))
    }

    /// An attempt has ended. `true` when its exemplar was taken.
    pub(crate) fn observe(&self, seen: &ClientObservation<'_>) -> bool {
        let status = seen
            .status
            .and_then(|status| StatusCode::from_u16(status).ok());
        let mut digits = [0; 5];
        let series = self.0.series.series(&[
            seen.method,
            seen.address,
            decimal(seen.port, &mut digits),
            status.as_ref().map_or("", StatusCode::as_str),
            seen.error_type.unwrap_or_default(),
            seen.version,
        ]);
        series.observe(seen.duration, seen.exemplar, &self.0.common)
    }

    /// Observations beyond the cap, by metric.
    pub(super) fn overflowed(&self) -> (&'static str, u64) {
        let series = &self.0.series;
        (series.desc().name, series.overflowed())
    }

    pub(super) fn gather(&self) -> Gathered {
        let points = self.0.series.entries().map(|entry| Point {
            labels: Arc::clone(&entry.labels),
            value: entry.value.get(),
        });
        Gathered::Own(OwnFamily {
            desc: &HTTP_CLIENT_DURATION,
            points: points.collect(),
        })
    }
}

/// A port as text, without an allocation.
fn decimal(number: u16, digits: &mut [u8; 5]) -> &str {
    let (mut at, mut rest) = (digits.len(), number);
    while at == digits.len() || rest > 0 {
        at -= 1;
        // A digit is less than ten.
        digits[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
    std::str::from_utf8(&digits[at..]).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::notice::tests::recorded;

    fn metrics(max_series: usize) -> (HttpClientMetrics, Arc<std::sync::Mutex<Vec<String>>>) {
        let (notices, lines) = recorded();
        let config = MetricsConfig { max_series };
        (
            HttpClientMetrics::new(&config, Arc::default(), &notices),
            lines,
        )
    }

    fn asked(address: &str) -> ClientObservation<'_> {
        ClientObservation {
            method: "GET",
            address,
            port: 443,
            version: "1.1",
            status: Some(200),
            error_type: None,
            duration: Duration::from_millis(3),
            exemplar: None,
        }
    }

    #[test]
    fn ports_are_written_as_numbers() {
        for port in [0, 7, 80, 8080, u16::MAX] {
            assert_eq!(decimal(port, &mut [0; 5]), port.to_string());
        }
    }

    #[test]
    fn f34_hosts_beyond_the_cap_share_a_series_and_the_label_is_named() {
        let (metrics, lines) = metrics(20);
        for host in 0..1_000 {
            metrics.observe(&asked(&format!("crawled-{host}.example")));
        }
        let Gathered::Own(family) = metrics.gather() else {
            panic!("ours is our own");
        };
        assert_eq!(family.points.len(), 19);
        assert_eq!(&*family.points[18].labels, "otel_metric_overflow=\"true\"");
        assert_eq!(metrics.overflowed().1, 982);
        let lines = lines.lock().unwrap();
        assert!(
            lines.len() == 1 && lines[0].contains("label server_address has 18 values"),
            "{lines:?}"
        );
    }

    #[test]
    fn a_known_server_is_observed_without_an_allocation() {
        let (metrics, _) = metrics(20);
        metrics.observe(&asked("stock"));
        let allocated = allocation_counter::measure(|| {
            metrics.observe(&asked("stock"));
        });
        assert_eq!(allocated.count_total, 0);
    }
}
