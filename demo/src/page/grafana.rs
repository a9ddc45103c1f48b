//! Where the dashboard links of alerts lead: the demo starts no Grafana, and knows where one of its user's
//! would be.

use alert_router::render::{Language, Phrase};
use axum::extract::{OriginalUri, State};
use axum::response::{Html, IntoResponse, Redirect, Response};
use tokio::net::TcpStream;

use super::{Shared, below_start, head};

/// As in `dashboards/prometheus.yml`.
const AT: &str = "127.0.0.1:3000";

/// Leads to the dashboard, or says how to get one.
pub(super) async fn show(State(Shared(sources)): State<Shared>, uri: OriginalUri) -> Response {
    if TcpStream::connect(AT).await.is_ok() {
        return Redirect::to(&format!("http://{AT}{}", uri.0)).into_response();
    }
    let graph = format!("http://{}/graph", sources.ports.prometheus);
    Html(without_grafana(&graph, sources.language)).into_response()
}

fn without_grafana(graph: &str, language: Language) -> String {
    let title = Phrase::fixed("There is no Grafana", "没有 Grafana");
    let text = Phrase::new(
        format!(
            "This link of an alert opens a dashboard at <code>{AT}</code>, where nobody answers: the demo starts no \
             Grafana. Start one of yours there with the files of <code>dashboards/provisioning</code> and \
             <code>dashboards/grafana</code>, and open the link again. Until then <a href=\"{graph}\">Prometheus</a> \
             has the same metrics."
        ),
        format!(
            "告警中的这个链接会打开 <code>{AT}</code> 上的仪表盘，但那里没有响应：演示程序不启动 Grafana。\
             请用 <code>dashboards/provisioning</code> 和 <code>dashboards/grafana</code> 中的文件在该地址启动您自己的 \
             Grafana，再打开此链接。在此之前，<a href=\"{graph}\">Prometheus</a> 中有同样的指标。"
        ),
    );
    format!(
        "{}<body>{}<p>{}</html>",
        head(&title, language),
        below_start(&title, language),
        text.in_language(language),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_looked_for_where_the_config_says() {
        let config = include_str!("../../../dashboards/prometheus.yml");
        let at = format!("grafana_url: http://{AT}\n");
        assert!(config.contains(&at), "no {at} in {config}");
    }
}
