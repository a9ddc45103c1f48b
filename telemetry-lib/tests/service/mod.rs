//! A test that starts itself as a service, which needs a process of its own.

use std::process::Command;

/// Runs the ignored test `service` with these variables; what it said on stdout and on stderr.
pub(crate) fn run(service: &str, variables: &[(&str, &str)]) -> (String, String) {
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", service, "--nocapture", "--ignored"])
        .envs(variables.iter().copied())
        .output()
        .unwrap();
    let said = [child.stdout, child.stderr].map(|bytes| String::from_utf8(bytes).unwrap());
    let [stdout, stderr] = said;
    assert!(child.status.success(), "{stdout}{stderr}");
    assert!(stdout.contains("1 passed"), "{stdout}");
    (stdout, stderr)
}
