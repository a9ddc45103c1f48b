//! Every part that is a process, in the order in which they start: who is written to comes first.
//! They stop in the opposite order, so that nothing is sent to somebody who has gone.

use std::net::SocketAddr;

use alert_router::render::{Language, Phrase};

use crate::files::Files;
use crate::page::ALERTMANAGER;
use crate::part::{Part, Program, Ready, Recipe, State};
use crate::ports::Ports;
use crate::tool::{Installed, Tool};

/// All processes.
pub(crate) fn recipes(
    ports: &Ports,
    files: &Files,
    installed: &Installed,
    language: Language,
) -> Vec<Recipe> {
    vec![
        jaeger(ports, files),
        collector(ports, files),
        alert_router(ports, files, installed, language),
        alertmanager(ports, files),
        redis(ports, files),
        cache(ports, installed),
        stock(ports, installed),
        shop(ports, installed),
        prometheus(ports, files),
    ]
}

/// Whom the others cannot do without: the name of the part that dies when a dependency shall.
pub(crate) fn dependency(installed: &Installed) -> &'static str {
    match installed.has(Tool::Redis) {
        true => "Redis",
        false => "stock",
    }
}

fn part(name: &'static str, role: Phrase, links: &[(Phrase, String)]) -> Part {
    Part {
        name,
        role,
        links: links.to_vec(),
        state: State::Starting,
    }
}

fn url(at: SocketAddr, path: &str) -> String {
    format!("http://{at}{path}")
}

fn vars(all: &[(&str, String)]) -> Vec<(String, String)> {
    all.iter()
        .map(|(name, value)| ((*name).to_owned(), value.clone()))
        .collect()
}

fn jaeger(ports: &Ports, files: &Files) -> Recipe {
    let links = [
        (
            Phrase::fixed("traces", "链路追踪"),
            url(ports.page, "/search?service=shop"),
        ),
        (
            Phrase::fixed("the same as JSON", "同样内容的 JSON"),
            url(ports.jaeger, "/api/traces?service=shop&limit=5"),
        ),
    ];
    Recipe {
        part: part(
            "Jaeger",
            Phrase::fixed(
                "keeps traces; the demo shows them",
                "保存链路追踪，由演示程序展示",
            ),
            &links,
        ),
        program: Program::Other(
            Tool::Jaeger,
            vec!["--config".into(), files.text("jaeger.yaml")],
        ),
        vars: vars(&[
            ("JAEGER_HEALTH_ENDPOINT", ports.jaeger_health.to_string()),
            ("JAEGER_QUERY_GRPC_ENDPOINT", ports.jaeger_grpc.to_string()),
            ("JAEGER_QUERY_HTTP_ENDPOINT", ports.jaeger.to_string()),
            ("JAEGER_OTLP_ENDPOINT", ports.jaeger_otlp.to_string()),
            ("JAEGER_SELF_PORT", ports.jaeger_self.port().to_string()),
            ("JAEGER_DATA_DIR", files.text("jaeger")),
            ("PROMETHEUS_URL", url(ports.prometheus, "")),
        ]),
        ready: Ready::Page(ports.jaeger_health, "/status"),
    }
}

fn collector(ports: &Ports, files: &Files) -> Recipe {
    let links = [
        (
            Phrase::fixed("span metrics", "由 span 统计的指标"),
            url(ports.span_metrics, "/metrics"),
        ),
        (
            Phrase::fixed("own metrics", "自身指标"),
            url(ports.collector_self, "/metrics"),
        ),
    ];
    Recipe {
        part: part(
            "Collector",
            Phrase::fixed(
                "counts spans and chooses what is kept",
                "统计 span，并决定保留哪些",
            ),
            &links,
        ),
        program: Program::Other(
            Tool::Collector,
            vec!["--config".into(), files.text("collector.yaml")],
        ),
        vars: vars(&[
            (
                "OTELCOL_HEALTH_ENDPOINT",
                ports.collector_health.to_string(),
            ),
            ("OTELCOL_OTLP_GRPC_ENDPOINT", ports.otlp_grpc.to_string()),
            ("OTELCOL_OTLP_HTTP_ENDPOINT", ports.otlp_http.to_string()),
            ("OTELCOL_METRICS_ENDPOINT", ports.span_metrics.to_string()),
            ("OTELCOL_SELF_PORT", ports.collector_self.port().to_string()),
            ("OTELCOL_QUEUE_DIR", files.text("queue")),
            ("JAEGER_OTLP_ENDPOINT", ports.jaeger_otlp.to_string()),
            ("SPAN_METRICS_FLUSH_INTERVAL", "5s".into()),
            ("DEPLOY_ENV", "demo".into()),
        ]),
        ready: Ready::Page(ports.collector_health, "/healthz"),
    }
}

