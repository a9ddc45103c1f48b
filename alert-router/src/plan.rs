//! The config as it takes effect: each route with its policy, each destination with the receiver
//! that reaches it. Built once per config, then only read.

mod operators;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use alert_engine::{
    ConfigHash, Ends, Labels, LaneKey, LanePolicy, Opens, Policy, Route, RouteId, RouteTree,
    SourceName, SourceRules,
};

use crate::config::{self, Config, Integration};
use crate::receiver::{self, BuildError, Materials, Receiver};
use crate::render::{Language, Locale, Renderer};
use crate::webhook::payload::BodyLimits;
use operators::Operators;

/// A receiver's way to one destination.
pub struct Outlet {
    /// What carries messages there.
    pub receiver: Arc<dyn Receiver>,
    /// The receiver's name in the config.
    pub name: Arc<str>,
    /// How its people read.
    pub locale: Locale,
    ends: Ends,
}

/// Everything that follows from one config.
pub struct Plan {
    config: Config,
    hash: ConfigHash,
    limits: BodyLimits,
    routes: BTreeMap<RouteId, RoutePlan>,
    /// For groups whose route left the config: nobody hears news of them, those who were told hear
    /// the end.
    closing: Policy,
    /// All ways to each destination: receivers may share one.
    outlets: BTreeMap<LaneKey, Vec<Arc<Outlet>>>,
    by_receiver: BTreeMap<String, Vec<Arc<Outlet>>>,
    /// Where our own troubles go.
    operators: Option<RouteTree>,
    renderer: Arc<Renderer>,
}

struct RoutePlan {
    policy: Policy,
    outlets: BTreeMap<LaneKey, Arc<Outlet>>,
}

impl Plan {
    /// Builds all receivers of a config. Connects nowhere.
    ///
    /// # Errors
    /// A receiver's settings cannot work, such as a certificate that is none.
    pub fn new(config: Config, materials: &Materials) -> Result<Self, BuildError> {
        Self::wired(config, materials, &|receiver| receiver)
    }

    /// As [`new`](Self::new), with each receiver replaced by what `wire` makes of it. For tests
    /// that stand in for the providers.
    pub(crate) fn wired(
        config: Config,
        materials: &Materials,
        wire: &dyn Fn(Arc<dyn Receiver>) -> Arc<dyn Receiver>,
    ) -> Result<Self, BuildError> {
        let mut by_receiver = BTreeMap::new();
        let builder = receiver::Builder::of(&config, materials)?;
        for receiver in &config.receivers {
            by_receiver.insert(receiver.name.clone(), outlets(receiver, &builder, wire)?);
        }
        let mut outlets: BTreeMap<LaneKey, Vec<Arc<Outlet>>> = BTreeMap::new();
        for outlet in by_receiver.values().flatten() {
            let sharing = outlets.entry(outlet.key()).or_default();
            sharing.push(Arc::clone(outlet));
        }
        let destinations = Arc::new(outlets.keys().copied().collect::<BTreeSet<_>>());
        let policies = PolicyBuilder {
            config: &config,
            by_receiver: &by_receiver,
            destinations,
        };
        let mut routes: BTreeMap<RouteId, RoutePlan> = config
            .routes
            .routes()
            .map(|r| (r.id, policies.route(r)))
            .collect();
        let operators = config.operators.as_deref();
        let operators = operators.map(|receiver| {
            let operators = Operators::new(receiver, &policies);
            for (id, plan) in operators.plans(&policies) {
                // With the receiver of the config's root they have its id: then what the config says
                // of that route holds.
                routes.entry(id).or_insert(plan);
            }
            operators.tree
        });
        let closing = policies.policy(Duration::from_secs(300), Duration::from_secs(4 * 3600));
        let limits = BodyLimits {
            body_bytes: config.limits.body_bytes,
            alerts: config.limits.alerts_per_request,
            labels: config.limits.labels_per_alert,
            ..BodyLimits::default()
        };
        let hash = hash(&config, operators.as_ref());
        Ok(Self {
            hash,
            limits,
            routes,
            closing,
            outlets,
            by_receiver,
            operators,
            renderer: Arc::clone(&materials.renderer),
            config,
        })
    }

