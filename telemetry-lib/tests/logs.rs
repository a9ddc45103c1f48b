//! What can be changed about logs while a service runs, and what never stands in telemetry.
#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests, too, fail by panicking"
)]

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::routing::get;
use http_body_util::BodyExt;
use telemetry_lib::testing::{AttributeValue, TestTelemetry};
use telemetry_lib::{LogFilterError, LogFormat};
use tower::ServiceExt;

async fn ask(telemetry: &TestTelemetry, routes: Router) {
    let request = Request::get("/orders").body(Body::empty()).unwrap();
    let app = telemetry.handle().instrument(routes);
    let response = app.oneshot(request).await.unwrap();
    response.into_body().collect().await.unwrap();
}

fn orders() -> Router {
    Router::new().route(
        "/orders",
        get(|| async {
            tracing::debug!("detail");
            tracing::info!("served");
        }),
    )
}

fn messages(telemetry: &TestTelemetry) -> Vec<String> {
    let lines = telemetry.log().into_iter();
    lines
        .map(|line| {
            let line: serde_json::Value = serde_json::from_str(&line).unwrap();
            line["message"].as_str().unwrap().to_owned()
        })
        .collect()
}

#[tokio::test]
async fn the_filter_changes_at_run_time_and_spans_do_not() {
    let telemetry = TestTelemetry::start();
    ask(&telemetry, orders()).await;
    assert_eq!(messages(&telemetry), ["served"]);

    let set = |filter| telemetry.handle().set_log_filter(filter);
    set("warn,logs=debug").unwrap();
    ask(&telemetry, orders()).await;
    assert_eq!(messages(&telemetry), ["served", "detail", "served"]);

    set("logs").unwrap();
    ask(&telemetry, orders()).await;
    let said = messages(&telemetry);
    assert_eq!(
        said[3..],
        ["detail", "served"],
        "a target alone is all of it"
    );

    set("off").unwrap();
    ask(&telemetry, orders()).await;
    let error = set("logs=inof").unwrap_err();
    assert!(matches!(error, LogFilterError::Invalid(_)), "{error}");
    ask(&telemetry, orders()).await;
    assert_eq!(messages(&telemetry).len(), 5);
    assert_eq!(telemetry.spans().await.len(), 5);
}

#[test]
fn a_word_that_is_no_level_is_told_once_and_taken_as_a_target() {
    let telemetry = TestTelemetry::configured(&[("RUST_LOG", "inof")], |it| it);
    let said = telemetry.notices();
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(
        said[0].starts_with("RUST_LOG: \"inof\" is no level"),
        "{said:?}"
    );

    for _ in 0..2 {
        telemetry.handle().set_log_filter("warnign").unwrap();
        telemetry.handle().set_log_filter("my_crate").unwrap();
    }
    let said = telemetry.notices();
    assert_eq!(said.len(), 2, "{said:?}");
    assert!(
        said[1].starts_with("set_log_filter: \"warnign\" is no level"),
        "{said:?}"
    );

    let variables = [("RUST_LOG", "inof")];
    let without = TestTelemetry::configured(&variables, |it| it.log_format(LogFormat::None));
    assert_eq!(without.notices(), [""; 0], "no lines are ours");
}

/// `Targets` takes them, and then no line is written.
#[tokio::test]
async fn what_cannot_be_a_target_is_refused_and_what_can_be_is_not() {
    use std::error::Error as _;

    for refused in [
        "my_crate[foo]=debug",
        "my_crate[foo]",
        "[foo]=debug",
        "[{user}]=debug",
        "my_crate[{user}]=debug",
        "my_crate[foo{user=7}]=debug",
        "info,my_crate[{a,b}]=debug",
        "{user}",
        "my crate=debug",
        "my crate",
        "=",
        "=debug",
        " =debug",
        "info,=",
        "info my_crate=debug",
        "my_crate = debug",
    ] {
        let telemetry = TestTelemetry::configured(&[("RUST_LOG", refused)], |it| it);
        let said = telemetry.notices();
        assert_eq!(said.len(), 1, "{refused}: {said:?}");
        let why = "spans and fields cannot be filtered by";
        let names_it = said[0].starts_with("RUST_LOG is ignored") && said[0].contains(why);
        assert!(names_it, "{refused}: {said:?}");
        ask(&telemetry, orders()).await;
        assert_eq!(messages(&telemetry), ["served"], "{refused}");

        let error = telemetry.handle().set_log_filter(refused).unwrap_err();
        assert!(matches!(error, LogFilterError::Invalid(_)), "{error}");
        let source = error.source().unwrap().to_string();
        assert!(source.contains(why), "{source}");
    }
    let telemetry = TestTelemetry::start();
    for taken in [
        "warn,my_crate::module=debug",
        "my-crate=info , a.b/c:d=off",
        "sqlx::query",
        "http://x@y=debug",
    ] {
        telemetry.handle().set_log_filter(taken).unwrap();
    }
}

