//! The route tree: which receivers hear an alert, and with whom it is grouped.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use crate::id::{ConfigHash, GroupId, RouteId};
use crate::label::Labels;
use crate::matcher::{Matcher, Matchers};
use crate::policy::Timing;
use crate::state::group_id;

/// A route as it is written: what is `None` is inherited.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RouteSpec {
    /// Who hears its alerts. The root names one.
    pub receiver: Option<String>,
    /// What an alert must fulfil. The root takes all.
    pub matchers: Matchers,
    /// Whether later siblings are asked too.
    pub continues: bool,
    /// How its alerts are grouped; by default all are one group.
    pub group_by: Option<GroupBy>,
    /// How long a new group gathers.
    pub group_wait: Option<Duration>,
    /// How long a group is quiet after a message; default 5 m.
    pub group_interval: Option<Duration>,
    /// When unchanged news is told again; default 4 h.
    pub repeat_interval: Option<Duration>,
    /// Up to which that grows with age; by default it does not.
    pub repeat_interval_max: Option<Duration>,
    /// In which rhythm its groups speak.
    pub timing: Option<Timing>,
    /// Narrower routes, asked in order.
    pub routes: Vec<RouteSpec>,
}

/// The labels that make a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GroupBy {
    /// These, as far as an alert has them; none: one group.
    Labels(BTreeSet<String>),
    /// All of them (`...`): every alert is a group.
    All,
}

/// A tree that was checked, with everything inherited.
#[derive(Clone, Debug, PartialEq)]
pub struct RouteTree {
    /// In the order of the file, parents first. Never empty.
    nodes: Vec<Node>,
    hash: ConfigHash,
}

/// A place in the tree at which alerts may end up.
#[derive(Clone, Debug, PartialEq)]
pub struct Route {
    /// Stable while its matchers (with those above it) and its receiver are.
    pub id: RouteId,
    /// The matchers from the root down, as Alertmanager's group key shows them.
    pub path: String,
    /// Who hears its alerts.
    pub receiver: Arc<str>,
    /// How its alerts are grouped.
    pub group_by: GroupBy,
    /// When its groups speak.
    pub timers: Timers,
}

/// When a route's groups speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timers {
    /// How long a new group gathers, if the file says so: the default depends on the rhythm.
    pub group_wait: Option<Duration>,
    /// How long a group is quiet after a message.
    pub group_interval: Duration,
    /// When unchanged news is told again.
    pub repeat_interval: Duration,
    /// Up to which that grows with age.
    pub repeat_interval_max: Option<Duration>,
    /// The rhythm, if the file says so: the default depends on where a group's first alert came in.
    pub timing: Option<Timing>,
}

/// Why a tree cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RouteError {
    /// Nobody hears what no narrower route takes.
    #[error(
        "the top route has no receiver: add `receiver: NAME`, it hears what no narrower route takes"
    )]
    NoReceiver,
    /// The root does not take everything.
    #[error("the top route has matchers, but must take every alert: move them to a route below it")]
    RootMatches,
    /// There is nothing to continue with.
    #[error("the top route says `continue`, but nothing follows it: remove that line")]
    RootContinues,
}

#[derive(Clone, Debug, PartialEq)]
struct Node {
    matchers: Matchers,
    continues: bool,
    /// The index behind its last descendant.
    end: usize,
    route: Route,
}

impl RouteTree {
    /// Checks a tree and resolves what is inherited.
    pub fn new(root: &RouteSpec) -> Result<Self, RouteError> {
        if !root.matchers.is_empty() {
            return Err(RouteError::RootMatches);
        }
        if root.continues {
            return Err(RouteError::RootContinues);
        }
        let receiver = root.receiver.as_deref().ok_or(RouteError::NoReceiver)?;
        let mut builder = Builder::default();
        builder.add(root, &Inherited::root(receiver));
        Ok(Self {
            hash: hash_of(&builder.nodes),
            nodes: builder.nodes,
        })
    }

    /// The routes that take an alert with these labels, in the order of the file. Never empty.
    #[must_use]
    pub fn find(&self, labels: &Labels) -> Vec<&Route> {
        let mut found = Vec::with_capacity(1);
        self.collect(0, labels, &mut found);
        found
    }

    /// The route with this id.
    #[must_use]
    pub fn get(&self, id: RouteId) -> Option<&Route> {
        self.routes().find(|route| route.id == id)
    }

    /// All routes, in the order of the file, parents first.
    pub fn routes(&self) -> impl ExactSizeIterator<Item = &Route> {
        self.nodes.iter().map(|node| &node.route)
    }

    /// Equal for trees that send every alert to the same groups of the same receivers at the same
    /// times: the key of a routing cache, together with the alert's fingerprint.
    #[must_use]
    pub fn hash(&self) -> ConfigHash {
        self.hash
    }

