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

impl Upstream {
    /// What is to be changed, as far as it shows now. `silent_after` is what holds for this source.
    pub(crate) fn advice(&self, silent_after: Duration, now: Timestamp) -> Vec<Advice> {
        let advice = [
            self.max_alerts(now),
            self.send_resolved(),
            self.repeat_interval(silent_after),
        ];
        advice.into_iter().flatten().collect()
    }

    fn max_alerts(&self, now: Timestamp) -> Option<Advice> {
        let cut = self.cut.as_ref().filter(|cut| now < cut.at() + CUT_LASTS)?;
        let Cut {
            receiver,
            kept,
            missing,
            ..
        } = cut;
        Some(Advice {
            under: "webhook_configs",
            key: "max_alerts",
            value: "0",
            why: Phrase::new(
                format!(
                    "its receiver {receiver:?} posted {kept} alerts and left out {missing}: nobody \
                     hears of those here, and what still fires may seem to be over"
                ),
                format!(
                    "其接收方 {receiver:?} 发来 {kept} 条告警，另有 {missing} 条被截掉：这些告警在此无人知晓，\
                     仍在告警的也可能看似已恢复"
                ),
            ),
        })
    }

    fn send_resolved(&self) -> Option<Advice> {
        let unclosed = self.unclosed.filter(|it| it.times >= AGAIN_AND_AGAIN)?;
        let times = unclosed.times;
        Some(Advice {
            under: "webhook_configs",
            key: "send_resolved",
            value: "true",
            why: Phrase::new(
                format!(
                    "probably it is false: on {times} days alerts were closed here only because \
                     nobody mentioned them any more, and none was said to be resolved meanwhile; so \
                     people hear of an end days late"
                ),
                format!(
                    "很可能为 false：已有 {times} 天出现告警仅因不再被提及而在此关闭，其间没有收到任何恢复通知；\
                     因此人们要晚几天才知道告警已恢复"
                ),
            ),
        })
    }

    fn repeat_interval(&self, silent_after: Duration) -> Option<Advice> {
        let repeats = self.repeats.filter(|it| it.times >= AGAIN_AND_AGAIN)?;
        let pause = repeats.pause();
        if pause < silent_after {
            return None;
        }
        let (pause, silent) = (show_duration(about(pause)), show_duration(silent_after));
        Some(Advice {
            under: "route",
            key: "repeat_interval",
            value: "4h",
            why: Phrase::new(
                format!(
                    "while nothing changes it speaks only every {pause}, and here a source that says \
                     nothing for {silent} is reported as silent, and its alerts may never close \
                     by themselves; or raise `silent_after` of this source here"
                ),
                format!(
                    "没有变化时它每 {pause} 才发来一次，而此处来源 {silent} 没有消息即视为静默，其告警也可能永远不会自行关闭；\
                     也可以在此处调大该来源的 `silent_after`"
                ),
            ),
        })
    }
}

/// In whole minutes: a repeat comes some seconds after its time.
fn about(pause: Duration) -> Duration {
    match pause.as_secs() {
        0..60 => pause,
        seconds => Duration::from_secs((seconds + 30) / 60 * 60),
    }
}
