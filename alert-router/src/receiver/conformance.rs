//! What every receiver promises, as one list of checks. A new receiver is one line in [`suite!`]
//! and a [`Subject`] that says how its provider behaves.

use std::sync::{Arc, Mutex, PoisonError};

use alert_engine::DeliveryId;

use super::{Delivery, Failure, Part, Progress, Receipt, Receiver, Rendering, SendError};
use crate::message::Message;
use crate::render::{Language, samples};

pub(super) mod corpus;
mod subjects;

/// How a provider behaves towards one receiver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Behaviour {
    /// Takes everything.
    Accept,
    /// Takes the call and never answers.
    HangBeforeAnswer,
    /// Begins to answer and never ends.
    HangInAnswer,
    /// Takes the message and loses the answer.
    LoseAnswer,
    /// Refuses, with everything that it was sent in its reason.
    Echo,
}

/// A receiver with its provider.
pub(super) struct Stage {
    pub(super) receiver: Box<dyn Receiver>,
    /// Its `Debug` output.
    pub(super) debug: String,
    /// How many messages the provider was sent.
    pub(super) sent: Box<dyn Fn() -> usize + Send + Sync>,
}

/// A kind of receiver under test.
pub(super) trait Subject {
    /// Everything secret that its settings hold.
    const SECRETS: &'static [&'static str];
    /// Builds it with settings that hold all of [`Self::SECRETS`].
    async fn stage(behaviour: Behaviour) -> Stage;
}

macro_rules! suite {
    ($($name:ident: $subject:ty,)+) => {$(
        mod $name {
            use super::*;

            #[tokio::test]
            async fn renders_the_same_bytes_twice_in_at_most_three_parts() {
                rendering::<$subject>().await;
            }

            #[tokio::test]
            async fn delivers_and_leaves_out_what_was_confirmed() {
                progress::<$subject>().await;
            }

            #[tokio::test(start_paused = true)]
            async fn keeps_its_deadline_when_the_provider_hangs() {
                deadline::<$subject>().await;
            }

            #[tokio::test]
            async fn says_failed_when_nobody_knows_whether_it_arrived() {
                ambiguity::<$subject>().await;
            }

            #[tokio::test]
            async fn shows_no_secret_anywhere() {
                leak::<$subject>().await;
            }
        }
    )+};
}

suite! {
    wecom_bot: subjects::WecomBotSubject,
    wecom_app: subjects::WecomAppSubject,
    webhook: subjects::WebhookSubject,
    inbox: subjects::InboxSubject,
    email: crate::receiver::email::testing::EmailSubject,
}

async fn rendering<S: Subject>() {
    let stage = S::stage(Behaviour::Accept).await;
    for (name, message) in samples::all().into_iter().chain(corpus::hostile()) {
        let parts = parts(&*stage.receiver, &message);
        assert_eq!(parts, self::parts(&*stage.receiver, &message), "{name}");
        assert!(
            (1..=3).contains(&parts.len()),
            "{name}: {} parts",
            parts.len()
        );
        let ids: std::collections::BTreeSet<_> = parts.iter().map(|part| &part.id).collect();
        assert_eq!(ids.len(), parts.len(), "{name}: part ids are unique");
        assert!(parts.iter().all(|part| !part.body.is_empty()), "{name}");
    }
}

async fn progress<S: Subject>() {
    let stage = S::stage(Behaviour::Accept).await;
    let mut delivery = delivery(&*stage.receiver);
    stage.receiver.send(&delivery).await.unwrap();
    assert_eq!((stage.sent)(), delivery.parts.len());
    delivery.progress = delivery.parts.iter().map(|part| part.id.clone()).collect();
    delivery.attempt = 2;
    stage.receiver.send(&delivery).await.unwrap();
    assert_eq!(
        (stage.sent)(),
        delivery.parts.len(),
        "nothing is sent twice"
    );
}

async fn deadline<S: Subject>() {
    for behaviour in [Behaviour::HangBeforeAnswer, Behaviour::HangInAnswer] {
        let stage = S::stage(behaviour).await;
        let delivery = delivery(&*stage.receiver);
        let deadline = stage.receiver.limits().deadline;
        let late = deadline + std::time::Duration::from_millis(1);
        let sent = tokio::time::timeout(late, stage.receiver.send(&delivery)).await;
        let error = sent.expect("it returns within its deadline").unwrap_err();
        has_known_reason(&*stage.receiver, &error);
        assert!(
            matches!(error.failure, Failure::Failed { .. }),
            "{behaviour:?}: {error:?}"
        );
    }
}

async fn ambiguity<S: Subject>() {
    let stage = S::stage(Behaviour::LoseAnswer).await;
    let error = stage
        .receiver
        .send(&delivery(&*stage.receiver))
        .await
        .unwrap_err();
    has_known_reason(&*stage.receiver, &error);
    assert!(matches!(error.failure, Failure::Failed { .. }), "{error:?}");
}

fn has_known_reason(receiver: &dyn Receiver, error: &SendError) {
    let mut known = super::reasons(receiver.destination().channel);
    assert!(known.any(|known| known == error.reason), "{error:?}");
}

async fn leak<S: Subject>() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(move || writer.clone())
        .finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    let behaviours = [Behaviour::Accept, Behaviour::Echo, Behaviour::LoseAnswer];
    for behaviour in behaviours {
        let stage = S::stage(behaviour).await;
        let delivery = delivery(&*stage.receiver);
        let result = stage.receiver.send(&delivery).await;
        if let Err(error) = &result {
            has_known_reason(&*stage.receiver, error);
        }
        let ids: Vec<_> = delivery.parts.iter().map(|part| &part.id).collect();
        let said = format!(
            "{} {:?} {:?} {ids:?} {result:?} {}",
            stage.debug,
            stage.receiver.destination(),
            stage.receiver.limits(),
            words(&result),
        );
        for secret in S::SECRETS {
            assert!(
                !said.contains(secret),
                "{behaviour:?} shows {secret}: {said}"
            );
        }
    }
    let log = log.text();
    for secret in S::SECRETS {
        assert!(!log.contains(secret), "the log shows {secret}: {log}");
    }
}

fn words(result: &Result<Receipt, SendError>) -> String {
    match result {
        Ok(receipt) => receipt.answer.clone(),
        Err(error) => error.to_string(),
    }
}

fn parts(receiver: &dyn Receiver, message: &Message) -> Vec<Part> {
    let locale = samples::locale(Language::Chinese);
    let rendering = Rendering {
        message,
        memory: None,
        locale: &locale,
    };
    receiver.render(&rendering).unwrap()
}

fn delivery(receiver: &dyn Receiver) -> Delivery {
    let message = samples::group(crate::message::Reason::First);
    Delivery {
        id: DeliveryId([9; 16]),
        attempt: 1,
        created: message.created,
        parts: parts(receiver, &message),
        progress: Progress::new(),
    }
}

/// Keeps what was logged.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn text(&self) -> String {
        let bytes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let mut log = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        log.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
