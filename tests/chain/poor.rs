//! The demo on a machine that lacks something: it says what is missing and how to get it, runs with the rest,
//! and no alert tells of a part that nobody has started.

use std::net::TcpListener;
use std::os::unix::fs::symlink;
use std::process::Command;

use stack_tests::parts::{Program, binary, folder, until};

use crate::demo::Demo;
use crate::turn_of_the_poor;

const ALERT: &str = "ServiceErrors";

#[tokio::test(flavor = "multi_thread")]
async fn without_redis_collector_and_jaeger_the_demo_says_so_and_people_hear_of_errors_only() {
    let programs = [Program::Prometheus, Program::Alertmanager];
    let test = "the demo without Redis, Collector and Jaeger";
    let Some(_turn) = turn_of_the_poor(test, &programs).await else {
        return;
    };
    let demo = start_with(&programs).await;
    for said in [
        "NOT RUN  Redis: missing; to get it: sudo apt-get install redis-server",
        "NOT RUN  cache: missing; to get it: sudo apt-get install redis-server",
        "NOT RUN  Collector: missing; to get it: demo/parts/build.sh",
        "NOT RUN  Jaeger: missing; to get it: demo/parts/build.sh",
    ] {
        assert!(demo.log().contains(said), "no {said} in {}", demo.log());
    }
    until("all that runs is looked at", async || {
        match demo.value("min(up)").await? {
            1.0 => Ok(()),
            down => Err(down.to_string()),
        }
    })
    .await;
    demo.press("/break");
    hear(&demo, "FIRING").await;
    demo.press("/heal");
    hear(&demo, "RESOLVED").await;
    for part in ["Collector", "Telemetry", "ServiceDown"] {
        let phone = demo.phone(part).await.expect("the simulator answers");
        assert!(phone.is_empty(), "{phone:#?}");
    }
    // Without a Redis it is the stock that dies.
    demo.press("/break/dependency");
    hear(&demo, "FIRING").await;
    let log = demo.log();
    assert!(log.contains("stock            killed"), "{log}");
    demo.press("/heal");
    hear(&demo, "RESOLVED").await;
    demo.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn with_nothing_installed_the_demo_runs_its_own_parts_and_says_what_to_get() {
    let Some(_turn) = turn_of_the_poor("the demo alone", &[]).await else {
        return;
    };
    let demo = start_with(&[]).await;
    let log = demo.log();
    for package in ["prometheus", "prometheus-alertmanager", "redis-server"] {
        let said = format!("missing; to get it: sudo apt-get install {package}\n");
        assert!(log.contains(&said), "no {said} in {log}");
    }
    let why = "No alert comes, whatever breaks, without Alertmanager and Prometheus.";
    assert!(log.contains(why), "{log}");
    for own in ["alert-router", "stock", "shop"] {
        let line = log.lines().find(|line| line.starts_with(own));
        let ready = line.is_some_and(|line| line.contains("ready after"));
        assert!(ready, "{own} in {log}");
    }
    assert_eq!(demo.tell(&["break"]), format!("broken. {why}\n"));
    assert_eq!(demo.tell(&["heal"]), "healed\n");
    demo.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_in_use_ends_the_demo_with_its_name_and_the_way_out() {
    let Some(_turn) = turn_of_the_poor("a port in use", &[]).await else {
        return;
    };
    // If somebody else has it, that is as good.
    let _held = TcpListener::bind("127.0.0.1:8090");
    let ended = Command::new(binary("demo")).output().expect("it starts");
    let said = String::from_utf8_lossy(&ended.stderr);
    assert_eq!(ended.status.code(), Some(1), "{said}");
    assert!(said.contains("127.0.0.1:8090 (start page)"), "{said}");
    assert!(said.contains("--any-port"), "{said}");
}

/// A demo that finds these programs and no others.
async fn start_with(programs: &[Program]) -> Demo {
    let path = folder();
    for program in programs {
        let file = program.find().expect("the turn has asked for it");
        let name = file.file_name().expect("a file");
        symlink(&file, path.path().join(name)).expect("the folder is ours");
    }
    Demo::start_where(path).await
}

async fn hear(demo: &Demo, word: &str) {
    let head = format!("**{word}");
    until("a message of WeCom", async || {
        let phone = demo.phone(ALERT).await?;
        match phone.last() {
            Some(last) if last.contains(&head) => Ok(()),
            _ => Err(format!("{phone:#?}")),
        }
    })
    .await;
}
