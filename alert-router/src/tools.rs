//! What commands do beside the server: try a config, send a test, talk to a running server.

pub mod text;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;

use crate::check::{self, Built, Report};
use crate::clock::{Clock, SystemClock};
use crate::config::{Config, Flags, StorePlace};
use crate::plan::{Outlet, Plan};
use crate::receiver::{AccessTokens, BuildError, Delivery, INBOX, Materials};
use crate::render::{Language, Renderer};
use crate::step::groups::read_group;
use crate::store::{
    Doc, Kind, LockError, MemoryStore, OpenError, Scan, SqliteSettings, SqliteStore, Store,
    StoreError,
};
use crate::trial::{self, Tested};
use crate::turn::parts;

/// Groups that are read from the store at once.
const GROUPS: usize = 500;

/// Reads a config, builds its receivers and renders samples with each: everything short of sending.
#[must_use]
pub fn check(file: &Path, flags: &Flags) -> Report {
    let config = Config::load(file, flags);
    let mut report = check::config(file, config.as_ref());
    let Ok(config) = config else { return report };
    let clock = SystemClock;
    match plan(config, clock) {
        Ok(plan) => {
            // By receiver, in the order of the file: two may reach the same destination.
            let receivers = plan.config().receivers.iter();
            let outlets: Vec<Arc<Outlet>> = receivers
                .flat_map(|receiver| plan.outlets_of(&receiver.name))
                .collect();
            let built: Vec<_> = outlets.iter().map(|outlet| Built::of(outlet)).collect();
            let rendered = check::rendering(&built, &check::samples("sample", clock.now()));
            report.text.push_str(&rendered.text);
            report.good &= rendered.good;
        }
        Err(error) => {
            report.text.push_str(&format!("{error}\n"));
            report.good = false;
        }
    }
    report
}

/// Sends a test to every destination of a receiver, the way a real message goes. An inbox is none
/// that a command reaches.
pub async fn send_test(config: Config, receiver: &str) -> Report {
    let clock = SystemClock;
    let names: Vec<String> = config.receivers.iter().map(|r| r.name.clone()).collect();
    let outlets = match plan(config, clock) {
        Ok(plan) => plan.outlets_of(receiver),
        Err(error) => {
            return Report {
                text: format!("{error}\n"),
                good: false,
            };
        }
    };
    if outlets.is_empty() {
        return Report {
            text: no_destination(receiver, &names),
            good: false,
        };
    }
    let is_inbox = |outlet: &Arc<Outlet>| outlet.receiver.destination().channel == INBOX;
    let (inboxes, outlets): (Vec<_>, Vec<_>) = outlets.into_iter().partition(is_inbox);
    let mut tested = trial::send(&outlets, None, clock.now()).await;
    tested.extend(inboxes.iter().map(|inbox| trial::needs_server(inbox)));
    Report {
        good: tested.iter().all(Tested::is_good),
        text: tested
            .iter()
            .map(|one| one.line(Language::English))
            .collect(),
    }
}

/// Why nothing can be sent to a receiver, and which there are.
fn no_destination(receiver: &str, names: &[String]) -> String {
    const SHOWN: usize = 20;
    if names.iter().any(|name| name == receiver) {
        return format!(
            "receiver {receiver:?} has no destination: nobody hears what it is given\n"
        );
    }
    let shown = names.iter().take(SHOWN).map(String::as_str);
    let shown = shown.collect::<Vec<_>>().join(", ");
    let more = match names.len().saturating_sub(SHOWN) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    format!("no receiver {receiver:?} in the config; there are: {shown}{more}\n")
}

/// Where the data of a config is.
pub enum Data {
    /// Nobody else works on it.
    Free(SqliteStore),
    /// A server works on it, and listens there.
    Held {
        /// Host and port.
        address: String,
    },
}

/// Opens the data of a config, or says which server has it.
///
/// # Errors
///
/// Neither can be had: each error says what to do.
pub fn open_data(config: &Config) -> Result<Data, OpenError> {
    let StorePlace::Sqlite(path) = &config.store else {
        let folder = "memory:".into();
        let source = std::io::Error::other("it lives only inside the server: use its page");
        return Err(OpenError::Folder { folder, source });
    };
    let settings = SqliteSettings {
        path: path.clone(),
        max_bytes: None,
    };
    match SqliteStore::open(&settings, Arc::new(SystemClock)) {
        Ok(store) => Ok(Data::Free(store)),
        Err(OpenError::Lock(LockError::Held { folder, holder })) => match holder.address {
            Some(address) => Ok(Data::Held { address }),
            None => Err(OpenError::Lock(LockError::Held { folder, holder })),
        },
        Err(error) => Err(error),
    }
}

/// Deliveries that were claimed and whose end is not written down: what a router that dies now may
/// send once more, and nothing else. One that could not be rendered has no bytes and is left out.
///
/// # Errors
///
/// If the store does not answer, or holds a group that this binary cannot read.
pub async fn in_flight(store: &dyn Store) -> Result<Vec<Delivery>, StoreError> {
    let mut flights = BTreeMap::new();
    let mut after = Bytes::new();
    loop {
        let page = Scan {
            kind: Kind::Group,
            after,
            limit: GROUPS,
        };
        let docs: Vec<Doc> = store.scan(page).await?.docs.into_iter().flatten().collect();
        let Some(last) = docs.last() else { break };
        after = last.key.id.clone();
        for doc in &docs {
            let lanes = read_group(doc)?.lanes.into_values();
            let flying = lanes.filter_map(|lane| lane.flight);
            flights.extend(flying.map(|flight| (flight.id, flight.attempt)));
        }
    }
    let keys = flights.keys().map(|id| parts::parts_key(*id)).collect();
    let docs = store.load(keys).await?.docs;
    let deliveries = flights.into_iter().zip(docs);
    Ok(deliveries
        .filter_map(|((id, attempt), doc)| parts::read(id, attempt, &doc?.bytes))
        .collect())
}

/// The receivers of a config, over a store that keeps nothing.
fn plan(config: Config, clock: SystemClock) -> Result<Plan, BuildError> {
    let clock: Arc<dyn Clock> = Arc::new(clock);
    let materials = Materials {
        renderer: Arc::new(Renderer::built_in()),
        store: Arc::new(MemoryStore::new(Arc::clone(&clock))),
        clock,
        tokens: AccessTokens::default(),
    };
    Plan::new(config, &materials)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn check_renders_for_every_receiver_in_the_order_of_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("alert-router.yaml");
        let room = "wecom_configs: [{bot: {key: k}";
        let text = format!(
            "route: {{receiver: zh}}\nreceivers:\n\
             - {{name: zh, language: zh, {room}}}]}}\n\
             - {{name: en, {room}, format: text}}]}}\n\
             - {{name: page, inbox_configs: [{{}}]}}\n"
        );
        std::fs::write(&file, text).unwrap();
        let report = check(&file, &Flags::default());
        assert!(report.good, "{}", report.text);
        let lines = report.text.lines();
        let rendered: Vec<&str> = lines
            .filter(|line| line.contains("samples rendered"))
            .filter_map(|line| Some(line.split_once(':')?.0))
            .collect();
        assert_eq!(rendered, ["zh", "en", "page"]);
    }
}
