//! Tests of what the mails look like: to readers, to filters, to mail programs that thread, and
//! to servers that count octets.

use std::collections::BTreeMap;
use std::time::Duration;

use alert_engine::Timestamp;

use super::testing::{Server, World, delivery, settings};
use super::*;
use crate::message::Reason;
use crate::receiver::Memory;
use crate::render::{Language, samples};

/// The bytes of the mail that says `message`.
fn mail(settings: &config::Email, message: &Message, memory: Option<&Memory>) -> Bytes {
    let email = World::new().build(settings).unwrap().remove(0);
    let locale = samples::locale(Language::Chinese);
    let mut parts = email
        .render(&Rendering {
            message,
            memory,
            locale: &locale,
        })
        .unwrap();
    assert_eq!(parts.len(), 1);
    parts.remove(0).body
}

/// The unfolded header lines of a mail by name.
fn headers(mail: &[u8]) -> BTreeMap<String, Vec<String>> {
    let text = std::str::from_utf8(mail).unwrap();
    let head = text.split("\r\n\r\n").next().unwrap().replace("\r\n ", " ");
    let mut headers = BTreeMap::<String, Vec<String>>::new();
    for line in head.split("\r\n") {
        let (name, value) = line.split_once(": ").unwrap_or((line, ""));
        headers
            .entry(name.to_owned())
            .or_default()
            .push(value.to_owned());
    }
    headers
}

/// Asserts what every server wants of every mail.
fn check_form(mail: &[u8]) {
    assert!(mail.is_ascii(), "seven bit only");
    let text = std::str::from_utf8(mail).unwrap();
    assert!(
        !text.replace("\r\n", "").contains(['\r', '\n', '\0']),
        "CRLF only"
    );
    let longest = text.split("\r\n").map(str::len).max().unwrap();
    assert!(longest <= 998, "a line has {longest} octets");
    let headers = headers(mail);
    let once = [
        "From",
        "To",
        "Subject",
        "Date",
        "Message-ID",
        "MIME-Version",
        "Content-Type",
        "Auto-Submitted",
    ];
    for name in once {
        assert_eq!(headers.get(name).map(Vec::len), Some(1), "{name}");
    }
    assert!(!headers.contains_key("Bcc"));
    let head = text.split("\r\n\r\n").next().unwrap();
    assert!(
        head.split("\r\n").all(|line| line.len() <= 78),
        "folded: {head}"
    );
}

#[test]
fn a_mail_is_what_it_was_reviewed_to_be() {
    let mail = mail(
        &settings(&["Oncall <a@example.com>"]),
        &samples::group(Reason::NewAlerts),
        None,
    );
    check_form(&mail);
    let text = String::from_utf8(mail.to_vec())
        .unwrap()
        .replace("\r\n", "\n");
    insta::with_settings!({
        snapshot_path => "../../../testdata/snapshots/email",
        prepend_module_to_snapshot => false,
        omit_expression => true,
    }, { insta::assert_snapshot!("mail", text) });
}

#[test]
fn every_kind_of_message_has_proper_form() {
    for (name, message) in samples::all() {
        let mail = mail(
            &settings(&["a@example.com", "b@example.com"]),
            &message,
            None,
        );
        check_form(&mail);
        assert!(mail.len() < 256 * 1024, "{name}");
    }
}

#[test]
fn the_same_message_gives_the_same_bytes() {
    let message = samples::group(Reason::First);
    let settings = settings(&["a@example.com"]);
    assert_eq!(
        mail(&settings, &message, None),
        mail(&settings, &message, None)
    );
}

#[test]
fn a_date_beyond_the_calendar_is_bounded() {
    for created in [Timestamp::MIN, Timestamp::MAX] {
        let mut message = samples::group(Reason::First);
        message.created = created;
        check_form(&mail(&settings(&["a@example.com"]), &message, None));
    }
}

