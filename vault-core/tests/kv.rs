//! KV version 2, statement by statement: rules of mounts and keys, metadata, patches, subkeys, pages.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;
use vault_core::host::ManualClock;
use vault_core::types::{Class, Code, Error, Object, Operation, Response, Result, Timestamp, Ttl, Value};
use vault_core::{Config, KvSettings, NewSeal, Session, TokenOptions, Vault};

struct World {
    vault: Vault,
    root: Session,
    clock: Arc<ManualClock>,
}

fn world() -> World {
    let clock = Arc::new(ManualClock::new(Timestamp::from_secs(1_795_457_040)));
    let config = Config::in_memory().with_clock(clock.clone());
    let (vault, init) = Vault::create(config, NewSeal::raw_key(&[7; 32]).unwrap()).unwrap();
    let root = vault.session(init.root_token);
    World { vault, root, clock }
}

fn json(text: &str) -> Value {
    Value::from_json(text.as_bytes()).unwrap()
}

fn object(text: &str) -> Object {
    json(text).as_object().unwrap().clone()
}

impl World {
    fn ask(&self, operation: Operation, path: &str, data: &str) -> Result<Response> {
        let data = (!data.is_empty()).then(|| json(data));
        self.root.request(operation, &format!("secret/{path}"), data)
    }

    fn write(&self, path: &str, data: &str) -> Result<Response> {
        self.ask(Operation::Write, path, data)
    }

    fn patch(&self, path: &str, data: &str) -> Result<Response> {
        self.ask(Operation::Patch, path, data)
    }

    fn read(&self, path: &str) -> Result<Value> {
        self.ask(Operation::Read, path, "").map(|response| response.data.unwrap())
    }

    /// The content of the newest version, as JSON text.
    fn content(&self, path: &str) -> Result<String> {
        self.read(&format!("data/{path}")).map(|data| text_of(data.get("data").unwrap()))
    }

    fn versions(&self, path: &str) -> Vec<u64> {
        self.root.kv("secret").metadata(path).unwrap().versions.iter().map(|version| version.version).collect()
    }

    fn now(&self) -> String {
        self.clock_text(0)
    }

    fn clock_text(&self, seconds: u64) -> String {
        use vault_core::host::Clock;
        self.clock.now().plus(Ttl::from_secs(seconds)).to_string()
    }
}

fn text_of(value: &Value) -> String {
    String::from_utf8(value.to_json().to_vec()).unwrap()
}

fn deletion_time(data: &Value) -> String {
    data.get("metadata").unwrap_or(data).get("deletion_time").unwrap().as_str().unwrap().to_owned()
}

fn code_of<T>(outcome: Result<T>) -> Code {
    outcome.map(drop).unwrap_err().code()
}

fn message_of<T>(outcome: Result<T>) -> (Class, String) {
    let error: Error = outcome.map(drop).unwrap_err();
    (error.class(), error.to_string())
}

