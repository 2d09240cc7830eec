//! Operations on KV version 2 answer as a plain model of it does.
#![no_main]
#[path = "../../vault-core/tests/support/kv_model.rs"]
mod kv_model;
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    kv_model::run(&bytes[..bytes.len().min(1_000)]);
});
