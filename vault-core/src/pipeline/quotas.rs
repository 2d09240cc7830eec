//! Quotas by rate: which one a request counts against, and whether there is room.
//!
//! Looked at before a token is: a flood of bad tokens is limited too. The buckets are bounded in number, and the clock may step back.

use super::namespaces::Place;
use crate::barrier::{BarrierError, Kind, Overlay};
use crate::types::limits::QUOTA_CLIENTS_MAX;
use crate::types::{Code, Error, Object, Result, Timestamp};
use arc_swap::ArcSwap;
use core::net::{IpAddr, Ipv6Addr, SocketAddr};
use minicbor::{Decode, Encode};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Locks over the buckets: requests of different clients seldom meet.
const SHARDS: usize = 16;
/// How often the buckets of one lock are gone through at most, for those that are full again.
const PURGE_MILLIS_MIN: u64 = 1_000;
/// Buckets of one lock, those of further clients not counted: there is one for each quota.
const SHARD_CLIENTS_MAX: usize = QUOTA_CLIENTS_MAX / SHARDS;

/// A quota.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub(super) struct Quota {
    #[n(0)]
    pub(super) name: String,
    /// As it is seen from the root namespace: empty, a namespace's, a mount's (both end in a slash), or one below a mount, with `*` for any ending.
    #[n(1)]
    pub(super) path: String,
    /// Requests in an interval.
    #[n(2)]
    pub(super) rate: f64,
    #[n(3)]
    pub(super) interval_millis: u64,
    /// How long a client that came too often is refused altogether; 0 for no longer than it takes.
    #[n(4)]
    pub(super) block_millis: u64,
    /// Tells a quota from an older one of its name: its buckets start full.
    #[n(5)]
    pub(super) generation: u64,
}

/// All quotas, as they are stored and published.
#[derive(Clone, Debug, Default, PartialEq, Encode, Decode)]
pub(super) struct QuotaTable {
    #[n(0)]
    pub(super) quotas: Vec<Quota>,
    /// Paths that no quota counts; those that are asked without a token never are.
    #[n(1)]
    pub(super) exempt: Vec<String>,
    #[n(2)]
    pub(super) generations: u64,
}

/// The quotas in force, and what their clients have left.
pub(super) struct Quotas {
    pub(super) table: ArcSwap<QuotaTable>,
    /// Whether there is any: without, nothing else is looked at.
    any: AtomicBool,
    shards: [Mutex<Shard>; SHARDS],
    hasher: RandomState,
}

/// The buckets of one lock.
#[derive(Default)]
struct Shard {
    buckets: HashMap<(u64, Client), Bucket>,
    /// When those that are full again were last looked for.
    purged_millis: Option<u64>,
}

/// Who has a bucket of a quota.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Client {
    /// An address, one of version 6 being the network of 64 bits that its holder is given whole.
    Address(IpAddr),
    /// What the host says otherwise.
    Named(String),
    /// All of whom the host says nothing.
    Unknown,
    /// All for whom there was no room.
    Further,
}

/// What a client has left of a quota.
#[derive(Clone, Copy, Debug)]
struct Bucket {
    tokens: f64,
    at_millis: u64,
    blocked_until_millis: u64,
}

impl QuotaTable {
    pub(super) fn load(overlay: &mut Overlay<'_>) -> Result<Self> {
        let key = overlay.barrier().key(Kind::Quotas, &[]);
        let bytes = overlay.get(Kind::Quotas, &key)?;
        Ok(bytes.map(|bytes| minicbor::decode(&bytes).map_err(|_| BarrierError::Corrupt)).transpose()?.unwrap_or_default())
    }

    pub(super) fn save(&self, overlay: &mut Overlay<'_>) -> Result<()> {
        let key = overlay.barrier().key(Kind::Quotas, &[]);
        Ok(overlay.put(Kind::Quotas, key, &minicbor::to_vec(self).expect("encoding to memory cannot fail"))?)
    }

    /// The quota that a request counts against: the most specific one.
    fn of(&self, place: &Place<'_>) -> Option<&Quota> {
        let (namespace, path) = (place.namespace.path.as_str(), place.path());
        self.quotas
            .iter()
            .filter_map(|quota| Some((quota.specificity(namespace, path)?, quota)))
            .max_by_key(|(rank, _)| *rank)
            .map(|(_, quota)| quota)
    }

    fn exempts(&self, place: &Place<'_>) -> bool {
        let path = place.path();
        let matches = |exempt: &String| exempt.strip_suffix('*').map_or(exempt == path, |beginning| path.starts_with(beginning));
        place.namespace.is_root() && self.exempt.iter().any(matches)
    }
}