    /// How many renderings failed and went out with the fallback text.
    pub(crate) fn render_failures(&self) -> u64 {
        self.renderer.failures()
    }

    /// The config that this follows from.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Equal for configs that send every alert to the same groups.
    #[must_use]
    pub fn hash(&self) -> ConfigHash {
        self.hash
    }

    /// The routes that take an alert of `source`: our own troubles have their own.
    pub(crate) fn find(&self, source: &SourceName, labels: &Labels) -> Vec<&Route> {
        match (*source == SourceName::ours(), &self.operators) {
            (true, Some(operators)) => operators.find(labels),
            (true, None) => Vec::new(),
            (false, _) => self.config.routes.find(labels),
        }
    }

    /// How groups of a route speak.
    #[must_use]
    pub fn policy(&self, route: RouteId) -> &Policy {
        self.routes
            .get(&route)
            .map_or(&self.closing, |plan| &plan.policy)
    }

    /// What reaches a lane of a route. A lane that the route no longer has is reached as any other
    /// route would.
    pub(crate) fn outlet(&self, route: RouteId, lane: LaneKey) -> Option<Arc<Outlet>> {
        let own = self
            .routes
            .get(&route)
            .and_then(|plan| plan.outlets.get(&lane));
        own.cloned().or_else(|| self.outlet_to(lane))
    }

    /// What reaches a destination, whatever the route.
    pub(crate) fn outlet_to(&self, lane: LaneKey) -> Option<Arc<Outlet>> {
        self.outlets.get(&lane)?.last().cloned()
    }

    /// All destinations, each with a way to it.
    pub(crate) fn outlets(&self) -> impl Iterator<Item = (LaneKey, &Outlet)> {
        let outlets = self.outlets.iter();
        outlets.filter_map(move |(lane, all)| Some((*lane, &**all.last()?)))
    }

    /// All ways to a destination.
    pub(crate) fn sharing(&self, lane: LaneKey) -> impl Iterator<Item = &Outlet> {
        let all = self.outlets.get(&lane).into_iter().flatten();
        all.map(|outlet| &**outlet)
    }

    /// The names of the receivers that have a destination.
    pub(crate) fn receivers(&self) -> impl Iterator<Item = &str> {
        let receivers = self.by_receiver.iter();
        receivers
            .filter(|(_, outlets)| !outlets.is_empty())
            .map(|(name, _)| &**name)
    }

    /// The ways of one receiver.
    pub(crate) fn outlets_of(&self, receiver: &str) -> Vec<Arc<Outlet>> {
        self.by_receiver.get(receiver).cloned().unwrap_or_default()
    }

    /// The language in which operators read of our own troubles.
    pub(crate) fn operators_language(&self) -> Language {
        let receiver = self.config.operators.as_deref();
        let outlets = receiver.map_or_else(Vec::new, |receiver| self.outlets_of(receiver));
        let outlet = outlets.first();
        outlet.map_or(self.config.locale.language, |outlet| outlet.locale.language)
    }

    /// Whether an alert goes before others.
    #[must_use]
    pub fn is_priority(&self, labels: &Labels) -> bool {
        self.config
            .priority
            .iter()
            .any(|matchers| matchers.matches(labels))
    }

    /// How much one body may hold.
    #[must_use]
    pub fn body_limits(&self) -> &BodyLimits {
        &self.limits
    }

