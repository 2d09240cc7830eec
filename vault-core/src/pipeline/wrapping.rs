//! Response wrapping: a reply is kept behind a token of its own, which gives it back once.
//!
//! The wrapping token and what it holds are laid by the commit of the request whose reply it is, and removed together by the one that unwraps.

use super::given::Members;
use super::runtime::no_entropy;
use super::system::{Ask, Done};
use super::{tick, tokens};
use crate::auth::token::{self, TokenEntry, TokenRef, WRAPPING_POLICY};
use crate::auth::{batch, records};
use crate::barrier::{BarrierError, Kind, Overlay};
use crate::types::id::Id;
use crate::types::limits::{TOKEN_BYTES_MAX, TOKEN_REMOVALS_MAX};
use crate::types::{Auth, TokenType, WipedBytes};
use crate::types::{Code, Error, Object, Operation, Request, Response, Result, SecretString, Ttl, Value, WrapInfo};
use minicbor::{Decode, Encode};
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;
use zeroize::Zeroizing;

/// What a wrapping token may do; nobody can write or assign this policy.
pub(super) const POLICY_TEXT: &str = r#"path "cubbyhole/response" {
    capabilities = ["read"]
}

path "sys/wrapping/unwrap" {
    capabilities = ["update"]
}

path "sys/wrapping/lookup" {
    capabilities = ["read", "update"]
}
"#;

/// Where a wrapping token can read what it holds, as it was done before there was `sys/wrapping/unwrap`.
pub(super) const CUBBYHOLE: &str = "cubbyhole/response";

/// One of the paths below `sys/wrapping`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum WrappingPath {
    Wrap,
    Lookup,
    Rewrap,
    Unwrap,
}

/// A response as it is kept: encoded into a buffer of its final size, and read without copies.
#[derive(Encode, Decode)]
struct Wrapped<'b> {
    #[b(0)]
    lease_id: &'b str,
    #[n(1)]
    renewable: bool,
    #[n(2)]
    lease_seconds: u64,
    /// JSON.
    #[cbor(b(3), with = "minicbor::bytes")]
    data: Option<&'b [u8]>,
    #[n(4)]
    warnings: Vec<String>,
    #[b(5)]
    auth: Option<WrappedAuth<'b>>,
}

#[derive(Encode, Decode)]
struct WrappedAuth<'b> {
    #[b(0)]
    client_token: &'b str,
    #[b(1)]
    accessor: &'b str,
    #[n(2)]
    policies: Vec<String>,
    #[n(3)]
    token_policies: Vec<String>,
    #[n(4)]
    metadata: BTreeMap<String, String>,
    #[n(5)]
    lease_seconds: u64,
    #[n(6)]
    renewable: bool,
    #[n(7)]
    orphan: bool,
    #[n(8)]
    num_uses: u64,
    #[n(9)]
    is_batch: bool,
    #[n(10)]
    #[cbor(default)]
    identity_policies: Vec<String>,
    #[n(11)]
    #[cbor(default)]
    entity_id: String,
}

impl WrappingPath {
    /// The path, if it is one of these; it has no slash at its end.
    pub(super) fn parse(path: &str) -> Option<Self> {
        Some(match path.strip_prefix("sys/wrapping/")? {
            "wrap" => WrappingPath::Wrap,
            "lookup" => WrappingPath::Lookup,
            "rewrap" => WrappingPath::Rewrap,
            "unwrap" => WrappingPath::Unwrap,
            _ => return None,
        })
    }

    /// Whether a wrapping token is asked for here that may be the caller's own.
    fn opens(self) -> bool {
        matches!(self, WrappingPath::Lookup | WrappingPath::Unwrap)
    }
}

/// The one answer to a wrapping token that was used, has expired, or never was.
pub(super) fn invalid() -> Error {
    Error::new(Code::InvalidRequest, "wrapping token is not valid or does not exist")
}

/// The wrapping token that a request without a token of its own brings in its data.
pub(super) fn bearer(request: &Request, path: &str) -> Option<SecretString> {
    WrappingPath::parse(path).filter(|path| path.opens())?;
    request.data.as_ref()?.get("token")?.as_str().map(SecretString::copy_from)
}

/// Where a caller is to be its own wrapping token, what is wrong with it is said as for any other.
pub(super) fn explain(error: Error, request: &Request, path: &str, has_caller: bool) -> Error {
    let names_another = request.data.as_ref().is_some_and(|data| data.get("token").is_some()) && has_caller;
    let opens = WrappingPath::parse(path).is_some_and(WrappingPath::opens);
    if opens && !names_another && error.code() == Code::PermissionDenied { invalid() } else { error }
}

