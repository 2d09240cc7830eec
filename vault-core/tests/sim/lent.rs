//! What the story was lent, and what must become of it: a plain model of leases and static roles beside that of secrets and tokens.

use super::ask::{Ask, Deed};
use super::model::{Answer, State, TokenId};
use super::world::{World, is_failure};
use std::collections::{BTreeMap, BTreeSet};
use vault_core::types::{Code, Error, Response, Result, Timestamp, Value};

/// The dynamic roles: the target system that each is at, and its times in seconds.
pub const ROLES: [LentBy; 3] = [
    LentBy { name: "r0", host: 0, ttl_seconds: 3_600, max_seconds: 86_400, is_shared: false },
    LentBy { name: "r1", host: 1, ttl_seconds: 600, max_seconds: 3_600, is_shared: false },
    LentBy { name: "s0", host: 0, ttl_seconds: 1_800, max_seconds: 7_200, is_shared: true },
];
/// The one whose accounts the tokens of an entity share.
pub const SHARED_ROLE: u8 = 2;

/// A role, as the vault was told.
pub struct LentBy {
    pub name: &'static str,
    pub host: usize,
    pub ttl_seconds: u64,
    pub max_seconds: u64,
    pub is_shared: bool,
}

/// What is known of something that may have changed when the vault failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sure {
    No,
    Maybe,
    Yes,
}

/// A lease that was answered as granted.
#[derive(Clone, Debug)]
pub struct Lent {
    pub id: String,
    pub username: String,
    pub password: String,
    role: usize,
    holder: TokenId,
    /// What it was granted where nothing was asked for, in seconds.
    ttl: u64,
    /// The end that no renewal goes past, in milliseconds.
    latest: u64,
    /// When it ends: one instant, but for renewals that are in doubt.
    ends: Vec<u64>,
    over: Sure,
}

/// All of it.
#[derive(Clone, Default)]
pub struct Books {
    pub lent: Vec<Lent>,
    /// Whether a connection is configured.
    pub connected: Vec<Sure>,
    /// Whether a static role is there.
    pub enrolled: Vec<Sure>,
    /// A connection's own password may be another one than the vault uses.
    pub uneasy: bool,
    /// Leases whose records were seen, with their accounts' names, and those of them that are gone.
    pub seen: BTreeMap<String, String>,
    pub gone: BTreeSet<String>,
    /// When each account was first known, in milliseconds.
    pub births: BTreeMap<String, u64>,
    /// The live leases of each account, with their ends, as they were after the step before.
    pub active: BTreeMap<String, Vec<(String, u64)>>,
    /// Accounts of which no lease was live any more.
    pub closed: BTreeSet<String>,
}

impl Lent {
    /// Whether it must hold, must not, or may.
    fn holds(&self, states: &[State], now: u64) -> Sure {
        let latest = self.ends.iter().max().copied().unwrap_or_default();
        let earliest = self.ends.iter().min().copied().unwrap_or_default();
        let valid = |state: &State| state.is_valid(self.holder, now);
        if self.over == Sure::Yes || now >= latest || !states.iter().any(valid) {
            Sure::No
        } else if self.over == Sure::Maybe || now >= earliest || !states.iter().all(valid) {
            Sure::Maybe
        } else {
            Sure::Yes
        }
    }

    fn host(&self) -> usize {
        ROLES[self.role].host
    }
}

/// A role of the books, by its number.
fn role_of(number: u8) -> (usize, &'static LentBy) {
    let number = usize::from(number) % ROLES.len();
    (number, &ROLES[number])
}

impl World {
    /// The vault has been let tick at that time, successfully or not: what was over by then has ended, or may have.
    pub fn leases_ticked(&mut self, now: u64, succeeded: bool) {
        for lent in self.books.lent.iter_mut().filter(|lent| lent.over != Sure::Yes) {
            match lent.holds(&self.states, now) {
                Sure::Yes => {}
                Sure::No if succeeded => lent.over = Sure::Yes,
                Sure::No | Sure::Maybe => lent.over = Sure::Maybe,
            }
        }
    }

    /// Whether a lease holds by the books, for who settles.
    pub fn must_hold(&self, lent: &Lent) -> bool {
        lent.holds(&self.states, self.now()) == Sure::Yes
    }

