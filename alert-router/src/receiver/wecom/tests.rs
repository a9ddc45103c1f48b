//! Robot and application against a simulator that was written from the vendor's documents by
//! somebody who does not know this client.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use alert_engine::{DeliveryId, Matchers};
use reqwest::Url;
use wecom_sim::{Api, Config, Content, ErrCode, Fault, Message as Shown, Sim, TokenMode, Warning};

use crate::clock::{Clock, ManualClock};
use crate::config::{self, AppFormat, BotFormat, MentionWhen, People, Secret};
use crate::message::{Line, Message, Reason, Says};
use crate::receiver::conformance::corpus;
use crate::receiver::{
    Applications, Delivery, Failure, Progress, Receipt, Receiver, Rendering, SendError, WecomApp,
    WecomBot,
};
use crate::render::{Language, Renderer, samples};

/// A simulator and the clients' clock, which is also the simulator's.
struct Corp {
    sim: Sim,
    clock: Arc<ManualClock>,
    renderer: Arc<Renderer>,
}

impl Corp {
    async fn start(change: impl FnOnce(&mut Config)) -> Self {
        let clock = Arc::new(ManualClock::at(samples::NOW));
        let mut config = Config::demo();
        config.rules.varied_wording = true;
        let shared = clock.clone();
        config.clock = wecom_sim::Clock::from_fn(move || {
            wecom_sim::Timestamp::from_millisecond(shared.now().as_millis()).unwrap()
        });
        change(&mut config);
        let sim = Sim::start(config).await.unwrap();
        Self {
            sim,
            clock,
            renderer: Arc::new(Renderer::built_in()),
        }
    }

    fn api(&self) -> Url {
        self.sim.api_url().parse().unwrap()
    }

    fn bot(&self, format: BotFormat) -> WecomBot {
        let config = config::WecomBot {
            key: Secret::new("sim-bot-key"),
            api_url: self.api(),
            format,
            mention: People {
                users: vec!["wangqing".into()],
                mobiles: Vec::new(),
            },
            mention_when: vec![MentionWhen {
                matchers: Matchers::parse("alertname=\"DiskFull\"").unwrap(),
                people: People {
                    users: vec!["lina".into()],
                    mobiles: vec!["13800001111".into()],
                },
            }],
            mention_text: true,
            text_copy: false,
            proxy_url: None,
        };
        WecomBot::new(&config, self.renderer.clone(), self.clock.clone()).unwrap()
    }

    fn app(&self, to_user: &[&str]) -> WecomApp {
        let config = config::WecomApp {
            corp_id: "sim-corp".into(),
            secret: Secret::new("sim-secret"),
            agent_id: 1_000_002,
            to_user: to_user.iter().map(|user| (*user).to_owned()).collect(),
            to_party: Vec::new(),
            to_tag: Vec::new(),
            text_copy: config::TextCopy::Members(vec!["lina".into()]),
            format: AppFormat::Markdown,
            api_url: self.api(),
            proxy_url: None,
        };
        let applications = Applications::of([&config], self.clock.clone()).unwrap();
        WecomApp::new(&config, &applications, self.renderer.clone()).unwrap()
    }

    /// What somebody was shown; nothing of it looked different from what was meant.
    fn shown(&self) -> Vec<Shown> {
        let shown = self.sim.messages();
        for message in &shown {
            assert_eq!(message.warnings, [], "{:?}", message.content);
        }
        shown
    }
}

fn delivery(receiver: &dyn Receiver, message: &Message, attempt: u32) -> Delivery {
    let locale = samples::locale(Language::Chinese);
    let rendering = Rendering {
        message,
        memory: None,
        locale: &locale,
    };
    Delivery {
        id: DeliveryId([1; 16]),
        attempt,
        created: message.created,
        parts: receiver.render(&rendering).unwrap(),
        progress: Progress::new(),
    }
}

async fn send(receiver: &dyn Receiver, message: &Message) -> Result<Receipt, SendError> {
    receiver.send(&delivery(receiver, message, 1)).await
}

