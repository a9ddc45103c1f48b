//! The page as a scraper sees it (F18, F19, F20, F34, F42).

mod impossible;
mod pages;
mod requests;

use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ::http::HeaderMap;
use opentelemetry::trace::{SpanId, TraceId};
use prometheus::{
    Counter, CounterVec, Gauge, Histogram, HistogramOpts, HistogramVec, Opts, Registry,
};
use proptest::prelude::*;

use super::negotiate::Format;
use super::*;
use crate::clock::Elapsed;
use crate::notice::tests::recorded;
use crate::testing::Exposition;

const OPEN: &str = "application/openmetrics-text;version=1.0.0";
const TEXT: &str = "text/plain;version=0.0.4";

fn metrics(max_series: usize) -> (Metrics, Arc<Mutex<Vec<String>>>) {
    let (notices, lines) = recorded();
    let config = MetricsConfig { max_series };
    let own = Own {
        target: Box::new(|| r#"service_name="orders",service_version="1.2.3""#.into()),
        health: ExportHealth::new(notices.clone()),
        logs: Logs::new(&crate::Config::from_vars("test", []).logs, notices.clone()),
    };
    (Metrics::new(&config, Arc::default(), own, notices), lines)
}

fn scrape(metrics: &Metrics, accept: &str) -> (String, String) {
    let mut headers = HeaderMap::new();
    headers.insert("accept", accept.parse().unwrap());
    let response = metrics.render(&headers);
    let content_type = response.headers()["content-type"]
        .to_str()
        .unwrap()
        .to_owned();
    let body = String::from_utf8(response.into_body().to_vec()).unwrap();
    (content_type, body)
}

#[track_caller]
fn page(metrics: &Metrics, accept: &str) -> Exposition {
    let (content_type, body) = scrape(metrics, accept);
    Exposition::parse(&content_type, &body).unwrap_or_else(|error| panic!("{error}"))
}

fn request<'a>(route: &'a str, millis: u64) -> Observation<'a> {
    Observation {
        method: "GET",
        number: 0,
        scheme: "http",
        version: "1.1",
        route: Some(route),
        status: Some(200),
        error_type: None,
        duration: Duration::from_millis(millis),
        request_body: None,
        response_body: None,
        exemplar: None,
    }
}

fn at(second: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_795_000_000 + second)
}

fn exemplar(second: u64) -> Option<Exemplar> {
    Some(Exemplar {
        trace_id: TraceId::from(0xabc),
        span_id: SpanId::from(0xdef),
        at: at(second),
    })
}

/// Some of everything, with a registry of the user's.
fn busy() -> Metrics {
    let (metrics, _) = metrics(100);
    let http = metrics.http_server();
    http.observe(&Observation {
        exemplar: exemplar(0),
        ..request("/users/{id}", 30)
    });
    http.observe(&Observation {
        request_body: Some(0),
        response_body: Some(5_000),
        ..request("/users/{id}", 30)
    });
    http.observe(&Observation {
        route: None,
        status: None,
        error_type: Some("cancelled"),
        ..request("", 12_000)
    });
    std::mem::forget(http.start(3, "POST", "https"));
    http.malformed("traceparent");
    metrics.http_client().observe(&ClientObservation {
        method: "GET",
        address: "stock",
        port: 8080,
        version: "1.1",
        status: Some(200),
        error_type: None,
        duration: Duration::from_millis(4),
        exemplar: exemplar(1),
    });
    let duration = Duration::from_millis(40);
    let run = Elapsed {
        duration,
        start: at(5) - duration,
        end: at(5),
    };
    metrics.jobs().observe("sweep", JobOutcome::Success, run);
    let call = CallObservation {
        method: "shop.Orders/Get",
        code: "NOT_FOUND",
        error_type: "",
        duration: Duration::from_millis(3),
    };
    metrics.rpc().observe_server(&call, exemplar(60));
    let server = RpcServer::new("orders", Some(50_051));
    metrics.rpc().observe_client(
        &CallObservation {
            error_type: "NOT_FOUND",
            ..call
        },
        Some(&server),
        None,
    );
    let registry = Registry::new();
    let sold = Counter::with_opts(Opts::new("shop_sold", "Things \"sold\".")).unwrap();
    sold.inc();
    registry.register(Box::new(sold)).unwrap();
    let total = Counter::with_opts(Opts::new("shop_paid_total", "Paid.")).unwrap();
    registry.register(Box::new(total)).unwrap();
    let opts = HistogramOpts::new("shop_wait", "Waited.").buckets(vec![1.0, 2.5]);
    let wait = Histogram::with_opts(opts).unwrap();
    wait.observe(1.5);
    registry.register(Box::new(wait)).unwrap();
    metrics.collect(registry);
    metrics
}

