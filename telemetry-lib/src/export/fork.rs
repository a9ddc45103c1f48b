//! Hears of forks. A child has the memory of its parent, the queue with its lock included, and none of
//! its threads: it must know that before it touches either. Asking for the process's id would cost
//! each span a system call; the C library tells it for nothing.

use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

static DEPTH: AtomicU32 = AtomicU32::new(0);

/// How many forks lie between the process that began to count and this one.
#[inline]
pub(super) fn depth() -> u32 {
    #[cfg(test)]
    if let Some(depth) = tests::PRETENDED.get() {
        return depth;
    }
    DEPTH.load(Relaxed)
}

/// Counts from now on. Without memory for it, a child loses its spans as it does elsewhere than on
/// Unix.
#[cfg(unix)]
#[expect(unsafe_code, reason = "no safe function tells of a fork")]
pub(super) fn count() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| {
        // SAFETY: the handler lives as long as the program and only adds to an atomic, which a child
        // of a process with threads may do.
        let _ = unsafe { libc::pthread_atfork(None, None, Some(in_child)) };
    });
}

#[cfg(unix)]
extern "C" fn in_child() {
    DEPTH.fetch_add(1, Relaxed);
}

/// Nothing forks here.
#[cfg(not(unix))]
pub(super) fn count() {}

#[cfg(test)]
pub(super) mod tests {
    use std::cell::Cell;

    thread_local! {
        /// What [`depth`](super::depth) says on this thread, so that a test need not fork.
        pub(in crate::export) static PRETENDED: Cell<Option<u32>> = const { Cell::new(None) };
    }
}
