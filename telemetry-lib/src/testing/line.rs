//! One line of an exposition, in text 0.0.4 or OpenMetrics: the grammar only, strictly.

use std::collections::BTreeMap;

use super::exposition::{ExemplarSample, Sample};
use super::reader::Format;

/// What a line says; `Err` holds what is wrong with it.
#[derive(Debug, PartialEq)]
pub(super) enum Line<'a> {
    Help(&'a str),
    Type(&'a str, &'a str),
    Unit(&'a str, &'a str),
    Eof,
    Sample(Sample),
}

pub(super) fn parse(line: &str, format: Format) -> Result<Line<'_>, &'static str> {
    if line == "# EOF" && format == Format::OpenMetrics {
        return Ok(Line::Eof);
    }
    if let Some(comment) = line.strip_prefix("# ") {
        return parse_comment(comment, format);
    }
    let mut rest = Rest(line);
    let name = rest.name("the name is not a metric name", |c| c == ':')?;
    let labels = rest.labels()?;
    rest.token(" ", "no space before the value")?;
    let value = rest.number()?;
    let exemplar = rest.exemplar(format)?;
    if !rest.0.is_empty() {
        return Err("something stands after the value");
    }
    Ok(Line::Sample(Sample {
        name: name.to_owned(),
        labels,
        value,
        exemplar,
    }))
}

fn parse_comment(comment: &str, format: Format) -> Result<Line<'_>, &'static str> {
    let mut words = comment.splitn(3, ' ');
    let (keyword, name) = (words.next().unwrap_or_default(), words.next());
    let name = name.ok_or("a comment without a family")?;
    let text = words.next().unwrap_or_default();
    match keyword {
        "HELP" => Ok(Line::Help(name)),
        "TYPE" => Ok(Line::Type(name, text)),
        "UNIT" if format == Format::OpenMetrics => Ok(Line::Unit(name, text)),
        _ => Err("an unknown comment"),
    }
}

/// What is left of a line.
struct Rest<'a>(&'a str);

impl<'a> Rest<'a> {
    fn token(&mut self, token: &str, otherwise: &'static str) -> Result<(), &'static str> {
        self.0 = self.0.strip_prefix(token).ok_or(otherwise)?;
        Ok(())
    }

    fn name(
        &mut self,
        otherwise: &'static str,
        also: impl Fn(char) -> bool,
    ) -> Result<&'a str, &'static str> {
        let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_' || also(c);
        let end = self.0.find(|c| !is_part(c)).unwrap_or(self.0.len());
        let (name, rest) = self.0.split_at(end);
        if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) {
            return Err(otherwise);
        }
        self.0 = rest;
        Ok(name)
    }

    fn labels(&mut self) -> Result<BTreeMap<String, String>, &'static str> {
        let mut labels = BTreeMap::new();
        if self.token("{", "").is_err() {
            return Ok(labels);
        }
        while self.token("}", "").is_err() {
            let name = self.name("a label without a name", |_| false)?;
            self.token("=\"", "a label without a quoted value")?;
            let value = self.quoted()?;
            if labels.insert(name.to_owned(), value).is_some() {
                return Err("a label stands twice");
            }
            if self.token(",", "").is_err() && !self.0.starts_with('}') {
                return Err("no comma between two labels");
            }
        }
        Ok(labels)
    }

    /// Up to the closing quote, which is taken too.
    fn quoted(&mut self) -> Result<String, &'static str> {
        let mut value = String::new();
        let mut chars = self.0.chars();
        loop {
            match chars.next().ok_or("a label value has no end")? {
                '"' => break,
                '\\' => match chars.next() {
                    Some('n') => value.push('\n'),
                    Some(escaped @ ('\\' | '"')) => value.push(escaped),
                    Some(_) | None => return Err("a wrong escape in a label value"),
                },
                plain => value.push(plain),
            }
        }
        self.0 = chars.as_str();
        Ok(value)
    }

    fn number(&mut self) -> Result<f64, &'static str> {
        let end = self.0.find(' ').unwrap_or(self.0.len());
        let (number, rest) = self.0.split_at(end);
        self.0 = rest;
        number.parse().map_err(|_| "the value is not a number")
    }

    fn exemplar(&mut self, format: Format) -> Result<Option<ExemplarSample>, &'static str> {
        if self.token(" # ", "").is_err() {
            return Ok(None);
        }
        if format == Format::Text {
            return Err("text 0.0.4 has no exemplars");
        }
        let labels = self.labels()?;
        let length: usize = labels
            .iter()
            .map(|(name, value)| name.chars().count() + value.chars().count())
            .sum();
        if length > 128 {
            return Err("the labels of an exemplar are longer than 128 characters");
        }
        self.token(" ", "no space before the exemplar's value")?;
        let value = self.number()?;
        let timestamp = match self.token(" ", "") {
            Ok(()) => Some(self.number()?),
            Err(_) => None,
        };
        Ok(Some(ExemplarSample {
            labels,
            value,
            timestamp,
        }))
    }
}
