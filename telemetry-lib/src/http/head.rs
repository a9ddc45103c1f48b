//! The heads of request and response as the semantic conventions see them.

use std::net::SocketAddr;

use http::uri::Scheme;
use http::{Extensions, Method, Request, Uri, Version};
use opentelemetry::{KeyValue, Value};

use super::captured::capture;
use super::forwarded;
use super::headers::Headers;
use super::method::Folded;
use super::query::shown_query;
use super::received::{BodySize, Received};
use crate::config::HttpConfig;
use crate::text;

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
