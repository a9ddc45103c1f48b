//! The one outgoing HTTP client, for WeCom and webhooks. Apart, because what is allowed on the way
//! out stands here once: TLS with given roots, deadlines, no redirects, bounded answers, and errors
//! that hold neither URLs nor bodies.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode, header};
use reqwest::{NoProxy, Proxy, Url, redirect};

use crate::config::{SecretUrl, Trust};

/// For name resolution, TCP and TLS together.
const CONNECT: Duration = Duration::from_secs(5);
/// Connections that are kept open between requests, for each server. None: each destination of the
/// config would hold a descriptor, and a request on one that the server is closing would be lost,
/// and nobody could say whether it arrived.
const KEPT: usize = 0;
/// Providers answer in a few hundred bytes; a captive portal may not.
const MAX_ANSWER: usize = 64 * 1024;
/// A hint longer than this is not a hint for us.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(3600);

/// A client with its own connections, proxy and roots. Cloning shares them.
#[derive(Clone)]
pub(super) struct HttpClient {
    client: reqwest::Client,
    longest: usize,
}

/// One request. The URL may hold secrets, so this has no `Debug`.
pub(super) struct Call {
    pub(super) method: Method,
    pub(super) url: Url,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    /// From connecting to the last byte of the answer.
    pub(super) deadline: Duration,
}

/// A complete answer that is no redirect.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    /// The header of that name, at most an hour.
    pub(super) retry_after: Option<Duration>,
    pub(super) body: Vec<u8>,
}

/// Why there is no answer. Never names more than the host.
#[derive(Debug, thiserror::Error)]
pub(super) enum HttpError {
    /// Nothing was sent.
    #[error("could not connect to {host}: {why}")]
    Connect { host: String, why: String },
    /// It may have arrived.
    #[error("no answer from {host} within {deadline:?}")]
    Timeout { host: String, deadline: Duration },
    /// It may have arrived.
    #[error("the connection to {host} broke before the answer was complete: {why}")]
    Lost { host: String, why: String },
    /// Following it could carry the secret to another host, and would turn POST into GET.
    #[error("{host} answered with a redirect ({status}), which is not followed")]
    Redirect { host: String, status: StatusCode },
    /// It arrived, but whoever answered is hardly the provider.
    #[error("{host} answered with more than {longest} bytes")]
    TooLong {
        host: String,
        longest: usize,
        /// Status, and the beginning of the body: enough where only the status counts.
        start: Answer,
    },
}

/// Why a receiver cannot be built from its settings.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum BuildError {
    /// Certificates that cannot be read.
    #[error("tls_config.ca_file holds no usable certificate: {0}")]
    Roots(String),
    /// A proxy that cannot be used.
    #[error("proxy_url is not usable: {0}; write http://, https:// or socks5:// and a host")]
    Proxy(String),
    /// A base URL that paths cannot be appended to.
    #[error("api_url cannot be a base: write an http or https URL that ends with /cgi-bin/")]
    ApiUrl,
    /// Something that this receiver does not do.
    #[error("{what} is not supported here: {fix}")]
    Unsupported {
        /// The setting.
        what: &'static str,
        /// What to write instead.
        fix: &'static str,
    },
    /// A name that no certificate can hold.
    #[error("{0} is no name of a server: check smarthost and tls_config.server_name")]
    ServerName(String),
    /// An address that needs an extension which few mail servers offer.
    #[error("{0} is not ASCII: write its domain as xn--…, and use an ASCII mailbox name")]
    Address(String),
    /// The client library refused the settings.
    #[error("the HTTP client could not be built: {0}")]
    Client(String),
}

