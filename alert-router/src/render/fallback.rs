//! The text that is sent when a template fails: written without templates, in plain words, with
//! everything that a person needs to act. In English, because it speaks to who can fix it.

use std::fmt::Write as _;

use super::{TemplateError, View, escape};

/// Alerts that the fallback lists; the others are counted.
const LISTED: usize = 20;

/// What is known of `view`, and that its template failed.
pub(super) fn text(view: &View, error: &TemplateError) -> String {
    let mut text = String::new();
    let counts = view.counts;
    let state = format!("{:?}", view.state).to_uppercase();
    let mut say = |line: std::fmt::Arguments<'_>| {
        writeln!(text, "{line}").expect("writing to a string cannot fail");
    };
    say(format_args!(
        "{state}: {} firing, {} over",
        counts.firing, counts.ended
    ));
    for group in &view.groups {
        say(format_args!("\n{}", group.title));
        for alert in group.alerts.iter().take(LISTED) {
            let what = alert.summary.as_deref().unwrap_or(&alert.name);
            let since = alert.starts.as_deref().unwrap_or("?");
            say(format_args!("- {} {what} (since {since})", alert.line));
        }
        let rest = group.alerts.len().saturating_sub(LISTED) + group.left_out;
        if rest > 0 {
            say(format_args!("- and {rest} more"));
        }
        if let Some(link) = &group.links.source {
            say(format_args!("{link}"));
        }
    }
    say(format_args!("\nThis is a substitute: {error}"));
    text
}

/// The same for HTML readers.
pub(super) fn html(text: &str) -> String {
    format!(
        "<!DOCTYPE html><html><body><pre>{}</pre></body></html>",
        escape::html(text)
    )
}
