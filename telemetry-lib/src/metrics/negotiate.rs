//! What a scraper wants, by its `Accept` and `Accept-Encoding` headers. Pure.

use http::HeaderMap;
use http::header::{ACCEPT, ACCEPT_ENCODING, HeaderName};

/// A format of the page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    /// Prometheus text 0.0.4.
    Text,
    /// OpenMetrics text 1.0.0.
    OpenMetrics,
}

/// What is answered to a scraper that asks for no scheme, or for one that is not among [`ESCAPING`].
const UNDERSCORES: &str = "underscores";

/// The schemes under which our names, which are classic, stay as they are. `dots` is none of them: it
/// doubles underscores.
const ESCAPING: [&str; 3] = ["allow-utf-8", UNDERSCORES, "values"];

/// The format and the content type to answer with: the best offer that this crate can serve, text
/// when there is none.
pub(super) fn content_type(headers: &HeaderMap) -> (Format, String) {
    let mut best = (0.0, Format::Text, UNDERSCORES);
    for offer in entries(headers, &ACCEPT) {
        if let Some(format) = offer.format()
            && offer.quality > best.0
        {
            best = (offer.quality, format, offer.escaping());
        }
    }
    let (_, format, escaping) = best;
    let content_type = match format {
        Format::Text => "text/plain; version=0.0.4; charset=utf-8".to_owned(),
        Format::OpenMetrics => format!(
            "application/openmetrics-text; version=1.0.0; charset=utf-8; escaping={escaping}"
        ),
    };
    (format, content_type)
}

/// Whether the scraper takes gzip; `*` is for what has no entry of its own.
pub(super) fn takes_gzip(headers: &HeaderMap) -> bool {
    let quality = |name: &str| {
        entries(headers, &ACCEPT_ENCODING)
            .find(|entry| entry.name.eq_ignore_ascii_case(name))
            .map(|entry| entry.quality)
    };
    let quality = quality("gzip").or_else(|| quality("*"));
    quality.is_some_and(|quality| quality > 0.0)
}

/// One element of such a header.
struct Entry<'a> {
    name: &'a str,
    parameters: Vec<(&'a str, &'a str)>,
    quality: f32,
}

impl Entry<'_> {
    fn format(&self) -> Option<Format> {
        let name = self.name.to_ascii_lowercase();
        match (name.as_str(), self.parameter("version").unwrap_or_default()) {
            // 1.0.0 is what the readers of its draft, 0.0.1, take too.
            ("application/openmetrics-text", "1.0.0" | "0.0.1" | "") => Some(Format::OpenMetrics),
            ("text/plain", "0.0.4" | "") | ("text/*" | "*/*", _) => Some(Format::Text),
            (_, _) => None,
        }
    }

    fn escaping(&self) -> &'static str {
        let wanted = self.parameter("escaping");
        let known = ESCAPING.into_iter().find(|scheme| wanted == Some(*scheme));
        known.unwrap_or(UNDERSCORES)
    }

    fn parameter(&self, name: &str) -> Option<&str> {
        let found = self
            .parameters
            .iter()
            .find(|(key, _)| key.eq_ignore_ascii_case(name));
        found.map(|(_, value)| *value)
    }
}

/// The elements of all lines of a header, in order; what cannot be read is passed over.
fn entries<'a>(
    headers: &'a HeaderMap,
    name: &'static HeaderName,
) -> impl Iterator<Item = Entry<'a>> {
    let lines = headers
        .get_all(name)
        .iter()
        .filter_map(|line| line.to_str().ok());
    lines.flat_map(|line| line.split(',')).map(entry)
}

