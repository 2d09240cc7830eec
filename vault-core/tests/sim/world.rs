//! A vault over the simulated medium, with all that a story needs beside it; each step is carried out and compared with the model.

use super::ask::{Ask, CONNECTIONS, Deed, entity_name, policy_name, raw_key};
use super::coverage::Coverage;
use super::disk::{Death, Disk};
use super::host::{ADMIN, FROM_BEFORE, HOSTS, Hosts, host_of};
use super::ledger::Ledger;
use super::lent::{Books, ROLES, Sure};
use super::model::{Opener, State, TokenId};
use super::numbers::Numbers;
use super::outside::{Anchored, SimAnchor, Sink, millis};
use super::rules::{REPLICA_POLICY, REPLICA_RULES};
use super::story::{BEGINNING_SECONDS, HOLDERS, Planted, REPLICAS, Setting, Step};
use super::wal::WalStorage;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use vault_core::host::ManualClock;
use vault_core::storage::Storage;
use vault_core::types::{Code, Object, Operation, Response, SecretString, Timestamp, Ttl};
use vault_core::{AuditMode, Config, NewSeal, Session, UnsealKey, Vault};

/// Steps that a vault goes on with after a commit has failed, before it is reopened.
const STEPS_POISONED: u8 = 2;
/// Tokens that a story holds: one place among them stays empty.
const PLACES: usize = HOLDERS as usize + 1 + REPLICAS as usize;
/// States that may be possible at a time; more of them would say that the stories doubt too much.
const STATES_MAX: usize = 64;

/// What survives the process.
pub struct Ground {
    pub setting: Setting,
    pub disk: Arc<Disk>,
    pub clock: Arc<ManualClock>,
    pub rng: Arc<Numbers>,
    pub busy: Arc<AtomicBool>,
    pub sinks: Vec<Arc<Sink>>,
    pub anchor: Option<Arc<SimAnchor>>,
    pub hosts: Arc<Hosts>,
}

/// The process.
pub struct Live {
    pub storage: Arc<WalStorage>,
    pub vault: Vault,
    pub sessions: BTreeMap<TokenId, Session>,
    /// Steps since a commit has failed.
    pub poisoned: Option<u8>,
}

/// A token that the story holds.
#[derive(Clone)]
pub struct Held {
    pub secret: String,
    pub accessor: String,
}

/// A copy of the store, and what is known of it.
pub struct Copied {
    pub disk: Disk,
    pub commit: u64,
    pub opener: Opener,
}

pub struct World {
    pub ground: Ground,
    pub live: Option<Live>,
    /// Decides what the story leaves open.
    pub numbers: Numbers,
    /// The states that the vault may be in: one, but for what is in doubt.
    pub states: Vec<State>,
    pub ledger: Ledger,
    pub books: Books,
    pub tokens: BTreeMap<TokenId, Held>,
    holders: [Option<TokenId>; PLACES],
    /// Whose the tokens are that share accounts.
    pub entities: BTreeMap<TokenId, u8>,
    pub copied: Option<Copied>,
    /// How the machine dies that was told to die soon.
    pub death: Death,
    pub coverage: Coverage,
    pub steps: u64,
}

impl Ground {
    fn new(setting: Setting) -> Self {
        let clock = Arc::new(ManualClock::new(Timestamp::from_secs(BEGINNING_SECONDS)));
        let busy = Arc::new(AtomicBool::new(false));
        let sink = |number| Arc::new(Sink::new(&format!("sink-{number}"), Arc::clone(&clock), Arc::clone(&busy)));
        Ground {
            setting,
            disk: Arc::new(Disk::new(setting.seed)),
            rng: Arc::new(Numbers::new(!setting.seed)),
            sinks: (0..setting.sinks).map(sink).collect(),
            anchor: setting.anchor.map(|_| Arc::default()),
            hosts: Arc::new(Hosts::new(setting.seed ^ 0x7A67, Arc::clone(&clock))),
            clock,
            busy,
        }
    }

