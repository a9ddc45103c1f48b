//! The metrics of RPC calls, on both sides. Most services have none, so a family takes memory only
//! once it is used.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use super::MetricsConfig;
use super::catalog::{Desc, RPC_CLIENT_DURATION, RPC_SERVER_DURATION};
use super::exemplar::Exemplar;
use super::family::Family;
use super::model::{Gathered, OwnFamily, Point};
use super::timed::{Common, Timed};
use crate::notice::Notices;

/// Methods are at most 500, and each has few ways to end.
const MAX_SERIES: usize = 1_000;
const SYSTEM: &str = "grpc";

/// Records calls. Clones share everything.
#[derive(Clone, Debug)]
pub(crate) struct RpcMetrics(Arc<Inner>);

/// A call that has ended; an empty text means that the label is absent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CallObservation<'a> {
    /// A known method or `_OTHER`.
    pub(crate) method: &'a str,
    pub(crate) code: &'static str,
    pub(crate) error_type: &'a str,
    pub(crate) duration: Duration,
}

/// The server that a client asked.
#[derive(Debug)]
pub(crate) struct RpcServer {
    pub(crate) address: String,
    port: Option<u16>,
    /// The port as a label.
    port_text: String,
}

#[derive(Debug)]
struct Inner {
    cap: usize,
    notices: Notices,
    server: OnceLock<Family<Timed>>,
    client: OnceLock<Family<Timed>>,
    common: Arc<Common>,
}

impl RpcServer {
    pub(crate) fn new(address: impl Into<String>, port: Option<u16>) -> Self {
        Self {
            address: address.into(),
            port,
            port_text: port.map(|port| port.to_string()).unwrap_or_default(),
        }
    }

    pub(crate) fn port(&self) -> Option<u16> {
        self.port
    }
}

impl RpcMetrics {
    pub(super) fn new(config: &MetricsConfig, common: Arc<Common>, notices: &Notices) -> Self {
        Self(Arc::new(Inner {
            cap: config.max_series.min(MAX_SERIES),
            notices: notices.clone(),
            server: OnceLock::new(),
            client: OnceLock::new(),
            common,
        }))
    }

    /// A call was served. `true` when its exemplar was taken, as for HTTP.
    pub(crate) fn observe_server(
        &self,
        seen: &CallObservation<'_>,
        exemplar: Option<Exemplar>,
    ) -> bool {
        let labels = [SYSTEM, seen.method, seen.code, seen.error_type];
        let family = self.family(&self.0.server, &RPC_SERVER_DURATION);
        let series = family.series(&labels);
        series.observe(seen.duration, exemplar, &self.0.common)
    }

    /// A call was made. `true` as for a server.
    pub(crate) fn observe_client(
        &self,
        seen: &CallObservation<'_>,
        server: Option<&RpcServer>,
        exemplar: Option<Exemplar>,
    ) -> bool {
        let (address, port) = server.map_or(("", ""), |it| (&it.address, &it.port_text));
        let labels = [
            SYSTEM,
            seen.method,
            seen.code,
            seen.error_type,
            address,
            port,
        ];
        let family = self.family(&self.0.client, &RPC_CLIENT_DURATION);
        let series = family.series(&labels);
        series.observe(seen.duration, exemplar, &self.0.common)
    }

    /// Observations beyond the cap, by metric.
    pub(super) fn overflowed(&self) -> [(&'static str, u64); 2] {
        self.families()
            .map(|(desc, family)| (desc.name, family.map_or(0, Family::overflowed)))
    }

    pub(super) fn gather(&self) -> Vec<Gathered> {
        let used = self.families().into_iter();
        let used = used.filter_map(|(desc, family)| Some((desc, family?)));
        let gathered = used.map(|(desc, family)| {
            let points = family.entries().map(|entry| Point {
                labels: Arc::clone(&entry.labels),
                value: entry.value.get(),
            });
            Gathered::Own(OwnFamily {
                desc,
                points: points.collect(),
            })
        });
        gathered.collect()
    }

    fn families(&self) -> [(&'static Desc, Option<&Family<Timed>>); 2] {
        [
            (&RPC_CLIENT_DURATION, self.0.client.get()),
            (&RPC_SERVER_DURATION, self.0.server.get()),
        ]
    }

    fn family<'a>(
        &self,
        place: &'a OnceLock<Family<Timed>>,
        desc: &'static Desc,
    ) -> &'a Family<Timed> {
        // Both sides have the same buckets.
        let new = || Timed::new(RPC_SERVER_DURATION.buckets);
        place.get_or_init(|| Family::new(desc, self.0.cap, new, self.0.notices.clone()))
    }
}
