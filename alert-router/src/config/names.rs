//! The names of all receivers, for whatever refers to one. They are read before anything else, so
//! that a mistake inside a receiver does not look like a missing receiver elsewhere.

use super::read::Node;
use super::suggest;

/// What the receivers of a file are called.
pub(super) struct Names {
    known: Vec<String>,
    /// Whether every entry has a readable name; if not, any name may be one of theirs.
    complete: bool,
}

impl Names {
    pub(super) fn of(receivers: Option<&Node<'_>>) -> Self {
        let entries = receivers.and_then(Node::elements).unwrap_or_default();
        let known: Vec<String> = entries
            .iter()
            .filter_map(|entry| entry.peek("name"))
            .collect();
        Self {
            complete: !known.is_empty() && known.len() == entries.len(),
            known,
        }
    }

    /// Reads a reference to a receiver. A wrong one is reported, and kept as it is.
    pub(super) fn reference(&self, node: &Node<'_>) -> Option<String> {
        let name = node.text()?;
        if self.complete && !self.known.contains(&name) {
            let known = self.known.iter().map(String::as_str);
            let fix = match suggest::nearest(&name, known) {
                Some(meant) => format!("did you mean {meant}?"),
                None => format!("add it to receivers; there are {}", self.known.join(", ")),
            };
            node.error((format!("there is no receiver {name:?}"), fix));
        }
        Some(name)
    }
}
