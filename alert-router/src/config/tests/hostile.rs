//! Whatever a file holds, reading it ends in a config or in problems with lines, without a secret.

use proptest::prelude::*;

use super::*;

const FULL: &str = include_str!("../../../testdata/config/full.yaml");

/// A file with some lines left out, repeated or exchanged for odd ones.
fn mangled() -> impl Strategy<Value = String> {
    let lines: Vec<&'static str> = FULL.lines().collect();
    let odd = prop::sample::select(vec![
        "  to: [s3cret-odd]",
        "    url: s3cret-odd",
        "      key: s3cret odd",
        "  - name: 5",
        "group_wait: -1s",
        "x: {<<: *nowhere}",
        "? [a]\n: b",
        "\t- a",
        "a: !tag b",
        "auth: 's3cret-odd'",
        "smtp_auth_password: [s3cret-odd]",
        "'",
    ]);
    let edits = prop::collection::vec((0..lines.len(), 0_usize..3, odd), 1..6);
    edits.prop_map(move |edits| {
        let mut lines: Vec<&str> = lines.clone();
        for (at, kind, odd) in edits {
            let at = at.min(lines.len() - 1);
            match kind {
                0 => drop(lines.remove(at)),
                1 => lines.insert(at, lines[at]),
                _ => lines[at] = odd,
            }
        }
        lines.join("\n")
    })
}

proptest! {
    #[test]
    fn a_mangled_file_is_read_or_refused_with_lines(text in mangled()) {
        if let Err(error) = parse(&text) {
            prop_assert!(!error.problems.is_empty());
            let last = text.lines().count() + 1;
            for problem in &error.problems {
                prop_assert!(problem.line <= last, "{problem}");
            }
        }
    }

    #[test]
    fn any_text_is_read_or_refused(text in "\\PC{0,40}") {
        prop_assert!(parse(&text).is_err(), "no such text is a whole config");
    }
}

#[test]
fn a_key_with_a_line_break_in_it_is_shown_on_one_line() {
    let text = "\"a\\nline 1: route: all is well\": 1\nroute: {\"b\\u202ec\": 1}\n";
    let error = parse(text).unwrap_err();
    let shown: Vec<String> = error.problems.iter().map(Problem::to_string).collect();
    let keys = [
        r"a\nline 1: route: all is well: unknown",
        r"route.b\u{202e}c: unknown",
    ];
    for key in keys {
        assert!(
            shown.iter().any(|line| line.contains(key)),
            "{key}: {shown:#?}"
        );
    }
    assert!(shown.iter().all(|line| !line.contains('\n')), "{shown:#?}");
}

#[test]
fn a_file_that_grows_when_read_is_refused() {
    let mut text = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for i in 1..12 {
        let refs = vec![format!("*a{}", i - 1); 10].join(", ");
        text.push_str(&format!("a{i}: &a{i} [{refs}]\n"));
    }
    let error = parse(&text).unwrap_err();
    assert_eq!(error.problems.len(), 1, "{error}");
    assert!(error.to_string().contains("no valid YAML"), "{error}");
}

#[test]
fn a_file_that_is_nested_too_deep_is_refused() {
    let text = format!("route: {}{}", "[".repeat(10_000), "]".repeat(10_000));
    assert!(parse(&text).is_err());
}
