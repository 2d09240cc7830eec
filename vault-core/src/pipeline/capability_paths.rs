//! What a token may do, and why: `sys/capabilities`, `sys/capabilities-accessor`, `sys/capabilities-self` and `sys/policies/explain`.

use super::identities;
use super::namespaces::Namespace;
use super::system::{Ask, Done, SystemPath, capability_for};
use super::tokens;
use crate::auth::{LiveToken, TokenRef, records};
use crate::barrier::Overlay;
use crate::engines::Call;
use crate::policy::{Capability, CompiledPolicies, Decision, Facts, Given};
use crate::types::limits::TOKEN_BYTES_MAX;
use crate::types::{Code, Error, Object, Operation, Path, Result, Ttl, Value};
use std::sync::Arc;

/// Whose capabilities are asked for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Whose {
    Token,
    Accessor,
    Caller,
}

/// The rules of a token, and the namespace from which they see paths.
struct Subject {
    rules: Arc<CompiledPolicies>,
    home: String,
}

/// `WRITE sys/capabilities`, `sys/capabilities-accessor`, `sys/capabilities-self`.
pub(super) fn capabilities(ask: &Ask<'_>, whose: Whose) -> Result<Done> {
    let paths = requested_paths(ask.data)?;
    let subject = match whose {
        Whose::Caller => None,
        Whose::Token => Some(by_token(ask, member(ask.data, "token")?.ok_or_else(|| missing("token"))?)?),
        Whose::Accessor => Some(by_accessor(ask, member(ask.data, "accessor")?.ok_or_else(|| missing("accessor"))?)?),
    };
    let mut body = Object::new();
    for path in &paths {
        let canonical = Path::parse(path)?;
        let (rules, seen) = seen_by(ask, subject.as_ref(), canonical.as_str());
        let mut given = rules.capabilities(&seen);
        if given.contains(&Capability::List.name()) && !may_list_elsewhere(ask, subject.as_ref(), canonical.as_str()) {
            given.retain(|name| *name != Capability::List.name());
            if given.is_empty() {
                given.push(Capability::Deny.name());
            }
        }
        body.insert(path, given);
    }
    if let [path] = &paths[..]
        && let Some(only) = body.get(path).cloned()
    {
        body.insert("capabilities", only);
    }
    Ok(Done::answer(body))
}

/// `WRITE sys/policies/explain`: the decision on a request that is not made, with the trace of how it comes about.
pub(super) fn explain(ask: &Ask<'_>) -> Result<Done> {
    let path = member(ask.data, "path")?.ok_or_else(|| missing("path"))?;
    let path = Path::parse(path)?;
    let (asked, operation) = requested_capability(ask.data)?;
    let data = ask.data.and_then(|data| data.get("data")).filter(|data| !matches!(data, Value::Null));
    let wrap_ttl = ask.data.and_then(|data| data.get("wrap_ttl")).filter(|ttl| !matches!(ttl, Value::Null));
    let wrap_ttl = wrap_ttl.map(Ttl::from_value).transpose()?.filter(|ttl| *ttl > Ttl::ZERO);
    let subject = match (member(ask.data, "token")?, member(ask.data, "accessor")?) {
        (Some(_), Some(_)) => return Err(Error::new(Code::InvalidRequest, "pass a token or an accessor, not both")),
        (Some(token), None) => {
            check_may_ask_for_others(ask, "sys/capabilities")?;
            Some(by_token(ask, token)?)
        }
        (None, Some(accessor)) => {
            check_may_ask_for_others(ask, "sys/capabilities-accessor")?;
            Some(by_accessor(ask, accessor)?)
        }
        (None, None) => None,
    };
    let (rules, seen) = seen_by(ask, subject.as_ref(), path.as_str());
    let facts = Facts { operation: asked, path: &seen, data, wrap_ttl, caller: None };
    let mut decision = rules.explained(&facts)?;
    if let Some(refusal) = refusal_elsewhere(ask, subject.as_ref(), path.as_str(), &facts).filter(|_| decision.allowed) {
        decision = refusal?;
    }
    let needs_sudo = SystemPath::parse(path.as_str()).is_some_and(|system| system.is_root_protected(operation));
    let has_sudo = rules.decide(&seen, asked, Given { data, wrap_ttl }).has(Capability::Sudo);
    let mut body = decision.to_value().as_object().cloned().unwrap_or_default();
    body.insert("sudo_required", needs_sudo);
    if needs_sudo && decision.allowed && !has_sudo {
        let step = "sudo is required";
        body.insert("allowed", false);
        body.insert("step", step);
        body.insert("text", format!("DENIED {} {seen}: {step}; without that: {decision}", asked.name()));
    }
    Ok(Done::answer(body))
}

/// The other folder at which a listing of this one's content is listed too: the rules for both decide.
fn listed_elsewhere(ask: &Ask<'_>, path: &str) -> Option<String> {
    let mounts = ask.place.namespace.mounts.load();
    let routing = mounts.route(path).filter(|_| SystemPath::parse(path).is_none())?;
    let call =
        Call { operation: Operation::List, path: routing.rest, data: None, now: ask.now, holder: None, display_name: "", entity: None };
    let folder = routing.engine.listed_elsewhere(&call)?;
    Some(format!("{}{folder}", path.strip_suffix(routing.rest).unwrap_or_default()))
}

fn may_list_elsewhere(ask: &Ask<'_>, subject: Option<&Subject>, path: &str) -> bool {
    listed_elsewhere(ask, path).is_none_or(|folder| {
        let (rules, seen) = seen_by(ask, subject, &folder);
        rules.decide(&seen, Capability::List, Given::default()).allowed()
    })
}

