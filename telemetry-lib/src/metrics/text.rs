//! Writes a gather as text 0.0.4 or as OpenMetrics 1.0. The two differ in how they name families
//! and types; names, labels and values of the samples are the same, or a dashboard would break on
//! the day a scraper asks for the other one.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::catalog::Kind;
use super::exemplar::{Marked, since_1970};
use super::foreign::write_foreign;
use super::model::{Gathered, OwnFamily, Point, PointValue};
use super::negotiate::Format;

/// The whole page, in a text that has room for `expected` bytes from the beginning.
pub(super) fn encode(families: &[Gathered], format: Format, expected: usize) -> String {
    let names: BTreeSet<&str> = families.iter().map(Gathered::name).collect();
    let mut page = String::with_capacity(expected);
    for family in families {
        match family {
            Gathered::Own(family) if family.points.is_empty() => {}
            Gathered::Own(family) => write_own(&mut page, family, format),
            Gathered::Foreign(family) => write_foreign(&mut page, family, &names, format),
        }
    }
    if format == Format::OpenMetrics {
        page.push_str("# EOF\n");
    }
    page
}

fn write_own(page: &mut String, family: &OwnFamily, format: Format) {
    let desc = family.desc;
    let (name, kind) = match (desc.kind, format) {
        (Kind::Counter, Format::Text) => (desc.name, "counter"),
        (Kind::Counter, Format::OpenMetrics) => (without(desc.name, "_total"), "counter"),
        (Kind::Gauge, _) | (Kind::Info, Format::Text) => (desc.name, "gauge"),
        (Kind::Info, Format::OpenMetrics) => (without(desc.name, "_info"), "info"),
        (Kind::Histogram, _) => (desc.name, "histogram"),
    };
    push(
        page,
        &[
            "# HELP ",
            name,
            " ",
            desc.help,
            "\n# TYPE ",
            name,
            " ",
            kind,
            "\n",
        ],
    );
    let unit = unit(name);
    if format == Format::OpenMetrics && !unit.is_empty() {
        push(page, &["# UNIT ", name, " ", unit, "\n"]);
    }
    // Written once: a page has thousands of buckets and a handful of bounds.
    let bounds: Vec<String> = desc
        .buckets
        .iter()
        .map(|bound| format!("{bound:?}"))
        .collect();
    for point in &family.points {
        write_point(page, desc.name, &bounds, point, format);
    }
}

fn write_point(page: &mut String, name: &str, bounds: &[String], point: &Point, format: Format) {
    let labels = &*point.labels;
    match &point.value {
        PointValue::Count(count) => {
            write_name(page, name, "", labels);
            let _ = writeln!(page, " {count}");
        }
        PointValue::Number(number) => write_number(page, name, "", labels, *number),
        PointValue::Histogram { value, exemplars } => {
            for (index, count) in value.cumulative.iter().enumerate() {
                let bound = bounds.get(index).map_or("+Inf", String::as_str);
                let marked = exemplars.get(index).copied().flatten();
                write_bucket(page, name, labels, bound, *count);
                if let (Some(marked), Format::OpenMetrics) = (marked, format) {
                    write_exemplar(page, marked);
                }
                page.push('\n');
            }
            write_number(page, name, "_sum", labels, value.sum);
            write_name(page, name, "_count", labels);
            let _ = writeln!(page, " {}", value.cumulative.last().unwrap_or(&0));
        }
    }
}

pub(super) fn write_name(page: &mut String, name: &str, suffix: &str, labels: &str) {
    push(page, &[name, suffix]);
    if !labels.is_empty() {
        push(page, &["{", labels, "}"]);
    }
}

pub(super) fn write_bucket(page: &mut String, name: &str, labels: &str, bound: &str, count: u64) {
    let comma = if labels.is_empty() { "" } else { "," };
    push(
        page,
        &[name, "_bucket{", labels, comma, "le=\"", bound, "\"} "],
    );
    let _ = write!(page, "{count}");
}

fn write_exemplar(page: &mut String, marked: Marked) {
    let Marked { exemplar, value } = marked;
    let (trace, span) = (exemplar.trace_id, exemplar.span_id);
    let seconds = since_1970(exemplar.at).as_secs_f64();
    let _ = write!(
        page,
        " # {{trace_id=\"{trace}\",span_id=\"{span}\"}} {value} {seconds:.3}"
    );
}

fn write_number(page: &mut String, name: &str, suffix: &str, labels: &str, number: f64) {
    write_name(page, name, suffix, labels);
    let _ = match number {
        f64::INFINITY => writeln!(page, " +Inf"),
        f64::NEG_INFINITY => writeln!(page, " -Inf"),
        number => writeln!(page, " {number}"),
    };
}

pub(super) fn push(page: &mut String, parts: &[&str]) {
    parts.iter().for_each(|part| page.push_str(part));
}

fn without(name: &'static str, suffix: &str) -> &'static str {
    name.strip_suffix(suffix).unwrap_or(name)
}

/// The unit at the end of a family's name.
fn unit(name: &str) -> &'static str {
    let units = ["seconds", "bytes"];
    let ends = |unit: &&str| {
        name.strip_suffix(*unit)
            .is_some_and(|stem| stem.ends_with('_'))
    };
    units.into_iter().find(ends).unwrap_or_default()
}
