//! Roles of tokens: what is fixed beforehand for tokens that are made by one, and which policies those may hold.

use super::token::WRAPPING_POLICY;
use crate::barrier::{Barrier, BarrierError, Kind, Overlay};
use crate::identity::AliasName;
use crate::storage::Key;
use crate::types::id::Id;
use minicbor::{Decode, Encode};

/// The folder in which the names of roles are listed, as if it were a mount.
pub(crate) const FOLDER: Id = Id::from_bytes(*b"auth/token/roles");

/// Which kind of token a role makes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub(crate) enum RoleType {
    /// A service token unless the request says otherwise.
    #[default]
    #[n(0)]
    DefaultService,
    /// A batch token unless the request says otherwise.
    #[n(1)]
    DefaultBatch,
    #[n(2)]
    Service,
    #[n(3)]
    Batch,
}

/// A role's record.
#[derive(Clone, Debug, Default, PartialEq, Encode, Decode)]
pub(crate) struct TokenRole {
    /// Its name, so that a record that lost its entry in the listing can be entered again.
    #[n(0)]
    pub(crate) name: String,
    #[n(1)]
    pub(crate) allowed: Vec<String>,
    #[n(2)]
    pub(crate) disallowed: Vec<String>,
    #[n(3)]
    pub(crate) allowed_globs: Vec<String>,
    #[n(4)]
    pub(crate) disallowed_globs: Vec<String>,
    #[n(5)]
    pub(crate) orphan: bool,
    #[n(6)]
    pub(crate) not_renewable: bool,
    #[n(7)]
    pub(crate) period_seconds: u64,
    #[n(8)]
    pub(crate) explicit_max_seconds: u64,
    #[n(9)]
    pub(crate) no_default_policy: bool,
    #[n(10)]
    pub(crate) num_uses: u64,
    #[n(11)]
    pub(crate) kind: RoleType,
    #[n(12)]
    pub(crate) bound_cidrs: Vec<String>,
    #[n(13)]
    pub(crate) path_suffix: String,
    /// Patterns of the canonical names of aliases that its tokens may be of.
    #[cbor(n(14), default)]
    pub(crate) allowed_aliases: Vec<String>,
}

impl RoleType {
    /// As requests write it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            RoleType::DefaultService => "default-service",
            RoleType::DefaultBatch => "default-batch",
            RoleType::Service => "service",
            RoleType::Batch => "batch",
        }
    }

    pub(crate) fn named(name: &str) -> Option<Self> {
        [RoleType::DefaultService, RoleType::DefaultBatch, RoleType::Service, RoleType::Batch].into_iter().find(|kind| kind.name() == name)
    }
}

impl TokenRole {
    /// Whether the role says which policies its tokens may hold; else those of their maker bound them.
    pub(crate) fn chooses(&self) -> bool {
        self.names_allowed() || !self.disallowed.is_empty() || !self.disallowed_globs.is_empty()
    }

    fn names_allowed(&self) -> bool {
        !self.allowed.is_empty() || !self.allowed_globs.is_empty()
    }

    /// Whether a token of the role may hold a policy.
    pub(crate) fn allows(&self, policy: &str) -> bool {
        policy != WRAPPING_POLICY
            && !self.disallows(policy)
            && (!self.names_allowed() || is_listed(policy, &self.allowed, &self.allowed_globs))
    }

    /// Whether a token of the role may be of the entity with that alias.
    pub(crate) fn allows_alias(&self, name: &AliasName) -> bool {
        self.allowed_aliases.iter().any(|pattern| matches_glob(pattern, name.as_str()))
    }

    /// Whether the role says of a policy that no token of its may hold it.
    pub(crate) fn disallows(&self, policy: &str) -> bool {
        is_listed(policy, &self.disallowed, &self.disallowed_globs)
    }

    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, BarrierError> {
        minicbor::decode(bytes).map_err(|_| BarrierError::Corrupt)
    }
}

pub(crate) fn load(overlay: &mut Overlay<'_>, name: &str) -> Result<Option<TokenRole>, BarrierError> {
    let key = key_of(overlay.barrier(), name);
    overlay.get(Kind::TokenRole, &key)?.map(|bytes| TokenRole::parse(&bytes)).transpose()
}

pub(crate) fn save(overlay: &mut Overlay<'_>, role: &TokenRole) -> Result<(), BarrierError> {
    let key = key_of(overlay.barrier(), &role.name);
    if overlay.get(Kind::TokenRole, &key)?.is_none() {
        overlay.enter(FOLDER, &role.name);
    }
    overlay.put(Kind::TokenRole, key, &minicbor::to_vec(role).expect("encoding to memory cannot fail"))
}

pub(crate) fn remove(overlay: &mut Overlay<'_>, name: &str) -> Result<(), BarrierError> {
    let key = key_of(overlay.barrier(), name);
    if overlay.get(Kind::TokenRole, &key)?.is_some() {
        overlay.delete(key);
        overlay.leave(FOLDER, name);
    }
    Ok(())
}

fn key_of(barrier: &Barrier, name: &str) -> Key {
    barrier.key(Kind::TokenRole, &[name.as_bytes()])
}

fn is_listed(policy: &str, names: &[String], globs: &[String]) -> bool {
    names.iter().any(|name| name == policy) || globs.iter().any(|glob| matches_glob(glob, policy))
}

/// Whether a text matches a pattern in which each `*` stands for any characters.
fn matches_glob(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = parts.next().and_then(|first| text.strip_prefix(first)) else { return false };
    let Some(last) = parts.next_back() else { return rest.is_empty() };
    for part in parts {
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_glob_stands_for_any_characters_wherever_it_is() {
        for (pattern, text, expected) in [
            ("a", "a", true),
            ("a", "ab", false),
            ("*", "", true),
            ("team-*", "team-a", true),
            ("team-*", "tea", false),
            ("*-read", "app-read", true),
            ("a*b*c", "a1b2c", true),
            ("a*b*c", "acb", false),
            ("ab*ba", "aba", false),
        ] {
            assert_eq!(matches_glob(pattern, text), expected, "{pattern} {text}");
        }
    }

    #[test]
    fn what_a_role_disallows_goes_before_what_it_allows() {
        let texts = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let role = TokenRole {
            allowed: texts(&["a", "b"]),
            allowed_globs: texts(&["app-*"]),
            disallowed: texts(&["b"]),
            disallowed_globs: texts(&["app-admin*"]),
            ..TokenRole::default()
        };
        let allowed: Vec<&str> =
            ["a", "b", "c", "app-x", "app-admin-x", WRAPPING_POLICY].into_iter().filter(|name| role.allows(name)).collect();
        assert_eq!(allowed, ["a", "app-x"]);
        let open = TokenRole { disallowed: texts(&["b"]), ..TokenRole::default() };
        assert!(open.allows("c") && !open.allows("b") && !open.allows(WRAPPING_POLICY));
        assert!(open.chooses() && !TokenRole::default().chooses());
    }
}
