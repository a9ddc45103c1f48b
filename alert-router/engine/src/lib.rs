//! The rules of grouping, deduplication and delivery: who must hear what, and when.
//!
//! Pure: no I/O, no clock, no randomness, no async, no serialisation; ordered collections only;
//! one instant per call.
//!
//! A [`Group`] owns its alerts and one [`Lane`] per destination. Alerts come in by
//! [`Group::observe`], or by [`Group::overhear`] where they were led away; [`Group::due`] says what
//! wants to be told, [`Group::claim`] and [`Group::settle`] enclose each delivery,
//! [`Group::next_wake`] says when to look again:
//!
//! ```
//! use std::time::Duration;
//! use alert_engine::*;
//!
//! let mailbox = LaneKey::of(&[b"dba@example.com"]);
//! let mut policy = Policy::default();
//! policy.lanes.insert(mailbox, LanePolicy::default());
//! let sources = Sources::default();
//! let us = Incarnation(1);
//! let owners = Owners::Only(us);
//! let noon = Timestamp::from_millis(1_767_268_800_000);
//! let at = |second| Context {
//!     now: noon + Duration::from_secs(second),
//!     policy: &policy,
//!     sources: &sources,
//!     mutes: &NoMutes,
//!     owners: &owners,
//! };
//!
//! // Intake: load or make the group, observe, store its state with its next wake.
//! let labels = Labels::from_iter([("alertname", "DiskFull")]);
//! let (route, config) = (RouteId::of(&[b"dba"]), ConfigHash::of(&[b"v1"]));
//! let mut group = Group::new(route, labels.clone(), config, Intake::Webhook, &at(0));
//! let fingerprint = labels.fingerprint();
//! let seen = Observation {
//!     key: AlertKey { source: SourceName::unnamed(), fingerprint },
//!     voice: fingerprint,
//!     says: Says::Firing { start: noon, expires: None },
//!     body: BodyHash::of(&[b"its text"]),
//!     name: "DiskFull".into(),
//!     priority: false,
//! };
//! assert!(matches!(group.observe(&seen, &at(0)), Observed::Changed { .. }));
//! assert_eq!(group.observe(&seen, &at(1)), Observed::Unchanged);
//! assert_eq!(group.next_wake(&at(1)).unwrap().at, at(5).now);
//!
//! // A turn: look, render, claim, store, send, settle, store.
//! let due = group.due(&at(5)).remove(0);
//! assert_eq!(due.verdict, Verdict::First);
//! let claim = Claim { id: due.id, owner: us, deadline: at(65).now };
//! group.claim(&due, claim, &at(5)).expect("nothing moved since the look");
//! let record = group.settle(due.id, Outcome::Delivered { memory: None }, &at(6));
//! assert_eq!(record.became, Became::Heard);
//! ```

mod alert;
mod backoff;
mod budget;
mod circuit;
mod content;
mod context;
mod debt;
mod delivery;
mod digest;
mod episode;
mod group;
mod id;
mod label;
mod lane;
pub mod limits;
mod matcher;
mod mute;
mod news;
mod observe;
mod opening;
mod outcome;
mod pass;
mod policy;
mod rehome;
mod rhythm;
mod route;
mod source;
mod state;
mod time;
mod verdict;
mod voice;
mod waiting;
mod wake;

pub use alert::{Alert, Observation, Says, Text};
pub use budget::{Budget, Pace, Rate};
pub use circuit::{Circuit, Passage};
pub use content::{Content, Line, LineKind};
pub use context::{Context, Incarnation, Owners};
pub use digest::{Candidate, Plan, Slots, digest_id, plan};
pub use episode::{End, EndReason, Episode, EpisodeId, Phase};
pub use group::{Change, Claim, Due, Group, LaneMoved, Observed, TooMany, Wake, WakeReason};
pub use id::{
    AlertKey, BodyHash, ConfigHash, ContentHash, DeliveryId, GroupId, LaneKey, RouteId, SourceName,
};
pub use label::{Fingerprint, Labels};
pub use lane::{Flight, Folded, Heard, Lane, Parked, Pause};
pub use matcher::{MatchOp, Matcher, MatcherError, MatcherProblem, Matchers};
pub use mute::{Mute, MutedBy, Mutes, NoMutes};
pub use outcome::{Became, Note, Outcome, Record, Unsaid};
pub use policy::{Ends, LanePolicy, Opens, Policy, Timing, WhenMuted};
pub use rehome::{Rehomed, StillInFlight, rehome};
pub use route::{GroupBy, Route, RouteError, RouteSpec, RouteTree, Timers};
pub use source::{Liveness, LivenessChange, Source, SourceRules, Sources};
pub use state::{GroupState, Intake, group_id};
pub use time::Timestamp;
pub use verdict::Verdict;
pub use voice::{Voice, VoiceState};
pub use waiting::{Waiting, WaitsFor};
