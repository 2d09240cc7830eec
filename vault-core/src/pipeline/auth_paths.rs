//! `sys/auth`: the one auth method of this version, tokens, and how long what it issues may last.

use super::system::{Ask, Done};
use crate::barrier::{BarrierError, Kind, Overlay};
use crate::types::limits::{TTL_SECONDS_DEFAULT, TTL_SECONDS_MAX};
use crate::types::{Code, Error, Object, Operation, Result, Ttl, Value};
use minicbor::{Decode, Encode};

/// One of these paths.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum AuthPath<'p> {
    Methods,
    Method(&'p str),
    Tune(&'p str),
}

/// How long tokens of a namespace last where nothing is asked for, and at most. 0 stands for the system's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Encode, Decode)]
pub(super) struct TokenLifetimes {
    #[n(0)]
    default_seconds: u64,
    #[n(1)]
    max_seconds: u64,
}

impl<'p> AuthPath<'p> {
    /// The path, from the whole of it.
    pub(super) fn parse(path: &'p str) -> Option<Self> {
        if path == "sys/auth" {
            return Some(AuthPath::Methods);
        }
        let is_tune = |rest: &'p str| rest.strip_suffix("/tune").map(AuthPath::Tune);
        match path.strip_prefix("sys/auth/") {
            Some(rest) => is_tune(rest).or(Some(AuthPath::Method(rest))),
            None => path.strip_prefix("sys/mounts/auth/").and_then(is_tune),
        }
    }
}

impl TokenLifetimes {
    /// Those of the overlay's namespace.
    pub(super) fn load(overlay: &mut Overlay<'_>) -> Result<Self> {
        let key = overlay.barrier().key(Kind::AuthTuning, &[b"token"]);
        let bytes = overlay.get(Kind::AuthTuning, &key)?;
        Ok(bytes.map(|bytes| minicbor::decode(&bytes).map_err(|_| BarrierError::Corrupt)).transpose()?.unwrap_or_default())
    }

    /// What a token is granted that asks for nothing.
    pub(super) fn default_ttl(self) -> Ttl {
        let seconds = if self.default_seconds == 0 { TTL_SECONDS_DEFAULT } else { self.default_seconds };
        Ttl::from_secs(seconds).min(self.max_ttl())
    }

    /// What no token is granted more than.
    pub(super) fn max_ttl(self) -> Ttl {
        Ttl::from_secs(if self.max_seconds == 0 { TTL_SECONDS_MAX } else { self.max_seconds })
    }

    fn save(self, overlay: &mut Overlay<'_>) -> Result<()> {
        let key = overlay.barrier().key(Kind::AuthTuning, &[b"token"]);
        Ok(overlay.put(Kind::AuthTuning, key, &minicbor::to_vec(self).expect("encoding to memory cannot fail"))?)
    }
}

pub(super) fn execute(ask: &Ask<'_>, overlay: &mut Overlay<'_>, operation: Operation, path: AuthPath<'_>) -> Result<Done> {
    match (operation, path) {
        (Operation::Read, AuthPath::Methods) => {
            let row = row(TokenLifetimes::load(overlay)?);
            Ok(Done::answer(Object::new().with("token/", row)))
        }
        (Operation::Read, AuthPath::Method("token")) => Ok(Done::answer(row(TokenLifetimes::load(overlay)?))),
        (Operation::Read, AuthPath::Tune("token")) => {
            let lifetimes = TokenLifetimes::load(overlay)?;
            Ok(Done::answer(
                Object::new()
                    .with("default_lease_ttl", lifetimes.default_ttl().as_secs())
                    .with("description", DESCRIPTION)
                    .with("force_no_cache", false)
                    .with("max_lease_ttl", lifetimes.max_ttl().as_secs())
                    .with("token_type", "default-service"),
            ))
        }
        (Operation::Write, AuthPath::Tune("token")) => tune(overlay, ask.data),
        (Operation::Write, AuthPath::Method("token")) | (Operation::Delete, AuthPath::Method("token")) => {
            Err(refused("the auth method \"token\" is always there: it can be neither enabled nor disabled"))
        }
        (Operation::Write, AuthPath::Method(_)) => {
            Err(refused("other auth methods than \"token\" are not supported in this version: give applications tokens"))
        }
        (Operation::Read | Operation::Write, AuthPath::Method(_) | AuthPath::Tune(_)) => {
            Err(Error::new(Code::NotFound, "there is no auth method there"))
        }
        _ => Err(Error::new(Code::UnsupportedPath, "the vault has no such operation at this path")),
    }
}

/// By which aliases name the method.
pub(super) const ACCESSOR: &str = "auth_token";
const DESCRIPTION: &str = "token based credentials";

fn row(lifetimes: TokenLifetimes) -> Object {
    let config = Object::new()
        .with("default_lease_ttl", lifetimes.default_seconds)
        .with("force_no_cache", false)
        .with("max_lease_ttl", lifetimes.max_seconds)
        .with("token_type", "default-service");
    Object::new()
        .with("accessor", ACCESSOR)
        .with("config", config)
        .with("description", DESCRIPTION)
        .with("local", false)
        .with("options", Value::Null)
        .with("seal_wrap", false)
        .with("type", "token")
        .with("uuid", "")
}

fn tune(overlay: &mut Overlay<'_>, data: Option<&Value>) -> Result<Done> {
    let member = |name: &str| data.and_then(|data| data.get(name)).filter(|value| !matches!(value, Value::Null));
    let known = ["default_lease_ttl", "max_lease_ttl"];
    if data.and_then(Value::as_object).is_some_and(|data| data.iter().any(|(name, _)| !known.contains(&name))) {
        return Err(refused("an option is unknown, or not supported: use default_lease_ttl, max_lease_ttl"));
    }
    let seconds = |value: &Value| if value.as_str() == Some("system") { Ok(0) } else { Ttl::from_value(value).map(Ttl::as_secs) };
    let mut lifetimes = TokenLifetimes::load(overlay)?;
    if let Some(value) = member("default_lease_ttl") {
        lifetimes.default_seconds = seconds(value)?;
    }
    if let Some(value) = member("max_lease_ttl") {
        lifetimes.max_seconds = seconds(value)?;
    }
    if lifetimes.max_seconds > TTL_SECONDS_MAX {
        return Err(refused("the max_lease_ttl is longer than the system's"));
    }
    if lifetimes.default_seconds > lifetimes.max_ttl().as_secs() {
        return Err(Error::new(Code::InvalidData, "the default_lease_ttl is longer than the max_lease_ttl"));
    }
    lifetimes.save(overlay)?;
    Ok(Done::default())
}

fn refused(why: &str) -> Error {
    Error::new(Code::InvalidRequest, why)
}
