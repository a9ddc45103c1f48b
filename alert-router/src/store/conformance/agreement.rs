//! Whatever is done to them, the store on disk answers as the one in memory does.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;

use super::world::{START, Subject, World, at, delete, expect, group, keep, put_waking, record};
use crate::clock::ManualClock;
use crate::store::memory::tests::Memory;
use crate::store::sqlite::tests::OnDisk;
use crate::store::{
    Committed, HistoryQuery, Keep, Kind, Loaded, Revision, Scan, Store, Unit, Write,
};

const NAMES: [&str; 4] = ["a", "b", "c", "d"];

#[derive(Clone, Debug)]
enum Step {
    Commit(Vec<Vec<(usize, Change)>>),
    Advance(u64),
    Due(usize),
    Load,
    Scan(usize, usize),
    History(Option<usize>, usize),
    Sweep(u64, usize),
    Depth,
    Crash,
}

/// A change of one document, and whether it knows the present revision.
#[derive(Clone, Debug)]
enum Change {
    Put(Known, Option<u64>, u8),
    Keep(Option<u64>, u8),
    Delete(Known),
    Expect(Known),
}

#[derive(Clone, Copy, Debug)]
enum Known {
    Present,
    Previous,
    Nothing,
}

/// One of the two stores, with the revisions that it answered: they differ between stores.
struct Side<S> {
    world: World<S>,
    present: BTreeMap<usize, Revision>,
    previous: BTreeMap<usize, Revision>,
}

impl<S: Subject> Side<S> {
    fn new(clock: &Arc<ManualClock>) -> Self {
        let subject = S::create(Arc::clone(clock));
        Self {
            world: World::around(subject, Arc::clone(clock)),
            present: BTreeMap::new(),
            previous: BTreeMap::new(),
        }
    }

    fn revision(&self, name: usize, known: Known) -> Revision {
        let of = |revisions: &BTreeMap<usize, Revision>| {
            revisions.get(&name).copied().unwrap_or(Revision::NONE)
        };
        match known {
            Known::Present => of(&self.present),
            Known::Previous => of(&self.previous),
            Known::Nothing => Revision::NONE,
        }
    }

    fn write(&self, name: usize, change: &Change) -> Write {
        let id = NAMES[name];
        match change {
            Change::Put(known, wake, content) => put_waking(
                id,
                self.revision(name, *known),
                &content.to_string(),
                wake.map(at),
            ),
            Change::Keep(wake, content) => keep(id, &content.to_string(), wake.map(at)),
            Change::Delete(known) => delete(id, self.revision(name, *known)),
            Change::Expect(known) => expect(id, self.revision(name, *known)),
        }
    }

    /// Commits one unit after the other in one call, as text without the revisions.
    async fn commit(&mut self, units: &[Vec<(usize, Change)>], now: u64) -> String {
        let made = units.iter().map(|changes| Unit {
            writes: changes.iter().map(|(n, c)| self.write(*n, c)).collect(),
            history: changes
                .iter()
                .map(|(name, change)| record(NAMES[*name], at(now), &format!("{change:?}")))
                .collect(),
        });
        let outcomes = self.world.commit(made.collect()).await;
        let mut said = String::new();
        for (changes, outcome) in units.iter().zip(outcomes) {
            match outcome {
                Committed::Conflict(keys) => said += &format!("{keys:?}; "),
                Committed::Done(revisions) => {
                    for ((name, _), revision) in changes.iter().zip(revisions) {
                        let before = self.present.insert(*name, revision).unwrap_or_default();
                        let moved = before != revision;
                        assert!(revision == Revision::NONE || revision >= before);
                        if moved {
                            self.previous.insert(*name, before);
                        }
                        said += &format!("{name} moved {moved}; ");
                    }
                }
            }
        }
        said
    }

