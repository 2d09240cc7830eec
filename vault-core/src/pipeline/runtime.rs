//! The vault's states: created, opened sealed, unsealed, sealed again, closed; and what each answers.

use super::backup::{BackupSeals, backup};
use super::ceremony::{Shares, Step};
use super::core::{Core, Facts, Foundation, KeyState};
use super::listeners::Listeners;
use super::log::LogQueue;
use super::namespace_table::NamespaceTable;
use super::operator::{self, OperatorPath};
use super::outside::Outside;
use super::reply::{Reply, Unrecorded};
use super::sinks::Feed;
use super::stage::{Caller, Footing};
use super::verify::{Verification, verify};
use super::{audit_log, handle, health, info_paths, keys, namespace_paths, rotation_usage, seals, tick, tokens, version_history};
use crate::audit::{AuditMode, Chain, Event, Tree};
use crate::auth::due;
use crate::backup::BackupInfo;
use crate::barrier::{Barrier, BarrierError, Digest, Overlay, RootRecord, ValueCache, fixed, unwrap_keyring, wrap_keyring};
use crate::commit::{AnchorPlan, Committer, Proposal, Standing, standing};
use crate::crypto::{Key256, Keyring};
use crate::host::{AuditSink, Clock, Connector, KeyWrapper, LeaseHook, Log, LogLevel, LogTopic, Rng, RngError, RotationHook};
use crate::metrics::{self, Metrics, Target};
use crate::os::sync::{ArcSwapOption, AtomicBool, Mutex};
use crate::os::{ForkGuard, Stopwatch};
use crate::policy::Settings;
use crate::seal::{Header, NewSeal, SealError, SlotInfo, UnsealKey};
use crate::storage::{Compaction, Key, Storage};
use crate::types::id::Id;
use crate::types::spans::Spans;
use crate::types::{Code, Error, Object, Request, Response, Result, SecretString, Timestamp, Ttl, Value};
use arc_swap::ArcSwap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// What a vault is given: its store and its world.
pub(crate) struct Parts {
    pub(crate) storage: Arc<dyn Storage>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) rng: Arc<dyn Rng>,
    pub(crate) audit_mode: AuditMode,
    pub(crate) audit_tail_bytes_max: u64,
    /// How many bytes of decrypted values are held, and for how long.
    pub(crate) value_cache: Option<(u64, Ttl)>,
    pub(crate) wrappers: Vec<Arc<dyn KeyWrapper>>,
    pub(crate) sinks: Vec<Arc<dyn AuditSink>>,
    pub(crate) anchor: Option<AnchorPlan>,
    /// A store that is older than its anchor is taken as it is: for once, by whoever knows why.
    pub(crate) accept_rollback: bool,
    pub(crate) policies: Settings,
    pub(crate) connectors: Vec<Arc<dyn Connector>>,
    pub(crate) lease_hook: Option<Arc<dyn LeaseHook>>,
    pub(crate) rotation_hook: Option<Arc<dyn RotationHook>>,
    pub(crate) log: Option<Arc<dyn Log>>,
}

/// An open vault, in whichever state.
pub(crate) struct Runtime {
    parts: Parts,
    feeds: Arc<Vec<Feed>>,
    outside: Arc<Outside>,
    header: Arc<ArcSwap<Header>>,
    core: ArcSwapOption<Core>,
    /// The shares that were given towards unsealing.
    given: Mutex<Shares>,
    /// Held while the state changes.
    changing: Mutex<()>,
    closed: AtomicBool,
    fork: ForkGuard,
    openings: AtomicUsize,
    /// Wrong keys since the last unseal: there is no log to write them to before.
    failed_unseals: AtomicU64,
    metrics: Arc<Metrics>,
    log: Arc<LogQueue>,
    /// Called after each tick.
    pub(crate) listeners: Listeners,
}

/// What is told of the kind of storage.
pub(super) const STORAGE_TYPE: &str = "libvault";

