//! From settings to receivers: who is one destination, what its channel takes, how its relay is
//! reached. Starts nothing.

use std::sync::Arc;
use std::time::Duration;

use alert_engine::LaneKey;
use lettre::Address;
use lettre::message::Mailbox;
use lettre::transport::smtp::extension::ClientId;

use super::account::{Accounts, TURN};
use super::classify::Step;
use super::deliver::TRANSACTIONS;
use super::mime::Stationery;
use super::smtp::{QUIT, Relay, Tcp, deadline};
use super::{CHANNEL, Email, provider, token};
use crate::config::{self, Recipients, SmtpProof};
use crate::receiver::{BuildError, Destination, Limits, tls};
use crate::render::{Renderer, clean};

impl Email {
    /// The receivers for one entry of `email_configs` of the receiver `name`: one for each
    /// address, or one for all. Starts no connection.
    pub fn build(
        name: &str,
        config: &config::Email,
        accounts: &Accounts,
        renderer: &Arc<Renderer>,
    ) -> Result<Vec<Self>, BuildError> {
        let mails = Addressed::all(config).into_iter();
        mails
            .map(|mail| Self::to(name, &mail, config, accounts, renderer))
            .collect()
    }

    fn to(
        name: &str,
        mail: &Addressed<'_>,
        config: &config::Email,
        accounts: &Accounts,
        renderer: &Arc<Renderer>,
    ) -> Result<Self, BuildError> {
        let recipients: Vec<_> = mail.reaches.iter().map(|to| to.email.clone()).collect();
        let written = [&config.from.email, &config.envelope_from];
        let foreign = |address: &&Address| !address.to_string().is_ascii();
        if let Some(address) = recipients.iter().chain(written).find(foreign) {
            return Err(BuildError::Address(address.to_string()));
        }
        let keys = addresses(&recipients);
        let account = accounts.get(config);
        Ok(Self {
            destination: destination(&keys, &recipients),
            limits: limits(config, &keys),
            login: accounts.login(config)?,
            stationery: stationery(name, mail.names, config),
            thread: config.thread,
            shows_state: config.subject_status,
            relay: relay(config)?,
            quota: account.quota(recipients.len()),
            account,
            renderer: renderer.clone(),
            dial: Box::new(Tcp),
            recipients,
        })
    }
}

/// One mail: whom it names in To, and whom it reaches.
struct Addressed<'a> {
    names: &'a [Mailbox],
    reaches: Vec<&'a Mailbox>,
}

impl<'a> Addressed<'a> {
    /// Whoever gets a blind copy is told whom the others see, and is named to nobody.
    fn all(config: &'a config::Email) -> Vec<Self> {
        let to = &config.to;
        let one = |names, reached| Self {
            names,
            reaches: vec![reached],
        };
        match config.recipients {
            Recipients::Individual => {
                let open = to.chunks(1).map(|name| one(name, &name[0]));
                open.chain(config.bcc.iter().map(|hidden| one(to, hidden)))
                    .collect()
            }
            Recipients::Shared => vec![Self {
                names: to,
                reaches: to.iter().chain(&config.bcc).collect(),
            }],
        }
    }
}

/// Addresses as people take them for the same: without case, in order, once each.
fn addresses(recipients: &[Address]) -> Vec<String> {
    let mut keys: Vec<_> = recipients
        .iter()
        .map(|to| to.to_string().to_lowercase())
        .collect();
    keys.sort();
    keys.dedup();
    keys
}

fn destination(keys: &[String], recipients: &[Address]) -> Destination {
    let mut parts: Vec<&[u8]> = vec![CHANNEL.as_bytes()];
    parts.extend(keys.iter().map(String::as_bytes));
    let others = match recipients.len() {
        1 => String::new(),
        n => format!(" and {} more", n - 1),
    };
    let label = clean(&format!("{}{others}", recipients[0]));
    Destination {
        channel: CHANNEL,
        key: LaneKey::of(&parts),
        label,
    }
}

/// Each address has its own counters, whichever receiver writes to it.
fn limits(config: &config::Email, keys: &[String]) -> Limits {
    Limits {
        windows: provider::of_address(config),
        shared: keys
            .iter()
            .map(|key| LaneKey::of(&[b"email address", key.as_bytes()]))
            .collect(),
        deadline: whole_deadline(keys.len(), wants_token(config)),
        priority_exempt_hourly: true,
    }
}

fn wants_token(config: &config::Email) -> bool {
    let proof = config.auth.as_ref().map(|auth| &auth.proof);
    matches!(proof, Some(SmtpProof::OAuth2(_)))
}

/// The sum of all steps at their slowest. A token may be refused once.
fn whole_deadline(recipients: usize, wants_token: bool) -> Duration {
    let open = [
        Step::Connect,
        Step::Tls,
        Step::Greeting,
        Step::Greeting,
        Step::Greeting,
        Step::StartTls,
        Step::StartTls,
        Step::Auth,
    ];
    let open: Duration = open.into_iter().map(deadline).sum();
    let open = match wants_token {
        true => (token::CALL + open) * 2,
        false => open,
    };
    let stale = deadline(Step::Mail);
    let each = [Step::Mail, Step::Mail, Step::Data, Step::Text, Step::Dot];
    let each: Duration = each.into_iter().map(deadline).sum();
    let recipients = u32::try_from(recipients).unwrap_or(u32::MAX);
    // A recipient may be asked for once in each transaction.
    let all = each.saturating_add(deadline(Step::Rcpt).saturating_mul(recipients));
    let transactions = if recipients == 1 { 1 } else { TRANSACTIONS };
    TURN + stale + open + QUIT + all.saturating_mul(transactions)
}

fn stationery(name: &str, to: &[Mailbox], config: &config::Email) -> Stationery {
    // lettre panics on line breaks and NUL in a display name.
    let quiet =
        |mailbox: &Mailbox| Mailbox::new(mailbox.name.as_deref().map(clean), mailbox.email.clone());
    Stationery {
        from: quiet(&config.from),
        envelope_from: config.envelope_from.clone(),
        reply_to: config.reply_to.as_ref().map(quiet),
        to: to.iter().map(quiet).collect(),
        headers: config.headers.clone(),
        domain: config.id_domain.clone(),
        list: name.to_owned(),
    }
}

/// How the account's relay is reached.
pub(super) fn relay(config: &config::Email) -> Result<Relay, BuildError> {
    let host = &config.smarthost.host;
    let name = config.trust.server_name.as_ref().unwrap_or(host);
    let server_name = rustls::pki_types::ServerName::try_from(name.clone())
        .map_err(|_| BuildError::ServerName(name.clone()))?;
    let hello = config
        .hello
        .clone()
        .or_else(|| hostname::get().ok()?.into_string().ok());
    Ok(Relay {
        host: host.clone(),
        port: config.smarthost.port,
        tls: config.tls,
        server_name,
        ca_pem: config.trust.ca_pem.clone(),
        client_config: Arc::new(tls::client_config(&config.trust)?),
        hello: ClientId::Domain(hello.unwrap_or_else(|| config.id_domain.clone())),
        auth: config.auth.clone(),
    })
}
