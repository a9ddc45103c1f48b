//! Tests of what the config adds to a mail: further headers, and blind copies.

use std::collections::BTreeMap;

use mail_parser::parsers::MessageStream;
use proptest::prelude::*;

use super::testing::{Server, World, delivery, header, settings};
use super::*;
use crate::config::{Header, Recipients};
use crate::message::Reason;
use crate::receiver::Failure;
use crate::render::{clean, samples};

/// The mails that `settings` make of one message, each with whom it goes to.
fn mails(settings: &config::Email) -> Vec<(Vec<String>, Bytes)> {
    let emails = World::new().build(settings).unwrap();
    let message = samples::group(Reason::First);
    let parts = emails.iter().map(|email| delivery(email, &message).parts);
    parts
        .flatten()
        .map(|part| (part.recipients, part.body))
        .collect()
}

/// The headers of a mail, as a parser that is not ours reads them: how often each is there, and
/// what the last one says.
fn read(mail: &[u8]) -> BTreeMap<String, (usize, String)> {
    let parsed = mail_parser::MessageParser::new().parse(mail).unwrap();
    let mut read = BTreeMap::<String, (usize, String)>::new();
    for header in parsed.headers() {
        let raw = &mail[header.offset_start as usize..header.offset_end as usize];
        let text = MessageStream::new(raw).parse_unstructured();
        let entry = read.entry(header.name().to_ascii_lowercase()).or_default();
        *entry = (entry.0 + 1, text.as_text().unwrap_or_default().to_owned());
    }
    read
}

/// The settings with copies to `bcc`.
fn copied(to: &[&str], bcc: &[&str], recipients: Recipients) -> config::Email {
    let mut settings = settings(to);
    settings.bcc = bcc.iter().map(|to| to.parse().unwrap()).collect();
    settings.recipients = recipients;
    settings
}

#[test]
fn a_header_of_the_config_replaces_one_that_only_advises() {
    let mut settings = settings(&["a@example.com"]);
    settings.headers = vec![header("importance", "low"), header("List-ID", "<ours.x>")];
    let headers = read(&mails(&settings)[0].1);
    assert_eq!(headers["importance"], (1, "low".to_owned()));
    assert_eq!(headers["list-id"], (1, "<ours.x>".to_owned()));
}

#[test]
fn a_copy_is_a_mail_of_its_own_that_names_the_others() {
    let settings = copied(
        &["a@example.com", "b@example.com"],
        &["Audit <hidden@example.org>"],
        Recipients::Individual,
    );
    let mails = mails(&settings);
    let to: Vec<_> = mails.iter().map(|(to, _)| to.join(" ")).collect();
    assert_eq!(to, ["a@example.com", "b@example.com", "hidden@example.org"]);
    let named: Vec<_> = mails
        .iter()
        .map(|(_, mail)| read(mail)["to"].1.clone())
        .collect();
    assert_eq!(named[..2], ["a@example.com", "b@example.com"]);
    assert_eq!(named[2], "a@example.com, b@example.com");
}

#[test]
fn a_copy_of_a_shared_mail_is_only_in_its_envelope() {
    let settings = copied(
        &["a@example.com"],
        &["hidden@example.org"],
        Recipients::Shared,
    );
    let mails = mails(&settings);
    assert_eq!(mails.len(), 1);
    assert_eq!(mails[0].0, ["a@example.com", "hidden@example.org"]);
    assert_eq!(read(&mails[0].1)["to"].1, "a@example.com");
}

#[test]
fn an_address_has_one_thread_and_one_counter_whether_it_is_seen_or_not() {
    let world = World::new();
    let key = |settings: &config::Email| {
        let last = world.build(settings).unwrap().pop().unwrap();
        (last.destination().key, last.limits().shared.clone())
    };
    let both = ["a@example.com", "b@example.com"];
    for recipients in [Recipients::Individual, Recipients::Shared] {
        let hidden = copied(&both[..1], &both[1..], recipients);
        assert_eq!(key(&hidden), key(&copied(&both, &[], recipients)));
    }
}

