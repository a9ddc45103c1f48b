//! The runbooks of the repository, so that the link in an alert leads somewhere on this machine.

use axum::extract::Path;
use http::{StatusCode, header};

/// Their names and texts.
macro_rules! runbooks {
    ($($name:literal)*) => {
        const RUNBOOKS: &[(&str, &str)] = &[$((
            concat!($name, ".md"),
            include_str!(concat!("../../dashboards/runbooks/", $name, ".md")),
        )),*];
    };
}

runbooks! {
    "AlertRouterDeadLetters" "AlertRouterDeliveryFailing" "AlertRouterDestinationBlocked"
    "AlertRouterDown" "AlertRouterHeardLate" "AlertRouterQuarantines" "AlertRouterStoreFailing"
    "CollectorDown" "CollectorQueueNearlyFull" "CollectorQueueStuck" "CollectorRefusing"
    "CollectorSpansLost" "CollectorTracesDroppedEarly" "ProcessFileDescriptorsLow"
    "ServiceDown" "ServiceErrors" "ServiceInstanceDown" "ServiceLatency" "ServiceRouteErrors" "ServiceTrafficGone"
    "SloErrorsBurnFast" "SloErrorsBurnSlow" "SloLatencyBurnFast" "SloLatencyBurnSlow"
    "TelemetryDropping" "TelemetryExportStalled" "TelemetryMetricOverflow"
    "TokioQueueStuck" "TokioWorkersSaturated" "Watchdog"
    "AlertRouterReloadRefused" "JaegerDown" "ServiceGrpcErrors" "ServiceGrpcLatency"
}

/// One page, as the text that it is.
pub(crate) async fn show(
    Path(name): Path<String>,
) -> (
    StatusCode,
    [(header::HeaderName, &'static str); 1],
    &'static str,
) {
    let found = RUNBOOKS.iter().find(|(known, _)| *known == name);
    let (status, text) = found.map_or((StatusCode::NOT_FOUND, "no such runbook\n"), |(_, text)| {
        (StatusCode::OK, text)
    });
    let kind = [(header::CONTENT_TYPE, "text/plain; charset=utf-8")];
    (status, kind, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_runbook_of_the_repository_is_here() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../dashboards/runbooks");
        let files = std::fs::read_dir(folder).unwrap();
        let mut files: Vec<String> = files
            .map(|file| file.unwrap().file_name().into_string().unwrap())
            .collect();
        files.sort();
        let mut known: Vec<&str> = RUNBOOKS.iter().map(|(name, _)| *name).collect();
        known.sort_unstable();
        assert_eq!(known, files);
    }

    #[tokio::test]
    async fn an_unknown_runbook_is_not_found() {
        let (status, ..) = show(Path("../Cargo.toml".into())).await;
        assert_eq!(status, StatusCode::NOT_FOUND);
    }
}
