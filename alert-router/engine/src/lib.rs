//! The rules of grouping, deduplication and delivery: who must hear what, and when.
//!
//! Pure: no I/O, no clock, no randomness, no async, no serialisation; ordered collections only;
//! one instant per call.

mod id;
mod label;
mod matcher;
mod route;
mod time;

pub use id::{
    AlertKey, BodyHash, ConfigHash, ContentHash, DeliveryId, GroupId, LaneKey, RouteId, SourceName,
};
pub use label::{Fingerprint, Labels};
pub use matcher::{MatchOp, Matcher, MatcherError, MatcherProblem, Matchers};
pub use route::{GroupBy, Route, RouteError, RouteSpec, RouteTree, Timers, Timing};
pub use time::Timestamp;