#[tokio::test(start_paused = true)]
async fn a_copy_that_is_refused_is_told_and_costs_nobody_else_the_mail() {
    let server = Server::new().says("RCPT TO:<hidden@", "550 5.1.1 no such user");
    let world = World::new();
    let shared = copied(
        &["a@example.com"],
        &["hidden@example.org"],
        Recipients::Shared,
    );
    let email = world.receiver(&shared, &server);
    let message = samples::group(Reason::First);
    let receipt = email.send(&delivery(&email, &message)).await.unwrap();
    let refused: Vec<_> = receipt.refused.iter().map(|to| &*to.recipient).collect();
    assert_eq!(refused, ["hidden@example.org"]);
    assert_eq!(server.heard("RCPT"), 2);

    let single = copied(
        &["a@example.com"],
        &["hidden@example.org"],
        Recipients::Individual,
    );
    let mut copy = world.build(&single).unwrap().pop().unwrap();
    copy.dial = Box::new(server.clone());
    let error = copy.send(&delivery(&copy, &message)).await.unwrap_err();
    assert_eq!(error.failure, Failure::Refused);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever a name and a value hold: either they are refused, or the mail has that one header
    /// more, on lines that every server takes, and all else is as it was.
    #[test]
    fn no_header_changes_the_rest_of_a_mail(
        name in prop_oneof!["[!-~]{1,20}", "X-[A-Za-z0-9-]{1,80}", any::<String>(),
            "(Bcc|Subject|to|CC|Content-Type|X-A)[:\r\n ]{0,3}"],
        value in prop_oneof![any::<String>(), "[ -~\r\n\t]{0,100}", "[!-~]{880,920}",
            "\\PC{0,100}", "a\r?\n ?(Bcc: x@example.org|\r\n\r\nbody|\\.)"],
    ) {
        let plain = settings(&["a@example.com"]);
        let before = read(&mails(&plain)[0].1);
        let Ok(extra) = Header::new(&name, &value) else { return Ok(()) };
        let mut settings = plain;
        settings.headers.push(extra.clone());
        let mail = &mails(&settings)[0].1;

        let text = std::str::from_utf8(mail).unwrap();
        prop_assert!(text.is_ascii() && !text.replace("\r\n", "").contains(['\r', '\n']));
        prop_assert!(text.split("\r\n").all(|line| line.len() <= 998));
        let mut after = read(mail);
        let name = name.to_ascii_lowercase();
        let (times, got) = after.remove(&name).unwrap();
        prop_assert_eq!(times, 1);
        // Readers decode what looks encoded, also if we did not encode it.
        if !value.contains("=?") {
            prop_assert_eq!(clean(&got), clean(&value));
        }
        prop_assert_eq!(after, before.into_iter().filter(|(had, _)| *had != name).collect());
    }

    /// An address that is hidden stands nowhere in any mail, however it is written.
    #[test]
    fn no_byte_of_a_mail_tells_of_a_copy(
        hidden in "[a-z]{12}@[a-z]{12}\\.org",
        name in "[A-Z]{12}",
        is_shared in any::<bool>(),
    ) {
        let recipients = if is_shared { Recipients::Shared } else { Recipients::Individual };
        let bcc = format!("{name} <{hidden}>");
        let settings = copied(&["a@example.com", "b@example.com"], &[&bcc], recipients);
        let mails = mails(&settings);
        prop_assert!(mails.iter().any(|(to, _)| to.contains(&hidden)));
        let (user, domain) = hidden.split_once('@').unwrap();
        for (_, mail) in &mails {
            let text = std::str::from_utf8(mail).unwrap();
            prop_assert!(![user, domain, &*name].iter().any(|part| text.contains(part)));
            prop_assert!(!read(mail).contains_key("bcc"));
        }
    }
}
