//! How a vault is created or opened: the place, and the world that it is given.

use crate::audit::AuditMode;
use crate::commit::AnchorPlan;
use crate::host::{Anchor, AuditSink, Clock, Connector, KeyWrapper, LeaseHook, Log, Rng, RotationHook};
use crate::os::{SystemClock, SystemRng};
use crate::policy::Settings;
use crate::storage::{Backend, Storage};
use crate::types::Ttl;
use crate::types::limits::{AUDIT_TAIL_BYTES_MAX, AUDIT_TAIL_BYTES_USUAL};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Default size of the store's page cache, in bytes.
const CACHE_BYTES_DEFAULT: u64 = 64 * 1024 * 1024;

/// Where a vault's records lie.
#[derive(Clone)]
pub(crate) enum Place {
    Memory,
    Directory(PathBuf),
    Storage(Arc<dyn Storage>),
}

/// The place of a vault and the world that it is given.
#[derive(Clone)]
pub struct Config {
    pub(crate) place: Place,
    pub(crate) backend: Backend,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) rng: Arc<dyn Rng>,
    pub(crate) audit_mode: AuditMode,
    pub(crate) cache_bytes: u64,
    /// The size of the store's WAL, where it is not the usual one.
    pub(crate) wal_bytes: Option<usize>,
    pub(crate) audit_tail_bytes: u64,
    pub(crate) value_cache: Option<(u64, Ttl)>,
    pub(crate) wrappers: Vec<Arc<dyn KeyWrapper>>,
    pub(crate) sinks: Vec<Arc<dyn AuditSink>>,
    pub(crate) anchor: Option<AnchorPlan>,
    pub(crate) accept_rollback: bool,
    pub(crate) policies: Settings,
    pub(crate) connectors: Vec<Arc<dyn Connector>>,
    pub(crate) lease_hook: Option<Arc<dyn LeaseHook>>,
    pub(crate) rotation_hook: Option<Arc<dyn RotationHook>>,
    pub(crate) log: Option<Arc<dyn Log>>,
}

impl Config {
    /// A vault in a directory, which is made when the vault is created.
    #[must_use]
    pub fn at(path: impl AsRef<Path>) -> Self {
        Config { place: Place::Directory(path.as_ref().to_owned()), ..Config::in_memory() }
    }

    /// A vault on a store of the host's own, which must keep the contract of [`crate::storage`]; an empty one for a vault that is created. It is closed with the vault.
    #[must_use]
    pub fn on(storage: Arc<dyn Storage>) -> Self {
        Config { place: Place::Storage(storage), ..Config::in_memory() }
    }

    /// A vault in memory: gone when it is closed.
    #[must_use]
    pub fn in_memory() -> Self {
        Config {
            place: Place::Memory,
            backend: Backend::preferred(),
            clock: Arc::new(SystemClock),
            rng: Arc::new(SystemRng::new()),
            audit_mode: AuditMode::default(),
            cache_bytes: CACHE_BYTES_DEFAULT,
            wal_bytes: None,
            audit_tail_bytes: AUDIT_TAIL_BYTES_USUAL,
            value_cache: None,
            wrappers: Vec::new(),
            sinks: Vec::new(),
            anchor: None,
            accept_rollback: false,
            policies: Settings::default(),
            connectors: Vec::new(),
            lease_hook: None,
            rotation_hook: None,
            log: None,
        }
    }

    /// Makes a new store with this backend; an old one is always opened by the backend that it was made with.
    #[must_use]
    pub fn with_backend(mut self, backend: Backend) -> Self {
        self.backend = backend;
        self
    }

    /// Gives the vault a key service: slots that it wrapped are opened by it. Several may be given.
    #[must_use]
    pub fn with_key_wrapper(mut self, wrapper: Arc<dyn KeyWrapper>) -> Self {
        self.wrappers.push(wrapper);
        self
    }

    /// Gives the vault a connector to a kind of target system, which `plugin_name` of a database connection names. Several may be given, each
    /// with a name of its own.
    #[must_use]
    pub fn with_connector(mut self, connector: Arc<dyn Connector>) -> Self {
        self.connectors.push(connector);
        self
    }

    /// Tells a hook of leases that are granted, renewed or revoked, or cannot be revoked.
    #[must_use]
    pub fn with_lease_hook(mut self, hook: Arc<dyn LeaseHook>) -> Self {
        self.lease_hook = Some(hook);
        self
    }

