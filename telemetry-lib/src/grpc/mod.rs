//! gRPC, on both sides: one span and one observation per call, ended by its status, which comes with
//! the trailers. Works on `http` types, so that tonic is the service's choice and not a dependency.

mod body;
mod call;
mod client;
mod code;
mod deadline;
mod failure;
mod future;
mod method;
mod outcome;
mod server;

use std::sync::Arc;

use http::header::CONTENT_TYPE;
use http::{HeaderMap, Method, Request};

pub use self::body::CallBody;
pub use self::client::{GrpcClient, GrpcClientLayer};
pub use self::future::{GrpcClientFuture, GrpcServerFuture};
pub use self::server::{GrpcServer, GrpcServerLayer};

#[cfg(feature = "otlp-grpc")]
pub(crate) use self::code::Code;
use self::method::Methods;
use crate::metrics::RpcMetrics;
use crate::notice::Notices;

/// What all calls of one handle share. Holds no handle, so it does not delay the last flush.
#[derive(Debug)]
pub(crate) struct Shared {
    /// Whom to believe, how to propagate, where spans go: the same as for HTTP.
    http: Arc<crate::http::Shared>,
    /// `None`: `OTEL_SDK_DISABLED` or `OTEL_METRICS_EXPORTER=none`.
    metrics: Option<RpcMetrics>,
    /// What this process serves, as far as it was seen.
    served: Methods,
    /// What it calls.
    called: Methods,
    notices: Notices,
}

impl Shared {
    pub(crate) fn new(
        http: Arc<crate::http::Shared>,
        metrics: Option<RpcMetrics>,
        notices: Notices,
    ) -> Arc<Self> {
        Arc::new(Self {
            http,
            metrics,
            served: Methods::new(notices.clone()),
            called: Methods::new(notices.clone()),
            notices,
        })
    }

    /// The same, for a server with exactly these methods.
    fn serving(&self, methods: impl IntoIterator<Item = String>) -> Arc<Self> {
        let notices = self.notices.clone();
        Arc::new(Self {
            http: Arc::clone(&self.http),
            metrics: self.metrics.clone(),
            served: Methods::closed(methods, notices.clone()),
            called: Methods::new(notices.clone()),
            notices,
        })
    }
}

/// Whether a request is a call. gRPC-Web is not: its status stands in the body.
pub(crate) fn is_call<A>(request: &Request<A>) -> bool {
    request.method() == Method::POST && has_grpc_content(request.headers())
}

/// `application/grpc`, alone or with a codec (`+proto`) or parameters.
fn has_grpc_content(headers: &HeaderMap) -> bool {
    let value = headers.get(CONTENT_TYPE).map(|value| value.as_bytes());
    let rest = value.and_then(|value| value.strip_prefix(b"application/grpc"));
    rest.is_some_and(|rest| matches!(rest.first(), None | Some(b'+' | b';' | b' ')))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn grpc_is_known_by_its_content_type_and_grpc_web_is_not_grpc() {
        let check = |content_type: &'static str, expected| {
            let mut headers = HeaderMap::new();
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
            assert_eq!(has_grpc_content(&headers), expected, "{content_type}");
        };
        check("application/grpc", true);
        check("application/grpc+proto", true);
        check("application/grpc;charset=utf-8", true);
        check("application/grpc-web", false);
        check("application/grpc-web+proto", false);
        check("application/grpcx", false);
        check("application/json", false);
        assert!(!has_grpc_content(&HeaderMap::new()));
    }
}
