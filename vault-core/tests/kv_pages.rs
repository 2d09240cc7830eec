//! Listings by pages, of folders that are too large to be listed whole too.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "support/mounts.rs"]
mod support;

use support::*;
use vault_core::types::limits::{DETAILED_NAMES_MAX, LIST_NAMES_MAX};
use vault_core::types::{Code, Object, Operation, Value};
use vault_core::{Config, NewSeal, Session, Vault};

#[test]
fn a_listing_comes_by_pages_in_order() {
    let world = world();
    let kv = world.root.kv("secret");
    for path in ["b", "a/x", "c", "a", "d/y", "ä"] {
        kv.put(path, Object::new()).unwrap();
    }
    let page = |data: &str| {
        ask(&world.root, Operation::List, "secret/metadata", data).map(|response| {
            let keys = response.data.unwrap().get("keys").unwrap().as_array().unwrap().to_vec();
            keys.iter().map(|key| key.as_str().unwrap().to_owned()).collect::<Vec<_>>()
        })
    };
    let all = ["a", "a/", "b", "c", "d/", "ä"];
    assert_eq!(page("").unwrap(), all);
    for everything in [r#"{"limit":0}"#, r#"{"limit":-1}"#, r#"{"limit":6}"#, r#"{"limit":"100","after":""}"#] {
        assert_eq!(page(everything).unwrap(), all, "{everything}");
    }
    assert_eq!(page(r#"{"limit":2}"#).unwrap(), ["a", "a/"]);
    assert_eq!(page(r#"{"limit":2,"after":"a/"}"#).unwrap(), ["b", "c"]);
    assert_eq!(page(r#"{"after":"bb"}"#).unwrap(), ["c", "d/", "ä"], "a name that is not there is a place all the same");
    assert_eq!(code_of(page(r#"{"limit":2,"after":"ä"}"#)), Code::NotFound);
    for bad in [r#"{"limit":"all"}"#, r#"{"limit":100001}"#, r#"{"after":1}"#] {
        assert_eq!(code_of(page(bad)), Code::InvalidData, "{bad}");
    }
    assert_eq!(kv.list_page("", "b", 2).unwrap(), ["c", "d/"]);
    assert!(kv.list_page("", "ä", 2).unwrap().is_empty(), "the typed face ends with an empty page");
    assert_eq!(code_of(kv.list_page("", "", 0)), Code::InvalidData);
    assert_eq!(code_of(kv.list_page("none", "", 2)), Code::NotFound);
}

#[test]
fn a_detailed_listing_has_the_metadata_of_each_secret_beside_the_names() {
    let world = world();
    for path in ["f/b", "f/a", "f/c/d", "top"] {
        put(&world.root, "secret", path).unwrap();
    }
    let list = |path: &str, data: &str| ask(&world.root, Operation::List, path, data).map(|response| response.data.unwrap());
    for path in ["secret/detailed-metadata/f", "secret/detailed-metadata/f/"] {
        let told = list(path, "").unwrap();
        assert_eq!(text_of(told.get("keys").unwrap()), r#"["a","b","c/"]"#, "{path}");
        let info = told.get("key_info").unwrap();
        for name in ["a", "b"] {
            assert_eq!(info.get(name), Some(&read(&world.root, &format!("secret/metadata/f/{name}")).unwrap()), "{path} {name}");
        }
        assert!(info.get("c/").is_none());
    }
    let page = list("secret/detailed-metadata", r#"{"limit":1,"after":"f/"}"#).unwrap();
    assert_eq!(text_of(page.get("keys").unwrap()), r#"["top"]"#);
    assert_eq!(code_of(list("secret/detailed-metadata/none", "")), Code::NotFound);
    assert_eq!(code_of(list("secret/detailed-metadata", r#"{"limit":1001}"#)), Code::InvalidData);
    let names = token_with(&world, r#"path "secret/metadata/*" { capabilities = ["read", "list"] }"#);
    assert_eq!(code_of(ask(&names, Operation::List, "secret/detailed-metadata/f", "")), Code::PermissionDenied, "it is a path of its own");
    for number in 0..=DETAILED_NAMES_MAX {
        put(&world.root, "secret", &format!("many/{number}")).unwrap();
    }
    assert!(list("secret/detailed-metadata/many", "").unwrap_err().to_string().contains("by pages"));
    assert_eq!(list("secret/detailed-metadata/many", r#"{"limit":1000}"#).unwrap().get("keys").unwrap().as_array().unwrap().len(), 1000);
}

#[test]
fn a_detailed_listing_tells_no_more_than_the_paths_of_the_metadata_do() {
    let world = world();
    for path in ["team-a/open", "team-a/closed", "team-b/x/a", "top"] {
        put(&world.root, "secret", path).unwrap();
    }
    let some = token_with(
        &world,
        r#"path "secret/*" { capabilities = ["read", "list"] }
           path "secret/metadata/team-b/*" { capabilities = ["deny"] }
           path "secret/metadata/team-a/closed" { capabilities = ["deny"] }"#,
    );
    for folder in ["", "team-a", "team-a/", "team-b", "team-b/", "team-b/x", "team-b/x/", "none", "team-b/none"] {
        let listed = |path: &str| ask(&some, Operation::List, &format!("secret/{path}/{folder}"), "").map_err(|error| error.code());
        let (plain, detailed) = (listed("metadata"), listed("detailed-metadata"));
        assert_eq!(plain.as_ref().err(), detailed.as_ref().err(), "{folder}");
        let keys = |response: vault_core::types::Response| response.data.unwrap().get("keys").cloned();
        assert_eq!(plain.ok().map(keys), detailed.ok().map(keys), "{folder}");
    }
    assert_eq!(code_of(ask(&some, Operation::List, "secret/detailed-metadata/team-b/x/", "")), Code::PermissionDenied);
    let told = ask(&some, Operation::List, "secret/detailed-metadata/team-a", "").unwrap().data.unwrap();
    let names: Vec<&str> = told.get("key_info").unwrap().as_object().unwrap().iter().map(|(name, _)| name).collect();
    assert_eq!((text_of(told.get("keys").unwrap()), names), (r#"["closed","open"]"#.to_owned(), vec!["open"]));
    let listing = token_with(
        &world,
        r#"path "secret/detailed-metadata/*" { capabilities = ["read", "list"] }
           path "secret/metadata/team-a/" { capabilities = ["list"] }"#,
    );
    let told = ask(&listing, Operation::List, "secret/detailed-metadata/team-a", "").unwrap().data.unwrap();
    assert_eq!(text_of(told.get("key_info").unwrap()), "{}", "names alone");
    assert_eq!(code_of(ask(&listing, Operation::List, "secret/detailed-metadata/team-b", "")), Code::PermissionDenied);
}

#[test]
fn what_a_token_may_do_at_a_detailed_listing_is_told_by_the_rules_of_both_paths() {
    let world = world();
    let some = token_with(
        &world,
        r#"path "sys/policies/explain" { capabilities = ["update"] }
           path "secret/detailed-metadata/*" { capabilities = ["read", "list"] }
           path "secret/detailed-metadata/bare/*" { capabilities = ["list"] }
           path "secret/metadata/team-a/" { capabilities = ["list"] }"#,
    );
    let may = |session: &Session, path: &str| {
        let told = ask(session, Operation::Write, "sys/capabilities-self", &format!(r#"{{"paths":["{path}"]}}"#)).unwrap().data.unwrap();
        text_of(told.get("capabilities").unwrap())
    };
    let explained = |path: &str| {
        let asked = format!(r#"{{"operation":"list","path":"{path}"}}"#);
        ask(&some, Operation::Write, "sys/policies/explain", &asked).unwrap().data.unwrap()
    };
    for (path, capabilities, allowed, decided_at) in [
        ("secret/detailed-metadata/team-a", r#"["list","read"]"#, true, "secret/detailed-metadata/team-a"),
        ("secret/detailed-metadata/team-a/", r#"["list","read"]"#, true, "secret/detailed-metadata/team-a/"),
        ("secret/detailed-metadata/team-b/", r#"["read"]"#, false, "secret/metadata/team-b/"),
        ("secret/detailed-metadata/bare/x", r#"["deny"]"#, false, "secret/metadata/bare/x/"),
        ("secret/metadata/team-b/", r#"["deny"]"#, false, "secret/metadata/team-b/"),
    ] {
        assert_eq!(may(&some, path), capabilities, "{path}");
        let told = explained(path);
        let is_allowed = ask(&some, Operation::List, path, "").map_or_else(|error| error.code() != Code::PermissionDenied, |_| true);
        assert_eq!(told.get("allowed").and_then(Value::as_bool), Some(allowed), "{path}");
        assert_eq!(is_allowed, allowed, "{path}: the request says the same");
        assert_eq!(told.get("path").and_then(Value::as_str), Some(decided_at), "the path whose rules decide");
    }
    assert_eq!(may(&world.root, "secret/detailed-metadata/team-b/"), r#"["root"]"#);
}

#[test]
fn a_folder_of_more_than_a_hundred_thousand_names_is_listed_by_pages() {
    let (vault, init) = Vault::create(Config::in_memory(), NewSeal::raw_key(&KEY).unwrap()).unwrap();
    let root = vault.session(init.root_token);
    mount(&root, "m", "1").unwrap();
    let total = LIST_NAMES_MAX + 1;
    std::thread::scope(|scope| {
        for thread in 0..8 {
            let root = &root;
            scope.spawn(move || {
                for number in (thread..total).step_by(8) {
                    root.request(Operation::Write, &format!("m/n{number:06}"), Some(Object::new().with("a", 1_u64).into())).unwrap();
                }
            });
        }
    });
    let error = ask(&root, Operation::List, "m", "").unwrap_err();
    assert_eq!(error.code(), Code::InvalidRequest);
    assert!(error.to_string().contains("limit"), "the message says how to go on: {error}");
    let page = |after: &str| {
        let data = ask(&root, Operation::List, "m", &format!(r#"{{"limit":20000,"after":"{after}"}}"#));
        let data = data.map(|response| response.data.unwrap());
        data.map(|data| {
            data.get("keys").unwrap().as_array().unwrap().iter().map(|key| key.as_str().unwrap().to_owned()).collect::<Vec<_>>()
        })
    };
    let (mut seen, mut after) = (0, String::new());
    while let Ok(names) = page(&after) {
        names.iter().zip(seen..).for_each(|(name, number)| assert_eq!(*name, format!("n{number:06}")));
        seen += names.len();
        after = names.last().unwrap().clone();
    }
    assert_eq!(seen, total);
}
