//! The demo on a machine that lacks something: it says what is missing and how to get it, runs with the rest,
//! and no alert tells of a part that nobody has started.

use std::fs::Permissions;
use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;

use stack_tests::parts::{Program, binary, folder, until};
use tempfile::TempDir;

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
    for (part, how) in [
        ("Redis", "sudo apt-get install redis-server"),
        ("cache", "sudo apt-get install redis-server"),
        ("Collector", "demo/parts/build.sh"),
        ("Jaeger", "demo/parts/build.sh"),
    ] {
        is_missing(&demo.log(), part, how);
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
    for (part, package) in [
        ("Prometheus", "prometheus"),
        ("Alertmanager", "prometheus-alertmanager"),
        ("Redis", "redis-server"),
    ] {
        is_missing(&log, part, &format!("sudo apt-get install {package})"));
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
async fn asked_to_get_what_is_missing_the_demo_installs_what_it_can_and_names_the_rest() {
    let programs = [Program::Redis];
    let Some(_turn) = turn_of_the_poor("the demo gets what is missing", &programs).await else {
        return;
    };
    let path = a_machine_without_go(&programs[0].find().expect("the turn has asked for it"));
    let asked = path.path().join("asked");
    let demo = Demo::start_where(path, &["--get"]).await;
    let asked = std::fs::read_to_string(asked).expect("apt-get was called");
    let installed =
        "install -q -y --no-install-recommends prometheus prometheus-alertmanager redis-server\n";
    assert!(asked.contains(installed), "{asked}");
    assert!(
        asked.contains("install -q -y --no-install-recommends python3-venv\n"),
        "{asked}"
    );
    let log = demo.log();
    for said in [
        "getting Prometheus, Alertmanager, Redis: demo/parts/packages.sh",
        "getting Collector, Jaeger: demo/parts/build.sh --fetch-go\n",
        "not got: Collector, Jaeger (exit status: 3;",
        "Redis            ready after",
        "NOT RUN  Prometheus: missing",
    ] {
        assert!(log.contains(said), "no {said} in {log}");
    }
    demo.stop().await;
}

/// A folder for the PATH of a machine with Debian's tools, whose `apt-get` writes down what it is asked for and
/// has only `redis`.
fn a_machine_without_go(redis: &Path) -> TempDir {
    let path = folder();
    let real = [
        "bash",
        "cat",
        "cut",
        "dirname",
        "env",
        "mkdir",
        "sed",
        "sha256sum",
    ];
    for name in real {
        let folders = ["/usr/bin", "/bin"].map(|folder| Path::new(folder).join(name));
        let found = folders.into_iter().find(|file| file.exists());
        let found = found.unwrap_or_else(|| panic!("no {name} on this machine"));
        symlink(found, path.path().join(name)).expect("the folder is ours");
    }
    let to = path.path().join("redis-server");
    let (redis, to, at) = (redis.display(), to.display(), path.path().display());
    let apt_get = format!(
        "echo \"$@\" >>{at}/asked\ncase \"$*\" in *redis-server*) exec /bin/ln -sf {redis} {to} ;; esac\n"
    );
    for (name, text) in [
        ("apt-get", apt_get.as_str()),
        ("id", "echo 0\n"),
        ("dpkg-query", "exit 1\n"),
    ] {
        let file = path.path().join(name);
        std::fs::write(&file, format!("#!{at}/bash\n{text}")).expect("the folder is ours");
        std::fs::set_permissions(&file, Permissions::from_mode(0o755)).expect("the folder is ours");
    }
    path
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_in_use_ends_the_demo_with_its_name_and_the_way_out() {
    let Some(_turn) = turn_of_the_poor("a port in use", &[]).await else {
        return;
    };
    // If somebody else has it, that is as good.
    let _held = TcpListener::bind("127.0.0.1:8090");
    for (locale, text) in [
        ("C", "in use by other"),
        ("zh_CN.UTF-8", "端口被其他程序占用"),
    ] {
        let ended = Command::new(binary("demo")).env("LC_ALL", locale).output();
        let ended = ended.expect("it starts");
        let said = String::from_utf8_lossy(&ended.stderr);
        assert_eq!(ended.status.code(), Some(1), "{said}");
        assert!(said.contains("127.0.0.1:8090 (start page)"), "{said}");
        assert!(said.contains("--any-port") && said.contains(text), "{said}");
    }
}

/// It was said that `part` is missing, with the one command that gets it, and what that does.
fn is_missing(log: &str, part: &str, how: &str) {
    let start = format!("NOT RUN  {part}: missing; to get it: ");
    let line = log.lines().find(|line| line.contains(&start));
    let line = line.unwrap_or_else(|| panic!("no {start} in {log}"));
    assert!(line.contains(" --get (") && line.contains(how), "{line}");
}

/// A demo that finds these programs and no others.
async fn start_with(programs: &[Program]) -> Demo {
    let path = folder();
    for program in programs {
        let file = program.find().expect("the turn has asked for it");
        let name = file.file_name().expect("a file");
        symlink(&file, path.path().join(name)).expect("the folder is ours");
    }
    Demo::start_where(path, &[]).await
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