    /// Judges the answer to a request of accounts: the states that agree stay, and the books learn of it.
    pub fn judge_lending(&mut self, token: Option<TokenId>, ask: &Ask, now: u64, answers: &[Answer], outcome: &Result<Response>) {
        let may: Vec<bool> = answers.iter().map(|answer| !matches!(answer, Answer::Refused(Code::PermissionDenied, _))).collect();
        let code = outcome.as_ref().err().map(Error::code);
        match code {
            Some(code) if is_failure(code) => {
                self.failed(code, ask.name());
                return self.lending_in_doubt(ask, now);
            }
            // The machine died while a target was asked: nobody heard what came of it.
            Some(_) if self.ground.disk.is_dead() => return self.lending_in_doubt(ask, now),
            Some(Code::PermissionDenied) => {
                let (now, slow) = (self.now(), self.now() > now);
                let ended = |state: &State| token.is_none_or(|id| !state.is_valid(id, now));
                let keeps: Vec<bool> =
                    may.iter().zip(&self.states).map(|(may, state)| !may || (slow && (self.ground.has_ticked() || ended(state)))).collect();
                self.keep(&keeps, ask, outcome);
                // The request may have begun what its token's end left to be undone.
                return;
            }
            _ => self.keep(&may, ask, outcome),
        }
        if matches!(ask, Ask::EndLeases { .. }) || self.ground.has_ticked() {
            self.note_unsaid_failure();
        }
        let is_free = self.ground.is_troubled() || self.ground.has_ticked() || self.books.uneasy;
        match ask {
            Ask::Creds { role } => self.judge_creds(*role, token.unwrap_or_default(), now, is_free, outcome),
            Ask::Lease { deed, id } => self.judge_lease(*deed, id, now, is_free, outcome),
            Ask::EndLeases { role, .. } => {
                assert_eq!(code, None, "ending leases by prefix was refused");
                let prefix = format!("database/creds/{}", role.map_or(String::new(), |role| role_of(role).1.name.to_owned() + "/"));
                self.books.lent.iter_mut().filter(|lent| lent.id.starts_with(&prefix)).for_each(|lent| lent.over = Sure::Yes);
            }
            Ask::Connect { host, .. } => {
                assert!(code.is_none() || is_free, "a connection was refused: {code:?}");
                if code.is_none() {
                    self.books.connected[usize::from(*host)] = Sure::Yes;
                }
            }
            Ask::Disconnect { host } if code.is_none() => self.disconnected(usize::from(*host), Sure::No, Sure::Yes),
            Ask::Enrol { role } => {
                let known = self.books.enrolled[usize::from(*role)];
                assert!(code.is_none() || is_free || self.books.connected[0] != Sure::Yes, "a static role was refused: {code:?}");
                match code {
                    None | Some(Code::RotationPending | Code::RotationStuck) => self.books.enrolled[usize::from(*role)] = Sure::Yes,
                    // What the target has refused for sure leaves no new role; but another one asks what it has once more.
                    _ if known == Sure::No => {}
                    _ => self.books.enrolled[usize::from(*role)] = Sure::Maybe,
                }
            }
            Ask::StaticCreds { role } => self.judge_static_creds(usize::from(*role), outcome),
            Ask::RotateRoot { .. } if code.is_some() => self.books.uneasy = true,
            _ => {}
        }
    }

    /// What came after the commit of a request, or beside it, may have failed without its answer saying so: everything does then.
    fn note_unsaid_failure(&mut self) {
        let has_failed = self.ground.disk.struck().iter().any(|fault| *fault != "a read failed");
        if let Some(live) = self.live.as_mut().filter(|_| has_failed) {
            live.poisoned.get_or_insert(0);
        }
    }

    /// Keeps of the possible states those that would have answered so.
    fn keep(&mut self, keeps: &[bool], ask: &Ask, outcome: &Result<Response>) {
        assert!(keeps.contains(&true), "{}: the answer is {:?}, which no state gives", ask.name(), outcome.as_ref().err());
        let mut keeps = keeps.iter();
        self.states.retain(|_| *keeps.next().expect("one for each state"));
    }

    /// The vault has failed in the middle of it.
    fn lending_in_doubt(&mut self, ask: &Ask, now: u64) {
        match ask {
            Ask::Lease { deed: Deed::Renew { increment }, id } => {
                let Some(at) = self.books.lent.iter().position(|lent| lent.id == *id) else { return };
                let ends = self.renewed_ends(at, *increment, now);
                self.books.lent[at].ends.extend(ends);
            }
            Ask::Lease { deed: Deed::Revoke { .. }, id } => self.may_be_over(|lent| lent.id == *id),
            Ask::EndLeases { .. } => self.may_be_over(|_| true),
            Ask::Connect { host, .. } => self.books.connected[usize::from(*host)] = Sure::Maybe,
            Ask::Disconnect { host } => self.disconnected(usize::from(*host), Sure::Maybe, Sure::Maybe),
            Ask::Enrol { role } => self.books.enrolled[usize::from(*role)] = Sure::Maybe,
            Ask::RotateRoot { .. } => self.books.uneasy = true,
            _ => {}
        }
    }

