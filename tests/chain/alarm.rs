//! From traffic to people: traces, metrics, then something breaks, people hear it, and its end.

use std::collections::BTreeMap;

use stack_tests::parts::{Program, Stopwatch, Trace, get_text, tell, until};

use crate::demo::Demo;
use crate::{dependency, links, orders, panels, turn};

/// What a demo that fails tells.
pub(crate) const ALERT: &str = "ServiceErrors";
/// Its error budget burns, too.
const BUDGET: &str = "SloErrorsBurnFast";

#[tokio::test(flavor = "multi_thread")]
async fn traffic_is_seen_and_a_broken_service_heard_and_its_end_in_the_same_thread() {
    let test = "the chain of the demo";
    let Some(_turn) = turn(test, &[&Program::ALL[..], &[Program::Redis]].concat()).await else {
        return;
    };
    let demo = Demo::start().await;
    traces_have_their_parents(&demo).await;
    metrics_are_there(&demo).await;
    links::printed_urls_answer(&demo).await;
    let quiet = demo.alerts().await.expect("Prometheus answers");
    assert_eq!(quiet, ["Watchdog"], "nothing is wrong yet");

    let broken = Stopwatch::start();
    demo.press("/break");
    people_hear(&demo, "firing", 1, broken).await;
    the_mail_has_a_trace(&demo).await;
    links_lead_somewhere(&demo).await;

    people_hear_of(&demo, BUDGET, "firing", broken).await;

    let healed = Stopwatch::start();
    demo.press("/heal");
    people_hear(&demo, "resolved", 2, healed).await;
    is_over(&demo, BUDGET).await;
    people_hear_of(&demo, BUDGET, "resolved", healed).await;
    let mails = demo.mails(ALERT).await.expect("the mailbox opens");
    let last = mails.last().expect("there are two");
    assert!(
        mails.iter().all(|mail| mail.thread == last.thread),
        "{mails:#?}"
    );
    assert_eq!(
        last.subject, mails[0].subject,
        "programs that look at subjects, too"
    );
    own_mailbox_shows_the_same(&demo).await;
    panels::return_data(&demo).await;
    panels::have_exemplars(&demo).await;
    links::exemplars_lead_to_traces(&demo).await;
    links::nobody_counts_probes(&demo).await;
    dependency::dies_and_comes_back(&demo).await;
    demo.stop().await;
}

async fn traces_have_their_parents(demo: &Demo) {
    let since = Stopwatch::start();
    until("the trace of an order", async || {
        let traces = demo.jaeger().traces("shop").await?;
        let orders = traces
            .iter()
            .filter(|trace| orders::number(trace).is_some());
        let whole = orders.map(orders::is_whole_through_redis);
        // The newest may still be on their way.
        let whole: Vec<_> = whole.collect();
        match whole.iter().filter(|whole| whole.is_ok()).count() {
            0 => Err(format!("{whole:?}")),
            _ => Ok(()),
        }
    })
    .await;
    tell(&format!(
        "first whole trace in Jaeger: {:.1?}",
        since.elapsed()
    ));
    one_is("a watched delivery", demo, orders::is_watched).await;
    one_is("a look at an item", demo, orders::is_looked_at).await;
}

/// Waits until one of the shop's traces is as it should be.
async fn one_is(what: &str, demo: &Demo, is_it: fn(&Trace) -> Result<(), String>) {
    until(&format!("the trace of {what}"), async || {
        let traces = demo.jaeger().traces("shop").await?;
        match traces.iter().any(|trace| is_it(trace).is_ok()) {
            true => Ok(()),
            false => Err(format!("none of {}", traces.len())),
        }
    })
    .await;
}

async fn metrics_are_there(demo: &Demo) {
    let expressions = [
        "sum(http_server_request_duration_seconds_count{service=\"shop\"})",
        "sum(http_client_request_duration_seconds_count{service=\"shop\"})",
        "sum(rpc_server_call_duration_seconds_count{service=\"stock\"})",
        "sum(job_duration_seconds_count{service=\"cache\",job_name=\"stock_taking\",outcome=\"success\"})",
        // Counted by the Collector in the spans, under the name of the service that made them.
        "sum(traces_span_metrics_calls_total{service=\"stock\"})",
        "sum(otelcol_exporter_sent_spans)",
        "min(up) == 1",
    ];
    for expression in expressions {
        until(expression, async || match demo.value(expression).await? {
            value if value > 0.0 => Ok(()),
            value => Err(value.to_string()),
        })
        .await;
    }
}

/// Waits for the message number `count` in the mailbox and on the phone.
pub(crate) async fn people_hear(demo: &Demo, status: &str, count: usize, since: Stopwatch) {
    let mails = until("a mail", async || {
        let mails = demo.mails(ALERT).await?;
        // A service that follows later is news of its own.
        match mails.last() {
            Some(last) if mails.len() >= count && last.status == status => Ok(mails),
            _ => Err(format!(
                "{:?}",
                mails.iter().map(|m| &m.status).collect::<Vec<_>>()
            )),
        }
    })
    .await;
    tell(&format!("mail, {status}: {:.1?}", since.elapsed()));
    for mail in &mails {
        assert_eq!(mail.defects, Vec::<String>::new(), "{}", mail.text);
    }
    let word = format!("**{}", status.to_uppercase());
    until("a message of WeCom", async || {
        let phone = demo.phone(ALERT).await?;
        match phone.last() {
            Some(last) if phone.len() >= count && last.contains(&word) => Ok(()),
            _ => Err(format!("{phone:#?}")),
        }
    })
    .await;
    tell(&format!("WeCom, {status}: {:.1?}", since.elapsed()));
}

