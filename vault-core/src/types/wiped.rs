//! Bytes that are wiped when they are let go, all at once, and of which a part can be kept without a copy.

use std::fmt;
use std::ops::{Deref, DerefMut, Range};
use zeroize::Zeroize;

/// Secret bytes: the part that is looked at of a buffer that is wiped as a whole.
pub(crate) struct WipedBytes {
    buffer: Vec<u8>,
    part: Range<usize>,
}

impl WipedBytes {
    /// Takes a buffer over; all of it is looked at.
    pub(crate) fn new(buffer: Vec<u8>) -> Self {
        WipedBytes { part: 0..buffer.len(), buffer }
    }

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
}

impl Deref for WipedBytes {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        &self.buffer[self.part.clone()]
    }
}

impl DerefMut for WipedBytes {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.buffer[self.part.clone()]
    }
}

impl Drop for WipedBytes {
    fn drop(&mut self) {
        wipe(&mut self.buffer);
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
        let mut bytes = WipedBytes::new(b"head content tail".to_vec());
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
    #[should_panic(expected = "within")]
    fn nothing_outside_of_a_part_is_looked_at() {
        let mut bytes = WipedBytes::new(vec![1, 2, 3]);
        bytes.narrow(0..2);
        bytes.narrow(0..3);
    }
}
