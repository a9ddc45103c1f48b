//! Typed access to a YAML document that collects every problem instead of stopping at the first.
//!
//! Deriving the types would be shorter, but would report one error a run, and none of the checks
//! that come after parsing could name its line.

use std::cell::RefCell;
use std::path::Path;
use std::time::Duration;

use serde_yaml::{Mapping, Value};

use super::problem::{Complaint, KeyPath};
use super::{Outside, Secret, duration, suggest};

/// More would not be read.
const MAX_PROBLEMS: usize = 100;
/// A secret or certificate is smaller.
const MAX_FILE_BYTES: usize = 64 * 1024;

/// What reading one file has found so far.
pub(super) struct Context<'a> {
    pub(super) outside: &'a Outside<'a>,
    /// What relative paths in the file are relative to.
    pub(super) folder: &'a Path,
    pub(super) errors: RefCell<Vec<(KeyPath, Complaint)>>,
    pub(super) warnings: RefCell<Vec<(KeyPath, Complaint)>>,
}

/// A value and where it stands.
#[derive(Clone)]
pub(super) struct Node<'a> {
    cx: &'a Context<'a>,
    value: &'a Value,
    pub(super) path: KeyPath,
}

/// A mapping of which every key must be asked for.
pub(super) struct Fields<'a> {
    cx: &'a Context<'a>,
    map: &'a Mapping,
    pub(super) path: KeyPath,
    asked: Vec<&'static str>,
    /// Known, but not offered.
    refused: Vec<&'static str>,
}

/// A setting that may be absent, or present and wrong, which has been reported then.
#[derive(Clone, Debug)]
pub(super) struct Given<T> {
    present: bool,
    value: Option<T>,
}

