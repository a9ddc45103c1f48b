//! What the router was told and said yes to: which alerts it must know of, and which occurrences
//! somebody must have heard of by the end.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::upstream::{Post, Upstream, Voice};

/// What fires so long has come due, whatever a lane waits for: `group_interval`, `group_wait`, and
/// time for the routers to look.
const SURELY_DUE: Duration = Duration::from_secs(60 + 5 + 25);
/// What fires again so soon may count as the same occurrence.
const BLINK: Duration = Duration::from_secs(35);

/// What is known of each alert.
pub(crate) struct Facts {
    alerts: Vec<Fact>,
    pub(crate) due: Vec<Due>,
}

#[derive(Default)]
struct Fact {
    standing: Option<Standing>,
    /// Voices, with their start, that some router may take for firing: no end was said yes to that
    /// was posted when all webhooks that say so had been answered.
    open: BTreeMap<(usize, i64), Open>,
    /// Starts that may belong to the present occurrence: all since it surely was over last.
    starts: BTreeSet<i64>,
    /// When it surely was over last.
    over: Option<Duration>,
    last_end: Option<i64>,
}

/// What says that a voice fires.
#[derive(Default)]
struct Open {
    /// The webhooks that no router has answered yet.
    under_way: BTreeSet<u64>,
    /// The latest webhook of all when the last one of these was answered.
    answered: u64,
}

/// It fires, a router said yes to that, and nobody posted an end since.
struct Standing {
    since: Duration,
    /// Clocks or configs changed meanwhile: when it comes due is not plain.
    disturbed: bool,
}

/// An occurrence that came due.
pub(crate) struct Due {
    pub(crate) alert: usize,
    pub(crate) starts: BTreeSet<i64>,
    pub(crate) until: Duration,
}

impl Facts {
    pub(crate) fn new(alerts: usize) -> Self {
        Self {
            alerts: (0..alerts).map(|_| Fact::default()).collect(),
            due: Vec::new(),
        }
    }

    /// A webhook leaves for a router: from now on what it says may be known.
    pub(crate) fn posted(&mut self, post: &Post, now: Duration) {
        for word in &post.says {
            let fact = &mut self.alerts[word.alert];
            match word.said {
                Voice::Never => {}
                Voice::Firing { start } => fact.may_fire(word.voice, start, post.number, now),
                Voice::Ended { end, .. } => {
                    fact.last_end = fact.last_end.max(Some(end));
                    self.ended(word.alert, now);
                }
            }
        }
    }

    /// A router has answered it, or died: from now on nothing of it is taken in. The latest webhook
    /// of all was `latest`.
    pub(crate) fn answered(&mut self, post: &Post, latest: u64) {
        for word in &post.says {
            if let Voice::Firing { start } = word.said
                && let Some(open) = self.alerts[word.alert].open.get_mut(&(word.voice, start))
            {
                open.under_way.remove(&post.number);
                open.answered = latest;
            }
        }
    }

    /// A router said yes to it.
    pub(crate) fn taken(&mut self, post: &Post, upstream: &Upstream, now: Duration) {
        for word in &post.says {
            let is_so = upstream.alerts[word.alert].voices[word.voice] == word.said;
            let fact = &mut self.alerts[word.alert];
            match word.said {
                Voice::Firing { start } if is_so && fact.is_news(start) => {
                    fact.standing.get_or_insert(Standing {
                        since: now,
                        disturbed: false,
                    });
                }
                Voice::Ended { end, .. } => fact.is_over(word.voice, end, post.number, now),
                Voice::Firing { .. } | Voice::Never => {}
            }
        }
    }

    /// Nobody can tell any more when what fires now comes due.
    pub(crate) fn disturb(&mut self) {
        for standing in self
            .alerts
            .iter_mut()
            .filter_map(|fact| fact.standing.as_mut())
        {
            standing.disturbed = true;
        }
    }

    /// The clock stepped back: until it shows again what it showed, routers may take what is over for
    /// over just now, and what fires then for the same occurrence.
    pub(crate) fn over_again(&mut self, until: Duration) {
        for over in self.alerts.iter_mut().filter_map(|fact| fact.over.as_mut()) {
            *over = until.max(*over);
        }
    }

    /// Alerts that every router must know: they fire, and nobody said otherwise.
    pub(crate) fn standing(&self) -> impl Iterator<Item = usize> {
        let alerts = self.alerts.iter().enumerate();
        alerts
            .filter(|(_, fact)| fact.standing.is_some())
            .map(|(alert, _)| alert)
    }

    fn ended(&mut self, alert: usize, now: Duration) {
        let fact = &mut self.alerts[alert];
        let Some(standing) = fact.standing.take() else {
            return;
        };
        if !standing.disturbed && now >= standing.since + SURELY_DUE {
            self.due.push(Due {
                alert,
                starts: fact.starts.clone(),
                until: now,
            });
        }
    }
}

impl Fact {
    fn is_news(&self, start: i64) -> bool {
        self.last_end.is_none_or(|end| start > end)
    }

    fn may_fire(&mut self, voice: usize, start: i64, post: u64, now: Duration) {
        let was_over = self.over.is_some_and(|over| now > over + BLINK);
        if self.open.is_empty() && was_over && self.is_news(start) {
            self.starts.clear();
        }
        let open = self.open.entry((voice, start)).or_default();
        open.under_way.insert(post);
        self.starts.insert(start);
    }

    fn is_over(&mut self, voice: usize, end: i64, post: u64, now: Duration) {
        // A firing that was under way meanwhile may have been taken in later.
        let closed = |open: &Open| open.under_way.is_empty() && open.answered < post;
        self.open
            .retain(|(of, start), open| *of != voice || *start > end || !closed(open));
        if self.open.is_empty() {
            self.over = Some(now);
        }
    }
}
