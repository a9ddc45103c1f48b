//! The size budget: no file that one would not show a newcomer.

use super::{report, rust_files};

const FILE_LINES: usize = 600;
const FUNCTION_LINES: usize = 70;
const FOLDERS_BELOW_SRC: usize = 2;

#[test]
fn no_file_has_more_than_600_lines() {
    let count = |text: &str| text.lines().count();
    let findings: Vec<String> = rust_files()
        .iter()
        .filter(|file| count(&file.text) > FILE_LINES)
        .map(|file| format!("{}: {} lines", file.path, count(&file.text)))
        .collect();
    report("files over the budget", &findings);
}

#[test]
fn no_function_has_more_than_70_lines() {
    let mut findings = Vec::new();
    for file in rust_files() {
        for (line, lines) in functions(&file.text) {
            if lines > FUNCTION_LINES {
                findings.push(format!("{}:{line}: {lines} lines", file.path));
            }
        }
    }
    report("functions over the budget", &findings);
}

#[test]
fn at_most_two_folders_lie_below_src() {
    let depth = |path: &str| {
        path.split_once("src/")
            .map_or(0, |(_, below)| below.matches('/').count())
    };
    let findings: Vec<String> = rust_files()
        .into_iter()
        .map(|file| file.path)
        .filter(|path| depth(path) > FOLDERS_BELOW_SRC)
        .collect();
    report("files too deep below src/", &findings);
}

#[test]
fn every_file_says_at_its_top_what_it_is_for() {
    let findings: Vec<String> = rust_files()
        .into_iter()
        .filter(|file| !file.text.starts_with("//!") && !file.text.starts_with("#![doc"))
        .map(|file| file.path)
        .collect();
    report("files that do not open with `//!`", &findings);
}

/// First line and length of each function. As rustfmt writes it, a function ends at the first line
/// that is a closing brace with the same indentation.
fn functions(text: &str) -> Vec<(usize, usize)> {
    let lines: Vec<&str> = text.lines().collect();
    let starts = lines
        .iter()
        .enumerate()
        .filter(|(_, line)| opens_function(line));
    starts
        .filter_map(|(start, line)| {
            let indent = &line[..line.len() - line.trim_start().len()];
            let close = format!("{indent}}}");
            let length = lines[start..].iter().position(|line| **line == close)?;
            Some((start + 1, length + 1))
        })
        .collect()
}

fn opens_function(line: &str) -> bool {
    let words = line.split_whitespace().take_while(|word| {
        word.starts_with("pub") || ["const", "async", "unsafe", "fn", "in", "crate)"].contains(word)
    });
    words.last() == Some("fn") && !line.trim_end().ends_with(['}', ';'])
}

#[test]
fn the_counter_sees_functions_as_rustfmt_writes_them() {
    let text = "fn a() {\n    b();\n}\n\nimpl X {\n    pub(crate) async fn c() {\n        if d {\n        }\n    }\n    fn e() {}\n}\n";
    assert_eq!(functions(text), [(1, 3), (6, 4)]);
}