    /// Adds what the subtree at `at` finds; says whether it took the alert.
    fn collect<'t>(&'t self, at: usize, labels: &Labels, found: &mut Vec<&'t Route>) -> bool {
        let node = &self.nodes[at];
        if !node.matchers.matches(labels) {
            return false;
        }
        let before = found.len();
        let mut child = at + 1;
        while child < node.end {
            if self.collect(child, labels, found) && !self.nodes[child].continues {
                break;
            }
            child = self.nodes[child].end;
        }
        if found.len() == before {
            found.push(&node.route);
        }
        true
    }
}

impl Route {
    /// Those of an alert's labels that name its group.
    #[must_use]
    pub fn group_labels(&self, labels: &Labels) -> Labels {
        match &self.group_by {
            GroupBy::All => labels.clone(),
            GroupBy::Labels(names) => labels
                .iter()
                .filter(|(name, _)| names.contains(*name))
                .collect(),
        }
    }

    /// The group of this route with these group labels.
    #[must_use]
    pub fn group(&self, group_labels: &Labels) -> GroupId {
        group_id(self.id, group_labels)
    }
}

impl Timers {
    /// The rhythm of a group whose first alert came from an Alertmanager (`upstream_waited`) or
    /// straight from a Prometheus.
    #[must_use]
    pub fn timing(&self, upstream_waited: bool) -> Timing {
        let usual = if upstream_waited {
            Timing::Settled
        } else {
            Timing::Ticking
        };
        self.timing.unwrap_or(usual)
    }

    /// How long a new group gathers: by default 5 s where an Alertmanager has waited, else
    /// Alertmanager's 30 s.
    #[must_use]
    pub fn group_wait(&self, timing: Timing) -> Duration {
        self.group_wait.unwrap_or(match timing {
            Timing::Settled => Duration::from_secs(5),
            Timing::Ticking => Duration::from_secs(30),
        })
    }
}

/// What a route passes down.
#[derive(Clone)]
struct Inherited {
    /// One part for each matcher from the root down, the levels set apart.
    key: Vec<String>,
    path: String,
    receiver: Arc<str>,
    group_by: GroupBy,
    timers: Timers,
}

impl Inherited {
    fn root(receiver: &str) -> Self {
        Self {
            key: Vec::new(),
            path: String::new(),
            receiver: receiver.into(),
            group_by: GroupBy::Labels(BTreeSet::new()),
            timers: Timers {
                group_wait: None,
                group_interval: Duration::from_secs(5 * 60),
                repeat_interval: Duration::from_secs(4 * 3600),
                repeat_interval_max: None,
                timing: None,
            },
        }
    }

    fn with(&self, spec: &RouteSpec) -> Self {
        let mut own = self.clone();
        if !own.path.is_empty() {
            own.path.push('/');
        }
        own.path.push_str(&spec.matchers.to_string());
        own.key.push("/".to_owned());
        own.key.extend(spec.matchers.iter().map(Matcher::to_string));
        if let Some(receiver) = &spec.receiver {
            own.receiver = receiver.as_str().into();
        }
        if let Some(group_by) = &spec.group_by {
            own.group_by = group_by.clone();
        }
        let timers = &mut own.timers;
        timers.group_wait = spec.group_wait.or(timers.group_wait);
        timers.group_interval = spec.group_interval.unwrap_or(timers.group_interval);
        timers.repeat_interval = spec.repeat_interval.unwrap_or(timers.repeat_interval);
        timers.repeat_interval_max = spec.repeat_interval_max.or(timers.repeat_interval_max);
        timers.timing = spec.timing.or(timers.timing);
        own
    }
}

#[derive(Default)]
struct Builder {
    nodes: Vec<Node>,
    /// How many routes with these matchers and this receiver came before.
    ranks: BTreeMap<(Vec<String>, Arc<str>), u32>,
}

impl Builder {
    fn add(&mut self, spec: &RouteSpec, above: &Inherited) {
        let own = above.with(spec);
        let at = self.nodes.len();
        let route = self.route(&own);
        self.nodes.push(Node {
            matchers: spec.matchers.clone(),
            continues: spec.continues,
            end: at + 1,
            route,
        });
        for child in &spec.routes {
            self.add(child, &own);
        }
        self.nodes[at].end = self.nodes.len();
    }

    fn route(&mut self, own: &Inherited) -> Route {
        let key = (own.key.clone(), Arc::clone(&own.receiver));
        let rank = self.ranks.entry(key).or_default();
        let number = rank.to_le_bytes();
        *rank += 1;
        let mut parts: Vec<&[u8]> = vec![own.receiver.as_bytes(), &number];
        parts.extend(own.key.iter().map(String::as_bytes));
        Route {
            id: RouteId::of(&parts),
            path: own.path.clone(),
            receiver: Arc::clone(&own.receiver),
            group_by: own.group_by.clone(),
            timers: own.timers,
        }
    }
}

fn hash_of(nodes: &[Node]) -> ConfigHash {
    // Debug prints every field, and matchers print canonically.
    let parts: Vec<String> = nodes.iter().map(|node| format!("{node:?}")).collect();
    ConfigHash::of(&parts.iter().map(String::as_bytes).collect::<Vec<_>>())
}

#[cfg(test)]
mod tests;
