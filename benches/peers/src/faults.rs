//! The export faults against the SDK's own batch processor with opentelemetry-otlp, and against
//! telemetry-lib: some spans, then a shutdown of at most 5 s. What did it say, what had arrived, and
//! how long did the thread wait that ended the spans?

use std::process::Command;
use std::sync::Arc;
use std::sync::mpsc::sync_channel;
use std::time::{Duration, Instant};

use opentelemetry::trace::{Tracer as _, TracerProvider as _};
use opentelemetry_otlp::{SpanExporter, WithExportConfig as _};
use opentelemetry_sdk::trace::SdkTracerProvider;
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use telemetry_lib::testing::{Answer, FakeCollector, Gate, closed_endpoint};
use telemetry_lib::{Config, init};

use crate::child::Done;

const LIMIT: Duration = Duration::from_secs(5);
/// A thread that ends a span and waits longer has been blocked.
const BLOCKED: Duration = Duration::from_millis(50);

/// What the collector does.
#[derive(Clone, Copy)]
enum Deed {
    /// It is not there.
    Closed,
    /// This, from the start.
    Script(fn(&FakeCollector)),
    /// It shows a certificate that no authority of this system has signed.
    UnknownAuthority,
}

/// A row of the table: id of the list of faults, what it is, spans.
type Fault = (&'static str, &'static str, usize, Deed);

const FAULTS: [Fault; 15] = [
    ("", "none", 100, Deed::Script(|_| {})),
    ("F01", "port closed", 100, Deed::Closed),
    (
        "F01",
        "port closed, 10,000 spans at once",
        10_000,
        Deed::Closed,
    ),
    (
        "F02",
        "no answer",
        100,
        Deed::Script(|it| it.always(Answer::hang())),
    ),
    (
        "F02",
        "no answer, 10,000 spans at once",
        10_000,
        Deed::Script(|it| it.always(Answer::hang())),
    ),
    (
        "F03",
        "the first answer after 3 s, 2,000 spans",
        2_000,
        Deed::Script(slow),
    ),
    (
        "F04",
        "503 with Retry-After 2, once",
        100,
        Deed::Script(|it| it.next(Answer::status(503).retry_after("2"))),
    ),
    (
        "F04",
        "429 without Retry-After, once",
        100,
        Deed::Script(|it| it.next(Answer::status(429))),
    ),
    (
        "F04",
        "502, then 504",
        100,
        Deed::Script(|it| {
            it.next(Answer::status(502));
            it.next(Answer::status(504));
        }),
    ),
    (
        "F04",
        "400",
        100,
        Deed::Script(|it| it.always(Answer::status(400))),
    ),
    (
        "F04",
        "413, once",
        100,
        Deed::Script(|it| it.next(Answer::status(413))),
    ),
    (
        "F08",
        "connection cut, once",
        100,
        Deed::Script(|it| it.next(Answer::close())),
    ),
    (
        "F09",
        "https, certificate of an unknown authority",
        100,
        Deed::UnknownAuthority,
    ),
    (
        "F10",
        "a proxy's page with 200",
        100,
        Deed::Script(|it| it.always(Answer::html("<html>"))),
    ),
    (
        "",
        "10 of 100 rejected",
        100,
        Deed::Script(|it| it.next(Answer::partial(10, "too old"))),
    ),
];

fn slow(collector: &FakeCollector) {
    let gate = Gate::closed();
    collector.next(Answer::ok().behind(&gate));
    std::thread::spawn(move || {
        let (_never, timer) = sync_channel::<()>(0);
        // Nobody sends: this is a clock.
        let _ = timer.recv_timeout(Duration::from_secs(3));
        gate.open();
    });
}

