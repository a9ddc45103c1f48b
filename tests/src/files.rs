//! The repository's own files, as tests read them. A file that cannot be read fails the test.

use std::path::{Path, PathBuf};

use serde_yaml::Value;

/// The root of the repository.
#[must_use]
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("tests/ lies in the root")
        .to_owned()
}

/// The text of a file, its path relative to the root.
///
/// # Panics
/// If there is no such file.
#[must_use]
pub fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// A YAML file with its anchors and merges resolved.
///
/// # Panics
/// If there is no such file, or it is not YAML.
#[must_use]
pub fn yaml(path: &str) -> Value {
    let mut value: Value =
        serde_yaml::from_str(&read(path)).unwrap_or_else(|error| panic!("{path}: {error}"));
    value
        .apply_merge()
        .unwrap_or_else(|error| panic!("{path}: {error}"));
    value
}

/// The paths of the files in a folder that end in `ending`, relative to the root, sorted.
///
/// # Panics
/// If there is no such folder, or no such file in it.
#[must_use]
pub fn names_in(folder: &str, ending: &str) -> Vec<String> {
    let entries =
        std::fs::read_dir(root().join(folder)).unwrap_or_else(|error| panic!("{folder}: {error}"));
    let mut names: Vec<String> = entries
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| name.ends_with(ending))
        .map(|name| format!("{folder}/{name}"))
        .collect();
    names.sort();
    assert!(!names.is_empty(), "no *{ending} in {folder}");
    names
}
