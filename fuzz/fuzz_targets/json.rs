//! JSON is refused, or read, written and read again to the same.
#![no_main]
use vault_core::types::Value;
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let Ok(value) = Value::from_json(bytes) {
        assert!(Value::from_json(&value.to_json()).expect("our own JSON") == value);
    }
});