fn entry(element: &str) -> Entry<'_> {
    let mut parts = element.split(';').map(str::trim);
    let name = parts.next().unwrap_or_default();
    let parameters: Vec<_> = parts
        .filter_map(|part| part.split_once('='))
        .map(|(key, value)| (key.trim(), value.trim().trim_matches('"')))
        .collect();
    let quality = parameters
        .iter()
        .find(|(key, _)| key.eq_ignore_ascii_case("q"));
    let quality = quality.map_or(1.0, |(_, value)| value.parse().unwrap_or(0.0));
    Entry {
        name,
        parameters,
        quality,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";
    const OPEN: &str =
        "application/openmetrics-text; version=1.0.0; charset=utf-8; escaping=underscores";
    const OPEN_UTF8: &str =
        "application/openmetrics-text; version=1.0.0; charset=utf-8; escaping=allow-utf-8";

    fn headers(name: &'static str, value: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(name, value.parse().unwrap());
        headers
    }

    /// Who asks, with which Accept, and what they get.
    const ASKED: &[(&str, &str, &str)] = &[
        (
            "2.42",
            "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
            OPEN,
        ),
        (
            "2.42 native",
            "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited,application/openmetrics-text;version=1.0.0;q=0.8,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
            OPEN,
        ),
        (
            "2.53",
            "application/openmetrics-text;version=1.0.0;q=0.5,application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2",
            OPEN,
        ),
        (
            "3.0",
            "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,application/openmetrics-text;version=0.0.1;escaping=allow-utf-8;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;escaping=allow-utf-8;q=0.3,*/*;q=0.2",
            OPEN_UTF8,
        ),
        (
            "3.14",
            "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2",
            OPEN_UTF8,
        ),
        (
            "3.14 native",
            "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;q=0.6,application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,text/plain;version=0.0.4;q=0.2,*/*;q=0.1",
            OPEN_UTF8,
        ),
        (
            "text only",
            "text/plain;version=0.0.4;q=0.3,*/*;q=0.2",
            TEXT,
        ),
        (
            "text 1.0.0 only",
            "text/plain;version=1.0.0;escaping=allow-utf-8",
            TEXT,
        ),
        (
            "text first",
            "text/plain;q=0.9, application/openmetrics-text;version=1.0.0;q=0.8",
            TEXT,
        ),
        (
            "refused",
            "application/openmetrics-text;version=1.0.0;q=0, */*;q=0.1",
            TEXT,
        ),
        (
            "a future version",
            "application/openmetrics-text;version=2.0.0,*/*;q=0.1",
            TEXT,
        ),
        (
            "a browser",
            "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
            TEXT,
        ),
        ("curl", "*/*", TEXT),
        (
            "quoted",
            "application/openmetrics-text; version=\"1.0.0\"; Q=0.5",
            OPEN,
        ),
        (
            "shouting",
            "APPLICATION/OpenMetrics-Text; Version=1.0.0",
            OPEN,
        ),
        ("nonsense", ";;q=,,=;version", TEXT),
    ];

    #[test]
    fn every_prometheus_gets_what_it_prefers() {
        for (who, accept, expected) in ASKED {
            assert_eq!(
                content_type(&headers("accept", accept)).1,
                *expected,
                "{who}"
            );
        }
        assert_eq!(content_type(&HeaderMap::new()).1, TEXT, "no header");
    }

    #[test]
    fn gzip_is_used_where_it_is_taken() {
        for (encoding, expected) in [
            ("gzip", true),
            ("gzip, deflate;q=0.5", true),
            ("br, gzip;q=0.1", true),
            ("*", true),
            ("identity", false),
            ("gzip;q=0", false),
            ("*, gzip;q=0", false),
            ("gzip;q=0, *", false),
            ("*;q=0, gzip", true),
            ("GZip", true),
            ("", false),
        ] {
            let headers = headers("accept-encoding", encoding);
            assert_eq!(takes_gzip(&headers), expected, "{encoding}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_header_breaks_it(bytes in proptest::collection::vec(0x20_u8..0x7f, 0..200)) {
            let value = String::from_utf8(bytes).unwrap();
            content_type(&headers("accept", &value));
            takes_gzip(&headers("accept-encoding", &value));
        }
    }
}
