//! `route-test`: who would hear an alert with these labels, with whom grouped, and when. A pure
//! function of the config, so that people can try a change before it is live.

use std::collections::BTreeMap;
use std::fmt::Write;

use alert_engine::{Ends, Labels, MatchOp, Matchers, Route, Timers, Timing};

use crate::config::{Config, Receiver, show_duration};

/// Why the words of the command line are no labels.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LabelsError {
    /// Not of the form `name=value`.
    #[error("{word:?} is no label, {why}")]
    Malformed {
        /// As typed.
        word: String,
        /// Where, why, and what to write.
        why: String,
    },
    /// A condition instead of a value.
    #[error("{word:?} is a condition, not a label: write name=value")]
    Condition {
        /// As typed.
        word: String,
    },
    /// One label with two values.
    #[error("label {name} is given twice, as {first:?} and {second:?}: an alert has it once")]
    Twice {
        /// The label.
        name: String,
        /// What it is first.
        first: String,
        /// What it is then.
        second: String,
    },
}

/// Reads the words of the command line: `severity=critical 'summary=disk full'`.
pub fn labels<S: AsRef<str>>(words: &[S]) -> Result<Labels, LabelsError> {
    let mut pairs = BTreeMap::new();
    for word in words {
        let word = word.as_ref();
        let read = Matchers::parse(word).map_err(|error| LabelsError::Malformed {
            word: word.to_owned(),
            why: error.to_string(),
        })?;
        for matcher in read.iter() {
            if matcher.op() != MatchOp::Equal {
                return Err(LabelsError::Condition {
                    word: word.to_owned(),
                });
            }
            let (name, second) = (matcher.name().to_owned(), matcher.value().to_owned());
            if let Some(first) = pairs.insert(name.clone(), second.clone()) {
                return Err(LabelsError::Twice {
                    name,
                    first,
                    second,
                });
            }
        }
    }
    Ok(pairs.into_iter().collect())
}

/// What `route-test` prints.
#[must_use]
pub fn report(config: &Config, labels: &Labels) -> String {
    let mut out = format!("{}\n", braces(labels));
    let urgent = config
        .priority
        .iter()
        .find(|matchers| matchers.matches(labels));
    for route in config.routes.find(labels) {
        let _ = writeln!(out, "\n{}", route.receiver);
        for (name, value) in lines(config, route, labels, urgent) {
            let _ = writeln!(out, "  {name:<10} {value}");
        }
    }
    out
}

fn lines(
    config: &Config,
    route: &Route,
    labels: &Labels,
    urgent: Option<&Matchers>,
) -> Vec<(&'static str, String)> {
    let mut lines = vec![
        ("route", route.path.clone()),
        ("group", braces(&route.group_labels(labels))),
    ];
    let receiver = config.receiver(&route.receiver);
    let channels = receiver
        .map(|r| r.integrations.as_slice())
        .unwrap_or_default();
    for channel in channels {
        let ends = match channel.ends {
            Ends::Together => "",
            Ends::Apart => ", hears ends in messages of their own",
            Ends::Untold => ", hears no ends",
        };
        lines.push(("by", format!("{}{ends}", channel.channel)));
    }
    if channels.is_empty() {
        lines.push((
            "by",
            "nothing: its alerts are kept, and told to nobody".to_owned(),
        ));
    }
    lines.push(("first", first(&route.timers)));
    lines.push(("then", then(&route.timers)));
    if let Some(matchers) = urgent {
        lines.push(("urgent", format!("goes before others: {matchers}")));
    }
    lines.extend(receiver.and_then(fallback).map(|text| ("fallback", text)));
    lines
}

fn first(timers: &Timers) -> String {
    let wait = |timing| show_duration(timers.group_wait(timing));
    match (timers.group_wait, timers.timing) {
        (Some(_), _) => format!("{} after its group opens", wait(Timing::Settled)),
        (None, Some(timing)) => format!("{} after its group opens", wait(timing)),
        (None, None) => format!(
            "{} after a webhook opens its group, {} after a post to /api/v2/alerts does",
            wait(Timing::Settled),
            wait(Timing::Ticking),
        ),
    }
}

fn then(timers: &Timers) -> String {
    let news = match timers.timing {
        Some(Timing::Settled) | None => "news at most every",
        Some(Timing::Ticking) => "news at each tick of",
    };
    let grows = timers.repeat_interval_max;
    let grows = grows.filter(|most| *most > timers.repeat_interval);
    let grows = grows.map(|most| format!(", later each time, up to {}", show_duration(most)));
    format!(
        "{news} {}, again if unchanged after {}{}",
        show_duration(timers.group_interval),
        show_duration(timers.repeat_interval),
        grows.unwrap_or_default(),
    )
}

fn fallback(receiver: &Receiver) -> Option<String> {
    let fallback = receiver.fallback.as_ref()?;
    let after = show_duration(fallback.after);
    Some(format!(
        "{} hears it when a channel fails for {after}",
        fallback.receiver
    ))
}

fn braces(labels: &Labels) -> String {
    let pairs: Vec<String> = labels
        .iter()
        .map(|(name, value)| format!("{name}={value:?}"))
        .collect();
    format!("{{{}}}", pairs.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Flags, Outside};

    fn config() -> Config {
        let text = include_str!("../testdata/config/full.yaml");
        let outside = Outside {
            env: &|_| Some("x".to_owned()),
            read: &|path| {
                let bot = path.ends_with("bot");
                let url = "https://qyapi.weixin.qq.com/cgi-bin/webhook/send?key=k";
                Ok(if bot { url } else { "x" }.to_owned())
            },
        };
        let file = std::path::Path::new("alert-router.yaml");
        Config::parse(file, text, &Flags::default(), &outside).unwrap_or_else(|e| panic!("{e}"))
    }

    #[test]
    fn a_report_says_who_hears_it_with_whom_and_when() {
        let config = config();
        let said: Vec<String> = [
            &["alertname=Slow", "service=mysql", "cluster=sh"][..],
            &[
                "service=redis",
                "severity=critical",
                "\"k8s.namespace.name\"=支付",
            ],
            &["team=night", "region=cn-north"],
            &["alertname=Other"],
        ]
        .iter()
        .map(|words| report(&config, &labels(words).unwrap()))
        .collect();
        insta::assert_snapshot!(said.join("\n"));
    }

    #[test]
    fn words_that_are_no_labels_are_refused_with_the_form_to_write() {
        for (words, expected) in [
            ("a=b", "{a=\"b\"}"),
            ("a=b,c=d", "{a=\"b\", c=\"d\"}"),
            (
                "a=b,a=c",
                "label a is given twice, as \"b\" and \"c\": an alert has it once",
            ),
            (
                "a=~b",
                "\"a=~b\" is a condition, not a label: write name=value",
            ),
            (
                "severity",
                "\"severity\" is no label, column 9: expected an operator, found the end: \
                 write =, !=, =~ or !~ after the label name",
            ),
        ] {
            let read = labels(&[words]).map_or_else(|e| e.to_string(), |l| braces(&l));
            assert_eq!(read, expected);
        }
    }
}