/// Each in a process of its own: a tracer provider can be global once.
pub(crate) fn print() -> Done {
    println!("| | fault | SDK and opentelemetry-otlp | telemetry-lib |\n| --- | --- | --- | --- |");
    for (id, name, ..) in FAULTS {
        let run = |who: &str| -> Result<String, Box<dyn std::error::Error>> {
            let output = Command::new(std::env::current_exe()?)
                .args(["fault", who, name])
                .output()?;
            let said = String::from_utf8(output.stdout)?.trim().to_owned();
            match output.status.success() {
                true => Ok(said),
                false => Ok(format!(
                    "{said} {}",
                    String::from_utf8(output.stderr)?.trim()
                )),
            }
        };
        println!("| {id} | {name} | {} | {} |", run("sdk")?, run("ours")?);
    }
    Ok(())
}

/// One cell of the table.
pub(crate) fn one(who: &str, name: &str) -> Done {
    let (_, _, spans, deed) = FAULTS
        .iter()
        .find(|(_, known, ..)| *known == name)
        .ok_or("no such fault")?;
    let (collector, endpoint) = stage(*deed)?;
    let said = match who {
        "sdk" => sdk(&endpoint, *spans)?,
        _ => ours(&endpoint, *spans)?,
    };
    println!("{said}; {} arrived", collector.spans().len());
    Ok(())
}

fn stage(deed: Deed) -> Result<(FakeCollector, String), Box<dyn std::error::Error>> {
    if let Deed::UnknownAuthority = deed {
        let own = rcgen::generate_simple_self_signed(["localhost".to_owned()])?;
        let key = PrivateKeyDer::try_from(own.signing_key.serialize_der())?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(vec![own.cert.der().clone()], key)?;
        let collector = FakeCollector::start_tls(Arc::new(config));
        let endpoint = collector.traces_endpoint();
        return Ok((collector, endpoint));
    }
    let collector = FakeCollector::start();
    let endpoint = match deed {
        Deed::Closed => closed_endpoint(),
        Deed::Script(script) => {
            script(&collector);
            collector.traces_endpoint()
        }
        Deed::UnknownAuthority => return Err("it has its own collector".into()),
    };
    Ok((collector, endpoint))
}

/// Ends so many spans; returns what is to be said about the thread that did it.
fn end(spans: usize, mut span: impl FnMut()) -> String {
    let longest = (0..spans).map(|_| {
        let begin = Instant::now();
        span();
        begin.elapsed()
    });
    match longest.max().unwrap_or_default() {
        longest if longest > BLOCKED => format!(", blocked {:.1} s", longest.as_secs_f64()),
        _ => String::new(),
    }
}

fn sdk(endpoint: &str, spans: usize) -> Result<String, Box<dyn std::error::Error>> {
    let exporter = SpanExporter::builder()
        .with_http()
        .with_endpoint(endpoint)
        .build()?;
    let provider = SdkTracerProvider::builder()
        .with_batch_exporter(exporter)
        .build();
    let tracer = provider.tracer("faults");
    let blocked = end(spans, || drop(tracer.start("work")));
    let begin = Instant::now();
    let said = provider.shutdown_with_timeout(LIMIT);
    let took = begin.elapsed().as_secs_f64();
    Ok(format!("{said:?}, after {took:.1} s{blocked}"))
}

fn ours(endpoint: &str, spans: usize) -> Result<String, Box<dyn std::error::Error>> {
    let variables = [
        ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", endpoint),
        ("RUST_LOG", "off"),
    ];
    let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let telemetry = init(Config::from_vars("faults", variables))?;
    let blocked = end(spans, || drop(tracing::info_span!("work")));
    let begin = Instant::now();
    let report = telemetry.shutdown_blocking(LIMIT).traces;
    let took = begin.elapsed().as_secs_f64();
    let dropped = report.dropped;
    let counts = [
        (dropped.export_failed, "failed"),
        (dropped.queue_full, "queue full"),
        (dropped.rejected, "rejected"),
    ];
    let counted = counts.iter().filter(|(count, _)| *count > 0);
    let counted: String = counted
        .map(|(count, why)| format!(", {count} {why}"))
        .collect();
    Ok(format!(
        "{} exported{counted}, after {took:.1} s{blocked}",
        report.exported
    ))
}
