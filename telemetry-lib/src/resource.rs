//! Who sends the spans: service, process, host, container and pod, without asking a network.

use opentelemetry::{KeyValue, Value};
use opentelemetry_sdk::Resource;

use crate::config::Service;

/// Later attributes win: what the user said stands last.
pub(crate) fn detect(service: &Service) -> Resource {
    let mut attributes = vec![
        text("telemetry.sdk.name", "opentelemetry"),
        text("telemetry.sdk.language", "rust"),
        text("telemetry.sdk.version", SDK_VERSION),
        text("telemetry.distro.name", env!("CARGO_PKG_NAME")),
        text("telemetry.distro.version", env!("CARGO_PKG_VERSION")),
        KeyValue::new("process.pid", i64::from(std::process::id())),
        text("process.runtime.name", "rust"),
        text("host.arch", host_arch(std::env::consts::ARCH)),
        text("os.type", std::env::consts::OS),
    ];
    let executable = std::env::current_exe().ok();
    let executable = executable.as_ref().and_then(|path| path.file_name());
    if let Some(name) = executable {
        let name = name.to_string_lossy().into_owned();
        attributes.push(text("process.executable.name", name));
    }
    if let Some(host) = read("/proc/sys/kernel/hostname") {
        attributes.push(text("host.name", host.trim().to_owned()));
    }
    if let Some(id) = container_id() {
        attributes.push(text("container.id", id));
    }
    attributes.extend(
        service
            .pod
            .iter()
            .map(|(name, value)| text(name, value.clone())),
    );
    attributes.extend(
        service
            .attributes
            .iter()
            .map(|(name, value)| KeyValue::new(name.clone(), value.clone())),
    );
    attributes.push(text("service.name", service.name.clone()));
    if let Some(version) = &service.version {
        attributes.push(text("service.version", version.clone()));
    }
    if let Some(environment) = &service.environment {
        attributes.push(text("deployment.environment.name", environment.clone()));
    }
    Resource::builder_empty()
        .with_attributes(attributes)
        .build()
}

/// Stands beside the version in the manifest; the SDK does not export its own.
const SDK_VERSION: &str = "0.33";

fn text(name: &'static str, value: impl Into<Value>) -> KeyValue {
    KeyValue::new(name, value)
}

/// The semantic conventions' word for the compiler's.
fn host_arch(arch: &'static str) -> &'static str {
    match arch {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        "arm" => "arm32",
        other => other,
    }
}

fn container_id() -> Option<String> {
    let cgroup = read("/proc/self/cgroup").unwrap_or_default();
    let mounts = read("/proc/self/mountinfo").unwrap_or_default();
    find_container_id(&cgroup, &mounts).map(str::to_owned)
}

/// cgroup v1 names the container in its path; under v2 the mounts of the runtime do.
fn find_container_id<'a>(cgroup: &'a str, mounts: &'a str) -> Option<&'a str> {
    let named = cgroup.lines().find_map(|line| {
        let last = line.rsplit('/').next()?;
        let last = last.strip_suffix(".scope").unwrap_or(last);
        id(last.rsplit(['-', ':']).next()?)
    });
    named.or_else(|| {
        mounts
            .lines()
            .filter(|line| line.contains("/containers/") && line.contains("/hostname"))
            .flat_map(|line| line.split(['/', ' ']))
            .find_map(id)
    })
}

fn id(text: &str) -> Option<&str> {
    (text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit())).then_some(text)
}

fn read(path: &str) -> Option<String> {
    std::fs::read_to_string(path).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_container_is_found_under_both_kinds_of_cgroups() {
        let id = "0123456789abcdef".repeat(4);
        let v1 = format!("12:pids:/docker/{id}\n");
        let scope = format!("0::/system.slice/docker-{id}.scope\n");
        let containerd = format!("1:cpu:/kubepods/besteffort/podx/cri-containerd:{id}\n");
        let mounts = format!("1 2 8:1 /var/lib/docker/containers/{id}/hostname /etc/hostname rw\n");
        for cgroup in [v1, scope, containerd] {
            assert_eq!(
                find_container_id(&cgroup, ""),
                Some(id.as_str()),
                "{cgroup}"
            );
        }
        assert_eq!(find_container_id("0::/\n", &mounts), Some(id.as_str()));
        assert_eq!(
            find_container_id("0::/user.slice\n", "1 2 8:1 / / rw\n"),
            None
        );
    }

    #[test]
    fn what_the_user_said_wins_over_what_was_detected() {
        let config = crate::Config::from_vars(
            "orders",
            [("OTEL_RESOURCE_ATTRIBUTES", "host.name=a%20b,team=pay")]
                .map(|(name, value)| (name.to_owned(), value.to_owned())),
        );
        let resource = detect(&config.service);
        let get = |name: &'static str| resource.get(&name.into()).map(|value| value.to_string());
        assert_eq!(get("host.name").as_deref(), Some("a b"));
        assert_eq!(get("team").as_deref(), Some("pay"));
        assert_eq!(get("service.name").as_deref(), Some("orders"));
    }
}
