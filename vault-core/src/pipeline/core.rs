//! What an unsealed vault holds: keys, committer, and the published snapshots of mounts, policies and tokens.

use super::ceremony::Ceremonies;
use super::log::LogQueue;
use super::namespaces::{Namespace, Namespaces};
use super::outside::Outside;
use super::quotas::{QuotaTable, Quotas};
use super::retention::RetentionPolicy;
use super::rotation_usage::Usage;
use super::rotation_work;
use super::sinks::Feed;
use super::tokens::TokenCache;
use crate::audit::AuditMode;
use crate::barrier::{Barrier, Overlay};
use crate::commit::Committer;
use crate::crypto::Key256;
use crate::host::{Clock, KeyWrapper};
use crate::metrics::Metrics;
use crate::policy::Settings;
use crate::seal::Header;
use crate::storage::{Read, Storage};
use crate::types::id::Id;
use crate::types::{Code, Error, Result};
use arc_swap::ArcSwap;
use parking_lot::{Mutex, RwLock};
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize};

/// An unsealed vault. Its keys are wiped when the last request in flight has let go of it.
pub(super) struct Core {
    pub(super) store: Id,
    /// Which opening of the vault this is: what callers remember of another one is stale.
    pub(super) opening: usize,
    pub(super) storage: Arc<dyn Storage>,
    pub(super) barrier: Arc<Barrier>,
    pub(super) committer: Committer,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) keys: Arc<ArcSwap<KeyState>>,
    /// The header that a sealed vault goes on with.
    pub(super) header: Arc<ArcSwap<Header>>,
    /// The key services that the host has given, found by their names.
    pub(super) wrappers: Vec<Arc<dyn KeyWrapper>>,
    pub(super) ceremonies: Arc<Mutex<Ceremonies>>,
    /// The store was restored and not yet adopted: it is read, and nothing else.
    pub(super) frozen: Arc<AtomicBool>,
    /// The audit sinks that the host has given.
    pub(super) feeds: Arc<Vec<Feed>>,
    /// The connectors and the hook that the host has given, and what is under way there: it outlives an opening.
    pub(super) outside: Arc<Outside>,
    /// How long the audit log is kept.
    pub(super) retention: Arc<ArcSwap<RetentionPolicy>>,
    /// Read while the log is looked at, written while files of pruned segments are removed.
    pub(super) segments: RwLock<()>,
    /// The last segment whose file was removed in this opening.
    pub(super) swept: AtomicU64,
    /// The root namespace, whose barrier is that of the store's own records too.
    pub(super) root: Arc<Namespace>,
    pub(super) namespaces: Arc<ArcSwap<Namespaces>>,
    /// The number of the next data key, as it is published.
    pub(super) next_key: Arc<AtomicU32>,
    pub(super) tokens: Arc<TokenCache>,
    pub(super) quotas: Arc<Quotas>,
    /// Reads of rotated credentials that are counted.
    pub(super) usage: Arc<Usage>,
    /// The turns that namespaces have taken at their rotations.
    pub(super) rotation_turn: AtomicUsize,
    /// When rotations were last looked at, in milliseconds since the Unix epoch; 0 before that.
    pub(super) rotation_seen: AtomicU64,
    /// How far all credentials of each namespace were gone through since an opening, or since the clock was set back.
    pub(super) rotation_rounds: Mutex<HashMap<Id, rotation_work::Passed>>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) log: Arc<LogQueue>,
    pub(super) facts: Facts,
}

/// What the host has decided for the vault, so far as it is told again.
#[derive(Clone, Copy)]
pub(super) struct Facts {
    pub(super) policies: Settings,
    pub(super) audit_mode: AuditMode,
    pub(super) anchored: bool,
}

/// The key above all others, and the header whose slots it is wrapped in: the two change together.
pub(super) struct KeyState {
    pub(super) root_key: Arc<Key256>,
    pub(super) header: Header,
}

/// What an opening is made of.
pub(super) struct Foundation {
    pub(super) opening: usize,
    pub(super) storage: Arc<dyn Storage>,
    pub(super) barrier: Arc<Barrier>,
    pub(super) committer: Committer,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) keys: KeyState,
    pub(super) header: Arc<ArcSwap<Header>>,
    pub(super) wrappers: Vec<Arc<dyn KeyWrapper>>,
    pub(super) feeds: Arc<Vec<Feed>>,
    pub(super) outside: Arc<Outside>,
    pub(super) frozen: bool,
    pub(super) facts: Facts,
    pub(super) metrics: Arc<Metrics>,
    pub(super) log: Arc<LogQueue>,
}

impl Core {
    /// Reads what is published from the store.
    pub(super) fn load(foundation: Foundation) -> Result<Self> {
        let Foundation { opening, storage, barrier, committer, clock, keys, header, wrappers, feeds, outside, frozen, facts, metrics, log } =
            foundation;
        let mut overlay = Overlay::reading(&barrier, source(&*storage));
        let retention = RetentionPolicy::load(&mut overlay)?;
        let quotas = QuotaTable::load(&mut overlay)?;
        drop(overlay);
        let (root, namespaces, next_key) = Namespaces::load(&barrier, source(&*storage), facts.policies)?;
        Ok(Core {
            store: *barrier.store(),
            opening,
            storage,
            barrier,
            committer,
            clock,
            keys: Arc::new(ArcSwap::from_pointee(keys)),
            header,
            wrappers,
            ceremonies: Arc::default(),
            frozen: Arc::new(AtomicBool::new(frozen)),
            feeds,
            outside,
            retention: Arc::new(ArcSwap::from_pointee(retention)),
            segments: RwLock::new(()),
            swept: AtomicU64::new(0),
            root,
            namespaces: Arc::new(ArcSwap::from_pointee(namespaces)),
            next_key: Arc::new(AtomicU32::new(next_key)),
            tokens: Arc::default(),
            quotas: Arc::new(Quotas::new(quotas)),
            usage: Arc::default(),
            rotation_turn: AtomicUsize::new(0),
            rotation_seen: AtomicU64::new(0),
            rotation_rounds: Mutex::default(),
            metrics,
            log,
            facts,
        })
    }

    /// The store as it is published.
    pub(super) fn source(&self) -> &dyn Read {
        source(&*self.storage)
    }

    /// An overlay of the root namespace that only reads.
    pub(super) fn reading(&self) -> Overlay<'_> {
        Overlay::reading(&self.barrier, self.source())
    }

    /// An overlay of the root namespace that may write.
    pub(super) fn writing(&self) -> Overlay<'_> {
        Overlay::writing(&self.barrier, self.source())
    }

    /// A new identifier.
    pub(super) fn random_id(&self) -> Result<Id> {
        let bytes = self.barrier.rng().array().map_err(|error| Error::new(Code::NoEntropy, error.to_string()))?;
        Ok(Id::from_random(bytes))
    }
}

fn source(storage: &dyn Storage) -> &dyn Read {
    storage
}
