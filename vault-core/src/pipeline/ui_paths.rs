//! `sys/internal/ui`: what the calling token can reach, as command-line tools and other faces ask it.

use super::mounts::MountTable;
use super::system::{Ask, Done};
use crate::policy::ReachableRule;
use crate::types::{Error, Object, Result, Value};

/// One of these paths.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum UiPath<'p> {
    ResultantAcl,
    Mounts,
    /// The mount that a path is behind.
    Mount(&'p str),
}

impl<'p> UiPath<'p> {
    /// The path, from what comes behind `sys/internal/ui/`.
    pub(super) fn parse(rest: &'p str) -> Option<Self> {
        match rest {
            "resultant-acl" => Some(UiPath::ResultantAcl),
            "mounts" => Some(UiPath::Mounts),
            _ => rest.strip_prefix("mounts/").map(UiPath::Mount),
        }
    }

    /// Whether any valid token may ask, since it is told of nothing but what its policies let it reach.
    pub(super) fn is_for_any_token(self) -> bool {
        matches!(self, UiPath::Mounts | UiPath::Mount(_))
    }
}

/// `READ sys/internal/ui/...`.
pub(super) fn read(ask: &Ask<'_>, path: UiPath<'_>) -> Result<Done> {
    match path {
        UiPath::ResultantAcl => Ok(Done::answer(resultant_acl(ask))),
        UiPath::Mounts => Ok(Done::answer(mounts(ask))),
        UiPath::Mount(at) => mount(ask, at).map(Done::answer),
    }
}

fn resultant_acl(ask: &Ask<'_>) -> Object {
    if ask.rules.is_root() {
        return Object::new().with("root", true);
    }
    let (mut exact, mut globs) = (Object::new(), Object::new());
    for rule in ask.rules.reachable() {
        let entry = Object::new().with("capabilities", rule.capabilities.clone());
        let paths = if rule.is_exact() { &mut exact } else { &mut globs };
        paths.insert(rule.path.strip_suffix('*').filter(|_| !rule.is_exact()).unwrap_or(rule.path), entry);
    }
    Object::new().with("root", false).with("exact_paths", exact).with("glob_paths", globs).with("chroot_namespace", "")
}

/// The mounts behind which the token may do something, those of secrets and those of auth methods.
fn mounts(ask: &Ask<'_>) -> Object {
    let mut secret = Object::new();
    for (path, row) in rows(ask) {
        if may_reach(ask, &path) {
            secret.insert(&path, row);
        }
    }
    let mut auth = Object::new();
    if may_reach(ask, "auth/token/") {
        auth.insert(
            "token/",
            Object::new().with("type", "token").with("description", "token based credentials").with("options", Value::Null),
        );
    }
    Object::new().with("secret", secret).with("auth", auth)
}

/// The mount that the path is behind, to those who may reach something there. Others are not told whether there is one.
fn mount(ask: &Ask<'_>, at: &str) -> Result<Object> {
    let asked = format!("{}/", at.trim_end_matches('/'));
    let found = rows(ask).into_iter().filter(|(path, _)| asked.starts_with(path.as_str())).max_by_key(|(path, _)| path.len());
    let (path, row) = found.filter(|(path, _)| may_reach(ask, path)).ok_or_else(Error::permission_denied)?;
    Ok(row.with("path", path))
}

fn rows(ask: &Ask<'_>) -> Vec<(String, Object)> {
    let table: &MountTable = &ask.place.namespace.mounts.load();
    let all = table.to_value();
    let rows = all.as_object().into_iter().flat_map(Object::iter);
    rows.filter_map(|(path, row)| Some((path.to_owned(), row.as_object()?.clone()))).collect()
}

fn may_reach(ask: &Ask<'_>, mount: &str) -> bool {
    let below = ask.place.namespace.path.strip_prefix(ask.home.path.as_str()).unwrap_or_default();
    let mount = format!("{below}{mount}");
    ask.rules.is_root() || ask.rules.reachable().any(|rule: ReachableRule<'_>| rule.may_match_below(&mount))
}