/// The status of the seal; it needs no token.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SealStatus {
    /// Whether the keys are out of memory.
    pub sealed: bool,
    /// Whether the vault was closed.
    pub closed: bool,
    /// The key slots, any one of which opens.
    pub slots: Vec<SlotInfo>,
    /// Key shares that were given so far towards unsealing.
    pub progress: usize,
    /// Key shares that are needed of the slot that they are of, else of the first slot that is opened by shares; 1 where none is.
    pub threshold: usize,
    /// How many shares of that slot there are.
    pub shares: usize,
    /// The version of the library.
    pub version: &'static str,
    /// The version of the format on disk.
    pub format: u16,
}

impl Runtime {
    /// Makes a vault in an empty store, and leaves it unsealed; what is given once.
    pub(crate) fn create(parts: Parts, seals: &[NewSeal]) -> Result<(Self, Born)> {
        let now = parts.clock.now();
        // Looked at before anything is written.
        let feeds = Feed::of(&parts.sinks)?;
        let (outside, log) = outside_of(&parts)?;
        let rng = &*parts.rng;
        let store = Id::from_random(rng.array().map_err(no_entropy)?);
        let root_key = Key256::random(rng).map_err(no_entropy)?;
        let new = Header::create(rng, &store, now, &root_key, seals)?;
        let keyring = Keyring::generate(rng, 1, now.as_millis()).map_err(no_entropy)?;
        let wrapped = wrap_keyring(rng, &root_key, &store, &Id::ROOT, &keyring, &keyring.data_keys())?;
        let barrier = Arc::new(Barrier::new(store, Id::ROOT, keyring, Arc::clone(&parts.rng)));
        let start = Chain::start(&store);
        let root = RootRecord {
            commit: 0,
            digest: Digest::default().to_bytes(),
            audit_sequence: 0,
            audit_head: start.head,
            audit_segments: 0,
            audit_tail_bytes: 0,
            messages: 0,
            epoch: 0,
            messages_key: 0,
            lineage: rng.array().map_err(no_entropy)?,
            frozen: false,
            parent: [0; 16],
            audit_frontier: Tree::empty().to_bytes(),
            audit_root: Tree::empty().root(),
        };
        let committer = committer(&parts, &barrier, store, root);
        let mut overlay = Overlay::writing(&barrier, &*parts.storage);
        overlay.put_bare(Key::new(&[fixed::HEADER]), new.header.to_bytes());
        overlay.put_bare(Key::new(&[fixed::KEYRING]), wrapped);
        lay_out(&mut overlay, &barrier, now)?;
        let root_token = tokens::make_root(&mut overlay, &barrier, now)?;
        let event = Event { operation: "create".into(), path: "sys/init".to_owned(), ..own_event(rng, now)? };
        committer.commit(Proposal { writes: overlay.into_writes(), events: vec![event], ..Proposal::default() })?;
        let runtime = Runtime::new(parts, (feeds, outside, log), new.header.clone());
        let core = runtime.core_of(1, barrier, committer, KeyState { root_key: Arc::new(root_key), header: new.header }, false)?;
        runtime.core.store(Some(Arc::new(core)));
        Ok((runtime, Born { root_token, shares: new.shares }))
    }

    /// Opens a vault, sealed.
    pub(crate) fn open(parts: Parts) -> Result<Self> {
        let header = parts.storage.get(&Key::new(&[fixed::HEADER]))?;
        let why = "the store has no header: a restore was cut off here, so restore again into an empty place; or it was lost";
        let header = header.ok_or_else(|| Error::new(Code::Corrupt, why))?;
        let feeds = Feed::of(&parts.sinks)?;
        let (outside, log) = outside_of(&parts)?;
        Ok(Runtime::new(parts, (feeds, outside, log), Header::parse(&header)?))
    }

    fn new(parts: Parts, (feeds, outside, log): (Vec<Feed>, Outside, Arc<LogQueue>), header: Header) -> Self {
        Runtime {
            parts,
            feeds: Arc::new(feeds),
            outside: Arc::new(outside),
            header: Arc::new(ArcSwap::from_pointee(header)),
            core: ArcSwapOption::empty(),
            given: Mutex::default(),
            changing: Mutex::new(()),
            closed: AtomicBool::new(false),
            fork: ForkGuard::new(),
            openings: AtomicUsize::new(1),
            failed_unseals: AtomicU64::new(0),
            metrics: Arc::default(),
            log,
            listeners: Listeners::default(),
        }
    }

