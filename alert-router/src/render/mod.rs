//! Content to text, per channel. Pure; byte-exact limits live with the channels.

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
