//! The primitives: varints, instants from a base, names that stand once, and lists that cannot
//! claim more than there are bytes.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use alert_engine::{Labels, SourceName, Timestamp};

use super::CodecError;

/// Can be written and read back.
pub(super) trait Stored: Sized {
    fn write(&self, to: &mut Writer);
    fn read(from: &mut Reader<'_>) -> Result<Self, CodecError>;
}

pub(super) struct Writer {
    bytes: Vec<u8>,
    base: Timestamp,
    sources: Vec<SourceName>,
}

pub(super) struct Reader<'a> {
    bytes: &'a [u8],
    base: Timestamp,
    sources: Vec<SourceName>,
}

impl Writer {
    pub(super) fn begin(version: u8, base: Timestamp) -> Self {
        let mut bytes = Vec::with_capacity(256);
        bytes.push(version);
        bytes.extend_from_slice(&base.as_millis().to_le_bytes());
        Self {
            bytes,
            base,
            sources: Vec::new(),
        }
    }

    pub(super) fn finish(self) -> Vec<u8> {
        self.bytes
    }

    pub(super) fn raw(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }
}

impl<'a> Reader<'a> {
    pub(super) fn begin(bytes: &'a [u8]) -> Result<Self, CodecError> {
        let mut reader = Self {
            bytes,
            base: Timestamp::MIN,
            sources: Vec::new(),
        };
        reader.base = Timestamp::from_millis(i64::from_le_bytes(reader.array()?));
        Ok(reader)
    }

    pub(super) fn finish(self) -> Result<(), CodecError> {
        match self.bytes.len() {
            0 => Ok(()),
            left => Err(CodecError::Long { left }),
        }
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], CodecError> {
        let (array, rest) = self.bytes.split_first_chunk().ok_or(CodecError::Short)?;
        self.bytes = rest;
        Ok(*array)
    }

    fn slice(&mut self, length: usize) -> Result<&'a [u8], CodecError> {
        let (slice, rest) = self
            .bytes
            .split_at_checked(length)
            .ok_or(CodecError::Short)?;
        self.bytes = rest;
        Ok(slice)
    }

    /// The length of a list whose elements take at least a byte each.
    fn length(&mut self) -> Result<usize, CodecError> {
        let length = usize::try_from(u64::read(self)?).map_err(|_| CodecError::Short)?;
        if length > self.bytes.len() {
            Err(CodecError::Short)
        } else {
            Ok(length)
        }
    }
}

impl Stored for u8 {
    fn write(&self, to: &mut Writer) {
        to.bytes.push(*self);
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, CodecError> {
        from.array().map(|[byte]| byte)
    }
}

impl Stored for u64 {
    fn write(&self, to: &mut Writer) {
        let mut rest = *self;
        while rest >= 0x80 {
            to.bytes.push((rest & 0x7f) as u8 | 0x80);
            rest >>= 7;
        }
        to.bytes.push(rest as u8);
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, CodecError> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = u8::read(from)?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(CodecError::Impossible { what: "number" })
    }
}

impl Stored for u32 {
    fn write(&self, to: &mut Writer) {
        u64::from(*self).write(to);
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, CodecError> {
        Self::try_from(u64::read(from)?).map_err(|_| CodecError::Impossible { what: "count" })
    }
}

impl Stored for bool {
    fn write(&self, to: &mut Writer) {
        u8::from(*self).write(to);
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, CodecError> {
        match u8::read(from)? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(CodecError::Impossible { what: "flag" }),
        }
    }
}

/// Milliseconds from the base, the sign in the lowest bit. Wrapping, so that every instant fits.
impl Stored for Timestamp {
    fn write(&self, to: &mut Writer) {
        let offset = self.as_millis().wrapping_sub(to.base.as_millis());
        (((offset << 1) ^ (offset >> 63)) as u64).write(to);
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, CodecError> {
        let folded = u64::read(from)?;
        let offset = (folded >> 1) as i64 ^ -((folded & 1) as i64);
        Ok(Self::from_millis(
            from.base.as_millis().wrapping_add(offset),
        ))
    }
}

/// Whole milliseconds.
impl Stored for Duration {
    fn write(&self, to: &mut Writer) {
        u64::try_from(self.as_millis())
            .unwrap_or(u64::MAX)
            .write(to);
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, CodecError> {
        u64::read(from).map(Self::from_millis)
    }
}

impl Stored for Arc<str> {
    fn write(&self, to: &mut Writer) {
        (self.len() as u64).write(to);
        to.raw(self.as_bytes());
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, CodecError> {
        let length = from.length()?;
        let text = std::str::from_utf8(from.slice(length)?);
        text.map(Self::from)
            .map_err(|_| CodecError::Impossible { what: "text" })
    }
}

impl Stored for Box<[u8]> {
    fn write(&self, to: &mut Writer) {
        (self.len() as u64).write(to);
        to.raw(self);
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, CodecError> {
        let length = from.length()?;
        from.slice(length).map(Self::from)
    }
}

/// The place among the names that came before; the next free place brings its name along.
impl Stored for SourceName {
    fn write(&self, to: &mut Writer) {
        let known = to.sources.iter().position(|name| name == self);
        (known.unwrap_or(to.sources.len()) as u64).write(to);
        if known.is_none() {
            to.sources.push(self.clone());
            Arc::<str>::from(self.as_str()).write(to);
        }
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, CodecError> {
        let place = u64::read(from)?;
        if place == from.sources.len() as u64 {
            let name = Self::new(&Arc::<str>::read(from)?);
            from.sources.push(name);
        }
        let known = usize::try_from(place)
            .ok()
            .and_then(|place| from.sources.get(place));
        known
            .cloned()
            .ok_or(CodecError::Impossible { what: "source" })
    }
}

impl Stored for Labels {
    fn write(&self, to: &mut Writer) {
        (self.len() as u64).write(to);
        for (name, value) in self.iter() {
            Arc::<str>::from(name).write(to);
            Arc::<str>::from(value).write(to);
        }
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, CodecError> {
        let pair = |from: &mut Reader<'_>| Ok((Arc::<str>::read(from)?, Arc::<str>::read(from)?));
        let pairs: Vec<(Arc<str>, Arc<str>)> = (0..from.length()?)
            .map(|_| pair(from))
            .collect::<Result<_, CodecError>>()?;
        Ok(pairs
            .iter()
            .map(|(name, value)| (&**name, &**value))
            .collect())
    }
}

impl<T: Stored> Stored for Option<T> {
    fn write(&self, to: &mut Writer) {
        self.is_some().write(to);
        if let Some(value) = self {
            value.write(to);
        }
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, CodecError> {
        if bool::read(from)? {
            T::read(from).map(Some)
        } else {
            Ok(None)
        }
    }
}

impl<T: Stored> Stored for Vec<T> {
    fn write(&self, to: &mut Writer) {
        (self.len() as u64).write(to);
        self.iter().for_each(|value| value.write(to));
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, CodecError> {
        (0..from.length()?).map(|_| T::read(from)).collect()
    }
}

impl<A: Stored, B: Stored> Stored for (A, B) {
    fn write(&self, to: &mut Writer) {
        self.0.write(to);
        self.1.write(to);
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, CodecError> {
        Ok((A::read(from)?, B::read(from)?))
    }
}

impl<K: Stored + Ord, V: Stored> Stored for BTreeMap<K, V> {
    fn write(&self, to: &mut Writer) {
        (self.len() as u64).write(to);
        for (key, value) in self {
            key.write(to);
            value.write(to);
        }
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, CodecError> {
        (0..from.length()?).map(|_| <(K, V)>::read(from)).collect()
    }
}
