//! The read of a 1 KiB secret in a session, a look at a live one that has not changed, and a durable write, in memory and on disk.
#![allow(missing_docs, clippy::unwrap_used, reason = "criterion's macros make undocumented items, and a bench fails by panicking")]

use criterion::{Criterion, criterion_group, criterion_main};
use std::hint::black_box;
use vault_core::types::Object;
use vault_core::{Config, NewSeal, Session, Vault};

fn session(config: Config) -> Session {
    let (vault, init) = Vault::create(config, NewSeal::raw_key(&[7; 32]).unwrap()).unwrap();
    let session = vault.session(init.root_token);
    session.kv("secret").put("app/db", secret()).unwrap();
    session
}

fn secret() -> Object {
    Object::new().with("value", "x".repeat(1000))
}

fn read_and_write(criterion: &mut Criterion) {
    let folder = tempfile::tempdir().unwrap();
    for (name, config) in [("memory", Config::in_memory()), ("sled", Config::at(folder.path().join("vault")))] {
        let session = session(config);
        criterion.bench_function(&format!("read 1 KiB, {name}"), |bencher| {
            bencher.iter(|| black_box(session.kv("secret").get("app/db").unwrap()));
        });
        let live = session.kv("secret").live("app/db").unwrap();
        criterion.bench_function(&format!("live secret, nothing new, {name}"), |bencher| {
            bencher.iter(|| black_box(live.get().unwrap()));
        });
        criterion.bench_function(&format!("write 1 KiB, {name}"), |bencher| {
            bencher.iter(|| session.kv("secret").put("app/db", secret()).unwrap());
        });
    }
}

criterion_group!(benches, read_and_write);
criterion_main!(benches);
