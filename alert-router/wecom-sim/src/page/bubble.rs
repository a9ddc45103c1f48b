//! One message in a chat: avatar, name, time, the content as the phone draws it, and below it what
//! the phone would not say.

use crate::config::Directory;
use crate::markup::{self, Dialect, escape, inline_html};
use crate::world::{Content, Message, ReplyFate, Sender, World};

use super::{card, clock_face};

/// `name` is escaped already.
pub(super) fn bubble(world: &World, name: &str, message: &Message) -> String {
    let initial = name.chars().next().unwrap_or('?');
    let at = clock_face(message.at);
    let content = content(&world.directory, message);
    let notes = notes(message);
    format!(
        "\n<div class=message data-seq={}><div class=avatar>{initial}</div><div class=said>\
         <p class=who>{name}<time>{at}</time></p><div class=\"bubble {}\">{content}</div>{notes}\
         </div></div>",
        message.seq,
        message.content.msgtype(),
    )
}

fn content(directory: &Directory, message: &Message) -> String {
    match &message.content {
        Content::Text {
            text,
            userids,
            mobiles,
        } => {
            let text = match message.sender {
                Sender::Bot(_) => escape(text),
                Sender::App(_) => inline_html(&markup::anchors(text), directory),
            };
            format!(
                "<p class=plain>{text}{}</p>",
                mentions(directory, userids, mobiles)
            )
        }
        Content::Markdown(text) => markup::to_html(Dialect::Markdown, text, directory),
        Content::MarkdownV2(text) => markup::to_html(Dialect::MarkdownV2, text, directory),
        Content::Card(card) => card::card(directory, card),
    }
}

/// The people called, as the phone appends them; those it does not know are plain text.
fn mentions(directory: &Directory, userids: &[String], mobiles: &[String]) -> String {
    let by_id = userids.iter().map(|id| (id, directory.name(id)));
    let by_mobile = mobiles.iter().map(|mobile| {
        let has_it = |member: &&crate::config::Member| member.mobile.as_ref() == Some(mobile);
        (
            mobile,
            directory
                .members
                .values()
                .find(has_it)
                .map(|member| member.name.as_str()),
        )
    });
    let mention = |(called, name): (&String, Option<&str>)| match (called.as_str(), name) {
        ("@all", _) => " <span class=mention>@所有人</span>".to_owned(),
        (_, Some(name)) => format!(" <span class=mention>@{}</span>", escape(name)),
        (unknown, None) => format!(" @{}", escape(unknown)),
    };
    by_id.chain(by_mobile).map(mention).collect()
}

fn notes(message: &Message) -> String {
    let size = message.body.len();
    let mut html = format!(
        "<p class=notes>{} · {size} bytes",
        message.content.msgtype()
    );
    for warning in &message.warnings {
        html.push_str(&format!(
            " <span class=note>{}</span>",
            escape(&warning.to_string())
        ));
    }
    if !message.dropped_for.is_empty() {
        let members = escape(&message.dropped_for.join(", "));
        html.push_str(&format!(
            " <span class=\"note lost\">dropped for {members}: too many</span>"
        ));
    }
    if message.reply == ReplyFate::Lost {
        html.push_str(" <span class=\"note lost\">the sender's answer was lost</span>");
    }
    html.push_str("</p>");
    html
}
