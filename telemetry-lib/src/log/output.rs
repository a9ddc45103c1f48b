//! Where lines go, one after the other, and what becomes of those that cannot be written. A write to
//! a pipe that nobody reads ends when somebody does, so that nobody else may wait for it without end.

use std::borrow::Cow;
use std::io::{self, ErrorKind, Write};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Condvar, PoisonError};
use std::time::Duration;

use crate::clock;
use crate::fork::{Lock, Standard};
use crate::notice::Notices;

/// So long other threads wait for one that writes. Then their lines are lost, until it is done.
const PATIENCE: Duration = Duration::from_secs(1);

pub(super) struct Output {
    /// Nothing is written under this lock.
    turn: Lock<Turn>,
    lost: AtomicU64,
    notices: Notices,
}

/// Whose turn it is.
struct Turn {
    /// `None` while a thread writes, and before there is one.
    sink: Option<Sink>,
    is_taken: bool,
    waiting: usize,
    /// When those give up that wait for the thread that writes; `None` while nobody waits.
    until: Option<Duration>,
    /// Somebody gave up.
    is_late: bool,
    /// Its own of each process.
    free: Arc<Condvar>,
}

struct Sink {
    to: Box<dyn Write + Send>,
    /// The last line broke off.
    torn: bool,
}

impl Output {
    pub(super) fn new(notices: Notices) -> Self {
        // What a forked child of a service writes, it writes where its parent did.
        let in_child = |_: Option<&Turn>| Turn::of(Some(Sink::new(Box::new(Standard::Output))));
        Self {
            turn: Lock::new(Turn::of(None), in_child),
            lost: AtomicU64::new(0),
            notices,
        }
    }

    pub(super) fn set(&self, to: Box<dyn Write + Send>) {
        self.turn.lock().sink = Some(Sink::new(to));
    }

    /// Lines that were not written.
    pub(super) fn lost(&self) -> u64 {
        self.lost.load(Relaxed)
    }

    pub(super) fn lose(&self, lines: u64) {
        self.lost.fetch_add(lines, Relaxed);
    }

    /// Writes `text`, which ends with its line.
    pub(super) fn write(&self, text: &str) {
        let Some(mut sink) = self.take() else { return };
        let written = sink.write(text);
        let others_gave_up = self.give_back(sink);
        if let Err(error) = &written {
            self.lose(1);
            self.tell(error);
        } else if others_gave_up {
            self.tell(&"nobody reads standard output");
        }
    }

    /// Nothing is written now, or the line is lost.
    fn take(&self) -> Option<Sink> {
        let mut turn = self.turn.lock();
        while turn.is_taken {
            let now = clock::monotonic();
            let until = *turn.until.get_or_insert(now + PATIENCE);
            if now >= until {
                turn.is_late = true;
                drop(turn);
                self.lose(1);
                return None;
            }
            let free = Arc::clone(&turn.free);
            turn.waiting += 1;
            let waited = free.wait_timeout(turn, until - now);
            turn = waited.unwrap_or_else(PoisonError::into_inner).0;
            turn.waiting -= 1;
        }
        let sink = turn.sink.take()?;
        turn.is_taken = true;
        Some(sink)
    }

    /// The next one may write. Says whether somebody gave up waiting.
    fn give_back(&self, sink: Sink) -> bool {
        let mut turn = self.turn.lock();
        turn.sink = Some(sink);
        turn.is_taken = false;
        turn.until = None;
        let gave_up = std::mem::take(&mut turn.is_late);
        // Asking the system to wake nobody would cost each line.
        let next = (turn.waiting > 0).then(|| Arc::clone(&turn.free));
        drop(turn);
        if let Some(free) = next {
            free.notify_one();
        }
        gave_up
    }

    /// Standard error may be a pipe that nobody reads either: only who had a turn of his own tells.
    fn tell(&self, why: &dyn std::fmt::Display) {
        self.notices.once("lines lost", || {
            format!("log lines are lost, and counted in telemetry_log_lines_lost_total: {why}")
        });
    }
}

impl Turn {
    fn of(sink: Option<Sink>) -> Self {
        Self {
            sink,
            is_taken: false,
            waiting: 0,
            until: None,
            is_late: false,
            free: Arc::default(),
        }
    }
}

impl Sink {
    fn new(to: Box<dyn Write + Send>) -> Self {
        Self { to, torn: false }
    }

    /// A line that broke off is ended first: its torn half must not spoil the next one.
    fn write(&mut self, text: &str) -> io::Result<()> {
        let text = match self.torn {
            true => Cow::Owned(format!("\n{text}")),
            false => Cow::Borrowed(text),
        };
        let mut rest = text.as_bytes();
        let result = loop {
            match self.to.write(rest) {
                Ok(0) => break Err(ErrorKind::WriteZero.into()),
                Ok(written) => {
                    rest = rest.get(written..).unwrap_or_default();
                    if rest.is_empty() {
                        break Ok(());
                    }
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => break Err(error),
            }
        };
        let written = text.as_bytes().strip_suffix(rest).unwrap_or_default();
        if let Some(last) = written.last() {
            self.torn = *last != b'\n';
        }
        result
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Mutex, mpsc};

    use super::*;
    use crate::notice::tests::recorded;

    /// Takes so many bytes of what is written, then an error, again and again.
    #[derive(Clone, Default)]
    struct Disk(Arc<Mutex<(String, Vec<usize>)>>);

    impl Write for Disk {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let mut disk = self.0.lock().unwrap();
            let room = disk.1.pop().unwrap_or(usize::MAX);
            if room == 0 {
                return Err(ErrorKind::StorageFull.into());
            }
            let text = std::str::from_utf8(&bytes[..room.min(bytes.len())]).unwrap();
            disk.0.push_str(text);
            Ok(text.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn f43_a_line_that_broke_off_is_counted_told_and_ended_before_the_next() {
        let (notices, told) = recorded();
        let (output, disk) = (Output::new(notices), Disk::default());
        output.set(Box::new(disk.clone()));
        // The second breaks off, the third finds no room, the fourth only for the end of the second.
        disk.0.lock().unwrap().1 = vec![0, 1, 0, 0, 2, 4];
        for line in ["one\n", "two\n", "three\n", "four\n", "five\n", "six\n"] {
            output.write(line);
        }
        assert_eq!(disk.0.lock().unwrap().0, "one\ntw\nfive\nsix\n");
        assert_eq!((output.lost(), told.lock().unwrap().len()), (3, 1));
    }

    /// Says that it is written to, and ends when it is let go.
    struct Blocked(mpsc::SyncSender<()>, mpsc::Receiver<()>);

    impl Write for Blocked {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let _ = self.0.send(());
            let _ = self.1.recv();
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn f43_while_one_write_does_not_end_lines_of_others_are_lost_and_told_after_it() {
        let (notices, told) = recorded();
        let output = Output::new(notices);
        let ((begin, begun), (end, ended)) = (mpsc::sync_channel(1), mpsc::sync_channel(1));
        output.set(Box::new(Blocked(begin, ended)));
        std::thread::scope(|scope| {
            let first = scope.spawn(|| output.write("first\n"));
            begun.recv().unwrap();
            (0..3).for_each(|_| output.write("other\n"));
            assert_eq!((output.lost(), told.lock().unwrap().len()), (3, 0));
            end.send(()).unwrap();
            first.join().unwrap();
        });
        assert_eq!(told.lock().unwrap().len(), 1);
        drop(end);
        output.write("again\n");
        assert_eq!(output.lost(), 3);
    }
}
