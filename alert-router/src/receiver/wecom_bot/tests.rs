//! What the robot sends: the bytes that WeCom gets, and what people read.

use alert_engine::{Labels, Matchers, Timestamp};
use proptest::prelude::*;
use serde_json::Value;

use super::*;
use crate::clock::ManualClock;
use crate::config::{MentionWhen, People, Secret};
use crate::message::{AlertLine, Message, Reason, Says};
use crate::receiver::Rendering;
use crate::render::{Language, Locale, samples};

fn config(format: BotFormat) -> config::WecomBot {
    config::WecomBot {
        key: Secret::new("693a91f6-planted"),
        api_url: Url::parse("http://127.0.0.1:9/cgi-bin/").unwrap(),
        format,
        mention: People::default(),
        mention_when: Vec::new(),
        mention_text: true,
        text_copy: false,
        proxy_url: None,
    }
}

fn people(users: &[&str]) -> People {
    People {
        users: users.iter().map(|user| (*user).to_owned()).collect(),
        mobiles: Vec::new(),
    }
}

fn bot(config: &config::WecomBot) -> WecomBot {
    let clock = Arc::new(ManualClock::at(Timestamp::from_millis(0)));
    WecomBot::new(config, Arc::new(Renderer::built_in()), clock).unwrap()
}

fn bodies(bot: &WecomBot, message: &Message, locale: &Locale) -> Vec<Value> {
    let rendering = Rendering {
        message,
        memory: None,
        locale,
    };
    let parts = bot.render(&rendering).unwrap();
    parts
        .iter()
        .map(|part| serde_json::from_slice(&part.body).unwrap())
        .collect()
}

fn contents(bodies: &[Value]) -> Vec<&str> {
    let content = |body: &'_ Value| body["msgtype"].as_str().unwrap().to_owned();
    bodies
        .iter()
        .map(|body| body[content(body)]["content"].as_str().unwrap())
        .collect()
}

/// Messages as people read them, one after the other.
fn read_aloud(format: BotFormat, language: Language, names: &[&str]) -> String {
    let bot = bot(&config(format));
    let locale = samples::locale(language);
    let mut text = String::new();
    for (name, message) in samples::all() {
        if names.is_empty() || names.contains(&name.as_str()) {
            let bodies = bodies(&bot, &message, &locale);
            text += &format!(
                "===== {name}\n{}\n\n",
                contents(&bodies).join("\n----- next part\n")
            );
        }
    }
    text
}

fn snapshot(name: &str, text: &str) {
    insta::with_settings!({
        snapshot_path => "../../../testdata/snapshots/wecom",
        prepend_module_to_snapshot => false,
        omit_expression => true,
    }, { insta::assert_snapshot!(name, text) });
}

#[test]
fn markdown_reads_well() {
    snapshot(
        "markdown-en",
        &read_aloud(BotFormat::Markdown, Language::English, &[]),
    );
    snapshot(
        "markdown-zh",
        &read_aloud(BotFormat::Markdown, Language::Chinese, &[]),
    );
}

#[test]
fn markdown_v2_has_no_colours() {
    let text = read_aloud(
        BotFormat::MarkdownV2,
        Language::English,
        &["first", "full", "digest"],
    );
    assert!(!text.contains("<font"));
    snapshot("markdown_v2-en", &text);
}

#[test]
fn text_has_no_markup() {
    let text = read_aloud(
        BotFormat::Text,
        Language::Chinese,
        &["first", "full", "digest", "test"],
    );
    assert!(!text.contains("**") && !text.contains("<font"));
    snapshot("text-zh", &text);
}

