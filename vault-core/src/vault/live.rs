//! Live secrets: the current version of a secret, kept in memory and known to be current without asking the store.

use super::Session;
use crate::pipeline::{Footing, Listener};
use crate::types::limits::LIVE_READ_WAIT_MILLIS_MAX;
use crate::types::{Code, Error, Object, Operation, Path, Request, Result, Value};
use arc_swap::ArcSwapOption;
use parking_lot::Mutex;
use std::fmt;
use std::sync::{Arc, Weak};
use std::time::Duration;

/// A secret that stays current: [`get`](LiveSecret::get) gives the newest version, and asks the store only when it has changed.
///
/// What was read last is kept. As long as nothing has changed that the read stood on, `get` gives it again: it compares a few counters and reads
/// the clock, which costs nanoseconds, takes no lock and makes no record. A new version, a deletion, a change of the token's policies, the end of
/// the token, of the version or of the mount, and a vault that was sealed or closed are seen at the next call, once whoever brought them about has
/// been answered: the secret is then read anew, as any read is, with its record in the audit log, and where a read would be refused so is this.
///
/// ```
/// use vault_core::Vault;
/// use vault_core::types::Object;
///
/// let (vault, init) = Vault::in_memory()?;
/// let session = vault.session(init.root_token);
/// session.kv("secret").put("app/db", Object::new().with("password", "one"))?;
///
/// let password = session.kv("secret").live("app/db")?;
/// assert_eq!(password.get()?.text("password"), Some("one"));
/// session.kv("secret").put("app/db", Object::new().with("password", "two"))?;
/// assert_eq!(password.get()?.text("password"), Some("two"));
/// # Ok::<(), vault_core::types::Error>(())
/// ```
///
/// Make one for each secret, keep it as long as the program runs, and ask it where the secret is needed. Cheap to clone; clones share what was
/// read. Safe to share between threads: when the secret has changed one of them reads it and the others wait for that.
///
/// The content is in memory from the first read until a read fails, or the last clone and the last [`SecretSnapshot`] are dropped; it is wiped then.
#[derive(Clone)]
pub struct LiveSecret {
    shared: Arc<Shared>,
}

/// A secret as it was read at one moment: it does not change, and is wiped when the last one who holds it lets go.
pub struct SecretSnapshot {
    data: Object,
    version: Option<u64>,
}

/// A listener at work: it is called until this is dropped.
#[must_use = "the listener is called as long as this is kept"]
pub struct Listening {
    _teller: Arc<Teller>,
}

/// Why [`LiveSecret::with_retry`] gives nothing.
#[derive(Debug)]
pub enum RetryError<E> {
    /// The secret could not be read.
    Vault(Error),
    /// The attempt failed: the last one, where there were two.
    Attempt(E),
}

struct Shared {
    session: Session,
    path: Path,
    /// The member of the answer that holds the secret's own members; the answer itself where this is none.
    member: Option<&'static str>,
    held: ArcSwapOption<Held>,
    /// Taken by whoever reads anew.
    reading: Mutex<()>,
}

/// Tells a listener what it has not been told.
struct Teller {
    live: LiveSecret,
    listener: Box<dyn Fn(Result<Arc<SecretSnapshot>>) + Send + Sync>,
    /// What was told last; `None` once that was an error.
    told: Mutex<Option<Arc<SecretSnapshot>>>,
}

struct Held {
    snapshot: Arc<SecretSnapshot>,
    footing: Arc<Footing>,
}

impl LiveSecret {
    pub(super) fn new(session: Session, path: Path, member: Option<&'static str>) -> Self {
        let shared = Shared { session, path, member, held: ArcSwapOption::empty(), reading: Mutex::new(()) };
        LiveSecret { shared: Arc::new(shared) }
    }

    /// The secret as it is now. Any thread; asks the store at the first call and when something has changed.
    ///
    /// # Errors
    /// Those of a read: `NotFound` when there is none or it was deleted, `PermissionDenied`, `Sealed` and so on. `InvalidRequest` with the code
    /// `UnsupportedPath` where each read gives something new (`database/creds/ROLE`), and for the vault's own paths.
    pub fn get(&self) -> Result<Arc<SecretSnapshot>> {
        match self.shared.current() {
            Some(snapshot) => Ok(snapshot),
            None => self.shared.read(None),
        }
    }

