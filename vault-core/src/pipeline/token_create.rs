//! `WRITE auth/token/create`, `create-orphan` and `create/ROLE`: a new token, of which the caller gives no more than it may.

use super::auth_paths::TokenLifetimes;
use super::identities;
use super::identity_aliases;
use super::policies::{DEFAULT, ROOT};
use super::runtime::no_entropy;
use super::system::{Ask, Done};
use super::tick;
use super::token_options::TokenAsked;
use crate::auth::lifetime::{self, Bounds};
use crate::auth::role::{self, RoleType, TokenRole};
use crate::auth::token::{self, TokenEntry, WRAPPING_POLICY};
use crate::auth::{TokenKind, batch, records};
use crate::barrier::Overlay;
use crate::identity::{AliasName, EntityRef};
use crate::policy::{Capability, Given};
use crate::types::cidr;
use crate::types::id::Id;
use crate::types::limits::{TOKEN_BYTES_MAX, TOKEN_CIDRS_MAX, TOKEN_DEPTH_MAX, TOKEN_POLICIES_MAX};
use crate::types::{Auth, Code, Error, Result, SecretString, Timestamp, TokenType, Ttl};

/// By which of the paths a token is made.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum By<'p> {
    Create,
    Orphan,
    Role(&'p str),
}

/// What bounds a token of the token mount.
pub(super) fn bounds(lifetimes: TokenLifetimes, parent_ends: Option<Timestamp>) -> Bounds {
    Bounds { default: lifetimes.default_ttl(), max: lifetimes.max_ttl(), parent_ends }
}

/// Makes a token in the namespace of the request.
pub(super) fn create(ask: &Ask<'_>, overlay: &mut Overlay<'_>, by: By<'_>) -> Result<Done> {
    let role = match by {
        By::Role(name) => Some(role::load(overlay, name)?.ok_or_else(|| refused("there is no token role of that name"))?),
        By::Create | By::Orphan => None,
    };
    let making = Making { ask, asked: TokenAsked::parse(ask.data)?, role, by, has_sudo: has_sudo(ask) };
    making.check_caller()?;
    let mut warnings = Vec::new();
    let mut entry = making.entry(TokenLifetimes::load(overlay)?, &mut warnings)?;
    if let Some((entity, losses)) = making.entity(overlay)? {
        (entry.entity, entry.entity_losses) = (Some(entity.to_bytes()), losses);
    }
    let secret = if entry.is_batch() { making.batch(overlay, &entry)? } else { making.service(overlay, &entry)? };
    let auth = auth_of(ask, &ask.place.namespace.id, secret, &entry)?;
    let identity = Some(auth.entity_id.clone()).filter(|id| !id.is_empty());
    Ok(Done { auth: Some(auth), identity, warnings, ..Done::default() })
}

/// What a reply tells of a token of a namespace.
pub(super) fn auth_of(ask: &Ask<'_>, home: &Id, client_token: SecretString, entry: &TokenEntry) -> Result<Auth> {
    let identity_policies = identities::policies_of(ask.core, home, entry, ask.now)?;
    Ok(Auth {
        client_token,
        accessor: entry.accessor.clone(),
        policies: identities::united(&entry.policies, &identity_policies),
        token_policies: entry.policies.clone(),
        identity_policies,
        entity_id: entry.entity().map(|entity| entity.id.to_string()).unwrap_or_default(),
        metadata: entry.metadata.clone(),
        lease_duration: entry.remaining(ask.now),
        renewable: entry.renewable,
        orphan: entry.parent.is_none(),
        num_uses: entry.num_uses,
        token_type: if entry.is_batch() { TokenType::Batch } else { TokenType::Service },
    })
}

struct Making<'m, 'a> {
    ask: &'m Ask<'a>,
    asked: TokenAsked<'m>,
    role: Option<TokenRole>,
    by: By<'m>,
    has_sudo: bool,
}

