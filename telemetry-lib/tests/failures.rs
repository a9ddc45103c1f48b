//! `FAILURES.md` lists what must hold when things go wrong, and the tests that show it. Each of
//! them must exist.
#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests, too, fail by panicking"
)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// A row: the fault's id, and file and name of a test.
fn rows(table: &str) -> Vec<(&str, &str, &str)> {
    let mut rows = Vec::new();
    for line in table.lines().filter(|line| line.starts_with("| F")) {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let [_, id, _, tests, _] = cells[..] else {
            panic!("not three cells: {line}");
        };
        for test in tests.split(' ').filter(|it| !it.is_empty()) {
            let (file, name) = test.trim_matches('`').split_once("::").unwrap();
            rows.push((id, file, name));
        }
    }
    rows
}

fn crate_file(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(file)
}

/// The function stands there, and the line above it makes it a test.
fn is_a_test(source: &str, name: &str) -> bool {
    let head = format!("fn {name}(");
    let lines: Vec<&str> = source.lines().map(str::trim).collect();
    let found = lines.iter().position(|line| {
        line.strip_prefix("async ")
            .unwrap_or(line)
            .starts_with(&head)
    });
    found.is_some_and(|at| {
        let attributes = lines[..at].iter().rev();
        let mut attributes = attributes.take_while(|line| line.starts_with(['#', '/']));
        attributes.any(|line| matches!(*line, "#[test]" | "#[tokio::test]"))
    })
}

#[test]
fn every_test_of_the_table_exists() {
    let table = fs::read_to_string(crate_file("tests/FAILURES.md")).unwrap();
    let rows = rows(&table);
    let missing: Vec<_> = rows
        .iter()
        .filter(|(_, file, name)| {
            !fs::read_to_string(crate_file(file)).is_ok_and(|source| is_a_test(&source, name))
        })
        .collect();
    assert!(missing.is_empty(), "{missing:#?}");
}

#[test]
fn every_fault_of_the_list_has_a_test() {
    let table = fs::read_to_string(crate_file("tests/FAILURES.md")).unwrap();
    let rows = rows(&table);
    let told: BTreeSet<&str> = rows.iter().map(|(id, ..)| *id).collect();
    let asked = [
        "F01", "F02", "F03", "F04", "F06", "F08", "F09", "F10", "F11", "F12", "F13", "F16", "F17",
        "F18", "F19", "F20", "F23", "F26", "F27", "F28", "F29", "F30", "F34", "F36", "F38", "F39",
        "F40", "F41", "F42", "F44",
    ];
    let without: Vec<_> = asked.iter().filter(|id| !told.contains(**id)).collect();
    assert!(without.is_empty(), "{without:?}");
}

/// The other way round: a test that is named for a fault stands in the fault's row.
#[test]
fn every_test_that_is_named_for_a_fault_is_in_the_table() {
    let table = fs::read_to_string(crate_file("tests/FAILURES.md")).unwrap();
    let told: BTreeSet<(String, &str)> = rows(&table)
        .into_iter()
        .map(|(id, _, name)| (id.to_lowercase() + "_", name))
        .collect();
    let mut without = Vec::new();
    let mut folders = vec![crate_file("src"), crate_file("tests")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|it| it == "rs") {
                let source = fs::read_to_string(&path).unwrap();
                without.extend(named_for_faults(&source).into_iter().filter(|name| {
                    !told
                        .iter()
                        .any(|(id, told)| told == name && name.starts_with(id))
                }));
            }
        }
    }
    assert!(without.is_empty(), "{without:#?}");
}

/// The tests `f01_…` of a source.
fn named_for_faults(source: &str) -> Vec<String> {
    let names = source.lines().filter_map(|line| {
        let line = line.trim();
        let rest = line.strip_prefix("async ").unwrap_or(line);
        let name = rest.strip_prefix("fn ")?.split_once('(')?.0;
        let digits = name.strip_prefix('f')?.split_once('_')?.0;
        let is_number = digits.len() == 2 && digits.bytes().all(|it| it.is_ascii_digit());
        is_number.then(|| name.to_owned())
    });
    names.filter(|name| is_a_test(source, name)).collect()
}

#[test]
fn a_test_is_known_from_what_only_looks_like_one() {
    let source = "#[test]\nfn a() {}\n\nfn b() {}\n#[tokio::test]\n// why\nasync fn c() {}\n";
    assert_eq!(
        ["a", "b", "c", "d"].map(|it| is_a_test(source, it)),
        [true, false, true, false]
    );
}
