//! Routes exactly as Alertmanager does: its own `amtool` is asked the same questions about the same
//! file. Without `amtool` this says NOT RUN; where `CI` is set, that is a failure.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use alert_router::config::{Config, Flags, Outside};
use alert_router::route_test;

/// Receivers and a tree that uses everything that both versions understand.
const TREE: &str = r#"
route:
  receiver: top
  group_by: [alertname]
  routes:
  - matchers: ['severity=~"critical|page"']
    receiver: urgent
    continue: true
  - match: {service: mysql}
    receiver: db
    routes:
    - match_re: {instance: 'db-[0-9]+'}
      receiver: dba
    - matchers: [owner!=ops, 'tier!~"(2|3)"', 'note=""']
      receiver: db-first
      continue: true
    - matchers: [tier = 1]
  - matchers: ['{service=~"web.*",zone!=cn}', ' path =~ "/api/\d+" ']
    receiver: web
  - matchers: ['summary="a, \"b\" c"']
    receiver: quoted
  - matchers: [unquoted=a b=c]
    receiver: loose
receivers: [{name: top}, {name: urgent}, {name: db}, {name: dba}, {name: db-first}, {name: web}, {name: quoted}, {name: loose}]
"#;

const QUESTIONS: &[&[&str]] = &[
    &["alertname=A"],
    &["severity=critical"],
    &["severity=criticals"],
    &["severity=page", "service=mysql"],
    &["service=mysql", "instance=db-1"],
    &["service=mysql", "instance=xdb-1"],
    &["service=mysql", "instance=db-1", "severity=page"],
    &["service=mysql", "owner=ops"],
    &["service=mysql", "owner=ops", "tier=1"],
    &["service=mysql", "tier=1"],
    &["service=mysql", "tier=2"],
    &["service=mysql", "note=x"],
    &["service=web-1", "path=/api/12"],
    &["service=web-1", "path=/api/x"],
    &["service=web-1", "path=/api/12", "zone=cn"],
    &["summary=\"a, \\\"b\\\" c\""],
    &["unquoted=\"a b=c\""],
    &["unquoted=a"],
];

#[test]
fn routes_are_those_that_amtool_names() {
    let Some(amtool) = amtool() else {
        assert!(
            std::env::var_os("CI").is_none(),
            "amtool is missing, and CI is set"
        );
        // Past the harness, which hides what a passing test prints.
        let said = "\nNOT RUN: amtool is not installed (package prometheus-alertmanager)";
        writeln!(std::io::stderr(), "{said}").expect("stderr is open");
        return;
    };
    let folder = tempfile::tempdir().expect("a temporary folder");
    for (name, tree) in [
        ("tree.yml", TREE),
        (
            "recorded.yml",
            include_str!("../testdata/alertmanager-0.25/alertmanager.yml"),
        ),
    ] {
        let file = folder.path().join(name);
        std::fs::write(&file, tree).expect("the folder is ours");
        let config = read(&file, tree);
        let more: &[&[&str]] = &[&["team=trunc"], &["team=all", "a=b"], &["team=none"]];
        for words in QUESTIONS.iter().chain(more) {
            let theirs = ask(&amtool, &file, words);
            assert_eq!(ours(&config, words), theirs, "{name}: {words:?}");
        }
    }
}

fn read(file: &Path, text: &str) -> Config {
    let outside = Outside {
        env: &|_| None,
        read: &|_| Err(std::io::ErrorKind::NotFound.into()),
    };
    Config::parse(file, text, &Flags::default(), &outside).unwrap_or_else(|e| panic!("{e}"))
}

fn ours(config: &Config, words: &[&str]) -> String {
    let labels = route_test::labels(words).unwrap_or_else(|e| panic!("{e}"));
    let found = config.routes.find(&labels);
    let receivers: Vec<&str> = found.iter().map(|route| &*route.receiver).collect();
    receivers.join(",")
}

fn ask(amtool: &Path, file: &Path, words: &[&str]) -> String {
    let out = Command::new(amtool)
        .args(["config", "routes", "test", "--config.file"])
        .arg(file)
        .args(words)
        .output()
        .expect("amtool starts");
    assert!(
        out.status.success(),
        "{words:?}: {}",
        String::from_utf8_lossy(&out.stderr)
    );
    String::from_utf8_lossy(&out.stdout).trim().to_owned()
}

fn amtool() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|folder| folder.join("amtool"))
        .find(|file| file.is_file())
}
