//! The requests of the field's API pages, as their readers send them with curl: method, path with its query, and body.
//!
//! A query's parameters are members of the data, as texts. Each page is a table that is run in order, in both dialects.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use vault_core::policy::Dialect;
use vault_core::types::{Class, Object, Operation, SecretString, Ttl, Value};
use vault_core::wire::response_to_value;
use vault_core::{Config, NewSeal, Session, Vault};

/// A request, its body, the status, and what the answer must have: members by their way from the top, with their JSON; or nothing.
type Row = (&'static str, &'static str, u16, &'static [(&'static str, &'static str)]);

struct Reader {
    vault: Vault,
    root: Session,
    /// What earlier answers gave: `{name}` in a request stands for it.
    kept: BTreeMap<&'static str, String>,
}

fn readers() -> Vec<Reader> {
    let reader = |dialect| {
        let config = Config::in_memory().with_policies(dialect);
        let (vault, init) = Vault::create(config, NewSeal::raw_key(&[7; 32]).unwrap()).unwrap();
        Reader { root: vault.session(init.root_token), vault, kept: BTreeMap::new() }
    };
    [Dialect::Vault, Dialect::OpenBao].into_iter().map(reader).collect()
}

fn status(class: Class) -> u16 {
    match class {
        Class::NotFound => 404,
        Class::PermissionDenied => 403,
        Class::InvalidRequest => 400,
        _ => 500,
    }
}

impl Reader {
    fn send(&self, request: &str, body: &str) -> (u16, Value) {
        let fill = |text: &str| self.kept.iter().fold(text.to_owned(), |text, (name, kept)| text.replace(&format!("{{{name}}}"), kept));
        let (request, body) = (fill(request), fill(body));
        let (method, target) = request.split_once(' ').unwrap();
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let mut operation = match method {
            "GET" => Operation::Read,
            "LIST" => Operation::List,
            "POST" | "PUT" => Operation::Write,
            "PATCH" => Operation::Patch,
            _ => Operation::Delete,
        };
        let mut data =
            if body.is_empty() { Object::new() } else { Value::from_json(body.as_bytes()).unwrap().as_object().unwrap().clone() };
        for (name, value) in query.split('&').filter_map(|pair| pair.split_once('=')) {
            if (method, name) == ("GET", "list") {
                operation = Operation::List;
            } else {
                data.insert(name, value);
            }
        }
        let data = (!data.is_empty()).then(|| data.into());
        match self.root.request(operation, path, data) {
            Ok(response) => (200, response_to_value(response).unwrap_or(Value::Null)),
            Err(error) => (status(error.class()), error.data().cloned().unwrap_or(Value::Null)),
        }
    }
}

fn at<'v>(value: &'v Value, way: &str) -> Option<&'v Value> {
    way.split('.').try_fold(value, |value, step| match value {
        Value::Array(items) => items.get(step.parse::<usize>().ok()?),
        value => value.get(step),
    })
}

/// Sends the requests of a page; `keep=WAY` as an expectation's value keeps what stands there under that name.
fn page(rows: &'static [Row]) {
    for mut reader in readers() {
        for (request, body, expected, members) in rows {
            let (status, answer) = reader.send(request, body);
            let shown = String::from_utf8(answer.to_json().to_vec()).unwrap();
            assert_eq!(status, *expected, "{request} {body}: {shown}");
            for (way, value) in *members {
                let found = at(&answer, way);
                if let Some(name) = value.strip_prefix("keep=") {
                    reader.kept.insert(name, found.and_then(Value::as_str).unwrap().to_owned());
                } else if *value == "*" {
                    assert!(found.is_some(), "{request}: {way} is missing in {shown}");
                } else {
                    assert_eq!(found, Some(&Value::from_json(value.as_bytes()).unwrap()), "{request}: {way} in {shown}");
                }
            }
        }
    }
}

