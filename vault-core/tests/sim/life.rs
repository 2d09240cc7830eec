//! The ends of a process and the beginnings of the next: crashes, recovery with crashes of its own, closing, sealing, moves, and stores that are put back.

use super::ask::{Ask, At, Deed};
use super::disk::{Death, Disk, Doom};
use super::model::Opener;
use super::story::Dies;
use super::wal::WalStorage;
use super::world::{Copied, World, is_failure, unseal_key};
use std::sync::Arc;
use vault_core::storage::Storage;
use vault_core::types::{Code, Operation, Result, SecretString, Value};
use vault_core::{BackupSeals, Config, Vault};

/// Openings that a recovery may take: each failure that is left over costs one.
const OPENINGS_MAX: usize = 6;

impl World {
    pub fn doom_of(&self, dies: Dies) -> Doom {
        Doom { at: self.ground.disk.operations() + 1 + dies.after, after: dies.carried_out }
    }

    /// The process dies, as told; the next one finds what must be there.
    pub fn crash(&mut self, death: Death, again: Option<Dies>) {
        self.die(death);
        self.recover(again);
        self.compare();
    }

    /// Nothing that the process still does has an effect.
    pub fn die(&mut self, death: Death) {
        self.ground.disk.die();
        self.end_life();
        let seen = self.ground.disk.restart(death);
        seen.into_iter().for_each(|what| self.coverage.hit(format!("medium: {what}")));
        self.ledger.died();
    }

    /// A sink that holds a session would otherwise keep its vault for ever.
    pub fn end_life(&mut self) {
        self.ground.sinks.iter().for_each(|sink| *sink.meanwhile.lock() = None);
        *self.ground.hosts.meanwhile.lock() = None;
        self.live = None;
    }

    /// Opens what a process has left; with `again` this one dies on the way, and another opens.
    pub fn recover(&mut self, again: Option<Dies>) {
        if let Some(dies) = again {
            self.ground.disk.doom(Some(self.doom_of(dies)));
            self.open_and_tick();
            self.coverage.hit(if self.ground.disk.is_dead() { "recovery: died" } else { "recovery: died after it" });
            self.die(dies.death);
        }
        for _ in 0..OPENINGS_MAX {
            match self.open() {
                Ok(()) => {
                    self.ground.anchor.iter().for_each(|anchor| anchor.fail(None));
                    return;
                }
                Err(error) => self.make_way(error.code()),
            }
        }
        panic!("the store does not open");
    }

    /// A recovery as far as it comes, with the first tick of the new process.
    pub fn open_and_tick(&mut self) {
        if self.open().is_ok() {
            let now = self.now();
            let mut applied = self.states.clone();
            applied.iter_mut().for_each(|state| state.expire(now));
            let ticked = self.live().vault.tick();
            assert!(ticked.is_ok() || self.ground.disk.is_dead() || self.is_excused(), "the first tick failed: {ticked:?}");
            self.states.extend(applied);
            self.simplify();
            self.let_tick();
            self.leases_ticked(now, false);
        }
    }

    fn is_excused(&self) -> bool {
        !self.ground.disk.struck().is_empty() || self.ground.anchor.as_ref().is_some_and(|anchor| anchor.has_failed())
    }

    /// Opens and unseals. What the opening changes is in doubt where it fails.
    fn open(&mut self) -> Result<()> {
        let (id, key) = self.key();
        let storage = self.ground.planted(WalStorage::open(Arc::clone(&self.ground.disk))?);
        let mut opened = self.states.clone();
        opened.iter_mut().for_each(|state| state.opened_by(id));
        match Vault::open(self.ground.config(&storage)).and_then(|sealed| sealed.unseal(&key)) {
            Ok(vault) => {
                self.note_opener(id);
                self.states = opened;
                self.begin_life(storage, vault);
                self.simplify();
                Ok(())
            }
            Err(error) => {
                self.states.extend(opened);
                self.simplify();
                Err(error)
            }
        }
    }

