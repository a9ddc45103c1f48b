//! What we say ourselves beside messages: the same in each language that people read.

use std::borrow::Cow;
use std::fmt;

use super::Language;

/// A phrase of ours in each language. `Display` is the English one, which logs and commands use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Phrase {
    english: Cow<'static, str>,
    chinese: Cow<'static, str>,
}

impl Phrase {
    /// A phrase that is known beforehand.
    #[must_use]
    pub const fn fixed(english: &'static str, chinese: &'static str) -> Self {
        Self {
            english: Cow::Borrowed(english),
            chinese: Cow::Borrowed(chinese),
        }
    }

    /// A phrase with something in it.
    #[must_use]
    pub fn new(english: String, chinese: String) -> Self {
        Self {
            english: english.into(),
            chinese: chinese.into(),
        }
    }

    /// Words of others, which nobody translates.
    #[must_use]
    pub fn verbatim(words: impl fmt::Display) -> Self {
        let words = words.to_string();
        Self::new(words.clone(), words)
    }

    /// The phrase in one language.
    #[must_use]
    pub fn in_language(&self, language: Language) -> &str {
        match language {
            Language::English => &self.english,
            Language::Chinese => &self.chinese,
        }
    }

    /// The same change to each language.
    #[must_use]
    pub fn map(&self, change: impl Fn(&str) -> String) -> Self {
        Self::new(change(&self.english), change(&self.chinese))
    }
}

impl fmt::Display for Phrase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.english)
    }
}
