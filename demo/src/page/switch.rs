//! The switch: breaks the demo in one way at a time, and heals it.

use alert_router::render::{Language, Phrase};
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use http::{StatusCode, header};

use super::{Shared, Sources};
use crate::part::{self, Part};
use crate::service::Mode;
use crate::stage::Fate;
use crate::trouble::Trouble;

/// Where to post to break or heal.
pub(crate) fn path(trouble: Option<Trouble>) -> String {
    trouble.map_or("/heal".to_owned(), |trouble| {
        format!("/break/{}", trouble.as_str())
    })
}

/// What they do, and the buttons.
pub(super) fn buttons(language: Language) -> String {
    let what = Phrase::fixed(
        "Press <i>break</i>: within two minutes people hear it by mail and on WeCom. Press <i>heal</i>: they hear that it is over.",
        "点击<i>制造故障</i>：两分钟内，相关人员会收到邮件和企业微信通知。点击<i>恢复</i>：他们会得知故障已结束。",
    );
    let mut html = format!("<p>{}<p>", what.in_language(language));
    let all = Trouble::ALL.into_iter().map(Some);
    for trouble in all.chain([None]) {
        let label = match trouble {
            Some(Trouble::Errors) => Phrase::fixed("Break: errors", "制造故障：错误"),
            Some(Trouble::Latency) => Phrase::fixed("Break: latency", "制造故障：变慢"),
            Some(Trouble::Dependency) => {
                Phrase::fixed("Break: kill a dependency", "制造故障：依赖宕机")
            }
            None => Phrase::fixed("Heal", "恢复"),
        };
        html.push_str(&format!(
            "<form method=post action={}><button>{}</button></form>",
            path(trouble),
            label.in_language(language)
        ));
    }
    html
}

pub(super) async fn break_it(shared: State<Shared>) -> Response {
    switch(&shared.0, Some(Trouble::Errors)).await
}

pub(super) async fn break_as(shared: State<Shared>, Path(name): Path<String>) -> Response {
    match Trouble::parse(&name) {
        Some(trouble) => switch(&shared.0, Some(trouble)).await,
        None => {
            let known = Trouble::ALL.map(Trouble::as_str).join(", ");
            (StatusCode::NOT_FOUND, format!("there are {known}\n")).into_response()
        }
    }
}

pub(super) async fn heal(shared: State<Shared>) -> Response {
    switch(&shared.0, None).await
}

async fn switch(Shared(sources): &Shared, trouble: Option<Trouble>) -> Response {
    let said = |phrase: Phrase| phrase.in_language(sources.language).to_owned();
    if let Err(why) = sources.set(trouble).await {
        return (StatusCode::BAD_GATEWAY, said(why)).into_response();
    }
    // Browsers follow; whoever uses the command line reads.
    let why_not = part::no_alert(&sources.board.borrow()).map(said);
    let to_the_page = [(header::LOCATION, "/")];
    (
        StatusCode::SEE_OTHER,
        to_the_page,
        why_not.unwrap_or_default(),
    )
        .into_response()
}

const ENDING: Phrase = Phrase::fixed("the demo is ending", "演示程序正在退出");
const NO_ANSWER: Phrase = Phrase::fixed("the stock does not answer", "stock 没有响应");

impl Sources {
    /// Breaks it this way and no other.
    async fn set(&self, trouble: Option<Trouble>) -> Result<(), Phrase> {
        if trouble == Some(Trouble::Dependency) {
            // It may be the stock that dies, or is dead: then this does not matter.
            let _ = self.tell_the_stock(None).await;
            let dead = self.lever.pull(Fate::Dead).await;
            return dead.map(drop).ok_or(ENDING);
        }
        let dependency = self.lever.pull(Fate::Alive).await;
        self.tell_the_stock(trouble.and_then(Trouble::in_the_stock))
            .await?;
        match dependency {
            Some(part::State::Failed(why)) if trouble.is_none() => Err(why),
            _ => Ok(()),
        }
    }

    async fn tell_the_stock(&self, mode: Option<Mode>) -> Result<(), Phrase> {
        let path = format!("/trouble/{}", mode.map_or("none", Mode::as_str));
        match self.client.post(self.ports.stock, &path).await {
            Ok(answer) if answer.is_success() => Ok(()),
            Ok(_) | Err(_) => Err(NO_ANSWER),
        }
    }

    /// What is broken at the moment, from those who know.
    pub(super) async fn trouble(&self) -> Phrase {
        if let Some(name) = killed(&self.board.borrow()) {
            return Phrase::new(
                format!("dependency: {name} is dead"),
                format!("依赖宕机：{name} 已终止"),
            );
        }
        match self.client.get(self.ports.stock, "/trouble").await {
            Ok(answer) if *answer.body == *b"none" => Phrase::fixed("nothing", "无"),
            Ok(answer) => Phrase::verbatim(String::from_utf8_lossy(&answer.body)),
            Err(_) => NO_ANSWER,
        }
    }
}

fn killed(parts: &[Part]) -> Option<&'static str> {
    let killed = |part: &&Part| part.state == part::State::Killed;
    parts.iter().find(killed).map(|part| part.name)
}
