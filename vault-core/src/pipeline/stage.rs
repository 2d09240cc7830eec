//! The stages of a request, as types: each is made by consuming the one before, so that none can be left out.

use super::affect::{Deed, Follow};
use super::core::Core;
use super::identities::{self, Bearing, Identity};
use super::identity_paths::canonical_name;
use super::mounts::{self, MountTable, Routing};
use super::namespace_table::NamespaceTable;
use super::namespaces::{Namespace, Place};
use super::policies::PolicyStore;
use super::system::{self, Ask, Done, SystemPath, capability_for};
use super::tokens::Lineage;
use super::wrapping;
use super::{audit_log, deadman, rotation_usage, second_path, tokens};
use crate::audit::{AuditMode, Decided, Event};
use crate::auth::{LiveToken, records};
use crate::barrier::{Overlay, Sight};
use crate::commit::{CommitError, Holds, Proposal, Receipt};
use crate::engines::Call;
use crate::metrics::{Authentication, Target};
use crate::os::Stopwatch;
use crate::policy::{Capability, CompiledPolicies, Given, PolicyName, Ruling};
use crate::types::cidr::Cidr;
use crate::types::id::Id;
use crate::types::limits::{COMMIT_RETRIES_MAX, REVOCATION_RETRIES_MAX, TOKEN_BYTES_MAX};
use crate::types::{Class, Code, Error, Operation, Request, Response, Result, SecretString, Timestamp, Ttl};
use arc_swap::{ArcSwapOption, Guard};
use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Who sends requests: a token, and what was learned of it with earlier ones.
pub(crate) struct Caller {
    token: Arc<SecretString>,
    known: ArcSwapOption<Known>,
    /// What a read stands on is left here, where the caller wants to know when that changes.
    watch: Option<ArcSwapOption<Footing>>,
}

/// What the answer of a read stands on: as long as it does, another read would answer the same.
pub(crate) struct Footing {
    known: Arc<Known>,
    sight: Sight,
    until: Option<Timestamp>,
    version: Option<u64>,
}

/// What is known of a token, until a generation says that it is stale.
struct Known {
    live: Arc<LiveToken>,
    rules: Arc<CompiledPolicies>,
    /// Whose the token is.
    identity: Option<Identity>,
    /// Those of the token's namespace.
    policies: Arc<PolicyStore>,
    policy_generation: u64,
    token_epoch: u64,
    /// The opening of the vault that it was learned in.
    opening: usize,
}

/// What is known, for as long as a request takes: threads that share a session do not meet at its count of owners.
struct Held(Guard<Option<Arc<Known>>>);

impl Held {
    fn of(guard: Guard<Option<Arc<Known>>>) -> Option<Self> {
        guard.is_some().then_some(Held(guard))
    }

    /// For longer than the request.
    fn shared(&self) -> Arc<Known> {
        self.0.clone().expect("it was there when it was taken hold of")
    }
}

impl Deref for Held {
    type Target = Known;
    fn deref(&self) -> &Known {
        self.0.as_deref().expect("it was there when it was taken hold of")
    }
}

/// Where a request goes.
#[derive(Clone)]
enum Route<'p> {
    System(SystemPath<'p>),
    Engine(Routing<'p>),
    Nowhere,
    /// The namespace is not there.
    NoNamespace,
}

/// A request that has its route.
pub(super) struct Routed<'r> {
    core: &'r Core,
    request: &'r Request,
    place: &'r Place<'r>,
    route: Route<'r>,
    now: Timestamp,
}

/// A request whose caller is known.
pub(super) struct Authenticated<'r> {
    routed: Routed<'r>,
    caller: &'r Caller,
    known: Held,
    /// Of the token's namespace.
    home: &'r Namespace,
    /// Whether the request may change something, so that what it reads must still hold when it commits.
    may_write: bool,
}

/// A request that policy allows, with the overlay on which that was found.
pub(super) struct Authorized<'s, 'r> {
    stage: &'s Authenticated<'r>,
    overlay: Overlay<'r>,
}

