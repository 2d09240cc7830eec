//! The stages of a request, as types: each is made by consuming the one before, so that none can be left out.

use super::core::Core;
use super::system::{self, Ask, Done, SystemPath, capability_for};
use super::{audit_log, tokens};
use crate::audit::{Decided, Event};
use crate::auth::{LiveToken, token};
use crate::barrier::Overlay;
use crate::commit::{CommitError, Proposal, Receipt};
use crate::engines::Engine;
use crate::policy::{Capability, CompiledPolicies};
use crate::types::limits::TOKEN_BYTES_MAX;
use crate::types::{Class, Code, Error, Operation, Request, Response, Result, SecretString, Timestamp};
use arc_swap::ArcSwapOption;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Who sends requests: a token, and what was learned of it with earlier ones.
pub(crate) struct Caller {
    token: SecretString,
    known: ArcSwapOption<Known>,
}

/// What is known of a token, until a generation says that it is stale.
struct Known {
    live: Arc<LiveToken>,
    rules: Arc<CompiledPolicies>,
    policy_generation: u64,
    token_epoch: u64,
    /// The opening of the vault that it was learned in.
    opening: usize,
}

/// Where a request goes.
#[derive(Clone)]
enum Route<'p> {
    System(SystemPath<'p>),
    Engine(Arc<dyn Engine>, &'p str),
    Nowhere,
}

/// A request that has its route.
pub(super) struct Routed<'r> {
    core: &'r Core,
    request: &'r Request,
    route: Route<'r>,
    now: Timestamp,
}

/// A request whose caller is known.
pub(super) struct Authenticated<'r> {
    routed: Routed<'r>,
    caller: &'r Caller,
    known: Arc<Known>,
}

/// A request that policy allows, with the overlay on which that was found.
pub(super) struct Authorized<'s, 'r> {
    stage: &'s Authenticated<'r>,
    overlay: Overlay<'r>,
}

/// A request that was carried out on its overlay and is not yet committed.
pub(super) struct Executed<'s, 'r> {
    stage: &'s Authenticated<'r>,
    overlay: Overlay<'r>,
    done: Done,
}

/// A request that was carried out and is recorded.
pub(super) struct Recorded {
    pub(super) response: Response,
    pub(super) receipt: Receipt,
    pub(super) seals: bool,
}

impl Caller {
    pub(crate) fn new(token: SecretString) -> Self {
        Caller { token, known: ArcSwapOption::empty() }
    }
}

impl<'r> Routed<'r> {
    pub(super) fn new(core: &'r Core, request: &'r Request, now: Timestamp) -> Self {
        let path = request.path.as_str();
        let route = match SystemPath::parse(path) {
            Some(system) => Route::System(system),
            None => core.mounts.load().route(path).map_or(Route::Nowhere, |(engine, rest)| Route::Engine(engine, rest)),
        };
        Routed { core, request, route, now }
    }

    /// Finds out who asks. A token that is missing, malformed, unknown, expired or revoked has one and the same answer.
    pub(super) fn authenticate(self, caller: Option<&'r Caller>, event: &mut Event) -> Result<Authenticated<'r>> {
        let caller = caller.filter(|caller| caller.token.expose().len() <= TOKEN_BYTES_MAX).ok_or_else(Error::permission_denied)?;
        let known = match caller.known.load_full().filter(|known| known.is_fresh(self.core)) {
            Some(known) => known,
            None => {
                let known = Arc::new(Known::learn(self.core, caller)?);
                caller.known.store(Some(Arc::clone(&known)));
                known
            }
        };
        event.accessor = Some(known.live.entry.accessor.clone());
        event.display_name = Some(known.live.entry.display_name.clone());
        if !known.live.is_valid(self.now) {
            return Err(Error::permission_denied());
        }
        Ok(Authenticated { routed: self, caller, known })
    }
}

impl Known {
    fn learn(core: &Core, caller: &Caller) -> Result<Self> {
        // The generations are read first: what changes in between makes this stale at its next use.
        let (policy_generation, token_epoch) = (core.policies.generation(), core.tokens.epoch());
        let key = token::key_of(&core.barrier, caller.token.expose());
        let live = tokens::look_up(core, &key)?.ok_or_else(Error::permission_denied)?;
        let rules = core.policies.compiled(&live.entry.policies);
        Ok(Known { live, rules, policy_generation, token_epoch, opening: core.opening })
    }

