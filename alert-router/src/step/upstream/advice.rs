//! What an operator should change in `alertmanager.yml`, and why.

use std::time::Duration;

use alert_engine::Timestamp;

use super::{AGAIN_AND_AGAIN, CUT_LASTS, Cut, Upstream};
use crate::config::show_duration;
use crate::render::Phrase;

/// A setting of Alertmanager that does not suit a router behind it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Advice {
    /// The section that the key stands in.
    pub(crate) under: &'static str,
    pub(crate) key: &'static str,
    /// What to set it to.
    pub(crate) value: &'static str,
    /// What was seen, and what it does.
    pub(crate) why: Phrase,
}

/// A setting that does not suit, as far as posts show it.
#[derive(Clone, Copy)]
pub(crate) enum Finding<'a> {
    MaxAlerts(&'a Cut),
    /// On so many days nobody said that what was closed is over.
    SendResolved(u32),
    RepeatInterval {
        pause: Duration,
        silent_after: Duration,
    },
}

impl Upstream {
    /// What is to be changed, as far as it shows now. `silent_after` is what holds for this source.
    pub(crate) fn findings(
        &self,
        silent_after: Duration,
        now: Timestamp,
    ) -> impl Iterator<Item = Finding<'_>> {
        let cut = self.cut.as_ref().filter(|cut| now < cut.at() + CUT_LASTS);
        let unclosed = self.unclosed.filter(|it| it.times >= AGAIN_AND_AGAIN);
        let repeats = self.repeats.filter(|it| it.times >= AGAIN_AND_AGAIN);
        let pause = repeats.map(|repeats| repeats.pause());
        let findings = [
            cut.map(Finding::MaxAlerts),
            unclosed.map(|unclosed| Finding::SendResolved(unclosed.times)),
            pause
                .filter(|pause| *pause >= silent_after)
                .map(|pause| Finding::RepeatInterval {
                    pause,
                    silent_after,
                }),
        ];
        findings.into_iter().flatten()
    }
}

impl Finding<'_> {
    /// The setting.
    pub(crate) fn key(&self) -> &'static str {
        match self {
            Self::MaxAlerts(_) => "max_alerts",
            Self::SendResolved(_) => "send_resolved",
            Self::RepeatInterval { .. } => "repeat_interval",
        }
    }

    /// What people read of it.
    pub(crate) fn advice(&self) -> Advice {
        let (under, value, why) = match *self {
            Self::MaxAlerts(cut) => ("webhook_configs", "0", max_alerts(cut)),
            Self::SendResolved(days) => ("webhook_configs", "true", send_resolved(days)),
            Self::RepeatInterval {
                pause,
                silent_after,
            } => ("route", "4h", repeat_interval(pause, silent_after)),
        };
        Advice {
            under,
            key: self.key(),
            value,
            why,
        }
    }
}

fn max_alerts(cut: &Cut) -> Phrase {
    let Cut {
        receiver,
        kept,
        missing,
        ..
    } = cut;
    Phrase::new(
        format!(
            "its receiver {receiver:?} posted {kept} alerts and left out {missing}: nobody \
             hears of those here, and what still fires may seem to be over"
        ),
        format!(
            "其接收方 {receiver:?} 发来 {kept} 条告警，另有 {missing} 条被截掉：这些告警在此无人知晓，\
             仍在告警的也可能看似已恢复"
        ),
    )
}

fn send_resolved(days: u32) -> Phrase {
    Phrase::new(
        format!(
            "probably it is false: on {days} days alerts were closed here only because \
             nobody mentioned them any more, and none was said to be resolved meanwhile; so \
             people hear of an end days late"
        ),
        format!(
            "很可能为 false：已有 {days} 天出现告警仅因不再被提及而在此关闭，其间没有收到任何恢复通知；\
             因此人们要晚几天才知道告警已恢复"
        ),
    )
}

fn repeat_interval(pause: Duration, silent_after: Duration) -> Phrase {
    let (pause, silent) = (show_duration(about(pause)), show_duration(silent_after));
    Phrase::new(
        format!(
            "while nothing changes it speaks only every {pause}, and here a source that says \
             nothing for {silent} is reported as silent, and its alerts may never close \
             by themselves; or raise `silent_after` of this source here"
        ),
        format!(
            "没有变化时它每 {pause} 才发来一次，而此处来源 {silent} 没有消息即视为静默，其告警也可能永远不会自行关闭；\
             也可以在此处调大该来源的 `silent_after`"
        ),
    )
}

/// In whole minutes: a repeat comes some seconds after its time.
fn about(pause: Duration) -> Duration {
    match pause.as_secs() {
        0..60 => pause,
        seconds => Duration::from_secs((seconds + 30) / 60 * 60),
    }
}
