//! The configs of the parts: those of the repository, at the addresses and in the pace of this demo.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use alert_router::render::Language;
use serde_json::{Value, json};

use crate::Failure;
use crate::ports::Ports;
use crate::tool::{Installed, Tool};
use crate::voice::tag;

/// The bot's key; the simulator makes it public and worthless.
const BOT_KEY: &str = "sim-bot-key";
/// How often Prometheus looks: the shortest window of the rules is ten seconds.
const LOOK: &str = "2s";

const PROMETHEUS: &str = include_str!("../../dashboards/prometheus.yml");
const ALERTMANAGER: &str = include_str!("../../dashboards/alertmanager.yml");

/// The jobs of `prometheus.yml` whose target is a program of others, or comes from it.
const JOBS: [(&str, Tool); 4] = [
    ("span-metrics", Tool::Collector),
    ("otel-collector", Tool::Collector),
    ("jaeger", Tool::Jaeger),
    ("alertmanager", Tool::Alertmanager),
];

pub(crate) fn prometheus(ports: &Ports, installed: &Installed) -> Result<String, Failure> {
    let mut config: Value = serde_yaml::from_str(&at_our_addresses(PROMETHEUS, ports))?;
    let global = &mut config["global"];
    global["scrape_interval"] = LOOK.into();
    global["evaluation_interval"] = LOOK.into();
    let labels = &mut global["external_labels"];
    labels["runbooks_url"] = format!("http://{}/runbooks", ports.page).into();
    // It may not be there; the demo leads to it or says so.
    labels["grafana_url"] = format!("http://{}", ports.page).into();
    // The Jaeger that can be built here answers questions, and has no page.
    labels["jaeger_url"] = format!("http://{}", ports.page).into();
    let jobs = config["scrape_configs"].as_array_mut().ok_or("no jobs")?;
    let is_there = |job: &Value| {
        let needs = JOBS.iter().find(|(name, _)| job["job_name"] == *name);
        needs.is_none_or(|(_, tool)| installed.has(*tool))
    };
    // Who is not there is not down.
    jobs.retain(is_there);
    for job in jobs {
        if let Some(files) = job.pointer_mut("/file_sd_configs/0") {
            files["refresh_interval"] = LOOK.into();
        }
        if let Some(env) = job.pointer_mut("/static_configs/0/labels/env") {
            *env = "demo".into();
        }
    }
    Ok(format!("{config:#}\n"))
}

/// The services, as Prometheus reads them from a file of its own.
pub(crate) fn targets(ports: &Ports, installed: &Installed) -> String {
    let target = |service: &str, at: SocketAddr| json!({"targets": [at], "labels": {"service": service, "env": "demo"}});
    let mut targets = vec![target("shop", ports.shop), target("stock", ports.stock)];
    // Where there is no cache, it is not down.
    if installed.has(Tool::Redis) {
        targets.push(target("cache", ports.cache));
    }
    let targets = Value::from(targets);
    format!("{targets:#}\n")
}

pub(crate) fn alertmanager(ports: &Ports) -> String {
    at_our_addresses(ALERTMANAGER, ports)
}

/// `mail` is a further entry of `email_configs`: people with a mail server of their own.
pub(crate) fn alert_router(
    ports: &Ports,
    store: &str,
    mail: Option<Value>,
    language: Language,
) -> String {
    let bot = format!("http://{}/cgi-bin/webhook/send?key={BOT_KEY}", ports.wecom);
    let mailbox = json!({
        "to": "oncall@demo.test", "from": "alerts@demo.test", "hello": "demo.test",
        "smarthost": ports.smtp, "require_tls": false,
    });
    let mails: Vec<Value> = [Some(mailbox), mail].into_iter().flatten().collect();
    let config = json!({
        "listen": ports.alert_router,
        "store": format!("sqlite:{store}"),
        "external_url": format!("http://{}/", ports.alert_router),
        "language": tag(language),
        "operators": "operators",
        // The Alertmanager posts the Watchdog every minute; its silence is an alert.
        "sources": {"watchdog": {"silent_after": "3m"}},
        "route": {
            "receiver": "people",
            "group_by": ["alertname", "env"],
            "group_wait": "1s",
            "group_interval": "5s",
            "repeat_interval": "4h",
            "routes": [{"matchers": ["alertname=\"Watchdog\""], "receiver": "nobody"}],
        },
        "receivers": [
            {
                "name": "people",
                "email_configs": mails,
                "wecom_configs": [{"bot": {"webhook_url": bot}}],
                "inbox_configs": [{}],
            },
            {"name": "operators", "inbox_configs": [{}]},
            {"name": "nobody"},
        ],
    });
    format!("{config:#}\n")
}