    fn fork(&self) -> Self {
        let clock = Arc::new(ManualClock::new(Timestamp::from_millis(millis(&self.clock))));
        let busy = Arc::new(AtomicBool::new(false));
        Ground {
            setting: self.setting,
            disk: Arc::new(self.disk.fork()),
            rng: Arc::new(self.rng.fork()),
            sinks: self.sinks.iter().map(|sink| Arc::new(sink.fork(Arc::clone(&clock), Arc::clone(&busy)))).collect(),
            anchor: self.anchor.as_ref().map(|anchor| Arc::new(anchor.fork())),
            hosts: Arc::new(self.hosts.fork(Arc::clone(&clock))),
            clock,
            busy,
        }
    }

    /// A vault on that storage, with the story's clock and randomness and nothing else of the outside.
    pub fn plain(&self, storage: &Arc<WalStorage>) -> Config {
        let mode = if self.setting.strict { AuditMode::Strict } else { AuditMode::Batched };
        let config = Config::on(storage.clone()).with_audit_tail_bytes(self.setting.tail_bytes).with_audit_mode(mode);
        config.with_clock(self.clock.clone()).with_rng(self.rng.clone())
    }

    /// As above, with its anchor.
    pub fn anchored(&self, storage: &Arc<WalStorage>) -> Config {
        let Some(anchor) = &self.anchor else { return self.plain(storage) };
        *anchor.storage.lock() = Arc::downgrade(storage);
        self.plain(storage).with_anchor(anchor.clone(), Ttl::from_secs(self.setting.anchor.unwrap_or_default()))
    }

    /// As above, with its sinks and its target systems.
    pub fn config(&self, storage: &Arc<WalStorage>) -> Config {
        *self.hosts.disk.lock() = Arc::downgrade(&self.disk);
        let config = self.anchored(storage).with_connector(self.hosts.clone());
        self.sinks.iter().fold(config, |config, sink| config.with_audit_sink(sink.clone()))
    }

    /// Whether a target system did otherwise in this step than it should.
    pub fn is_troubled(&self) -> bool {
        self.hosts.is_troubled()
    }

    /// Whether the vault was let tick in this step while a target took its time.
    pub fn has_ticked(&self) -> bool {
        self.hosts.has_ticked()
    }

    pub fn planted(&self, storage: WalStorage) -> Arc<WalStorage> {
        let every = if let Planted::Unsynced(every) = self.setting.planted { Some(every) } else { None };
        Arc::new(storage.forgetting(every))
    }
}

impl World {
    pub fn new(setting: Setting) -> Self {
        let ground = Ground::new(setting);
        let storage = ground.planted(WalStorage::create(Arc::clone(&ground.disk)).expect("a new store"));
        let seal = NewSeal::raw_key(&raw_key(0)).expect("32 bytes");
        let (vault, init) = Vault::create(ground.config(&storage), seal).expect("a new vault");
        let root = Held { secret: init.root_token.expose().to_owned(), accessor: String::new() };
        let mut world = World {
            ground,
            live: None,
            numbers: Numbers::new(setting.seed ^ 0xA5A5),
            states: vec![State::new(setting.planted == Planted::Lenient)],
            ledger: Ledger::default(),
            books: Books { connected: vec![Sure::No; HOSTS], enrolled: vec![Sure::No; 2], ..Books::default() },
            tokens: [(0, root)].into(),
            holders: [None; PLACES],
            entities: BTreeMap::new(),
            copied: None,
            death: Death::Kill,
            coverage: Coverage::default(),
            steps: 0,
        };
        world.holders[0] = Some(0);
        world.begin_life(storage, vault);
        let accessor = world.root().tokens().lookup_self().expect("the root token is valid").accessor;
        world.tokens.get_mut(&0).expect("the root token").accessor = accessor;
        if setting.lends {
            world.lay_out_accounts();
        }
        world
    }

