//! A flood of lines from one place in the code: the first of each second pass, the rest is counted
//! and told in one line. Time is an argument.

use std::collections::BTreeMap;
use std::time::Duration;

use super::source::Source;

/// A count is told so long after its first line was held back.
const REPORT_EVERY: Duration = Duration::from_secs(10);
const SECOND: Duration = Duration::from_secs(1);

/// More places in the code than that are not watched: their lines pass.
const MAX_SITES: usize = 1_024;

/// Counts lines by the place that they come from.
#[derive(Debug)]
pub(super) struct Flood {
    /// Lines of one place that pass in a second; 0: all of them.
    limit: u32,
    sites: BTreeMap<Source, Site>,
    /// Nothing is to be told before.
    next: Option<Duration>,
}

#[derive(Debug)]
struct Site {
    second: Duration,
    passed: u32,
    folded: u64,
    /// When the first of these was held back.
    since: Duration,
}

/// So many lines of one place were not written.
#[derive(Debug)]
pub(super) struct Folded {
    pub(super) source: Source,
    pub(super) count: u64,
    pub(super) over: Duration,
}

impl Site {
    /// A line passed just now.
    fn first_line(now: Duration) -> Self {
        Self {
            second: now,
            passed: 1,
            folded: 0,
            since: now,
        }
    }
}

impl Flood {
    pub(super) fn new(limit: u32) -> Self {
        Self {
            limit,
            sites: BTreeMap::new(),
            next: None,
        }
    }

    /// Whether a line from there is written now.
    pub(super) fn admits(&mut self, source: &Source, now: Duration) -> bool {
        if self.limit == 0 {
            return true;
        }
        let Some(site) = self.sites.get_mut(source) else {
            if self.has_room(now) {
                self.sites.insert(source.clone(), Site::first_line(now));
            }
            return true;
        };
        if now.saturating_sub(site.second) >= SECOND {
            site.second = now;
            site.passed = 0;
        }
        if site.passed < self.limit {
            site.passed += 1;
            return true;
        }
        if site.folded == 0 {
            site.since = now;
            let due = now + REPORT_EVERY;
            self.next = Some(self.next.map_or(due, |next| next.min(due)));
        }
        site.folded += 1;
        false
    }

    /// What is to be told now.
    pub(super) fn due(&mut self, now: Duration) -> Vec<Folded> {
        if self.next.is_none_or(|next| now < next) {
            return Vec::new();
        }
        self.take(now, |site| now.saturating_sub(site.since) >= REPORT_EVERY)
    }

    /// All that has not been told yet.
    pub(super) fn all(&mut self, now: Duration) -> Vec<Folded> {
        self.take(now, |_| true)
    }

    fn take(&mut self, now: Duration, ready: impl Fn(&Site) -> bool) -> Vec<Folded> {
        let mut told = Vec::new();
        self.next = None;
        for (source, site) in self.sites.iter_mut().filter(|(_, site)| site.folded > 0) {
            if ready(site) {
                told.push(Folded {
                    source: source.clone(),
                    count: std::mem::take(&mut site.folded),
                    over: now.saturating_sub(site.since),
                });
            } else {
                let due = site.since + REPORT_EVERY;
                self.next = Some(self.next.map_or(due, |next| next.min(due)));
            }
        }
        told
    }

    /// Forgets quiet places when there are too many.
    fn has_room(&mut self, now: Duration) -> bool {
        if self.sites.len() >= MAX_SITES {
            let loud = |site: &Site| site.folded > 0 || now.saturating_sub(site.second) < SECOND;
            self.sites.retain(|_, site| loud(site));
        }
        self.sites.len() < MAX_SITES
    }
}

#[cfg(test)]
mod tests {
    use tracing::callsite::{Callsite, DefaultCallsite};
    use tracing::field::FieldSet;
    use tracing::metadata::Kind;
    use tracing::{Level, Metadata, callsite};

    use super::*;

    static CALLSITE: DefaultCallsite = DefaultCallsite::new(&SITE);
    static SITE: Metadata<'static> = Metadata::new(
        "event",
        "a",
        Level::INFO,
        None,
        None,
        None,
        FieldSet::new(&[], callsite::Identifier(&CALLSITE)),
        Kind::EVENT,
    );

    fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    fn admitted(flood: &mut Flood, lines: u32, now: Duration) -> usize {
        let site = Source::at(CALLSITE.metadata());
        (0..lines).filter(|_| flood.admits(&site, now)).count()
    }

    #[test]
    fn the_first_of_each_second_pass_and_the_rest_is_told_once_in_ten() {
        let mut flood = Flood::new(3);
        assert_eq!(admitted(&mut flood, 100, ms(0)), 3);
        assert_eq!(admitted(&mut flood, 100, ms(999)), 0);
        assert_eq!(admitted(&mut flood, 100, ms(1_000)), 3);
        assert!(flood.due(ms(9_999)).is_empty());
        let told = flood.due(ms(10_000));
        assert_eq!((told.len(), told[0].count), (1, 97 + 100 + 97));
        assert_eq!(told[0].over, ms(10_000));
        assert!(flood.due(ms(60_000)).is_empty(), "told once");
        assert_eq!(admitted(&mut flood, 5, ms(61_000)), 3);
        assert_eq!(flood.all(ms(61_500))[0].count, 2);
    }

    #[test]
    fn without_a_limit_everything_passes() {
        assert_eq!(admitted(&mut Flood::new(0), 1_000, ms(0)), 1_000);
    }

    #[test]
    fn places_are_bounded_and_the_quiet_ones_forgotten() {
        let mut flood = Flood::new(1);
        let sites = (0..MAX_SITES + 10).map(|_| {
            let fields = FieldSet::new(&[], callsite::Identifier(&CALLSITE));
            let (level, kind) = (Level::INFO, Kind::EVENT);
            let site = Metadata::new("event", "a", level, None, None, None, fields, kind);
            Source::at(Box::leak(Box::new(site)))
        });
        let sites: Vec<Source> = sites.collect();
        for site in &sites {
            assert!(flood.admits(site, ms(0)));
        }
        assert_eq!(flood.sites.len(), MAX_SITES);
        assert!(flood.admits(&sites[MAX_SITES], ms(500)), "not watched");
        assert!(flood.admits(&sites[MAX_SITES], ms(1_000)));
        assert!(!flood.admits(&sites[MAX_SITES], ms(1_000)), "watched now");
        assert_eq!(flood.sites.len(), 1);
    }
}
