//! The programs of this repository, as cargo builds them now, so that no test runs against an old one.

use std::path::PathBuf;
use std::process::Command;
use std::sync::{Mutex, PoisonError};

use serde_json::Value;

/// One build at a time, and the second finds it done.
static BUILDING: Mutex<()> = Mutex::new(());

/// The binary `name` of the package `name`: what the variable (`ALERT_ROUTER_BIN`, `DEMO_BIN`) names,
/// or what cargo builds.
///
/// # Panics
/// It does not build.
#[must_use]
pub fn binary(name: &str) -> PathBuf {
    let variable = format!("{}_BIN", name.to_uppercase().replace('-', "_"));
    if let Some(path) = std::env::var_os(variable) {
        return path.into();
    }
    let _one_at_a_time = BUILDING.lock().unwrap_or_else(PoisonError::into_inner);
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let built = Command::new(cargo)
        .args(["build", "--package", name, "--bin", name])
        .args(["--message-format=json-render-diagnostics"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo starts");
    let errors = String::from_utf8_lossy(&built.stderr);
    assert!(built.status.success(), "{name} builds:\n{errors}");
    let messages = String::from_utf8_lossy(&built.stdout);
    let executable = |line: &str| {
        let message: Value = serde_json::from_str(line).ok()?;
        message["executable"].as_str().map(PathBuf::from)
    };
    let mut executables = messages.lines().filter_map(executable);
    executables.next().expect("cargo names what it built")
}
