//! What can be learned of a mail account without a mail: the same way into a session that mails
//! take, before somebody's eyes, and then good-bye.

use std::sync::Arc;

use super::account::Accounts;
use super::build::relay;
use super::classify::Step;
use super::login::ended;
use super::reply::Offers;
use super::smtp::{Dial, Proof, Relay, Session, Sight, Tcp, Trouble};
use crate::clock::Clock;
use crate::config::{self, SmtpTls};
use crate::receiver::probe::Findings;
use crate::receiver::redact::Redaction;
use crate::receiver::{BuildError, tls};
use crate::render::Phrase;

/// Whether mails of one go the way of the other.
pub(in crate::receiver) fn is_same_way(one: &config::Email, other: &config::Email) -> bool {
    let place = |email: &config::Email| email.smarthost.to_string().to_ascii_lowercase();
    place(one) == place(other)
        && (one.tls, &one.trust, &one.auth, &one.hello)
            == (other.tls, &other.trust, &other.auth, &other.hello)
}

/// Connects, logs in if the settings say so, and leaves.
pub(in crate::receiver) async fn probe(
    email: &config::Email,
    clock: &Arc<dyn Clock>,
) -> Result<Findings, BuildError> {
    probe_by(email, &Tcp, clock).await
}

pub(super) async fn probe_by(
    email: &config::Email,
    dial: &dyn Dial,
    clock: &Arc<dyn Clock>,
) -> Result<Findings, BuildError> {
    let relay = relay(email)?;
    let login = Accounts::of([email], clock).login(email)?;
    let mut found = Findings::default();
    let proof = match login.proof().await {
        Ok(proof) => proof,
        Err(error) => return Ok(found.ended(error)),
    };
    if let Some(Proof::Token(_)) = proof {
        found.note("token", "fetched from auth_oauth2.token_url");
    }
    let redaction = Redaction::of(email.auth.iter().flat_map(|auth| login.secrets(auth)));
    let mut watch = |sight: Sight<'_>| {
        let (what, said) = line(&relay, sight);
        found.note(what, redaction.clean(&said));
    };
    match Session::open_watched(&relay, proof.as_ref(), dial, &mut watch).await {
        Ok(session) => {
            session.quit().await;
            Ok(found)
        }
        Err(trouble) => {
            let hint = hint(&relay, &trouble);
            let mut error = ended(&relay.host, proof.as_ref(), trouble);
            error.answer = redaction.clean(&error.answer);
            error.fix = error.fix.or(hint);
            Ok(found.ended(error))
        }
    }
}

fn line(relay: &Relay, sight: Sight<'_>) -> (&'static str, String) {
    match sight {
        Sight::Connected(peer) => ("address", peer.to_string()),
        Sight::Greeted(reply) => ("greeting", reply.words()),
        Sight::Protected(version) => ("TLS", tls::shown(version, &relay.server_name.to_str())),
        Sight::Offered(offers) => ("offers", offered(offers)),
        Sight::LoggingIn(mechanism) => ("login", format!("with AUTH {mechanism}")),
        Sight::LoggedIn(reply) => ("accepted", reply.words()),
    }
}

/// What the server can do of what matters here, and what it cannot.
fn offered(offers: &Offers) -> String {
    let size = offers.size.map(|most| format!("SIZE {most}"));
    let auth = (!offers.auth.is_empty()).then(|| format!("AUTH {}", offers.auth.join(" ")));
    let named = |has: bool, name: &str| has.then(|| name.to_owned());
    let all = [
        (named(offers.start_tls, "STARTTLS"), "STARTTLS"),
        (size, "SIZE"),
        (named(offers.eight_bit, "8BITMIME"), "8BITMIME"),
        (named(offers.utf8, "SMTPUTF8"), "SMTPUTF8"),
        (auth, "AUTH"),
    ];
    let (has, lacks): (Vec<_>, Vec<_>) = all.into_iter().partition(|(has, _)| has.is_some());
    let has: Vec<String> = has.into_iter().filter_map(|(has, _)| has).collect();
    let lacks: Vec<&str> = lacks.into_iter().map(|(_, name)| name).collect();
    let list = |names: String| {
        if names.is_empty() {
            "nothing".to_owned()
        } else {
            names
        }
    };
    format!("{}; lacks {}", list(has.join(", ")), list(lacks.join(", ")))
}

/// What a silence or a broken connection often comes from, for people who look at it now.
fn hint(relay: &Relay, trouble: &Trouble) -> Option<Phrase> {
    let (Trouble::Lost { step, .. } | Trouble::Late { step }) = trouble else {
        return None;
    };
    match (step, relay.tls) {
        (Step::Tls, SmtpTls::Implicit) => Some(Phrase::fixed(
            "TLS from the first byte is usually on port 465; for STARTTLS, on port 587, remove \
             force_implicit_tls",
            "一开始就加密的 TLS 通常在 465 端口；若用 587 端口的 STARTTLS，请去掉 force_implicit_tls",
        )),
        (Step::Greeting, SmtpTls::StartTls | SmtpTls::Plain) => Some(Phrase::fixed(
            "whoever listens there is slow or expects TLS from the first byte: check the port, or \
             set force_implicit_tls: true",
            "对方响应缓慢，或要求一开始就使用 TLS：请检查端口，或设置 force_implicit_tls: true",
        )),
        _ => None,
    }
}