impl Making<'_, '_> {
    /// What only some callers may ask for, and which callers may make no token at all.
    fn check_caller(&self) -> Result<()> {
        let (caller, asked) = (&self.ask.caller.entry, &self.asked);
        if caller.is_batch() {
            return Err(refused("batch tokens cannot make tokens: use a service token"));
        }
        if caller.num_uses > 0 {
            return Err(refused("a token of limited uses cannot make tokens: use one without a limit"));
        }
        if !self.is_orphan() && caller.depth >= TOKEN_DEPTH_MAX {
            let why = format!("a token has at most {TOKEN_DEPTH_MAX} tokens above it: make this one with a token nearer to the first");
            return Err(refused(&why));
        }
        let wants_sudo = [
            (asked.id.is_some(), "choosing the id of a token needs root or sudo on this path"),
            (asked.no_parent && self.by != By::Orphan, "making an orphan here needs root or sudo on this path: or use create-orphan"),
            (asked.period > Ttl::ZERO, "making a periodic token needs root or sudo on this path: or use a role"),
        ];
        if let Some((_, why)) = wants_sudo.into_iter().find(|(wanted, _)| *wanted && !self.has_sudo) {
            return Err(refused(why));
        }
        if asked.id.is_some() && !self.ask.place.namespace.is_root() {
            return Err(refused("the id of a token can be chosen in the root namespace only"));
        }
        // A policy is its namespace's: one of the same name in another namespace says something else.
        if self.is_from_above() {
            if !self.has_sudo {
                return Err(Error::permission_denied());
            }
            if asked.policies.is_empty() && !self.role.as_ref().is_some_and(TokenRole::chooses) {
                return Err(refused(
                    "name the policies of a token that is made from a namespace above: they are those of its own namespace",
                ));
            }
        }
        Ok(())
    }

    fn is_from_above(&self) -> bool {
        self.ask.caller.id.namespace != self.ask.place.namespace.id
    }

    fn is_orphan(&self) -> bool {
        self.by == By::Orphan || self.asked.no_parent || self.role.as_ref().is_some_and(|role| role.orphan)
    }

    /// What is to be known of the new token.
    fn entry(&self, lifetimes: TokenLifetimes, warnings: &mut Vec<String>) -> Result<TokenEntry> {
        let (caller, asked, now) = (self.ask.caller, &self.asked, self.ask.now);
        let role = self.role.as_ref();
        let parent = (!self.is_orphan()).then_some(caller.id);
        let seconds = |own: Ttl, of_role: Option<u64>| lesser(own.as_secs(), of_role.unwrap_or(0));
        let mut entry = TokenEntry {
            policies: self.policies()?,
            display_name: asked.display_name.clone(),
            metadata: asked.metadata.clone(),
            path: self.path(),
            created_millis: now.as_millis(),
            parent: parent.map(|parent| parent.key),
            parent_namespace: parent.map_or([0; 16], |parent| *parent.namespace.as_bytes()),
            depth: parent.map_or(0, |_| caller.entry.depth + 1),
            kind: self.kind(warnings),
            renewable: asked.renewable && !role.is_some_and(|role| role.not_renewable),
            period_seconds: seconds(asked.period, role.map(|role| role.period_seconds)),
            explicit_max_seconds: seconds(asked.explicit_max, role.map(|role| role.explicit_max_seconds)),
            num_uses: lesser(asked.num_uses, role.map_or(0, |role| role.num_uses)),
            role: role.map(|role| role.name.clone()).unwrap_or_default(),
            bound_cidrs: self.bond()?,
            deadman_seconds: Some(asked.deadman.as_secs()).filter(|seconds| *seconds > 0),
            ..TokenEntry::default()
        };
        if entry.is_batch() {
            check_batch(&entry, asked)?;
            entry.renewable = false;
        } else {
            entry.accessor = token::generate_accessor(self.ask.core.barrier.rng()).map_err(no_entropy)?;
        }
        self.set_times(lifetimes, &mut entry, warnings)?;
        Ok(entry)
    }

    /// The entity that the new token is of, and how often that was lost: that of the alias which the request names, else its parent's.
    fn entity(&self, overlay: &mut Overlay<'_>) -> Result<Option<(EntityRef, u64)>> {
        let Some(alias) = self.asked.entity_alias else {
            let parent = &self.ask.caller.entry;
            return Ok(parent.entity().filter(|_| !self.is_orphan()).map(|entity| (entity, parent.entity_losses)));
        };
        let role = self.role.as_ref().ok_or_else(|| refused("\"entity_alias\" is for tokens that are made by a role: name one"))?;
        let name = AliasName::parse(alias)?;
        if !role.allows_alias(&name) {
            return Err(refused("invalid \"entity_alias\": the role does not allow it"));
        }
        let entity = identity_aliases::entity_of_alias(self.ask, overlay, &name)?;
        Ok(Some((EntityRef { namespace: self.ask.place.namespace.id, id: entity.id() }, entity.losses)))
    }

