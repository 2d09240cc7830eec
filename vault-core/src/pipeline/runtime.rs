//! The vault's states: created, opened sealed, unsealed, sealed again, closed; and what each answers.

use super::core::Core;
use super::mounts::MountTable;
use super::policies::{self, DEFAULT, DEFAULT_TEXT, ROOT};
use super::reply::{Reply, Unrecorded};
use super::stage::Caller;
use super::system::SystemPath;
use super::verify::{Verification, verify};
use super::{handle, tick};
use crate::audit::{Chain, Event, Tree};
use crate::auth::{TokenEntry, token};
use crate::barrier::{Barrier, BarrierError, Digest, Overlay, RootRecord, fixed, unwrap_keyring, wrap_keyring};
use crate::commit::{Committer, Proposal};
use crate::crypto::{Key256, Keyring};
use crate::host::{Clock, Rng, RngError};
use crate::os::ForkGuard;
use crate::seal::{Header, NewSeal, UnsealKey};
use crate::storage::{Key, Storage};
use crate::types::id::Id;
use crate::types::{Code, Error, Object, Operation, Request, Response, Result, SecretString, Timestamp};
use arc_swap::ArcSwapOption;
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

/// Messages by which the count of an opening is raised, for those that a crash kept from being counted.
const MESSAGES_UNCOUNTED: u64 = 1 << 16;

/// What a vault is given: its store and its world.
pub(crate) struct Parts {
    pub(crate) storage: Arc<dyn Storage>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) rng: Arc<dyn Rng>,
    pub(crate) strict: bool,
    pub(crate) audit_tail_bytes_max: u64,
}

/// An open vault, in whichever state.
pub(crate) struct Runtime {
    parts: Parts,
    header: Header,
    core: ArcSwapOption<Core>,
    /// Held while the state changes.
    changing: Mutex<()>,
    closed: AtomicBool,
    fork: ForkGuard,
    openings: AtomicUsize,
    /// Wrong keys since the last unseal: there is no log to write them to before.
    failed_unseals: AtomicU64,
}

/// The status of the seal; it needs no token.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SealStatus {
    /// Whether the keys are out of memory.
    pub sealed: bool,
    /// Whether the vault was closed.
    pub closed: bool,
    /// The kinds of the key slots, any one of which opens: `passphrase`, `raw-key`.
    pub seal_types: Vec<&'static str>,
    /// The version of the library.
    pub version: &'static str,
    /// The version of the format on disk.
    pub format: u16,
}