    fn core_of(&self, opening: usize, barrier: Arc<Barrier>, committer: Committer, keys: KeyState, frozen: bool) -> Result<Core> {
        Core::load(Foundation {
            opening,
            storage: Arc::clone(&self.parts.storage),
            barrier,
            committer,
            clock: Arc::clone(&self.parts.clock),
            keys,
            header: Arc::clone(&self.header),
            wrappers: self.parts.wrappers.clone(),
            feeds: Arc::clone(&self.feeds),
            outside: Arc::clone(&self.outside),
            frozen,
            facts: Facts { policies: self.parts.policies, audit_mode: self.parts.audit_mode, anchored: self.parts.anchor.is_some() },
            metrics: Arc::clone(&self.metrics),
            log: Arc::clone(&self.log),
        })
    }

    /// Unseals the vault.
    pub(crate) fn unseal(&self, key: &UnsealKey) -> Result<()> {
        let watch = Stopwatch::start();
        let unsealed = self.unseal_with(key);
        self.metrics.unseal(unsealed.is_ok().then(|| watch.elapsed()));
        match &unsealed {
            Ok(()) if self.is_frozen() => {
                self.say(LogLevel::Warning, "the vault is unsealed and frozen, since it was restored: look at it, then adopt it")
            }
            Ok(()) => self.say(LogLevel::Info, "the vault is unsealed"),
            Err(error) if error.code() == Code::WrongKey => self.say(LogLevel::Warning, "a key was given that opens no slot"),
            Err(error) => self.log.note_failure(LogTopic::Seal, error),
        }
        self.log.give();
        unsealed
    }

    fn unseal_with(&self, key: &UnsealKey) -> Result<()> {
        self.check_usable()?;
        self.check_sealed()?;
        // Before any lock: a key service may take its time, and call back.
        let opened = self.header.load().unseal(key);
        if matches!(opened, Err(SealError::WrongKey)) && !matches!(key, UnsealKey::Wrapper(_)) {
            self.failed_unseals.fetch_add(1, Ordering::Relaxed);
        }
        let (root_key, slot) = opened?;
        let anchored = self.parts.anchor.as_ref().map(|plan| plan.anchor.load()).transpose();
        let anchored = anchored.map_err(|error| Error::new(Code::AnchorFailed, format!("the anchor cannot be read: {error}")))?.flatten();
        let _changing = self.changing.lock();
        self.check_usable()?;
        self.check_sealed()?;
        let (core, rollback) = self.load(root_key, anchored.as_deref())?;
        self.given.lock().reset();
        let now = self.parts.clock.now();
        let path = format!("sys/unseal/{slot}");
        let mut event = Event { operation: "unseal".into(), path, ..own_event(&*self.parts.rng, now)? };
        let failures = self.failed_unseals.swap(0, Ordering::Relaxed);
        let mut events = Vec::new();
        if failures > 0 {
            events.push(Event { outcome: Code::WrongKey.number(), count: failures, path: "sys/unseal".to_owned(), ..event.clone() });
            event.request_id = core.random_id()?.to_string();
        }
        let adopts = rollback.then(|| core.random_id().map(|id| *id.as_bytes())).transpose()?;
        if rollback {
            self.say(LogLevel::Warning, "the store is older than its anchor and was taken as it is");
            events.push(Event { operation: "accept-rollback".into(), ..event.clone() });
            event.request_id = core.random_id()?.to_string();
        }
        events.push(event);
        let mut overlay = core.writing();
        let retired = seals::retire_superseded(&core, &mut overlay, slot)?;
        let (writes, publish) = retired.map_or_else(Default::default, |done| (overlay.into_writes(), done.publish));
        core.committer.commit(Proposal { writes, events, publish, adopts, ..Proposal::default() })?;
        self.core.store(Some(Arc::new(core)));
        Ok(())
    }

    /// Takes one key share towards unsealing; whether the vault is unsealed by it.
    pub(crate) fn unseal_share(&self, share: &str) -> Result<bool> {
        self.check_usable()?;
        self.check_sealed()?;
        let step = self.given.lock().give_share(&self.header.load(), share)?;
        self.unseal_by(step)
    }

    /// Forgets the shares that were given.
    pub(crate) fn reset_unseal(&self) {
        self.given.lock().reset();
    }

