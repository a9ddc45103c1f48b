//! What makes mails of one group one conversation in Gmail, Outlook, Thunderbird and others: a
//! common root, the chain of ids, Outlook's index. Pure; the chain lives in the lane's memory.
//!
//! The root follows from the conversation's name, so that it is the same after a restart, and for
//! mails that know nothing of each other. The first mail carries it as its own id. It must be the
//! only one: providers drop a second mail with the same id. So a mail that may not be the first
//! refers to the root like all others; if no mail with that id arrived, readers thread by it anyway.

use alert_engine::{LaneKey, Timestamp};
use base64::Engine as _;
use sha2::{Digest, Sha256};

use crate::receiver::Memory;

/// Ids that a mail refers to at most: the root, and the latest.
const LONGEST: usize = 10;

/// Bytes of a lane's memory at most.
const LARGEST: usize = 1000;

/// The place of a mail in its conversation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// The root, and the mails sent after it, oldest first.
    references: Vec<String>,
    /// Whether this mail is the root.
    is_root: bool,
    /// For Thread-Index.
    index: String,
}

impl Place {
    /// The next place in the conversation `name` at `lane`, after what the lane remembers. A
    /// memory of another conversation is forgotten. `opens`: no mail of it can have been taken.
    pub(super) fn next(
        name: &str,
        lane: LaneKey,
        domain: &str,
        memory: Option<&Memory>,
        opens: bool,
    ) -> Self {
        let conversation = LaneKey::of(&[name.as_bytes(), &lane.0]).to_string();
        let root = format!("<g.{}@{domain}>", &conversation[..16]);
        let remembered = memory.and_then(ids).filter(|ids| ids[0] == root);
        Self {
            is_root: opens && remembered.is_none(),
            references: remembered.unwrap_or_else(|| vec![root]),
            index: index(&conversation, began(name)),
        }
    }

    /// For Message-ID, if this is the first mail.
    pub(super) fn id(&self) -> Option<&str> {
        self.is_root.then(|| self.last())
    }

    /// For References: the root, and what came after.
    pub(super) fn references(&self) -> Option<String> {
        (!self.is_root).then(|| self.references.join(" "))
    }

    /// For In-Reply-To: the last mail, or the root.
    pub(super) fn in_reply_to(&self) -> Option<&str> {
        (!self.is_root).then(|| self.last())
    }

    fn last(&self) -> &str {
        self.references.last().expect("there is a root")
    }

    /// For Thread-Index, the same on all mails of the conversation.
    pub(super) fn index(&self) -> &str {
        &self.index
    }
}

/// What the lane remembers once `mail` is sent: its references and its own id. Nothing of a mail
/// outside of conversations.
pub(super) fn memory_of(mail: &[u8]) -> Option<Memory> {
    let _index = header(mail, "Thread-Index")?;
    let id = header(mail, "Message-ID")?;
    let mut ids: Vec<_> = header(mail, "References")
        .unwrap_or_default()
        .split_whitespace()
        .map(str::to_owned)
        .collect();
    ids.push(id);
    while ids.len() > 2 && (ids.len() > LONGEST || ids.join(" ").len() > LARGEST) {
        ids.remove(1);
    }
    Some(ids.join(" ").into())
}

/// The ids of a memory, unless it is none of ours.
fn ids(memory: &Memory) -> Option<Vec<String>> {
    let text = std::str::from_utf8(memory).ok()?;
    let ids: Vec<_> = text.split(' ').map(str::to_owned).collect();
    let good = |id: &String| {
        let inner = id.strip_prefix('<').and_then(|id| id.strip_suffix('>'));
        inner.is_some_and(|id| {
            id.bytes()
                .all(|b| b.is_ascii_graphic() && b != b'<' && b != b'>')
        })
    };
    (ids.len() <= LONGEST && ids.iter().all(good)).then_some(ids)
}

/// The value of a header of a mail that this program wrote, unfolded.
fn header(mail: &[u8], name: &str) -> Option<String> {
    let text = std::str::from_utf8(mail).ok()?;
    let head = text
        .split("\r\n\r\n")
        .next()?
        .replace("\r\n ", " ")
        .replace("\r\n\t", " ");
    let value = head
        .split("\r\n")
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
    value.map(|value| value.trim().to_owned())
}

/// When a conversation began, if its name ends in that (`….1767323045`): Outlook shows it nowhere,
/// but the index has a place for it.
fn began(name: &str) -> Timestamp {
    let seconds = name
        .rsplit('.')
        .next()
        .and_then(|end| end.parse::<u32>().ok());
    Timestamp::from_millis(i64::from(seconds.unwrap_or(0)) * 1000)
}

