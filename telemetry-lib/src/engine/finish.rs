//! The last look at a span before the queue: allowed baggage in, repeated keys and
//! overlong values out.

use std::sync::Arc;
use std::time::Duration;

use opentelemetry::baggage::BaggageExt;
use opentelemetry::trace::Span as _;
use opentelemetry::{Array, Context, KeyValue, StringValue, Value};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{Span, SpanData, SpanProcessor};

use super::{numbers, span};
use crate::config::TraceConfig;
use crate::redact::{REDACTED, Redaction};

#[derive(Debug)]
pub(super) struct Finish<Q> {
    baggage_attributes: Vec<String>,
    /// At most so many of a span.
    attributes: u32,
    value_length: Option<usize>,
    redaction: Arc<Redaction>,
    queue: Q,
}

impl<Q> Finish<Q> {
    pub(super) fn new(config: &TraceConfig, redaction: Arc<Redaction>, queue: Q) -> Self {
        Self {
            baggage_attributes: config.baggage_attributes.clone(),
            attributes: config.limits.attributes,
            value_length: config.limits.value_length,
            redaction,
            queue,
        }
    }

    fn shorten_all(&self, span: &mut SpanData) {
        let Some(limit) = self.value_length else {
            return;
        };
        let own = span.attributes.iter_mut();
        let events = span.events.events.iter_mut();
        let links = span.links.links.iter_mut();
        own.chain(events.flat_map(|event| &mut event.attributes))
            .chain(links.flat_map(|link| &mut link.attributes))
            .for_each(|attribute| shorten(&mut attribute.value, limit));
    }
}

impl<Q: SpanProcessor> SpanProcessor for Finish<Q> {
    fn on_start(&self, span: &mut Span, context: &Context) {
        for key in &self.baggage_attributes {
            if let Some(value) = context.baggage().get(key) {
                span.set_attribute(KeyValue::new(key.clone(), value.clone()));
            }
        }
        self.queue.on_start(span, context);
    }

    fn on_end(&self, mut span: SpanData) {
        numbers::restore(&mut span);
        // Ours are chosen with care; these come from code that may not have thought of it.
        let said = span.attributes.iter_mut();
        for secret in said.filter(|it| self.redaction.hides(it.key.as_str())) {
            secret.value = Value::from(REDACTED);
        }
        let may_repeat = !span.attributes.is_empty();
        if let Some(own) = span::take_own() {
            own.add_to(&mut span, self.attributes);
        }
        // Our own keys differ, so a request of which the service said nothing is not looked through.
        if may_repeat {
            keep_last(&mut span.attributes);
        }
        debug_assert!(!has_repeated(&span.attributes), "{:?}", span.attributes);
        self.shorten_all(&mut span);
        self.queue.on_end(span);
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.queue.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.queue.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.queue.set_resource(resource);
    }
}

/// The SDK keeps every value that was recorded for a key; OTLP wants one.
fn keep_last(attributes: &mut Vec<KeyValue>) {
    if !has_repeated(attributes) {
        return;
    }
    let repeated = |at: usize, all: &[KeyValue]| {
        let key = all[at].key.as_str();
        all[at + 1..].iter().any(|later| later.key.as_str() == key)
    };
    // Backwards, so that an index stays right when a later one is removed.
    for at in (0..attributes.len()).rev() {
        if repeated(at, attributes) {
            attributes.remove(at);
        }
    }
}

/// Compares texts only where a number for each key does not tell them apart.
fn has_repeated(attributes: &[KeyValue]) -> bool {
    let mut seen = 0_u64;
    attributes.iter().enumerate().any(|(at, attribute)| {
        let key = attribute.key.as_str();
        let bit = 1 << (mark(key.as_bytes()) % 64);
        let fresh = seen & bit == 0;
        seen |= bit;
        !fresh && attributes[..at].iter().any(|it| it.key.as_str() == key)
    })
}

fn mark(key: &[u8]) -> usize {
    let last = key.last().copied().unwrap_or(0);
    let middle = key.get(key.len() / 2).copied().unwrap_or(0);
    key.len() * 7 + usize::from(last) * 3 + usize::from(middle)
}

fn shorten(value: &mut Value, limit: usize) {
    let texts = if let Value::String(text) = value {
        std::slice::from_mut(text)
    } else if let Value::Array(Array::String(texts)) = value {
        texts.as_mut_slice()
    } else {
        return; // numbers have no length
    };
    for text in texts {
        if let Some(short) = prefix(text.as_str(), limit) {
            *text = StringValue::from(short);
        }
    }
}

/// The first `limit` characters, if there are more.
fn prefix(text: &str, limit: usize) -> Option<String> {
    let (end, _) = text.char_indices().nth(limit)?;
    Some(text[..end].to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_value_of_a_key_is_kept() {
        let mut attributes: Vec<KeyValue> = [("a", 1), ("b", 2), ("a", 3), ("c", 4), ("a", 5)]
            .map(|(key, value)| KeyValue::new(key, value))
            .to_vec();
        keep_last(&mut attributes);
        let kept: Vec<String> = attributes
            .iter()
            .map(|it| format!("{}={}", it.key, it.value))
            .collect();
        assert_eq!(kept, ["b=2", "c=4", "a=5"]);
    }

    #[test]
    fn any_number_of_attributes_is_looked_through() {
        for count in [0, 1, 2, 31, 32, 33, 200] {
            let names = (0..count).map(|number| format!("key.{number}"));
            let mut attributes: Vec<KeyValue> = names.map(|name| KeyValue::new(name, 1)).collect();
            keep_last(&mut attributes);
            assert_eq!(attributes.len(), count);
            attributes.extend(attributes.first().cloned());
            keep_last(&mut attributes);
            assert_eq!(attributes.len(), count);
        }
    }

    #[test]
    fn values_are_cut_between_characters() {
        let cut = |text: &str, limit| {
            let mut value = Value::from(text.to_owned());
            shorten(&mut value, limit);
            value.to_string()
        };
        assert_eq!(cut("héllo", 2), "hé");
        assert_eq!(cut("héllo", 5), "héllo");
        assert_eq!(cut("", 0), "");
        assert_eq!(cut("x", 0), "");
    }
}