impl Runtime {
    /// Makes a vault in an empty store, and leaves it unsealed; the root token.
    pub(crate) fn create(parts: Parts, seals: &[NewSeal]) -> Result<(Self, SecretString)> {
        let now = parts.clock.now();
        let rng = &*parts.rng;
        let store = Id::from_random(rng.array().map_err(no_entropy)?);
        let root_key = Key256::random(rng).map_err(no_entropy)?;
        let header = Header::create(rng, &store, now, &root_key, seals)?;
        let keyring = Keyring::generate(rng).map_err(no_entropy)?;
        let wrapped = wrap_keyring(rng, &root_key, &store, &Id::ROOT, &keyring)?;
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
            audit_frontier: Tree::empty().to_bytes(),
            audit_root: Tree::empty().root(),
        };
        let committer = committer(&parts, &barrier, store, root);
        let token = token::generate(rng).map_err(no_entropy)?;
        let mut overlay = Overlay::writing(&barrier, &*parts.storage);
        overlay.put_bare(Key::new(&[fixed::HEADER]), header.to_bytes());
        overlay.put_bare(Key::new(&[fixed::KEYRING]), wrapped);
        lay_out(&mut overlay, &token, now)?;
        let event = Event { operation: "create".to_owned(), path: "sys/init".to_owned(), ..own_event(rng, now)? };
        committer.commit(Proposal { writes: overlay.into_writes(), events: vec![event], publish: None })?;
        let core = Core::load(store, 1, Arc::clone(&parts.storage), barrier, committer, Arc::clone(&parts.clock))?;
        let runtime = Runtime::new(parts, header);
        runtime.core.store(Some(Arc::new(core)));
        Ok((runtime, token))
    }

    /// Opens a vault, sealed.
    pub(crate) fn open(parts: Parts) -> Result<Self> {
        let header = parts.storage.get(&Key::new(&[fixed::HEADER]))?;
        let header = header.ok_or_else(|| Error::new(Code::Corrupt, "the store has lost its header"))?;
        Ok(Runtime::new(parts, Header::parse(&header)?))
    }

    fn new(parts: Parts, header: Header) -> Self {
        Runtime {
            parts,
            header,
            core: ArcSwapOption::empty(),
            changing: Mutex::new(()),
            closed: AtomicBool::new(false),
            fork: ForkGuard::new(),
            openings: AtomicUsize::new(1),
            failed_unseals: AtomicU64::new(0),
        }
    }

    /// Unseals the vault.
    pub(crate) fn unseal(&self, key: &UnsealKey) -> Result<()> {
        self.check_usable()?;
        let _changing = self.changing.lock();
        if self.core.load().is_some() {
            return Err(Error::new(Code::AlreadyUnsealed, "the vault is unsealed already"));
        }
        let opened = self.header.unseal(key);
        if matches!(opened, Err(crate::seal::SealError::WrongKey)) {
            self.failed_unseals.fetch_add(1, Ordering::Relaxed);
        }
        let core = self.load(&opened?)?;
        let now = self.parts.clock.now();
        let mut event = Event { operation: "unseal".to_owned(), path: "sys/unseal".to_owned(), ..own_event(&*self.parts.rng, now)? };
        let failures = self.failed_unseals.swap(0, Ordering::Relaxed);
        let mut events = Vec::new();
        if failures > 0 {
            events.push(Event { outcome: Code::WrongKey.number(), count: failures, ..event.clone() });
            event.request_id = core.random_id()?.to_string();
        }
        events.push(event);
        core.committer.commit(Proposal { writes: Default::default(), events, publish: None })?;
        self.core.store(Some(Arc::new(core)));
        Ok(())
    }

    /// Reads what an unsealed vault holds, and checks that the store is the one that its root record describes.
    fn load(&self, root_key: &Key256) -> Result<Core> {
        let storage = &self.parts.storage;
        let store = self.header.store();
        let wrapped = storage.get(&Key::new(&[fixed::KEYRING]))?.ok_or(BarrierError::Corrupt)?;
        let keyring = unwrap_keyring(root_key, &store, &Id::ROOT, &wrapped)?;
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
        barrier.resume_messages(root.messages + MESSAGES_UNCOUNTED);
        let committer = committer(&self.parts, &barrier, store, root);
        let opening = self.openings.fetch_add(1, Ordering::Relaxed) + 1;
        Core::load(store, opening, Arc::clone(storage), barrier, committer, Arc::clone(&self.parts.clock))
    }

    /// Carries out a request.
    pub(crate) fn handle(&self, caller: Option<&Caller>, request: Request) -> Reply {
        if let Err(error) = self.check_usable() {
            return Reply::Unrecorded(Unrecorded::Unready(error));
        }
        if request.operation == Operation::Read && SystemPath::parse(request.path.as_str()) == Some(SystemPath::SealStatus) {
            return Reply::Unrecorded(Unrecorded::SealStatus(Box::new(self.seal_status_response())));
        }
        let core = match self.unsealed() {
            Ok(core) => core,
            Err(error) => return Reply::Unrecorded(Unrecorded::Unready(error)),
        };
        let now = self.parts.clock.now();
        let (reply, seals) = handle(&core, caller, &request, now, self.parts.strict);
        if let (Reply::Unrecorded(_), Err(error)) = (&reply, self.check_usable()) {
            // The vault was closed while the request was under way: that, and not what it met inside, is what to tell.
            return Reply::Unrecorded(Unrecorded::Unready(error));
        }
        if seals {
            drop(core);
            if let Err(error) = self.seal_recorded() {
                return Reply::Unrecorded(Unrecorded::AuditFailed(error));
            }
        }
        reply
    }

    pub(crate) fn tick(&self) -> Result<Option<Timestamp>> {
        self.check_usable()?;
        tick::tick(&*self.unsealed()?)
    }

    pub(crate) fn verify(&self) -> Result<Verification> {
        self.check_usable()?;
        verify(&*self.unsealed()?)
    }

    /// Writes what waits and lets go of the keys. The vault is sealed even where that fails.
    pub(crate) fn seal(&self) -> Result<()> {
        self.check_usable()?;
        let _changing = self.changing.lock();
        self.end_core(Some("seal"))
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
        let _changing = self.changing.lock();
        if self.closed.swap(true, Ordering::AcqRel) {
            return Ok(());
        }
        let ended = self.end_core(Some("close"));
        let closed = self.parts.storage.close();
        ended.and(closed.map_err(Error::from))
    }

    pub(crate) fn seal_status(&self) -> SealStatus {
        SealStatus {
            sealed: self.core.load().is_none(),
            closed: self.closed.load(Ordering::Acquire),
            seal_types: self.header.slot_kinds(),
            version: env!("CARGO_PKG_VERSION"),
            format: crate::seal::FORMAT,
        }
    }

    /// Lets go of the keys, and records what the host did to bring that about.
    fn end_core(&self, operation: Option<&str>) -> Result<()> {
        let Some(core) = self.core.swap(None) else { return Ok(()) };
        let now = self.parts.clock.now();
        let admitted = operation.map_or(Ok(()), |operation| {
            let event = Event { operation: operation.to_owned(), path: format!("sys/{operation}"), ..own_event(core.barrier.rng(), now)? };
            core.committer.admit(&event, now, false)?;
            Ok(())
        });
        core.committer.end()?;
        admitted
    }

    fn unsealed(&self) -> Result<Arc<Core>> {
        // Without keys the vault is sealed, or was closed since the check.
        let why = || self.check_usable().err().unwrap_or_else(|| Error::new(Code::Sealed, "the vault is sealed: unseal it"));
        self.core.load_full().ok_or_else(why)
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
            .with("type", status.seal_types.first().copied().unwrap_or_default())
            .with("initialized", true)
            .with("sealed", status.sealed)
            .with("t", 1_u64)
            .with("n", 1_u64)
            .with("progress", 0_u64)
            .with("version", status.version)
            .with("storage_type", "libvault");
        Response { data: Some(body.into()), ..Response::default() }
    }
}