#[test]
fn a_hostile_label_can_mention_nobody_and_open_no_markup() {
    let locale = samples::locale(Language::English);
    let message = samples::hostile();
    for format in [BotFormat::Markdown, BotFormat::MarkdownV2, BotFormat::Text] {
        let bodies = bodies(&bot(&config(format)), &message, &locale);
        let text = contents(&bodies).join("\n");
        assert!(!text.contains(['\0', '\u{202e}']));
        assert!(!text.contains("javascript:"), "{text}");
        if format != BotFormat::Text {
            assert!(
                !text.contains("<script") && !text.contains("](http://evil"),
                "{text}"
            );
            assert_eq!(
                text.matches("<font").count(),
                text.matches("</font>").count()
            );
        }
    }
    let markdown = bodies(&bot(&config(BotFormat::Markdown)), &message, &locale);
    snapshot("hostile", &contents(&markdown).join("\n-----\n"));
}

#[test]
fn a_label_that_spells_a_mention_or_a_link_makes_none() {
    let tricks = "<@all> <@wangqing> <a href=\"http://evil\">ok</a> <font color=\"info\">";
    let mut news = samples::news(Reason::First);
    news.group_labels = Labels::from_iter([("alertname", tricks)]);
    news.common_annotations = Labels::from_iter([("summary", tricks)]);
    let mut alert = samples::alert(crate::message::Line::New, tricks);
    alert.annotations = Labels::from_iter([("description", format!("> # x\n{tricks}"))]);
    news.alerts = vec![alert];
    let message = samples::message(Says::Group(Box::new(news)));
    let locale = samples::locale(Language::English);
    for format in [BotFormat::Markdown, BotFormat::MarkdownV2, BotFormat::Text] {
        let bodies = bodies(&bot(&config(format)), &message, &locale);
        let text = contents(&bodies).join("\n");
        assert!(!text.contains("<@") && !text.contains("<a "), "{text}");
        assert_eq!(
            text.matches("<font").count(),
            text.matches("</font>").count()
        );
    }
}

#[test]
fn a_markdown_message_is_followed_by_the_text_that_really_mentions() {
    let locale = samples::locale(Language::Chinese);
    let config = config::WecomBot {
        mention: People {
            mobiles: vec!["13800001111".into()],
            ..people(&["wangqing", "@all"])
        },
        ..config(BotFormat::Markdown)
    };
    let bodies = bodies(&bot(&config), &samples::group(Reason::First), &locale);
    assert_eq!(bodies.len(), 2);
    assert_eq!(bodies[0]["msgtype"], "markdown");
    let text = json!({
        "msgtype": "text",
        "text": {
            "content": "🔴 告警中 · DiskFull · east",
            "mentioned_list": ["wangqing", "@all"],
            "mentioned_mobile_list": ["13800001111"],
        },
    });
    assert_eq!(bodies[1], text);
}

#[test]
fn a_copy_as_text_says_the_same_and_mentions_in_place_of_the_short_text() {
    let locale = samples::locale(Language::Chinese);
    for format in [BotFormat::Markdown, BotFormat::MarkdownV2] {
        let copying = config::WecomBot {
            mention: people(&["wangqing"]),
            text_copy: true,
            ..config(format)
        };
        let first = bodies(&bot(&copying), &samples::group(Reason::First), &locale);
        let kinds: Vec<_> = first.iter().map(|body| &body["msgtype"]).collect();
        assert_eq!(kinds, [Format::of(format).unwrap().name(), "text"]);
        let alone = config(BotFormat::Text);
        let text = bodies(&bot(&alone), &samples::group(Reason::First), &locale);
        assert_eq!(contents(&first)[1], contents(&text)[0]);
        assert_eq!(first[1]["text"]["mentioned_list"], json!(["wangqing"]));
        let over = bodies(
            &bot(&copying),
            &samples::group(Reason::AllResolved),
            &locale,
        );
        assert_eq!(over.len(), 2);
        assert_eq!(over[1]["text"]["mentioned_list"], Value::Null);
    }
}

#[test]
fn a_copy_of_what_is_text_already_is_none() {
    let config = config::WecomBot {
        text_copy: true,
        ..config(BotFormat::Text)
    };
    let locale = samples::locale(Language::English);
    let bodies = bodies(&bot(&config), &samples::group(Reason::First), &locale);
    assert_eq!(bodies.len(), 1);
}