#[test]
fn the_page_of_kv_version_2_works_as_it_is_written() {
    page(&[
        ("POST secret/config", r#"{"max_versions":5,"cas_required":false,"delete_version_after":"3h25m19s"}"#, 200, &[]),
        (
            "GET secret/config",
            "",
            200,
            &[("data.max_versions", "5"), ("data.cas_required", "false"), ("data.delete_version_after", "\"3h25m19s\"")],
        ),
        (
            "POST secret/data/my-secret",
            r#"{"options":{"cas":0},"data":{"foo":"bar","zip":"zap"}}"#,
            200,
            &[("data.version", "1"), ("data.destroyed", "false")],
        ),
        ("POST secret/data/my-secret", r#"{"options":{"cas":0},"data":{"foo":"bar"}}"#, 400, &[]),
        ("PUT secret/data/my-secret", r#"{"data":{"foo":"new"}}"#, 200, &[("data.version", "2")]),
        (
            "GET secret/data/my-secret?version=1",
            "",
            200,
            &[("data.data.zip", "\"zap\""), ("data.metadata.version", "1"), ("lease_duration", "0"), ("renewable", "false")],
        ),
        (
            "GET secret/data/my-secret",
            "",
            200,
            &[("data.data.foo", "\"new\""), ("data.metadata.custom_metadata", "null"), ("request_id", "*")],
        ),
        ("PATCH secret/data/my-secret", r#"{"options":{"cas":2},"data":{"more":1}}"#, 200, &[("data.version", "3")]),
        (
            "GET secret/subkeys/my-secret?version=3&depth=1",
            "",
            200,
            &[("data.subkeys", r#"{"foo":null,"more":null}"#), ("data.metadata.version", "3")],
        ),
        ("DELETE secret/data/my-secret", "", 200, &[]),
        ("GET secret/data/my-secret", "", 404, &[("data", "null"), ("metadata.version", "3")]),
        ("POST secret/undelete/my-secret", r#"{"versions":[3]}"#, 200, &[]),
        ("POST secret/delete/my-secret", r#"{"versions":["1",2]}"#, 200, &[]),
        ("PUT secret/destroy/my-secret", r#"{"versions":[1]}"#, 200, &[]),
        ("LIST secret/metadata/", "", 200, &[("data.keys", r#"["my-secret"]"#)]),
        ("GET secret/metadata/?list=true", "", 200, &[("data.keys", r#"["my-secret"]"#)]),
        ("GET secret/metadata?list=true&limit=1&after=a", "", 200, &[("data.keys", r#"["my-secret"]"#)]),
        (
            "GET secret/metadata/my-secret",
            "",
            200,
            &[("data.current_version", "3"), ("data.versions.1.destroyed", "true"), ("data.versions.2.deletion_time", "*")],
        ),
        (
            "POST secret/metadata/my-secret",
            r#"{"max_versions":5,"cas_required":false,"delete_version_after":"3h25m19s","custom_metadata":{"foo":"abc","bar":"123"}}"#,
            200,
            &[],
        ),
        ("PATCH secret/metadata/my-secret", r#"{"custom_metadata":{"foo":"def","bar":null}}"#, 200, &[]),
        ("GET secret/metadata/my-secret", "", 200, &[("data.custom_metadata", r#"{"foo":"def"}"#)]),
        ("LIST secret/detailed-metadata/", "", 200, &[("data.key_info.my-secret.current_version", "3")]),
        ("DELETE secret/metadata/my-secret", "", 200, &[]),
        ("LIST secret/metadata/", "", 404, &[]),
    ]);
}

#[test]
fn the_pages_of_kv_version_1_and_of_the_cubbyhole_work_as_they_are_written() {
    page(&[
        ("POST sys/mounts/kv", r#"{"type":"kv","options":{"version":"1"}}"#, 200, &[]),
        ("POST kv/my-secret", r#"{"foo":"bar","zip":"zap","ttl":"1h"}"#, 200, &[]),
        ("GET kv/my-secret", "", 200, &[("data.foo", "\"bar\""), ("lease_duration", "3600"), ("renewable", "false"), ("lease_id", "\"\"")]),
        ("PUT kv/folder/x", r#"{"a":1}"#, 200, &[]),
        ("LIST kv/", "", 200, &[("data.keys", r#"["folder/","my-secret"]"#)]),
        ("GET kv?list=true", "", 200, &[("data.keys", r#"["folder/","my-secret"]"#)]),
        ("DELETE kv/my-secret", "", 200, &[]),
        ("GET kv/my-secret", "", 404, &[]),
        ("POST cubbyhole/my-secret", r#"{"foo":"bar"}"#, 200, &[]),
        ("GET cubbyhole/my-secret", "", 200, &[("data.foo", "\"bar\"")]),
        ("LIST cubbyhole/", "", 200, &[("data.keys", r#"["my-secret"]"#)]),
        ("DELETE cubbyhole/my-secret", "", 200, &[]),
        ("GET cubbyhole/my-secret", "", 404, &[]),
    ]);
}

#[test]
fn the_page_of_tokens_works_as_it_is_written() {
    page(&[
        ("POST sys/policies/acl/web", r#"{"policy":"path \"secret/*\" { capabilities = [\"read\"] }"}"#, 200, &[]),
        (
            "POST auth/token/create",
            r#"{"policies":["web"],"meta":{"user":"armon"},"ttl":"1h","renewable":true,"display_name":"x","num_uses":0,"period":"","explicit_max_ttl":"","type":"service","no_parent":false,"entity_alias":""}"#,
            200,
            &[
                ("auth.client_token", "keep=token"),
                ("auth.accessor", "keep=accessor"),
                ("auth.policies", r#"["default","web"]"#),
                ("auth.token_policies", r#"["default","web"]"#),
                ("auth.metadata", r#"{"user":"armon"}"#),
                ("auth.lease_duration", "3600"),
                ("auth.renewable", "true"),
                ("auth.token_type", "\"service\""),
                ("auth.orphan", "false"),
                ("auth.num_uses", "0"),
                ("auth.entity_id", "*"),
            ],
        ),
        ("LIST auth/token/accessors", "", 200, &[("data.keys.1", "*")]),
        ("POST auth/token/create-orphan", r#"{"policies":"web"}"#, 200, &[("auth.orphan", "true")]),
        (
            "POST auth/token/lookup",
            r#"{"token":"{token}"}"#,
            200,
            &[("data.display_name", "\"token-x\""), ("data.ttl", "*"), ("data.id", "*")],
        ),
        ("GET auth/token/lookup-self", "", 200, &[("data.policies", r#"["root"]"#), ("data.ttl", "0"), ("data.expire_time", "null")]),
        ("POST auth/token/lookup-accessor", r#"{"accessor":"{accessor}"}"#, 200, &[("data.id", "\"\"")]),
        ("POST auth/token/renew", r#"{"token":"{token}","increment":"30m"}"#, 200, &[("auth.lease_duration", "1800")]),
        ("POST auth/token/renew", r#"{"token":"{token}","increment":1800}"#, 200, &[("auth.lease_duration", "1800")]),
        ("POST auth/token/renew-accessor", r#"{"accessor":"{accessor}","increment":"1h"}"#, 200, &[("auth.client_token", "\"\"")]),
        (
            "POST auth/token/roles/nomad",
            r#"{"allowed_policies":["web"],"orphan":true,"bound_cidrs":["127.0.0.1/32","128.252.0.0/16"],"renewable":true,"token_period":"1h","path_suffix":""}"#,
            200,
            &[],
        ),
        (
            "GET auth/token/roles/nomad",
            "",
            200,
            &[("data.allowed_policies", r#"["web"]"#), ("data.orphan", "true"), ("data.name", "\"nomad\"")],
        ),
        ("LIST auth/token/roles", "", 200, &[("data.keys", r#"["nomad"]"#)]),
        ("POST auth/token/create/nomad", "", 200, &[("auth.policies", r#"["default","web"]"#), ("auth.lease_duration", "3600")]),
        ("DELETE auth/token/roles/nomad", "", 200, &[]),
        ("POST auth/token/tidy", "", 200, &[]),
        ("POST auth/token/revoke-accessor", r#"{"accessor":"{accessor}"}"#, 200, &[]),
        ("POST auth/token/lookup", r#"{"token":"{token}"}"#, 403, &[]),
        ("POST auth/token/create", r#"{"id":"my-own"}"#, 200, &[("auth.client_token", "\"my-own\"")]),
        ("POST auth/token/revoke-orphan", r#"{"token":"my-own"}"#, 200, &[]),
        ("POST auth/token/revoke", r#"{"token":"my-own"}"#, 200, &[]),
    ]);
}

#[test]
fn the_pages_of_policies_capabilities_and_tools_work_as_they_are_written() {
    page(&[
        ("PUT sys/policy/my-policy", r#"{"policy":"path \"secret/data/foo\" {\n capabilities = [\"read\", \"list\"]\n}"}"#, 200, &[]),
        ("GET sys/policy/my-policy", "", 200, &[("data.rules", "*"), ("data.name", "\"my-policy\"")]),
        ("GET sys/policy", "", 200, &[("data.policies", r#"["default","my-policy","root"]"#)]),
        ("LIST sys/policies/acl", "", 200, &[("data.keys", r#"["default","my-policy","root"]"#)]),
        ("GET sys/policies/acl/my-policy", "", 200, &[("data.policy", "*"), ("data.name", "\"my-policy\"")]),
        (
            "POST auth/token/create",
            r#"{"policies":["my-policy"]}"#,
            200,
            &[("auth.client_token", "keep=token"), ("auth.accessor", "keep=accessor")],
        ),
        (
            "POST sys/capabilities",
            r#"{"token":"{token}","paths":["secret/data/foo"]}"#,
            200,
            &[("data.secret/data/foo", r#"["list","read"]"#), ("data.capabilities", r#"["list","read"]"#)],
        ),
        (
            "POST sys/capabilities-accessor",
            r#"{"accessor":"{accessor}","paths":["secret/data/foo","x"]}"#,
            200,
            &[("data.x", r#"["deny"]"#)],
        ),
        ("POST sys/capabilities-self", r#"{"path":"secret/data/foo"}"#, 200, &[("data.capabilities", r#"["root"]"#)]),
        ("DELETE sys/policies/acl/my-policy", "", 200, &[]),
        ("GET sys/policies/acl/my-policy", "", 404, &[]),
        ("DELETE sys/policy/my-policy", "", 200, &[]),
        ("PUT sys/policies/password/my-policy", r#"{"policy":"length = 20\nrule \"charset\" {\n charset = \"abcde\"\n}\n"}"#, 200, &[]),
        ("GET sys/policies/password/my-policy/generate", "", 200, &[("data.password", "*")]),
        ("LIST sys/policies/password", "", 200, &[("data.keys", r#"["my-policy"]"#)]),
        ("DELETE sys/policies/password/my-policy", "", 200, &[]),
        ("POST sys/tools/random/164", r#"{"format":"hex"}"#, 200, &[("data.random_bytes", "*")]),
        ("POST sys/tools/random", r#"{"bytes":"16"}"#, 200, &[("data.random_bytes", "*")]),
        ("POST sys/tools/hash/sha2-512", r#"{"input":"adba32=="}"#, 200, &[("data.sum", "*")]),
    ]);
}

#[test]
fn the_pages_of_mounts_leases_and_seals_work_as_they_are_written() {
    page(&[
        (
            "POST sys/mounts/my-mount",
            r#"{"type":"kv","description":"my","config":{"default_lease_ttl":"1h","max_lease_ttl":"2h","force_no_cache":false},"options":{"version":"2"}}"#,
            200,
            &[],
        ),
        (
            "GET sys/mounts",
            "",
            200,
            &[
                ("data.my-mount/.type", "\"kv\""),
                ("data.my-mount/.options.version", "\"2\""),
                ("data.my-mount/.config.default_lease_ttl", "3600"),
                ("data.my-mount/.accessor", "*"),
            ],
        ),
        ("GET sys/mounts/my-mount", "", 200, &[("data.type", "\"kv\"")]),
        ("GET sys/mounts/my-mount/tune", "", 200, &[("data.default_lease_ttl", "3600"), ("data.max_lease_ttl", "7200")]),
        ("POST sys/mounts/my-mount/tune", r#"{"default_lease_ttl":1800,"description":"other"}"#, 200, &[]),
        ("POST sys/remount", r#"{"from":"my-mount","to":"new-mount"}"#, 200, &[]),
        ("DELETE sys/mounts/new-mount", "", 200, &[]),
        ("GET sys/auth", "", 200, &[("data.token/.type", "\"token\"")]),
        ("PUT sys/leases/lookup", r#"{"lease_id":"aws/creds/deploy/none"}"#, 400, &[]),
        ("POST sys/leases/renew", r#"{"lease_id":"aws/creds/deploy/none","increment":1800}"#, 400, &[]),
        ("PUT sys/leases/revoke", r#"{"lease_id":"aws/creds/deploy/none"}"#, 200, &[]),
        ("PUT sys/leases/revoke-prefix/aws/creds", "", 200, &[]),
        ("POST sys/leases/tidy", "", 200, &[]),
        ("GET sys/leases/count?type=irrevocable", "", 200, &[("data.lease_count", "0")]),
        ("GET sys/leases?type=irrevocable&limit=1", "", 200, &[("data.lease_count", "0")]),
        ("GET sys/seal-status", "", 200, &[("data.sealed", "false"), ("data.initialized", "true"), ("data.t", "*"), ("data.version", "*")]),
        ("GET sys/health?standbyok=true&perfstandbyok=true", "", 200, &[("data.initialized", "true"), ("data.sealed", "false")]),
        ("GET sys/leader", "", 200, &[("data.ha_enabled", "false")]),
        ("GET sys/key-status", "", 200, &[("data.term", "*"), ("data.install_time", "*")]),
        ("PUT sys/rotate", "", 200, &[]),
        ("LIST sys/version-history", "", 200, &[("data.keys.0", "*")]),
        ("POST sys/quotas/rate-limit/global", r#"{"path":"","rate":897.3,"interval":"2m","block_interval":"5m"}"#, 200, &[]),
        ("GET sys/quotas/rate-limit/global", "", 200, &[("data.rate", "897.3"), ("data.interval", "120"), ("data.block_interval", "300")]),
        ("LIST sys/quotas/rate-limit", "", 200, &[("data.keys", r#"["global"]"#)]),
        ("DELETE sys/quotas/rate-limit/global", "", 200, &[]),
    ]);
}

/// Wrapping is asked for by a header there, which is an option of the request here.
#[test]
fn the_pages_of_wrapping_work_as_they_are_written() {
    for reader in readers() {
        let wrapped = || {
            let data = Value::from_json(br#"{"foo":"bar","zip":"zap"}"#).unwrap();
            let info = reader.root.wrapping().request(Operation::Write, "sys/wrapping/wrap", Some(data), Ttl::from_secs(60)).unwrap();
            info.token.expose().to_owned()
        };
        let told = |path: &str, token: &str| {
            let (status, answer) = reader.send(&format!("POST {path}"), &format!(r#"{{"token":"{token}"}}"#));
            (status, answer)
        };
        let token = wrapped();
        let (status, answer) = told("sys/wrapping/lookup", &token);
        assert_eq!((status, at(&answer, "data.creation_path")), (200, Some(&Value::string("sys/wrapping/wrap"))));
        assert_eq!(
            (at(&answer, "data.creation_ttl").and_then(Value::as_u64), at(&answer, "data.creation_time").is_some()),
            (Some(60), true)
        );
        let (status, answer) = told("sys/wrapping/rewrap", &token);
        assert_eq!((status, at(&answer, "wrap_info.ttl").and_then(Value::as_u64)), (200, Some(60)));
        assert_eq!(told("sys/wrapping/unwrap", &token).0, 400, "the old token is spent");
        let token = at(&answer, "wrap_info.token").and_then(Value::as_str).unwrap().to_owned();
        let (status, answer) = told("sys/wrapping/unwrap", &token);
        assert_eq!((status, at(&answer, "data.zip")), (200, Some(&Value::string("zap"))));
        assert_eq!(told("sys/wrapping/unwrap", &token).0, 400);
        // The older way: the token itself reads what it holds.
        let token = wrapped();
        let alone = reader.vault.session(SecretString::copy_from(&token));
        let read = alone.request(Operation::Read, "cubbyhole/response", None).unwrap();
        assert!(read.data.unwrap().get("response").is_some());
    }
}

#[test]
fn the_pages_of_identities_work_as_they_are_written() {
    page(&[
        (
            "POST identity/entity",
            r#"{"name":"entity-1","metadata":{"organization":"hashicorp","team":"vault"},"policies":["eng-dev","infra-dev"]}"#,
            200,
            &[("data.id", "keep=entity"), ("data.aliases", "null"), ("data.name", "\"entity-1\"")],
        ),
        (
            "GET identity/entity/id/{entity}",
            "",
            200,
            &[
                ("data.creation_time", "*"),
                ("data.disabled", "false"),
                ("data.last_update_time", "*"),
                ("data.merged_entity_ids", "null"),
                ("data.metadata", r#"{"organization":"hashicorp","team":"vault"}"#),
                ("data.name", "\"entity-1\""),
                ("data.namespace_id", "\"root\""),
                ("data.policies", r#"["eng-dev","infra-dev"]"#),
            ],
        ),
        ("POST identity/entity/id/{entity}", r#"{"name":"updated","metadata":{"organization":"hashi"},"policies":"eng-dev"}"#, 200, &[]),
        ("LIST identity/entity/id", "", 200, &[("data.keys.0", "*"), ("data.key_info", "*")]),
        ("GET identity/entity/name/updated", "", 200, &[("data.metadata", r#"{"organization":"hashi"}"#)]),
        ("POST identity/entity/name/updated", r#"{"policies":["eng-developers"]}"#, 200, &[]),
        ("GET identity/entity/name?list=true", "", 200, &[("data.keys", r#"["updated"]"#)]),
        (
            "POST identity/entity-alias",
            r#"{"name":"testuser","canonical_id":"{entity}","mount_accessor":"auth_token","custom_metadata":{"foo":"bar"}}"#,
            200,
            &[("data.canonical_id", "*"), ("data.id", "keep=alias")],
        ),
        (
            "GET identity/entity-alias/id/{alias}",
            "",
            200,
            &[
                ("data.canonical_id", "*"),
                ("data.creation_time", "*"),
                ("data.custom_metadata", r#"{"foo":"bar"}"#),
                ("data.local", "false"),
                ("data.merged_from_canonical_ids", "null"),
                ("data.metadata", "null"),
                ("data.mount_accessor", "\"auth_token\""),
                ("data.mount_path", "\"auth/token/\""),
                ("data.mount_type", "\"token\""),
                ("data.name", "\"testuser\""),
            ],
        ),
        ("LIST identity/entity-alias/id", "", 200, &[("data.key_info", "*")]),
        ("POST identity/entity-alias/id/{alias}", r#"{"canonical_id":"{entity}","name":"other"}"#, 200, &[("data.id", "*")]),
        (
            "POST identity/group",
            r#"{"name":"engineering","metadata":{"hello":"everyone"},"policies":["grouppolicy2","grouppolicy3"],"member_entity_ids":["{entity}"]}"#,
            200,
            &[("data.id", "keep=group"), ("data.name", "\"engineering\"")],
        ),
        (
            "GET identity/group/id/{group}",
            "",
            200,
            &[
                ("data.creation_time", "*"),
                ("data.last_update_time", "*"),
                ("data.member_entity_ids.0", "*"),
                ("data.metadata", r#"{"hello":"everyone"}"#),
                ("data.modify_index", "1"),
                ("data.policies", r#"["grouppolicy2","grouppolicy3"]"#),
                ("data.type", "\"internal\""),
            ],
        ),
        ("POST identity/group/id/{group}", r#"{"name":"eng","policies":["grouppolicy4"]}"#, 200, &[]),
        ("LIST identity/group/id", "", 200, &[("data.keys.0", "*")]),
        ("POST identity/group/name/eng", r#"{"metadata":{"hello":"hello"}}"#, 200, &[]),
        ("GET identity/group/name/eng", "", 200, &[("data.metadata", r#"{"hello":"hello"}"#)]),
        ("LIST identity/group/name", "", 200, &[("data.keys", r#"["eng"]"#)]),
        ("POST identity/lookup/entity", r#"{"id":"{entity}"}"#, 200, &[("data.aliases.0.name", "\"other\"")]),
        ("POST identity/lookup/entity", r#"{"alias_name":"other","alias_mount_accessor":"auth_token"}"#, 200, &[("data.id", "*")]),
        ("POST identity/lookup/group", r#"{"id":"{group}"}"#, 200, &[("data.name", "\"eng\"")]),
        ("POST identity/lookup/group", r#"{"name":"nobody"}"#, 200, &[]),
        ("POST auth/token/roles/people", r#"{"allowed_entity_aliases":["oth*"],"allowed_policies":["default"]}"#, 200, &[]),
        (
            "POST auth/token/create/people",
            r#"{"entity_alias":"Other"}"#,
            200,
            &[
                ("auth.entity_id", "*"),
                ("auth.identity_policies", r#"["eng-developers","grouppolicy4"]"#),
                ("auth.client_token", "keep=token"),
            ],
        ),
        ("POST auth/token/lookup", r#"{"token":"{token}"}"#, 200, &[("data.identity_policies", r#"["eng-developers","grouppolicy4"]"#)]),
        ("DELETE identity/group/id/{group}", "", 200, &[]),
        ("DELETE identity/entity-alias/id/{alias}", "", 200, &[]),
        ("DELETE identity/entity/name/updated", "", 200, &[]),
        ("GET identity/entity/id/{entity}", "", 404, &[]),
    ]);
}
