//! Mail addresses, hosts and URLs as they stand in the file.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use lettre::Address;
use lettre::message::{Mailbox, Mailboxes};
use reqwest::Url;

use super::problem::Complaint;
use super::{Secret, SecretUrl};

/// One address, with or without a name.
pub(super) fn mailbox(text: &str) -> Result<Mailbox, Complaint> {
    let mut all = mailboxes(text)?;
    if all.len() > 1 {
        return Err(Complaint::new("more than one address", "keep one"));
    }
    Ok(all.remove(0))
}

/// Addresses separated by commas; at least one.
pub(super) fn mailboxes(text: &str) -> Result<Vec<Mailbox>, Complaint> {
    templates(text)?;
    let bad = || {
        let what = format!("{text:?} is no mail address");
        Complaint::new(
            what,
            "write user@example.com, or Name <user@example.com>; commas between",
        )
    };
    // A comma at the end is common, and harmless.
    let list = text.trim().trim_end_matches(',');
    let all: Vec<Mailbox> = list.parse::<Mailboxes>().map_err(|_| bad())?.into();
    if all.is_empty() {
        return Err(bad());
    }
    let mut kept: Vec<Mailbox> = Vec::new();
    for mailbox in all {
        ascii(&mailbox.email)?;
        // Written twice, it still is one mailbox.
        if !kept.iter().any(|other| same(other, &mailbox)) {
            kept.push(mailbox);
        }
    }
    Ok(kept)
}

/// Whether two of them are one mailbox, whatever their case and name.
pub(super) fn same(a: &Mailbox, b: &Mailbox) -> bool {
    str::eq_ignore_ascii_case(a.email.as_ref(), b.email.as_ref())
}

/// Other addresses need extensions that few servers have.
fn ascii(address: &Address) -> Result<(), Complaint> {
    if !address.user().is_ascii() {
        let what = format!("{address} has special characters before the @");
        return Err(Complaint::new(
            what,
            "use an ASCII address: few servers take others",
        ));
    }
    if !address.domain().is_ascii() {
        let what = format!("the domain of {address} is not ASCII");
        return Err(Complaint::new(what, "write its xn-- form"));
    }
    Ok(())
}

/// Refuses Go's template actions where this version takes a plain text.
pub(super) fn templates(text: &str) -> Result<(), Complaint> {
    if text.contains("{{") {
        let what = "templates are not possible here";
        return Err(Complaint::new(what, "write the text itself"));
    }
    Ok(())
}

/// `host:port`, `[::1]:port` or a host alone, without brackets afterwards.
pub(super) fn host_and_port(text: &str) -> Result<(String, Option<u16>), Complaint> {
    let bad = |why: &str| {
        let what = format!("{text:?} is no host with a port: {why}");
        Complaint::new(what, "write such as smtp.example.com:465")
    };
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (host, after) = rest
                .split_once(']')
                .ok_or_else(|| bad("no closing bracket"))?;
            let port = match after.strip_prefix(':') {
                Some(port) => Some(port),
                None if after.is_empty() => None,
                None => return Err(bad("text after the bracket")),
            };
            (host, port)
        }
        None if text.parse::<IpAddr>().is_ok_and(|ip| ip.is_ipv6()) => {
            return Err(bad("an IPv6 address needs brackets"));
        }
        None => text
            .split_once(':')
            .map_or((text, None), |(host, port)| (host, Some(port))),
    };
    let plain = |c: char| c.is_ascii_alphanumeric() || "-._:".contains(c);
    if host.is_empty() || !host.chars().all(plain) {
        return Err(bad("no such host name"));
    }
    let number = |port: &str| port.parse::<u16>().ok().filter(|port| *port > 0);
    let port = match port {
        None => None,
        Some(port) => Some(number(port).ok_or_else(|| bad("no such port"))?),
    };
    Ok((host.to_owned(), port))
}

/// A host name, ASCII.
pub(super) fn domain(text: &str) -> Result<String, Complaint> {
    let good = text
        .chars()
        .all(|c| c.is_ascii_alphanumeric() || "-.[]:".contains(c));
    if !good {
        let what = format!("{text:?} is no host name");
        return Err(Complaint::new(what, "write such as alerts.example.com"));
    }
    Ok(text.to_owned())
}