impl Drop for Runtime {
    fn drop(&mut self) {
        // Nobody is left to tell of a failure; `close` does.
        let _outcome = self.close();
    }
}

/// What stands in every new vault: the mount `secret/`, the policy `default`, the root token.
fn lay_out(overlay: &mut Overlay<'_>, root_token: &SecretString, now: Timestamp) -> Result<()> {
    let barrier = overlay.barrier();
    let mut mounts = MountTable::default();
    let uuid = Id::from_random(barrier.rng().array().map_err(no_entropy)?);
    mounts.add("secret/", "kv-v2", "versioned secrets", uuid)?;
    mounts.save(overlay)?;
    policies::put(overlay, DEFAULT, DEFAULT_TEXT)?;
    tick::save_bucket(overlay, token::bucket_at(now))?;
    let entry = TokenEntry {
        accessor: token::generate_accessor(barrier.rng()).map_err(no_entropy)?,
        policies: vec![ROOT.to_owned()],
        display_name: "root".to_owned(),
        metadata: Default::default(),
        path: "auth/token/root".to_owned(),
        created_millis: now.as_millis(),
        ttl_seconds: 0,
        expires_millis: 0,
        parent: None,
    };
    Ok(token::store(overlay, &token::key_of(barrier, root_token.expose()), &entry)?)
}

fn committer(parts: &Parts, barrier: &Arc<Barrier>, store: Id, root: RootRecord) -> Committer {
    let (storage, clock) = (Arc::clone(&parts.storage), Arc::clone(&parts.clock));
    Committer::new(storage, Arc::clone(barrier), clock, store, root, parts.audit_tail_bytes_max)
}

/// The event of something that the host did without a token.
fn own_event(rng: &dyn Rng, now: Timestamp) -> Result<Event> {
    let request_id = Id::from_random(rng.array().map_err(no_entropy)?).to_string();
    Ok(Event { time_millis: now.as_millis(), request_id, count: 1, ..Event::default() })
}

fn no_entropy(error: RngError) -> Error {
    Error::new(Code::NoEntropy, error.to_string())
}

fn forked() -> Error {
    Error::new(Code::Forked, "the vault was opened in another process: open it after the fork")
}
