//! The status codes of gRPC: where they are read and which of them are errors.

use http::{HeaderMap, HeaderName, StatusCode};

static GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");

/// How a call ended, as gRPC numbers it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Code {
    Ok,
    Cancelled,
    Unknown,
    InvalidArgument,
    DeadlineExceeded,
    NotFound,
    AlreadyExists,
    PermissionDenied,
    ResourceExhausted,
    FailedPrecondition,
    Aborted,
    OutOfRange,
    Unimplemented,
    Internal,
    Unavailable,
    DataLoss,
    Unauthenticated,
}

impl Code {
    /// By number.
    const ALL: [Self; 17] = [
        Self::Ok,
        Self::Cancelled,
        Self::Unknown,
        Self::InvalidArgument,
        Self::DeadlineExceeded,
        Self::NotFound,
        Self::AlreadyExists,
        Self::PermissionDenied,
        Self::ResourceExhausted,
        Self::FailedPrecondition,
        Self::Aborted,
        Self::OutOfRange,
        Self::Unimplemented,
        Self::Internal,
        Self::Unavailable,
        Self::DataLoss,
        Self::Unauthenticated,
    ];

    /// What trailers, or the head of a response that has nothing else, say.
    pub(crate) fn told(headers: &HeaderMap) -> Option<Self> {
        let text = headers.get(&GRPC_STATUS)?.to_str().ok();
        let number = text.and_then(|text| text.parse::<usize>().ok());
        let known = number.and_then(|number| Self::ALL.get(number).copied());
        // A code that nobody knows is UNKNOWN by the protocol.
        Some(known.unwrap_or(Self::Unknown))
    }

    /// What a response without a status means, by the protocol's own table. A proxy or a layer
    /// before the service made it.
    pub(crate) fn of_http(status: StatusCode) -> Self {
        match status {
            StatusCode::BAD_REQUEST => Self::Internal,
            StatusCode::UNAUTHORIZED => Self::Unauthenticated,
            StatusCode::FORBIDDEN => Self::PermissionDenied,
            StatusCode::NOT_FOUND => Self::Unimplemented,
            StatusCode::TOO_MANY_REQUESTS
            | StatusCode::BAD_GATEWAY
            | StatusCode::SERVICE_UNAVAILABLE
            | StatusCode::GATEWAY_TIMEOUT => Self::Unavailable,
            _ => Self::Unknown,
        }
    }

