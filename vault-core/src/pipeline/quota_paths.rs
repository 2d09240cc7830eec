//! What the paths below `sys/quotas` answer.

use super::quotas::{Quota, QuotaTable};
use super::system::{Ask, Done};
use crate::barrier::Overlay;
use crate::types::limits::{NAME_BYTES_MAX, PATH_BYTES_MAX, QUOTA_EXEMPT_PATHS_MAX, QUOTA_INTERVAL_SECONDS_MAX, QUOTAS_MAX};
use crate::types::{Code, Error, Object, Operation, Path, Result, Ttl, Value};
use std::sync::Arc;

/// One of these paths.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum QuotaPath<'p> {
    Config,
    RateLimits,
    RateLimit(&'p str),
}

/// What is asked without a token and never counts, as users know the list.
const ALWAYS_EXEMPT: [&str; 8] = [
    "sys/generate-root/attempt",
    "sys/generate-root/update",
    "sys/health",
    "sys/init",
    "sys/leader",
    "sys/rekey/*",
    "sys/seal-status",
    "sys/unseal",
];

impl<'p> QuotaPath<'p> {
    /// The path, from what comes behind `sys/quotas/`.
    pub(super) fn parse(rest: &'p str) -> Option<Self> {
        match rest {
            "config" => Some(QuotaPath::Config),
            "rate-limit" => Some(QuotaPath::RateLimits),
            _ => rest.strip_prefix("rate-limit/").map(QuotaPath::RateLimit),
        }
    }
}

pub(super) fn execute(ask: &Ask<'_>, overlay: &mut Overlay<'_>, operation: Operation, path: QuotaPath<'_>) -> Result<Done> {
    match (operation, path) {
        (Operation::Read, QuotaPath::Config) => Ok(read_config(ask)),
        (Operation::Write, QuotaPath::Config) => write_config(ask, overlay),
        (Operation::List | Operation::Read, QuotaPath::RateLimits) => list(ask),
        (Operation::Read, QuotaPath::RateLimit(name)) => read(ask, name),
        (Operation::Write, QuotaPath::RateLimit(name)) => write(ask, overlay, name),
        (Operation::Delete, QuotaPath::RateLimit(name)) => delete(ask, overlay, name),
        _ => Err(Error::new(Code::UnsupportedPath, "the vault has no such operation at this path")),
    }
}

fn list(ask: &Ask<'_>) -> Result<Done> {
    let table = ask.core.quotas.table.load();
    if table.quotas.is_empty() {
        return Err(Error::new(Code::NotFound, "there are no quotas"));
    }
    let names: Vec<&str> = table.quotas.iter().map(|quota| quota.name.as_str()).collect();
    Ok(Done::answer(Object::new().with("keys", names)))
}

fn read(ask: &Ask<'_>, name: &str) -> Result<Done> {
    let table = ask.core.quotas.table.load();
    let quota = table.quotas.iter().find(|quota| quota.name == name);
    let quota = quota.ok_or_else(|| Error::new(Code::NotFound, "there is no quota of that name"))?;
    let rate = serde_json::Number::from_f64(quota.rate).map_or(Value::Null, Value::Number);
    Ok(Done::answer(
        Object::new()
            .with("name", quota.name.as_str())
            .with("type", "rate-limit")
            .with("path", quota.path.as_str())
            .with("role", "")
            .with("rate", rate)
            .with("interval", quota.interval_millis / 1000)
            .with("block_interval", quota.block_millis / 1000)
            .with("group_by", "ip")
            .with("inheritable", quota.path.is_empty()),
    ))
}

