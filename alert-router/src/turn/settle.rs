//! How deliveries ended: told to their lanes, written down, counted, and where people must act,
//! reported.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use alert_engine::{Became, GroupId, Incarnation, LineKind, Record as EngineRecord, Timestamp};

use super::account::Accounts;
use super::circuits::show_circuit;
use super::deliver::{Settled, outcome};
use super::{compose, parts};
use crate::dead_letter::{self, GivenUp, RawAlerts};
use crate::history::{Alerts, Carried, Event, Recipients};
use crate::metrics::Heard;
use crate::receiver::{Failure, Progress};
use crate::step::groups::{Changes, Held, Shared};
use crate::step::world::{World, alerts_of};
use crate::step::{Step, bodies, words};
use crate::store::{Doc, DocKey, Store, StoreError, Write};
use crate::trouble::Trouble;

/// Other replicas may win a group from under us so often.
const ROUNDS: usize = 5;

/// A settled delivery with what was stored of it.
struct Ending<'a> {
    settled: &'a Settled,
    /// It lapsed, and was sent again before its end was reported: that end is not the later one's.
    superseded: bool,
    stored: Option<Doc>,
    /// Who got it, if it was confirmed.
    recipients: Recipients,
    lanes: Vec<Told>,
    /// What its dead letter keeps of the alerts, if it was given up.
    raw: RawAlerts,
    waits: Vec<Heard>,
    /// A lane that had given up was heard again.
    recovered: bool,
}

/// A lane that was told how a delivery ended.
struct Told {
    group: GroupId,
    record: EngineRecord,
    /// Those that the delivery spoke of.
    alerts: Alerts,
}

impl Step {
    /// Tells lanes how their deliveries ended. What could not be written is tried again with the
    /// next step: until then the lanes count as in flight.
    pub(crate) async fn settle(&mut self, mut ended: Vec<Settled>) -> Result<(), StoreError> {
        for _ in 0..ROUNDS {
            if ended.is_empty() {
                return Ok(());
            }
            match self.settle_once(&ended).await {
                Ok(conflicts) => ended.retain(|settled| settled.lanes.meet(&conflicts)),
                Err(error) => {
                    self.unsettled.append(&mut ended);
                    return Err(error);
                }
            }
        }
        self.unsettled.append(&mut ended);
        Ok(())
    }

    async fn settle_once(&mut self, ended: &[Settled]) -> Result<BTreeSet<GroupId>, StoreError> {
        let ids: BTreeSet<GroupId> = ended
            .iter()
            .flat_map(|settled| settled.lanes.groups())
            .collect();
        let keys: Vec<DocKey> = ended
            .iter()
            .map(|settled| parts::parts_key(settled.id))
            .collect();
        let stored = self.store.load(keys).await?.docs;
        let mut accounts = self
            .accounts(ended.iter().map(|settled| &*settled.outlet))
            .await?;
        let taken = self.groups.take(&ids).await?;
        let (now, mut groups) = (taken.now, taken.groups);
        let plan = self.plan.borrow().clone();
        let world = World {
            plan: &plan,
            sources: self.sources.known(),
            owners: &self.owners,
            now,
        };
        let mut changes = Changes::at(now);
        let (mut endings, mut circuits) = (Vec::new(), Vec::new());
        for (settled, stored) in ended.iter().zip(stored) {
            let mut ending = Ending::of(settled, stored, self.sends.get(&settled.id));
            ending.tell_lanes(self.incarnation, &world, &mut groups);
            if ending.given_up() {
                ending.raw = ending.raw_alerts(&*self.store, &groups).await?;
            }
            changes.shared.extend(ending.writes(&world));
            // What nobody can be told of any more is not written either.
            let known = settled.lanes.groups().any(|id| groups.contains_key(&id));
            let trouble = known.then(|| circuit(&mut accounts, settled, now));
            let trouble = trouble.flatten();
            let destination = settled.destination();
            let blocked = accounts.blocked_since(destination).is_some();
            circuits.push((destination, blocked));
            endings.push((ending, trouble));
        }
        changes.shared.extend(accounts.writes());
        let happened = events_of(endings.iter().map(|(ending, _)| ending));
        touch(&world, groups, happened, &mut changes);
        let conflicts = match self.groups.commit(changes, &plan).await {
            Ok(conflicts) => conflicts,
            Err(error) => {
                // If it happened all the same, the next try finds nothing that is news. Told twice,
                // a trouble is still one alert.
                let troubles = endings
                    .into_iter()
                    .flat_map(|(ending, trouble)| trouble.into_iter().chain(ending.troubles()));
                self.report(troubles);
                return Err(error);
            }
        };
        for (destination, blocked) in circuits {
            show_circuit(&self.metrics, &plan, destination, blocked);
        }
        let mut mended = BTreeSet::new();
        for (ending, trouble) in endings {
            if !ending.settled.lanes.meet(&conflicts) {
                let ends = trouble.as_ref().is_some_and(|trouble| !trouble.fires());
                mended.extend(ends.then(|| ending.settled.destination()));
                self.written(&ending, trouble, now);
            }
        }
        // What waited for the probe waits for its answer, not for its deadline.
        self.walk.hurry(mended);
        Ok(conflicts)
    }

