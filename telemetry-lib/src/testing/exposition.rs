//! An exposition as a scraper reads it, strictly: families are whole, samples belong to their
//! family, nothing stands twice, histograms add up. A page that Prometheus would misread is an
//! error here.

use std::collections::{BTreeMap, BTreeSet};

use http::{HeaderMap, HeaderValue, Method, StatusCode, header};

use super::line::{self, Line};
use crate::Telemetry;

const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0";

/// All samples of one scrape.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Exposition {
    samples: Vec<Sample>,
    types: BTreeMap<String, String>,
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

/// Why a text is not an exposition.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {reason}: {text}")]
pub struct ExpositionError {
    line: usize,
    reason: &'static str,
    text: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    Text,
    OpenMetrics,
}

/// The family that the lines are in.
#[derive(Debug, Default)]
struct Family {
    name: String,
    kind: String,
}

#[derive(Default)]
struct Reader {
    page: Exposition,
    current: Family,
    seen: BTreeSet<(String, BTreeMap<String, String>)>,
    ended: bool,
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
        let mut reader = Reader::default();
        let mut number = 0;
        for text in body.split_inclusive('\n') {
            number += 1;
            reader
                .line(text, format)
                .map_err(|reason| ExpositionError {
                    line: number,
                    reason,
                    text: text.trim_end().to_owned(),
                })?;
        }
        reader.finish(format).map_err(|reason| ExpositionError {
            line: number,
            reason,
            text: String::new(),
        })
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

impl Reader {
    fn line(&mut self, text: &str, format: Format) -> Result<(), &'static str> {
        let line = text.strip_suffix('\n').ok_or("the last line has no end")?;
        if self.ended {
            return Err("something stands after the end");
        }
        match line::parse(line, format)? {
            Line::Help(name) => self.enter(name),
            Line::Unit(name, unit) if name.ends_with(unit) => self.enter(name),
            Line::Unit(..) => Err("the unit is no suffix of the name"),
            Line::Type(name, kind) => {
                self.enter(name)?;
                self.current.kind = kind.to_owned();
                match self.page.types.insert(name.to_owned(), kind.to_owned()) {
                    None => Ok(()),
                    Some(_) => Err("a family stands twice"),
                }
            }
            Line::Eof => {
                self.ended = true;
                Ok(())
            }
            Line::Sample(sample) => self.sample(sample, format),
        }
    }

    fn enter(&mut self, name: &str) -> Result<(), &'static str> {
        if self.current.name != name {
            if self.page.types.contains_key(name) {
                return Err("a family stands twice");
            }
            self.current = Family {
                name: name.to_owned(),
                kind: String::new(),
            };
        }
        Ok(())
    }

    fn sample(&mut self, sample: Sample, format: Format) -> Result<(), &'static str> {
        let suffix = sample
            .name
            .strip_prefix(&self.current.name)
            .ok_or("a sample outside its family")?;
        let allowed: &[&str] = match (self.current.kind.as_str(), format) {
            ("counter", Format::OpenMetrics) => &["_total", "_created"],
            ("info", Format::OpenMetrics) => &["_info"],
            ("histogram", _) => &["_bucket", "_sum", "_count"],
            ("summary", _) => &["", "_sum", "_count"],
            ("counter" | "untyped", Format::Text) => &[""],
            ("unknown", Format::OpenMetrics) | ("gauge", _) => &[""],
            (_, _) => return Err("a sample of an unknown type"),
        };
        if !allowed.contains(&suffix) {
            return Err("a sample with a wrong suffix for its type");
        }
        if sample.exemplar.is_some() && !matches!(suffix, "_bucket" | "_total") {
            return Err("an exemplar on a sample that has none");
        }
        let key = (sample.name.clone(), sample.labels.clone());
        if !self.seen.insert(key) {
            return Err("a sample stands twice");
        }
        self.page.samples.push(sample);
        Ok(())
    }

    fn finish(self, format: Format) -> Result<Exposition, &'static str> {
        if format == Format::OpenMetrics && !self.ended {
            return Err("no EOF at the end");
        }
        for (family, kind) in &self.page.types {
            if kind == "histogram" {
                check_histogram(&self.page, family)?;
            }
        }
        Ok(self.page)
    }
}

/// Buckets grow, the last is `+Inf`, and it equals the count.
fn check_histogram(page: &Exposition, family: &str) -> Result<(), &'static str> {
    let (bucket, count) = (format!("{family}_bucket"), format!("{family}_count"));
    let mut last: Option<(f64, f64)> = None;
    for sample in &page.samples {
        if sample.name == bucket {
            let le = sample.labels.get("le").ok_or("a bucket without le")?;
            let le: f64 = le.parse().map_err(|_| "le is not a number")?;
            if last.is_some_and(|(bound, value)| le <= bound || sample.value < value) {
                return Err("the buckets do not grow");
            }
            last = Some((le, sample.value));
        } else if sample.name == count {
            let Some((bound, value)) = last.take() else {
                return Err("a count without buckets");
            };
            if bound.is_finite() || value != sample.value {
                return Err("the bucket +Inf is not the count");
            }
        }
    }
    Ok(())
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

    #[track_caller]
    fn refused(content_type: &str, body: &str, reason: &str) {
        let error = Exposition::parse(content_type, body).unwrap_err();
        assert_eq!(error.reason, reason, "{error}");
    }

    #[test]
    fn what_a_scraper_would_misread_is_refused() {
        let text = "text/plain; version=0.0.4";
        refused(text, "# TYPE a counter\na 1", "the last line has no end");
        refused(
            text,
            "# TYPE a counter\na{b=\"x} 1\n",
            "a label value has no end",
        );
        refused(
            text,
            "# TYPE a counter\na{b=\"\\x\"} 1\n",
            "a wrong escape in a label value",
        );
        refused(
            text,
            "# TYPE a counter\na 1\na 1\n",
            "a sample stands twice",
        );
        refused(
            text,
            "# TYPE a counter\nb 1\n",
            "a sample outside its family",
        );
        refused(
            text,
            "# TYPE a counter\na 1 # {} 1\n",
            "text 0.0.4 has no exemplars",
        );
        refused(
            OPEN_METRICS,
            "# TYPE a counter\na_total 1\n",
            "no EOF at the end",
        );
        refused(
            OPEN_METRICS,
            "# TYPE a counter\na 1\n# EOF\n",
            "a sample with a wrong suffix for its type",
        );
        refused(
            OPEN_METRICS,
            "# TYPE a histogram\na_bucket{le=\"+Inf\"} 2\na_sum 1\na_count 1\n# EOF\n",
            "the bucket +Inf is not the count",
        );
        refused(
            OPEN_METRICS,
            "# EOF\n# TYPE a gauge\n",
            "something stands after the end",
        );
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
