//! The table of failure cases cannot rot: every test that it names exists where it says.

use super::{report, rust_files};

const TABLE: &str = include_str!("../../alert-router/tests/FAILURES.md");

/// Case and `file::test` of each proof.
fn proofs() -> Vec<(&'static str, &'static str)> {
    let rows = TABLE.lines().filter(|line| line.starts_with("| F-"));
    rows.flat_map(|row| {
        let case = row
            .trim_start_matches("| ")
            .split(' ')
            .next()
            .unwrap_or_default();
        let proofs = row.split('`').filter(|word| word.contains("::"));
        proofs.map(move |proof| (case, proof))
    })
    .collect()
}

#[test]
fn every_failure_case_names_tests_that_exist() {
    let files = rust_files();
    let exists = |proof: &str| {
        let (path, test) = proof.split_once("::").unwrap_or_default();
        let file = files.iter().find(|file| file.path == path);
        file.is_some_and(|file| {
            let opens = [format!("fn {test}("), format!("fn {test}<")];
            opens.iter().any(|open| file.text.contains(open))
        })
    };
    let missing: Vec<String> = proofs()
        .iter()
        .filter(|(_, proof)| !exists(proof))
        .map(|(case, proof)| format!("{case}: {proof}"))
        .collect();
    report("tests that FAILURES.md names and nobody finds", &missing);
}

#[test]
fn every_row_of_failure_cases_has_a_proof() {
    let rows = TABLE.lines().filter(|line| line.starts_with("| F-"));
    let bare: Vec<String> = rows
        .filter(|row| !row.contains("::"))
        .map(str::to_owned)
        .collect();
    report("failure cases without a test", &bare);
    assert!(proofs().len() > 40);
}
