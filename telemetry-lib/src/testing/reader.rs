//! The reading of a page, as a scraper does it, strictly: families are whole, samples belong to their
//! family, nothing stands twice, histograms add up. A page that Prometheus would misread is an
//! error here. The grammar of one line stands in `line`.

use std::collections::{BTreeMap, BTreeSet};

use super::exposition::{Exposition, Sample};
use super::line::{self, Line};

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

/// Reads a whole page.
pub(super) fn read(body: &str, format: Format) -> Result<Exposition, ExpositionError> {
    let mut reader = Reader::default();
    let mut number = 0;
    for text in body.split_inclusive('\n') {
        number += 1;
        let read = reader.line(text, format);
        read.map_err(|reason| ExpositionError {
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
    use super::Format::{OpenMetrics, Text};
    use super::*;

    #[track_caller]
    fn refused(format: Format, body: &str, reason: &str) {
        let error = read(body, format).unwrap_err();
        assert_eq!(error.reason, reason, "{error}");
    }

    #[test]
    fn what_a_scraper_would_misread_is_refused() {
        refused(Text, "# TYPE a counter\na 1", "the last line has no end");
        refused(
            Text,
            "# TYPE a counter\na{b=\"x} 1\n",
            "a label value has no end",
        );
        refused(
            Text,
            "# TYPE a counter\na{b=\"\\x\"} 1\n",
            "a wrong escape in a label value",
        );
        refused(
            Text,
            "# TYPE a counter\na 1\na 1\n",
            "a sample stands twice",
        );
        refused(
            Text,
            "# TYPE a counter\nb 1\n",
            "a sample outside its family",
        );
        refused(
            Text,
            "# TYPE a counter\na 1 # {} 1\n",
            "text 0.0.4 has no exemplars",
        );
        refused(
            OpenMetrics,
            "# TYPE a counter\na_total 1\n",
            "no EOF at the end",
        );
        refused(
            OpenMetrics,
            "# TYPE a counter\na 1\n# EOF\n",
            "a sample with a wrong suffix for its type",
        );
        refused(
            OpenMetrics,
            "# TYPE a histogram\na_bucket{le=\"+Inf\"} 2\na_sum 1\na_count 1\n# EOF\n",
            "the bucket +Inf is not the count",
        );
        refused(
            OpenMetrics,
            "# EOF\n# TYPE a gauge\n",
            "something stands after the end",
        );
    }
}
