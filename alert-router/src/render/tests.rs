//! Every default template × language × kind of message as people read it, and the bounds.

use super::samples::{self, locale};
use super::*;

const LANGUAGES: [(&str, Language); 2] = [("en", Language::English), ("zh", Language::Chinese)];

fn view(message: &crate::message::Message, language: Language) -> View {
    View::of(message, &locale(language))
}

/// Renders every sample in both languages and compares with the committed snapshot.
fn check_snapshots(template: &str) {
    let renderer = Renderer::built_in();
    for (language, chosen) in LANGUAGES {
        for (name, message) in samples::all() {
            let rendered = renderer.render(template, &view(&message, chosen));
            assert_eq!(rendered.failed, None, "{name}");
            insta::with_settings!({
                snapshot_path => "../../testdata/snapshots/render",
                prepend_module_to_snapshot => false,
                omit_expression => true,
            }, { insta::assert_snapshot!(format!("{template}-{language}-{name}"), rendered.text) });
        }
    }
}

#[test]
fn plain_text_mail_reads_well() {
    check_snapshots("email.txt");
}

#[test]
fn html_mail_reads_well() {
    check_snapshots("email.html");
}

#[test]
fn the_subject_is_constant_for_a_groups_life() {
    let renderer = Renderer::built_in();
    let subject = |message| {
        renderer
            .render("subject.txt", &view(message, Language::English))
            .text
    };
    let all = samples::all();
    for (name, message) in &all[..6] {
        assert_eq!(subject(message), "DiskFull · east", "{name}");
    }
    let others: Vec<_> = all[6..]
        .iter()
        .map(|(_, message)| subject(message))
        .collect();
    assert_eq!(
        others,
        [
            "[prod-sh] DiskFull · east",
            "Digest of alerts for db-team",
            "Test message for db-team"
        ]
    );
}

#[test]
fn what_is_over_in_a_message_of_its_own_is_resolved_though_others_fire() {
    let mut news = samples::news(crate::message::Reason::SomeResolved);
    news.alerts.retain(|alert| alert.ends_at.is_some());
    let message = samples::message(crate::message::Says::Group(Box::new(news)));
    let text = Renderer::built_in().render("email.txt", &view(&message, Language::English));
    let begin: Vec<&str> = text.text.lines().take(1).collect();
    assert_eq!(begin, ["RESOLVED · critical · 1 resolved"]);
    assert!(text.text.contains("some alerts are over"), "{}", text.text);
}

#[test]
fn a_group_without_labels_is_named_by_its_receiver() {
    let mut news = samples::news(crate::message::Reason::First);
    news.group_labels = alert_engine::Labels::default();
    let message = samples::message(crate::message::Says::Group(Box::new(news)));
    for (language, want) in [
        (Language::English, "Alerts for db-team"),
        (Language::Chinese, "db-team 的告警"),
    ] {
        let subject = Renderer::built_in().render("subject.txt", &view(&message, language));
        assert_eq!(subject.text, want);
    }
}

#[test]
fn the_way_to_the_traces_is_a_link() {
    const SEARCH: &str = "http://jaeger.example.com/search?service=orders&lookback=1h";
    let mut news = samples::news(crate::message::Reason::First);
    let first = &mut news.alerts[0];
    let others = first.annotations.iter();
    first.annotations = others.chain([("trace_url", SEARCH)]).collect();
    let message = samples::message(crate::message::Says::Group(Box::new(news)));
    let renderer = Renderer::built_in();
    let render = |template| {
        renderer
            .render(template, &view(&message, Language::English))
            .text
    };
    let text = render("email.txt");
    assert!(text.contains(&format!("  Traces: {SEARCH}\n")), "{text}");
    assert!(!text.contains("trace_url"), "{text}");
    let html = render("email.html");
    let href = format!("<a href=\"{}\"", SEARCH.replace('&', "&amp;"));
    assert!(html.contains(&href), "{html}");
}

#[test]
fn hostile_labels_stay_text() {
    let renderer = Renderer::built_in();
    let message = samples::hostile();
    let view = view(&message, Language::English);
    let html = renderer.render("email.html", &view);
    assert_eq!(html.failed, None);
    for markup in [
        "<script",
        "javascript:",
        "evil.example",
        "\r",
        "\0",
        "\u{202e}",
    ] {
        assert!(!html.text.contains(markup), "{markup:?} in {}", html.text);
    }
    let subject = renderer.render("subject.txt", &view).text;
    assert!(!subject.contains(['\r', '\n', '\0']), "{subject:?}");
    let text = renderer.render("email.txt", &view).text;
    assert!(
        text.contains("{{ 7*7 }}"),
        "template syntax in a label is not run: {text}"
    );
}