impl HttpClient {
    /// Builds a client. Starts no connection.
    ///
    /// Nothing is read from the environment; the proxy is the given one or none, and loopback
    /// addresses never go through it.
    pub(super) fn new(proxy: Option<&SecretUrl>, trust: &Trust) -> Result<Self, BuildError> {
        let mut builder = reqwest::Client::builder()
            .tls_backend_preconfigured(tls(trust)?)
            .redirect(redirect::Policy::none())
            .retry(reqwest::retry::never())
            .referer(false)
            .connect_timeout(CONNECT)
            .pool_max_idle_per_host(KEPT)
            .user_agent(concat!("alert-router/", env!("CARGO_PKG_VERSION")))
            .no_proxy();
        if let Some(proxy) = proxy {
            let proxy = Proxy::all(proxy.expose().clone())
                .map_err(|error| BuildError::Proxy(error.without_url().to_string()))?;
            let loopback = NoProxy::from_string("localhost,127.0.0.0/8,::1");
            builder = builder.proxy(proxy.no_proxy(loopback));
        }
        let client = builder.build();
        let client = client.map_err(|error| BuildError::Client(causes(error)))?;
        Ok(Self {
            client,
            longest: MAX_ANSWER,
        })
    }

    /// The same client for a server that answers with up to so many bytes.
    pub(super) fn reading(self, longest: usize) -> Self {
        Self { longest, ..self }
    }

    /// Sends one request and reads the whole answer, within the call's deadline.
    pub(super) async fn call(&self, call: Call) -> Result<Answer, HttpError> {
        let host = call.url.host_str().unwrap_or_default().to_owned();
        let deadline = call.deadline;
        tokio::time::timeout(deadline, self.exchange(&host, call))
            .await
            .unwrap_or(Err(HttpError::Timeout { host, deadline }))
    }

    async fn exchange(&self, host: &str, call: Call) -> Result<Answer, HttpError> {
        let request = self.client.request(call.method, call.url);
        let sent = request.headers(call.headers).body(call.body).send().await;
        let mut response = sent.map_err(|error| broken(host, error))?;
        let status = response.status();
        if status.is_redirection() {
            let host = host.to_owned();
            return Err(HttpError::Redirect { host, status });
        }
        let retry_after = retry_after(response.headers());
        let mut answer = Answer {
            status,
            retry_after,
            body: Vec::new(),
        };
        while let Some(chunk) = response.chunk().await.map_err(|e| broken(host, e))? {
            if answer.body.len() + chunk.len() > self.longest {
                return Err(HttpError::TooLong {
                    host: host.to_owned(),
                    longest: self.longest,
                    start: answer,
                });
            }
            answer.body.extend_from_slice(&chunk);
        }
        Ok(answer)
    }
}

impl HttpError {
    /// A bounded reason for metrics.
    pub(super) fn reason(&self) -> &'static str {
        match self {
            Self::Connect { .. } => "connect",
            Self::Timeout { .. } => "timeout",
            Self::Lost { .. } => "lost",
            Self::Redirect { .. } => "redirect",
            Self::TooLong { .. } => "answer_too_long",
        }
    }
}

fn tls(trust: &Trust) -> Result<rustls::ClientConfig, BuildError> {
    if trust.server_name.is_some() {
        return Err(BuildError::Unsupported {
            what: "tls_config.server_name",
            fix: "use a URL whose host is the name in the certificate",
        });
    }
    super::tls::client_config(trust)
}

fn broken(host: &str, error: reqwest::Error) -> HttpError {
    let host = host.to_owned();
    let connecting = error.is_connect();
    let why = causes(error);
    if connecting {
        HttpError::Connect { host, why }
    } else {
        HttpError::Lost { host, why }
    }
}

/// The chain of causes without the URL, which the outermost error would print.
fn causes(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut text = error.to_string();
    let mut source = std::error::Error::source(&error);
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

/// Seconds, or a date.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let value = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim();
    let wait = match value.parse() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => until(value, headers)?,
    };
    Some(wait.min(MAX_RETRY_AFTER))
}

/// From the answer's own `Date`, so that it does not matter whether the server's clock is right.
fn until(date: &str, headers: &HeaderMap) -> Option<Duration> {
    let answered = headers.get(header::DATE)?.to_str().ok()?;
    let [until, answered] = [date, answered].map(httpdate::parse_http_date);
    let wait = until.ok()?.duration_since(answered.ok()?);
    Some(wait.unwrap_or_default())
}

#[cfg(test)]
mod tests;
