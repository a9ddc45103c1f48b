//! Hands one mail in for several recipients over one session, each with a result of its own.

use lettre::Address;

use super::classify::{Meaning, Step, meaning};
use super::outcome::{Fate, Fates, failed, refusal, trouble_error};
use super::reply::Reply;
use super::smtp::{Session, Trouble};
use crate::receiver::SendError;

/// Transactions on one session at most: servers that take few recipients at once get the others
/// in further ones; what is left then is tried again later.
pub(super) const TRANSACTIONS: u32 = 4;

/// Begins a transaction. When that fails nothing was handed in.
pub(super) async fn begin(
    session: &mut Session,
    host: &str,
    from: &Address,
    size: usize,
) -> Result<(), SendError> {
    let begun = session.mail(from, size).await;
    let begun = begun.and_then(|reply| judge(host, Step::Mail, reply));
    begun
        .map(drop)
        .map_err(|trouble| trouble_error(host, trouble))
}

/// Hands in `mail` for `recipients` in the transaction that has `begun`, and in further ones; every
/// recipient has a fate afterwards.
pub(super) async fn deliver(
    session: &mut Session,
    host: &str,
    from: &Address,
    recipients: &[Address],
    mail: &[u8],
    mut begun: Result<(), SendError>,
) -> Fates {
    let mut fates = Fates::new();
    let mut waiting = recipients.to_vec();
    for transaction in 0..TRANSACTIONS {
        if transaction > 0 {
            begun = begin(session, host, from, mail.len()).await;
        }
        let ended = match &begun {
            Ok(()) => transact(session, host, &waiting, mail, &mut fates).await,
            Err(error) => Err(error.clone()),
        };
        waiting.retain(|address| !fates.contains_key(&address.to_string()));
        if let Err(error) = ended {
            share(&mut fates, &waiting, &error);
            return fates;
        }
        if waiting.is_empty() {
            return fates;
        }
    }
    let error = failed(
        "too_many_recipients",
        "the relay takes only a few recipients at once",
        None,
    );
    share(&mut fates, &waiting, &error);
    fates
}

/// A transaction that has begun. Recipients without a fate afterwards were too many for it. An error
/// ends the session, and is the fate of all who have none: no reply after it could be trusted to
/// answer the command that it follows.
async fn transact(
    session: &mut Session,
    host: &str,
    recipients: &[Address],
    mail: &[u8],
    fates: &mut Fates,
) -> Result<(), SendError> {
    let broken = |trouble| trouble_error(host, trouble);
    let accepted = ask_for(session, host, recipients, fates).await?;
    if accepted.is_empty() {
        session.reset().await.map_err(broken)?;
        return Ok(());
    }
    let handed = match hand_over(session, host, mail).await {
        Ok(answer) => Ok(answer),
        Err(Trouble::Refused { step, reply }) => {
            Err((refusal(host, step, &reply), reply.code == 421))
        }
        Err(trouble) => Err((trouble_error(host, trouble), true)),
    };
    let fate = match &handed {
        Ok(answer) => Fate::Taken(answer.clone()),
        Err((error, _)) => Fate::Not(error.clone()),
    };
    fates.extend(accepted.iter().map(|to| (to.to_string(), fate.clone())));
    match handed {
        Err((_, true)) => Err(failed(
            "connection",
            "the session ended at another recipient's mail",
            None,
        )),
        Err((_, false)) | Ok(_) => Ok(()),
    }
}

/// Names the recipients; gives back those whom the server accepts in this transaction.
async fn ask_for<'a>(
    session: &mut Session,
    host: &str,
    recipients: &'a [Address],
    fates: &mut Fates,
) -> Result<Vec<&'a Address>, SendError> {
    let mut accepted = Vec::new();
    for recipient in recipients {
        let reply = session
            .rcpt(recipient)
            .await
            .map_err(|trouble| trouble_error(host, trouble))?;
        let error = match meaning(host, Step::Rcpt, &reply) {
            Meaning::Accepted => {
                accepted.push(recipient);
                continue;
            }
            Meaning::TooMany if !accepted.is_empty() => break,
            Meaning::Later { .. }
            | Meaning::Limited { .. }
            | Meaning::TooMany
            | Meaning::Never
            | Meaning::TooLarge
            | Meaning::Config => refusal(host, Step::Rcpt, &reply),
        };
        if reply.code == 421 {
            return Err(error);
        }
        fates.insert(recipient.to_string(), Fate::Not(error));
    }
    Ok(accepted)
}

/// DATA, the mail, the final dot. `Ok` is the one proof of delivery.
async fn hand_over(session: &mut Session, host: &str, mail: &[u8]) -> Result<String, Trouble> {
    judge(host, Step::Data, session.data().await?)?;
    let reply = judge(host, Step::Dot, session.text(mail).await?)?;
    Ok(reply.words())
}

fn share(fates: &mut Fates, recipients: &[Address], error: &SendError) {
    for recipient in recipients {
        fates
            .entry(recipient.to_string())
            .or_insert_with(|| Fate::Not(error.clone()));
    }
}

/// The reply, if it lets the conversation go on.
fn judge(host: &str, step: Step, reply: Reply) -> Result<Reply, Trouble> {
    if meaning(host, step, &reply) == Meaning::Accepted {
        return Ok(reply);
    }
    Err(Trouble::Refused { step, reply })
}
