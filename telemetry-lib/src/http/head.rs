//! The heads of request and response as the semantic conventions see them.

use std::net::SocketAddr;

use http::uri::Scheme;
use http::{Extensions, HeaderMap, Method, Request, Uri, Version};
use opentelemetry::{KeyValue, Value};

use super::captured::capture;
use super::forwarded;
use super::headers::Headers;
use super::method::Folded;
use super::query::shown_pairs;
use super::received::{BodySize, Received};
use crate::config::HttpConfig;
use crate::redact::cut;
use crate::text;

// What a client writes is cut when it is recorded, to less than the 8 KiB that each place of the queue
// has (2,048 in 16 MiB): large requests push no more spans out of it than small ones.

/// Bytes of a path.
const MAX_PATH: usize = 1_024;
/// Bytes of a query, which `REDACTED` may double.
const MAX_QUERY: usize = 2_048;
/// Bytes of a client's name.
const MAX_AGENT: usize = 512;
/// Bytes of a method that nobody knows.
const MAX_METHOD: usize = 64;

/// No body is larger. One announcement near 2^64 would leave no room for others in a sum that has 53 bits.
const MAX_BODY: u64 = 1 << 40;

/// A request without its body.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RequestHead<'r> {
    pub(crate) method: &'r Method,
    pub(crate) uri: &'r Uri,
    /// `None` if the framework does not tell.
    pub(crate) version: Option<Version>,
    pub(crate) headers: Headers<'r>,
    pub(crate) extensions: &'r Extensions,
}

impl<'r> RequestHead<'r> {
    pub(crate) fn of<A>(request: &'r Request<A>) -> Self {
        Self {
            method: request.method(),
            uri: request.uri(),
            version: Some(request.version()),
            headers: Headers::of(request.headers()),
            extensions: request.extensions(),
        }
    }

    /// Of a framework that does not tell the version.
    pub(crate) fn parts(
        method: &'r Method,
        uri: &'r Uri,
        headers: &'r HeaderMap,
        extensions: &'r Extensions,
    ) -> Self {
        Self {
            method,
            uri,
            version: None,
            headers: Headers::of(headers),
            extensions,
        }
    }

    /// The other end of the connection, if the server told: axum's `ConnectInfo`, tonic's
    /// `TcpConnectInfo`, or a plain `SocketAddr` among the extensions.
    pub(crate) fn peer(self) -> Option<SocketAddr> {
        #[cfg(feature = "axum")]
        if let Some(info) = self
            .extensions
            .get::<axum::extract::ConnectInfo<SocketAddr>>()
        {
            return Some(info.0);
        }
        #[cfg(feature = "tonic")]
        if let Some(info) = self
            .extensions
            .get::<tonic::transport::server::TcpConnectInfo>()
        {
            return info.remote_addr();
        }
        self.extensions.get().copied()
    }

    /// A server that speaks TLS says so with a [`Scheme`] among the extensions, as it tells the peer.
    pub(crate) fn scheme(self, config: &HttpConfig) -> &'static str {
        let proxies = &config.trusted_proxies;
        // Where nobody is trusted it does not matter who asks.
        let trusted = !proxies.is_empty() && forwarded::is_trusted(self.peer(), proxies);
        forwarded::scheme(self.extensions.get::<Scheme>(), self.headers.all, trusted)
    }

    /// What the service reads of the body, or what the client says of it if that can be.
    pub(crate) fn body_size(self) -> Option<BodySize> {
        // Most requests have no body, and need not be asked for its count.
        let told = self.headers.content_length.is_some() || self.headers.is_chunked;
        let ends_with_frame = self.version.is_none_or(|it| it >= Version::HTTP_2);
        if (told || ends_with_frame)
            && let Some(received) = self.extensions.get::<Received>()
        {
            return Some(BodySize::Counted(received.clone()));
        }
        let announced = self.headers.content_length?;
        let size = announced.to_str().ok()?.parse().ok()?;
        (size <= MAX_BODY).then_some(BodySize::Announced(size))
    }

    /// The path, cut.
    pub(crate) fn path(self) -> &'r str {
        cut(self.uri.path(), MAX_PATH).0
    }

    /// All that the conventions want to know of a request, but for its route.
    pub(crate) fn describe(
        self,
        config: &HttpConfig,
        method: Folded,
        scheme: &'static str,
        attributes: &mut Vec<KeyValue>,
    ) {
        let peer = self.peer();
        let ends = forwarded::ends(self.uri, &self.headers, peer, &config.trusted_proxies);
        let mut add = |key: &'static str, value: Value| attributes.push(KeyValue::new(key, value));
        add("http.request.method", method.value(&config.known_methods));
        if method.is_other() {
            let (original, _) = cut(self.method.as_str(), MAX_METHOD);
            add("http.request.method_original", original.to_owned().into());
        }
        add("url.path", self.path().to_owned().into());
        add("url.scheme", scheme.into());
        if let Some(version) = self.version.and_then(protocol_version) {
            add("network.protocol.version", version.into());
        }
        let query = self.uri.query().map(|query| cut(query, MAX_QUERY));
        if let Some(query) = query.and_then(|(query, extent)| shown_pairs(query, extent, config)) {
            add("url.query", query.into());
        }
        if let Some(address) = ends.server {
            add("server.address", address.into());
        }
        if let Some(port) = ends.server_port {
            add("server.port", i64::from(port).into());
        }
        if let Some(address) = ends.client {
            add("client.address", address.into());
        }
        if let Some(agent) = self.headers.user_agent {
            let agent = agent.as_bytes();
            let agent = &agent[..agent.len().min(MAX_AGENT)];
            add("user_agent.original", text::shared(agent).into());
        }
        if let Some(peer) = peer {
            attributes.extend(peer_attributes(peer));
        }
        let allowed = &config.request_headers;
        capture("request", self.headers.all, allowed, config, attributes);
    }
}

