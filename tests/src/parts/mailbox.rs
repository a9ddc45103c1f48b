//! A mailbox read over IMAP and understood by Python: another language's client and parser, so
//! that a mail which passes here is not our own reading of it.

use std::process::Command;

use serde::Deserialize;

use super::programs::Program;

/// A mail as Python's `email` reads it.
#[derive(Clone, Debug, Deserialize)]
pub struct Mail {
    /// Message-ID, with its brackets.
    pub message_id: String,
    /// References, oldest first.
    pub references: Vec<String>,
    /// In-Reply-To.
    pub in_reply_to: Vec<String>,
    /// Subject, decoded.
    pub subject: String,
    /// From, decoded.
    pub sender: String,
    /// The addresses in To.
    pub to: Vec<String>,
    /// The newest Received, by our mail server.
    pub received: String,
    /// X-Alert-Status.
    pub status: String,
    /// The plain text, decoded.
    pub text: String,
    /// The HTML, decoded.
    pub html: String,
    /// Whether no byte has its high bit set.
    pub seven_bit: bool,
    /// What the parser complains about.
    pub defects: Vec<String>,
    /// The number of its thread in this mailbox.
    pub thread: usize,
}

/// How many threads these mails are.
#[must_use]
pub fn threads(mails: &[Mail]) -> usize {
    let numbers = mails.iter().map(|mail| mail.thread);
    numbers.collect::<std::collections::BTreeSet<_>>().len()
}

/// All mails of a mailbox, oldest first.
pub(crate) async fn read(port: u16, user: &str, password: &str) -> Result<Vec<Mail>, String> {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/src/parts/read_mail.py");
    let mut command = Command::new(Program::Python.path());
    command.args([script, "127.0.0.1", &port.to_string(), user, password]);
    let ran = tokio::task::spawn_blocking(move || command.output()).await;
    let output = ran.expect("no panic there").expect("python3 starts");
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned());
    }
    serde_json::from_slice(&output.stdout).map_err(|error| error.to_string())
}
