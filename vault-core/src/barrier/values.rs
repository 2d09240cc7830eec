//! The cache of decrypted values: off unless a host asks for it, bounded in bytes and time, and wiped when the vault seals. Each of its
//! shards holds its part of the bytes, and no value that is larger.
//!
//! A value is forgotten before a change of it is written, and is not taken in again until that change is durable and published; a reader who
//! began before takes nothing in. So a reader is told what the store would tell, and after the answer of a write never what was before it.

use super::record::Kind;
use crate::storage::Key;
use crate::types::{SharedBytes, Timestamp, Ttl};
use lru::LruCache;
use parking_lot::Mutex;
use std::fmt;

/// Each with a lock of its own.
const SHARDS: usize = 16;
/// What a value costs beside its bytes, about.
const ENTRY_BYTES: usize = 192;
/// Later than any value is held.
const NEVER: Timestamp = Timestamp::from_millis(u64::MAX);

/// Decrypted values by where their records lie.
pub(crate) struct ValueCache {
    shards: [Mutex<Shard>; SHARDS],
    shard_bytes_max: usize,
    ttl: Ttl,
}

struct Shard {
    values: LruCache<Key, Held>,
    /// What they take, about.
    bytes: usize,
    /// Commits that are changing records of this shard now.
    changing: usize,
    /// Changes that are over.
    changes: u64,
    hits: u64,
    misses: u64,
    /// When the first of them may be over.
    next_end: Timestamp,
    /// When it was looked at last for those that are over.
    swept: Timestamp,
    /// The vault was sealed: nothing is taken in any more.
    is_ended: bool,
}

struct Held {
    value: SharedBytes,
    since: Timestamp,
    until: Timestamp,
}

/// That a reader has begun to read a record, which nobody was changing.
#[derive(Debug)]
pub(crate) struct Pass {
    changes: u64,
}

/// Records that are being changed, until this is dropped.
pub(crate) struct Changing<'c> {
    cache: &'c ValueCache,
    /// One bit for each shard that they are in.
    shards: u32,
}

/// What the cache has done and holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct ValueCacheFigures {
    pub(crate) hits: u64,
    pub(crate) misses: u64,
    pub(crate) values: u64,
    pub(crate) bytes: u64,
}

impl ValueCache {
    /// An empty cache of at most so many bytes, which holds a value for at most so long.
    pub(crate) fn new(bytes_max: u64, ttl: Ttl) -> Self {
        ValueCache {
            shards: std::array::from_fn(|_| Mutex::new(Shard::new())),
            shard_bytes_max: usize::try_from(bytes_max).unwrap_or(usize::MAX) / SHARDS,
            ttl,
        }
    }

    /// Whether records of this kind are held: the content of secrets, and nothing that decides who may do what.
    pub(super) fn holds(kind: Kind) -> bool {
        matches!(kind, Kind::KvHead | Kind::KvVersion | Kind::KvPlain)
    }

    /// The value, or leave to read it from the store; no leave while somebody is changing it.
    pub(super) fn get(&self, key: &Key, now: Timestamp) -> Result<SharedBytes, Option<Pass>> {
        let mut shard = self.shard(key).lock();
        match shard.values.get(key) {
            Some(held) if held.is_good(now) => {
                let value = held.value.clone();
                shard.hits += 1;
                return Ok(value);
            }
            Some(_) => shard.forget(key),
            None => {}
        }
        shard.misses += 1;
        Err((shard.changing == 0).then_some(Pass { changes: shard.changes }))
    }

    /// Takes in what was read, unless it may have been changed since the reader began.
    pub(super) fn put(&self, pass: &Pass, key: &Key, value: SharedBytes, now: Timestamp) {
        let until = now.plus(self.ttl);
        let held = Held { value, since: now, until };
        let bytes = held.bytes();
        if bytes > self.shard_bytes_max {
            return;
        }
        let mut shard = self.shard(key).lock();
        if shard.is_ended || shard.changing > 0 || shard.changes != pass.changes {
            return;
        }
        shard.forget(key);
        shard.values.push(*key, held);
        shard.bytes += bytes;
        shard.next_end = shard.next_end.min(until);
        while shard.bytes > self.shard_bytes_max
            && let Some((_, oldest)) = shard.values.pop_lru()
        {
            shard.bytes -= oldest.bytes();
        }
    }

