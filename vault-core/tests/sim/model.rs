//! The plain model beside the vault: what must be there, who may do what, and what each request must answer.

use super::ask::{Ask, At, FOLDERS, Fate, KEYS, policy_name};
use super::rules::{DEFAULT_RULES, REPLICA_POLICY, Rule, allows, text_of};
use std::collections::{BTreeMap, BTreeSet};
use vault_core::types::{Code, Object, Timestamp, Value};

/// A token of the story; 0 is the root token.
pub type TokenId = u64;

const VERSIONS_MAX: usize = 10;
const TTL_SECONDS_MAX: u64 = 768 * 3600;

/// What a request must answer.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// Exactly these data, or none.
    Data(Option<Value>),
    /// At least these members.
    Members(Object),
    /// A token of these policies that lasts so many seconds.
    Token(Vec<String>, u64),
    /// Success or a refusal of the request: what decides is not of the model.
    Loose,
    Refused(Code, Option<Value>),
    /// It may be asked for; what is answered the books of accounts say.
    Elsewhere,
}

/// What opens a slot, as far as anybody knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Opener {
    Raw(u8),
    Shares(Vec<String>),
    /// Shares whose answer never came.
    Unseen,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slot {
    pub opener: Opener,
    pub superseded_by: Option<u32>,
}

#[derive(Clone, Debug, PartialEq)]
struct Version {
    number: u64,
    created: u64,
    deleted: u64,
    destroyed: bool,
    value: u64,
}

#[derive(Clone, Debug, PartialEq)]
struct Secret {
    created: u64,
    updated: u64,
    current: u64,
    versions: Vec<Version>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Token {
    pub policies: Vec<String>,
    /// Milliseconds; 0 when it does not expire.
    expires: u64,
    parent: Option<TokenId>,
}

/// A state that the vault may be in.
#[derive(Clone, Debug, PartialEq)]
pub struct State {
    mounts: BTreeSet<u8>,
    secrets: BTreeMap<At, Secret>,
    policies: BTreeMap<u8, Vec<Rule>>,
    pub tokens: BTreeMap<TokenId, Token>,
    pub slots: BTreeMap<u32, Slot>,
    next_slot: u32,
    /// The planted bug of a model that disagrees.
    lenient: bool,
}

impl State {
    /// A new vault: the mount `secret/`, the root token, one slot.
    pub fn new(lenient: bool) -> Self {
        let root = Token { policies: vec!["root".to_owned()], expires: 0, parent: None };
        State {
            mounts: [0].into(),
            secrets: BTreeMap::new(),
            policies: BTreeMap::new(),
            tokens: [(0, root)].into(),
            slots: [(1, Slot { opener: Opener::Raw(0), superseded_by: None })].into(),
            next_slot: 2,
            lenient,
        }
    }

    /// What this request must answer, and the state afterwards. `made` is the token that it would make.
    pub fn answer(&mut self, who: Option<TokenId>, ask: &Ask, now: u64, made: TokenId) -> Answer {
        let Some(caller) = who.filter(|id| self.is_valid(*id, now)).map(|id| (id, self.tokens[&id].clone())) else {
            return Answer::Refused(Code::PermissionDenied, None);
        };
        if !self.allows(&caller.1, ask, ask.needs_sudo()) {
            return Answer::Refused(Code::PermissionDenied, None);
        }
        match ask {
            Ask::Get { at, .. }
            | Ask::Put { at, .. }
            | Ask::Delete { at }
            | Ask::Change { at, .. }
            | Ask::Metadata { at }
            | Ask::Forget { at } => {
                if !self.mounts.contains(&at.mount) {
                    return Answer::Refused(Code::NotFound, None);
                }
                self.on_secret(*at, ask, now)
            }
            Ask::List { mount, folder } => self.list(*mount, FOLDERS[usize::from(*folder)]),
            Ask::MakeToken { policies, ttl, no_default, .. } => {
                let gives_any = self.allows(&caller.1, ask, true);
                self.make_token(&caller, (policies, gives_any), *ttl, *no_default, now, made)
            }
            Ask::MakeReplica { ttl, .. } => {
                let granted = ttl.unwrap_or(TTL_SECONDS_MAX).min(TTL_SECONDS_MAX);
                let policies = vec![policy_name(REPLICA_POLICY)];
                self.tokens.insert(made, Token { policies: policies.clone(), expires: now + granted * 1000, parent: Some(caller.0) });
                Answer::Token(policies, granted)
            }
            Ask::RevokeSelf => {
                self.revoke(caller.0);
                Answer::Data(None)
            }
            Ask::LookUpSelf => Answer::Members(look_up(&caller.1, now)),
            Ask::Mount { mount } if !self.mounts.insert(*mount) => Answer::Refused(Code::InvalidRequest, None),
            Ask::Roll | Ask::Prune { .. } => Answer::Loose,
            Ask::Mount { .. } | Ask::Retain { .. } => Answer::Data(None),
            Ask::WritePolicy { .. } | Ask::DeletePolicy { .. } | Ask::ReadPolicy { .. } | Ask::ListPolicies => self.on_policy(ask),
            Ask::AddSlot { .. } | Ask::RemoveSlot { .. } | Ask::Slots => self.on_slot(ask),
            _ => Answer::Elsewhere,
        }
    }

