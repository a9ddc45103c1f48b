//! What the demo consists of, and how each part is: the board that the start page shows.

use std::net::SocketAddr;
use std::time::Duration;

use alert_router::render::{Language, Phrase};

use crate::tool::Tool;

/// A part and how it is.
#[derive(Clone, Debug)]
pub(crate) struct Part {
    pub(crate) name: &'static str,
    pub(crate) role: Phrase,
    /// Text and address of what people may look at.
    pub(crate) links: Vec<(Phrase, String)>,
    pub(crate) state: State,
}

/// Those that an alert passes.
const WAY: [&str; 3] = ["Prometheus", "Alertmanager", "alert-router"];

/// Why no alert can come at the moment, whatever breaks.
pub(crate) fn no_alert(parts: &[Part]) -> Option<Phrase> {
    let is_away = |part: &&Part| {
        let away = matches!(part.state, State::Missing(_) | State::Failed(_));
        away && WAY.contains(&part.name)
    };
    let away: Vec<&str> = parts.iter().filter(is_away).map(|part| part.name).collect();
    match away.as_slice() {
        [] => None,
        away => Some(Phrase::new(
            format!(
                "No alert comes, whatever breaks, without {}.",
                away.join(" and ")
            ),
            format!("没有 {}，任何故障都不会产生告警。", away.join(" 和 ")),
        )),
    }
}

/// Something to look at.
#[derive(Clone, Debug)]
pub(crate) struct Link {
    pub(crate) name: Phrase,
    pub(crate) what: Phrase,
    pub(crate) url: String,
}

/// How a part is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// Not on this machine.
    Missing(Tool),
    Starting,
    /// Answered after this time.
    Ready(Duration),
    /// Did not start, or ended; the text says why and where its log is.
    Failed(Phrase),
    /// Because somebody wanted to see what happens.
    Killed,
}

/// How a part is started and asked whether it is ready.
#[derive(Debug)]
pub(crate) struct Recipe {
    pub(crate) part: Part,
    pub(crate) program: Program,
    pub(crate) vars: Vec<(String, String)>,
    pub(crate) ready: Ready,
}

/// How to see that a part is ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ready {
    /// This page answers with success.
    Page(SocketAddr, &'static str),
    /// Connections are taken here.
    Port(SocketAddr),
}

/// What to run, with its arguments.
#[derive(Debug)]
pub(crate) enum Program {
    /// This program again.
    Own(Vec<String>),
    /// This program again, which is of no use where the other is missing.
    OwnWith(Tool, Vec<String>),
    Other(Tool, Vec<String>),
}

impl State {
    /// For people.
    pub(crate) fn phrase(&self) -> Phrase {
        match self {
            Self::Missing(tool) => {
                let how = tool.how_to_get_it();
                Phrase::new(
                    format!("missing; to get it: {how}"),
                    format!("未安装；获取方法：{}", how.in_language(Language::Chinese)),
                )
            }
            Self::Starting => Phrase::fixed("starting", "正在启动"),
            Self::Ready(after) => {
                let seconds = after.as_secs_f64();
                Phrase::new(
                    format!("ready after {seconds:.1} s"),
                    format!("已就绪，用时 {seconds:.1} 秒"),
                )
            }
            Self::Failed(why) => Phrase::new(
                format!("not running: {why}"),
                format!("未运行：{}", why.in_language(Language::Chinese)),
            ),
            Self::Killed => Phrase::fixed(
                "killed; heal starts it again",
                "已强制终止；恢复时会重新启动",
            ),
        }
    }

    /// The word that the page colours.
    pub(crate) fn class(&self) -> &'static str {
        match self {
            Self::Missing(_) => "missing",
            Self::Starting => "starting",
            Self::Ready(_) => "ready",
            Self::Failed(_) | Self::Killed => "failed",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_alert_comes_unless_someone_on_its_way_is_away() {
        let part = |name, state| Part {
            name,
            role: Phrase::fixed("", ""),
            links: Vec::new(),
            state,
        };
        let ready = State::Ready(Duration::ZERO);
        let jaeger = part("Jaeger", State::Missing(Tool::Jaeger));
        let router = part("alert-router", ready.clone());
        let mut parts = [jaeger, part("Prometheus", ready), router];
        assert_eq!(no_alert(&parts), None);
        parts[1].state = State::Missing(Tool::Prometheus);
        let why = "No alert comes, whatever breaks, without Prometheus.";
        let said = no_alert(&parts).map(|phrase| phrase.to_string());
        assert_eq!(said.as_deref(), Some(why));
    }
}