    /// Unseals with a key service that the host has given; the first that has a slot.
    pub(crate) fn unseal_by_service(&self) -> Result<()> {
        let mut outcome = Err(Error::new(Code::WrongKey, "no key slot belongs to a key wrapper that the host has given"));
        for wrapper in &self.parts.wrappers {
            match self.unseal(&UnsealKey::wrapper(Arc::clone(wrapper))) {
                Ok(()) => return Ok(()),
                // That one of them has no slot says nothing of the one whose service is away.
                Err(error) if error.code() == Code::WrongKey => {}
                Err(error) => outcome = Err(error),
            }
        }
        outcome
    }

    /// `WRITE sys/unseal`.
    fn unseal_request(&self, data: Option<&Value>) -> Result<()> {
        if data.and_then(|data| data.get("reset")).and_then(Value::as_bool) == Some(true) {
            self.reset_unseal();
            return Ok(());
        }
        if self.core.load().is_some() {
            return Ok(());
        }
        let step = self.given.lock().give(&self.header.load(), &self.parts.wrappers, data)?;
        self.unseal_by(step).map(drop)
    }

    fn unseal_by(&self, step: Step) -> Result<bool> {
        match step {
            Step::More(_) => Ok(false),
            Step::Complete(key) => self.unseal(&key).map(|()| true),
        }
    }

    fn check_sealed(&self) -> Result<()> {
        let unsealed = self.core.load().is_some();
        if unsealed { Err(Error::new(Code::AlreadyUnsealed, "the vault is unsealed already")) } else { Ok(()) }
    }

    /// Reads what an unsealed vault holds, and checks that the store is the one that its root record describes; and whether it was rolled
    /// back and is taken all the same.
    fn load(&self, root_key: Key256, anchored: Option<&[u8]>) -> Result<(Core, bool)> {
        let storage = &self.parts.storage;
        let header = self.header.load_full();
        let store = header.store();
        let wrapped = storage.get(&Key::new(&[fixed::KEYRING]))?.ok_or(BarrierError::Corrupt)?;
        let keyring = unwrap_keyring(&root_key, &store, &Id::ROOT, &wrapped)?;
        let barrier = Arc::new(Barrier::new(store, Id::ROOT, keyring, Arc::clone(&self.parts.rng)));
        let root = RootRecord::load(&barrier, &**storage)?;
        let lost = |expected: u64| {
            let why = format!("the store has lost commits: {expected} were acknowledged, {} are there", root.commit);
            Error::new(Code::LostCommits, why)
        };
        if root.commit != storage.commit_number() {
            return Err(lost(storage.commit_number()));
        }
        for (number, mac) in storage.heads()? {
            let is_ours = barrier.keyring().head().verify(&[store.as_bytes(), &number.to_le_bytes()], &mac);
            if is_ours && number > root.commit {
                return Err(lost(number));
            }
        }
        // A frozen store is a copy of an older one: it gets an anchor when it is adopted.
        let standing = if root.frozen { Standing::Sound } else { standing(&barrier, &store, &root, anchored)? };
        if let (Standing::RolledBack { anchored }, false) = (standing, self.parts.accept_rollback) {
            let why =
                format!("the store is older than its anchor: commit {anchored} was anchored, {} is there, or it is a fork", root.commit);
            return Err(Error::new(Code::Rollback, why));
        }
        let frozen = root.frozen;
        let data_keys = barrier.keyring().data_keys();
        let counted = if data_keys.primary().id() == root.messages_key { root.messages } else { 0 };
        data_keys.primary().count(counted + keys::MESSAGES_UNCOUNTED);
        drop(data_keys);
        let committer = committer(&self.parts, &barrier, store, root);
        let opening = self.openings.fetch_add(1, Ordering::Relaxed) + 1;
        let keys = KeyState { root_key: Arc::new(root_key), header: Header::clone(&header) };
        Ok((self.core_of(opening, barrier, committer, keys, frozen)?, standing != Standing::Sound))
    }