    fn note_opener(&mut self, id: u32) {
        let by_shares = matches!(self.states[0].slots[&id].opener, Opener::Shares(_));
        self.coverage.hit(if by_shares { "outcome: opened by key shares" } else { "outcome: opened by a raw key" });
    }

    /// After an opening that failed: whatever was in its way goes.
    fn make_way(&mut self, code: Code) {
        self.failed(code, "an opening");
        self.coverage.hit(format!("recovery: {}", code.name()));
        self.ground.disk.set_room(None);
        self.die(Death::Kill);
    }

    /// Asks for everything: of the possible states at least one must have all of it.
    pub fn compare(&mut self) {
        // Looking at everything writes records of it: by now somebody has made room.
        self.ground.disk.set_room(None);
        for mount in 0..2 {
            for key in 0..4 {
                let at = At { mount, key };
                self.ask_root(&Ask::Metadata { at });
                self.ask_root(&Ask::Get { at, version: self.numbers.below(4) });
            }
            self.ask_root(&Ask::List { mount, folder: 0 });
        }
        for name in 0..3 {
            self.ask_root(&Ask::ReadPolicy { name });
        }
        self.ask_root(&Ask::ListPolicies);
        self.ask_root(&Ask::Slots);
        let newest: Vec<u64> = self.tokens.keys().rev().take(8).copied().collect();
        newest.into_iter().for_each(|token| drop(self.ask(Some(token), &Ask::LookUpSelf, u64::MAX)));
        let lent: Vec<String> = self.books.lent.iter().rev().take(8).map(|lent| lent.id.clone()).collect();
        lent.into_iter().for_each(|id| self.ask_root(&Ask::Lease { deed: Deed::LookUp, id }));
        self.check_accounts();
        let found = self.live().vault.verify().unwrap_or_else(|error| panic!("the store does not verify: {error}"));
        let sequence = found.audit.records + found.audit.pruned;
        assert!(sequence >= self.ledger.certain(), "{sequence} records, and {} requests must have one", self.ledger.certain());
    }

    fn ask_root(&mut self, ask: &Ask) {
        drop(self.ask(Some(0), ask, u64::MAX));
    }

    pub fn close(&mut self) {
        let closed = self.live().vault.close();
        match closed {
            Ok(()) => {
                self.coverage.hit("outcome: closed in order");
                self.ledger.all_certain();
                self.end_life();
                self.recover(None);
            }
            Err(error) => {
                self.failed(error.code(), "closing");
                self.start_anew();
            }
        }
    }

    /// The process is of no more use: it is killed, unless its machine has died already.
    fn start_anew(&mut self) {
        if !self.ground.disk.is_dead() {
            self.crash(Death::Kill, None);
        }
    }

    /// Seals, asks in vain, and unseals.
    pub fn seal(&mut self) {
        let sealed = match self.live().vault.seal() {
            Ok(sealed) => sealed,
            Err(error) => {
                self.failed(error.code(), "sealing");
                return self.start_anew();
            }
        };
        self.ledger.all_certain();
        let asked = self.root().request(Operation::Read, "auth/token/lookup-self", None);
        assert_eq!(asked.map_err(|error| error.code()).err(), Some(Code::Sealed), "a sealed vault answers so");
        let (id, key) = self.key();
        let mut opened = self.states.clone();
        opened.iter_mut().for_each(|state| state.opened_by(id));
        match sealed.unseal(&key) {
            Ok(_) => {
                self.coverage.hit("outcome: sealed and unsealed");
                self.note_opener(id);
                self.states = opened;
                self.simplify();
            }
            Err(error) => {
                self.failed(error.code(), "unsealing");
                self.states.extend(opened);
                self.start_anew();
            }
        }
    }

