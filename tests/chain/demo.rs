//! The demo as a user starts it, with a real mail server beside its own mailbox.

use std::net::TcpStream;
use std::path::Path;
use std::process::Command;

use serde_json::Value;
use stack_tests::parts::{
    Exemplar, Mail, Mailserver, Process, Query, Ready, Stopwatch, binary, exemplars_at, folder,
    get_json, tell, until,
};
use stack_tests::post_json;
use tempfile::TempDir;

/// A running demo. Fields end in their order.
pub(crate) struct Demo {
    process: Process,
    addresses: Value,
    /// Beside the demo's own mailbox.
    mail: Option<Mailserver>,
    folders: Vec<TempDir>,
}

impl Demo {
    /// Starts everything that the demo has, and prints how long that took.
    pub(crate) async fn start() -> Self {
        let folder = folder();
        let mail = Mailserver::start(folder.path(), &["oncall"], &[]).await;
        let entry = folder.path().join("mail.json");
        std::fs::write(&entry, email_config(&mail).to_string()).expect("the folder is ours");
        let mut command = Command::new(binary("demo"));
        command.arg("--mail").arg(&entry);
        let since = Stopwatch::start();
        let mut demo = Self::run(command, folder).await;
        demo.mail = Some(mail);
        tell(&format!(
            "all parts of the demo ready: {:.1?}",
            since.elapsed()
        ));
        let log = demo.log();
        assert!(
            !log.contains("NOT RUN"),
            "a part of the demo is missing:\n{log}"
        );
        demo
    }

    /// Starts it on a machine that has no programs but those in `path`.
    pub(crate) async fn start_where(path: TempDir, arguments: &[&str]) -> Self {
        let folder = folder();
        let mut command = Command::new(binary("demo"));
        command
            .args(arguments)
            .env("PATH", path.path())
            .env("XDG_CACHE_HOME", folder.path());
        let mut demo = Self::run(command, folder).await;
        demo.folders.push(path);
        demo
    }

    async fn run(mut command: Command, folder: TempDir) -> Self {
        let data = folder.path().join("data");
        command.args(["--lang", "en", "--any-port"]);
        command.arg("--data").arg(&data);
        let addresses = data.join("addresses.json");
        let ready = Ready::File(addresses.clone());
        Self {
            process: Process::start("demo", command, folder.path(), ready).await,
            addresses: read(&addresses),
            mail: None,
            folders: vec![folder],
        }
    }

    /// What it has said so far.
    pub(crate) fn log(&self) -> String {
        self.process.log()
    }

    /// Where a part listens, by the name that the demo gives it.
    pub(crate) fn at(&self, name: &str) -> &str {
        let address = self.addresses[name].as_str();
        address.unwrap_or_else(|| panic!("no {name} in {}", self.addresses))
    }

    pub(crate) fn jaeger(&self) -> Query {
        Query::at(self.at("Jaeger"))
    }

    /// Presses a button of the start page: `/break` or `/heal`.
    pub(crate) fn press(&self, button: &str) {
        let answer = post_json(self.at("start page"), button, "");
        let (status, body) = answer.expect("the start page answers");
        assert_eq!(status, 303, "{button}: {body}");
    }

    /// What `demo break …` or `demo heal` answers to whoever types it.
    pub(crate) fn tell(&self, order: &[&str]) -> String {
        let page = ["--lang", "en", "--page", self.at("start page")];
        let told = Command::new(binary("demo")).args(order).args(page).output();
        let told = told.expect("it starts");
        let complaint = String::from_utf8_lossy(&told.stderr);
        assert!(told.status.success(), "{order:?}: {complaint}");
        String::from_utf8_lossy(&told.stdout).into_owned()
    }

    /// The first value of an expression in Prometheus, or why there is none.
    pub(crate) async fn value(&self, expression: &str) -> Result<f64, String> {
        let url = format!(
            "http://{}/api/v1/query?query={expression}",
            self.at("Prometheus")
        );
        let answer = get_json(&url).await?;
        let value = answer["data"]["result"][0]["value"][1].as_str();
        let value = value.and_then(|text| text.parse().ok());
        value.ok_or_else(|| format!("{expression}: {answer}"))
    }

