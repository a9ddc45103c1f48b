//! What each stack pulls in: the packages below a small service of `services/`, and below
//! telemetry-lib with each of its features.

use std::collections::BTreeSet;
use std::process::Command;

use crate::child::Done;

/// Platforms differ by a few packages.
const TARGET: &str = "x86_64-unknown-linux-gnu";

const SERVICES: [(&str, &str); 4] = [
    ("axum alone", "service-bare"),
    (
        "axum-tracing-opentelemetry + axum-prometheus",
        "service-usual",
    ),
    ("opentelemetry-instrumentation-tower", "service-contrib"),
    ("telemetry-lib", "service-ours"),
];

/// Features of telemetry-lib that are no default.
const FEATURES: [&str; 4] = ["grpc-client", "otlp-grpc", "reqwest", "testing"];

pub(crate) fn print() -> Done {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
    println!("Packages that an axum service gets on Linux, TLS included\n");
    println!("| stack | packages |\n| --- | --- |");
    for (name, service) in SERVICES {
        println!("| {name} | {} |", below(root, &["-p", service])?.len());
    }
    let library = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../telemetry-lib/Cargo.toml"
    );
    let bare = below(library, &["--no-default-features"])?;
    let usual = below(library, &[])?;
    println!("\nBelow telemetry-lib: {} without features\n", bare.len());
    println!("| feature | adds |\n| --- | --- |");
    println!("| axum (the default) | {} |", added(&bare, &usual));
    for feature in FEATURES {
        let with = below(library, &["--features", feature])?;
        println!("| {feature} | {} |", added(&usual, &with));
    }
    println!();
    Ok(())
}

/// Names and versions of all that is compiled for the package, which is not counted itself.
fn below(manifest: &str, package: &[&str]) -> Result<BTreeSet<String>, Box<dyn std::error::Error>> {
    let output = Command::new("cargo")
        .args(["tree", "--edges", "normal", "--prefix", "none", "--locked"])
        .args(["--target", TARGET, "--manifest-path", manifest])
        .args(package)
        .output()?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into());
    }
    let text = String::from_utf8(output.stdout)?;
    // A line goes on with where the package lies, or that it was shown before.
    let package = |line: &str| line.split(" (").next().map(str::to_owned);
    Ok(text.lines().skip(1).filter_map(package).collect())
}

fn added(before: &BTreeSet<String>, after: &BTreeSet<String>) -> String {
    let names: Vec<&str> = after.difference(before).map(String::as_str).collect();
    format!("{}: {}", names.len(), names.join(", "))
}
