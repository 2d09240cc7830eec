//! A request that does something outside: asked before its commit, or between two commits: the intent, then what came of it.
//!
//! No lock is held while the outside is asked. The intent is the lease itself, being made: until it is handed out, or was undone at the
//! target, its record stays, so that no account is ever at a target that the vault does not know.

use super::core::Core;
use super::lease_renewal::{self, Renewal};
use super::leases::{self, barrier_of};
use super::namespaces::Namespace;
use super::outside::{Claim, ask, failed};
use super::stage::{Authenticated, Executed, Recorded};
use super::system::{Done, Granted};
use super::{audit_log, emergency, lease_quotas, lease_telling, lease_work, rotate_root, rotation, wrapping};
use crate::audit::{AuditMode, Event};
use crate::barrier::{Barrier, Overlay};
use crate::commit::{CommitError, Proposal};
use crate::engines::{Begun, Connection, Effect, NewLease, Probe, Sharing, database};
use crate::host::{Account, ConnectorError, ConnectorFailure, LeaseChange, NewAccount};
use crate::lease::shared::{self, Shared};
use crate::lease::{self, Lease, LeaseRef, SharedRef, State, chore, index, terms};
use crate::storage::Key;
use crate::types::limits::{COMMIT_RETRIES_MAX, PENDING_PER_TARGET_MAX};
use crate::types::{Code, Error, Response, Result, Timestamp, WrapInfo};
use std::sync::Arc;

/// What a request does outside.
pub(super) enum Deed {
    Engine(Effect),
    /// The target of a lease that has ended is told at once.
    Tell(LeaseRef),
    /// The target puts off an account's end.
    Renew(Box<Renewal>),
}

/// What is done after the commit; the request stands, whatever comes of it.
pub(super) enum Follow {
    /// The leases below a folder of ids are ended, and their targets told where that is asked for.
    Sweep { namespace: Arc<Namespace>, folder: String, tells: bool },
    /// What an emergency has found is ended, by further requests of the caller.
    Contain(Box<emergency::Plan>),
}

/// A request whose intent is durable.
pub(super) struct Intended<'s, 'r> {
    stage: &'s Authenticated<'r>,
    done: Done,
    deed: Intent<'r>,
}