    /// The code of a stream that was reset instead of ended, by the protocol's own table.
    #[cfg(feature = "grpc-client")]
    pub(super) fn of_reset(reason: h2::Reason) -> Self {
        match reason {
            h2::Reason::NO_ERROR
            | h2::Reason::PROTOCOL_ERROR
            | h2::Reason::INTERNAL_ERROR
            | h2::Reason::FLOW_CONTROL_ERROR
            | h2::Reason::SETTINGS_TIMEOUT
            | h2::Reason::FRAME_SIZE_ERROR
            | h2::Reason::COMPRESSION_ERROR
            | h2::Reason::CONNECT_ERROR => Self::Internal,
            h2::Reason::REFUSED_STREAM => Self::Unavailable,
            h2::Reason::CANCEL => Self::Cancelled,
            h2::Reason::ENHANCE_YOUR_CALM => Self::ResourceExhausted,
            h2::Reason::INADEQUATE_SECURITY => Self::PermissionDenied,
            _ => Self::Unknown,
        }
    }

    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "OK",
            Self::Cancelled => "CANCELLED",
            Self::Unknown => "UNKNOWN",
            Self::InvalidArgument => "INVALID_ARGUMENT",
            Self::DeadlineExceeded => "DEADLINE_EXCEEDED",
            Self::NotFound => "NOT_FOUND",
            Self::AlreadyExists => "ALREADY_EXISTS",
            Self::PermissionDenied => "PERMISSION_DENIED",
            Self::ResourceExhausted => "RESOURCE_EXHAUSTED",
            Self::FailedPrecondition => "FAILED_PRECONDITION",
            Self::Aborted => "ABORTED",
            Self::OutOfRange => "OUT_OF_RANGE",
            Self::Unimplemented => "UNIMPLEMENTED",
            Self::Internal => "INTERNAL",
            Self::Unavailable => "UNAVAILABLE",
            Self::DataLoss => "DATA_LOSS",
            Self::Unauthenticated => "UNAUTHENTICATED",
        }
    }

    /// Whether a server that answers so has failed. The others tell a caller of its own mistakes,
    /// or of facts.
    pub(super) const fn is_server_error(self) -> bool {
        match self {
            Self::Unknown
            | Self::DeadlineExceeded
            | Self::Unimplemented
            | Self::Internal
            | Self::Unavailable
            | Self::DataLoss => true,
            Self::Ok
            | Self::Cancelled
            | Self::InvalidArgument
            | Self::NotFound
            | Self::AlreadyExists
            | Self::PermissionDenied
            | Self::ResourceExhausted
            | Self::FailedPrecondition
            | Self::Aborted
            | Self::OutOfRange
            | Self::Unauthenticated => false,
        }
    }

    /// Whether mostly a registered method answers so. The others come from routers, and from layers
    /// that guard, limit or time out whatever is asked for.
    pub(super) const fn comes_from_methods(self) -> bool {
        match self {
            Self::Ok
            | Self::Unknown
            | Self::InvalidArgument
            | Self::NotFound
            | Self::AlreadyExists
            | Self::FailedPrecondition
            | Self::Aborted
            | Self::OutOfRange
            | Self::Internal
            | Self::DataLoss => true,
            Self::Cancelled
            | Self::DeadlineExceeded
            | Self::PermissionDenied
            | Self::ResourceExhausted
            | Self::Unimplemented
            | Self::Unavailable
            | Self::Unauthenticated => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn told(value: Option<&str>) -> Option<Code> {
        let mut headers = HeaderMap::new();
        if let Some(value) = value {
            let value = HeaderValue::from_bytes(value.as_bytes()).unwrap();
            headers.insert("grpc-status", value);
        }
        Code::told(&headers)
    }

    #[test]
    fn every_code_is_read_by_its_number_and_what_is_none_is_unknown() {
        for (number, code) in Code::ALL.into_iter().enumerate() {
            assert_eq!(told(Some(&number.to_string())), Some(code));
            assert_eq!(code as usize, number);
        }
        for strange in ["17", "-1", "", "OK", "1 ", "\u{ff}", "99999999999999999999"] {
            assert_eq!(told(Some(strange)), Some(Code::Unknown), "{strange:?}");
        }
        assert_eq!(told(None), None);
    }

    #[test]
    fn the_label_of_the_metric_knows_every_code() {
        let names = Code::ALL.map(Code::as_str);
        assert_eq!(names, crate::metrics::RPC_STATUS_CODES);
    }

    #[test]
    fn a_server_fails_with_six_of_the_codes() {
        let errors = Code::ALL.into_iter().filter(|code| code.is_server_error());
        let names: Vec<_> = errors.map(Code::as_str).collect();
        let expected = [
            "UNKNOWN",
            "DEADLINE_EXCEEDED",
            "UNIMPLEMENTED",
            "INTERNAL",
            "UNAVAILABLE",
            "DATA_LOSS",
        ];
        assert_eq!(names, expected);
    }

    #[test]
    fn a_response_without_a_status_is_read_by_its_http_code() {
        let check = |status: u16, expected| {
            let status = StatusCode::from_u16(status).unwrap();
            assert_eq!(Code::of_http(status), expected, "{status}");
        };
        check(200, Code::Unknown);
        check(400, Code::Internal);
        check(401, Code::Unauthenticated);
        check(403, Code::PermissionDenied);
        check(404, Code::Unimplemented);
        for status in [429, 502, 503, 504] {
            check(status, Code::Unavailable);
        }
        check(500, Code::Unknown);
    }
}
