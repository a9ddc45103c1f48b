//! An exposition that was read: where it comes from, and what a test asks it. How a page is read stands in
//! `reader`.

use std::collections::BTreeMap;

use http::{HeaderMap, HeaderValue, Method, StatusCode, header};

use super::reader::{self, ExpositionError, Format};
use crate::Telemetry;

const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0";

/// All samples of one scrape.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Exposition {
    pub(super) samples: Vec<Sample>,
    pub(super) types: BTreeMap<String, String>,
}

/// One line of an exposition.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Sample {
    /// The name of the sample, with its suffix.
    pub name: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Its value.
    pub value: f64,
    /// The exemplar that stands beside it.
    pub exemplar: Option<ExemplarSample>,
}

/// An exemplar: one observation and the trace that it came from.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct ExemplarSample {
    /// `trace_id` and `span_id`.
    pub labels: BTreeMap<String, String>,
    /// The observed value.
    pub value: f64,
    /// Seconds since 1970.
    pub timestamp: Option<f64>,
}

impl Exposition {
    /// Reads what `/metrics` of this handle shows now, in OpenMetrics, the format that has exemplars:
    /// the answer of [`Telemetry::answer`], without a connection. For a
    /// [`TestTelemetry`](super::TestTelemetry) there is [`scrape`](super::TestTelemetry::scrape).
    ///
    /// # Panics
    ///
    /// If the handle does not answer `/metrics` (`Config::endpoints`, or an admin port does), if the
    /// answer is not 200, and if [`parse`](Self::parse) refuses the page.
    #[must_use]
    #[track_caller]
    pub fn scrape(telemetry: &Telemetry) -> Self {
        let accept = [(header::ACCEPT, HeaderValue::from_static(OPEN_METRICS))];
        let headers = HeaderMap::from_iter(accept);
        let Some(answer) = telemetry.answer(&Method::GET, "/metrics", &headers) else {
            panic!("this handle does not answer /metrics");
        };
        let body = String::from_utf8_lossy(answer.body());
        assert_eq!(answer.status(), StatusCode::OK, "no page: {body}");
        match Self::parse(OPEN_METRICS, &body) {
            Ok(page) => page,
            Err(error) => panic!("a scraper would refuse the page: {error}"),
        }
    }

    /// Reads the body of a `/metrics` answer in the format that its content type names.
    ///
    /// # Errors
    ///
    /// The first line that a scraper would refuse or misread.
    pub fn parse(content_type: &str, body: &str) -> Result<Self, ExpositionError> {
        let format = match content_type.starts_with("application/openmetrics-text") {
            true => Format::OpenMetrics,
            false => Format::Text,
        };
        reader::read(body, format)
    }

    /// All samples, in their order.
    #[must_use]
    pub fn samples(&self) -> &[Sample] {
        &self.samples
    }

    /// The type of each family, as its `TYPE` line says.
    #[must_use]
    pub fn types(&self) -> &BTreeMap<String, String> {
        &self.types
    }

    /// The sample of this name that has at least these labels; `None` unless there is exactly one.
    #[must_use]
    pub fn sample(&self, name: &str, labels: &[(&str, &str)]) -> Option<&Sample> {
        let mut found = self.samples.iter().filter(|sample| {
            let has = |(key, value): &(&str, &str)| {
                sample.labels.get(*key).map(String::as_str) == Some(*value)
            };
            sample.name == name && labels.iter().all(has)
        });
        match (found.next(), found.next()) {
            (only, None) => only,
            (_, Some(_)) => None,
        }
    }

    /// The value of that sample.
    #[must_use]
    pub fn value(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        self.sample(name, labels).map(|sample| sample.value)
    }

    /// The sum over all samples of this name.
    #[must_use]
    pub fn total(&self, name: &str) -> f64 {
        let of_name = self.samples.iter().filter(|sample| sample.name == name);
        // From zero on: the sum of nothing would be -0.
        of_name.fold(0.0, |sum, sample| sum + sample.value)
    }

    /// All exemplars of a histogram.
    #[must_use]
    pub fn exemplars(&self, family: &str) -> Vec<&ExemplarSample> {
        let bucket = format!("{family}_bucket");
        let of_family = self.samples.iter().filter(|sample| sample.name == bucket);
        of_family
            .filter_map(|sample| sample.exemplar.as_ref())
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use std::array;

    use prometheus::core::{Collector, Desc};
    use prometheus::proto::MetricFamily;
    use prometheus::{IntGauge, Registry};

    use super::*;
    use crate::config::Endpoints;
    use crate::testing::TestTelemetry;

    /// A collector with a mistake: it shows its gauge twice.
    struct Twice(IntGauge);

    impl Collector for Twice {
        fn desc(&self) -> Vec<&Desc> {
            self.0.desc()
        }

        fn collect(&self) -> Vec<MetricFamily> {
            let mut families = self.0.collect();
            let again = families[0].get_metric()[0].clone();
            families[0].mut_metric().push(again);
            families
        }
    }

    #[test]
    #[should_panic(expected = "does not answer /metrics")]
    fn a_handle_without_metrics_has_no_page() {
        let telemetry = TestTelemetry::configured(&[], |it| it.endpoints(Endpoints::Health));
        let _ = telemetry.scrape();
    }

    #[test]
    #[should_panic(expected = "16 pages are on their way already")]
    fn a_refused_scrape_is_no_page() {
        let telemetry = TestTelemetry::start();
        let ask = || {
            let handle = telemetry.handle();
            handle.answer(&Method::GET, "/metrics", &HeaderMap::new())
        };
        let _held: [_; 16] = array::from_fn(|_| ask());
        let _ = telemetry.scrape();
    }

    #[test]
    #[should_panic(expected = "a sample stands twice: open 0")]
    fn a_page_that_a_scraper_would_misread_is_no_page() {
        let telemetry = TestTelemetry::start();
        let registry = Registry::new();
        let twice = Twice(IntGauge::new("open", "Orders.").unwrap());
        registry.register(Box::new(twice)).unwrap();
        telemetry.handle().collect(registry);
        let _ = telemetry.scrape();
    }

    #[test]
    fn labels_values_and_exemplars_are_read() {
        let page = Exposition::parse(
            OPEN_METRICS,
            "# TYPE a counter\na_total{b=\"x\\\"\\\\\\n,}\"} 1.5 # {trace_id=\"ab\"} 0.5 12.25\n# EOF\n",
        )
        .unwrap();
        let sample = page.sample("a_total", &[("b", "x\"\\\n,}")]).unwrap();
        assert_eq!(sample.value, 1.5);
        let exemplar = sample.exemplar.as_ref().unwrap();
        assert_eq!(exemplar.labels["trace_id"], "ab");
        assert_eq!((exemplar.value, exemplar.timestamp), (0.5, Some(12.25)));
    }
}
