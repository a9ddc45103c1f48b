//! What people write by hand with the `prometheus` crate: a counter, a histogram and a gauge, looked
//! up by their labels for each request. No traces.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Instant;

use axum::Router;
use axum::extract::{MatchedPath, Request};
use axum::response::Response;
use prometheus::{HistogramOpts, HistogramVec, IntCounterVec, IntGauge, Opts, Registry};
use tower::{Layer, Service};

use super::Stack;

#[derive(Clone)]
struct Metrics {
    requests: IntCounterVec,
    duration: HistogramVec,
    active: IntGauge,
}

#[derive(Clone)]
struct Measured<S> {
    inner: S,
    metrics: Metrics,
}

pub(super) fn build(router: Router) -> Stack {
    let labels = ["method", "route", "status"];
    let requests = IntCounterVec::new(Opts::new("requests_total", "Requests."), &labels);
    let duration = HistogramVec::new(HistogramOpts::new("duration_seconds", "Time."), &labels);
    let metrics = Metrics {
        requests: requests.expect("a valid name"),
        duration: duration.expect("a valid name"),
        active: IntGauge::new("active", "Active.").expect("a valid name"),
    };
    let registry = Registry::new();
    registry
        .register(Box::new(metrics.requests.clone()))
        .expect("a new name");
    registry
        .register(Box::new(metrics.duration.clone()))
        .expect("a new name");
    registry
        .register(Box::new(metrics.active.clone()))
        .expect("a new name");
    Stack {
        router: router.layer(metrics),
        flush: Box::new(|| {}),
    }
}

impl<S> Layer<S> for Metrics {
    type Service = Measured<S>;

    fn layer(&self, inner: S) -> Measured<S> {
        Measured {
            inner,
            metrics: self.clone(),
        }
    }
}

impl<S> Service<Request> for Measured<S>
where
    S: Service<Request, Response = Response>,
    S::Future: Send + 'static,
{
    type Response = Response;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let route = request.extensions().get::<MatchedPath>().cloned();
        let method = request.method().clone();
        let Metrics {
            requests,
            duration,
            active,
        } = self.metrics.clone();
        let response = self.inner.call(request);
        active.inc();
        let start = Instant::now();
        Box::pin(async move {
            let response = response.await;
            let status = response.as_ref().map(Response::status);
            let status = status.as_ref().map_or("error", |status| status.as_str());
            let route = route.as_ref().map_or("", MatchedPath::as_str);
            let labels = [method.as_str(), route, status];
            requests.with_label_values(&labels).inc();
            duration
                .with_label_values(&labels)
                .observe(start.elapsed().as_secs_f64());
            active.dec();
            response
        })
    }
}
