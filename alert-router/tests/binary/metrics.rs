//! What a scraper reads.

use telemetry_lib::testing::FakeCollector;

use crate::router::{Folder, Router, firing};
use crate::sink::Sink;

#[tokio::test]
async fn the_time_to_heard_leads_to_the_delivery_in_history_and_traces() {
    let collector = FakeCollector::start();
    let sink = Sink::start().await;
    let folder = Folder::with(&format!(
        "route: {{receiver: room, group_wait: 0s}}\n\
         receivers: [{{name: room, webhook_configs: [{{url: \"{}\"}}]}}]\n",
        sink.url("/room")
    ));
    let mut command = folder.command(&["--listen", "127.0.0.1:0"]);
    command.env("OTEL_EXPORTER_OTLP_ENDPOINT", collector.endpoint());
    let router = Router::start(command).await;
    router
        .take(&[firing(&[("alertname", "A"), ("id", "a")])])
        .await;
    let heard = "alert_router_time_to_heard_from_intake_seconds";
    let count = format!("{heard}_count{{priority=\"normal\",receiver=\"room\"}}");
    router.until_metric(&count, 1.0).await;
    let open = [("Accept", "application/openmetrics-text;version=1.0.0")];
    let page = router.call("GET", "/metrics", &open, b"").await.unwrap();
    let mut exemplars = page.body.lines().filter_map(|line| {
        let (sample, exemplar) = line.split_once(" # {delivery_id=\"")?;
        sample
            .starts_with(&format!("{heard}_bucket{{"))
            .then_some(exemplar)
    });
    let exemplar = exemplars.next().expect("one bucket has an exemplar");
    assert_eq!(exemplars.next(), None, "the wait falls into one bucket");
    let (delivery, rest) = exemplar.split_once('"').unwrap();
    let history = router.get("/api/v1/history").await.body;
    assert!(history.contains(delivery), "no {delivery} in {history}");
    router.stop().await;
    let spans = collector.spans();
    let named = |name| spans.iter().find(|span| span.name() == name);
    let sent = named("send room").expect("the delivery has a span");
    let ids = format!(
        ",trace_id=\"{}\",span_id=\"{}\"}} ",
        sent.trace_id(),
        sent.span_id()
    );
    assert!(rest.starts_with(&ids), "no {ids} in {rest}");
    let intake = named("POST /webhook").expect("the request has a span");
    let links = &sent.as_otlp().links;
    let links: Vec<_> = links.iter().map(|link| &link.span_id).collect();
    assert_eq!(links, [&intake.as_otlp().span_id]);
}
