//! A dependency dies and comes back: traces, metrics and people say so, and nobody has to restart a service.

use std::net::TcpStream;

use stack_tests::parts::{Stopwatch, Trace, get_text, tell, until};
use stack_tests::post_json;

use crate::alarm::{ALERT, people_hear};
use crate::demo::Demo;
use crate::orders;

/// Kills Redis with the demo's own command, and heals.
///
/// # Panics
/// Somebody does not hear of it, or it does not end.
pub(crate) async fn dies_and_comes_back(demo: &Demo) {
    let told = demo.mails(ALERT).await.expect("the mailbox opens").len();
    let dead = Stopwatch::start();
    let answer = demo.tell(&["break", "dependency"]);
    assert_eq!(answer, "broken; the alert comes within two minutes\n");
    let redis = demo.at("Redis");
    assert!(TcpStream::connect(redis).is_err(), "{redis} takes nothing");
    let page = get_text(&format!("http://{}/view", demo.at("start page"))).await;
    let page = page.expect("the start page answers");
    assert!(page.contains("dependency: Redis is dead"), "{page}");
    people_hear(demo, "firing", told + 1, dead).await;
    traces_say_where(demo).await;
    metrics_say_what(demo).await;

    let back = Stopwatch::start();
    assert_eq!(demo.tell(&["heal"]), "healed\n");
    let ordered = post_json(demo.at("shop"), "/orders/7", "");
    let (status, body) = ordered.expect("the shop answers");
    assert_eq!(status, 201, "the first one after it: {body}");
    let item = format!("http://{}/items/7", demo.at("shop"));
    until("the cache follows the new Redis", async || {
        get_text(&item).await
    })
    .await;
    people_hear(demo, "resolved", told + 2, back).await;
    let log = demo.log();
    assert!(log.contains("killed; heal starts it again"), "{log}");
    tell("Redis was killed, and started again");
}

/// The whole way of a failed order has an `error.type`, down to the one that found nobody.
async fn traces_say_where(demo: &Demo) {
    let failed = |trace: &Trace| {
        let of = |service: &str, name: &str| {
            let mut spans = trace.spans.iter();
            let span = spans.find(|span| span.service == service && span.name == name)?;
            span.tags.get("error.type").cloned()
        };
        [
            of("shop", "POST /orders/{item}"),
            of("shop", "shop.Stock/Reserve"),
            of("stock", "shop.Stock/Reserve"),
            of("stock", "send reservations"),
        ]
    };
    let expected = [
        "503",
        "UNAVAILABLE",
        "UNAVAILABLE",
        "demo::service::queue::Refused",
    ];
    let expected = expected.map(|text| Some(text.to_owned()));
    until(
        "the trace of an order that Redis did not take",
        async || {
            let traces = demo.jaeger().traces("stock").await?;
            let orders = traces
                .iter()
                .filter(|trace| orders::number(trace).is_some());
            let found: Vec<_> = orders.map(failed).collect();
            match found.contains(&expected) {
                true => Ok(()),
                false => Err(format!("none of {}", found.len())),
            }
        },
    )
    .await;
}

async fn metrics_say_what(demo: &Demo) {
    for expression in [
        "sum(rate(rpc_server_call_duration_seconds_count{service=\"stock\",error_type=\"UNAVAILABLE\"}[10s]))",
        "sum(rate(http_server_request_duration_seconds_count{service=\"shop\",error_type=\"503\"}[10s]))",
        "sum(job_duration_seconds_count{service=\"cache\",job_name=\"stock_taking\",outcome=\"failure\"})",
    ] {
        until(expression, async || match demo.value(expression).await? {
            value if value > 0.0 => Ok(()),
            value => Err(value.to_string()),
        })
        .await;
    }
}
