//! The heads of request and response as the semantic conventions see them.

use std::net::SocketAddr;

use http::uri::Scheme;
use http::{Extensions, HeaderMap, HeaderName, HeaderValue, Method, Request, Uri, Version};
use opentelemetry::{Array, KeyValue, StringValue, Value};

use super::forwarded;
use super::headers::Headers;
use super::method::Folded;
use super::query::shown_query;
use super::received::{BodySize, Received};
use crate::config::HttpConfig;
use crate::redact::{REDACTED, Redaction};
use crate::text;

/// Bytes of a captured header value that are kept.
const MAX_CAPTURED: usize = 256;

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

    /// What the service reads of the body, or what the client says of it.
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
        announced
            .to_str()
            .ok()?
            .parse()
            .ok()
            .map(BodySize::Announced)
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
            let original = self.method.as_str().to_owned();
            add("http.request.method_original", original.into());
        }
        add("url.path", self.uri.path().to_owned().into());
        add("url.scheme", scheme.into());
        if let Some(version) = self.version.and_then(protocol_version) {
            add("network.protocol.version", version.into());
        }
        let query = self.uri.query();
        if let Some(query) = query.and_then(|query| shown_query(query, config)) {
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
            add("user_agent.original", text::shared(agent.as_bytes()).into());
        }
        if let Some(peer) = peer {
            attributes.extend(peer_attributes(peer));
        }
        capture(
            "request",
            self.headers.all,
            &config.request_headers,
            &config.header_secrets,
            attributes,
        );
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

/// Adds `http.{side}.header.{name}` for the allowed headers that are there. Credentials stay hidden
/// even if somebody allowed their header.
pub(crate) fn capture(
    side: &str,
    headers: &HeaderMap,
    allowed: &[HeaderName],
    secrets: &Redaction,
    into: &mut Vec<KeyValue>,
) {
    for name in allowed {
        let show = |value: &HeaderValue| match secrets.hides(name.as_str()) {
            true => REDACTED.into(),
            false => shown(value.as_bytes()).into(),
        };
        let values: Vec<StringValue> = headers.get_all(name).iter().map(show).collect();
        if !values.is_empty() {
            let key = format!("http.{side}.header.{name}");
            into.push(KeyValue::new(key, Value::Array(Array::String(values))));
        }
    }
}

fn shown(value: &[u8]) -> String {
    String::from_utf8_lossy(&value[..value.len().min(MAX_CAPTURED)]).into_owned()
}

#[cfg(test)]
mod tests {
    use http::header::{ACCEPT, AUTHORIZATION, COOKIE, PROXY_AUTHORIZATION, SET_COOKIE};

    use super::*;

    #[test]
    fn captured_headers_are_cut_and_credentials_hidden() {
        let mut headers = HeaderMap::new();
        headers.append("x-team", HeaderValue::from_static("a"));
        headers.append("x-team", HeaderValue::from_str(&"b".repeat(300)).unwrap());
        let credentials = [AUTHORIZATION, COOKIE, PROXY_AUTHORIZATION, SET_COOKIE];
        let others = ["x-api-key", "x-auth-token", "x-session-id"].map(HeaderName::from_static);
        let mut allowed = vec![HeaderName::from_static("x-team"), ACCEPT];
        for secret in credentials.into_iter().chain(others) {
            headers.append(&secret, HeaderValue::from_static("s3cret"));
            allowed.push(secret);
        }
        let mut attributes = Vec::new();
        let secrets = Redaction::default();
        capture("request", &headers, &allowed, &secrets, &mut attributes);
        let shown: Vec<String> = attributes.iter().map(|it| format!("{it:?}")).collect();
        assert_eq!(shown.len(), 8, "{shown:?}");
        assert!(shown[0].contains(&"b".repeat(MAX_CAPTURED)));
        assert!(!shown[0].contains(&"b".repeat(MAX_CAPTURED + 1)));
        for hidden in &shown[1..] {
            let holds = hidden.contains(REDACTED) && !hidden.contains("s3cret");
            assert!(holds, "{hidden}");
        }
    }
}
