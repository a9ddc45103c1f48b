//! What is said once everything has started: where to look, and what is missing.

use alert_router::render::{Language, Phrase};

use crate::clock::Since;
use crate::page;
use crate::part::{self, Link, Part, State};
use crate::ports::Ports;
use crate::voice::{Voice, called, padded};

pub(crate) fn announce(ports: &Ports, parts: &[Part], voice: Voice, begin: Since) {
    let seconds = begin.elapsed().as_secs_f64();
    voice.say(&Phrase::new(
        format!(
            "\nready after {seconds:.1} s\n{}",
            table(ports, parts, Language::English)
        ),
        format!(
            "\n就绪，用时 {seconds:.1} 秒\n{}",
            table(ports, parts, Language::Chinese)
        ),
    ));
    if let Some(why) = part::no_alert(parts) {
        voice.say(&why.map(|why| format!("{why}\n")));
    }
    let (page, demo) = (ports.page, called());
    voice.say(&Phrase::new(
        format!(
            "start page: http://{page}/   break it there, or with: {demo} break\nCtrl-C stops everything."
        ),
        format!("首页：http://{page}/   可在该页制造故障，或运行：{demo} break\n按 Ctrl-C 停止全部。"),
    ));
}

/// A line for each address, and for each part that is not there.
fn table(ports: &Ports, parts: &[Part], language: Language) -> String {
    let mut text = String::new();
    let mut line = |name: &str, what: &Phrase, url: &str| {
        let (name, what) = (padded(name, 13), padded(what.in_language(language), 19));
        text.push_str(&format!("  {name} {what} {url}\n"));
    };
    for part in parts.iter().filter(|part| is_ready(part)) {
        for (what, url) in &part.links {
            line(part.name, what, url);
        }
    }
    for Link { name, what, url } in page::own_pages(ports) {
        line(name.in_language(language), &what, &url);
    }
    for part in parts.iter().filter(|part| !is_ready(part)) {
        let state = part.state.phrase();
        let state = state.in_language(language);
        text.push_str(&format!("  NOT RUN  {}: {state}\n", part.name));
    }
    text
}

fn is_ready(part: &Part) -> bool {
    matches!(part.state, State::Ready(_))
}
