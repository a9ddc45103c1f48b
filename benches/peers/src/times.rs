//! CPU time for a request: a process for each stack, taking turns in rounds, so that a noisy moment
//! of the machine hits all of them.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use peers::{CHUNK, Case, STACKS, Sink};

use crate::child::Done;
use crate::report::{self, Row, median};

const ROUNDS: usize = 21;
const CHUNKS: usize = 12;
const WARM_UP: usize = 4;

/// A running stack and what it has cost, case by case.
struct Runner {
    child: Child,
    orders: ChildStdin,
    answers: BufReader<ChildStdout>,
    all: [Vec<f64>; Case::ALL.len()],
    own: [Vec<f64>; Case::ALL.len()],
}

pub(crate) fn print() -> Done {
    let sink = Sink::start()?;
    let mut runners = Vec::new();
    for (name, _) in STACKS {
        runners.push(Runner::start(name, sink.endpoint())?);
    }
    for round in 0..ROUNDS + WARM_UP {
        for (index, case) in Case::ALL.into_iter().enumerate() {
            for runner in &mut runners {
                let (all, own) = runner.run(case)?;
                if round >= WARM_UP {
                    runner.all[index].push(all);
                    runner.own[index].push(own);
                }
            }
        }
    }
    println!(
        "CPU time on all threads, OTLP encoded and sent: ns for a request beyond the bare router, \
         median of {ROUNDS} rounds of {} requests (and the ratio to the usual stack in the same \
         round)\n",
        CHUNKS * CHUNK
    );
    report::print(&rows(&runners, |runner| &runner.all));
    println!("\nThe request thread alone\n");
    report::print(&rows(&runners, |runner| &runner.own));
    println!("\n{} MB of OTLP arrived\n", sink.bytes() / 1_000_000);
    Ok(())
}

/// Beyond the bare router of the same round.
fn rows(runners: &[Runner], of: impl Fn(&Runner) -> &[Vec<f64>; Case::ALL.len()]) -> Vec<Row> {
    let bare = of(&runners[0]);
    let usual = of(&runners[1]);
    let beyond = |times: &[f64], bare: &[f64]| -> Vec<f64> {
        times
            .iter()
            .zip(bare)
            .map(|(time, bare)| time - bare)
            .collect()
    };
    let row = |(runner, (name, _)): (&Runner, &(&'static str, _))| {
        let cells = (0..Case::ALL.len()).map(|case| {
            let own = beyond(&of(runner)[case], &bare[case]);
            let theirs = beyond(&usual[case], &bare[case]);
            let ratios = own
                .iter()
                .zip(&theirs)
                .map(|(own, theirs)| own / theirs)
                .collect();
            (median(own), median(ratios))
        });
        Row {
            name,
            cells: cells.collect(),
        }
    };
    runners.iter().zip(&STACKS).skip(1).map(row).collect()
}

impl Runner {
    fn start(name: &str, endpoint: &str) -> Result<Self, Box<dyn std::error::Error>> {
        let mut child = command("peers", &["child", name], endpoint)?
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        Ok(Self {
            orders: child.stdin.take().ok_or("the child has no input")?,
            answers: BufReader::new(child.stdout.take().ok_or("the child has no output")?),
            child,
            all: Default::default(),
            own: Default::default(),
        })
    }

    fn run(&mut self, case: Case) -> Result<(f64, f64), Box<dyn std::error::Error>> {
        writeln!(self.orders, "{} {CHUNKS}", case.name())?;
        let mut answer = String::new();
        self.answers.read_line(&mut answer)?;
        let (all, own) = answer.trim().split_once(' ').ok_or("a child has left")?;
        let requests = (CHUNKS * CHUNK) as f64;
        Ok((
            all.parse::<f64>()? / requests,
            own.parse::<f64>()? / requests,
        ))
    }
}

impl Drop for Runner {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// A program of this crate, exporting to `endpoint`.
pub(crate) fn command(
    program: &str,
    arguments: &[&str],
    endpoint: &str,
) -> Result<Command, Box<dyn std::error::Error>> {
    let mut command = Command::new(std::env::current_exe()?.with_file_name(program));
    command
        .args(arguments)
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)
        .env("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")
        .env("RUST_LOG", "warn");
    Ok(command)
}