    /// The end of a delivery is stored.
    fn written(&mut self, ending: &Ending<'_>, trouble: Option<Trouble>, now: Timestamp) {
        if !ending.superseded {
            self.sends.remove(&ending.settled.id);
        }
        ending.count(&self.metrics, now);
        ending.log();
        self.report(trouble.into_iter().chain(ending.troubles()));
    }
}

/// Puts groups among what is written, each with what happened to it.
fn touch(
    world: &World<'_>,
    groups: BTreeMap<GroupId, Held>,
    mut happened: BTreeMap<GroupId, Vec<Event>>,
    changes: &mut Changes,
) {
    for (id, held) in groups {
        let mut touched = world.touch(held);
        touched
            .events
            .extend(happened.remove(&id).into_iter().flatten());
        changes.groups.insert(id, touched);
    }
}

/// What the end of a delivery means for its destination's circuit, and whether that is to be told.
fn circuit(accounts: &mut Accounts, settled: &Settled, now: Timestamp) -> Option<Trouble> {
    let groups: Vec<GroupId> = settled.lanes.groups().collect();
    let destination = settled.destination();
    match settled.result.as_ref().map_err(|error| error.failure) {
        Err(Failure::Blocked { probe_after }) => accounts
            .blocked(destination, probe_after, now, &groups)
            .then(|| Trouble::blocked(settled, now)),
        Ok(_) | Err(Failure::Failed { .. } | Failure::Refused | Failure::Deferred { .. }) => {
            accounts.answered(destination, &groups).map(|since| {
                Trouble::unblocked(settled.outlet.receiver.destination(), now.max(since))
            })
        }
    }
}

impl<'a> Ending<'a> {
    /// Nobody was told of it yet. `latest`: the number of the latest send of this delivery.
    fn of(settled: &'a Settled, stored: Option<Doc>, latest: Option<&u64>) -> Self {
        Self {
            settled,
            superseded: latest.is_some_and(|latest| *latest != settled.number),
            recipients: recipients(settled, stored.as_ref()),
            stored,
            lanes: Vec::new(),
            raw: RawAlerts::default(),
            waits: Vec::new(),
            recovered: false,
        }
    }
}

