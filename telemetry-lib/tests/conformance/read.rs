//! How the tables read a span and a page.

use telemetry_lib::testing::{AttributeValue, Exposition, ReceivedSpan, Sample};

/// What stands in a table for "there is none".
pub(crate) const ABSENT: &str = "-";

/// The boundaries that the conventions recommend for a duration, in seconds.
pub(crate) const BUCKETS: [f64; 14] = [
    0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0,
];

/// What the rule says, a request, and what its span then says: see [`said`].
pub(crate) type Row = (
    &'static str,
    &'static str,
    &'static [(&'static str, &'static str)],
);

/// Labels and their values.
pub(crate) type Labels<'a> = Vec<(&'a str, &'a str)>;

/// A value as the tables write it: numbers with `#`, so that text is told from a number.
pub(crate) fn shown(value: Option<&AttributeValue>) -> String {
    match value {
        None => ABSENT.to_owned(),
        Some(AttributeValue::Int(number)) => format!("#{number}"),
        Some(other) => other.to_string(),
    }
}

/// What a span says under a key; in parentheses stands what is no attribute.
pub(crate) fn said(span: &ReceivedSpan, key: &str) -> String {
    match key {
        "(name)" => span.name().to_owned(),
        "(kind)" => span.kind().to_owned(),
        "(status)" if span.is_error() => "error".to_owned(),
        "(status)" => "unset".to_owned(),
        "(description)" => span.status_message().to_owned(),
        "(events)" => span.event_names().join(" "),
        "(attributes)" => {
            // But for our own mark of a span that an exemplar leads to.
            let keys = span.attributes().keys().filter(|key| *key != "exemplar");
            let keys: Vec<&str> = keys.map(String::as_str).collect();
            keys.join(" ")
        }
        attribute => shown(span.attribute(attribute)),
    }
}

/// The only span of this name.
#[track_caller]
pub(crate) fn named<'s>(spans: &'s [ReceivedSpan], name: &str) -> &'s ReceivedSpan {
    let found: Vec<_> = spans.iter().filter(|it| it.name() == name).collect();
    assert_eq!(found.len(), 1, "{name} in {spans:#?}");
    found[0]
}

/// Checks a row; `(anywhere)` names what must stand nowhere in the span.
pub(crate) fn check(
    rule: &str,
    span: &ReceivedSpan,
    expected: &[(impl AsRef<str>, impl AsRef<str>)],
) {
    for (key, value) in expected {
        let (key, value) = (key.as_ref(), value.as_ref());
        if key == "(anywhere)" {
            assert!(!format!("{span:?}").contains(value), "{rule}: {span:#?}");
        } else {
            assert_eq!(said(span, key), value, "{rule}: {key} of {span:#?}");
        }
    }
}

/// The series of a histogram, each with all its labels.
pub(crate) fn series<'p>(page: &'p Exposition, histogram: &str) -> Vec<Labels<'p>> {
    let name = format!("{histogram}_count");
    samples(page, &name).map(labels).collect()
}

/// All labels of a sample.
pub(crate) fn labels(sample: &Sample) -> Labels<'_> {
    let pairs = sample.labels.iter();
    pairs
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect()
}

/// The boundaries of a histogram with one series, but for the last, which is infinite.
pub(crate) fn bounds(page: &Exposition, histogram: &str) -> Vec<f64> {
    let name = format!("{histogram}_bucket");
    let bounds = samples(page, &name).map(|it| it.labels["le"].parse().unwrap());
    let mut bounds: Vec<f64> = bounds.collect();
    assert_eq!(bounds.pop(), Some(f64::INFINITY), "{histogram}");
    bounds
}

/// The one observation of a series took as long as the span.
pub(crate) fn assert_as_long(page: &Exposition, histogram: &str, span: &ReceivedSpan) {
    let sum = page.total(&format!("{histogram}_sum"));
    let difference = (sum - span.duration().as_secs_f64()).abs();
    assert!(difference < 1e-8, "{sum} s, {:?}", span.duration());
}

pub(crate) fn samples<'p>(page: &'p Exposition, name: &str) -> impl Iterator<Item = &'p Sample> {
    page.samples().iter().filter(move |it| it.name == name)
}
