//! What the process does whose system calls go wrong: one operation, telling what was acknowledged. A failure is told by its code and not the end:
//! what is acknowledged after it counts as well.

use super::{BACKUP, PUTS, SALVAGED, SHARES, begin, config, say, text};
use crate::support::{KEY, member};
use std::fs::File;
use std::path::Path;
use vault_core::types::{Error, Object, Operation, Path as VaultPath, Request, Result, SecretString, Value};
use vault_core::{BackupSeals, NewSeal, Session, UnsealKey, Vault};

/// Ticks after which a re-encryption must have come to its end.
const TICKS_MAX: u64 = 200;

/// Carries out an operation on the store at `place`.
pub fn work(operation: &str, place: &Path, token: &str) -> Result<()> {
    let beside = |name: &str| place.parent().unwrap().join(name);
    let root = |vault: &Vault| vault.session(SecretString::copy_from(token));
    match operation {
        "create" => {
            begin(place);
            let (vault, init) = Vault::create(config(place), NewSeal::raw_key(&KEY)?)?;
            say(&format!("ack {}", init.root_token.expose()));
            vault.close()
        }
        "open" => {
            begin(place);
            let vault = open(place)?;
            say("ack");
            vault.close()
        }
        "put" => {
            let vault = open(place)?;
            begin(place);
            put(&root(&vault));
            vault.close()
        }
        "roll" => {
            let vault = open(place)?;
            begin(place);
            let outcome = roll(&vault, &root(&vault));
            vault.close().and(outcome)
        }
        "rekey" => {
            let shares = std::env::var(SHARES).unwrap();
            let vault = Vault::open(config(place))?.unseal(&UnsealKey::shares(shares.split(' '))?)?;
            begin(place);
            let outcome = rekey(&vault, &root(&vault), &shares);
            if let Ok(new) = &outcome {
                say(&format!("ack {}", new.join(" ")));
            }
            vault.close().and(outcome.map(drop))
        }
        "backup" => {
            let vault = open(place)?;
            begin(place);
            let outcome = back_up(&root(&vault), &beside(BACKUP));
            put(&root(&vault));
            vault.close().and(outcome)
        }
        "compact" => {
            let vault = open(place)?;
            begin(place);
            let outcome = vault.compact();
            if outcome.is_ok() {
                say("ack");
            }
            // Whatever became of it, what is written then counts.
            put(&root(&vault));
            vault.close().and(outcome.map(drop))
        }
        "salvage" => {
            begin(place);
            let (vault, _) = vault_core::doctor::salvage(&config(place), &UnsealKey::raw_key(&KEY)?, config(&beside(SALVAGED)))?;
            say("ack");
            vault.close()
        }
        "restore" => {
            begin(place);
            let mut source = File::open(beside(BACKUP)).map_err(told)?;
            let (vault, _) = Vault::restore(config(place), &mut source, &UnsealKey::raw_key(&KEY)?)?;
            say("ack");
            vault.close()
        }
        other => panic!("no operation is called {other}"),
    }
}

fn open(place: &Path) -> Result<Vault> {
    Vault::open(config(place))?.unseal(&UnsealKey::raw_key(&KEY)?)
}

/// Writes new secrets, small and large, and new versions of old ones; so much that the audit log seals a segment.
fn put(root: &Session) {
    for number in 0..PUTS {
        match root.kv("secret").put(&super::put_path(number), member(&text(1000 + number))) {
            Ok(_) => say(&format!("put {number}")),
            Err(error) => say(&format!("failed {}", error.code().number())),
        }
    }
}

fn roll(vault: &Vault, root: &Session) -> Result<()> {
    root.request(Operation::Write, "sys/rotate", None)?;
    say("ack");
    for _ in 0..TICKS_MAX {
        vault.tick()?;
        let status = root.request(Operation::Read, "sys/key-status", None)?.data.unwrap();
        if status.get("reencryption").and_then(|state| state.get("active")).and_then(Value::as_bool) == Some(false) {
            return Ok(());
        }
    }
    panic!("the re-encryption does not come to its end");
}

fn rekey(vault: &Vault, root: &Session, shares: &str) -> Result<Vec<String>> {
    let text = |value: &Value, name: &str| value.get(name).and_then(Value::as_str).unwrap().to_owned();
    let numbers = Object::new().with("secret_shares", 3_u64).with("secret_threshold", 2_u64);
    let begun = root.request(Operation::Write, "sys/rekey/init", Some(numbers.into()))?.data.unwrap();
    let mut answer = Value::Null;
    for share in shares.split(' ').take(2) {
        let data = Object::new().with("nonce", text(&begun, "nonce")).with("key", share);
        let request = Request::new(Operation::Write, VaultPath::parse("sys/rekey/update").unwrap()).with_data(data.into());
        answer = vault.handle(request).into_result()?.data.unwrap();
    }
    let new = answer.get("keys").and_then(Value::as_array).unwrap();
    Ok(new.iter().map(|share| share.as_str().unwrap().to_owned()).collect())
}

fn back_up(root: &Session, to: &Path) -> Result<()> {
    let mut file = File::create(to).map_err(told)?;
    root.backup().to_writer(&mut file, &BackupSeals::Own)?;
    file.sync_all().map_err(told)?;
    say("ack");
    Ok(())
}

/// A failure of the worker's own file, which is no error of the vault.
fn told(error: std::io::Error) -> Error {
    Error::new(vault_core::types::Code::Unavailable, error.to_string())
}