impl Quota {
    /// How closely the quota's path describes a request's: by kind of path, then by length; `None` where it does not match.
    fn specificity(&self, namespace: &str, path: &str) -> Option<(u8, usize)> {
        if self.path.is_empty() {
            return Some((0, 0));
        }
        if self.path == namespace {
            return Some((1, 0));
        }
        let own = self.path.strip_prefix(namespace)?;
        let len = own.len();
        match own.strip_suffix('*') {
            Some(beginning) => path.starts_with(beginning).then_some((3, len)),
            None if own.ends_with('/') => path.starts_with(own).then_some((2, len)),
            None => (own == path).then_some((4, len)),
        }
    }

    /// What a bucket holds at most.
    fn capacity(&self) -> f64 {
        self.rate.max(1.0)
    }

    /// Requests that a millisecond gives back.
    fn refill(&self) -> f64 {
        self.rate / self.interval_millis.max(1) as f64
    }
}

impl Quotas {
    pub(super) fn new(table: QuotaTable) -> Self {
        let any = AtomicBool::new(!table.quotas.is_empty());
        Quotas { table: ArcSwap::from_pointee(table), any, shards: Default::default(), hasher: RandomState::new() }
    }

    /// Puts a changed table into effect. What clients of quotas that stay have left stays too.
    pub(super) fn publish(&self, table: QuotaTable) {
        for shard in &self.shards {
            shard.lock().buckets.retain(|(generation, _), _| table.quotas.iter().any(|quota| quota.generation == *generation));
        }
        self.any.store(!table.quotas.is_empty(), Ordering::Release);
        self.table.store(Arc::new(table));
    }

    /// Takes a request from the quota that it counts against; refuses it where nothing is left.
    pub(super) fn take(&self, place: &Place<'_>, client: Option<&str>, now: Timestamp) -> Result<()> {
        if !self.any.load(Ordering::Relaxed) {
            return Ok(());
        }
        let table = self.table.load();
        let Some(quota) = table.of(place).filter(|_| !table.exempts(place)) else { return Ok(()) };
        self.spend(&table, quota, Client::of(client), now)
    }

    fn spend(&self, table: &QuotaTable, quota: &Quota, client: Client, now: Timestamp) -> Result<()> {
        let shard = &self.shards[self.hasher.hash_one((quota.generation, &client)) as usize % SHARDS];
        let mut shard = shard.lock();
        let mut key = (quota.generation, client);
        if !shard.has_room_for(&key) {
            shard.purge(table, now);
            if !shard.has_room_for(&key) {
                // All further clients share a bucket: memory is bounded, and nobody is let through for it.
                key.1 = Client::Further;
            }
        }
        let fresh = Bucket { tokens: quota.capacity(), at_millis: now.as_millis(), blocked_until_millis: 0 };
        let wait_millis = shard.buckets.entry(key).or_insert(fresh).take(quota, now);
        drop(shard);
        wait_millis.map_or(Ok(()), |millis| Err(limited(millis)))
    }
}

impl Shard {
    fn has_room_for(&self, key: &(u64, Client)) -> bool {
        self.buckets.len() < SHARD_CLIENTS_MAX || self.buckets.contains_key(key)
    }

    /// Lets go of buckets that are full again, once in a while: a flood of addresses does not make each of its requests go through all of them.
    fn purge(&mut self, table: &QuotaTable, now: Timestamp) {
        let since = self.purged_millis.map(|purged| now.as_millis().abs_diff(purged));
        if since.is_some_and(|millis| millis < PURGE_MILLIS_MIN) {
            return;
        }
        self.purged_millis = Some(now.as_millis());
        let find = |generation: u64| table.quotas.iter().find(|quota| quota.generation == generation);
        self.buckets.retain(|(generation, _), bucket| find(*generation).is_some_and(|quota| !bucket.is_full(quota, now)));
    }
}

impl Client {
    /// The client at an address as the host writes it, with a port or without.
    fn of(remote: Option<&str>) -> Self {
        let Some(remote) = remote.filter(|remote| !remote.is_empty()) else { return Client::Unknown };
        let address = remote.parse::<IpAddr>().ok().or_else(|| remote.parse::<SocketAddr>().ok().map(|remote| remote.ip()));
        match address.map(|address| address.to_canonical()) {
            Some(IpAddr::V6(address)) => Client::Address(Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into()),
            Some(address) => Client::Address(address),
            None => Client::Named(remote.to_owned()),
        }
    }
}