/// A request that was carried out on its overlay and is not yet committed.
pub(super) struct Executed<'s, 'r> {
    pub(super) stage: &'s Authenticated<'r>,
    pub(super) overlay: Overlay<'r>,
    /// Boxed, since it is large and goes from stage to stage.
    pub(super) done: Box<Done>,
}

/// A request that was carried out and is recorded.
pub(super) struct Recorded {
    pub(super) response: Response,
    pub(super) receipt: Receipt,
    pub(super) seals: bool,
    /// What is done after it.
    pub(super) follow: Option<Follow>,
    /// The connection that a connector is to let go of.
    pub(super) forgets: Option<(String, [u8; 16])>,
}

impl Caller {
    pub(crate) fn new(token: SecretString) -> Self {
        Caller { token: Arc::new(token), known: ArcSwapOption::empty(), watch: None }
    }

    /// Whether the token is empty, which is to have none.
    pub(super) fn is_nobody(&self) -> bool {
        self.token.expose().is_empty()
    }

    /// The same caller for one read, who wants to know when its answer changes.
    pub(crate) fn watching(&self) -> Self {
        let known = ArcSwapOption::new(self.known.load_full());
        Caller { token: Arc::clone(&self.token), known, watch: Some(ArcSwapOption::empty()) }
    }

    /// What the answer of that read stands on; `None` where it cannot be told when it changes.
    pub(crate) fn into_footing(self) -> Option<Arc<Footing>> {
        self.watch?.into_inner()
    }
}

impl Footing {
    /// Whether the token may still do what it did, and nothing of what was read has changed. The store is not asked.
    pub(super) fn holds(&self, core: &Core) -> bool {
        let is_the_same = self.known.is_fresh(core) && self.sight.is_current() && !core.committer.is_poisoned();
        is_the_same && {
            let now = core.clock.now();
            // That a live secret is used is noted with the whole way of a read.
            let (live, identity) = (&self.known.live, &self.known.identity);
            let is_quiet = !live.entry.is_use_noted(now) && identity.as_ref().is_none_or(|of| of.is_good(now) && !of.is_use_noted(now));
            is_quiet && !live.has_expired(now) && self.until.is_none_or(|until| now < until)
        }
    }

    /// The version of the secret that was read, where it has versions.
    pub(crate) fn version(&self) -> Option<u64> {
        self.version
    }
}

impl<'r> Routed<'r> {
    pub(super) fn new(core: &'r Core, request: &'r Request, place: &'r Place<'r>, now: Timestamp) -> Self {
        let path = place.path();
        let route = match SystemPath::parse(path) {
            _ if place.is_missing => Route::NoNamespace,
            // A slash is left out for a listing only, as policy does: no other rule may decide on what is in truth the same path.
            Some(_) if request.path.is_folder() && request.operation != Operation::List => Route::System(SystemPath::Unknown),
            Some(system) => Route::System(system),
            None => place.mounts.route(path).map_or(Route::Nowhere, Route::Engine),
        };
        Routed { core, request, place, route, now }
    }

    /// What the request goes to.
    pub(super) fn target(&self) -> Target {
        match &self.route {
            Route::System(_) => Target::System,
            Route::Engine(Routing { uuid: Some(_), .. }) => Target::Secrets,
            Route::Engine(_) => Target::Cubbyhole,
            Route::Nowhere | Route::NoNamespace => Target::None,
        }
    }

    /// Whether the request issues a token (true) or revokes some (false).
    pub(super) fn is_issuance_or_revocation(&self) -> Option<bool> {
        match self.route {
            Route::System(path) if self.request.operation == Operation::Write => path.is_issuance_or_revocation(),
            _ => None,
        }
    }

    /// Whether the request is for a quota itself: those are the root namespace's.
    pub(super) fn is_quota_path(&self) -> bool {
        self.place.namespace.is_root() && matches!(self.route, Route::System(SystemPath::Quotas(_)))
    }

