//! What a reload changes, in words for the log, and what of it only a restart can do.

use std::collections::{BTreeMap, BTreeSet};

use super::{Config, Receiver};

/// The difference between two configs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// What changes at once, such as `receiver db-team`.
    pub applied: Vec<String>,
    /// What keeps its old value until a restart.
    pub after_restart: Vec<&'static str>,
}

impl Changes {
    /// What happens when `new` takes the place of `old`.
    #[must_use]
    pub fn between(old: &Config, new: &Config) -> Self {
        let mut applied = Vec::new();
        if old.routes != new.routes {
            applied.push("routes".to_owned());
        }
        let by_name = |config: &'_ Config| -> BTreeMap<String, Receiver> {
            let named = config.receivers.iter().map(|r| (r.name.clone(), r.clone()));
            named.collect()
        };
        applied.extend(of_maps("receiver", &by_name(old), &by_name(new)));
        let by_name = |config: &Config| {
            let named = config
                .sources
                .iter()
                .map(|(n, s)| (n.as_str().to_owned(), s.clone()));
            named.collect()
        };
        applied.extend(of_maps("source", &by_name(old), &by_name(new)));
        for (what, changed) in [
            ("auth", old.auth != new.auth),
            ("operators", old.operators != new.operators),
            ("priority", old.priority != new.priority),
            ("limits", old.limits != new.limits),
            ("language or time zone", old.locale != new.locale),
            ("external_url", old.external_url != new.external_url),
        ] {
            if changed {
                applied.push(what.to_owned());
            }
        }
        let pinned = [
            ("listen", old.listen != new.listen),
            ("store", old.store != new.store),
        ];
        let after_restart = pinned.into_iter().filter(|(_, changed)| *changed);
        Self {
            applied,
            after_restart: after_restart.map(|(what, _)| what).collect(),
        }
    }

    /// Whether the two say the same.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.applied.is_empty() && self.after_restart.is_empty()
    }
}

fn of_maps<V: PartialEq>(
    kind: &str,
    old: &BTreeMap<String, V>,
    new: &BTreeMap<String, V>,
) -> Vec<String> {
    let names: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    let change = |name: &String| {
        let verb = match (old.get(name), new.get(name)) {
            (Some(old), Some(new)) if old == new => return None,
            (Some(_), Some(_)) => "changed",
            (Some(_), None) => "removed",
            (None, _) => "added",
        };
        Some(format!("{kind} {name} {verb}"))
    };
    names.into_iter().filter_map(change).collect()
}