    /// A mount, a connection to each target system, a role at each; and in every other story static roles.
    fn lay_out_accounts(&mut self) {
        let root = self.root();
        let write = |path: &str, body: Object| root.request(Operation::Write, path, Some(body.into())).expect("a new vault takes it");
        write("sys/mounts/database", Object::new().with("type", "database"));
        for role in &ROLES {
            let times = Object::new().with("default_ttl", role.ttl_seconds).with("max_ttl", role.max_seconds);
            let body = times.with("db_name", CONNECTIONS[role.host]).with("creation_statements", vec!["CREATE {{name}}"]);
            let body = if role.is_shared { body.with("credential_sharing", "entity") } else { body };
            write(&format!("database/roles/{}", role.name), body);
        }
        for name in (0..2).map(entity_name) {
            let made = write("identity/entity", Object::new().with("name", name.as_str()));
            let id = made.data.as_ref().and_then(|data| data.get("id")).expect("an id").clone();
            let alias = Object::new().with("name", name).with("canonical_id", id).with("mount_accessor", "auth_token");
            write("identity/entity-alias", alias);
        }
        let replica = Object::new().with("allowed_entity_aliases", "*").with("allowed_policies", policy_name(REPLICA_POLICY));
        write("auth/token/roles/replica", replica.with("token_no_default_policy", true));
        self.ask(Some(0), &Ask::WritePolicy { name: REPLICA_POLICY, rules: REPLICA_RULES.to_vec() }, u64::MAX).expect("a policy");
        let mut asks: Vec<Ask> = (0..2).map(|host| Ask::Connect { host, password: FROM_BEFORE.to_owned() }).collect();
        if self.numbers.once_in(2) {
            asks.extend((0..2).map(|role| Ask::Enrol { role }));
        }
        asks.iter().for_each(|ask| drop(self.ask(Some(0), ask, u64::MAX)));
    }

    /// The same world once more, without its process: to try something else on.
    pub fn fork(&self) -> Self {
        assert!(self.live.is_none(), "a process cannot be copied");
        World {
            ground: self.ground.fork(),
            live: None,
            numbers: self.numbers.fork(),
            states: self.states.clone(),
            ledger: self.ledger.clone(),
            books: self.books.clone(),
            tokens: self.tokens.clone(),
            holders: self.holders,
            entities: self.entities.clone(),
            copied: None,
            death: self.death,
            coverage: Coverage::default(),
            steps: self.steps,
        }
    }

    /// A process has the vault open.
    pub fn begin_life(&mut self, storage: Arc<WalStorage>, vault: Vault) {
        let session = |held: &Held| vault.session(SecretString::copy_from(&held.secret));
        let sessions = self.tokens.iter().map(|(id, held)| (*id, session(held))).collect();
        for sink in &self.ground.sinks {
            let root = session(&self.tokens[&0]);
            *sink.meanwhile.lock() = Some(Box::new(move || {
                let outcome = root.request(Operation::Read, "auth/token/lookup-self", None);
                // A medium or an anchor that fails is told by the request; the sink must not be.
                let failed = outcome.err().map(|error| error.code()).filter(|code| !is_failure(*code));
                assert_eq!(failed, None, "a request failed while a sink stalled");
            }));
        }
        let (other, busy) = (vault.clone(), Arc::clone(&self.ground.busy));
        *self.ground.hosts.meanwhile.lock() = Some(Box::new(move || {
            // Another thread's: sinks may be called by it. Where it fails the request that goes on meets the same.
            let was_busy = busy.swap(false, Ordering::Relaxed);
            let _outcome = other.tick();
            busy.store(was_busy, Ordering::Relaxed);
        }));
        self.live = Some(Live { storage, vault, sessions, poisoned: None });
    }

    pub fn live(&self) -> &Live {
        self.live.as_ref().expect("a process")
    }

    pub fn root(&self) -> Session {
        self.live().sessions[&0].clone()
    }

    pub fn now(&self) -> u64 {
        millis(&self.ground.clock)
    }

    /// Carries a step out; then what has died, or has been poisoned for a while, is reopened.
    pub fn apply(&mut self, step: &Step) {
        self.apply_without_recovery(step);
        self.look_after();
        self.check_accounts();
    }

