//! Typed access to a YAML document that collects every problem instead of stopping at the first.
//!
//! Deriving the types would be shorter, but would report one error a run, and none of the checks
//! that come after parsing could name its line.

use std::cell::RefCell;
use std::path::Path;
use std::time::Duration;

use serde_yaml::Value;

use super::fields::Fields;
use super::problem::{Complaint, KeyPath};
use super::{Outside, duration};

/// More would not be read.
const MAX_PROBLEMS: usize = 100;
/// A secret or certificate is smaller.
const MAX_FILE_BYTES: usize = 64 * 1024;

/// What reading one file has found so far.
pub(super) struct Context<'a> {
    pub(super) outside: &'a Outside<'a>,
    /// What relative paths in the file are relative to.
    pub(super) folder: &'a Path,
    pub(super) errors: RefCell<Complaints>,
    pub(super) warnings: RefCell<Complaints>,
}

/// What is complained about, and where.
#[derive(Default)]
pub(super) struct Complaints {
    pub(super) first: Vec<(KeyPath, Complaint)>,
    /// How many there were beyond those.
    pub(super) more: usize,
}

/// A value and where it stands.
#[derive(Clone)]
pub(super) struct Node<'a> {
    cx: &'a Context<'a>,
    value: &'a Value,
    path: KeyPath,
}

impl Context<'_> {
    pub(super) fn error(&self, path: &KeyPath, complaint: impl Into<Complaint>) {
        self.errors.borrow_mut().add(path, complaint.into());
    }

    pub(super) fn warn(&self, path: &KeyPath, complaint: impl Into<Complaint>) {
        self.warnings.borrow_mut().add(path, complaint.into());
    }

    /// The content of a file that the config names, without blanks around it.
    pub(super) fn file(&self, name: &str) -> Result<String, Complaint> {
        let path = self.folder.join(name);
        let text = (self.outside.read)(&path).map_err(|error| {
            let what = format!("cannot read {}: {error}", path.display());
            Complaint::new(what, "correct the path, or let this user read the file")
        })?;
        let text = text.trim();
        if text.is_empty() {
            let what = format!("{} is empty", path.display());
            return Err(Complaint::new(what, "write the value into it"));
        }
        if text.len() > MAX_FILE_BYTES {
            let what = format!("{} is larger than 64 KiB", path.display());
            return Err(Complaint::new(what, "name the right file"));
        }
        Ok(text.to_owned())
    }
}

