//! The program: what it prints, and how it fails.

use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};

const PROGRAM: &str = env!("CARGO_BIN_EXE_wecom-sim");

/// A program that does not outlive its test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // Either it runs and is ended, or it has ended.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn it_says_where_everything_is() {
    let mut command = Command::new(PROGRAM);
    command.args([
        "--listen",
        "127.0.0.1:0",
        "--bot",
        "k1=值班群",
        "--bot",
        "k2",
    ]);
    let mut child = Running(command.stdout(Stdio::piped()).spawn().unwrap());
    let lines = BufReader::new(child.0.stdout.take().unwrap())
        .lines()
        .take(6);
    let printed: Vec<String> = lines.map(|line| line.unwrap()).collect();
    let printed = printed.join("\n");
    let port = printed
        .split_once("127.0.0.1:")
        .unwrap()
        .1
        .split_once('/')
        .unwrap()
        .0;
    insta::assert_snapshot!(printed.replace(port, "PORT"), @r"
    page      http://127.0.0.1:PORT/
    received  http://127.0.0.1:PORT/_sim/messages
    api       http://127.0.0.1:PORT/cgi-bin/
    bot       http://127.0.0.1:PORT/cgi-bin/webhook/send?key=k1  (值班群)
    bot       http://127.0.0.1:PORT/cgi-bin/webhook/send?key=k2  (k2)
    app       corp id sim-corp, agent id 1000002, secret as given with --corp-secret
    ");
}

#[test]
fn a_port_in_use_is_an_error_that_says_what_to_do() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let output = Command::new(PROGRAM)
        .args(["--listen", &address])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stderr)
        .unwrap()
        .replace(&address, "ADDRESS");
    insta::assert_snapshot!(said, @"wecom-sim: ADDRESS is in use: stop the process that holds it, or choose another address (port 0 takes a free one)");
}
