//! The mailbox as a mail program shows it: conversations, the latest first. Mails are hostile input:
//! their texts are escaped, and their HTML stands in a frame in which nothing runs and nothing loads.

use std::collections::BTreeMap;
use std::sync::Arc;

use alert_router::render::{Language, Phrase};
use axum::Router;
use axum::extract::{Path, State};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use http::{StatusCode, header};

use super::{Mail, Mailbox};
use crate::page::{below_start, escape, head};

/// For a mail's own HTML. Its links open in a window of their own, which is no child of the demo.
const BODY_POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'self'; \
    base-uri 'none'; form-action 'none'; sandbox allow-popups allow-popups-to-escape-sandbox";
/// Conversations that the page shows; older ones are counted.
const SHOWN: usize = 30;

/// What the page shows, and in which language.
#[derive(Clone)]
struct Shown {
    mailbox: Mailbox,
    language: Language,
}

pub(crate) fn routes(mailbox: Mailbox, language: Language) -> Router {
    Router::new()
        .route("/mail", get(whole))
        .route("/mail/latest", get(latest))
        .route("/mail/page.js", get(script))
        .route("/mail/{number}", get(body))
        .with_state(Shown { mailbox, language })
}

async fn whole(State(Shown { mailbox, language }): State<Shown>) -> Html<String> {
    let title = Phrase::fixed("Mailbox", "邮箱");
    Html(format!(
        "{}<script src=/mail/page.js defer></script><body data-latest={}>{}{}</html>",
        head(&title, language),
        mailbox.latest(),
        below_start(&title, language),
        render(&mailbox.mails(), language)
    ))
}

async fn latest(State(shown): State<Shown>) -> String {
    shown.mailbox.latest().to_string()
}

async fn script() -> impl IntoResponse {
    let kind = [(header::CONTENT_TYPE, "text/javascript")];
    (kind, include_str!("page.js"))
}

async fn body(State(shown): State<Shown>, Path(number): Path<u64>) -> Response {
    let mails = shown.mailbox.mails();
    let Some(mail) = mails.iter().find(|mail| mail.number == number) else {
        return (StatusCode::NOT_FOUND, "no such mail, or no more\n").into_response();
    };
    let html = match mail.html.as_str() {
        "" => format!("<pre>{}</pre>", escape(&mail.text)),
        html => format!("<base target=_blank>{html}"),
    };
    ([(header::CONTENT_SECURITY_POLICY, BODY_POLICY)], Html(html)).into_response()
}

fn render(mails: &[Arc<Mail>], language: Language) -> String {
    let mut threads: BTreeMap<&str, Vec<&Mail>> = BTreeMap::new();
    for mail in mails {
        threads.entry(&mail.thread).or_default().push(mail);
    }
    let mut threads: Vec<_> = threads.into_values().collect();
    threads.sort_by_key(|thread| std::cmp::Reverse(thread.last().map(|mail| mail.number)));
    if threads.is_empty() {
        let none = Phrase::fixed(
            "No mail yet. Press <i>break</i> on the start page.",
            "还没有邮件。请在首页点击<i>制造故障</i>。",
        );
        return format!("<p>{}", none.in_language(language));
    }
    let older = threads.len().saturating_sub(SHOWN);
    let shown: String = threads
        .iter()
        .take(SHOWN)
        .map(|mails| thread(mails, language))
        .collect();
    let left_out = Phrase::new(
        format!("{older} older conversations are not shown."),
        format!("另有 {older} 个较早的会话未显示。"),
    );
    match older {
        0 => shown,
        _ => format!("{shown}<p>{}", left_out.in_language(language)),
    }
}

fn thread(mails: &[&Mail], language: Language) -> String {
    let to = Phrase::fixed("to", "发给");
    let subject = mails.first().map_or("", |mail| mail.subject.as_str());
    let mut html = format!("<section class=thread><h2>{}</h2>", escape(subject));
    for mail in mails {
        html.push_str(&format!(
            "<details open><summary><b>{}</b> {} {} · {}</summary>\
             <iframe sandbox=\"allow-popups allow-popups-to-escape-sandbox\" src=\"/mail/{}\" title=mail></iframe></details>",
            escape(&mail.from),
            to.in_language(language),
            escape(&mail.to.join(", ")),
            escape(&mail.date),
            mail.number
        ));
    }
    html.push_str("</section>");
    html
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mail(number: u64, thread: &str, subject: &str) -> Arc<Mail> {
        Arc::new(Mail {
            number,
            thread: thread.into(),
            subject: subject.into(),
            ..Mail::default()
        })
    }

    #[test]
    fn mails_of_one_conversation_stand_together_and_the_latest_one_first() {
        let mails = [
            mail(1, "a", "disk"),
            mail(2, "b", "orders"),
            mail(3, "a", "disk"),
        ];
        let html = render(&mails, Language::English);
        let headings: Vec<_> = html.split("<h2>").skip(1).collect();
        assert!(headings[0].starts_with("disk</h2>") && headings[1].starts_with("orders</h2>"));
        assert!(headings[0].contains("/mail/1") && headings[0].contains("/mail/3"));
    }

    #[test]
    fn what_a_mail_says_cannot_become_part_of_the_page() {
        let html = render(
            &[mail(1, "a", "<script>alert(1)</script>")],
            Language::English,
        );
        assert!(!html.contains("<script"), "{html}");
    }

    #[tokio::test]
    async fn a_mails_html_runs_nothing_and_loads_nothing() {
        let mailbox = Mailbox::default();
        let mail = b"Content-Type: text/html\r\n\r\n<script>x</script>";
        mailbox.take(Vec::new(), mail);
        let shown = Shown {
            mailbox,
            language: Language::English,
        };
        let answer = body(State(shown.clone()), Path(1)).await;
        let policy = answer.headers()[header::CONTENT_SECURITY_POLICY].to_str();
        let policy = policy.unwrap();
        assert!(policy.contains("default-src 'none'") && policy.contains("sandbox"));
        assert!(!policy.contains("allow-scripts"), "{policy}");
        let missing = body(State(shown), Path(2)).await;
        assert_eq!(missing.status(), StatusCode::NOT_FOUND);
    }
}