    async fn answer(&mut self, step: &Step, now: u64) -> String {
        let store: &dyn Store = &*self.world.store;
        match step {
            Step::Commit(units) => self.commit(units, now).await,
            Step::Advance(_) | Step::Crash => String::new(),
            Step::Due(limit) => {
                let due = store.due(*limit).await.unwrap();
                format!("{} next {:?}", docs(due.docs.iter().map(Some)), due.next)
            }
            Step::Load => said(&store.load(NAMES.map(group).to_vec()).await.unwrap()),
            Step::Scan(after, limit) => {
                let scan = Scan {
                    kind: Kind::Group,
                    after: group(NAMES[*after]).id,
                    limit: *limit,
                };
                said(&store.scan(scan).await.unwrap())
            }
            Step::History(about, limit) => {
                let query = HistoryQuery {
                    about: about.map(|name| group(NAMES[name])),
                    before: None,
                    limit: *limit,
                };
                let page = store.history(query).await.unwrap();
                format!("{:?} more {}", page.records, page.next.is_some())
            }
            Step::Sweep(seconds, limit) => {
                let keep = Keep {
                    history_from: at(*seconds),
                    limit: *limit,
                };
                store.sweep(keep).await.unwrap().to_string()
            }
            Step::Depth => {
                let depth = store.depth().await.unwrap();
                format!("{:?} due {}", depth.docs, depth.due)
            }
        }
    }
}

impl Side<OnDisk> {
    fn crash(&mut self) {
        let survivor = self.world.subject.crash();
        self.world = World::around(survivor, Arc::clone(&self.world.clock));
    }
}

fn said(loaded: &Loaded) -> String {
    docs(loaded.docs.iter().map(Option::as_ref))
}

fn docs<'a>(docs: impl Iterator<Item = Option<&'a crate::store::Doc>>) -> String {
    docs.map(|doc| match doc {
        Some(doc) => format!("{:?} {:?} {:?}; ", doc.key, doc.wake_at, doc.bytes),
        None => "-; ".to_owned(),
    })
    .collect()
}

fn known() -> impl Strategy<Value = Known> {
    prop_oneof![
        4 => Just(Known::Present),
        1 => Just(Known::Previous),
        1 => Just(Known::Nothing),
    ]
}

fn change() -> impl Strategy<Value = Change> {
    let wake = || proptest::option::of(0..60_u64);
    prop_oneof![
        4 => (known(), wake(), any::<u8>()).prop_map(|(k, w, c)| Change::Put(k, w, c)),
        1 => (wake(), any::<u8>()).prop_map(|(w, c)| Change::Keep(w, c)),
        1 => known().prop_map(Change::Delete),
        1 => known().prop_map(Change::Expect),
    ]
}

fn unit() -> impl Strategy<Value = Vec<(usize, Change)>> {
    proptest::collection::btree_map(0..NAMES.len(), change(), 0..3)
        .prop_map(|changes| changes.into_iter().collect())
}

fn step() -> impl Strategy<Value = Step> {
    let name = 0..NAMES.len();
    prop_oneof![
        8 => proptest::collection::vec(unit(), 0..4).prop_map(Step::Commit),
        2 => (0..20_u64).prop_map(Step::Advance),
        2 => (0..4_usize).prop_map(Step::Due),
        2 => Just(Step::Load),
        1 => (name.clone(), 0..4_usize).prop_map(|(after, limit)| Step::Scan(after, limit)),
        2 => (proptest::option::of(name), 0..6_usize).prop_map(|(n, l)| Step::History(n, l)),
        1 => (0..60_u64, 0..6_usize).prop_map(|(seconds, limit)| Step::Sweep(seconds, limit)),
        1 => Just(Step::Depth),
        1 => Just(Step::Crash),
    ]
}

async fn compare(steps: Vec<Step>) {
    let clock = Arc::new(ManualClock::at(START));
    let mut memory = Side::<Memory>::new(&clock);
    let mut disk = Side::<OnDisk>::new(&clock);
    let mut now = 0;
    for step in steps {
        if let Step::Advance(seconds) = step {
            now += seconds;
            clock.advance(Duration::from_secs(seconds));
        }
        if matches!(step, Step::Crash) {
            disk.crash();
        }
        let expected = memory.answer(&step, now).await;
        assert_eq!(disk.answer(&step, now).await, expected, "{step:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn disk_and_memory_give_the_same_answers(
        steps in proptest::collection::vec(step(), 1..40)
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(compare(steps));
    }
}
