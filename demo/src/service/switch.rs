//! What is wrong with a service at the moment.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::time::Duration;

/// Longer than the latency objective of 500 ms.
const SLOW: Duration = Duration::from_millis(800);

/// A way to be broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Every second request fails.
    Errors,
    /// Every request takes 0.8 s longer.
    Latency,
}

/// Shared by the handlers and whoever breaks them.
#[derive(Clone, Debug, Default)]
pub(super) struct Switch(Arc<State>);

#[derive(Debug, Default)]
struct State {
    mode: AtomicU8,
    requests: AtomicU64,
}

/// The request fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Broken;

impl Mode {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Errors => "errors",
            Self::Latency => "latency",
        }
    }

    pub(crate) fn parse(text: &str) -> Option<Self> {
        [Self::Errors, Self::Latency]
            .into_iter()
            .find(|mode| mode.as_str() == text)
    }
}

impl Switch {
    pub(super) fn set(&self, mode: Option<Mode>) {
        let code = match mode {
            None => 0,
            Some(Mode::Errors) => 1,
            Some(Mode::Latency) => 2,
        };
        self.0.mode.store(code, Ordering::Relaxed);
    }

    pub(super) fn get(&self) -> Option<Mode> {
        match self.0.mode.load(Ordering::Relaxed) {
            1 => Some(Mode::Errors),
            2 => Some(Mode::Latency),
            _ => None,
        }
    }

    /// What a request goes through: nothing, a delay or a failure.
    pub(super) async fn suffer(&self) -> Result<(), Broken> {
        match self.get() {
            None => Ok(()),
            Some(Mode::Errors) => match self.0.requests.fetch_add(1, Ordering::Relaxed) % 2 {
                0 => Err(Broken),
                _ => Ok(()),
            },
            Some(Mode::Latency) => {
                tokio::time::sleep(SLOW).await;
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn broken_by_errors_every_second_request_fails_and_healed_none() {
        let switch = Switch::default();
        switch.set(Some(Mode::Errors));
        let mut outcomes = Vec::new();
        for _ in 0..4 {
            outcomes.push(switch.suffer().await.is_ok());
        }
        assert_eq!(outcomes, [false, true, false, true]);
        switch.set(None);
        for _ in 0..4 {
            assert_eq!(switch.suffer().await, Ok(()));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn broken_by_latency_a_request_misses_the_objective() {
        let switch = Switch::default();
        switch.set(Some(Mode::Latency));
        let objective = Duration::from_millis(500);
        assert!(
            tokio::time::timeout(objective, switch.suffer())
                .await
                .is_err()
        );
    }

    #[test]
    fn each_mode_is_read_back_from_its_name() {
        for mode in [Mode::Errors, Mode::Latency] {
            assert_eq!(Mode::parse(mode.as_str()), Some(mode));
        }
        assert_eq!(Mode::parse("other"), None);
    }
}
