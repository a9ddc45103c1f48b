//! Cuts text to a number of bytes without breaking a character, a line's markup, or the reader's
//! trust: what is missing shows as an ellipsis.

use super::content::Markup;

const MORE: &str = "…";

/// `text` in at most `bytes` bytes.
///
/// Whole lines stay while they fit. The line that does not is cut between characters, unless it
/// holds a link, which half of would lead astray, or markup, which a cut would leave open: such a
/// line goes as a whole.
pub(crate) fn cut(text: &str, bytes: usize, markup: Markup) -> String {
    if text.len() <= bytes {
        return text.to_owned();
    }
    let Some(room) = bytes.checked_sub(MORE.len()) else {
        return String::new();
    };
    let end = text.floor_char_boundary(room);
    let start = text[..end].rfind('\n').map_or(0, |newline| newline + 1);
    let line = text[start..].lines().next().unwrap_or_default();
    let kept = if may_be_cut(line, markup) { end } else { start };
    text[..kept].trim_end().to_owned() + MORE
}

fn may_be_cut(line: &str, markup: Markup) -> bool {
    let open = match markup {
        Markup::None => false,
        Markup::Plain | Markup::Coloured => line.contains(['<', '*', '`', '[']),
    };
    !open && !line.contains("://")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(text: &str, bytes: usize, expected: &str) {
        assert_eq!(cut(text, bytes, Markup::Coloured), expected);
    }

    #[test]
    fn lines_stay_whole_characters_too_and_open_markup_never() {
        check("short", 5, "short");
        check("abcdefghij", 8, "abcde…");
        check("磁盘将满", 11, "磁盘…");
        check("one\ntwo is long", 12, "one\ntwo i…");
        check("one\n**two is bold**", 12, "one…");
        check("**all of it is bold**", 12, "…");
        check("one\nsee http://h/long", 14, "one…");
        check("anything", 2, "");
    }

    #[test]
    fn without_markup_every_line_may_be_cut() {
        assert_eq!(cut("cpu < 5 % [idle]", 12, Markup::None), "cpu < 5 %…");
    }

    proptest! {
        #[test]
        fn a_cut_is_never_too_long_and_only_leaves_out(text in "(?s).{0,200}", bytes in 0_usize..300) {
            for markup in [Markup::None, Markup::Plain, Markup::Coloured] {
                let kept = cut(&text, bytes, markup);
                prop_assert!(kept.len() <= bytes);
                prop_assert!(text.starts_with(kept.trim_end_matches(MORE)));
                prop_assert!(text.len() > bytes || kept == text);
            }
        }
    }
}
