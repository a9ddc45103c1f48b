//! What is wrong with a config file, said so that it can be repaired: file, line, key, fix.

use std::fmt;
use std::path::PathBuf;

use crate::render::escaped;

/// One thing that is wrong, or that will probably hurt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The line in the file, from 1; 0 if it is about no line.
    pub line: usize,
    /// The key, such as `receivers[0].email_configs[0].to`.
    pub key: String,
    /// What is wrong.
    pub what: String,
    /// What to do.
    pub fix: String,
}

/// A config that cannot be used, with everything that is wrong with it.
#[derive(Debug)]
pub struct ConfigError {
    /// The file.
    pub file: PathBuf,
    /// The first that were found, in the order of the file. Never empty.
    pub problems: Vec<Problem>,
    /// How many there are beyond those.
    pub more: usize,
}

/// Where a value stands in the file.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct KeyPath(pub(super) Vec<Step>);

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Step {
    Key(String),
    Index(usize),
}

/// A complaint about one value, before it is known where that stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Complaint {
    pub(super) what: String,
    pub(super) fix: String,
}

impl Complaint {
    pub(super) fn new(what: impl Into<String>, fix: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            fix: fix.into(),
        }
    }
}

/// What is wrong, and what to do.
impl<W: Into<String>, F: Into<String>> From<(W, F)> for Complaint {
    fn from((what, fix): (W, F)) -> Self {
        Self::new(what, fix)
    }
}

impl KeyPath {
    pub(super) fn key(&self, key: &str) -> Self {
        self.then(Step::Key(key.to_owned()))
    }

    pub(super) fn index(&self, index: usize) -> Self {
        self.then(Step::Index(index))
    }

    fn then(&self, step: Step) -> Self {
        let mut steps = self.0.clone();
        steps.push(step);
        Self(steps)
    }
}

/// `receivers[0].name`. A key is any text, also with line breaks in it.
impl fmt::Display for KeyPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, step) in self.0.iter().enumerate() {
            match step {
                Step::Key(key) if i == 0 => f.write_str(&escaped(key))?,
                Step::Key(key) => write!(f, ".{}", escaped(key))?,
                Step::Index(index) => write!(f, "[{index}]")?,
            }
        }
        Ok(())
    }
}

/// `line 3: route.receiver: there is no receiver "db": add it`.
impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.line > 0 {
            write!(f, "line {}: ", self.line)?;
        }
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        write!(f, "{}: {}", self.what, self.fix)
    }
}

/// One problem a line, each beginning with the file, as compilers do.
impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, problem) in self.problems.iter().enumerate() {
            let gap = if i > 0 { "\n" } else { "" };
            write!(f, "{gap}{}: {problem}", self.file.display())?;
        }
        match self.more {
            0 => Ok(()),
            more => write!(f, "\n{}: {}", self.file.display(), not_shown(more)),
        }
    }
}

/// What stands in the place of those that are too many to list.
pub(crate) fn not_shown(more: usize) -> String {
    format!("{more} more not shown: mend these first")
}

impl std::error::Error for ConfigError {}
