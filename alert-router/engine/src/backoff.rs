//! How long a lane waits after a failure. Deterministic: the jitter comes from the delivery's id.

use std::time::Duration;

use crate::id::DeliveryId;
use crate::limits::LONGEST_HINT;

const FIRST: Duration = Duration::from_secs(10);
const LONGEST: Duration = Duration::from_secs(5 * 60);

/// The wait after the `attempt`-th failure (from 1): 10 s, doubling to 5 min, less up to a tenth,
/// which differs between deliveries so that they do not come back together. Never shorter than
/// what the provider asks for.
pub(crate) fn wait(id: DeliveryId, attempt: u32, hint: Option<Duration>) -> Duration {
    let doublings = attempt.saturating_sub(1).min(16);
    let full = FIRST.saturating_mul(1 << doublings).min(LONGEST);
    let byte = id.0[attempt as usize % id.0.len()];
    let less = full / 10 * u32::from(byte) / 255;
    let hint = hint.unwrap_or_default().min(LONGEST_HINT);
    (full - less).max(hint)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(attempt: u32, hint: u64, at_least: u64, at_most: u64) {
        let hint = Some(Duration::from_secs(hint));
        for byte in [0, 7, 128, 255] {
            let waits = wait(DeliveryId([byte; 16]), attempt, hint);
            assert!(
                waits >= Duration::from_secs(at_least),
                "{attempt}: {waits:?}"
            );
            assert!(
                waits <= Duration::from_secs(at_most),
                "{attempt}: {waits:?}"
            );
        }
    }

    #[test]
    fn a_wait_doubles_up_to_its_limit_and_honours_the_provider_up_to_an_hour() {
        check(1, 0, 9, 10);
        check(2, 0, 18, 20);
        check(5, 0, 144, 160);
        check(6, 0, 270, 300);
        check(u32::MAX, 0, 270, 300);
        check(1, 77, 77, 77);
        check(1, 100_000, 3600, 3600);
    }
}
