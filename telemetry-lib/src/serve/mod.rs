//! Serving until told to stop, and stopping in the right order.

mod cut;
mod signals;

use std::future::IntoFuture as _;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::time::Duration;

use axum::Router;
use axum::serve::ListenerExt as _;
use tokio::net::TcpListener;
use tokio::sync::watch;

use self::cut::{Connections, Cuttable};
use self::signals::count_signals;
use crate::init::{Report, Telemetry};

/// For tasks of connections that were cut. They have nothing to wait for, unless one blocks its thread.
const CUT: Duration = Duration::from_secs(1);

/// How a server stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grace {
    /// Between "not ready" and the last accepted connection, so that load balancers notice
    /// (default 0: set it behind one).
    pub drain: Duration,
    /// For requests under way (default 10 s).
    pub requests: Duration,
    /// For spans that still have to leave (default 5 s).
    pub telemetry: Duration,
}

impl Default for Grace {
    fn default() -> Self {
        Self {
            drain: Duration::ZERO,
            requests: Duration::from_secs(10),
            telemetry: Duration::from_secs(5),
        }
    }
}

/// Serves `router` until SIGTERM or SIGINT, then stops: `/readyz` says 503, `grace.drain`
/// passes, no connection is accepted any more, requests under way get `grace.requests`, spans
/// get `grace.telemetry`. A second signal skips what is left of the first two waits. Requests that are
/// under way then are cut off: their spans end as `cancelled`, and leave with the others.
///
/// # Errors
///
/// If the signals cannot be awaited or the listener fails; the telemetry is shut down anyway.
pub async fn serve_gracefully(
    telemetry: &Telemetry,
    listener: TcpListener,
    router: Router,
    grace: Grace,
) -> io::Result<Report> {
    let (stop, signals) = watch::channel(0);
    let counting = counted_or_shut_down(telemetry, grace, count_signals(stop)).await?;
    let watching = tokio::spawn(counting);
    let report = serve_until(telemetry, listener, router, grace, signals).await;
    watching.abort();
    report
}

/// Without signals nothing would ever end the service, so it does not begin, and its spans leave.
async fn counted_or_shut_down<T>(
    telemetry: &Telemetry,
    grace: Grace,
    counting: io::Result<T>,
) -> io::Result<T> {
    if counting.is_err() {
        // The error is what the caller hears; `/metrics` had the counts.
        let _ = telemetry.shutdown(grace.telemetry).await;
    }
    counting
}

/// `stops` counts the requests to stop: one is polite, two are not.
async fn serve_until(
    telemetry: &Telemetry,
    listener: TcpListener,
    router: Router,
    grace: Grace,
    stops: watch::Receiver<u32>,
) -> io::Result<Report> {
    let polite = {
        let (telemetry, stops) = (telemetry.clone(), stops.clone());
        async move {
            reach(stops.clone(), 1).await;
            telemetry.set_ready(false);
            within(grace.drain, reach(stops, 2)).await;
        }
    };
    let (closed, mut closing) = watch::channel(false);
    let drained = async move {
        polite.await;
        closed.send_replace(true);
    };
    let service = router.into_make_service_with_connect_info::<SocketAddr>();
    let connections = Connections::default();
    // axum tells the peer of a listener that is not its own only through `tap_io`.
    let listener = Cuttable::new(listener, connections.clone()).tap_io(|_| {});
    let served = axum::serve(listener, service).with_graceful_shutdown(drained);
    let mut served = pin!(served.into_future());
    let overdue = async move {
        // An error means that the server is gone, and the other branch has its result.
        let _ = closing.wait_for(|closing| *closing).await;
        within(grace.requests, reach(stops, 2)).await;
    };
    let result = tokio::select! {
        result = &mut served => result,
        () = overdue => {
            connections.cut();
            let cut = tokio::time::timeout(CUT, served).await;
            cut.unwrap_or(Ok(()))
        }
    };
    let report = telemetry.shutdown(grace.telemetry).await;
    result.map(|()| report)
}

async fn reach(mut stops: watch::Receiver<u32>, count: u32) {
    if stops.wait_for(|stops| *stops >= count).await.is_err() {
        // Nobody can ask any more, so the wait never ends by asking.
        std::future::pending::<()>().await;
    }
}