    /// Tells a hook of credentials that were rotated, and of rotations that need somebody.
    #[must_use]
    pub fn with_rotation_hook(mut self, hook: Arc<dyn RotationHook>) -> Self {
        self.rotation_hook = Some(hook);
        self
    }

    /// Gives the vault a log for what it has to say that is neither a reply nor in the audit log: a sink that takes nothing, an anchor that
    /// fails, a lease that cannot be revoked. [`Log`] says when it is called. Nothing is logged unless one is given.
    #[must_use]
    pub fn with_log(mut self, log: Arc<dyn Log>) -> Self {
        self.log = Some(log);
        self
    }

    /// Feeds a sink with the audit log: by `tick`, in order, at least once. Several may be given, each with a name of its own.
    #[must_use]
    pub fn with_audit_sink(mut self, sink: Arc<dyn AuditSink>) -> Self {
        self.sinks.push(sink);
        self
    }

    /// Keeps an anchor outside the store, by which a store that was rolled back is told and refused (`Rollback`). It is advanced with each
    /// commit before its reply leaves, or, where `interval` is more than zero, when that time has passed, at `tick` and at close; what was
    /// written since can then be rolled back unnoticed.
    #[must_use]
    pub fn with_anchor(mut self, anchor: Arc<dyn Anchor>, interval: Ttl) -> Self {
        self.anchor = Some(AnchorPlan { anchor, interval });
        self
    }

    /// Breaks the glass: a store that is older than its anchor is taken as it is, recorded in its log, and anchored anew. For one opening,
    /// by whoever knows why the store is older.
    #[must_use]
    pub fn with_rollback_accepted(mut self) -> Self {
        self.accept_rollback = true;
        self
    }

    /// Says how policies are evaluated: a [`Dialect`](crate::policy::Dialect), or [`Settings`] where a deny is to be absolute. Unless told, as
    /// HashiCorp Vault evaluates them. It is no part of the store: whoever opens the vault says it each time.
    #[must_use]
    pub fn with_policies(mut self, settings: impl Into<Settings>) -> Self {
        self.policies = settings.into();
        self
    }

    /// Reads time from this clock instead of the system's.
    #[must_use]
    pub fn with_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Draws randomness from this source instead of the system's. It must be cryptographically secure but in tests.
    #[must_use]
    pub fn with_rng(mut self, rng: Arc<dyn Rng>) -> Self {
        self.rng = rng;
        self
    }

    /// Chooses when replies to reads may leave.
    #[must_use]
    pub fn with_audit_mode(mut self, mode: AuditMode) -> Self {
        self.audit_mode = mode;
        self
    }

    /// Bounds the store's page cache, in bytes (64 MiB unless told). The pages hold ciphertext.
    #[must_use]
    pub fn with_cache_bytes(mut self, bytes: u64) -> Self {
        self.cache_bytes = bytes;
        self
    }

    /// Gives the store on disk a WAL of so many bytes, so that the engine is given commits often; each opening has to say the same.
    #[cfg(feature = "testing")]
    #[doc(hidden)]
    #[must_use]
    pub fn with_wal_bytes(mut self, bytes: usize) -> Self {
        self.wal_bytes = Some(bytes);
        self
    }

    /// Holds decrypted secrets in memory, at most `bytes` of them, each for at most `ttl`: a read of one that is held asks policy and is recorded
    /// as ever, and neither reads the store nor decrypts. A write forgets what it changes before it is answered; sealing wipes all. None are
    /// held unless told, and none where either is zero: what is held is in memory in the clear for as long, and not only while it is read. One that
    /// is larger than a sixteenth of `bytes` is not held.
    #[must_use]
    pub fn with_value_cache(mut self, bytes: u64, ttl: Ttl) -> Self {
        self.value_cache = (bytes > 0 && ttl > Ttl::ZERO).then_some((bytes, ttl));
        self
    }

    /// Bounds the part of the audit log that lies in the store, in bytes (1 MiB unless told, 4 MiB at most): what is older is
    /// sealed into segment files beside it.
    #[must_use]
    pub fn with_audit_tail_bytes(mut self, bytes: u64) -> Self {
        self.audit_tail_bytes = bytes.min(AUDIT_TAIL_BYTES_MAX);
        self
    }
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = match &self.place {
            Place::Memory => "memory",
            Place::Directory(_) => "a directory",
            Place::Storage(_) => "a storage of the host's",
        };
        f.debug_struct("Config")
            .field("place", &place)
            .field("audit_mode", &self.audit_mode)
            .field("cache_bytes", &self.cache_bytes)
            .finish_non_exhaustive()
    }
}