    /// Carries a step out, and leaves what has died as it is.
    pub fn apply_without_recovery(&mut self, step: &Step) {
        self.steps += 1;
        self.coverage.hit(step.name());
        self.ground.disk.forget_struck();
        self.ground.hosts.begin_step();
        self.ground.anchor.iter().for_each(|anchor| anchor.failures.store(0, Ordering::Relaxed));
        match step {
            Step::Ask { who, fresh, ask } => self.ask_by(*who, *fresh, ask),
            Step::Forward { millis } => self.ground.clock.set(Timestamp::from_millis(self.now() + millis)),
            Step::SetClock { seconds } => self.ground.clock.set(Timestamp::from_secs(*seconds)),
            Step::Tick => {
                self.tick();
            }
            Step::Host { number, mood } => self.ground.hosts.set(usize::from(*number), *mood),
            Step::Lease { who, which, deed } => self.about_lease(*who, *which, *deed),
            Step::Connect { host } => {
                // What the vault knew of the account went with a connection that was deleted: whoever writes another one waits for what it may have
                // left under way.
                if !self.is_connected(*host) {
                    self.ground.hosts.let_all_arrive();
                }
                let password = self.ground.hosts.accounts(usize::from(*host))[ADMIN].password.clone();
                self.ask_by(0, false, &Ask::Connect { host: *host, password });
            }
            Step::Calm => self.calm(),
            Step::Seal => self.seal(),
            Step::Rekey { keep } => self.rekey(*keep),
            Step::RemoveSlot => self.remove_slot(),
            Step::Sink { number, mood } => self.ground.sinks.get(usize::from(*number)).into_iter().for_each(|sink| sink.set(*mood)),
            Step::Anchor(fault) => self.ground.anchor.iter().for_each(|anchor| anchor.fail(Some(*fault))),
            Step::Fails { fault, after } => self.ground.disk.fault(*fault, *after),
            Step::Full { room } => self.ground.disk.set_room(Some(*room)),
            Step::Room => self.ground.disk.set_room(None),
            Step::Dies(dies) => {
                self.ground.disk.doom(Some(self.doom_of(*dies)));
                self.death = dies.death;
            }
            Step::Crash { death, again } => self.crash(*death, *again),
            Step::Close => self.close(),
            Step::Copy => self.copy(),
            Step::PutBack => self.put_back(),
            Step::Move { dies } => self.move_elsewhere(*dies),
        }
    }

    fn look_after(&mut self) {
        if self.ground.disk.is_dead() {
            self.coverage.hit("outcome: died in the middle of a step");
            self.crash(self.death, None);
        }
        let Some(live) = self.live.as_mut() else { return };
        if let Some(steps) = live.poisoned.as_mut() {
            *steps += 1;
            if *steps > STEPS_POISONED {
                self.coverage.hit("outcome: reopened after a failed commit");
                self.crash(Death::Kill, None);
            }
        }
    }

    fn about_lease(&mut self, who: u8, which: u8, deed: Deed) {
        let at = self.books.lent.len().checked_sub(usize::from(which) + 1);
        if let Some(id) = at.map(|at| self.books.lent[at].id.clone()) {
            self.ask_by(who, false, &Ask::Lease { deed, id });
        }
    }

    /// Whether a connection to a target system is configured, as the records tell it.
    pub fn is_connected(&mut self, host: u8) -> bool {
        let known = self.known();
        known.is_some_and(|known| known.connections.iter().any(|connection| host_of(&connection.config) == usize::from(host)))
    }

    fn ask_by(&mut self, who: u8, fresh: bool, ask: &Ask) {
        let token = self.holders.get(usize::from(who)).copied().flatten();
        if let (Some(token), true) = (token, fresh) {
            let session = self.live().vault.session(SecretString::copy_from(&self.tokens[&token].secret));
            self.live.as_mut().expect("a process").sessions.insert(token, session);
        }
        let made = self.tokens.keys().next_back().map_or(1, |last| last + 1);
        let outcome = self.ask(token, ask, made);
        if let Ask::MakeReplica { entity, .. } = ask {
            self.entities.insert(made, *entity);
        }
        if let (Ask::MakeToken { slot, .. } | Ask::MakeReplica { slot, .. }, Ok(Response { auth: Some(auth), .. })) = (ask, &outcome) {
            let held = Held { secret: auth.client_token.expose().to_owned(), accessor: auth.accessor.clone() };
            let session = self.live().vault.session(SecretString::copy_from(&held.secret));
            self.live.as_mut().expect("a process").sessions.insert(made, session);
            self.tokens.insert(made, held);
            self.holders[usize::from(*slot)] = Some(made);
        }
    }