impl Ending<'_> {
    fn tell_lanes(
        &mut self,
        owner: Incarnation,
        world: &World<'_>,
        groups: &mut BTreeMap<GroupId, Held>,
    ) {
        for (id, lane) in self.settled.lanes.iter() {
            let Some(held) = groups.get_mut(id) else {
                continue;
            };
            let state = held.group.state();
            let flight = state.lanes.get(lane).and_then(|lane| lane.flight.as_ref());
            let waits: Vec<Heard> = flight
                .filter(|flight| flight.id == self.settled.id)
                .map(|flight| waits(&held.group, &flight.content, world.now))
                .unwrap_or_default();
            let alerts = flight.map(|flight| alerts_of(&flight.content, state));
            let had_given_up = state.lanes.get(lane).is_some_and(|l| l.parked.is_some());
            let ctx = world.context(state.route);
            let anothers = self.superseded || flight.is_some_and(|flight| flight.owner != owner);
            let record = match anothers {
                true => self.late(world.now),
                false => {
                    let outcome = outcome(&self.settled.result);
                    held.group.settle(self.settled.id, outcome, &ctx)
                }
            };
            match record.became {
                Became::Heard | Became::PartlyHeard => {
                    self.waits.extend(waits);
                    self.recovered |= had_given_up;
                }
                Became::Retried { .. }
                | Became::GivenUp { .. }
                | Became::HeldBack { .. }
                | Became::Blocked
                | Became::Late => {}
            }
            self.lanes.push(Told {
                group: *id,
                record,
                alerts: alerts.unwrap_or_default(),
            });
        }
    }

    /// Whoever sent it again, or took the lane over, will say how that ended.
    fn late(&self, now: Timestamp) -> EngineRecord {
        EngineRecord {
            at: now,
            lane: None,
            id: self.settled.id,
            attempt: 0,
            content: None,
            became: Became::Late,
        }
    }

    /// What becomes of the stored parts, and the dead letter if it was given up.
    fn writes(&self, world: &World<'_>) -> Vec<Shared> {
        let groups: Vec<GroupId> = self.settled.lanes.groups().collect();
        let shared = |write| Shared {
            groups: groups.clone(),
            write,
        };
        let over = self.lanes.iter().all(|lane| match lane.record.became {
            Became::Heard | Became::PartlyHeard | Became::GivenUp { .. } => true,
            Became::Retried { .. } | Became::HeldBack { .. } | Became::Blocked => false,
            // Its lane may have taken it for lost, and is about to send the same bytes.
            Became::Late => false,
        });
        let mut writes = Vec::new();
        if let Some(doc) = &self.stored {
            let (key, expected) = (doc.key.clone(), doc.revision);
            if over {
                writes.push(shared(Write::Delete { key, expected }));
            } else if let Some(bytes) = self.advanced(doc) {
                writes.push(shared(Write::Put {
                    key,
                    expected,
                    wake_at: doc.wake_at,
                    bytes,
                }));
            }
        }
        if self.given_up() {
            let stored = self.stored.as_ref();
            let given_up = GivenUp::of(self.settled);
            let letter = dead_letter::letter(&given_up, stored, self.raw.clone(), world.now);
            writes.push(shared(letter.write(given_up.id, None)));
        }
        writes
    }

    /// The stored parts with the progress of this attempt, if it made any.
    fn advanced(&self, doc: &Doc) -> Option<bytes::Bytes> {
        let progress: &Progress = &self.settled.result.as_ref().err()?.progress;
        let mut delivery = parts::read(self.settled.id, 0, &doc.bytes)?;
        let before = delivery.progress.len();
        delivery.progress.extend(progress.iter().cloned());
        (delivery.progress.len() > before).then(|| parts::write(&delivery))
    }

    fn given_up(&self) -> bool {
        self.lanes
            .iter()
            .any(|lane| matches!(lane.record.became, Became::GivenUp { .. }))
    }

    /// The alerts that it spoke of, as they are known now: a group keeps what it was to tell.
    async fn raw_alerts(
        &self,
        store: &dyn Store,
        groups: &BTreeMap<GroupId, Held>,
    ) -> Result<RawAlerts, StoreError> {
        let told = self.lanes.iter().filter_map(|lane| {
            let group = groups.get(&lane.group)?.group.state();
            Some((lane.record.content.as_ref()?, group))
        });
        let hashes = told.clone();
        let hashes = hashes.flat_map(|(content, group)| compose::bodies_of(content, group));
        let texts = bodies::load(store, hashes.collect()).await?;
        let mut raw = RawAlerts::default();
        for (content, group) in told {
            let (alerts, counted) = compose::alerts(content, group, &texts);
            raw.add(&alerts, &counted);
        }
        Ok(raw)
    }

    fn carried(&self, alerts: Alerts) -> Carried {
        let outlet = &self.settled.outlet;
        let destination = outlet.receiver.destination();
        let (answer, refused) = match &self.settled.result {
            Ok(receipt) => (receipt.answer.clone(), receipt.refused.len()),
            Err(error) => (error.answer.clone(), 0),
        };
        Carried {
            receiver: outlet.name.to_string(),
            channel: destination.channel.to_owned(),
            destination: destination.label.clone(),
            answer,
            refused: u32::try_from(refused).unwrap_or(u32::MAX),
            recipients: self.recipients.clone(),
            alerts,
        }
    }

    fn troubles(&self) -> Vec<Trouble> {
        let mut troubles = Vec::new();
        if self.given_up() {
            troubles.push(Trouble::given_up(&GivenUp::of(self.settled)));
        } else if self.recovered {
            troubles.push(Trouble::heard_again(self.settled));
        }
        if self
            .settled
            .result
            .as_ref()
            .is_ok_and(|receipt| !receipt.refused.is_empty())
        {
            troubles.push(Trouble::refused_recipients(self.settled));
        }
        troubles
    }

    /// Says what people did not hear, and why. Not what waits for its turn.
    fn log(&self) {
        let Err(error) = &self.settled.result else {
            return;
        };
        if matches!(error.failure, Failure::Deferred { .. }) {
            return;
        }
        let destination = self.settled.outlet.receiver.destination();
        tracing::warn!(
            receiver = &*self.settled.outlet.name,
            channel = destination.channel,
            destination = destination.label,
            delivery = %self.settled.id,
            reason = error.reason,
            answer = error.answer,
            fix = error.fix.as_ref().map(ToString::to_string),
            "{}",
            match (self.given_up(), error.failure) {
                (true, _) => "a delivery was given up; see `alert-router dead-letters list`",
                (false, Failure::Blocked { .. }) =>
                    "a destination takes nothing until somebody changes something",
                (false, _) => "a delivery failed and is tried again",
            }
        );
    }

    fn count(&self, metrics: &crate::metrics::Metrics, now: Timestamp) {
        let outlet = &self.settled.outlet;
        let (receiver, channel) = (&*outlet.name, outlet.receiver.destination().channel);
        for Told { record, .. } in &self.lanes {
            let reason = record
                .content
                .as_ref()
                .map_or("unknown", |c| words::verdict(c.verdict));
            let labels = [receiver, channel, reason, words::became(record.became)];
            metrics.notifications.with_label_values(&labels).inc();
        }
        if let Err(error) = &self.settled.result {
            metrics.delivery_failed(receiver, channel, error.reason);
        }
        if self.given_up() {
            metrics.dead_letters.with_label_values(&[receiver]).inc();
        }
        if let Ok(receipt) = &self.settled.result {
            let refused = u64::try_from(receipt.refused.len()).unwrap_or(u64::MAX);
            metrics
                .recipients_refused
                .with_label_values(&[receiver])
                .inc_by(refused);
        }
        let Settled { id, took, span, .. } = self.settled;
        let delivery = id.to_string();
        metrics.attempted(channel, *took, &delivery, *span, now);
        metrics.heard(receiver, &self.waits, &delivery, *span);
    }
}

