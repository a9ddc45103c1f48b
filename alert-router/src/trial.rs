//! A message marked as a test, to every destination of a receiver, the way a real one goes. A person
//! asked for it, so it waits for no circuit, and tells no lane how it ended. From a running server it
//! takes its slots from the budget of its destination; a command has no budget to look at.

use std::sync::Arc;

use alert_engine::{DeliveryId, Timestamp};

use crate::message::{Message, Says};
use crate::plan::Outlet;
use crate::receiver::{Delivery, Failure, Progress, Receipt, RenderError, Rendering, SendError};
use crate::render::{Language, Phrase};
use crate::store::Store;
use crate::turn::slots::{self, NoSlot};

/// How a test ended at one destination.
#[derive(Debug)]
pub(crate) struct Tested {
    /// `email`, `wecom_bot` …
    pub(crate) channel: &'static str,
    /// To whom, as people may see it.
    pub(crate) destination: String,
    /// What the provider answered.
    pub(crate) result: Result<Receipt, SendError>,
}

/// Sends to one destination after the other; returns when all have answered. `budgets`: where those
/// of the destinations are kept.
pub(crate) async fn send(
    outlets: &[Arc<Outlet>],
    budgets: Option<&dyn Store>,
    now: Timestamp,
) -> Vec<Tested> {
    let mut tested = Vec::new();
    for outlet in outlets {
        let destination = outlet.receiver.destination();
        tested.push(Tested {
            channel: destination.channel,
            destination: destination.label.clone(),
            result: send_one(outlet, budgets, now).await,
        });
    }
    tested
}

/// What a command says of an inbox: it lives in the server, and what is put anywhere else nobody sees.
pub(crate) fn needs_server(outlet: &Outlet) -> Tested {
    let destination = outlet.receiver.destination();
    let test = format!("/api/v1/receivers/{}/test", outlet.name);
    Tested {
        channel: destination.channel,
        destination: destination.label.clone(),
        result: Err(SendError {
            failure: Failure::Refused,
            reason: "no_server",
            code: None,
            answer: "the inbox lives in the server, which this command does not ask".to_owned(),
            fix: Some(Phrase::new(
                format!("press the test button on the server's page, or POST {test}"),
                format!("请在服务器的页面上点击测试按钮，或 POST {test}"),
            )),
            progress: Progress::new(),
        }),
    }
}

async fn send_one(
    outlet: &Outlet,
    budgets: Option<&dyn Store>,
    now: Timestamp,
) -> Result<Receipt, SendError> {
    let name = outlet.name.as_bytes();
    let id = DeliveryId::of(&[b"test", name, &now.as_millis().to_le_bytes()]);
    let message = Message {
        id,
        created: now,
        receiver: outlet.name.to_string(),
        says: Says::Test,
    };
    let rendering = Rendering {
        message: &message,
        memory: None,
        locale: &outlet.locale,
    };
    let parts = outlet.receiver.render(&rendering).map_err(unrendered)?;
    let delivery = Delivery {
        id,
        attempt: 1,
        created: now,
        parts,
        progress: Progress::new(),
    };
    if let Some(store) = budgets {
        let taken = slots::take(store, &*outlet.receiver, delivery.messages()).await;
        taken.map_err(no_slot)?;
    }
    outlet.receiver.send(&delivery).await
}

fn no_slot(why: NoSlot) -> SendError {
    let (failure, reason, answer, fix) = match why {
        NoSlot::For(wait) => {
            let seconds = wait.as_secs() + 1;
            let again = Phrase::new(
                format!("try again in {seconds} s"),
                format!("请在 {seconds} 秒后重试"),
            );
            let answer = "the budget of the destination is used up".to_owned();
            (
                Failure::Deferred { wait },
                "rate_limited",
                answer,
                Some(again),
            )
        }
        NoSlot::Store(error) => {
            let failure = Failure::Failed { retry_after: None };
            (failure, "store", error.to_string(), None)
        }
    };
    SendError {
        failure,
        reason,
        code: None,
        answer,
        fix,
        progress: Progress::new(),
    }
}

