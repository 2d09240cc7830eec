//! The paths below `auth/token`: which there are, what each needs, and who answers.

use super::system::{Ask, Done};
use super::token_create::{self, By};
use super::{token_change, token_look, token_roles};
use crate::auth::role;
use crate::barrier::Overlay;
use crate::types::{Code, Error, Operation, Result};

/// One of the paths below `auth/token`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum TokenPath<'p> {
    Create,
    CreateOrphan,
    CreateByRole(&'p str),
    Roles,
    Role(&'p str),
    Lookup,
    LookupSelf,
    LookupAccessor,
    Renew,
    RenewSelf,
    RenewAccessor,
    Revoke,
    RevokeSelf,
    RevokeAccessor,
    RevokeOrphan,
    Accessors,
    Tidy,
}

impl<'p> TokenPath<'p> {
    /// Whether a write of the path issues a token (true) or revokes some (false).
    pub(super) fn is_issuance_or_revocation(self) -> Option<bool> {
        match self {
            TokenPath::Create | TokenPath::CreateOrphan | TokenPath::CreateByRole(_) => Some(true),
            TokenPath::Revoke | TokenPath::RevokeSelf | TokenPath::RevokeAccessor | TokenPath::RevokeOrphan => Some(false),
            _ => None,
        }
    }

    /// The path, if it is one of these; it has no slash at its end.
    pub(super) fn parse(path: &'p str) -> Option<Self> {
        let rest = path.strip_prefix("auth/token/")?;
        Some(match rest {
            "create" => TokenPath::Create,
            "create-orphan" => TokenPath::CreateOrphan,
            "roles" => TokenPath::Roles,
            "lookup" => TokenPath::Lookup,
            "lookup-self" => TokenPath::LookupSelf,
            "lookup-accessor" => TokenPath::LookupAccessor,
            "renew" => TokenPath::Renew,
            "renew-self" => TokenPath::RenewSelf,
            "renew-accessor" => TokenPath::RenewAccessor,
            "revoke" => TokenPath::Revoke,
            "revoke-self" => TokenPath::RevokeSelf,
            "revoke-accessor" => TokenPath::RevokeAccessor,
            "revoke-orphan" => TokenPath::RevokeOrphan,
            "accessors" => TokenPath::Accessors,
            "tidy" => TokenPath::Tidy,
            _ => match rest.split_once('/')? {
                ("create", role) if !role.contains('/') => TokenPath::CreateByRole(role),
                ("roles", role) if !role.contains('/') => TokenPath::Role(role),
                _ => return None,
            },
        })
    }

    /// Whether the path needs `sudo` beside the operation's capability.
    pub(super) fn is_root_protected(self) -> bool {
        matches!(self, TokenPath::RevokeOrphan | TokenPath::Accessors | TokenPath::Tidy)
    }

    /// Whether nothing is changed there, even where it is written to.
    pub(super) fn only_tells(self) -> bool {
        matches!(self, TokenPath::Lookup | TokenPath::LookupSelf | TokenPath::LookupAccessor)
    }

    /// Whether the target of a write is there, where that decides between create and update.
    pub(super) fn exists(self, overlay: &mut Overlay<'_>) -> Result<Option<bool>> {
        match self {
            TokenPath::Role(name) => Ok(Some(role::load(overlay, name)?.is_some())),
            _ => Ok(None),
        }
    }
}

/// Carries out an operation on such a path.
pub(super) fn execute(ask: &Ask<'_>, overlay: &mut Overlay<'_>, operation: Operation, path: TokenPath<'_>) -> Result<Done> {
    match (operation, path) {
        (Operation::Write, TokenPath::Create) => token_create::create(ask, overlay, By::Create),
        (Operation::Write, TokenPath::CreateOrphan) => token_create::create(ask, overlay, By::Orphan),
        (Operation::Write, TokenPath::CreateByRole(role)) => token_create::create(ask, overlay, By::Role(role)),
        (Operation::List | Operation::Read, TokenPath::Roles) => token_roles::list(ask, overlay),
        (Operation::Read, TokenPath::Role(name)) => token_roles::read(overlay, name),
        (Operation::Write, TokenPath::Role(name)) => token_roles::write(ask, overlay, name),
        (Operation::Delete, TokenPath::Role(name)) => token_roles::delete(overlay, name),
        (Operation::Read | Operation::Write, TokenPath::Lookup) => token_look::lookup(ask, overlay),
        (Operation::Read | Operation::Write, TokenPath::LookupSelf) => token_look::lookup_self(ask, overlay),
        (Operation::Write, TokenPath::LookupAccessor) => token_look::lookup_accessor(ask, overlay),
        (Operation::List | Operation::Read, TokenPath::Accessors) => token_look::accessors(ask, overlay),
        (Operation::Write, TokenPath::Renew) => token_change::renew(ask, overlay),
        (Operation::Write, TokenPath::RenewSelf) => token_change::renew_self(ask, overlay),
        (Operation::Write, TokenPath::RenewAccessor) => token_change::renew_accessor(ask, overlay),
        (Operation::Write, TokenPath::Revoke) => token_change::revoke(ask, overlay),
        (Operation::Write, TokenPath::RevokeSelf) => token_change::revoke_self(ask, overlay),
        (Operation::Write, TokenPath::RevokeAccessor) => token_change::revoke_accessor(ask, overlay),
        (Operation::Write, TokenPath::RevokeOrphan) => token_change::revoke_orphan(ask, overlay),
        (Operation::Write, TokenPath::Tidy) => token_change::tidy(ask, overlay),
        _ => Err(Error::new(Code::UnsupportedPath, "the vault has no such operation at this path")),
    }
}