/// A template that fails never gets as far as a connection: what is handed in is whole, and says
/// what the template would have said.
#[tokio::test(start_paused = true)]
async fn f54_a_failing_template_sends_the_fallback_and_is_counted() {
    let mut world = World::new();
    let broken =
        ["email.txt", "email.html"].map(|name| (name.to_owned(), "{{ nope.nope }}".to_owned()));
    world.renderer = Arc::new(Renderer::with_templates(broken).unwrap());
    let server = Server::new();
    let email = world.receiver(&settings(&["a@example.com"]), &server);
    let delivery = delivery(&email, &samples::group(Reason::First));
    assert_eq!(world.renderer.failures(), 2, "text and HTML");
    assert_eq!(server.log().lines, [""; 0], "nobody was called for them");
    email.send(&delivery).await.unwrap();
    let log = server.log();
    let lines: Vec<_> = log.lines.iter().map(String::as_str).collect();
    let session = ["(connect)", "EHLO", "MAIL", "RCPT", "DATA", "."];
    let words = lines.iter().map(|line| line.split(' ').next().unwrap());
    assert_eq!(words.collect::<Vec<_>>(), session, "one session");
    let [mail] = &log.mails[..] else {
        panic!("{} mails", log.mails.len());
    };
    check_form(mail);
    let mail = String::from_utf8_lossy(mail).replace("=\r\n", "");
    for template in ["email.txt", "email.html"] {
        let says = format!("This is a substitute: template {template} cannot be used");
        assert_eq!(mail.matches(&says).count(), 1, "{template}: {mail}");
    }
    for what in [
        "FIRING: 2 firing, 0 over",
        ": disk almost full (since 2026-01-02 08:59 +08:00)",
    ] {
        assert!(mail.matches(what).count() >= 2, "{what}: {mail}");
    }
}

#[test]
fn f55_hostile_labels_stay_within_their_header() {
    let hostile = mail(&settings(&["a@example.com"]), &samples::hostile(), None);
    check_form(&hostile);
    let headers = headers(&hostile);
    assert!(
        !headers["Subject"][0].contains("=?utf-8?q?x?="),
        "{headers:?}"
    );
}

#[test]
fn f55_subjects_of_any_kind_fold_and_end() {
    let cases = [
        "磁盘空间不足".repeat(60),
        "x".repeat(2000),
        "👩‍💻🔥".repeat(100),
        " \r\n\t ".to_owned(),
    ];
    for name in cases {
        let mut news = samples::news(Reason::First);
        news.group_labels = alert_engine::Labels::from_iter([("alertname", name.as_str())]);
        let message = samples::message(Says::Group(Box::new(news)));
        let mail = mail(&settings(&["a@example.com"]), &message, None);
        let text = std::str::from_utf8(&mail).unwrap();
        assert!(text.split("\r\n").all(|line| line.len() <= 998), "{name}");
        assert_eq!(headers(&mail)["Subject"].len(), 1);
    }
}

#[test]
fn f56_firing_update_and_resolved_are_one_thread_also_after_a_restart() {
    let settings = settings(&["a@example.com"]);
    let mut memory = None;
    let mut mails = Vec::new();
    for reason in [Reason::First, Reason::SomeResolved, Reason::AllResolved] {
        // Each mail is rendered by a receiver that was just built.
        let mail = mail(&settings, &samples::group(reason), memory.as_ref());
        memory = thread::memory_of(&mail);
        mails.push(headers(&mail));
    }
    let one =
        |name: &str| -> Vec<String> { mails.iter().map(|mail| mail[name][0].clone()).collect() };
    for constant in ["Subject", "Thread-Topic", "Thread-Index", "X-Alert-Group"] {
        let values = one(constant);
        assert!(
            values.iter().all(|value| *value == values[0]),
            "{constant}: {values:?}"
        );
    }
    let ids = one("Message-ID");
    assert!(ids[0] != ids[1] && ids[1] != ids[2], "{ids:?}");
    let answers = |name: &str| mails.iter().map(|mail| mail.get(name)).collect::<Vec<_>>();
    let (parents, references) = (answers("In-Reply-To"), answers("References"));
    assert_eq!(
        (parents[0], references[0]),
        (None, None),
        "the first is the root"
    );
    assert_eq!(
        parents[1..],
        [Some(&vec![ids[0].clone()]), Some(&vec![ids[1].clone()])]
    );
    assert_eq!(references[1], Some(&vec![ids[0].clone()]));
    assert_eq!(references[2], Some(&vec![format!("{} {}", ids[0], ids[1])]));
}

