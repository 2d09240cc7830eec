//! `include/vault.h`, generated from the exports of vault-ffi.

use crate::run::{Outcome, at, root};
use std::path::PathBuf;

/// Writes the header.
pub(crate) fn write() -> Outcome {
    let path = path();
    std::fs::write(&path, generated()?).map_err(at(&path))
}

/// Compares the committed header with what would be written.
pub(crate) fn check() -> Outcome {
    let path = path();
    let committed = std::fs::read_to_string(&path).map_err(at(&path))?;
    let generated = generated()?;
    if committed == generated {
        return Ok(());
    }
    let line = committed.lines().zip(generated.lines()).position(|(a, b)| a != b).map_or(0, |line| line + 1);
    Err(format!("include/vault.h differs from the exports from line {line} on: run `cargo xtask header` and commit it"))
}

fn path() -> PathBuf {
    root().join("include/vault.h")
}

fn generated() -> Outcome<String> {
    let crate_dir = root().join("vault-ffi");
    let config = cbindgen::Config::from_file(crate_dir.join("cbindgen.toml"))?;
    let bindings = cbindgen::Builder::new().with_crate(&crate_dir).with_config(config).generate();
    let mut header = Vec::new();
    bindings.map_err(|error| format!("cbindgen: {error}"))?.write(&mut header);
    String::from_utf8(header).map_err(|error| format!("cbindgen: {error}"))
}
