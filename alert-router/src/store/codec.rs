//! A group as bytes, versioned and compact: what the engine calls [`GroupState`], and nothing else.
//! Reading takes any bytes and never panics.
//!
//! Numbers are varints; instants count from the group's birth; a source's name stands once; hashes
//! stand as they are. The samples in `testdata/` show every version that was ever written.

mod model;
mod wire;

use alert_engine::GroupState;

use wire::{Reader, Stored, Writer};

/// The version that is written.
const VERSION: u8 = 1;

/// Why bytes are not a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum CodecError {
    /// A newer binary wrote it.
    #[error(
        "a stored group has version {found}, and this binary knows up to {VERSION}: start the binary that wrote it"
    )]
    Version {
        /// What stands there.
        found: u8,
    },
    /// The bytes end too early.
    #[error("a stored group is cut off")]
    Short,
    /// Bytes are left over.
    #[error("a stored group has {left} bytes too many")]
    Long {
        /// How many.
        left: usize,
    },
    /// A value that nobody writes.
    #[error("a stored group has an impossible {what}")]
    Impossible {
        /// Of which kind.
        what: &'static str,
    },
}

/// A group as bytes.
#[must_use]
pub(crate) fn encode(state: &GroupState) -> Vec<u8> {
    let mut writer = Writer::begin(VERSION, state.birth);
    state.write(&mut writer);
    writer.finish()
}

/// A group from bytes.
///
/// # Errors
///
/// These bytes were not written by [`encode`].
pub(crate) fn decode(bytes: &[u8]) -> Result<GroupState, CodecError> {
    let (version, rest) = bytes.split_first().ok_or(CodecError::Short)?;
    if *version != VERSION {
        return Err(CodecError::Version { found: *version });
    }
    let mut reader = Reader::begin(rest)?;
    let state = GroupState::read(&mut reader)?;
    reader.finish()?;
    Ok(state)
}

#[cfg(test)]
mod tests;
