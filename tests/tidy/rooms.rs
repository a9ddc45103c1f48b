//! The architecture's invariants that a search can prove, see ARCHITECTURE.md.

use super::{Source, files, report, rust_files};

/// Lines of what is shipped (not of tests at the end) in the files below `below`, except those in `rooms`, that contain one of `words`.
fn lines_outside(rooms: &[&str], below: &str, words: &[&str]) -> Vec<String> {
    let outside = |file: &&Source| {
        file.path.starts_with(below) && !rooms.iter().any(|room| file.path.starts_with(room))
    };
    let mut findings = Vec::new();
    for file in rust_files().iter().filter(outside) {
        let shipped = file
            .text
            .split("#[cfg(test)]\nmod tests {")
            .next()
            .unwrap_or_default();
        for (number, line) in shipped.lines().enumerate() {
            let code = line.split("//").next().unwrap_or_default();
            if words.iter().any(|word| code.contains(word)) {
                findings.push(format!("{}:{}: {}", file.path, number + 1, line.trim()));
            }
        }
    }
    findings
}

#[test]
fn the_engine_depends_on_nothing_that_does_io_or_tells_the_time() {
    let manifest = include_str!("../../alert-router/engine/Cargo.toml");
    let dependencies = manifest
        .split("[dependencies]")
        .nth(1)
        .and_then(|rest| rest.split("\n[").next())
        .expect("the manifest has dependencies");
    let names: Vec<&str> = dependencies
        .lines()
        .filter_map(|line| line.split(['.', ' ']).next())
        .collect();
    let names: Vec<&str> = names.into_iter().filter(|name| !name.is_empty()).collect();
    assert_eq!(names, ["regex", "sha2", "thiserror"]);
}

#[test]
fn the_engine_names_no_io_clock_or_randomness() {
    let words = [
        "std::fs",
        "std::net",
        "std::env",
        "SystemTime",
        "Instant::",
        "HashMap",
        "async fn",
        "tokio",
        "serde",
    ];
    let findings = lines_outside(&[], "alert-router/engine/src/", &words);
    report("the engine is pure", &findings);
}

#[test]
fn sql_stands_only_in_the_store() {
    let words = ["rusqlite", "SELECT ", "INSERT INTO", "PRAGMA "];
    let findings = lines_outside(&["alert-router/src/store/"], "alert-router/src/", &words);
    report("SQL outside store/", &findings);
}

#[test]
fn outgoing_connections_stand_only_in_the_receivers() {
    let words = ["TcpStream::connect", "reqwest::Client"];
    let findings = lines_outside(&["alert-router/src/receiver/"], "alert-router/src/", &words);
    report("outgoing connections outside receiver/", &findings);
}

#[test]
fn no_test_sleeps_and_nothing_is_left_to_do() {
    let words = [
        "thread::sleep",
        concat!("todo", "!("),
        concat!("unimplemented", "!("),
        concat!("#[", "ignore]"),
    ];
    let mut findings = lines_outside(&["tests/tidy/"], "", &words);
    findings.retain(|line| !line.contains("reason"));
    report("sleeps, holes and ignored tests", &findings);
}

#[test]
fn no_file_names_a_place_of_one_machine() {
    let words = [
        concat!("/wo", "rk/"),
        concat!("/ro", "ot/"),
        concat!("/ho", "me/"),
        concat!("/tmp/", "bash"),
    ];
    let mut findings = Vec::new();
    for file in files().iter().filter(|file| !file.path.ends_with(".lock")) {
        for (number, line) in file.text.lines().enumerate() {
            if words.iter().any(|word| line.contains(word)) {
                findings.push(format!("{}:{}: {}", file.path, number + 1, line.trim()));
            }
        }
    }
    report("paths of one machine", &findings);
}
