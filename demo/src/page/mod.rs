//! The pages for people: the start page with the switch, and what the parts have no pages for.

mod alertmanager;
mod grafana;
mod switch;
mod view;

use std::sync::Arc;

use alert_router::render::{Language, Phrase};
use axum::Router;
use axum::extract::{RawQuery, Request, State};
use axum::middleware::{self, Next};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::{any, get, post};
use http::{HeaderMap, Method, StatusCode, header};
use tokio::sync::watch;
use wecom_sim::Sim;

pub(crate) use alertmanager::PATH as ALERTMANAGER;
pub(crate) use switch::path as switch_path;
pub(crate) use view::own_pages;

use crate::http::Client;
use crate::mailbox::{self, Mailbox};
use crate::part::Part;
use crate::ports::Ports;
use crate::runbook;
use crate::stage::Lever;
use crate::traces;
use crate::trail;
use crate::voice::tag;

const POLICY: &str = "default-src 'none'; frame-src 'self'; style-src 'self'; script-src 'self'; connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'";

/// What the page shows.
#[derive(Clone)]
pub(crate) struct Shared(Arc<Sources>);

/// Whom the pages ask.
pub(crate) struct Sources {
    pub(crate) ports: Ports,
    pub(crate) client: Client,
    pub(crate) board: watch::Receiver<Vec<Part>>,
    pub(crate) people: People,
    pub(crate) lever: Lever,
    pub(crate) language: Language,
}

/// Where messages end: what people would look at.
#[derive(Clone)]
pub(crate) struct People {
    pub(crate) mailbox: Mailbox,
    pub(crate) sim: Arc<Sim>,
}

impl Shared {
    pub(crate) fn new(sources: Sources) -> Self {
        Self(Arc::new(sources))
    }
}

pub(crate) fn routes(shared: Shared) -> Router {
    let file = |kind: &'static str, text: &'static str| {
        get(move || async move { ([(header::CONTENT_TYPE, kind)], text) })
    };
    let script = |text| file("text/javascript", text);
    let mailbox = mailbox::routes(shared.0.people.mailbox.clone(), shared.0.language);
    Router::new()
        .route("/", get(whole))
        .route("/view", get(view))
        .route("/page.css", file("text/css", include_str!("page.css")))
        .route("/page.js", script(include_str!("page.js")))
        .route("/break", post(switch::break_it))
        .route("/break/{mode}", post(switch::break_as))
        .route("/heal", post(switch::heal))
        .route("/runbooks/{name}", get(runbook::show))
        .route("/search", get(search))
        .route("/d/{*dashboard}", get(grafana::show))
        .route("/alertmanager", get(alertmanager::show))
        .route("/alertmanager/", get(alertmanager::show))
        .route(
            "/alertmanager/page.js",
            script(include_str!("alertmanager.js")),
        )
        .route("/alertmanager/api/{*path}", any(alertmanager::forward))
        .with_state(shared)
        .merge(mailbox)
        .layer(middleware::from_fn(guard))
}

/// Only this page and programs of this machine may press the buttons, not other sites in the same
/// browser: neither from their own pages nor under a name of theirs that leads here.
async fn guard(request: Request, next: Next) -> Response {
    if !is_ours(request.method(), request.headers()) {
        return (StatusCode::FORBIDDEN, "not from another site\n").into_response();
    }
    let mut response = next.run(request).await;
    let policy = header::HeaderValue::from_static(POLICY);
    response
        .headers_mut()
        .entry(header::CONTENT_SECURITY_POLICY)
        .or_insert(policy);
    response
}

fn is_ours(method: &Method, headers: &HeaderMap) -> bool {
    let head = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let host = head("host").unwrap_or_default();
    let local = host.starts_with("127.0.0.1:") || host.starts_with("localhost:");
    let same_site =
        head("sec-fetch-site").is_none_or(|site| ["same-origin", "none"].contains(&site));
    local && (*method == Method::GET || same_site)
}

/// How each page begins.
pub(crate) fn head(title: &Phrase, language: Language) -> String {
    format!(
        "<!doctype html><html lang={}><meta charset=utf-8><meta name=viewport content=\"width=device-width\">\
         <title>{}</title><link rel=stylesheet href=/page.css>",
        tag(language),
        title.in_language(language),
    )
}

/// The same for those that lead back to the first.
pub(crate) fn below_start(title: &Phrase, language: Language) -> String {
    let start = Phrase::fixed("Start page", "首页");
    format!(
        "<p><a href=/>{}</a><h1>{}</h1>",
        start.in_language(language),
        title.in_language(language),
    )
}

async fn whole(State(shared): State<Shared>) -> Html<String> {
    let language = shared.0.language;
    let view = view(State(shared)).await.0;
    let title = Phrase::fixed("The way of an alert", "一条告警的历程");
    Html(format!(
        "{}<script src=/page.js defer></script><h1>{}</h1>{}<div id=view>{view}</div></html>",
        head(&title, language),
        title.in_language(language),
        switch::buttons(language),
    ))
}

async fn view(State(Shared(sources)): State<Shared>) -> Html<String> {
    let Sources {
        ports,
        client,
        people,
        language,
        ..
    } = &*sources;
    let (stations, trouble) = tokio::join!(
        trail::stations(client, ports, &people.mailbox, &people.sim),
        sources.trouble()
    );
    Html(view::render(
        &sources.board.borrow(),
        &stations,
        &trouble,
        &own_pages(ports),
        *language,
    ))
}

/// The traces that Jaeger's own search would show for the same question.
async fn search(State(Shared(sources)): State<Shared>, RawQuery(query): RawQuery) -> Response {
    let query = query.unwrap_or_else(|| "service=shop".into());
    let path = format!("/api/traces?{query}");
    match sources.client.get(sources.ports.jaeger, &path).await {
        Ok(answer) if answer.is_success() => {
            Html(traces::page(&answer.json(), sources.language)).into_response()
        }
        Ok(answer) => (StatusCode::BAD_GATEWAY, answer.body).into_response(),
        Err(error) => {
            let text = format!("Jaeger: {error}; the start page says whether it runs\n");
            (StatusCode::BAD_GATEWAY, text).into_response()
        }
    }
}

pub(crate) fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
        .replace('\'', "&#39;")
}
