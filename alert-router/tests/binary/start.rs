//! The first minute: what starts, what does not, and what it says to whoever tries.

use serde_json::json;

use crate::router::{Folder, Router};
use crate::wait::until;

/// The body in the `curl` of the page, as a browser would show it.
fn body_of_the_curl(page: &str) -> String {
    let (_, rest) = page
        .split_once("-d &#x27;")
        .expect("the page shows a curl with a body");
    let (body, _) = rest.split_once("&#x27;").expect("the body ends");
    body.replace("&quot;", "\"")
        .replace("&#x2f;", "/")
        .replace("&amp;", "&")
}

#[tokio::test]
async fn without_a_config_it_starts_and_what_the_pages_curl_posts_is_shown_grouped() {
    let folder = Folder::new();
    let router = folder.start().await;
    let page = router.get("/").await;
    assert!(
        page.body.contains("Nothing has arrived yet"),
        "{}",
        page.body
    );
    let body = body_of_the_curl(&page.body);
    let taken = router.post(&body).await.json();
    assert_eq!(taken["changed"], 2, "{taken}");

    let groups = router.list("groups").await;
    assert_eq!(groups.len(), 1, "{groups:?}");
    assert_eq!(groups[0]["firing"], 2);
    until("the inbox shows one message", async || {
        let inbox = router.list("inbox").await;
        (inbox.len() == 1).then_some(()).ok_or(format!("{inbox:?}"))
    })
    .await;

    let again = router.post(&body).await.json();
    assert_eq!(
        (&again["changed"], &again["unchanged"]),
        (&json!(0), &json!(2))
    );
    let view = router.get("/view").await.body;
    assert_eq!(view.matches("seen 2 times").count(), 2, "{view}");
    assert_eq!(router.list("inbox").await.len(), 1);

    assert!(folder.path().join("data/alert-router.db").exists());
    router.stop().await;
}

#[tokio::test]
async fn the_test_button_makes_an_alert_that_says_that_it_is_a_test() {
    let folder = Folder::new();
    let router = folder.start().await;
    let pressed = router.ask("POST", "/api/v1/test-alert", "").await.unwrap();
    assert_eq!(pressed.status, 202);
    let groups = router.list("groups").await;
    assert_eq!(groups[0]["source"], "test-button");
    assert!(
        groups[0].to_string().contains("nothing is wrong"),
        "{groups:?}"
    );
}

#[tokio::test]
async fn the_page_speaks_the_readers_language_and_shows_the_same() {
    let folder = Folder::new();
    let router = folder.start().await;
    router
        .take(&[crate::router::firing(&[("alertname", "磁盘")])])
        .await;
    let page = async |path: &str, accepted: &str| {
        let headers = [("Accept-Language", accepted)];
        router.call("GET", path, &headers, b"").await.unwrap().body
    };
    for (path, accepted, title) in [
        ("/", "", "Open groups"),
        ("/", "zh-CN,zh;q=0.9,en;q=0.8", "未关闭的告警组"),
        ("/view", "zh-CN", "未关闭的告警组"),
        ("/?lang=zh", "en", "未关闭的告警组"),
        ("/view?lang=en", "zh-CN", "Open groups"),
    ] {
        let shown = page(path, accepted).await;
        assert!(shown.contains(title), "{path} {accepted}: {shown}");
        assert!(shown.contains("磁盘"), "{path} {accepted}: {shown}");
    }
    let chinese = page("/", "zh").await;
    assert!(chinese.contains("<html lang=\"zh-CN\">"), "{chinese}");
    folder.configure(
        "language: zh-CN\nroute: {receiver: a}\nreceivers: [{name: a, inbox_configs: [{}]}]\n",
    );
    router.stop().await;
    let router = folder.start().await;
    let usual = router.get("/").await.body;
    assert!(usual.contains("未关闭的告警组"), "{usual}");
    let refused = async |method: &str, path: &str, accepted: &str| {
        let headers = [
            ("Accept-Language", accepted),
            ("Content-Type", "application/x-www-form-urlencoded"),
        ];
        let answer = router
            .call(method, path, &headers, b"receiver=nobody")
            .await;
        answer.unwrap().json()["error"].to_string()
    };
    let letter = "dead-letters/00000000000000000000000000000000";
    for (method, path, accepted, why) in [
        ("POST", format!("/{letter}/drop"), "", "没有这个编号的死信"),
        ("POST", format!("/{letter}/drop"), "en", "no dead letter"),
        ("POST", "/send-test".to_owned(), "zh", "配置中没有这个名称"),
        (
            "DELETE",
            format!("/api/v1/{letter}"),
            "zh",
            "no dead letter",
        ),
    ] {
        let said = refused(method, &path, accepted).await;
        assert!(said.contains(why), "{path} {accepted}: {said}");
    }
}

