//! What a collector says that did not take a batch: the code, and in its details when to come back.
//! Pure.

use std::fmt;
use std::time::Duration;

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use http::{HeaderMap, HeaderName};
use prost::Message;

use crate::config::percent_decoded;
use crate::export::retry::glimpse;
use crate::grpc::Code;

const MESSAGE: HeaderName = HeaderName::from_static("grpc-message");
const DETAILS: HeaderName = HeaderName::from_static("grpc-status-details-bin");
const RETRY_INFO: &str = "/google.rpc.RetryInfo";

/// Senders may leave the padding out.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// An answer that is no success.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RpcError {
    code: Code,
    /// As it may stand between quotation marks.
    message: String,
    /// `RetryInfo`: the collector wants the batch again, not before this.
    after: Option<Duration>,
}

/// `google.rpc.Status`.
#[derive(Clone, PartialEq, Message)]
struct Status {
    #[prost(message, repeated, tag = "3")]
    details: Vec<Any>,
}

/// `google.protobuf.Any`.
#[derive(Clone, PartialEq, Message)]
struct Any {
    #[prost(string, tag = "1")]
    type_url: String,
    #[prost(bytes = "vec", tag = "2")]
    value: Vec<u8>,
}

/// `google.rpc.RetryInfo`.
#[derive(Clone, PartialEq, Message)]
struct RetryInfo {
    #[prost(message, optional, tag = "1")]
    retry_delay: Option<Delay>,
}

/// `google.protobuf.Duration`.
#[derive(Clone, PartialEq, Message)]
struct Delay {
    #[prost(int64, tag = "1")]
    seconds: i64,
    #[prost(int32, tag = "2")]
    nanos: i32,
}

impl RpcError {
    /// From the headers that hold the status.
    pub(super) fn told(code: Code, headers: &HeaderMap) -> Self {
        let message = headers.get(MESSAGE).map(|value| value.as_bytes());
        let message = String::from_utf8_lossy(message.unwrap_or_default());
        let message = percent_decoded(&message);
        Self {
            code,
            message: glimpse(message.as_bytes()),
            after: headers
                .get(DETAILS)
                .and_then(|value| retry_info(value.as_bytes())),
        }
    }

    /// Something else than a collector answered.
    pub(super) fn without_status(code: Code, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            after: None,
        }
    }

    /// The specification's list. A collector that is exhausted must say that it will recover.
    pub(crate) fn may_pass(&self) -> bool {
        match self.code {
            Code::Cancelled
            | Code::DeadlineExceeded
            | Code::Aborted
            | Code::OutOfRange
            | Code::Unavailable
            | Code::DataLoss => true,
            Code::ResourceExhausted => self.after.is_some(),
            Code::Ok
            | Code::Unknown
            | Code::InvalidArgument
            | Code::NotFound
            | Code::AlreadyExists
            | Code::PermissionDenied
            | Code::FailedPrecondition
            | Code::Unimplemented
            | Code::Internal
            | Code::Unauthenticated => false,
        }
    }

    /// What to do about it, as the rest of a sentence.
    fn advice(&self) -> &'static str {
        if matches!(self.code, Code::Unauthenticated | Code::PermissionDenied) {
            ": check OTEL_EXPORTER_OTLP_HEADERS"
        } else if self.code == Code::Unimplemented {
            ": is OTEL_EXPORTER_OTLP_ENDPOINT a receiver for OTLP over gRPC, usually on port 4317?"
        } else if self.code == Code::ResourceExhausted && self.after.is_none() {
            ", without a time to try again"
        } else {
            ""
        }
    }

    pub(crate) fn after(&self) -> Option<Duration> {
        self.after
    }

    /// gRPC has no code for it; the Collector's library says it in these words.
    pub(crate) fn is_too_large(&self) -> bool {
        self.code == Code::ResourceExhausted
            && self.after.is_none()
            && self.message.contains("larger than max")
    }
}