    /// A call has failed: something must have gone wrong below, or it is the vault's fault.
    pub fn failed(&mut self, code: Code, what: &str) {
        let anchor_failed = self.ground.anchor.as_ref().is_some_and(|anchor| anchor.has_failed());
        let struck = self.ground.disk.struck();
        struck.iter().for_each(|fault| self.coverage.hit(format!("fault: {fault}")));
        // Once a commit has failed everything does, until the vault is reopened.
        let known = code == Code::Poisoned && self.live.as_ref().is_some_and(|live| live.poisoned.is_some());
        let excused = if code == Code::AnchorFailed { anchor_failed } else { known || !struck.is_empty() || self.ground.disk.is_dead() };
        assert!(is_failure(code) && excused, "{what} failed with {code:?}, and nothing had gone wrong");
        if let Some(live) = self.live.as_mut().filter(|_| code == Code::Poisoned) {
            live.poisoned.get_or_insert(0);
        }
    }

    /// What was under way is written or not. Only the first failure may be: afterwards nothing is written.
    pub fn in_doubt(&mut self, applied: Vec<State>) {
        if self.live.as_ref().is_some_and(|live| live.poisoned.is_some_and(|steps| steps > 0)) {
            return;
        }
        self.states.extend(applied);
        self.simplify();
    }

    pub fn simplify(&mut self) {
        let mut states: Vec<State> = Vec::new();
        for state in self.states.drain(..) {
            if !states.contains(&state) {
                states.push(state);
            }
        }
        assert!((1..=STATES_MAX).contains(&states.len()), "{} states are possible", states.len());
        self.states = states;
    }

    /// Lets the vault tick; whether it is through with all that was due.
    pub fn tick(&mut self) -> bool {
        let (now, before, asked) = (self.now(), self.live().storage.commit_number(), self.ledger.len());
        let outcome = self.live().vault.tick();
        self.let_tick();
        if self.live().storage.commit_number() > before {
            self.ledger.committed(asked, now);
        }
        let mut applied = self.states.clone();
        applied.iter_mut().for_each(|state| state.expire(now));
        match outcome {
            Ok(_) => self.states = applied,
            Err(ref error) => {
                self.failed(error.code(), "a tick");
                self.in_doubt(applied);
            }
        }
        self.simplify();
        // One that wants to be called again at once is not through with what is over.
        let is_through = outcome.as_ref().is_ok_and(|next| next.is_none_or(|next| next.as_millis() > now));
        self.leases_ticked(now, is_through);
        is_through
    }

    /// A key of a slot that is there in every possible state, with the slot's number.
    pub fn key(&self) -> (u32, UnsealKey) {
        let openers: Vec<(u32, Opener)> = self.openers();
        let (id, opener) = self.numbers.pick(&openers);
        (*id, unseal_key(opener))
    }

    /// The slots that open in every possible state.
    pub fn openers(&self) -> Vec<(u32, Opener)> {
        let (first, others) = self.states.split_first().expect("a state");
        let everywhere =
            |id: &u32| others.iter().all(|state| state.slots.get(id).map(|slot| &slot.opener) == Some(&first.slots[id].opener));
        let slots = first.slots.iter().filter(|(id, slot)| slot.opener != Opener::Unseen && everywhere(id));
        slots.map(|(id, slot)| (*id, slot.opener.clone())).collect()
    }

    /// Where the anchor stands, if there is one.
    pub fn anchored(&self) -> Option<Anchored> {
        self.ground.anchor.as_ref().map(|anchor| anchor.state())
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.ground.disk.die();
        self.end_life();
    }
}

pub fn unseal_key(opener: &Opener) -> UnsealKey {
    match opener {
        Opener::Raw(number) => UnsealKey::raw_key(&raw_key(*number)).expect("32 bytes"),
        Opener::Shares(shares) => UnsealKey::shares(shares.iter().map(String::as_str)).expect("shares"),
        Opener::Unseen => unreachable!("nobody knows them"),
    }
}

/// Whether the vault failed, rather than answered.
pub fn is_failure(code: Code) -> bool {
    matches!(code, Code::Poisoned | Code::Unavailable | Code::NoSpace | Code::AnchorFailed)
}
