//! A process with one stack. It runs what it is told and says what that cost, so that the parent can
//! let the stacks take turns.

use std::io::{self, BufRead, Write};

use peers::{CHUNK, Case, measured_chunk, start};
use rustix::time::{ClockId, clock_gettime};

pub(crate) type Done = Result<(), Box<dyn std::error::Error>>;

/// Answers each line `CASE CHUNKS` with the nanoseconds of all threads and of the request thread, on stderr: a
/// stack may write its log to stdout.
pub(crate) fn obey(name: &str) -> Done {
    let (runtime, mut stack) = start(name)?;
    let mut output = io::stderr().lock();
    for line in io::stdin().lock().lines() {
        let line = line?;
        let (case, chunks) = line.split_once(' ').ok_or("expected CASE CHUNKS")?;
        let case: Case = case.parse()?;
        let (process, thread) = (now(ClockId::ProcessCPUTime), now(ClockId::ThreadCPUTime));
        let mut flushing = 0;
        for _ in 0..chunks.parse()? {
            measured_chunk(&runtime, &mut stack.router, case, CHUNK);
            let begin = now(ClockId::ThreadCPUTime);
            (stack.flush)();
            flushing += now(ClockId::ThreadCPUTime) - begin;
        }
        let all = now(ClockId::ProcessCPUTime) - process;
        let own = now(ClockId::ThreadCPUTime) - thread - flushing;
        writeln!(output, "{all} {own}")?;
        output.flush()?;
    }
    Ok(())
}

/// Runs so many requests after a warm-up; for a profiler that looks at `measured_chunk`.
pub(crate) fn once(name: &str, case: &str, requests: &str) -> Done {
    let (runtime, mut stack) = start(name)?;
    measured_chunk(
        &runtime,
        &mut stack.router,
        case.parse()?,
        requests.parse()?,
    );
    (stack.flush)();
    Ok(())
}

/// Nanoseconds that this thread has computed.
pub(crate) fn thread_time() -> i64 {
    now(ClockId::ThreadCPUTime)
}

fn now(clock: ClockId) -> i64 {
    let time = clock_gettime(clock);
    time.tv_sec * 1_000_000_000 + time.tv_nsec
}
