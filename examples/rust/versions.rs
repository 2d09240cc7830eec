//! Versions of a secret: two writers who do not overwrite each other, a mistake that is taken back, and content that is gone for good.
//!
//! `cargo run --example versions`
#![allow(clippy::print_stdout, reason = "an example talks to its reader")]

use std::error::Error;
use vault_core::Vault;
use vault_core::types::{Code, Object, Value};

fn main() -> Result<(), Box<dyn Error>> {
    let (vault, init) = Vault::in_memory()?;
    let root = vault.session(init.root_token);
    let kv = root.kv("secret");

    // Only where there is none yet.
    let first = kv.put_cas("app/db", Object::new().with("password", "one"), 0)?.version;
    // Two have read version 1; the second one to write is told, and reads anew.
    kv.put_cas("app/db", Object::new().with("password", "two"), first)?;
    let refused = kv.put_cas("app/db", Object::new().with("password", "three"), first).expect_err("somebody was faster");
    assert_eq!(refused.code(), Code::CasMismatch);
    println!("the second writer is told: {refused}");

    // A change of one member keeps the others, and is a version too.
    let third = kv.patch_cas("app/db", Object::new().with("user", "app"), 2)?.version;
    println!("version {third} has the members {}", kv.get("app/db")?.data.len());

    // A deletion is taken back; a destruction is not.
    kv.delete("app/db")?;
    assert_eq!(kv.get("app/db").expect_err("deleted").code(), Code::VersionDeleted);
    kv.undelete_versions("app/db", &[third])?;
    kv.destroy_versions("app/db", &[first])?;
    let old = kv.get_version("app/db", 2)?;
    assert_eq!(old.data.get("password").and_then(Value::as_str), Some("two"));
    for version in kv.metadata("app/db")?.versions {
        println!("version {}: {}", version.version, if version.destroyed { "destroyed" } else { "there" });
    }
    Ok(vault.close()?)
}