    /// All values of an expression in Prometheus; those that are no number are left out.
    pub(crate) async fn values(&self, expression: &str) -> Result<Vec<f64>, String> {
        let url = format!(
            "http://{}/api/v1/query?query={}",
            self.at("Prometheus"),
            expression.replace('+', "%2B")
        );
        let answer = get_json(&url).await?;
        let result = answer["data"]["result"].as_array();
        let result = result.ok_or_else(|| format!("{expression}: {answer}"))?;
        let value = |sample: &Value| sample["value"][1].as_str()?.parse::<f64>().ok();
        Ok(result
            .iter()
            .filter_map(value)
            .filter(|value| !value.is_nan())
            .collect())
    }

    /// All exemplars of the series in an expression.
    pub(crate) async fn exemplars(&self, expression: &str) -> Result<Vec<Exemplar>, String> {
        exemplars_at(&format!("http://{}", self.at("Prometheus")), expression).await
    }

    /// Names and states of the alerts in Prometheus.
    pub(crate) async fn alerts(&self) -> Result<Vec<String>, String> {
        let url = format!("http://{}/api/v1/alerts", self.at("Prometheus"));
        let answer = get_json(&url).await?;
        let alerts = answer["data"]["alerts"].as_array().into_iter().flatten();
        let name = |alert: &Value| alert["labels"]["alertname"].as_str().map(str::to_owned);
        Ok(alerts.filter_map(name).collect())
    }

    /// The mails about `alert` in the real mailbox, oldest first.
    pub(crate) async fn mails(&self, alert: &str) -> Result<Vec<Mail>, String> {
        let server = self.mail.as_ref().ok_or("no mail server")?;
        let mut mails = server.mails("oncall").await?;
        mails.retain(|mail| mail.subject.contains(alert));
        Ok(mails)
    }

    /// The messages about `alert` on the phone of WeCom, oldest first.
    pub(crate) async fn phone(&self, alert: &str) -> Result<Vec<String>, String> {
        let url = format!("http://{}/_sim/messages", self.at("WeCom simulator"));
        let answer = get_json(&url).await?;
        let messages = answer["messages"].as_array().ok_or("no messages")?;
        let text = |message: &Value| message["text"].as_str().map(str::to_owned);
        let texts = messages.iter().filter_map(text);
        Ok(texts.filter(|text| text.contains(alert)).collect())
    }

    /// Stops it as Ctrl-C does, and shows that nothing is left.
    pub(crate) async fn stop(mut self) {
        let since = Stopwatch::start();
        self.process.terminate();
        tell(&format!("the demo stopped: {:.1?}", since.elapsed()));
        let log = self.process.log();
        assert!(
            !log.contains("did not stop when asked"),
            "a part had to be killed:\n{log}"
        );
        let addresses = self.addresses.as_object().expect("names and addresses");
        until("all ports are closed", async || {
            let open = addresses.iter().filter(|(_, address)| {
                let address = address.as_str().unwrap_or_default();
                TcpStream::connect(address).is_ok()
            });
            match open.map(|(name, _)| name.as_str()).collect::<Vec<_>>() {
                open if open.is_empty() => Ok(()),
                open => Err(open.join(", ")),
            }
        })
        .await;
    }
}

/// The mail server as an entry of `email_configs`, whose names are those of `global` without `smtp_`.
fn email_config(mail: &Mailserver) -> Value {
    let global = mail.global();
    let global = global.as_object().expect("names and values").clone();
    let own = |(name, value): (String, Value)| (name.trim_start_matches("smtp_").to_owned(), value);
    let mut entry: Value = global.into_iter().map(own).collect();
    entry["to"] = "值班 <oncall@mail.test>".into();
    entry
}

fn read(file: &Path) -> Value {
    let text = std::fs::read_to_string(file).expect("it is there");
    serde_json::from_str(&text).expect("it is whole")
}
