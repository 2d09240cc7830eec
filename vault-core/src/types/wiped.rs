//! Bytes that are wiped when they are let go, all at once, and of which a part can be kept without a copy.

use std::fmt;
use std::ops::{Deref, DerefMut, Range};
use std::sync::Arc;
use zeroize::Zeroize;

/// A buffer that is wiped when it is let go.
pub(crate) struct Wiped(Vec<u8>);

/// Secret bytes: the part that is looked at of a buffer that is wiped as a whole.
pub(crate) struct WipedBytes {
    buffer: Buffer,
    part: Range<usize>,
}

/// Secret bytes that several look at: the buffer is wiped when the last of them lets it go.
#[derive(Clone)]
pub(crate) struct SharedBytes {
    buffer: Arc<Wiped>,
    part: Range<usize>,
}

enum Buffer {
    Own(Wiped),
    Shared(Arc<Wiped>),
}

impl Wiped {
    /// Takes a buffer over.
    pub(crate) fn new(buffer: Vec<u8>) -> Self {
        Wiped(buffer)
    }
}

impl Deref for Wiped {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl DerefMut for Wiped {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.0
    }
}

impl Drop for Wiped {
    fn drop(&mut self) {
        wipe(&mut self.0);
    }
}

impl WipedBytes {
    /// What is looked at.
    pub(crate) fn as_slice(&self) -> &[u8] {
        self
    }

    /// Looks only at a part of what is looked at now; the rest is wiped with it all the same.
    ///
    /// # Panics
    /// When it is no part of it.
    pub(crate) fn narrow(&mut self, to: Range<usize>) {
        assert!(to.start <= to.end && to.end <= self.len(), "a part lies within what it is a part of");
        self.part = self.part.start + to.start..self.part.start + to.end;
    }

    /// Where a part lies that was found by looking.
    pub(crate) fn range_of(&self, found: &[u8]) -> Option<Range<usize>> {
        let start = (found.as_ptr() as usize).checked_sub(self.as_ptr() as usize)?;
        let end = start.checked_add(found.len()).filter(|end| *end <= self.len())?;
        Some(start..end)
    }

    /// The same bytes for others too, without a copy.
    pub(crate) fn share(self) -> SharedBytes {
        let buffer = match self.buffer {
            Buffer::Own(own) => Arc::new(own),
            Buffer::Shared(shared) => shared,
        };
        SharedBytes { buffer, part: self.part }
    }
}

impl SharedBytes {
    /// How much memory the whole buffer takes, in bytes.
    pub(crate) fn memory(&self) -> usize {
        self.buffer.0.capacity()
    }
}

impl From<Vec<u8>> for WipedBytes {
    /// Takes a buffer over; all of it is looked at.
    fn from(buffer: Vec<u8>) -> Self {
        Wiped::new(buffer).into()
    }
}

impl From<Wiped> for WipedBytes {
    fn from(buffer: Wiped) -> Self {
        WipedBytes { part: 0..buffer.len(), buffer: Buffer::Own(buffer) }
    }
}

impl From<SharedBytes> for WipedBytes {
    fn from(shared: SharedBytes) -> Self {
        WipedBytes { buffer: Buffer::Shared(shared.buffer), part: shared.part }
    }
}

impl Deref for WipedBytes {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        let whole: &[u8] = match &self.buffer {
            Buffer::Own(own) => own,
            Buffer::Shared(shared) => shared,
        };
        &whole[self.part.clone()]
    }
}

impl fmt::Debug for SharedBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SharedBytes([redacted])")
    }
}

impl fmt::Debug for WipedBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WipedBytes([redacted])")
    }
}

/// Wipes a buffer and leaves it empty. What a vector holds, zeroize wipes byte by byte; what it has room for, all at once.
pub(crate) fn wipe(buffer: &mut Vec<u8>) {
    buffer.clear();
    buffer.zeroize();
}

/// As above, of text.
pub(crate) fn wipe_text(text: &mut String) {
    text.clear();
    text.zeroize();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_of_a_part_is_where_it_was_found() {
        let mut bytes = WipedBytes::from(b"head content tail".to_vec());
        bytes.narrow(5..17);
        assert_eq!(&*bytes, b"content tail");
        let found = bytes.range_of(&bytes[..7]).expect("it is a part");
        bytes.narrow(found);
        assert_eq!(&*bytes, b"content");
        assert_eq!(bytes.range_of(b"content of another buffer that is longer"), None);
        bytes.narrow(7..7);
        assert!(bytes.is_empty());
    }

    #[test]
    fn what_is_shared_is_one_buffer_of_which_each_sees_its_part() {
        let mut bytes = WipedBytes::from(b"head content".to_vec());
        bytes.narrow(5..12);
        let at = bytes.as_ptr();
        let shared = bytes.share();
        let mut one = WipedBytes::from(shared.clone());
        let other = WipedBytes::from(shared.clone());
        assert_eq!((one.as_ptr(), other.as_ptr()), (at, at));
        one.narrow(0..3);
        assert_eq!((&*one, &*other, shared.memory()), (&b"con"[..], &b"content"[..], 12));
    }

    #[test]
    #[should_panic(expected = "within")]
    fn nothing_outside_of_a_part_is_looked_at() {
        let mut bytes = WipedBytes::from(vec![1, 2, 3]);
        bytes.narrow(0..2);
        bytes.narrow(0..3);
    }
}