    fn may_be_over(&mut self, which: impl Fn(&Lent) -> bool) {
        for lent in self.books.lent.iter_mut().filter(|lent| which(lent) && lent.over == Sure::No) {
            lent.over = Sure::Maybe;
        }
    }

    fn disconnected(&mut self, host: usize, connected: Sure, over: Sure) {
        self.books.connected[host] = connected;
        for lent in self.books.lent.iter_mut().filter(|lent| lent.host() == host && lent.over != Sure::Yes) {
            lent.over = over;
        }
    }

    fn judge_creds(&mut self, role: u8, holder: TokenId, now: u64, is_free: bool, outcome: &Result<Response>) {
        let (role, by) = role_of(role);
        let entity = self.entities.get(&holder).copied();
        // An account of which the target has said what is not so is joined in vain.
        let is_free = is_free || by.is_shared && (entity.is_none() || self.has_excused(role));
        let response = match outcome {
            Ok(response) => response,
            Err(error) => {
                let must = self.books.connected[by.host] == Sure::Yes && !is_free;
                assert!(!must, "credentials were refused, and nothing is wrong: {error}");
                if error.code() == Code::EntityRequired {
                    assert!(by.is_shared && entity.is_none(), "a token of an entity is told that it is of none");
                    self.coverage.hit("lease: no entity shares it");
                }
                return;
            }
        };
        assert!(!by.is_shared || entity.is_some(), "a token of no entity has an account that is shared");
        assert_ne!(self.books.connected[by.host], Sure::No, "credentials without a connection");
        self.books.connected[by.host] = Sure::Yes;
        let text = |name| response.data.as_ref().and_then(|data| data.get(name)).and_then(Value::as_str).unwrap_or_default().to_owned();
        let (id, username) = (response.lease_id.clone(), text("username"));
        let Some(known) = self.known() else { return };
        let lease = known.leases.iter().find(|lease| lease.id == id);
        if self.ground.has_ticked() && lease.is_none() {
            return;
        }
        let lease = lease.expect("a lease that was answered has a record");
        let (end, latest) = (lease.expires.as_millis(), lease.latest_end.as_millis());
        let ttl = by.ttl_seconds.min(latest.saturating_sub(now) / 1000);
        let ends: Vec<u64> = self.states.iter().map(|state| self.capped(state, holder, now + ttl * 1000)).collect();
        assert!(by.is_shared || latest == now + by.max_seconds * 1000, "a lease has another maximum than its role");
        assert!(ends.contains(&end), "a lease ends at {end}, and the model says {ends:?}");
        assert!(
            response.lease_duration.as_secs() * 1000 <= end.saturating_sub(self.now()) + 999,
            "a lease was answered as longer than it is"
        );
        if by.is_shared {
            self.judge_shared(&username, &text("password"), entity, now);
        }
        self.books.lent.push(Lent { latest, ttl, password: text("password"), ends: vec![end], over: Sure::No, id, username, role, holder });
        self.coverage.hit("lease: granted");
    }

    /// An account that others have: it is the same for all of one entity, was not closed, and is no older than its role lets it be.
    fn judge_shared(&mut self, username: &str, password: &str, entity: Option<u8>, now: u64) {
        assert!(!self.books.closed.contains(username), "an account is handed out that was closed");
        let others: Vec<&Lent> = self.books.lent.iter().filter(|lent| lent.username == username).collect();
        for other in &others {
            assert_eq!(self.entities.get(&other.holder).copied(), entity, "two entities share an account");
            assert_eq!(other.password, password, "one account has two passwords");
        }
        let holds = |(id, end): &(String, u64)| {
            self.books.lent.iter().find(|lent| lent.id == *id).map_or(now < *end, |lent| lent.holds(&self.states, now) != Sure::No)
        };
        match self.books.active.get(username) {
            Some(active) => {
                assert!(active.iter().any(holds), "an account is handed out of which no lease holds");
                self.coverage.hit("lease: joined an account");
            }
            None => self.coverage.hit("lease: a new account that is shared"),
        }
    }

    fn has_excused(&self, role: usize) -> bool {
        self.books.lent.iter().any(|lent| lent.role == role && self.ground.hosts.is_excused(&lent.username))
    }

    /// No lease outlasts the token that holds it.
    fn capped(&self, state: &State, holder: TokenId, end: u64) -> u64 {
        state.end_of(holder).map_or(end, |token_ends| end.min(token_ends))
    }

