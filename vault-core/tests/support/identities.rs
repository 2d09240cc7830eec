//! What the tests of identities share: entities and groups made by requests, and tokens of them.
#![allow(dead_code, unreachable_pub, reason = "each test binary takes what it needs")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use super::*;
use vault_core::types::{Auth, Error, Operation, Response, SecretString, Value};
use vault_core::{Session, Vault};

pub fn write(session: &Session, path: &str, data: &str) -> Result<Response, Error> {
    ask(session, Operation::Write, path, data)
}

pub fn delete(session: &Session, path: &str) -> Result<(), Error> {
    ask(session, Operation::Delete, path, "").map(drop)
}

/// A member of an answer's data, as text.
pub fn member(response: Result<Response, Error>, name: &str) -> String {
    told(&response.unwrap().data.unwrap(), name)
}

pub fn told(value: &Value, name: &str) -> String {
    let member = value.get(name).unwrap_or_else(|| panic!("no member {name}"));
    member.as_str().map_or_else(|| text_of(member), str::to_owned)
}

/// A new entity of a name, with policies; its id.
pub fn entity(session: &Session, name: &str, policies: &str) -> String {
    member(write(session, "identity/entity", &format!(r#"{{"name":"{name}","policies":"{policies}"}}"#)), "id")
}

/// A new group with these entities; its id.
pub fn group(session: &Session, name: &str, policies: &str, entities: &[&str]) -> String {
    let members = entities.iter().map(|id| format!("\"{id}\"")).collect::<Vec<_>>().join(",");
    member(
        write(session, "identity/group", &format!(r#"{{"name":"{name}","policies":"{policies}","member_entity_ids":[{members}]}}"#)),
        "id",
    )
}

/// Gives an entity an alias at the method of tokens; the alias' id.
pub fn alias(session: &Session, entity: &str, name: &str) -> String {
    let body = format!(r#"{{"name":"{name}","canonical_id":"{entity}","mount_accessor":"auth_token"}}"#);
    member(write(session, "identity/entity-alias", &body), "id")
}

/// The role `login`, by which tokens of any alias are made that hold the policy `base`, orphans unless `more` says otherwise.
pub fn login_role(session: &Session, more: &str) {
    session.policies().write("base", r#"path "auth/token/lookup-self" { capabilities = ["read"] }"#).unwrap();
    let body = format!(r#"{{"allowed_entity_aliases":"*","allowed_policies":"base","token_no_default_policy":true{more}}}"#);
    write(session, "auth/token/roles/login", &body).unwrap();
}

/// A token of the entity with this alias.
pub fn logged_in(session: &Session, alias: &str, more: &str) -> Auth {
    write(session, "auth/token/create/login", &format!(r#"{{"entity_alias":"{alias}"{more}}}"#)).unwrap().auth.unwrap()
}

pub fn session_of(vault: &Vault, auth: &Auth) -> Session {
    vault.session(SecretString::copy_from(auth.client_token.expose()))
}
