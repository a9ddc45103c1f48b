//! Hears of forks. A child has the memory of its parent, the queue with its lock included, and none of
//! its threads: it must know that before it touches either. Asking for the process's id would cost
//! each span a system call; the C library tells it for nothing. It also has the state of each generator
//! of random numbers, so that it would make the ids of its parent and its siblings again.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use std::time::{SystemTime, UNIX_EPOCH};

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

#[cfg(test)]
pub(crate) mod tests {
    use std::cell::Cell;

    thread_local! {
        /// What [`depth`](super::depth) says on this thread, so that a test need not fork.
        pub(crate) static PRETENDED: Cell<Option<u32>> = const { Cell::new(None) };
    }
}
