//! Credentials that are told by how they begin, whatever the name before them says.

/// What stands before a token or before name and password in base64.
const SCHEMES: [&[u8]; 2] = [b"bearer", b"basic"];

/// Whether a value begins with a scheme and what is a token, not a parameter: a server that asks for
/// credentials says `Bearer realm="…"`.
pub(super) fn begins_with_credentials(value: &[u8]) -> bool {
    let value = after(value, |byte| is_blank(byte) || matches!(byte, b'"' | b'\''));
    SCHEMES.iter().any(|scheme| {
        let Some((found, rest)) = value.split_at_checked(scheme.len()) else {
            return false;
        };
        let token = after(rest, is_blank);
        let is_apart = token.len() < rest.len();
        found.eq_ignore_ascii_case(scheme) && is_apart && begins_with_token(token)
    })
}

/// A `token68` of RFC 9110.
fn begins_with_token(text: &[u8]) -> bool {
    let is_in_token = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/".contains(&byte);
    let rest = after(text, is_in_token);
    // The quote may end the text around it.
    let value = after(rest, |byte| matches!(byte, b'=' | b'"'));
    let is_parameter = rest.starts_with(b"=") && value.first().is_some_and(|it| is_in_token(*it));
    rest.len() < text.len() && !is_parameter
}

fn after(text: &[u8], passes: impl Fn(u8) -> bool) -> &[u8] {
    let end = text.iter().position(|byte| !passes(*byte));
    &text[end.unwrap_or(text.len())..]
}

/// `+` is a blank in a query.
fn is_blank(byte: u8) -> bool {
    byte == b'+' || byte.is_ascii_whitespace()
}