impl<'a> Node<'a> {
    /// What relative paths in the file are relative to.
    pub(super) fn folder(&self) -> &'a Path {
        self.cx.folder
    }

    pub(super) fn new(cx: &'a Context<'a>, value: &'a Value, path: KeyPath) -> Self {
        Self { cx, value, path }
    }

    pub(super) fn error(&self, complaint: impl Into<Complaint>) {
        self.cx.error(&self.path, complaint);
    }

    /// Complains about a key of this mapping.
    pub(super) fn error_at(&self, key: &str, complaint: impl Into<Complaint>) {
        self.cx.error(&self.path.key(key), complaint);
    }

    /// Reads a mapping. `read` asks for every key there is before it gives up; what it did not ask
    /// for is unknown.
    pub(super) fn fields<T>(&self, read: impl FnOnce(&mut Fields<'a>) -> Option<T>) -> Option<T> {
        let Value::Mapping(map) = self.value else {
            return self.wrong_type("a mapping", "write `key: value` lines below it");
        };
        let mut fields = Fields::new(self.cx, map, self.path.clone());
        let read = read(&mut fields);
        fields.refuse_unknown();
        read
    }

    /// The entries of a mapping whose keys are the user's own.
    pub(super) fn entries(&self) -> Vec<(String, Node<'a>)> {
        let Value::Mapping(map) = self.value else {
            self.wrong_type::<()>("a mapping", "write `name: value` lines below it");
            return Vec::new();
        };
        let mut entries = Vec::new();
        for (key, value) in map {
            match plain(key) {
                Some(key) => {
                    let path = self.path.key(&key);
                    entries.push((
                        key,
                        Node {
                            cx: self.cx,
                            value,
                            path,
                        },
                    ));
                }
                None => self.error(("a key is no text", "write a name as key")),
            }
        }
        entries
    }

    /// The elements of a list.
    pub(super) fn list(&self) -> Vec<Node<'a>> {
        self.elements().unwrap_or_else(|| {
            self.wrong_type::<()>("a list", "write `- …` lines, or [a, b]");
            Vec::new()
        })
    }

    /// The elements, if this is a list.
    pub(super) fn elements(&self) -> Option<Vec<Node<'a>>> {
        let Value::Sequence(values) = self.value else {
            return None;
        };
        let node = |(i, value)| Node {
            cx: self.cx,
            value,
            path: self.path.index(i),
        };
        Some(values.iter().enumerate().map(node).collect())
    }

    /// The text of a key, for whoever looks ahead: complains about nothing.
    pub(super) fn peek(&self, key: &str) -> Option<String> {
        plain(self.value.get(key)?)
    }

    /// A text that is not empty. Whole numbers count as their digits.
    pub(super) fn text(&self) -> Option<String> {
        match plain(self.value) {
            Some(text) if text.trim().is_empty() => {
                self.error(("it is empty", "write a value, or remove the key"));
                None
            }
            Some(text) => Some(text),
            None if matches!(self.value, Value::Bool(_) | Value::Number(_)) => {
                self.wrong_type("a text", "put it in double quotes")
            }
            None => self.wrong_type("a text", "write one text"),
        }
    }

    /// A text, made into something else.
    pub(super) fn parse<T>(&self, parse: impl FnOnce(&str) -> Result<T, Complaint>) -> Option<T> {
        match parse(&self.text()?) {
            Ok(value) => Some(value),
            Err(complaint) => {
                self.error(complaint);
                None
            }
        }
    }

    /// One of a few words.
    pub(super) fn choice<T: Copy>(&self, choices: &[(&'static str, T)]) -> Option<T> {
        self.parse(|text| {
            let known = choices.iter().find(|(word, _)| *word == text);
            known.map(|(_, value)| *value).ok_or_else(|| {
                let words: Vec<&str> = choices.iter().map(|(word, _)| *word).collect();
                let fix = format!("write one of {}", words.join(", "));
                Complaint::new(format!("{text:?} is not known here"), fix)
            })
        })
    }

    pub(super) fn duration(&self) -> Option<Duration> {
        if matches!(self.value, Value::Number(_)) && plain(self.value).is_none_or(|t| t != "0") {
            return self.wrong_type(
                "a duration",
                "write a number with its unit, such as 30s or 5m",
            );
        }
        self.parse(duration::parse)
    }

    /// A duration above zero.
    pub(super) fn interval(&self) -> Option<Duration> {
        let duration = self.duration()?;
        if duration.is_zero() {
            self.error(("it must be longer than zero", "write such as 5m"));
            return None;
        }
        Some(duration)
    }

    pub(super) fn flag(&self) -> Option<bool> {
        match self.value {
            Value::Bool(flag) => Some(*flag),
            Value::Null
            | Value::Number(_)
            | Value::String(_)
            | Value::Sequence(_)
            | Value::Mapping(_)
            | Value::Tagged(_) => self.wrong_type("true or false", "write true or false"),
        }
    }

    /// A whole number within a range. Digits in quotes count.
    pub(super) fn number(&self, low: u64, high: u64) -> Option<u64> {
        let number = plain(self.value).and_then(|text| text.parse::<u64>().ok());
        let Some(number) = number else {
            return self.wrong_type("a whole number", "write digits only");
        };
        if !(low..=high).contains(&number) {
            let fix = format!("write a number from {low} to {high}");
            self.error((format!("{number} is out of range"), fix));
            return None;
        }
        Some(number)
    }

    /// A list of texts.
    pub(super) fn texts(&self) -> Vec<String> {
        self.list().iter().filter_map(Node::text).collect()
    }

    fn wrong_type<T>(&self, wanted: &str, fix: &str) -> Option<T> {
        let found = match self.value {
            Value::Null => "nothing",
            Value::Bool(_) => "true or false",
            Value::Number(_) => "a number",
            Value::String(_) => "a text",
            Value::Sequence(_) => "a list",
            Value::Mapping(_) => "a mapping",
            Value::Tagged(_) => "a YAML tag",
        };
        self.error((format!("expected {wanted}, found {found}"), fix));
        None
    }
}

impl Complaints {
    fn add(&mut self, path: &KeyPath, complaint: Complaint) {
        match self.first.len() < MAX_PROBLEMS {
            true => self.first.push((path.clone(), complaint)),
            false => self.more += 1,
        }
    }
}

/// A text or a whole number as text.
pub(super) fn plain(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) if number.is_u64() => Some(number.to_string()),
        Value::Null
        | Value::Bool(_)
        | Value::Number(_)
        | Value::Sequence(_)
        | Value::Mapping(_)
        | Value::Tagged(_) => None,
    }
}
