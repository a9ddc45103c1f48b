//! Writes the families of the `prometheus` crate's registries as its own encoder does, so that they read as
//! they did before we were there.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::slice;

use prometheus::TextEncoder;
use prometheus::proto::Metric;

use super::foreign_exemplar::Exemplars;
use super::model::{ForeignFamily, ForeignKind, write_label};
use super::negotiate::Format;
use super::text::{push, write_bucket, write_name};

/// `names` are those of all families on the page.
pub(super) fn write_foreign(
    page: &mut String,
    foreign: &ForeignFamily,
    names: &BTreeSet<&str>,
    format: Format,
) {
    let help = foreign.family.help();
    match (foreign.kind, format) {
        (ForeignKind::Histogram, _) => {
            write_head(page, help, foreign.family.name(), "histogram", format);
            let begin = page.len();
            write_histograms(page, foreign);
            if format == Format::OpenMetrics && !foreign.exemplars.is_empty() {
                let samples = page.split_off(begin);
                write_marked(page, &samples, &foreign.exemplars);
            }
        }
        (_, Format::Text) => write_others(page, foreign, ""),
        (_, Format::OpenMetrics) => {
            let (name, kind) = open_metrics_type(foreign, names);
            let mut head = String::new();
            write_head(&mut head, help, name, kind, format);
            write_others(page, foreign, &head);
        }
    }
}

fn write_head(page: &mut String, help: &str, name: &str, kind: &str, format: Format) {
    if !help.is_empty() {
        push(page, &["# HELP ", name, " "]);
        for char in help.chars() {
            match (char, format) {
                ('\\', _) => page.push_str("\\\\"),
                ('\n', _) => page.push_str("\\n"),
                ('"', Format::OpenMetrics) => page.push_str("\\\""),
                (plain, _) => page.push(plain),
            }
        }
        page.push('\n');
    }
    push(page, &["# TYPE ", name, " ", kind, "\n"]);
}

/// How the value of a counter or a gauge is read depends on the crate's feature `protobuf`, which is the
/// service's choice, so the crate writes them, right onto the page. If there is a `head` it takes the place of
/// the crate's.
fn write_others(page: &mut String, foreign: &ForeignFamily, head: &str) {
    let begin = page.len();
    let family = slice::from_ref(&foreign.family);
    if TextEncoder::new().encode_utf8(family, page).is_err() {
        page.truncate(begin);
    } else if !head.is_empty() {
        let lines = page[begin..].split_inclusive('\n');
        let theirs = lines.take_while(|line| line.starts_with("# "));
        let theirs: usize = theirs.map(str::len).sum();
        page.replace_range(begin..begin + theirs, head);
    }
}

/// Unlike the crate's encoder this writes the labels of a series once, and a bound once for all series.
fn write_histograms(page: &mut String, foreign: &ForeignFamily) {
    let name = foreign.family.name();
    let (mut labels, mut bounds) = (String::new(), Vec::new());
    for metric in foreign.family.get_metric() {
        labels.clear();
        for pair in metric.get_label() {
            write_label(&mut labels, pair.name(), pair.value());
        }
        write_histogram(page, name, &labels, &mut bounds, metric);
    }
}

fn write_histogram(
    page: &mut String,
    name: &str,
    labels: &str,
    bounds: &mut Vec<(f64, String)>,
    metric: &Metric,
) {
    let histogram = metric.get_histogram();
    let mut has_last = false;
    for (at, bucket) in histogram.get_bucket().iter().enumerate() {
        let bound = bucket.upper_bound();
        // By their bits: zero has two texts.
        let is_other = |(known, _): &(f64, _)| known.to_bits() != bound.to_bits();
        if bounds.get(at).is_none_or(is_other) {
            bounds.truncate(at);
            bounds.push((bound, bound.to_string()));
        }
        write_bucket(page, name, labels, &bounds[at].1, bucket.cumulative_count());
        page.push('\n');
        has_last |= bound == f64::INFINITY;
    }
    let count = histogram.get_sample_count();
    if !has_last {
        write_bucket(page, name, labels, "+Inf", count);
        page.push('\n');
    }
    // Writing to a String cannot fail.
    write_name(page, name, "_sum", labels);
    let _ = writeln!(page, " {}", histogram.get_sample_sum());
    write_name(page, name, "_count", labels);
    let _ = writeln!(page, " {count}");
}

