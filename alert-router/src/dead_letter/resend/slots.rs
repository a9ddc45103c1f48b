//! The slots of a letter that is sent again.

use std::collections::BTreeSet;
use std::time::Duration;

use alert_engine::{GroupId, LaneKey};

use super::{ResendError, Resender};
use crate::receiver::Receiver;
use crate::store::{Committed, Unit};
use crate::turn::account::{Accounts, account_key, keys_of};
use crate::turn::lanes::Lanes;

/// Deliveries to the same destination may win its budget from under us so often.
const ROUNDS: usize = 5;
/// When another try makes sense then.
const SOON: Duration = Duration::from_secs(1);

impl Resender {
    /// Takes so many messages from the budget, as stored.
    pub(super) async fn take_slots(
        &self,
        receiver: &dyn Receiver,
        messages: u32,
        lanes: &Lanes,
    ) -> Result<(), ResendError> {
        let keys: BTreeSet<LaneKey> = keys_of(receiver).collect();
        let groups: Vec<GroupId> = lanes.groups().collect();
        for _ in 0..ROUNDS {
            let docs = keys.iter().map(|key| account_key(*key)).collect();
            let loaded = self.store.load(docs).await?;
            let mut accounts = Accounts::read(keys.iter().copied(), loaded.docs);
            let (slots, more) = accounts.slots(receiver, 1, loaded.now);
            if slots.all < messages {
                return Err(ResendError::NoSlot(more.all.since(loaded.now)));
            }
            accounts.take(receiver, messages, loaded.now, &groups);
            let writes = accounts.writes().into_iter();
            let unit = Unit {
                writes: writes.map(|shared| shared.write).collect(),
                history: Vec::new(),
            };
            if unit.writes.is_empty() {
                // Nothing limits it.
                return Ok(());
            }
            let committed = self.store.commit(vec![unit]).await?;
            if matches!(committed[..], [Committed::Done(_)]) {
                return Ok(());
            }
        }
        Err(ResendError::NoSlot(SOON))
    }
}
