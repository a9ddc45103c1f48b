//! `check`: what a config means and what is wrong with it, as text for people. Nothing is sent.

mod sample;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::path::Path;

use crate::config::{Config, ConfigError, Receiver as Settings, not_shown, show_duration};
use crate::message::Message;
use crate::plan::Outlet;
use crate::receiver::{Receiver, Rendering};
use crate::render::Locale;

pub use sample::messages as samples;

/// A delivery has at most so many parts.
const MAX_PARTS: usize = 3;

/// What `check` prints.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// For people.
    pub text: String,
    /// Whether `serve` would start with it: the exit code.
    pub good: bool,
}

/// A receiver as it was built from the config, with the name and language of its people.
pub struct Built<'a> {
    /// The receiver's name in the file.
    pub name: &'a str,
    /// What carries its messages.
    pub receiver: &'a dyn Receiver,
    /// How its people read.
    pub locale: &'a Locale,
}

impl<'a> Built<'a> {
    /// What is built for one destination of a receiver.
    #[must_use]
    pub fn of(outlet: &'a Outlet) -> Self {
        Self {
            name: &outlet.name,
            receiver: &*outlet.receiver,
            locale: &outlet.locale,
        }
    }
}

/// Says what was read from `file`, or everything that is wrong with it.
#[must_use]
pub fn config(file: &Path, read: Result<&Config, &ConfigError>) -> Report {
    match read {
        Ok(config) => Report {
            text: summary(file, config),
            good: true,
        },
        Err(error) => {
            let count = error.problems.len() + error.more;
            let s = if count == 1 { "" } else { "s" };
            Report {
                text: format!("{error}\n{count} problem{s}\n"),
                good: false,
            }
        }
    }
}

/// Renders the samples for every receiver, within its channel's limits. Says what fails. Of
/// receivers that look alike the first shows what all samples come to; of each other one only its
/// addresses and names can fail, and those are in any message.
#[must_use]
pub fn rendering(built: &[Built<'_>], samples: &[Message]) -> Report {
    let mut report = Report {
        text: String::new(),
        good: true,
    };
    let mut firsts = Firsts::default();
    for one in built {
        let (name, channel) = (one.name, one.receiver.destination().channel);
        let like = firsts.like(one);
        let rendered = match like {
            Some(_) => one.render(&samples[..samples.len().min(1)]),
            None => one.render(samples),
        };
        report.good &= rendered.is_ok();
        let count = samples.len();
        let said = match (rendered, like) {
            (Err(why), _) => format!("a sample cannot be rendered: {why}"),
            (Ok(_), Some(first)) if first == name => "renders like the one above".to_owned(),
            (Ok(_), Some(first)) => format!("renders like {first}"),
            (Ok(largest), None) => format!("{count} samples rendered, at most {largest} bytes"),
        };
        let _ = writeln!(report.text, "{name}: {channel}: {said}");
    }
    report
}

/// The first receiver of each look, channel and language.
#[derive(Default)]
struct Firsts<'a>(BTreeMap<(&'static str, String), Vec<(&'a Locale, &'a str)>>);

impl<'a> Firsts<'a> {
    /// The receiver that this one renders like. `None`: it is the first.
    fn like(&mut self, one: &Built<'a>) -> Option<&'a str> {
        let channel = one.receiver.destination().channel;
        let alike = self.0.entry((channel, one.receiver.look()?)).or_default();
        let first = alike.iter().find(|(locale, _)| *locale == one.locale);
        if let Some((_, first)) = first {
            return Some(first);
        }
        alike.push((one.locale, one.name));
        None
    }
}

impl Built<'_> {
    /// The bytes of the largest part.
    fn render(&self, samples: &[Message]) -> Result<usize, String> {
        let mut largest = 0;
        for message in samples {
            let rendering = Rendering {
                message,
                memory: None,
                locale: self.locale,
            };
            let parts = self.receiver.render(&rendering);
            let parts = parts.map_err(|error| error.to_string())?;
            if parts.is_empty() || parts.len() > MAX_PARTS {
                return Err(format!("{} parts instead of 1 to {MAX_PARTS}", parts.len()));
            }
            let sizes = parts.iter().map(|part| part.body.len());
            largest = sizes.fold(largest, usize::max);
        }
        Ok(largest)
    }
}

fn summary(file: &Path, config: &Config) -> String {
    let file = file.display();
    let near = if config.listen.ip().is_loopback() {
        ", this machine only"
    } else {
        ""
    };
    let mut out = format!("{file}: good\n");
    let mut line = |name: &str, value: String| {
        let _ = writeln!(out, "  {name:<10} {value}");
    };
    line("listen", format!("{}{near}", config.listen));
    line("store", config.store.to_string());
    line(
        "operators",
        config
            .operators
            .clone()
            .unwrap_or_else(|| "nobody, page only".to_owned()),
    );
    for name in config.sources.keys() {
        let guarded = config.credential(name).is_some();
        let who = if guarded {
            "with a credential"
        } else {
            "anybody"
        };
        line("source", format!("{}: {who}", name.as_str()));
    }
    line("routes", config.routes.routes().len().to_string());
    for receiver in &config.receivers {
        line("receiver", of_receiver(receiver));
    }
    for receiver in unused(config) {
        line(
            "unused",
            format!("{receiver}: no route, fallback or operators names it"),
        );
    }
    for warning in &config.warnings {
        let _ = writeln!(out, "{file}: warning: {warning}");
    }
    if config.more_warnings > 0 {
        let _ = writeln!(out, "{file}: warning: {}", not_shown(config.more_warnings));
    }
    out
}

fn of_receiver(receiver: &Settings) -> String {
    let channels: Vec<String> = receiver
        .integrations
        .iter()
        .map(|i| i.channel.to_string())
        .collect();
    let channels = if channels.is_empty() {
        "nothing".to_owned()
    } else {
        channels.join("; ")
    };
    let fallback = receiver.fallback.as_ref().map(|fallback| {
        format!(
            "; {} when it fails for {}",
            fallback.receiver,
            show_duration(fallback.after)
        )
    });
    format!(
        "{}: {channels}{}",
        receiver.name,
        fallback.unwrap_or_default()
    )
}

fn unused(config: &Config) -> Vec<&str> {
    let routed = config.routes.routes().map(|route| &*route.receiver);
    let fallbacks = config.receivers.iter().filter_map(|r| r.fallback.as_ref());
    let fallbacks = fallbacks.map(|fallback| fallback.receiver.as_str());
    let operators = config.operators.as_deref();
    let named: BTreeSet<&str> = routed.chain(fallbacks).chain(operators).collect();
    let names = config.receivers.iter().map(|r| r.name.as_str());
    names.filter(|name| !named.contains(name)).collect()
}

#[cfg(test)]
mod tests;