    /// Carries out a request.
    pub(crate) fn handle(&self, caller: Option<&Caller>, request: Request) -> Reply {
        if let Err(error) = self.check_usable() {
            return Reply::Unrecorded(Unrecorded::Unready(error));
        }
        // An empty token is none.
        let caller = caller.filter(|caller| !caller.is_nobody());
        let operator = OperatorPath::parse(&request, caller.is_some());
        match operator {
            Some(OperatorPath::SealStatus) => return Reply::Unrecorded(Unrecorded::SealStatus(Box::new(self.seal_status_response()))),
            Some(OperatorPath::Init) => return Reply::Unrecorded(Unrecorded::SealStatus(Box::new(initialized()))),
            Some(OperatorPath::Health) => {
                let response = health::health(&self.seal_status(), &self.header.load().store(), self.parts.clock.now());
                return Reply::Unrecorded(Unrecorded::SealStatus(Box::new(response)));
            }
            Some(OperatorPath::Leader) => return Reply::Unrecorded(Unrecorded::SealStatus(Box::new(health::leader()))),
            Some(OperatorPath::Unseal) => {
                return Reply::Unrecorded(match self.unseal_request(request.data.as_ref()) {
                    Ok(()) => Unrecorded::SealStatus(Box::new(self.seal_status_response())),
                    Err(error) => Unrecorded::Unready(error),
                });
            }
            _ => {}
        }
        // Not counted as an owner: threads that read at once would meet at that count.
        let held = self.core.load();
        let Some(core) = held.as_ref() else {
            let error = self.sealed();
            self.metrics.request(Target::None, request.operation, Some(error.class()));
            return Reply::Unrecorded(Unrecorded::Unready(error));
        };
        let now = self.parts.clock.now();
        let (reply, seals) = match operator {
            Some(path) => {
                let reply = operator::handle(core, path, &request, now, self.parts.audit_mode);
                self.metrics.request(Target::System, request.operation, reply.class());
                (reply, false)
            }
            None => handle(core, caller, &request, now, self.parts.audit_mode),
        };
        // Every request has its record in the root namespace.
        keys::roll_early(core, &core.root, now);
        if let Some(error) = reply.error() {
            self.log.note_failure(LogTopic::Request, error);
        }
        if let (Reply::Unrecorded(_), Err(error)) = (&reply, self.check_usable()) {
            // The vault was closed while the request was under way: that, and not what it met inside, is what to tell.
            return Reply::Unrecorded(Unrecorded::Unready(error));
        }
        if seals {
            drop(held);
            if let Err(error) = self.seal_recorded() {
                return Reply::Unrecorded(Unrecorded::AuditFailed(error));
            }
        }
        reply
    }

    /// Whether what a read's answer stands on still does: whether the same read would answer the same.
    pub(crate) fn holds(&self, footing: &Footing) -> bool {
        let usable = !self.fork.is_forked() && !self.closed.load(Ordering::Acquire);
        usable && self.core.load().as_ref().is_some_and(|core| footing.holds(core))
    }

    pub(crate) fn tick(&self) -> Result<Option<Timestamp>> {
        let ticked = self.with_core(tick::tick);
        self.metrics.tick(ticked.is_ok());
        if let Err(error) = &ticked {
            self.log.note_failure(LogTopic::Tick, error);
        }
        self.listeners.tell();
        self.log.give();
        ticked
    }

    /// The figures of the vault, as Prometheus reads them.
    pub(crate) fn metrics(&self) -> String {
        let core = self.core.load_full();
        metrics::to_text(&info_paths::families(&self.metrics, core.as_deref()))
    }

    pub(crate) fn verify(&self) -> Result<Verification> {
        self.with_core(verify)
    }

    /// Compacts the store, and records that the host has done so.
    pub(crate) fn compact(&self) -> Result<Compaction> {
        self.check_usable()?;
        let core = self.unsealed()?;
        let now = self.parts.clock.now();
        let event = Event { operation: "compact".into(), path: "sys/storage/compact".to_owned(), ..own_event(core.barrier.rng(), now)? };
        core.committer.admit(&event, now, false)?;
        core.storage.compact().map_err(|error| self.check_usable().err().unwrap_or_else(|| error.into()))
    }

    /// Writes a backup. Whether the caller may was asked before.
    pub(crate) fn backup(&self, sink: &mut dyn std::io::Write, seals: &BackupSeals) -> Result<(BackupInfo, Vec<SecretString>)> {
        self.with_core(|core| backup(core, sink, seals))
    }

