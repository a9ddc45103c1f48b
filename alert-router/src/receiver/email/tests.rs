//! How mails are handed in: every step that can fail, and every result that a recipient can have.

use std::time::Duration;

use super::testing::{Act, Certificate, Server, World, auth, delivery, header, settings};
use super::*;
use crate::config::{Recipients, SmtpTls, Trust};
use crate::message::Reason;
use crate::receiver::{BuildError, Failure, Progress, Window};
use crate::render::samples;

const THREE: [&str; 3] = ["a@example.com", "b@example.com", "c@example.com"];

/// Sends the sample message and returns how it ended.
async fn send(settings: &config::Email, server: &Server) -> Result<Receipt, SendError> {
    let world = World::new();
    let email = world.receiver(settings, server);
    email
        .send(&delivery(&email, &samples::group(Reason::First)))
        .await
}

fn failed_after(seconds: u64) -> Failure {
    Failure::Failed {
        retry_after: Some(Duration::from_secs(seconds)),
    }
}

const FAILED: Failure = Failure::Failed { retry_after: None };
const BLOCKED: Failure = Failure::Blocked {
    probe_after: Duration::from_secs(15 * 60),
};

/// Sends to one recipient at `server`, which must fail so.
async fn check(server: Server, failure: Failure, reason: &str) -> SendError {
    let error = send(&settings(&["a@example.com"]), &server)
        .await
        .unwrap_err();
    assert_eq!(
        (error.failure, error.reason),
        (failure, reason),
        "{error:?}"
    );
    error
}

#[tokio::test(start_paused = true)]
async fn a_mail_is_delivered_when_the_final_dot_is_confirmed() {
    let server = Server::new();
    let receipt = send(&settings(&["a@example.com"]), &server).await.unwrap();
    assert_eq!(receipt.answer, "250 2.0.0 queued as 1");
    assert!(receipt.memory.is_some());
    let log = server.log();
    let lines: Vec<_> = log.lines.iter().map(String::as_str).collect();
    assert_eq!(
        lines,
        [
            "(connect)",
            "EHLO router.example.com",
            "MAIL FROM:<bounces@example.com>",
            "RCPT TO:<a@example.com>",
            "DATA",
            "."
        ]
    );
}

#[tokio::test]
async fn a_mail_goes_over_a_real_socket() {
    let server = Server::new();
    let mut settings = settings(&["a@example.com"]);
    settings.smarthost = config::Smarthost {
        host: "127.0.0.1".into(),
        port: server.listen().await,
    };
    let world = World::new();
    let email = world.build(&settings).unwrap().remove(0);
    let delivery = delivery(&email, &samples::group(Reason::First));
    email.send(&delivery).await.unwrap();
    assert_eq!(server.log().mails, [delivery.parts[0].body.to_vec()]);
}

#[tokio::test(start_paused = true)]
async fn f47_a_bad_recipient_does_not_stop_the_others_and_a_slow_one_is_retried_alone() {
    let server = Server::new()
        .says("RCPT TO:<a@", "550 5.1.1 no such user")
        .says("RCPT TO:<c@", "451 4.2.1 later");
    let world = World::new();
    let email = world.receiver(&settings(&THREE), &server);
    let mut delivery = delivery(&email, &samples::group(Reason::First));
    let error = email.send(&delivery).await.unwrap_err();
    assert_eq!((error.failure, error.reason), (FAILED, "temporary"));
    let marks: Vec<_> = error.progress.iter().map(String::as_str).collect();
    assert_eq!(
        marks,
        [
            "mail/b@example.com",
            "refused:mail/a@example.com:550 5.1.1 no such user"
        ]
    );

    let healed = Server::new();
    let email = world.receiver(&settings(&THREE), &healed);
    (delivery.attempt, delivery.progress) = (2, error.progress);
    let receipt = email.send(&delivery).await.unwrap();
    assert_eq!((healed.heard("RCPT"), healed.heard("RCPT TO:<c@")), (1, 1));
    assert_eq!(receipt.refused.len(), 1);
    assert_eq!(receipt.refused[0].recipient, "a@example.com");
    assert_eq!(receipt.refused[0].reason, "550 5.1.1 no such user");
    assert_eq!(
        server.log().mails,
        healed.log().mails,
        "a retry repeats the bytes"
    );
}

