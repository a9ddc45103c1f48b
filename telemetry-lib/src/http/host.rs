//! A host as a request names it, read into name and port.

use std::cell::RefCell;

use opentelemetry::StringValue;

use crate::text;

/// No name is longer (RFC 1035), so what is longer than one with a port is none.
const LONGEST: usize = 261;

/// Name and port of a host, as far as it names them.
#[derive(Clone, Debug, Default)]
pub(super) struct Host {
    pub(super) name: Option<StringValue>,
    pub(super) port: Option<u16>,
}

thread_local! {
    /// The host of the last request: the next one mostly asks for the same.
    static LAST: RefCell<Option<(Box<[u8]>, Host)>> = const { RefCell::new(None) };
}

/// What a host says, as this thread has read it for the request before, or anew.
pub(super) fn read_host(sent: &[u8]) -> Host {
    if sent.len() > LONGEST {
        return Host::default();
    }
    let read = LAST.try_with(|last| {
        let mut last = last.borrow_mut();
        if let Some((before, host)) = &*last
            && **before == *sent
        {
            return host.clone();
        }
        let host = split_host(sent);
        *last = Some((sent.into(), host.clone()));
        host
    });
    // A thread that is being torn down keeps nothing.
    read.unwrap_or_else(|_| split_host(sent))
}

fn split_host(sent: &[u8]) -> Host {
    let Ok(host) = std::str::from_utf8(sent) else {
        return Host::default();
    };
    if let Some((name, port)) = plain_host(host) {
        let name = Some(text::shared(name.as_bytes()));
        return Host { name, port };
    }
    let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
    let Ok(authority) = host.parse::<http::uri::Authority>() else {
        return Host::default();
    };
    let name = authority.host().trim_matches(['[', ']']);
    Host {
        name: (!name.is_empty()).then(|| text::shared(name.as_bytes())),
        port: authority.port_u16(),
    }
}

/// A name of letters, digits, `.` and `-`, with a port or without: nearly every host, so it
/// is read without the general parser's work.
fn plain_host(host: &str) -> Option<(&str, Option<u16>)> {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-');
    let end = host.bytes().position(|byte| !plain(&byte));
    let (name, rest) = host.split_at(end.unwrap_or(host.len()));
    let port = match rest.strip_prefix(':') {
        None if rest.is_empty() => None,
        None => return None,
        Some(digits) => Some(digits.parse().ok()?),
    };
    (!name.is_empty()).then_some((name, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_host_can_be_has_no_name() {
        let longest = "a".repeat(LONGEST);
        assert!(read_host(longest.as_bytes()).name.is_some());
        let longer = longest + "a";
        for sent in ["ü.example", longer.as_str()] {
            assert_eq!(read_host(sent.as_bytes()).name, None, "{sent}");
        }
    }

    #[test]
    fn a_host_is_read_the_same_again_and_another_anew() {
        for host in ["a.example:81", "a.example:81", "b.example", "a b"] {
            let (kept, fresh) = (read_host(host.as_bytes()), split_host(host.as_bytes()));
            assert_eq!((kept.name, kept.port), (fresh.name, fresh.port), "{host}");
        }
    }

    #[test]
    fn a_plain_host_is_read_as_the_general_parser_reads_it() {
        let texts = [
            "a", "a.b-c:80", "A1:0", "a:65536", "a:", ":80", "a:+1", "a:8x", "", "-.",
        ];
        for text in texts {
            let general = text.parse::<http::uri::Authority>().ok();
            let general = general.as_ref().map(|it| (it.host(), it.port_u16()));
            if let Some(plain) = plain_host(text) {
                assert_eq!(Some(plain), general, "{text}");
            }
        }
        assert_eq!(plain_host("a.b-c:80"), Some(("a.b-c", Some(80))));
        assert_eq!(plain_host("a b"), None);
    }
}