    /// Finds out who asks. A token that is missing, malformed, unknown, expired or revoked has one and the same answer.
    pub(super) fn authenticate(self, caller: Option<&'r Caller>, event: &mut Event) -> Result<Authenticated<'r>> {
        let core = self.core;
        let authenticated = self.look_at_token(caller, event);
        if authenticated.is_err() {
            core.metrics.authentication(Authentication::Refused);
        }
        authenticated
    }

    fn look_at_token(self, caller: Option<&'r Caller>, event: &mut Event) -> Result<Authenticated<'r>> {
        let caller = caller.filter(|caller| caller.token.expose().len() <= TOKEN_BYTES_MAX).ok_or_else(Error::permission_denied)?;
        let mut how = Authentication::Known;
        let is_known = |known: &Held| known.is_fresh(self.core) && !known.identity.as_ref().is_some_and(|of| of.is_overdue(self.now));
        let known = match Held::of(caller.known.load()).filter(is_known) {
            Some(known) => known,
            None => {
                how = Authentication::LookedUp;
                let known = Arc::new(Known::learn(self.core, self.place, caller, self.now)?);
                // One that is lost has no rules: where the clock was wrong for a moment they are to be learned anew.
                if known.identity.as_ref().is_none_or(|identity| identity.is_good(self.now)) {
                    caller.known.store(Some(Arc::clone(&known)));
                }
                Held(Guard::from_inner(Some(known)))
            }
        };
        // A batch token has none.
        event.accessor = Some(known.live.entry.accessor.clone()).filter(|accessor| !accessor.is_empty());
        event.batch_parent = known.live.batch_parent().map(|parent| parent.entry.accessor.clone());
        event.display_name = Some(known.live.entry.display_name.clone());
        event.entity = known.identity.as_ref().map(|identity| identity.text().to_owned());
        // A token is one of its own namespace and of those below it, never of one above or beside.
        let home = self.place.namespace.upward().find(|namespace| namespace.id == known.live.id.namespace);
        let is_held = known.live.has_expired(self.now) || known.live.is_quarantined();
        let home = home.filter(|_| !is_held).ok_or_else(Error::permission_denied)?;
        if !is_within(&known.live.entry.bound_cidrs, self.request.context.remote_address.as_deref()) {
            return Err(Error::permission_denied());
        }
        if known.identity.as_ref().is_some_and(|identity| !identity.is_good(self.now)) {
            return Err(Error::permission_denied());
        }
        self.core.metrics.authentication(how);
        let authenticated = Authenticated { home, routed: self, caller, known, may_write: false };
        Ok(Authenticated { may_write: authenticated.would_write(), ..authenticated })
    }
}

impl Known {
    /// Looks for the token in the namespace of the request and in those above it.
    fn learn(core: &Core, place: &Place<'_>, caller: &Caller, now: Timestamp) -> Result<Self> {
        let namespaces = core.namespaces.load();
        for namespace in place.namespace.upward() {
            // The generations are read first: what changes in between makes this stale at its next use.
            let policies = Arc::clone(&namespace.policies);
            let (policy_generation, token_epoch) = (policies.generation(), core.tokens.epoch());
            if let Some(live) = tokens::find(core, &namespaces, namespace, caller.token.expose())? {
                let Bearing { rules, identity } = identities::bearing(core, &namespaces, namespace, &live, now)?;
                return Ok(Known { live, rules, identity, policies, policy_generation, token_epoch, opening: core.opening });
            }
        }
        Err(Error::permission_denied())
    }

    fn is_fresh(&self, core: &Core) -> bool {
        self.policy_generation == self.policies.generation()
            && self.token_epoch == core.tokens.epoch()
            && self.opening == core.opening
            && self.live.is_current()
            && self.identity.as_ref().is_none_or(Identity::is_fresh)
    }
}

/// Whether a token that is bound to networks is used from within one of them.
fn is_within(networks: &[String], remote_address: Option<&str>) -> bool {
    let holds = |remote: &str| networks.iter().any(|network| Cidr::parse(network).is_ok_and(|network| network.holds(remote)));
    networks.is_empty() || remote_address.is_some_and(holds)
}

impl<'r> Authenticated<'r> {
    /// Carries something out as one use of the token, where its uses are limited: counted before, so that no failure gives it back. The
    /// token is ended behind the last use, once nobody uses it any more.
    pub(super) fn as_one_use<T>(&self, work: impl FnOnce() -> Result<T>) -> Result<T> {
        let (core, token) = (self.routed.core, &self.known.live);
        let key = &token.id.key;
        if token.entry.num_uses == 0 || token.entry.is_wrapping() {
            return work();
        }
        core.tokens.begin_use(key);
        let counted = tokens::count_use(core, &self.home.barrier, key);
        let was_last = matches!(counted, Ok(true));
        let done = counted.and_then(|_| work());
        if core.tokens.end_use(key, was_last) {
            // What the request did stands, whether the end of its token could be written or not: the token has no use left.
            let _ended = tokens::end_used(core, token, self.home.audit_name(), self.routed.now);
        }
        done
    }

    /// Says that the request has lost a race: what is known of the caller's entity may have been read too early.
    pub(super) fn doubt(&self) {
        if let Some(identity) = &self.known.identity {
            identity.doubt();
        }
    }

    /// Whether the token is still there, as the commit of a write will expect it: a batch token is while its parent is.
    fn is_there(&self, overlay: &mut Overlay<'_>) -> Result<bool> {
        let token = &self.known.live;
        let record = if token.entry.is_batch() { token.entry.parent() } else { Some(token.id) };
        let Some(record) = record else { return Ok(true) };
        let namespace = self.home.upward().find(|namespace| namespace.id == record.namespace);
        let Some(namespace) = namespace else { return Ok(false) };
        let entry = overlay.within(&namespace.barrier, |overlay| records::load(overlay, &record.key))?;
        Ok(entry.is_some_and(|entry| entry.quarantined_millis.is_none()) && self.lineage()?.is_some())
    }

    /// The token with its ancestors, none of which is gone or held still; `None` where one is. What is known of them already is taken while it
    /// is current, so that most writes ask the store of none.
    fn lineage(&self) -> Result<Option<Lineage>> {
        let (core, known) = (self.core(), &self.known);
        let learned = Lineage::of(core, Arc::clone(&known.live), known.token_epoch);
        if learned.is_current() {
            return Ok(Some(learned));
        }
        let epoch = core.tokens.epoch();
        let record = if known.live.entry.is_batch() { known.live.entry.parent() } else { Some(known.live.id) };
        let Some(record) = record else { return Ok(Some(Lineage::of(core, Arc::clone(&known.live), epoch))) };
        let live = tokens::look_up(core, &core.namespaces.load(), record)?;
        let live = live.filter(|live| !live.is_quarantined() && !live.has_expired(self.now()));
        Ok(live.map(|live| Lineage::of(core, live, epoch)))
    }

    /// What a write of the caller commits by: its token's own record is among what it has read, and of the ancestors memory tells.
    pub(super) fn holds_at_commit(&self) -> Result<Holds> {
        let lineage = self.lineage()?.ok_or_else(Error::permission_denied)?;
        Ok(Box::new(move || lineage.is_current()))
    }

    pub(super) fn core(&self) -> &'r Core {
        self.routed.core
    }

    /// Carries out a request of the same caller: the whole way, with a record of its own.
    pub(super) fn handle_another(&self, request: &Request, mode: AuditMode) -> Result<Response> {
        let core = self.core();
        super::handle(core, Some(self.caller), request, core.clock.now(), mode).0.into_result()
    }

    /// Notes that the token and its entity are used, where they would be lost otherwise: now and then, so that it costs no commit each time.
    pub(super) fn note_use(&self) {
        let (core, token, now) = (self.core(), &self.known.live, self.now());
        let identity = self.known.identity.as_ref().filter(|identity| identity.is_use_noted(now));
        if identity.is_none() && !token.entry.is_use_noted(now) || core.frozen.load(Ordering::Acquire) {
            return;
        }
        // Where this fails the next request does it.
        let _failed = tokens::note_use(core, token, &self.home.barrier, now);
        if let Some(identity) = identity {
            let _failed = deadman::note_use(core, identity.entity(), now);
            // It is noted now, by this request or by another one: what is known of it is read anew.
            identity.doubt();
        }
    }

    pub(super) fn place(&self) -> &'r Place<'r> {
        self.routed.place
    }

    pub(super) fn now(&self) -> Timestamp {
        self.routed.now
    }

    /// The token that asks.
    pub(super) fn token(&self) -> &LiveToken {
        &self.known.live
    }

    /// The mount that the request goes to.
    pub(super) fn mount(&self) -> Option<Id> {
        if let Route::Engine(routing) = &self.routed.route { routing.uuid } else { None }
    }

    /// Whether the token is there still, and its entity may be used. What is read becomes an expectation: its revocation would fail the commit.
    pub(super) fn holds(&self, overlay: &mut Overlay<'_>) -> Result<bool> {
        let stands = self.known.identity.as_ref().map_or(Ok(true), |identity| identity.stands(self.home, overlay, self.now()))?;
        Ok(stands && self.is_there(overlay)?)
    }

    /// The same, by what is known of the entity already.
    fn holds_as_known(&self, overlay: &mut Overlay<'_>) -> Result<bool> {
        match &self.known.identity {
            Some(identity) if identity.is_fresh() => Ok(identity.expect(overlay, self.now()) && self.is_there(overlay)?),
            _ => self.holds(overlay),
        }
    }

    pub(super) fn request(&self) -> &'r Request {
        self.routed.request
    }

