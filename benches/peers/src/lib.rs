//! The measured part: an application, the stacks around it and the loop that drives a request
//! through it. Programs of this crate differ in what they count.

mod app;
mod drive;
mod sink;
mod stacks;

pub use self::app::ROUTES;
pub use self::drive::{CHUNK, Case, measured_chunk, start};
pub use self::sink::Sink;
pub use self::stacks::{GROUPS, Group, Stack, build};