fn write_marked(page: &mut String, samples: &str, exemplars: &[Exemplars]) {
    for line in samples.lines() {
        let behind = exemplars.iter().find_map(|them| them.behind(line));
        push(page, &[line, behind.as_deref().unwrap_or_default(), "\n"]);
    }
}

/// A counter's samples end in `_total` and its family does not. One that is named otherwise, or whose
/// family's name another family has, keeps its name as `unknown`.
fn open_metrics_type<'a>(
    foreign: &'a ForeignFamily,
    names: &BTreeSet<&str>,
) -> (&'a str, &'static str) {
    let name = foreign.family.name();
    match foreign.kind {
        ForeignKind::Counter => match name.strip_suffix("_total") {
            Some(stem) if !stem.is_empty() && !names.contains(stem) => (stem, "counter"),
            Some(_) | None => (name, "unknown"),
        },
        ForeignKind::Gauge => (name, "gauge"),
        ForeignKind::Histogram => (name, "histogram"),
        ForeignKind::Summary => (name, "summary"),
    }
}

#[cfg(test)]
mod tests {
    use prometheus::core::Collector;
    use prometheus::proto::{Bucket, Histogram, LabelPair, MetricFamily};
    use prometheus::{HistogramOpts, HistogramVec};

    use super::*;

    /// What the crate writes of a family of histograms, and what we do.
    fn both(family: MetricFamily) -> [String; 2] {
        let theirs = TextEncoder::new().encode_to_string(slice::from_ref(&family));
        let mut ours = String::new();
        let foreign = ForeignFamily {
            kind: ForeignKind::Histogram,
            family,
            exemplars: Vec::new(),
        };
        write_foreign(&mut ours, &foreign, &BTreeSet::new(), Format::Text);
        [theirs.unwrap(), ours]
    }

    #[test]
    fn a_histogram_reads_as_the_crate_writes_it() {
        let options = HistogramOpts::new("odd", "A \\ \"help\"\nof two lines.")
            .buckets(vec![-1.5, 0.000_000_25, 1.0, 1e21])
            .const_label("b", "\u{e9}");
        let odd = HistogramVec::new(options, &["a", "c"]).unwrap();
        let values = [0.5, -2.0, f64::NAN, f64::INFINITY, 1e20];
        for (value, label) in values.iter().zip(["", "\"", "\\", "\n", "{} ,="]) {
            odd.with_label_values(&[label, "x"]).observe(*value);
        }
        let [theirs, ours] = both(odd.collect().remove(0));
        assert_eq!(ours, theirs);
    }

    #[test]
    fn series_may_have_bounds_of_their_own_and_an_infinite_one() {
        let series = |bounds: &[f64], label: Option<&str>| {
            let bucket = |bound: &f64| {
                let mut bucket = Bucket::default();
                bucket.set_upper_bound(*bound);
                bucket.set_cumulative_count(2);
                bucket
            };
            let mut histogram = Histogram::default();
            histogram.set_bucket(bounds.iter().map(bucket).collect());
            histogram.set_sample_count(3);
            let pair = |value: &str| {
                let mut pair = LabelPair::default();
                pair.set_name("a".to_owned());
                pair.set_value(value.to_owned());
                pair
            };
            let mut metric = Metric::from_label(label.map(pair).into_iter().collect());
            metric.set_histogram(histogram);
            metric
        };
        let mut family = MetricFamily::default();
        family.set_name("odd".to_owned());
        family.set_field_type(prometheus::proto::MetricType::HISTOGRAM);
        family.set_metric(vec![
            series(&[1.0, 2.0], None),
            series(&[1.0, 3.0, f64::INFINITY], Some("b")),
            series(&[2.0], Some("c")),
            series(&[], Some("d")),
            series(&[0.0], Some("e")),
            series(&[-0.0], Some("f")),
        ]);
        let [theirs, ours] = both(family);
        assert_eq!(ours, theirs);
    }
}
