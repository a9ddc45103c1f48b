//! Why there was no response, as a value of `error.type`: few different ones, and such that an
//! operator knows where to look.

use std::any::{Any, type_name};
use std::error::Error;
use std::io::ErrorKind;

type Boxed = Box<dyn Error + Send + Sync>;

/// Names the deepest cause that is known, else the type.
pub(super) fn error_type<E: 'static>(error: &E) -> &'static str {
    let any: &dyn Any = error;
    let known = match as_error(any) {
        Some(error) => cause(error),
        None => None,
    };
    known.unwrap_or_else(|| {
        if any.is::<Boxed>() {
            "_OTHER" // the name of the box's type would tell nothing
        } else {
            type_name::<E>()
        }
    })
}

/// The errors of the clients that we know, and boxed ones.
fn as_error(any: &dyn Any) -> Option<&(dyn Error + 'static)> {
    if let Some(error) = any.downcast_ref::<Boxed>() {
        return Some(&**error);
    }
    if let Some(error) = any.downcast_ref::<hyper_util::client::legacy::Error>() {
        return Some(error);
    }
    #[cfg(feature = "reqwest")]
    if let Some(error) = any.downcast_ref::<::reqwest::Error>() {
        return Some(error);
    }
    any.downcast_ref::<hyper::Error>()
        .map(|error| error as &(dyn Error + 'static))
}

fn cause(error: &(dyn Error + 'static)) -> Option<&'static str> {
    let mut found = None;
    let mut next = Some(error);
    while let Some(error) = next {
        found = name(error).or(found);
        next = inner(error);
    }
    found
}

/// An I/O error skips the error that it wraps when it is asked for its source.
fn inner<'e>(error: &'e (dyn Error + 'static)) -> Option<&'e (dyn Error + 'static)> {
    let wrapped = error.downcast_ref().and_then(std::io::Error::get_ref);
    wrapped
        .map(|it| it as &(dyn Error + 'static))
        .or_else(|| error.source())
}

fn name(error: &(dyn Error + 'static)) -> Option<&'static str> {
    if let Some(error) = error.downcast_ref::<std::io::Error>() {
        return of_kind(error.kind());
    }
    if error.is::<rustls::Error>() {
        return Some("tls");
    }
    if let Some(error) = error.downcast_ref::<hyper::Error>() {
        return of_hyper(error);
    }
    #[cfg(feature = "reqwest")]
    if let Some(error) = error.downcast_ref::<::reqwest::Error>() {
        return super::reqwest::error_type(error);
    }
    let legacy = error.downcast_ref::<hyper_util::client::legacy::Error>()?;
    legacy.is_connect().then_some("connect")
}

fn of_hyper(error: &hyper::Error) -> Option<&'static str> {
    if error.is_timeout() {
        Some("timeout")
    } else if error.is_incomplete_message() {
        Some("connection_closed")
    } else if error.is_parse() {
        Some("malformed_response")
    } else {
        None
    }
}

fn of_kind(kind: ErrorKind) -> Option<&'static str> {
    #[expect(clippy::wildcard_enum_match_arm, reason = "the enum has no end")]
    match kind {
        ErrorKind::TimedOut => Some("timeout"),
        ErrorKind::ConnectionRefused => Some("connection_refused"),
        ErrorKind::ConnectionReset => Some("connection_reset"),
        ErrorKind::ConnectionAborted | ErrorKind::BrokenPipe | ErrorKind::UnexpectedEof => {
            Some("connection_closed")
        }
        ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable => Some("unreachable"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[test]
    fn the_deepest_known_cause_is_named_else_the_type() {
        let boxed = |error: io::Error| -> Boxed { Box::new(error) };
        let refused = io::Error::from(ErrorKind::ConnectionRefused);
        assert_eq!(error_type(&boxed(refused)), "connection_refused");
        let outer = io::Error::other(io::Error::from(ErrorKind::TimedOut));
        assert_eq!(error_type(&boxed(outer)), "timeout");
        let tls = io::Error::new(ErrorKind::InvalidData, rustls::Error::DecryptError);
        assert_eq!(error_type(&boxed(tls)), "tls");
        let other: Boxed = "user 7 is not known".into();
        assert_eq!(error_type(&other), "_OTHER");
        assert_eq!(error_type(&std::fmt::Error), "core::fmt::Error");
    }
}
