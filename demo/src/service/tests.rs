//! Shop and stock over a real socket, in one process: what customers get when the stock is well, broken,
//! late or gone; and the shop with somebody in the place of its cache.

use std::net::{Ipv4Addr, SocketAddr};

use axum::Router;
use axum::body::Body;
use axum::routing::get;
use http::{HeaderMap, Method, Request};
use http_body_util::BodyExt;
use telemetry_lib::testing::{AttributeValue, ReceivedSpan, TestTelemetry};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tower::ServiceExt;

use super::store::Store;
use super::{Background, shop, stock};

const LOOPBACK: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

struct Both {
    shop: Router,
    stock: Router,
    server: JoinHandle<std::io::Result<()>>,
    /// The worker behind the queue: gone, it takes nothing.
    _background: Background,
    telemetry: TestTelemetry,
}

impl Both {
    async fn start() -> Self {
        Self::with(None).await
    }

    async fn with(redis: Option<Store>) -> Self {
        let telemetry = TestTelemetry::start();
        let handle = telemetry.handle();
        let (routes, background) = stock::routes(handle, redis);
        let stock = handle.instrument(routes);
        let listener = TcpListener::bind(LOOPBACK).await.unwrap();
        let at = listener.local_addr().unwrap();
        let server = axum::serve(listener, stock.clone());
        Self {
            shop: shop::routes(handle, at, None).unwrap(),
            stock,
            server: tokio::spawn(async move { server.await }),
            _background: background,
            telemetry,
        }
    }

    /// Sends the spans while there is somebody to take them: else it would be tried for seconds.
    async fn end(self) -> Vec<ReceivedSpan> {
        self.telemetry.spans().await
    }

    async fn is(&self, trouble: &str) {
        let path = format!("/trouble/{trouble}");
        assert_eq!(ask(&self.stock, Method::POST, &path).await.0, 204);
    }
}

async fn ask(router: &Router, method: Method, path: &str) -> (u16, String) {
    let request = Request::builder().method(method).uri(path);
    let request = request.body(Body::empty()).unwrap();
    let answer = router.clone().oneshot(request).await.unwrap();
    let status = answer.status().as_u16();
    let body = answer.into_body().collect().await.unwrap().to_bytes();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

async fn order(shop: &Router) -> u16 {
    ask(shop, Method::POST, "/orders/7").await.0
}

#[tokio::test]
async fn an_order_is_taken_and_its_delivery_comes_in_steps() {
    let both = Both::start().await;
    assert_eq!(order(&both.shop).await, 201);
    let (status, steps) = ask(&both.shop, Method::GET, "/orders/7/progress").await;
    assert_eq!(
        (status, steps.as_str()),
        (200, "packed\non the way\ndelivered\n")
    );
    let spans = both.end().await;
    let calls = spans
        .iter()
        .filter(|span| span.name() == "shop.Stock/Watch");
    assert_eq!(calls.count(), 2, "one of each side: {spans:#?}");
}

#[tokio::test]
async fn a_broken_stock_is_a_bad_gateway_until_it_is_healed() {
    let both = Both::start().await;
    both.is("errors").await;
    let mut orders = [0; 4];
    for order in &mut orders {
        *order = self::order(&both.shop).await;
    }
    assert_eq!(orders, [502, 201, 502, 201]);
    assert_eq!(
        ask(&both.shop, Method::GET, "/orders/7/progress").await.0,
        502
    );
    both.is("none").await;
    assert_eq!(
        [order(&both.shop).await, order(&both.shop).await],
        [201, 201]
    );
    both.end().await;
}

#[tokio::test]
async fn a_stock_that_nobody_serves_is_unavailable() {
    let mut both = Both::start().await;
    both.server.abort();
    // Its listener is closed when the task is gone.
    assert!((&mut both.server).await.unwrap_err().is_cancelled());
    assert_eq!(order(&both.shop).await, 503);
    assert_eq!(
        ask(&both.shop, Method::GET, "/orders/7/progress").await.0,
        503
    );
    both.end().await;
}

#[tokio::test]
async fn a_dead_redis_is_an_error_of_every_span_on_the_way_to_it() {
    let listener = TcpListener::bind(LOOPBACK).await.unwrap();
    let dead = listener.local_addr().unwrap();
    drop(listener);
    let both = Both::with(Some(Store::at(dead).unwrap())).await;
    assert_eq!(order(&both.shop).await, 503);
    let spans = both.end().await;
    let mut kinds: Vec<_> = spans.iter().filter_map(error_type).collect();
    kinds.sort_unstable();
    let expected = [
        "UNAVAILABLE",
        "UNAVAILABLE",
        "demo::service::queue::Refused",
    ];
    assert_eq!(kinds, expected, "{spans:#?}");
}

fn error_type(span: &ReceivedSpan) -> Option<&str> {
    let AttributeValue::Text(text) = span.attribute("error.type")? else {
        return None;
    };
    Some(text)
}

#[tokio::test]
async fn a_stock_that_says_nothing_is_a_timeout() {
    let telemetry = TestTelemetry::start();
    // Connections end in its backlog.
    let silent = TcpListener::bind(LOOPBACK).await.unwrap();
    let shop = shop::routes(telemetry.handle(), silent.local_addr().unwrap(), None).unwrap();
    assert_eq!(order(&shop).await, 504);
    let _sent = telemetry.spans().await;
}

/// A shop whose items somebody else knows.
fn shop_with_cache(telemetry: &TestTelemetry, cache: SocketAddr) -> Router {
    let handle = telemetry.handle();
    handle.instrument(shop::routes(handle, LOOPBACK, Some(cache)).unwrap())
}

#[tokio::test]
async fn an_item_is_what_the_cache_says_and_the_context_goes_there() {
    let telemetry = TestTelemetry::start();
    let cache = Router::new().route(
        "/items/7",
        get(async |headers: HeaderMap| {
            let parent = headers["traceparent"].to_str().unwrap();
            parent.split('-').nth(2).unwrap().to_owned()
        }),
    );
    let listener = TcpListener::bind(LOOPBACK).await.unwrap();
    let shop = shop_with_cache(&telemetry, listener.local_addr().unwrap());
    tokio::spawn(async { axum::serve(listener, cache).await });
    let (status, parent) = ask(&shop, Method::GET, "/items/7").await;
    assert_eq!(status, 200);
    assert_eq!(
        ask(&shop, Method::GET, "/items/8").await.0,
        404,
        "never ordered"
    );
    let spans = telemetry.spans().await;
    let call = spans.iter().find(|span| span.span_id() == parent);
    assert_eq!(call.map(ReceivedSpan::name), Some("GET"), "{spans:#?}");
}

#[tokio::test]
async fn a_cache_that_is_gone_is_no_fault_of_the_customer() {
    let telemetry = TestTelemetry::start();
    let listener = TcpListener::bind(LOOPBACK).await.unwrap();
    let at = listener.local_addr().unwrap();
    drop(listener);
    let shop = shop_with_cache(&telemetry, at);
    assert_eq!(ask(&shop, Method::GET, "/items/7").await.0, 503);
    let _sent = telemetry.spans().await;
}
