//! Why there is no answer: in English for programs, in the reader's language for people.

use axum::extract::rejection::QueryRejection;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use http::StatusCode;

use crate::dead_letter::ResendError;
use crate::render::{Language, Phrase};
use crate::step::Busy;
use crate::store::StoreError;
use crate::webhook::ReplayError;

/// Why there is no answer.
pub(super) enum Refusal {
    Store(StoreError),
    NotFound(Phrase),
    Wrong(Phrase),
    /// The path is right, the method is not.
    Method,
    /// Understood, but it cannot be done with this one.
    Unable(Phrase),
    /// Somebody else's server failed.
    Elsewhere(Phrase),
    Busy(Phrase),
}

impl Refusal {
    fn parts(self) -> (StatusCode, Phrase) {
        match self {
            Self::Store(error) => (StatusCode::SERVICE_UNAVAILABLE, of_store(&error)),
            Self::NotFound(what) => (StatusCode::NOT_FOUND, what),
            Self::Wrong(why) => (StatusCode::BAD_REQUEST, why),
            Self::Method => (StatusCode::METHOD_NOT_ALLOWED, METHOD),
            Self::Unable(why) => (StatusCode::UNPROCESSABLE_ENTITY, why),
            Self::Elsewhere(why) => (StatusCode::BAD_GATEWAY, why),
            Self::Busy(why) => (StatusCode::SERVICE_UNAVAILABLE, why),
        }
    }
}

const METHOD: Phrase = Phrase::fixed(
    "this path does not take this method: see /api/v1/openapi.yaml",
    "该路径不支持此方法：见 /api/v1/openapi.yaml",
);

/// Programs read English; the phrase goes along for whoever answers people.
impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let (code, why) = self.parts();
        let body = Json(serde_json::json!({ "error": why.to_string() }));
        (code, Extension(why), body).into_response()
    }
}

/// What the store says, behind what it means.
pub(super) fn of_store(error: &StoreError) -> Phrase {
    let chinese = match error {
        StoreError::Unavailable(why) => format!("存储没有应答：{why}"),
        StoreError::Full { place } => format!("{place} 中的存储空间已用尽：请清理所在磁盘"),
        StoreError::Corrupt { place, what } => format!("{place} 中的存储已损坏：{what}"),
    };
    Phrase::new(error.to_string(), chinese)
}

/// Why the step took nothing.
pub(super) fn of_step(busy: &Busy) -> Phrase {
    let chinese = match busy {
        Busy::Queue => "等待的请求太多，请重试".to_owned(),
        Busy::Slow => "10 秒内没有回答：请查看是否已完成，或重试".to_owned(),
        Busy::Stopping => "服务器正在停止，请重试".to_owned(),
        Busy::Contended => "其他副本一直在修改相同的告警组，请重试".to_owned(),
        Busy::Store(error) => {
            format!("{}；请重试", of_store(error).in_language(Language::Chinese))
        }
    };
    Phrase::new(busy.to_string(), chinese)
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<Busy> for Refusal {
    fn from(busy: Busy) -> Self {
        Self::Busy(of_step(&busy))
    }
}

impl From<QueryRejection> for Refusal {
    fn from(rejection: QueryRejection) -> Self {
        Self::Wrong(Phrase::verbatim(rejection.body_text()))
    }
}

pub(super) const NO_LETTER: Phrase = Phrase::fixed(
    "no dead letter has this id; list them with dead-letters list",
    "没有这个编号的死信；dead-letters list 会列出全部",
);

impl From<ResendError> for Refusal {
    fn from(error: ResendError) -> Self {
        let english = error.to_string();
        let why = |chinese: &str| Phrase::new(english, chinese.to_owned());
        match error {
            ResendError::Unknown => Self::NotFound(NO_LETTER),
            ResendError::UnderWay => Self::Busy(why("正在发送中")),
            ResendError::NoSlot(wait) => Self::Busy(why(&format!(
                "该目的地现在不能再接收消息：请在 {} 秒后重试",
                wait.as_secs() + 1
            ))),
            ResendError::CutOff => Self::Busy(why("发送被中断；重试之前请先确认是否已送达")),
            ResendError::NothingRendered => {
                Self::Unable(why("当时没有生成可以重发的内容：请用普通的重放"))
            }
            ResendError::NoDestination => Self::Unable(why(
                "它的目的地已从配置中移除：请恢复该接收方，或丢弃这条死信",
            )),
            ResendError::Failed(error) => Self::Elsewhere(error.explained("; ")),
            ResendError::Store(error) => Self::Store(error),
        }
    }
}

impl From<ReplayError> for Refusal {
    fn from(error: ReplayError) -> Self {
        let english = error.to_string();
        let why = |chinese: String| Phrase::new(english, chinese);
        match error {
            ReplayError::Cut(bytes) => Self::Unable(why(format!(
                "{bytes} 字节中只保留了开头部分：请让发送方重新发送"
            ))),
            ReplayError::Unreadable(what) => Self::Unable(why(format!("仍然无法接收：{what}"))),
            ReplayError::Unavailable(what) => {
                Self::Busy(why(format!("暂时无法接收，请重试：{what}")))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::receiver::{Failure, Progress, SendError};

    fn every_refusal() -> Vec<Refusal> {
        let full = StoreError::Full {
            place: "data".to_owned(),
        };
        let failed = SendError {
            failure: Failure::Refused,
            reason: "auth",
            code: Some("535".to_owned()),
            answer: "535 no".to_owned(),
            fix: Some(Phrase::fixed("correct it", "请更正")),
            progress: Progress::new(),
        };
        vec![
            Refusal::Store(StoreError::Unavailable("gone".into())),
            Refusal::Store(StoreError::Corrupt {
                place: "data".to_owned(),
                what: "row 1".to_owned(),
            }),
            Refusal::Method,
            Refusal::Busy(of_step(&Busy::Queue)),
            Refusal::Busy(of_step(&Busy::Stopping)),
            Refusal::Busy(of_step(&Busy::Contended)),
            Refusal::Busy(of_step(&full.into())),
            ResendError::Unknown.into(),
            ResendError::UnderWay.into(),
            ResendError::NoSlot(Duration::from_secs(4)).into(),
            ResendError::CutOff.into(),
            ResendError::NothingRendered.into(),
            ResendError::NoDestination.into(),
            ResendError::Failed(failed).into(),
            ReplayError::Cut(9).into(),
            ReplayError::Unreadable("no alerts".to_owned()).into(),
            ReplayError::Unavailable("full".to_owned()).into(),
        ]
    }

    #[test]
    fn refusals_say_the_same_in_both_languages() {
        let lines = every_refusal().into_iter().map(|refusal| {
            let (code, why) = refusal.parts();
            let chinese = why.in_language(Language::Chinese);
            format!("{} {why}\n    {chinese}\n", code.as_u16())
        });
        insta::assert_snapshot!(lines.collect::<String>());
    }
}
