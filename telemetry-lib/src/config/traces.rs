//! What is sampled, how large a span may be, and which headers carry its context.

use super::vars::Vars;
use crate::propagation::Propagators;

/// Sampling, limits and propagation of traces.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct TraceConfig {
    pub(crate) sampler: Sampler,
    pub(crate) limits: Limits,
    pub(crate) propagators: Propagators,
    /// Baggage keys that are copied to spans as attributes.
    pub(crate) baggage_attributes: Vec<String>,
    /// The most detailed `tracing` level whose spans are recorded.
    pub(crate) level: tracing::Level,
}

/// `OTEL_TRACES_SAMPLER` with its argument.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Sampler {
    /// Follow the parent's decision where there is a parent.
    pub(crate) parent_based: bool,
    /// Share of root spans that are kept, 0 to 1.
    pub(crate) ratio: f64,
}

/// `OTEL_SPAN_*_LIMIT` and friends; counts are per span, event or link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Limits {
    pub(crate) attributes: u32,
    pub(crate) events: u32,
    pub(crate) links: u32,
    pub(crate) event_attributes: u32,
    pub(crate) link_attributes: u32,
    /// Characters of a text value; `None` is no limit.
    pub(crate) value_length: Option<usize>,
}

impl TraceConfig {
    pub(super) fn read(vars: &mut Vars) -> Self {
        Self {
            sampler: Sampler::read(vars),
            limits: Limits::read(vars),
            propagators: read_propagators(vars),
            baggage_attributes: Vec::new(),
            level: tracing::Level::INFO,
        }
    }
}

impl Sampler {
    fn read(vars: &mut Vars) -> Self {
        let named = vars.read(
            &["OTEL_TRACES_SAMPLER"],
            "one of always_on, always_off, traceidratio, parentbased_always_on, \
             parentbased_always_off, parentbased_traceidratio",
            |value| {
                let value = value.to_ascii_lowercase();
                let (parent_based, root) = match value.strip_prefix("parentbased_") {
                    Some(root) => (true, root),
                    None => (false, value.as_str()),
                };
                let ratio = match root {
                    "always_on" => Some(1.0),
                    "always_off" => Some(0.0),
                    "traceidratio" => None,
                    _ => return None,
                };
                Some((parent_based, ratio))
            },
        );
        let (parent_based, fixed) = named.unwrap_or((true, Some(1.0)));
        let ratio = match fixed {
            Some(ratio) => {
                report_argument(vars);
                ratio
            }
            None => read_ratio(vars).unwrap_or(1.0),
        };
        Self {
            parent_based,
            ratio,
        }
    }
}

impl Limits {
    fn read(vars: &mut Vars) -> Self {
        let any = vars.number(&["OTEL_ATTRIBUTE_COUNT_LIMIT"]).unwrap_or(128);
        Self {
            attributes: vars
                .number(&["OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT"])
                .unwrap_or(any),
            events: vars.number(&["OTEL_SPAN_EVENT_COUNT_LIMIT"]).unwrap_or(128),
            links: vars.number(&["OTEL_SPAN_LINK_COUNT_LIMIT"]).unwrap_or(128),
            event_attributes: vars
                .number(&["OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT"])
                .unwrap_or(any),
            link_attributes: vars
                .number(&["OTEL_LINK_ATTRIBUTE_COUNT_LIMIT"])
                .unwrap_or(any),
            value_length: vars.number(&[
                "OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT",
                "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT",
            ]),
        }
    }
}

/// Who sets the share alone believes that it holds, and all is kept.
fn report_argument(vars: &mut Vars) {
    const NAME: &str = "OTEL_TRACES_SAMPLER_ARG";
    if vars.text(NAME).is_some() {
        vars.report(
            NAME,
            "used: set OTEL_TRACES_SAMPLER to a sampler that takes it, as \
             parentbased_traceidratio does",
        );
    }
}

fn read_ratio(vars: &mut Vars) -> Option<f64> {
    vars.read(
        &["OTEL_TRACES_SAMPLER_ARG"],
        "a number between 0 and 1",
        |value| {
            value
                .parse()
                .ok()
                .filter(|ratio| (0.0..=1.0).contains(ratio))
        },
    )
}

/// A name that is not known, or `none` beside others, costs itself and not the others.
fn read_propagators(vars: &mut Vars) -> Propagators {
    const NAME: &str = "OTEL_PROPAGATORS";
    let expected = "a list of tracecontext, baggage, b3 and b3multi, or none";
    let read = vars.read(&[NAME], expected, |value| {
        let mut chosen = Propagators::NONE;
        let names = value.to_ascii_lowercase();
        let names = names.split(',').map(str::trim);
        let names: Vec<_> = names.filter(|name| !name.is_empty()).collect();
        let alone = names.iter().all(|name| *name == "none");
        let (mut known, mut unknown) = (false, false);
        for name in names {
            let is_known = (alone || name != "none") && chosen.choose(name);
            known |= is_known;
            unknown |= !is_known;
        }
        known.then_some((chosen, unknown))
    });
    let (chosen, unknown) = read.unwrap_or_default();
    if unknown {
        vars.report_part(
            NAME,
            "among tracecontext, baggage, b3 and b3multi, or none alone",
        );
    }
    chosen
}
