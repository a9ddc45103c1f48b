//! The rules of grouping, deduplication and delivery: who must hear what, and when.
//!
//! Pure: no I/O, no clock, no randomness, no async, no serialisation; ordered collections only;
//! one instant per call.
//!
//! A [`Group`] owns its alerts and one [`Lane`] per destination. Alerts come in by
//! [`Group::observe`]; [`Group::due`] says what wants to be told, [`Group::claim`] and
//! [`Group::settle`] enclose each delivery, [`Group::next_wake`] says when to look again.

mod alert;
mod backoff;
mod budget;
mod circuit;
mod content;
mod context;
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
mod wake;

pub use alert::{Alert, Observation, Says, Text, Voice, VoiceState};
pub use budget::{Budget, Rate};
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
pub use outcome::{Became, Note, Outcome, Record};
pub use policy::{LanePolicy, Opens, Policy, Timing, WhenMuted};
pub use rehome::{Rehomed, StillInFlight, rehome};
pub use route::{GroupBy, Route, RouteError, RouteSpec, RouteTree, Timers};
pub use source::{Liveness, LivenessChange, Source, SourceRules, Sources};
pub use state::{GroupState, Intake, group_id};
pub use time::Timestamp;
pub use verdict::Verdict;
