//! How text is made harmless in each kind of template, chosen by the end of the template's name.
//! A channel with a syntax of its own adds an arm to [`Escape`], nothing else.

use minijinja::value::Value;
use minijinja::{AutoEscape, Error, Output, State, escape_formatter};

/// The syntax that a template writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Escape {
    /// Nothing is special.
    Plain,
    /// HTML text and quoted attribute values.
    Html,
    /// Markdown as chat rooms understand it.
    Markdown,
    /// Text of chat rooms, in which tags make links and mentions.
    Chat,
}

const MARKDOWN: &str = "markdown";
const CHAT: &str = "chat";

impl Escape {
    fn of(template: &str) -> Self {
        match template.rsplit('.').next() {
            Some("html") => Self::Html,
            Some("md") => Self::Markdown,
            Some("chat") => Self::Chat,
            Some(_) | None => Self::Plain,
        }
    }
}

/// Tells minijinja which escaping a template needs.
pub(super) fn auto_escape(template: &str) -> AutoEscape {
    match Escape::of(template) {
        Escape::Plain => AutoEscape::None,
        Escape::Html => AutoEscape::Html,
        Escape::Markdown => AutoEscape::Custom(MARKDOWN.into()),
        Escape::Chat => AutoEscape::Custom(CHAT.into()),
    }
}

/// Writes one value, escaped unless the template said that it is safe.
pub(super) fn format(out: &mut Output, state: &mut State, value: &Value) -> Result<(), Error> {
    let escape: fn(&str) -> String = if state.auto_escape() == &AutoEscape::Html {
        html
    } else if matches!(state.auto_escape(), AutoEscape::Custom(kind) if kind == MARKDOWN) {
        markdown
    } else if matches!(state.auto_escape(), AutoEscape::Custom(kind) if kind == CHAT) {
        chat
    } else {
        return escape_formatter(out, state, value);
    };
    match value.as_str() {
        Some(text) if value.is_safe() => out.write_str(text).map_err(Error::from),
        Some(_) | None => out
            .write_str(&escape(&value.to_string()))
            .map_err(Error::from),
    }
}

/// HTML text or a quoted attribute value. minijinja's own also escapes the slash, which makes
/// every link five times as long as it has slashes.
pub(super) fn html(text: &str) -> String {
    text.chars()
        .fold(String::with_capacity(text.len()), |mut html, c| {
            match c {
                '&' => html.push_str("&amp;"),
                '<' => html.push_str("&lt;"),
                '>' => html.push_str("&gt;"),
                '"' => html.push_str("&quot;"),
                '\'' => html.push_str("&#39;"),
                other => html.push(other),
            }
            html
        })
}

/// Takes the meaning from characters that markdown gives one.
///
/// Chat rooms know no backslash escape, so a special character becomes its full-width twin,
/// which reads the same. The underscore stays: it means nothing there, and names are full of it.
pub(super) fn markdown(text: &str) -> String {
    text.chars()
        .map(|c| match c {
            '*' => '＊',
            '`' => '｀',
            '[' => '［',
            ']' => '］',
            '<' => '＜',
            '>' => '＞',
            '#' => '＃',
            other => other,
        })
        .collect()
}

/// Takes the meaning from tags (`<a href=…>`, `<@userid>`), as [`markdown`] does.
pub(super) fn chat(text: &str) -> String {
    text.replace('<', "＜")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_the_name_decides() {
        let cases = [
            ("email.html", Escape::Html),
            ("email.txt", Escape::Plain),
            ("wecom.md", Escape::Markdown),
            ("wecom.chat", Escape::Chat),
            ("words.en.txt", Escape::Plain),
            ("html", Escape::Html),
            ("", Escape::Plain),
        ];
        for (name, want) in cases {
            assert_eq!(Escape::of(name), want, "{name}");
        }
    }

    #[test]
    fn html_can_leave_neither_text_nor_attribute() {
        assert_eq!(
            html("<a b=\"c\" d='e'>&/"),
            "&lt;a b=&quot;c&quot; d=&#39;e&#39;&gt;&amp;/"
        );
    }

    #[test]
    fn markdown_loses_its_meaning_but_not_its_look() {
        assert_eq!(
            markdown("<@all> **x** [a](b)"),
            "＜@all＞ ＊＊x＊＊ ［a］(b)"
        );
    }
}