    /// Forgets records that are going to be changed, until the change is durable and published, or has failed.
    pub(crate) fn changing<'k>(&self, keys: impl Iterator<Item = &'k Key>) -> Changing<'_> {
        let mut shards = 0;
        for key in keys {
            let at = Self::index(key);
            let mut shard = self.shards[at].lock();
            if shards & (1 << at) == 0 {
                shards |= 1 << at;
                shard.changing += 1;
            }
            shard.forget(key);
        }
        Changing { cache: self, shards }
    }

    /// Forgets what has been held for long enough; when there is more of that.
    pub(crate) fn sweep(&self, now: Timestamp) -> Option<Timestamp> {
        let mut next = NEVER;
        for shard in &self.shards {
            let mut shard = shard.lock();
            // A clock that was set back tells nothing of when they end.
            if shard.next_end <= now || now < shard.swept {
                let over: Vec<Key> = shard.values.iter().filter(|(_, held)| !held.is_good(now)).map(|(key, _)| *key).collect();
                over.iter().for_each(|key| shard.forget(key));
                shard.next_end = shard.values.iter().map(|(_, held)| held.until).min().unwrap_or(NEVER);
            }
            shard.swept = now;
            next = next.min(shard.next_end);
        }
        (next < NEVER).then_some(next)
    }

    /// Forgets everything, for good.
    pub(crate) fn end(&self) {
        for shard in &self.shards {
            let mut shard = shard.lock();
            shard.values.clear();
            shard.bytes = 0;
            shard.is_ended = true;
        }
    }

    pub(crate) fn figures(&self) -> ValueCacheFigures {
        let mut all = ValueCacheFigures::default();
        for shard in &self.shards {
            let shard = shard.lock();
            all.hits += shard.hits;
            all.misses += shard.misses;
            all.values += shard.values.len() as u64;
            all.bytes += shard.bytes as u64;
        }
        all
    }

    fn shard(&self, key: &Key) -> &Mutex<Shard> {
        &self.shards[Self::index(key)]
    }

    /// Keys are MACs, each byte as good as random.
    fn index(key: &Key) -> usize {
        key.as_bytes().last().map_or(0, |byte| usize::from(*byte) % SHARDS)
    }
}

impl Shard {
    fn new() -> Self {
        Shard {
            values: LruCache::unbounded(),
            bytes: 0,
            changing: 0,
            changes: 0,
            hits: 0,
            misses: 0,
            next_end: NEVER,
            swept: Timestamp::EPOCH,
            is_ended: false,
        }
    }

    fn forget(&mut self, key: &Key) {
        if let Some(held) = self.values.pop(key) {
            self.bytes -= held.bytes();
        }
    }
}

impl Held {
    /// A clock that stepped back tells nothing of how long it has been held.
    fn is_good(&self, now: Timestamp) -> bool {
        (self.since..self.until).contains(&now)
    }

    fn bytes(&self) -> usize {
        ENTRY_BYTES + self.value.memory()
    }
}

impl Drop for Changing<'_> {
    fn drop(&mut self) {
        for (at, shard) in self.cache.shards.iter().enumerate() {
            if self.shards & (1 << at) != 0 {
                let mut shard = shard.lock();
                shard.changing -= 1;
                shard.changes += 1;
            }
        }
    }
}

