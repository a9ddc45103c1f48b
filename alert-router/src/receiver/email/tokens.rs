//! Mails whose account logs in with an access token: where it comes from, how long it is used, and what
//! becomes of a mail when there is none.

use std::sync::Arc;
use std::time::Duration;

use super::testing::{Act, Server, World, delivery, settings};
use super::*;
use crate::config::{OAuth2, Secret, SmtpAuth, SmtpProof, Trust};
use crate::message::Reason;
use crate::receiver::scripted::{Reply, Seen, Server as Provider};
use crate::render::samples;

const OFFERS: &str = "250-mx.example.com\r\n250 AUTH PLAIN XOAUTH2\r\n";
const GRANT: &str = "application/x-www-form-urlencoded";

/// A provider that gives the tokens `planted-0`, `planted-1` …, each for an hour.
async fn provider() -> Provider {
    Provider::start(|number, _: &Seen| {
        Reply::Ok(format!(
            r#"{{"access_token":"planted-{number}","token_type":"Bearer","expires_in":3600}}"#
        ))
    })
    .await
}

fn with_token(provider: &Provider) -> config::Email {
    config::Email {
        auth: Some(SmtpAuth {
            username: "me@example.com".into(),
            proof: SmtpProof::OAuth2(Box::new(OAuth2 {
                client_id: "router".into(),
                client_secret: Some(Secret::new("planted-client")),
                token_url: provider.url("/token"),
                scopes: vec!["https://mail.example.com/".into(), "offline".into()],
                endpoint_params: vec![("audience".into(), "a b".into())],
                refresh_token: Some(Secret::new("planted-refresh")),
                proxy_url: None,
                trust: Trust::default(),
            })),
            identity: None,
        }),
        ..settings(&["a@example.com"])
    }
}

async fn send(email: &Email) -> Result<Receipt, SendError> {
    let delivery = delivery(email, &samples::group(Reason::First));
    email.send(&delivery).await
}

/// Sends once when the provider answers with this status and body.
async fn refused(head: &'static str, body: &'static str) -> SendError {
    let provider = Provider::start(move |_, _: &Seen| Reply::Http(head, body.to_owned())).await;
    let server = Server::new().offering(OFFERS);
    let email = World::new().receiver(&with_token(&provider), &server);
    let error = send(&email).await.unwrap_err();
    assert_eq!(server.heard("(connect)"), 0, "nobody is called in vain");
    error
}

#[tokio::test]
async fn a_token_is_fetched_once_and_renewed_before_its_end() {
    let (provider, world) = (provider().await, World::new());
    let server = Server::new()
        .offering(OFFERS)
        .at(".", Act::SayAndClose(b"250 ok\r\n".to_vec()));
    let email = world.receiver(&with_token(&provider), &server);
    send(&email).await.unwrap();
    send(&email).await.unwrap();
    assert_eq!(provider.count("/token"), 1);
    let seen = provider.seen().remove(0);
    assert!(seen.head.contains(GRANT), "{}", seen.head);
    assert_eq!(
        seen.body,
        "client_id=router&grant_type=refresh_token&refresh_token=planted-refresh\
         &client_secret=planted-client&scope=https%3A%2F%2Fmail.example.com%2F+offline&audience=a+b"
    );
    // user=me@example.com^Aauth=Bearer planted-0^A^A
    let proof = "AUTH XOAUTH2 dXNlcj1tZUBleGFtcGxlLmNvbQFhdXRoPUJlYXJlciBwbGFudGVkLTABAQ==";
    assert_eq!(server.heard(proof), 2);
    world.clock.advance(Duration::from_secs(3300));
    send(&email).await.unwrap();
    assert_eq!(provider.count("/token"), 2);
}

#[tokio::test]
async fn those_who_come_at_once_wait_for_one_token() {
    let provider = provider().await;
    let world = World::new();
    let SmtpProof::OAuth2(settings) = with_token(&provider).auth.unwrap().proof else {
        panic!("it logs in with a token");
    };
    let tokens = token::Tokens::new(&settings, world.clock.clone()).unwrap();
    let all = futures_util::future::join_all((0..8).map(|_| tokens.get())).await;
    assert!(all.iter().all(Result::is_ok));
    assert_eq!(provider.count("/token"), 1);
}

#[tokio::test]
async fn a_token_that_the_relay_refuses_is_fetched_anew_once() {
    let provider = provider().await;
    let first = "AUTH XOAUTH2 dXNlcj1tZUBleGFtcGxlLmNvbQFhdXRoPUJlYXJlciBwbGFudGVkLTABAQ==";
    let once = Server::new()
        .offering(OFFERS)
        .says(first, "535 5.7.8 token expired");
    let email = World::new().receiver(&with_token(&provider), &once);
    send(&email).await.unwrap();
    assert_eq!((provider.count("/token"), once.heard("AUTH")), (2, 2));
}

