//! Whom an application writes to, and whose limits that uses up.

use std::collections::BTreeSet;

use alert_engine::LaneKey;

use super::CHANNEL;
use crate::config::{self, AppFormat, TextCopy};
use crate::receiver::Destination;

/// Everybody whom the application may write to; the vendor's spelling.
const ALL: &str = "@all";

/// Each list sorted and without repetitions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Recipients {
    pub(super) users: Vec<String>,
    pub(super) parties: Vec<String>,
    pub(super) tags: Vec<String>,
}

impl Recipients {
    /// Everybody who hears of a message, in whichever format.
    pub(super) fn of(config: &config::WecomApp) -> Self {
        Self {
            users: sorted(config.to_user.iter().chain(config.text_copy.members())),
            parties: sorted(&config.to_party),
            tags: sorted(&config.to_tag),
        }
    }

    /// Who reads the receiver's own format, and who gets a copy as text.
    pub(super) fn readers(config: &config::WecomApp) -> (Self, Self) {
        let mut main = Self::of(config);
        let mut copy = Self {
            users: Vec::new(),
            parties: Vec::new(),
            tags: Vec::new(),
        };
        if config.format == AppFormat::Markdown {
            match &config.text_copy {
                TextCopy::Members(members) => {
                    copy.users = sorted(members);
                    main.users.retain(|user| !copy.users.contains(user));
                }
                TextCopy::Everybody => copy = main.clone(),
            }
        }
        for readers in [&mut main, &mut copy] {
            if readers.users.iter().any(|user| user == ALL) {
                readers.users = vec![ALL.to_owned()];
            }
        }
        (main, copy)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.users.is_empty() && self.parties.is_empty() && self.tags.is_empty()
    }

    /// As people see them in pages and receipts.
    pub(super) fn names(&self) -> Vec<String> {
        let users = self.users.iter().cloned();
        let parties = self.parties.iter().map(|party| format!("party {party}"));
        let tags = self.tags.iter().map(|tag| format!("tag {tag}"));
        users.chain(parties).chain(tags).collect()
    }

    pub(super) fn destination(&self, config: &config::WecomApp) -> Destination {
        let agent = config.agent_id.to_string();
        let [users, parties, tags] = [&self.users, &self.parties, &self.tags].map(|l| l.join("|"));
        let address = [CHANNEL, &config.corp_id, &agent, &users, &parties, &tags];
        Destination {
            channel: CHANNEL,
            key: LaneKey::of(&address.map(str::as_bytes)),
            label: format!("WeCom app {agent} → {}", self.names().join(", ")),
        }
    }

    /// The counters that a message uses up: one for each member whom it names. If it reaches
    /// others too, that of every one of `members`, and one for all those whom nobody names: they
    /// can only be reached by a department, a tag or `@all`.
    pub(super) fn counters(
        &self,
        config: &config::WecomApp,
        members: &BTreeSet<String>,
    ) -> Vec<LaneKey> {
        let agent = config.agent_id.to_string();
        let counter = |member: &str| {
            let of = [CHANNEL, "member", &config.corp_id, &agent, member];
            LaneKey::of(&of.map(str::as_bytes))
        };
        let mut names: BTreeSet<&str> = self.users.iter().map(String::as_str).collect();
        if self.is_wide() {
            names.insert(ALL);
            names.extend(members.iter().map(String::as_str));
        }
        names.into_iter().map(counter).collect()
    }

    /// Whether it reaches members whom it does not name.
    fn is_wide(&self) -> bool {
        let all = self.users.iter().any(|user| user == ALL);
        all || !self.parties.is_empty() || !self.tags.is_empty()
    }
}

fn sorted<'a>(names: impl IntoIterator<Item = &'a String>) -> Vec<String> {
    let names: BTreeSet<&String> = names.into_iter().collect();
    names.into_iter().cloned().collect()
}