/// Sends until it is confirmed, as the engine would, and returns the failures on the way.
async fn insist(receiver: &dyn Receiver, message: &Message) -> Vec<SendError> {
    let mut delivery = delivery(receiver, message, 1);
    let mut failures = Vec::new();
    while let Err(error) = receiver.send(&delivery).await {
        delivery.progress.extend(error.progress.clone());
        delivery.attempt += 1;
        failures.push(error);
        assert!(failures.len() < 10, "{failures:?}");
    }
    failures
}

fn text(message: &Shown) -> &str {
    match &message.content {
        Content::Text { text, .. } | Content::Markdown(text) | Content::MarkdownV2(text) => text,
        Content::Card(_) => panic!("nobody sent a card"),
    }
}

fn long() -> Message {
    let mut news = samples::news(Reason::First);
    let alert = |n: usize| samples::alert(Line::New, &format!("磁盘-{n}-{}", "长".repeat(40)));
    news.alerts = (0..60).map(alert).collect();
    samples::message(Says::Group(Box::new(news)))
}

#[tokio::test]
async fn every_sample_is_shown_as_it_was_meant() {
    for format in [BotFormat::Markdown, BotFormat::MarkdownV2, BotFormat::Text] {
        let corp = Corp::start(|config| config.rules.bot_per_minute = 1000).await;
        let bot = corp.bot(format);
        let mut messages = samples::all();
        messages.push(("hostile".into(), samples::hostile()));
        messages.push(("long".into(), long()));
        for (name, message) in messages {
            let parts = delivery(&bot, &message, 1).parts.len();
            let before = corp.sim.messages().len();
            send(&bot, &message)
                .await
                .unwrap_or_else(|error| panic!("{name}: {error:?}"));
            assert_eq!(corp.shown().len(), before + parts, "{name}");
        }
    }
}

#[tokio::test]
async fn hostile_messages_are_taken_and_look_like_nothing_but_text() {
    for format in [BotFormat::Markdown, BotFormat::MarkdownV2, BotFormat::Text] {
        let corp = Corp::start(|config| config.rules.bot_per_minute = 1000).await;
        let bot = corp.bot(format);
        for (name, message) in corpus::hostile() {
            let sent = send(&bot, &message).await;
            assert!(sent.is_ok(), "{format:?} {name}: {sent:?}");
        }
        for message in corp.sim.messages() {
            let mut warnings = message.warnings.iter();
            // It stands in a label as it is.
            let known = |warning: &Warning| *warning == Warning::ReplacementCharacter;
            assert!(
                warnings.all(known),
                "{:?} {}",
                message.warnings,
                text(&message)
            );
        }
        assert_eq!(corp.renderer.failures(), 0);
    }
}

#[tokio::test]
async fn members_get_markdown_or_the_copy_as_text() {
    let corp = Corp::start(|_| {}).await;
    let app = corp.app(&["wangqing", "lina"]);
    send(&app, &long()).await.unwrap();
    for message in corp.shown() {
        let expected = match message.content.msgtype() {
            "text" => "lina",
            _ => "wangqing",
        };
        assert_eq!(message.shown_to, [expected]);
        assert!(text(&message).len() <= 2048);
    }
    assert_eq!(corp.shown().len(), 3);
}

/// F-33
#[tokio::test]
async fn the_rate_limit_defers_and_after_a_minute_the_same_parts_arrive() {
    let corp = Corp::start(|config| config.rules.bot_per_minute = 1).await;
    let bot = corp.bot(BotFormat::Markdown);
    let message = samples::group(Reason::First);
    let mut delivery = delivery(&bot, &message, 1);
    let error = bot.send(&delivery).await.unwrap_err();
    let wait = Duration::from_secs(60);
    assert_eq!(error.failure, Failure::Deferred { wait });
    assert_eq!(
        (error.reason, error.code.as_deref()),
        ("rate_limited", Some("45009"))
    );
    assert_eq!(error.progress, Progress::from(["1".to_owned()]));
    corp.clock.advance(wait);
    delivery.progress = error.progress;
    bot.send(&delivery).await.unwrap();
    let kinds: Vec<_> = corp.shown().iter().map(|m| m.content.msgtype()).collect();
    assert_eq!(kinds, ["markdown", "text"]);
}