    /// How far a source is trusted.
    #[must_use]
    pub fn source_rules(&self, name: &SourceName) -> SourceRules {
        let usual = SourceRules::default();
        if *name == SourceName::ours() {
            // What we say is over only when we say so: nobody repeats it for us.
            return SourceRules {
                stale_after: Some(Duration::MAX),
                ..usual
            };
        }
        let source = self.config.source(name);
        SourceRules {
            doubt: source.doubt.unwrap_or(usual.doubt),
            stale_after: source.stale_after,
            silent_after: source.silent_after,
        }
    }
}

impl Outlet {
    fn key(&self) -> LaneKey {
        self.receiver.destination().key
    }
}

/// One outlet for each destination of a receiver.
fn outlets(
    config: &config::Receiver,
    builder: &receiver::Builder<'_>,
    wire: &dyn Fn(Arc<dyn Receiver>) -> Arc<dyn Receiver>,
) -> Result<Vec<Arc<Outlet>>, BuildError> {
    let name: Arc<str> = config.name.as_str().into();
    let mut outlets = Vec::new();
    for Integration { ends, channel } in &config.integrations {
        for receiver in builder.build(&name, channel)? {
            outlets.push(Arc::new(Outlet {
                receiver: wire(receiver),
                name: Arc::clone(&name),
                locale: config.locale.clone(),
                ends: *ends,
            }));
        }
    }
    Ok(outlets)
}

struct PolicyBuilder<'a> {
    config: &'a Config,
    by_receiver: &'a BTreeMap<String, Vec<Arc<Outlet>>>,
    destinations: Arc<BTreeSet<LaneKey>>,
}

impl PolicyBuilder<'_> {
    fn route(&self, route: &Route) -> RoutePlan {
        let timers = &route.timers;
        let mut policy = self.policy(timers.group_interval, timers.repeat_interval);
        policy.group_wait = timers.group_wait(timers.timing(true));
        policy.timing = timers.timing;
        policy.repeat_interval_max = timers.repeat_interval_max;
        let mut outlets = BTreeMap::new();
        self.add(&route.receiver, Opens::AtOnce, &mut policy, &mut outlets);
        RoutePlan { policy, outlets }
    }

    fn policy(&self, group_interval: Duration, repeat_interval: Duration) -> Policy {
        Policy {
            group_interval,
            repeat_interval,
            ttl: self.config.limits.missed_ttl,
            destinations: Arc::clone(&self.destinations),
            ..Policy::default()
        }
    }

    /// All ways on which a receiver may be told, its fallbacks among them.
    fn reach(&self, receiver: &str) -> BTreeMap<LaneKey, Arc<Outlet>> {
        let mut outlets = BTreeMap::new();
        let mut policy = Policy::default();
        self.add(receiver, Opens::AtOnce, &mut policy, &mut outlets);
        outlets
    }

    /// Adds the lanes of a receiver, and those of its fallbacks behind them. The config allows no
    /// cycle of fallbacks.
    fn add(
        &self,
        receiver: &str,
        opens: Opens,
        policy: &mut Policy,
        outlets: &mut BTreeMap<LaneKey, Arc<Outlet>>,
    ) {
        let Some(config) = self.config.receiver(receiver) else {
            return;
        };
        for outlet in self.by_receiver.get(receiver).into_iter().flatten() {
            let key = outlet.key();
            let lane = LanePolicy {
                opens,
                ends: outlet.ends,
            };
            // A destination that hears at once does not also hear as a fallback.
            policy.lanes.entry(key).or_insert(lane);
            outlets.entry(key).or_insert_with(|| Arc::clone(outlet));
            if let Some(fallback) = &config.fallback {
                let opens = Opens::WhenFailing {
                    lane: key,
                    after: fallback.after,
                };
                self.add(&fallback.receiver, opens, policy, outlets);
            }
        }
    }
}

fn hash(config: &Config, operators: Option<&RouteTree>) -> ConfigHash {
    let operators = operators.map(RouteTree::hash);
    let operators = operators.as_ref().map_or(&[][..], |hash| &hash.0);
    ConfigHash::of(&[&config.routes.hash().0, operators])
}
