//! From the endpoint's text to an open connection: where it came from, its name, its port.

use std::io;
use std::net::{IpAddr, SocketAddr, TcpStream};

use http::uri::Scheme;
use tokio::runtime::Runtime;

use super::{Diagnosis, Way};
use crate::config::{Origin, Protocol};

/// Addresses of one name that are tried.
const MAX_ADDRESSES: usize = 4;

impl Way<'_> {
    pub(super) fn is_https(&self) -> bool {
        self.exporter.endpoint.scheme() == Some(&Scheme::HTTPS)
    }

    /// The host as certificates and name servers know it.
    pub(super) fn host(&self) -> &str {
        let host = self.exporter.endpoint.host().unwrap_or_default();
        host.trim_start_matches('[').trim_end_matches(']')
    }

    pub(super) fn port(&self) -> u16 {
        let usual = if self.is_https() { 443 } else { 80 };
        self.exporter.endpoint.port_u16().unwrap_or(usual)
    }

    /// Where the endpoint can be corrected.
    pub(super) fn setting(&self) -> &'static str {
        match self.exporter.origin {
            Origin::Default => "OTEL_EXPORTER_OTLP_ENDPOINT",
            Origin::Variable(name) => name,
            Origin::Code => "Config::endpoint",
        }
    }
}

pub(super) fn endpoint(way: &Way<'_>, found: &mut Diagnosis) {
    let shown = way.exporter.shown_endpoint();
    let what = format!("{shown}, from {}", way.exporter.origin);
    let setting = way.setting();
    if way.exporter.is_plain_text_to_another_host() {
        found.warning(
            "endpoint",
            format!("{what}: spans cross a network in plain text"),
            "use https, or a Collector on this host; TOOLKIT_ENV=prod refuses this",
        );
    } else if way.exporter.protocol == Protocol::Http
        && way.exporter.endpoint.path() != "/v1/traces"
    {
        found.warning(
            "endpoint",
            format!("{what}: the usual path is /v1/traces"),
            match setting {
                "OTEL_EXPORTER_OTLP_ENDPOINT" => {
                    "give it without a path, /v1/traces is appended".to_owned()
                }
                _ => format!(
                    "{setting} is taken as it stands: add the path, unless a proxy wants another"
                ),
            },
        );
    } else {
        found.good("endpoint", what);
    }
}

/// The addresses of the host; an address needs no lookup and no line.
pub(super) fn resolve(
    way: &Way<'_>,
    runtime: &Runtime,
    found: &mut Diagnosis,
) -> Option<Vec<SocketAddr>> {
    let (host, port) = (way.host(), way.port());
    if let Ok(address) = host.parse::<IpAddr>() {
        return Some(vec![SocketAddr::new(address, port)]);
    }
    let lookup = async {
        let found = tokio::net::lookup_host((host, port));
        tokio::time::timeout(way.limit, found).await
    };
    let fix = format!(
        "correct the host in {}, or the name service of this machine (in Kubernetes: is it \
         service.namespace?)",
        way.setting()
    );
    match runtime.block_on(lookup) {
        Ok(Ok(addresses)) => {
            let addresses: Vec<_> = addresses.take(MAX_ADDRESSES).collect();
            if addresses.is_empty() {
                found.problem("name", format!("{host} has no address"), fix);
                return None;
            }
            let list: Vec<_> = addresses.iter().map(|it| it.ip().to_string()).collect();
            found.good("name", format!("{host} is {}", list.join(", ")));
            Some(addresses)
        }
        Ok(Err(error)) => {
            found.problem("name", format!("{host} is not found: {error}"), fix);
            None
        }
        Err(_) => {
            let what = format!("no name server answers for {host} within {:?}", way.limit);
            found.problem("name", what, fix);
            None
        }
    }
}

/// The first address that takes a connection, as the exporter would find it.
pub(super) fn connect(
    way: &Way<'_>,
    addresses: &[SocketAddr],
    found: &mut Diagnosis,
) -> Option<SocketAddr> {
    let mut failures = Vec::new();
    for address in addresses {
        match TcpStream::connect_timeout(address, way.limit) {
            Ok(_) => {
                found.good("connect", format!("{address} takes connections"));
                return Some(*address);
            }
            Err(error) => failures.push((address, error)),
        }
    }
    for (address, error) in failures {
        let (what, fix) = explain(way, address, &error);
        found.problem("connect", what, fix);
    }
    None
}

fn explain(way: &Way<'_>, address: &SocketAddr, error: &io::Error) -> (String, String) {
    let setting = way.setting();
    if error.kind() == io::ErrorKind::ConnectionRefused {
        let hint = match address.ip().is_loopback() {
            true => "; in a container, localhost is that container",
            false => "",
        };
        (
            format!("{address} refuses connections: nothing listens there"),
            format!("start the Collector, or correct host and port in {setting}{hint}"),
        )
    } else if matches!(
        error.kind(),
        io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock
    ) {
        (
            format!("{address} does not answer within {:?}", way.limit),
            format!("a firewall or network policy may drop packets; or correct {setting}"),
        )
    } else {
        (
            format!("{address} cannot be reached: {error}"),
            format!("check the route from this machine, and {setting}"),
        )
    }
}