    fn renewed_ends(&self, at: usize, increment: u64, now: u64) -> Vec<u64> {
        let lent = &self.books.lent[at];
        let seconds = if increment == 0 { lent.ttl } else { increment };
        self.states.iter().map(|state| self.capped(state, lent.holder, (now + seconds * 1000).min(lent.latest))).collect()
    }

    fn judge_lease(&mut self, deed: Deed, id: &str, now: u64, is_free: bool, outcome: &Result<Response>) {
        let Some(at) = self.books.lent.iter().position(|lent| lent.id == id) else { return };
        let lent = self.books.lent[at].clone();
        // Without a connection nobody tells the vault a password that was changed since the account's own was deleted.
        let is_connected = self.books.connected[lent.host()] == Sure::Yes;
        let is_free = is_free || !is_connected || self.ground.hosts.is_excused(&lent.username);
        let (before, after) = (lent.holds(&self.states, now), lent.holds(&self.states, self.now()));
        let code = outcome.as_ref().err().map(Error::code);
        if let Deed::Revoke { .. } = deed {
            assert!(code.is_none() || (code == Some(Code::RevocationPending) && is_free), "revoking a lease was refused: {code:?}");
            self.books.lent[at].over = Sure::Yes;
            return;
        }
        match code {
            Some(Code::LeaseEnded | Code::InvalidRequest) => {
                let may = before != Sure::Yes || (deed != Deed::LookUp && (after != Sure::Yes || self.ground.has_ticked()));
                assert!(may, "{deed:?}: a lease is over that was granted: {lent:?}");
                let is_gone = code == Some(Code::InvalidRequest);
                let by_time = now >= lent.ends.iter().min().copied().unwrap_or_default();
                let by_token = !self.states.iter().all(|state| state.is_valid(lent.holder, now));
                if is_gone || (deed == Deed::LookUp && !by_time && !by_token) {
                    self.books.lent[at].over = Sure::Yes;
                }
                self.coverage.hit("lease: is over");
            }
            Some(code) => {
                let target = matches!(code, Code::TargetUnavailable | Code::TargetRefused | Code::Conflict);
                assert!(deed != Deed::LookUp && target && is_free, "{deed:?}: a lease was refused: {code:?}");
            }
            None => {
                assert_ne!(before, Sure::No, "{deed:?}: a lease holds that has ended: {lent:?}");
                let ends = if let Deed::Renew { increment } = deed { self.renewed_ends(at, increment, now) } else { lent.ends.clone() };
                let Some(known) = self.known() else { return };
                let Some(lease) = known.leases.iter().find(|lease| lease.id == id) else {
                    assert!(self.ground.has_ticked(), "a lease that holds has no record");
                    return;
                };
                let end = lease.expires.as_millis();
                assert!(ends.contains(&end), "{deed:?}: a lease ends at {end}, and the model says {ends:?}");
                let shown = outcome.as_ref().ok().and_then(|response| response.data.as_ref()).and_then(|data| data.get("expire_time"));
                let text = Timestamp::from_millis(end).to_string();
                assert!(deed != Deed::LookUp || shown.and_then(Value::as_str) == Some(&text), "a lookup shows another end than the record");
                let lent = &mut self.books.lent[at];
                lent.ends = vec![end];
                if !self.ground.has_ticked() {
                    lent.over = Sure::No;
                }
                self.coverage.hit(if deed == Deed::LookUp { "lease: holds" } else { "lease: renewed" });
            }
        }
    }

    fn judge_static_creds(&mut self, role: usize, outcome: &Result<Response>) {
        match outcome {
            Ok(response) => {
                assert_ne!(self.books.enrolled[role], Sure::No, "credentials of a static role that is not there");
                self.books.enrolled[role] = Sure::Yes;
                let text = |name| response.data.as_ref().and_then(|data| data.get(name)).and_then(Value::as_str).unwrap_or_default();
                let there = self.ground.hosts.accounts(0);
                let works = there.get(text("username")).is_some_and(|kept| kept.password == text("password"));
                // The one of a single account is replaced at the target before it is here.
                let must = role == 1 && !self.ground.hosts.is_excused(text("username"));
                assert!(works || !must, "of two accounts the one that is handed out does not work");
                self.coverage.hit("static role: read");
            }
            Err(error) => {
                let why = error.code();
                let missing = matches!(why, Code::NotFound | Code::InvalidRequest);
                assert!(!missing || self.books.enrolled[role] != Sure::Yes, "a static role is gone: {error}");
                assert!(missing || why == Code::RotationPending || why == Code::RotationStuck, "a static role answers {error}");
            }
        }
    }
}