#[test]
fn an_alert_without_end_is_ongoing_never_two_thousand_years_long() {
    let mut news = samples::news(crate::message::Reason::First);
    news.alerts[0].starts_at = alert_engine::Timestamp::from_millis(-62_135_596_800_000);
    let message = samples::message(crate::message::Says::Group(Box::new(news)));
    let text = Renderer::built_in()
        .render("email.txt", &view(&message, Language::English))
        .text;
    assert!(text.contains("since an unknown time (ongoing)"), "{text}");
    assert!(
        text.contains("since 2026-01-02 08:59 +08:00 (2 h 5 min, ongoing)"),
        "{text}"
    );
}

#[test]
fn a_failing_template_sends_the_fallback_which_says_so() {
    let cases = [
        (
            "undefined variable",
            "{{ nothing.at_all }}",
            "undefined value",
        ),
        (
            "endless loop",
            "{% for a in range(90000) %}{% for b in range(90000) %}x{% endfor %}{% endfor %}",
            "ran out of fuel",
        ),
        (
            "endless output",
            "{% for a in range(9000) %}{{ 'x' * 9000 }}{% endfor %}",
            "larger than",
        ),
        (
            "endless recursion",
            "{% macro a() %}{{ a() }}{% endmacro %}{{ a() }}",
            "recursion",
        ),
        (
            "unknown include",
            "{% include 'nowhere' %}",
            "template not found",
        ),
    ];
    for (name, source, why) in cases {
        let own = [("own.txt".to_owned(), source.to_owned())];
        let renderer = Renderer::with_templates(own).unwrap();
        let message = samples::group(crate::message::Reason::First);
        let rendered = renderer.render("own.txt", &view(&message, Language::English));
        assert!(
            rendered
                .failed
                .as_ref()
                .is_some_and(|failed| failed.contains(why)),
            "{name}: {:?}",
            rendered.failed
        );
        assert!(
            rendered.text.starts_with("FIRING: 2 firing, 0 over"),
            "{name}: {}",
            rendered.text
        );
        assert!(
            rendered
                .text
                .contains("This is a substitute: template own.txt cannot be used"),
            "{name}"
        );
        assert_eq!(renderer.failures(), 1, "{name}");
    }
}

#[test]
fn the_fallback_is_escaped_for_html() {
    let own = [("email.html".to_owned(), "{{ nothing.at_all }}".to_owned())];
    let renderer = Renderer::with_templates(own).unwrap();
    let rendered = renderer.render("email.html", &view(&samples::hostile(), Language::English));
    assert!(!rendered.text.contains("<script"), "{}", rendered.text);
}

#[test]
fn a_template_that_does_not_compile_is_refused_with_its_line() {
    let own = [("own.txt".to_owned(), "one\n{% if %}".to_owned())];
    let error = Renderer::with_templates(own).unwrap_err().to_string();
    assert!(
        error.contains("own.txt") && error.contains("own.txt:2"),
        "{error}"
    );
}

#[test]
fn own_templates_see_the_filters() {
    let cases = [
        ("{{ created_ms | local }}", "2026-01-02 11:04 +08:00"),
        ("{{ created_ms | local('%H:%M') }}", "11:04"),
        ("{{ 7500 | in_words }}", "2 小时 5 分钟"),
        ("{{ 'a\r\nb' | one_line }}", "a b"),
        ("{{ '磁盘空间' | cut(3) }}", "磁盘…"),
        ("{{ 'javascript:x' | link }}", "None"),
    ];
    for (source, want) in cases {
        let renderer = Renderer::with_templates([("own.txt".into(), source.into())]).unwrap();
        let message = samples::group(crate::message::Reason::First);
        assert_eq!(
            renderer
                .render("own.txt", &view(&message, Language::Chinese))
                .text,
            want
        );
    }
}

#[test]
fn what_does_not_fit_is_counted() {
    let message = samples::group(crate::message::Reason::First);
    let view = view(&message, Language::English).limited(1);
    assert_eq!(
        (view.groups[0].alerts.len(), view.groups[0].left_out),
        (1, 1)
    );
    let text = Renderer::built_in().render("email.txt", &view).text;
    assert!(
        text.contains("1 more alert is not listed here for space."),
        "{text}"
    );
}
