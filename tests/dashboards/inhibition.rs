//! What mutes what, by a real Alertmanager with the file of this repository.

use std::collections::BTreeMap;
use std::process::Command;

use serde_json::{Value, json};
use stack_tests::{Part, Tool, free_port, get, post_json, read};
use tempfile::TempDir;

/// A running Alertmanager, whose webhooks and mails go to nobody.
struct Alertmanager {
    part: Part,
    address: String,
    _data: TempDir,
}

impl Alertmanager {
    fn start(test: &str) -> Option<Self> {
        let program = Tool::Alertmanager.find(test)?;
        let data = TempDir::new().expect("a folder");
        let nobody = format!("127.0.0.1:{}", free_port());
        let shipped = read("dashboards/alertmanager.yml");
        let config = ["127.0.0.1:9095", "127.0.0.1:1025"]
            .iter()
            .fold(shipped, |text, address| text.replace(address, &nobody));
        let file = data.path().join("alertmanager.yml");
        std::fs::write(&file, config).expect("the folder is ours");
        let address = format!("127.0.0.1:{}", free_port());
        let mut command = Command::new(program);
        command
            .arg(format!("--config.file={}", file.display()))
            .arg(format!("--storage.path={}", data.path().display()))
            .arg(format!("--web.listen-address={address}"))
            .arg("--cluster.listen-address=");
        let mut part = Part::start(&mut command);
        part.ask("answer", || {
            get(&address, "/-/ready", "*/*").filter(|(status, _)| *status == 200)
        });
        Some(Self {
            part,
            address,
            _data: data,
        })
    }

    /// Posts these alerts, and says of each whether another one mutes it. What mutes others learns of
    /// alerts in their order and after they are listed, so a pair of our own comes last and is waited for.
    fn muted(&mut self, alerts: &[Value]) -> BTreeMap<String, bool> {
        let last = [
            alert("ServiceDown", "last", "prod"),
            alert("TelemetryDropping", "last", "prod"),
        ];
        let all = alerts.iter().chain(&last);
        let posted: Vec<Value> = all.map(|labels| json!({ "labels": labels })).collect();
        let body = json!(posted).to_string();
        let (status, answer) =
            post_json(&self.address, "/api/v2/alerts", &body).expect("it listens");
        assert_eq!(status, 200, "{answer}");
        let address = self.address.clone();
        let known: Vec<Value> = self.part.ask("alerts", || {
            let (_, page) = get(&address, "/api/v2/alerts", "application/json")?;
            let known: Vec<Value> = serde_json::from_str(&page).ok()?;
            let is_last = |it: &Value| label(it, "service") == "last" && is_muted(it);
            let is_told = known.len() == posted.len() && known.iter().any(is_last);
            is_told.then_some(known)
        });
        let others = known.iter().filter(|it| label(it, "service") != "last");
        let muted = others.map(|alert| {
            let labels = ["alertname", "service", "env"].map(|name| label(alert, name));
            (labels.join(" "), is_muted(alert))
        });
        muted.collect()
    }
}

fn label<'a>(alert: &'a Value, name: &str) -> &'a str {
    alert["labels"][name].as_str().expect("it was posted")
}

fn is_muted(alert: &Value) -> bool {
    let by = alert["status"]["inhibitedBy"].as_array();
    !by.expect("a list").is_empty()
}

fn alert(name: &str, service: &str, env: &str) -> Value {
    json!({"alertname": name, "service": service, "env": env, "severity": "critical"})
}

#[test]
fn a_service_that_is_gone_mutes_its_own_alerts_and_one_instance_mutes_nothing() {
    let test = "a_service_that_is_gone_mutes_its_own_alerts_and_one_instance_mutes_nothing";
    let Some(mut alertmanager) = Alertmanager::start(test) else {
        return;
    };
    let muted = alertmanager.muted(&[
        alert("ServiceDown", "shop", "prod"),
        alert("SloErrorsBurnFast", "shop", "prod"),
        alert("TelemetryDropping", "shop", "prod"),
        alert("SloErrorsBurnFast", "shop", "dev"),
        alert("ServiceInstanceDown", "cart", "prod"),
        alert("ServiceErrors", "cart", "prod"),
        alert("SloErrorsBurnFast", "cart", "prod"),
        alert("SloErrorsBurnSlow", "cart", "prod"),
    ]);
    let muted: Vec<&str> = muted
        .iter()
        .filter_map(|(name, muted)| muted.then_some(name.as_str()))
        .collect();
    assert_eq!(
        muted,
        [
            "SloErrorsBurnFast shop prod",
            "SloErrorsBurnSlow cart prod",
            "TelemetryDropping shop prod"
        ]
    );
    drop(alertmanager.part.stop());
}