fn alert_router(ports: &Ports, files: &Files, installed: &Installed, language: Language) -> Recipe {
    // Else it is as the browser likes.
    let start = match language {
        Language::English => "/",
        Language::Chinese => "/?lang=zh",
    };
    let links = [
        (
            Phrase::fixed("groups and inbox", "告警组与收件箱"),
            url(ports.alert_router, start),
        ),
        (
            Phrase::fixed("metrics", "指标"),
            url(ports.alert_router, "/metrics"),
        ),
    ];
    Recipe {
        part: part(
            "alert-router",
            Phrase::fixed(
                "tells people, once and in order",
                "通知人员：只通知一次，按顺序",
            ),
            &links,
        ),
        program: Program::Own(vec![
            "alert-router".into(),
            "--config".into(),
            files.text("alert-router.yaml"),
        ]),
        vars: vars(&[spans(ports, installed)]),
        ready: Ready::Page(ports.alert_router, "/-/ready"),
    }
}

fn alertmanager(ports: &Ports, files: &Files) -> Recipe {
    let links = [
        (
            Phrase::fixed("alerts and silences", "告警与静默"),
            url(ports.page, ALERTMANAGER),
        ),
        (
            Phrase::fixed("alerts as JSON", "告警 JSON"),
            url(ports.alertmanager, "/api/v2/alerts"),
        ),
    ];
    let arguments = vec![
        format!("--config.file={}", files.text("alertmanager.yml")),
        format!("--storage.path={}", files.text("alertmanager")),
        format!("--web.listen-address={}", ports.alertmanager),
        // For the links in messages: Debian's has no pages, and the demo shows them.
        format!("--web.external-url={}", url(ports.page, ALERTMANAGER)),
        "--web.route-prefix=/".into(),
        "--cluster.listen-address=".into(),
    ];
    Recipe {
        part: part(
            "Alertmanager",
            Phrase::fixed("groups, inhibits and silences", "分组、抑制与静默"),
            &links,
        ),
        program: Program::Other(Tool::Alertmanager, arguments),
        vars: Vec::new(),
        ready: Ready::Page(ports.alertmanager, "/-/ready"),
    }
}

fn prometheus(ports: &Ports, files: &Files) -> Recipe {
    let links = [
        (
            Phrase::fixed("graph", "图表"),
            url(ports.prometheus, "/graph"),
        ),
        (
            Phrase::fixed("alerts", "告警"),
            url(ports.prometheus, "/alerts"),
        ),
        (
            Phrase::fixed("targets", "抓取目标"),
            url(ports.prometheus, "/targets"),
        ),
    ];
    let arguments = vec![
        format!("--config.file={}", files.text("prometheus.yml")),
        format!("--storage.tsdb.path={}", files.text("prometheus")),
        format!("--web.listen-address={}", ports.prometheus),
        format!("--web.external-url={}", url(ports.prometheus, "")),
        "--enable-feature=exemplar-storage".into(),
    ];
    Recipe {
        part: part(
            "Prometheus",
            Phrase::fixed(
                "scrapes metrics and decides what is an alert",
                "抓取指标，判断是否告警",
            ),
            &links,
        ),
        program: Program::Other(Tool::Prometheus, arguments),
        vars: Vec::new(),
        ready: Ready::Page(ports.prometheus, "/-/ready"),
    }
}

fn redis(ports: &Ports, files: &Files) -> Recipe {
    let port = ports.redis.port().to_string();
    let folder = files.text("redis");
    // In memory only, and bounded: it ends with the demo, and refuses what does not fit.
    let arguments = [
        "--bind",
        "127.0.0.1",
        "--port",
        &port,
        "--dir",
        &folder,
        "--save",
        "",
        "--maxmemory",
        "64mb",
    ];
    Recipe {
        part: part(
            "Redis",
            Phrase::fixed(
                "keeps reservations, events and the cache",
                "保存预留、事件和缓存",
            ),
            &[],
        ),
        program: Program::Other(Tool::Redis, arguments.map(str::to_owned).into()),
        vars: Vec::new(),
        ready: Ready::Port(ports.redis),
    }
}

