//! Who produces the telemetry: name, version, environment, and the pod it runs in.

use super::vars::{Vars, pairs};
use crate::redact::{REDACTED, Redaction};

/// Who produces the telemetry.
#[derive(Clone, Debug)]
pub(crate) struct Service {
    pub(crate) name: String,
    pub(crate) version: Option<String>,
    /// `deployment.environment.name`; `prod` forbids plain-text OTLP to other hosts.
    pub(crate) environment: Option<String>,
    /// `OTEL_RESOURCE_ATTRIBUTES`, in order.
    pub(crate) attributes: Vec<(String, String)>,
    /// Set by the Kubernetes downward API, as attribute names and values; empty outside Kubernetes.
    pub(crate) pod: Vec<(&'static str, String)>,
}

impl Service {
    pub(super) fn read(vars: &mut Vars, default_name: String) -> Self {
        let attributes = vars
            .read(
                &["OTEL_RESOURCE_ATTRIBUTES"],
                "a list of name=value with percent-encoded values",
                pairs,
            )
            .unwrap_or_default();
        let attribute = |wanted: &str| {
            let found = attributes.iter().rev().find(|(key, _)| key == wanted);
            found.map(|(_, value)| value.clone())
        };
        let named = vars.text("OTEL_SERVICE_NAME").map(str::to_owned);
        let environment = vars.text("TOOLKIT_ENV").map(str::to_owned);
        let pod = [
            ("k8s.pod.name", &["K8S_POD_NAME", "POD_NAME"][..]),
            ("k8s.pod.uid", &["K8S_POD_UID", "POD_UID"]),
            (
                "k8s.namespace.name",
                &["K8S_NAMESPACE_NAME", "POD_NAMESPACE"],
            ),
            ("k8s.node.name", &["K8S_NODE_NAME", "NODE_NAME"]),
            (
                "k8s.container.name",
                &["K8S_CONTAINER_NAME", "CONTAINER_NAME"],
            ),
            ("k8s.deployment.name", &["K8S_DEPLOYMENT_NAME"]),
        ];
        // Other programs have variables of these names, too. The kubelet sets the first one in every pod.
        let in_pod = ["KUBERNETES_SERVICE_HOST", "K8S_POD_NAME", "POD_NAME"];
        let in_pod = vars.first(&in_pod).is_some();
        Self {
            name: named
                .or_else(|| attribute("service.name"))
                .unwrap_or(default_name),
            version: attribute("service.version"),
            environment: environment.or_else(|| attribute("deployment.environment.name")),
            pod: pod
                .into_iter()
                .filter(|_| in_pod)
                .filter_map(|(name, from)| Some((name, vars.first(from)?.1.to_owned())))
                .collect(),
            attributes,
        }
    }

    /// Without the values that their names call secret, or that hold one.
    pub(super) fn shown(&self, redaction: &Redaction) -> Self {
        let mut shown = self.clone();
        let attributes = shown.attributes.iter_mut();
        for (_, secret) in attributes.filter(|(name, value)| redaction.hides_pair(name, value)) {
            REDACTED.clone_into(secret);
        }
        shown
    }

    pub(crate) fn is_production(&self) -> bool {
        self.environment.as_deref().is_some_and(|environment| {
            environment.eq_ignore_ascii_case("prod")
                || environment.eq_ignore_ascii_case("production")
        })
    }
}
