//! Tests of sessions that carry several mails: how few they are, and what is lost when one ends,
//! which is nothing.

use std::time::Duration;

use futures_util::future::join_all;

use super::testing::{Act, Server, World, auth, delivery, header, settings};
use super::*;
use crate::clock::Clock;
use crate::config::Recipients;
use crate::message::Reason;
use crate::receiver::Failure;
use crate::render::samples;

const ONE: &[&str] = &["a@example.com"];

/// Hands in the sample message.
async fn send(email: &Email) -> Result<Receipt, SendError> {
    email
        .send(&delivery(email, &samples::group(Reason::First)))
        .await
}

/// Lets time pass, and everybody do what is due.
async fn pass(seconds: u64) {
    let never = std::future::pending::<()>();
    let _ = tokio::time::timeout(Duration::from_secs(seconds), never).await;
}

fn closing(reply: &str) -> Act {
    Act::SayAndClose(format!("{reply}\r\n").into_bytes())
}

#[tokio::test(start_paused = true)]
async fn a_hundred_mails_need_five_or_six_connections_and_logins() {
    let server = Server::new();
    let mut settings = settings(ONE);
    settings.auth = auth();
    let email = World::new().receiver(&settings, &server);
    let results = join_all((0..100).map(|_| send(&email))).await;
    assert!(results.iter().all(Result::is_ok));
    assert_eq!(server.log().mails.len(), 100);
    let connections = server.heard("(connect)");
    assert!((5..=6).contains(&connections), "{connections}");
    assert_eq!(server.heard("AUTH"), connections);
}

#[tokio::test(start_paused = true)]
async fn receivers_share_the_sessions_of_their_account_if_they_reach_it_alike() {
    let server = Server::new();
    let world = World::new();
    let mut all = settings(&["a@example.com", "b@example.com", "c@example.com"]);
    all.recipients = Recipients::Individual;
    let mut other = all.clone();
    other.hello = Some("other.example.com".into());
    let clock: Arc<dyn Clock> = world.clock.clone();
    let accounts = Accounts::of([&all, &other], &clock);
    for (settings, connections) in [(&all, 1), (&other, 2), (&all, 2)] {
        let emails = Email::build("db-team", settings, &accounts, &world.renderer);
        for mut email in emails.unwrap() {
            email.dial = Box::new(server.clone());
            send(&email).await.unwrap();
        }
        assert_eq!(server.heard("(connect)"), connections);
    }
    assert_eq!(server.log().mails.len(), 9);
}

#[tokio::test(start_paused = true)]
async fn a_session_that_nobody_needs_says_good_bye_in_ten_seconds() {
    let server = Server::new();
    let email = World::new().receiver(&settings(ONE), &server);
    send(&email).await.unwrap();
    pass(9).await;
    assert_eq!(server.heard("QUIT"), 0);
    send(&email).await.unwrap();
    pass(9).await;
    assert_eq!((server.heard("QUIT"), server.heard("(connect)")), (0, 1));
    pass(2).await;
    assert_eq!(server.heard("QUIT"), 1);
    send(&email).await.unwrap();
    assert_eq!(server.heard("(connect)"), 2);
}

#[tokio::test(start_paused = true)]
async fn a_session_that_ended_before_mail_from_is_replaced_at_once() {
    let ends = [
        // Between the mails: noticed, or said, or found out at MAIL FROM.
        (".", closing("250 2.0.0 queued")),
        (".", closing("250 2.0.0 queued\r\n421 4.4.2 idle")),
        (".", Act::Say(b"250 ok\r\n421 4.4.2 bye\r\n".to_vec())),
    ];
    let at_mail = [
        ("MAIL", Act::Close),
        ("MAIL", closing("421 4.4.2 idle")),
        ("MAIL", Act::Say(b"450 MI:DMC\r\n".to_vec())),
        ("MAIL", Act::Say(b"nonsense\r\n".to_vec())),
        ("MAIL", Act::Hang),
    ];
    let early = ends.into_iter().map(|end| (0, end));
    for (after, (line, act)) in early.chain(at_mail.into_iter().map(|end| (1, end))) {
        let server = Server::new().at(line, act.clone()).after(after);
        let email = World::new().receiver(&settings(ONE), &server);
        for _ in 0..2 {
            send(&email)
                .await
                .unwrap_or_else(|error| panic!("{line} {act:?}: {error:?}"));
            pass(1).await;
        }
        assert_eq!(server.log().mails.len(), 2, "{line} {act:?}");
        assert_eq!(server.heard("(connect)"), 2, "{line} {act:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_session_that_ends_in_a_mail_means_what_it_means_in_a_new_one() {
    let lost = (Failure::Failed { retry_after: None }, "connection");
    let minute = Some(Duration::from_secs(60));
    let ambiguous = (
        Failure::Failed {
            retry_after: minute,
        },
        "ambiguous",
    );
    let cases = [
        ("RCPT", lost, 1),
        ("DATA", lost, 1),
        ("(body)", lost, 1),
        (".", ambiguous, 2),
    ];
    for (line, (failure, reason), taken) in cases {
        let server = Server::new().at(line, Act::Close).after(1);
        let mut long = settings(ONE);
        // More than the stream holds, so that a server that does not read is noticed.
        let header = |n| header(&format!("X-Long-{n}"), &"long ".repeat(100));
        long.headers = (0..200).map(header).collect();
        let email = World::new().receiver(&long, &server);
        send(&email).await.unwrap();
        let error = send(&email).await.unwrap_err();
        assert_eq!((error.failure, error.reason), (failure, reason), "{line}");
        assert_eq!(server.log().mails.len(), taken, "{line}");
        assert_eq!(server.heard("(connect)"), 1, "{line}: not tried again here");
        send(&email).await.unwrap();
        assert_eq!(server.heard("(connect)"), 2, "{line}: nor used again");
    }
}

#[tokio::test(start_paused = true)]
async fn a_refusal_of_the_mail_or_the_account_is_not_asked_for_twice() {
    for reply in [
        "550 Ip frequency limited",
        "553 sender refused",
        "552 5.3.4 too large",
    ] {
        let server = Server::new().says("MAIL", reply).after(1);
        let mut settings = settings(ONE);
        settings.smarthost.host = "smtp.qq.com".into();
        let email = World::new().receiver(&settings, &server);
        send(&email).await.unwrap();
        send(&email).await.unwrap_err();
        assert_eq!(server.heard("(connect)"), 1, "{reply}");
    }
}

#[tokio::test(start_paused = true)]
async fn only_a_transaction_that_came_to_its_end_is_followed_by_another() {
    for (line, reply, connections) in [
        ("RCPT", "550 5.1.1 no such user", 1),
        ("DATA", "554 no", 2),
        (".", "554 spam", 2),
    ] {
        let server = Server::new().says(line, reply);
        let email = World::new().receiver(&settings(ONE), &server);
        for _ in 0..2 {
            send(&email).await.unwrap_err();
        }
        assert_eq!(server.heard("(connect)"), connections, "{line} {reply}");
    }
}
