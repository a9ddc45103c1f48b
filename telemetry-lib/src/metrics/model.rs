//! One gather: the families and their values at one moment, apart from any format, so that every
//! format shows the same.

use std::fmt::Write as _;
use std::sync::Arc;

use prometheus::proto::MetricFamily;

use super::catalog::{Desc, Kind};
use super::exemplar::Marked;
use super::foreign_exemplar::Exemplars;
use super::instrument::HistogramValue;

/// A metric with its series.
#[derive(Debug, Clone)]
pub(super) enum Gathered {
    Own(OwnFamily),
    Foreign(ForeignFamily),
}

/// A metric of this crate's catalog.
#[derive(Debug, Clone)]
pub(super) struct OwnFamily {
    pub(super) desc: &'static Desc,
    pub(super) points: Vec<Point>,
}

/// A metric of a registry of the `prometheus` crate.
#[derive(Debug, Clone)]
pub(super) struct ForeignFamily {
    pub(super) kind: ForeignKind,
    /// With a name and at least one series: that crate can write it.
    pub(super) family: MetricFamily,
    /// What may stand behind its samples in OpenMetrics.
    pub(super) exemplars: Vec<Exemplars>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ForeignKind {
    Counter,
    Gauge,
    Histogram,
    Summary,
}

/// One series at one moment.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Point {
    /// As they stand between the braces.
    pub(super) labels: Arc<str>,
    pub(super) value: PointValue,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum PointValue {
    Count(u64),
    Number(f64),
    Histogram {
        value: HistogramValue,
        /// One for each bucket, or none at all.
        exemplars: Vec<Option<Marked>>,
    },
}

impl Gathered {
    pub(super) fn name(&self) -> &str {
        match self {
            Self::Own(family) => family.desc.name,
            Self::Foreign(foreign) => foreign.family.name(),
        }
    }

    /// Every name that this family or a sample of it has in any format.
    pub(super) fn sample_names(&self) -> Vec<String> {
        const HISTOGRAM: &[&str] = &["", "_bucket", "_sum", "_count"];
        let name = self.name();
        let suffixes: &[&str] = match self {
            Self::Own(family) => match family.desc.kind {
                Kind::Histogram => HISTOGRAM,
                Kind::Gauge => &[""],
                // The family is called so in OpenMetrics.
                Kind::Counter => return vec![name.to_owned(), stem(name, "_total")],
                Kind::Info => return vec![name.to_owned(), stem(name, "_info")],
            },
            Self::Foreign(family) => match family.kind {
                ForeignKind::Histogram => HISTOGRAM,
                ForeignKind::Summary => &["", "_sum", "_count"],
                ForeignKind::Counter | ForeignKind::Gauge => &[""],
            },
        };
        suffixes
            .iter()
            .map(|suffix| format!("{name}{suffix}"))
            .collect()
    }
}

impl OwnFamily {
    /// A family whose only series has no labels.
    pub(super) fn single(desc: &'static Desc, value: PointValue) -> Self {
        Self {
            desc,
            points: vec![Point::new(desc, &[], value)],
        }
    }

    /// A family with one label.
    pub(super) fn by_label(
        desc: &'static Desc,
        points: impl IntoIterator<Item = (String, PointValue)>,
    ) -> Self {
        let points = points.into_iter();
        Self {
            desc,
            points: points
                .map(|(label, value)| Point::new(desc, &[&label], value))
                .collect(),
        }
    }
}

impl PartialEq for OwnFamily {
    fn eq(&self, other: &Self) -> bool {
        self.desc.name == other.desc.name && self.points == other.points
    }
}

impl Point {
    /// A point with these values of the declared labels; the empty ones are left out.
    pub(super) fn new(desc: &'static Desc, values: &[&str], value: PointValue) -> Self {
        let mut labels = String::new();
        for (label, value) in desc.labels.iter().zip(values) {
            if !value.is_empty() {
                write_label(&mut labels, label.name, value);
            }
        }
        Self {
            labels: labels.into(),
            value,
        }
    }
}

/// Appends a label, with a comma before it unless it is the first.
pub(super) fn write_label(labels: &mut String, name: &str, value: &str) {
    let comma = if labels.is_empty() { "" } else { "," };
    let _ = write!(labels, "{comma}{name}=\"");
    for char in value.chars() {
        match char {
            '\\' => labels.push_str("\\\\"),
            '"' => labels.push_str("\\\""),
            '\n' => labels.push_str("\\n"),
            plain => labels.push(plain),
        }
    }
    labels.push('"');
}

fn stem(name: &str, suffix: &str) -> String {
    name.strip_suffix(suffix).unwrap_or(name).to_owned()
}
