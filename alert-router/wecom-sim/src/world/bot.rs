//! `webhook/send`: a bot speaks in its group. The order of checks is assumed; the documentation
//! gives none, so a test should break one rule at a time.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::envelope::{Channel, Envelope};
use super::rate::BotRate;
use super::{Call, Content, ErrCode, Fate, Message, Receipt, Refused, ReplyFate, Sender, World};
use crate::config::{Bot, Rules, Standing};

/// The bots and how much each has said.
pub(crate) struct Bots(BTreeMap<String, (Bot, BotRate)>);

impl Bots {
    pub(super) fn new(bots: &[Bot]) -> Self {
        let entry = |bot: &Bot| {
            (
                bot.key.expose().to_owned(),
                (bot.clone(), BotRate::default()),
            )
        };
        Self(bots.iter().map(entry).collect())
    }

    /// The name of the bot with this key.
    pub(crate) fn name(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(|(bot, _)| bot.name.as_str())
    }

    fn admit(
        &mut self,
        now: Timestamp,
        key: &str,
        rules: &Rules,
    ) -> Result<(&Bot, &mut BotRate), Refused> {
        let Some((bot, rate)) = self.0.get_mut(key) else {
            return Err(Refused::code_only(ErrCode::INVALID_WEBHOOK));
        };
        match bot.standing {
            Standing::Active => {}
            Standing::Disabled => return Err(Refused::code_only(ErrCode::BOT_DISABLED)),
            Standing::NotInGroup => return Err(Refused::code_only(ErrCode::BOT_NOT_IN_GROUP)),
        }
        if !rate.admit(now, rules) {
            return Err(Refused::code_only(ErrCode::RATE_LIMIT));
        }
        Ok((bot, rate))
    }
}

impl World {
    pub(super) fn webhook_send(
        &mut self,
        now: Timestamp,
        call: &Call,
        lost: bool,
    ) -> Result<Receipt, Refused> {
        let key = call
            .query
            .get("key")
            .map(String::as_str)
            .unwrap_or_default();
        let (bot, rate) = self.bots.admit(now, key, &self.rules)?;
        let sender = Sender::Bot(bot.key.clone());
        let (envelope, content) = match read(call, &self.rules) {
            Ok(read) => read,
            Err(refused) => {
                if !self.rules.refused_counts {
                    rate.give_back();
                }
                return Err(refused);
            }
        };
        let warnings = content.warnings(&envelope, &self.directory);
        self.outbox.accept(Message {
            seq: 0,
            at: now,
            sender,
            content,
            body: call.body.clone(),
            shown_to: Vec::new(),
            dropped_for: Vec::new(),
            fate: Fate::Shown,
            reply: ReplyFate::of(lost),
            warnings,
        });
        Ok(Receipt::default())
    }
}

fn read(call: &Call, rules: &Rules) -> Result<(Envelope, Content), Refused> {
    call.require_post()?;
    let envelope = Envelope::parse(&call.body, Channel::Bot, rules)?;
    let content = Content::parse(&envelope, Channel::Bot, rules)?;
    Ok((envelope, content))
}
