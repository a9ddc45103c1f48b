//! What is posted and what of it was acknowledged: from then on it must be heard.

use std::collections::{BTreeMap, VecDeque};
use std::fmt::Write as _;

use crate::ledger::Ledger;
use crate::random::Random;
use crate::world::Place;

/// Alerts that fire at once in one place; before there are more, the oldest ends, if people know of
/// it. One that is over before its message was due would rightly never be told.
const FIRING: usize = 6;
/// Rooms that one round has news for: their limits are counted by the minute.
const ROOMS_PER_ROUND: usize = 2;

/// All alerts of a run.
pub(crate) struct Book {
    random: Random,
    hooks: Vec<Place>,
    rooms: Vec<Place>,
    /// Per place: what was acknowledged as firing and was not said to be over.
    firing: BTreeMap<Place, VecDeque<String>>,
    acknowledged: BTreeMap<String, Promise>,
    /// What may have been taken or not: it is posted again, as Alertmanager does.
    open: Vec<Batch>,
    named: u64,
    rooms_left: usize,
}

/// What a 2xx promises.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Promise {
    pub(crate) place: Place,
    /// Not only that it fires, but that it is over.
    pub(crate) over: bool,
}

/// One request.
pub(crate) struct Batch {
    alerts: Vec<(String, Promise)>,
}

impl Book {
    pub(crate) fn new(random: Random) -> Self {
        Self {
            random,
            hooks: Place::hooks().collect(),
            rooms: Place::rooms().collect(),
            firing: BTreeMap::new(),
            acknowledged: BTreeMap::new(),
            open: Vec::new(),
            named: 0,
            rooms_left: 0,
        }
    }

    /// The next requests may have news for rooms again.
    pub(crate) fn begin_round(&mut self) {
        self.rooms_left = ROOMS_PER_ROUND;
    }

    /// What was not acknowledged, or else news for a few places: alerts that begin, and old ones that
    /// are over.
    pub(crate) fn batch(&mut self, ledger: &Ledger) -> Batch {
        self.open.pop().unwrap_or_else(|| self.all_news(ledger))
    }

    fn all_news(&mut self, ledger: &Ledger) -> Batch {
        let mut alerts = Vec::new();
        while self.rooms_left > 0 {
            self.rooms_left -= 1;
            let place = self.rooms[self.random.place(self.rooms.len())];
            self.news(place, ledger, &mut alerts);
        }
        for _ in 0..=self.random.below(3) {
            let place = self.hooks[self.random.place(self.hooks.len())];
            self.news(place, ledger, &mut alerts);
        }
        Batch { alerts }
    }

    fn news(&mut self, place: Place, ledger: &Ledger, alerts: &mut Vec<(String, Promise)>) {
        let firing = self.firing.entry(place).or_default();
        if firing.len() >= FIRING
            && let Some(oldest) = firing.pop_front_if(|oldest| ledger.knows(place, oldest))
        {
            alerts.push((oldest, Promise { place, over: true }));
        }
        self.named += 1;
        let promise = Promise { place, over: false };
        alerts.push((name(self.named), promise));
    }

    /// Nobody knows whether the router has taken it, and it has promised nothing.
    pub(crate) fn keep(&mut self, batch: Batch) {
        self.open.push(batch);
    }

    /// The router has taken it.
    pub(crate) fn acknowledge(&mut self, batch: Batch) {
        for (name, promise) in batch.alerts {
            if !promise.over {
                let firing = self.firing.entry(promise.place).or_default();
                firing.push_back(name.clone());
            }
            self.acknowledged.insert(name, promise);
        }
    }

    pub(crate) fn promises(&self) -> &BTreeMap<String, Promise> {
        &self.acknowledged
    }
}

impl Batch {
    /// As Alertmanager posts it.
    pub(crate) fn body(&self, now: jiff::Timestamp) -> String {
        let mut body = String::from(r#"{"version":"4","alerts":["#);
        for (number, (name, promise)) in self.alerts.iter().enumerate() {
            let comma = if number > 0 { "," } else { "" };
            let state = if promise.over { "resolved" } else { "firing" };
            let end = if promise.over {
                now.to_string()
            } else {
                "0001-01-01T00:00:00Z".to_owned()
            };
            // Each alert occurs once, so all may have begun at the same time.
            write!(
                body,
                r#"{comma}{{"status":"{state}","labels":{{"alertname":"Crash","to":"{}","id":"{name}"}},"annotations":{{"summary":"{name} is told"}},"startsAt":"2020-01-01T00:00:00Z","endsAt":"{end}"}}"#,
                promise.place,
            )
            .expect("a string takes everything");
        }
        body.push_str("]}");
        body
    }
}

/// Names of one length with an end, so that none is found within another.
fn name(number: u64) -> String {
    format!("x{number:08}x")
}

/// All names of alerts in a message.
pub(crate) fn names_in(message: &[u8]) -> impl Iterator<Item = String> {
    let is_name = |bytes: &&[u8]| {
        let digits = &bytes[1..9];
        bytes[0] == b'x' && bytes[9] == b'x' && digits.iter().all(u8::is_ascii_digit)
    };
    let names = message.windows(10).filter(is_name);
    names.map(|bytes| String::from_utf8_lossy(bytes).into_owned())
}
