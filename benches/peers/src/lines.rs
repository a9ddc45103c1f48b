//! What a log line costs when several threads write theirs at once to the same output, `/dev/null`.

use std::process::Stdio;
use std::sync::Barrier;
use std::thread;
use std::time::Instant;

use peers::{Sink, start};

use crate::child::Done;
use crate::report::median;
use crate::times::command;

const ROUNDS: usize = 9;
const LINES: u32 = 200_000;
const THREADS: [&str; 3] = ["1", "2", "4"];
const STACKS: [&str; 2] = [
    "the usual stack with the JSON lines of tracing-subscriber",
    "telemetry-lib, no line folded",
];

pub(crate) fn print() -> Done {
    let sink = Sink::start()?;
    println!(
        "Time that passes for a line of {LINES}, outside of spans, ns, median of {ROUNDS} rounds, by threads that \
         write at once\n"
    );
    println!("| stack | one | two | four |\n| --- | --- | --- | --- |");
    let mut times = [(); STACKS.len()].map(|()| [(); THREADS.len()].map(|()| Vec::new()));
    for _ in 0..ROUNDS {
        for (stack, times) in STACKS.iter().zip(&mut times) {
            for (threads, times) in THREADS.iter().zip(times) {
                let mut child = command("peers", &["lines", stack, threads], sink.endpoint())?;
                let output = child.stdout(Stdio::null()).output()?;
                times.push(String::from_utf8(output.stderr)?.trim().parse::<f64>()?);
            }
        }
    }
    for (stack, times) in STACKS.iter().zip(times) {
        let [one, two, four] = times.map(median);
        println!("| {stack} | {one:.0} | {two:.0} | {four:.0} |");
    }
    println!();
    Ok(())
}

/// Writes the lines of one stack, and on stderr how long a line took.
pub(crate) fn write(stack: &str, threads: &str) -> Done {
    let (_runtime, _stack) = start(stack)?;
    let threads: u32 = threads.parse()?;
    let begin = Barrier::new(threads as usize + 1);
    let work = || {
        begin.wait();
        (0..LINES / threads).for_each(|order| tracing::info!(order, "served"));
    };
    let began = thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(work);
        }
        begin.wait();
        Instant::now()
    });
    eprintln!("{}", began.elapsed().as_nanos() / u128::from(LINES));
    Ok(())
}