    fn set_times(&self, lifetimes: TokenLifetimes, entry: &mut TokenEntry, warnings: &mut Vec<String>) -> Result<()> {
        let (caller, now) = (&self.ask.caller.entry, self.ask.now);
        let parent_ends = caller.expires().filter(|_| entry.parent.is_some());
        let asks_for_time = self.asked.ttl > Ttl::ZERO || entry.period_seconds > 0 || entry.explicit_max_seconds > 0;
        if entry.is_root() && !asks_for_time && parent_ends.is_none() {
            if caller.expires_millis != 0 {
                return Err(refused("a root token that expires cannot make one that does not: ask for a ttl"));
            }
            entry.renewable = false;
            return Ok(());
        }
        let bounds = bounds(lifetimes, parent_ends);
        if Ttl::from_secs(entry.explicit_max_seconds) > bounds.max && entry.period_seconds == 0 {
            warnings.push("the explicit_max_ttl is more than the longest time of a token, which bounds it".to_owned());
        }
        let end = lifetime::end_of(entry, self.asked.ttl, bounds, now);
        if self.asked.ttl > now.until(end) && entry.period_seconds == 0 {
            warnings.push("the ttl was shortened to the longest that this token can have".to_owned());
        }
        entry.expires_millis = end.as_millis();
        entry.ttl_seconds = now.until(end).as_secs();
        Ok(())
    }

    /// The networks that the new token is bound to. No token is less bound than the one that makes it: its bond would be worth nothing.
    fn bond(&self) -> Result<Vec<String>> {
        let of_role = self.role.as_ref().map_or(&[][..], |role| &role.bound_cidrs);
        let bond = cidr::common(&self.ask.caller.entry.bound_cidrs, of_role)?.ok_or_else(|| {
            refused("the role binds to networks that the token which asks may not be used from: no address would be left")
        })?;
        if bond.len() > TOKEN_CIDRS_MAX {
            return Err(refused(&format!(
                "a token is bound to at most {TOKEN_CIDRS_MAX} networks: its role and the token that asks say more"
            )));
        }
        Ok(bond)
    }

    fn kind(&self, warnings: &mut Vec<String>) -> TokenKind {
        let kind = |of_role| match of_role {
            None | Some(RoleType::DefaultService) => self.asked.kind.unwrap_or(TokenKind::Service),
            Some(RoleType::DefaultBatch) => self.asked.kind.unwrap_or(TokenKind::Batch),
            Some(RoleType::Service) => TokenKind::Service,
            Some(RoleType::Batch) => TokenKind::Batch,
        };
        let kind = kind(self.role.as_ref().map(|role| role.kind));
        if self.asked.kind.is_some_and(|asked| asked != kind) {
            warnings.push("the role makes tokens of the other type only".to_owned());
        }
        kind
    }

    fn path(&self) -> String {
        let path = self.ask.place.path();
        match self.role.as_ref().map(|role| role.path_suffix.as_str()) {
            None | Some("") => path.to_owned(),
            Some(suffix) => format!("{path}/{suffix}"),
        }
    }

    /// The policies of the new token, sorted.
    fn policies(&self) -> Result<Vec<String>> {
        let (caller, asked) = (&self.ask.caller.entry, &self.asked);
        let chooser = self.role.as_ref().filter(|role| role.chooses());
        let mut policies = asked.policies.clone();
        if policies.is_empty() {
            let of_role = chooser.map(|role| &role.allowed).filter(|allowed| !allowed.is_empty());
            policies.clone_from(of_role.unwrap_or(&caller.policies));
        }
        let no_default = asked.no_default || self.role.as_ref().is_some_and(|role| role.no_default_policy);
        let is_root = policies.iter().any(|name| name == ROOT);
        if no_default {
            policies.retain(|name| name != DEFAULT);
        } else if !is_root && chooser.is_none_or(|role| !role.disallows(DEFAULT)) {
            policies.push(DEFAULT.to_owned());
        }
        policies.sort_unstable();
        policies.dedup();
        self.check_policies(&policies, chooser, is_root)?;
        Ok(policies)
    }