/// Outlook's conversation index: one byte 1, the upper five bytes of the FILETIME at which the
/// conversation began, and sixteen bytes that name it.
fn index(name: &str, began: Timestamp) -> String {
    /// From 1601 to 1970, in milliseconds.
    const EPOCH: i64 = 11_644_473_600_000;
    let filetime = began
        .as_millis()
        .saturating_add(EPOCH)
        .saturating_mul(10_000);
    let mut index = vec![1];
    index.extend_from_slice(&filetime.to_be_bytes()[..5]);
    index.extend_from_slice(&Sha256::digest(name.as_bytes())[..16]);
    base64::engine::general_purpose::STANDARD.encode(index)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn next(name: &str, memory: Option<&Memory>) -> Place {
        Place::next(name, LaneKey::of(&[b"lane"]), "id.example", memory, true)
    }

    /// What is remembered after a mail with that id, if it has none by its place, was sent from it.
    fn after(place: &Place, id: &str) -> Memory {
        let references = place.references().map(|ids| {
            let folded = ids.replace(' ', "\r\n ");
            format!("References: {folded}\r\n")
        });
        let (references, id) = (references.unwrap_or_default(), place.id().unwrap_or(id));
        let mail = format!(
            "Subject: x\r\n{references}Thread-Index: x\r\nMessage-ID: {id}\r\n\r\nMessage-ID: <evil>\r\n"
        );
        memory_of(mail.as_bytes()).unwrap()
    }

    #[test]
    fn the_index_is_the_one_that_outlook_reads() {
        let name = "prod|alertname=DiskFull|cluster=east";
        let began = Timestamp::from_millis(1_767_323_045_000);
        assert_eq!(index(name, began), "AQHce5R0SQPPMXFkxyg7bFvo/HOufQ==");
        assert_eq!(super::began("8f1c.1767323045"), began);
        assert_eq!(super::began("no number"), Timestamp::from_millis(0));
    }

    #[test]
    fn a_conversation_begins_with_its_root_and_grows_its_chain() {
        let first = next("life", None);
        let second = next("life", Some(&after(&first, "unused")));
        let third = next("life", Some(&after(&second, "<n.2@id.example>")));
        let root = first.id().unwrap();
        assert_eq!((first.references(), first.in_reply_to()), (None, None));
        assert_eq!((second.id(), third.id()), (None, None));
        assert_eq!(second.references().unwrap(), root);
        assert_eq!(second.in_reply_to(), Some(root));
        assert_eq!(
            third.references().unwrap(),
            format!("{root} <n.2@id.example>")
        );
        assert_eq!(third.in_reply_to(), Some("<n.2@id.example>"));
        assert_eq!(third.index(), first.index());
    }

    #[test]
    fn a_mail_that_may_not_be_the_first_refers_to_the_root_and_never_takes_its_id() {
        let lane = LaneKey::of(&[b"lane"]);
        let late = Place::next("life", lane, "id.example", None, false);
        let root = next("life", None).id().unwrap().to_owned();
        assert_eq!(late.id(), None);
        assert_eq!(late.in_reply_to(), Some(&*root));
        assert_eq!(late.references(), Some(root));
    }

    #[test]
    fn a_mail_outside_of_conversations_is_not_remembered() {
        assert_eq!(memory_of(b"Message-ID: <n.1@id.example>\r\n\r\nx"), None);
    }

    #[test]
    fn another_life_is_another_conversation() {
        let memory = after(&next("life 1", None), "<n.1@id.example>");
        assert_eq!(next("life 2", Some(&memory)), next("life 2", None));
    }

    #[test]
    fn the_memory_stays_small_and_keeps_the_root() {
        let domain = "d".repeat(180);
        let place =
            |memory: Option<&Memory>| Place::next("life", LaneKey::of(&[]), &domain, memory, true);
        let mut memory = None;
        for at in 0..50 {
            let sent = after(&place(memory.as_ref()), &format!("<n.{at}@{domain}>"));
            assert!(sent.len() <= LARGEST);
            memory = Some(sent);
        }
        let place = place(memory.as_ref());
        assert!(place.references().unwrap().starts_with("<g."));
        assert_eq!(place.in_reply_to(), Some(&*format!("<n.49@{domain}>")));
    }

    #[test]
    fn a_memory_that_is_not_ours_is_forgotten() {
        for memory in ["", "x", "no-brackets <a>", "<a>\r\nBcc: x", "\u{0}"] {
            let memory = Memory::from(memory.to_owned());
            assert_eq!(
                next("life", Some(&memory)),
                next("life", None),
                "{memory:?}"
            );
        }
    }
}
