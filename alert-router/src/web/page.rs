//! The page at `/`: open groups, the inbox, what was given up, and how to connect an Alertmanager.

use std::convert::Infallible;
use std::sync::LazyLock;
use std::time::Duration;

use axum::extract::State;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{Html, IntoResponse, Response};
use futures_util::Stream;
use http::{StatusCode, header};
use minijinja::{AutoEscape, Environment};

use super::Web;
use super::reader::Reader;
use super::view::View;
use crate::render::visible;

static PAGES: LazyLock<Environment<'static>> = LazyLock::new(|| {
    let mut pages = Environment::new();
    pages.set_auto_escape_callback(|_| AutoEscape::Html);
    // What a macro made was cleaned and escaped within it.
    pages.set_formatter(|out, state, value| match value.as_str() {
        Some(text) if !value.is_safe() => {
            minijinja::escape_formatter(out, state, &visible(text).into())
        }
        Some(_) | None => minijinja::escape_formatter(out, state, value),
    });
    for (name, text) in [
        ("page.html", include_str!("page.html")),
        ("view.html", include_str!("view.html")),
        ("words.en.html", include_str!("words.en.html")),
        ("words.zh.html", include_str!("words.zh.html")),
    ] {
        pages
            .add_template(name, text)
            .expect("the tests render all of them");
    }
    pages
});

/// Nothing but what the page itself brings, and nobody may frame it.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; \
                      connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'";

/// The whole page.
pub(super) async fn whole(State(web): State<Web>, reader: Reader) -> Response {
    show("page.html", &web, reader).await
}

/// The part that changes.
pub(super) async fn view(State(web): State<Web>, reader: Reader) -> Response {
    show("view.html", &web, reader).await
}

/// One event whenever something changed, until the server stops.
pub(super) async fn events(
    State(web): State<Web>,
) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let stream =
        futures_util::stream::unfold((web.changes, web.ready), |(mut changes, mut ready)| async {
            tokio::select! {
                changed = changes.changed() => changed.ok()?,
                stopping = ready.wait_for(|ready| !ready) => {
                    drop(stopping);
                    return None;
                }
            }
            let version = *changes.borrow_and_update();
            Some((
                Ok(Event::default().data(version.to_string())),
                (changes, ready),
            ))
        });
    Sse::new(stream).keep_alive(KeepAlive::new().interval(Duration::from_secs(30)))
}

async fn show(page: &str, web: &Web, reader: Reader) -> Response {
    let view = match View::gather(web, reader.0).await {
        Ok(view) => view,
        Err(refusal) => return refusal.into_response(),
    };
    let headers = [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::CACHE_CONTROL, "no-store"),
    ];
    match render(page, &view) {
        Ok(text) => (headers, Html(text)).into_response(),
        Err(error) => {
            tracing::error!(%error, page, "a page could not be rendered");
            (
                StatusCode::INTERNAL_SERVER_ERROR,
                "the page could not be rendered\n",
            )
                .into_response()
        }
    }
}

fn render(page: &str, view: &View) -> Result<String, minijinja::Error> {
    PAGES
        .get_template(page)?
        .render(minijinja::Value::from(minijinja::value::Serde(view)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::Language;
    use crate::web::view;

    #[test]
    fn the_first_page_shows_how_to_begin() {
        insta::assert_snapshot!(render("view.html", &view::samples::empty()).unwrap());
    }

    #[test]
    fn hostile_labels_stay_text() {
        let page = render("page.html", &view::samples::hostile()).unwrap();
        assert!(!page.contains("<script>alert"), "{page}");
        assert!(page.contains("&lt;script&gt;alert"));
        insta::assert_snapshot!(render("view.html", &view::samples::hostile()).unwrap());
    }

    #[test]
    fn controls_and_marks_that_turn_the_text_around_stay_off_the_page() {
        let page = render("view.html", &view::samples::tricky()).unwrap();
        let tricks = ['\u{0}', '\u{1b}', '\u{85}', '\u{202e}', '\u{2066}'];
        assert!(!page.contains(tricks), "{page:?}");
        assert!(page.contains("first\nsecond"), "lines stay: {page:?}");
    }

    #[test]
    fn the_page_says_everything_in_both_languages() {
        for (language, name) in [
            (Language::English, "everything in English"),
            (Language::Chinese, "everything in Chinese"),
        ] {
            let page = render("page.html", &view::samples::talkative(language)).unwrap();
            let (_, shown) = page.split_once("</style>").unwrap();
            let (shown, _) = shown.split_once("<script>").unwrap();
            insta::assert_snapshot!(name, shown);
        }
    }

    #[test]
    fn both_languages_have_the_same_words() {
        let macros = |text: &str| -> Vec<String> {
            let lines = text
                .lines()
                .filter_map(|line| line.strip_prefix("{% macro "));
            let names = lines.filter_map(|line| Some(line.split_once(" %}")?.0.to_owned()));
            names.collect()
        };
        let english = macros(include_str!("words.en.html"));
        assert_eq!(english, macros(include_str!("words.zh.html")));
        for word in &english {
            let (name, _) = word.split_once('(').unwrap();
            let pages = [include_str!("page.html"), include_str!("view.html")];
            let said = pages
                .iter()
                .any(|page| page.contains(&format!("say.{name}(")));
            assert!(said, "no page says {name}");
        }
    }

    #[test]
    fn groups_that_are_not_shown_are_counted() {
        let page = render("view.html", &view::samples::crowded()).unwrap();
        assert!(page.contains("and 50 more open groups"), "{page}");
    }
}
