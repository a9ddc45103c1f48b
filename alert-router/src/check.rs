//! `check`: what a config means and what is wrong with it, as text for people. Nothing is sent.

mod sample;

use std::fmt::Write;
use std::path::Path;

use crate::config::{Config, ConfigError, Receiver as Settings, show_duration};
use crate::message::Message;
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

/// Says what was read from `file`, or everything that is wrong with it.
#[must_use]
pub fn config(file: &Path, read: Result<&Config, &ConfigError>) -> Report {
    match read {
        Ok(config) => Report {
            text: summary(file, config),
            good: true,
        },
        Err(error) => {
            let count = error.problems.len();
            let s = if count == 1 { "" } else { "s" };
            Report {
                text: format!("{error}\n{count} problem{s}\n"),
                good: false,
            }
        }
    }
}

/// Renders the samples for every receiver, within its channel's limits. Says what fails.
#[must_use]
pub fn rendering(built: &[Built<'_>], samples: &[Message]) -> Report {
    let mut report = Report {
        text: String::new(),
        good: true,
    };
    for Built {
        name,
        receiver,
        locale,
    } in built
    {
        let render = |message| {
            let rendering = Rendering {
                message,
                memory: None,
                locale,
            };
            let parts = receiver
                .render(&rendering)
                .map_err(|error| error.to_string())?;
            if parts.is_empty() || parts.len() > MAX_PARTS {
                return Err(format!("{} parts instead of 1 to {MAX_PARTS}", parts.len()));
            }
            Ok(parts.iter().map(|part| part.body.len()).max().unwrap_or(0))
        };
        let channel = receiver.destination().channel;
        let rendered: Result<Vec<usize>, String> = samples.iter().map(render).collect();
        let _ = match rendered {
            Ok(sizes) => {
                let largest = sizes.iter().max().unwrap_or(&0);
                let count = samples.len();
                writeln!(
                    report.text,
                    "{name}: {channel}: {count} samples rendered, at most {largest} bytes"
                )
            }
            Err(why) => {
                report.good = false;
                writeln!(
                    report.text,
                    "{name}: {channel}: a sample cannot be rendered: {why}"
                )
            }
        };
    }
    report
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
    let routed = |name: &str| config.routes.routes().any(|route| &*route.receiver == name);
    let stands_in = |name: &str| {
        let mut fallbacks = config.receivers.iter().filter_map(|r| r.fallback.as_ref());
        fallbacks.any(|fallback| fallback.receiver == name)
    };
    let names = config.receivers.iter().map(|r| r.name.as_str());
    names
        .filter(|name| {
            !routed(name) && !stands_in(name) && config.operators.as_deref() != Some(name)
        })
        .collect()
}

#[cfg(test)]
mod tests;