#[tokio::test]
async fn a_port_in_use_ends_the_start_with_what_to_do() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let ended = Folder::new().run(&["--listen", &address]).await;
    assert_eq!(ended.code, Some(1), "{ended:?}");
    let what = format!("cannot listen on {address}");
    let fix = "another program has this port: stop it, or choose another with --listen";
    assert!(
        ended.stderr.contains(&what) && ended.stderr.contains(fix),
        "{ended:?}"
    );
}

#[tokio::test]
async fn a_data_folder_in_use_is_refused_with_the_holders_pid_and_address() {
    let folder = Folder::new();
    let router = folder.start().await;
    let second = folder.run(&["--listen", "127.0.0.1:0"]).await;
    assert_eq!(second.code, Some(1), "{second:?}");
    let pid = router.pid().as_raw_nonzero().to_string();
    assert!(
        second.stderr.contains(&format!("process {pid}")),
        "{second:?}"
    );
    assert!(second.stderr.contains(router.address()), "{second:?}");
    // The first one does not notice.
    assert_eq!(router.get("/-/ready").await.status, 200);
    router.stop().await;
    folder.start().await.stop().await;
}

#[tokio::test]
async fn a_data_folder_that_cannot_be_is_named_with_the_cause_and_what_to_do() {
    let folder = Folder::new();
    std::fs::write(folder.path().join("file"), "").unwrap();
    let ended = folder.run(&["--store", "sqlite:file/x.db"]).await;
    assert_eq!(ended.code, Some(1), "{ended:?}");
    for part in ["data folder file", "os error", "--store"] {
        assert!(ended.stderr.contains(part), "{part}: {ended:?}");
    }
}

#[tokio::test]
async fn a_place_for_data_that_is_no_file_is_refused_with_what_to_name() {
    let folder = Folder::new();
    for (place, code, fix) in [
        ("sqlite:.", 1, "choose another file"),
        ("sqlite:", 2, "no file is named: write sqlite:PATH"),
    ] {
        let ended = folder.run(&["--store", place]).await;
        assert_eq!(ended.code, Some(code), "{ended:?}");
        assert!(ended.stderr.contains(fix), "{ended:?}");
    }
}

#[tokio::test]
async fn a_lock_that_a_killed_router_left_behind_stops_nobody() {
    let folder = Folder::new();
    folder.start().await.kill().await;
    folder.start().await.stop().await;
}

#[tokio::test]
async fn a_config_that_is_not_there_is_named_with_what_to_do() {
    let ended = Folder::new().run(&["--config", "nowhere.yaml"]).await;
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(
        ended.stderr.contains("nowhere.yaml: cannot read it"),
        "{ended:?}"
    );
    assert!(
        ended.stderr.contains("correct the path given by --config"),
        "{ended:?}"
    );
}

#[tokio::test]
async fn a_wrong_key_is_named_with_its_line_and_the_right_one() {
    let folder =
        Folder::with("route:\n  receiver: ops\n  groupby: [a]\nreceivers: [{name: ops}]\n");
    let ended = folder.run(&["--listen", "127.0.0.1:0"]).await;
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(
        ended
            .stderr
            .contains("alert-router.yaml: line 3: route.groupby"),
        "{ended:?}"
    );
    assert!(ended.stderr.contains("group_by"), "{ended:?}");
    assert!(
        !folder.path().join("data").exists(),
        "a wrong config touches nothing"
    );
}