/// Waits until Jaeger has the span of a mail, and that of the webhook that brought its news.
async fn the_mail_has_a_trace(demo: &Demo) {
    until("the trace of a mail and of its webhook", async || {
        let traces = demo.jaeger().traces("alert-router").await?;
        let spans = || traces.iter().flat_map(|trace| &trace.spans);
        let is = |tags: &BTreeMap<String, String>, key: &str, value: &str| {
            tags.get(key).is_some_and(|found| found == value)
        };
        let is_webhook = |id: &String| {
            spans().any(|span| span.id == *id && is(&span.tags, "url.path", "/webhook"))
        };
        let told = spans().filter(|span| {
            is(&span.tags, "messaging.system", "email")
                && is(&span.tags, "alert_router.outcome", "delivered")
        });
        match told.clone().any(|span| span.links.iter().any(is_webhook)) {
            true => Ok(()),
            false => Err(format!("{:#?}", told.collect::<Vec<_>>())),
        }
    })
    .await;
}

/// Waits until no rule says so any more: of a budget the windows must have passed for each protocol.
async fn is_over(demo: &Demo, alert: &str) {
    until(&format!("the end of {alert}"), async || {
        let alerts = demo.alerts().await?;
        match alerts.iter().any(|name| name == alert) {
            true => Err(format!("{alerts:?}")),
            false => Ok(()),
        }
    })
    .await;
}

/// Waits until the last mail about `alert` says so.
async fn people_hear_of(demo: &Demo, alert: &str, status: &str, since: Stopwatch) {
    let what = format!("a mail: {alert} is {status}");
    until(&what, async || {
        let mails = demo.mails(alert).await?;
        match mails.last() {
            Some(last) if last.status == status => Ok(()),
            last => Err(format!("{last:?}")),
        }
    })
    .await;
    tell(&format!("mail, {alert} {status}: {:.1?}", since.elapsed()));
}

/// A mail and a message link the dashboard, the runbook and the traces; what the demo serves of
/// these is there, and the traces are those of the failed requests.
async fn links_lead_somewhere(demo: &Demo) {
    let mails = demo.mails(ALERT).await.expect("the mailbox opens");
    let phone = demo.phone(ALERT).await.expect("the simulator answers");
    let runbook = format!("http://{}/runbooks/{ALERT}.md", demo.at("start page"));
    let search = format!("http://{}/search?service=", demo.at("start page"));
    let html = mails[0].html.replace("&amp;", "&");
    let start = demo.at("start page");
    let dashboard = format!("http://{start}/d/toolkit-service?");
    let silence = format!("http://{start}/alertmanager/#/silences/new?filter=");
    for text in [&html, &phone[0]] {
        for link in [&runbook, &search, &dashboard, &silence] {
            assert!(text.contains(link), "no {link} in {text}");
        }
    }
    let page = get_text(&runbook).await.expect("the runbook is served");
    assert!(page.contains(ALERT), "{page}");
    for link in [&dashboard, &silence] {
        get_text(link).await.expect("the demo has a page for it");
    }
    links::a_silence_is_made(demo).await;

    let (_, query) = html.split_once(&search).expect("it was there");
    let end = query.find('"').expect("it is the value of href");
    let query = format!("service={}", &query[..end]);
    let found = until("the traces of the link", async || {
        match demo.jaeger().search(&query).await? {
            found if found.is_empty() => Err("nothing".to_owned()),
            found => Ok(found),
        }
    })
    .await;
    let shown = get_text(&format!("http://{}/search?{query}", demo.at("start page"))).await;
    let shown = shown.expect("the demo shows traces");
    assert!(shown.contains("<tr class=\"failed\">"), "{shown}");
    for trace in found {
        let failed = |tag: Option<&String>| tag.is_some_and(|value| value == "true");
        let has_failed = trace
            .spans
            .iter()
            .any(|span| failed(span.tags.get("error")));
        assert!(has_failed, "{query} finds {trace:#?}");
    }
}

/// What a user of the demo sees, who has no mail server.
async fn own_mailbox_shows_the_same(demo: &Demo) {
    let url = format!("http://{}/mail", demo.at("start page"));
    until("the mails in the demo's own mailbox", async || {
        let page = get_text(&url).await?;
        let mut threads = page.split("<section class=thread>").skip(1);
        let thread = threads.find(|thread| thread.contains(ALERT));
        match thread.map(|thread| thread.matches("<iframe").count()) {
            Some(mails) if mails >= 2 => Ok(()),
            found => Err(format!("{found:?} in {page}")),
        }
    })
    .await;
}
