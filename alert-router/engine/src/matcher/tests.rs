//! The matcher language: what is read, what is refused and how it is said, and what matches.

use proptest::prelude::*;

use super::*;

fn labels(pairs: &[(&str, &str)]) -> Labels {
    pairs.iter().copied().collect()
}

#[test]
fn both_grammars_are_read() {
    let check = |text: &str, canonical: &str| {
        let read = Matchers::parse(text).unwrap_or_else(|e| panic!("{text}: {e}"));
        assert_eq!(read.to_string(), canonical, "{text}");
    };
    for (text, canonical) in [
        ("", "{}"),
        ("{}", "{}"),
        (" { } ", "{}"),
        ("foo=bar", r#"{foo="bar"}"#),
        (" foo = bar ", r#"{foo="bar"}"#),
        (r#"foo="bar","#, r#"{foo="bar"}"#),
        (
            r#"{foo="bar", dings!="bums", }"#,
            r#"{dings!="bums",foo="bar"}"#,
        ),
        ("foo=bar,dings!=bums", r#"{dings!="bums",foo="bar"}"#),
        (r#"a=~"5..",b!~"x|y""#, r#"{a=~"5..",b!~"x|y"}"#),
        (r#"a="1",a="0",a!="0""#, r#"{a="0",a!="0",a="1"}"#),
        // UTF-8 names and values, quoted or not.
        ("数据=磁盘🚨", r#"{数据="磁盘🚨"}"#),
        (r#""k8s.pod"="a""#, r#"{k8s.pod="a"}"#),
        ("k8s.pod=a", r#"{k8s.pod="a"}"#),
        (r#""with space"="a""#, r#"{"with space"="a"}"#),
        (
            r#""a\"b\\c\n"="\u4e2d\U0001f4a5\x41\101\t""#,
            "{\"a\\\"b\\\\c\\n\"=\"中💥AA\\x09\"}",
        ),
        (r#"foo="{},=~!""#, r#"{foo="{},=~!"}"#),
        // Only the classic grammar takes these.
        ("foo=", r#"{foo=""}"#),
        ("foo=bar baz", r#"{foo="bar baz"}"#),
        ("foo=a=b", r#"{foo="a=b"}"#),
        ("foo=~a\\d+", r#"{foo=~"a\\d+"}"#),
        (r#"foo=~"/api/\d+""#, r#"{foo=~"/api/\\d+"}"#),
        ("{foo=bar", r#"{foo="bar"}"#),
        ("foo=bar}", r#"{foo="bar"}"#),
        ("foo='bar'", r#"{foo="'bar'"}"#),
        // Both take it and disagree: the classic meaning holds.
        (r#"foo="a\tb""#, r#"{foo="a\\tb"}"#),
        (r#"foo="\u4e2d""#, r#"{foo="\\u4e2d"}"#),
    ] {
        check(text, canonical);
    }
}

#[test]
fn an_error_names_the_column_and_the_fix() {
    let cases = [
        "=bar",
        "foo",
        "数据 bar",
        "k8s.pod=",
        "k8s.pod=a b",
        "k8s.pod=a,,",
        "{k8s.pod=a",
        "k8s.pod=a}",
        "{k8s.pod=a}x",
        "{,}",
        "foo=\"bar",
        r#""a.b"="\d""#,
        r#""a.b"="\xff""#,
        r#"""="a""#,
        "foo=~\"a(b\"",
        "foo=~\"(?:a{1000}){1000}\"",
        "foo!bar",
    ];
    let said: Vec<String> = cases
        .iter()
        .map(|text| format!("{text}\n  {}", Matchers::parse(text).unwrap_err()))
        .collect();
    insta::assert_snapshot!(said.join("\n"));
}

#[test]
fn operators_compare_whole_values_and_absent_is_empty() {
    let of = labels(&[("severity", "critical"), ("service", "orders")]);
    for (text, holds) in [
        ("", true),
        ("severity=critical", true),
        ("severity!=critical", false),
        ("severity=~crit", false),
        ("severity=~crit.*", true),
        ("severity=~\"warning|critical\"", true),
        ("severity!~\"warning|crit\"", true),
        ("service=orders,severity=warning", false),
        ("team=\"\"", true),
        ("team!=\"\"", false),
        ("team=~\".*\"", true),
        ("team=~\".+\"", false),
        ("team!~\".+\"", true),
        ("Severity=critical", false),
    ] {
        assert_eq!(Matchers::parse(text).unwrap().matches(&of), holds, "{text}");
    }
}

#[test]
fn regular_expressions_mean_what_they_mean_in_re2() {
    for (pattern, value, holds) in [
        (r"\d+", "42", true),
        (r"\d+", "४२", false),
        (r"\w+", "数据", false),
        (r"[\w.]+", "a.b_9", true),
        (r"[^\d]+", "ab", true),
        (r"[^\d]+", "a1", false),
        (r"[\D]", "a", true),
        (r"a\b.*", "a数", true),
        ("[a[b]+", "[ab", true),
        ("[a&&b]+", "a&b", true),
        ("[+--]+", "+,-", true),
        ("[]a]+", "]a", true),
        ("[[:alpha:]]+", "ab", true),
        ("a{", "a{", true),
        ("a{2}", "aa", true),
        ("a{2,}", "aaa", true),
        ("a{,2}", "a{,2}", true),
        (r"\Qa.b\E+", "a.bb", true),
        (r"\Qa.b", "a.b", true),
        ("(?i)prod", "PROD", true),
        (r"\p{Han}+", "数据", true),
        ("a|b", "ab", false),
        ("a.b", "a\nb", false),
        ("(?s)a.b", "a\nb", true),
        (r"a\.b", "a.b", true),
        ("a$", "a\n", false),
    ] {
        let matcher = Matcher::new("l", MatchOp::Regexp, pattern).unwrap();
        assert_eq!(
            matcher.matches(&labels(&[("l", value)])),
            holds,
            "{pattern} on {value}"
        );
    }
}

proptest! {
    #[test]
    fn what_is_printed_is_read_back(
        parts in prop::collection::vec((".{1,6}", 0_usize..2, ".{0,8}"), 0..4),
    ) {
        let ops = [MatchOp::Equal, MatchOp::NotEqual];
        let matchers: Matchers = parts
            .iter()
            .map(|(name, op, value)| Matcher::new(name, ops[*op], value).unwrap())
            .collect();
        prop_assert_eq!(Matchers::parse(&matchers.to_string()).unwrap(), matchers);
    }

    #[test]
    fn any_text_is_matchers_or_an_error_within_it(text in "[a-z{}=!~,\"'\\\\ 数]{0,12}") {
        if let Err(error) = Matchers::parse(&text) {
            prop_assert!((1..=text.chars().count() + 1).contains(&error.column));
        }
    }

    #[test]
    fn any_regular_expression_is_compiled_or_refused(text in "\\PC{0,12}") {
        let _ = Matcher::new("l", MatchOp::Regexp, &text);
    }

    #[test]
    fn literal_regular_expressions_match_themselves_only(a in "[a-z0-9]{1,5}", b in "[a-z0-9]{1,5}") {
        let matcher = Matcher::new("l", MatchOp::Regexp, &a).unwrap();
        prop_assert_eq!(matcher.matches(&labels(&[("l", &b)])), a == b);
    }
}