#[tokio::test(start_paused = true)]
async fn f48_a_partial_refusal_is_told_and_not_swallowed() {
    let server = Server::new().says("RCPT TO:<b@", "553 5.1.3 bad address");
    let receipt = send(&settings(&THREE), &server).await.unwrap();
    assert_eq!(receipt.refused.len(), 1);
    assert_eq!(receipt.refused[0].recipient, "b@example.com");
    assert_eq!(server.log().mails.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_mail_that_all_recipients_refuse_is_refused() {
    let server = Server::new().says("RCPT", "550 5.1.1 no such user");
    let error = send(&settings(&THREE), &server).await.unwrap_err();
    assert_eq!(
        (error.failure, error.reason),
        (Failure::Refused, "recipient")
    );
    assert_eq!(error.code.as_deref(), Some("550"));
    assert_eq!((server.heard("DATA"), server.heard("RSET")), (0, 1));
}

#[tokio::test(start_paused = true)]
async fn recipients_that_are_too_many_get_the_next_transaction_at_once() {
    let server = Server::new().says("RCPT TO:<c@", "452 4.5.3 too many recipients");
    let error = send(&settings(&THREE), &server).await.unwrap_err();
    assert_eq!(error.progress.len(), 2, "the first two have it: {error:?}");
    assert_eq!(server.heard("MAIL"), 2, "c was asked for again, alone");
}

#[tokio::test(start_paused = true)]
async fn f49_a_server_that_stalls_at_any_step_is_left_in_time() {
    let cases = [
        ("(connect)", 30, "timeout", FAILED),
        ("EHLO", 30, "timeout", FAILED),
        ("MAIL", 60, "timeout", FAILED),
        ("RCPT", 60, "timeout", FAILED),
        ("DATA", 60, "timeout", FAILED),
        ("(body)", 60, "timeout", FAILED),
        (".", 600, "ambiguous", failed_after(60)),
    ];
    for (line, seconds, reason, failure) in cases {
        let server = Server::new().at(line, Act::Hang);
        let world = World::new();
        let mut settings = settings(&["a@example.com"]);
        // More than the stream holds, so that a server that does not read is noticed.
        settings.headers = (0..200)
            .map(|n| header(&format!("X-Long-{n}"), &"long ".repeat(100)))
            .collect();
        let email = world.receiver(&settings, &server);
        let delivery = delivery(&email, &samples::group(Reason::First));
        let result = tokio::time::timeout(email.limits().deadline, email.send(&delivery));
        let before = elapsed();
        let error = result
            .await
            .expect("within the whole deadline")
            .unwrap_err();
        let took = elapsed() - before;
        assert_eq!(
            (error.failure, error.reason),
            (failure, reason),
            "{line}: {error:?}"
        );
        assert!(
            took <= Duration::from_secs(seconds + 2),
            "{line} took {took:?}"
        );
    }
}

#[expect(clippy::disallowed_methods, reason = "virtual time")]
fn elapsed() -> Duration {
    static START: std::sync::OnceLock<tokio::time::Instant> = std::sync::OnceLock::new();
    let now = tokio::time::Instant::now();
    now.duration_since(*START.get_or_init(|| now))
}

#[tokio::test(start_paused = true)]
async fn f50_a_final_dot_answered_with_no_is_a_failure() {
    check(
        Server::new().says(".", "554 5.7.1 spam"),
        Failure::Refused,
        "content",
    )
    .await;
    check(
        Server::new().says(".", "552 5.3.4 too big"),
        Failure::Refused,
        "too_large",
    )
    .await;
    check(
        Server::new().says(".", "451 4.3.0 later"),
        FAILED,
        "temporary",
    )
    .await;
    check(Server::new().says(".", "354 go on"), FAILED, "temporary").await;
}

#[tokio::test(start_paused = true)]
async fn a_loss_after_the_final_dot_may_be_a_delivery_and_one_before_it_is_none() {
    let error = check(
        Server::new().at(".", Act::Close),
        failed_after(60),
        "ambiguous",
    )
    .await;
    assert!(
        error.answer.contains("it may have arrived"),
        "{}",
        error.answer
    );
    for line in ["(connect)", "EHLO", "MAIL", "RCPT", "DATA"] {
        check(Server::new().at(line, Act::Close), FAILED, "connection").await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_closing_server_is_tried_again_later() {
    let closing = || Act::SayAndClose(b"421 4.3.2 shutting down\r\n".to_vec());
    for line in ["(connect)", "EHLO", "MAIL", "RCPT", "DATA", "."] {
        let error = check(Server::new().at(line, closing()), FAILED, "temporary").await;
        assert_eq!(error.code.as_deref(), Some("421"), "{line}");
    }
}

#[tokio::test(start_paused = true)]
async fn refusals_of_us_and_not_of_the_mail_block_the_destination() {
    let error = check(
        Server::new().says("(connect)", "554 no service"),
        BLOCKED,
        "config",
    )
    .await;
    assert!(
        error
            .fix
            .is_some_and(|fix| fix.to_string().contains("smarthost"))
    );
    let error = check(
        Server::new().says("MAIL", "553 must equal user"),
        BLOCKED,
        "config",
    )
    .await;
    assert!(
        error
            .fix
            .is_some_and(|fix| fix.to_string().contains("envelope_from"))
    );
}

#[tokio::test(start_paused = true)]
async fn f52_a_refused_login_pauses_the_account_for_everyone_who_uses_it() {
    let server = Server::new().says("AUTH", "535 5.7.8 wrong password hunter2");
    let world = World::new();
    let mut settings = settings(&THREE);
    (settings.auth, settings.recipients) = (auth(), Recipients::Individual);
    let message = samples::group(Reason::First);
    let mut emails = world.build(&settings).unwrap();
    assert_eq!(emails.len(), 3, "one receiver for each address");
    for email in &mut emails {
        email.dial = Box::new(server.clone());
    }
    for email in &emails {
        let error = email.send(&delivery(email, &message)).await.unwrap_err();
        assert_eq!((error.failure, error.reason), (BLOCKED, "auth"));
        assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");
    }
    assert_eq!(server.heard("AUTH"), 1, "no login loop");
    world.clock.advance(Duration::from_secs(15 * 60));
    emails[1]
        .send(&delivery(&emails[1], &message))
        .await
        .unwrap_err();
    assert_eq!(server.heard("AUTH"), 2, "one probe");
}

#[tokio::test(start_paused = true)]
async fn a_rate_limit_pauses_the_account_and_costs_no_attempt() {
    let server = Server::new().says(".", "550 Ip frequency limited");
    let world = World::new();
    let mut settings = settings(&["a@example.com"]);
    settings.smarthost.host = "smtp.qq.com".into();
    let email = world.receiver(&settings, &server);
    let delivery = delivery(&email, &samples::group(Reason::First));
    let wait = |seconds| Failure::Deferred {
        wait: Duration::from_secs(seconds),
    };
    assert_eq!(email.send(&delivery).await.unwrap_err().failure, wait(600));
    world.clock.advance(Duration::from_secs(60));
    assert_eq!(email.send(&delivery).await.unwrap_err().failure, wait(540));
    assert_eq!(server.heard("(connect)"), 1);
}

#[tokio::test(start_paused = true)]
async fn logins_by_plain_and_by_login_are_understood() {
    let cases = [
        (
            "250-mx\r\n250 AUTH PLAIN LOGIN\r\n",
            "AUTH PLAIN AHVzZXIAaHVudGVyMg==",
        ),
        ("250-mx\r\n250 AUTH LOGIN\r\n", "aHVudGVyMg=="),
        (
            "250-mx\r\n250 auth plain login\r\n",
            "AUTH PLAIN AHVzZXIAaHVudGVyMg==",
        ),
    ];
    for (offers, proof) in cases {
        let server = Server::new().offering(offers);
        let mut settings = settings(&["a@example.com"]);
        settings.auth = auth();
        send(&settings, &server).await.unwrap();
        assert_eq!(server.heard(proof), 1, "{offers}");
    }
}

#[tokio::test(start_paused = true)]
async fn credentials_never_travel_unprotected_to_another_machine() {
    let server = Server::new().far_away();
    let mut settings = settings(&["a@example.com"]);
    settings.auth = auth();
    let error = send(&settings, &server).await.unwrap_err();
    assert_eq!((error.failure, error.reason), (BLOCKED, "no_tls"));
    assert_eq!(server.heard("EHLO"), 0);
}

#[tokio::test(start_paused = true)]
async fn a_server_without_a_known_login_gets_no_credentials() {
    let server = Server::new().offering("250-mx\r\n250 AUTH GSSAPI\r\n");
    let mut settings = settings(&["a@example.com"]);
    settings.auth = auth();
    let error = send(&settings, &server).await.unwrap_err();
    assert_eq!((error.failure, error.reason), (BLOCKED, "auth"));
    assert_eq!(server.heard("AUTH"), 0);
}

/// Settings that trust `certificate` and protect the connection so.
fn protected(certificate: &Certificate, tls: SmtpTls) -> config::Email {
    let mut settings = settings(&["a@example.com"]);
    settings.tls = tls;
    settings.auth = auth();
    settings.trust = Trust {
        ca_pem: Some(certificate.pem.as_str().into()),
        server_name: None,
    };
    settings
}

#[tokio::test(start_paused = true)]
async fn both_kinds_of_tls_carry_mail() {
    let certificate = Certificate::of("mx.example.com", 2100);
    for (tls, is_implicit) in [(SmtpTls::Implicit, true), (SmtpTls::StartTls, false)] {
        let server = Server::new().far_away().with_tls(&certificate, is_implicit);
        send(&protected(&certificate, tls), &server).await.unwrap();
        assert_eq!(server.log().mails.len(), 1, "{tls:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn f53_without_proper_tls_nothing_is_sent() {
    let good = Certificate::of("mx.example.com", 2100);
    let cases = [
        ("another name", Certificate::of("evil.example.com", 2100)),
        ("expired", Certificate::of("mx.example.com", 2001)),
    ];
    for (name, bad) in &cases {
        let server = Server::new().with_tls(bad, true);
        let error = send(&protected(bad, SmtpTls::Implicit), &server)
            .await
            .unwrap_err();
        assert_eq!(
            (error.failure, error.reason),
            (BLOCKED, "certificate"),
            "{name}: {error:?}"
        );
    }
    let stranger = Server::new().with_tls(&cases[0].1, true);
    let error = send(&protected(&good, SmtpTls::Implicit), &stranger)
        .await
        .unwrap_err();
    assert_eq!(error.reason, "certificate", "an unknown authority");
    let stripped = Server::new().offering("250-mx\r\n250 AUTH PLAIN\r\n");
    let error = send(&protected(&good, SmtpTls::StartTls), &stripped)
        .await
        .unwrap_err();
    assert_eq!((error.failure, error.reason), (BLOCKED, "no_tls"));
    assert_eq!((stripped.heard("AUTH"), stripped.heard("MAIL")), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn replies_slipped_in_before_tls_never_count() {
    let certificate = Certificate::of("mx.example.com", 2100);
    let server = Server::new().with_tls(&certificate, false).at(
        "STARTTLS",
        Act::Say(b"220 go on\r\n250 forged\r\n250 forged\r\n".to_vec()),
    );
    let error = send(&protected(&certificate, SmtpTls::StartTls), &server)
        .await
        .unwrap_err();
    assert_eq!(
        (error.failure, error.reason),
        (FAILED, "connection"),
        "{error:?}"
    );
    assert!(server.log().mails.is_empty());
}

#[tokio::test(start_paused = true)]
async fn replies_of_odd_servers_are_understood() {
    let gbk = [&b"550 5.1.1 "[..], &[0xd3, 0xc3, 0xbb, 0xa7], b"\r\n"].concat();
    let error = check(
        Server::new().at("RCPT", Act::Say(gbk)),
        Failure::Refused,
        "recipient",
    )
    .await;
    assert_eq!(error.answer, "550 5.1.1 ????");
    let lines = "550-5.1.1 one\r\n550-5.1.1 two\r\n550 5.1.1 three";
    let error = check(
        Server::new().says("RCPT", lines),
        Failure::Refused,
        "recipient",
    )
    .await;
    assert_eq!(error.answer, "550 5.1.1 one 5.1.1 two 5.1.1 three");
    let endless = Act::Say("250-more\r\n".repeat(20_000).into_bytes());
    check(Server::new().at("RCPT", endless), FAILED, "connection").await;
    check(Server::new().says("RCPT", "hello?"), FAILED, "connection").await;
    for good in ["250\r\n", "250 bare line feed\n"] {
        let server = Server::new().at("RCPT", Act::Say(good.into()));
        send(&settings(&["a@example.com"]), &server).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_that_only_knows_helo_gets_mail_but_no_credentials() {
    let old = || {
        Server::new()
            .says("EHLO", "502 what")
            .says("HELO", "250 mx")
    };
    let server = old();
    send(&settings(&["a@example.com"]), &server).await.unwrap();
    assert_eq!(server.log().mails.len(), 1);
    let server = old();
    let mut settings = settings(&["a@example.com"]);
    settings.auth = auth();
    let error = send(&settings, &server).await.unwrap_err();
    assert_eq!((error.failure, server.heard("HELO")), (BLOCKED, 0));
}

#[tokio::test(start_paused = true)]
async fn a_mail_that_is_too_large_for_the_server_is_not_sent() {
    let small = Server::new().offering("250-mx\r\n250 SIZE 1000\r\n");
    check(small.clone(), Failure::Refused, "too_large").await;
    assert_eq!(small.heard("MAIL"), 0);
    let large = Server::new().offering("250-mx\r\n250 SIZE 1000000\r\n");
    send(&settings(&["a@example.com"]), &large).await.unwrap();
    assert_eq!(large.heard("MAIL FROM:<bounces@example.com> SIZE="), 1);
}

#[test]
fn reordered_and_recased_recipients_are_the_same_destination() {
    let world = World::new();
    let key = |to: &[&str]| {
        world
            .build(&settings(to))
            .unwrap()
            .remove(0)
            .destination()
            .key
    };
    let one = key(&["a@example.com", "b@example.com"]);
    assert_eq!(one, key(&["B@Example.com", "a@example.com"]));
    assert_ne!(one, key(&["a@example.com"]));
}

#[test]
fn settings_that_cannot_work_are_refused() {
    let world = World::new();
    let build = |settings: config::Email| world.build(&settings).err().unwrap();
    assert!(matches!(
        build(settings(&["用户@example.com"])),
        BuildError::Address(_)
    ));
    let mut bad = settings(&["a@example.com"]);
    bad.smarthost.host = "not a host".into();
    assert!(matches!(build(bad), BuildError::ServerName(_)));
    let mut bad = settings(&["a@example.com"]);
    bad.trust.ca_pem = Some("nonsense".into());
    assert!(matches!(build(bad), BuildError::Roots(_)));
}

#[test]
fn each_address_has_its_own_hourly_counter() {
    let world = World::new();
    let email = world.build(&settings(&THREE)).unwrap().remove(0);
    let limits = email.limits();
    assert_eq!(
        limits.windows,
        [Window {
            messages: 60,
            per: Duration::from_secs(3600)
        }]
    );
    assert_eq!(limits.shared.len(), 3);
    assert!(limits.priority_exempt_hourly);
}

#[tokio::test(start_paused = true)]
async fn what_is_settled_is_not_asked_again() {
    let server = Server::new();
    let world = World::new();
    let email = world.receiver(&settings(&["a@example.com"]), &server);
    let mut delivery = delivery(&email, &samples::group(Reason::First));
    delivery.progress = Progress::from(["mail/a@example.com".to_owned()]);
    email.send(&delivery).await.unwrap();
    assert_eq!(server.heard("(connect)"), 0);
}