/// F-34
#[tokio::test]
async fn what_is_too_long_after_all_goes_out_in_halves_and_never_unchanged() {
    let corp = Corp::start(|_| {}).await;
    let bot = corp.bot(BotFormat::MarkdownV2);
    let message = samples::group(Reason::SomeResolved);
    let code = |code| Fault::Errcode {
        code: ErrCode(code),
    };
    corp.sim.fault(code(40058).on(Api::WebhookSend));
    let delivery = delivery(&bot, &message, 1);
    let whole = delivery.parts[0].body.clone();
    bot.send(&delivery).await.unwrap();
    let shown = corp.shown();
    assert_eq!(shown.len(), 2);
    assert!(text(&shown[0]).starts_with("(1/2)\n"));
    assert!(text(&shown[1]).starts_with("(2/2)\n"));
    assert!(shown.iter().all(|message| message.body != whole));
}

/// F-34
#[tokio::test]
async fn a_retry_after_one_half_sends_only_the_other() {
    let corp = Corp::start(|_| {}).await;
    let bot = corp.bot(BotFormat::MarkdownV2);
    let message = samples::group(Reason::SomeResolved);
    let code = |code| Fault::Errcode {
        code: ErrCode(code),
    };
    corp.sim.fault(code(40058).on(Api::WebhookSend));
    let mut first = delivery(&bot, &message, 1);
    // Too long as a whole, then busy at the first half.
    corp.sim.fault(code(-1).on(Api::WebhookSend));
    let error = bot.send(&first).await.unwrap_err();
    assert_eq!(error.progress, Progress::from(["1/halved".to_owned()]));
    first.progress = error.progress;
    bot.send(&first).await.unwrap();
    assert_eq!(corp.shown().len(), 2);
    assert_eq!(corp.sim.refusals().len(), 2, "the whole was sent once");
}

#[tokio::test]
async fn a_code_that_nobody_knows_is_given_up_after_three_attempts() {
    let corp = Corp::start(|_| {}).await;
    let bot = corp.bot(BotFormat::Text);
    corp.sim.fault(
        Fault::Errcode {
            code: ErrCode(77777),
        }
        .on(Api::WebhookSend)
        .always(),
    );
    let message = samples::group(Reason::First);
    for (attempt, refused) in [(1, false), (2, false), (3, true)] {
        let error = bot
            .send(&delivery(&bot, &message, attempt))
            .await
            .unwrap_err();
        assert_eq!(error.failure == Failure::Refused, refused, "{attempt}");
    }
}

#[tokio::test]
async fn spoilt_answers_are_failures_and_good_ones_in_odd_clothes_are_not() {
    let cases = [
        (
            Fault::Status {
                status: 502,
                retry_after: None,
            },
            false,
        ),
        (
            Fault::Status {
                status: 429,
                retry_after: Some(9),
            },
            false,
        ),
        (Fault::Html, false),
        (Fault::Redirect, false),
        (Fault::Close, false),
        (Fault::LoseReply, false),
        (Fault::TruncatedJson, false),
        (Fault::EmptyBody, false),
        (Fault::Bom, true),
        (Fault::StringErrcode, true),
    ];
    for (fault, good) in cases {
        let corp = Corp::start(|_| {}).await;
        let bot = corp.bot(BotFormat::Text);
        corp.sim.fault(fault.clone().on(Api::WebhookSend));
        match send(&bot, &samples::group(Reason::First)).await {
            Ok(_) => assert!(good, "{fault:?}"),
            Err(error) => {
                assert!(!good, "{fault:?}: {error:?}");
                assert!(
                    matches!(error.failure, Failure::Failed { .. }),
                    "{fault:?}: {error:?}"
                );
            }
        }
    }
}

