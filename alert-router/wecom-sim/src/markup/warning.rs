//! What a reader would see differently from what the author had in mind. The service accepts all
//! of it, so only somebody who looks at the phone would notice; a test can assert that there is
//! nothing to notice.

use std::fmt;

use super::Dialect;
use super::block::{is_delimiter, is_rule, item};
use super::inline::Color;
use crate::config::Directory;

/// One difference between what was written and what is seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Warning {
    /// A table in `markdown`, shown as bars and dashes.
    TableInMarkdown,
    /// A list in `markdown`, shown literally.
    ListInMarkdown,
    /// A fenced block in `markdown`.
    FenceInMarkdown,
    /// An image in `markdown`.
    ImageInMarkdown,
    /// A rule in `markdown`.
    RuleInMarkdown,
    /// A nested quote in `markdown`.
    NestedQuoteInMarkdown,
    /// `<font …>` in `markdown_v2`, shown literally.
    FontInV2,
    /// `<@…>` in `markdown_v2`: calls nobody.
    MentionInV2,
    /// A colour other than info, comment, warning.
    UnknownColor(String),
    /// `<font …>` that does not end on its line.
    UnclosedFont,
    /// A fence without an end, perhaps cut.
    UnclosedFence,
    /// A mention of somebody who is not there.
    UnknownMention(String),
    /// U+FFFD: somebody cut through a character.
    ReplacementCharacter,
    /// `mentioned_list` beside markdown: calls nobody.
    MentionedListIgnored,
    /// An application's text was cut in silence at this byte.
    CutAt(usize),
}

/// Every difference that this text would make.
pub(crate) fn warnings(dialect: Dialect, text: &str, directory: &Directory) -> Vec<Warning> {
    let mut found = Vec::new();
    match dialect {
        Dialect::Markdown => {
            text.lines()
                .for_each(|line| markdown_line(line, &mut found));
            text.lines().for_each(|line| fonts(line, &mut found));
            mentions(text, directory, &mut found);
        }
        Dialect::MarkdownV2 => v2(text, &mut found),
    }
    if text.contains('\u{fffd}') {
        found.push(Warning::ReplacementCharacter);
    }
    found.dedup();
    found
}

fn markdown_line(line: &str, found: &mut Vec<Warning>) {
    let checks = [
        (is_delimiter(line), Warning::TableInMarkdown),
        (item(line).is_some(), Warning::ListInMarkdown),
        (line.starts_with("```"), Warning::FenceInMarkdown),
        (line.contains("!["), Warning::ImageInMarkdown),
        (is_rule(line.trim()), Warning::RuleInMarkdown),
        (
            line.starts_with(">>") || line.starts_with("> >"),
            Warning::NestedQuoteInMarkdown,
        ),
    ];
    found.extend(
        checks
            .into_iter()
            .filter(|(holds, _)| *holds)
            .map(|(_, warning)| warning),
    );
}

fn fonts(line: &str, found: &mut Vec<Warning>) {
    for opened in line.split("<font ").skip(1) {
        let color = opened
            .strip_prefix("color=\"")
            .and_then(|rest| rest.split_once("\">"));
        match color {
            Some((name, _)) if Color::of(name).is_none() => {
                found.push(Warning::UnknownColor(name.into()));
            }
            Some((_, rest)) if rest.contains("</font>") => {}
            Some(_) | None => found.push(Warning::UnclosedFont),
        }
    }
}

fn mentions(text: &str, directory: &Directory, found: &mut Vec<Warning>) {
    for opened in text.split("<@").skip(1) {
        let id = opened.split_once('>').map_or(opened, |(id, _)| id);
        if directory.name(id).is_none() {
            found.push(Warning::UnknownMention(id.chars().take(64).collect()));
        }
    }
}

fn v2(text: &str, found: &mut Vec<Warning>) {
    let checks = [
        (text.contains("<font "), Warning::FontInV2),
        (text.contains("<@"), Warning::MentionInV2),
        (
            text.lines().filter(|line| line.starts_with("```")).count() % 2 == 1,
            Warning::UnclosedFence,
        ),
    ];
    found.extend(
        checks
            .into_iter()
            .filter(|(holds, _)| *holds)
            .map(|(_, warning)| warning),
    );
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TableInMarkdown => f.write_str("markdown has no tables"),
            Self::ListInMarkdown => f.write_str("markdown has no lists"),
            Self::FenceInMarkdown => f.write_str("markdown has no fenced code"),
            Self::ImageInMarkdown => f.write_str("markdown has no images"),
            Self::RuleInMarkdown => f.write_str("markdown has no rules"),
            Self::NestedQuoteInMarkdown => f.write_str("markdown has one level of quotes"),
            Self::FontInV2 => f.write_str("markdown_v2 has no colours"),
            Self::MentionInV2 => f.write_str("markdown_v2 cannot mention"),
            Self::UnknownColor(name) => write!(f, "no colour {name}"),
            Self::UnclosedFont => f.write_str("a font tag is not closed on its line"),
            Self::UnclosedFence => f.write_str("a code fence is not closed"),
            Self::UnknownMention(id) => write!(f, "no member {id}"),
            Self::ReplacementCharacter => f.write_str("U+FFFD: a character was cut"),
            Self::MentionedListIgnored => f.write_str("mentioned_list works in text only"),
            Self::CutAt(bytes) => write!(f, "cut at {bytes} bytes"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(dialect: Dialect, text: &str, expected: &[Warning]) {
        let directory = Directory::of([("wangqing", "王青")]);
        assert_eq!(warnings(dialect, text, &directory), expected, "{text}");
    }

    #[test]
    fn markdown_warns_about_what_it_cannot_show() {
        let check = |text, expected: &[Warning]| check(Dialect::Markdown, text, expected);
        check(
            "# ok\n> **x** [a](https://b) `c`\n<font color=\"info\">x</font><@WangQing>",
            &[],
        );
        check("|a|\n|-|\n", &[Warning::TableInMarkdown]);
        check("- a\n1. b", &[Warning::ListInMarkdown]);
        check("```", &[Warning::FenceInMarkdown]);
        check("![a](b)", &[Warning::ImageInMarkdown]);
        check("---", &[Warning::RuleInMarkdown]);
        check(">> a", &[Warning::NestedQuoteInMarkdown]);
        check(
            "<font color=\"red\">a</font>",
            &[Warning::UnknownColor("red".into())],
        );
        check("<font color=\"info\">a\n</font>", &[Warning::UnclosedFont]);
        check("<font color", &[Warning::UnclosedFont]);
        check("<@x>", &[Warning::UnknownMention("x".into())]);
        check("a\u{fffd}", &[Warning::ReplacementCharacter]);
    }

    #[test]
    fn markdown_v2_warns_about_colours_mentions_and_open_fences() {
        let check = |text, expected: &[Warning]| check(Dialect::MarkdownV2, text, expected);
        check("- a\n| a |\n| - |\n```\n<@\n```", &[Warning::MentionInV2]);
        check("- a\n---\n```\nx\n```", &[]);
        check("<font color=\"info\">a</font>", &[Warning::FontInV2]);
        check("```\na", &[Warning::UnclosedFence]);
    }
}
