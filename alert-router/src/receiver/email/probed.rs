//! What `doctor` prints of mail accounts of all kinds.

use std::sync::Arc;

use super::probe::{is_same_way, probe, probe_by};
use super::testing::{Act, Certificate, Server, World, auth, settings};
use crate::clock::Clock;
use crate::config::{self, SmtpTls, Trust};

/// The report on an account at `server`.
async fn report(settings: &config::Email, server: &Server) -> String {
    let clock: Arc<dyn Clock> = World::new().clock;
    let found = probe_by(settings, server, &clock).await.unwrap();
    format!("good: {}\n{found}", found.is_good())
}

fn protected(certificate: &Certificate, tls: SmtpTls) -> config::Email {
    config::Email {
        tls,
        auth: auth(),
        trust: Trust {
            ca_pem: Some(certificate.pem.as_str().into()),
            server_name: None,
        },
        ..settings(&["a@example.com"])
    }
}

#[tokio::test(start_paused = true)]
async fn an_account_that_works_is_described_and_no_mail_is_sent() {
    let certificate = Certificate::of("mx.example.com", 2100);
    let offers = "250-mx.example.com\r\n250-STARTTLS\r\n250-SIZE 10485760\r\n250-8BITMIME\r\n\
                  250-SMTPUTF8\r\n250 AUTH LOGIN PLAIN CRAM-MD5\r\n";
    let server = Server::new().offering(offers).with_tls(&certificate, false);
    let said = report(&protected(&certificate, SmtpTls::StartTls), &server).await;
    insta::assert_snapshot!("works", said);
    let lines = server.log().lines.clone();
    let words: Vec<_> = lines
        .iter()
        .filter_map(|line| line.split(' ').next())
        .collect();
    assert_eq!(
        words,
        ["(connect)", "EHLO", "STARTTLS", "EHLO", "AUTH", "QUIT"]
    );
}

#[tokio::test(start_paused = true)]
async fn what_stands_in_the_way_of_mails_is_said_with_its_fix() {
    let good = Certificate::of("mx.example.com", 2100);
    let old = Certificate::of("mx.example.com", 2001);
    let other = Certificate::of("other.example.com", 2100);
    let start_tls = |certificate| protected(certificate, SmtpTls::StartTls);
    let plain = config::Email {
        auth: auth(),
        ..settings(&["a@example.com"])
    };
    let refuses = "535 5.7.8 no: AHVzZXIAaHVudGVyMg== hunter2";
    let without = "250-mx.example.com\r\n250 SIZE\r\n";
    let cram = "250-mx.example.com\r\n250 AUTH CRAM-MD5\r\n";
    let cases = [
        (
            "refused login",
            plain.clone(),
            Server::new().says("AUTH", refuses),
        ),
        (
            "no login that we know",
            plain.clone(),
            Server::new().offering(cram),
        ),
        (
            "no STARTTLS",
            start_tls(&good),
            Server::new().offering(without),
        ),
        (
            "expired",
            start_tls(&old),
            Server::new().with_tls(&old, false),
        ),
        (
            "another name",
            start_tls(&other),
            Server::new().with_tls(&other, false),
        ),
        ("unprotected", plain.clone(), Server::new().far_away()),
        (
            "silent",
            plain.clone(),
            Server::new().at("(connect)", Act::Hang),
        ),
        (
            "turned away",
            plain.clone(),
            Server::new().says("(connect)", "554 no service"),
        ),
        (
            "implicit TLS at the wrong port",
            protected(&good, SmtpTls::Implicit),
            Server::new(),
        ),
    ];
    let mut said = String::new();
    for (name, settings, server) in cases {
        said += &format!("{name}: {}\n", report(&settings, &server).await);
    }
    // rustls says how long ago.
    let masked: Vec<_> = said
        .lines()
        .map(|line| match line.split_once("verification time") {
            Some((before, _)) => format!("{before}verification time …"),
            None => line.to_owned(),
        })
        .collect();
    insta::assert_snapshot!("wrong", masked.join("\n"));
}

#[tokio::test]
async fn a_server_that_is_away_is_not_reached() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let mut settings = settings(&["a@example.com"]);
    settings.smarthost = config::Smarthost {
        host: "127.0.0.1".into(),
        port,
    };
    let clock: Arc<dyn Clock> = World::new().clock;
    let found = probe(&settings, &clock).await.unwrap();
    insta::assert_snapshot!("away", found.to_string());
}

#[test]
fn accounts_differ_by_relay_protection_and_login() {
    let one = config::Email {
        auth: auth(),
        ..settings(&["a@example.com"])
    };
    let mut other = config::Email {
        to: vec!["b@example.com".parse().unwrap()],
        ..one.clone()
    };
    other.smarthost.host = "MX.example.com".into();
    assert!(is_same_way(&one, &other));
    assert!(!is_same_way(&one, &settings(&["a@example.com"])));
    assert!(!is_same_way(
        &one,
        &config::Email {
            tls: SmtpTls::StartTls,
            ..other
        }
    ));
}
