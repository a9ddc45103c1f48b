//! The start page: what runs, what is missing, where the last alert is, and the switch.

use std::fmt::Write;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, RawQuery, Request, State};
use axum::middleware::{self, Next};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::{get, post};
use http::{HeaderMap, Method, StatusCode, header};
use tokio::sync::watch;
use wecom_sim::Sim;

use crate::http::Client;
use crate::mailbox::{self, Mailbox};
use crate::part::{self, Link, Part};
use crate::ports::Ports;
use crate::runbook;
use crate::service::Mode;
use crate::stage::{Fate, Lever};
use crate::traces;
use crate::trail::{self, News, Station};
use crate::trouble::Trouble;

const POLICY: &str = "default-src 'none'; frame-src 'self'; style-src 'self'; script-src 'self'; connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'";

/// What the page shows.
#[derive(Clone)]
pub(crate) struct Shared(Arc<Sources>);

struct Sources {
    ports: Ports,
    client: Client,
    board: watch::Receiver<Vec<Part>>,
    people: People,
    lever: Lever,
}

/// Where messages end: what people would look at.
#[derive(Clone)]
pub(crate) struct People {
    pub(crate) mailbox: Mailbox,
    pub(crate) sim: Arc<Sim>,
}

impl Shared {
    pub(crate) fn new(
        ports: Ports,
        client: Client,
        board: watch::Receiver<Vec<Part>>,
        people: People,
        lever: Lever,
    ) -> Self {
        Self(Arc::new(Sources {
            ports,
            client,
            board,
            people,
            lever,
        }))
    }
}

/// Where to post to break or heal.
pub(crate) fn switch_path(trouble: Option<Trouble>) -> String {
    trouble.map_or("/heal".to_owned(), |trouble| {
        format!("/break/{}", trouble.as_str())
    })
}

