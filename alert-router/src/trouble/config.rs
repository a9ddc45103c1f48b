//! Tells of what only a change of the config raises or ends: a reload that was refused, and
//! destinations that are no more, or are there again. Tells the state, not each event, so nothing
//! is lost while the store does not answer.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use alert_engine::{LaneKey, SourceName};
use tokio::sync::watch;

use super::{Trouble, known};
use crate::clock::Clock;
use crate::plan::Plan;
use crate::receiver::Destination;
use crate::step::{Busy, StepHandle};
use crate::store::Store;

/// How long to wait when a trouble was not taken.
const PAUSE: Duration = Duration::from_secs(1);

/// What is known of the config, and who is told of it.
pub(crate) struct ConfigTroubles {
    refused: watch::Receiver<Option<String>>,
    plan: watch::Receiver<Arc<Plan>>,
    step: StepHandle,
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    /// The destinations whose troubles may be open.
    destinations: BTreeMap<LaneKey, Destination>,
}

impl ConfigTroubles {
    /// Tells `step` of what `refused` and `plan` show. Starts nothing.
    pub(crate) fn new(
        refused: watch::Receiver<Option<String>>,
        plan: watch::Receiver<Arc<Plan>>,
        step: StepHandle,
        store: Arc<dyn Store>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let destinations = destinations(&plan.borrow());
        Self {
            refused,
            plan,
            step,
            store,
            clock,
            destinations,
        }
    }

    /// Works until the server stops.
    pub(crate) async fn tell(mut self) {
        loop {
            let now = destinations(&self.plan.borrow_and_update());
            let gone = self.destinations.iter();
            let gone = gone.filter(|(key, _)| !now.contains_key(key));
            let mut troubles: Vec<Trouble> =
                gone.flat_map(|(_, gone)| Trouble::left(gone)).collect();
            // Of all, because one may have come back while no process ran.
            troubles.extend(now.values().map(Trouble::returned));
            troubles.push(match &*self.refused.borrow_and_update() {
                Some(why) => Trouble::config_refused(why),
                None => Trouble::config_taken(),
            });
            match self.take(&troubles).await {
                Ok(()) => self.destinations = now,
                Err(Busy::Stopping) => return,
                Err(Busy::Queue | Busy::Slow | Busy::Contended | Busy::Store(_)) => {
                    tokio::time::sleep(PAUSE).await;
                    continue;
                }
            }
            let changed = tokio::select! {
                changed = self.refused.changed() => changed,
                changed = self.plan.changed() => changed,
            };
            if changed.is_err() {
                return;
            }
        }
    }

    /// Tells what is so, and the end of what there is an alert of.
    async fn take(&self, troubles: &[Trouble]) -> Result<(), Busy> {
        let now = self.clock.now();
        let language = self.plan.borrow().operators_language();
        let known = known(&*self.store, troubles, now).await?;
        for (trouble, known) in troubles.iter().zip(known) {
            if trouble.fires() || known {
                let batch = trouble.batch(now, language);
                self.step.observe(SourceName::ours(), batch).await?;
            }
        }
        Ok(())
    }
}

fn destinations(plan: &Plan) -> BTreeMap<LaneKey, Destination> {
    let outlets = plan.outlets();
    outlets
        .map(|(key, outlet)| (key, outlet.receiver.destination().clone()))
        .collect()
}
