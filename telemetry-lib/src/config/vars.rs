//! Reading variables by the rules of the OpenTelemetry specification: empty is unset,
//! an invalid value is reported by name and ignored, and never echoed: it may be a secret
//! that ended up in the wrong variable.

use std::borrow::Cow;
use std::cell::Cell;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// A snapshot of the environment, and what was wrong in it.
#[derive(Default)]
pub(super) struct Vars {
    values: BTreeMap<String, String>,
    /// What is no text, and whether somebody asked for it: others' variables are no concern of ours.
    unreadable: BTreeMap<String, Cell<bool>>,
    invalid: Vec<Invalid>,
}

/// A variable whose value was ignored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Invalid {
    variable: String,
    expected: &'static str,
    /// What is expected stands beside it.
    in_part: bool,
}

impl Vars {
    pub(super) fn new(vars: impl IntoIterator<Item = (OsString, OsString)>) -> Self {
        let mut read = Self::default();
        for (name, value) in vars {
            // The names that we ask for are text.
            let Ok(name) = name.into_string() else {
                continue;
            };
            match value.into_string() {
                Ok(value) if value.trim().is_empty() => {}
                Ok(value) => {
                    read.values.insert(name, value.trim().to_owned());
                }
                Err(_) => {
                    read.unreadable.insert(name, Cell::new(false));
                }
            }
        }
        read
    }

    pub(super) fn text(&self, name: &str) -> Option<&str> {
        if let Some(asked) = self.unreadable.get(name) {
            asked.set(true);
        }
        self.values.get(name).map(String::as_str)
    }

    /// The first variable that is set: the one for the signal, then the general one.
    pub(super) fn first<'n>(&self, names: &[&'n str]) -> Option<(&'n str, &str)> {
        names
            .iter()
            .find_map(|name| Some((*name, self.text(name)?)))
    }

    /// The first of these variables whose value can be read. `read` says `None` for a value that
    /// is not `expected`; that one is reported, and as good as unset.
    pub(super) fn read<T>(
        &mut self,
        names: &[&str],
        expected: &'static str,
        read: impl Fn(&str) -> Option<T>,
    ) -> Option<T> {
        for name in names {
            let Some(value) = self.text(name) else {
                continue;
            };
            match read(value) {
                Some(parsed) => return Some(parsed),
                None => self.report(name, expected),
            }
        }
        None
    }

    /// As [`read`](Self::read), where the value is one of these words, in any case.
    pub(super) fn word<T: Copy>(
        &mut self,
        names: &[&str],
        expected: &'static str,
        words: &[(&str, T)],
    ) -> Option<T> {
        self.read(names, expected, |value| {
            let is_meant = |(word, _): &&(&str, T)| word.eq_ignore_ascii_case(value);
            words.iter().find(is_meant).map(|(_, meaning)| *meaning)
        })
    }

    pub(super) fn number<T: FromStr>(&mut self, names: &[&str]) -> Option<T> {
        self.read(names, "a whole number that is not negative", |value| {
            value.parse().ok()
        })
    }

    pub(super) fn millis(&mut self, names: &[&str]) -> Option<Duration> {
        self.read(names, "a whole number of milliseconds", |value| {
            value.parse().ok().map(Duration::from_millis)
        })
    }

    /// Only a case-insensitive `true` is true; anything but `false` beside it is reported.
    pub(super) fn boolean(&mut self, name: &str) -> bool {
        let words = [("true", true), ("false", false)];
        self.word(&[name], "`true` or `false`", &words)
            .unwrap_or(false)
    }

    pub(super) fn report(&mut self, variable: &str, expected: &'static str) {
        self.invalid.push(Invalid {
            variable: variable.to_owned(),
            expected,
            in_part: false,
        });
    }

    /// Of a list some items count, but not all are `expected`.
    pub(super) fn report_part(&mut self, variable: &str, expected: &'static str) {
        self.invalid.push(Invalid {
            variable: variable.to_owned(),
            expected,
            in_part: true,
        });
    }

    pub(super) fn into_invalid(mut self) -> Vec<Invalid> {
        let unreadable = std::mem::take(&mut self.unreadable).into_iter();
        for (name, _) in unreadable.filter(|(_, asked)| asked.get()) {
            self.report(&name, "UTF-8");
        }
        self.invalid
    }
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let why = match self.in_part {
            true => " in part: not all that it lists is",
            false => ": its value is not",
        };
        write!(f, "{} is ignored{why} {}", self.variable, self.expected)
    }
}

/// Undoes `%XX`, as far as it is one.
pub(crate) fn percent_bytes(text: &[u8]) -> Cow<'_, [u8]> {
    if !text.contains(&b'%') {
        return Cow::Borrowed(text);
    }
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let [byte, tail @ ..] = rest {
        let escape = match *rest {
            [b'%', high, low, ..] => digit(high).zip(digit(low)),
            _ => None,
        };
        // Two digits make a byte.
        let (byte, tail) = match escape {
            Some((high, low)) => ((high << 4 | low) as u8, &rest[3..]),
            None => (*byte, tail),
        };
        bytes.push(byte);
        rest = tail;
    }
    Cow::Owned(bytes)
}

/// Undoes `%XX`; text that does not decode is taken as it stands, as other SDKs do.
pub(crate) fn percent_decoded(text: &str) -> String {
    let decoded = String::from_utf8(percent_bytes(text.as_bytes()).into_owned());
    decoded.unwrap_or_else(|_| text.to_owned())
}

/// `a=1,b=2` with percent-encoded values; `None` if a member has no key or no `=`.
pub(super) fn pairs(text: &str) -> Option<Vec<(String, String)>> {
    text.split(',')
        .map(str::trim)
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (key, value) = pair.split_once('=')?;
            let key = key.trim();
            (!key.is_empty()).then(|| (key.to_owned(), percent_decoded(value.trim())))
        })
        .collect()
}
