//! Which code a broken call has: the cause is somewhere in the chain of its error.

use std::error::Error;
use std::io;

use super::code::Code;
use super::outcome::Failure;
use crate::error_type::error_type;

impl Failure {
    /// A server that fails resets the stream, which its caller reads as INTERNAL.
    pub(super) fn of_server<E>(_: &E) -> Self {
        Self {
            name: error_type::<E>(),
            code: Code::Internal,
        }
    }

    pub(super) fn of_client<E: Error + 'static>(error: &E) -> Self {
        Self::explain(error_type::<E>(), error)
    }

    /// The first cause that says something, as tonic reads it.
    pub(super) fn explain(name: &'static str, error: &(dyn Error + 'static)) -> Self {
        let mut cause = Some(error);
        while let Some(current) = cause {
            if let Some(code) = code_of(current) {
                return Self { name, code };
            }
            cause = current.source();
        }
        Self {
            name,
            code: Code::Unknown,
        }
    }
}

fn code_of(error: &(dyn Error + 'static)) -> Option<Code> {
    #[cfg(feature = "grpc-client")]
    if let Some(h2) = error.downcast_ref::<h2::Error>() {
        return h2.reason().map(Code::of_reset);
    }
    if let Some(hyper) = error.downcast_ref::<hyper::Error>() {
        // A keep-alive ping without an answer, or a connection that ended under the request.
        let lost = hyper.is_timeout() || hyper.is_closed();
        return match hyper.is_canceled() {
            true => Some(Code::Cancelled),
            false => lost.then_some(Code::Unavailable),
        };
    }
    let unreachable = error.downcast_ref::<io::Error>().is_some();
    // tonic's own timer; its type cannot be named without depending on tonic.
    let timer = || error.to_string() == "Timeout expired";
    if unreachable {
        Some(Code::Unavailable)
    } else {
        timer().then_some(Code::DeadlineExceeded)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("outer")]
    struct Outer(#[source] Box<dyn Error + Send + Sync>);

    fn code(error: impl Into<Box<dyn Error + Send + Sync>>) -> Code {
        Failure::of_client(&Outer(error.into())).code
    }

    #[test]
    fn the_cause_is_found_below_what_wraps_it() {
        assert_eq!(code(io::Error::other("refused")), Code::Unavailable);
        assert_eq!(code(Outer(io::Error::other("x").into())), Code::Unavailable);
        assert_eq!(code(h2::Error::from(h2::Reason::CANCEL)), Code::Cancelled);
        let refused = h2::Error::from(h2::Reason::REFUSED_STREAM);
        assert_eq!(code(refused), Code::Unavailable);
        assert_eq!(code(tonic::TimeoutExpired(())), Code::DeadlineExceeded);
        assert_eq!(code("something else"), Code::Unknown);
        let name = Failure::of_client(&Outer("x".into())).name;
        assert!(name.ends_with("::Outer"), "{name}");
    }
}
