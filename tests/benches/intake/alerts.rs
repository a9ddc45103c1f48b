//! The alerts of the benchmark and the bodies that carry them. No two bodies are equal.

use std::fmt::Write;

pub(crate) const ALERTS: usize = 10_000;

/// What a pass over all alerts changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scenario {
    /// Nothing.
    Refresh,
    /// One alert in twenty.
    Mixed,
    /// Every alert.
    Churn,
}

impl Scenario {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Refresh => "refresh",
            Self::Mixed => "mixed",
            Self::Churn => "churn",
        }
    }
}

/// Which server the bodies are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Api {
    Webhook,
    Alertmanager,
}

/// All alerts and their present state.
pub(crate) struct Fleet {
    api: Api,
    /// What stands before the state in each alert's JSON.
    texts: Vec<String>,
    /// Per alert: how often it flipped. Even: it fires.
    flips: Vec<u32>,
    base: jiff::Timestamp,
    nonce: u64,
}

impl Fleet {
    pub(crate) fn new(groups: usize, api: Api) -> Self {
        Self::of(ALERTS, groups, api)
    }

    /// So many alerts in so many groups.
    pub(crate) fn of(alerts: usize, groups: usize, api: Api) -> Self {
        let per_group = alerts / groups;
        let text = |alert: usize| {
            let group = alert / per_group;
            format!(
                r#"{{"labels":{{"alertname":"Bench{group}","cluster":"prod-sh-{}","instance":"10.0.{}.{}:8080","job":"orders-{group}","service":"orders-{group}","severity":"warning"}},"annotations":{{"summary":"the error rate of orders-{group} on instance {alert} is above its objective","description":"More than five percent of the requests to this instance failed during the last five minutes. See the dashboard for the routes that fail, and the runbook for what usually helps.","runbook_url":"https://runbooks.example.org/orders/HighErrorRate"}},"generatorURL":"http://prometheus.example.org:9090/graph?g0.expr=rate%28http_requests_total%5B5m%5D%29&g0.tab=1""#,
                group % 7,
                alert / 250,
                alert % 250,
            )
        };
        Self {
            api,
            texts: (0..alerts).map(text).collect(),
            flips: vec![0; alerts],
            base: now() - jiff::SignedDuration::from_mins(30),
            nonce: 0,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.texts.len()
    }

    pub(crate) fn api(&self) -> Api {
        self.api
    }

    /// Moves to the next pass; returns how many alerts changed.
    pub(crate) fn advance(&mut self, scenario: Scenario, pass: usize) -> usize {
        let changes = |alert: usize| match scenario {
            Scenario::Refresh => false,
            Scenario::Mixed => alert % 20 == pass % 20,
            Scenario::Churn => true,
        };
        let mut changed = 0;
        for (alert, flips) in self.flips.iter_mut().enumerate() {
            if changes(alert) {
                *flips += 1;
                changed += 1;
            }
        }
        self.nonce += 1;
        changed
    }

    /// The body that says how the alerts of one request are now.
    pub(crate) fn body(&self, alerts: std::ops::Range<usize>) -> String {
        let mut body = String::with_capacity(alerts.len() * 800 + 200);
        if self.api == Api::Webhook {
            body.push_str(r#"{"version":"4","receiver":"router","status":"firing","alerts":"#);
        }
        body.push('[');
        for (place, alert) in alerts.clone().enumerate() {
            if place > 0 {
                body.push(',');
            }
            body.push_str(&self.texts[alert]);
            self.write_state(&mut body, alert);
        }
        body.push(']');
        if self.api == Api::Webhook {
            write!(
                body,
                r#","groupLabels":{{}},"commonLabels":{{}},"commonAnnotations":{{}},"externalURL":"http://am.example.org:9093","groupKey":"{{}}:{{pass=\"{}\", at=\"{}\"}}","truncatedAlerts":0}}"#,
                self.nonce, alerts.start
            )
            .expect("a string takes everything");
        }
        body
    }

    fn write_state(&self, body: &mut String, alert: usize) {
        let flips = self.flips[alert];
        let fires = flips.is_multiple_of(2);
        // Each occurrence starts ten seconds after the one before and lasts five.
        let start = self.base + jiff::SignedDuration::from_secs(i64::from(flips / 2) * 10);
        let end = start + jiff::SignedDuration::from_secs(5);
        let state = match (self.api, fires) {
            (Api::Webhook, true) => {
                write!(
                    body,
                    r#","status":"firing","startsAt":"{start}","endsAt":"0001-01-01T00:00:00Z"}}"#
                )
            }
            (Api::Webhook, false) => {
                write!(
                    body,
                    r#","status":"resolved","startsAt":"{start}","endsAt":"{end}"}}"#
                )
            }
            // As Prometheus does: a firing alert ends a few minutes from now.
            (Api::Alertmanager, true) => {
                let expires = now() + jiff::SignedDuration::from_mins(4);
                write!(body, r#","startsAt":"{start}","endsAt":"{expires}"}}"#)
            }
            (Api::Alertmanager, false) => {
                write!(body, r#","startsAt":"{start}","endsAt":"{end}"}}"#)
            }
        };
        state.expect("a string takes everything");
    }
}

#[expect(clippy::disallowed_methods, reason = "a benchmark runs in real time")]
pub(crate) fn now() -> jiff::Timestamp {
    jiff::Timestamp::now()
}