    fn check_policies(&self, policies: &[String], chooser: Option<&TokenRole>, is_root: bool) -> Result<()> {
        let caller = &self.ask.caller.entry;
        if policies.iter().any(|name| name == WRAPPING_POLICY) {
            return Err(refused("the policy \"response-wrapping\" cannot be given to a token"));
        }
        if is_root && !self.ask.place.namespace.is_root() {
            return Err(refused("root tokens are of the root namespace only: name a policy that allows what is needed"));
        }
        if is_root && policies.len() > 1 {
            return Err(refused("the policy \"root\" stands alone: leave the others out"));
        }
        if is_root && !caller.is_root() {
            return Err(refused("child policies must be a subset of the parent's: only a root token makes root tokens"));
        }
        if policies.len() > TOKEN_POLICIES_MAX {
            return Err(refused(&format!("a token has at most {TOKEN_POLICIES_MAX} policies")));
        }
        let may_hold = |name: &String| match chooser {
            Some(role) => role.allows(name) || name == DEFAULT && !self.asked.policies.contains(name) && !role.disallows(name),
            None => self.has_sudo || name == DEFAULT || caller.policies.contains(name),
        };
        match (policies.iter().all(may_hold), chooser) {
            (true, _) => Ok(()),
            (false, Some(_)) => Err(refused("the role does not allow one of the policies")),
            (false, None) => Err(refused("child policies must be a subset of the parent's")),
        }
    }

    fn service(&self, overlay: &mut Overlay<'_>, entry: &TokenEntry) -> Result<SecretString> {
        let core = self.ask.core;
        let secret = match self.asked.id {
            Some(id) => SecretString::copy_from(id),
            None => token::generate(core.barrier.rng()).map_err(no_entropy)?,
        };
        let key = token::key_of(overlay.barrier(), secret.expose());
        // What is read here becomes an expectation of the commit: of two that choose one id, one is refused.
        if records::load(overlay, &key)?.is_some() {
            return Err(refused("there is a token of that id already"));
        }
        let namespaces = core.namespaces.load();
        records::store(overlay, &key, entry, &|id| namespaces.barrier(id))?;
        tick::look_at(overlay, &core.barrier, entry.ends())?;
        Ok(secret)
    }

    fn batch(&self, overlay: &Overlay<'_>, entry: &TokenEntry) -> Result<SecretString> {
        let secret = batch::seal(overlay.barrier(), entry).map_err(no_entropy)?;
        if secret.expose().len() > TOKEN_BYTES_MAX {
            return Err(refused("a batch token holds its policies and metadata, and these are too much for one: make a service token"));
        }
        Ok(secret)
    }
}

/// Whether the caller has `sudo` on the path that it asks.
fn has_sudo(ask: &Ask<'_>) -> bool {
    ask.rules.decide(ask.policy_path, Capability::Sudo, Given::default()).has(Capability::Sudo)
}

/// What a batch token cannot have, since there is no record of it.
fn check_batch(entry: &TokenEntry, asked: &TokenAsked<'_>) -> Result<()> {
    let cannot = [
        (asked.id.is_some(), "a batch token cannot have an id that is chosen"),
        (entry.period_seconds > 0, "a batch token cannot be periodic"),
        (entry.explicit_max_seconds > 0, "a batch token cannot have an explicit_max_ttl: it is not renewed"),
        (entry.num_uses > 0, "a batch token cannot have a limit of uses"),
        (entry.is_root(), "a batch token cannot be a root token"),
        (entry.deadman_seconds.is_some(), "a batch token cannot have a deadman_period: nothing notes that it is used"),
    ];
    cannot.into_iter().find(|(asked, _)| *asked).map_or(Ok(()), |(_, why)| Err(refused(why)))
}

/// The lesser of two numbers of which zero says nothing.
fn lesser(one: u64, other: u64) -> u64 {
    if one == 0 || other == 0 { one.max(other) } else { one.min(other) }
}

fn refused(why: &str) -> Error {
    Error::new(Code::InvalidRequest, why)
}