/// `text` with the documented addresses replaced by those of this demo; others stay.
fn at_our_addresses(text: &str, ports: &Ports) -> String {
    let (ours, documented) = (ports.all(), Ports::documented().all());
    let new: BTreeMap<u16, SocketAddr> = documented
        .iter()
        .zip(ours)
        .map(|((_, documented), (_, ours))| (documented.port(), ours))
        .collect();
    const HOST: &str = "127.0.0.1:";
    let mut parts = text.split(HOST);
    let mut replaced = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let end = part.find(|c: char| !c.is_ascii_digit());
        let (port, rest) = part.split_at(end.unwrap_or(part.len()));
        match port.parse().ok().and_then(|port| new.get(&port)) {
            Some(address) => replaced.push_str(&address.to_string()),
            None => replaced.push_str(&format!("{HOST}{port}")),
        }
        replaced.push_str(rest);
    }
    replaced
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alert_router_speaks_the_language_of_the_demo() {
        let ports = Ports::free().unwrap();
        for (language, expected) in [(Language::English, "en"), (Language::Chinese, "zh-CN")] {
            let config = alert_router(&ports, "x.db", None, language);
            let said = format!("\"language\": \"{expected}\"");
            assert!(config.contains(&said), "{config}");
        }
    }

    #[test]
    fn documented_addresses_become_ours_and_foreign_ones_stay() {
        let ports = Ports::free().unwrap();
        let text = "a 127.0.0.1:9095/webhook, 127.0.0.1:3000";
        let expected = format!("a {}/webhook, 127.0.0.1:3000", ports.alert_router);
        assert_eq!(at_our_addresses(text, &ports), expected);
    }

    #[test]
    fn prometheus_looks_at_every_part_where_it_is() {
        let ports = Ports::free().unwrap();
        let config = prometheus(&ports, &Installed::all_but(&[])).unwrap();
        for at in [
            ports.span_metrics,
            ports.collector_self,
            ports.jaeger_self,
            ports.alert_router,
            ports.alertmanager,
            ports.prometheus,
        ] {
            assert!(config.contains(&format!("\"{at}\"")), "{at} in {config}");
        }
        assert!(config.contains(&format!("http://{}/runbooks", ports.page)));
        assert!(!config.contains("\"dev\""), "{config}");
        let pace = format!("\"scrape_interval\": \"{LOOK}\"");
        assert!(config.contains(&pace), "{config}");
    }

    #[test]
    fn who_is_not_installed_is_not_looked_at() {
        let ports = Ports::free().unwrap();
        let parts = [
            (Tool::Collector, ports.collector_self),
            (Tool::Collector, ports.span_metrics),
            (Tool::Jaeger, ports.jaeger_self),
            (Tool::Redis, ports.cache),
        ];
        for (tool, at) in parts {
            let looks = |missing: &[Tool]| {
                let installed = Installed::all_but(missing);
                let jobs = prometheus(&ports, &installed).unwrap();
                let looked_at = format!("\"{at}\"");
                jobs.contains(&looked_at) || targets(&ports, &installed).contains(&looked_at)
            };
            assert!(looks(&[]) && !looks(&[tool]), "{tool:?} at {at}");
        }
    }

    #[test]
    fn alertmanager_posts_to_our_router_and_mails_to_our_mailbox() {
        let ports = Ports::free().unwrap();
        let config = alertmanager(&ports);
        let router = format!("http://{}/webhook/critical", ports.alert_router);
        assert!(config.contains(&router), "{config}");
        assert!(config.contains(&format!("smtp_smarthost: {}", ports.smtp)));
    }
}
