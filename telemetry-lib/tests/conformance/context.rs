//! W3C Trace Context Level 2 and Baggage: what comes in, and what a service then sends on.

use super::read::ABSENT;
use super::service::Service;

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT: &str = "00f067aa0ba902b7";

/// What the rule says, the flags or the whole header that comes in, and whether the trace
/// continues: with these flags, or not at all.
const TRACEPARENT: [(&str, &str, &str); 15] = [
    ("not sampled stays not sampled", "00-{ids}-00", "00"),
    ("sampled stays sampled", "00-{ids}-01", "01"),
    ("the random flag is kept (Level 2)", "00-{ids}-03", "03"),
    ("… also without the sampled one", "00-{ids}-02", "02"),
    ("unknown flags are not sent on", "00-{ids}-ff", "03"),
    (
        "a later version is read as far as it is known",
        "01-{ids}-01-more",
        "01",
    ),
    (
        "a later version without more is read too",
        "cc-{ids}-01",
        "01",
    ),
    ("version ff is invalid", "ff-{ids}-01", ABSENT),
    ("version 00 has four fields", "00-{ids}-01-more", ABSENT),
    ("three fields are too few", "00-{ids}", ABSENT),
    ("upper case is invalid", "00-{IDS}-01", ABSENT),
    (
        "an id of zeros is invalid",
        "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
        ABSENT,
    ),
    (
        "so is a parent of zeros",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
        ABSENT,
    ),
    ("digits are hexadecimal", "00-{ids}-0g", ABSENT),
    ("what is no header of this kind", "nonsense", ABSENT),
];

