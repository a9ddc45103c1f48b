//! Metrics and the page that shows them. Each metric is declared once in the [`catalog`]; recording
//! neither locks nor allocates; a scrape gathers once and writes the format that was asked for.

#[cfg_attr(
    not(any(test, feature = "testing")),
    allow(
        dead_code,
        unreachable_pub,
        reason = "as a whole it is public in the test kit alone"
    )
)]
pub mod catalog;

mod client;
mod exemplar;
mod family;
mod foreign;
mod foreign_exemplar;
mod health;
mod http;
mod instrument;
mod job;
mod model;
mod negotiate;
mod page;
mod process;
mod recent;
mod registry;
mod rpc;
mod runtime;
mod target;
mod text;
mod timed;

#[cfg(test)]
mod document;
#[cfg(test)]
mod tests;

use std::fmt;
use std::io::Write as _;
use std::sync::{Arc, OnceLock};

use ::http::header::{CONTENT_ENCODING, CONTENT_TYPE, RETRY_AFTER, VARY};
use ::http::{HeaderMap, HeaderValue, Response, StatusCode};
use bytes::Bytes;
use flate2::{Compression, write::GzEncoder};
use tokio::runtime::Handle;

#[cfg(test)]
pub(crate) use self::catalog::RPC_STATUS_CODES;
use self::catalog::{BUILD, FAMILIES_HIDDEN, OVERFLOW, REFUSED, SCRAPE_FAILURES, TARGET};
pub(crate) use self::client::{ClientObservation, HttpClientMetrics};
pub(crate) use self::exemplar::{Exemplar, Tokens as MarkTokens};
pub use self::foreign_exemplar::Exemplars;
pub(crate) use self::http::{ActiveGuard, HttpServerMetrics, Observation};
pub(crate) use self::job::{JobMetrics, JobOutcome};
use self::model::{Gathered, OwnFamily, Point, PointValue};
use self::page::{PAGES, Pages};
use self::registry::Registries;
pub(crate) use self::rpc::{CallObservation, RpcMetrics, RpcServer};
pub(crate) use self::target::labels as target_labels;
use self::timed::Common;
use crate::export::ExportHealth;
use crate::fork::Lock;
use crate::log::Logs;
use crate::notice::Notices;

/// What metrics need to know about the service.
#[derive(Debug, Clone)]
pub(crate) struct MetricsConfig {
    /// Series of one metric at most; the specification's default is 2,000.
    pub(crate) max_series: usize,
}

/// What this crate has to tell of itself.
pub(crate) struct Own {
    /// The labels of `target_info`; asked once in each process, because one that forks is another.
    pub(crate) target: Box<dyn Fn() -> Arc<str> + Send + Sync>,
    pub(crate) health: Arc<ExportHealth>,
    pub(crate) logs: Arc<Logs>,
}

/// All metrics of one handle. Clones share them.
#[derive(Clone)]
pub(crate) struct Metrics(Arc<Inner>);

struct Inner {
    http: HttpServerMetrics,
    http_client: HttpClientMetrics,
    rpc: RpcMetrics,
    jobs: JobMetrics,
    common: Arc<Common>,
    own: Own,
    target: Lock<Option<Arc<str>>>,
    registries: Registries,
    runtime: OnceLock<Handle>,
    pages: Pages,
}

impl Metrics {
    /// `tokens` are those of all exemplars of the process.
    pub(crate) fn new(
        config: &MetricsConfig,
        tokens: Arc<MarkTokens>,
        own: Own,
        notices: Notices,
    ) -> Self {
        let common = Arc::new(Common::new(tokens));
        Self(Arc::new(Inner {
            http: HttpServerMetrics::new(config, Arc::clone(&common), &notices),
            http_client: HttpClientMetrics::new(config, Arc::clone(&common), &notices),
            rpc: RpcMetrics::new(config, Arc::clone(&common), &notices),
            jobs: JobMetrics::new(config, Arc::clone(&common), &notices),
            common,
            own,
            target: Lock::new(None, |_| None),
            registries: Registries::new(notices),
            runtime: OnceLock::new(),
            pages: Pages::default(),
        }))
    }

    /// Records HTTP requests.
    pub(crate) fn http_server(&self) -> HttpServerMetrics {
        self.0.http.clone()
    }

    /// Records attempts of HTTP clients.
    pub(crate) fn http_client(&self) -> HttpClientMetrics {
        self.0.http_client.clone()
    }

    /// Records RPC calls.
    pub(crate) fn rpc(&self) -> RpcMetrics {
        self.0.rpc.clone()
    }

