//! The configs that routers are reloaded with, built once: who hears of which service in each.

use std::path::Path;
use std::sync::Arc;

use alert_engine::Timestamp;
use alert_router::clock::{Clock, ManualClock};
use alert_router::config::{Config, Flags, Outside};
use alert_router::plan::Plan;
use alert_router::receiver::{AccessTokens, Materials};
use alert_router::render::Renderer;
use alert_router::store::MemoryStore;
use alert_router::testing;

use crate::exchange::{Exchange, Scripted};

/// How many configs there are.
pub(crate) const VARIANTS: usize = 5;

/// All configs, over one exchange.
pub(crate) struct Plans {
    plans: Vec<Arc<Plan>>,
    pub(crate) exchange: Arc<Exchange>,
}

impl Plans {
    pub(crate) fn build() -> Self {
        let exchange = Arc::new(Exchange::default());
        // Scripted receivers ask neither of them.
        let clock: Arc<dyn Clock> = Arc::new(ManualClock::at(Timestamp::default()));
        let materials = Materials {
            renderer: Arc::new(Renderer::built_in()),
            store: Arc::new(MemoryStore::new(Arc::clone(&clock))),
            clock,
            tokens: AccessTokens::default(),
        };
        let build = |variant| {
            let wire = |inner| Arc::new(Scripted::of(inner, &exchange)) as _;
            let plan = testing::plan(config(variant), &materials, &wire);
            Arc::new(plan.unwrap_or_else(|error| panic!("{error}")))
        };
        Self {
            plans: (0..VARIANTS).map(build).collect(),
            exchange,
        }
    }

    pub(crate) fn get(&self, variant: usize) -> Arc<Plan> {
        Arc::clone(&self.plans[variant])
    }
}

/// Who hears of an alert at once.
pub(crate) fn hears(variant: usize, service: &str) -> &'static str {
    match (variant, service) {
        (0 | 1 | 3, "db") => "dba",
        (4, "db") => "oncall",
        _ => "team",
    }
}

/// The destinations of a config.
pub(crate) fn destinations(variant: usize) -> &'static [&'static str] {
    match variant {
        2 => &["team", "standby", "ops"],
        4 => &["team", "dba", "oncall", "standby", "ops"],
        _ => &["team", "dba", "standby", "ops"],
    }
}

fn config(variant: usize) -> Config {
    let (team, dba) = match variant {
        3 => ("crew", "data"),
        _ => ("team", "dba"),
    };
    let group_by = match variant {
        1 => "[team, zone]",
        _ => "[team]",
    };
    let routes = match variant {
        2 => String::new(),
        1 => format!("routes: [{{receiver: {dba}, matchers: [service=db], group_by: [team]}}]"),
        4 => format!(
            "routes: [{{receiver: oncall, matchers: [service=db], group_by: [alertname]}}, \
             {{receiver: {dba}, matchers: [service=none]}}]"
        ),
        _ => {
            format!("routes: [{{receiver: {dba}, matchers: [service=db], group_by: [alertname]}}]")
        }
    };
    let hook = |name: &str, to: &str, channel: &str, more: &str| {
        let hook = format!("url: 'http://{to}.test/'{channel}");
        format!("- {{name: {name}, webhook_configs: [{{{hook}}}]{more}}}\n")
    };
    // In some configs the same people hear ends in letters of their own.
    let dba_ends = match variant {
        0 | 4 => ", separate_resolved: true",
        _ => "",
    };
    let mut receivers = hook(team, "team", "", ", fallback: standby, fallback_after: 3m");
    receivers += &hook("standby", "standby", "", "");
    receivers += &hook("ops", "ops", "", "");
    if variant != 2 {
        receivers += &hook(dba, "dba", dba_ends, "");
    }
    if variant == 4 {
        receivers += &hook("oncall", "oncall", "", "");
    }
    let text = format!(
        "route: {{receiver: {team}, group_by: {group_by}, group_wait: 5s, group_interval: 1m, \
         repeat_interval: 1h, repeat_interval_max: 6h, {routes}}}\n\
         operators: ops\n\
         limits: {{missed_ttl: 1000h}}\n\
         sources: {{default: {{ignore_labels: [replica], doubt: 2m}}, \
         prod: {{ignore_labels: [replica], doubt: 2m}}}}\n\
         receivers:\n{receivers}"
    );
    let outside = Outside {
        env: &|_| None,
        read: &|path: &Path| Err(std::io::Error::other(path.display().to_string())),
    };
    let parsed = Config::parse(
        Path::new("simulation.yaml"),
        &text,
        &Flags::default(),
        &outside,
    );
    parsed.unwrap_or_else(|error| panic!("{error}\n{text}"))
}