/// Whether a host is this machine.
pub(super) fn is_loopback(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost")
        || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// Where to listen: `127.0.0.1:9095`, `:9095` (all addresses), `localhost:9095`.
pub(super) fn listen(text: &str) -> Result<SocketAddr, Complaint> {
    let bad = || {
        let what = format!("{text:?} is no address to listen on");
        Complaint::new(
            what,
            "write such as 127.0.0.1:9095, or 0.0.0.0:9095 for all addresses",
        )
    };
    if let Some(port) = text.strip_prefix(':') {
        let port = port.parse().map_err(|_| bad())?;
        return Ok((Ipv4Addr::UNSPECIFIED, port).into());
    }
    if let Some(port) = text.strip_prefix("localhost:") {
        let port = port.parse().map_err(|_| bad())?;
        return Ok((Ipv4Addr::LOCALHOST, port).into());
    }
    text.parse().map_err(|_| bad())
}

/// An http or https URL.
pub(super) fn http_url(text: &str) -> Result<Url, Complaint> {
    let url = url(text)?;
    if !matches!(url.scheme(), "http" | "https") {
        let what = format!("{:?} is no way to send", url.scheme());
        return Err(Complaint::new(what, "use http:// or https://"));
    }
    if url.fragment().is_some() {
        return Err(Complaint::new(
            "a URL to send to has no #…",
            "remove it, or write %23",
        ));
    }
    Ok(url)
}

/// An http or https URL that may hold credentials.
pub(super) fn secret_url(secret: &Secret) -> Result<SecretUrl, Complaint> {
    http_url(secret.expose()).map(SecretUrl::new)
}

/// A proxy's URL, which may hold credentials.
pub(super) fn proxy_url(secret: &Secret) -> Result<SecretUrl, Complaint> {
    let url = url(secret.expose())?;
    if !matches!(url.scheme(), "http" | "https" | "socks5" | "socks5h") || !url.has_host() {
        let what = format!("{:?} is no kind of proxy, or no host follows", url.scheme());
        return Err(Complaint::new(
            what,
            "use http://, https:// or socks5:// and a host",
        ));
    }
    Ok(SecretUrl::new(url))
}

/// Any URL. The text may be a secret, so no error repeats it.
fn url(text: &str) -> Result<Url, Complaint> {
    templates(text)?;
    Url::parse(text.trim()).map_err(|error| {
        Complaint::new(
            format!("no URL: {error}"),
            "write such as https://example.com/path",
        )
    })
}

/// A base to which paths are appended: ends with a slash, has no query.
pub(super) fn base_url(text: &str) -> Result<Url, Complaint> {
    let mut url = http_url(text)?;
    if url.query().is_some() {
        return Err(Complaint::new("a base URL has no ?…", "remove it"));
    }
    if !url.path().ends_with('/') {
        let path = format!("{}/", url.path());
        url.set_path(&path);
    }
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_one_by_one() {
        for (text, expected) in [
            ("a@example.com", Some("a@example.com")),
            (
                "a@example.com, Bob <b@x.test>,",
                Some("a@example.com|Bob <b@x.test>"),
            ),
            (
                "\"Ops, Night\" <n@x.test>",
                Some("\"Ops, Night\" <n@x.test>"),
            ),
            (
                "a@x.test, A <A@X.test>, b@x.test",
                Some("a@x.test|b@x.test"),
            ),
            ("a@example.com\r\nBcc: b@x.test", None),
            ("a", None),
            ("用户@example.com", None),
            ("a@例子.测试", None),
            ("{{ .Labels.mail }}", None),
            (",", None),
        ] {
            let read = mailboxes(text).ok();
            let read = read.map(|all| all.iter().map(Mailbox::to_string).collect::<Vec<_>>());
            assert_eq!(read.map(|all| all.join("|")).as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn hosts_are_read_with_and_without_port() {
        for (text, expected) in [
            (
                "smtp.example.com:465",
                Some(("smtp.example.com", Some(465))),
            ),
            ("localhost", Some(("localhost", None))),
            ("[::1]:25", Some(("::1", Some(25)))),
            ("::1", None),
            ("host:0", None),
            ("host:port", None),
            ("smtp://host:25", None),
            ("", None),
        ] {
            let read = host_and_port(text).ok();
            let read = read.as_ref().map(|(host, port)| (host.as_str(), *port));
            assert_eq!(read, expected, "{text}");
        }
    }

    #[test]
    fn only_http_urls_are_destinations() {
        for (text, good) in [
            ("https://example.com/hook?token=x", true),
            ("http://[::1]:8080", true),
            ("ftp://example.com", false),
            ("file:///etc/passwd", false),
            ("example.com", false),
            ("https://", false),
            ("https://example.com/#x", false),
        ] {
            assert_eq!(http_url(text).is_ok(), good, "{text}");
        }
    }

    #[test]
    fn a_proxy_may_speak_socks() {
        for (text, good) in [
            ("http://proxy.test:3128", true),
            ("socks5://user:s3cret@proxy.test:1080", true),
            ("socks5h://proxy.test", true),
            ("socks5:proxy.test", false),
            ("ftp://proxy.test", false),
        ] {
            assert_eq!(proxy_url(&Secret::new(text)).is_ok(), good, "{text}");
        }
    }
}
