//! `sources`: who may post alerts, and what is special about theirs.

use std::collections::BTreeSet;
use std::time::Duration;

use alert_engine::SourceName;

use super::Secret;

/// One entry of `sources`. The source `default` is whoever posts to `/webhook`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Source {
    /// What a post must show; `None`: anybody may post.
    pub credential: Option<Credential>,
    /// Labels that do not belong to an alert's identity, such as `replica`.
    pub ignore_labels: BTreeSet<String>,
    /// Names under which its alerts were taken in earlier.
    pub formerly: Vec<SourceName>,
    /// How long a firing that is not later than the known end is doubted; default 5 m.
    pub doubt: Option<Duration>,
    /// Silence after which it is reported; by default twice the `repeat_interval` it shows.
    pub silent_after: Option<Duration>,
    /// Age at which an alert that is no longer spoken of is closed; by default the larger of twice
    /// the `repeat_interval` and 130 h.
    pub stale_after: Option<Duration>,
}

/// What a request must show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Credential {
    /// `Authorization: Bearer …`: `bearer_token` or `bearer_token_file`.
    Bearer(Secret),
    /// `Authorization: Basic …`: `basic_auth` with `username` and `password` or `password_file`.
    Basic {
        /// The user.
        username: String,
        /// The password.
        password: Secret,
    },
}
