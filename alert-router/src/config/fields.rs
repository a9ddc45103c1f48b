//! A mapping as the config expects it: each key asked for by name, secrets in their two forms, and
//! whatever was not asked for refused.

use serde_yaml::Mapping;

use super::problem::{Complaint, KeyPath};
use super::read::{Context, Node, plain};
use super::{Outside, Secret, suggest};

/// A mapping of which every key must be asked for.
pub(super) struct Fields<'a> {
    cx: &'a Context<'a>,
    map: &'a Mapping,
    path: KeyPath,
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

impl<'a> Fields<'a> {
    pub(super) fn new(cx: &'a Context<'a>, map: &'a Mapping, path: KeyPath) -> Self {
        Self {
            cx,
            map,
            path,
            asked: Vec::new(),
            refused: Vec::new(),
        }
    }

    /// The value of a key, if it is there. An empty value counts as absent.
    pub(super) fn get(&mut self, key: &'static str) -> Option<Node<'a>> {
        self.asked.push(key);
        let value = self.map.get(key).filter(|value| !value.is_null())?;
        Some(Node::new(self.cx, value, self.path.key(key)))
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
                file.error((what, "keep one of them"));
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
            self.error_at(key, ("this version cannot do that", fix));
        }
    }

    /// Refuses keys that stand there without a value: what protects must not be absent by a slip.
    pub(super) fn refuse_empty(&self, keys: &[&str], fix: &str) {
        let empty = |key: &&&str| self.map.get(**key).is_some_and(|value| value.is_null());
        for key in keys.iter().filter(empty) {
            self.error_at(key, ("it is empty", fix));
        }
    }

    pub(super) fn error(&self, complaint: impl Into<Complaint>) {
        self.cx.error(&self.path, complaint);
    }

    /// Complains about a key, or about the mapping if the value is inherited.
    pub(super) fn error_at(&self, key: &str, complaint: impl Into<Complaint>) {
        self.cx.error(&self.path.key(key), complaint);
    }

    pub(super) fn warn_at(&self, key: &str, complaint: impl Into<Complaint>) {
        self.cx.warn(&self.path.key(key), complaint);
    }

    pub(super) fn refuse_unknown(&self) {
        for key in self.map.keys() {
            let Some(key) = plain(key) else {
                self.error(("a key is no text", "write a name as key"));
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
            self.cx.error(&self.path.key(&key), ("unknown key", fix));
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

    /// The value as it stands, for a check that changes nothing.
    pub(super) fn peek(&self) -> Option<&T> {
        self.value.as_ref()
    }

    /// The value, if there is a correct one.
    pub(super) fn optional(self) -> Option<T> {
        self.value
    }

    /// The value; that it is missing is an error.
    pub(super) fn required(self, fields: &Fields<'_>, key: &str, fix: &str) -> Option<T> {
        if !self.present {
            fields.error((format!("{key} is missing"), fix));
        }
        self.value
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
