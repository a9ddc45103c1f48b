//! What the demo says to whoever started it, in the language that was asked for, else in that of the terminal.

use std::io::Write;

use alert_router::render::{Language, Phrase};
use alert_router::web::language_of;

/// Those that say which language a terminal speaks: the first that is set decides (POSIX).
const VARIABLES: [&str; 3] = ["LC_ALL", "LC_MESSAGES", "LANG"];

/// Speaks one language.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Voice(pub(crate) Language);

impl Voice {
    pub(crate) fn new(asked: Option<Language>) -> Self {
        let var = |name: &str| std::env::var(name).ok();
        Self(asked.unwrap_or_else(|| of_terminal(var)))
    }

    pub(crate) fn say(self, phrase: &Phrase) {
        // A closed stdout is no reason to leave processes behind.
        let _ = writeln!(std::io::stdout(), "{}", self.words(phrase));
    }

    /// For who says it otherwise, such as an error.
    pub(crate) fn words(self, phrase: &Phrase) -> String {
        phrase.in_language(self.0).to_owned()
    }
}

fn of_terminal(var: impl Fn(&str) -> Option<String>) -> Language {
    let mut values = VARIABLES.into_iter().filter_map(var);
    let set = values.find(|value| !value.is_empty());
    set.and_then(|value| language_of(&value))
        .unwrap_or_default()
}

/// A language as configs and pages write it.
pub(crate) fn tag(language: Language) -> &'static str {
    match language {
        Language::English => "en",
        Language::Chinese => "zh-CN",
    }
}

/// The value of `--lang`.
pub(crate) fn parse_language(text: &str) -> Result<Language, String> {
    language_of(text).ok_or_else(|| "there are en and zh".to_owned())
}

/// This program as it was called: `cargo run` puts it on nobody's PATH.
pub(crate) fn called() -> String {
    let name = std::env::args_os().next();
    name.map_or("demo".into(), |name| name.to_string_lossy().into_owned())
}

/// As wide as `columns` of a terminal, where a Chinese character takes two.
pub(crate) fn padded(text: &str, columns: usize) -> String {
    let width = |c: char| if c < '\u{2e80}' { 1 } else { 2 };
    let taken: usize = text.chars().map(width).sum();
    format!("{text}{}", " ".repeat(columns.saturating_sub(taken)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_variable_that_is_set_decides_and_an_unknown_language_is_english() {
        let terminal = |all: &str, messages: &str, lang: &str| {
            of_terminal(|name| {
                let value = match name {
                    "LC_ALL" => all,
                    "LC_MESSAGES" => messages,
                    _ => lang,
                };
                Some(value.to_owned())
            })
        };
        assert_eq!(terminal("", "", "zh_CN.UTF-8"), Language::Chinese);
        assert_eq!(terminal("", "zh_CN", "en_US.UTF-8"), Language::Chinese);
        assert_eq!(terminal("C", "zh_CN", "zh_CN"), Language::English);
        assert_eq!(terminal("", "", "fr_FR.UTF-8"), Language::English);
        assert_eq!(of_terminal(|_| None), Language::English);
    }

    #[test]
    fn columns_stay_columns_in_both_languages() {
        assert_eq!(padded("mails", 6), "mails ");
        assert_eq!(padded("邮件", 6), "邮件  ");
        assert_eq!(padded("too long", 3), "too long");
    }
}
