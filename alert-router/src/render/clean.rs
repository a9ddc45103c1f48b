//! Takes from foreign text what no channel may carry: control characters, text direction tricks,
//! endless length. Apart, because it happens once, before any channel's escaping.

/// The longest value that is shown, in characters.
const LONGEST: usize = 1024;

/// Foreign text on one line: controls and line breaks become one space, invisible direction
/// marks go, at most 1024 characters stay.
pub(crate) fn clean(text: &str) -> String {
    let visible = text.chars().filter(|c| !is_trick(*c));
    let mut line = String::new();
    for c in visible {
        let c = if is_control(c) { ' ' } else { c };
        if !(c == ' ' && (line.is_empty() || line.ends_with(' '))) {
            line.push(c);
        }
    }
    cut(line.trim_end(), LONGEST)
}

/// As [`clean`], but line breaks and tabs stay: for descriptions.
pub(super) fn clean_lines(text: &str) -> String {
    let lines = text.lines().map(clean);
    cut(lines.collect::<Vec<_>>().join("\n").trim(), LONGEST)
}

/// Foreign text for the eye, whole and with its lines: controls become blanks, marks that reorder
/// what is read go.
pub(crate) fn visible(text: &str) -> String {
    let blank = |c: char| if is_control(c) && c != '\n' { ' ' } else { c };
    text.chars().filter(|c| !is_trick(*c)).map(blank).collect()
}

/// Foreign text for a line of a terminal, whole: what would break or reorder the line is written as
/// its escape.
pub(crate) fn escaped(text: &str) -> String {
    let mut shown = String::new();
    for c in text.chars() {
        match is_control(c) || is_trick(c) {
            true => shown.extend(c.escape_default()),
            false => shown.push(c),
        }
    }
    shown
}

/// At most `longest` characters, with an ellipsis for what is missing.
pub(crate) fn cut(text: &str, longest: usize) -> String {
    if text.chars().count() <= longest {
        return text.to_owned();
    }
    let kept: String = text.chars().take(longest.saturating_sub(1)).collect();
    kept.trim_end().to_owned() + "…"
}

/// C0, C1, and the separators that Unicode counts as line breaks.
fn is_control(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}' | '\u{2029}')
}

/// Marks that reorder what is read, and invisible ones that hide in names. The joiners of
/// emoji and Indic scripts (U+200C, U+200D) stay.
fn is_trick(c: char) -> bool {
    matches!(c,
        '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{2069}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn foreign_text_becomes_one_quiet_line() {
        let cases = [
            ("plain", "plain"),
            ("a\r\nBcc: all@example.com", "a Bcc: all@example.com"),
            ("tab\tand\u{0}nul", "tab and nul"),
            ("  many   spaces  ", "many spaces"),
            ("\u{202e}gnp.exe\u{2066}", "gnp.exe"),
            ("sep\u{2028}arate\u{85}d", "sep arate d"),
            ("磁盘 👩‍💻", "磁盘 👩‍💻"),
        ];
        for (text, want) in cases {
            assert_eq!(clean(text), want, "{text:?}");
        }
    }

    #[test]
    fn descriptions_keep_their_lines() {
        assert_eq!(
            clean_lines("one\r\n two\u{7}\n\nthree\n"),
            "one\ntwo\n\nthree"
        );
    }

    proptest! {
        #[test]
        fn nothing_that_breaks_a_header_survives(text in any::<String>()) {
            let line = clean(&text);
            prop_assert!(!line.chars().any(|c| is_control(c) || is_trick(c)));
            prop_assert!(line.chars().count() <= LONGEST);
        }
    }
}
