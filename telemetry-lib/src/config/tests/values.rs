//! Values that look right and lead astray: to another server, to a broken export, to a pod that is none.

use super::*;

#[test]
fn f40_a_port_that_is_no_port_leads_to_no_other_port() {
    let reads = |endpoint: &str| {
        let variables = [
            "OTEL_EXPORTER_OTLP_ENDPOINT",
            "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
        ];
        let origins = variables.map(|variable| {
            let config = read(&[(variable, endpoint)]);
            let is_read = exporter(&config).origin == Origin::Variable(variable);
            assert_eq!(
                complaints(&config).len(),
                usize::from(!is_read),
                "{endpoint}"
            );
            is_read
        });
        let in_code = read(&[]).endpoint(endpoint).is_ok();
        assert_eq!(origins, [in_code; 2], "{endpoint}");
        in_code
    };
    for endpoint in [
        "http://localhost:99999",
        "http://localhost:65536/v1/traces",
        "http://localhost:0",
        // What an empty variable leaves of `http://localhost:$PORT`.
        "http://localhost:",
        "http://localhost:+80",
        "http://user:4318@localhost:99999",
        "http://[::1]:99999",
    ] {
        assert!(!reads(endpoint), "{endpoint}");
    }
    for endpoint in [
        "http://localhost",
        "http://localhost:1",
        "http://localhost:065535",
        "http://user:99999@localhost",
        "http://user:p:w@localhost:80",
        "http://[::1]",
        "http://[::1]:4318",
    ] {
        assert!(reads(endpoint), "{endpoint}");
    }
}

#[test]
fn f40_a_header_that_the_exporter_sets_itself_costs_no_other_one() {
    let names = |list: &str| {
        let config = read(&[("OTEL_EXPORTER_OTLP_HEADERS", list)]);
        let headers = exporter(&config).headers.iter();
        let names: Vec<String> = headers.map(|(name, _)| name.to_string()).collect();
        (names, complaints(&config))
    };
    let said = "OTEL_EXPORTER_OTLP_HEADERS is ignored in part: not all that it lists is left to you: \
                the exporter sets what frames, encodes and types a request, and grpc-*, itself";
    for name in [
        "content-length",
        "Content-Type",
        "content-encoding",
        "host",
        "transfer-encoding",
        "connection",
        "keep-alive",
        "proxy-connection",
        "te",
        "trailer",
        "upgrade",
        "http2-settings",
        ":authority",
        "grpc-timeout",
        "grpc-encoding",
        "grpc-anything",
    ] {
        let (kept, complaints) = names(&format!("authorization=a,{name}=5,x-tenant=b"));
        assert_eq!(kept, ["authorization", "x-tenant"], "{name}");
        assert_eq!(complaints, [said], "{name}");
    }
    // Nothing is left of the signal's own variable: the general one holds.
    let config = read(&[
        ("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "host=a,te=b"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "authorization=a"),
    ]);
    assert_eq!(exporter(&config).headers[0].0, "authorization");
    assert_eq!(complaints(&config).len(), 1);
    let (kept, complaints) = names("x-grpc=1,hosts=2,content-language=en,user-agent=u");
    assert_eq!(kept, ["x-grpc", "hosts", "content-language", "user-agent"]);
    assert_eq!(complaints, [""; 0]);
}

#[test]
fn a_pod_is_described_only_where_there_is_one() {
    let pod = |variables: &[(&str, &str)]| {
        let pod = read(variables).service.pod.into_iter();
        let pod: Vec<String> = pod.map(|(name, value)| format!("{name}={value}")).collect();
        pod.join(" ")
    };
    let others = ("CONTAINER_NAME", "toolbox");
    let of_no_pod = [
        others,
        ("NODE_NAME", "n"),
        ("POD_UID", "u"),
        ("K8S_NODE_NAME", "n"),
    ];
    assert_eq!(pod(&of_no_pod), "");
    let seen = "k8s.container.name=toolbox";
    assert_eq!(
        pod(&[others, ("KUBERNETES_SERVICE_HOST", "10.0.0.1")]),
        seen
    );
    for name in ["POD_NAME", "K8S_POD_NAME"] {
        assert_eq!(
            pod(&[others, (name, "a")]),
            format!("k8s.pod.name=a {seen}")
        );
    }
}
