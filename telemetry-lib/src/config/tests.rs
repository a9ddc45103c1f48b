//! The variables, row by row: what is read, what is refused, what is never printed.

use super::*;

mod values;

fn read(variables: &[(&str, &str)]) -> Config {
    let variables = variables.iter();
    Config::from_vars(
        "orders",
        variables.map(|(name, value)| ((*name).into(), (*value).into())),
    )
}

fn complaints(config: &Config) -> Vec<String> {
    config.invalid.iter().map(ToString::to_string).collect()
}

/// One variable with one value; `shown` picks what it should have changed.
fn check(variable: &str, value: &str, shown: impl Fn(&Config) -> String, expected: &str) {
    let config = read(&[(variable, value)]);
    assert_eq!(shown(&config), expected, "{variable}={value}");
    assert_eq!(complaints(&config), [""; 0], "{variable}={value}");
}

fn exporter(config: &Config) -> &Exporter {
    config.exporter.as_ref().unwrap()
}

#[test]
fn without_variables_the_defaults_hold() {
    insta::assert_snapshot!(read(&[]), @r#"
    service: Service { name: "orders", version: None, environment: None, attributes: [], pod: [] }
    disabled: false
    exporter: Some(Exporter { protocol: Http, endpoint: "http://localhost:4318/v1/traces", from: Default, headers (values hidden): [], timeout: 10s, total: 60s, gzip: false, certificate: None, client_certificate: None, client_key: None, queue: 2048, batch: 512, delay: 1s })
    traces: TraceConfig { sampler: Sampler { parent_based: true, ratio: 1.0 }, limits: Limits { attributes: 128, events: 128, links: 128, event_attributes: 128, link_attributes: 128, value_length: None }, propagators: Propagators { tracecontext: true, baggage: true, b3: false, b3multi: false }, baggage_attributes: [], level: Level(Info) }
    http: HttpConfig { known_methods: ["GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH", "QUERY"], callers: Trusted, trusted_proxies: [], request_headers: [], response_headers: [], query_keys: None, secrets: Redaction(["access_key", "accesstoken", "api_key", "apitoken", "appsecret", "assertion", "auth", "authorization", "authtoken", "awsaccesskeyid", "bearer", "bearertoken", "clientsecret", "cookie", "corpsecret", "credential", "credentials", "csrf", "csrfmiddlewaretoken", "csrftoken", "encryption_key", "idtoken", "jsessionid", "jwt", "master_key", "newpassword", "oldpassword", "ossaccesskeyid", "otp", "pass", "passcode", "passphrase", "passwd", "password", "phpsessid", "private_key", "pwd", "refreshtoken", "saml_response", "secret", "secretkey", "session", "sessionid", "sessiontoken", "sid", "sig", "signature", "signing_key", "token", "userpassword", "xsrf", "xsrftoken"]), skipped_paths: [], endpoints: All, trace_id_header: None, propagate_to: [10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16, 127.0.0.0/8, ::1/128, fc00::/7, .svc, .local, .internal, names without a dot] }
    metrics: true, exemplars: true
    logs: Json, admin: None
    silent: false, without effect: []
    "#);
}

#[test]
fn each_variable_changes_its_setting() {
    check(
        "OTEL_SDK_DISABLED",
        "True",
        |it| it.disabled.to_string(),
        "true",
    );
    check(
        "OTEL_SERVICE_NAME",
        "pay",
        |it| it.service.name.clone(),
        "pay",
    );
    let resource = "service.name=res,service.version=2,deployment.environment.name=stage";
    check(
        "OTEL_RESOURCE_ATTRIBUTES",
        resource,
        |it| it.service.name.clone(),
        "res",
    );
    check(
        "TOOLKIT_ENV",
        "prod",
        |it| it.service.is_production().to_string(),
        "true",
    );
    check(
        "OTEL_TRACES_EXPORTER",
        "NONE",
        |it| it.exporter.is_none().to_string(),
        "true",
    );
    check(
        "OTEL_METRICS_EXPORTER",
        "none",
        |it| it.metrics.to_string(),
        "false",
    );
    check(
        "OTEL_METRICS_EXEMPLAR_FILTER",
        "always_off",
        |it| it.exemplars.to_string(),
        "false",
    );
    let methods = |it: &Config| it.http.known_methods.join(" ");
    check(
        "OTEL_INSTRUMENTATION_HTTP_KNOWN_METHODS",
        "GET, PURGE",
        methods,
        "GET PURGE",
    );
    check(
        "OTEL_INSTRUMENTATION_HTTP_KNOWN_METHODS",
        "GET,,PURGE,",
        methods,
        "GET PURGE",
    );
}

#[test]
fn propagators_and_limits_are_read() {
    let propagators = |it: &Config| format!("{:?}", it.traces.propagators);
    let none = "Propagators { tracecontext: false, baggage: false, b3: false, b3multi: false }";
    check("OTEL_PROPAGATORS", "none", propagators, none);
    let partly = read(&[("OTEL_PROPAGATORS", "b3multi, XRay,s3cret")]);
    let b3multi = "Propagators { tracecontext: false, baggage: false, b3: false, b3multi: true }";
    assert_eq!(propagators(&partly), b3multi);
    let said = "OTEL_PROPAGATORS is ignored in part: not all that it lists is among tracecontext, \
                baggage, b3 and b3multi, or none alone";
    assert_eq!(complaints(&partly), [said]);
    let trace = "Propagators { tracecontext: true, baggage: false, b3: false, b3multi: false }";
    check("OTEL_PROPAGATORS", ",tracecontext,,", propagators, trace);
    check("OTEL_PROPAGATORS", "none,", propagators, none);
    let contradicted = read(&[("OTEL_PROPAGATORS", "none,b3multi")]);
    assert_eq!(propagators(&contradicted), b3multi);
    assert_eq!(complaints(&contradicted), [said]);
    let limits = |it: &Config| format!("{:?}", it.traces.limits);
    let all = "Limits { attributes: 9, events: 128, links: 128, event_attributes: 9, \
               link_attributes: 9, value_length: None }";
    check("OTEL_ATTRIBUTE_COUNT_LIMIT", "9", limits, all);
    let length = |it: &Config| format!("{:?}", it.traces.limits.value_length);
    check(
        "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT",
        "64",
        length,
        "Some(64)",
    );
    check(
        "OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT",
        "32",
        length,
        "Some(32)",
    );
}

#[test]
fn samplers_are_known_by_name_whatever_the_case() {
    let sampler = |it: &Config| {
        format!(
            "{:?} {}",
            it.traces.sampler.parent_based, it.traces.sampler.ratio
        )
    };
    for (name, expected) in [
        ("always_on", "false 1"),
        ("ALWAYS_OFF", "false 0"),
        ("parentbased_always_on", "true 1"),
        ("parentbased_always_off", "true 0"),
        ("TraceIdRatio", "false 1"),
        ("parentbased_traceidratio", "true 1"),
    ] {
        check("OTEL_TRACES_SAMPLER", name, sampler, expected);
    }
    let both = [
        ("OTEL_TRACES_SAMPLER", "parentbased_traceidratio"),
        ("OTEL_TRACES_SAMPLER_ARG", "0.25"),
    ];
    assert_eq!(sampler(&read(&both)), "true 0.25");
}

#[test]
fn the_exporters_variables_prefer_the_signals_own() {
    let endpoint = |it: &Config| exporter(it).endpoint.to_string();
    check(
        "OTEL_EXPORTER_OTLP_ENDPOINT",
        "https://c:4318/base/",
        endpoint,
        "https://c:4318/base/v1/traces",
    );
    for (general, own) in [
        ("http://c", "http://c/v1/traces"),
        ("http://c?key=a", "http://c/v1/traces?key=a"),
        ("http://c/otlp/?key=a/", "http://c/otlp/v1/traces?key=a/"),
        ("http://u:p@c/otlp#part", "http://u:p@c/otlp/v1/traces"),
    ] {
        check("OTEL_EXPORTER_OTLP_ENDPOINT", general, endpoint, own);
    }
    check(
        "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
        "https://c/x",
        endpoint,
        "https://c/x",
    );
    let both = read(&[
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://general"),
        ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://own/t"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "1"),
        ("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "2500"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "a=general"),
        (
            "OTEL_EXPORTER_OTLP_TRACES_HEADERS",
            "authorization=Bearer%20x, b=2",
        ),
    ]);
    assert_eq!(endpoint(&both), "http://own/t");
    assert_eq!(exporter(&both).timeout.as_millis(), 2_500);
    let headers = &exporter(&both).headers;
    assert_eq!(headers.len(), 2);
    assert_eq!(headers[0].1.as_bytes(), b"Bearer x");
    check(
        "OTEL_EXPORTER_OTLP_COMPRESSION",
        "gzip",
        |it| exporter(it).gzip.to_string(),
        "true",
    );
    let ca = |it: &Config| format!("{:?}", exporter(it).certificate);
    check(
        "OTEL_EXPORTER_OTLP_CERTIFICATE",
        "/ca.pem",
        ca,
        "Some(\"/ca.pem\")",
    );
    check(
        "OTEL_BSP_SCHEDULE_DELAY",
        "250",
        |it| format!("{:?}", exporter(it).delay),
        "250ms",
    );
    check(
        "OTEL_BSP_EXPORT_TIMEOUT",
        "2500",
        |it| format!("{:?}", exporter(it).total),
        "2.5s",
    );
    let sizes = |it: &Config| format!("{} {}", exporter(it).queue, exporter(it).batch);
    check("OTEL_BSP_MAX_QUEUE_SIZE", "100", sizes, "100 100");
    check("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "64", sizes, "2048 64");
}

#[test]
fn f40_an_invalid_value_is_reported_by_name_and_the_default_holds() {
    let secret = "s3cret-in-the-wrong-place";
    let variables = [
        "OTEL_SDK_DISABLED",
        "OTEL_RESOURCE_ATTRIBUTES",
        "OTEL_PROPAGATORS",
        "OTEL_TRACES_SAMPLER",
        "OTEL_TRACES_EXPORTER",
        "OTEL_METRICS_EXPORTER",
        "OTEL_METRICS_EXEMPLAR_FILTER",
        "OTEL_ATTRIBUTE_COUNT_LIMIT",
        "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT",
        "OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT",
        "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT",
        "OTEL_SPAN_EVENT_COUNT_LIMIT",
        "OTEL_SPAN_LINK_COUNT_LIMIT",
        "OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT",
        "OTEL_LINK_ATTRIBUTE_COUNT_LIMIT",
        "OTEL_BSP_SCHEDULE_DELAY",
        "OTEL_BSP_EXPORT_TIMEOUT",
        "OTEL_BSP_MAX_QUEUE_SIZE",
        "OTEL_BSP_MAX_EXPORT_BATCH_SIZE",
        "OTEL_LOG_LEVEL",
        "OTEL_EXPORTER_OTLP_ENDPOINT",
        "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
        "OTEL_EXPORTER_OTLP_PROTOCOL",
        "OTEL_EXPORTER_OTLP_HEADERS",
        "OTEL_EXPORTER_OTLP_COMPRESSION",
        "OTEL_EXPORTER_OTLP_TIMEOUT",
        "OTEL_CONFIG_FILE",
        "OTEL_LOGS_EXPORTER",
        "OTEL_EXPORTER_PROMETHEUS_HOST",
        "OTEL_EXPORTER_PROMETHEUS_PORT",
    ];
    let defaults = read(&[]).to_string();
    for variable in variables {
        let config = read(&[(variable, secret)]);
        let said = complaints(&config);
        assert_eq!(said.len(), 1, "{variable}: {said:?}");
        assert!(
            said[0].starts_with(&format!("{variable} is ignored")),
            "{said:?}"
        );
        let printed = config.to_string();
        assert!(!printed.contains(secret), "{printed}");
        assert_eq!(
            printed.replace(&format!("{}\n", said[0]), ""),
            defaults,
            "{variable}"
        );
    }
}

#[test]
fn f40_an_invalid_variable_of_the_signal_leaves_the_general_one() {
    let config = read(&[
        ("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "soon"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "2000"),
        ("OTEL_EXPORTER_OTLP_TRACES_COMPRESSION", "zip"),
        ("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip"),
        ("OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT", "-1"),
        ("OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", "7"),
    ]);
    assert_eq!(exporter(&config).timeout.as_millis(), 2_000);
    assert!(exporter(&config).gzip);
    assert_eq!(config.traces.limits.value_length, Some(7));
    assert_eq!(complaints(&config).len(), 3);
}

#[test]
fn grpc_has_its_own_default_and_no_path() {
    let shown = |variables: &[(&str, &str)]| {
        let config = read(variables);
        let exporter = exporter(&config);
        format!("{:?} {}", exporter.protocol, exporter.shown_endpoint())
    };
    let http = "Http http://localhost:4318/v1/traces";
    assert_eq!(shown(&[]), http);
    assert_eq!(
        shown(&[("OTEL_EXPORTER_OTLP_PROTOCOL", "HTTP/protobuf")]),
        http
    );
    let grpc = ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc");
    let general = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4317");
    let (own, with_endpoint) = match cfg!(feature = "otlp-grpc") {
        true => ("Grpc http://localhost:4317/", "Grpc http://collector:4317/"),
        false => (http, "Http http://collector:4317/v1/traces"),
    };
    assert_eq!(shown(&[grpc]), own);
    assert_eq!(shown(&[grpc, general]), with_endpoint);
}

#[test]
fn a_build_without_grpc_names_the_feature() {
    let vars = [("OTEL_EXPORTER_OTLP_PROTOCOL".into(), "gRPC".into())];
    let mut without = Vars::new(vars.clone());
    assert_eq!(exporter::read_protocol(&mut without, false), Protocol::Http);
    let said: Vec<_> = without
        .into_invalid()
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(
        said,
        [
            "OTEL_EXPORTER_OTLP_PROTOCOL is ignored: its value is not in this build: add the \
             feature `otlp-grpc` of telemetry-lib, or use http/protobuf"
        ]
    );
    let mut with = Vars::new(vars);
    assert_eq!(exporter::read_protocol(&mut with, true), Protocol::Grpc);
    assert!(with.into_invalid().is_empty());
}

#[test]
fn an_empty_variable_is_unset() {
    let config = read(&[
        ("OTEL_TRACES_SAMPLER", ""),
        ("OTEL_BSP_SCHEDULE_DELAY", " "),
    ]);
    assert_eq!(config.to_string(), read(&[]).to_string());
}

#[test]
fn the_printed_configuration_has_no_secrets() {
    let config = read(&[
        (
            "OTEL_EXPORTER_OTLP_ENDPOINT",
            "https://u5er:p4ss@collector:4318",
        ),
        ("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20t0ken"),
        (
            "OTEL_RESOURCE_ATTRIBUTES",
            "api_key=k3y,team=pay,x.password=pa55,shop.card=c4rd,repo=https://me:g1t@host/x,\
             built=%2Fjob%3Ftoken%3Dj0b",
        ),
    ])
    .redact_fields(["card".to_owned()]);
    assert!(config.to_string().contains("(\"team\", \"pay\")"));
    for printed in [
        config.to_string(),
        format!("{config:?}"),
        format!("{:?}", exporter(&config)),
    ] {
        assert!(printed.contains("authorization"), "{printed}");
        assert!(
            printed.contains("https://collector:4318/v1/traces"),
            "{printed}"
        );
        for secret in ["p4ss", "u5er", "t0ken", "k3y", "pa55", "c4rd", "g1t", "j0b"] {
            assert!(!printed.contains(secret), "{secret} in {printed}");
        }
    }
}

#[test]
fn a_secret_in_an_endpoint_is_not_shown() {
    for (endpoint, shown) in [
        (
            "https://u:p@host/v1/traces?api_key=1",
            "https://host/v1/traces",
        ),
        (
            "https://host/token/abc/v1",
            "https://host/token/REDACTED/v1",
        ),
        (
            "https://host/in;api-key=abc/v1",
            "https://host/in;api-key=REDACTED/v1",
        ),
        (
            "https://host/%74oken/abc/in%3Bapi_key%3Dabc",
            "https://host/%74oken/REDACTED/REDACTED",
        ),
        (
            "https://host/tokens/v1/traces",
            "https://host/tokens/v1/traces",
        ),
    ] {
        let config = read(&[("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", endpoint)]);
        assert_eq!(exporter(&config).shown_endpoint(), shown);
    }
}

#[cfg(unix)]
#[test]
fn f40_a_value_that_is_not_utf_8_is_reported_if_somebody_asks_for_it() {
    use std::os::unix::ffi::OsStringExt;

    let broken = || OsString::from_vec(b"s3cret\xff".to_vec());
    let names = [
        "OTEL_SERVICE_NAME",
        "OTEL_BSP_MAX_QUEUE_SIZE",
        "K8S_POD_NAME",
        "OTHER",
    ];
    let variables = names.map(|name| (name.into(), broken()));
    let config = Config::from_os("orders", variables);
    assert_eq!(
        complaints(&config),
        [
            "K8S_POD_NAME is ignored: its value is not UTF-8",
            "OTEL_BSP_MAX_QUEUE_SIZE is ignored: its value is not UTF-8",
            "OTEL_SERVICE_NAME is ignored: its value is not UTF-8",
        ]
    );
    assert_eq!(config.service.name, "orders");
    assert!(!config.to_string().contains("s3cret"));
}

#[test]
fn plain_text_is_told_from_tls_and_loopback() {
    for (endpoint, plain) in [
        ("http://collector:4318", true),
        ("http://10.0.0.1:4318", true),
        ("https://collector:4318", false),
        ("http://localhost:4318", false),
        ("http://127.0.0.1:4318", false),
        ("http://[::1]:4318", false),
    ] {
        let config = read(&[("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)]);
        assert_eq!(
            exporter(&config).is_plain_text_to_another_host(),
            plain,
            "{endpoint}"
        );
    }
}

#[test]
fn code_overrides_variables() {
    let config = read(&[("OTEL_EXPORTER_OTLP_ENDPOINT", "http://a")])
        .endpoint("https://b/v1/traces")
        .unwrap();
    assert_eq!(exporter(&config).shown_endpoint(), "https://b/v1/traces");
    assert_eq!(
        read(&[]).endpoint("collector:4318").unwrap_err(),
        EndpointError
    );
}