fn write(ask: &Ask<'_>, overlay: &mut Overlay<'_>, name: &str) -> Result<Done> {
    if name.is_empty() || name.len() > NAME_BYTES_MAX || !name.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'/') {
        return Err(refused(&format!(
            "a quota's name must be printable ASCII of at most {NAME_BYTES_MAX} bytes, without spaces and slashes"
        )));
    }
    known_only(ask.data, &["name", "type", "path", "role", "rate", "interval", "block_interval", "inheritable", "group_by"])?;
    let mut table = QuotaTable::load(overlay)?;
    let old = table.quotas.iter().position(|quota| quota.name == name);
    let path = match (member(ask.data, "path"), old) {
        (None, Some(old)) => table.quotas[old].path.clone(),
        (None, None) => String::new(),
        (Some(path), _) => canonical_path(ask, path.as_str().ok_or_else(|| refused("\"path\" must be text"))?)?,
    };
    check_unsupported(ask.data, &path)?;
    if table.quotas.iter().any(|quota| quota.path == path && quota.name != name) {
        return Err(refused("another quota has this path: change that one"));
    }
    let rate = member(ask.data, "rate").and_then(number).filter(|rate| (1e-6..=1e9).contains(rate));
    let rate = rate.ok_or_else(|| refused("\"rate\" must be a number of requests above 0 and at most 1000000000"))?;
    let seconds = |name: &str, otherwise: u64, least: u64| -> Result<u64> {
        let seconds = match member(ask.data, name) {
            None => otherwise,
            Some(Value::String(text)) if text.is_empty() => otherwise,
            Some(value) => Ttl::from_value(value)?.as_secs(),
        };
        let range = least..=QUOTA_INTERVAL_SECONDS_MAX;
        let why = || refused(&format!("\"{name}\" must be from {least} to {QUOTA_INTERVAL_SECONDS_MAX} whole seconds"));
        if range.contains(&seconds) { Ok(seconds * 1000) } else { Err(why()) }
    };
    let (interval_millis, block_millis) = (seconds("interval", 1, 1)?, seconds("block_interval", 0, 0)?);
    table.generations += 1;
    let quota = Quota { name: name.to_owned(), path, rate, interval_millis, block_millis, generation: table.generations };
    match old {
        Some(old) => table.quotas[old] = quota,
        None if table.quotas.len() >= QUOTAS_MAX => {
            return Err(refused(&format!("there are {QUOTAS_MAX} quotas already: delete some first")));
        }
        None => table.quotas.push(quota),
    }
    table.quotas.sort_by(|a, b| a.name.cmp(&b.name));
    publish(ask, overlay, table)
}

fn delete(ask: &Ask<'_>, overlay: &mut Overlay<'_>, name: &str) -> Result<Done> {
    let mut table = QuotaTable::load(overlay)?;
    let before = table.quotas.len();
    table.quotas.retain(|quota| quota.name != name);
    if table.quotas.len() == before { Ok(Done::default()) } else { publish(ask, overlay, table) }
}

fn read_config(ask: &Ask<'_>) -> Done {
    let table = ask.core.quotas.table.load();
    let all: Vec<String> = ALWAYS_EXEMPT.iter().map(|path| (*path).to_owned()).collect();
    Done::answer(
        Object::new()
            .with("enable_rate_limit_audit_logging", true)
            .with("enable_rate_limit_response_headers", false)
            .with("rate_limit_exempt_paths", table.exempt.clone())
            .with("absolute_rate_limit_exempt_paths", all),
    )
}

fn write_config(ask: &Ask<'_>, overlay: &mut Overlay<'_>) -> Result<Done> {
    known_only(ask.data, &["enable_rate_limit_audit_logging", "enable_rate_limit_response_headers", "rate_limit_exempt_paths"])?;
    if member(ask.data, "enable_rate_limit_audit_logging").is_some_and(|value| value.as_bool() != Some(true)) {
        return Err(refused("every reply has its record here: \"enable_rate_limit_audit_logging\" cannot be other than true"));
    }
    if member(ask.data, "enable_rate_limit_response_headers").is_some_and(|value| value.as_bool() != Some(false)) {
        return Err(refused(
            "a library sends no headers: the error says when to try again; leave \"enable_rate_limit_response_headers\" out",
        ));
    }
    let mut table = QuotaTable::load(overlay)?;
    if let Some(paths) = member(ask.data, "rate_limit_exempt_paths") {
        let bad = || refused(&format!("\"rate_limit_exempt_paths\" must be an array of at most {QUOTA_EXEMPT_PATHS_MAX} paths"));
        let paths = paths.as_array().filter(|paths| paths.len() <= QUOTA_EXEMPT_PATHS_MAX).ok_or_else(bad)?;
        let fits = |path: &&str| !path.is_empty() && path.len() <= PATH_BYTES_MAX;
        let texts = paths.iter().map(|path| path.as_str().filter(fits).map(|path| path.trim_start_matches('/').to_owned()).ok_or_else(bad));
        table.exempt = texts.collect::<Result<_>>()?;
    }
    publish(ask, overlay, table)
}

