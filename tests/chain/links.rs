//! What the demo shows to click on leads somewhere.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;
use stack_tests::parts::{get_json, get_text, tell, until};
use stack_tests::post_json;

use crate::demo::Demo;

/// What was said at the start, and what the start page links.
///
/// # Panics
/// Somebody who follows one finds nothing.
pub(crate) async fn printed_urls_answer(demo: &Demo) {
    let page = get_text(&format!("http://{}/view", demo.at("start page"))).await;
    let page = page.expect("the start page answers").replace("&amp;", "&");
    let urls: BTreeSet<String> = [demo.log(), page]
        .iter()
        .flat_map(|text| urls(text))
        .collect();
    let mut dead = Vec::new();
    for url in &urls {
        dead.extend(get_text(url).await.err());
    }
    assert!(dead.is_empty(), "{dead:#?}");
    let own = [
        "/alerts",
        "/targets",
        "/graph",
        "/search?service=shop",
        "/mail",
    ];
    for page in own {
        assert!(
            urls.iter().any(|url| url.ends_with(page)),
            "no {page} in {urls:#?}"
        );
    }
    tell(&format!("{} printed addresses answer", urls.len()));
}

/// As the page behind the link "Silence" does it.
///
/// # Panics
/// Alertmanager does not get it, or keeps it.
pub(crate) async fn a_silence_is_made(demo: &Demo) {
    let silence = json!({
        "matchers": [{"name": "alertname", "value": "Other", "isRegex": false, "isEqual": true}],
        "startsAt": "2026-01-01T00:00:00Z", "endsAt": "2099-01-01T00:00:00Z",
        "createdBy": "test", "comment": "test",
    });
    let through_the_page = "/alertmanager/api/v2/silences";
    let made = post_json(
        demo.at("start page"),
        through_the_page,
        &silence.to_string(),
    );
    let (status, body) = made.expect("the page answers");
    assert_eq!(status, 200, "{body}");
    let url = format!("http://{}/api/v2/silences", demo.at("Alertmanager"));
    let silences = get_json(&url).await.expect("Alertmanager answers");
    assert_eq!(silences[0]["createdBy"], "test", "{silences}");
}

/// Those in a text, each to the next space or quote.
fn urls(text: &str) -> Vec<String> {
    let starts = text.match_indices("http://").map(|(at, _)| &text[at..]);
    let end = |url: &str| url.find(|c: char| c.is_whitespace() || "\"<".contains(c));
    let whole = |url: &str| url[..end(url).unwrap_or(url.len())].to_owned();
    starts.map(whole).collect()
}

/// Every point of every graph: those of the services, of alert-router and of the Collector.
///
/// # Panics
/// An exemplar names no trace, or one that Jaeger does not get.
pub(crate) async fn exemplars_lead_to_traces(demo: &Demo) {
    let all = demo.exemplars("{__name__=~\".+_bucket\"}").await;
    let all = all.expect("Prometheus has exemplars");
    let mut seen = BTreeMap::<_, usize>::new();
    for exemplar in &all {
        let trace = exemplar.labels["trace_id"].as_str();
        let trace = trace.unwrap_or_else(|| panic!("it names no trace: {exemplar:?}"));
        // The youngest are still on their way.
        until(&format!("the trace of {exemplar:?}"), async || {
            demo.jaeger().trace(trace).await
        })
        .await;
        let service = exemplar.series["service"].as_str().unwrap_or_default();
        *seen.entry(service).or_default() += 1;
    }
    tell(&format!("exemplars followed to their traces: {seen:?}"));
    for service in ["alert-router", "cache", "shop", "stock"] {
        assert!(seen.contains_key(service), "none of {service}: {seen:?}");
    }
}

/// Whoever looks all the time is no load: no request rate and no objective has them.
///
/// # Panics
/// A service counts who scrapes it or asks how it is.
pub(crate) async fn nobody_counts_probes(demo: &Demo) {
    let probes = "http_route=~\"/metrics|/healthz|/readyz|/-/healthy|/-/ready\"";
    let counted = format!("http_server_request_duration_seconds_count{{{probes}}}");
    let counted = demo.values(&counted).await.expect("Prometheus answers");
    assert!(counted.is_empty(), "{counted:?}");
}
