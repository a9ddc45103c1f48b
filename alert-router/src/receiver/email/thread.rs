//! What makes mails of one group one conversation in Gmail, Outlook, Thunderbird and others: a
//! common root, the chain of ids, Outlook's index. Pure; the chain lives in the lane's memory.

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
    /// The root, which no mail carries itself, and the mails sent before, oldest first.
    references: Vec<String>,
    /// For Thread-Index.
    index: String,
}

impl Place {
    /// The next place in the conversation `name` at `lane`, after what the lane remembers. A
    /// memory of another conversation is forgotten.
    pub(super) fn next(name: &str, lane: LaneKey, domain: &str, memory: Option<&Memory>) -> Self {
        let conversation = LaneKey::of(&[name.as_bytes(), &lane.0]).to_string();
        let root = format!("<g.{}@{domain}>", &conversation[..16]);
        let remembered = memory.and_then(ids).filter(|ids| ids[0] == root);
        Self {
            references: remembered.unwrap_or_else(|| vec![root]),
            index: index(&conversation, began(name)),
        }
    }

    /// For References.
    pub(super) fn references(&self) -> String {
        self.references.join(" ")
    }

    /// For In-Reply-To: the last mail, or the root.
    pub(super) fn in_reply_to(&self) -> &str {
        self.references.last().expect("there is a root")
    }

    /// For Thread-Index, the same on all mails of the conversation.
    pub(super) fn index(&self) -> &str {
        &self.index
    }
}

/// What the lane remembers once `mail` is sent: its references and its own id.
pub(super) fn memory_of(mail: &[u8]) -> Option<Memory> {
    let id = header(mail, "Message-ID")?;
    let mut ids: Vec<_> = header(mail, "References")?
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
        Place::next(name, LaneKey::of(&[b"lane"]), "id.example", memory)
    }

    /// What is remembered after a mail with that id was sent from that place.
    fn after(place: &Place, id: &str) -> Memory {
        let references = place.references().replace(' ', "\r\n ");
        let mail = format!(
            "Subject: x\r\nReferences: {references}\r\nMessage-ID: {id}\r\n\r\nMessage-ID: <evil>\r\n"
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
    fn a_conversation_keeps_root_and_index_and_grows_its_chain() {
        let first = next("life", None);
        let second = next("life", Some(&after(&first, "<n.1@id.example>")));
        let third = next("life", Some(&after(&second, "<n.2@id.example>")));
        let root = first.in_reply_to();
        assert_eq!(second.references(), format!("{root} <n.1@id.example>"));
        assert_eq!(
            third.references(),
            format!("{root} <n.1@id.example> <n.2@id.example>")
        );
        assert_eq!(third.in_reply_to(), "<n.2@id.example>");
        assert_eq!(third.index(), first.index());
    }

    #[test]
    fn another_life_is_another_conversation() {
        let memory = after(&next("life 1", None), "<n.1@id.example>");
        assert_eq!(next("life 2", Some(&memory)), next("life 2", None));
    }

    #[test]
    fn the_memory_stays_small_and_keeps_the_root() {
        let domain = "d".repeat(180);
        let mut memory = None;
        for at in 0..50 {
            let place = Place::next("life", LaneKey::of(&[]), &domain, memory.as_ref());
            let sent = after(&place, &format!("<n.{at}@{domain}>"));
            assert!(sent.len() <= LARGEST);
            memory = Some(sent);
        }
        let place = Place::next("life", LaneKey::of(&[]), &domain, memory.as_ref());
        assert!(place.references().starts_with("<g."));
        assert_eq!(place.in_reply_to(), format!("<n.49@{domain}>"));
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