    /// Writes the audit log as JSON lines. Whether the caller may was asked before.
    pub(crate) fn export_audit(&self, sink: &mut dyn std::io::Write, after: u64) -> Result<u64> {
        self.with_core(|core| audit_log::export(core, sink, after))
    }

    /// What the vault knows of the accounts at its targets.
    #[cfg(feature = "testing")]
    pub(crate) fn known(&self) -> Result<super::Known> {
        self.with_core(super::known::known)
    }

    /// Whether the vault was restored and not yet adopted.
    pub(crate) fn is_frozen(&self) -> bool {
        self.core.load().as_ref().is_some_and(|core| core.frozen.load(Ordering::Acquire))
    }

    /// Writes what waits and lets go of the keys. The vault is sealed even where that fails.
    pub(crate) fn seal(&self) -> Result<()> {
        self.check_usable()?;
        let sealed = {
            let _changing = self.changing.lock();
            self.end_core(Some("seal"))
        };
        self.log.give();
        sealed
    }

    /// As above, for a request that has its record already.
    fn seal_recorded(&self) -> Result<()> {
        let _changing = self.changing.lock();
        self.end_core(None)
    }

    pub(crate) fn close(&self) -> Result<()> {
        if self.fork.is_forked() {
            return Err(forked());
        }
        let closed = {
            let _changing = self.changing.lock();
            if self.closed.swap(true, Ordering::AcqRel) {
                return Ok(());
            }
            let ended = self.end_core(Some("close"));
            let closed = self.parts.storage.close().map_err(Error::from);
            if let Err(error) = &closed {
                self.log.note_failure(LogTopic::Seal, error);
            }
            ended.and(closed)
        };
        self.log.give();
        closed
    }

    pub(crate) fn seal_status(&self) -> SealStatus {
        let slots = self.header.load().slots();
        let given = self.given.lock().progress();
        let shared = |slot: &&SlotInfo| given.map_or(slot.threshold.is_some(), |(id, _)| slot.id == id);
        let of = slots.iter().find(shared);
        SealStatus {
            sealed: self.core.load().is_none(),
            closed: self.closed.load(Ordering::Acquire),
            progress: given.map_or(0, |(_, have)| have),
            threshold: of.and_then(|slot| slot.threshold).map_or(1, usize::from),
            shares: of.and_then(|slot| slot.shares).map_or(1, usize::from),
            slots,
            version: env!("CARGO_PKG_VERSION"),
            format: crate::seal::FORMAT,
        }
    }

    /// Makes a root token for whoever can open the vault.
    pub(crate) fn generate_root(&self, key: &UnsealKey) -> Result<SecretString> {
        self.check_usable()?;
        let core = self.unsealed()?;
        let (root_key, _) = core.keys.load().header.unseal(key)?;
        drop(root_key);
        let now = self.parts.clock.now();
        let mut overlay = core.writing();
        let token = tokens::make_root(&mut overlay, &core.barrier, now)?;
        let event = Event { operation: "write".into(), path: "sys/generate-root".to_owned(), ..own_event(core.barrier.rng(), now)? };
        core.committer.commit(Proposal { writes: overlay.into_writes(), events: vec![event], ..Proposal::default() })?;
        Ok(token)
    }

    /// Lets go of the keys, and records what the host did to bring that about.
    fn end_core(&self, operation: Option<&'static str>) -> Result<()> {
        let Some(core) = self.core.swap(None) else { return Ok(()) };
        let now = self.parts.clock.now();
        let admitted = operation.map_or(Ok(()), |operation| {
            let event = Event { operation: operation.into(), path: format!("sys/{operation}"), ..own_event(core.barrier.rng(), now)? };
            core.committer.admit(&event, now, false)?;
            Ok(())
        });
        let written = rotation_usage::write_all(&core, now);
        let ended = core.committer.end().map_err(Error::from);
        // At once, whoever holds on to this opening for the rest of a request.
        core.committer.values().into_iter().for_each(ValueCache::end);
        match &ended {
            Ok(()) => self.say(LogLevel::Info, "the keys are out of memory: the vault is sealed"),
            Err(error) => self.log.note_failure(LogTopic::Seal, error),
        }
        ended.and(admitted).and(written.map(drop))
    }