#[tokio::test]
async fn wrong_use_of_the_command_line_is_exit_code_2() {
    let folder = Folder::new();
    for words in [
        &["--lisen", "x"][..],
        &["--listen", "9095"],
        &["dead-letters"],
        &["serf"],
    ] {
        let ended = folder.run(words).await;
        assert_eq!(ended.code, Some(2), "{words:?}: {ended:?}");
        assert!(
            ended.stderr.contains("Usage:") || ended.stderr.contains("--help"),
            "{ended:?}"
        );
    }
}

#[tokio::test]
async fn a_password_on_the_command_line_is_repeated_nowhere() {
    let folder = Folder::new();
    let url = "postgres://router:hunter2@db.example.com/alerts";
    let joined = format!("--store={url}");
    for words in [
        &["--store", url][..],
        &[&joined],
        &["serve", &joined],
        &["check", "--store", url],
        &["--store", "host=db password=hunter2"],
        &[&joined.replace("--store", "--stores")],
        &[url],
        &["serve", url],
        &["dead-letters", "list", url],
        &["dead-letters", "show", url],
        &["completions", url],
        &["--listen", url],
        &["--log-format", url],
    ] {
        let ended = folder.run(words).await;
        assert_eq!(ended.code, Some(2), "{words:?}: {ended:?}");
        let said = ended.stdout + &ended.stderr;
        assert!(!said.contains("hunter2"), "{words:?}: {said}");
        assert!(said.contains("error: "), "{words:?}: {said}");
    }
    let mut help = folder.command(&["--help"]);
    help.env("ALERT_ROUTER_CONFIG", "/run/hunter2.yaml");
    let help = help.output().unwrap();
    let said = String::from_utf8(help.stdout).unwrap();
    assert!(said.contains("ALERT_ROUTER_CONFIG") && !said.contains("hunter2"));
}

/// 192.0.2.1 belongs to no machine, so nothing is ever open to others here.
#[tokio::test]
async fn an_address_that_others_reach_is_refused_without_credentials_unless_open_is_said() {
    let folder = Folder::new();
    let refused = folder.run(&["--listen", "192.0.2.1:0"]).await;
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(
        refused.stderr.contains("nothing protects it"),
        "{refused:?}"
    );
    assert!(
        refused.stderr.contains("auth: {bearer_token_file: PATH}"),
        "{refused:?}"
    );
    let open = folder.run(&["--listen", "192.0.2.1:0", "--open"]).await;
    assert!(
        open.stderr.contains("cannot listen on 192.0.2.1:0"),
        "{open:?}"
    );

    let config = "route: {receiver: ops}\nreceivers: [{name: ops, inbox_configs: [{}]}]\n";
    let guarded = Folder::with(&format!("{config}auth: {{bearer_token: t0ken}}\n"));
    let with_credential = guarded.run(&["--listen", "192.0.2.1:0"]).await;
    assert!(
        with_credential.stderr.contains("cannot listen on"),
        "{with_credential:?}"
    );
    assert!(
        !with_credential.stderr.contains("t0ken"),
        "{with_credential:?}"
    );
}

#[tokio::test]
async fn ready_and_healthy_speak_of_us_and_not_of_a_receiver_that_is_down() {
    let down = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", down.local_addr().unwrap());
    drop(down);
    let folder = Folder::with(&format!(
        "route: {{receiver: room, group_wait: 50ms}}\n\
         receivers: [{{name: room, webhook_configs: [{{url: \"{url}\"}}]}}]\n"
    ));
    let router = folder.start().await;
    router
        .take(&[crate::router::firing(&[("alertname", "A")])])
        .await;
    let failures = "alert_router_delivery_failures_total{channel=\"webhook\",reason=\"connect\",receiver=\"room\"}";
    router.until_metric(failures, 1.0).await;
    assert_eq!(router.get("/-/ready").await.status, 200);
    assert_eq!(router.get("/-/healthy").await.status, 200);
}

#[tokio::test]
async fn a_store_in_memory_says_that_all_is_lost_at_the_end() {
    let folder = Folder::new();
    let command = folder.command(&["--listen", "127.0.0.1:0", "--store", "memory:"]);
    let router = Router::start(command).await;
    router
        .take(&[crate::router::firing(&[("alertname", "A")])])
        .await;
    assert_eq!(router.list("groups").await.len(), 1);
    assert!(
        router
            .said()
            .contains("everything is lost when this process ends")
    );
    assert!(!folder.path().join("data").exists());
}
