//! What posts show of an Alertmanager's settings, and what they do not.

use super::*;

const START: Timestamp = Timestamp::from_millis(1_767_268_800_000);
const HOUR: Duration = Duration::from_secs(3_600);
const SILENT_AFTER: Duration = Duration::from_secs(8 * 3_600);

#[derive(Default)]
struct Source {
    upstream: Upstream,
    rules: SourceRules,
    /// Since the start.
    at: Duration,
}

impl Source {
    fn now(&self) -> Timestamp {
        START + self.at
    }

    fn pass(&mut self, hours: u32) -> &mut Self {
        self.at += HOUR * hours;
        self
    }

    fn post(&mut self, alerts: usize, change: impl FnOnce(&mut Envelope, &mut bool)) -> &mut Self {
        let mut envelope = Envelope {
            receiver: "router".to_owned(),
            ..Envelope::default()
        };
        let mut resolved = false;
        change(&mut envelope, &mut resolved);
        let post = Post {
            envelope: &envelope,
            alerts,
            resolved,
            groups: 1,
            says: 7,
        };
        self.upstream.hear(&post, self.now());
        self
    }

    fn news(&mut self, alerts: usize) -> &mut Self {
        self.post(alerts, |_, _| ())
    }

    fn cut(&mut self, alerts: usize, missing: u64) -> &mut Self {
        self.post(alerts, |envelope, _| envelope.truncated = missing)
    }

    fn resolved(&mut self) -> &mut Self {
        self.post(1, |_, resolved| *resolved = true)
    }

    fn repeat(&mut self) -> &mut Self {
        self.post(1, |envelope, _| {
            envelope.notification_reason = REPEATED.to_owned();
        })
    }

    fn closes(&mut self) -> &mut Self {
        let now = self.now();
        self.upstream.closed_unmentioned(now, &self.rules);
        self
    }

    #[track_caller]
    fn advised(&self, keys: &[&str]) {
        let found = self.upstream.findings(SILENT_AFTER, self.now());
        let found: Vec<&str> = found.map(|it| it.key()).collect();
        assert_eq!(found, keys, "{:?}", self.upstream);
    }
}

#[test]
fn an_ordinary_source_gets_no_advice() {
    let mut source = Source::default();
    source.news(3).pass(4).repeat().pass(4).repeat().resolved();
    source.pass(130).closes().pass(130).closes().pass(130);
    source.advised(&[]);
}

#[test]
fn a_cut_is_advised_until_the_same_receiver_posts_more_or_a_week_passed() {
    let mut source = Source::default();
    source.cut(10, 32).news(4).news(10).advised(&["max_alerts"]);
    let other = |envelope: &mut Envelope, _: &mut bool| envelope.receiver = "other".to_owned();
    source.post(50, other).advised(&["max_alerts"]);
    source.news(11).advised(&[]);
    source.cut(10, 1).pass(7 * 24 - 1).advised(&["max_alerts"]);
    source.pass(1).advised(&[]);
}

#[test]
fn ends_that_nobody_tells_on_three_days_are_advised_until_one_is_told() {
    let mut source = Source::default();
    for _ in 0..9 {
        source.closes();
    }
    source.advised(&[]);
    source.pass(24).closes().pass(23).closes().advised(&[]);
    source.pass(1).closes().advised(&["send_resolved"]);
    source.pass(100).news(1).advised(&["send_resolved"]);
    source.resolved().closes().advised(&[]);
}

#[test]
fn an_end_from_before_a_resolved_one_does_not_count_again() {
    let mut source = Source::default();
    let ends = [24, 48, 72].map(|hours| START + HOUR * hours);
    source.pass(100).resolved();
    for end in ends {
        source.upstream.closed_unmentioned(end, &source.rules);
    }
    source.advised(&[]);
}

#[test]
fn what_is_given_up_early_or_was_cut_may_still_fire() {
    let mut source = Source::default();
    source.rules.stale_after = Some(HOUR * 24);
    source.closes().pass(24).closes().pass(24).closes();
    source.advised(&[]);
    source.rules.stale_after = None;
    source.cut(10, 5);
    source.closes().pass(24).closes().pass(24).closes();
    source.advised(&["max_alerts"]);
}