    /// When a token ends, if it is there and does.
    pub fn end_of(&self, id: TokenId) -> Option<u64> {
        self.tokens.get(&id).map(|token| token.expires).filter(|expires| *expires != 0)
    }

    /// Whether the token and all that it descends from are there and last.
    pub fn is_valid(&self, id: TokenId, now: u64) -> bool {
        let mut next = Some(id);
        while let Some(id) = next {
            let Some(token) = self.tokens.get(&id).filter(|token| token.expires == 0 || now < token.expires) else { return false };
            next = token.parent;
        }
        true
    }

    /// Removes what has expired, with its children.
    pub fn expire(&mut self, now: u64) {
        let over = |token: &Token| token.expires != 0 && now >= token.expires;
        let expired: Vec<TokenId> = self.tokens.iter().filter(|(_, token)| over(token)).map(|(id, _)| *id).collect();
        expired.into_iter().for_each(|id| self.revoke(id));
    }

    /// The slots that a slot supersedes go once it has opened.
    pub fn opened_by(&mut self, id: u32) {
        self.slots.retain(|_, slot| slot.superseded_by != Some(id));
    }

    /// A rekey by the slot `authority` gives shares in its place.
    pub fn rekey(&mut self, authority: u32, shares: Opener) {
        let id = self.next_slot;
        self.next_slot += 1;
        self.slots.insert(id, Slot { opener: shares, superseded_by: None });
        if let Some(slot) = self.slots.get_mut(&authority) {
            slot.superseded_by = Some(id);
        }
    }

    fn revoke(&mut self, id: TokenId) {
        let mut waiting = vec![id];
        while let Some(id) = waiting.pop() {
            self.tokens.remove(&id);
            waiting.extend(self.tokens.iter().filter(|(_, token)| token.parent == Some(id)).map(|(id, _)| *id));
        }
    }

    fn allows(&self, caller: &Token, ask: &Ask, needs_sudo: bool) -> bool {
        if caller.policies.iter().any(|name| name == "root") {
            return true;
        }
        let mut rules = Vec::new();
        for name in &caller.policies {
            match name.strip_prefix('p').and_then(|number| number.parse().ok()) {
                Some(number) => rules.extend_from_slice(self.policies.get(&number).map_or(&[][..], |rules| rules)),
                None => rules.extend_from_slice(&DEFAULT_RULES),
            }
        }
        let exists = match ask {
            Ask::Put { at, .. } if self.mounts.contains(&at.mount) => Some(self.secrets.contains_key(at)),
            _ => None,
        };
        let asked = ask.to_request();
        allows(&rules, asked.operation, &asked.path, exists, needs_sudo, self.lenient)
    }