async fn within(limit: Duration, early: impl Future<Output = ()>) {
    // Both ends of the wait mean the same: go on.
    let _ = tokio::time::timeout(limit, early).await;
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::sync::Arc;

    use axum::body::Body;
    use axum::routing::get;
    use futures_util::StreamExt as _;
    use futures_util::stream;
    use http::Response;
    use http_body_util::{BodyExt, Empty};
    use hyper::body::Incoming;
    use hyper::client::conn::http1;
    use hyper_util::rt::TokioIo;
    use tokio::net::TcpStream;
    use tokio::sync::Notify;
    use tokio::task::JoinHandle;

    use super::*;
    use crate::testing::{AttributeValue, TestTelemetry};

    struct Served {
        telemetry: TestTelemetry,
        address: SocketAddr,
        /// The handler runs.
        entered: Arc<Notify>,
        /// Lets the handler answer.
        release: Arc<Notify>,
        stop: watch::Sender<u32>,
        server: JoinHandle<io::Result<Report>>,
    }

    async fn serve(grace: Grace) -> Served {
        let telemetry = TestTelemetry::start();
        let (entered, release) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let signals = (Arc::clone(&entered), Arc::clone(&release));
        let slow = get(move || async move {
            signals.0.notify_one();
            signals.1.notified().await;
            "done"
        });
        let app = telemetry.handle().instrument(
            Router::new()
                .route("/slow", slow)
                .route("/endless", get(endless)),
        );
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stops) = watch::channel(0);
        let handle = telemetry.handle().clone();
        let server =
            tokio::spawn(async move { serve_until(&handle, listener, app, grace, stops).await });
        Served {
            telemetry,
            address,
            entered,
            release,
            stop,
            server,
        }
    }

    /// A frame, then nothing, for ever.
    async fn endless() -> Body {
        let first = stream::iter([Ok::<_, Infallible>("a")]);
        Body::from_stream(first.chain(stream::pending()))
    }

    /// The answer, its body still to come.
    async fn open(address: SocketAddr, path: &str) -> Option<Response<Incoming>> {
        let stream = TcpStream::connect(address).await.ok()?;
        let (mut client, connection) = http1::handshake(TokioIo::new(stream)).await.ok()?;
        tokio::spawn(connection);
        let request = http::Request::get(path).header("host", "a.example");
        let request = request.body(Empty::<bytes::Bytes>::new()).unwrap();
        client.send_request(request).await.ok()
    }

    /// Status and body.
    async fn fetch(address: SocketAddr, path: &str) -> Option<(u16, String)> {
        let response = open(address, path).await?;
        let status = response.status().as_u16();
        let body = response.into_body().collect().await.ok()?.to_bytes();
        Some((status, String::from_utf8_lossy(&body).into_owned()))
    }

    /// Stops the server while a request is under way that never ends: the grace cuts it off, and its
    /// span says so.
    async fn cut_off(served: Served) {
        tokio::time::pause(); // from here on, waiting takes no time
        served.stop.send_replace(1);
        let report = served.server.await.unwrap().unwrap();
        assert_eq!(report.traces.exported, 1, "{report}");
        let spans = served.telemetry.collector().spans();
        spans[0].assert_attribute("error.type", Some(AttributeValue::Text("cancelled".into())));
    }

    #[tokio::test]
    async fn a_request_under_way_is_answered_and_its_span_exported() {
        let served = serve(Grace::default()).await;
        let asking = tokio::spawn(fetch(served.address, "/slow"));
        served.entered.notified().await;
        served.stop.send_replace(1);
        served.release.notify_one();
        assert_eq!(asking.await.unwrap(), Some((200, "done".to_owned())));
        let report = served.server.await.unwrap().unwrap();
        assert_eq!(report.traces.exported, 1, "{report}");
        assert_eq!(served.telemetry.collector().spans().len(), 1);
        assert!(
            fetch(served.address, "/slow").await.is_none(),
            "the port is closed"
        );
    }

    #[tokio::test]
    async fn while_draining_the_service_answers_and_is_not_ready() {
        let an_hour = Duration::from_secs(3_600);
        let served = serve(Grace {
            drain: an_hour,
            ..Grace::default()
        })
        .await;
        let ready = fetch(served.address, "/readyz").await.unwrap();
        assert_eq!(ready.0, 200);
        served.stop.send_replace(1);
        // The server notices the request to stop before it accepts the next connection.
        tokio::task::yield_now().await;
        let ready = fetch(served.address, "/readyz").await.unwrap();
        assert_eq!(ready.0, 503);
        served.stop.send_replace(2);
        let _ = served.server.await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn f30_a_request_that_never_ends_does_not_hold_the_exit() {
        let served = serve(Grace::default()).await;
        let asking = tokio::spawn(fetch(served.address, "/slow"));
        served.entered.notified().await;
        cut_off(served).await;
        assert_eq!(asking.await.unwrap(), None, "it was cut off");
    }

    #[tokio::test]
    async fn f30_a_body_that_never_ends_is_cut_off_and_told() {
        let served = serve(Grace::default()).await;
        let mut body = open(served.address, "/endless").await.unwrap().into_body();
        body.frame().await.unwrap().unwrap();
        cut_off(served).await;
        assert!(body.frame().await.is_none_or(|frame| frame.is_err()));
    }

    #[tokio::test]
    async fn without_signals_the_telemetry_is_shut_down_anyway() {
        let telemetry = TestTelemetry::start();
        tracing::info_span!("start").in_scope(|| ());
        let none: io::Result<()> = Err(io::ErrorKind::Unsupported.into());
        let failed = counted_or_shut_down(telemetry.handle(), Grace::default(), none).await;
        assert_eq!(failed.unwrap_err().kind(), io::ErrorKind::Unsupported);
        assert_eq!(telemetry.collector().spans().len(), 1);
        tracing::info_span!("late").in_scope(|| ());
        let report = telemetry.handle().shutdown(Duration::ZERO).await;
        assert_eq!(report.traces.dropped.after_shutdown, 1, "{report}");
    }

    #[tokio::test]
    async fn a_second_signal_skips_the_waits() {
        let an_hour = Duration::from_secs(3_600);
        let grace = Grace {
            drain: an_hour,
            requests: an_hour,
            ..Grace::default()
        };
        let served = serve(grace).await;
        let asking = tokio::spawn(fetch(served.address, "/slow"));
        served.entered.notified().await;
        served.stop.send_replace(1);
        served.stop.send_replace(2);
        let _ = served.server.await.unwrap().unwrap();
        asking.abort();
    }
}