#[test]
fn the_configuration_of_a_mount_reads_as_it_was_written_member_by_member() {
    let world = world();
    assert_eq!(text_of(&world.read("config").unwrap()), r#"{"cas_required":false,"delete_version_after":"0s","max_versions":0}"#);
    world.write("config", r#"{"max_versions":"5","delete_version_after":"3h25m19s"}"#).unwrap();
    world.write("config", r#"{"cas_required":true}"#).unwrap();
    assert_eq!(text_of(&world.read("config").unwrap()), r#"{"cas_required":true,"delete_version_after":"3h25m19s","max_versions":5}"#);
    world.write("config", r#"{"delete_version_after":"-1s","max_versions":null}"#).unwrap();
    assert_eq!(text_of(&world.read("config").unwrap()), r#"{"cas_required":true,"delete_version_after":"-1s","max_versions":5}"#);
    for bad in [
        r#"{"max_versions":-1}"#,
        r#"{"max_versions":10001}"#,
        r#"{"max_versions":1.5}"#,
        r#"{"cas_required":"maybe"}"#,
        r#"{"delete_version_after":"soon"}"#,
        r#"{"cas_requird":true}"#,
    ] {
        assert_eq!(code_of(world.write("config", bad)), Code::InvalidData, "{bad}");
    }
    assert_eq!(text_of(&world.read("config").unwrap()), r#"{"cas_required":true,"delete_version_after":"-1s","max_versions":5}"#);
    world.vault.verify().unwrap();
}

#[test]
fn as_many_versions_are_kept_as_the_larger_of_mount_and_key_says_else_ten() {
    let world = world();
    let kv = world.root.kv("secret");
    let put = |path: &str, times: u64| (0..times).for_each(|_| drop(kv.put(path, Object::new()).unwrap()));
    put("plain", 12);
    assert_eq!(world.versions("plain"), (3..=12).collect::<Vec<_>>());
    world.write("config", r#"{"max_versions":2}"#).unwrap();
    put("mount", 4);
    assert_eq!(world.versions("mount"), [3, 4]);
    world.write("metadata/larger", r#"{"max_versions":3}"#).unwrap();
    world.write("metadata/smaller", r#"{"max_versions":1}"#).unwrap();
    put("larger", 5);
    put("smaller", 5);
    assert_eq!(world.versions("larger"), [3, 4, 5]);
    assert_eq!(world.versions("smaller"), [4, 5]);
    put("plain", 1);
    assert_eq!(world.versions("plain"), [12, 13], "the next write takes all away that are too many");
    assert_eq!(code_of(kv.get_version("plain", 11)), Code::NotFound);
    kv.get_version("plain", 12).unwrap();
    world.write("config", r#"{"max_versions":1}"#).unwrap();
    put("one", 3);
    assert_eq!(world.versions("one"), [3]);
    world.vault.verify().unwrap();
}

#[test]
fn check_and_set_is_required_where_the_mount_or_the_key_says_so() {
    let world = world();
    let required = (Class::InvalidRequest, "check-and-set parameter required for this call".to_owned());
    let mismatch = (Class::InvalidRequest, "check-and-set parameter did not match the current version".to_owned());
    world.write("metadata/key", r#"{"cas_required":true}"#).unwrap();
    assert_eq!(message_of(world.write("data/key", r#"{"data":{}}"#)), required);
    assert_eq!(message_of(world.write("data/key", r#"{"data":{},"options":{"cas":1}}"#)), mismatch);
    world.write("data/key", r#"{"data":{},"options":{"cas":0}}"#).unwrap();
    assert_eq!(message_of(world.patch("data/key", r#"{"data":{}}"#)), required);
    world.patch("data/key", r#"{"data":{},"options":{"cas":"1"}}"#).unwrap();
    world.write("data/other", r#"{"data":{}}"#).unwrap();
    world.write("config", r#"{"cas_required":true}"#).unwrap();
    assert_eq!(message_of(world.write("data/other", r#"{"data":{}}"#)), required);
    let warnings = world.write("metadata/other", r#"{"cas_required":false}"#).unwrap().warnings;
    assert_eq!(warnings.len(), 1, "a key cannot free itself of what its mount requires");
    assert_eq!(message_of(world.write("data/other", r#"{"data":{}}"#)), required);
    world.root.kv("secret").delete("other").unwrap();
    assert_eq!(message_of(world.write("data/other", r#"{"data":{},"options":{"cas":0}}"#)), mismatch, "deletion keeps the number");
    world.write("data/other", r#"{"data":{},"options":{"cas":1}}"#).unwrap();
}

#[test]
fn a_version_past_its_time_reads_as_deleted_with_its_metadata() {
    let world = world();
    world.write("config", r#"{"delete_version_after":"1h"}"#).unwrap();
    world.write("metadata/sooner", r#"{"delete_version_after":"60s"}"#).unwrap();
    world.write("metadata/later", r#"{"delete_version_after":"5h"}"#).unwrap();
    for (path, delay) in [("sooner", 60), ("later", 3600), ("plain", 3600)] {
        let row = world.write(&format!("data/{path}"), r#"{"data":{"a":1}}"#).unwrap().data.unwrap();
        assert_eq!(deletion_time(&row), world.clock_text(delay), "{path}");
        assert_eq!(deletion_time(&world.read(&format!("data/{path}")).unwrap()), world.clock_text(delay));
    }
    world.clock.advance(Ttl::from_secs(60));
    let error = world.read("data/sooner").unwrap_err();
    assert_eq!((error.code(), deletion_time(error.data().unwrap())), (Code::VersionDeleted, world.now()));
    assert_eq!(error.data().unwrap().get("data"), Some(&Value::Null));
    assert_eq!(code_of(world.read("subkeys/sooner")), Code::VersionDeleted);
    assert_eq!(code_of(world.patch("data/sooner", r#"{"data":{}}"#)), Code::VersionDeleted);
    world.read("data/plain").unwrap();
    world.root.kv("secret").delete_versions("sooner", &[1]).unwrap();
    assert_eq!(deletion_time(world.read("data/sooner").unwrap_err().data().unwrap()), world.now(), "what is deleted stays so");
}

#[test]
fn undeleting_starts_the_clock_anew_and_deleting_ends_it() {
    let world = world();
    let kv = world.root.kv("secret");
    world.write("metadata/x", r#"{"delete_version_after":"100s"}"#).unwrap();
    kv.put("x", object(r#"{"a":1}"#)).unwrap();
    world.clock.advance(Ttl::from_secs(100));
    assert_eq!(code_of(kv.get("x")), Code::VersionDeleted);
    kv.undelete_versions("x", &[1]).unwrap();
    assert_eq!(kv.get("x").unwrap().version.deletion_time, world.clock_text(100));
    world.clock.advance(Ttl::from_secs(99));
    kv.get("x").unwrap();
    kv.delete("x").unwrap();
    let deleted_at = world.now();
    assert_eq!(deletion_time(kv.get("x").unwrap_err().data().unwrap()), deleted_at);
    world.clock.set(Timestamp::from_secs(1_000));
    assert_eq!(code_of(kv.get("x")), Code::VersionDeleted, "a clock that steps back brings nothing back that was deleted");
    assert_eq!(deletion_time(kv.get("x").unwrap_err().data().unwrap()), deleted_at);
}

#[test]
fn a_negative_delay_of_the_mount_turns_deletion_off_for_its_keys() {
    let world = world();
    world.write("config", r#"{"delete_version_after":-1}"#).unwrap();
    let warnings = world.write("metadata/x", r#"{"delete_version_after":"60s"}"#).unwrap().warnings;
    assert_eq!(warnings.len(), 1);
    let row = world.write("data/x", r#"{"data":{}}"#).unwrap().data.unwrap();
    assert_eq!(deletion_time(&row), "");
    world.clock.advance(Ttl::from_secs(1_000_000));
    world.read("data/x").unwrap();
    assert_eq!(code_of(world.write("metadata/x", r#"{"delete_version_after":"-60s"}"#)), Code::InvalidData, "a key's cannot");
}

#[test]
fn metadata_is_written_patched_and_read_beside_the_content() {
    let world = world();
    world.write("metadata/x", r#"{"max_versions":3,"custom_metadata":{"owner":"team","use":"db"}}"#).unwrap();
    assert_eq!(code_of(world.read("data/x")), Code::NotFound, "there is metadata and no version");
    assert_eq!(world.root.kv("secret").list("").unwrap(), ["x"]);
    let metadata = world.read("metadata/x").unwrap();
    assert_eq!(metadata.get("current_version").unwrap().as_u64(), Some(0));
    assert_eq!(text_of(metadata.get("versions").unwrap()), "{}");
    world.write("data/x", r#"{"data":{"a":1},"options":{"cas":0}}"#).unwrap();
    let custom = |world: &World| text_of(world.read("metadata/x").unwrap().get("custom_metadata").unwrap());
    assert_eq!(custom(&world), r#"{"owner":"team","use":"db"}"#);
    let read = world.read("data/x").unwrap();
    assert_eq!(text_of(read.get("metadata").unwrap().get("custom_metadata").unwrap()), r#"{"owner":"team","use":"db"}"#);
    world.patch("metadata/x", r#"{"custom_metadata":{"use":null,"env":"test"},"max_versions":null,"delete_version_after":"5s"}"#).unwrap();
    assert_eq!(custom(&world), r#"{"env":"test","owner":"team"}"#);
    let metadata = world.read("metadata/x").unwrap();
    assert_eq!(metadata.get("max_versions").unwrap().as_u64(), Some(0));
    assert_eq!(metadata.get("delete_version_after").unwrap().as_str(), Some("5s"));
    world.write("metadata/x", r#"{"custom_metadata":{"only":"this"}}"#).unwrap();
    assert_eq!(custom(&world), r#"{"only":"this"}"#, "a write replaces it whole");
    world.write("metadata/x", r#"{"cas_required":true}"#).unwrap();
    assert_eq!(custom(&world), r#"{"only":"this"}"#, "and leaves alone what it does not name");
    world.patch("metadata/x", r#"{"custom_metadata":null}"#).unwrap();
    assert_eq!(custom(&world), "null");
    assert_eq!(world.content("x").unwrap(), r#"{"a":1}"#);
    assert_eq!(code_of(world.patch("metadata/none", r#"{"max_versions":1}"#)), Code::NotFound);
    world.vault.verify().unwrap();
}

#[test]
fn custom_metadata_has_limits_of_count_and_size() {
    let world = world();
    let write = |custom: Object| {
        let data = Object::new().with("custom_metadata", custom);
        world.root.request(Operation::Write, "secret/metadata/x", Some(data.into())).map(drop)
    };
    let many = |count: usize| (0..count).fold(Object::new(), |all, number| all.with(&format!("k{number:0>127}"), "v".repeat(512)));
    write(many(64)).unwrap();
    world.read("metadata/x").unwrap();
    for bad in [
        many(65),
        Object::new().with(&"k".repeat(129), "v"),
        Object::new().with("k", "v".repeat(513)),
        Object::new().with("", "v"),
        Object::new().with("k", ""),
        Object::new().with("k", "a\nb"),
        Object::new().with("k\u{1}", "v"),
        Object::new().with("k", 1_u64),
        Object::new().with("k", Object::new()),
        Object::new().with("k", Value::Null),
    ] {
        assert_eq!(code_of(write(bad)), Code::InvalidData);
    }
    let one_more = r#"{"custom_metadata":{"one":"more"}}"#;
    assert_eq!(code_of(world.patch("metadata/x", one_more)), Code::InvalidData, "a patch counts what is there");
    assert_eq!(code_of(world.write("metadata/x", r#"{"custom_metadata":"text"}"#)), Code::InvalidData);
    assert_eq!(code_of(world.write("metadata/x", r#"{"custom":{}}"#)), Code::InvalidData);
    assert_eq!(world.read("metadata/x").unwrap().get("custom_metadata").unwrap().as_object().unwrap().len(), 64);
}

#[test]
fn a_patch_is_a_json_merge_patch_that_makes_a_new_version() {
    let world = world();
    assert_eq!(code_of(world.patch("data/x", r#"{"data":{"a":1}}"#)), Code::NotFound);
    world.write("metadata/empty", "{}").unwrap();
    assert_eq!(code_of(world.patch("data/empty", r#"{"data":{"a":1}}"#)), Code::NotFound);
    world.write("data/x", r#"{"data":{"a":{"b":1,"c":2},"d":[1]}}"#).unwrap();
    let row = world.patch("data/x", r#"{"data":{"a":{"b":null,"e":{"f":null}},"d":"text"}}"#).unwrap().data.unwrap();
    assert_eq!(row.get("version").unwrap().as_u64(), Some(2));
    assert_eq!(world.content("x").unwrap(), r#"{"a":{"c":2,"e":{}},"d":"text"}"#);
    assert_eq!(code_of(world.patch("data/x", r#"{"data":{},"options":{"cas":1}}"#)), Code::CasMismatch);
    assert_eq!(code_of(world.patch("data/x", r#"{"data":{},"options":{"cas":0}}"#)), Code::CasMismatch);
    world.patch("data/x", r#"{"data":{"g":1},"options":{"cas":2}}"#).unwrap();
    for bad in ["", "{}", r#"{"data":1}"#, r#"{"data":null}"#, r#"{"data":{},"options":{"case":1}}"#] {
        assert_eq!(code_of(world.patch("data/x", bad)), Code::InvalidData, "{bad}");
    }
    world.root.kv("secret").delete("x").unwrap();
    let error = world.patch("data/x", r#"{"data":{}}"#).unwrap_err();
    assert_eq!((error.code(), error.class()), (Code::VersionDeleted, Class::NotFound));
    assert_eq!(error.data().unwrap().get("metadata").unwrap().get("version").unwrap().as_u64(), Some(3));
    world.root.kv("secret").undelete_versions("x", &[3]).unwrap();
    world.root.kv("secret").destroy_versions("x", &[3]).unwrap();
    assert_eq!(code_of(world.patch("data/x", r#"{"data":{}}"#)), Code::VersionDeleted);
    assert_eq!(world.versions("x"), [1, 2, 3]);
}

#[test]
fn a_patch_past_the_limits_is_refused_and_the_version_before_it_stays() {
    let world = world();
    let text = "x".repeat(600_000);
    world.root.kv("secret").put("x", Object::new().with("a", text.as_str())).unwrap();
    let patch =
        |data: Object| world.root.request(Operation::Patch, "secret/data/x", Some(Object::new().with("data", data).into())).map(drop);
    assert_eq!(code_of(patch(Object::new().with("b", text.as_str()))), Code::InvalidData, "each fits and both do not");
    let deep = (0..64).fold(Object::new(), |inner, _| Object::new().with("a", inner));
    assert_eq!(code_of(patch(deep)), Code::InvalidData);
    assert_eq!(code_of(patch(Object::new().with("b", vec![0_u64; 20_000]))), Code::InvalidData);
    assert_eq!(world.versions("x"), [1]);
    patch(Object::new().with("a", Value::Null).with("b", text.as_str())).unwrap();
}

#[test]
fn subkeys_show_names_without_content_to_a_depth() {
    let world = world();
    world.write("data/x", r#"{"data":{"a":{"b":{"c":"CANARY"}},"d":1}}"#).unwrap();
    world.write("data/x", r#"{"data":{"later":1}}"#).unwrap();
    let subkeys =
        |data: &str| world.ask(Operation::Read, "subkeys/x", data).map(|response| text_of(response.data.unwrap().get("subkeys").unwrap()));
    assert_eq!(subkeys("").unwrap(), r#"{"later":null}"#);
    assert_eq!(subkeys(r#"{"version":1}"#).unwrap(), r#"{"a":{"b":{"c":null}},"d":null}"#);
    assert_eq!(subkeys(r#"{"version":"1","depth":"2"}"#).unwrap(), r#"{"a":{"b":null},"d":null}"#);
    for bad in [r#"{"depth":-1}"#, r#"{"version":-1}"#, r#"{"depth":"all"}"#] {
        assert_eq!(code_of(subkeys(bad)), Code::InvalidData);
    }
    assert_eq!(code_of(subkeys(r#"{"version":3}"#)), Code::NotFound);
    let metadata = world.read("subkeys/x").unwrap();
    assert_eq!(metadata.get("metadata").unwrap().get("version").unwrap().as_u64(), Some(2));
    world.root.kv("secret").delete("x").unwrap();
    assert_eq!(world.read("subkeys/x").unwrap_err().data().unwrap().get("subkeys"), Some(&Value::Null));
    assert_eq!(code_of(world.read("subkeys/none")), Code::NotFound);
    assert_eq!(code_of(world.write("subkeys/x", "{}")), Code::UnsupportedPath);
}

#[test]
fn destroyed_versions_keep_their_rows_and_lose_their_content() {
    let world = world();
    let kv = world.root.kv("secret");
    for number in 1..=3_u64 {
        kv.put("x", Object::new().with("n", number)).unwrap();
    }
    let records = world.vault.verify().unwrap().records;
    kv.destroy_versions("x", &[1, 3, 0, 99]).unwrap();
    assert_eq!(world.vault.verify().unwrap().records, records, "one came with the audit log, and the first version's went");
    let rows = kv.metadata("x").unwrap().versions;
    assert_eq!(rows.iter().map(|row| (row.version, row.destroyed)).collect::<Vec<_>>(), [(1, true), (2, false), (3, true)]);
    kv.undelete_versions("x", &[1, 3]).unwrap();
    for version in [1, 3] {
        let error = kv.get_version("x", version).unwrap_err();
        assert_eq!(error.data().unwrap().get("metadata").unwrap().get("destroyed").unwrap().as_bool(), Some(true));
    }
    kv.get_version("x", 2).unwrap();
    assert_eq!(kv.put("x", Object::new()).unwrap().version, 4);
}

#[test]
fn version_zero_is_the_newest_one_where_it_is_read_and_none_elsewhere() {
    let world = world();
    let kv = world.root.kv("secret");
    kv.put("x", object(r#"{"n":1}"#)).unwrap();
    kv.put("x", object(r#"{"n":2}"#)).unwrap();
    assert_eq!(kv.get_version("x", 0).unwrap().version.version, 2);
    kv.delete_versions("x", &[0]).unwrap();
    kv.destroy_versions("x", &[0]).unwrap();
    kv.get("x").unwrap();
    assert_eq!(code_of(kv.get_version("x", 3)), Code::NotFound);
}

#[test]
fn a_write_needs_create_where_there_is_no_metadata_and_update_where_there_is() {
    let world = world();
    let with = |capability: &str| {
        let policy =
            ["data", "metadata"].map(|part| format!("path \"secret/{part}/*\" {{ capabilities = [\"{capability}\"] }}")).join("\n");
        world.root.policies().write(capability, &policy).unwrap();
        let options = TokenOptions { policies: vec![capability.to_owned()], ..TokenOptions::default() };
        world.vault.session(world.root.tokens().create(options).unwrap().client_token)
    };
    let (create, update, patch) = (with("create"), with("update"), with("patch"));
    let put = |session: &Session, path: &str| session.kv("secret").put(path, Object::new()).map(drop);
    assert_eq!(code_of(put(&update, "x")), Code::PermissionDenied);
    put(&create, "x").unwrap();
    assert_eq!(code_of(put(&create, "x")), Code::PermissionDenied);
    put(&update, "x").unwrap();
    world.root.kv("secret").delete("x").unwrap();
    assert_eq!(code_of(put(&create, "x")), Code::PermissionDenied, "a deleted version is still there");
    world.write("metadata/m", "{}").unwrap();
    assert_eq!(code_of(put(&create, "m")), Code::PermissionDenied, "metadata is what existence means");
    put(&update, "m").unwrap();
    world.root.kv("secret").delete_metadata("m").unwrap();
    put(&create, "m").unwrap();
    let merge = |session: &Session| session.request(Operation::Patch, "secret/data/m", Some(json(r#"{"data":{}}"#))).map(drop);
    assert_eq!(code_of(merge(&update)), Code::PermissionDenied);
    merge(&patch).unwrap();
}

#[test]
fn the_typed_face_says_all_of_it() {
    let world = world();
    let kv = world.root.kv("secret");
    let settings = |max_versions, delay: &str| KvSettings {
        max_versions: Some(max_versions),
        cas_required: None,
        delete_version_after: Some(delay.to_owned()),
    };
    kv.set_config(&settings(7, "2h")).unwrap();
    assert_eq!(kv.config().unwrap(), KvSettings { cas_required: Some(false), ..settings(7, "2h0m0s") });
    kv.set_metadata("x", &settings(0, "1h"), Some(object(r#"{"owner":"team"}"#))).unwrap();
    kv.patch_custom_metadata("x", object(r#"{"owner":null,"use":"db"}"#)).unwrap();
    assert_eq!(code_of(kv.patch("x", object(r#"{"a":1}"#))), Code::NotFound);
    kv.put("x", object(r#"{"a":{"b":1}}"#)).unwrap();
    assert_eq!(kv.patch("x", object(r#"{"c":1}"#)).unwrap().version, 2);
    assert_eq!(code_of(kv.patch_cas("x", Object::new(), 1)), Code::CasMismatch);
    assert_eq!(kv.patch_cas("x", Object::new(), 2).unwrap().version, 3);
    assert_eq!(text_of(&kv.subkeys("x", 0, 1).unwrap().into()), r#"{"a":null,"c":null}"#);
    assert_eq!(text_of(&kv.subkeys("x", 1, 0).unwrap().into()), r#"{"a":{"b":null}}"#);
    let metadata = kv.metadata("x").unwrap();
    assert_eq!(metadata.custom_metadata.into_iter().collect::<Vec<_>>(), [("use".to_owned(), "db".to_owned())]);
    assert_eq!(metadata.settings, KvSettings { cas_required: Some(false), ..settings(0, "1h0m0s") });
    assert_eq!((metadata.created_time, metadata.updated_time), (world.now(), world.now()));
}

#[test]
fn deleting_data_deletes_the_newest_version_only() {
    let world = world();
    let kv = world.root.kv("secret");
    for number in 1..=3_u64 {
        kv.put("x", Object::new().with("n", number)).unwrap();
    }
    kv.delete("x").unwrap();
    assert_eq!(code_of(kv.get("x")), Code::VersionDeleted);
    for number in 1..=2 {
        assert_eq!(kv.get_version("x", number).unwrap().data.get("n").and_then(Value::as_u64), Some(number));
    }
    assert_eq!(kv.metadata("x").unwrap().current_version, 3, "its number stays");
    assert_eq!(kv.put_cas("x", Object::new(), 3).unwrap().version, 4);
}

#[test]
fn members_come_in_order_whatever_they_were_written_in_and_of_two_of_one_name_the_last_counts() {
    let world = world();
    world.write("data/a", r#"{"data":{"c":1,"a":{"z":1,"y":2,"z":3},"b":2,"c":3,"a":{"q":1,"p":2},"d":4}}"#).unwrap();
    assert_eq!(world.content("a").unwrap(), r#"{"a":{"p":2,"q":1},"b":2,"c":3,"d":4}"#);
    world.patch("data/a", r#"{"data":{"e":5,"a":{"x":{"n":null}},"d":null,"0":0,"b":{"k":1}}}"#).unwrap();
    assert_eq!(world.content("a").unwrap(), r#"{"0":0,"a":{"p":2,"q":1,"x":{}},"b":{"k":1},"c":3,"e":5}"#);
    let names: Vec<String> = (0..2_000).rev().map(|number| format!("{number:04}")).collect();
    let members: Vec<String> = names.iter().map(|name| format!(r#""{name}":0"#)).collect();
    let read = object(&format!("{{{}}}", members.join(",")));
    assert!(read.iter().map(|(name, _)| name).eq(names.iter().rev()) && names.iter().all(|name| read.get(name).is_some()));
    let one_by_one = names.iter().fold(Object::new(), |object, name| object.with(name, 0_u64));
    assert!(one_by_one == read && read.get("00").is_none() && read.get("2000").is_none());
}
