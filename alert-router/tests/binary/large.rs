//! What people hear of a group with more alerts than a message names.

use serde_json::json;

use crate::router::{Folder, firing};
use crate::sink::Sink;

#[tokio::test]
async fn a_critical_alert_is_named_although_hundreds_came_first() {
    let sink = Sink::start().await;
    let url = sink.url("/room");
    let folder = Folder::with(&format!(
        "route: {{receiver: room, group_by: [team], group_wait: 1s, group_interval: 1s}}\n\
         receivers: [{{name: room, webhook_configs: [{{url: \"{url}\"}}]}}]\n"
    ));
    let router = folder.start().await;
    let alert = |name: &str, id: &str, severity: &str| {
        let labels = [("alertname", name), ("id", id), ("severity", severity)];
        firing(&[&labels[..], &[("team", "db")]].concat())
    };
    let many: Vec<_> = (0..510)
        .map(|n| alert("DiskFull", &n.to_string(), "warning"))
        .collect();
    router.take(&many).await;
    router
        .take(&[alert("PrimaryDown", "primary", "critical")])
        .await;
    sink.until_heard("id", "+primary").await;
    let body = sink.messages().pop().expect("it was heard").body;
    assert_eq!(body["truncatedAlerts"], 10);
    assert_eq!(body["commonLabels"], json!({"team": "db"}), "of all 511");
    assert_eq!(body["commonAnnotations"], json!({}));
}
