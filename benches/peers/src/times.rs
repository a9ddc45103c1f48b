//! CPU time for a request: a process for each stack, taking turns in rounds, so that a noisy moment
//! of the machine hits all of them.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStderr, ChildStdin, Command, Stdio};

use peers::{CHUNK, Case, GROUPS, Group, Sink};

use crate::child::Done;
use crate::report::{self, Row, median};

const ROUNDS: usize = 21;
const CHUNKS: usize = 12;
const WARM_UP: usize = 4;

/// A running stack and what it has cost, case by case.
struct Runner {
    child: Child,
    orders: ChildStdin,
    answers: BufReader<ChildStderr>,
    all: Vec<Vec<f64>>,
    own: Vec<Vec<f64>>,
}

pub(crate) fn print() -> Done {
    println!(
        "CPU time, OTLP encoded and sent: ns for a request beyond the bare router, median of {ROUNDS} \
         rounds of {} requests (and the ratio to the first stack in the same round)\n",
        CHUNKS * CHUNK
    );
    GROUPS.iter().try_for_each(measure)
}

fn measure(group: &Group) -> Done {
    let sink = Sink::start()?;
    let mut runners = Vec::new();
    for (name, _) in group.stacks {
        runners.push(Runner::start(name, group.cases.len(), sink.endpoint())?);
    }
    for round in 0..ROUNDS + WARM_UP {
        for (index, case) in group.cases.iter().enumerate() {
            for runner in &mut runners {
                let (all, own) = runner.run(*case)?;
                if round >= WARM_UP {
                    runner.all[index].push(all);
                    runner.own[index].push(own);
                }
            }
        }
    }
    println!("{}: all threads\n", group.title);
    report::print(group.cases, &rows(group, &runners, |runner| &runner.all));
    println!("\n{}: the request thread\n", group.title);
    report::print(group.cases, &rows(group, &runners, |runner| &runner.own));
    println!("\n{} MB of OTLP arrived\n", sink.bytes() / 1_000_000);
    Ok(())
}

/// Beyond the bare router of the same round.
fn rows(group: &Group, runners: &[Runner], of: impl Fn(&Runner) -> &[Vec<f64>]) -> Vec<Row> {
    let bare = of(&runners[0]);
    let first = of(&runners[1]);
    let beyond = |times: &[f64], bare: &[f64]| -> Vec<f64> {
        let pairs = times.iter().zip(bare);
        pairs.map(|(time, bare)| time - bare).collect()
    };
    let row = |(runner, (name, _)): (&Runner, &(&'static str, _))| {
        let cells = (0..group.cases.len()).map(|case| {
            let own = beyond(&of(runner)[case], &bare[case]);
            let theirs = beyond(&first[case], &bare[case]);
            let pairs = own.iter().zip(&theirs);
            let ratios = pairs.map(|(own, theirs)| own / theirs).collect();
            (median(own), median(ratios))
        });
        Row {
            name,
            cells: cells.collect(),
        }
    };
    runners.iter().zip(group.stacks).skip(1).map(row).collect()
}

impl Runner {
    fn start(name: &str, cases: usize, endpoint: &str) -> Result<Self, Box<dyn std::error::Error>> {
        let mut child = command("peers", &["child", name], endpoint)?
            .stdin(Stdio::piped())
            // The log is written, and read by nobody.
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()?;
        Ok(Self {
            orders: child.stdin.take().ok_or("the child has no input")?,
            answers: BufReader::new(child.stderr.take().ok_or("the child has no output")?),
            child,
            all: vec![Vec::new(); cases],
            own: vec![Vec::new(); cases],
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
        .env("RUST_LOG", "info")
        // What is said on stderr would stand between the answers.
        .env("OTEL_LOG_LEVEL", "none");
    Ok(command)
}