#[test]
fn a_copy_of_much_says_what_it_leaves_out_and_the_whole_stays_within_three_messages() {
    let config = config::WecomBot {
        text_copy: true,
        ..config(BotFormat::Markdown)
    };
    let locale = samples::locale(Language::English);
    let bodies = bodies(&bot(&config), &chinese(500, 0, 40), &locale);
    assert_eq!(bodies.len(), PARTS);
    let copy = contents(&bodies)[PARTS - 1];
    assert!(
        copy.len() <= TEXT_BYTES && copy.contains("are not listed"),
        "{copy}"
    );
}

#[test]
fn a_text_message_mentions_by_itself() {
    let config = config::WecomBot {
        mention: people(&["wangqing"]),
        ..config(BotFormat::Text)
    };
    let locale = samples::locale(Language::English);
    let bodies = bodies(&bot(&config), &samples::group(Reason::First), &locale);
    assert_eq!(bodies.len(), 1);
    assert_eq!(bodies[0]["text"]["mentioned_list"][0], "wangqing");
}

#[test]
fn without_the_text_markdown_mentions_inline_and_other_formats_not_at_all() {
    let locale = samples::locale(Language::English);
    for (format, mentions) in [(BotFormat::Markdown, true), (BotFormat::MarkdownV2, false)] {
        let config = config::WecomBot {
            mention: people(&["wangqing", "x><@all"]),
            mention_text: false,
            ..config(format)
        };
        let bodies = bodies(&bot(&config), &samples::group(Reason::First), &locale);
        assert_eq!(bodies.len(), 1);
        assert_eq!(contents(&bodies)[0].starts_with("<@wangqing>\n"), mentions);
    }
}

#[test]
fn more_people_are_mentioned_for_new_alerts_that_match() {
    let when = |matchers: &str, user: &str| MentionWhen {
        matchers: Matchers::parse(matchers).unwrap(),
        people: people(&[user, "wangqing"]),
    };
    let config = config::WecomBot {
        mention: people(&["wangqing"]),
        mention_when: vec![
            when("alertname=\"DiskFull\"", "lihua"),
            when("alertname=\"Another\"", "nobody"),
        ],
        ..config(BotFormat::Markdown)
    };
    let locale = samples::locale(Language::English);
    let called = |reason| {
        let bodies = bodies(&bot(&config), &samples::group(reason), &locale);
        let text = bodies.last().unwrap();
        text["text"]["mentioned_list"].clone()
    };
    assert_eq!(called(Reason::First), json!(["wangqing", "lihua"]));
    assert_eq!(called(Reason::AllResolved), Value::Null);
}

#[test]
fn nobody_is_mentioned_when_nothing_new_fires() {
    let locale = samples::locale(Language::English);
    let config = config::WecomBot {
        mention: people(&["wangqing"]),
        ..config(BotFormat::Markdown)
    };
    for reason in [
        Reason::SomeResolved,
        Reason::AllResolved,
        Reason::Missed,
        Reason::Repeat,
    ] {
        assert_eq!(
            bodies(&bot(&config), &samples::group(reason), &locale).len(),
            1,
            "{reason:?}"
        );
    }
}

#[test]
fn the_destination_is_the_key_whatever_the_format() {
    let markdown = bot(&config(BotFormat::Markdown));
    let text = bot(&config(BotFormat::Text));
    assert_eq!(markdown.destination(), text.destination());
    assert_eq!(markdown.limits().shared, [markdown.destination().key]);
    let other = bot(&config::WecomBot {
        key: Secret::new("other"),
        ..config(BotFormat::Text)
    });
    assert_ne!(other.destination().key, text.destination().key);
}

#[test]
fn a_card_is_refused_with_what_to_write() {
    let clock = Arc::new(ManualClock::at(Timestamp::from_millis(0)));
    let config = config(BotFormat::TemplateCard);
    let error = WecomBot::new(&config, Arc::new(Renderer::built_in()), clock).unwrap_err();
    assert_eq!(
        error.to_string(),
        "format: template_card is not supported here: write markdown, markdown_v2 or text"
    );
}

