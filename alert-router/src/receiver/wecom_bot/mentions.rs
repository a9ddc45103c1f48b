//! Whom a robot calls by name. Only a text can do it for sure; markdown may, and nobody knows
//! whether a phone rings; markdown_v2 cannot.

use alert_engine::Labels;
use serde_json::{Value, json};

use super::{Format, MARKDOWN_BYTES};
use crate::config::{self, MentionWhen, People};
use crate::message::{GroupNews, Line, Message, Says};

/// Ids in one list: more would be a mistake.
const MOST: usize = 100;

/// Who is to be called, and how.
#[derive(Debug)]
pub(super) struct Mentions {
    always: People,
    when: Vec<MentionWhen>,
    /// Whether a text of its own follows where the format cannot call for sure.
    afterwards: bool,
}

/// How a message calls people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Calls {
    /// It does not.
    Nobody,
    /// By tags within its markdown.
    Inline,
    /// By the lists that a text may have.
    Listed,
    /// By a text that follows, at the cost of one more message.
    Afterwards,
}

impl Mentions {
    pub(super) fn of(config: &config::WecomBot) -> Self {
        Self {
            always: config.mention.clone(),
            when: config.mention_when.clone(),
            afterwards: config.mention_text,
        }
    }

    /// Whom a message calls; may be nobody. Alerts that are only counted show no labels, so nobody is called for
    /// what they are.
    pub(super) fn people(&self, message: &Message) -> People {
        let labels: Vec<&Labels> = urgent(message).collect();
        let matches = |when: &&MentionWhen| labels.iter().any(|it| when.matchers.matches(it));
        let besides = self.when.iter().filter(matches).map(|when| &when.people);
        let mut people = People::default();
        for more in std::iter::once(&self.always).chain(besides) {
            add(&mut people.users, &more.users);
            add(&mut people.mobiles, &more.mobiles);
        }
        people
    }

    /// Calls somebody only if there is somebody to call and a reason to.
    pub(super) fn calls(&self, format: Format, people: &People, urgent: bool) -> Calls {
        if !urgent || people.is_empty() {
            return Calls::Nobody;
        }
        match format {
            Format::Text => Calls::Listed,
            Format::Markdown | Format::MarkdownV2 if self.afterwards => Calls::Afterwards,
            Format::Markdown => Calls::Inline,
            Format::MarkdownV2 => Calls::Nobody,
        }
    }
}

impl People {
    /// What stands before the message: tags, for users only.
    pub(super) fn prefix(&self, calls: Calls) -> String {
        if calls != Calls::Inline {
            return String::new();
        }
        let plain = |id: &&String| !id.contains(['<', '>', '\n', ' ']) && *id != "@all";
        let users = self.users.iter().filter(plain);
        let tags: String = users.map(|id| format!("<@{id}>")).collect();
        if tags.is_empty() || tags.len() > MARKDOWN_BYTES / 4 {
            return String::new();
        }
        tags + "\n"
    }

    /// Adds the lists to the body of a text.
    pub(super) fn list(&self, body: &mut Value) {
        body["text"]["mentioned_list"] = json!(self.users);
        body["text"]["mentioned_mobile_list"] = json!(self.mobiles);
    }
}

/// The labels of what somebody should look at now.
fn urgent(message: &Message) -> impl Iterator<Item = &Labels> {
    let groups: &[GroupNews] = match &message.says {
        Says::Group(group) => std::slice::from_ref(&**group),
        Says::Digest(groups) => groups,
        Says::Test => &[],
    };
    let alerts = groups.iter().flat_map(|group| &group.alerts);
    let new = alerts.filter(|alert| matches!(alert.line, Line::New | Line::Reopened));
    new.map(|alert| &alert.labels)
}

fn add(ids: &mut Vec<String>, more: &[String]) {
    for id in more {
        if ids.len() < MOST && !ids.contains(id) {
            ids.push(id.clone());
        }
    }
}