/// `Targets` takes it as ERROR, `EnvFilter` and `env_logger` as all of the target.
#[tokio::test]
async fn a_target_without_its_level_is_refused_and_the_way_to_write_it_told() {
    use std::error::Error as _;

    for refused in [
        "my_crate=",
        "my_crate= ",
        "info,my_crate=",
        "my_crate=,info",
    ] {
        let telemetry = TestTelemetry::configured(&[("RUST_LOG", refused)], |it| it);
        let said = telemetry.notices();
        assert_eq!(said.len(), 1, "{refused}: {said:?}");
        let why = "target=trace";
        let names_it = said[0].starts_with("RUST_LOG is ignored") && said[0].contains(why);
        assert!(
            names_it && !said[0].contains("my_crate"),
            "{refused}: {said:?}"
        );
        ask(&telemetry, orders()).await;
        assert_eq!(messages(&telemetry), ["served"], "{refused}");

        let error = telemetry.handle().set_log_filter(refused).unwrap_err();
        let source = error.source().unwrap().to_string();
        assert!(source.contains(why), "{source}");
    }
}

#[tokio::test]
async fn a_filter_of_lines_that_are_not_ours_is_refused() {
    let telemetry = TestTelemetry::configured(&[], |it| it.log_format(LogFormat::None));
    let error = telemetry.handle().set_log_filter("info").unwrap_err();
    assert!(matches!(error, LogFilterError::NotOurs), "{error}");
}

#[tokio::test]
async fn a_secret_stands_in_no_line_no_attribute_and_no_event() {
    #[tracing::instrument]
    async fn login(user: &str, password: &str) {
        tracing::error!(
            token = password,
            card_number = password,
            cardNumber = password,
            sig = password,
            accessKey = password,
            privatekey = password,
            "refused"
        );
    }
    let telemetry = TestTelemetry::configured(&[], |config| {
        config.redact_fields(["card-number".to_owned()])
    });
    let routes = Router::new().route("/orders", get(|| login("ann", "hunter2")));
    ask(&telemetry, routes).await;

    let lines = telemetry.log();
    assert!(lines[0].contains("refused") && lines[0].contains("ann"));
    let spans = telemetry.spans().await;
    let span = spans.iter().find(|span| span.name() == "login").unwrap();
    let hidden = AttributeValue::Text("REDACTED".to_owned());
    span.assert_attribute("password", Some(hidden));
    assert_eq!(span.event_names(), ["refused"]);
    for text in [format!("{lines:?}"), format!("{spans:?}")] {
        assert!(
            text.contains("REDACTED") && !text.contains("hunter2"),
            "{text}"
        );
    }
}

#[tokio::test]
async fn a_line_names_its_request_and_a_fold_is_counted_on_the_page() {
    let telemetry = TestTelemetry::configured(&[], |config| config.log_lines_per_second(1));
    let flood = || async { (0..1_000).for_each(|_| tracing::info!("flood")) };
    ask(&telemetry, Router::new().route("/orders", get(flood))).await;
    let first: serde_json::Value = serde_json::from_str(&telemetry.log()[0]).unwrap();
    assert_eq!(first["spans"][0]["name"], "GET /orders");
    assert_eq!(first["trace_id"].as_str().unwrap().len(), 32);

    let written = telemetry.log().len();
    let page = telemetry.scrape();
    let folded = page.value("telemetry_log_lines_folded_total", &[]);
    assert_eq!(folded, Some((1_000 - written) as f64));

    let _ = telemetry.spans().await; // flushes
    let lines = telemetry.log();
    assert_eq!(lines.len(), written + 1);
    assert!(lines[written].contains("repeated"), "{}", lines[written]);
}
