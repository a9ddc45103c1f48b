//! What goes wrong in the world, and time, which passes in between.

use std::time::Duration;

use alert_engine::Timestamp;
use alert_router::clock::Clock;

use crate::people::Held;
use crate::plans::VARIANTS;
use crate::world::World;

const HOUR: Duration = Duration::from_secs(3_600);

impl World<'_> {
    /// Some time passes, mostly until the next router would wake.
    pub(crate) async fn some_time(&mut self) -> Held {
        // While somebody works little time passes, as a rule.
        let busy = self.routers.iter().any(|router| router.can_move(self.now));
        let length = match self.dice.below(100) {
            0..90 if busy => self.dice.between(1, 400),
            0..45 => self.dice.between(50, 8_000),
            45..90 => self.dice.between(1_000, 70_000),
            90..97 => self.dice.between(60_000, 600_000),
            _ => self.dice.between(600_000, 5_000_000),
        };
        let mut until = self.now + Duration::from_millis(length);
        let wakes = self.routers.iter().filter_map(|router| router.wakes_at());
        let wake = wakes.filter(|at| *at > self.now).min();
        if let Some(wake) = wake.filter(|wake| *wake < until)
            && self.dice.per_mille(800)
        {
            until = wake;
        }
        self.pass(until).await
    }

    /// Time passes, for everybody and without a step.
    pub(crate) async fn pass(&mut self, until: Duration) -> Held {
        let length = until.saturating_sub(self.now);
        self.now += length;
        self.common.clock.advance(length);
        tokio::time::advance(length).await;
        // Deliveries and requests may have run out of time.
        for router in &mut self.routers {
            router.poke();
        }
        self.look().await
    }

    /// A router dies, rather in the middle of a step; or one that is dead comes back.
    pub(crate) async fn some_death(&mut self) -> Held {
        let number = self.dice.below(self.routers.len());
        if self.routers[number].is_dead() {
            return self.come_back(number).await;
        }
        if self.routers[number].is_stepping() || self.dice.per_mille(300) {
            self.say(format!("router {number} dies"));
            self.disturb_calls_of(number);
            let unanswered = self.routers[number].die(&mut self.common);
            for post in &unanswered {
                self.facts.answered(post, self.posts);
            }
            self.later.extend(unanswered);
        }
        self.look().await
    }

    pub(crate) async fn come_back(&mut self, number: usize) -> Held {
        self.say(format!("router {number} starts"));
        self.routers[number].start(&mut self.common);
        self.look().await
    }

    pub(crate) fn some_reload(&mut self) {
        let number = self.dice.below(self.routers.len());
        let variant = self.dice.below(VARIANTS);
        self.reload(number, variant);
    }

    pub(crate) fn reload(&mut self, number: usize, variant: usize) {
        self.say(format!("router {number} gets config {variant}"));
        self.facts.disturb();
        self.reloaded = true;
        let plan = self.plans.get(variant);
        self.routers[number].reload(variant, plan);
    }

    /// The clock that all routers and the store share is set, by up to an hour.
    pub(crate) fn step_clock(&mut self) {
        let by = Duration::from_secs(self.dice.between(1, 60) * 60).min(HOUR);
        let now = self.common.clock.now();
        let back = self.dice.per_mille(500);
        let to: Timestamp = if back { now - by } else { now + by };
        self.say(format!("the clock steps {by:?}, back: {back}"));
        self.common.clock.set(to);
        self.clock_stepped_at = Some(self.now);
        self.facts.disturb();
        if back {
            self.facts.over_again(self.now + by);
        }
        self.people.clock_stepped();
        for call in self.calls.values_mut() {
            call.disturbed = true;
        }
    }
}
