//! What nobody was shown: refusals, and messages that the service swallowed with a friendly
//! answer. Newest first, apart from the phones because no phone shows them.

use super::{clock_face, count, sender_name};
use crate::markup::escape;
use crate::world::{Fate, Message, Refusal, World};

/// The tables show so many rows each.
const ROWS: usize = 100;
/// Characters of a body in a row.
const PREVIEW: usize = 2000;

pub(super) fn section(world: &World) -> String {
    let swallowed = || {
        world
            .outbox
            .messages()
            .filter(|message| message.fate != Fate::Shown)
    };
    let refusals = || world.outbox.refusals();
    let swallowed_rows: String = swallowed()
        .rev()
        .take(ROWS)
        .map(|message| swallowed_row(world, message))
        .collect();
    let refusal_rows: String = refusals().rev().take(ROWS).map(refusal_row).collect();
    let swallowed = table(
        "Accepted, and shown to nobody",
        swallowed().count(),
        &swallowed_rows,
    );
    let refused = table("Refused", refusals().count(), &refusal_rows);
    format!("<section class=trouble>{refused}{swallowed}</section>")
}

fn table(title: &str, rows: usize, html: &str) -> String {
    if rows == 0 {
        return String::new();
    }
    let count = count(rows, "call");
    format!("\n<h2>{title}<small>{count}</small></h2><table class=calls>{html}</table>")
}

fn swallowed_row(world: &World, message: &Message) -> String {
    let why = match message.fate {
        Fate::Duplicate => "duplicate of a message that was shown before",
        Fate::Dropped => "dropped: every member it was for is over the limit",
        Fate::Shown => "",
    };
    let who = sender_name(world, &message.sender);
    row(
        message.seq,
        &clock_face(message.at),
        &who,
        "0",
        why,
        &message.body,
    )
}

fn refusal_row(refusal: &Refusal) -> String {
    let code = refusal.code.map_or("–".to_owned(), |code| code.to_string());
    let injected = if refusal.injected {
        " (a fault, on request)"
    } else {
        ""
    };
    let who = format!("{} · {}", refusal.who, refusal.api.name());
    let answer = refusal.code.map_or_else(
        || refusal.answer.clone(),
        |code| {
            let reason = refusal.answer.strip_prefix(&code.to_string());
            reason.unwrap_or(&refusal.answer).trim_start().to_owned()
        },
    );
    let why = format!("{answer}{injected}");
    row(
        refusal.seq,
        &clock_face(refusal.at),
        &who,
        &code,
        &why,
        &refusal.body,
    )
}

fn row(seq: u64, at: &str, who: &str, code: &str, why: &str, body: &[u8]) -> String {
    let body: String = String::from_utf8_lossy(body)
        .chars()
        .take(PREVIEW)
        .collect();
    let body = if body.is_empty() {
        String::new()
    } else {
        format!(
            "<details><summary>body</summary><pre>{}</pre></details>",
            escape(&body)
        )
    };
    let class = if code == "0" { "code ok" } else { "code" };
    format!(
        "\n<tr data-seq={seq}><td><time>{at}</time><td>{}<td><b class=\"{class}\">{}</b><td>{}{body}</tr>",
        escape(who),
        escape(code),
        escape(why)
    )
}
