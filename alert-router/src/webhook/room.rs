//! How many bytes of bodies are held at once, whoever sends them: those that still arrive, and those
//! that wait until they are taken in. A sender for whom there is no room comes again.

use std::sync::Arc;

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Eight times the largest body by default, and a thousand times an ordinary one.
const ROOM: u32 = 80 << 20;

/// The room for bodies. Clones share it.
#[derive(Clone, Debug)]
pub struct BodyRoom {
    free: Arc<Semaphore>,
    all: u32,
}

/// Why a body was not read.
#[derive(Debug, thiserror::Error)]
pub(super) enum NotRead {
    #[error("the body is larger than one may be")]
    TooLarge,
    #[error("all the room for bodies is taken by others; try again")]
    NoRoom,
    #[error("the body broke off: its connection closed, or its chunks are malformed")]
    BrokeOff,
}

/// The bytes of a body and their place, which is free again once the last slice of them is gone.
struct Held {
    bytes: Bytes,
    _place: Option<OwnedSemaphorePermit>,
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Default for BodyRoom {
    fn default() -> Self {
        Self::of(ROOM)
    }
}

impl BodyRoom {
    fn of(all: u32) -> Self {
        Self {
            free: Arc::new(Semaphore::new(all as usize)),
            all,
        }
    }

    /// Reads a body of at most `limit` bytes.
    pub(super) async fn read(&self, body: Body, limit: usize) -> Result<Bytes, NotRead> {
        let mut body = Limited::new(body, limit);
        let (mut chunks, mut place) = (Vec::new(), None);
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|error| match error.is::<LengthLimitError>() {
                true => NotRead::TooLarge,
                false => NotRead::BrokeOff,
            })?;
            if let Ok(chunk) = frame.into_data() {
                self.widen(&mut place, chunk.len())?;
                chunks.push(chunk);
            }
        }
        let bytes = whole(chunks);
        let held = Held {
            bytes,
            _place: place,
        };
        Ok(Bytes::from_owner(held))
    }

    /// A body that is larger than all of the room needs all of it, and no more.
    fn widen(&self, place: &mut Option<OwnedSemaphorePermit>, by: usize) -> Result<(), NotRead> {
        let has = place.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
        let left = (self.all as usize).saturating_sub(has);
        let more = u32::try_from(by.min(left)).unwrap_or(self.all);
        let free = Arc::clone(&self.free);
        let more = free.try_acquire_many_owned(more);
        let more = more.map_err(|_none| NotRead::NoRoom)?;
        match place {
            Some(place) => place.merge(more),
            None => *place = Some(more),
        }
        Ok(())
    }
}

/// Most bodies are one chunk.
fn whole(mut chunks: Vec<Bytes>) -> Bytes {
    if chunks.len() == 1 {
        return chunks.swap_remove(0);
    }
    let mut bytes = BytesMut::with_capacity(chunks.iter().map(Bytes::len).sum());
    for chunk in chunks {
        bytes.extend_from_slice(&chunk);
    }
    bytes.freeze()
}

#[cfg(test)]
mod tests {
    use futures_util::stream;

    use super::*;

    fn body(chunks: &[&'static str]) -> Body {
        let chunks: Vec<_> = chunks
            .iter()
            .map(|chunk| Ok::<_, NotRead>(*chunk))
            .collect();
        Body::from_stream(stream::iter(chunks))
    }

    #[tokio::test]
    async fn a_place_is_free_again_once_the_last_slice_of_a_body_is_gone() {
        let room = BodyRoom::of(10);
        let first = room.read(body(&["abc", "def"]), 100).await.unwrap();
        assert_eq!(first, "abcdef");
        let slice = first.slice(2..4);
        drop(first);
        let refused = room.read(body(&["123", "45"]), 100).await;
        assert!(matches!(refused, Err(NotRead::NoRoom)), "{refused:?}");
        assert_eq!(room.read(body(&["1234"]), 100).await.unwrap(), "1234");
        drop(slice);
        let whole = room.read(body(&["0123456789"]), 100).await.unwrap();
        assert_eq!(whole.len(), 10);
    }

    #[tokio::test]
    async fn a_body_that_is_larger_than_the_room_is_alone_in_it() {
        let room = BodyRoom::of(4);
        let large = room.read(body(&["abc", "def", "ghi"]), 100).await.unwrap();
        assert_eq!(large, "abcdefghi");
        let refused = room.read(body(&["1"]), 100).await;
        assert!(matches!(refused, Err(NotRead::NoRoom)), "{refused:?}");
        drop(large);
        assert_eq!(room.read(body(&[]), 100).await.unwrap(), "");
        assert_eq!(room.read(body(&["1"]), 100).await.unwrap(), "1");
    }

    #[tokio::test]
    async fn a_body_that_is_too_large_or_breaks_off_gives_its_place_back() {
        let room = BodyRoom::of(8);
        let refused = room.read(body(&["abc", "def"]), 5).await;
        assert!(matches!(refused, Err(NotRead::TooLarge)), "{refused:?}");
        let broken = stream::iter([Ok("abcd"), Err(NotRead::BrokeOff)]);
        let refused = room.read(Body::from_stream(broken), 100).await;
        assert!(matches!(refused, Err(NotRead::BrokeOff)), "{refused:?}");
        assert_eq!(room.free.available_permits(), 8);
    }
}
