//! How many deliveries of this process may be under way at once, wherever they go: each holds
//! descriptors, and with none left nothing gets out, and no webhook in.

/// A process has 1,024 descriptors unless somebody raised that. Half of them are for those who come
/// in (`web/serve.rs`). A delivery holds one, and three for a moment: it asks for an address, then
/// tries IPv4 and IPv6. The last eighth is for the store, the log, and mail's kept connections.
const MOST: usize = 128;

/// Room for deliveries.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Places {
    free: usize,
    /// Only for prioritised ones: others may wait for a slow answer in all that they may take.
    reserved: usize,
}

impl Default for Places {
    fn default() -> Self {
        Self::of(MOST)
    }
}

impl Places {
    /// So many, all free. An eighth is reserved, as in a budget.
    pub(crate) fn of(most: usize) -> Self {
        Self {
            free: most,
            reserved: most / 8,
        }
    }

    /// What is left while so many are taken.
    pub(super) fn without(self, taken: usize) -> Self {
        Self {
            free: self.free.saturating_sub(taken),
            ..self
        }
    }

    /// Whether there is one.
    pub(super) fn has(self, priority: bool) -> bool {
        self.free > if priority { 0 } else { self.reserved }
    }
}