    /// Copies the store as it is now, cache and all.
    pub fn copy(&mut self) {
        let live = self.live();
        if live.poisoned.is_some() || self.ground.anchor.is_none() || self.ground.disk.is_dead() {
            return;
        }
        let (disk, commit) = (self.ground.disk.fork(), live.storage.commit_number());
        let (_, opener) = self.openers().swap_remove(0);
        disk.set_room(None);
        disk.restart(Death::Kill);
        self.copied = Some(Copied { disk, commit, opener });
    }

    /// Puts a copy in the place of the store, beside the story: where the anchor knows more it is refused, and opens when the glass is broken.
    pub fn put_back(&mut self) {
        let (Some(copied), Some(anchored)) = (&self.copied, self.anchored()) else { return };
        let Some(anchor) = self.ground.anchor.clone() else { return };
        anchor.fail(None);
        let (disk, key) = (Arc::new(copied.disk.fork()), unseal_key(&copied.opener));
        let open = |config: &dyn Fn(Config) -> Config| {
            let storage = Arc::new(WalStorage::open(Arc::clone(&disk)).expect("a copy opens"));
            Vault::open(config(self.ground.anchored(&storage))).and_then(|sealed| sealed.unseal(&key))
        };
        let is_older = anchored.commit > copied.commit;
        let opened = open(&|config| config);
        if is_older {
            assert_eq!(opened.as_ref().err().map(vault_core::types::Error::code), Some(Code::Rollback), "a store that was put back");
            drop(opened);
            let vault = open(&Config::with_rollback_accepted).expect("the glass was broken");
            vault.verify().expect("a copy verifies");
            let root = vault.session(SecretString::copy_from(&self.tokens[&0].secret));
            let events = root.audit().events(copied_events(&root), 1_000).expect("events");
            let accepted = events.iter().any(|event| event.get("operation").and_then(Value::as_str) == Some("accept-rollback"));
            assert!(accepted, "a rollback that was accepted is not in the log");
            vault.close().expect("closed");
            let vault = open(&|config| config).expect("it was anchored anew");
            drop(vault);
        } else {
            drop(opened.expect("a copy that is not older than its anchor opens"));
        }
        anchor.put_back(anchored);
        *anchor.storage.lock() = Arc::downgrade(&self.live().storage);
        self.coverage.hit(if is_older { "anchor: an older store was refused" } else { "anchor: a store as new as it was taken" });
    }

    /// Takes a backup, and goes on with it elsewhere.
    pub fn move_elsewhere(&mut self, dies: Option<Dies>) {
        if self.live().poisoned.is_some() {
            return;
        }
        let (now, asked) = (self.now(), self.ledger.len());
        let mut bytes = Vec::new();
        if let Err(error) = self.root().backup().to_writer(&mut bytes, &BackupSeals::Own) {
            return self.failed(error.code(), "a backup");
        }
        self.ledger.committed(asked, now);
        if let Some(dies) = dies {
            self.restore_that_dies(&bytes, dies);
        }
        let (id, key) = self.key();
        // Before the copy is adopted the old one must be gone: an anchor is one vault's.
        self.die(Death::Kill);
        self.ground.anchor.iter().for_each(|anchor| anchor.fail(None));
        self.copied = None;
        self.ground.disk = Arc::new(Disk::new(self.numbers.next()));
        let storage = self.ground.planted(WalStorage::create(Arc::clone(&self.ground.disk)).expect("a new store"));
        let (vault, _) = Vault::restore(self.ground.config(&storage), &mut &bytes[..], &key).expect("a backup can be restored");
        assert!(vault.is_frozen());
        self.states.iter_mut().for_each(|state| state.opened_by(id));
        self.begin_life(storage, vault);
        let written = self.root().kv("secret").put("c", vault_core::types::Object::new());
        assert_eq!(written.map_err(|error| error.code()).err(), Some(Code::Frozen), "a frozen vault is not written to");
        self.root().request(Operation::Write, "sys/storage/adopt", None).expect("adopted");
        self.compare();
        self.coverage.hit("outcome: moved by a backup");
    }

