//! The dependency policy that the lock file alone can prove; `deny.toml` holds the rest.

use super::report;

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
