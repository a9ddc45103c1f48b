//! The simulator over loopback, once around: what only a real connection can show. The rules
//! themselves are tested without one, beside the code.

use std::time::Duration;

use reqwest::{Client, Response, StatusCode};
use serde_json::{Value, json};
use wecom_sim::{Api, Config, ErrCode, Fault, ReplyFate, Sim, StartError};

const KEY: &str = "sim-bot-key";

struct Bench {
    sim: Sim,
    client: Client,
}

impl Bench {
    async fn new() -> Self {
        // A second test of this process finds the provider installed, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let sim = Sim::start(Config::demo())
            .await
            .expect("port 0 is always free");
        let redirect = reqwest::redirect::Policy::none();
        let client = Client::builder().redirect(redirect).no_proxy().build();
        Self {
            sim,
            client: client.expect("a client without TLS needs nothing"),
        }
    }

    async fn say(&self, content: &str) -> reqwest::Result<Response> {
        let body = json!({ "msgtype": "text", "text": { "content": content } }).to_string();
        self.client
            .post(self.sim.bot_url(KEY))
            .body(body)
            .send()
            .await
    }

    async fn control(&self, path: &str, body: &Value) -> StatusCode {
        let url = format!("{}/_sim/{path}", self.sim.base_url());
        let request = self
            .client
            .post(url)
            .header("content-type", "application/json");
        let response = request.body(body.to_string()).send().await;
        response.expect("the control interface answers").status()
    }

    async fn get(&self, path: &str) -> Response {
        let url = format!("{}{path}", self.sim.base_url());
        self.client
            .get(url)
            .send()
            .await
            .expect("the simulator answers")
    }

    async fn received(&self) -> Value {
        json_of(self.get("/_sim/messages").await).await
    }
}

async fn json_of(response: Response) -> Value {
    let body = response.bytes().await.expect("a whole body");
    serde_json::from_slice(&body).expect("JSON")
}

#[tokio::test]
async fn a_message_arrives_and_is_shown() {
    let bench = Bench::new().await;
    let response = bench.say("磁盘 <将> 满").await.unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(
        response.headers()["content-type"],
        "application/json; charset=UTF-8"
    );
    assert_eq!(
        json_of(response).await,
        json!({ "errcode": 0, "errmsg": "ok" })
    );
    assert_eq!(bench.sim.messages()[0].text(), "磁盘 <将> 满");
    let received = bench.received().await;
    insta::assert_snapshot!(serde_json::to_string_pretty(&received).unwrap());
    let page = bench.get("/").await;
    let policy = page.headers()["content-security-policy"]
        .to_str()
        .unwrap()
        .to_owned();
    assert!(policy.starts_with("default-src 'none'"), "{policy}");
    assert!(page.text().await.unwrap().contains("磁盘 &lt;将&gt; 满"));
}

#[tokio::test]
async fn an_application_gets_its_token_and_sends() {
    let bench = Bench::new().await;
    let token = bench
        .get("/cgi-bin/gettoken?corpid=sim-corp&corpsecret=sim-secret")
        .await;
    let token = json_of(token).await["access_token"]
        .as_str()
        .unwrap()
        .to_owned();
    let body = json!({
        "touser": "wangqing", "agentid": 1_000_002, "msgtype": "text", "text": { "content": "a" },
    });
    let url = format!("{}message/send?access_token={token}", bench.sim.api_url());
    let response = bench
        .client
        .post(url)
        .body(body.to_string())
        .send()
        .await
        .unwrap();
    assert_eq!(json_of(response).await["errcode"], 0);
    assert_eq!(bench.sim.messages()[0].shown_to, ["wangqing"]);
}

#[tokio::test]
async fn a_lost_reply_closes_the_connection_after_the_message_was_shown() {
    let bench = Bench::new().await;
    bench
        .sim
        .fault(Fault::LoseReply.on(Api::WebhookSend).only(KEY));
    let error = bench.say("a").await.unwrap_err();
    assert!(!error.is_timeout() && !error.is_connect(), "{error}");
    assert_eq!(bench.sim.messages()[0].reply, ReplyFate::Lost);
    bench.sim.fault(Fault::Close.on(Api::WebhookSend));
    bench.say("b").await.unwrap_err();
    assert_eq!(bench.sim.messages().len(), 1, "closed unread");
    assert_eq!(bench.say("c").await.unwrap().status(), 200);
}

#[tokio::test]
async fn a_hanging_service_keeps_nobody_else_waiting() {
    let bench = Bench::new().await;
    bench.sim.fault(Fault::DeliverThenHang.on(Api::WebhookSend));
    tokio::select! {
        answer = bench.say("a") => panic!("answered: {answer:?}"),
        () = bench.sim.until(|sim| sim.messages().len() == 1) => {}
    }
    assert_eq!(bench.say("b").await.unwrap().status(), 200);
}

#[tokio::test]
async fn everything_can_be_steered_over_http() {
    let bench = Bench::new().await;
    let rule = json!({
        "fault": { "kind": "errcode", "code": -1 }, "api": "webhook/send", "who": KEY,
        "times": { "count": 1 },
    });
    assert_eq!(bench.control("faults", &rule).await, 204);
    assert_eq!(json_of(bench.say("a").await.unwrap()).await["errcode"], -1);
    assert_eq!(bench.sim.refusals()[0].code, Some(ErrCode::BUSY));
    let always = json!({ "fault": { "kind": "html" }, "api": "webhook/send", "times": "always" });
    assert_eq!(bench.control("faults", &always).await, 204);
    let url = format!("{}/_sim/faults", bench.sim.base_url());
    assert_eq!(bench.client.delete(url).send().await.unwrap().status(), 204);
    assert_eq!(json_of(bench.say("a").await.unwrap()).await["errcode"], 0);
    let before = bench.sim.now();
    assert_eq!(
        bench
            .control("clock", &json!({ "advance_seconds": 60 }))
            .await,
        204
    );
    assert_eq!(bench.sim.now(), before + Duration::from_secs(60));
    assert_eq!(bench.control("tokens/revoke", &Value::Null).await, 204);
    let unknown = json!({ "fault": { "kind": "earthquake" }, "api": "webhook/send" });
    assert_eq!(bench.control("faults", &unknown).await, 422);
    let url = format!("{}/_sim/messages", bench.sim.base_url());
    assert_eq!(bench.client.delete(url).send().await.unwrap().status(), 204);
    assert_eq!(bench.received().await["messages"], json!([]));
}

#[tokio::test]
async fn a_body_has_a_limit() {
    let bench = Bench::new().await;
    let body = vec![b' '; 8 * 1024 * 1024 + 1];
    let sent = bench
        .client
        .post(bench.sim.bot_url(KEY))
        .body(body)
        .send()
        .await;
    // The refusal may overtake the body, and then the connection breaks under the client.
    assert!(sent.is_err() || sent.is_ok_and(|response| response.status() == 413));
    assert!(bench.sim.messages().is_empty());
}

#[tokio::test]
async fn a_port_in_use_is_said_and_a_stopped_simulator_gives_it_back() {
    let bench = Bench::new().await;
    let config = Config {
        listen: bench.sim.address(),
        ..Config::demo()
    };
    let error = Sim::start(config.clone())
        .await
        .err()
        .expect("the port is taken");
    assert!(matches!(error, StartError::InUse { .. }), "{error}");
    bench.sim.stop().await;
    Sim::start(config).await.expect("the port is free again");
}