pub(crate) fn routes(shared: Shared) -> Router {
    let file = |kind: &'static str, text: &'static str| {
        get(move || async move { ([(header::CONTENT_TYPE, kind)], text) })
    };
    let mailbox = shared.0.people.mailbox.clone();
    Router::new()
        .route("/", get(whole))
        .route("/view", get(view))
        .route("/page.css", file("text/css", include_str!("page.css")))
        .route("/page.js", file("text/javascript", include_str!("page.js")))
        .route("/break", post(break_it))
        .route("/break/{mode}", post(break_as))
        .route("/heal", post(heal))
        .route("/runbooks/{name}", get(runbook::show))
        .route("/search", get(search))
        .with_state(shared)
        .merge(mailbox::routes(mailbox))
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
pub(crate) fn head(title: &str) -> String {
    format!(
        "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content=\"width=device-width\">\
         <title>{title}</title><link rel=stylesheet href=/page.css>"
    )
}

async fn whole(State(shared): State<Shared>) -> Html<String> {
    let view = view(State(shared)).await.0;
    Html(format!(
        "{}<script src=/page.js defer></script>\
         <h1>The way of an alert</h1><p>Press <i>break</i>: within two minutes people hear it by mail and on WeCom. Press <i>heal</i>: they hear that it is over.\
         <p><form method=post action=/break/errors><button>Break: errors</button></form>\
         <form method=post action=/break/latency><button>Break: latency</button></form>\
         <form method=post action=/break/dependency><button>Break: a dependency</button></form>\
         <form method=post action=/heal><button>Heal</button></form><div id=view>{view}</div></html>",
        head("Demo")
    ))
}

async fn view(State(Shared(sources)): State<Shared>) -> Html<String> {
    let Sources {
        ports,
        client,
        people,
        ..
    } = &*sources;
    let (stations, trouble) = tokio::join!(
        trail::stations(client, ports, &people.mailbox, &people.sim),
        sources.trouble()
    );
    Html(render(
        &sources.board.borrow(),
        &stations,
        &trouble,
        &own_pages(ports),
    ))
}

/// The traces that Jaeger's own search would show for the same question.
async fn search(State(Shared(sources)): State<Shared>, RawQuery(query): RawQuery) -> Response {
    let query = query.unwrap_or_else(|| "service=shop".into());
    let path = format!("/api/traces?{query}");
    match sources.client.get(sources.ports.jaeger, &path).await {
        Ok(answer) if answer.is_success() => Html(traces::page(&answer.json())).into_response(),
        Ok(answer) => (StatusCode::BAD_GATEWAY, answer.body).into_response(),
        Err(error) => {
            let text = format!("Jaeger: {error}; the start page says whether it runs\n");
            (StatusCode::BAD_GATEWAY, text).into_response()
        }
    }
}

async fn break_it(shared: State<Shared>) -> Response {
    switch(&shared.0, Some(Trouble::Errors)).await
}

async fn break_as(shared: State<Shared>, Path(name): Path<String>) -> Response {
    match Trouble::parse(&name) {
        Some(trouble) => switch(&shared.0, Some(trouble)).await,
        None => {
            let known = Trouble::ALL.map(Trouble::as_str).join(", ");
            (StatusCode::NOT_FOUND, format!("there are {known}\n")).into_response()
        }
    }
}

async fn heal(shared: State<Shared>) -> Response {
    switch(&shared.0, None).await
}

async fn switch(Shared(sources): &Shared, trouble: Option<Trouble>) -> Response {
    if let Err(why) = sources.set(trouble).await {
        return (StatusCode::BAD_GATEWAY, format!("{why}\n")).into_response();
    }
    // Browsers follow; whoever uses the command line reads.
    let why_not = part::no_alert(&sources.board.borrow()).unwrap_or_default();
    let to_the_page = [(header::LOCATION, "/")];
    (StatusCode::SEE_OTHER, to_the_page, why_not).into_response()
}

impl Sources {
    /// Breaks it this way and no other.
    async fn set(&self, trouble: Option<Trouble>) -> Result<(), String> {
        if trouble == Some(Trouble::Dependency) {
            // It may be the stock that dies, or is dead: then this does not matter.
            let _ = self.tell_the_stock(None).await;
            let dead = self.lever.pull(Fate::Dead).await;
            return dead.map(drop).ok_or("the demo is ending".into());
        }
        let dependency = self.lever.pull(Fate::Alive).await;
        self.tell_the_stock(trouble.and_then(Trouble::in_the_stock))
            .await?;
        match dependency {
            Some(part::State::Failed(why)) if trouble.is_none() => Err(why),
            _ => Ok(()),
        }
    }

    async fn tell_the_stock(&self, mode: Option<Mode>) -> Result<(), String> {
        let path = format!("/trouble/{}", mode.map_or("none", Mode::as_str));
        match self.client.post(self.ports.stock, &path).await {
            Ok(answer) if answer.is_success() => Ok(()),
            Ok(_) | Err(_) => Err("the stock does not answer".into()),
        }
    }

    /// What is broken at the moment, from those who know.
    async fn trouble(&self) -> String {
        let killed = |part: &&Part| part.state == part::State::Killed;
        let killed = self
            .board
            .borrow()
            .iter()
            .find(killed)
            .map(|part| part.name);
        if let Some(name) = killed {
            return format!("{}: {name} is dead", Trouble::Dependency.as_str());
        }
        match self.client.get(self.ports.stock, "/trouble").await {
            Ok(answer) if *answer.body == *b"none" => "nothing".into(),
            Ok(answer) => String::from_utf8_lossy(&answer.body).into_owned(),
            Err(_) => "unknown: the stock does not answer".into(),
        }
    }
}

fn render(parts: &[Part], stations: &[Station], trouble: &str, own: &[Link]) -> String {
    let why_not = part::no_alert(parts).map_or(String::new(), |why| {
        format!("<p class=missing>{} See below.", escape(&why))
    });
    let mut html = format!(
        "{why_not}<p>Broken now: <b>{}</b><h2>Where the last alert is</h2><ol>",
        escape(trouble)
    );
    for Station { name, news } in stations {
        let (class, text) = match news {
            News::None => ("", "nothing"),
            News::Firing(text) => ("lit", text.as_str()),
            News::Over(text) => ("over", text.as_str()),
            News::Unknown => ("", "no answer"),
        };
        push(
            &mut html,
            format_args!(
                "<li class=\"{class}\"><b>{name}</b><span>{}</span></li>",
                escape(text)
            ),
        );
    }
    html.push_str("</ol><h2>Parts</h2><table>");
    for part in parts {
        push(
            &mut html,
            format_args!(
                "<tr><td><b>{}</b><br>{}<td>",
                escape(part.name),
                escape(part.role)
            ),
        );
        // Behind a link to what nobody has started is only an error of the browser.
        let links = match part.state {
            part::State::Starting | part::State::Ready(_) | part::State::Failed(_) => {
                part.links.as_slice()
            }
            part::State::Missing(_) | part::State::Killed => &[],
        };
        for (what, url) in links {
            push(
                &mut html,
                format_args!("<a href=\"{}\">{}</a> ", escape(url), escape(what)),
            );
        }
        push(
            &mut html,
            format_args!(
                "<td class={}>{}",
                part.state.class(),
                escape(&part.state.to_string())
            ),
        );
    }
    for Link { name, what, url } in own {
        push(
            &mut html,
            format_args!(
                "<tr><td><b>{}</b><br>what people see<td><a href=\"{}\">{}</a><td class=ready>ready",
                escape(name),
                escape(url),
                escape(what)
            ),
        );
    }
    html.push_str("</table>");
    html
}

/// What the demo itself serves for people to look at.
pub(crate) fn own_pages(ports: &Ports) -> [Link; 2] {
    [
        Link {
            name: "Mailbox",
            what: "mails",
            url: format!("http://{}/mail", ports.page),
        },
        Link {
            name: "WeCom",
            what: "simulated phone",
            url: format!("http://{}/", ports.wecom),
        },
    ]
}

fn push(html: &mut String, text: std::fmt::Arguments<'_>) {
    html.write_fmt(text)
        .expect("writing into a String cannot fail");
}

pub(crate) fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
        .replace('\'', "&#39;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tool::Tool;

    #[test]
    fn what_others_wrote_is_text_and_what_is_missing_says_how_to_get_it() {
        let parts = [Part {
            name: "Jaeger",
            role: "keeps traces",
            links: vec![("traces", "http://127.0.0.1:1/".into())],
            state: part::State::Missing(Tool::Jaeger),
        }];
        let stations = [Station {
            name: "WeCom",
            news: News::Firing("<script>alert('1')</script>".into()),
        }];
        let html = render(&parts, &stations, "<b>", &[]);
        assert!(!html.contains("<script>"), "{html}");
        assert!(html.contains("&lt;script&gt;alert(&#39;1&#39;)"), "{html}");
        assert!(html.contains("demo/parts/build.sh"), "{html}");
        assert!(!html.contains("127.0.0.1:1/"), "{html}");
    }
}