    /// Says something about the seal.
    fn say(&self, level: LogLevel, message: &str) {
        self.log.note(level, LogTopic::Seal, None, || message.to_owned());
    }

    fn unsealed(&self) -> Result<Arc<Core>> {
        self.core.load_full().ok_or_else(|| self.sealed())
    }

    /// Does something with an unsealed vault. What fails after that was sealed fails for this reason, whatever it met: when the vault was
    /// unsealed again and its keys rolled, the store holds what the keys of this opening do not know, and is sound.
    fn with_core<R>(&self, what: impl FnOnce(&Core) -> Result<R>) -> Result<R> {
        self.check_usable()?;
        let core = self.unsealed()?;
        what(&core).map_err(|error| if core.committer.has_ended() { self.sealed() } else { error })
    }

    /// Why there are no keys: the vault is sealed, or was closed since that was checked.
    fn sealed(&self) -> Error {
        self.check_usable().err().unwrap_or_else(|| Error::new(Code::Sealed, "the vault is sealed: unseal it"))
    }

    fn check_usable(&self) -> Result<()> {
        if self.fork.is_forked() {
            return Err(forked());
        }
        if self.closed.load(Ordering::Acquire) {
            return Err(Error::new(Code::Closed, "the vault is closed: open it again"));
        }
        Ok(())
    }

    fn seal_status_response(&self) -> Response {
        let status = self.seal_status();
        let body = Object::new()
            .with("type", status.slots.first().map(|slot| slot.kind).unwrap_or_default())
            .with("initialized", true)
            .with("sealed", status.sealed)
            .with("t", status.threshold as u64)
            .with("n", status.shares as u64)
            .with("progress", status.progress as u64)
            .with("version", status.version)
            .with("storage_type", STORAGE_TYPE);
        Response { data: Some(body.into()), ..Response::default() }
    }
}

impl Drop for Runtime {
    fn drop(&mut self) {
        // Nobody is left to tell of a failure; `close` does.
        let _outcome = self.close();
    }
}

/// What a creation gives once.
pub(crate) struct Born {
    pub(crate) root_token: SecretString,
    pub(crate) shares: Vec<SecretString>,
}

/// What stands in every new vault but its root token.
fn lay_out(overlay: &mut Overlay<'_>, barrier: &Arc<Barrier>, now: Timestamp) -> Result<()> {
    namespace_paths::lay_out(overlay)?;
    NamespaceTable::new().save(barrier, overlay)?;
    version_history::note(overlay, now)?;
    Ok(tick::save_hours(overlay, &Spans::beginning_at(due::hour_at(now)))?)
}

/// The connectors and hooks of the host, and its log.
fn outside_of(parts: &Parts) -> Result<(Outside, Arc<LogQueue>)> {
    let log = Arc::new(LogQueue::new(parts.log.clone()));
    let outside = Outside::new(&parts.connectors, parts.lease_hook.clone(), parts.rotation_hook.clone(), Arc::clone(&log))?;
    Ok((outside, log))
}

fn committer(parts: &Parts, barrier: &Arc<Barrier>, store: Id, root: RootRecord) -> Committer {
    let (storage, clock) = (Arc::clone(&parts.storage), Arc::clone(&parts.clock));
    let values = parts.value_cache.map(|(bytes, ttl)| Arc::new(ValueCache::new(bytes, ttl)));
    Committer::new(storage, Arc::clone(barrier), clock, store, root, parts.audit_tail_bytes_max, parts.anchor.clone()).holding(values)
}

/// `READ sys/init`: a vault that is open has been made.
fn initialized() -> Response {
    Response { data: Some(Object::new().with("initialized", true).into()), ..Response::default() }
}

/// The event of something that the host did without a token.
pub(super) fn own_event(rng: &dyn Rng, now: Timestamp) -> Result<Event> {
    let request_id = Id::from_random(rng.array().map_err(no_entropy)?).to_string();
    Ok(Event { time_millis: now.as_millis(), request_id, count: 1, ..Event::default() })
}

pub(super) fn no_entropy(error: RngError) -> Error {
    Error::new(Code::NoEntropy, error.to_string())
}

fn forked() -> Error {
    Error::new(Code::Forked, "the vault was opened in another process: open it after the fork")
}