fn recipients(settled: &Settled, stored: Option<&Doc>) -> Recipients {
    let Ok(receipt) = &settled.result else {
        return Recipients::default();
    };
    let delivery = stored.and_then(|doc| parts::read(settled.id, 0, &doc.bytes));
    Recipients::of(delivery.as_ref(), receipt)
}

fn waits(
    group: &alert_engine::Group,
    content: &alert_engine::Content,
    now: Timestamp,
) -> Vec<Heard> {
    let state = group.state();
    let news = content.lines.iter().filter(|line| match line.kind {
        LineKind::New | LineKind::Reopened | LineKind::Missed => true,
        LineKind::Over | LineKind::Firing => false,
    });
    let heard = |line: &alert_engine::Line| {
        let episode = state.episodes.get(&line.episode)?;
        let alert = state.alerts.get(&episode.alert);
        Some(Heard {
            at: now,
            from_start: now
                .since(believed(episode.start, episode.since))
                .as_secs_f64(),
            from_intake: now.since(episode.since).as_secs_f64(),
            priority: alert.is_some_and(|alert| alert.priority),
        })
    };
    news.filter_map(heard).collect()
}

/// When an alert began that came in at `since`. A start of long before (Go's zero time and its like)
/// is nobody's wait, and one such would spoil the sum of all.
fn believed(start: Timestamp, since: Timestamp) -> Timestamp {
    const LONGEST: Duration = Duration::from_secs(366 * 24 * 60 * 60);
    if since.since(start) > LONGEST {
        since
    } else {
        start
    }
}

fn events_of<'a>(endings: impl Iterator<Item = &'a Ending<'a>>) -> BTreeMap<GroupId, Vec<Event>> {
    let mut events: BTreeMap<GroupId, Vec<Event>> = BTreeMap::new();
    for ending in endings {
        for lane in &ending.lanes {
            let event = Event::settled(&lane.record, ending.carried(lane.alerts.clone()));
            events.entry(lane.group).or_default().push(event);
        }
    }
    events
}
