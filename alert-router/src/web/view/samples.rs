//! Pages for tests: the first, a hostile one, one that says everything.

use super::sources::{Advice, First};
use super::*;

impl<T> Kept<T> {
    fn none() -> Self {
        Self {
            count: 0,
            cards: Vec::new(),
        }
    }
}

pub(in crate::web) fn empty() -> View {
    View {
        version: "0.0.0",
        lang: "en",
        words: "words.en.html",
        troubles: Vec::new(),
        sources: Vec::new(),
        groups: Vec::new(),
        more_groups: 0,
        messages: Vec::new(),
        dead_letters: Kept::none(),
        quarantine: Kept::none(),
        receivers: vec!["inbox".to_owned()],
        url: "http://127.0.0.1:9095".to_owned(),
        port: "9095".to_owned(),
        curl: curl(
            "http://127.0.0.1:9095",
            Timestamp::from_millis(1_795_479_775_200),
        ),
    }
}

pub(in crate::web) fn hostile() -> View {
    let evil = "<script>alert(1)</script>\"'&";
    let alert = AlertRow {
        name: evil.to_owned(),
        labels: vec![(evil.to_owned(), evil.to_owned())],
        summary: evil.to_owned(),
        since: "2026-11-24 00:22:55 +00:00".to_owned(),
        state: "firing",
        seen: 2,
    };
    let lane = LaneRow {
        receiver: Some(evil.to_owned()),
        destination: evil.to_owned(),
        firing: 0,
        told_at: None,
        attempt: None,
        given_up_until: None,
        owed: 0,
        waits_until: None,
    };
    let group = GroupCard {
        id: "00".to_owned(),
        labels: vec![("alertname".to_owned(), evil.to_owned())],
        source: evil.to_owned(),
        firing: 1,
        over: 0,
        alerts: vec![alert],
        more: 3,
        lanes: vec![lane],
    };
    let message = MessageCard {
        title: evil.to_owned(),
        at: String::new(),
        receiver: evil.to_owned(),
        text: evil.to_owned(),
        firing: true,
    };
    let letter = LetterCard {
        id: "0".repeat(32),
        receiver: evil.to_owned(),
        destination: evil.to_owned(),
        at: "2026-11-24 00:22:55 +00:00".to_owned(),
        reason: evil.to_owned(),
    };
    let body = BodyCard {
        id: "1".repeat(32),
        source: evil.to_owned(),
        at: "2026-11-24 00:22:55 +00:00".to_owned(),
        why: evil.to_owned(),
        bytes: 12,
    };
    let source = SourceCard {
        name: evil.to_owned(),
        first: None,
        new: false,
        last_heard: "2026-11-24 00:22:55 +00:00".to_owned(),
        last_resolved: None,
        posts: 7,
        silent: false,
        repeats_every: "4h".to_owned(),
        silent_after: "8h".to_owned(),
        external_url: evil.to_owned(),
        advice: vec![advice(evil)],
    };
    View {
        sources: vec![source],
        receivers: vec![evil.to_owned()],
        groups: vec![group],
        messages: vec![message],
        dead_letters: Kept {
            count: 21,
            cards: vec![letter],
        },
        quarantine: Kept {
            count: 1,
            cards: vec![body],
        },
        ..empty()
    }
}

fn advice(why: &str) -> Advice {
    Advice {
        under: "webhook_configs",
        key: "max_alerts",
        value: "0",
        why: why.to_owned(),
    }
}

pub(in crate::web) fn tricky() -> View {
    let message = MessageCard {
        title: "a\u{0}b\u{1b}[31m\u{85}\u{202e}c\u{2066}".to_owned(),
        at: String::new(),
        receiver: "ops".to_owned(),
        text: "first\nsecond".to_owned(),
        firing: true,
    };
    View {
        messages: vec![message],
        ..empty()
    }
}

/// One of everything that the page can say, in a language.
pub(in crate::web) fn talkative(language: Language) -> View {
    let (lang, words) = words(language);
    let at = || Some("2026-11-24 08:22:55 CST".to_owned());
    let lane = |name: &str| LaneRow {
        receiver: Some(name.to_owned()),
        destination: "mail.example.com".to_owned(),
        firing: 2,
        told_at: at(),
        attempt: None,
        given_up_until: None,
        owed: 0,
        waits_until: None,
    };
    let mut view = hostile();
    let group = &mut view.groups[0];
    group.over = 2;
    group.lanes = vec![
        lane("told"),
        LaneRow {
            told_at: None,
            ..lane("not told")
        },
        LaneRow {
            attempt: Some(2),
            ..lane("sending")
        },
        LaneRow {
            given_up_until: at(),
            ..lane("given up")
        },
        LaneRow {
            owed: 3,
            waits_until: at(),
            ..lane("waiting")
        },
        LaneRow {
            receiver: None,
            ..lane("")
        },
    ];
    let row = |state: &'static str, seen| AlertRow {
        name: "HighErrorRate".to_owned(),
        labels: Vec::new(),
        summary: String::new(),
        since: "2026-11-24 08:22:55 CST".to_owned(),
        state,
        seen,
    };
    group.alerts = vec![row("firing", 1), row("in_doubt", 2), row("over", 3)];
    let troubles = vec![
        Trouble::ReloadRefused {
            why: "line 3".to_owned(),
        },
        Trouble::StoreFull,
        Trouble::Blocked {
            receiver: "ops".to_owned(),
            destination: "bot".to_owned(),
        },
        Trouble::Silent {
            source: "prod".to_owned(),
        },
    ];
    let first = First {
        at: "2026-11-24 08:22:55 CST".to_owned(),
        alerts: 12,
        groups: 2,
    };
    let source = SourceCard {
        name: "prod".to_owned(),
        first: Some(first),
        new: true,
        last_heard: "2026-11-24 08:22:55 CST".to_owned(),
        last_resolved: None,
        posts: 1,
        silent: false,
        repeats_every: "4h".to_owned(),
        silent_after: "8h".to_owned(),
        external_url: "http://alertmanager.example.com".to_owned(),
        advice: vec![advice("10 came, 32 did not")],
    };
    view.sources.push(source);
    View {
        lang,
        words,
        troubles,
        more_groups: 7,
        ..view
    }
}

pub(in crate::web) fn crowded() -> View {
    View {
        more_groups: 50,
        ..hostile()
    }
}