/// What the rule says, what comes in, and what is sent on.
fn states() -> [(&'static str, String, String); 7] {
    let members = |count: usize| {
        let members: Vec<_> = (0..count).map(|at| format!("k{at}=v")).collect();
        members.join(",")
    };
    let same = |rule, state: String| (rule, state.clone(), state);
    let none = |rule, state: String| (rule, state, ABSENT.to_owned());
    [
        same("the order is kept", "b=2,a=1".to_owned()),
        same("keys of tenants", "t@v=1,a=2".to_owned()),
        same(
            "the threshold and randomness of another sampler",
            "ot=th:fd70a4;rv:0123456789abcd".to_owned(),
        ),
        same("32 members", members(32)),
        same(
            "512 characters",
            format!("a={}", "x".repeat(254)) + &format!(",b={}", "y".repeat(253)),
        ),
        none("33 members belong to nobody", members(33)),
        none("a member without a value", "a".to_owned()),
    ]
}

fn line(text: &str, name: &str) -> String {
    let found = text
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
    found.unwrap().to_owned()
}

async fn relayed(service: &Service, headers: &str) -> String {
    let request = format!("GET /relay HTTP/1.1\n{headers}");
    service.send(request.trim()).await.text()
}

#[tokio::test]
async fn traceparent_is_read_and_written_as_level_2_says() {
    let service = Service::start().await;
    let ids = format!("{TRACE}-{PARENT}");
    for (rule, incoming, flags) in TRACEPARENT {
        let incoming = incoming
            .replace("{ids}", &ids)
            .replace("{IDS}", &ids.to_uppercase());
        let sent = relayed(&service, &format!("traceparent: {incoming}")).await;
        let sent = line(&sent, "traceparent");
        let parts: Vec<&str> = sent.split('-').collect();
        let form = (sent.len(), parts.len(), parts[0]);
        assert_eq!(form, (55, 4, "00"), "{rule}: {sent}");
        assert_eq!(sent, sent.to_lowercase(), "{rule}");
        let expected = match flags {
            // A trace of our own is sampled and random.
            ABSENT => (false, "03"),
            flags => (true, flags),
        };
        assert_eq!((parts[1] == TRACE, parts[3]), expected, "{rule}: {sent}");
        assert_ne!(
            parts[2], PARENT,
            "the parent is the service's own span: {rule}"
        );
        if expected.1.ends_with(['1', '3']) {
            let span = service.span().await;
            assert_eq!(
                (parts[1], parts[2]),
                (&*span.trace_id(), &*span.span_id()),
                "{rule}"
            );
            let parent = if expected.0 { PARENT } else { "" };
            assert_eq!(span.parent_span_id(), parent, "{rule}");
        }
    }
}

#[tokio::test]
async fn an_unsampled_caller_gets_no_span_and_a_sampled_one_a_child() {
    let service = Service::start().await;
    relayed(&service, &format!("traceparent: 00-{TRACE}-{PARENT}-00")).await;
    assert!(service.telemetry.spans().await.is_empty());
    relayed(&service, &format!("traceparent: 00-{TRACE}-{PARENT}-01")).await;
    let span = service.span().await;
    assert_eq!(
        (span.trace_id(), span.parent_span_id()),
        (TRACE.to_owned(), PARENT.to_owned())
    );
}

#[tokio::test]
async fn tracestate_travels_whole_or_not_at_all() {
    let service = Service::start().await;
    let parent = format!("traceparent: 00-{TRACE}-{PARENT}-01");
    for (rule, incoming, expected) in states() {
        let sent = relayed(&service, &format!("{parent}\ntracestate: {incoming}")).await;
        assert_eq!(line(&sent, "tracestate"), expected, "{rule}");
        assert_eq!(service.span().await.trace_id(), TRACE, "{rule}");
    }
    let sent = relayed(&service, &parent).await;
    assert_eq!(line(&sent, "tracestate"), ABSENT, "no empty header");
    let alone = relayed(&service, "tracestate: a=1").await;
    assert_eq!(
        line(&alone, "tracestate"),
        ABSENT,
        "without its traceparent it means nothing"
    );
    let lines = format!("{parent}\ntracestate: a=1\ntracestate: b=2");
    assert_eq!(
        line(&relayed(&service, &lines).await, "tracestate"),
        "a=1,b=2"
    );
}

#[tokio::test]
async fn baggage_has_at_most_64_members_and_8192_bytes() {
    let service = Service::start().await;
    let members = |count: usize, value: &str| {
        let members: Vec<_> = (0..count).map(|at| format!("k{at}={value}")).collect();
        members.join(",")
    };
    let sent = |incoming: String| {
        let service = &service;
        async move {
            let sent = relayed(service, &format!("baggage: {incoming}")).await;
            let sent = line(&sent, "baggage");
            if sent == ABSENT {
                0
            } else {
                sent.split(',').count()
            }
        }
    };
    assert_eq!(sent(members(64, "v")).await, 64);
    assert!(sent(members(65, "v")).await <= 64);
    assert_eq!(sent(members(8, &"v".repeat(1_000))).await, 8);
    assert!(sent(members(9, &"v".repeat(1_000))).await <= 8);
}

/// A value of the variable, and whether a trace continues from `traceparent`, baggage is read, a
/// trace continues from `b3` and from `x-b3-*`. What is written: `tests/propagation`.
const PROPAGATORS: [(&str, [bool; 4]); 8] = [
    ("tracecontext,baggage", [true, true, false, false]),
    ("TraceContext", [true, false, false, false]),
    ("baggage", [false, true, false, false]),
    ("none", [false, false, false, false]),
    ("tracecontext,tracecontext", [true, false, false, false]),
    ("b3", [false, false, true, true]),
    ("b3multi", [false, false, true, true]),
    ("B3,baggage", [false, true, true, true]),
];

#[tokio::test]
async fn the_variable_chooses_the_propagators_of_the_server() {
    for (value, expected) in PROPAGATORS {
        let service = Service::with(&[("OTEL_PROPAGATORS", value)], |config| {
            config.baggage_attributes(["user".to_owned()])
        })
        .await;
        let mut read = Vec::new();
        for headers in [
            format!("traceparent: 00-{TRACE}-{PARENT}-01"),
            "baggage: user=7".to_owned(),
            format!("b3: {TRACE}-{PARENT}-1"),
            format!("x-b3-traceid: {TRACE}\nx-b3-spanid: {PARENT}\nx-b3-sampled: 1"),
        ] {
            relayed(&service, &headers).await;
            let span = service.span().await;
            read.push(span.trace_id() == TRACE || span.attribute("user").is_some());
        }
        assert_eq!(read, expected, "{value}");
    }
}
