//! Content to text, per channel. Pure: the same message gives the same text; byte-exact limits
//! live with the channels.
//!
//! A [`Message`](crate::message::Message) becomes one [`View`], cleaned of everything that could
//! disturb a channel; a [`Renderer`] turns it into text with a template whose name ends in its
//! escaping: `.txt`, `.html`, `.md`.

mod clean;
mod compose;
mod escape;
mod fallback;
mod filters;
mod links;
mod phrase;
mod renderer;
mod view;
mod words;

#[cfg(test)]
pub(crate) mod samples;
#[cfg(test)]
mod tests;

pub(crate) use clean::{clean, cut, escaped, visible};
pub use phrase::Phrase;
pub use renderer::{Rendered, Renderer, TemplateError};
pub use view::{AlertView, CountedView, Counts, GroupView, Kind, Links, Pair, State, View};

/// How a receiver's people read: language and time zone.
#[derive(Clone, Debug, PartialEq)]
pub struct Locale {
    /// The language of the default templates.
    pub language: Language,
    /// The time zone in which instants are shown.
    pub zone: jiff::tz::TimeZone,
}

/// A language that the default templates speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Language {
    /// English.
    #[default]
    English,
    /// Simplified Chinese.
    Chinese,
}
