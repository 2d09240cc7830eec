//! `auth/token/roles`: what is fixed beforehand for tokens that are made by a role.

use super::given::{Members, bad};
use super::system::{Ask, Done};
use super::token_options::{cidrs, policy_names};
use crate::auth::role::{self, RoleType, TokenRole};
use crate::auth::token::WRAPPING_POLICY;
use crate::barrier::Overlay;
use crate::identity::AliasName;
use crate::types::limits::{CUSTOM_KEY_BYTES_MAX, TOKEN_POLICIES_MAX};
use crate::types::{Code, Error, Object, Result, Ttl};

/// Globs have their stars anywhere.
const GLOB: char = '*';

const KNOWN: [&str; 19] = [
    "role_name",
    "name",
    "allowed_policies",
    "disallowed_policies",
    "allowed_policies_glob",
    "disallowed_policies_glob",
    "orphan",
    "renewable",
    "token_period",
    "period",
    "token_explicit_max_ttl",
    "explicit_max_ttl",
    "token_no_default_policy",
    "token_num_uses",
    "token_type",
    "token_bound_cidrs",
    "bound_cidrs",
    "path_suffix",
    "allowed_entity_aliases",
];

/// `LIST auth/token/roles`.
pub(super) fn list(ask: &Ask<'_>, overlay: &Overlay<'_>) -> Result<Done> {
    let data = Members(ask.data);
    let limit = data.whole("limit")?.and_then(|limit| usize::try_from(limit).ok()).filter(|limit| *limit > 0);
    let names = overlay.children_after(&role::FOLDER, "", data.text("after")?.unwrap_or_default(), limit)?;
    if names.is_empty() {
        return Err(Error::new(Code::NotFound, "there are no token roles"));
    }
    Ok(Done::answer(Object::new().with("keys", names)))
}

/// `READ auth/token/roles/NAME`.
pub(super) fn read(overlay: &mut Overlay<'_>, name: &str) -> Result<Done> {
    let role = role::load(overlay, name)?.ok_or_else(|| Error::new(Code::NotFound, "there is no token role of that name"))?;
    Ok(Done::answer(
        Object::new()
            .with("name", role.name)
            .with("allowed_policies", role.allowed)
            .with("disallowed_policies", role.disallowed)
            .with("allowed_policies_glob", role.allowed_globs)
            .with("disallowed_policies_glob", role.disallowed_globs)
            .with("allowed_entity_aliases", role.allowed_aliases)
            .with("orphan", role.orphan)
            .with("renewable", !role.not_renewable)
            .with("period", role.period_seconds)
            .with("token_period", role.period_seconds)
            .with("explicit_max_ttl", role.explicit_max_seconds)
            .with("token_explicit_max_ttl", role.explicit_max_seconds)
            .with("token_no_default_policy", role.no_default_policy)
            .with("token_num_uses", role.num_uses)
            .with("token_type", role.kind.name())
            .with("token_bound_cidrs", role.bound_cidrs)
            .with("path_suffix", role.path_suffix),
    ))
}

/// `WRITE auth/token/roles/NAME`: what is not named stays as it was.
pub(super) fn write(ask: &Ask<'_>, overlay: &mut Overlay<'_>, name: &str) -> Result<Done> {
    let data = Members(ask.data);
    data.known_only(&KNOWN)?;
    check_name(name)?;
    let mut role = role::load(overlay, name)?.unwrap_or_else(|| TokenRole { name: name.to_owned(), ..TokenRole::default() });
    for (member, list) in [("allowed_policies", &mut role.allowed), ("disallowed_policies", &mut role.disallowed)] {
        if let Some(names) = data.texts(member)? {
            *list = policy_names(Some(names))?;
        }
    }
    for (member, list) in [("allowed_policies_glob", &mut role.allowed_globs), ("disallowed_policies_glob", &mut role.disallowed_globs)] {
        if let Some(globs) = data.texts(member)? {
            *list = checked_globs(member, globs)?;
        }
    }
    if let Some(patterns) = data.texts("allowed_entity_aliases")? {
        role.allowed_aliases = alias_patterns(&patterns)?;
    }
    for (member, older, seconds) in [
        ("token_period", "period", &mut role.period_seconds),
        ("token_explicit_max_ttl", "explicit_max_ttl", &mut role.explicit_max_seconds),
    ] {
        if let Some(given) = data.get(member).or(data.get(older)) {
            *seconds = Ttl::from_value(given)?.as_secs();
        }
    }
    for (member, truth) in [("orphan", &mut role.orphan), ("token_no_default_policy", &mut role.no_default_policy)] {
        *truth = data.truth(member)?.unwrap_or(*truth);
    }
    role.not_renewable = data.truth("renewable")?.map_or(role.not_renewable, |renewable| !renewable);
    role.num_uses = data.whole("token_num_uses")?.unwrap_or(role.num_uses);
    role.kind = data.text("token_type")?.map_or(Ok(role.kind), kind)?;
    let networks = data.texts("token_bound_cidrs")?.map_or_else(|| data.texts("bound_cidrs"), |networks| Ok(Some(networks)))?;
    role.bound_cidrs = networks.map_or(Ok(role.bound_cidrs), cidrs)?;
    if let Some(suffix) = data.text("path_suffix")? {
        check_suffix(suffix)?;
        role.path_suffix = suffix.to_owned();
    }
    check_batch(&role)?;
    role::save(overlay, &role)?;
    Ok(Done::default())
}

