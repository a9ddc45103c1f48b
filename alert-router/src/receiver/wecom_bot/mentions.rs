//! Whom a robot calls by name. Only a text can do it for sure; markdown may, and nobody knows
//! whether a phone rings; markdown_v2 cannot.

use serde_json::{Value, json};

use super::{Format, MARKDOWN_BYTES};
use crate::config;

/// Ids in one list: more would be a mistake.
const MOST: usize = 100;

/// Who is to be called, and how.
#[derive(Debug)]
pub(super) struct Mentions {
    users: Vec<String>,
    mobiles: Vec<String>,
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
        let some = |ids: &[String]| ids.iter().take(MOST).cloned().collect();
        Self {
            users: some(&config.mention),
            mobiles: some(&config.mention_mobile),
            afterwards: config.mention_text,
        }
    }

    /// Calls somebody only if there is somebody to call and a reason to.
    pub(super) fn calls(&self, format: Format, urgent: bool) -> Calls {
        if !urgent || (self.users.is_empty() && self.mobiles.is_empty()) {
            return Calls::Nobody;
        }
        match format {
            Format::Text => Calls::Listed,
            Format::Markdown | Format::MarkdownV2 if self.afterwards => Calls::Afterwards,
            Format::Markdown => Calls::Inline,
            Format::MarkdownV2 => Calls::Nobody,
        }
    }

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