    /// Whether the token's policies give `sudo` on the path.
    pub(super) fn has_sudo(&self) -> bool {
        let capability = capability_for(self.request().operation, None);
        self.known.rules.decide(self.policy_path(), capability, Given::default()).has(Capability::Sudo)
    }

    fn policy_path(&self) -> &'r str {
        self.routed.place.path_from(self.home)
    }

    /// Whether the request may change something, by what it asks of what it goes to.
    fn would_write(&self) -> bool {
        let by_itself = match &self.routed.route {
            Route::Engine(routing) => routing.engine.may_write(&self.call(routing.rest)),
            Route::System(path) if path.changes_nothing() => false,
            _ => !matches!(self.request().operation, Operation::Read | Operation::List),
        };
        by_itself || self.wrap_ttl().is_some() || self.opens_wrapping()
    }

    /// How often the request is carried out anew where it loses a race: a revocation does not give way to whoever uses the token.
    pub(super) fn retries_max(&self) -> u32 {
        let revokes = self.routed.is_issuance_or_revocation() == Some(false);
        if revokes { REVOCATION_RETRIES_MAX } else { COMMIT_RETRIES_MAX }
    }

    /// For how long the reply is to be wrapped.
    pub(super) fn wrap_ttl(&self) -> Option<Ttl> {
        self.request().wrap_ttl.filter(|ttl| *ttl > Ttl::ZERO)
    }

    /// Whether a wrapping token reads what it holds, which is a write: it is gone after that.
    fn opens_wrapping(&self) -> bool {
        let (request, place) = (self.request(), self.routed.place);
        request.operation == Operation::Read && place.path() == wrapping::CUBBYHOLE && self.known.live.entry.is_wrapping()
    }

    pub(super) fn ask<'a>(&'a self) -> Ask<'a> {
        Ask {
            core: self.routed.core,
            place: self.routed.place,
            caller: &self.known.live,
            rules: &self.known.rules,
            token: self.caller.token.expose(),
            policy_path: self.policy_path(),
            home: self.home,
            data: self.request().data.as_ref(),
            wrap_ttl: self.wrap_ttl(),
            now: self.routed.now,
        }
    }

    fn call<'c>(&'c self, path: &'c str) -> Call<'c> {
        let token = &self.known.live.id;
        Call {
            operation: self.request().operation,
            path,
            data: self.request().data.as_ref(),
            now: self.routed.now,
            holder: (token.namespace == self.routed.place.namespace.id && !self.known.live.entry.is_batch()).then_some(&token.key),
            display_name: &self.known.live.entry.display_name,
            entity: self.known.live.entry.entity(),
        }
    }

    /// A write goes to a mount that is there when it commits: one that was removed meanwhile is not written to behind its removal.
    pub(super) fn check_mount(&self, overlay: &mut Overlay<'_>) -> Result<()> {
        match &self.routed.route {
            Route::Engine(Routing { uuid: Some(uuid), .. }) if self.may_write && !mounts::is_there(overlay, uuid)? => {
                Err(nothing_mounted())
            }
            _ => Ok(()),
        }
    }

    /// Asks policy. For a write the existence of the target decides between create and update, and is remembered by the overlay.
    pub(super) fn authorize<'s>(&'s self, event: &mut Event) -> Result<Authorized<'s, 'r>> {
        let (core, place) = (self.routed.core, self.routed.place);
        let barrier = &place.namespace.barrier;
        let mut overlay = if self.may_write {
            Overlay::of_request(barrier, core.source())
        } else if self.caller.watch.is_some() {
            self.watching()
        } else if let Some(values) = core.committer.values() {
            Overlay::reading_held(barrier, core.source(), values, self.routed.now)
        } else {
            Overlay::reading(barrier, core.source())
        };
        if self.may_write && !self.holds_as_known(&mut overlay)? {
            // Revoked since it was authenticated; from here on its revocation would fail this request's commit.
            return Err(if self.known.live.entry.is_wrapping() { wrapping::invalid() } else { Error::permission_denied() });
        }
        let operation = self.request().operation;
        let exists = match &self.routed.route {
            Route::Engine(routing) if operation == Operation::Write => routing.engine.exists(&mut overlay, &self.call(routing.rest)),
            Route::System(SystemPath::Token(path)) if operation == Operation::Write => path.exists(&mut overlay),
            _ => Ok(None),
        };
        // A path that the engine does not know is still for policy to refuse first; a store that fails is no reason to.
        if let Err(error) = &exists
            && error.class() != Class::InvalidRequest
        {
            return Err(error.clone());
        }
        let capability = capability_for(operation, exists.as_ref().copied().unwrap_or_default());
        self.decide(capability, event)?;
        if self.caller.watch.is_some() && (self.may_write || matches!(self.routed.route, Route::System(_))) {
            let why = "no live secret is here: this path gives something new with each read, or is one of the vault's own";
            return Err(Error::new(Code::UnsupportedPath, why));
        }
        let stays_frozen = !matches!(self.routed.route, Route::System(path) if path.is_for_the_frozen()) || self.wrap_ttl().is_some();
        if self.may_write && stays_frozen && core.frozen.load(Ordering::Acquire) {
            return Err(super::frozen());
        }
        exists?;
        place.check_is_there()?;
        self.check_mount(&mut overlay)?;
        Ok(Authorized { stage: self, overlay })
    }

    /// An overlay that notes what is read, from the tables on by which the request found its way.
    fn watching(&self) -> Overlay<'r> {
        let (core, place) = (self.routed.core, self.routed.place);
        let mut overlay = Overlay::watching(&place.namespace.barrier, core.source(), core.committer.watches());
        NamespaceTable::watch(&core.barrier, &mut overlay);
        MountTable::watch(&mut overlay);
        if let Route::Engine(routing) = &self.routed.route {
            // It was routed before the table was watched.
            let is_the_same = |now: &Routing<'_>| std::ptr::addr_eq(now.engine, routing.engine);
            if !place.namespace.mounts.load().route(place.path()).is_some_and(|now| is_the_same(&now)) {
                overlay.cannot_watch();
            }
        }
        overlay
    }

    /// The path of a policy, an entity or a group whose name is spelt in another way than the one that counts, as it counts: no spelling slips past a rule.
    fn canonical_policy_path(&self) -> Option<String> {
        let (name, canonical) = match self.routed.route {
            Route::System(SystemPath::Policy(name, _)) => (name, PolicyName::parse(name).ok()?.as_str().to_owned()),
            Route::System(SystemPath::Identity(path)) => canonical_name(path)?,
            _ => return None,
        };
        let folder = self.policy_path().strip_suffix(name).filter(|_| canonical != name)?;
        Some(format!("{folder}{canonical}"))
    }

    /// What the policies of the token's namespace say of the path as it is seen from there.
    fn decide(&self, capability: Capability, event: &mut Event) -> Result<()> {
        let given = Given { data: self.request().data.as_ref(), wrap_ttl: self.wrap_ttl() };
        let canonical = self.canonical_policy_path();
        let ruling = self.known.rules.decide(canonical.as_deref().unwrap_or(self.policy_path()), capability, given);
        if matches!(self.routed.route, Route::System(path) if path.is_for_any_token()) {
            let step = "any valid token may ask this: it is told only what it may reach".into();
            event.decided = Some(Decided { capability: capability.name().into(), allowed: true, step, ..Decided::default() });
            return Ok(());
        }
        let needs_sudo = matches!(self.routed.route, Route::System(path) if path.is_root_protected(self.request().operation));
        let lacks_sudo = needs_sudo && !ruling.has(Capability::Sudo);
        let allowed = ruling.allowed() && !lacks_sudo;
        let step = if ruling.allowed() && lacks_sudo { "sudo is required" } else { ruling.step() };
        event.decided = Some(told(&ruling, capability, allowed, step));
        if !allowed {
            return Err(Error::permission_denied());
        }
        let Some(folder) = self.listed_elsewhere() else { return Ok(()) };
        let ruling = self.known.rules.decide(&folder, capability, given);
        if ruling.allowed() {
            return Ok(());
        }
        event.decided = Some(told(&ruling, capability, false, ruling.step()));
        Err(Error::permission_denied())
    }

    /// The other folder at which what is listed is listed, as policies see it.
    fn listed_elsewhere(&self) -> Option<String> {
        let Route::Engine(routing) = &self.routed.route else { return None };
        if self.request().operation != Operation::List {
            return None;
        }
        let folder = routing.engine.listed_elsewhere(&self.call(routing.rest))?;
        let mount = self.policy_path().strip_suffix(routing.rest).unwrap_or_default();
        Some(format!("{mount}{folder}"))
    }
}