#[test]
fn only_a_first_mail_to_one_person_for_one_life_of_a_group_carries_the_root() {
    let first = samples::group(Reason::First);
    let id =
        |settings: &config::Email| headers(&mail(settings, &first, None))["Message-ID"][0].clone();
    let one = settings(&["a@example.com"]);
    assert!(id(&one).starts_with("<g."));
    assert!(id(&settings(&["a@example.com", "b@example.com"])).starts_with("<n."));
    for thread in [
        config::Thread::Day,
        config::Thread::Forever,
        config::Thread::Off,
    ] {
        let longer = config::Email {
            thread,
            ..one.clone()
        };
        assert!(id(&longer).starts_with("<n."), "{thread:?}");
    }
    let mut later = first.clone();
    let Says::Group(news) = &mut later.says else {
        unreachable!("a group")
    };
    news.opens_thread = false;
    let later = headers(&mail(&one, &later, None));
    assert!(later["Message-ID"][0].starts_with("<n."));
    assert_eq!(
        later["References"],
        [id(&one)],
        "it finds the root all the same"
    );
}

#[test]
fn threads_are_as_long_as_the_config_says() {
    let later = |days: u64| {
        let mut message = samples::group(Reason::Repeat);
        message.created = message.created + Duration::from_secs(days * 86_400);
        let Says::Group(news) = &mut message.says else {
            unreachable!("a group")
        };
        news.thread = format!("another life {days}");
        message
    };
    let root = |thread, days| {
        let mut settings = settings(&["a@example.com"]);
        settings.thread = thread;
        headers(&mail(&settings, &later(days), None))
            .get("In-Reply-To")
            .cloned()
    };
    use config::Thread::{Day, Episode, Forever, Off};
    assert_ne!(root(Episode, 0), root(Episode, 1));
    assert_ne!(root(Day, 0), root(Day, 1));
    assert_eq!(root(Forever, 0), root(Forever, 1));
    assert_eq!(root(Off, 0), None);
}

#[test]
fn the_state_stands_in_the_subject_only_if_asked_for() {
    let mut settings = settings(&["a@example.com"]);
    settings.subject_status = true;
    let subject =
        |reason| headers(&mail(&settings, &samples::group(reason), None))["Subject"].clone();
    let ascii = |subject: Vec<String>| subject[0].split("DiskFull").next().unwrap().to_owned();
    assert_eq!(ascii(subject(Reason::First)), "[FIRING:2] ");
    assert_eq!(ascii(subject(Reason::AllResolved)), "[RESOLVED:0] ");
}

#[test]
fn only_urgent_news_asks_for_attention() {
    let urgent = |priority, reason| {
        let mut news = samples::news(reason);
        news.priority = priority;
        let message = samples::message(Says::Group(Box::new(news)));
        headers(&mail(&settings(&["a@example.com"]), &message, None)).contains_key("Importance")
    };
    assert!(urgent(true, Reason::First));
    assert!(!urgent(false, Reason::First));
    assert!(!urgent(true, Reason::AllResolved));
}

#[test]
fn a_group_of_five_hundred_stays_small_and_says_what_is_left_out() {
    let mut news = samples::news(Reason::First);
    news.alerts = (0..500)
        .map(|n| samples::alert(crate::message::Line::New, &format!("host-{n}")))
        .collect();
    let message = samples::message(Says::Group(Box::new(news)));
    let world = World::new();
    let email = world
        .build(&settings(&["a@example.com"]))
        .unwrap()
        .remove(0);
    let locale = samples::locale(Language::English);
    let (text, html) = email.bodies(&View::of(&message, &locale));
    assert!(html.len() <= LARGEST_HTML, "{} bytes", html.len());
    assert!(text.contains("more alerts are not listed here for space."));
    assert_eq!(
        world.renderer.failures(),
        0,
        "500 alerts are within the fuel"
    );
}
