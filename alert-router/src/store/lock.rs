//! One process per data folder. The kernel holds the lock, so it ends with its process; the text
//! in the file only tells the others whom to ask.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

const NAME: &str = "alert-router.lock";

/// Holds a data folder for this process until dropped.
#[derive(Debug)]
pub(super) struct FolderLock {
    file: File,
}

/// The process that holds a data folder.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Holder {
    /// Its process id; `None` if it has not written it yet.
    pub pid: Option<u32>,
    /// Where it listens; `None` for a command that does not, or does not yet.
    pub address: Option<String>,
}

/// Why a data folder cannot be held.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another process holds it.
    #[error("{} is in use by {holder}; stop it, or send the command to it", folder.display())]
    Held {
        /// The data folder.
        folder: PathBuf,
        /// Who holds it.
        holder: Holder,
    },
    /// The lock file cannot be used.
    #[error(
        "cannot lock the data folder {}: {source}; it must be writable for this user",
        folder.display()
    )]
    Io {
        /// The data folder.
        folder: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl FolderLock {
    /// Takes the folder, which must exist, and writes our process id into it.
    pub(super) fn take(folder: &Path) -> Result<Self, LockError> {
        let failed = |source| LockError::Io {
            folder: folder.to_owned(),
            source,
        };
        // Not truncated here: until we have the lock, the text is the holder's.
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(folder.join(NAME))
            .map_err(failed)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(LockError::Held {
                    folder: folder.to_owned(),
                    holder: Holder::read(&file),
                });
            }
            Err(TryLockError::Error(source)) => return Err(failed(source)),
        }
        let lock = Self { file };
        lock.write(&format!("{}\n", std::process::id()))
            .map_err(failed)?;
        Ok(lock)
    }

    /// Tells others where this process listens.
    pub(super) fn announce(&self, address: &str) -> io::Result<()> {
        self.write(&format!("{}\n{address}\n", std::process::id()))
    }

    fn write(&self, text: &str) -> io::Result<()> {
        let mut file = &self.file;
        file.set_len(0)?;
        file.seek(SeekFrom::Start(0))?;
        file.write_all(text.as_bytes())
    }
}

impl Holder {
    /// What the holder wrote. It may be in the middle of writing, so anything may be missing.
    fn read(mut file: &File) -> Self {
        let mut text = String::new();
        // An unreadable text leaves the holder nameless; that it holds the folder is known.
        let read = Read::by_ref(&mut file).take(1024).read_to_string(&mut text);
        if read.is_err() {
            return Self::default();
        }
        let mut lines = text.lines();
        Self {
            pid: lines.next().and_then(|pid| pid.parse().ok()),
            address: lines.next().map(str::to_owned),
        }
    }
}

/// `process 4711 at http://127.0.0.1:9095`
impl std::fmt::Display for Holder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.pid {
            Some(pid) => write!(f, "process {pid}")?,
            None => f.write_str("another process")?,
        }
        match &self.address {
            Some(address) => write!(f, " at {address}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_opener_is_refused_with_pid_and_address_until_the_first_lets_go() {
        let folder = tempfile::tempdir().unwrap();
        let first = FolderLock::take(folder.path()).unwrap();
        let refusal = |address: Option<&str>| match FolderLock::take(folder.path()) {
            Err(LockError::Held { holder, .. }) => {
                assert_eq!(holder.pid, Some(std::process::id()));
                assert_eq!(holder.address.as_deref(), address);
                holder.to_string()
            }
            other => panic!("not refused: {other:?}"),
        };
        refusal(None);
        first.announce("http://127.0.0.1:9095").unwrap();
        assert_eq!(
            refusal(Some("http://127.0.0.1:9095")),
            format!("process {} at http://127.0.0.1:9095", std::process::id())
        );
        drop(first);
        FolderLock::take(folder.path()).unwrap();
    }

    #[test]
    fn a_folder_that_is_missing_says_so() {
        let folder = tempfile::tempdir().unwrap();
        let missing = folder.path().join("missing");
        assert!(matches!(
            FolderLock::take(&missing),
            Err(LockError::Io { .. })
        ));
    }
}
