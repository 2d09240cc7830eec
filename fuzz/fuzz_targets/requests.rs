//! Requests of any kind to a vault are answered or refused: no bug of the vault's own, no panic.
#![no_main]
#[path = "../../vault-core/tests/support/requests.rs"]
mod requests;
libfuzzer_sys::fuzz_target!(|text: &str| requests::run(text));
