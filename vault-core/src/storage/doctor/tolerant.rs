//! Reading a store that does not let itself be read in places: what is there is given, what is not is passed over and counted.

use super::super::{KEY_BYTES_MAX, Key, Page, Read, StorageError};
use std::sync::atomic::{AtomicU64, Ordering};

/// Bits by which each leap is longer than the one before.
const LEAP_BITS: usize = 8;
/// The longest leap: the 256th part of all places, so that the last of them are reached by leaping too.
const LEAP_BIT_MAX: usize = 8 * PLACE_BYTES - 8;

/// A view of a damaged store: no read of it fails but for reasons that have nothing to do with damage.
pub(crate) struct Tolerant<'r> {
    inner: &'r dyn Read,
    /// Places at which reading failed.
    gaps: AtomicU64,
}

impl<'r> Tolerant<'r> {
    pub(crate) fn over(inner: &'r dyn Read) -> Self {
        Tolerant { inner, gaps: AtomicU64::new(0) }
    }

    /// How often something could not be read.
    pub(crate) fn gaps(&self) -> u64 {
        self.gaps.load(Ordering::Relaxed)
    }

    /// The first record after a key, if there is one; an error where it cannot be read.
    fn next(&self, prefix: &[u8], after: Option<&Key>) -> Result<Option<(Key, Vec<u8>)>, StorageError> {
        Ok(self.inner.scan(prefix, after, 1)?.into_iter().next())
    }

    /// The first record that can be read behind a place at which reading fails: the gap is leapt over in growing steps, and its end is then
    /// searched for.
    fn beyond(&self, prefix: &[u8], after: Option<&Key>) -> Result<Option<(Key, Vec<u8>)>, StorageError> {
        let mut bad = Place::behind(prefix, after);
        let mut bit = 0;
        let mut found = loop {
            // Past the last place: what is left lies nearer.
            let Some(at) = bad.plus(bit) else { break None };
            match self.next(prefix, Some(&at.key(prefix))) {
                Err(error) if is_damage(&error) => bad = at,
                other => break other?,
            }
            bit = (bit + LEAP_BITS).min(LEAP_BIT_MAX);
        };
        for bit in (0..bit).rev() {
            let Some(at) = bad.plus(bit) else { continue };
            match self.next(prefix, Some(&at.key(prefix))) {
                Err(error) if is_damage(&error) => bad = at,
                other => found = other?,
            }
        }
        Ok(found)
    }
}

impl Read for Tolerant<'_> {
    fn get(&self, key: &Key) -> Result<Option<Vec<u8>>, StorageError> {
        match self.inner.get(key) {
            Err(error) if is_damage(&error) => {
                self.gaps.fetch_add(1, Ordering::Relaxed);
                Ok(None)
            }
            other => other,
        }
    }

    fn scan(&self, prefix: &[u8], after: Option<&Key>, limit: usize) -> Result<Page, StorageError> {
        match self.inner.scan(prefix, after, limit) {
            Err(error) if is_damage(&error) => {}
            other => return other,
        }
        let mut page = Page::new();
        let mut last = after.copied();
        while page.len() < limit {
            let next = match self.next(prefix, last.as_ref()) {
                Err(error) if is_damage(&error) => {
                    self.gaps.fetch_add(1, Ordering::Relaxed);
                    self.beyond(prefix, last.as_ref())?
                }
                other => other?,
            };
            let Some((key, value)) = next else { break };
            last = Some(key);
            page.push((key, value));
        }
        Ok(page)
    }
}

/// What a damaged store answers; anything else is told.
fn is_damage(error: &StorageError) -> bool {
    matches!(error, StorageError::Corrupt(_) | StorageError::Poisoned | StorageError::Io { .. })
}

/// Where a key lies behind a prefix, as a large number.
#[derive(Clone, Copy)]
struct Place([u8; PLACE_BYTES]);

/// No key of a vault's has more behind the prefixes that are scanned.
const PLACE_BYTES: usize = 32;

impl Place {
    fn behind(prefix: &[u8], after: Option<&Key>) -> Self {
        let rest = after.and_then(|after| after.as_bytes().get(prefix.len()..)).unwrap_or_default();
        let mut bytes = [0; PLACE_BYTES];
        let len = rest.len().min(PLACE_BYTES);
        bytes[..len].copy_from_slice(&rest[..len]);
        Place(bytes)
    }

    /// This place and 2 to the power of `bit` more; `None` past the last one.
    fn plus(self, bit: usize) -> Option<Self> {
        let mut bytes = self.0;
        let mut carry = 1_u16.checked_shl(u32::try_from(bit % 8).ok()?)?;
        for byte in bytes.iter_mut().rev().skip(bit / 8) {
            carry += u16::from(*byte);
            [_, *byte] = carry.to_be_bytes();
            carry >>= 8;
        }
        (carry == 0).then_some(Place(bytes))
    }

    fn key(&self, prefix: &[u8]) -> Key {
        Key::new(&[prefix, &self.0[..PLACE_BYTES.min(KEY_BYTES_MAX - prefix.len())]])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    /// Records of which those between two keys cannot be read, nor any page that touches them.
    struct Broken {
        records: BTreeMap<Key, Vec<u8>>,
        from: Key,
        to: Key,
    }

    impl Read for Broken {
        fn get(&self, key: &Key) -> Result<Option<Vec<u8>>, StorageError> {
            if (self.from..self.to).contains(key) { Err(StorageError::Corrupt(String::new())) } else { Ok(self.records.get(key).cloned()) }
        }

        fn scan(&self, prefix: &[u8], after: Option<&Key>, limit: usize) -> Result<Page, StorageError> {
            let found: Page = self
                .records
                .iter()
                .filter(|(key, _)| key.as_bytes().starts_with(prefix) && after.is_none_or(|after| *key > after))
                .take(limit)
                .map(|(key, value)| (*key, value.clone()))
                .collect();
            if found.iter().any(|(key, _)| (self.from..self.to).contains(key)) {
                return Err(StorageError::Corrupt(String::new()));
            }
            Ok(found)
        }
    }

    #[test]
    fn what_lies_before_and_behind_a_gap_is_read_to_the_last_record() {
        let key = |i: u64| Key::new(&[&i.wrapping_mul(0x9E37_79B9_7F4A_7C15).to_be_bytes(), &[0; 8]]);
        let records: BTreeMap<Key, Vec<u8>> = (0..1000).map(|i| (key(i), vec![1])).collect();
        let keys: Vec<Key> = records.keys().copied().collect();
        for (from, to) in [(0, 1), (0, 30), (400, 700), (500, 501), (990, 999)] {
            let broken = Broken { records: records.clone(), from: keys[from], to: keys[to] };
            let tolerant = Tolerant::over(&broken);
            let mut found = Vec::new();
            loop {
                let page = tolerant.scan(&[], found.last(), 64).expect("damage only");
                found.extend(page.iter().map(|(key, _)| *key));
                if page.len() < 64 {
                    break;
                }
            }
            let expected: Vec<Key> = keys.iter().enumerate().filter(|(at, _)| !(from..to).contains(at)).map(|(_, key)| *key).collect();
            assert_eq!(found, expected, "{from} to {to}");
            assert!(tolerant.gaps() > 0);
        }
    }
}
