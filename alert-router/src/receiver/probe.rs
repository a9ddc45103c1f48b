//! The ways out of a config, and what can be learned of each without sending anything: for `doctor`.
//! How it is learned is each channel's own; here is what they have in common.

use std::fmt;
use std::sync::Arc;

use super::{BuildError, Failure, Progress, SendError, email, webhook, wecom_app, wecom_bot};
use crate::clock::Clock;
use crate::config::{Channel, Config};
use crate::render::Phrase;

/// So many receivers are named of those that share a way.
const NAMED: usize = 5;

/// A way out, which several receivers may share: an account, a robot, a server.
pub(crate) struct Way<'a> {
    channel: &'a Channel,
    /// The receivers that it serves, in the order of the file.
    pub(crate) receivers: Vec<&'a str>,
}

/// What was found on a way, in the order of the way, and what ended it.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    seen: Vec<(&'static str, String)>,
    wrong: Option<SendError>,
}

/// All ways of a config, each once.
pub(crate) fn ways(config: &Config) -> Vec<Way<'_>> {
    let mut ways: Vec<Way<'_>> = Vec::new();
    for receiver in &config.receivers {
        let name = receiver.name.as_str();
        for channel in receiver.integrations.iter().map(|one| &one.channel) {
            match ways.iter_mut().find(|way| is_same(way.channel, channel)) {
                Some(way) if way.receivers.contains(&name) => {}
                Some(way) => way.receivers.push(name),
                None => ways.push(Way {
                    channel,
                    receivers: vec![name],
                }),
            }
        }
    }
    ways
}

/// Whether what is learned of one holds for the other.
fn is_same(one: &Channel, other: &Channel) -> bool {
    match (one, other) {
        (Channel::Email(one), Channel::Email(other)) => email::is_same_way(one, other),
        (Channel::WecomApp(one), Channel::WecomApp(other)) => {
            wecom_app::is_same_account(one, other)
        }
        (Channel::WecomBot(one), Channel::WecomBot(other)) => one.key == other.key,
        (Channel::Webhook(one), Channel::Webhook(other)) => webhook::is_same_way(one, other),
        (Channel::Inbox, Channel::Inbox) => true,
        (
            Channel::Email(_)
            | Channel::WecomApp(_)
            | Channel::WecomBot(_)
            | Channel::Webhook(_)
            | Channel::Inbox,
            _,
        ) => false,
    }
}

impl Way<'_> {
    /// Looks into it. Every step has a deadline.
    pub(crate) async fn probe(&self, clock: &Arc<dyn Clock>) -> Findings {
        let found = match self.channel {
            Channel::Email(mail) => email::probe(mail, clock).await,
            Channel::WecomApp(app) => wecom_app::probe(app, clock).await,
            Channel::WecomBot(_) => Ok(wecom_bot::probe(self.receivers[0])),
            Channel::Webhook(hook) => webhook::probe(hook).await,
            Channel::Inbox => {
                Ok(Findings::default().saw("place", "the page of this server, kept in its store"))
            }
        };
        found.unwrap_or_else(Findings::unbuilt)
    }
}

/// What it is, and for whom.
impl fmt::Display for Way<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.channel {
            Channel::Email(mail) => {
                let user = mail.auth.as_ref().map(|auth| auth.username.as_str());
                let user = user.unwrap_or("without a login");
                write!(f, "mail account {user} at {}", mail.smarthost)?;
            }
            Channel::WecomApp(app) => write!(f, "wecom application {}", app.agent_id)?,
            Channel::WecomBot(_) | Channel::Webhook(_) | Channel::Inbox => {
                write!(f, "{}", self.channel)?;
            }
        }
        let named = self.receivers.iter().take(NAMED).copied();
        write!(f, ", for {}", named.collect::<Vec<_>>().join(", "))?;
        match self.receivers.len().saturating_sub(NAMED) {
            0 => Ok(()),
            more => write!(f, " and {more} more"),
        }
    }
}

impl Findings {
    /// One thing more was seen.
    pub(super) fn saw(mut self, what: &'static str, said: impl Into<String>) -> Self {
        self.note(what, said);
        self
    }

    /// As [`saw`](Self::saw), in place.
    pub(super) fn note(&mut self, what: &'static str, said: impl Into<String>) {
        self.seen.push((what, said.into()));
    }

    /// It ended so. What cannot be reached has a fix for people, who look at it now, although a
    /// delivery would just try again.
    pub(super) fn ended(self, error: SendError) -> Self {
        let is_away = matches!(error.reason, "connect" | "connection" | "timeout" | "lost");
        let fix = error.fix.or_else(|| is_away.then_some(AWAY));
        let wrong = Some(SendError { fix, ..error });
        Self { wrong, ..self }
    }

    /// It cannot even begin.
    fn unbuilt(error: BuildError) -> Self {
        Self::default().ended(SendError {
            failure: Failure::Refused,
            reason: "config",
            code: None,
            answer: error.to_string(),
            fix: None,
            progress: Progress::new(),
        })
    }

    /// Whether messages may leave by this way, as far as one can tell without sending any.
    pub(crate) fn is_good(&self) -> bool {
        self.wrong.is_none()
    }
}

const AWAY: Phrase = Phrase::fixed(
    "check the host and the port, and that no firewall stands between this machine and it",
    "请检查主机和端口，并确认本机与它之间没有防火墙阻挡",
);

/// A line for each, and at the end what is wrong and what to do.
impl fmt::Display for Findings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (what, said) in &self.seen {
            writeln!(f, "  {what:<9} {said}")?;
        }
        let Some(wrong) = &self.wrong else {
            return Ok(());
        };
        writeln!(f, "  {:<9} {}", "wrong", wrong.words())?;
        match &wrong.fix {
            Some(fix) => writeln!(f, "  {:<9} {fix}", "to do"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests;