impl Bucket {
    /// Takes one request; how long to wait where there is none left.
    fn take(&mut self, quota: &Quota, now: Timestamp) -> Option<u64> {
        let now = now.as_millis();
        self.advance(quota, now);
        // What lies further ahead than a block is long was meant for a clock that has stepped back since.
        let blocked = self.blocked_until_millis.saturating_sub(now);
        if blocked > 0 && blocked <= quota.block_millis {
            return Some(blocked);
        }
        self.blocked_until_millis = 0;
        if self.tokens >= 1.0 {
            self.tokens -= 1.0;
            return None;
        }
        let missing = ((1.0 - self.tokens) / quota.refill()).ceil() as u64;
        if quota.block_millis > 0 {
            self.blocked_until_millis = now.saturating_add(quota.block_millis);
        }
        Some(missing.max(quota.block_millis).max(1))
    }

    /// Gives back what the time since has earned; where the clock has stepped back, it is counted anew from there.
    fn advance(&mut self, quota: &Quota, now: u64) {
        let earned = now.saturating_sub(self.at_millis) as f64 * quota.refill();
        self.tokens = (self.tokens + earned).min(quota.capacity());
        self.at_millis = now;
    }

    /// Whether the bucket is as a fresh one is.
    fn is_full(&self, quota: &Quota, now: Timestamp) -> bool {
        let mut then = *self;
        then.advance(quota, now.as_millis());
        then.tokens >= quota.capacity() && self.blocked_until_millis <= now.as_millis()
    }
}