fn cache(ports: &Ports, installed: &Installed) -> Recipe {
    let links = [
        (
            Phrase::fixed("an item", "一件商品"),
            url(ports.cache, "/items/7"),
        ),
        (
            Phrase::fixed("metrics", "指标"),
            url(ports.cache, "/metrics"),
        ),
    ];
    let role = Phrase::fixed(
        "renews what it knows when an event comes; a job takes stock",
        "收到事件后更新缓存；定时任务盘点库存",
    );
    let redis = ["--redis".to_owned(), ports.redis.to_string()];
    let mut recipe = service(ports, installed, "cache", role, &links, ports.cache, &redis);
    if let Program::Own(arguments) = recipe.program {
        recipe.program = Program::OwnWith(Tool::Redis, arguments);
    }
    recipe
}

fn stock(ports: &Ports, installed: &Installed) -> Recipe {
    let links = [(
        Phrase::fixed("metrics", "指标"),
        url(ports.stock, "/metrics"),
    )];
    let (role, more) = match installed.has(Tool::Redis) {
        true => (
            Phrase::fixed(
                "reserves goods, asked over gRPC; tells the cache through Redis",
                "经 gRPC 预留商品，通过 Redis 通知 cache",
            ),
            vec!["--redis".to_owned(), ports.redis.to_string()],
        ),
        false => (
            Phrase::fixed(
                "reserves goods, asked over gRPC; without Redis its queue is in its own process",
                "经 gRPC 预留商品；没有 Redis，队列在自身进程内",
            ),
            Vec::new(),
        ),
    };
    service(ports, installed, "stock", role, &links, ports.stock, &more)
}

fn shop(ports: &Ports, installed: &Installed) -> Recipe {
    let mut links = vec![(
        Phrase::fixed("metrics", "指标"),
        url(ports.shop, "/metrics"),
    )];
    let mut others = vec!["--calls".to_owned(), ports.stock.to_string()];
    if installed.has(Tool::Redis) {
        links.insert(
            0,
            (
                Phrase::fixed("an item", "一件商品"),
                url(ports.shop, "/items/7"),
            ),
        );
        others.extend(["--cache".to_owned(), ports.cache.to_string()]);
    }
    let role = Phrase::fixed(
        "takes orders over HTTP, and shows items",
        "经 HTTP 接受订单，展示商品",
    );
    service(ports, installed, "shop", role, &links, ports.shop, &others)
}

fn service(
    ports: &Ports,
    installed: &Installed,
    name: &'static str,
    role: Phrase,
    links: &[(Phrase, String)],
    listen: SocketAddr,
    more: &[String],
) -> Recipe {
    let mut arguments = ["service", name, "--listen"].map(str::to_owned).to_vec();
    arguments.push(listen.to_string());
    arguments.extend_from_slice(more);
    Recipe {
        part: part(name, role, links),
        program: Program::Own(arguments),
        vars: vars(&[spans(ports, installed), ("OTEL_SERVICE_NAME", name.into())]),
        ready: Ready::Page(listen, "/readyz"),
    }
}

/// Where spans go: without a Collector there is nobody to wait for.
fn spans(ports: &Ports, installed: &Installed) -> (&'static str, String) {
    match installed.has(Tool::Collector) {
        true => ("OTEL_EXPORTER_OTLP_ENDPOINT", url(ports.otlp_http, "")),
        false => ("OTEL_TRACES_EXPORTER", "none".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_redis_the_stock_is_not_sent_there_and_says_so_and_the_cache_is_not_started() {
        let ports = Ports::free().unwrap();
        let stock = |missing: &[Tool]| {
            let recipe = stock(&ports, &Installed::all_but(missing));
            let Program::Own(arguments) = recipe.program else {
                panic!("the stock is always of use");
            };
            (recipe.part.role.to_string(), arguments.join(" "))
        };
        let redis = format!("--redis {}", ports.redis);
        assert!(stock(&[]).1.contains(&redis));
        let (role, arguments) = stock(&[Tool::Redis]);
        assert!(!arguments.contains("--redis"), "{arguments}");
        assert!(role.contains("without Redis"), "{role}");
        let cache = cache(&ports, &Installed::all_but(&[])).program;
        assert!(matches!(cache, Program::OwnWith(Tool::Redis, _)));
    }

    #[test]
    fn without_a_collector_no_span_is_sent_to_nobody() {
        let ports = Ports::free().unwrap();
        let vars = |missing: &[Tool]| shop(&ports, &Installed::all_but(missing)).vars;
        let none = ("OTEL_TRACES_EXPORTER".to_owned(), "none".to_owned());
        assert!(vars(&[Tool::Collector]).contains(&none));
        assert!(!vars(&[]).contains(&none));
    }
}
