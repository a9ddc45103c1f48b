//! Two versions of the `opentelemetry` crate in one program do not see each other's spans, and
//! nothing says so. A program cannot ask which crates it was built of; but the messages of panics
//! name source files, and those stand in its executable.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read as _};

use super::Diagnosis;

const CRATE: &str = "opentelemetry-";
/// More of an executable is not read.
const MAX_BYTES: u64 = 1 << 30;

pub(super) fn look(found: &mut Diagnosis) {
    // Without its own file there is nothing to say, and nothing wrong.
    let Ok(versions) = own_versions() else {
        return;
    };
    let list: Vec<&str> = versions.iter().map(String::as_str).collect();
    match list[..] {
        // A build that leaves no paths behind tells nothing.
        [] => {}
        [one] => found.good("versions", format!("one version of opentelemetry, {one}")),
        _ => found.warning(
            "versions",
            format!(
                "several versions of opentelemetry in this program, blind to each other's spans: {}",
                list.join(", ")
            ),
            "see `cargo tree -i opentelemetry`, and use telemetry_lib::opentelemetry in your code",
        ),
    }
}

fn own_versions() -> io::Result<BTreeSet<String>> {
    let file = File::open(std::env::current_exe()?)?;
    scan(BufReader::new(file.take(MAX_BYTES)))
}

/// All `X.Y.Z` of `/opentelemetry-X.Y.Z/` in `program`.
fn scan(mut program: impl BufRead) -> io::Result<BTreeSet<String>> {
    let mut versions = BTreeSet::new();
    let mut part = Vec::new();
    while program.read_until(b'/', &mut part)? > 0 {
        let name = std::str::from_utf8(&part).ok();
        let version = name.and_then(|name| name.strip_prefix(CRATE)?.strip_suffix('/'));
        versions.extend(version.filter(|it| is_version(it)).map(str::to_owned));
        part.clear();
    }
    Ok(versions)
}

fn is_version(text: &str) -> bool {
    let number = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    text.split('.').count() == 3 && text.split('.').all(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `@` stands for a slash: these texts are in the executable of the test below.
    #[track_caller]
    fn check(program: &str, expected: &[&str]) {
        let program = program.replace('@', "/");
        let found: Vec<_> = scan(program.as_bytes()).unwrap().into_iter().collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn f28_two_versions_in_one_program_are_seen() {
        check(
            "\u{7f}ELF\0@cargo@opentelemetry-0.33.1@src@context.rs\0@x@opentelemetry-0.31.0@src",
            &["0.31.0", "0.33.1"],
        );
        check(
            "@a@opentelemetry-0.33.1@src@opentelemetry-0.33.1@",
            &["0.33.1"],
        );
        check(
            "@opentelemetry-otlp-0.33.1@ @tracing-opentelemetry-0.34.0@",
            &[],
        );
        check(
            "@opentelemetry-0.33@ @opentelemetry-.3.1@ opentelemetry-0.33.1",
            &[],
        );
        check("", &[]);
    }

    #[test]
    fn this_program_has_one_version() {
        assert_eq!(own_versions().unwrap().len(), 1);
    }
}
