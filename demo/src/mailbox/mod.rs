//! A mailbox of the demo's own: takes mail over SMTP on this machine and keeps the latest for the
//! page that shows them. It is no mail server: no TLS, no passwords, no delivery to anyone.

mod mail;
mod page;
mod smtp;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::Semaphore;

pub(crate) use mail::Mail;
pub(crate) use page::routes;

/// The latest mails; with the bound of one mail, 50 MiB at most.
const KEPT: usize = 200;
/// Senders at the same time; more wait in the system's queue.
const SESSIONS: usize = 16;
/// A sender that says nothing for so long is gone.
const PATIENCE: Duration = Duration::from_secs(60);
/// After an accept error (out of descriptors, say) before the next try.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// The mails, shared by the sessions that bring them and the page.
#[derive(Clone, Debug, Default)]
pub(crate) struct Mailbox(Arc<Mutex<Kept>>);

#[derive(Debug, Default)]
struct Kept {
    mails: VecDeque<Arc<Mail>>,
    taken: u64,
}

impl Mailbox {
    /// All mails that are kept, oldest first.
    pub(crate) fn mails(&self) -> Vec<Arc<Mail>> {
        self.kept().mails.iter().cloned().collect()
    }

    /// The number of the latest mail; 0 before the first.
    fn latest(&self) -> u64 {
        self.kept().taken
    }

    /// Takes mail until it is dropped.
    pub(crate) async fn serve(&self, listener: TcpListener) {
        let sessions = Arc::new(Semaphore::new(SESSIONS));
        loop {
            let Ok(place) = Arc::clone(&sessions).acquire_owned().await else {
                return; // nobody closes the semaphore
            };
            let Ok((stream, _)) = listener.accept().await else {
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            };
            let mailbox = self.clone();
            tokio::spawn(async move {
                // A session that breaks off has brought no mail, and its sender knows.
                let _ = smtp::session(stream, &mailbox, PATIENCE).await;
                drop(place);
            });
        }
    }

    fn take(&self, to: Vec<String>, raw: &[u8]) {
        let mut kept = self.kept();
        kept.taken += 1;
        let mail = Mail::read(kept.taken, to, raw);
        kept.mails.push_back(Arc::new(mail));
        if kept.mails.len() > KEPT {
            kept.mails.pop_front();
        }
    }

    fn kept(&self) -> std::sync::MutexGuard<'_, Kept> {
        // A panic between two mails leaves a list of whole mails.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_mails_are_kept_and_numbered_for_good() {
        let mailbox = Mailbox::default();
        for _ in 0..KEPT + 5 {
            mailbox.take(vec!["a@b.test".into()], b"Subject: x\r\n\r\ny\r\n");
        }
        let mails = mailbox.mails();
        assert_eq!(mails.len(), KEPT);
        assert_eq!(mails[0].number, 6);
        assert_eq!(mailbox.latest(), mails.last().unwrap().number);
    }
}
