//! Whether a path still names the file that was opened. A file that somebody removed can be written
//! to as before, and is gone with the process.

use std::io;
use std::path::{Path, PathBuf};

use crate::store::StoreError;

/// Which file it is, whatever it is called.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Identity {
    #[cfg(unix)]
    device_and_inode: (u64, u64),
}

/// The path names another file, or none.
#[derive(Debug, thiserror::Error)]
#[error(
    "{} was removed or replaced while alert-router had it open, so nothing more is taken: put its \
     folder back and restart alert-router", path.display()
)]
struct Gone {
    path: PathBuf,
    #[source]
    source: Option<io::Error>,
}

impl Identity {
    /// Of the file that `path` names now.
    pub(super) fn of(path: &Path) -> Result<Self, StoreError> {
        found(path).map_err(|error| StoreError::Unavailable(Box::new(error)))
    }

    /// One call of the system, which is nothing beside the sync of a commit.
    pub(super) fn check(self, path: &Path) -> Result<(), StoreError> {
        let source = match found(path) {
            Ok(found) if found == self => return Ok(()),
            Ok(_) => None,
            Err(error) => Some(error),
        };
        let path = path.to_owned();
        Err(StoreError::Unavailable(Box::new(Gone { path, source })))
    }
}

fn found(path: &Path) -> io::Result<Identity> {
    let metadata = std::fs::metadata(path)?;
    Ok(Identity {
        #[cfg(unix)]
        device_and_inode: {
            use std::os::unix::fs::MetadataExt;
            (metadata.dev(), metadata.ino())
        },
    })
}
