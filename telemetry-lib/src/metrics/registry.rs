//! The registries of the `prometheus` crate that the user has, merged with our own families. The
//! user was there first: on a clash of names theirs stays, ours is left out and said so.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::slice;

use prometheus::proto::{MetricFamily, MetricType};
use prometheus::{Registry, TextEncoder};

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

    /// Exemplars by the line of `samples` that they stand behind.
    fn exemplars_of(&self, samples: &str) -> BTreeMap<usize, String> {
        let list = self.exemplars.lock();
        if list.is_empty() {
            return BTreeMap::new();
        }
        let lines = samples.lines().enumerate();
        let behind = |line| list.iter().find_map(|exemplars| exemplars.behind(line));
        lines
            .filter_map(|(number, line)| Some((number, behind(line)?)))
            .collect()
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
                Ok(read) => families.extend(read.into_iter().map(|family| self.marked(family))),
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

    fn marked(&self, mut family: ForeignFamily) -> Gathered {
        if family.kind == ForeignKind::Histogram {
            family.exemplars = self.exemplars_of(&family.samples);
        }
        Gathered::Foreign(family)
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

/// The crate's own encoder writes the samples, so they read as they did before we were there.
/// `None` for a family that it cannot write, such as one without samples.
fn foreign(mut family: MetricFamily) -> Option<ForeignFamily> {
    let kind = match family.get_field_type() {
        MetricType::COUNTER => ForeignKind::Counter,
        MetricType::GAUGE => ForeignKind::Gauge,
        MetricType::HISTOGRAM => ForeignKind::Histogram,
        MetricType::SUMMARY => ForeignKind::Summary,
        MetricType::UNTYPED => return None,
    };
    for metric in family.mut_metric() {
        // The two formats count them in different units, and a scrape has its own.
        metric.set_timestamp_ms(0);
    }
    let mut samples = TextEncoder::new()
        .encode_to_string(slice::from_ref(&family))
        .ok()?;
    let (mut help, mut begin) = (String::new(), 0);
    for line in samples
        .split_inclusive('\n')
        .take_while(|line| line.starts_with("# "))
    {
        begin += line.len();
        if let Some(rest) = line.strip_prefix("# HELP ") {
            let (_, words) = rest.trim_end_matches('\n').split_once(' ')?;
            words.clone_into(&mut help);
        }
    }
    samples.drain(..begin);
    Some(ForeignFamily {
        name: family.name().to_owned(),
        kind,
        help,
        samples,
        exemplars: BTreeMap::new(),
    })
}
