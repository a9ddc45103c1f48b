//! What one run of the export holds: which spans wait, which are settled, and what its exporter should do
//! now. Pure: it waits for nothing and wakes nobody.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use opentelemetry_sdk::trace::SpanData;

use crate::export::health::{DropReason, ExportHealth};

/// The Collector refuses requests above 20 MiB by default; a batch stays well below.
const BATCH_BYTES: usize = 4 * 1024 * 1024;

/// What a run may hold, and when a batch is full.
#[derive(Debug, Clone, Copy)]
pub(in crate::export) struct Limits {
    pub(in crate::export) items: usize,
    pub(in crate::export) bytes: usize,
    pub(in crate::export) batch: usize,
}

/// Tells the runs of a process, and of those it was forked from, apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::export) struct RunId(u64);

/// What one run holds.
#[derive(Debug)]
pub(super) struct Backlog {
    pub(super) run: RunId,
    pub(super) limits: Limits,
    pub(super) waiting: VecDeque<SpanData>,
    /// Of each that waits, beside them: a pair would be put together first, half a kilobyte of it.
    pub(super) sizes: VecDeque<usize>,
    pub(super) bytes: usize,
    /// Spans of the batch that is being exported; whoever settles it sets this to zero.
    pub(super) in_flight: u64,
    /// Spans ever taken into the queue, and those of them whose fate is known.
    pub(super) accepted: u64,
    pub(super) done: u64,
    /// Export without delay until this many are done.
    pub(super) flush_to: u64,
    pub(super) phase: Phase,
    /// Calls that still have time for the rest.
    pub(super) waiting_calls: u32,
    /// The time of a shutdown was over: the last of these calls gives the rest up.
    pub(super) overdue: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    Open,
    /// No new spans; what waits is still exported.
    Draining,
    /// No new spans; what waited was given up.
    Abandoned,
    /// The exporter has left.
    Stopped,
}

/// What an exporter should do now.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::export) enum Next {
    /// Nothing waits: sleep until woken.
    Idle,
    /// Some spans wait, fewer than a batch: let more come, for the usual delay.
    Gather,
    /// A batch is full, or someone waits for it.
    Export,
    /// Shut down.
    Stop,
}

impl RunId {
    /// One that no other run has.
    pub(in crate::export) fn new() -> Self {
        static RUNS: AtomicU64 = AtomicU64::new(0);
        Self(RUNS.fetch_add(1, Relaxed))
    }
}

impl Backlog {
    pub(super) fn new(run: RunId, limits: Limits) -> Self {
        Self {
            run,
            limits,
            waiting: VecDeque::with_capacity(limits.items),
            sizes: VecDeque::with_capacity(limits.items),
            bytes: 0,
            in_flight: 0,
            accepted: 0,
            done: 0,
            flush_to: 0,
            phase: Phase::Open,
            waiting_calls: 0,
            overdue: false,
        }
    }

    pub(super) fn over() -> Self {
        let none = Limits {
            items: 0,
            bytes: 0,
            batch: 0,
        };
        Self {
            phase: Phase::Stopped,
            ..Self::new(RunId::new(), none)
        }
    }

    /// Whether a span of a usual size would find no room.
    pub(super) fn is_full(&self) -> bool {
        self.waiting.len() >= self.limits.items || self.bytes >= self.limits.bytes
    }

    pub(super) fn next(&self) -> Next {
        match self.phase {
            Phase::Abandoned | Phase::Stopped => Next::Stop,
            Phase::Draining if self.waiting.is_empty() => Next::Stop,
            Phase::Draining => Next::Export,
            Phase::Open if self.waiting.is_empty() => Next::Idle,
            Phase::Open if self.flush_to > self.done => Next::Export,
            Phase::Open if self.limits.is_batch(self.waiting.len(), self.bytes) => Next::Export,
            Phase::Open => Next::Gather,
        }
    }

    pub(super) fn take_batch(&mut self) -> Vec<SpanData> {
        let mut batch = Vec::with_capacity(self.waiting.len().min(self.limits.batch));
        let mut taken = 0;
        while let Some(bytes) = self.sizes.front().copied()
            && batch.len() < self.limits.batch
            && (batch.is_empty() || taken + bytes <= BATCH_BYTES)
        {
            taken += bytes;
            self.sizes.pop_front();
            batch.extend(self.waiting.pop_front());
        }
        self.bytes -= taken;
        self.in_flight = batch.len() as u64;
        batch
    }

    pub(super) fn close(&mut self) {
        if self.phase == Phase::Open {
            self.phase = Phase::Draining;
        }
    }

    /// Its exporter has left; nobody needs its room any more.
    pub(super) fn stop(&mut self, health: &ExportHealth) {
        self.give_up(health, Phase::Stopped);
        self.waiting = VecDeque::new();
        self.sizes = VecDeque::new();
    }

    /// Counts all that is not settled as lost.
    pub(super) fn give_up(&mut self, health: &ExportHealth, phase: Phase) {
        let lost = std::mem::take(&mut self.in_flight) + self.waiting.len() as u64;
        self.waiting.clear();
        self.sizes.clear();
        self.bytes = 0;
        self.done = self.accepted;
        self.phase = phase;
        health.count_dropped(DropReason::ExportFailed, lost);
    }
}

impl Limits {
    pub(super) fn is_batch(&self, items: usize, bytes: usize) -> bool {
        items >= self.batch || bytes >= BATCH_BYTES.min(self.bytes)
    }
}
