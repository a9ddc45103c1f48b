//! The rules of grouping, deduplication and delivery: who must hear what, and when.
//!
//! Pure: no I/O, no clock, no randomness, no async, no serialisation; ordered collections only;
//! one instant per call.

mod id;
mod label;
mod time;

pub use id::{
    AlertKey, BodyHash, ConfigHash, ContentHash, DeliveryId, GroupId, LaneKey, RouteId, SourceName,
};
pub use label::{Fingerprint, Labels};
pub use time::Timestamp;
