//! Ids of traces and spans.

use opentelemetry::trace::{SpanId, TraceId};
use opentelemetry_sdk::trace::{IdGenerator, RandomIdGenerator};

use crate::fork;

/// The SDK's, which inherits its state in the child of a fork: there they would come again.
#[derive(Debug, Default)]
pub(super) struct Ids(RandomIdGenerator);

impl Ids {
    pub(super) fn new() -> Self {
        fork::count();
        Self::default()
    }
}

impl IdGenerator for Ids {
    #[inline]
    fn new_trace_id(&self) -> TraceId {
        let id = u128::from_be_bytes(self.0.new_trace_id().to_bytes());
        TraceId::from_bytes((id ^ fork::salt()).to_be_bytes())
    }

    #[inline]
    fn new_span_id(&self) -> SpanId {
        let id = u64::from_be_bytes(self.0.new_span_id().to_bytes());
        // One half of it tells processes apart as well.
        SpanId::from_bytes((id ^ fork::salt() as u64).to_be_bytes())
    }
}
