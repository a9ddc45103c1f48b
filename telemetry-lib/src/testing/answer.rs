//! What the fake collector does with a request. A script of these is a fault.

use std::sync::{Arc, Condvar, Mutex, PoisonError};

use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTracePartialSuccess, ExportTraceServiceResponse,
};
use prost::Message as _;

/// One scripted behaviour of a [`FakeCollector`](super::FakeCollector).
#[derive(Debug, Clone)]
pub struct Answer {
    pub(super) deed: Deed,
    pub(super) gate: Option<Gate>,
}

#[derive(Debug, Clone)]
pub(super) enum Deed {
    Reply(Reply),
    /// Say nothing and keep the connection open.
    Hang,
    /// Close the connection instead of answering.
    Close,
}

#[derive(Debug, Clone)]
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) body: Vec<u8>,
    /// Whether the spans of the request count as received.
    pub(super) accepts: bool,
}

/// Holds answers back until the test opens it: slowness without a clock. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Gate(Arc<(Mutex<bool>, Condvar)>);

impl Answer {
    /// 200 with an empty export response: the spans are received.
    #[must_use]
    pub fn ok() -> Self {
        Self::accept(ExportTraceServiceResponse::default())
    }

    /// 200, but so many spans of the request are refused for good.
    #[must_use]
    pub fn partial(rejected: i64, message: &str) -> Self {
        Self::accept(ExportTraceServiceResponse {
            partial_success: Some(ExportTracePartialSuccess {
                rejected_spans: rejected,
                error_message: message.to_owned(),
            }),
        })
    }

    /// A status without a body; the spans are not received.
    #[must_use]
    pub fn status(status: u16) -> Self {
        Self::reply(Reply {
            status,
            headers: Vec::new(),
            body: Vec::new(),
            accepts: false,
        })
    }

    /// 200 with a page, as a proxy sends it; the spans are not received.
    #[must_use]
    pub fn html(page: &str) -> Self {
        Self::status(200).body("text/html; charset=utf-8", page)
    }

    /// No answer at all, for as long as the collector lives.
    #[must_use]
    pub fn hang() -> Self {
        Self {
            deed: Deed::Hang,
            gate: None,
        }
    }

    /// The connection ends instead of an answer.
    #[must_use]
    pub fn close() -> Self {
        Self {
            deed: Deed::Close,
            gate: None,
        }
    }

    /// Adds `Retry-After`, in seconds or as a date.
    #[must_use]
    pub fn retry_after(self, value: &str) -> Self {
        self.header("retry-after", value)
    }

    /// Adds a header; nothing for an answer that is none.
    #[must_use]
    pub fn header(mut self, name: &'static str, value: &str) -> Self {
        if let Deed::Reply(reply) = &mut self.deed {
            reply.headers.push((name, value.to_owned()));
        }
        self
    }

    /// Replaces the body; nothing for an answer that is none.
    #[must_use]
    pub fn body(mut self, content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        if let Deed::Reply(reply) = &mut self.deed {
            reply.body = body.into();
        }
        self.header("content-type", content_type)
    }

    /// Comes only after `gate` is open.
    #[must_use]
    pub fn behind(mut self, gate: &Gate) -> Self {
        self.gate = Some(gate.clone());
        self
    }

    fn accept(response: ExportTraceServiceResponse) -> Self {
        let mut answer = Self::status(200).body("application/x-protobuf", response.encode_to_vec());
        if let Deed::Reply(reply) = &mut answer.deed {
            reply.accepts = true;
        }
        answer
    }

    fn reply(reply: Reply) -> Self {
        Self {
            deed: Deed::Reply(reply),
            gate: None,
        }
    }
}

impl Gate {
    /// A closed gate.
    #[must_use]
    pub fn closed() -> Self {
        Self::default()
    }

    /// Lets everything through that waits or will come.
    pub fn open(&self) {
        let (open, changed) = &*self.0;
        *open.lock().unwrap_or_else(PoisonError::into_inner) = true;
        changed.notify_all();
    }

    pub(super) fn pass(&self) {
        let (open, changed) = &*self.0;
        let open = open.lock().unwrap_or_else(PoisonError::into_inner);
        drop(changed.wait_while(open, |open| !*open));
    }
}