/// Without what differs from run to run.
fn steady(page: &str) -> String {
    let kept = page.lines().filter(|line| !line.contains("process_"));
    kept.collect::<Vec<_>>().join("\n")
}

#[test]
fn the_page_in_text_0_0_4() {
    insta::assert_snapshot!(steady(&scrape(&busy(), TEXT).1));
}

#[test]
fn the_page_in_open_metrics() {
    insta::assert_snapshot!(steady(&scrape(&busy(), OPEN).1));
}

#[test]
fn promtool_finds_nothing_to_complain_about() {
    let page = scrape(&busy(), TEXT).1;
    // The user's names are the user's: only ours are linted.
    let ours: String = page
        .split_inclusive('\n')
        .filter(|line| !line.contains("shop_"))
        .collect();
    let promtool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut promtool = match promtool {
        Ok(promtool) => promtool,
        Err(error) if std::env::var_os("CI").is_none() => {
            let said = format!("promtool: apt-get install prometheus ({error})");
            // Past the harness, which swallows what a passing test prints.
            let test = "promtool_finds_nothing_to_complain_about";
            writeln!(std::io::stderr(), "\nNOT RUN: {test}: {said}").unwrap();
            return;
        }
        Err(error) => panic!("CI needs promtool: {error}"),
    };
    let mut stdin = promtool.stdin.take().unwrap();
    stdin.write_all(ours.as_bytes()).unwrap();
    drop(stdin);
    let output = promtool.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.is_empty(), "{said}\n{ours}");
}

#[test]
fn every_declared_metric_and_no_other_is_on_the_page() {
    let metrics = busy();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    metrics.watch_runtime(runtime.handle().clone());
    let page = page(&metrics, TEXT);
    let shown: Vec<_> = page
        .types()
        .keys()
        .filter(|name| !name.starts_with("shop_"))
        .cloned()
        .collect();
    let declared: Vec<_> = catalog::catalog().iter().map(|desc| desc.name).collect();
    assert_eq!(shown, declared);
}

#[test]
fn an_exemplar_is_shown_with_its_bucket_and_only_in_open_metrics() {
    let metrics = busy();
    let open = page(&metrics, OPEN);
    let exemplars = open.exemplars("http_server_request_duration_seconds");
    assert_eq!(exemplars.len(), 1);
    assert_eq!(
        exemplars[0].labels["trace_id"],
        "00000000000000000000000000000abc"
    );
    assert_eq!(exemplars[0].labels["span_id"], "0000000000000def");
    assert_eq!(
        (exemplars[0].value, exemplars[0].timestamp),
        (0.03, Some(1_795_000_000.0))
    );
    assert!(
        page(&metrics, TEXT)
            .exemplars("http_server_request_duration_seconds")
            .is_empty()
    );
}

#[test]
fn only_a_taken_exemplar_says_so() {
    let (metrics, _) = metrics(10);
    let http = metrics.http_server();
    let offer = |second, millis| {
        http.observe(&Observation {
            exemplar: exemplar(second),
            ..request("/", millis)
        })
    };
    assert!(!http.observe(&request("/", 1)));
    assert_eq!(
        [offer(0, 1), offer(1, 1), offer(1, 60), offer(15, 1)],
        [true, false, true, true]
    );
}

#[test]
fn f18_a_flood_of_methods_and_routes_leaves_the_page_as_long_as_its_cap() {
    let (metrics, _) = metrics(100);
    let http = metrics.http_server();
    for number in 0..20_000 {
        let text = number.to_string();
        drop(http.start(usize::MAX, &text, "http"));
        http.observe(&Observation {
            method: &text,
            number: usize::MAX,
            ..request(&text, 1)
        });
    }
    let page = page(&metrics, TEXT);
    let count = |name: &str| {
        page.samples()
            .iter()
            .filter(|sample| sample.name == name)
            .count()
    };
    assert_eq!(count("http_server_request_duration_seconds_count"), 89);
    assert_eq!(count("http_server_active_requests"), 101);
}

#[test]
fn f34_totals_still_add_up_and_the_label_is_reported() {
    let (metrics, lines) = metrics(100);
    let http = metrics.http_server();
    for user in 0..1_000 {
        http.observe(&request(&format!("/{user}"), 1));
    }
    let page = page(&metrics, OPEN);
    assert_eq!(
        page.total("http_server_request_duration_seconds_count"),
        1_000.0
    );
    let overflow = [("otel_metric_overflow", "true")];
    let beyond = page.value("http_server_request_duration_seconds_count", &overflow);
    assert_eq!(beyond, Some(912.0));
    let metric = [("metric", "http_server_request_duration_seconds")];
    assert_eq!(
        page.value("telemetry_metric_overflow_total", &metric),
        Some(912.0)
    );
    let lines = lines.lock().unwrap();
    assert_eq!(lines.len(), 1);
    assert!(
        lines[0].contains("its label http_route has 88 values"),
        "{lines:?}"
    );
}