#[tokio::test]
async fn a_refusal_is_a_question_that_wants_an_empty_answer_and_shows_no_token() {
    let provider = provider().await;
    let server = Server::new()
        .offering(OFFERS)
        .says("AUTH", "334 eyJzdGF0dXMiOiI0MDEifQ==")
        .says_to_nothing("535 5.7.8 planted-0 and planted-1 do not hold: dXNlcj1tZUBleGFtcGxlLmNvbQFhdXRoPUJlYXJlciBwbGFudGVkLTABAQ==");
    let email = World::new().receiver(&with_token(&provider), &server);
    let error = send(&email).await.unwrap_err();
    assert_eq!((error.reason, error.code.as_deref()), ("auth", Some("535")));
    let fix = error.fix.clone().unwrap().to_string();
    assert!(fix.contains("auth_oauth2"), "{fix}");
    assert_eq!(error.answer, "535 5.7.8 *** and *** do not hold: ***");
    assert_eq!((provider.count("/token"), server.heard("AUTH")), (2, 2));
}

#[test]
fn a_lifetime_is_a_number_or_a_text_with_one() {
    let read = |text: &str| grant::seconds(&serde_json::from_str(text).unwrap());
    let hour = Duration::from_secs(3_600);
    assert_eq!((read("3600"), read("\"3600\"")), (hour, hour));
    assert_eq!((read("null"), read("-1")), (Duration::ZERO, Duration::ZERO));
}

#[tokio::test]
async fn without_a_token_a_mail_waits_or_a_person_must_act() {
    let blocked = Failure::Blocked {
        probe_after: Duration::from_secs(900),
    };
    let again = Failure::Failed { retry_after: None };
    let cases = [
        (
            "400 Bad Request",
            r#"{"error":"invalid_grant","error_description":"planted-refresh was revoked"}"#,
            blocked,
            "auth",
        ),
        (
            "401 Unauthorized",
            r#"{"error":"invalid_client"}"#,
            blocked,
            "auth",
        ),
        (
            "400 Bad Request",
            r#"{"error":"invalid_scope"}"#,
            blocked,
            "auth",
        ),
        ("404 Not Found", "<html>", blocked, "auth"),
        ("200 OK", "{}", blocked, "auth"),
        ("200 OK", r#"{"error":"invalid_grant"}"#, blocked, "auth"),
        ("503 Service Unavailable", "", again, "token"),
        (
            "400 Bad Request",
            r#"{"error":"temporarily_unavailable"}"#,
            again,
            "token",
        ),
    ];
    let mut said = String::new();
    for (head, body, failure, reason) in cases {
        let error = refused(head, body).await;
        assert_eq!(
            (error.failure, error.reason),
            (failure, reason),
            "{error:?}"
        );
        let fix = error.fix.as_ref().map(ToString::to_string);
        said += &format!("{}\n  {}\n", error.words(), fix.unwrap_or_default());
    }
    assert!(!said.contains("planted"), "{said}");
    insta::assert_snapshot!("no token", said);
}

#[tokio::test]
async fn a_relay_that_takes_no_tokens_hears_none() {
    let provider = provider().await;
    let server = Server::new();
    let world = World::new();
    let email = world.receiver(&with_token(&provider), &server);
    let error = send(&email).await.unwrap_err();
    assert_eq!(error.reason, "auth");
    assert!(error.answer.contains("offers no AUTH XOAUTH2"), "{error}");
    let fix = error.fix.unwrap().to_string();
    assert!(
        fix.starts_with("this relay takes no access tokens"),
        "{fix}"
    );
    assert_eq!(server.heard("AUTH"), 0);
    let found = probe::probe_by(&with_token(&provider), &server, &(world.clock as _))
        .await
        .unwrap();
    assert!(found.to_string().contains("token     fetched"), "{found}");
}

#[tokio::test]
async fn receivers_that_get_tokens_in_the_same_way_share_them_also_over_a_reload() {
    let provider = provider().await;
    let world = World::new();
    let one = with_token(&provider);
    let clock: Arc<dyn crate::clock::Clock> = world.clock.clone();
    let tokens = AccessTokens::default();
    let mut logins = Vec::new();
    // The second config is that of a reload, while receivers of the first are still in use.
    for _ in 0..2 {
        let accounts = Accounts::of([&one], &clock).sharing(&tokens);
        for _ in 0..2 {
            let login = accounts.login(&one).unwrap();
            assert!(login.proof().await.unwrap().is_some());
            logins.push(login);
        }
    }
    assert_eq!(provider.count("/token"), 1);
    drop(logins);
    let accounts = Accounts::of([&one], &clock).sharing(&tokens);
    assert!(
        accounts
            .login(&one)
            .unwrap()
            .proof()
            .await
            .unwrap()
            .is_some()
    );
    assert_eq!(provider.count("/token"), 2, "what nobody uses is forgotten");
}
