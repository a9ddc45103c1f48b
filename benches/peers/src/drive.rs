//! Requests through a router, in process: called, and the body read to its end.

use std::str::FromStr;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderValue, Request, StatusCode};
use http_body_util::BodyExt as _;
use tokio::runtime::Runtime;
use tower::Service as _;

use crate::{ROUTES, Stack, build};

/// Requests between two flushes: fewer spans than a batch processor's queue holds, even with three
/// children each. Nothing may be dropped, or it would look cheap.
pub const CHUNK: usize = 500;

/// What is asked of a stack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Case {
    /// The caller samples.
    Sampled,
    /// The caller does not.
    Unsampled,
    /// As sampled, with three nested `#[instrument]` functions in the handler.
    SampledNested,
    /// As unsampled, with these.
    UnsampledNested,
    /// As sampled, with an event in the handler that becomes a line of the log.
    SampledLogged,
    /// As unsampled, with that.
    UnsampledLogged,
}

impl Case {
    const ALL: [Self; 6] = [
        Self::Sampled,
        Self::Unsampled,
        Self::SampledNested,
        Self::UnsampledNested,
        Self::SampledLogged,
        Self::UnsampledLogged,
    ];

    /// As it stands in a table.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sampled => "sampled",
            Self::Unsampled => "unsampled",
            Self::SampledNested => "sampled-nested",
            Self::UnsampledNested => "unsampled-nested",
            Self::SampledLogged => "sampled-logged",
            Self::UnsampledLogged => "unsampled-logged",
        }
    }

    fn traceparent(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Self::Sampled | Self::SampledNested | Self::SampledLogged => {
                "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
            }
            Self::Unsampled | Self::UnsampledNested | Self::UnsampledLogged => {
                "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00"
            }
        })
    }

    fn path(self, route: usize) -> String {
        match self {
            Self::Sampled | Self::Unsampled => format!("/plain/{route}/7"),
            Self::SampledNested | Self::UnsampledNested => format!("/nested/{route}/7"),
            Self::SampledLogged | Self::UnsampledLogged => format!("/logged/{route}/7"),
        }
    }
}

impl FromStr for Case {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|case| case.name() == name);
        found.ok_or_else(|| format!("no such case: {name}"))
    }
}

async fn drive(router: &mut Router, case: Case, requests: usize) {
    let traceparent = case.traceparent();
    let paths: Vec<String> = (0..ROUTES).map(|route| case.path(route)).collect();
    for number in 0..requests {
        let request = Request::get(&paths[number % ROUTES])
            .header("traceparent", traceparent.clone())
            .header("host", "orders.example")
            .header("user-agent", "peers")
            .body(Body::empty())
            .expect("the request is well formed");
        let Ok(response) = router.call(request).await;
        assert_eq!(response.status(), StatusCode::OK);
        let body = response
            .into_body()
            .collect()
            .await
            .expect("the body has an end");
        assert_eq!(body.to_bytes().len(), 1);
    }
}

/// A runtime and the stack of that name on it.
pub fn start(name: &str) -> Result<(Runtime, Stack), Box<dyn std::error::Error>> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let stack = {
        let _entered = runtime.enter();
        build(name).ok_or("no such stack")?
    };
    Ok((runtime, stack))
}

/// Drives so many requests, under a name that a profiler can find.
#[inline(never)]
pub fn measured_chunk(runtime: &Runtime, router: &mut Router, case: Case, requests: usize) {
    runtime.block_on(drive(router, case, requests));
}
