//! The registries of the `prometheus` crate that the user has, merged with our own families. The
//! user was there first: on a clash of names theirs stays, ours is left out and said so.

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};

use prometheus::Registry;
use prometheus::proto::{MetricFamily, MetricType};

use super::foreign_exemplar::Exemplars;
use super::instrument::Counter;
use super::model::{ForeignFamily, ForeignKind, Gathered};
use crate::fork::Lock;
use crate::notice::Notices;

/// The user's registries.
#[derive(Debug)]
pub(super) struct Registries {
    list: Lock<Vec<Registry>>,
    /// For the histograms in them.
    exemplars: Lock<Vec<Exemplars>>,
    /// Scrapes in which one of them panicked.
    failures: Counter,
    notices: Notices,
}

impl Registries {
    pub(super) fn new(notices: Notices) -> Self {
        Self {
            list: Lock::inherited(Vec::new()),
            exemplars: Lock::inherited(Vec::new()),
            failures: Counter::default(),
            notices,
        }
    }

    pub(super) fn add(&self, registry: Registry) {
        self.list.lock().push(registry);
    }

    pub(super) fn add_exemplars(&self, exemplars: Exemplars) {
        self.exemplars.lock().push(exemplars);
    }

    pub(super) fn failures(&self) -> u64 {
        self.failures.get()
    }

    /// All families of all registries, in the order in which the registries were added. Collectors
    /// are the user's code: one that panics costs its registry in this scrape, nothing else.
    pub(super) fn gather(&self) -> Vec<Gathered> {
        let list = self.list.lock().clone();
        let mut families = Vec::new();
        for registry in list {
            match catch_unwind(AssertUnwindSafe(|| read(&registry))) {
                Ok(read) => families.extend(read.into_iter().map(|it| self.marked(it))),
                Err(_) => {
                    self.failures.add_one();
                    self.notices.once("a collector panicked", || {
                        "a collector of a prometheus registry panicked: the metrics of that \
                         registry are missing on /metrics while it does"
                            .to_owned()
                    });
                }
            }
        }
        families
    }

    fn marked(&self, mut foreign: ForeignFamily) -> Gathered {
        if foreign.kind == ForeignKind::Histogram {
            foreign.exemplars.clone_from(&self.exemplars.lock());
        }
        Gathered::Foreign(foreign)
    }

    /// Puts `own` behind `foreign`, by name; returns how many were left out because a name was
    /// taken.
    pub(super) fn merge(
        &self,
        foreign: Vec<Gathered>,
        own: Vec<Gathered>,
    ) -> (Vec<Gathered>, usize) {
        let mut taken = BTreeSet::new();
        let mut page = Vec::with_capacity(foreign.len() + own.len());
        let mut hidden = 0;
        for family in foreign.into_iter().chain(own) {
            let names: Vec<String> = family.sample_names();
            if names.iter().any(|name| taken.contains(name)) {
                hidden += 1;
                self.tell_hidden(family.name());
                continue;
            }
            taken.extend(names);
            page.push(family);
        }
        page.sort_by(|a, b| a.name().cmp(b.name()));
        (page, hidden)
    }

    fn tell_hidden(&self, name: &str) {
        self.notices.once(&format!("hidden {name}"), || {
            format!("{name} is on /metrics already, from another registry: this one is left out")
        });
    }
}

fn read(registry: &Registry) -> Vec<ForeignFamily> {
    let families = registry.gather().into_iter();
    families.filter_map(foreign).collect()
}

/// `None` for a family that the crate's encoder cannot write, such as one without samples.
fn foreign(mut family: MetricFamily) -> Option<ForeignFamily> {
    let kind = match family.get_field_type() {
        MetricType::COUNTER => ForeignKind::Counter,
        MetricType::GAUGE => ForeignKind::Gauge,
        MetricType::HISTOGRAM => ForeignKind::Histogram,
        MetricType::SUMMARY => ForeignKind::Summary,
        MetricType::UNTYPED => return None,
    };
    if family.name().is_empty() || family.get_metric().is_empty() {
        return None;
    }
    for metric in family.mut_metric() {
        // The two formats count them in different units, and a scrape has its own.
        metric.set_timestamp_ms(0);
    }
    Some(ForeignFamily {
        kind,
        family,
        exemplars: Vec::new(),
    })
}
