//! What a scraper reads.

use crate::router::{Folder, firing};
use crate::sink::Sink;

#[tokio::test]
async fn the_time_to_heard_names_the_delivery_that_history_knows() {
    let sink = Sink::start().await;
    let folder = Folder::with(&format!(
        "route: {{receiver: room, group_wait: 0s}}\n\
         receivers: [{{name: room, webhook_configs: [{{url: \"{}\"}}]}}]\n",
        sink.url("/room")
    ));
    let router = folder.start().await;
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
    let (delivery, _) = exemplar.split_once('"').unwrap();
    let history = router.get("/api/v1/history").await.body;
    assert!(history.contains(delivery), "no {delivery} in {history}");
}