    /// Records runs of jobs.
    pub(crate) fn jobs(&self) -> &JobMetrics {
        &self.0.jobs
    }

    /// Shows the metrics of `registry` too.
    pub(crate) fn collect(&self, registry: prometheus::Registry) {
        self.0.registries.add(registry);
    }

    /// Shows exemplars beside the buckets of histograms in such registries.
    pub(crate) fn collect_exemplars(&self, exemplars: Exemplars) {
        self.0.registries.add_exemplars(exemplars);
    }

    /// Shows the counters of a tokio runtime; the first one stays.
    pub(crate) fn watch_runtime(&self, runtime: Handle) {
        drop(self.0.runtime.set(runtime));
    }

    /// The same for the runtime that this thread works for, if there is none yet: `init` may have come
    /// before it. Costs one atomic read once there is.
    pub(crate) fn watch_this_runtime(&self) {
        if self.0.runtime.get().is_none()
            && let Ok(runtime) = Handle::try_current()
        {
            self.watch_runtime(runtime);
        }
    }

    /// Answers a scrape with these headers: 503 while 16 pages are on their way.
    pub(crate) fn render(&self, request: &HeaderMap) -> Response<Bytes> {
        let Some(place) = self.0.pages.place() else {
            return too_many();
        };
        let (format, content_type) = negotiate::content_type(request);
        let pages = &self.0.pages;
        let page = text::encode(&self.gather(), format, pages.expected());
        pages.wrote(page.len());
        let mut response = Response::new(Bytes::new());
        let headers = response.headers_mut();
        let content_type = HeaderValue::try_from(content_type);
        headers.insert(
            CONTENT_TYPE,
            content_type.expect("content types here are plain ASCII"),
        );
        headers.insert(VARY, HeaderValue::from_static("accept, accept-encoding"));
        if negotiate::takes_gzip(request) {
            headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
            *response.body_mut() = place.hold(gzip(&page));
        } else {
            *response.body_mut() = place.hold(page.into());
        }
        response
    }

    /// Everything at one moment, by name.
    fn gather(&self) -> Vec<Gathered> {
        let inner = &*self.0;
        let foreign = inner.registries.gather();
        let mut own = inner.http.gather();
        own.push(inner.http_client.gather());
        own.extend(inner.rpc.gather());
        own.extend(inner.jobs.gather());
        own.extend(health::gather(&inner.own));
        own.extend(process::gather());
        own.extend(inner.runtime.get().map(runtime::gather).unwrap_or_default());
        own.extend(self.about_this_page());
        let (mut page, hidden) = inner.registries.merge(foreign, own);
        let count = Gathered::Own(OwnFamily::single(
            &FAMILIES_HIDDEN,
            PointValue::Count(hidden as u64),
        ));
        let place = page.partition_point(|family| family.name() < count.name());
        page.insert(place, count);
        page
    }

    fn about_this_page(&self) -> Vec<Gathered> {
        let inner = &*self.0;
        let ask = || (inner.own.target)();
        let target = Arc::clone(inner.target.lock().get_or_insert_with(ask));
        let target = Point {
            labels: target,
            value: PointValue::Count(1),
        };
        let build = [env!("CARGO_PKG_VERSION")];
        let overflowed = inner.http.overflowed().into_iter();
        let overflowed = overflowed
            .chain([inner.http_client.overflowed()])
            .chain(inner.rpc.overflowed())
            .chain(inner.jobs.overflowed())
            .map(|(metric, count)| (metric.to_owned(), PointValue::Count(count)));
        let families = [
            OwnFamily {
                desc: &TARGET,
                points: vec![target],
            },
            OwnFamily {
                desc: &BUILD,
                points: vec![Point::new(&BUILD, &build, PointValue::Count(1))],
            },
            OwnFamily::by_label(&OVERFLOW, overflowed),
            OwnFamily::single(&REFUSED, PointValue::Count(inner.common.refused())),
            OwnFamily::single(
                &SCRAPE_FAILURES,
                PointValue::Count(inner.registries.failures()),
            ),
        ];
        families.map(Gathered::Own).into()
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Metrics")
    }
}

fn too_many() -> Response<Bytes> {
    let why = format!("{PAGES} pages are on their way already: is a scraper stuck?\n");
    let mut response = Response::new(why.into());
    *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    let headers = response.headers_mut();
    headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
    let plain = HeaderValue::from_static("text/plain; charset=utf-8");
    headers.insert(CONTENT_TYPE, plain);
    response
}

fn gzip(page: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder
        .write_all(page.as_bytes())
        .and_then(|()| encoder.finish())
        .expect("writing to memory does not fail")
}
