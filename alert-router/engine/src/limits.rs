//! Every bound of the engine in one place, so that "grows without limit" can be ruled out by reading
//! one page.

use std::time::Duration;

/// Voices that one alert remembers. One more replaces the longest silent one that has ended.
pub const VOICES_PER_ALERT: usize = 16;

/// Members of a group whose text is kept; those beyond it are counted by name, and still resolve.
/// Those with priority have as many places of their own beside it.
pub const ALERTS_WITH_TEXT: usize = 500;

/// Members of a group. What comes beyond is refused, so the shell can put it into quarantine.
pub const ALERTS_PER_GROUP: usize = 20_000;

/// Missed occurrences that a lane tells one by one; older ones become a count.
pub const MISSED_APART: usize = 500;

/// Occurrences that a group remembers, all alerts and lanes together.
pub const EPISODES_PER_GROUP: usize = 2 * ALERTS_PER_GROUP;

/// Bytes that a receiver may leave with a lane for its next delivery.
pub const MEMORY_BYTES: usize = 1024;

/// The longest wait that a provider may ask for.
pub const LONGEST_HINT: Duration = Duration::from_secs(60 * 60);

/// Tries of one lane before it gives up and the delivery becomes a dead letter.
pub const ATTEMPTS: u32 = 30;

/// The shortest time between two probes of a blocked destination.
pub const PROBE_EVERY: Duration = Duration::from_secs(15 * 60);

/// The interval at which a source is expected to repeat itself until its posts show a longer one:
/// Alertmanager's default.
pub const REPEATS_AT_LEAST: Duration = Duration::from_secs(4 * 60 * 60);

/// The longest interval that posts may show: by then an Alertmanager has forgotten that it notified
/// (`--data.retention`), and does it again.
pub const REPEATS_AT_MOST: Duration = Duration::from_secs(120 * 60 * 60);

/// How long a lane that was offered, and neither claimed nor postponed, waits for the next look.
pub const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// A delay of news that people are told about.
pub const DELAY_WORTH_TELLING: Duration = Duration::from_secs(60);