#[test]
fn like_pauses_beyond_the_silence_are_a_long_repeat_interval() {
    let mut source = Source::default();
    source.news(1).pass(12).repeat().pass(12).repeat();
    source.advised(&[]);
    source.pass(12).repeat().advised(&["repeat_interval"]);
    source.news(1).advised(&[]);
}

#[test]
fn pauses_that_differ_or_are_short_say_nothing_of_it() {
    let mut source = Source::default();
    for hours in [12, 13, 12, 14, 9] {
        source.pass(hours).repeat();
    }
    source.advised(&[]);
    for _ in 0..5 {
        source.pass(4).repeat();
    }
    source.advised(&[]);
}

#[test]
fn the_time_while_this_process_was_down_is_no_pause() {
    let mut source = Source::default();
    source.news(1).pass(12).repeat().pass(12).repeat();
    source.upstream.previous = None;
    source.pass(12).repeat().advised(&[]);
}

#[test]
fn the_advice_says_what_was_seen_and_what_to_do() {
    let mut source = Source::default();
    source.closes().pass(24).closes().pass(24).closes().news(1);
    for _ in 0..3 {
        source.pass(12).repeat();
    }
    let quiet = source.upstream.repeats;
    source.cut(10, 32).upstream.repeats = quiet;
    let advice = source.upstream.findings(SILENT_AFTER, source.now());
    let shown = advice.map(|it| it.advice()).map(|advice| {
        let Advice {
            under,
            key,
            value,
            why,
        } = advice;
        format!(
            "{under}: {key}: {value}\n{why}\n{}\n",
            why.in_language(crate::render::Language::Chinese)
        )
    });
    insta::assert_snapshot!(shown.collect::<Vec<_>>().join("\n"));
}

#[test]
fn what_is_stored_comes_back() {
    let mut source = Source::default();
    source.cut(10, 32).pass(1).resolved().closes();
    let mut stored = source.upstream.clone();
    stored.previous = None;
    stored.repetition = Repetition::default();
    let json = serde_json::to_vec(&stored).unwrap();
    assert_eq!(serde_json::from_slice::<Upstream>(&json).unwrap(), stored);
    assert_eq!(
        serde_json::from_slice::<Upstream>(b"{}").unwrap(),
        Upstream::default()
    );
}

/// The groups `a` and `b` of one source; each post is `(hours passed, group, what it says)`.
fn shown(posts: &[(u32, &str, u64)]) -> Vec<Option<u64>> {
    let (mut upstream, mut now) = (Upstream::default(), START);
    let shown = posts.iter().map(|(hours, group, says)| {
        now = now + HOUR * *hours;
        let envelope = Envelope {
            group_key: (*group).to_owned(),
            ..Envelope::default()
        };
        let post = Post {
            envelope: &envelope,
            alerts: 1,
            resolved: false,
            groups: 1,
            says: *says,
        };
        let shown = upstream.hear(&post, now);
        shown.map(|interval| interval.as_secs() / 3_600)
    });
    shown.collect()
}

#[test]
fn two_like_pauses_of_one_group_that_says_the_same_show_its_interval() {
    let posts = [(0, "a", 1), (12, "a", 1), (12, "a", 1), (12, "a", 1)];
    assert_eq!(shown(&posts), [None, None, Some(12), Some(12)]);
    let mixed = [
        (0, "a", 1),
        (0, "b", 1),
        (12, "b", 1),
        (0, "a", 1),
        (12, "a", 1),
    ];
    assert_eq!(shown(&mixed), [None, None, None, None, Some(12)]);
}

#[test]
fn what_changed_meanwhile_a_silence_and_a_retry_show_no_interval() {
    let changed = [(0, "a", 1), (12, "a", 2), (12, "a", 1), (12, "a", 1)];
    assert_eq!(shown(&changed), [None; 4]);
    let silenced = [(0, "a", 1), (72, "a", 1), (4, "a", 1), (4, "a", 1)];
    assert_eq!(shown(&silenced), [None, None, None, Some(4)]);
    let retried = [
        (0, "a", 1),
        (0, "a", 1),
        (12, "a", 1),
        (0, "a", 1),
        (12, "a", 1),
    ];
    assert_eq!(shown(&retried), [None, None, None, None, Some(12)]);
}