impl Context<'_> {
    pub(super) fn error(&self, path: &KeyPath, complaint: Complaint) {
        push(&self.errors, path, complaint);
    }

    pub(super) fn warn(&self, path: &KeyPath, complaint: Complaint) {
        push(&self.warnings, path, complaint);
    }

    /// The content of a file that the config names, without blanks around it.
    fn file(&self, name: &str) -> Result<String, Complaint> {
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
    pub(super) fn root(cx: &'a Context<'a>, value: &'a Value) -> Self {
        Self {
            cx,
            value,
            path: KeyPath::default(),
        }
    }

    pub(super) fn error(&self, complaint: Complaint) {
        self.cx.error(&self.path, complaint);
    }

    /// Complains about a key of this mapping.
    pub(super) fn error_at(&self, key: &str, complaint: Complaint) {
        self.cx.error(&self.path.key(key), complaint);
    }

    /// Reads a mapping. `read` asks for every key there is before it gives up; what it did not ask
    /// for is unknown.
    pub(super) fn fields<T>(&self, read: impl FnOnce(&mut Fields<'a>) -> Option<T>) -> Option<T> {
        let Value::Mapping(map) = self.value else {
            return self.wrong_type("a mapping", "write `key: value` lines below it");
        };
        let mut fields = Fields {
            cx: self.cx,
            map,
            path: self.path.clone(),
            asked: Vec::new(),
            refused: Vec::new(),
        };
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
                None => self.error(Complaint::new("a key is no text", "write a name as key")),
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
                self.error(Complaint::new(
                    "it is empty",
                    "write a value, or remove the key",
                ));
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
            self.error(Complaint::new(
                "it must be longer than zero",
                "write such as 5m",
            ));
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
            self.error(Complaint::new(format!("{number} is out of range"), fix));
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
        self.error(Complaint::new(
            format!("expected {wanted}, found {found}"),
            fix,
        ));
        None
    }
}

impl<'a> Fields<'a> {
    /// The value of a key, if it is there. An empty value counts as absent.
    pub(super) fn get(&mut self, key: &'static str) -> Option<Node<'a>> {
        self.asked.push(key);
        let value = self.map.get(key).filter(|value| !value.is_null())?;
        Some(Node {
            cx: self.cx,
            value,
            path: self.path.key(key),
        })
    }

    /// The value of a key, read.
    pub(super) fn read<T>(
        &mut self,
        key: &'static str,
        read: impl FnOnce(&Node<'a>) -> Option<T>,
    ) -> Option<T> {
        self.given(key, read).value
    }

    /// The value of a key, read, and whether there was one.
    pub(super) fn given<T>(
        &mut self,
        key: &'static str,
        read: impl FnOnce(&Node<'a>) -> Option<T>,
    ) -> Given<T> {
        let node = self.get(key);
        Given {
            present: node.is_some(),
            value: node.and_then(|node| read(&node)),
        }
    }

    /// A secret: `key`, with `${NAME}` taken from the environment, or `key_file`.
    pub(super) fn secret(&mut self, key: &'static str, key_file: &'static str) -> Given<Secret> {
        let (inline, file) = (self.get(key), self.get(key_file));
        let present = inline.is_some() || file.is_some();
        let value = match (inline, file) {
            (Some(_), Some(file)) => {
                let what = format!("both {key} and {key_file} are set");
                file.error(Complaint::new(what, "keep one of them"));
                None
            }
            (Some(inline), None) => inline.parse(|text| expand(text, self.cx.outside)),
            (None, Some(file)) => file.parse(|name| self.cx.file(name)),
            (None, None) => None,
        };
        Given {
            present,
            value: value.map(|text| Secret::new(&text)),
        }
    }

    /// The content of a file that the config names.
    pub(super) fn file(&mut self, key: &'static str) -> Option<String> {
        self.read(key, |node| node.parse(|name| self.cx.file(name)))
    }

    /// Refuses keys that Alertmanager knows and this version does not.
    pub(super) fn refuse(&mut self, keys: &[&'static str], fix: &str) {
        self.refused.extend(keys);
        for key in keys.iter().filter(|key| self.map.contains_key(**key)) {
            self.error_at(key, Complaint::new("this version cannot do that", fix));
        }
    }

    pub(super) fn error(&self, complaint: Complaint) {
        self.cx.error(&self.path, complaint);
    }

    /// Complains about a key, or about the mapping if the value is inherited.
    pub(super) fn error_at(&self, key: &str, complaint: Complaint) {
        self.cx.error(&self.path.key(key), complaint);
    }

    pub(super) fn warn_at(&self, key: &str, complaint: Complaint) {
        self.cx.warn(&self.path.key(key), complaint);
    }

    fn refuse_unknown(&self) {
        for key in self.map.keys() {
            let Some(key) = plain(key) else {
                self.error(Complaint::new("a key is no text", "write a name as key"));
                continue;
            };
            let known = |keys: &[&str]| keys.contains(&key.as_str());
            if known(&self.asked) || known(&self.refused) {
                continue;
            }
            let fix = match suggest::nearest(&key, self.asked.iter().copied()) {
                Some(meant) => format!("did you mean {meant}?"),
                None => {
                    let mut known = self.asked.clone();
                    known.sort_unstable();
                    known.dedup();
                    format!("remove it; known here: {}", known.join(", "))
                }
            };
            self.cx
                .error(&self.path.key(&key), Complaint::new("unknown key", fix));
        }
    }
}

impl<T> Given<T> {
    pub(super) fn absent() -> Self {
        Self {
            present: false,
            value: None,
        }
    }

    pub(super) fn is_present(&self) -> bool {
        self.present
    }

    /// This, or what is inherited.
    pub(super) fn or(self, inherited: &Self) -> Self
    where
        T: Clone,
    {
        if self.present {
            self
        } else {
            inherited.clone()
        }
    }

    pub(super) fn map<U>(self, change: impl FnOnce(T) -> U) -> Given<U> {
        Given {
            present: self.present,
            value: self.value.map(change),
        }
    }

    /// The value, if there is a correct one.
    pub(super) fn optional(self) -> Option<T> {
        self.value
    }

    /// The value; that it is missing is an error.
    pub(super) fn required(self, fields: &Fields<'_>, key: &str, fix: &str) -> Option<T> {
        if !self.present {
            fields.error(Complaint::new(format!("{key} is missing"), fix));
        }
        self.value
    }
}

fn push(to: &RefCell<Vec<(KeyPath, Complaint)>>, path: &KeyPath, complaint: Complaint) {
    let mut all = to.borrow_mut();
    if all.len() < MAX_PROBLEMS {
        all.push((path.clone(), complaint));
    }
}

/// A text or a whole number as text.
fn plain(value: &Value) -> Option<String> {
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

/// Replaces `${NAME}` by the environment's value; `$${` stands for `${`.
fn expand(text: &str, outside: &Outside<'_>) -> Result<String, Complaint> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("${") {
        if rest[..at].ends_with('$') {
            out.push_str(&rest[..at]);
            out.push('{');
            rest = &rest[at + 2..];
            continue;
        }
        out.push_str(&rest[..at]);
        let Some((name, after)) = rest[at + 2..].split_once('}') else {
            return Err(Complaint::new(
                "${ is never closed",
                "write ${NAME}, or $${ for a plain ${",
            ));
        };
        let value = (outside.env)(name).filter(|value| !value.is_empty());
        let value = value.ok_or_else(|| {
            let what = format!("the environment variable {name} is not set");
            Complaint::new(what, "set it, or use the form with _file")
        })?;
        out.push_str(&value);
        rest = after;
    }
    out.push_str(rest);
    Ok(out)
}
