//! Jaeger: the real one with the repository's file, and what its query API says of any.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use super::http::get_json;
use super::place::free_port;
use super::process::{Process, Ready};
use crate::{Tool, root};

/// More traces than any test makes.
const ALL: u32 = 100_000;

/// A trace as Jaeger answers it.
#[derive(Clone, Debug)]
pub struct Trace {
    /// Its id in hexadecimal.
    pub id: String,
    /// In the order of the answer.
    pub spans: Vec<Span>,
}

/// A span as Jaeger answers it.
#[derive(Clone, Debug)]
pub struct Span {
    /// Its id in hexadecimal.
    pub id: String,
    /// The id of its parent, if it has one.
    pub parent: Option<String>,
    /// The ids of the spans that it links to.
    pub links: Vec<String>,
    /// Of which service it is.
    pub service: String,
    /// The operation.
    pub name: String,
    /// When it began, in microseconds since 1970.
    pub start: u64,
    /// How long it took, in microseconds.
    pub micros: u64,
    /// Attributes, the values as text.
    pub tags: BTreeMap<String, String>,
}

/// Where a Jaeger answers questions.
#[derive(Clone, Debug)]
pub struct Query {
    url: String,
}

/// A running Jaeger. Its traces outlive it.
pub struct Jaeger {
    /// Asks it.
    pub query: Query,
    /// Where it takes spans.
    pub otlp: String,
    process: Process,
}

impl Trace {
    /// From the beginning of the first span to the end of the last, in microseconds.
    #[must_use]
    pub fn micros(&self) -> u64 {
        let begin = self.spans.iter().map(|span| span.start).min();
        let end = self.spans.iter().map(|span| span.start + span.micros).max();
        end.zip(begin).map_or(0, |(end, begin)| end - begin)
    }
}

impl Query {
    /// Of the Jaeger at `address`.
    #[must_use]
    pub fn at(address: &str) -> Self {
        Self {
            url: format!("http://{address}"),
        }
    }

    /// All traces of a service, or why they cannot be read.
    pub async fn traces(&self, service: &str) -> Result<Vec<Trace>, String> {
        self.search(&format!("service={service}&limit={ALL}&lookback=1h"))
            .await
    }

    /// What a search of its page finds.
    pub async fn search(&self, query: &str) -> Result<Vec<Trace>, String> {
        let answer = get_json(&format!("{}/api/traces?{query}", self.url)).await?;
        let traces = answer["data"].as_array().ok_or("no list of traces")?;
        Ok(traces.iter().map(trace).collect())
    }

    /// The trace with this id, or why there is none.
    pub async fn trace(&self, id: &str) -> Result<Trace, String> {
        let answer = get_json(&format!("{}/api/traces/{id}", self.url)).await?;
        Ok(trace(&answer["data"][0]))
    }
}

impl Jaeger {
    /// Starts it.
    ///
    /// # Panics
    /// It is not ready in time.
    pub async fn start(folder: &Path) -> Self {
        let folder = folder.join("jaeger");
        std::fs::create_dir(&folder).expect("the folder is ours");
        let address = |port: u16| format!("127.0.0.1:{port}");
        let (otlp, query) = (address(free_port()), address(free_port()));
        let health = address(free_port());
        let mut command = Command::new(Tool::Jaeger.found());
        command
            .args(["--config", "dashboards/jaeger.yaml"])
            .current_dir(root())
            .env("JAEGER_DATA_DIR", &folder)
            .env("JAEGER_SELF_PORT", free_port().to_string())
            .env("JAEGER_QUERY_GRPC_ENDPOINT", address(free_port()))
            .env("JAEGER_QUERY_HTTP_ENDPOINT", &query)
            .env("JAEGER_HEALTH_ENDPOINT", &health)
            .env("JAEGER_OTLP_ENDPOINT", &otlp);
        let ready = Ready::Page(format!("http://{health}/status"));
        Self {
            query: Query::at(&query),
            otlp,
            process: Process::start("jaeger", command, &folder, ready).await,
        }
    }

    /// Ends it with SIGTERM.
    ///
    /// # Panics
    /// It does not end well.
    pub fn terminate(&mut self) {
        self.process.terminate();
    }

    /// Starts it again at the same address, with the traces that it had.
    ///
    /// # Panics
    /// It is not ready in time.
    pub async fn start_again(&mut self) {
        self.process.start_again().await;
    }
}

fn trace(answer: &Value) -> Trace {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let spans = answer["spans"].as_array().into_iter().flatten();
    let spans = spans.map(|span| {
        let references = span["references"].as_array().into_iter().flatten();
        let process = span["processID"].as_str().unwrap_or_default();
        let tags = span["tags"].as_array().into_iter().flatten();
        Span {
            id: text(&span["spanID"]),
            parent: references.clone().map(|to| text(&to["spanID"])).next(),
            links: references
                .filter(|to| to["refType"] == "FOLLOWS_FROM")
                .map(|to| text(&to["spanID"]))
                .collect(),
            service: text(&answer["processes"][process]["serviceName"]),
            name: text(&span["operationName"]),
            start: span["startTime"].as_u64().unwrap_or_default(),
            micros: span["duration"].as_u64().unwrap_or_default(),
            tags: tags
                .map(|tag| {
                    let value = &tag["value"];
                    let value = value
                        .as_str()
                        .map_or_else(|| value.to_string(), str::to_owned);
                    (text(&tag["key"]), value)
                })
                .collect(),
        }
    });
    Trace {
        id: text(&answer["traceID"]),
        spans: spans.collect(),
    }
}