enum Intent<'r> {
    Issue { connection: Arc<Connection>, new: Box<NewLease>, lease: Box<Lease>, claim: Claim<'r> },
    Rotate(Arc<Connection>, Claim<'r>),
    Settle(Arc<Connection>, Claim<'r>),
    Tell(LeaseRef),
    Renew(Box<Renewal>, Claim<'r>),
    Carry(Box<Begun>, Claim<'r>),
}

impl<'s, 'r> Executed<'s, 'r> {
    /// Asks outside what the request wants to know before it commits; asked again where it is carried out anew.
    pub(super) fn probe(mut self) -> Result<Self> {
        if let Some(Probe::Check(connection, verify)) = self.done.probe.take() {
            let connector = self.stage.core().outside.connector(&connection.plugin)?;
            ask(|| connector.check(&connection.target(), verify)).map_err(|error| failed(&error))?;
        }
        Ok(self)
    }

    /// The slot of the shared account that the request makes, joins or puts off.
    pub(super) fn slot(&self) -> Option<Key> {
        match self.done.effect.as_ref()? {
            Deed::Engine(Effect::Issue(_, new)) => new.sharing.shared().map(|shared| shared.slot(self.overlay.barrier())),
            Deed::Renew(renewal) => renewal.shared.as_ref().map(|shared| shared.slot(self.overlay.barrier())),
            _ => None,
        }
    }

    /// Whether the shared account that the request would join has no lease any more that holds. It ends then, and nobody is to have it further: it is
    /// closed, and the request is to be carried out anew, with another one. What is read here is expected by the intent.
    pub(super) fn closes_unheld(&mut self) -> Result<bool> {
        let (stage, core) = (self.stage, self.stage.core());
        let Some(Deed::Engine(Effect::Issue(_, new))) = &self.done.effect else { return Ok(false) };
        let Sharing::Joined(shared) = &new.sharing else { return Ok(false) };
        let holds = |overlay: &mut Overlay<'_>, _: &LeaseRef, lease: &Lease| leases::holds(core, overlay, lease, stage.now());
        if shared::has_lease(&mut self.overlay, &shared.id, holds)? {
            return Ok(false);
        }
        match leases::close_account(core, &stage.place().namespace, &shared.id) {
            // Somebody else has changed it: what is there now is looked at anew.
            Err(CommitError::Conflict) => Ok(true),
            closed => Ok(closed.map(|()| true)?),
        }
    }

    pub(super) fn has_effect(&self) -> bool {
        self.done.effect.is_some()
    }

    /// Commits the intent. Nothing was done outside where this fails.
    pub(super) fn intend(mut self) -> Result<Intended<'s, 'r>, CommitError> {
        let core = self.stage.core();
        let mut events = Vec::new();
        let deed = match self.done.effect.take() {
            Some(Deed::Engine(Effect::Issue(connection, new))) => self.intend_issue(connection, new).map_err(CommitError::before)?,
            Some(Deed::Engine(Effect::Rotate(connection))) => {
                core.outside.connector(&connection.plugin).map_err(CommitError::Failed)?;
                let claim = rotate_root::claim(core, &connection.id).map_err(CommitError::Failed)?;
                Intent::Rotate(connection, claim)
            }
            Some(Deed::Engine(Effect::Settle(connection))) => {
                let claim = rotate_root::claim(core, &connection.id).map_err(CommitError::Failed)?;
                Intent::Settle(connection, claim)
            }
            Some(Deed::Engine(Effect::Carry(begun))) => {
                core.outside.connector(&begun.plugin).map_err(CommitError::Failed)?;
                // Claimed before it is durable: no tick takes it for one whose answer was lost.
                let claim = rotation::claim(core, &begun.id).map_err(CommitError::Failed)?;
                let (namespace, mount, now) = (&self.stage.place().namespace, self.stage.mount(), self.stage.now());
                events.push(rotation::event_of_begun(core, namespace, &begun, mount, now).map_err(CommitError::Failed)?);
                Intent::Carry(begun, claim)
            }
            Some(Deed::Tell(lease)) => Intent::Tell(lease),
            Some(Deed::Renew(renewal)) => {
                let claim = renewal.claim(core, &self.stage.place().namespace.barrier).map_err(CommitError::Failed)?;
                Intent::Renew(renewal, claim)
            }
            None => return Err(CommitError::Failed(Error::new(Code::Internal, "a request without an effect was taken for one"))),
        };
        let holds = Some(self.stage.holds_at_commit().map_err(CommitError::before)?);
        core.committer.commit(Proposal { writes: self.overlay.into_writes(), events, holds, ..Proposal::default() })?;
        Ok(Intended { stage: self.stage, done: *self.done, deed })
    }

    /// Writes the lease as one that is being made.
    fn intend_issue(&mut self, connection: Arc<Connection>, mut new: Box<NewLease>) -> Result<Intent<'r>> {
        let (stage, core, now) = (self.stage, self.stage.core(), self.stage.now());
        core.outside.connector(&connection.plugin)?;
        let barrier = &stage.place().namespace.barrier;
        let token = stage.token();
        let mount = stage.mount().ok_or_else(|| Error::new(Code::Internal, "an engine without a mount cannot lease"))?;
        // A batch token is not in the store: its leases are its parent's, and end with it by their longest time.
        let holder = if token.entry.is_batch() { token.entry.parent() } else { Some(token.id) };
        let orphan = "a batch token without a parent cannot hold a lease: nothing would end it; use a service token";
        let holder = holder.ok_or_else(|| Error::new(Code::InvalidRequest, orphan))?;
        let token_ends = token.entry.expires();
        let max = token_ends.filter(|_| token.entry.is_batch()).map_or(new.terms.max, |ends| new.terms.max.min(now.until(ends)));
        let id = lease::new_id(barrier, stage.place().path())?;
        let expires = terms::end_after(now, new.terms.ttl, now.plus(max), token_ends);
        let lease = Lease {
            id,
            mount: *mount.as_bytes(),
            target: connection.id,
            holder_namespace: *holder.namespace.as_bytes(),
            holder: holder.key,
            state: State::Pending,
            issued_millis: now.as_millis(),
            renewed_millis: None,
            ttl_seconds: new.terms.ttl.as_secs(),
            max_seconds: max.as_secs(),
            renewable: true,
            expires_millis: expires.as_millis(),
            era: chore::era(&mut self.overlay)?,
            hold: 0,
            ended_millis: None,
            account: new.account.clone(),
            attempts: 0,
            next_millis: now.as_millis(),
            error: None,
            forced: false,
            undone: false,
            refused: false,
            asked_millis: None,
            shared: new.sharing.shared().map(|shared| SharedRef { id: shared.id }),
            entity: token.entry.entity().map(lease::Entity::from),
        };
        // Claimed before it is durable: no tick undoes it while it is being made.
        let at = (connection.id, new.account.role.as_str());
        let claim = core.outside.begin_creation(LeaseRef::of(barrier, &lease.id), at, stage.place().full());
        check_begun(core, barrier, at)?;
        lease_quotas::check(core, stage.place())?;
        let namespaces = core.namespaces.load_full();
        index::note_holder(&mut self.overlay, &holder, &barrier_of(&namespaces))?;
        index::save(&mut self.overlay, None, Some(&lease), &barrier_of(&namespaces))?;
        if let Some(shared) = new.sharing.shared_mut() {
            shared.ask(expires);
        }
        match &new.sharing {
            Sharing::None => {}
            Sharing::First(shared) => shared.take_slot(&mut self.overlay)?,
            // Written in any case: what closes it at the same time, having seen no other lease of it, loses the race.
            Sharing::Joined(shared) => shared.put(&mut self.overlay)?,
        }
        Ok(Intent::Issue { connection, new, lease: Box::new(lease), claim })
    }
}

impl Intended<'_, '_> {
    /// Does what is to be done outside, and commits what came of it with the request's event. Before the host's hook is told, which may call back, the
    /// turn at a shared account and the claim on the lease are let go of.
    pub(super) fn affect(self, event: &mut Event, turn: Option<Claim<'_>>) -> Result<Recorded> {
        let (stage, mut done) = (self.stage, self.done);
        let (core, now) = (stage.core(), stage.now());
        event.values = audit_log::hashed_values(core, stage.request().data.as_ref());
        match self.deed {
            Intent::Issue { connection, new, lease, claim } => {
                event.lease = Some(lease.id.clone());
                let made = match &new.sharing {
                    Sharing::Joined(shared) => lease_renewal::put_off(core, &connection, &lease, shared),
                    Sharing::None | Sharing::First(_) => create(core, &connection, &new, &lease),
                };
                made.map_err(|error| refused(stage, &lease, &error, event))?;
                let granted = grant(stage, &connection, *lease, event, &done)?;
                drop((claim, turn));
                core.outside.tell(vec![leases::notice(LeaseChange::Granted, &granted.lease, &stage.place().namespace)]);
                Ok(handed_out(granted, done, event, core.clock.now()))
            }
            Intent::Rotate(connection, claim) => {
                let namespace = &stage.place().namespace;
                rotate_root::settle(core, namespace, &connection.id, (&claim, true), now)?;
                let receipt = core.committer.commit(Proposal { events: vec![event.clone()], ..Proposal::default() })?;
                Ok(answer(done, event, receipt))
            }
            Intent::Settle(connection, claim) => {
                done.data = Some(rotate_root::give_up(core, &stage.place().namespace, &connection.id, &claim, now)?);
                let receipt = core.committer.commit(Proposal { events: vec![event.clone()], ..Proposal::default() })?;
                Ok(answer(done, event, receipt))
            }
            Intent::Carry(begun, _claim) => {
                let namespace = &stage.place().namespace;
                let rested = rotation::carry_on(core, namespace, &begun.id, Some(begun.ask))?;
                if let Some(rested) = rested.as_ref().filter(|_| begun.is_new)
                    && let Some(error) = &rested.error
                    && rotation::forget_unmade(core, namespace, rested)?
                {
                    event.target_error = Some(super::outside::text_of(error));
                    return Err(failed(error));
                }
                event.version = rested.as_ref().map(|rested| rested.managed.state.current.value.0);
                done.data = rotation::answer(rested, &begun, core.clock.now())?;
                let receipt = core.committer.commit(Proposal { events: vec![event.clone()], ..Proposal::default() })?;
                Ok(answer(done, event, receipt))
            }
            Intent::Tell(lease) => {
                event.lease = done.named.take().map(|lease| lease.id);
                let told = lease_telling::tell(core, &lease, now)?;
                if !matches!(told, lease_telling::Told::Gone) {
                    let why =
                        "the lease has ended, but its target could not be told yet: it is told again by tick (sys/leases?type=ending)";
                    return Err(Error::new(Code::RevocationPending, why));
                }
                let receipt = core.committer.commit(Proposal { events: vec![event.clone()], ..Proposal::default() })?;
                Ok(answer(done, event, receipt))
            }
            Intent::Renew(renewal, claim) => {
                let granted = lease_renewal::carry_out(stage, *renewal, event, &done)?;
                drop((claim, turn));
                core.outside.tell(vec![leases::notice(LeaseChange::Renewed, &granted.lease, &stage.place().namespace)]);
                Ok(handed_out(granted, done, event, core.clock.now()))
            }
        }
    }
}

impl Recorded {
    /// Does what comes after the commit.
    pub(super) fn followed(mut self, stage: &Authenticated<'_>, mode: AuditMode) -> Self {
        let (core, now) = (stage.core(), stage.now());
        if let Some((plugin, id)) = self.forgets.take()
            && let Ok(connector) = core.outside.connector(&plugin)
        {
            // It has nothing to say; a panic in it is its own.
            let _panicked: Result<(), ConnectorError> = ask(|| {
                connector.forget(&id);
                Ok(())
            });
        }
        match self.follow.take() {
            None => {}
            Some(Follow::Contain(plan)) => {
                self.response.data = Some(plan.carry_out(stage, &self.response.request_id, mode).into());
            }
            Some(Follow::Sweep { namespace, folder, tells }) => {
                let told = lease_work::sweep(core, &namespace, &folder, tells, now);
                let failed = |error: Error| vec![format!("the leases have ended; what follows was left to tick: {error}")];
                self.response.warnings.extend(told.unwrap_or_else(failed));
            }
        }
        self
    }
}

/// A lease that was handed out, or whose end was put off.
pub(super) struct Given {
    pub(super) lease: Lease,
    pub(super) receipt: crate::commit::Receipt,
    pub(super) wrap_info: Option<WrapInfo>,
}

/// Refuses a further account where too many are there already of which nobody was told: nothing bounds them otherwise while their target does not
/// answer. A role may have as many of them as are left for the others, so that no role shuts out another one of its connection. The account
/// that is asked for is among those that are being made.
fn check_begun(core: &Core, barrier: &Arc<Barrier>, (target, role): ([u8; 16], &str)) -> Result<()> {
    // Counted first: one that is durable meanwhile counts twice rather than not at all.
    let (making, making_by_role) = core.outside.creations(&target, role);
    let mut overlay = Overlay::reading(barrier, core.source());
    let begun = index::of_target(&overlay, &target, index::Part::Begun, PENDING_PER_TARGET_MAX + making)?;
    let begun: Vec<&LeaseRef> = begun.iter().filter(|lease| !core.outside.is_busy(lease)).collect();
    let left = PENDING_PER_TARGET_MAX.saturating_sub(making + begun.len());
    let is_whole = making + begun.len() > PENDING_PER_TARGET_MAX;
    if !is_whole && making_by_role + begun.len() <= left {
        return Ok(());
    }
    let mut of_role = making_by_role;
    for lease in begun {
        of_role += usize::from(Lease::load(&mut overlay, &lease.key)?.is_some_and(|lease| lease.account.role == role));
    }
    if !is_whole && of_role <= left.max(1) {
        return Ok(());
    }
    let whose = if is_whole { "this connection".to_owned() } else { format!("the role \"{role}\", which leaves as many to others,") };
    let why = format!(
        "too many accounts of {whose} were begun and are still to be undone (sys/leases?type=pending; {PENDING_PER_TARGET_MAX} of a connection at \
         most): let its target answer and tick undo them, or give them up with sys/leases/revoke-force"
    );
    Err(Error::new(Code::RateLimited, why))
}

fn create(core: &Core, connection: &Connection, new: &NewLease, lease: &Lease) -> Result<(), ConnectorError> {
    let connector = core.outside.connector(&connection.plugin).map_err(|error| {
        // Looked for before the intent: a host's list does not change.
        ConnectorError::new(ConnectorFailure::Misconfigured, error.to_string())
    })?;
    let account = Account { username: &new.account.username, statements: &new.creation };
    let new = NewAccount { account, password: &new.password, expires: Some(lease.expires()), rollback: &new.rollback };
    ask(|| connector.create(&connection.target(), &new))
}

/// The account was not made, or it is not known: the lease's record stays until it was undone. What the target itself has refused is noted,
/// since nothing is lost where undoing that fails too.
fn refused(stage: &Authenticated<'_>, lease: &Lease, error: &ConnectorError, event: &mut Event) -> Error {
    let core = stage.core();
    event.target_error = Some(super::outside::text_of(error));
    if !error.failure().may_be_done() {
        for _ in 0..=COMMIT_RETRIES_MAX {
            // Where this fails the lease counts as one of which it is not known.
            if !matches!(note_refused(core, &stage.place().namespace, lease, error), Err(CommitError::Conflict)) {
                break;
            }
        }
    }
    failed(error)
}

/// Notes that a target has made nothing for a lease. Where it lets a shared account last no longer, nobody is given that one from here on: each of
/// those who come would fail as this one did.
fn note_refused(core: &Core, namespace: &Namespace, lease: &Lease, error: &ConnectorError) -> Result<(), CommitError> {
    let namespaces = core.namespaces.load_full();
    let mut overlay = Overlay::writing(&namespace.barrier, core.source());
    let key = LeaseRef::of(&namespace.barrier, &lease.id).key;
    let Some(old) = Lease::load(&mut overlay, &key)?.filter(|old| old.state == State::Pending) else { return Ok(()) };
    let new = Lease { refused: true, ..old.clone() };
    index::save(&mut overlay, Some(&old), Some(&new), &barrier_of(&namespaces))?;
    if let Some(of) = old.shared.filter(|_| error.failure() == ConnectorFailure::Refused) {
        Shared::close_by_id(&mut overlay, &of.id)?;
    }
    core.committer.commit(Proposal { writes: overlay.into_writes(), ..Proposal::default() }).map(drop)
}

/// Hands the lease out: in one commit it becomes active, and the request has its event. Whatever has ended meanwhile (the token, the mount,
/// the connection) fails it, and the account is undone.
/// Lets a lease hold whose account was made, and where the reply is to be wrapped puts it behind a token, in the same commit.
fn grant(stage: &Authenticated<'_>, connection: &Connection, pending: Lease, event: &Event, done: &Done) -> Result<Given> {
    let (core, place) = (stage.core(), stage.place());
    let barrier = &place.namespace.barrier;
    let ended = || Error::new(Code::Conflict, "what the lease would belong to has ended meanwhile: nothing was handed out");
    let late = "the target took longer than the lease would have lasted: nothing was handed out";
    for _ in 0..=COMMIT_RETRIES_MAX {
        let namespaces = core.namespaces.load_full();
        let mut overlay = Overlay::writing(barrier, core.source());
        if !stage.holds(&mut overlay)? {
            return Err(Error::permission_denied());
        }
        place.check_is_there()?;
        stage.check_mount(&mut overlay)?;
        if core.clock.now() >= pending.expires() {
            return Err(Error::new(Code::TargetUnavailable, late));
        }
        let key = LeaseRef::of(barrier, &pending.id).key;
        if database::is_still(&mut overlay, connection)? != Some(true) || Lease::load(&mut overlay, &key)?.as_ref() != Some(&pending) {
            return Err(ended());
        }
        index::note_holder(&mut overlay, &pending.holder(), &barrier_of(&namespaces))?;
        let era = chore::era(&mut overlay)?;
        let hold = overlay.within(&core.barrier, |overlay| index::look_into(overlay, pending.expires()))?;
        let lease = Lease { state: State::Active, era, hold, ..pending.clone() };
        index::save(&mut overlay, Some(&pending), Some(&lease), &barrier_of(&namespaces))?;
        if let Some(of) = &pending.shared {
            let shared = Shared::load(&mut overlay, &of.id)?.ok_or_else(ended)?;
            // What was ended by prefix meanwhile has ended those who have its password; before its first lease nobody has.
            if shared.is_closed || shared.is_ready && shared.era != era {
                return Err(ended());
            }
            Shared { is_ready: true, era, ..shared.lasting_to(pending.expires()) }.put(&mut overlay)?;
        }
        let before = pending.expires();
        if let Some(given) = hand_out(stage, overlay, (lease, before), event, done)? {
            return Ok(given);
        }
    }
    Err(CommitError::Conflict.into())
}

/// Commits a lease with the request's event, and where the reply is to be wrapped with the token that it is put behind; none where that has lost a
/// race, or where the instant has come before which it must be.
pub(super) fn hand_out(
    stage: &Authenticated<'_>,
    mut overlay: Overlay<'_>,
    (lease, before): (Lease, Timestamp),
    event: &Event,
    done: &Done,
) -> Result<Option<Given>> {
    let core = stage.core();
    let holds = match stage.holds_at_commit() {
        Err(error) if error.code() == Code::Conflict => return Ok(None),
        holds => Some(holds?),
    };
    let mut event = event.clone();
    let wrap_info = match stage.wrap_ttl() {
        None => None,
        Some(ttl) => {
            let lease = Some(granted_of(&lease, core.clock.now()));
            let reply = Done { data: done.data.clone(), warnings: done.warnings.clone(), lease, ..Done::default() };
            wrapping::wrap(&stage.ask(), &mut overlay, reply, ttl)?.wrap_info
        }
    };
    event.wrapped_by = wrap_info.as_ref().map(|info| info.accessor.clone());
    let (outside, expires) = (Arc::clone(&core.outside), lease.expires());
    let publish = move || outside.is_due(expires);
    let proposal = Proposal {
        writes: overlay.into_writes(),
        events: vec![event],
        publish: Some(Box::new(publish)),
        before: Some(before),
        holds,
        ..Proposal::default()
    };
    match core.committer.commit(proposal) {
        Err(CommitError::Conflict) => Ok(None),
        committed => Ok(Some(Given { lease, receipt: committed?, wrap_info })),
    }
}

/// What an answer tells of a lease. What is left of it counts from the answer on, since the target may have taken its time.
fn granted_of(lease: &Lease, now: Timestamp) -> Granted {
    Granted { id: lease.id.clone(), renewable: lease.renewable, duration: now.until(lease.expires()) }
}

/// The answer that comes with a lease.
fn handed_out(given: Given, mut done: Done, event: &Event, now: Timestamp) -> Recorded {
    match given.wrap_info {
        Some(wrap_info) => done = Done { wrap_info: Some(wrap_info), ..Done::default() },
        None => done.lease = Some(granted_of(&given.lease, now)),
    }
    answer(done, event, given.receipt)
}

fn answer(mut done: Done, event: &Event, receipt: crate::commit::Receipt) -> Recorded {
    let response = Response { request_id: event.request_id.clone(), ..done.take_response() };
    Recorded { response, receipt, seals: done.seals, follow: done.follow, forgets: done.forgets }
}
