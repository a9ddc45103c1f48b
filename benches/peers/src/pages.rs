//! `/metrics` of 10,000 series, as each library writes it. A histogram of 14 bounds has 17 of them.

use axum::http::header::ACCEPT;
use axum::http::{Extensions, HeaderMap, HeaderValue, Method, StatusCode, Uri};
use metrics_exporter_prometheus::PrometheusBuilder;
use prometheus::{HistogramOpts, HistogramVec, IntCounterVec, Opts, Registry, TextEncoder};
use prometheus_client::metrics::{counter::Counter, family::Family, histogram::Histogram};
use telemetry_lib::RouteTemplate;
use telemetry_lib::testing::TestTelemetry;

/// The bounds that the semantic conventions advise for requests.
const BOUNDS: [f64; 14] = [
    0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0,
];
const DURATION: &str = "http_server_request_duration_seconds";
const LABELS: [&str; 4] = [
    "http_request_method",
    "url_scheme",
    "http_route",
    "http_response_status_code",
];
const TEXT: &str = "text/plain;version=0.0.4";
const OPEN_METRICS: &str = "application/openmetrics-text;version=1.0.0";

/// What stands on the page.
#[derive(Clone, Copy)]
pub(crate) struct Load {
    pub(crate) title: &'static str,
    counters: usize,
    histograms: usize,
}

pub(crate) const LOADS: [Load; 2] = [
    Load {
        title: "588 histograms of requests, which telemetry-lib counts itself",
        counters: 0,
        histograms: 588,
    },
    Load {
        title: "5,000 counters and 294 histograms of the service, in a registry of the prometheus \
                crate, which telemetry-lib collects",
        counters: 5_000,
        histograms: 294,
    },
];

/// Formats of a page, by their place in [`Page::formats`].
pub(crate) const FORMATS: [&str; 2] = ["text 0.0.4", "OpenMetrics 1.0"];

/// In the form in which the library hands it out: a copy would be none of its cost.
type Render = Box<dyn Fn() -> Box<dyn AsRef<[u8]>>>;

pub(crate) struct Page {
    pub(crate) name: &'static str,
    pub(crate) formats: [Option<Render>; FORMATS.len()],
}

/// Ours first.
pub(crate) fn pages(load: Load) -> [Page; 4] {
    [
        ours(load),
        crate_prometheus(load),
        client(load),
        facade(load),
    ]
}

impl Load {
    /// Names and label values.
    fn counters(self) -> impl Iterator<Item = (String, [String; 2])> {
        (0..self.counters).map(|number| {
            let name = format!("orders_{}_total", number % 5);
            (name, [format!("customer-{number}"), "paid".to_owned()])
        })
    }

    fn histograms(self) -> impl Iterator<Item = [String; 4]> {
        (0..self.histograms).map(|number| {
            let route = format!("/items/{number}/{{id}}");
            ["GET".to_owned(), "http".to_owned(), route, "200".to_owned()]
        })
    }
}

fn registry(load: Load) -> Registry {
    let registry = Registry::new();
    let counters: Vec<IntCounterVec> = (0..5)
        .map(|family| {
            let options = Opts::new(format!("orders_{family}_total"), "Orders.");
            IntCounterVec::new(options, &["customer", "state"]).expect("a valid name")
        })
        .collect();
    for (number, (_, labels)) in load.counters().enumerate() {
        counters[number % 5]
            .with_label_values(&labels)
            .inc_by(1_000);
    }
    for counter in counters {
        registry.register(Box::new(counter)).expect("a new name");
    }
    let options = HistogramOpts::new(DURATION, "Time.").buckets(BOUNDS.to_vec());
    let duration = HistogramVec::new(options, &LABELS).expect("a valid name");
    for labels in load.histograms() {
        duration.with_label_values(&labels).observe(0.03);
    }
    registry.register(Box::new(duration)).expect("a new name");
    registry
}

fn ours(load: Load) -> Page {
    let page = |accept: &'static str| -> Option<Render> {
        let telemetry = TestTelemetry::start();
        if load.counters == 0 {
            requests(&telemetry, load);
        } else {
            telemetry.handle().collect(registry(load));
        }
        let headers = HeaderMap::from_iter([(ACCEPT, HeaderValue::from_static(accept))]);
        Some(Box::new(move || {
            let answer = telemetry
                .handle()
                .answer(&Method::GET, "/metrics", &headers);
            Box::new(answer.expect("that is our endpoint").into_body())
        }))
    };
    Page {
        name: "telemetry-lib",
        formats: [page(TEXT), page(OPEN_METRICS)],
    }
}

fn requests(telemetry: &TestTelemetry, load: Load) {
    let uri = Uri::from_static("/");
    for [_, _, route, _] in load.histograms() {
        let handle = telemetry.handle();
        let mut request =
            handle.server_request(&Method::GET, &uri, &HeaderMap::new(), &Extensions::new());
        request.set_route(RouteTemplate::new(route));
        request.finish(StatusCode::OK);
    }
}

fn crate_prometheus(load: Load) -> Page {
    let registry = registry(load);
    let text = move || -> Box<dyn AsRef<[u8]>> {
        let page = TextEncoder::new().encode_to_string(&registry.gather());
        Box::new(page.expect("the families are valid"))
    };
    Page {
        name: "prometheus",
        formats: [Some(Box::new(text)), None],
    }
}

fn client(load: Load) -> Page {
    type Labels = Vec<(&'static str, String)>;
    let mut registry = prometheus_client::registry::Registry::default();
    let counters: [Family<Labels, Counter>; 5] = Default::default();
    for (number, (_, [customer, state])) in load.counters().enumerate() {
        let labels = vec![("customer", customer), ("state", state)];
        counters[number % 5].get_or_create(&labels).inc_by(1_000);
    }
    for (number, counter) in counters.into_iter().enumerate() {
        registry.register(format!("orders_{number}"), "Orders", counter);
    }
    let duration = Family::<Labels, Histogram>::new_with_constructor(|| Histogram::new(BOUNDS));
    for labels in load.histograms() {
        let labels = LABELS.into_iter().zip(labels).collect();
        duration.get_or_create(&labels).observe(0.03);
    }
    registry.register(DURATION, "Time", duration);
    let open_metrics = move || -> Box<dyn AsRef<[u8]>> {
        let mut page = String::new();
        prometheus_client::encoding::text::encode(&mut page, &registry)
            .expect("writing to memory does not fail");
        Box::new(page)
    };
    Page {
        name: "prometheus-client",
        formats: [None, Some(Box::new(open_metrics))],
    }
}

fn facade(load: Load) -> Page {
    let builder = PrometheusBuilder::new().set_buckets(&BOUNDS);
    let recorder = builder.expect("there are bounds").build_recorder();
    metrics::with_local_recorder(&recorder, || {
        for (name, [customer, state]) in load.counters() {
            metrics::counter!(name, "customer" => customer, "state" => state).increment(1_000);
        }
        for labels in load.histograms() {
            let labels: Vec<(&str, String)> = LABELS.into_iter().zip(labels).collect();
            metrics::histogram!(DURATION, &labels).record(0.03);
        }
    });
    let handle = recorder.handle();
    Page {
        name: "metrics-exporter-prometheus",
        formats: [Some(Box::new(move || Box::new(handle.render()))), None],
    }
}
