//! The table of failure cases cannot rot: each case has a row, and every test that a row names
//! exists where it says.

use super::{report, rust_files};

const TABLE: &str = include_str!("../../alert-router/tests/FAILURES.md");

/// Every case that must have a row, by its number. The others are gaps, or come later, as the table
/// says at its head.
const CASES: [u32; 46] = [
    1, 2, 3, 4, 7, 8, 9, 10, 11, 12, 14, 17, 18, 20, 22, 23, 24, 25, 26, 27, 28, 29, 30, 32, 33,
    34, 35, 37, 38, 39, 40, 41, 44, 45, 46, 47, 48, 49, 50, 52, 53, 54, 55, 56, 59, 60,
];

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
fn every_failure_case_has_one_row() {
    let rows = TABLE.lines().filter_map(|line| line.strip_prefix("| F-"));
    let rows = rows.map(|row| row.split(' ').next().unwrap_or_default());
    let wanted = CASES.map(|case| format!("{case:02}"));
    assert_eq!(
        rows.collect::<Vec<_>>(),
        wanted,
        "rows of FAILURES.md, and the cases that must have one"
    );
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