    fn is_fresh(&self, core: &Core) -> bool {
        self.policy_generation == core.policies.generation() && self.token_epoch == core.tokens.epoch() && self.opening == core.opening
    }
}

impl<'r> Authenticated<'r> {
    fn request(&self) -> &'r Request {
        self.routed.request
    }

    /// Whether the request may change something, so that what it reads must still hold when it commits.
    pub(super) fn may_write(&self) -> bool {
        !matches!(self.request().operation, Operation::Read | Operation::List)
            && !matches!(self.routed.route, Route::System(SystemPath::AuditHash | SystemPath::CapabilitiesSelf | SystemPath::Seal))
    }

    /// Asks policy. For a write the existence of the target decides between create and update, and is remembered by the overlay.
    pub(super) fn authorize<'s>(&'s self, event: &mut Event) -> Result<Authorized<'s, 'r>> {
        let core = self.routed.core;
        let mut overlay = if self.may_write() { core.writing() } else { core.reading() };
        if self.may_write() && token::load(&mut overlay, &self.known.live.key)?.is_none() {
            // Revoked since it was authenticated; from here on its revocation would fail this request's commit.
            return Err(Error::permission_denied());
        }
        let operation = self.request().operation;
        let exists = match &self.routed.route {
            Route::Engine(engine, rest) if operation == Operation::Write => engine.exists(&mut overlay, rest),
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
        let stays_frozen = !matches!(self.routed.route, Route::System(path) if path.is_for_the_frozen());
        if self.may_write() && stays_frozen && core.frozen.load(Ordering::Acquire) {
            return Err(super::frozen());
        }
        exists?;
        Ok(Authorized { stage: self, overlay })
    }

    fn decide(&self, capability: Capability, event: &mut Event) -> Result<()> {
        let ruling = self.known.rules.decide(self.request().path.as_str(), capability);
        let needs_sudo = matches!(self.routed.route, Route::System(path) if path.is_root_protected());
        let lacks_sudo = needs_sudo && !ruling.has(Capability::Sudo);
        let allowed = ruling.allowed() && !lacks_sudo;
        event.decided = Some(Decided {
            capability: capability.name().to_owned(),
            allowed,
            rule: ruling.rule().map(str::to_owned),
            policy: ruling.policy().map(str::to_owned),
            line: ruling.line().map(u64::from),
            step: if ruling.allowed() && lacks_sudo { "sudo is required".to_owned() } else { ruling.step().to_owned() },
        });
        if allowed { Ok(()) } else { Err(Error::permission_denied()) }
    }
}

impl<'s, 'r> Authorized<'s, 'r> {
    /// Carries the request out on its overlay.
    pub(super) fn execute(mut self) -> Result<Executed<'s, 'r>> {
        let stage = self.stage;
        let (routed, request) = (&stage.routed, stage.request());
        let done = match &routed.route {
            Route::System(path) => {
                let ask = Ask {
                    core: routed.core,
                    caller: &stage.known.live,
                    rules: &stage.known.rules,
                    token: stage.caller.token.expose(),
                    full_path: request.path.as_str(),
                    data: request.data.as_ref(),
                    now: routed.now,
                };
                system::execute(&ask, &mut self.overlay, request.operation, *path)?
            }
            Route::Engine(engine, rest) => {
                let outcome = engine.execute(&mut self.overlay, request.operation, rest, request.data.as_ref(), routed.now)?;
                Done { data: outcome.data, version: outcome.version, ..Done::default() }
            }
            Route::Nowhere => return Err(Error::new(Code::NotFound, "no handler for route: nothing is mounted there")),
        };
        Ok(Executed { stage, overlay: self.overlay, done })
    }
}

impl Executed<'_, '_> {
    /// Commits the request with its event; a read's event is admitted.
    pub(super) fn record(self, event: &mut Event, strict: bool) -> Result<Recorded, CommitError> {
        let core = self.stage.routed.core;
        event.version = self.done.version;
        event.accessor_created = self.done.auth.as_ref().map(|auth| auth.accessor.clone());
        let receipt = if self.stage.may_write() {
            event.values = audit_log::hashed_values(core, self.stage.request().data.as_ref());
            let proposal = Proposal {
                writes: self.overlay.into_writes(),
                events: vec![event.clone()],
                publish: self.done.publish,
                adopts: self.done.adopts,
            };
            core.committer.commit(proposal)?
        } else {
            core.committer.admit(event, self.stage.routed.now, strict)?
        };
        let response = Response { request_id: event.request_id.clone(), data: self.done.data, auth: self.done.auth, ..Response::default() };
        Ok(Recorded { response, receipt, seals: self.done.seals })
    }
}
