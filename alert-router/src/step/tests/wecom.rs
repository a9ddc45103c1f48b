//! WeCom's limits, against the simulator of its API, on one clock that only the test moves.

use wecom_sim::{Api, Config as Corp, Content, ErrCode, Fault, Message, Sim};

use super::*;

const SECOND: Duration = Duration::from_secs(1);

/// A simulator, and a router that tells it what it hears.
struct Story {
    bench: Bench,
    sim: Sim,
}

impl Story {
    /// `receiver` is an entry of `wecom_configs` without its `api_url`'s value.
    async fn begin(receiver: &str, group_by: &str, change: impl FnOnce(&mut Corp)) -> Self {
        let clock = Arc::new(ManualClock::at(START));
        let shared = Arc::clone(&clock);
        let mut corp = Corp::demo();
        corp.clock = wecom_sim::Clock::from_fn(move || {
            wecom_sim::Timestamp::from_millisecond(shared.now().as_millis()).unwrap()
        });
        change(&mut corp);
        let sim = Sim::start(corp).await.unwrap();
        let receiver = receiver.replace("API", &sim.api_url());
        let config = format!(
            "receivers: [{{name: duty, wecom_configs: [{receiver}]}}]\n\
             route: {{receiver: duty, group_by: [{group_by}], group_wait: 0s, group_interval: 1s}}\n"
        );
        let materials = materials(&clock);
        let bench = Bench::over(&config, clock, materials).await;
        Self { bench, sim }
    }

    /// The names of those of `count` alerts that nobody was shown.
    fn unheard(&self, count: usize) -> Vec<String> {
        let shown = self.sim.messages();
        let names = (0..count).map(name);
        let heard = |name: &String| shown.iter().any(|message| text(message).contains(name));
        names.filter(|name| !heard(name)).collect()
    }
}

/// No name is part of another one.
fn name(n: usize) -> String {
    format!("Alert{n:03}")
}

fn text(message: &Message) -> &str {
    match &message.content {
        Content::Text { text, .. } | Content::Markdown(text) | Content::MarkdownV2(text) => text,
        Content::Card(_) => panic!("nobody sent a card"),
    }
}

/// WeCom takes the 31st message in a minute, says ok, and shows it to nobody.
#[tokio::test]
async fn f44_the_thirty_first_message_in_a_minute_to_a_member_waits_here() {
    let app = "{app: {corp_id: sim-corp, secret: sim-secret, agent_id: 1000002, \
               to_user: wangqing, api_url: 'API'}}";
    let mut story = Story::begin(app, "alertname", |_| {}).await;
    let waiting = "lanes_waiting{receiver=\"duty\",why=\"slot\"}";
    let (count, mut waited) = (75, 0.0_f64);
    for n in 0..count {
        let urgent = firing(&[("alertname", &name(n)), ("severity", "critical")]);
        story.bench.post_alerts("prod", &[urgent]).await;
        waited = waited.max(story.bench.value(waiting).unwrap_or_default());
        story.bench.pass(SECOND).await;
    }
    assert!(waited > 0.0, "nobody waited");
    for _ in 0..120 {
        story.bench.pass(SECOND).await;
    }
    let sent = story.sim.messages();
    let dropped = sent
        .iter()
        .filter(|message| !message.dropped_for.is_empty());
    assert_eq!(dropped.count(), 0, "of {} messages", sent.len());
    assert_eq!(story.unheard(count), [""; 0]);
    let at = |n: usize| sent[n].at.as_second();
    assert!(at(29) - at(0) < 60, "thirty have room in a minute");
    for later in 30..sent.len() {
        let passed = at(later) - at(later - 30);
        assert!(
            passed >= 60,
            "message {} came {passed} s after the 30th before it",
            later + 1
        );
    }
    assert!(sent.len() > 31, "{} messages", sent.len());
}

#[tokio::test]
async fn f33_a_rate_limit_is_counted_once_waited_for_and_changes_no_order() {
    let bot = "{bot: {key: sim-bot-key, api_url: 'API'}, format: markdown}";
    let mut story = Story::begin(bot, "team", |corp| corp.rules.bot_per_minute = 1).await;
    for n in 0..2 {
        story.bench.post(&name(n)).await;
        story.bench.pass(SECOND).await;
    }
    let limited =
        "delivery_failures_total{channel=\"wecom_bot\",reason=\"rate_limited\",receiver=\"duty\"}";
    assert_eq!(story.bench.value(limited), Some(1.0));
    assert_eq!(story.unheard(2), [name(1)]);
    // Whoever calls during the block lengthens it.
    story.bench.post(&name(2)).await;
    story.bench.pass(57 * SECOND).await;
    assert_eq!(story.sim.refusals().len(), 1, "nobody calls meanwhile");
    for _ in 0..3 {
        story.bench.pass(61 * SECOND).await;
    }
    assert_eq!(story.unheard(3), [""; 0]);
    let told = story.sim.messages();
    let firsts = (0..3).map(|n| told.iter().position(|m| text(m).contains(&name(n))));
    assert!(firsts.is_sorted(), "{told:?}");
    assert_eq!(story.bench.value(limited), Some(1.0));
    assert_eq!(
        story.bench.value("dead_letters_total{receiver=\"duty\"}"),
        Some(0.0)
    );
}

/// The vendor asks for three retries at most. These are as rare as those of any failure, so that
/// they are no load, and go on, so that nobody has to replay what came in a bad quarter of an hour.
#[tokio::test]
async fn f37_busy_is_asked_again_ever_more_slowly_and_given_up_after_thirty_attempts() {
    let bot = "{bot: {key: sim-bot-key, api_url: 'API'}, format: markdown}";
    let mut story = Story::begin(bot, "team", |_| {}).await;
    let busy = Fault::Errcode { code: ErrCode(-1) };
    story.sim.fault(busy.on(Api::WebhookSend).times(5));
    story.bench.post(&name(0)).await;
    let begin = story.bench.clock.now();
    let healed = |story: &Story| story.unheard(1).is_empty();
    while !healed(&story) && story.bench.clock.now() < begin + 1000 * SECOND {
        story.bench.pass(SECOND).await;
    }
    assert!(healed(&story), "it is heard as soon as WeCom takes it");
    let at = |n: usize| story.sim.refusals()[n].at.as_second();
    let waits: Vec<i64> = (1..5).map(|n| at(n) - at(n - 1)).collect();
    for (wait, longest) in waits.iter().zip([10, 20, 40, 80]) {
        // Less up to a tenth, in steps of this test's second.
        assert!((longest * 9 / 10..=longest + 1).contains(wait), "{waits:?}");
    }

    story.sim.fault(
        Fault::Errcode { code: ErrCode(-1) }
            .on(Api::WebhookSend)
            .always(),
    );
    let before = story.sim.refusals().len();
    story.bench.post(&name(1)).await;
    for _ in 0..150 {
        story.bench.pass(60 * SECOND).await;
    }
    assert_eq!(story.sim.refusals().len() - before, 30);
    assert_eq!(
        story.bench.value("dead_letters_total{receiver=\"duty\"}"),
        Some(1.0)
    );
    let failures =
        "delivery_failures_total{channel=\"wecom_bot\",reason=\"busy\",receiver=\"duty\"}";
    assert_eq!(story.bench.value(failures), Some(35.0));
}
