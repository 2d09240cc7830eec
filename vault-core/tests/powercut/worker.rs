//! The process whose run is recorded: it carries out a story and says where it stands and what is acknowledged.

use super::story::{BACKED_UP, Run, Step, path, text};
use super::{config, say};
use crate::support::{KEY, member};
use parking_lot::Mutex;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use vault_core::host::{Rng, RngError};
use vault_core::storage::FileAnchor;
use vault_core::types::{Operation, SecretString, Ttl};
use vault_core::{BackupSeals, Config, NewSeal, Session, UnsealKey, Vault};

const BACKUP_SEED: u64 = 4;
/// A few small commits have room in it.
const SMALL_WAL_BYTES: usize = 12 * 1024;

/// Numbers that can be replayed, so that a record can.
pub struct Replayed(Mutex<crate::support::Random>);

impl Replayed {
    pub fn from(seed: u64) -> Arc<dyn Rng> {
        Arc::new(Replayed(Mutex::new(crate::support::Random::from_seed(seed))))
    }
}

impl Rng for Replayed {
    fn fill(&self, buffer: &mut [u8]) -> Result<(), RngError> {
        let mut random = self.0.lock();
        buffer.iter_mut().for_each(|byte| *byte = u8::try_from(random.below(256)).unwrap());
        Ok(())
    }
}

pub fn key() -> UnsealKey {
    UnsealKey::raw_key(&KEY).unwrap()
}

pub fn seal() -> NewSeal {
    NewSeal::raw_key(&KEY).unwrap()
}

/// How the vault of a run is opened.
pub fn config_of(run: Run, place: &Path, seed: u64) -> Config {
    let config = config(place).with_rng(Replayed::from(seed));
    match run {
        Run::Anchored => config.with_anchor(Arc::new(FileAnchor::at(place.with_file_name("anchor"))), Ttl::ZERO),
        Run::Settled => config.with_wal_bytes(SMALL_WAL_BYTES),
        _ => config,
    }
}

/// The backup that is restored, and the root token of what is in it: the same in each process.
pub fn backup() -> (Vec<u8>, String) {
    let (vault, init) = Vault::create(Config::in_memory().with_rng(Replayed::from(BACKUP_SEED)), seal()).unwrap();
    let token = init.root_token.expose().to_owned();
    let root = vault.session(init.root_token);
    for step in BACKED_UP {
        carry_out(&vault, &root, step);
    }
    let mut backup = Vec::new();
    root.backup().to_writer(&mut backup, &BackupSeals::Own).unwrap();
    (backup, token)
}

/// Does all of a run and says so: the phase that begins, the root token, and how many steps are acknowledged.
pub fn work(run: Run, place: &Path, seed: u64) {
    let config = |life: u64| config_of(run, place, seed + life);
    let (source, token) = backup();
    assert!(File::open(place.with_file_name("begin")).is_err());
    let (mut vault, token) = if run == Run::Restored {
        say("phase restoring");
        say(&format!("token {token}"));
        (Vault::restore(config(0), &mut &source[..], &key()).unwrap().0, token)
    } else {
        say("phase creating");
        let (vault, init) = Vault::create(config(0), seal()).unwrap();
        say(&format!("token {}", init.root_token.expose()));
        (vault, init.root_token.expose().to_owned())
    };
    say("acknowledged 0");
    say("phase committing");
    for (life, step) in (1..).zip(run.steps()) {
        if matches!(step, Step::Reopen) {
            say("phase closing");
            vault.close().unwrap();
            say("phase opening");
            vault = Vault::open(config(life)).unwrap().unseal(&key()).unwrap();
        } else {
            carry_out(&vault, &vault.session(SecretString::copy_from(&token)), step);
        }
        say(&format!("acknowledged {life}"));
        if matches!(step, Step::Reopen) {
            say("phase committing");
        }
    }
    say("phase closing");
    vault.close().unwrap();
    say("closed");
    assert!(File::open(place.with_file_name("end")).is_err());
}

pub fn carry_out(vault: &Vault, root: &Session, step: Step) {
    let kv = root.kv("secret");
    match step {
        Step::Put { secret, number } => drop(kv.put(&path(secret), member(&text(number))).unwrap()),
        Step::Delete { secret } => kv.delete(&path(secret)).unwrap(),
        Step::Remove { secret } => kv.delete_metadata(&path(secret)).unwrap(),
        Step::Roll => drop(root.request(Operation::Write, "sys/rotate", None).unwrap()),
        Step::Ticks(count) => (0..count).for_each(|_| _ = vault.tick().unwrap()),
        Step::Adopt => drop(root.request(Operation::Write, "sys/storage/adopt", None).unwrap()),
        Step::Reopen => unreachable!("whoever has the vault reopens it"),
    }
}
