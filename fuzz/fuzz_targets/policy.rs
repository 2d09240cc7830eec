//! A policy is refused, or parsed, evaluated and explained, and never panics.
#![no_main]
use vault_core::policy::{Capability, Dialect, Facts, Settings, evaluate};
use vault_core::types::{Object, Ttl, Value};
libfuzzer_sys::fuzz_target!(|text: &str| {
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
