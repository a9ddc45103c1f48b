//! telemetry-lib: in its two lines, which also install a log of JSON lines, and without that log, as
//! the peers are.

use std::time::Duration;

use axum::Router;
use telemetry_lib::{Config, Telemetry, init};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use super::Stack;

pub(super) fn two_lines(router: Router) -> Stack {
    let telemetry = init(Config::from_env("peers")).expect("nothing was asked for that can fail");
    let router = telemetry.instrument(router);
    stack(router, telemetry)
}

/// With every line, as the peers write them.
pub(super) fn all_lines(router: Router) -> Stack {
    let config = Config::from_env("peers").log_lines_per_second(0);
    let telemetry = init(config).expect("nothing was asked for that can fail");
    let router = telemetry.instrument(router);
    stack(router, telemetry)
}

pub(super) fn without_log(router: Router) -> Stack {
    let config = Config::from_env("peers").install_subscriber(false);
    let telemetry = init(config).expect("nothing was asked for that can fail");
    tracing_subscriber::registry()
        .with(telemetry.tracing_layer())
        .init();
    let router = telemetry.instrument(router);
    stack(router, telemetry)
}

/// Nobody listens to `tracing`, so there are no spans, as in a service that exports none.
pub(super) fn metrics_alone(router: Router) -> Stack {
    let config = Config::from_env("peers").install_subscriber(false);
    let telemetry = init(config).expect("nothing was asked for that can fail");
    let router = telemetry.instrument(router);
    stack(router, telemetry)
}

fn stack(router: Router, telemetry: Telemetry) -> Stack {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("a runtime without drivers");
    let flush = move || {
        let report = runtime.block_on(telemetry.flush(Duration::from_secs(30)));
        assert!(report.traces.is_complete(), "{report:?}");
    };
    Stack {
        router,
        flush: Box::new(flush),
    }
}
