//! Label matchers in Alertmanager's language: what routes, priorities and mutes are written in.
//!
//! Both of upstream's grammars are read, as its default mode does: the UTF-8 one, and the classic
//! one, which wins where both understand the text differently.

mod classic;
mod re2;
mod utf8;

use std::cmp::Ordering;
use std::fmt;

use regex::Regex;

use crate::label::Labels;

/// One condition on one label. A label that is absent counts as empty.
#[derive(Clone)]
pub struct Matcher {
    name: Box<str>,
    op: MatchOp,
    value: Box<str>,
    /// Present exactly for the two regular operators.
    regex: Option<Regex>,
}

/// How a label is compared.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum MatchOp {
    /// `=`: the same text.
    Equal,
    /// `!=`: another text.
    NotEqual,
    /// `=~`: the whole text matches the regular expression.
    Regexp,
    /// `!~`: the whole text does not match the regular expression.
    NotRegexp,
}

/// Conditions that must all hold, sorted by name, value and operator as upstream sorts them.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Matchers(Vec<Matcher>);

/// Where a text stops being matchers, and what to write instead.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("column {column}: {problem}")]
pub struct MatcherError {
    /// The position in the text, in characters, from 1.
    pub column: usize,
    /// What is wrong there.
    pub problem: MatcherProblem,
}

/// What is wrong with a text that should be matchers.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum MatcherProblem {
    /// Something else stands where a label name belongs.
    #[error(
        "expected a label name, found {0}: write name=\"value\", the name in quotes if it has special characters"
    )]
    NoName(String),
    /// A label name without a character.
    #[error("the label name is empty: name a label")]
    EmptyName,
    /// No operator after the name.
    #[error("expected an operator, found {0}: write =, !=, =~ or !~ after the label name")]
    NoOperator(String),
    /// No value after the operator.
    #[error("expected a label value, found {0}: put the value in double quotes")]
    NoValue(String),
    /// Two matchers without a comma, or a value with special characters.
    #[error(
        "expected a comma or the end, found {0}: separate matchers by commas, and put values with special characters in double quotes"
    )]
    NoComma(String),
    /// A closing brace alone.
    #[error("a closing brace without an opening one: remove it, or put {{ in front")]
    NotOpened,
    /// An opening brace alone.
    #[error("an opening brace without a closing one: put }} at the end")]
    NotClosed,
    /// Text after the closing brace.
    #[error("expected the end, found {0}: remove what follows the closing brace")]
    NoEnd(String),
    /// A quote without its partner.
    #[error("a double quote is never closed: put \" at the end of the value")]
    Unterminated,
    /// A quoted text with an unknown escape, or one that is no UTF-8.
    #[error("{0} is no valid quoted text: write a backslash as \\\\ and a quote as \\\"")]
    BadQuoted(String),
    /// The regular expression is wrong, or too large.
    #[error("the regular expression {pattern:?} is invalid: {why}")]
    BadRegex {
        /// As written.
        pattern: String,
        /// What is wrong with it.
        why: String,
    },
}

impl Matcher {
    /// A matcher of a name, an operator and a value that are already unquoted.
    ///
    /// Regular expressions have RE2's syntax, are anchored at both ends, and compile to at most
    /// 1 MiB.
    pub fn new(name: &str, op: MatchOp, value: &str) -> Result<Self, MatcherProblem> {
        if name.is_empty() {
            return Err(MatcherProblem::EmptyName);
        }
        let regex = match op {
            MatchOp::Equal | MatchOp::NotEqual => None,
            MatchOp::Regexp | MatchOp::NotRegexp => Some(re2::compile(value)?),
        };
        Ok(Self {
            name: name.into(),
            op,
            value: value.into(),
            regex,
        })
    }

    /// The label it looks at.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How it compares.
    #[must_use]
    pub fn op(&self) -> MatchOp {
        self.op
    }

    /// What it compares with.
    #[must_use]
    pub fn value(&self) -> &str {
        &self.value
    }

    /// Whether the condition holds for these labels.
    #[must_use]
    pub fn matches(&self, labels: &Labels) -> bool {
        let found = labels.get(&self.name).unwrap_or("");
        let fits = match &self.regex {
            None => found == &*self.value,
            Some(regex) => regex.is_match(found),
        };
        match self.op {
            MatchOp::Equal | MatchOp::Regexp => fits,
            MatchOp::NotEqual | MatchOp::NotRegexp => !fits,
        }
    }

    fn order(&self) -> (&str, &str, MatchOp) {
        (&self.name, &self.value, self.op)
    }
}

impl Matchers {
    /// Reads any number of matchers, separated by commas, with or without braces around them.
    pub fn parse(text: &str) -> Result<Self, MatcherError> {
        let modern = utf8::parse(text);
        match (modern, classic::parse(text)) {
            (Ok(modern), None) => Ok(modern),
            // Upstream keeps the old meaning where the two differ (`a="\t"` is a backslash and a t).
            (Ok(_) | Err(_), Some(classic)) => Ok(classic),
            (Err(error), None) => Err(error),
        }
    }

    /// Whether all conditions hold. None at all hold always.
    #[must_use]
    pub fn matches(&self, labels: &Labels) -> bool {
        self.0.iter().all(|m| m.matches(labels))
    }

    /// The matchers, sorted.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Matcher> {
        self.0.iter()
    }

    /// Whether there is no condition.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// These conditions and further ones.
    #[must_use]
    pub fn and(self, others: Self) -> Self {
        self.0.into_iter().chain(others.0).collect()
    }
}

impl FromIterator<Matcher> for Matchers {
    fn from_iter<I: IntoIterator<Item = Matcher>>(matchers: I) -> Self {
        let mut matchers: Vec<_> = matchers.into_iter().collect();
        matchers.sort();
        Self(matchers)
    }
}

impl MatchOp {
    /// As it is written.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Equal => "=",
            Self::NotEqual => "!=",
            Self::Regexp => "=~",
            Self::NotRegexp => "!~",
        }
    }
}

impl PartialEq for Matcher {
    fn eq(&self, other: &Self) -> bool {
        self.order() == other.order()
    }
}

impl Eq for Matcher {}

impl PartialOrd for Matcher {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Matcher {
    fn cmp(&self, other: &Self) -> Ordering {
        self.order().cmp(&other.order())
    }
}

/// As Alertmanager writes it: `name="value"`. [`Matchers::parse`] reads it back.
impl fmt::Display for Matcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.name.chars().any(utf8::is_reserved) {
            utf8::quote(f, &self.name)?;
            f.write_str(self.op.as_str())?;
            utf8::quote(f, &self.value)
        } else {
            write!(f, "{}{}", self.name, self.op.as_str())?;
            classic::quote(f, &self.value)
        }
    }
}

impl fmt::Debug for Matcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// As Alertmanager writes it: `{a="b",c!~"d"}`.
impl fmt::Display for Matchers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("{")?;
        for (i, matcher) in self.0.iter().enumerate() {
            let comma = if i > 0 { "," } else { "" };
            write!(f, "{comma}{matcher}")?;
        }
        f.write_str("}")
    }
}

impl fmt::Debug for Matchers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests;
