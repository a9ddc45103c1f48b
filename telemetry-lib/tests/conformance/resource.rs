//! Who the spans say that they are from, in the resource of OTLP and in `target_info`: what the
//! process knows by itself, what the downward API of Kubernetes tells it, and what the operator says.

use telemetry_lib::testing::AttributeValue;

use super::environment::{Seen, see};
use super::read::{ABSENT, shown};

/// Variables, an attribute, and its value.
type Row = (
    &'static [(&'static str, &'static str)],
    &'static str,
    &'static str,
);

/// As the kubelet sets it in every pod.
const IN_POD: (&str, &str) = ("KUBERNETES_SERVICE_HOST", "10.96.0.1");

const ROWS: &[Row] = &[
    (&[("POD_NAME", "orders-7")], "k8s.pod.name", "orders-7"),
    (&[("K8S_POD_NAME", "orders-8")], "k8s.pod.name", "orders-8"),
    (&[IN_POD, ("POD_UID", "275e")], "k8s.pod.uid", "275e"),
    (&[IN_POD, ("K8S_POD_UID", "275f")], "k8s.pod.uid", "275f"),
    (
        &[IN_POD, ("POD_NAMESPACE", "shop")],
        "k8s.namespace.name",
        "shop",
    ),
    (
        &[IN_POD, ("K8S_NAMESPACE_NAME", "own")],
        "k8s.namespace.name",
        "own",
    ),
    (
        &[IN_POD, ("NODE_NAME", "node-1")],
        "k8s.node.name",
        "node-1",
    ),
    (
        &[IN_POD, ("K8S_NODE_NAME", "node-2")],
        "k8s.node.name",
        "node-2",
    ),
    (
        &[IN_POD, ("CONTAINER_NAME", "app")],
        "k8s.container.name",
        "app",
    ),
    (
        &[IN_POD, ("K8S_CONTAINER_NAME", "a")],
        "k8s.container.name",
        "a",
    ),
    (
        &[IN_POD, ("K8S_DEPLOYMENT_NAME", "orders")],
        "k8s.deployment.name",
        "orders",
    ),
    (
        &[("K8S_POD_NAME", "own"), ("POD_NAME", "general")],
        "k8s.pod.name",
        "own",
    ),
    // Beside the name of a pod it is one, whoever set that.
    (
        &[("POD_NAME", "orders-7"), ("CONTAINER_NAME", "app")],
        "k8s.container.name",
        "app",
    ),
    // Outside Kubernetes the name is somebody else's.
    (&[("CONTAINER_NAME", "app")], "k8s.container.name", ABSENT),
    (&[("NODE_NAME", "node-1")], "k8s.node.name", ABSENT),
    // What the operator says comes last, and wins over what was found.
    (
        &[
            ("POD_NAME", "found"),
            ("OTEL_RESOURCE_ATTRIBUTES", "k8s.pod.name=said"),
        ],
        "k8s.pod.name",
        "said",
    ),
    (
        &[("OTEL_RESOURCE_ATTRIBUTES", "host.name=said")],
        "host.name",
        "said",
    ),
    (
        &[("OTEL_RESOURCE_ATTRIBUTES", "service.instance.id=i-7")],
        "service.instance.id",
        "i-7",
    ),
    (
        &[("OTEL_RESOURCE_ATTRIBUTES", "service.version=1.2.3")],
        "service.version",
        "1.2.3",
    ),
    // Prometheus has its own name for an instance, so that none is made up.
    (&[], "service.instance.id", ABSENT),
    (&[], "k8s.pod.name", ABSENT),
    (&[], "service.name", "test"),
    (&[], "telemetry.sdk.name", "opentelemetry"),
    (&[], "telemetry.sdk.language", "rust"),
    (&[], "telemetry.distro.name", "telemetry-lib"),
    (&[], "process.runtime.name", "rust"),
];

/// The attribute in the OTLP bytes, which all spans share.
fn in_otlp(seen: &Seen, attribute: &str) -> String {
    let values = seen.spans.iter();
    let mut values: Vec<String> = values
        .map(|span| shown(span.resource_attribute(attribute)))
        .collect();
    values.dedup();
    assert_eq!(values.len(), 1, "{attribute}: {values:?}");
    values.remove(0)
}

/// The label that the attribute becomes.
fn in_target_info(seen: &Seen, attribute: &str) -> String {
    let page = seen.page.as_ref().unwrap();
    let mut infos = page.samples().iter().filter(|it| it.name == "target_info");
    let label = attribute.replace('.', "_");
    let value = infos.next().unwrap().labels.get(label.as_str());
    value.map_or(ABSENT, |value| value.as_str()).to_owned()
}

#[tokio::test]
async fn the_resource_is_what_the_process_was_told_in_otlp_and_on_the_page() {
    for (variables, attribute, expected) in ROWS {
        let seen = see(variables).await;
        assert_eq!(seen.notices, [""; 0], "{variables:?}");
        assert_eq!(in_otlp(&seen, attribute), *expected, "{variables:?}");
        let label = in_target_info(&seen, attribute);
        assert_eq!(label, *expected, "{variables:?} {attribute}");
    }
}

#[tokio::test]
async fn the_resource_has_what_the_process_knows_of_itself() {
    let seen = see(&[]).await;
    let executable = std::env::current_exe().unwrap();
    let executable = executable.file_name().unwrap().to_str().unwrap();
    assert_eq!(in_otlp(&seen, "process.executable.name"), executable);
    let pid = AttributeValue::Int(std::process::id().into());
    assert_eq!(in_otlp(&seen, "process.pid"), shown(Some(&pid)));
    let pid = std::process::id().to_string();
    assert_eq!(in_target_info(&seen, "process.pid"), pid);
    assert_eq!(in_otlp(&seen, "os.type"), std::env::consts::OS);
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn the_resource_has_the_name_of_the_host() {
    let seen = see(&[]).await;
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
    assert_eq!(in_otlp(&seen, "host.name"), host.trim());
    assert_eq!(in_target_info(&seen, "host.name"), host.trim());
}