impl fmt::Debug for ValueCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ValueCache([redacted])")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::WipedBytes;

    const NOW: Timestamp = Timestamp::from_secs(1_000);

    fn cache(bytes: u64) -> ValueCache {
        ValueCache::new(bytes, Ttl::from_secs(60))
    }

    /// Keys of one shard.
    fn key(number: u8) -> Key {
        Key::new(&[&[number, 7]])
    }

    fn read(cache: &ValueCache, key: &Key, now: Timestamp) -> Option<Vec<u8>> {
        cache.get(key, now).ok().map(|value| WipedBytes::from(value).to_vec())
    }

    fn fill(cache: &ValueCache, key: &Key, value: &[u8]) {
        let pass = cache.get(key, NOW).expect_err("it is not there").expect("nobody changes it");
        cache.put(&pass, key, WipedBytes::from(value.to_vec()).share(), NOW);
    }

    #[test]
    fn a_value_is_held_for_its_time_and_no_longer() {
        let cache = cache(1 << 20);
        fill(&cache, &key(1), b"one");
        assert_eq!(read(&cache, &key(1), Timestamp::from_secs(1_059)).as_deref(), Some(&b"one"[..]));
        assert_eq!(cache.sweep(Timestamp::from_secs(1_059)), Some(Timestamp::from_secs(1_060)));
        assert_eq!(cache.figures(), ValueCacheFigures { hits: 1, misses: 1, values: 1, bytes: 195 });
        assert_eq!(cache.sweep(Timestamp::from_secs(1_060)), None);
        assert_eq!(cache.figures().bytes, 0);
        fill(&cache, &key(1), b"one");
        assert_eq!(read(&cache, &key(1), Timestamp::from_secs(1_060)), None, "not swept, and over all the same");
        fill(&cache, &key(1), b"one");
        assert_eq!(read(&cache, &key(1), Timestamp::from_secs(999)), None, "the clock has stepped back");
    }

    #[test]
    fn who_began_before_a_change_was_over_takes_nothing_in() {
        let cache = cache(1 << 20);
        fill(&cache, &key(1), b"old");
        let early = cache.get(&key(2), NOW).expect_err("not there").expect("nobody changes it");
        let changing = cache.changing([key(1), key(2), key(2)].iter());
        assert_eq!(read(&cache, &key(1), NOW), None, "forgotten before the change is written");
        assert!(cache.get(&key(1), NOW).expect_err("gone").is_none(), "no leave while it is changed");
        cache.put(&early, &key(2), WipedBytes::from(b"old".to_vec()).share(), NOW);
        assert_eq!(read(&cache, &key(2), NOW), None);
        drop(changing);
        cache.put(&early, &key(2), WipedBytes::from(b"old".to_vec()).share(), NOW);
        assert_eq!(read(&cache, &key(2), NOW), None, "read before the change, and brought behind it");
        fill(&cache, &key(1), b"new");
        assert_eq!(read(&cache, &key(1), NOW).as_deref(), Some(&b"new"[..]));
    }

    #[test]
    fn the_least_used_go_first_and_what_is_too_large_is_not_held() {
        let cache = cache(16 * 1_000);
        for number in 0..4 {
            fill(&cache, &key(number), &[number; 50]);
        }
        assert!(read(&cache, &key(0), NOW).is_some());
        fill(&cache, &key(4), &[4; 50]);
        let held: Vec<bool> = (0..5).map(|number| read(&cache, &key(number), NOW).is_some()).collect();
        assert_eq!(held, [true, false, true, true, true]);
        assert!(cache.figures().bytes <= 1_000);
        fill(&cache, &key(9), &[9; 1_000]);
        assert!(read(&cache, &key(9), NOW).is_none());
    }

    #[test]
    fn a_clock_that_is_set_back_leaves_nothing_for_longer() {
        let cache = cache(1 << 20);
        let pass = |now| cache.get(&key(1), now).expect_err("not there").expect("nobody changes it");
        let ahead = Timestamp::from_secs(1_000_000);
        cache.put(&pass(ahead), &key(1), WipedBytes::from(b"one".to_vec()).share(), ahead);
        assert!(cache.sweep(ahead).is_some());
        assert_eq!(cache.sweep(NOW), None);
        assert_eq!(cache.figures().values, 0);
    }

    #[test]
    fn nothing_is_left_when_it_ends_and_a_reader_under_way_or_to_come_adds_nothing() {
        let cache = cache(1 << 20);
        fill(&cache, &key(1), b"one");
        let pass = cache.get(&key(2), NOW).expect_err("not there").expect("nobody changes it");
        cache.end();
        cache.put(&pass, &key(2), WipedBytes::from(b"two".to_vec()).share(), NOW);
        fill(&cache, &key(3), b"three");
        assert_eq!((cache.figures().values, cache.figures().bytes), (0, 0));
    }
}