/// The other end of a connection; an IPv4 address stays one on a socket of IPv6.
pub(crate) fn peer_attributes(peer: SocketAddr) -> [KeyValue; 2] {
    let address = peer.ip().to_canonical().to_string();
    [
        KeyValue::new("network.peer.address", address),
        KeyValue::new("network.peer.port", i64::from(peer.port())),
    ]
}

/// `1.0`, `1.1`, `2` or `3`.
pub(crate) fn protocol_version(version: Version) -> Option<&'static str> {
    match version {
        Version::HTTP_09 => Some("0.9"),
        Version::HTTP_10 => Some("1.0"),
        Version::HTTP_11 => Some("1.1"),
        Version::HTTP_2 => Some("2"),
        Version::HTTP_3 => Some("3"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue};

    use super::*;
    use crate::Config;

    fn described(request: &Request<()>, config: &HttpConfig) -> Vec<KeyValue> {
        let mut attributes = Vec::new();
        let method = Folded::new(request.method(), &config.known_methods);
        RequestHead::of(request).describe(config, method, "http", &mut attributes);
        attributes
    }

    fn weight(attributes: &[KeyValue]) -> usize {
        let of = |it: &KeyValue| it.key.as_str().len() + it.value.to_string().len();
        attributes.iter().map(of).sum()
    }

    fn long(text: &str, length: usize) -> String {
        text.repeat(length / text.len())
    }

    #[test]
    fn f16_what_a_client_writes_is_cut_when_it_is_recorded() {
        let target = format!("/{}?{}", long("é", 20_000), long("sig=1&", 40_000));
        let method = long("X", 100_000);
        let mut request = Request::builder()
            .method(&*method)
            .uri(&target)
            .header("host", long("h", 100_000))
            .header(
                "user-agent",
                HeaderValue::from_bytes(&[0xff; 400_000]).unwrap(),
            );
        let plain = Config::from_vars("test", []);
        let capturing = plain
            .clone()
            .request_headers([HeaderName::from_static("x-a")]);
        for _ in 0..1_000 {
            request = request.header("x-a", HeaderValue::from_bytes(&[0xff; 9_000]).unwrap());
        }
        let request = request.body(()).unwrap();
        let attributes = described(&request, &plain.http);
        assert_eq!(attributes.len(), 7, "{attributes:?}");
        assert!(weight(&attributes) < 8 * 1_024, "{}", weight(&attributes));
        let captured = described(&request, &capturing.http);
        let header = weight(&captured) - weight(&attributes);
        assert!(header < 3 * 1_024, "{header}");
    }

    #[test]
    fn what_the_cut_leaves_of_a_query_shows_no_secret() {
        let before = long("a=1&", MAX_QUERY - 20);
        for after in [
            "token=s3cret",
            "to=https://s3cret",
            "to=https%3A%2F%2Fs3cret",
        ] {
            let request = Request::get(format!("/?{before}{after}{}", long("s3cret", 600)));
            let request = request.body(()).unwrap();
            let shown = format!(
                "{:?}",
                described(&request, &Config::from_vars("test", []).http)
            );
            assert!(shown.contains("=REDACTED"), "{shown}");
            assert!(!shown.contains("s3cret"), "{shown}");
        }
    }

    #[test]
    fn an_announced_size_that_cannot_be_is_none() {
        let size = |announced: &str| {
            let request = Request::post("/").header("content-length", announced);
            let size = RequestHead::of(&request.body(()).unwrap()).body_size();
            size.map(|it| it.get())
        };
        assert_eq!(size("7"), Some(7));
        assert_eq!(size("1099511627776"), Some(MAX_BODY));
        for none in ["1099511627777", "18446744073709551615", "-1", "x", ""] {
            assert_eq!(size(none), None, "{none}");
        }
    }
}
