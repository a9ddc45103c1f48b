//! A client written elsewhere: Debian's Alertmanager with `wechat_configs` pointed at the
//! simulator. It knows nothing of this project, so that what passes here is not our own reading.

use std::io::{self, BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use reqwest::Client;
use serde_json::json;
use wecom_sim::{Api, Config, Fault, Sender, Sim};

const PROGRAM: &str = "prometheus-alertmanager";
/// A foreign program decides when it sends; this only ends a test that would never end.
const DEADLINE: Duration = Duration::from_secs(60);

/// An Alertmanager that does not outlive its test.
struct Alertmanager {
    process: Child,
    address: String,
}

impl Alertmanager {
    /// Starts it on a free port, which it names in its log. `None` if it is not installed.
    fn start(folder: &Path, sim: &Sim) -> Option<Self> {
        let config = folder.join("alertmanager.yml");
        std::fs::write(&config, configuration(&sim.api_url())).expect("a temporary folder");
        let mut command = Command::new(PROGRAM);
        command.arg(format!("--config.file={}", config.display()));
        command.arg(format!("--storage.path={}", folder.join("data").display()));
        command.args([
            "--web.listen-address=127.0.0.1:0",
            "--cluster.listen-address=",
        ]);
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        let mut process = match command.spawn() {
            Ok(process) => process,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
            Err(error) => panic!("{PROGRAM} does not start: {error}"),
        };
        let mut log = BufReader::new(process.stderr.take().expect("stderr is piped"));
        let address = listening_on(&mut log);
        // Its log must be read on, or it would stop at a full pipe.
        std::thread::spawn(move || io::copy(&mut log, &mut io::sink()));
        Some(Self { process, address })
    }

    async fn post_alert(&self, name: &str) {
        let alert = json!([{ "labels": { "alertname": name, "severity": "critical" } }]);
        let request = Client::builder()
            .no_proxy()
            .build()
            .expect("a client without TLS");
        let request = request.post(format!("http://{}/api/v2/alerts", self.address));
        let request = request
            .header("content-type", "application/json")
            .body(alert.to_string());
        let response = request.send().await.expect("Alertmanager answers");
        assert_eq!(response.status(), 200);
    }
}

impl Drop for Alertmanager {
    fn drop(&mut self) {
        // Either it runs and is ended, or it has ended.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn configuration(api_url: &str) -> String {
    let receiver = json!({
        "name": "wecom",
        "wechat_configs": [{
            "api_url": api_url, "corp_id": "sim-corp", "api_secret": "sim-secret",
            "agent_id": "1000002", "to_user": "wangqing|ghost", "message_type": "text",
        }],
    });
    let route = json!({
        "receiver": "wecom", "group_by": ["alertname"],
        "group_wait": "0s", "group_interval": "1s", "repeat_interval": "1h",
    });
    json!({ "route": route, "receivers": [receiver] }).to_string()
}

fn listening_on(log: &mut impl io::BufRead) -> String {
    let mut seen = String::new();
    for line in log.lines() {
        let line = line.expect("a readable log");
        if let Some((_, address)) = line.split_once("msg=\"Listening on\" address=") {
            return address.trim().to_owned();
        }
        seen.push_str(&line);
        seen.push('\n');
    }
    panic!("{PROGRAM} ended before it listened:\n{seen}");
}

async fn within_deadline(what: &str, event: impl Future<Output = ()>) {
    tokio::time::timeout(DEADLINE, event)
        .await
        .unwrap_or_else(|_| panic!("never saw {what}"));
}

#[tokio::test]
async fn alertmanager_delivers_an_alert_and_tries_again_after_a_server_error() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let sim = Sim::start(Config::demo()).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let Some(alertmanager) = Alertmanager::start(folder.path(), &sim) else {
        let missing = format!("{PROGRAM} is not installed: apt-get install {PROGRAM}");
        assert!(std::env::var_os("CI").is_none(), "{missing}");
        writeln!(
            io::stderr(),
            "NOT RUN alertmanager_delivers_an_alert_and_tries_again_after_a_server_error: {missing}"
        )
        .unwrap();
        return;
    };

    alertmanager.post_alert("DiskFull").await;
    within_deadline("the alert", sim.until(|sim| sim.messages().len() == 1)).await;
    let message = &sim.messages()[0];
    assert_eq!(message.sender, Sender::App(1_000_002));
    assert_eq!(message.shown_to, ["wangqing"]);
    assert!(message.text().contains("DiskFull"), "{}", message.text());

    // Not an errcode: this version takes every HTTP 200 for a success.
    sim.fault(
        Fault::Status {
            status: 503,
            retry_after: None,
        }
        .on(Api::MessageSend),
    );
    alertmanager.post_alert("HostDown").await;
    within_deadline(
        "the second alert",
        sim.until(|sim| sim.messages().len() == 2),
    )
    .await;
    assert!(sim.messages()[1].text().contains("HostDown"));
    assert_eq!(sim.refusals().len(), 1, "the first try met the fault");
}
