//! What the sessions of a story ask for, and the request that it becomes.

use super::host::{ADMIN, PLUGIN, ROTATED};
use super::lent::ROLES;
use super::rules::{Rule, text_of};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use vault_core::types::{Object, Operation, Path, Request, Result, Value};
use vault_core::{Session, Vault};

pub const MOUNTS: [&str; 2] = ["secret", "team"];
pub const KEYS: [&str; 4] = ["a/x", "a/y", "b/x", "c"];
pub const FOLDERS: [&str; 3] = ["", "a", "b/"];
pub const CONNECTIONS: [&str; 2] = ["d0", "d1"];
const STATIC_ROLES: [&str; 2] = ["one", "two"];

/// A secret: its mount and its path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct At {
    pub mount: u8,
    pub key: u8,
}

/// What becomes of versions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    Delete,
    Undelete,
    Destroy,
}

/// What is to be done about a lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deed {
    LookUp,
    /// So many seconds from now on; 0 for the lease's own time.
    Renew {
        increment: u64,
    },
    /// With `sync` the target is told before the answer.
    Revoke {
        sync: bool,
    },
}

/// What an operator can want of a static role.
pub const WISHES: [&str; 6] = ["rotate-role", "roll-back-role", "retry-role", "end-grace-role", "rehearse-role", "rotate-role"];

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ask {
    Get {
        at: At,
        version: u64,
    },
    Put {
        at: At,
        value: u64,
        cas: Option<u64>,
    },
    Delete {
        at: At,
    },
    Change {
        at: At,
        versions: Vec<u64>,
        fate: Fate,
    },
    Metadata {
        at: At,
    },
    Forget {
        at: At,
    },
    List {
        mount: u8,
        folder: u8,
    },
    MakeToken {
        policies: Vec<u8>,
        ttl: Option<u64>,
        no_default: bool,
        slot: u8,
    },
    /// A token of an entity, by a role of tokens: such tokens share accounts.
    MakeReplica {
        entity: u8,
        ttl: Option<u64>,
        slot: u8,
    },
    RevokeSelf,
    LookUpSelf,
    WritePolicy {
        name: u8,
        rules: Vec<Rule>,
    },
    DeletePolicy {
        name: u8,
    },
    ReadPolicy {
        name: u8,
    },
    ListPolicies,
    Mount {
        mount: u8,
    },
    Roll,
    Retain {
        seconds: u64,
    },
    Prune {
        before: u64,
    },
    AddSlot {
        key: u8,
    },
    RemoveSlot {
        id: u32,
    },
    Slots,
    /// A target system's connection is written, with a password of the vault's account there.
    Connect {
        host: u8,
        password: String,
    },
    Disconnect {
        host: u8,
    },
    Creds {
        role: u8,
    },
    Lease {
        deed: Deed,
        id: String,
    },
    /// Leases are ended by their prefix: a role's, or all.
    EndLeases {
        role: Option<u8>,
        sync: bool,
    },
    /// A static role: 0 has one account, 1 has two.
    Enrol {
        role: u8,
    },
    StaticCreds {
        role: u8,
    },
    /// What an operator wants of a static role, of `WISHES`.
    Rotate {
        role: u8,
        wish: u8,
    },
    RotateRoot {
        host: u8,
    },
    SettleRoot {
        host: u8,
    },
}

/// A request without its token.
pub struct Asked {
    pub operation: Operation,
    pub path: String,
    pub data: Option<Value>,
}

pub fn policy_name(number: u8) -> String {
    format!("p{number}")
}

/// What an entity is called, and its alias.
pub fn entity_name(number: u8) -> String {
    format!("svc-{number}")
}

/// The raw key of that number.
pub fn raw_key(number: u8) -> [u8; 32] {
    [number + 7; 32]
}

