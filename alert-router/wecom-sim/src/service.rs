//! The world behind a lock, with its time and a bell for those who wait. Apart because the server,
//! the control interface and the handle all reach the world through here.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::watch;

use crate::clock::Clock;
use crate::config::Config;
use crate::world::{Call, Reply, World};

pub(crate) struct Service {
    clock: Clock,
    state: Mutex<State>,
    changed: watch::Sender<()>,
}

struct State {
    world: World,
    /// How far the simulator's time has been moved on from its clock.
    advanced: Duration,
}

impl Service {
    pub(crate) fn new(config: &Config) -> Self {
        let state = State {
            world: World::new(config),
            advanced: Duration::ZERO,
        };
        let changed = watch::Sender::new(());
        Self {
            clock: config.clock.clone(),
            state: Mutex::new(state),
            changed,
        }
    }

    pub(crate) fn call(&self, call: &Call) -> Reply {
        self.change(|world, now| world.call(now, call))
    }

    /// Changes the world, and wakes those who wait for something to happen.
    pub(crate) fn change<T>(&self, change: impl FnOnce(&mut World, Timestamp) -> T) -> T {
        let mut state = self.lock();
        let now = self.clock.now() + state.advanced;
        let result = change(&mut state.world, now);
        drop(state);
        self.changed.send_replace(());
        result
    }

    pub(crate) fn read<T>(&self, read: impl FnOnce(&World, Timestamp) -> T) -> T {
        let state = self.lock();
        let now = self.clock.now() + state.advanced;
        read(&state.world, now)
    }

    /// Moves time on, at most to the end of the calendar.
    pub(crate) fn advance(&self, by: Duration) {
        let mut state = self.lock();
        let advanced = state.advanced.saturating_add(by);
        if self.clock.now().checked_add(advanced).is_ok() {
            state.advanced = advanced;
        }
        drop(state);
        self.changed.send_replace(());
    }

    pub(crate) fn bell(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    /// A panic in a test's closure must not take the simulator away from other tests' eyes.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
