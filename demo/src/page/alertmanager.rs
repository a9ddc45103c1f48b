//! What is in Alertmanager, and silences. Debian builds it without its web application, so that the links of
//! messages would lead to a page that says so; they lead here. The form for a silence is filled in from the
//! same address as there.

use alert_router::render::{Language, Phrase};
use axum::extract::{OriginalUri, State};
use axum::response::{Html, IntoResponse, Response};
use bytes::Bytes;
use http::{Method, StatusCode, header};

use super::{Shared, below_start, escape, head};

/// Below the start page: the address under which Alertmanager knows itself.
pub(crate) const PATH: &str = "/alertmanager";

pub(super) async fn show(State(Shared(sources)): State<Shared>) -> Html<String> {
    Html(page(sources.language))
}

/// The page without its contents, which the script gets; the attributes are the script's words.
fn page(language: Language) -> String {
    let say = |english, chinese| escape(Phrase::fixed(english, chinese).in_language(language));
    let title = Phrase::fixed("Alerts and silences", "告警与静默");
    format!(
        "{head}<script src=/alertmanager/page.js defer></script><body>{top}\
         <form id=silence hidden><h2>{new}</h2><p><code id=matchers></code><p>\
         <label>{long} <select id=hours><option value=1>1 h<option value=4>4 h<option value=24>24 h</select></label> \
         <button>{silence}</button></form><p id=said role=status></p>\
         <h2>{alerts}</h2><table id=alerts data-none=\"{none}\" data-silence=\"{silence}\"></table>\
         <h2>{silences}</h2><table id=silences data-none=\"{none}\" data-end=\"{end}\" data-until=\"{until}\"></table></html>",
        head = head(&title, language),
        top = below_start(&title, language),
        new = say("New silence", "新建静默"),
        long = say("for", "时长"),
        silence = say("Silence", "静默"),
        alerts = say("Alerts", "告警"),
        silences = say("Silences", "静默"),
        none = say("none", "无"),
        end = say("End", "结束"),
        until = say("until", "至"),
    )
}

/// The page's script asks Alertmanager through us, because a browser lets it talk to nobody else.
pub(super) async fn forward(
    State(Shared(sources)): State<Shared>,
    method: Method,
    OriginalUri(uri): OriginalUri,
    body: Bytes,
) -> Response {
    let path = uri.path_and_query().map_or("", |path| path.as_str());
    let path = path.strip_prefix(PATH).unwrap_or(path);
    let to = sources.ports.alertmanager;
    match sources.client.send(method, to, path, body).await {
        Ok(answer) => {
            let kind = [(header::CONTENT_TYPE, "application/json")];
            (answer.status, kind, answer.body).into_response()
        }
        Err(error) => {
            let text = format!("Alertmanager: {error}; the start page says whether it runs\n");
            (StatusCode::BAD_GATEWAY, text).into_response()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_has_every_word_of_its_script_in_both_languages() {
        let script = include_str!("alertmanager.js");
        for language in [Language::English, Language::Chinese] {
            let page = page(language);
            for id in ["silence", "matchers", "hours", "said", "alerts", "silences"] {
                assert!(script.contains(&format!("\"{id}\"")), "{id} is not used");
                assert!(page.contains(&format!("id={id}")), "no {id} in {page}");
            }
            for word in ["none", "silence", "end", "until"] {
                assert!(page.contains(&format!("data-{word}=\"")), "no {word}");
            }
        }
    }
}