impl Ask {
    pub fn name(&self) -> &'static str {
        match self {
            Ask::Get { .. } => "get",
            Ask::Put { cas: None, .. } => "put",
            Ask::Put { .. } => "put with check-and-set",
            Ask::Delete { .. } => "delete",
            Ask::Change { fate: Fate::Delete, .. } => "delete versions",
            Ask::Change { fate: Fate::Undelete, .. } => "undelete versions",
            Ask::Change { fate: Fate::Destroy, .. } => "destroy versions",
            Ask::Metadata { .. } => "metadata",
            Ask::Forget { .. } => "delete metadata",
            Ask::List { .. } => "list",
            Ask::MakeToken { .. } => "make a token",
            Ask::MakeReplica { .. } => "make a token of an entity",
            Ask::RevokeSelf => "revoke",
            Ask::LookUpSelf => "look up",
            Ask::WritePolicy { .. } => "write a policy",
            Ask::DeletePolicy { .. } => "delete a policy",
            Ask::ReadPolicy { .. } => "read a policy",
            Ask::ListPolicies => "list policies",
            Ask::Mount { .. } => "mount",
            Ask::Roll => "roll the data keys",
            Ask::Retain { .. } => "retention",
            Ask::Prune { .. } => "prune",
            Ask::AddSlot { .. } => "add a slot",
            Ask::RemoveSlot { .. } => "remove a slot",
            Ask::Slots => "list slots",
            Ask::Connect { .. } => "write a connection",
            Ask::Disconnect { .. } => "delete a connection",
            Ask::Creds { role } if ROLES[usize::from(*role)].is_shared => "credentials of a shared account",
            Ask::Creds { .. } => "credentials",
            Ask::Lease { deed: Deed::LookUp, .. } => "look up a lease",
            Ask::Lease { deed: Deed::Renew { .. }, .. } => "renew a lease",
            Ask::Lease { deed: Deed::Revoke { sync: false }, .. } => "revoke a lease",
            Ask::Lease { deed: Deed::Revoke { sync: true }, .. } => "revoke a lease and wait",
            Ask::EndLeases { .. } => "revoke leases by prefix",
            Ask::Enrol { .. } => "write a static role",
            Ask::StaticCreds { .. } => "static credentials",
            Ask::Rotate { wish, .. } => WISHES[usize::from(*wish)],
            Ask::RotateRoot { .. } => "rotate a connection's password",
            Ask::SettleRoot { .. } => "settle a connection's password",
        }
    }

    pub fn is_read(&self) -> bool {
        matches!(self.to_request().operation, Operation::Read | Operation::List)
    }

    /// Whether it is of accounts at targets, which the books judge.
    pub fn is_of_accounts(&self) -> bool {
        let of_leases = matches!(self, Ask::Creds { .. } | Ask::Lease { .. } | Ask::EndLeases { .. });
        let of_roles = matches!(self, Ask::Enrol { .. } | Ask::StaticCreds { .. } | Ask::Rotate { .. });
        let of_connections = matches!(self, Ask::Connect { .. } | Ask::Disconnect { .. } | Ask::RotateRoot { .. } | Ask::SettleRoot { .. });
        of_leases || of_roles || of_connections
    }

    /// Whether the path needs `sudo` too.
    pub fn needs_sudo(&self) -> bool {
        let of_slots = matches!(self, Ask::AddSlot { .. } | Ask::RemoveSlot { .. } | Ask::Slots);
        of_slots || matches!(self, Ask::Roll | Ask::Retain { .. } | Ask::Prune { .. } | Ask::EndLeases { .. })
    }

    pub fn to_request(&self) -> Asked {
        let in_mount = |at: &At, part: &str| format!("{}/{part}/{}", MOUNTS[usize::from(at.mount)], KEYS[usize::from(at.key)]);
        let acl = |name: &u8| format!("sys/policies/acl/{}", policy_name(*name));
        let (operation, path, data) = match self {
            Ask::Get { at, version: 0 } => (Operation::Read, in_mount(at, "data"), None),
            Ask::Get { at, version } => (Operation::Read, in_mount(at, "data"), Some(Object::new().with("version", *version))),
            Ask::Put { at, value, cas } => {
                let body = Object::new().with("data", Object::new().with("value", *value));
                let body = if let Some(cas) = cas { body.with("options", Object::new().with("cas", *cas)) } else { body };
                (Operation::Write, in_mount(at, "data"), Some(body))
            }
            Ask::Delete { at } => (Operation::Delete, in_mount(at, "data"), None),
            Ask::Change { at, versions, fate } => {
                let verb = ["delete", "undelete", "destroy"][*fate as usize];
                (Operation::Write, in_mount(at, verb), Some(Object::new().with("versions", versions.clone())))
            }
            Ask::Metadata { at } => (Operation::Read, in_mount(at, "metadata"), None),
            Ask::Forget { at } => (Operation::Delete, in_mount(at, "metadata"), None),
            Ask::List { mount, folder } => {
                (Operation::List, format!("{}/metadata/{}", MOUNTS[usize::from(*mount)], FOLDERS[usize::from(*folder)]), None)
            }
            Ask::MakeToken { policies, ttl, no_default, .. } => {
                let mut body = Object::new().with("no_default_policy", *no_default);
                if !policies.is_empty() {
                    body.insert("policies", policies.iter().map(|name| policy_name(*name)).collect::<Vec<_>>());
                }
                if let Some(ttl) = ttl {
                    body.insert("ttl", *ttl);
                }
                (Operation::Write, "auth/token/create".to_owned(), Some(body))
            }
            Ask::MakeReplica { entity, ttl, .. } => {
                let body = Object::new().with("entity_alias", entity_name(*entity));
                let body = if let Some(ttl) = ttl { body.with("ttl", *ttl) } else { body };
                (Operation::Write, "auth/token/create/replica".to_owned(), Some(body))
            }
            Ask::RevokeSelf => (Operation::Write, "auth/token/revoke-self".to_owned(), None),
            Ask::LookUpSelf => (Operation::Read, "auth/token/lookup-self".to_owned(), None),
            Ask::WritePolicy { name, rules } => (Operation::Write, acl(name), Some(Object::new().with("policy", text_of(rules)))),
            Ask::DeletePolicy { name } => (Operation::Delete, acl(name), None),
            Ask::ReadPolicy { name } => (Operation::Read, acl(name), None),
            Ask::ListPolicies => (Operation::List, "sys/policies/acl".to_owned(), None),
            Ask::Mount { mount } => {
                let body = Object::new().with("type", "kv-v2");
                (Operation::Write, format!("sys/mounts/{}", MOUNTS[usize::from(*mount)]), Some(body))
            }
            Ask::Roll => (Operation::Write, "sys/rotate".to_owned(), None),
            Ask::Retain { seconds } => {
                (Operation::Write, "sys/audit-log/retention".to_owned(), Some(Object::new().with("retain", *seconds)))
            }
            Ask::Prune { before } => (Operation::Write, "sys/audit-log/prune".to_owned(), Some(Object::new().with("before", *before))),
            Ask::AddSlot { key } => {
                let body = Object::new().with("raw_key", STANDARD.encode(raw_key(*key)));
                (Operation::Write, "sys/seals".to_owned(), Some(body))
            }
            Ask::RemoveSlot { id } => (Operation::Delete, format!("sys/seals/{id}"), None),
            Ask::Slots => (Operation::Read, "sys/seals".to_owned(), None),
            _ => return self.to_request_of_accounts(),
        };
        Asked { operation, path, data: data.map(Value::from) }
    }
}

