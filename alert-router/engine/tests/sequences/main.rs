//! The engine's rules, by example: each test is one story on virtual time and what people hear.

#![expect(
    clippy::unwrap_used,
    reason = "a story that cannot be told is a failed test"
)]

mod config;
mod delivery;
mod ends;
mod grouping;
mod moves;
mod muting;
mod separate;
mod sources;
mod timing;
mod union;
mod world;