/// Carries out an operation on such a path.
pub(super) fn execute(ask: &Ask<'_>, overlay: &mut Overlay<'_>, operation: Operation, path: WrappingPath) -> Result<Done> {
    match (operation, path) {
        (Operation::Write, WrappingPath::Wrap) if ask.wrap_ttl.is_none() => Err(Error::new(
            Code::InvalidRequest,
            "endpoint requires response wrapping to be used: say for how long the reply is to be wrapped",
        )),
        // What is wrapped is the reply, and this is all of it.
        (Operation::Write, WrappingPath::Wrap) => {
            Ok(Done { data: Some(ask.data.cloned().unwrap_or(Object::new().into())), ..Done::default() })
        }
        (Operation::Read | Operation::Write, WrappingPath::Lookup) => lookup(ask, overlay),
        (Operation::Write, WrappingPath::Rewrap) => rewrap(ask, overlay),
        (Operation::Write, WrappingPath::Unwrap) => unwrap(ask, overlay),
        _ => Err(Error::new(Code::UnsupportedPath, "the vault has no such operation at this path")),
    }
}

/// Puts a reply behind a wrapping token, which is all that is answered then. A reply without content stays as it is.
pub(super) fn wrap(ask: &Ask<'_>, overlay: &mut Overlay<'_>, mut done: Done, ttl: Ttl) -> Result<Done> {
    if done.wrap_info.is_some() || done.unwrapped.is_some() {
        return Err(Error::new(Code::InvalidRequest, "what comes out of a wrapping token is not wrapped at once: use sys/wrapping/rewrap"));
    }
    let response = done.take_response();
    if response.is_empty() {
        return Ok(done);
    }
    let accessor = response.auth.as_ref().map(|auth| auth.accessor.clone()).unwrap_or_default();
    done.made = Some(accessor.clone()).filter(|accessor| !accessor.is_empty());
    let content = encode(&response)?;
    done.wrap_info = Some(lay(ask, overlay, &content, (ttl, ask.place.path().to_owned(), accessor))?);
    Ok(done)
}

/// `READ cubbyhole/response` of a wrapping token: what it holds, as text. It is gone after that.
pub(super) fn read_cubbyhole(ask: &Ask<'_>, overlay: &mut Overlay<'_>) -> Result<Done> {
    let mut done = unwrap(ask, overlay)?;
    let response = done.unwrapped.take().map(|response| response.into_value().to_json()).unwrap_or_default();
    let text = std::str::from_utf8(&response).map_err(|_| BarrierError::Corrupt)?;
    done.data = Some(Object::new().with("response", text).into());
    Ok(done)
}

fn lookup(ask: &Ask<'_>, overlay: &mut Overlay<'_>) -> Result<Done> {
    let (_, entry) = find(ask, overlay)?;
    let body = Object::new()
        .with("creation_ttl", entry.ttl_seconds)
        .with("creation_time", entry.created().to_string())
        .with("creation_path", entry.path.as_str());
    Ok(Done { concerns: Some(entry.accessor), unwrapped_path: Some(entry.path), ..Done::answer(body) })
}

fn unwrap(ask: &Ask<'_>, overlay: &mut Overlay<'_>) -> Result<Done> {
    let (token, entry) = find(ask, overlay)?;
    let content = content_of(ask, overlay, &token)?;
    let response = decode(&content)?;
    let done = Done { unwrapped: Some(Box::new(response)), ..end(ask, overlay, &token)? };
    Ok(Done { concerns: Some(entry.accessor), unwrapped_path: Some(entry.path), ..done })
}

/// The same content behind a new token, with the time and the path of the old one, which is revoked.
fn rewrap(ask: &Ask<'_>, overlay: &mut Overlay<'_>) -> Result<Done> {
    let (token, entry) = find(ask, overlay)?;
    let content = content_of(ask, overlay, &token)?;
    let accessor = decode(&content)?.auth.map(|auth| auth.accessor).unwrap_or_default();
    let done = end(ask, overlay, &token)?;
    let info = lay(ask, overlay, &content, (Ttl::from_secs(entry.ttl_seconds), entry.path.clone(), accessor))?;
    Ok(Done { wrap_info: Some(info), concerns: Some(entry.accessor), unwrapped_path: Some(entry.path), ..done })
}

/// The wrapping token that the request names, else the caller's own. What is read becomes an expectation of the commit: of two that unwrap at
/// the same time one finds nothing.
fn find(ask: &Ask<'_>, overlay: &mut Overlay<'_>) -> Result<(TokenRef, TokenEntry)> {
    let named = Members(ask.data).text("token")?.filter(|token| !token.is_empty() && *token != ask.token);
    let token = match named {
        Some(text) if text.len() > TOKEN_BYTES_MAX || batch::is_batch(text) => return Err(invalid()),
        Some(text) => TokenRef { namespace: ask.place.namespace.id, key: token::key_of(&ask.place.namespace.barrier, text) },
        None => ask.caller.id,
    };
    let barrier = ask.core.namespaces.load().barrier(&token.namespace).ok_or_else(invalid)?;
    let entry = overlay.within(&barrier, |overlay| records::load(overlay, &token.key))?;
    let entry = entry.filter(|entry| entry.is_wrapping() && !entry.is_expired(ask.now)).ok_or_else(invalid)?;
    Ok((token, entry))
}

fn content_of(ask: &Ask<'_>, overlay: &mut Overlay<'_>, token: &TokenRef) -> Result<WipedBytes> {
    let barrier = ask.core.namespaces.load().barrier(&token.namespace).ok_or_else(invalid)?;
    let key = records::wrapped_key(&barrier, &token.key);
    overlay.within(&barrier, |overlay| overlay.get(Kind::Wrapped, &key))?.ok_or_else(invalid)
}

