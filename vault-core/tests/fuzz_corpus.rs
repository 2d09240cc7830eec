//! The inputs that fuzzing found worth keeping, replayed on stable with the assertions of the fuzz targets.
#![allow(clippy::disallowed_methods, reason = "a test reads its inputs from files")]

#[path = "support/kv_model.rs"]
mod kv_model;
#[path = "support/requests.rs"]
mod requests;

use std::path::Path;
use vault_core::policy::{Capability, Dialect, Facts, Settings, evaluate};
use vault_core::types::{self, Object, Ttl, Value};

/// Calls `check` with every input of a target; there must be some.
fn replay(target: &str, check: impl Fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus").join(target);
    let mut inputs = 0;
    for entry in std::fs::read_dir(folder).expect("the corpus is committed") {
        check(&std::fs::read(entry.expect("a file").path()).expect("a file"));
        inputs += 1;
    }
    assert!(inputs >= 3, "{target} has {inputs} inputs");
}

#[test]
fn paths_are_refused_or_canonical() {
    replay("path", |bytes| {
        let Ok(text) = std::str::from_utf8(bytes) else { return };
        if let Ok(path) = types::Path::parse(text) {
            assert_eq!(types::Path::parse(path.as_str()).expect("canonical"), path);
        }
    });
}

#[test]
fn json_is_refused_or_round_trips() {
    replay("json", |bytes| {
        if let Ok(value) = Value::from_json(bytes) {
            assert!(Value::from_json(&value.to_json()).expect("our own JSON") == value);
        }
    });
}

#[test]
fn policies_are_refused_or_evaluated() {
    replay("policy", |bytes| {
        let Ok(text) = std::str::from_utf8(bytes) else { return };
        let data = Value::from(Object::new().with("k", "a,b").with("L", vec![1_u32]));
        let facts = |operation, data| Facts { data, wrap_ttl: Some(Ttl::from_secs(60)), ..Facts::new(operation, "secret/data/app/db") };
        for operation in [Capability::Read, Capability::Update, Capability::List] {
            for dialect in [Dialect::Vault, Dialect::OpenBao] {
                for absolute_deny in [false, true] {
                    let settings = Settings { dialect, absolute_deny };
                    if let Ok(decision) = evaluate(&[text], &facts(operation, Some(&data)), settings) {
                        assert!(!decision.allowed || decision.rule.is_some());
                        let _text = (decision.to_string(), decision.to_value().to_json());
                    }
                }
            }
        }
    });
}

#[test]
fn requests_of_any_kind_are_answered_or_refused() {
    replay("requests", |bytes| requests::run(std::str::from_utf8(bytes).expect("the corpus is text")));
}

#[test]
fn operations_on_secrets_answer_as_the_model_does() {
    replay("kv", kv_model::run);
}