    /// Whether what was read last is still what a read would give. Never asks the store, takes no lock; false before the first read.
    #[must_use]
    pub fn is_current(&self) -> bool {
        self.shared.held.load().as_ref().is_some_and(|held| self.shared.holds(held))
    }

    /// Reads the secret whether it has changed or not: a read with its record.
    ///
    /// # Errors
    /// As [`LiveSecret::get`].
    pub fn refresh(&self) -> Result<Arc<SecretSnapshot>> {
        self.shared.ask()
    }

    /// Another reading than one that a target has refused: what another thread has read meanwhile, else the secret is read now. What
    /// [`LiveSecret::with_retry`] does between two attempts, for hosts that make them otherwise.
    ///
    /// # Errors
    /// As [`LiveSecret::get`].
    pub fn newer_than(&self, refused: &Arc<SecretSnapshot>) -> Result<Arc<SecretSnapshot>> {
        self.shared.read(Some(refused))
    }

    /// Lets an attempt use the secret, such as a login at a database. When `is_refusal` says of its error that the credential was refused, the
    /// secret is read anew, whether it is known to have changed or not, and the attempt is made once more: a password that was rotated between
    /// `get` and its use costs one more login, and a wrong one no more than two.
    ///
    /// ```
    /// # use vault_core::Vault;
    /// # use vault_core::types::Object;
    /// # let (vault, init) = Vault::in_memory()?;
    /// # let session = vault.session(init.root_token);
    /// # session.kv("secret").put("app/db", Object::new().with("password", "two"))?;
    /// # fn log_in(password: &str) -> Result<u32, &'static str> { if password == "two" { Ok(7) } else { Err("denied") } }
    /// let password = session.kv("secret").live("app/db")?;
    /// let connection = password.with_retry(|secret| log_in(secret.text("password").unwrap_or_default()), |error| *error == "denied");
    /// assert_eq!(connection.ok(), Some(7));
    /// # Ok::<(), vault_core::types::Error>(())
    /// ```
    ///
    /// # Errors
    /// `Vault` when the secret cannot be read, `Attempt` with the error of the last attempt.
    pub fn with_retry<T, E>(
        &self,
        mut attempt: impl FnMut(&SecretSnapshot) -> Result<T, E>,
        is_refusal: impl FnOnce(&E) -> bool,
    ) -> Result<T, RetryError<E>> {
        let used = self.get().map_err(RetryError::Vault)?;
        match attempt(&used) {
            Err(error) if is_refusal(&error) => {}
            ended => return ended.map_err(RetryError::Attempt),
        }
        let newer = self.newer_than(&used).map_err(RetryError::Vault)?;
        drop(used);
        attempt(&newer).map_err(RetryError::Attempt)
    }

    /// Calls a listener whenever a `tick` of the vault finds that the secret is another one than it was told last, or than it is now; and with the
    /// error, once, when it can no longer be read. For dependents that want to know without asking: a pool that opens its connections anew.
    ///
    /// It is called by whoever ticks, under no lock of the vault, and may call back; it should return at once, and what it panics with is dropped.
    /// It is never called by a write: what was missed between two ticks is told as one change. After an error each tick reads again.
    ///
    /// # Errors
    /// As [`LiveSecret::get`].
    pub fn on_change(&self, listener: impl Fn(Result<Arc<SecretSnapshot>>) + Send + Sync + 'static) -> Result<Listening> {
        let told = Mutex::new(Some(self.get()?));
        let teller = Arc::new(Teller { live: self.clone(), listener: Box::new(listener), told });
        let weak: Weak<dyn Listener> = Arc::<Teller>::downgrade(&teller);
        self.shared.session.vault().runtime.listeners.add(weak);
        Ok(Listening { _teller: teller })
    }
}