fn limited(millis: u64) -> Error {
    let seconds = millis as f64 / 1000.0;
    let data = Object::new().with("retry_after", millis.div_ceil(1000));
    Error::new(Code::RateLimited, format!("request path is rate limited by a quota: try again in {seconds} s")).with_data(data.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quota(rate: f64, interval_millis: u64, block_millis: u64) -> Quota {
        Quota { name: "q".to_owned(), path: String::new(), rate, interval_millis, block_millis, generation: 1 }
    }

    fn fresh(quota: &Quota, millis: u64) -> Bucket {
        Bucket { tokens: quota.capacity(), at_millis: millis, blocked_until_millis: 0 }
    }

    #[test]
    fn the_most_specific_quota_counts() {
        let of =
            |path: &str, namespace: &str, asked: &str| Quota { path: path.to_owned(), ..quota(1.0, 1, 0) }.specificity(namespace, asked);
        let order = ["", "a/", "a/secret/", "a/secret/data/*", "a/secret/data/x*", "a/secret/data/x"];
        let ranks: Vec<_> = order.iter().map(|path| of(path, "a/", "secret/data/x")).collect();
        assert!(ranks.iter().all(Option::is_some) && ranks.is_sorted_by(|a, b| a < b), "{ranks:?}");
        for (path, namespace, asked) in [
            ("a/", "", "secret/x"),
            ("a/", "a/b/", "secret/x"),
            ("b/secret/", "a/", "secret/x"),
            ("a/secret/data/x", "a/", "secret/data/xy"),
            ("a/secret/", "a/", "secretly"),
        ] {
            assert_eq!(of(path, namespace, asked), None, "{path} {namespace} {asked}");
        }
    }

    fn flooded(rate: f64, interval_millis: u64) -> (QuotaTable, Quotas) {
        let table = QuotaTable { quotas: vec![quota(rate, interval_millis, 0)], ..QuotaTable::default() };
        let quotas = Quotas::new(table.clone());
        (table, quotas)
    }

    #[test]
    fn a_flood_of_clients_is_limited_in_bounded_memory() {
        let (table, quotas) = flooded(1.0, 3_600_000);
        let flood = QUOTA_CLIENTS_MAX + QUOTA_CLIENTS_MAX / 4;
        let spend = |client, millis| quotas.spend(&table, &table.quotas[0], client, Timestamp::from_millis(millis));
        let numbered = |number: usize| Client::Named(number.to_string());
        let limited = (0..flood).filter(|number| spend(numbered(*number), 1_000).is_err()).count();
        // Those for whom there is no room share one bucket for each lock, and are refused rather than let through.
        assert!(limited > QUOTA_CLIENTS_MAX / 8, "{limited} were refused");
        let held = || quotas.shards.iter().map(|shard| shard.lock().buckets.len()).sum::<usize>();
        assert!(held() <= QUOTA_CLIENTS_MAX + SHARDS, "{} are held", held());
        // Once their time is over they make room.
        (0..1_000).for_each(|number| spend(numbered(flood + number), 4_000_000).expect("room again"));
        assert!(held() <= QUOTA_CLIENTS_MAX + SHARDS);
    }

    #[test]
    fn clients_without_an_address_share_nothing_with_a_flood_of_addresses() {
        let (table, quotas) = flooded(2.0, 3_600_000);
        let spend = |client| quotas.spend(&table, &table.quotas[0], client, Timestamp::from_millis(1_000));
        spend(Client::Unknown).expect("the first of two");
        (0..QUOTA_CLIENTS_MAX * 2).for_each(|number| _ = spend(Client::Named(number.to_string())));
        assert!(spend(Client::Named("one more".to_owned())).is_err());
        spend(Client::Unknown).expect("the flood has not taken the second");
        assert!(spend(Client::Unknown).is_err());
    }

    #[test]
    fn a_flood_of_clients_does_not_go_through_all_buckets_at_each_request() {
        let (table, quotas) = flooded(1.0, 3_600_000);
        let spend = |number: usize, millis| {
            quotas.spend(&table, &table.quotas[0], Client::Named(number.to_string()), Timestamp::from_millis(millis))
        };
        (0..QUOTA_CLIENTS_MAX * 2).for_each(|number| _ = spend(number, 1_000));
        let purged = || quotas.shards.iter().map(|shard| shard.lock().purged_millis).collect::<Vec<_>>();
        assert_eq!(purged(), [Some(1_000); SHARDS]);
        (0..1_000).for_each(|number| _ = spend(QUOTA_CLIENTS_MAX * 2 + number, 1_999));
        assert_eq!(purged(), [Some(1_000); SHARDS], "not again within a second");
        (0..1_000).for_each(|number| _ = spend(QUOTA_CLIENTS_MAX * 3 + number, 2_000));
        assert_eq!(purged(), [Some(2_000); SHARDS]);
        (0..1_000).for_each(|number| _ = spend(QUOTA_CLIENTS_MAX * 4 + number, 10));
        assert_eq!(purged(), [Some(10); SHARDS], "a clock that steps back does not end it");
    }

    #[test]
    fn a_client_of_version_6_is_its_network_of_64_bits_whatever_port_it_comes_from() {
        let client = |remote: &str| Client::of(Some(remote));
        assert_eq!(client("2001:db8:1:2::1"), client("[2001:db8:1:2:ffff::9]:4711"));
        assert_ne!(client("2001:db8:1:2::1"), client("2001:db8:1:3::1"));
        assert_eq!(client("10.0.0.1:80"), client("10.0.0.1:81"));
        assert_eq!(client("10.0.0.1"), client("::ffff:10.0.0.1"));
        assert_ne!(client("10.0.0.1"), client("10.0.0.2"));
        assert_eq!((Client::of(None), client("")), (Client::Unknown, Client::Unknown));
        assert_ne!(client("unix:/run/app"), client("unix:/run/other"));
    }

    #[test]
    fn a_clock_that_steps_back_never_locks_out() {
        let quota = quota(2.0, 1_000, 60_000);
        let at = Timestamp::from_millis;
        let mut bucket = fresh(&quota, 10_000_000);
        assert!(bucket.take(&quota, at(10_000_000)).is_none() && bucket.take(&quota, at(10_000_000)).is_none());
        assert_eq!(bucket.take(&quota, at(10_000_000)), Some(60_000));
        // Far back: the block was meant for another time, and what is earned counts from here.
        assert_eq!(bucket.take(&quota, at(5_000)), Some(60_000), "nothing is left yet, and that is a new block");
        assert_eq!(bucket.take(&quota, at(65_001)), None);
        // Back within the block: at most as long as a block.
        let mut bucket = fresh(&quota, 10_000_000);
        let _outcomes: Vec<_> = (0..3).map(|_| bucket.take(&quota, at(10_000_000))).collect();
        assert_eq!(bucket.take(&quota, at(10_060_000)), None);
    }

    #[test]
    fn rates_below_one_an_interval_let_one_through_and_then_wait() {
        let quota = quota(0.5, 1_000, 0);
        let mut bucket = fresh(&quota, 0);
        assert_eq!(bucket.take(&quota, Timestamp::from_millis(0)), None);
        assert_eq!(bucket.take(&quota, Timestamp::from_millis(0)), Some(2_000));
        assert_eq!(bucket.take(&quota, Timestamp::from_millis(2_000)), None);
    }
}