/// A decision as the log has it.
fn told(ruling: &Ruling<'_>, capability: Capability, allowed: bool, step: &'static str) -> Decided {
    Decided {
        capability: capability.name().into(),
        allowed,
        rule: ruling.rule().map(str::to_owned),
        policy: ruling.policy().map(str::to_owned),
        line: ruling.line().map(u64::from),
        step: step.into(),
    }
}

impl<'s, 'r> Authorized<'s, 'r> {
    /// Carries the request out on its overlay.
    pub(super) fn execute(mut self) -> Result<Executed<'s, 'r>> {
        let stage = self.stage;
        let (routed, request) = (&stage.routed, stage.request());
        let done = match &routed.route {
            Route::System(path) => system::execute(&stage.ask(), &mut self.overlay, request.operation, *path)?,
            Route::Engine(_) if stage.opens_wrapping() => wrapping::read_cubbyhole(&stage.ask(), &mut self.overlay)?,
            Route::Engine(routing) => {
                let mut outcome = routing.engine.execute(&mut self.overlay, &stage.call(routing.rest))?;
                if let Some(folder) = stage.listed_elsewhere() {
                    outcome.data = second_path::readable_only(outcome.data, &folder, &stage.known.rules, stage.wrap_ttl());
                }
                Done {
                    data: outcome.data,
                    version: outcome.version,
                    lease_duration: outcome.lease_duration,
                    until: outcome.until,
                    warnings: outcome.warnings,
                    effect: outcome.effect.map(Deed::Engine),
                    probe: outcome.probe,
                    forgets: outcome.forgets,
                    used: outcome.used,
                    ..Done::default()
                }
            }
            // Told before.
            Route::NoNamespace => return Err(Error::new(Code::NotFound, "there is no such namespace")),
            Route::Nowhere => return Err(nothing_mounted()),
        };
        let done = match stage.wrap_ttl() {
            // What is done outside comes first: its reply is wrapped in its last commit.
            Some(ttl) if done.effect.is_none() => wrapping::wrap(&stage.ask(), &mut self.overlay, done, ttl)?,
            _ => done,
        };
        Ok(Executed { stage, overlay: self.overlay, done: Box::new(done) })
    }
}