#[test]
fn f19_hostile_label_values_are_read_back_as_they_were() {
    let hostile = [
        "a\"b",
        "a\\",
        "a\nb",
        "\u{fffd}",
        "a,b=\"c\"} 1\n",
        "日本",
        "\r\t\u{1}",
        "# EOF",
    ];
    let (metrics, _) = metrics(100);
    let registry = Registry::new();
    let mine = CounterVec::new(Opts::new("mine_total", "a\\b\n\"c\"."), &["value"]).unwrap();
    registry.register(Box::new(mine.clone())).unwrap();
    metrics.collect(registry);
    for value in hostile {
        mine.with_label_values(&[value]).inc();
        metrics.http_server().observe(&request(value, 1));
    }
    for accept in [TEXT, OPEN] {
        let page = page(&metrics, accept);
        for value in hostile {
            assert_eq!(
                page.value("mine_total", &[("value", value)]),
                Some(1.0),
                "{value:?}"
            );
            let count = "http_server_request_duration_seconds_count";
            assert_eq!(
                page.value(count, &[("http_route", value)]),
                Some(1.0),
                "{value:?}"
            );
        }
    }
}

#[test]
fn histograms_of_a_registry_have_the_newest_exemplar_of_each_bucket_in_openmetrics() {
    let (metrics, _) = metrics(10);
    let registry = Registry::new();
    let opts = HistogramOpts::new("wait_seconds", "Theirs.").buckets(vec![1.0, 60.0]);
    let theirs = HistogramVec::new(opts, &["to"]).unwrap();
    registry.register(Box::new(theirs.clone())).unwrap();
    metrics.collect(registry);
    let exemplars = Exemplars::default();
    metrics.collect_exemplars(exemplars.clone());
    let series = theirs.with_label_values(&["a\"b le=\"1\" \n"]);
    let at = UNIX_EPOCH + Duration::from_secs(1_795_000_000);
    for (id, value) in [
        ("old", 0.25),
        ("new", 0.5),
        ("late", 1e9),
        (&"x".repeat(120), 2.0),
    ] {
        series.observe(value);
        let labels = [("job_id", id), ("trace_id", "1")];
        exemplars.mark(&series, value, &labels, at);
    }
    let (_, body) = scrape(&metrics, OPEN);
    page(&metrics, OPEN);
    let tails: Vec<_> = body
        .lines()
        .filter_map(|line| line.strip_prefix("wait_seconds_bucket{")?.split_once(" # "))
        .map(|(_, tail)| tail)
        .collect();
    let expected = [
        "{job_id=\"new\",trace_id=\"1\"} 0.5 1795000000.000",
        "{job_id=\"late\",trace_id=\"1\"} 1000000000 1795000000.000",
    ];
    assert_eq!(tails, expected);
    assert!(!scrape(&metrics, TEXT).1.contains("job_id"));
}

#[derive(Clone)]
struct Panics(prometheus::core::Desc);

impl prometheus::core::Collector for Panics {
    fn desc(&self) -> Vec<&prometheus::core::Desc> {
        vec![&self.0]
    }
    fn collect(&self) -> Vec<prometheus::proto::MetricFamily> {
        panic!("scripted")
    }
}

#[test]
fn f20_a_collector_that_panics_costs_its_registry_and_nothing_else() {
    let metrics = busy();
    let registry = Registry::new();
    let desc = prometheus::core::Desc::new("bad".into(), "Bad.".into(), vec![], [].into());
    registry.register(Box::new(Panics(desc.unwrap()))).unwrap();
    metrics.collect(registry);
    page(&metrics, TEXT);
    let page = page(&metrics, OPEN);
    assert_eq!(
        page.value("telemetry_scrape_failures_total", &[]),
        Some(2.0)
    );
    assert_eq!(page.value("shop_sold", &[]), Some(1.0));
    assert!(page.value("bad", &[]).is_none());
}

