//! About how many bytes a finished span holds, so that the queue is bounded in memory and not only
//! in spans: one with large attributes weighs a thousand small ones.

use std::mem::size_of;

use opentelemetry::{Array, KeyValue, Value};
use opentelemetry_sdk::trace::SpanData;

/// An upper-bound-like estimate: the structures themselves and the text they own.
pub(super) fn bytes(span: &SpanData) -> usize {
    let events: usize = span
        .events
        .iter()
        .map(|event| size_of_val(event) + event.name.len() + attributes(&event.attributes))
        .sum();
    let links: usize = span
        .links
        .iter()
        .map(|link| size_of_val(link) + attributes(&link.attributes))
        .sum();
    size_of::<SpanData>() + span.name.len() + attributes(&span.attributes) + events + links
}

fn attributes(list: &[KeyValue]) -> usize {
    list.iter()
        .map(|pair| size_of::<KeyValue>() + pair.key.as_str().len() + value(&pair.value))
        .sum()
}

fn value(value: &Value) -> usize {
    match value {
        Value::String(text) => text.as_str().len(),
        Value::Array(array) => elements(array),
        // Held in the pair itself; the enum is not ours and may grow.
        Value::Bool(_) | Value::I64(_) | Value::F64(_) | _ => 0,
    }
}

fn elements(array: &Array) -> usize {
    match array {
        Array::Bool(list) => list.len(),
        Array::I64(list) => list.len() * size_of::<i64>(),
        Array::F64(list) => list.len() * size_of::<f64>(),
        Array::String(list) => list
            .iter()
            .map(|text| size_of_val(text) + text.as_str().len())
            .sum(),
        _ => 0,
    }
}