/// Removes a wrapping token with what it holds.
fn end(ask: &Ask<'_>, overlay: &mut Overlay<'_>, token: &TokenRef) -> Result<Done> {
    let namespaces = ask.core.namespaces.load_full();
    let barrier_of = |id: &Id| namespaces.barrier(id);
    let gone = tokens::remove(overlay, token, tokens::Ending::Revoked, &barrier_of, TOKEN_REMOVALS_MAX)?;
    let tokens = Arc::clone(&ask.core.tokens);
    Ok(Done::default().publishing(move || tokens.forget(&gone)))
}

/// Lays a new wrapping token with its content into the namespace of the request.
fn lay(ask: &Ask<'_>, overlay: &mut Overlay<'_>, content: &[u8], (ttl, path, accessor): (Ttl, String, String)) -> Result<WrapInfo> {
    let rng = ask.core.barrier.rng();
    let secret = token::generate(rng).map_err(no_entropy)?;
    let entry = TokenEntry {
        accessor: token::generate_accessor(rng).map_err(no_entropy)?,
        policies: vec![WRAPPING_POLICY.to_owned()],
        display_name: WRAPPING_POLICY.to_owned(),
        path,
        created_millis: ask.now.as_millis(),
        ttl_seconds: ttl.as_secs(),
        expires_millis: ask.now.plus(ttl).as_millis(),
        explicit_max_seconds: ttl.as_secs(),
        num_uses: 1,
        ..TokenEntry::default()
    };
    let key = token::key_of(overlay.barrier(), secret.expose());
    let namespaces = ask.core.namespaces.load();
    records::store(overlay, &key, &entry, &|id| namespaces.barrier(id))?;
    tick::look_at(overlay, &ask.core.barrier, entry.ends())?;
    let at = records::wrapped_key(overlay.barrier(), &key);
    overlay.put(Kind::Wrapped, at, content)?;
    Ok(WrapInfo {
        token: secret,
        accessor: entry.accessor,
        ttl,
        creation_time: ask.now,
        creation_path: entry.path,
        wrapped_accessor: accessor,
    })
}

fn encode(response: &Response) -> Result<Zeroizing<Vec<u8>>> {
    let data = response.data.as_ref().map(Value::to_json);
    if let Some(data) = &data {
        // What unwrapping would refuse must not be wrapped.
        drop(Value::from_json(data)?);
    }
    let wrapped = Wrapped {
        lease_id: &response.lease_id,
        renewable: response.renewable,
        lease_seconds: response.lease_duration.as_secs(),
        data: data.as_ref().map(|data| data.as_slice()),
        warnings: response.warnings.clone(),
        auth: response.auth.as_ref().map(|auth| WrappedAuth {
            client_token: auth.client_token.expose(),
            accessor: &auth.accessor,
            policies: auth.policies.clone(),
            token_policies: auth.token_policies.clone(),
            metadata: auth.metadata.clone(),
            lease_seconds: auth.lease_duration.as_secs(),
            renewable: auth.renewable,
            orphan: auth.orphan,
            num_uses: auth.num_uses,
            is_batch: auth.token_type == TokenType::Batch,
            identity_policies: auth.identity_policies.clone(),
            entity_id: auth.entity_id.clone(),
        }),
    };
    let mut size = Size(0);
    minicbor::encode(&wrapped, &mut size).expect("counting cannot fail");
    let mut bytes = Zeroizing::new(Vec::with_capacity(size.0));
    minicbor::encode(&wrapped, &mut *bytes).expect("encoding to memory cannot fail");
    Ok(bytes)
}

fn decode(bytes: &[u8]) -> Result<Response> {
    let wrapped: Wrapped<'_> = minicbor::decode(bytes).map_err(|_| BarrierError::Corrupt)?;
    Ok(Response {
        lease_id: wrapped.lease_id.to_owned(),
        renewable: wrapped.renewable,
        lease_duration: Ttl::from_secs(wrapped.lease_seconds),
        data: wrapped.data.map(Value::from_json).transpose()?,
        warnings: wrapped.warnings,
        auth: wrapped.auth.map(|auth| Auth {
            client_token: SecretString::copy_from(auth.client_token),
            accessor: auth.accessor.to_owned(),
            policies: auth.policies,
            token_policies: auth.token_policies,
            identity_policies: auth.identity_policies,
            entity_id: auth.entity_id,
            metadata: auth.metadata,
            lease_duration: Ttl::from_secs(auth.lease_seconds),
            renewable: auth.renewable,
            orphan: auth.orphan,
            num_uses: auth.num_uses,
            token_type: if auth.is_batch { TokenType::Batch } else { TokenType::Service },
        }),
        ..Response::default()
    })
}

/// Counts what would be written, so that no buffer grows and leaves copies.
struct Size(usize);

impl minicbor::encode::Write for Size {
    type Error = Infallible;

    fn write_all(&mut self, bytes: &[u8]) -> Result<(), Infallible> {
        self.0 += bytes.len();
        Ok(())
    }
}
