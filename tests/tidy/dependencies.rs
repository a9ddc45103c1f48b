//! The dependency policy that the lock file and `cargo tree` can prove; `deny.toml` holds the rest.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use super::{report, root};

const LOCK: &str = include_str!("../../Cargo.lock");

/// Name and version of every package in the lock file.
fn packages() -> Vec<(&'static str, &'static str)> {
    let field = |block: &'static str, name: &str| {
        let line = block.lines().find(|line| line.starts_with(name))?;
        line.split('"').nth(1)
    };
    LOCK.split("[[package]]")
        .filter_map(|block| Some((field(block, "name = ")?, field(block, "version = ")?)))
        .collect()
}

#[test]
fn tls_is_rustls_with_ring_and_nothing_else() {
    let banned = [
        "openssl",
        "openssl-sys",
        "native-tls",
        "aws-lc-rs",
        "aws-lc-sys",
    ];
    let found: Vec<String> = packages()
        .iter()
        .filter(|(name, _)| banned.contains(name))
        .map(|(name, version)| format!("{name} {version}"))
        .collect();
    report("banned packages", &found);
    assert!(packages().iter().any(|(name, _)| *name == "rustls"));
}

#[test]
fn there_is_one_version_of_each_opentelemetry_crate() {
    let mut names: Vec<&str> = packages()
        .iter()
        .map(|(name, _)| *name)
        .filter(|name| name.starts_with("opentelemetry") || name.contains("tracing-opentelemetry"))
        .collect();
    names.sort_unstable();
    let mut once = names.clone();
    once.dedup();
    assert!(!once.is_empty());
    assert_eq!(names, once);
}

#[test]
fn nothing_depends_on_archived_crates() {
    let archived = ["serde_yaml", "dotenv", "failure", "net2", "tempdir"];
    let found: Vec<String> = packages()
        .iter()
        .filter(|(name, _)| archived.contains(name))
        .map(|(name, version)| format!("{name} {version}"))
        .collect();
    report("archived packages", &found);
}

/// What is compiled for telemetry-lib on Linux, itself not counted.
fn below_telemetry_lib(features: &[&str]) -> BTreeSet<String> {
    let output = Command::new(env!("CARGO"))
        .args(["tree", "--locked", "--package", "telemetry-lib"])
        .args(["--edges", "normal", "--prefix", "none"])
        .args(["--target", "x86_64-unknown-linux-gnu"])
        .args(features)
        .current_dir(root())
        .output()
        .expect("cargo runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let tree = String::from_utf8(output.stdout).expect("names are ASCII");
    // A line goes on with where the package lies, or that it was shown before.
    let package = |line: &str| line.split(" (").next().map(str::to_owned);
    tree.lines().skip(1).filter_map(package).collect()
}

/// The third column of the README's table of features, by the first.
fn documented_packages() -> BTreeMap<&'static str, &'static str> {
    let readme = include_str!("../../telemetry-lib/README.md");
    let (_, features) = readme
        .split_once("## Features")
        .expect("the README has a chapter on features");
    let row = |line: &'static str| {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        Some((cells.get(1)?.trim_matches('`'), *cells.get(3)?))
    };
    features.lines().filter_map(row).skip(2).collect()
}

/// The names in `[features]`, without `default`.
fn features_of_telemetry_lib() -> impl Iterator<Item = &'static str> {
    let manifest = include_str!("../../telemetry-lib/Cargo.toml");
    let (_, table) = manifest
        .split_once("[features]\n")
        .expect("the manifest has features");
    table
        .lines()
        .take_while(|line| !line.starts_with('['))
        .filter_map(|line| Some(line.split_once(" = ")?.0))
        .filter(|name| !name.starts_with('#') && *name != "default")
}

#[test]
fn the_readme_of_telemetry_lib_says_how_many_packages_each_feature_costs() {
    let (none, usual) = (&["--no-default-features"], &[]);
    let (none, usual) = (below_telemetry_lib(none), below_telemetry_lib(usual));
    let cost = |feature: &'static str| {
        let own = below_telemetry_lib(&["--features", feature]);
        let beside = if feature == "axum" { &none } else { &usual };
        (feature, format!("+{}", own.difference(beside).count()))
    };
    let mut expected: BTreeMap<&str, String> = features_of_telemetry_lib().map(cost).collect();
    expected.insert("none", none.len().to_string());
    let documented = documented_packages();
    let documented = documented
        .into_iter()
        .map(|(name, it)| (name, it.to_owned()));
    assert_eq!(documented.collect::<BTreeMap<_, _>>(), expected);
}