#[test]
fn f42_an_impossible_value_of_the_users_stays_readable() {
    let (metrics, _) = metrics(10);
    let registry = Registry::new();
    for (name, value) in [
        ("nan", f64::NAN),
        ("inf", f64::INFINITY),
        ("neg", f64::NEG_INFINITY),
    ] {
        let gauge = Gauge::with_opts(Opts::new(name, "Odd.")).unwrap();
        gauge.set(value);
        registry.register(Box::new(gauge)).unwrap();
    }
    let options = HistogramOpts::new("odd", "Odd.").buckets(vec![1.0]);
    let odd = Histogram::with_opts(options).unwrap();
    odd.observe(f64::NAN);
    odd.observe(0.5);
    registry.register(Box::new(odd)).unwrap();
    metrics.collect(registry);
    for format in [TEXT, OPEN] {
        let page = page(&metrics, format);
        assert!(page.value("nan", &[]).unwrap().is_nan());
        assert_eq!(page.value("inf", &[]), Some(f64::INFINITY));
        assert_eq!(page.value("neg", &[]), Some(f64::NEG_INFINITY));
        // Without the sum there could be no count in OpenMetrics.
        assert!(page.value("odd_sum", &[]).unwrap().is_nan());
        assert_eq!(page.value("odd_count", &[]), Some(2.0));
        assert_eq!(page.value("odd_bucket", &[("le", "1")]), Some(1.0));
        assert_eq!(page.value("odd_bucket", &[("le", "+Inf")]), Some(2.0));
    }
}

#[test]
fn on_a_clash_of_names_the_users_metric_stays() {
    for taken in [
        "http_server_request_duration_seconds",
        "http_server_request_duration_seconds_count",
        "process_threads",
        "telemetry_export_retries",
    ] {
        let (metrics, lines) = metrics(10);
        metrics.http_server().observe(&request("/", 1));
        let registry = Registry::new();
        let theirs = Gauge::with_opts(Opts::new(taken, "Theirs.")).unwrap();
        theirs.set(-5.0);
        registry.register(Box::new(theirs)).unwrap();
        metrics.collect(registry);
        page(&metrics, TEXT);
        let page = page(&metrics, OPEN);
        assert_eq!(page.value(taken, &[]), Some(-5.0));
        assert_eq!(
            page.value("telemetry_metric_families_hidden", &[]),
            Some(1.0),
            "{taken}"
        );
        let lines = lines.lock().unwrap();
        assert_eq!(lines.len(), 1, "{lines:?}");
        assert!(lines[0].contains("is on /metrics already"), "{lines:?}");
    }
}

#[test]
fn gzip_holds_the_same_page() {
    let metrics = busy();
    let mut headers = HeaderMap::new();
    headers.insert("accept-encoding", "gzip".parse().unwrap());
    let response = metrics.render(&headers);
    assert_eq!(response.headers()["content-encoding"], "gzip");
    assert_eq!(response.headers()["vary"], "accept, accept-encoding");
    let mut page = String::new();
    let body = response.into_body();
    let mut decoder = flate2::read::GzDecoder::new(&body[..]);
    std::io::Read::read_to_string(&mut decoder, &mut page).unwrap();
    assert_eq!(steady(&page), steady(&scrape(&metrics, TEXT).1));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Values, labels and names do not depend on the format that a scraper prefers.
    #[test]
    fn one_gather_has_the_same_samples_in_both_formats(
        requests in proptest::collection::vec((".{0,8}", 0_u64..20_000, any::<bool>()), 0..20),
        names in proptest::collection::btree_set("[a-z]{1,3}(_total|_count|_info)?", 0..6),
        label in ".{0,8}",
    ) {
        let (metrics, _) = metrics(8);
        for (route, millis, sampled) in &requests {
            let exemplar = exemplar(*millis).filter(|_| *sampled);
            metrics.http_server().observe(&Observation { exemplar, ..request(route, *millis) });
        }
        let registry = Registry::new();
        for (index, name) in names.iter().enumerate() {
            let opts = Opts::new(name, "Theirs \\ \"quoted\".").const_label("label", &label);
            if index % 2 == 0 {
                let counter = Counter::with_opts(opts).unwrap();
                counter.inc_by(index as f64 / 3.0);
                registry.register(Box::new(counter)).unwrap();
            } else {
                registry.register(Box::new(Gauge::with_opts(opts).unwrap())).unwrap();
            }
        }
        metrics.collect(registry);
        let gathered = metrics.gather();
        let samples = |format, content_type| {
            let body = text::encode(&gathered, format, 0);
            let page = Exposition::parse(content_type, &body);
            let page = page.unwrap_or_else(|error| panic!("{error}\n{body}"));
            let mut samples = page.samples().to_vec();
            for sample in &mut samples {
                sample.exemplar = None;
            }
            samples
        };
        prop_assert_eq!(
            samples(Format::Text, "text/plain"),
            samples(Format::OpenMetrics, "application/openmetrics-text")
        );
    }
}
