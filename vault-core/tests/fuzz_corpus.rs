//! The inputs that fuzzing found worth keeping, replayed on stable with the assertions of the fuzz targets.
#![allow(clippy::disallowed_methods, reason = "a test reads its inputs from files")]

use std::path::Path;
use vault_core::policy::{Capability, Dialect, Facts, evaluate};
use vault_core::types::{self, Value};

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
        for operation in [Capability::Read, Capability::List] {
            let _decision = evaluate(&[text], &Facts::new(operation, "secret/data/app/db"), Dialect::Vault);
        }
    });
}