/// `DELETE auth/token/roles/NAME`. Tokens that were made by it stay as they are.
pub(super) fn delete(overlay: &mut Overlay<'_>, name: &str) -> Result<Done> {
    role::remove(overlay, name)?;
    Ok(Done::default())
}

fn kind(name: &str) -> Result<RoleType> {
    RoleType::named(name)
        .or_else(|| (name.is_empty() || name == "default").then(RoleType::default))
        .ok_or_else(|| bad("token_type", "must be \"default-service\", \"default-batch\", \"service\" or \"batch\""))
}

fn check_name(name: &str) -> Result<()> {
    let is_known = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    if name.is_empty() || name.len() > CUSTOM_KEY_BYTES_MAX || !name.chars().all(is_known) {
        let why = format!("a role's name has from 1 to {CUSTOM_KEY_BYTES_MAX} letters, digits and the characters \"_\", \"-\" and \".\"");
        return Err(Error::new(Code::InvalidPath, why));
    }
    Ok(())
}

/// Patterns of names of policies, in the one spelling of those.
fn checked_globs(member: &str, globs: Vec<&str>) -> Result<Vec<String>> {
    let is_sound = |glob: &&str| glob.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'/');
    if globs.len() > TOKEN_POLICIES_MAX || !globs.iter().all(is_sound) {
        return Err(bad(
            member,
            &format!("has at most {TOKEN_POLICIES_MAX} patterns of names of policies, in which \"{GLOB}\" is anything"),
        ));
    }
    Ok(globs.into_iter().map(str::to_ascii_lowercase).collect())
}

/// Patterns of names of aliases, in the one spelling of those.
fn alias_patterns(patterns: &[&str]) -> Result<Vec<String>> {
    if patterns.len() > TOKEN_POLICIES_MAX {
        return Err(bad("allowed_entity_aliases", &format!("has at most {TOKEN_POLICIES_MAX} patterns, in which \"{GLOB}\" is anything")));
    }
    patterns.iter().map(|pattern| Ok(AliasName::parse(pattern)?.as_str().to_owned())).collect()
}

fn check_suffix(suffix: &str) -> Result<()> {
    let is_known = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '/');
    let is_sound = suffix.is_empty()
        || suffix.len() <= CUSTOM_KEY_BYTES_MAX
            && suffix.chars().all(is_known)
            && suffix.split('/').all(|segment| !segment.is_empty() && segment != "." && segment != "..");
    if is_sound { Ok(()) } else { Err(bad("path_suffix", "must be a path of letters, digits, \"_\", \"-\" and \".\"")) }
}

/// What a role cannot ask of tokens that have no record, and what none can ask.
fn check_batch(role: &TokenRole) -> Result<()> {
    let makes_batch = matches!(role.kind, RoleType::Batch | RoleType::DefaultBatch);
    if makes_batch && (role.period_seconds > 0 || role.explicit_max_seconds > 0 || role.num_uses > 0) {
        return Err(bad("token_type", "cannot be of batch tokens with a period, an explicit maximum or a limit of uses"));
    }
    if role.allowed.iter().any(|name| name == WRAPPING_POLICY) {
        return Err(bad("allowed_policies", "cannot have \"response-wrapping\""));
    }
    Ok(())
}
