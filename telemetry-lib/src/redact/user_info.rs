//! The user-info of URLs in a text: who may hold a password, and where it stands.

use std::iter;
use std::ops::Range;

use super::Extent;

/// What takes the place of the user-info of a URL.
pub(crate) const HIDDEN_USER: &str = "REDACTED:REDACTED";

/// Hides the user-info of the URLs in a text, as far as they are not percent-encoded.
pub(crate) fn without_user_info(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut done = 0;
    for authority in authorities(text.as_bytes()) {
        let Some(user_info) = text[authority.clone()].rfind('@') else {
            continue;
        };
        shown.push_str(&text[done..authority.start]);
        shown.push_str(HIDDEN_USER);
        done = authority.start + user_info;
    }
    shown.push_str(&text[done..]);
    shown
}

/// Whether a text holds user-info that is not hidden, or may go on with it behind its cut.
pub(super) fn has_user_info(text: &[u8], extent: Extent) -> bool {
    authorities(text).any(|at| {
        let authority = &text[at.clone()];
        let user_info = authority.iter().rposition(|byte| *byte == b'@');
        let in_doubt = extent == Extent::Cut && at.end == text.len();
        in_doubt || user_info.is_some_and(|end| authority[..end] != *HIDDEN_USER.as_bytes())
    })
}

/// Where the authorities of URLs stand: what follows `//`.
fn authorities(text: &[u8]) -> impl Iterator<Item = Range<usize>> {
    let mut from = 0;
    let ends = |byte: &u8| byte.is_ascii_whitespace() || b"/?#\"<>".contains(byte);
    iter::from_fn(move || {
        let find = |from: usize, what: &dyn Fn(&u8) -> bool| {
            let found = text[from..].iter().position(what);
            found.map_or(text.len(), |at| from + at)
        };
        let slashes = text[from..].windows(2).position(|two| two == b"//")?;
        let begin = find(from + slashes, &|byte| *byte != b'/');
        let end = find(begin, &ends);
        from = end;
        Some(begin..end)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn user_info_is_hidden_where_it_stands() {
        let check = |text, expected: &str| assert_eq!(without_user_info(text), expected);
        check("https://a.example/@u", "https://a.example/@u");
        check("https://u:p@é@a/x", "https://REDACTED:REDACTED@a/x");
        check(
            "<//u@a>, <//b>, <//@c>",
            "<//REDACTED:REDACTED@a>, <//b>, <//REDACTED:REDACTED@c>",
        );
    }
}
