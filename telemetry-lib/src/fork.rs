//! Hears of forks. A child has the memory of its parent, the queue with its lock included, and none of
//! its threads: it must know that before it touches either. Asking for the process's id would cost
//! each span a system call; the C library tells it for nothing. It also has the state of each generator
//! of random numbers, so that it would make the ids of its parent and its siblings again. And each lock
//! that another thread held at the fork stays locked in the child: [`Lock`] and [`Standard`] do not.

use std::io::{self, Write};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, TryLockError, mpsc};
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

static DEPTH: AtomicU32 = AtomicU32::new(0);
static SALT: [AtomicU64; 2] = [AtomicU64::new(0), AtomicU64::new(0)];

/// How many forks lie between the process that began to count and this one.
#[inline]
pub(crate) fn depth() -> u32 {
    #[cfg(test)]
    if let Some(depth) = tests::PRETENDED.get() {
        return depth;
    }
    DEPTH.load(Relaxed)
}

/// What tells random numbers of this process from those of the processes that it was forked from, and
/// of their other children. Zero in the first of them.
#[inline]
pub(crate) fn salt() -> u128 {
    let [high, low] = SALT.each_ref().map(|half| half.load(Relaxed));
    u128::from(high) << 64 | u128::from(low)
}

/// Counts from now on. Without memory for it, a child loses its spans as it does elsewhere than on
/// Unix.
#[cfg(unix)]
#[expect(unsafe_code, reason = "no safe function tells of a fork")]
pub(crate) fn count() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| {
        // SAFETY: the handler lives as long as the program. It asks for the process's id and the time and
        // changes atomics, all of which a child of a process with threads may do.
        let _ = unsafe { libc::pthread_atfork(None, None, Some(in_child)) };
    });
}

#[cfg(unix)]
#[expect(
    clippy::disallowed_methods,
    reason = "no time is told, only processes are told apart; a handler of forks calls little else"
)]
extern "C" fn in_child() {
    DEPTH.fetch_add(1, Relaxed);
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    // Ids of processes come again, but not at the same time.
    let now = now.map_or(0, |now| now.as_secs() ^ u64::from(now.subsec_nanos()) << 32);
    for (half, number) in SALT.iter().zip(1..) {
        half.fetch_xor(
            spread(now ^ spread(u64::from(std::process::id()) + (number << 32))),
            Relaxed,
        );
    }
}

/// Every bit of the result depends on all of `bits` (the finalizer of SplitMix64).
#[cfg(unix)]
fn spread(bits: u64) -> u64 {
    let bits = (bits ^ bits >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let bits = (bits ^ bits >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ bits >> 31
}

/// Nothing forks here.
#[cfg(not(unix))]
pub(crate) fn count() {}

/// How long a child waits for a new thread to run; it takes microseconds.
const BEGUN: Duration = Duration::from_secs(1);

/// Does `work` on a thread of its own; `false` if it does not run. In a child that is looked after, for `limit` at
/// most: if another thread was just starting at the fork, the standard library's lock stays locked, and none ever
/// runs there.
pub(crate) fn spawn(name: &str, limit: Duration, work: impl FnOnce() + Send + 'static) -> bool {
    let (begun, has_begun) = mpsc::sync_channel(1);
    let work = move || {
        // There is room for it.
        let _ = begun.send(());
        work();
    };
    let spawned = thread::Builder::new().name(name.to_owned()).spawn(work);
    spawned.is_ok() && (depth() == 0 || has_begun.recv_timeout(limit.min(BEGUN)).is_ok())
}

/// A mutex that each process has for itself: a child makes its own value when it first needs it.
pub(crate) struct Lock<T> {
    depth: u32,
    value: Mutex<T>,
    fresh: Arc<Fresh<T>>,
    child: OnceLock<Box<Self>>,
}

/// A child's value, from its parent's unless that was locked at the fork.
type Fresh<T> = dyn Fn(Option<&T>) -> T + Send + Sync;

impl<T> Lock<T> {
    pub(crate) fn new(value: T, fresh: impl Fn(Option<&T>) -> T + Send + Sync + 'static) -> Self {
        count();
        Self::with(value, Arc::new(fresh))
    }

    /// Locks this process's value. No code of the user's may run until it is given back; were it
    /// poisoned, the value is still whole.
    pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
        let mut here = self;
        while here.depth != depth() {
            here = here.child.get_or_init(|| Box::new(here.in_child()));
        }
        here.value.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn with(value: T, fresh: Arc<Fresh<T>>) -> Self {
        Self {
            depth: depth(),
            value: Mutex::new(value),
            fresh,
            child: OnceLock::new(),
        }
    }

    fn in_child(&self) -> Self {
        let value = match self.value.try_lock() {
            Ok(value) => (self.fresh)(Some(&value)),
            Err(TryLockError::Poisoned(value)) => (self.fresh)(Some(value.get_ref())),
            Err(TryLockError::WouldBlock) => (self.fresh)(None),
        };
        Self::with(value, Arc::clone(&self.fresh))
    }
}

impl<T: Clone + Default + 'static> Lock<T> {
    /// A child goes on with its parent's value, or begins with none.
    pub(crate) fn inherited(value: T) -> Self {
        Self::new(value, |it| it.cloned().unwrap_or_default())
    }
}

impl<T: Clone + Default + 'static> Default for Lock<T> {
    fn default() -> Self {
        Self::inherited(T::default())
    }
}

impl<T> std::fmt::Debug for Lock<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Lock").finish_non_exhaustive()
    }
}

/// Standard output or error. The standard library locks both, and the lock may be one that a thread
/// held at the fork: a child writes past it.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Standard {
    Output,
    Error,
}

impl Write for Standard {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        #[cfg(unix)]
        if depth() > 0 {
            return self.write_past(bytes);
        }
        match self {
            Self::Output => io::stdout().write(bytes),
            Self::Error => io::stderr().write(bytes),
        }
    }

    /// Nothing is kept back: what is written here ends with its line.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(unix)]
impl Standard {
    #[expect(unsafe_code, reason = "no safe function writes past the lock")]
    fn write_past(self, bytes: &[u8]) -> io::Result<usize> {
        let descriptor = match self {
            Self::Output => libc::STDOUT_FILENO,
            Self::Error => libc::STDERR_FILENO,
        };
        // SAFETY: the bytes are there for as long as the call lasts; a descriptor that is closed is an
        // error.
        let written = unsafe { libc::write(descriptor, bytes.as_ptr().cast(), bytes.len()) };
        usize::try_from(written).map_err(|_| io::Error::last_os_error())
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::cell::Cell;

    use super::*;

    thread_local! {
        /// What [`depth`](super::depth) says on this thread, so that a test need not fork.
        pub(crate) static PRETENDED: Cell<Option<u32>> = const { Cell::new(None) };
    }

    #[test]
    fn f27_a_child_waits_for_no_lock_that_was_held_at_the_fork() {
        let said = Lock::inherited(vec!["before"]);
        let in_child = |depth, add| {
            PRETENDED.set(Some(depth));
            let mut said = said.lock();
            said.push(add);
            let all = said.clone();
            drop(said);
            PRETENDED.set(None);
            all
        };
        assert_eq!(in_child(1, "child"), ["before", "child"]);
        assert_eq!(in_child(1, "again"), ["before", "child", "again"]);
        assert_eq!(*said.lock(), ["before"], "the parent's is its own");

        let said = Lock::inherited(vec!["before"]);
        let left_behind = said.lock();
        PRETENDED.set(Some(1));
        assert!(said.lock().is_empty(), "nobody can know what was there");
        PRETENDED.set(None);
        drop(left_behind);
    }
}
