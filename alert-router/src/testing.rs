//! Doors for tests that drive the server by hand: one step at a time, with providers of their own,
//! and with time that only they move. Nothing here is part of what users rely on.

mod described;

pub use described::Description;

use std::sync::Arc;

use alert_engine::{GroupState, Timestamp};

use crate::config::Config;
use crate::plan::Plan;
use crate::receiver::{BuildError, Materials, Receiver};
use crate::step::Step;
use crate::store::{Doc, DocKey, Kind, codec};
use crate::turn::account;

/// One step over what waits now, as the loop of a server does it when it is poked or its `wake`
/// has come. Returns when to look again; `None`: when something comes.
pub async fn tick(step: &mut Step, now: Timestamp, wake: Option<Timestamp>) -> Option<Timestamp> {
    step.tick(now, wake).await
}

/// Waits until no delivery is under way. The next [`tick`] writes down how they ended.
pub async fn land(step: &mut Step) {
    step.land().await;
}

/// A plan whose receivers are replaced by what `wire` makes of them.
///
/// # Errors
/// As [`Plan::new`].
pub fn plan(
    config: Config,
    materials: &Materials,
    wire: &dyn Fn(Arc<dyn Receiver>) -> Arc<dyn Receiver>,
) -> Result<Plan, BuildError> {
    Plan::wired(config, materials, wire)
}

/// The group in a stored document; `None` if it is about something else, or unreadable.
#[must_use]
pub fn group(doc: &Doc) -> Option<GroupState> {
    (doc.key.kind == Kind::Group)
        .then(|| Some(codec::decode(&doc.bytes).ok()?.0))
        .flatten()
}

/// The destinations of a plan, as people see them, each with where its account is stored.
pub fn accounts(plan: &Plan) -> impl Iterator<Item = (&str, DocKey)> {
    let outlets = plan.outlets();
    outlets.map(|(key, outlet)| {
        let label = &outlet.receiver.destination().label;
        (&**label, account::account_key(key))
    })
}

/// Whether an account says that its destination takes nothing.
#[must_use]
pub fn is_blocked(account: &Doc) -> bool {
    account::is_blocked(account)
}