/// A lost answer: the application repeats the bytes and WeCom swallows the repetition.
#[tokio::test]
async fn an_application_message_with_a_lost_answer_is_shown_once() {
    for fault in [Fault::LoseReply, Fault::TruncatedJson, Fault::EmptyBody] {
        let corp = Corp::start(|_| {}).await;
        let app = corp.app(&["wangqing"]);
        corp.sim.fault(fault.on(Api::MessageSend));
        let failures = insist(&app, &samples::group(Reason::First)).await;
        assert_eq!(failures.len(), 1);
        assert_eq!((corp.shown().len(), corp.sim.swallowed().len()), (2, 1));
    }
}

#[tokio::test]
async fn two_messages_that_differ_only_in_their_time_are_both_shown() {
    let corp = Corp::start(|_| {}).await;
    let app = corp.app(&["wangqing"]);
    let mut message = samples::group(Reason::Repeat);
    send(&app, &message).await.unwrap();
    message.created = message.created + Duration::from_secs(1);
    send(&app, &message).await.unwrap();
    assert_eq!(corp.sim.swallowed().len(), 0);
}

/// F-38
#[tokio::test]
async fn revoked_and_expired_tokens_heal_within_the_send() {
    for mode in [TokenMode::Fresh, TokenMode::Same, TokenMode::Evicting] {
        let corp = Corp::start(|config| config.rules.token_mode = mode).await;
        let app = corp.app(&["wangqing"]);
        send(&app, &samples::group(Reason::First)).await.unwrap();
        corp.sim.revoke_tokens();
        send(&app, &samples::group(Reason::Repeat)).await.unwrap();
        corp.clock.advance(Duration::from_secs(9000));
        send(&app, &samples::group(Reason::AllResolved))
            .await
            .unwrap();
        assert_eq!(
            corp.sim.refusals().len(),
            1,
            "{mode:?}: {:?}",
            corp.sim.refusals()
        );
    }
}

/// F-41
#[tokio::test]
async fn unknown_members_are_reported_and_if_all_are_the_message_is_refused() {
    let corp = Corp::start(|_| {}).await;
    let some = corp.app(&["wangqing", "nobody"]);
    let receipt = send(&some, &samples::group(Reason::First)).await.unwrap();
    let refused: Vec<_> = receipt
        .refused
        .iter()
        .map(|r| r.recipient.as_str())
        .collect();
    assert_eq!(refused, ["nobody"]);
    let none = corp.app(&["nobody"]);
    let error = send(&none, &samples::group(Reason::First))
        .await
        .unwrap_err();
    assert_eq!(
        (error.failure, error.code.as_deref()),
        (Failure::Refused, Some("81013"))
    );
}

/// F-40
#[tokio::test]
async fn an_untrusted_address_is_named_with_what_to_change() {
    let corp = Corp::start(|config| config.apps[0].trusted_ips = Some(BTreeSet::new())).await;
    let error = send(&corp.app(&["wangqing"]), &samples::group(Reason::First))
        .await
        .unwrap_err();
    assert!(
        matches!(error.failure, Failure::Blocked { .. }),
        "{error:?}"
    );
    let fix = error.fix.unwrap().to_string();
    assert!(
        fix.starts_with("WeCom saw 127.0.0.1: add this address"),
        "{fix}"
    );
}

#[tokio::test]
async fn a_robot_that_is_gone_blocks_its_destination() {
    let corp = Corp::start(|config| config.bots.clear()).await;
    let error = send(&corp.bot(BotFormat::Text), &samples::group(Reason::First))
        .await
        .unwrap_err();
    assert!(
        matches!(error.failure, Failure::Blocked { .. }),
        "{error:?}"
    );
    assert_eq!(error.code.as_deref(), Some("93000"));
    assert!(error.fix.unwrap().to_string().contains("webhook URL"));
}