    fn on_secret(&mut self, at: At, ask: &Ask, now: u64) -> Answer {
        if let Ask::Put { value, cas, .. } = ask {
            return self.put(at, *value, *cas, now);
        }
        let Some(secret) = self.secrets.get_mut(&at) else {
            let reads = matches!(ask, Ask::Get { .. } | Ask::Metadata { .. });
            return if reads { Answer::Refused(Code::NotFound, None) } else { Answer::Data(None) };
        };
        match ask {
            Ask::Get { version, .. } => secret.read(*version),
            Ask::Metadata { .. } => Answer::Data(Some(secret.to_metadata().into())),
            Ask::Delete { .. } => {
                let current = secret.current;
                secret.change(&[current], Fate::Delete, now);
                Answer::Data(None)
            }
            Ask::Change { versions, fate, .. } => {
                secret.change(versions, *fate, now);
                Answer::Data(None)
            }
            _ => {
                self.secrets.remove(&at);
                Answer::Data(None)
            }
        }
    }

    fn put(&mut self, at: At, value: u64, cas: Option<u64>, now: u64) -> Answer {
        let current = self.secrets.get(&at).map_or(0, |secret| secret.current);
        if cas.is_some_and(|cas| cas != current) {
            return Answer::Refused(Code::CasMismatch, None);
        }
        let new = Secret { created: now, updated: now, current: 0, versions: Vec::new() };
        let secret = self.secrets.entry(at).or_insert(new);
        let version = Version { number: current + 1, created: now, deleted: 0, destroyed: false, value };
        let row = version.to_row(true);
        (secret.current, secret.updated) = (current + 1, now);
        secret.versions.push(version);
        if secret.versions.len() > VERSIONS_MAX {
            secret.versions.remove(0);
        }
        Answer::Data(Some(row.into()))
    }

    fn list(&self, mount: u8, folder: &str) -> Answer {
        let prefix = if folder.is_empty() { String::new() } else { format!("{}/", folder.trim_end_matches('/')) };
        let paths = self.secrets.keys().filter(|at| at.mount == mount).map(|at| KEYS[usize::from(at.key)]);
        let below = paths.filter_map(|path| path.strip_prefix(prefix.as_str()));
        let names: BTreeSet<String> =
            below.map(|rest| rest.split_once('/').map_or(rest.to_owned(), |(name, _)| format!("{name}/"))).collect();
        if names.is_empty() || !self.mounts.contains(&mount) {
            return Answer::Refused(Code::NotFound, None);
        }
        Answer::Data(Some(Object::new().with("keys", names.into_iter().collect::<Vec<_>>()).into()))
    }

    fn make_token(
        &mut self,
        caller: &(TokenId, Token),
        (asked, gives_any): (&[u8], bool),
        ttl: Option<u64>,
        no_default: bool,
        now: u64,
        made: TokenId,
    ) -> Answer {
        let held = &caller.1;
        let is_root = |names: &[String]| names.iter().any(|name| name == "root");
        let mut policies: BTreeSet<String> = asked.iter().map(|name| policy_name(*name)).collect();
        if policies.is_empty() {
            policies.extend(held.policies.iter().cloned());
        }
        if no_default {
            policies.remove("default");
        } else if !policies.contains("root") {
            policies.insert("default".to_owned());
        }
        // With `sudo` on the path it gives what it does not hold itself.
        let may_give = |name: &String| gives_any || name == "default" || held.policies.contains(name);
        if !policies.iter().all(may_give) {
            return Answer::Refused(Code::InvalidRequest, None);
        }
        let policies: Vec<String> = policies.into_iter().collect();
        let left = (held.expires != 0).then(|| held.expires.saturating_sub(now).div_ceil(1000));
        let granted = match (ttl, left) {
            (None, None) if is_root(&policies) => 0,
            (ttl, left) => ttl.unwrap_or(TTL_SECONDS_MAX).min(TTL_SECONDS_MAX).min(left.unwrap_or(u64::MAX)),
        };
        // No child outlives its parent, not by the part of a second that the answer is rounded up to.
        let latest = if held.expires == 0 { u64::MAX } else { held.expires };
        let expires = if granted == 0 { 0 } else { (now + granted * 1000).min(latest) };
        self.tokens.insert(made, Token { policies: policies.clone(), expires, parent: Some(caller.0) });
        Answer::Token(policies, granted)
    }

