//! House rules as tests: what a reviewer should never have to say.

mod dependencies;
mod failures;
mod rooms;
mod size;

use std::path::{Path, PathBuf};
use std::process::Command;

/// A tracked or new file of the repository.
struct Source {
    /// Relative to the root, with `/`.
    path: String,
    text: String,
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("tests/ lies in the root")
        .to_owned()
}

/// All Rust files that git knows or would add.
fn rust_files() -> Vec<Source> {
    let files: Vec<_> = files()
        .into_iter()
        .filter(|file| file.path.ends_with(".rs"))
        .collect();
    assert!(
        files.len() > 20,
        "only {} Rust files found: is this a git checkout?",
        files.len()
    );
    files
}

/// All text files that git knows or would add.
fn files() -> Vec<Source> {
    let listed = Command::new("git")
        .args(["ls-files", "--cached", "--others", "--exclude-standard"])
        .current_dir(root())
        .output()
        .expect("git runs");
    let listed = String::from_utf8(listed.stdout).expect("paths are UTF-8");
    let read = |path: &str| {
        let text = std::fs::read_to_string(root().join(path)).ok()?;
        Some(Source {
            path: path.to_owned(),
            text,
        })
    };
    listed.lines().filter_map(read).collect()
}

/// Fails with all findings at once, each on a line of its own.
fn report(rule: &str, findings: &[String]) {
    assert!(findings.is_empty(), "{rule}:\n  {}", findings.join("\n  "));
}
