//! A mail server that refuses one of three recipients: the others hear once, and somebody learns
//! of the one. In one mail for all, with a blind copy, and in one mail for each.

use serde_json::{Value, json};
use stack_tests::parts::{Program, installed, until};

use crate::stack::{Stack, Wishes};

const USERS: [&str; 6] = ["oncall", "a", "b", "c", "d", "hidden"];

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_recipient_is_reported_and_the_others_hear_exactly_once() {
    if !installed("end to end: a refused recipient", &Program::ALL) {
        return;
    }
    let stack = Stack::start(wishes()).await;

    stack.target.set("db-1", 95.0);
    stack.heard(1).await;
    let router = &stack.router;
    until("the refusals are reported", async || {
        let together = "receiver=\"together\"";
        let each = "receiver=\"each\"";
        let refused = router
            .metric("alert_router_recipients_refused_total", &[together])
            .await?;
        let given_up = router
            .metric("alert_router_dead_letters_total", &[each])
            .await?;
        let inbox = titles(&router.list("inbox").await?);
        let told = ["gone@mail.test", "left@mail.test"].map(|who| inbox.contains(who));
        if (refused, given_up, told) == (1.0, 1.0, [true; 2]) {
            Ok(())
        } else {
            Err(format!(
                "{refused} refused, {given_up} given up, inbox:\n{inbox}"
            ))
        }
    })
    .await;
    let letters = stack.router.list("dead-letters").await.unwrap();
    assert_eq!(letters.len(), 1, "{letters:#?}");
    assert_eq!(letters[0]["code"], "550", "{letters:#?}");

    stack.target.set("db-1", 10.0);
    stack.heard_exactly(2).await;
    for user in ["a", "b", "c", "d", "hidden"] {
        let mails = until("the end", async || {
            let mails = stack.mail.mails(user).await?;
            let ended = mails.iter().any(|mail| mail.status == "resolved");
            if ended {
                Ok(mails)
            } else {
                Err(format!("{} mails", mails.len()))
            }
        })
        .await;
        let statuses: Vec<_> = mails.iter().map(|mail| &*mail.status).collect();
        assert_eq!(statuses, ["firing", "resolved"], "{user}");
        let mut named = mails.iter().flat_map(|mail| &mail.to);
        assert!(!named.any(|to| to.contains("hidden")), "{user}");
    }
}

/// One receiver that writes one mail for all, one that writes one for each; both name an address that
/// the mail server refuses.
fn wishes() -> Wishes<'static> {
    Wishes {
        users: &USERS,
        refused: &["gone", "left"],
        routes: json!([
            { "receiver": "together", "continue": true },
            { "receiver": "each", "continue": true },
            { "receiver": "oncall" },
        ]),
        receivers: vec![
            receiver(
                "together",
                "a@mail.test, gone@mail.test, b@mail.test",
                "shared",
                Some("hidden@mail.test"),
            ),
            receiver(
                "each",
                "c@mail.test, left@mail.test, d@mail.test",
                "individual",
                None,
            ),
        ],
        ..Wishes::default()
    }
}

fn receiver(name: &str, to: &str, recipients: &str, bcc: Option<&str>) -> Value {
    let mut email = json!({ "to": to, "recipients": recipients });
    if let Some(bcc) = bcc {
        email["bcc"] = json!(bcc);
    }
    json!({ "name": name, "email_configs": [email] })
}

fn titles(inbox: &[Value]) -> String {
    let text = |entry: &Value| entry["text"].as_str().unwrap_or_default().to_owned();
    inbox.iter().map(text).collect::<Vec<_>>().join("\n")
}
