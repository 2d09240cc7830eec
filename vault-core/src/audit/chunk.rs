//! Chunks: events one behind another, as they wait and as they lie in the store. Each is `length (4, little-endian) | event`.

/// Events in one buffer, each behind its length.
#[derive(Clone, Debug, Default)]
pub(crate) struct Chunk {
    bytes: Vec<u8>,
    events: usize,
}

/// A place between two events of a chunk.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mark {
    bytes: usize,
    events: usize,
}

impl Chunk {
    /// Adds an event.
    pub(crate) fn push(&mut self, event: &[u8]) {
        let len = u32::try_from(event.len()).expect("an event is far smaller than 4 GiB: its fields are bounded");
        self.bytes.extend_from_slice(&len.to_le_bytes());
        self.bytes.extend_from_slice(event);
        self.events += 1;
    }

    /// Adds the events of another one.
    pub(crate) fn append(&mut self, other: &Chunk) {
        self.bytes.extend_from_slice(&other.bytes);
        self.events += other.events;
    }

    /// How many events there are.
    pub(crate) fn len(&self) -> usize {
        self.events
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.events == 0
    }

    /// Its form in the store.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The events in order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &[u8]> {
        let mut rest = &*self.bytes;
        std::iter::from_fn(move || {
            let event;
            (event, rest) = first_of(rest)?;
            Some(event)
        })
    }

    /// Where the next event will be.
    pub(crate) fn end(&self) -> Mark {
        Mark { bytes: self.bytes.len(), events: self.events }
    }

    /// Forgets the events that were added since.
    pub(crate) fn cut(&mut self, end: Mark) {
        self.bytes.truncate(end.bytes);
        self.events = end.events;
    }

    /// The same buffer without events; none that holds more than so many bytes.
    pub(crate) fn emptied(mut self, bytes_max: usize) -> Self {
        if self.bytes.capacity() > bytes_max {
            return Chunk::default();
        }
        self.bytes.clear();
        Chunk { bytes: self.bytes, events: 0 }
    }
}

/// The events of a chunk that was stored; `None` when it is cut or is no chunk.
pub(crate) fn events_of_chunk(chunk: &[u8]) -> Option<Vec<&[u8]>> {
    let mut events = Vec::new();
    let mut rest = chunk;
    while !rest.is_empty() {
        let event;
        (event, rest) = first_of(rest)?;
        events.push(event);
    }
    Some(events)
}

/// The first event, and what comes behind it.
fn first_of(chunk: &[u8]) -> Option<(&[u8], &[u8])> {
    let (len, rest) = chunk.split_first_chunk::<4>()?;
    rest.split_at_checked(usize::try_from(u32::from_le_bytes(*len)).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunk_of(events: &[&[u8]]) -> Chunk {
        let mut chunk = Chunk::default();
        events.iter().for_each(|event| chunk.push(event));
        chunk
    }

    #[test]
    fn chunks_round_trip_and_cut_ones_are_refused() {
        let events: [&[u8]; 3] = [b"one", b"", b"three"];
        let chunk = chunk_of(&events);
        assert_eq!(chunk.len(), 3);
        assert!(chunk.iter().eq(events));
        let bytes = chunk.as_bytes();
        assert_eq!(events_of_chunk(bytes).expect("whole"), events);
        assert!(events_of_chunk(&bytes[..bytes.len() - 1]).is_none());
        assert!(events_of_chunk(&[1, 0]).is_none());
    }

    #[test]
    fn what_came_behind_a_mark_is_forgotten_and_what_stays_goes_before_another() {
        let mut chunk = chunk_of(&[b"a", b"b"]);
        let end = chunk.end();
        chunk.push(b"c");
        chunk.cut(end);
        chunk.append(&chunk_of(&[b"d"]));
        assert!(chunk.iter().eq([b"a", b"b", b"d"]) && chunk.len() == 3);
        let emptied = chunk.emptied(1024);
        assert!(emptied.is_empty() && emptied.iter().next().is_none() && emptied.bytes.capacity() > 0);
        assert_eq!(chunk_of(&[&[0; 2048]]).emptied(1024).bytes.capacity(), 0, "too large to be kept");
    }
}
