//! The page for people: every conversation as a phone would show it, and apart from them what
//! nobody was shown. Messages are hostile input here: whatever they say is escaped, and the page's
//! policy allows nothing but its own style and script.

mod bubble;
mod card;
mod trouble;

use std::collections::BTreeMap;
use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use jiff::tz::Offset;
use sha2::{Digest, Sha256};

use crate::markup::escape;
use crate::world::{Fate, Message, Sender, World};

const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

/// A phone shows so many messages; older ones are counted.
const SHOWN: usize = 50;

/// The whole page.
pub(crate) fn page(world: &World, now: Timestamp) -> String {
    let main = conversations(world);
    let now = clock_face(now);
    format!(
        "<!doctype html>\n<html lang=zh-CN><meta charset=utf-8>\
         <meta name=viewport content=\"width=device-width\"><title>WeCom simulator</title>\
         <style>{STYLE}</style>\n<header><h1>WeCom simulator</h1>\
         <p>What people see on their phones. Times are Beijing time; \
         the simulator's clock says <b id=now>{now}</b>.</p></header>\n\
         <main id=main>{main}</main>\n<script>{SCRIPT}</script></html>\n"
    )
}

/// Only the page's own style and script run, whatever a message may smuggle in.
pub(crate) fn content_security_policy() -> String {
    let hash = |text: &str| STANDARD.encode(Sha256::digest(text));
    let (style, script) = (hash(STYLE), hash(SCRIPT));
    format!(
        "default-src 'none'; connect-src 'self'; base-uri 'none'; form-action 'none'; \
         frame-ancestors 'none'; style-src 'sha256-{style}'; script-src 'sha256-{script}'"
    )
}

/// One chat on one phone.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Chat<'a> {
    sender: &'a Sender,
    /// The member who reads it; nobody in particular for a bot's group.
    reader: Option<&'a str>,
}

fn conversations(world: &World) -> String {
    let mut chats: BTreeMap<Chat<'_>, Vec<&Message>> = BTreeMap::new();
    for message in world
        .outbox
        .messages()
        .filter(|message| message.fate == Fate::Shown)
    {
        match &message.sender {
            sender @ Sender::Bot(_) => {
                chats
                    .entry(Chat {
                        sender,
                        reader: None,
                    })
                    .or_default()
                    .push(message);
            }
            sender @ Sender::App(_) => {
                for reader in &message.shown_to {
                    let chat = Chat {
                        sender,
                        reader: Some(reader),
                    };
                    chats.entry(chat).or_default().push(message);
                }
            }
        }
    }
    let mut html = String::from("<section class=phones>");
    if chats.is_empty() {
        html.push_str("<p class=nothing>No message yet. Send one and it appears here.</p>");
    }
    for (chat, messages) in &chats {
        html.push_str(&phone(world, chat, messages));
    }
    html.push_str("</section>\n");
    html.push_str(&trouble::section(world));
    html
}

fn phone(world: &World, chat: &Chat<'_>, messages: &[&Message]) -> String {
    let name = escape(&sender_name(world, chat.sender));
    let subtitle = match chat.reader {
        None => "group bot".to_owned(),
        Some(reader) => {
            let reader = world.directory.name(reader).unwrap_or(reader);
            format!("application, on the phone of {}", escape(reader))
        }
    };
    let older = messages.len().saturating_sub(SHOWN);
    let mut html = format!(
        "\n<article class=phone><h2>{name}<small>{subtitle} · {}</small></h2><div class=chat>",
        count(messages.len(), "message")
    );
    if older > 0 {
        write!(
            html,
            "<p class=older>{} not shown</p>",
            count(older, "older message")
        )
        .expect("a string takes any write");
    }
    for message in &messages[older..] {
        html.push_str(&bubble::bubble(world, &name, message));
    }
    html.push_str("</div></article>");
    html
}

fn sender_name(world: &World, sender: &Sender) -> String {
    match sender {
        Sender::Bot(key) => world.bots.name(key.expose()).unwrap_or("bot").to_owned(),
        Sender::App(agent) => world.apps.name(*agent).unwrap_or("application").to_owned(),
    }
}

/// Month, day and time in Beijing, where the phones are.
fn clock_face(at: Timestamp) -> String {
    Offset::constant(8)
        .to_datetime(at)
        .strftime("%m-%d %H:%M:%S")
        .to_string()
}

fn count(number: usize, what: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {what}{plural}")
}

#[cfg(test)]
mod tests;