    /// A restore that dies leaves nothing that opens, or all of it.
    fn restore_that_dies(&mut self, bytes: &[u8], dies: Dies) {
        let disk = Arc::new(Disk::new(self.numbers.next()));
        let (_, key) = self.key();
        let restored = WalStorage::create(Arc::clone(&disk)).map_err(vault_core::types::Error::from).and_then(|storage| {
            disk.doom(Some(Doom { at: disk.operations() + 1 + dies.after, after: dies.carried_out }));
            Vault::restore(self.ground.plain(&Arc::new(storage)), &mut &bytes[..], &key).map(drop)
        });
        disk.die();
        disk.restart(dies.death);
        let left = WalStorage::open(disk).map_err(vault_core::types::Error::from);
        let left = left.and_then(|storage| Vault::open(self.ground.plain(&Arc::new(storage))));
        assert!(restored.is_err() || left.is_ok(), "a restore that was acknowledged is there");
        match left {
            Ok(sealed) => {
                let vault = sealed.unseal(&key).expect("what a restore leaves opens");
                vault.verify().expect("what a restore leaves is whole");
                self.coverage.hit("restore: died, and all of it was there");
            }
            Err(error) => {
                assert!(matches!(error.code(), Code::Corrupt | Code::NotAStore), "what a restore leaves answers {error:?}");
                self.coverage.hit("restore: died, and nothing was there");
            }
        }
    }

    /// Removes one of several slots, so that another that is known goes on opening.
    pub fn remove_slot(&mut self) {
        let openers = self.openers();
        if openers.len() < 2 || self.states.len() > 1 {
            return;
        }
        let (id, _) = openers[self.numbers.index(openers.len())];
        self.ask_root(&Ask::RemoveSlot { id });
        self.coverage.hit("outcome: a slot was removed");
    }

    /// Shares in the place of a slot of a raw key: the old slot opens until they were used.
    pub fn rekey(&mut self, keep: bool) {
        let raw = |opener: &Opener| if let Opener::Raw(key) = opener { Some(*key) } else { None };
        let openers: Vec<(u32, u8)> = self.openers().into_iter().filter_map(|(id, opener)| Some((id, raw(&opener)?))).collect();
        if openers.is_empty() || self.states.len() > 1 {
            return;
        }
        let (authority, key) = *self.numbers.pick(&openers);
        // Slots of one key are one and the same to it: the first of them opens.
        let authority = openers.iter().find(|(_, other)| *other == key).map_or(authority, |(id, _)| *id);
        let allowed = keep || self.states[0].slots.values().all(|slot| slot.opener == Opener::Raw(key));
        match self.rekeyed(key, keep) {
            Ok(shares) => {
                assert!(allowed, "a rekey has lost a slot");
                self.states[0].rekey(authority, Opener::Shares(shares));
                self.coverage.hit("outcome: rekeyed");
            }
            Err(error) if is_failure(error.code()) => {
                self.failed(error.code(), "a rekey");
                let mut applied = self.states.clone();
                if allowed {
                    applied[0].rekey(authority, Opener::Unseen);
                }
                // Whichever of its requests it was that failed.
                self.states.extend(applied);
            }
            Err(error) => {
                assert!(!allowed && error.code() == Code::InvalidRequest, "a rekey was refused: {error}");
                self.coverage.hit("outcome: a rekey was refused");
                if let Err(error) = self.root().request(Operation::Delete, "sys/rekey/init", None) {
                    self.failed(error.code(), "cancelling a rekey");
                }
            }
        }
        self.simplify();
    }

    fn rekeyed(&self, key: u8, keep: bool) -> Result<Vec<String>> {
        let root = self.root();
        // One that was cut off before goes first.
        root.request(Operation::Delete, "sys/rekey/init", None)?;
        super::ask::rekey(&self.live().vault, &root, key, keep)
    }
}

/// How many events a log has, but for the last few.
fn copied_events(root: &vault_core::Session) -> u64 {
    root.audit().verify().map_or(0, |report| report.records.saturating_sub(20))
}
