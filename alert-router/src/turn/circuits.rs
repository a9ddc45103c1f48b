//! What the circuits of destinations look like from outside: in the metrics, and as our own troubles.
//!
//! A circuit is written with the deliveries that changed it, and what operators hear of it follows in
//! another commit. So what they hear may fall behind (the router died in between) or come in the
//! wrong order (of two routers, one is slow). Both are mended by looking at the circuit again.

use std::collections::BTreeSet;

use alert_engine::{LaneKey, Timestamp};

use crate::metrics::Metrics;
use crate::plan::Plan;
use crate::step::Step;
use crate::store::{Committed, StoreError};
use crate::trouble::{Trouble, known};
use crate::turn::account::Accounts;

impl Step {
    /// Shows for each destination of the config whether it takes something, and tells operators
    /// what they may have missed. Destinations that left the config leave the metrics.
    pub(crate) async fn show_circuits(&mut self, now: Timestamp) -> Result<(), StoreError> {
        let plan = self.plan.borrow().clone();
        let mut accounts = self
            .accounts(plan.outlets().map(|(_, outlet)| outlet))
            .await?;
        if self.reloaded {
            self.reloaded = !self.probe_now(&plan, &mut accounts, now).await?;
        }
        self.metrics.blocked.reset();
        // An earlier run may have died while its store was full, or before it told that it is not.
        let mut troubles = Vec::from_iter(self.room_if_any());
        for (key, outlet) in plan.outlets() {
            let since = accounts.blocked_since(key);
            show_circuit(&self.metrics, &plan, key, since.is_some());
            let destination = outlet.receiver.destination();
            for outlet in plan.sharing(key) {
                self.metrics
                    .begin_receiver(&outlet.name, destination.channel);
            }
            troubles.push(match since {
                Some(since) => Trouble::still_blocked(destination, since),
                None => Trouble::unblocked(destination, now),
            });
        }
        let missed = self.missed(troubles, now).await?;
        self.report(missed.into_iter());
        Ok(())
    }

    /// After a reload, whose author may have mended what blocks a destination: the next probe is due
    /// now. Returns whether that is done: else somebody else changed a circuit meanwhile.
    async fn probe_now(
        &mut self,
        plan: &Plan,
        accounts: &mut Accounts,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let mut probed = BTreeSet::new();
        for (destination, outlet) in plan.outlets() {
            if accounts.probe_now(destination, now) {
                let receiver = &*outlet.name;
                tracing::info!(
                    receiver,
                    "a blocked destination is tried at once after the reload"
                );
                probed.insert(destination);
            }
        }
        if probed.is_empty() {
            return Ok(true);
        }
        let writes = accounts.writes().into_iter();
        let units = writes.map(|shared| shared.write.into()).collect();
        let committed = self.store.commit(units).await?;
        self.walk.hurry(probed);
        let is_done = |one: &Committed| matches!(one, Committed::Done(_));
        Ok(committed.iter().all(is_done))
    }

    /// Of what is so, what operators may not know: a block that no alert tells of, and the end of
    /// one of which there is an alert still.
    async fn missed(
        &self,
        troubles: Vec<Trouble>,
        now: Timestamp,
    ) -> Result<Vec<Trouble>, StoreError> {
        let known = known(&*self.store, &troubles, now).await?;
        let told = troubles.into_iter().zip(known);
        let missed = told.filter(|(trouble, known)| trouble.fires() != *known);
        Ok(missed.map(|(trouble, _)| trouble).collect())
    }

    /// Looks again at the circuits whose block was just stored as an alert: another router may have
    /// learned before of its end, which ended nothing then. An end that comes later finds the alert.
    pub(crate) async fn look_again(&mut self, told: Vec<Trouble>, now: Timestamp) {
        let blocks: Vec<Trouble> = told.into_iter().filter(Trouble::is_block).collect();
        if blocks.is_empty() {
            return;
        }
        let keys = blocks.iter().filter_map(Trouble::destination).collect();
        match self.accounts_of(keys).await {
            Ok(accounts) => {
                let is_over = |block: &&Trouble| {
                    let destination = block.destination();
                    destination.is_some_and(|key| accounts.blocked_since(key).is_none())
                };
                let over = blocks.iter().filter(is_over);
                self.report(over.map(|block| block.over(now)));
            }
            Err(error) => {
                self.count_store_error(&error);
                // Told again they are no news, and then we look again.
                self.tell_later(blocks);
            }
        }
    }
}

/// Shows whether a destination takes nothing, for each receiver of the config that has it: whoever
/// of them asked, the answer is the same for all.
pub(super) fn show_circuit(metrics: &Metrics, plan: &Plan, destination: LaneKey, blocked: bool) {
    for outlet in plan.sharing(destination) {
        let destination = outlet.receiver.destination();
        let labels = [&*outlet.name, destination.channel, &destination.label];
        metrics
            .blocked
            .with_label_values(&labels)
            .set(blocked.into());
    }
}