    fn on_policy(&mut self, ask: &Ask) -> Answer {
        match ask {
            Ask::WritePolicy { name, rules } => {
                self.policies.insert(*name, rules.clone());
                Answer::Data(None)
            }
            Ask::DeletePolicy { name } => {
                self.policies.remove(name);
                Answer::Data(None)
            }
            Ask::ReadPolicy { name } => match self.policies.get(name) {
                Some(rules) => Answer::Data(Some(Object::new().with("name", policy_name(*name)).with("policy", text_of(rules)).into())),
                None => Answer::Refused(Code::NotFound, None),
            },
            _ => {
                let mut names: Vec<String> = self.policies.keys().map(|name| policy_name(*name)).collect();
                names.extend(["default".to_owned(), "root".to_owned()]);
                names.sort();
                Answer::Data(Some(Object::new().with("keys", names).into()))
            }
        }
    }

    fn on_slot(&mut self, ask: &Ask) -> Answer {
        match ask {
            Ask::AddSlot { key } => {
                let id = self.next_slot;
                self.next_slot += 1;
                self.slots.insert(id, Slot { opener: Opener::Raw(*key), superseded_by: None });
                Answer::Data(Some(Object::new().with("id", u64::from(id)).into()))
            }
            Ask::RemoveSlot { id } => {
                self.slots.remove(id);
                Answer::Data(None)
            }
            _ => {
                let ids: Vec<String> = self.slots.keys().map(u32::to_string).collect();
                Answer::Members(Object::new().with("keys", ids))
            }
        }
    }
}

fn look_up(token: &Token, now: u64) -> Object {
    let left = token.expires.saturating_sub(now).div_ceil(1000);
    let ends = (token.expires != 0).then(|| Timestamp::from_millis(token.expires).to_string());
    Object::new()
        .with("policies", token.policies.clone())
        .with("orphan", token.parent.is_none())
        .with("expire_time", ends)
        .with("ttl", left)
}

impl Secret {
    fn read(&self, number: u64) -> Answer {
        let number = if number == 0 { self.current } else { number };
        let Some(version) = self.versions.iter().find(|version| version.number == number) else {
            return Answer::Refused(Code::NotFound, None);
        };
        let metadata = version.to_row(true);
        if version.destroyed || version.deleted != 0 {
            let body = Object::new().with("data", Value::Null).with("metadata", metadata);
            return Answer::Refused(Code::VersionDeleted, Some(body.into()));
        }
        let data = Object::new().with("value", version.value);
        Answer::Data(Some(Object::new().with("data", data).with("metadata", metadata).into()))
    }

    fn change(&mut self, numbers: &[u64], fate: Fate, now: u64) {
        for version in self.versions.iter_mut().filter(|version| numbers.contains(&version.number) && !version.destroyed) {
            match fate {
                Fate::Delete if version.deleted == 0 => version.deleted = now,
                Fate::Undelete if version.deleted != 0 => version.deleted = 0,
                Fate::Destroy => version.destroyed = true,
                Fate::Delete | Fate::Undelete => continue,
            }
            self.updated = now;
        }
    }

    fn to_metadata(&self) -> Object {
        let rows = self.versions.iter().fold(Object::new(), |all, version| all.with(&version.number.to_string(), version.to_row(false)));
        let time = |millis| Timestamp::from_millis(millis).to_string();
        Object::new()
            .with("cas_required", false)
            .with("created_time", time(self.created))
            .with("current_version", self.current)
            .with("custom_metadata", Value::Null)
            .with("delete_version_after", "0s")
            .with("max_versions", 0_u64)
            .with("oldest_version", self.versions.first().map_or(0, |version| version.number))
            .with("updated_time", time(self.updated))
            .with("versions", rows)
    }
}

impl Version {
    fn to_row(&self, alone: bool) -> Object {
        let deleted = if self.deleted == 0 { String::new() } else { Timestamp::from_millis(self.deleted).to_string() };
        let row = Object::new()
            .with("created_time", Timestamp::from_millis(self.created).to_string())
            .with("deletion_time", deleted)
            .with("destroyed", self.destroyed);
        if alone { row.with("custom_metadata", Value::Null).with("version", self.number) } else { row }
    }
}
