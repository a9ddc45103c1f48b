//! telemetry-lib: in its two lines, which also install a log of JSON lines, and without that log, as
//! the peers are, with a collector and without one.

use std::time::Duration;

use axum::Router;
use telemetry_lib::testing::closed_endpoint;
use telemetry_lib::{Config, Report, Telemetry, init};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use super::Stack;

pub(super) fn two_lines(router: Router) -> Stack {
    let telemetry = init(Config::from_env("peers")).expect("nothing was asked for that can fail");
    delivering(telemetry.instrument(router), telemetry)
}

/// With every line, as the peers write them.
pub(super) fn all_lines(router: Router) -> Stack {
    let config = Config::from_env("peers").log_lines_per_second(0);
    let telemetry = init(config).expect("nothing was asked for that can fail");
    delivering(telemetry.instrument(router), telemetry)
}

pub(super) fn without_log(router: Router) -> Stack {
    let telemetry = with_layer(Config::from_env("peers"));
    delivering(telemetry.instrument(router), telemetry)
}

/// Nobody listens, so that nothing is waited for, and the queue stays full once it is.
pub(super) fn collector_away(router: Router) -> Stack {
    let variables = [
        ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", closed_endpoint()),
        // What is said on stderr would stand between the answers.
        ("OTEL_LOG_LEVEL", "none".to_owned()),
    ];
    let variables = variables.map(|(name, value)| (name.to_owned(), value));
    let telemetry = with_layer(Config::from_vars("peers", variables));
    Stack {
        router: telemetry.instrument(router),
        flush: flush(telemetry, Duration::ZERO, |report| {
            report.traces.exported == 0
        }),
    }
}

fn with_layer(config: Config) -> Telemetry {
    let config = config.install_subscriber(false);
    let telemetry = init(config).expect("nothing was asked for that can fail");
    tracing_subscriber::registry()
        .with(telemetry.tracing_layer())
        .init();
    telemetry
}

/// Nobody listens to `tracing`, so there are no spans, as in a service that exports none.
pub(super) fn metrics_alone(router: Router) -> Stack {
    let config = Config::from_env("peers").install_subscriber(false);
    let telemetry = init(config).expect("nothing was asked for that can fail");
    delivering(telemetry.instrument(router), telemetry)
}

fn delivering(router: Router, telemetry: Telemetry) -> Stack {
    Stack {
        router,
        flush: flush(telemetry, Duration::from_secs(30), |report| {
            report.traces.is_complete()
        }),
    }
}

fn flush(telemetry: Telemetry, limit: Duration, is_right: fn(&Report) -> bool) -> Box<dyn Fn()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("a runtime without drivers");
    Box::new(move || {
        let report = runtime.block_on(telemetry.flush(limit));
        assert!(is_right(&report), "{report:?}");
    })
}