impl fmt::Display for RpcError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the collector answered {}", self.code.as_str())?;
        if !self.message.is_empty() {
            write!(f, " (\"{}\")", self.message)?;
        }
        f.write_str(self.advice())
    }
}

impl std::error::Error for RpcError {}

fn retry_info(base64: &[u8]) -> Option<Duration> {
    let status = Status::decode(&BASE64.decode(base64).ok()?[..]).ok()?;
    let info = status
        .details
        .iter()
        .find(|detail| detail.type_url.ends_with(RETRY_INFO))?;
    let delay = RetryInfo::decode(&info.value[..]).ok()?;
    let delay = delay.retry_delay.unwrap_or_default();
    let seconds = u64::try_from(delay.seconds).unwrap_or(0);
    let nanos = u32::try_from(delay.nanos).unwrap_or(0).min(999_999_999);
    Some(Duration::new(seconds, nanos))
}

/// The details of a status that asks to come back after `delay`.
#[cfg(test)]
pub(crate) fn details(delay: Duration) -> Vec<u8> {
    let info = RetryInfo {
        retry_delay: Some(Delay {
            seconds: i64::try_from(delay.as_secs()).unwrap(),
            nanos: i32::try_from(delay.subsec_nanos()).unwrap(),
        }),
    };
    let any = Any {
        type_url: format!("type.googleapis.com{RETRY_INFO}"),
        value: info.encode_to_vec(),
    };
    let details = vec![any];
    Status { details }.encode_to_vec()
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn error(code: Code, message: &str, after: Option<u64>) -> RpcError {
        let mut headers = HeaderMap::new();
        headers.insert(MESSAGE, HeaderValue::from_str(message).unwrap());
        if let Some(seconds) = after {
            let details = BASE64.encode(details(Duration::from_secs(seconds)));
            headers.insert(DETAILS, HeaderValue::from_str(&details).unwrap());
        }
        RpcError::told(code, &headers)
    }

    #[test]
    fn f06_exhausted_is_tried_again_only_if_the_collector_says_when() {
        let exhausted = error(Code::ResourceExhausted, "", None);
        assert!(!exhausted.may_pass());
        let said = exhausted.to_string();
        assert!(said.ends_with("without a time to try again"), "{said}");
        let recovering = error(Code::ResourceExhausted, "", Some(7));
        assert!(recovering.may_pass());
        assert_eq!(recovering.after(), Some(Duration::from_secs(7)));
        assert!(error(Code::Unavailable, "", None).may_pass());
        let asked = error(Code::Unavailable, "", Some(3)).after();
        assert_eq!(asked, Some(Duration::from_secs(3)));
        assert!(!error(Code::InvalidArgument, "", Some(7)).may_pass());
    }

    #[test]
    fn what_is_too_large_is_told_from_what_is_exhausted() {
        let text = "grpc: received message larger than max (5 vs. 4)";
        assert!(error(Code::ResourceExhausted, text, None).is_too_large());
        assert!(!error(Code::ResourceExhausted, "quota", None).is_too_large());
        assert!(!error(Code::ResourceExhausted, text, Some(1)).is_too_large());
    }

    #[test]
    fn the_message_is_decoded_quoted_and_cut() {
        let said = error(Code::Unauthenticated, "no%20token", None).to_string();
        assert_eq!(
            said,
            "the collector answered UNAUTHENTICATED (\"no token\"): check OTEL_EXPORTER_OTLP_HEADERS"
        );
        let long = error(Code::Internal, &"%0A".repeat(5_000), None).to_string();
        let cut = r"\n".repeat(60);
        assert_eq!(long, format!("the collector answered INTERNAL (\"{cut}\")"));
    }

    proptest::proptest! {
        #[test]
        fn no_details_panic(bytes: Vec<u8>, text in "[ -~]{0,64}") {
            let mut headers = HeaderMap::new();
            for details in [BASE64.encode(bytes), text] {
                headers.insert(DETAILS, HeaderValue::from_str(&details).unwrap());
                let _ = RpcError::told(Code::Unavailable, &headers);
            }
        }
    }
}
