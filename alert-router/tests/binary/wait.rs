//! Waiting for what the program decides: its state is asked again and again, never assumed after a
//! while.

use std::time::Duration;

/// How long any condition may take. It only ends a test that would never end.
pub(crate) const DEADLINE: Duration = Duration::from_secs(60);
/// How often a state is asked for.
const EVERY: Duration = Duration::from_millis(20);

/// Returns what `probe` finds, as soon as it finds it. `probe` says with `Err` what is there
/// instead, for the message of a failure.
pub(crate) async fn until<T>(what: &str, mut probe: impl AsyncFnMut() -> Result<T, String>) -> T {
    let mut seen = "nothing was asked".to_owned();
    let found = tokio::time::timeout(DEADLINE, async {
        let mut ticks = tokio::time::interval(EVERY);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            match probe().await {
                Ok(found) => return found,
                Err(instead) => seen = instead,
            }
        }
    })
    .await;
    found.unwrap_or_else(|_| panic!("not within {DEADLINE:?}: {what}; last seen: {seen}"))
}