#[test]
fn a_template_that_fails_still_tells_and_opens_no_markup() {
    let broken = [("wecom.md".to_owned(), "{{ nothing.of.that }}".to_owned())];
    let renderer = Arc::new(Renderer::with_templates(broken).unwrap());
    let clock = Arc::new(ManualClock::at(Timestamp::from_millis(0)));
    let bot = WecomBot::new(&config(BotFormat::Markdown), renderer.clone(), clock).unwrap();
    let locale = samples::locale(Language::English);
    let bodies = bodies(&bot, &samples::hostile(), &locale);
    let text = contents(&bodies).join("\n");
    assert!(text.starts_with("FIRING: 1 firing, 0 over\n"), "{text}");
    assert!(
        text.contains("This is a substitute: template wecom.md"),
        "{text}"
    );
    assert!(!text.contains(['<', '[', '*']), "{text}");
    assert!(renderer.failures() > 0);
}

/// A message of `n` new alerts whose own label has `pad` bytes before a run of Chinese.
fn chinese(n: usize, pad: usize, length: usize) -> Message {
    let alert = |host: usize| {
        let value = format!("{}{}", "x".repeat(pad), "磁".repeat(length));
        let mut alert = samples::alert(crate::message::Line::New, &format!("h{host}"));
        alert.labels = Labels::from_iter([("alertname", "DiskFull"), ("instance", &value)]);
        alert.annotations = Labels::from_iter([("description", value.as_str())]);
        alert
    };
    let alerts: Vec<AlertLine> = (0..n).map(alert).collect();
    let mut news = samples::news(Reason::First);
    news.alerts = alerts;
    samples::message(Says::Group(Box::new(news)))
}

#[test]
fn every_part_fits_in_bytes_at_every_alignment() {
    let locale = samples::locale(Language::Chinese);
    let limits = [
        (BotFormat::Markdown, 4096),
        (BotFormat::MarkdownV2, 4096),
        (BotFormat::Text, 2048),
    ];
    for (format, limit) in limits {
        let bot = bot(&config(format));
        for n in [1, 8, 9, 10, 40, 500] {
            for pad in 0..4 {
                let bodies = bodies(&bot, &chinese(n, pad, 330), &locale);
                assert!(bodies.len() <= 3);
                for content in contents(&bodies) {
                    assert!(
                        content.len() <= limit,
                        "{format:?} {n} {pad}: {}",
                        content.len()
                    );
                    assert!(!content.contains('\u{fffd}'));
                }
            }
        }
    }
}

#[test]
fn five_hundred_alerts_leave_none_uncounted() {
    let locale = samples::locale(Language::English);
    let bodies = bodies(
        &bot(&config(BotFormat::Markdown)),
        &chinese(500, 0, 20),
        &locale,
    );
    let text = contents(&bodies).join("\n");
    let shown = text.matches("🔴 New").count() + text.matches("🔴 **New**").count();
    assert!(
        text.contains(&format!("{} more alerts are not listed", 500 - shown)),
        "{text}"
    );
    assert!(text.contains(&format!("DiskFull ×{}", 500 - shown)));
    assert!(text.contains("500 new"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    #[test]
    fn any_text_renders_within_the_limit(values in proptest::collection::vec("\\PC{0,300}", 1..12)) {
        let mut news = samples::news(Reason::NewAlerts);
        news.alerts = values.iter().map(|value| {
            let mut alert = samples::alert(crate::message::Line::New, value);
            alert.annotations = Labels::from_iter([("summary", value.as_str()), ("description", value)]);
            alert
        }).collect();
        let message = samples::message(Says::Group(Box::new(news)));
        let locale = samples::locale(Language::English);
        for (format, limit) in [(BotFormat::Markdown, 4096), (BotFormat::Text, 2048)] {
            let bodies = bodies(&bot(&config(format)), &message, &locale);
            prop_assert!(bodies.len() <= 3);
            for content in contents(&bodies) {
                prop_assert!(content.len() <= limit && !content.is_empty());
            }
        }
    }
}
