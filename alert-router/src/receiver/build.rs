//! From the channels of a config to what carries messages there.

use std::sync::Arc;

use super::{
    AccessTokens, Accounts, Applications, BuildError, Email, Inbox, Receiver, Webhook, WecomApp,
    WecomBot,
};
use crate::clock::Clock;
use crate::config::{self, Channel, Config};
use crate::render::Renderer;
use crate::store::Store;

/// What receivers are built with.
pub struct Materials {
    /// The templates.
    pub renderer: Arc<Renderer>,
    /// Where the inbox keeps its messages.
    pub store: Arc<dyn Store>,
    /// What token caches ask for the time.
    pub clock: Arc<dyn Clock>,
    /// What mail accounts log in with, kept over reloads.
    pub tokens: AccessTokens,
}

/// Builds the receivers of one config.
pub(crate) struct Builder<'a> {
    with: &'a Materials,
    /// Shared by all receivers of an application: one token, one count per member.
    applications: Applications,
    /// Shared by all receivers of a mail account: its connections, and its pauses.
    accounts: Accounts,
}

impl<'a> Builder<'a> {
    pub(crate) fn of(config: &Config, with: &'a Materials) -> Result<Self, BuildError> {
        let integrations = config
            .receivers
            .iter()
            .flat_map(|receiver| &receiver.integrations);
        let channels = integrations.map(|integration| &integration.channel);
        Ok(Self {
            with,
            applications: Applications::of(
                channels.clone().filter_map(app),
                Arc::clone(&with.clock),
            )?,
            accounts: Accounts::of(channels.filter_map(email), &with.clock).sharing(&with.tokens),
        })
    }

    /// One receiver for each destination of a channel of the receiver `name`.
    pub(crate) fn build(
        &self,
        name: &str,
        channel: &Channel,
    ) -> Result<Vec<Arc<dyn Receiver>>, BuildError> {
        let renderer = || Arc::clone(&self.with.renderer);
        Ok(match channel {
            Channel::Email(email) => {
                let emails = Email::build(name, email, &self.accounts, &self.with.renderer)?;
                emails
                    .into_iter()
                    .map(|email| Arc::new(email) as Arc<dyn Receiver>)
                    .collect()
            }
            Channel::WecomBot(bot) => {
                vec![Arc::new(WecomBot::new(
                    bot,
                    renderer(),
                    Arc::clone(&self.with.clock),
                )?)]
            }
            Channel::WecomApp(app) => {
                vec![Arc::new(WecomApp::new(
                    app,
                    &self.applications,
                    renderer(),
                )?)]
            }
            Channel::Webhook(webhook) => vec![Arc::new(Webhook::new(webhook)?)],
            Channel::Inbox => {
                vec![Arc::new(Inbox::new(
                    name,
                    renderer(),
                    Arc::clone(&self.with.store),
                ))]
            }
        })
    }
}

fn email(channel: &Channel) -> Option<&config::Email> {
    match channel {
        Channel::Email(email) => Some(email),
        Channel::WecomApp(_) | Channel::WecomBot(_) | Channel::Webhook(_) | Channel::Inbox => None,
    }
}

fn app(channel: &Channel) -> Option<&config::WecomApp> {
    match channel {
        Channel::WecomApp(app) => Some(app),
        Channel::Email(_) | Channel::WecomBot(_) | Channel::Webhook(_) | Channel::Inbox => None,
    }
}
