//! What can be learned of a webhook's server without a request: whether it is there, and whether
//! its certificate holds.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use reqwest::Url;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::{Webhook, unanswered};
use crate::config;
use crate::receiver::http::{BuildError, HttpError};
use crate::receiver::probe::Findings;
use crate::receiver::{SendError, tls};

/// For TCP, and again for TLS.
const STEP: Duration = Duration::from_secs(5);

/// Whether both are reached in the same way, whatever they post there.
pub(in crate::receiver) fn is_same_way(one: &config::Webhook, other: &config::Webhook) -> bool {
    let origin = |hook: &config::Webhook| hook.url.expose().origin();
    origin(one) == origin(other) && one.proxy_url == other.proxy_url && one.trust == other.trust
}

/// Connects to the server, or to the proxy before it, and leaves.
pub(in crate::receiver) async fn probe(hook: &config::Webhook) -> Result<Findings, BuildError> {
    // Whatever is wrong with the settings is said as a delivery would say it.
    Webhook::new(hook)?;
    let found = Findings::default();
    let (url, found) = match &hook.proxy_url {
        Some(proxy) => (
            proxy,
            found.saw(
                "proxy",
                format!("{proxy}; the server behind it is not tried"),
            ),
        ),
        None => (&hook.url, found),
    };
    let url = url.expose();
    let (stream, found) = match within(TcpStream::connect(place(url))).await {
        Ok(stream) => {
            let peer = stream.peer_addr().map(|peer| peer.to_string());
            (stream, found.saw("address", peer.unwrap_or_default()))
        }
        Err(error) => return Ok(found.ended(away(url, &error))),
    };
    if url.scheme() != "https" {
        return Ok(found);
    }
    let host = host(url);
    let name =
        ServerName::try_from(host.clone()).map_err(|_| BuildError::ServerName(host.clone()))?;
    let connector = TlsConnector::from(Arc::new(tls::client_config(&hook.trust)?));
    Ok(match within(connector.connect(name, stream)).await {
        Ok(stream) => found.saw(
            "TLS",
            tls::shown(stream.get_ref().1.protocol_version(), &host),
        ),
        Err(error) => found.ended(away(url, &error)),
    })
}

/// The host without the brackets of an address.
fn host(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    host.trim_matches(['[', ']']).to_owned()
}

fn place(url: &Url) -> (String, u16) {
    // socks5 is the only scheme here whose port a URL does not know.
    (host(url), url.port_or_known_default().unwrap_or(1080))
}

async fn within<T>(work: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    timeout(STEP, work)
        .await
        .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

fn away(url: &Url, error: &io::Error) -> SendError {
    let distrust = tls::distrust(error);
    let why = distrust.clone().unwrap_or_else(|| error.to_string());
    let host = host(url);
    let error = unanswered(&HttpError::Connect { host, why });
    SendError {
        fix: distrust.map(|_| tls::RENEW),
        ..error
    }
}
