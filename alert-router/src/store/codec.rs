//! A group as bytes, versioned and compact: what the engine calls [`GroupState`], and which requests
//! brought its news, if their traces are sampled. Reading takes any bytes and never panics.
//!
//! Numbers are varints; instants count from the group's birth; a source's name stands once; hashes
//! stand as they are. The samples in `testdata/stored` show every version that was ever written.

mod model;
mod wire;

use alert_engine::GroupState;

use crate::trace::Origins;
use wire::{Reader, Stored, Writer};

/// A group alone: what earlier binaries read, and so what is written as long as nothing is traced.
const GROUP: u8 = 1;
/// A group, and behind it where its news came from.
const WITH_ORIGINS: u8 = 2;

/// Why bytes are not a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum CodecError {
    /// A newer binary wrote it.
    #[error(
        "a stored group has version {found}, and this binary knows up to {WITH_ORIGINS}: start the binary that wrote it"
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
pub(crate) fn encode(state: &GroupState, origins: &Origins) -> Vec<u8> {
    let version = match origins.is_empty() {
        true => GROUP,
        false => WITH_ORIGINS,
    };
    let mut writer = Writer::begin(version, state.birth);
    state.write(&mut writer);
    if version == WITH_ORIGINS {
        origins.write(&mut writer);
    }
    writer.finish()
}

/// A group from bytes.
///
/// # Errors
///
/// These bytes were not written by [`encode`].
pub(crate) fn decode(bytes: &[u8]) -> Result<(GroupState, Origins), CodecError> {
    let (version, rest) = bytes.split_first().ok_or(CodecError::Short)?;
    if !(GROUP..=WITH_ORIGINS).contains(version) {
        return Err(CodecError::Version { found: *version });
    }
    let mut reader = Reader::begin(rest)?;
    let state = GroupState::read(&mut reader)?;
    let origins = match *version {
        GROUP => Origins::default(),
        _ => Origins::read(&mut reader)?,
    };
    reader.finish()?;
    Ok((state, origins))
}

#[cfg(test)]
mod tests;