fn nothing_mounted() -> Error {
    Error::new(Code::NotFound, "no handler for route: nothing is mounted there")
}

impl Executed<'_, '_> {
    /// Notes that a rotated credential was read, before it is answered.
    fn note_use(&self) -> Result<()> {
        let (stage, done) = (self.stage, &self.done);
        let (used, version) = match (&stage.routed.route, &done.unwrapped_path) {
            (Route::Engine(routing), _) => (rotation_usage::used(stage, routing, &stage.call(routing.rest), done.used)?, done.version),
            (Route::System(_), Some(path)) if done.unwrapped.is_some() => rotation_usage::unwrapped(stage, path)?,
            _ => return Ok(()),
        };
        used.zip(version).map_or(Ok(()), |(used, version)| rotation_usage::note(stage, used, version))
    }

    /// Commits the request with its event; a read's event is admitted.
    pub(super) fn record(mut self, event: &mut Event, mode: AuditMode) -> Result<Recorded, CommitError> {
        let core = self.stage.routed.core;
        self.note_use().map_err(CommitError::before)?;
        event.version = self.done.version;
        event.concerns = self.done.concerns.take();
        event.identity_concerned = self.done.identity.take();
        event.unwrapped_path = self.done.unwrapped_path.take();
        event.wrapped_by = self.done.wrap_info.as_ref().map(|info| info.accessor.clone());
        let made = self.done.auth.as_ref().map(|auth| auth.accessor.clone());
        event.accessor_created = self.done.made.take().or(made).filter(|accessor| !accessor.is_empty());
        event.lease = self.done.lease.as_ref().or(self.done.named.as_ref()).map(|lease| lease.id.clone());
        let response = self.done.take_response();
        let receipt = if self.stage.may_write {
            event.values = audit_log::hashed_values(core, self.stage.request().data.as_ref());
            let proposal = Proposal {
                writes: self.overlay.into_writes(),
                events: vec![event.clone()],
                publish: self.done.publish,
                adopts: self.done.adopts,
                before: None,
                holds: Some(self.stage.holds_at_commit().map_err(CommitError::before)?),
            };
            let watch = Stopwatch::start();
            let receipt = core.committer.commit(proposal)?;
            core.metrics.commit(watch.elapsed());
            receipt
        } else {
            let sight = self.overlay.take_sight();
            event.live = sight.is_some();
            let receipt = core.committer.admit_read(event, self.stage.routed.now, mode)?;
            if let (Some(watch), Some(sight)) = (&self.stage.caller.watch, sight) {
                let (known, until, version) = (self.stage.known.shared(), self.done.until, self.done.version);
                watch.store(Some(Arc::new(Footing { known, sight, until, version })));
            }
            receipt
        };
        let response = Response { request_id: std::mem::take(&mut event.request_id), ..response };
        let (follow, forgets) = (self.done.follow, self.done.forgets);
        Ok(Recorded { response, receipt, seals: self.done.seals, follow, forgets })
    }
}
