//! The HTTP client that `opentelemetry-otlp` is given: the one place that retries, splits what is
//! too large and reads partial successes. To the exporter above it each batch is one request.

use std::fmt;
use std::future::Future;
use std::hash::{BuildHasher as _, RandomState};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::{Either, select};
use http::header::{CONTENT_ENCODING, CONTENT_TYPE, USER_AGENT};
use http::{HeaderMap, HeaderValue, Method, Request, Response};
use opentelemetry_http::{HttpClient, HttpError};

use super::ExportConfig;
use super::backoff::Backoff;
use super::health::ExportHealth;
use super::payload::Piece;
use super::retry::{Answer, Failure, Verdict, judge};
use super::timer::{Timer, Wait};
use super::transport::{AttemptError, Transport};

/// Delivers export requests by the rules of OTLP. Clones share everything.
#[derive(Clone)]
pub(super) struct CollectorClient(Arc<Inner>);

struct Inner {
    transport: Arc<dyn Transport>,
    timer: Arc<dyn Timer>,
    health: Arc<ExportHealth>,
    backoff: Backoff,
    endpoint: String,
    headers: HeaderMap,
    timeout: Duration,
    gzip: bool,
    tally: Mutex<Tally>,
}

/// What became of the spans of one batch, apart from those that were delivered.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Tally {
    offered: u64,
    pub(super) failed: u64,
    pub(super) rejected: u64,
}

impl CollectorClient {
    pub(super) fn new(
        config: &ExportConfig,
        transport: Arc<dyn Transport>,
        timer: Arc<dyn Timer>,
        health: Arc<ExportHealth>,
    ) -> Self {
        Self(Arc::new(Inner {
            transport,
            timer,
            health,
            backoff: Backoff::new(config.total),
            endpoint: config.endpoint.clone(),
            headers: headers(config),
            timeout: config.timeout,
            gzip: config.gzip,
            tally: Mutex::default(),
        }))
    }

    /// Announces the next batch: the encoded request does not say how many spans are in it.
    pub(super) fn begin(&self, spans: u64) {
        *self.0.tally() = Tally {
            offered: spans,
            ..Tally::default()
        };
    }

    /// What became of that batch.
    pub(super) fn tally(&self) -> Tally {
        *self.0.tally()
    }
}

impl HttpClient for CollectorClient {
    /// Always answers 200: failures stand in the tally, where they are counted span by span.
    fn send_bytes<'client, 'future>(
        &'client self,
        request: Request<Bytes>,
    ) -> Pin<Box<dyn Future<Output = Result<Response<Bytes>, HttpError>> + Send + 'future>>
    where
        'client: 'future,
        Self: 'future,
    {
        Box::pin(async move {
            self.0.deliver(request.into_body()).await;
            Ok(Response::new(Bytes::new()))
        })
    }
}

impl Inner {
    /// Delivers a batch, in pieces where the collector takes no more at once.
    async fn deliver(&self, body: Bytes) {
        let began = self.timer.now();
        let spans = self.tally().offered;
        let mut pieces = vec![Piece { body, spans }];
        while let Some(piece) = pieces.pop() {
            match self.send(&piece, began).await {
                Ok(Some(rejected)) => self.tally().rejected += rejected.min(piece.spans),
                Ok(None) => match piece.split() {
                    Some([first, second]) => pieces.extend([second, first]),
                    None => self.fail(&piece, &Failure::SpanTooLarge),
                },
                Err(why) => self.fail(&piece, &why),
            }
        }
    }

    /// Tries until the piece is delivered (how many spans of it were rejected), too large (`None`)
    /// or given up.
    async fn send(&self, piece: &Piece, began: Duration) -> Result<Option<u64>, Failure> {
        let body = piece.encoded(self.gzip);
        let mut retry = 0;
        loop {
            let spent = self.timer.now().saturating_sub(began);
            let Some(limit) = self.backoff.attempt(self.timeout, spent) else {
                return Err(AttemptError::Timeout.into());
            };
            let attempt = self.attempt(body.clone(), limit).await;
            let (after, why) = match judge(attempt, self.timer.wall()) {
                Verdict::Delivered { rejected, message } => {
                    self.health.count_request_ok(self.timer.wall());
                    self.mention(rejected, &message);
                    return Ok(Some(rejected));
                }
                Verdict::TooLarge => return Ok(None),
                Verdict::GiveUp(why) => return Err(why),
                Verdict::Again { after, why } => (after, why),
            };
            retry += 1;
            let spent = self.timer.now().saturating_sub(began);
            let Some(wait) = self.backoff.wait(retry, after, jitter(), spent) else {
                return Err(why);
            };
            self.tell(&why);
            self.health.count_retry();
            self.timer.sleep(Wait::Backoff, wait).await;
        }
    }

    async fn attempt(&self, body: Bytes, limit: Duration) -> Result<Answer, AttemptError> {
        let answer = self
            .transport
            .send(request(&self.endpoint, self.headers.clone(), body)?);
        let deadline = self.timer.sleep(Wait::Attempt, limit);
        match select(answer, deadline).await {
            Either::Left((answer, _)) => answer,
            Either::Right(((), _)) => Err(AttemptError::Timeout),
        }
    }

    fn fail(&self, piece: &Piece, why: &Failure) {
        self.health.count_request_failed();
        self.tell(why);
        self.tally().failed += piece.spans;
    }

    fn mention(&self, rejected: u64, message: &str) {
        if rejected > 0 || !message.is_empty() {
            let why = format!("the collector rejected {rejected} spans of a batch: \"{message}\"");
            self.tell(&why);
        }
    }

    fn tell(&self, why: &dyn fmt::Display) {
        self.health.tell(self.timer.now(), &self.endpoint, why);
    }

    fn tally(&self) -> std::sync::MutexGuard<'_, Tally> {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An export without spans, as the Collector would get one: it may be sent to see what comes back.
pub(crate) fn empty_request(config: &ExportConfig) -> Result<Request<Bytes>, AttemptError> {
    let nothing = Piece {
        body: Bytes::new(),
        spans: 0,
    };
    request(
        &config.endpoint,
        headers(config),
        nothing.encoded(config.gzip),
    )
}

fn request(
    endpoint: &str,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Request<Bytes>, AttemptError> {
    let mut request = Request::new(body);
    *request.method_mut() = Method::POST;
    *request.uri_mut() = endpoint
        .parse()
        .map_err(|_| AttemptError::Unreachable("the endpoint is no URL".to_owned()))?;
    *request.headers_mut() = headers;
    Ok(request)
}

fn headers(config: &ExportConfig) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(
        CONTENT_TYPE,
        HeaderValue::from_static("application/x-protobuf"),
    );
    headers.insert(
        USER_AGENT,
        HeaderValue::from_static(concat!("telemetry-lib/", env!("CARGO_PKG_VERSION"))),
    );
    if config.gzip {
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    for (name, value) in &config.headers {
        let mut value = value.clone();
        value.set_sensitive(true);
        headers.append(name, value);
    }
    headers
}

/// Headers may hold credentials.
impl fmt::Debug for CollectorClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CollectorClient")
    }
}

/// A number from 0 to 1, different in every process that retries at the same moment.
fn jitter() -> f64 {
    let random = RandomState::new().hash_one(0_u8);
    (random >> 11) as f64 / (1_u64 << 53) as f64
}