/// The decision of the rules for the other folder, where they refuse a listing; it names that folder.
fn refusal_elsewhere(ask: &Ask<'_>, subject: Option<&Subject>, path: &str, facts: &Facts<'_>) -> Option<Result<Decision>> {
    let folder = listed_elsewhere(ask, path).filter(|_| facts.operation == Capability::List)?;
    let (rules, seen) = seen_by(ask, subject, &folder);
    let decision = rules.explained(&Facts { path: &seen, ..*facts });
    Some(decision).filter(|decision| decision.as_ref().map_or(true, |decision| !decision.allowed))
}

/// What is asked for: a capability's name, or an operation of a request. A write asks for `update`.
fn requested_capability(data: Option<&Value>) -> Result<(Capability, Operation)> {
    let name = match (member(data, "operation")?, member(data, "capability")?) {
        (Some(name), None) | (None, Some(name)) => name,
        _ => return Err(missing("operation")),
    };
    if name == "write" {
        return Ok((Capability::Update, Operation::Write));
    }
    let asked = Capability::asked(name)?;
    let operation = Operation::from_name(name).unwrap_or(Operation::Write);
    debug_assert!(operation == Operation::Write || capability_for(operation, None) == asked);
    Ok((asked, operation))
}

/// Another token's decisions are shown to those who may ask for its capabilities, and have `sudo` where they ask.
fn check_may_ask_for_others(ask: &Ask<'_>, path: &str) -> Result<()> {
    let below = ask.place.namespace.path.strip_prefix(ask.home.path.as_str()).unwrap_or_default();
    let may = ask.rules.decide(&format!("{below}{path}"), Capability::Update, Given::default()).allowed();
    let has_sudo = ask.rules.decide(ask.policy_path, Capability::Update, Given { data: ask.data, wrap_ttl: None }).has(Capability::Sudo);
    if may && has_sudo { Ok(()) } else { Err(Error::permission_denied()) }
}

/// A path of the request's namespace as the subject's rules see it.
fn seen_by<'a>(ask: &'a Ask<'_>, subject: Option<&'a Subject>, path: &str) -> (&'a CompiledPolicies, String) {
    let (rules, home) = match subject {
        None => (ask.rules, ask.home.path.as_str()),
        Some(subject) => (&*subject.rules, subject.home.as_str()),
    };
    let below = ask.place.namespace.path.strip_prefix(home).unwrap_or_default();
    (rules, format!("{below}{path}"))
}

/// The token, if it is one of the request's namespace or of one above it.
fn by_token(ask: &Ask<'_>, text: &str) -> Result<Subject> {
    if text.len() > TOKEN_BYTES_MAX {
        return Err(invalid("token"));
    }
    for namespace in ask.place.namespace.upward() {
        let live = tokens::find(ask.core, &ask.core.namespaces.load(), namespace, text)?;
        if let Some(live) = live.filter(|live| !live.has_expired(ask.now)) {
            return subject(ask, namespace, &live);
        }
    }
    Err(invalid("token"))
}

fn by_accessor(ask: &Ask<'_>, accessor: &str) -> Result<Subject> {
    let namespace = &ask.place.namespace;
    let mut overlay = Overlay::reading(&namespace.barrier, ask.core.source());
    let key = records::by_accessor(&mut overlay, accessor)?.ok_or_else(|| invalid("accessor"))?;
    let live = tokens::look_up(ask.core, &ask.core.namespaces.load(), TokenRef { namespace: namespace.id, key })?;
    let live = live.filter(|live| !live.has_expired(ask.now)).ok_or_else(|| invalid("accessor"))?;
    subject(ask, namespace, &live)
}

/// One whose entity is disabled or gone may do nothing.
fn subject(ask: &Ask<'_>, namespace: &Namespace, live: &LiveToken) -> Result<Subject> {
    let bearing = identities::bearing(ask.core, &ask.core.namespaces.load(), namespace, live, ask.now)?;
    Ok(Subject { rules: bearing.rules, home: namespace.path.clone() })
}

/// The paths of a request: `paths` or `path`, each an array of texts or one text with commas.
fn requested_paths(data: Option<&Value>) -> Result<Vec<String>> {
    let bad = || Error::new(Code::InvalidData, "pass the paths as an array of texts, the member \"paths\"");
    let given = |name| data.and_then(|data| data.get(name)).filter(|value| !matches!(value, Value::Null));
    let paths: Vec<String> = match given("paths").or_else(|| given("path")).ok_or_else(bad)? {
        Value::String(text) => text.split(',').map(|path| path.trim().to_owned()).filter(|path| !path.is_empty()).collect(),
        value => {
            let paths = value.as_array().ok_or_else(bad)?.iter();
            paths.map(|path| path.as_str().map(str::to_owned).ok_or_else(bad)).collect::<Result<_>>()?
        }
    };
    if paths.is_empty() { Err(bad()) } else { Ok(paths) }
}

fn member<'d>(data: Option<&'d Value>, name: &str) -> Result<Option<&'d str>> {
    match data.and_then(|data| data.get(name)) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => value.as_str().map(Some).ok_or_else(|| Error::new(Code::InvalidData, format!("\"{name}\" must be text"))),
    }
}

fn missing(name: &str) -> Error {
    Error::new(Code::InvalidData, format!("\"{name}\" is missing"))
}

/// One answer to what is unknown, expired, revoked, or of another namespace.
fn invalid(name: &str) -> Error {
    Error::new(Code::InvalidRequest, format!("invalid {name}: there is none such"))
}