fn unrendered(error: RenderError) -> SendError {
    SendError {
        failure: Failure::Refused,
        reason: "render",
        code: None,
        answer: error.to_string(),
        fix: None,
        progress: Progress::new(),
    }
}

impl Tested {
    /// Whether everybody there has it.
    pub(crate) fn is_good(&self) -> bool {
        matches!(&self.result, Ok(receipt) if receipt.refused.is_empty())
    }

    /// The provider's answer in its own words, and what to do.
    pub(crate) fn line(&self, language: Language) -> String {
        let Self {
            channel,
            destination,
            result,
        } = self;
        let said = match result {
            Ok(receipt) => arrived(receipt),
            Err(error) => error.explained("\n  "),
        };
        format!("{channel} {destination}: {}\n", said.in_language(language))
    }
}

fn arrived(receipt: &Receipt) -> Phrase {
    let (answer, refused) = (&receipt.answer, &receipt.refused);
    if refused.is_empty() {
        return Phrase::new(
            format!("delivered ({answer})"),
            format!("已送达（{answer}）"),
        );
    }
    let refused = refused
        .iter()
        .map(|r| format!("{}: {}", r.recipient, r.reason));
    let refused = refused.collect::<Vec<_>>().join("; ");
    Phrase::new(
        format!("delivered, but refused by {refused}"),
        format!("已送达，但被以下收件人拒绝：{refused}"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::ManualClock;
    use crate::receiver::RefusedRecipient;
    use crate::receiver::scripted::{Reply, Server};
    use crate::step::tests::{materials, plan};

    fn tested(result: Result<Receipt, SendError>) -> Tested {
        Tested {
            channel: "email",
            destination: "ops@example.com".to_owned(),
            result,
        }
    }

    #[tokio::test]
    async fn tests_take_slots_from_the_budget_of_their_destination() {
        let ok = |_, _: &_| Reply::Ok(r#"{"errcode":0,"errmsg":"ok"}"#.to_owned());
        let server = Server::start(ok).await;
        let clock = ManualClock::at(Timestamp::from_millis(1_767_268_800_000));
        let materials = materials(&Arc::new(clock));
        let config = format!(
            "receivers: [{{name: room, wecom_configs: [{{bot: {{key: k, api_url: '{}'}}}}]}}]\n\
             route: {{receiver: room}}\n",
            server.url("/cgi-bin/")
        );
        let outlets = plan(&config, &materials).outlets_of("room");
        let (store, now) = (&*materials.store, materials.clock.now());
        let mut last = String::new();
        for _ in 0..10 {
            let tested = send(&outlets, Some(store), now).await;
            last = tested[0].line(Language::English);
        }
        assert_eq!(server.count("/webhook/send"), 9, "half of its window");
        assert!(
            last.contains("the budget of the destination is used up"),
            "{last}"
        );
        assert!(last.contains("to do: try again in 7 s"), "{last}");
    }

    #[test]
    fn a_test_ends_with_the_same_words_in_both_languages() {
        let receipt = Receipt {
            answer: "250 queued".to_owned(),
            ..Receipt::default()
        };
        let partly = Receipt {
            refused: vec![RefusedRecipient {
                recipient: "b@example.com".to_owned(),
                reason: "550 no such user".to_owned(),
            }],
            ..receipt.clone()
        };
        let failed = SendError {
            failure: Failure::Blocked {
                probe_after: std::time::Duration::from_secs(900),
            },
            reason: "auth",
            code: Some("535".to_owned()),
            answer: "535 5.7.8 no".to_owned(),
            fix: Some(Phrase::fixed("check auth_password", "请检查 auth_password")),
            progress: Progress::new(),
        };
        let all = [Ok(receipt), Ok(partly), Err(failed)].map(tested);
        let said = |language| all.iter().map(move |one| one.line(language));
        let both = said(Language::English).chain(said(Language::Chinese));
        insta::assert_snapshot!(both.collect::<String>());
    }
}
