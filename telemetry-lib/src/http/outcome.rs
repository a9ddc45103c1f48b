//! How a request ended, and what span and metric both say about it. Pure: one rule, two readers.

use std::fmt;

use http::{Method, StatusCode};

/// What made a request end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// The response, body and trailers included, was handed over.
    Complete,
    /// The service or the body failed; the name of the error's type.
    Failed(&'static str),
    /// The response or its body was dropped before its end: the caller left, or a layer
    /// outside (a timeout) gave up.
    Cancelled,
    Panicked,
}

/// What is recorded, on the span and on the metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Outcome {
    /// `None` if no response was made.
    pub(crate) status: Option<StatusCode>,
    pub(crate) error_type: Option<ErrorType>,
    /// Whether the span's status is Error. A cancelled request is nobody's error here, as
    /// CANCELLED is none for a gRPC server; `error.type` tells it apart.
    pub(crate) is_error: bool,
}

/// The value of `error.type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ErrorType {
    Status(StatusCode),
    Name(&'static str),
}

/// What is known about a body when it is dropped without having been read to its end.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Dropped {
    pub(crate) panicking: bool,
    pub(crate) at_end: bool,
    /// The length that the response promised.
    pub(crate) length: Option<u64>,
    pub(crate) sent: u64,
    pub(crate) kind: BodyKind,
}

/// How much of the body a server will ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BodyKind {
    /// To its end.
    Whole,
    /// Nothing: the method or the status forbids a body.
    Never,
    /// Until the client leaves, which is the normal end of an event stream.
    UntilLeft,
}

impl Outcome {
    pub(crate) fn new(status: Option<StatusCode>, ending: Ending) -> Self {
        let error_type = match ending {
            Ending::Complete => status
                .filter(StatusCode::is_server_error)
                .map(ErrorType::Status),
            Ending::Failed(name) => Some(ErrorType::Name(name)),
            Ending::Cancelled => Some(ErrorType::Name("cancelled")),
            Ending::Panicked => Some(ErrorType::Name("panic")),
        };
        Self {
            status,
            error_type,
            is_error: error_type.is_some() && ending != Ending::Cancelled,
        }
    }
}

impl Dropped {
    /// hyper drops a body at its end without asking once more, and never asks for those of
    /// HEAD, 204 and 304; so a dropped body may be complete.
    pub(crate) fn ending(self) -> Ending {
        let complete =
            self.at_end || self.length == Some(self.sent) || self.kind != BodyKind::Whole;
        if self.panicking {
            Ending::Panicked
        } else if complete {
            Ending::Complete
        } else {
            Ending::Cancelled
        }
    }
}

impl BodyKind {
    pub(crate) fn of(method: &Method, status: StatusCode, is_event_stream: bool) -> Self {
        let silent = matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
        if *method == Method::HEAD || silent {
            Self::Never
        } else if is_event_stream {
            Self::UntilLeft
        } else {
            Self::Whole
        }
    }
}

/// The connection becomes something else: the request is over with the response's head.
pub(crate) fn hands_over_connection(method: &Method, status: StatusCode) -> bool {
    status == StatusCode::SWITCHING_PROTOCOLS || (*method == Method::CONNECT && status.is_success())
}

impl ErrorType {
    pub(crate) fn as_str(&self) -> &str {
        match self {
            Self::Status(status) => status.as_str(),
            Self::Name(name) => name,
        }
    }
}

impl fmt::Display for ErrorType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn error_type_and_status_by_ending() {
        let check = |status: Option<u16>, ending, error_type: Option<&str>, is_error| {
            let status = status.map(|code| StatusCode::from_u16(code).unwrap());
            let outcome = Outcome::new(status, ending);
            let shown = outcome.error_type.map(|it| it.to_string());
            assert_eq!(shown.as_deref(), error_type, "{status:?} {ending:?}");
            assert_eq!(outcome.is_error, is_error, "{status:?} {ending:?}");
        };
        for code in [101, 200, 204, 304, 400, 404, 499] {
            check(Some(code), Ending::Complete, None, false);
        }
        check(Some(500), Ending::Complete, Some("500"), true);
        check(Some(599), Ending::Complete, Some("599"), true);
        check(
            Some(201),
            Ending::Failed("io::Error"),
            Some("io::Error"),
            true,
        );
        check(None, Ending::Failed("Timeout"), Some("Timeout"), true);
        check(None, Ending::Cancelled, Some("cancelled"), false);
        check(Some(200), Ending::Cancelled, Some("cancelled"), false);
        check(None, Ending::Panicked, Some("panic"), true);
        check(Some(500), Ending::Panicked, Some("panic"), true);
    }

    #[test]
    fn a_dropped_body_is_complete_or_cancelled_by_rule() {
        let whole = Dropped {
            panicking: false,
            at_end: false,
            length: None,
            sent: 0,
            kind: BodyKind::Whole,
        };
        let check = |dropped: Dropped, expected| {
            assert_eq!(dropped.ending(), expected, "{dropped:?}");
        };
        check(whole, Ending::Cancelled);
        check(
            Dropped {
                at_end: true,
                ..whole
            },
            Ending::Complete,
        );
        check(
            Dropped {
                length: Some(5),
                sent: 4,
                ..whole
            },
            Ending::Cancelled,
        );
        check(
            Dropped {
                length: Some(5),
                sent: 5,
                ..whole
            },
            Ending::Complete,
        );
        check(
            Dropped {
                kind: BodyKind::Never,
                length: Some(5),
                ..whole
            },
            Ending::Complete,
        );
        check(
            Dropped {
                kind: BodyKind::UntilLeft,
                ..whole
            },
            Ending::Complete,
        );
        check(
            Dropped {
                panicking: true,
                at_end: true,
                ..whole
            },
            Ending::Panicked,
        );
    }

    #[test]
    fn servers_ask_for_no_body_after_head_204_and_304() {
        let kind = |method, code: u16, events| {
            BodyKind::of(&method, StatusCode::from_u16(code).unwrap(), events)
        };
        assert_eq!(kind(Method::HEAD, 200, false), BodyKind::Never);
        assert_eq!(kind(Method::GET, 204, false), BodyKind::Never);
        assert_eq!(kind(Method::GET, 304, false), BodyKind::Never);
        assert_eq!(kind(Method::GET, 200, true), BodyKind::UntilLeft);
        assert_eq!(kind(Method::GET, 200, false), BodyKind::Whole);
    }
}
