//! The export faults against the SDK's own batch processor with opentelemetry-otlp, and against
//! telemetry-lib: 100 spans, then a shutdown of at most 5 s. What did it say, what had arrived?

use std::process::Command;
use std::time::{Duration, Instant};

use opentelemetry::trace::{Tracer as _, TracerProvider as _};
use opentelemetry_otlp::{SpanExporter, WithExportConfig as _};
use opentelemetry_sdk::trace::SdkTracerProvider;
use telemetry_lib::testing::{Answer, FakeCollector, closed_endpoint};
use telemetry_lib::{Config, init};

use crate::child::Done;

const SPANS: usize = 100;
const LIMIT: Duration = Duration::from_secs(5);

/// A name, and what the collector does; `None` for one that is not there.
type Fault = (&'static str, fn(&FakeCollector));

const FAULTS: [Fault; 8] = [
    ("none", |_| {}),
    ("port closed", |_| {}),
    ("no answer", |collector| collector.always(Answer::hang())),
    ("503 with Retry-After 2, once", |collector| {
        collector.next(Answer::status(503).retry_after("2"));
    }),
    ("connection cut, once", |collector| {
        collector.next(Answer::close())
    }),
    ("413, once", |collector| collector.next(Answer::status(413))),
    ("a proxy's page with 200", |collector| {
        collector.always(Answer::html("<html>"))
    }),
    ("10 of 100 rejected", |collector| {
        collector.next(Answer::partial(10, "too old"))
    }),
];

/// Each in a process of its own: a tracer provider can be global once.
pub(crate) fn print() -> Done {
    println!("| fault | SDK and opentelemetry-otlp | telemetry-lib |\n| --- | --- | --- |");
    for (name, _) in FAULTS {
        let run = |who: &str| -> Result<String, Box<dyn std::error::Error>> {
            let output = Command::new(std::env::current_exe()?)
                .args(["fault", who, name])
                .output()?;
            Ok(String::from_utf8(output.stdout)?.trim().to_owned())
        };
        println!("| {name} | {} | {} |", run("sdk")?, run("ours")?);
    }
    Ok(())
}

/// One cell of the table.
pub(crate) fn one(who: &str, name: &str) -> Done {
    let (_, script) = FAULTS
        .iter()
        .find(|(known, _)| *known == name)
        .ok_or("no such fault")?;
    let collector = FakeCollector::start();
    script(&collector);
    let endpoint = match name {
        "port closed" => closed_endpoint(),
        _ => collector.traces_endpoint(),
    };
    let begin;
    let said = if who == "sdk" {
        let exporter = SpanExporter::builder()
            .with_http()
            .with_endpoint(endpoint)
            .build()?;
        let provider = SdkTracerProvider::builder()
            .with_batch_exporter(exporter)
            .build();
        let tracer = provider.tracer("faults");
        (0..SPANS).for_each(|_| drop(tracer.start("work")));
        begin = Instant::now();
        format!("{:?}", provider.shutdown_with_timeout(LIMIT))
    } else {
        let variables = [
            ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", &*endpoint),
            ("RUST_LOG", "off"),
        ];
        let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let telemetry = init(Config::from_vars("faults", variables))?;
        (0..SPANS).for_each(|_| drop(tracing::info_span!("work")));
        begin = Instant::now();
        let report = telemetry.shutdown_blocking(LIMIT).traces;
        let dropped = report.dropped;
        format!(
            "exported {}, failed {}, rejected {}",
            report.exported, dropped.export_failed, dropped.rejected
        )
    };
    let took = begin.elapsed().as_secs_f64();
    println!(
        "{said}, after {took:.1} s; {} arrived",
        collector.spans().len()
    );
    Ok(())
}
