//! WeCom's two dialects of markdown: reading them, showing them, and saying what a reader would
//! see differently from what the author had in mind. Knows nothing of the service around it.

mod block;
mod html;
mod inline;
mod warning;

pub(crate) use html::{escape, inline_html, to_html};
pub(crate) use inline::{Inline, anchors};
pub use warning::Warning;
pub(crate) use warning::warnings;

/// Which subset a text is written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// Headings, bold, links, inline code, one level of quotes; three colours and mentions.
    Markdown,
    /// Adds italics, lists, tables, fences, rules, images, deeper quotes; no colours, no mentions.
    MarkdownV2,
}
