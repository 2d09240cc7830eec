//! A policy is refused, or parsed and evaluated, and never panics.
#![no_main]
use vault_core::policy::{Capability, Dialect, Facts, evaluate};
libfuzzer_sys::fuzz_target!(|text: &str| {
    for operation in [Capability::Read, Capability::List] {
        let _decision = evaluate(&[text], &Facts::new(operation, "secret/data/app/db"), Dialect::Vault);
    }
});
