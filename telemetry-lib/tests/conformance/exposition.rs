//! The page: the rules for a Prometheus exporter (OpenTelemetry specification 1.60) and of the
//! formats text 0.0.4 and OpenMetrics 1.0, each with a check of the text that a scraper got.

use std::convert::Infallible;
use std::io::Write;
use std::process::{Command, Stdio};

use http::{Request, Response, StatusCode};
use telemetry_lib::prometheus::{IntCounter, IntCounterVec, Opts, Registry};
use telemetry_lib::testing::Exposition;
use tower::{Layer, ServiceExt, service_fn};

use super::read::{self, labels, series};
use super::service::Service;

const TEXT: &str = "text/plain;version=0.0.4";
const OPEN: &str = "application/openmetrics-text;version=1.0.0";
const DURATION: &str = "http_server_request_duration_seconds";

/// A page in one format.
pub(crate) struct Page {
    pub(crate) text: String,
    pub(crate) read: Exposition,
}

type Rule = (&'static str, fn(&Page, &Page) -> bool);

/// Each says something about the same moment in text 0.0.4 and in OpenMetrics.
const RULES: [Rule; 16] = [
    (
        "metric names have only a-z, A-Z, 0-9, _ and :",
        |text, open| {
            both(text, open, |page| {
                samples(page, |it| is_name(&it.name, true))
            })
        },
    ),
    ("label names have only a-z, A-Z, 0-9 and _", |text, open| {
        both(text, open, |page| {
            samples(page, |it| it.labels.keys().all(|name| is_name(name, false)))
        })
    }),
    ("no name has two underscores in a row", |text, open| {
        both(text, open, |page| {
            samples(page, |it| !it.name.contains("__"))
        })
    }),
    ("counters end in _total in both formats", |text, open| {
        both(text, open, |page| {
            let counters = page
                .read
                .types()
                .iter()
                .filter(|(_, kind)| *kind == "counter");
            let mut names = counters.map(|(name, _)| name.trim_end_matches("_total"));
            names.all(|name| {
                page.read
                    .samples()
                    .iter()
                    .any(|it| it.name == format!("{name}_total"))
            })
        })
    }),
    (
        "the TYPE line of a counter names it with _total in text, without in OpenMetrics",
        |text, open| {
            let name = "telemetry_export_retries";
            text.read.types().contains_key(&format!("{name}_total"))
                && open.read.types().contains_key(name)
        },
    ),
    (
        "the unit stands before the type: seconds, bytes",
        |text, _| {
            let names: Vec<_> = text.read.types().keys().collect();
            [
                "process_cpu_seconds_total",
                "http_server_request_body_size_bytes",
            ]
            .iter()
            .all(|it| names.iter().any(|name| name == it))
        },
    ),
    ("a unit in braces is dropped", |text, _| {
        text.read
            .types()
            .contains_key("http_server_active_requests")
    }),
    ("no sample has a timestamp", |text, open| {
        both(text, open, |page| {
            let lines = page.text.lines().filter(|line| !line.starts_with('#'));
            lines
                .map(|line| line.split(" # ").next().unwrap())
                .all(|line| {
                    line.rsplit_once('}')
                        .map_or(line, |(_, rest)| rest.trim())
                        .split(' ')
                        .count()
                        <= 2
                })
        })
    }),
    (
        "target_info is there once, with the value 1 and the resource as labels",
        |text, open| {
            both(text, open, |page| {
                let infos: Vec<_> = page
                    .read
                    .samples()
                    .iter()
                    .filter(|it| it.name == "target_info")
                    .collect();
                infos.len() == 1
                    && infos[0].value == 1.0
                    && infos[0].labels["service_name"] == "test"
            })
        },
    ),
    (
        "target is an info in OpenMetrics, a gauge in text",
        |text, open| {
            text.read.types()["target_info"] == "gauge" && open.read.types()["target"] == "info"
        },
    ),
    ("the resource stands on no other metric", |text, open| {
        both(text, open, |page| {
            samples(page, |it| {
                it.name == "target_info" || !it.labels.contains_key("service_name")
            })
        })
    }),
    (
        "OpenMetrics ends with # EOF, text has none",
        |text, open| open.text.ends_with("\n# EOF\n") && !text.text.contains("# EOF"),
    ),
    (
        "exemplars stand in OpenMetrics only, on buckets and counters",
        |text, open| {
            let with = |page: &Page| -> Vec<String> {
                let found = page
                    .read
                    .samples()
                    .iter()
                    .filter(|it| it.exemplar.is_some());
                found.map(|it| it.name.clone()).collect()
            };
            let names = with(open);
            with(text).is_empty()
                && !names.is_empty()
                && names
                    .iter()
                    .all(|name| name.ends_with("_bucket") || name.ends_with("_total"))
        },
    ),
    (
        "the labels of an exemplar have at most 128 characters, and are ids",
        |_, open| {
            open.read.exemplars(DURATION).iter().all(|it| {
                let length: usize = it
                    .labels
                    .iter()
                    .map(|(name, value)| name.chars().count() + value.chars().count())
                    .sum();
                length <= 128
                    && it.labels["trace_id"].len() == 32
                    && it.labels["span_id"].len() == 16
            })
        },
    ),
    (
        "the value of an exemplar lies in its bucket, and it has a time",
        |_, open| {
            let mut below = f64::NEG_INFINITY;
            let name = format!("{DURATION}_bucket");
            open.read
                .samples()
                .iter()
                .filter(|it| it.name == name)
                .all(|it| {
                    let bound: f64 = it.labels["le"].parse().unwrap();
                    let fits = it.exemplar.as_ref().is_none_or(|it| {
                        it.value <= bound && it.value > below && it.timestamp.is_some()
                    });
                    below = if bound.is_infinite() {
                        f64::NEG_INFINITY
                    } else {
                        bound
                    };
                    fits
                })
        },
    ),
    (
        "no otel_scope_* labels (a documented deviation)",
        |text, open| {
            both(text, open, |page| {
                samples(page, |it| {
                    it.labels.keys().all(|name| !name.starts_with("otel_scope"))
                })
            })
        },
    ),
];

fn both(text: &Page, open: &Page, holds: impl Fn(&Page) -> bool) -> bool {
    holds(text) && holds(open)
}

fn samples(page: &Page, holds: impl Fn(&telemetry_lib::testing::Sample) -> bool) -> bool {
    !page.read.samples().is_empty() && page.read.samples().iter().all(holds)
}

fn is_name(text: &str, colons: bool) -> bool {
    let inner = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || (colons && byte == b':');
    !text.starts_with(|first: char| first.is_ascii_digit()) && text.bytes().all(inner)
}

/// Both pages of a service that has seen some of everything.
pub(crate) async fn pages(service: &Service) -> (Page, Page) {
    for request in [
        "GET /users/7",
        "GET /status/503",
        "GET /panics",
        "GET /breaks",
        "PURGE /x",
    ] {
        service
            .send(&format!("{request} HTTP/1.1\ncontent-length: 0"))
            .await;
    }
    let (text, read) = service.page(TEXT).await;
    let plain = Page { text, read };
    let (text, read) = service.page(OPEN).await;
    (plain, Page { text, read })
}

#[tokio::test]
async fn the_page_keeps_every_rule() {
    let service = Service::start().await;
    let (text, open) = pages(&service).await;
    for (rule, holds) in RULES {
        assert!(holds(&text, &open), "{rule}:\n{}\n{}", text.text, open.text);
    }
}

#[tokio::test]
async fn both_formats_have_the_same_samples() {
    let service = Service::start().await;
    let (text, open) = pages(&service).await;
    // What changes by itself is left out; one gather in both formats is compared in
    // `src/metrics/tests.rs`.
    let of = |page: &Page| -> Vec<_> {
        let kept = page
            .read
            .samples()
            .iter()
            .filter(|it| !it.name.starts_with("process_") && !it.name.starts_with("tokio_"));
        kept.map(|it| (it.name.clone(), it.labels.clone(), it.value.to_string()))
            .collect()
    };
    let strip = |mut samples: Vec<(String, std::collections::BTreeMap<String, String>, String)>| {
        for (_, labels, _) in &mut samples {
            if let Some(bound) = labels.get_mut("le") {
                *bound = bound.parse::<f64>().unwrap().to_string();
            }
        }
        samples
    };
    assert_eq!(strip(of(&text)), strip(of(&open)));
}

#[tokio::test]
async fn values_are_cumulative() {
    let service = Service::start().await;
    let count = format!("{DURATION}_count");
    for expected in 1..=3 {
        service.send("GET /users/7 HTTP/1.1").await;
        let (_, page) = service.page(TEXT).await;
        assert_eq!(page.total(&count), f64::from(expected));
    }
}

#[tokio::test]
async fn a_metric_has_at_most_2000_series_and_the_rest_is_in_one_and_its_failures_in_another() {
    let unsampled = [("OTEL_TRACES_SAMPLER", "always_off")];
    let service = Service::with(&unsampled, |config| config).await;
    let anybody = service_fn(|request: Request<()>| async move {
        let mut response = Response::new(());
        if request.uri().path() == "/broken" {
            *response.status_mut() = StatusCode::BAD_GATEWAY;
        }
        Ok::<_, Infallible>(response)
    });
    let client = service.telemetry.handle().http_client().layer(anybody);
    for path in ["/", "/broken"] {
        for host in 0..2_100 {
            let request = Request::get(format!("http://host{host}{path}"));
            let request = request.body(()).unwrap();
            client.clone().oneshot(request).await.unwrap();
        }
    }
    let (_, page) = service.page(TEXT).await;
    let name = "http_client_request_duration_seconds";
    let all = series(&page, name);
    assert_eq!(all.len(), 2_002);
    let count = format!("{name}_count");
    // Failures always find the last eighth.
    let rest =
        read::samples(&page, &count).filter(|it| it.labels.contains_key("otel_metric_overflow"));
    let rest: Vec<_> = rest.map(|it| (labels(it), it.value)).collect();
    let overflow = ("otel_metric_overflow", "true");
    let failed = vec![("error_type", "_OTHER"), overflow];
    assert_eq!(rest, [(vec![overflow], 350.0), (failed, 1_850.0)]);
    assert_eq!(page.total(&count), 4_200.0);
}

#[tokio::test]
async fn a_family_that_is_there_already_stays_and_ours_is_left_out_with_a_notice() {
    let service = Service::start().await;
    let registry = Registry::new();
    let theirs = IntCounter::new(DURATION, "Theirs.").unwrap();
    registry.register(Box::new(theirs)).unwrap();
    service.telemetry.handle().collect(registry);
    service.send("GET /users/7 HTTP/1.1").await;
    let (_, page) = service.page(TEXT).await;
    assert_eq!(page.types()[DURATION], "counter");
    assert!(page.value(&format!("{DURATION}_count"), &[]).is_none());
    let notices = service.telemetry.notices();
    assert_eq!(notices.len(), 1, "{notices:?}");
}

/// Values that end a label, a line or a page, if they are not written with care.
const HOSTILE: [&str; 7] = [
    "a\"b",
    "a\\",
    "a\nb",
    "a,b=\"c\"} 1\n",
    "日本",
    "\r\t\u{1}\u{fffd}",
    "# EOF",
];

/// A service with a metric of its own that has such values.
pub(crate) async fn hostile() -> Service {
    let service = Service::start().await;
    let registry = Registry::new();
    let opts = Opts::new("mine_total", "Mine, \"quoted\" \\ and\nbroken.");
    let mine = IntCounterVec::new(opts, &["value"]).unwrap();
    for value in HOSTILE {
        mine.with_label_values(&[value]).inc();
    }
    registry.register(Box::new(mine)).unwrap();
    service.telemetry.handle().collect(registry);
    service
}

#[tokio::test]
async fn f19_hostile_values_come_back_as_they_were_in_both_formats() {
    let service = hostile().await;
    for accept in [TEXT, OPEN] {
        let (_, page) = service.page(accept).await;
        for value in HOSTILE {
            assert_eq!(
                page.value("mine_total", &[("value", value)]),
                Some(1.0),
                "{value:?}"
            );
        }
    }
}

#[tokio::test]
async fn f19_promtool_finds_nothing_to_complain_about() {
    let service = hostile().await;
    let (text, _) = pages(&service).await;
    let checked = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut promtool = match checked {
        Ok(promtool) => promtool,
        Err(error) => {
            let test = "f19_promtool_finds_nothing_to_complain_about";
            let missing = format!("{test}: promtool: apt-get install prometheus ({error})");
            assert!(std::env::var_os("CI").is_none(), "{missing}");
            // Past the harness, which swallows what a passing test prints.
            writeln!(std::io::stderr(), "\nNOT RUN: {missing}").unwrap();
            return;
        }
    };
    let mut stdin = promtool.stdin.take().unwrap();
    stdin.write_all(text.text.as_bytes()).unwrap();
    drop(stdin);
    let output = promtool.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.is_empty(), "{said}");
}

