//! What the end of a call means: its code, its `error.type` and whether it is an error, for the
//! side that looks at it. Pure.

use http::StatusCode;

use super::code::Code;

/// Why a call has no status of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Failure {
    /// The name of the error's type.
    pub(super) name: &'static str,
    pub(super) code: Code,
}

/// How the watching of a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// The response came to its end.
    Complete,
    /// Service, connection or body failed.
    Failed(Failure),
    /// Dropped before its end: one of the two sides has left.
    Left,
    Panicked,
}

/// Which side of the call we are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Server,
    Client,
}

/// All that is known when the call ends.
#[derive(Clone, Copy, Debug)]
pub(super) struct End {
    pub(super) kind: Kind,
    /// From the trailers, or from a head that has nothing else.
    pub(super) told: Option<Code>,
    /// Of the response's head, if there was one.
    pub(super) http: Option<StatusCode>,
    pub(super) ending: Ending,
    /// The caller's time was over.
    pub(super) late: bool,
}

/// What span and metric say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Outcome {
    pub(super) code: Code,
    pub(super) error_type: Option<&'static str>,
}

impl Outcome {
    pub(super) fn of(end: &End) -> Self {
        let (code, name) = match (end.told, end.ending) {
            (_, Ending::Panicked) => (Code::Unknown, Some("panic")),
            (Some(told), _) => (told, None),
            (None, Ending::Complete) => (end.http.map_or(Code::Unknown, Code::of_http), None),
            (None, Ending::Left) => (Code::Cancelled, None),
            (None, Ending::Failed(_)) if end.late => (Code::DeadlineExceeded, None),
            (None, Ending::Failed(failure)) => (failure.code, Some(failure.name)),
        };
        // tonic says CANCELLED when it gives up because the time is over.
        let code = if end.late && code == Code::Cancelled {
            Code::DeadlineExceeded
        } else {
            code
        };
        let failed = match end.kind {
            Kind::Server => code.is_server_error(),
            Kind::Client => code != Code::Ok,
        };
        Self {
            code,
            error_type: name.or(failed.then_some(code.as_str())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FAILED: Ending = Ending::Failed(Failure {
        name: "Broken",
        code: Code::Unavailable,
    });

    /// `server` and `client`: code and `error.type`.
    #[track_caller]
    fn check(
        told: Option<Code>,
        http: Option<u16>,
        ending: Ending,
        late: bool,
        server: (&str, Option<&str>),
        client: (&str, Option<&str>),
    ) {
        let http = http.map(|status| StatusCode::from_u16(status).unwrap());
        for (kind, expected) in [(Kind::Server, server), (Kind::Client, client)] {
            let outcome = Outcome::of(&End {
                kind,
                told,
                http,
                ending,
                late,
            });
            let found = (outcome.code.as_str(), outcome.error_type);
            assert_eq!(found, expected, "{kind:?}");
        }
    }

    #[test]
    fn each_end_of_a_call_on_both_sides() {
        let ok = Some(200);
        let done = Ending::Complete;
        check(Some(Code::Ok), ok, done, false, ("OK", None), ("OK", None));
        check(Some(Code::Ok), ok, done, true, ("OK", None), ("OK", None));
        let found = ("NOT_FOUND", Some("NOT_FOUND"));
        check(
            Some(Code::NotFound),
            ok,
            done,
            false,
            ("NOT_FOUND", None),
            found,
        );
        let internal = ("INTERNAL", Some("INTERNAL"));
        check(Some(Code::Internal), ok, done, false, internal, internal);
        // Dropped although the head had said it all.
        check(
            Some(Code::NotFound),
            ok,
            Ending::Left,
            false,
            ("NOT_FOUND", None),
            found,
        );
        // No status came.
        let unknown = ("UNKNOWN", Some("UNKNOWN"));
        check(None, ok, done, false, unknown, unknown);
        let unavailable = ("UNAVAILABLE", Some("UNAVAILABLE"));
        check(None, Some(503), done, false, unavailable, unavailable);
        // Given up.
        let cancelled = ("CANCELLED", Some("CANCELLED"));
        check(
            None,
            ok,
            Ending::Left,
            false,
            ("CANCELLED", None),
            cancelled,
        );
        let late = ("DEADLINE_EXCEEDED", Some("DEADLINE_EXCEEDED"));
        check(None, ok, Ending::Left, true, late, late);
        check(None, None, FAILED, true, late, late);
        check(Some(Code::Cancelled), ok, done, true, late, late);
        check(
            Some(Code::Cancelled),
            ok,
            done,
            false,
            ("CANCELLED", None),
            cancelled,
        );
        // Broken.
        let broken = ("UNAVAILABLE", Some("Broken"));
        check(None, None, FAILED, false, broken, broken);
        let panic = ("UNKNOWN", Some("panic"));
        check(None, None, Ending::Panicked, true, panic, panic);
    }
}
