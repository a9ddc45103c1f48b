//! What became of every call: messages that were accepted, with the exact bytes, and refusals.
//! Apart because tests, the JSON endpoint and the page all read it, and nothing else writes it.

use std::collections::VecDeque;

use jiff::Timestamp;

use super::{Api, Call, Content, ErrCode, Sender};
use crate::markup::Warning;

/// Bytes of a refused body that are kept; an accepted one is kept whole.
const REFUSED_BODY_KEPT: usize = 8 * 1024;

/// A message that the service answered with `errcode` 0.
#[derive(Clone, Debug)]
pub struct Message {
    /// Position among all messages and refusals, from 1.
    pub seq: u64,
    /// When the service took it.
    pub at: Timestamp,
    /// The bot or application that sent it.
    pub sender: Sender,
    /// What people are shown.
    pub content: Content,
    /// The request body, byte for byte.
    pub body: Vec<u8>,
    /// Members who were shown it. A bot's message goes to its whole group: then empty.
    pub shown_to: Vec<String>,
    /// Members who were over their limit and got nothing, without an error to the client.
    pub dropped_for: Vec<String>,
    /// What became of it.
    pub fate: Fate,
    /// Whether the client could learn of it.
    pub reply: ReplyFate,
    /// What people see differently from what the author had in mind.
    pub warnings: Vec<Warning>,
}

/// What became of an accepted message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Somebody was shown it.
    Shown,
    /// Swallowed by the duplicate check: people have seen it before.
    Duplicate,
    /// Swallowed by the limit of every member it was for.
    Dropped,
}

/// What became of the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReplyFate {
    /// Sent to the client.
    Sent,
    /// Lost or spoilt by a fault: the client cannot know.
    Lost,
}

/// A call that the service did not take.
#[derive(Clone, Debug)]
pub struct Refusal {
    /// Position among all messages and refusals, from 1.
    pub seq: u64,
    /// When.
    pub at: Timestamp,
    /// On which interface.
    pub api: Api,
    /// The caller's name; never a key or token.
    pub who: String,
    /// The `errcode`, if the answer had one.
    pub code: Option<ErrCode>,
    /// The answer for human eyes.
    pub answer: String,
    /// The beginning of the request body, at most 8 KiB.
    pub body: Vec<u8>,
    /// Whether a fault did it.
    pub injected: bool,
}

/// Messages and refusals, each bounded, the oldest forgotten first.
pub(crate) struct Outbox {
    messages: VecDeque<Message>,
    refusals: VecDeque<Refusal>,
    keep: usize,
    last: u64,
}

/// The descriptive part of a refusal.
pub(super) struct Draft {
    pub(super) api: Api,
    pub(super) who: String,
    pub(super) answer: String,
}

impl Outbox {
    pub(super) fn new(keep: usize) -> Self {
        Self {
            messages: VecDeque::new(),
            refusals: VecDeque::new(),
            keep,
            last: 0,
        }
    }

    pub(crate) fn messages(&self) -> impl DoubleEndedIterator<Item = &Message> {
        self.messages.iter()
    }

    pub(crate) fn refusals(&self) -> impl DoubleEndedIterator<Item = &Refusal> {
        self.refusals.iter()
    }

    /// The position of the newest entry; grows with every message and refusal.
    pub(crate) fn last(&self) -> u64 {
        self.last
    }

    pub(crate) fn clear(&mut self) {
        self.messages.clear();
        self.refusals.clear();
    }

    /// Keeps a message under the next position, which is written into it.
    pub(super) fn accept(&mut self, mut message: Message) {
        self.last += 1;
        message.seq = self.last;
        push_bounded(&mut self.messages, message, self.keep);
    }

    pub(super) fn refuse(
        &mut self,
        at: Timestamp,
        draft: Draft,
        code: Option<ErrCode>,
        call: &Call,
        injected: bool,
    ) {
        self.last += 1;
        let Draft { api, who, answer } = draft;
        let body = call.body.iter().take(REFUSED_BODY_KEPT).copied().collect();
        let refusal = Refusal {
            seq: self.last,
            at,
            api,
            who,
            code,
            answer,
            body,
            injected,
        };
        push_bounded(&mut self.refusals, refusal, self.keep);
    }
}

impl Message {
    /// The readable source: the text, the markdown, or the card's words line by line.
    pub fn text(&self) -> String {
        self.content.source()
    }
}

impl ReplyFate {
    pub(super) fn of(lost: bool) -> Self {
        if lost { Self::Lost } else { Self::Sent }
    }
}

fn push_bounded<T>(queue: &mut VecDeque<T>, item: T, keep: usize) {
    if queue.len() >= keep {
        queue.pop_front();
    }
    queue.push_back(item);
}
