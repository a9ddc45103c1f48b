//! The page of OpenMetrics 1.0, read by the parser of the Python client of Prometheus, whose authors wrote
//! the standard: it refuses what is not of it, and must read what ours reads.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::process::{Command, Output, Stdio};

use telemetry_lib::testing::{Exposition, Sample};

use super::exposition::{hostile, pages};

/// Prints what it reads on stdin.
const READER: &str = include_str!("openmetrics.py");

/// Name, labels, value and exemplar of each sample, floats by their shortest text.
type Samples = BTreeSet<String>;

/// A Python that has the client. Debian's package is for Debian's, which need not be the first on the PATH.
fn python(test: &str) -> Option<&'static str> {
    let has_client = |python: &&str| {
        let mut command = Command::new(python);
        let import = command.args(["-c", "import prometheus_client.openmetrics.parser"]);
        import.output().is_ok_and(|it| it.status.success())
    };
    let found = ["python3", "/usr/bin/python3"].into_iter().find(has_client);
    if found.is_none() {
        let missing =
            format!("{test}: prometheus_client: apt-get install python3-prometheus-client");
        let promised = ["CI", "CI_STACK"].map(std::env::var_os);
        assert!(promised.iter().all(Option::is_none), "{missing}");
        // Past the harness, which swallows what a passing test prints.
        writeln!(std::io::stderr(), "\nNOT RUN: {missing}").expect("stderr is open");
    }
    found
}

fn read_by(python: &str, page: &str) -> Output {
    let mut reader = Command::new(python)
        .args(["-c", READER])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = reader.stdin.take().unwrap();
    stdin.write_all(page.as_bytes()).unwrap();
    drop(stdin);
    reader.wait_with_output().unwrap()
}

fn shown(name: &str, labels: &BTreeMap<String, String>, value: f64) -> String {
    format!("{name} {labels:?} {value:?}")
}

fn ours(page: &Exposition) -> Samples {
    let shown_sample = |it: &Sample| {
        let exemplar = it.exemplar.as_ref();
        let exemplar = exemplar.map(|it| shown("exemplar", &it.labels, it.value));
        format!("{} {exemplar:?}", shown(&it.name, &it.labels, it.value))
    };
    page.samples().iter().map(shown_sample).collect()
}

type Row = (
    String,
    BTreeMap<String, String>,
    String,
    Option<(BTreeMap<String, String>, String)>,
);

fn theirs(rows: serde_json::Value) -> Samples {
    let rows: Vec<Row> = serde_json::from_value(rows).unwrap();
    let shown_row = |(name, labels, value, exemplar): Row| {
        let exemplar = exemplar.map(|(labels, value)| {
            let value = value.parse().unwrap();
            shown("exemplar", &labels, value)
        });
        let value = value.parse().unwrap();
        format!("{} {exemplar:?}", shown(&name, &labels, value))
    };
    rows.into_iter().map(shown_row).collect()
}

#[tokio::test]
async fn f19_another_parser_reads_the_same_page_of_openmetrics() {
    let Some(python) = python("f19_another_parser_reads_the_same_page_of_openmetrics") else {
        return;
    };
    let service = hostile().await;
    let (_, page) = pages(&service).await;
    let output = read_by(python, &page.text);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}\n{}", page.text);
    let mut read: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let types: BTreeMap<String, String> = serde_json::from_value(read["types"].take()).unwrap();
    assert_eq!(types, *page.read.types());
    let (ours, theirs) = (ours(&page.read), theirs(read["samples"].take()));
    assert_eq!(theirs, ours);
    assert_eq!(ours.len(), page.read.samples().len());
    assert!(ours.iter().any(|it| it.contains("trace_id")), "{ours:?}");

    // It is one that refuses.
    let without_end = page.text.replace("# EOF\n", "");
    let output = read_by(python, &without_end);
    assert!(!output.status.success());
}