impl Ask {
    fn to_request_of_accounts(&self) -> Asked {
        let at_role = |part: &str, role: &u8| format!("database/{part}/{}", STATIC_ROLES[usize::from(*role)]);
        let at_host = |part: &str, host: &u8| format!("database/{part}/{}", CONNECTIONS[usize::from(*host)]);
        let (operation, path, data) = match self {
            Ask::Connect { host, password } => {
                let url = format!("sim://{{{{username}}}}:{{{{password}}}}@h{host}");
                let body = Object::new().with("plugin_name", PLUGIN).with("connection_url", url).with("allowed_roles", "*");
                (Operation::Write, at_host("config", host), Some(body.with("username", ADMIN).with("password", password.as_str())))
            }
            Ask::Disconnect { host } => (Operation::Delete, at_host("config", host), None),
            Ask::Creds { role } => (Operation::Read, format!("database/creds/{}", ROLES[usize::from(*role)].name), None),
            Ask::Lease { deed, id } => {
                let body = Object::new().with("lease_id", id.as_str());
                let (verb, body) = match deed {
                    Deed::LookUp => ("lookup", body),
                    Deed::Renew { increment } => ("renew", body.with("increment", *increment)),
                    Deed::Revoke { sync } => ("revoke", body.with("sync", *sync)),
                };
                (Operation::Write, format!("sys/leases/{verb}"), Some(body))
            }
            Ask::EndLeases { role, sync } => {
                let below = role.map_or(String::new(), |role| format!("/{}", ROLES[usize::from(role)].name));
                (Operation::Write, format!("sys/leases/revoke-prefix/database/creds{below}"), Some(Object::new().with("sync", *sync)))
            }
            Ask::Enrol { role } => {
                let body = Object::new().with("db_name", CONNECTIONS[0]).with("rotation_period", "24h");
                let body = match role {
                    0 => body.with("username", ROTATED[0]),
                    _ => body.with("usernames", vec![ROTATED[1], ROTATED[2]]).with("grace", "1h"),
                };
                (Operation::Write, at_role("static-roles", role), Some(body))
            }
            Ask::StaticCreds { role } => (Operation::Read, at_role("static-creds", role), None),
            Ask::Rotate { role, wish } => (Operation::Write, at_role(WISHES[usize::from(*wish)], role), None),
            Ask::RotateRoot { host } => (Operation::Write, at_host("rotate-root", host), None),
            Ask::SettleRoot { host } => (Operation::Write, at_host("settle-root", host), None),
            _ => unreachable!("not of accounts"),
        };
        Asked { operation, path, data: data.map(Value::from) }
    }
}

/// Carries out a rekey to two of three shares by the authority of a raw key; the first two.
pub fn rekey(vault: &Vault, root: &Session, key: u8, keep: bool) -> Result<Vec<String>> {
    let begin = Object::new().with("secret_shares", 3_u64).with("secret_threshold", 2_u64).with("keep_root_key", keep);
    let begun = root.request(Operation::Write, "sys/rekey/init", Some(begin.into()))?.data.unwrap_or(Value::Null);
    let nonce = begun.get("nonce").and_then(Value::as_str).expect("a nonce").to_owned();
    let update = Object::new().with("nonce", nonce).with("raw_key", STANDARD.encode(raw_key(key)));
    let path = Path::parse("sys/rekey/update").expect("a path");
    let done = vault.handle(Request::new(Operation::Write, path).with_data(update.into())).into_result()?;
    let shares = done.data.as_ref().and_then(|data| data.get("keys")).and_then(Value::as_array).expect("shares");
    Ok(shares.iter().take(2).filter_map(Value::as_str).map(str::to_owned).collect())
}
