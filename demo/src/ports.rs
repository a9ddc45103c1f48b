//! Which port belongs to whom. The documented ones are what the configs of the repository use, so
//! that a link in a document works; free ones are for tests.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};

use alert_router::render::Phrase;

/// Where free ports are looked for: below those that Linux gives to outgoing connections, so that no
/// client takes one before its server does.
const FREE: Range<u16> = 20_000..32_000;

/// The addresses of everything, all on loopback.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ports {
    pub(crate) page: SocketAddr,
    pub(crate) shop: SocketAddr,
    pub(crate) stock: SocketAddr,
    pub(crate) cache: SocketAddr,
    pub(crate) redis: SocketAddr,
    pub(crate) alert_router: SocketAddr,
    pub(crate) wecom: SocketAddr,
    pub(crate) smtp: SocketAddr,
    pub(crate) prometheus: SocketAddr,
    pub(crate) alertmanager: SocketAddr,
    pub(crate) otlp_grpc: SocketAddr,
    pub(crate) otlp_http: SocketAddr,
    pub(crate) collector_health: SocketAddr,
    pub(crate) collector_self: SocketAddr,
    pub(crate) span_metrics: SocketAddr,
    pub(crate) jaeger_otlp: SocketAddr,
    pub(crate) jaeger_grpc: SocketAddr,
    pub(crate) jaeger: SocketAddr,
    pub(crate) jaeger_health: SocketAddr,
    pub(crate) jaeger_self: SocketAddr,
}

/// Stops what Debian has started at our ports.
const STOP: &str = "sudo systemctl disable --now prometheus prometheus-alertmanager";

impl Ports {
    /// The ports that the documents name.
    pub(crate) fn documented() -> Self {
        let at = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        Self {
            page: at(8090),
            shop: at(8081),
            stock: at(8082),
            cache: at(8083),
            // Not Redis' own: Debian starts one there when it is installed.
            redis: at(16379),
            alert_router: at(9095),
            wecom: at(9096),
            smtp: at(1025),
            prometheus: at(9090),
            alertmanager: at(9093),
            otlp_grpc: at(4317),
            otlp_http: at(4318),
            collector_health: at(13133),
            collector_self: at(8888),
            span_metrics: at(8889),
            jaeger_otlp: at(14317),
            jaeger_grpc: at(16685),
            jaeger: at(16686),
            jaeger_health: at(13134),
            jaeger_self: at(8887),
        }
    }

    /// Ports that were free a moment ago.
    pub(crate) fn free() -> io::Result<Self> {
        let mut ports = Self::documented();
        let mut free = candidates()
            .take(FREE.len())
            .filter_map(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).ok());
        // Held together, so that none is given twice.
        let mut held = Vec::new();
        for address in ports.each() {
            let listener = free.next().ok_or(io::ErrorKind::AddrInUse)?;
            *address = listener.local_addr()?;
            held.push(listener);
        }
        Ok(ports)
    }

    /// Fails with all ports that other programs hold.
    pub(crate) fn check(&self) -> Result<(), Phrase> {
        let busy = self.all().into_iter().filter(|(_, address)| {
            TcpListener::bind(address).is_err_and(|e| e.kind() == io::ErrorKind::AddrInUse)
        });
        let busy: Vec<String> = busy.map(|(name, at)| format!("{at} ({name})")).collect();
        if busy.is_empty() {
            return Ok(());
        }
        let busy = busy.join(", ");
        Err(Phrase::new(
            format!(
                "in use by other programs: {busy}; stop them (another demo? Debian starts what it installs: {STOP}), or start with --any-port, which takes free ports"
            ),
            format!(
                "端口被其他程序占用：{busy}；请停止它们（另一个演示？Debian 会启动所安装的服务：{STOP}），或加 --any-port 使用空闲端口"
            ),
        ))
    }

    /// All of them, under the names that people know.
    pub(crate) fn all(&self) -> [(&'static str, SocketAddr); 20] {
        [
            ("start page", self.page),
            ("shop", self.shop),
            ("stock", self.stock),
            ("cache", self.cache),
            ("Redis", self.redis),
            ("alert-router", self.alert_router),
            ("WeCom simulator", self.wecom),
            ("mailbox, SMTP", self.smtp),
            ("Prometheus", self.prometheus),
            ("Alertmanager", self.alertmanager),
            ("Collector, OTLP gRPC", self.otlp_grpc),
            ("Collector, OTLP HTTP", self.otlp_http),
            ("Collector, health", self.collector_health),
            ("Collector, own metrics", self.collector_self),
            ("Collector, span metrics", self.span_metrics),
            ("Jaeger, OTLP", self.jaeger_otlp),
            ("Jaeger, gRPC", self.jaeger_grpc),
            ("Jaeger", self.jaeger),
            ("Jaeger, health", self.jaeger_health),
            ("Jaeger, own metrics", self.jaeger_self),
        ]
    }

    fn each(&mut self) -> [&mut SocketAddr; 20] {
        [
            &mut self.page,
            &mut self.shop,
            &mut self.stock,
            &mut self.cache,
            &mut self.redis,
            &mut self.alert_router,
            &mut self.wecom,
            &mut self.smtp,
            &mut self.prometheus,
            &mut self.alertmanager,
            &mut self.otlp_grpc,
            &mut self.otlp_http,
            &mut self.collector_health,
            &mut self.collector_self,
            &mut self.span_metrics,
            &mut self.jaeger_otlp,
            &mut self.jaeger_grpc,
            &mut self.jaeger,
            &mut self.jaeger_health,
            &mut self.jaeger_self,
        ]
    }
}

/// Ports to look at, each once in a process until all were seen. Two demos that start together begin
/// at different places.
fn candidates() -> impl Iterator<Item = u16> {
    static SEEN: AtomicUsize = AtomicUsize::new(0);
    let start = std::process::id() as usize * 97;
    let next = move || start + SEEN.fetch_add(1, Ordering::Relaxed);
    std::iter::repeat_with(next).filter_map(|at| FREE.clone().nth(at % FREE.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_in_use_is_named_with_its_part_and_the_fix() {
        let mut ports = Ports::free().unwrap();
        assert!(ports.check().is_ok());
        let other = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        ports.jaeger = other.local_addr().unwrap();
        let error = ports.check().unwrap_err().to_string();
        assert!(
            error.contains(&format!("{} (Jaeger)", ports.jaeger)),
            "{error}"
        );
        assert!(error.contains("--any-port"), "{error}");
    }

    #[test]
    fn no_two_parts_share_a_port() {
        for ports in [Ports::documented(), Ports::free().unwrap()] {
            let mut all: Vec<_> = ports.all().into_iter().map(|(_, a)| a.port()).collect();
            all.sort_unstable();
            all.dedup();
            assert_eq!(all.len(), 20);
        }
    }
}