fn publish(ask: &Ask<'_>, overlay: &mut Overlay<'_>, table: QuotaTable) -> Result<Done> {
    table.save(overlay)?;
    let quotas = Arc::clone(&ask.core.quotas);
    Ok(Done::default().publishing(move || quotas.publish(table)))
}

/// The path as it is compared: that of a namespace or a mount ends in a slash. What it leads to must be there.
fn canonical_path(ask: &Ask<'_>, path: &str) -> Result<String> {
    let path = path.trim_start_matches('/');
    if path.is_empty() {
        return Ok(String::new());
    }
    let is_glob = path.ends_with('*');
    let bare = path.strip_suffix('*').unwrap_or(path);
    if bare.contains('*') {
        return Err(refused("\"path\" may have a \"*\" at its end only"));
    }
    let folder = format!("{}/", bare.trim_end_matches('/'));
    Path::parse(bare)?;
    let namespaces = ask.core.namespaces.load();
    let namespace = namespaces.deepest(&ask.core.root, &format!("{folder}x"));
    let rest = folder.strip_prefix(namespace.path.as_str()).unwrap_or_default();
    if rest.is_empty() {
        return if is_glob { Err(refused("a \"*\" stands behind a mount's path, not a namespace's")) } else { Ok(folder) };
    }
    let mounts = namespace.mounts.load();
    let mount = ["sys/", "auth/token/", "cubbyhole/"].into_iter().find(|own| rest.starts_with(own)).map(str::to_owned);
    let mount = mount.or_else(|| mounts.entries().map(|entry| entry.path().to_owned()).find(|mount| rest.starts_with(mount.as_str())));
    let mount = mount.ok_or_else(|| refused("\"path\" leads to no namespace and no mount"))?;
    Ok(if rest == mount && !is_glob { folder } else { path.to_owned() })
}

fn check_unsupported(data: Option<&Value>, path: &str) -> Result<()> {
    let is_text = |name, texts: &[&str]| member(data, name).is_none_or(|value| value.as_str().is_some_and(|text| texts.contains(&text)));
    if !is_text("role", &[""]) {
        return Err(refused("quotas by role are not supported in this version: leave \"role\" out"));
    }
    if !is_text("group_by", &["ip", ""]) {
        return Err(refused("quotas count by client address: leave \"group_by\" out"));
    }
    if !is_text("type", &["rate-limit"]) {
        return Err(refused("there are quotas by rate alone in this version: leave \"type\" out"));
    }
    // The quota of all paths is inherited by every namespace, and no other one is.
    if member(data, "inheritable").is_some_and(|value| value.as_bool() != Some(path.is_empty())) {
        return Err(refused("\"inheritable\" is not supported in this version: write a quota for each namespace"));
    }
    Ok(())
}

fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.parse().ok(),
        _ => None,
    }
}

fn member<'d>(data: Option<&'d Value>, name: &str) -> Option<&'d Value> {
    data.and_then(|data| data.get(name)).filter(|value| !matches!(value, Value::Null))
}

fn known_only(data: Option<&Value>, known: &[&str]) -> Result<()> {
    let unknown = data.and_then(Value::as_object).is_some_and(|data| data.iter().any(|(name, _)| !known.contains(&name)));
    if unknown { Err(refused(&format!("an option is unknown, or not supported: use {}", known.join(", ")))) } else { Ok(()) }
}

fn refused(why: &str) -> Error {
    Error::new(Code::InvalidRequest, why)
}
