//! A program that runs while a test looks at it. It is stopped by its process id, also when the test
//! fails.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::Duration;

/// More than any line of a log takes to come, less than anyone waits for a test.
const PATIENCE: Duration = Duration::from_secs(30);
/// Lines that may wait for the test to read them; then the program waits.
const LINES: usize = 10_000;

/// A running program and its log.
pub struct Part {
    child: Child,
    log: Receiver<String>,
    seen: Vec<String>,
}

impl Part {
    /// Starts it; its standard error is the log.
    ///
    /// # Panics
    /// If it cannot start.
    #[must_use]
    pub fn start(command: &mut Command) -> Self {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let stderr = child.stderr.take().expect("it was asked for");
        let (sender, log) = sync_channel(LINES);
        std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        Self {
            child,
            log,
            seen: Vec::new(),
        }
    }

    /// Reads the log up to the first line that contains all `words`, and returns that line.
    ///
    /// # Panics
    /// If the program ends before, or says nothing for 30 s.
    pub fn wait_for(&mut self, words: &[&str]) -> String {
        loop {
            match self.log.recv_timeout(PATIENCE) {
                Ok(line) => {
                    self.seen.push(line.clone());
                    if words.iter().all(|word| line.contains(word)) {
                        return line;
                    }
                }
                Err(error) => panic!("no {words:?} ({error}) in\n{}", self.seen.join("\n")),
            }
        }
    }

    /// Lets the program work for a moment: until its next line of log, at most a tenth of a second.
    pub fn pace(&mut self) {
        match self.log.recv_timeout(Duration::from_millis(100)) {
            Ok(line) => self.seen.push(line),
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {}
        }
    }

    /// Asks `answer` until it gives one, pacing by the program's log.
    ///
    /// # Panics
    /// If there is none after about 30 s.
    pub fn ask<T>(&mut self, what: &str, mut answer: impl FnMut() -> Option<T>) -> T {
        for _ in 0..300 {
            if let Some(answer) = answer() {
                return answer;
            }
            self.pace();
        }
        panic!("no {what}; the log:\n{}", self.seen.join("\n"));
    }

    /// Ends it with SIGTERM and returns its whole log.
    ///
    /// # Panics
    /// If it does not end well.
    #[must_use]
    pub fn stop(mut self) -> Vec<String> {
        terminate(&self.child);
        let status = self.child.wait().expect("it was started");
        let mut seen = std::mem::take(&mut self.seen);
        seen.extend(self.log.iter());
        assert!(status.success(), "{status}:\n{}", seen.join("\n"));
        seen
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        // Both fail only when it has ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn terminate(child: &Child) {
    let status = Command::new("kill")
        .args(["-TERM", &child.id().to_string()])
        .status();
    assert!(status.is_ok_and(|status| status.success()), "kill works");
}
