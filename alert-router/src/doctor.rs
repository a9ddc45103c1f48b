//! `doctor`: looks at the machine and at every way out of a config, and sends nothing. A report for
//! whoever installs the router, or wonders why nothing arrives.

mod machine;

use std::fmt::Write;
use std::sync::Arc;

use futures_util::{StreamExt, stream};

use crate::check::Report;
use crate::clock::{Clock, SystemClock};
use crate::config::Config;
use crate::receiver::ways;

/// Ways that are looked into at once: one that does not answer takes minutes.
const AT_ONCE: usize = 16;

/// Looks at everything that `config` needs to tell people something.
pub async fn examine(config: &Config) -> Report {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let mut report = machine::examine(&config.store, clock.now());
    let ways = ways(config);
    let probes = stream::iter(ways.iter().map(|way| way.probe(&clock)));
    let found: Vec<_> = probes.buffered(AT_ONCE).collect().await;
    let mut wrong = 0;
    for (way, found) in ways.iter().zip(&found) {
        wrong += usize::from(!found.is_good());
        let _ = write!(report.text, "{way}\n{found}");
    }
    let all = match ways.len() {
        1 => "1 way out".to_owned(),
        many => format!("{many} ways out"),
    };
    let _ = match wrong {
        0 => writeln!(report.text, "nothing wrong with {all}"),
        _ => writeln!(report.text, "wrong: {wrong} of {all}"),
    };
    report.good &= wrong == 0;
    report
}