/// The names that become one label, their values in the order of the names.
#[tokio::test]
async fn target_info_has_the_resource_of_the_spans() {
    let long = "x".repeat(2_000);
    let attributes = format!(
        "deployment.environment.name=test,team-a=one,team.a=two,9lives=cat,a..b=dots,\
         api_key=k3y,long={long},quoted=a%22b%0A,repo=https://u:p@h/x"
    );
    let service = Service::with(&[("OTEL_RESOURCE_ATTRIBUTES", &attributes)], |it| {
        it.version("1.2.3")
    })
    .await;
    let (_, page) = service.page(TEXT).await;
    let info = page.samples().iter().find(|it| it.name == "target_info");
    let labels = &info.unwrap().labels;
    let pid = std::process::id().to_string();
    for (name, value) in [
        ("service_name", "test"),
        ("service_version", "1.2.3"),
        ("deployment_environment_name", "test"),
        ("telemetry_sdk_language", "rust"),
        ("process_pid", &pid),
        ("team_a", "one;two"),
        ("key_9lives", "cat"),
        ("a_b", "dots"),
        ("api_key", "REDACTED"),
        ("repo", "REDACTED"),
        ("long", &long[..256]),
        ("quoted", "a\"b\n"),
    ] {
        assert_eq!(labels.get(name).map(String::as_str), Some(value), "{name}");
    }
}
