//! Slots for what a person has sent beside the turns: they come from the budget of the destination,
//! like those of everything that goes there.

use std::collections::BTreeSet;
use std::time::Duration;

use alert_engine::LaneKey;

use super::account::{Accounts, account_key, keys_of};
use crate::receiver::Receiver;
use crate::store::{Committed, Store, StoreError, Unit};

/// Deliveries to the same destination may win its budget from under us so often.
const ROUNDS: usize = 5;
/// When another try makes sense then.
const SOON: Duration = Duration::from_secs(1);

/// Why nothing may leave now.
#[derive(Debug)]
pub(crate) enum NoSlot {
    /// The budget is used up for so long.
    For(Duration),
    /// Nobody knows.
    Store(StoreError),
}

impl From<StoreError> for NoSlot {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// Takes so many messages from the budget, as stored.
pub(crate) async fn take(
    store: &dyn Store,
    receiver: &dyn Receiver,
    messages: u32,
) -> Result<(), NoSlot> {
    let keys: BTreeSet<LaneKey> = keys_of(receiver).collect();
    for _ in 0..ROUNDS {
        let docs = keys.iter().map(|key| account_key(*key)).collect();
        let loaded = store.load(docs).await?;
        let mut accounts = Accounts::read(keys.iter().copied(), loaded.docs);
        let (slots, more) = accounts.slots(receiver, 1, loaded.now);
        if slots.all < messages {
            return Err(NoSlot::For(more.all.since(loaded.now)));
        }
        accounts.take(receiver, messages, loaded.now, &[]);
        let writes = accounts.writes().into_iter();
        let unit = Unit {
            writes: writes.map(|shared| shared.write).collect(),
            history: Vec::new(),
        };
        if unit.writes.is_empty() {
            // Nothing limits it.
            return Ok(());
        }
        let committed = store.commit(vec![unit]).await?;
        if matches!(committed[..], [Committed::Done(_)]) {
            return Ok(());
        }
    }
    Err(NoSlot::For(SOON))
}
