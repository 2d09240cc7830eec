//! Random operations on KV version 2, compared with a plain model after each of them.
#![allow(clippy::disallowed_methods, reason = "a test looks at its own environment")]

#[path = "support/kv_model.rs"]
mod kv_model;
mod support;

use support::{Random, number_from};

/// Operations of one life, about; a life is a vault of its own.
const BYTES: u64 = 400;

#[test]
fn vault_and_model_say_the_same_of_random_operations() {
    let lives = number_from("LIBVAULT_KV_LIVES").unwrap_or(40);
    let mut random = Random::seeded();
    for _ in 0..lives {
        let bytes: Vec<u8> = (0..BYTES).map(|_| u8::try_from(random.below(256)).expect("a byte")).collect();
        kv_model::run(&bytes);
    }
}