impl Listener for Teller {
    fn ticked(&self) {
        // Another tick is at it, or this one comes from within: nobody waits for this lock. It is held until the listener has returned, so that
        // no older secret is told after a newer one.
        let Some(mut told) = self.told.try_lock() else { return };
        let now = self.live.get();
        let is_the_same = |told: &SecretSnapshot, now: &SecretSnapshot| told.version == now.version && told.data == now.data;
        match (&*told, &now) {
            (Some(told), Ok(now)) if is_the_same(told, now) => return,
            (None, Err(_)) => return,
            _ => told.clone_from(&now.as_ref().ok().cloned()),
        }
        (self.listener)(now);
    }
}

impl Shared {
    /// What was read last, if a read would give the same.
    fn current(&self) -> Option<Arc<SecretSnapshot>> {
        let held = self.held.load();
        held.as_ref().filter(|held| self.holds(held)).map(|held| Arc::clone(&held.snapshot))
    }

    fn holds(&self, held: &Held) -> bool {
        self.session.vault().runtime.holds(&held.footing)
    }

    /// Reads the secret, unless another thread has meanwhile; where one was `refused` what is given is another reading than that.
    fn read(&self, refused: Option<&Arc<SecretSnapshot>>) -> Result<Arc<SecretSnapshot>> {
        // A read can call the host, and be called by it: nobody waits for another without an end.
        let _reading = self.reading.try_lock_for(Duration::from_millis(LIVE_READ_WAIT_MILLIS_MAX));
        let is_another = |found: &Arc<SecretSnapshot>| refused.is_none_or(|refused| !Arc::ptr_eq(refused, found));
        match self.current().filter(is_another) {
            Some(found) => Ok(found),
            None => self.ask(),
        }
    }

    fn ask(&self) -> Result<Arc<SecretSnapshot>> {
        let answer = self.session.watched(Request::new(Operation::Read, self.path.clone()));
        let read = answer.and_then(|(response, footing)| {
            let version = footing.as_ref().and_then(|footing| footing.version());
            let data = match (response.data, self.member) {
                (Some(Value::Object(data)), None) => Some(data),
                (Some(Value::Object(mut data)), Some(member)) => match data.remove(member) {
                    Some(Value::Object(data)) => Some(data),
                    _ => None,
                },
                _ => None,
            };
            let data = data.ok_or_else(|| Error::new(Code::Internal, "the secret was answered without its content"))?;
            Ok((Arc::new(SecretSnapshot { data, version }), footing))
        });
        match read {
            Ok((snapshot, Some(footing))) => {
                self.held.store(Some(Arc::new(Held { snapshot: Arc::clone(&snapshot), footing })));
                Ok(snapshot)
            }
            // What cannot be watched is read each time, and what may no longer be read is not kept.
            Ok((snapshot, None)) => {
                self.held.store(None);
                Ok(snapshot)
            }
            Err(error) => {
                self.held.store(None);
                Err(error)
            }
        }
    }
}

impl SecretSnapshot {
    /// The members of the secret.
    #[must_use]
    pub fn data(&self) -> &Object {
        &self.data
    }

    /// A member that is text.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        self.data.get(name).and_then(Value::as_str)
    }

    /// The number of the version, where the secret has versions.
    #[must_use]
    pub fn version(&self) -> Option<u64> {
        self.version
    }
}

impl<E> RetryError<E> {
    /// One error of the two, for callers whose own can be made of the vault's.
    pub fn into_inner(self) -> E
    where
        E: From<Error>,
    {
        match self {
            RetryError::Vault(error) => error.into(),
            RetryError::Attempt(error) => error,
        }
    }
}

impl<E: fmt::Display> fmt::Display for RetryError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RetryError::Vault(error) => write!(f, "the secret cannot be read: {error}"),
            RetryError::Attempt(error) => error.fmt(f),
        }
    }
}

impl<E: std::error::Error + 'static> std::error::Error for RetryError<E> {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            RetryError::Vault(error) => Some(error),
            RetryError::Attempt(error) => error.source(),
        }
    }
}

impl fmt::Debug for LiveSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LiveSecret")
    }
}

impl fmt::Debug for Listening {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Listening")
    }
}

impl fmt::Debug for SecretSnapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SecretSnapshot").field("data", &"[redacted]").field("version", &self.version).finish()
    }
}
