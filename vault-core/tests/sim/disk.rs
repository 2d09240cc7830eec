//! A simulated medium below the storage contract: what was not synced can be lost, torn at 512 bytes or reordered; operations fail, and the machine dies at any of them.
//!
//! A file has what the running system sees (its cache) and what a power cut leaves (the durable bytes), with the writes in between. Names
//! are the same: created, renamed and removed at once for the running system, and durable once the directory is synced.

use super::numbers::Numbers;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::io::{self, ErrorKind};

const SECTOR: usize = 512;
/// Writes that a file may have pending before the system writes the oldest back by itself.
const PENDING_MAX: usize = 16;

/// A file, named or not.
pub type FileId = u64;

/// What happens to a machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Death {
    /// The process dies: the system's cache survives.
    Kill,
    /// The power goes: of what was not synced any part may be there.
    PowerCut,
}

/// Something that goes wrong once, at the so-manieth operation of its kind from now on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// A sync of a file answers EIO; its pages are clean from then on, written or not.
    Sync,
    /// A sync of the directory answers EIO.
    SyncDirectory,
    /// A write is cut short and answers EIO.
    Write,
    /// A read of a record answers EIO.
    Read,
}

/// When the machine dies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Doom {
    /// At this operation, counted from the start of the medium.
    pub at: u64,
    /// The operation itself is still carried out.
    pub after: bool,
}

#[derive(Clone, Default)]
struct File {
    cache: Vec<u8>,
    durable: Vec<u8>,
    pending: Vec<(usize, Vec<u8>)>,
}

#[derive(Clone)]
enum NameChange {
    Put(String, FileId),
    Removed(String),
}

#[derive(Clone, Default)]
struct State {
    files: BTreeMap<FileId, File>,
    names: BTreeMap<String, FileId>,
    durable_names: BTreeMap<String, FileId>,
    name_changes: Vec<NameChange>,
    next: FileId,
    operations: u64,
    dead: bool,
    doom: Option<Doom>,
    fault: Option<(Fault, u64)>,
    /// Bytes by which files may still grow; `None` where there is room enough.
    room: Option<usize>,
    /// Faults that have struck in this step: errors without one are errors of the vault.
    struck: Vec<&'static str>,
    /// Somebody looks from outside of the story: nothing is counted and nothing fails.
    aside: bool,
}

/// The medium. It outlives the processes that use it.
pub struct Disk {
    state: Mutex<State>,
    numbers: Numbers,
}

impl Disk {
    pub fn new(seed: u64) -> Self {
        Disk { state: Mutex::default(), numbers: Numbers::new(seed) }
    }

    /// The same medium once more, to try something else on.
    pub fn fork(&self) -> Self {
        Disk { state: Mutex::new(self.state.lock().clone()), numbers: self.numbers.fork() }
    }

    /// Operations so far, those of storage and those of the medium.
    pub fn operations(&self) -> u64 {
        self.state.lock().operations
    }

    pub fn doom(&self, doom: Option<Doom>) {
        self.state.lock().doom = doom;
    }

    /// The operation of that kind after so many more fails.
    pub fn fault(&self, fault: Fault, after: u64) {
        self.state.lock().fault = Some((fault, after));
    }

    /// Leaves room for so many bytes more, or for as many as are wanted.
    pub fn set_room(&self, bytes: Option<usize>) {
        self.state.lock().room = bytes;
    }

    /// Whatever was to go wrong does not any more.
    pub fn heal(&self) {
        let mut state = self.state.lock();
        (state.doom, state.fault, state.room) = (None, None, None);
    }

    /// Looks at something as if nobody did.
    pub fn aside<T>(&self, look: impl FnOnce() -> T) -> T {
        self.state.lock().aside = true;
        let seen = look();
        self.state.lock().aside = false;
        seen
    }

    /// Counts something that the machine does outside of the medium, and may die at.
    pub fn outside(&self) -> io::Result<()> {
        self.state.lock().perform(None, |_| Ok(()))
    }

    pub fn is_dead(&self) -> bool {
        self.state.lock().dead
    }

    /// A new step begins: what has gone wrong before excuses nothing in it.
    pub fn forget_struck(&self) {
        self.state.lock().struck.clear();
    }

    /// What has gone wrong in this step, since the last restart.
    pub fn struck(&self) -> Vec<&'static str> {
        self.state.lock().struck.clone()
    }

    /// The machine stops here: nothing that the process still does has an effect.
    pub fn die(&self) {
        self.state.lock().dead = true;
    }

    /// What the next process finds; what was torn or lost by it, for the coverage.
    pub fn restart(&self, death: Death) -> Vec<&'static str> {
        let mut state = self.state.lock();
        let seen = if death == Death::PowerCut { state.cut(&self.numbers) } else { Vec::new() };
        let named = state.names.values().chain(state.durable_names.values());
        let changed = state.name_changes.iter().filter_map(|change| if let NameChange::Put(_, id) = change { Some(id) } else { None });
        let used: Vec<FileId> = named.chain(changed).copied().collect();
        state.files.retain(|id, _| used.contains(id));
        (state.dead, state.doom, state.fault) = (false, None, None);
        state.struck.clear();
        seen
    }

    /// Counts a read of a record, which may fail.
    pub fn read_call(&self) -> io::Result<()> {
        self.state.lock().perform(Some(Fault::Read), |_| Ok(()))
    }

    /// A new, empty file of that name; one that had it is replaced.
    pub fn create(&self, name: &str) -> io::Result<FileId> {
        self.state.lock().perform(None, |state| {
            let id = state.next;
            state.next += 1;
            state.files.insert(id, File::default());
            state.put_name(name, id);
            Ok(id)
        })
    }

    pub fn write_at(&self, id: FileId, offset: usize, bytes: &[u8]) -> io::Result<()> {
        let cut = self.numbers.index(bytes.len() + 1);
        let mut state = self.state.lock();
        let fails = state.strikes(Fault::Write);
        state.perform(None, |state| {
            let file = state.files.get_mut(&id).expect("an open file is there");
            let grows = (offset + bytes.len()).saturating_sub(file.cache.len());
            let fits = state.room.is_none_or(|room| grows <= room);
            if fits && !fails {
                state.room = state.room.map(|room| room - grows);
                file.write(offset, bytes);
                return Ok(());
            }
            file.write(offset, &bytes[..cut.min(state.room.unwrap_or(cut))]);
            state.struck.push(if fits { "a write failed" } else { "the device was full" });
            Err(if fits { eio() } else { ErrorKind::StorageFull.into() })
        })
    }

    pub fn sync(&self, id: FileId) -> io::Result<()> {
        let mut state = self.state.lock();
        let fails = state.strikes(Fault::Sync);
        state.perform(None, |state| {
            let file = state.files.get_mut(&id).expect("an open file is there");
            if fails {
                file.settle(&self.numbers);
                state.struck.push("a sync failed");
                return Err(eio());
            }
            file.settle_all();
            Ok(())
        })
    }

    pub fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.state.lock().perform(None, |state| {
            let id = state.names.remove(from).expect("what is renamed is there");
            state.name_changes.push(NameChange::Removed(from.to_owned()));
            state.put_name(to, id);
            Ok(())
        })
    }

    /// Removes a name; whether it was there.
    pub fn remove(&self, name: &str) -> io::Result<bool> {
        self.state.lock().perform(None, |state| {
            let found = state.names.remove(name).is_some();
            if found {
                state.name_changes.push(NameChange::Removed(name.to_owned()));
            }
            Ok(found)
        })
    }

    pub fn sync_directory(&self) -> io::Result<()> {
        let mut state = self.state.lock();
        let fails = state.strikes(Fault::SyncDirectory);
        state.perform(None, |state| {
            if fails {
                state.settle_names(&self.numbers);
                state.struck.push("a sync of the directory failed");
                return Err(eio());
            }
            state.name_changes.clear();
            state.durable_names = state.names.clone();
            Ok(())
        })
    }

    pub fn names(&self) -> io::Result<Vec<String>> {
        self.state.lock().perform(None, |state| Ok(state.names.keys().cloned().collect()))
    }

    /// The file of a name, if there is one, with its content.
    pub fn open(&self, name: &str) -> io::Result<Option<(FileId, Vec<u8>)>> {
        self.state.lock().perform(None, |state| Ok(state.names.get(name).map(|id| (*id, state.files[id].cache.clone()))))
    }
}

impl State {
    /// Carries out an operation, unless the machine is dead or dies just before; if it dies just after, nobody hears of it.
    fn perform<T>(&mut self, fault: Option<Fault>, operation: impl FnOnce(&mut State) -> io::Result<T>) -> io::Result<T> {
        if self.dead {
            return Err(eio());
        }
        if self.aside {
            return operation(self);
        }
        self.operations += 1;
        let doomed = self.doom.filter(|doom| doom.at == self.operations);
        if doomed.is_some_and(|doom| !doom.after) {
            self.dead = true;
            return Err(eio());
        }
        if fault.is_some_and(|fault| self.strikes(fault)) {
            self.struck.push("a read failed");
            return Err(eio());
        }
        let done = operation(self);
        if doomed.is_some() {
            self.dead = true;
            return Err(eio());
        }
        done
    }

    /// Whether the fault that was ordered strikes now.
    fn strikes(&mut self, kind: Fault) -> bool {
        match &mut self.fault {
            Some((fault, after)) if *fault == kind => {
                let now = *after == 0;
                *after = after.saturating_sub(1);
                if now {
                    self.fault = None;
                }
                now
            }
            _ => false,
        }
    }

    fn put_name(&mut self, name: &str, id: FileId) {
        self.names.insert(name.to_owned(), id);
        self.name_changes.push(NameChange::Put(name.to_owned(), id));
    }

    /// Some of the changes of names become durable, each by itself; the others never do unless they are made again.
    fn settle_names(&mut self, numbers: &Numbers) {
        for change in std::mem::take(&mut self.name_changes) {
            if numbers.once_in(2) {
                match change {
                    NameChange::Put(name, id) => drop(self.durable_names.insert(name, id)),
                    NameChange::Removed(name) => drop(self.durable_names.remove(&name)),
                }
            }
        }
    }

    /// The power goes.
    fn cut(&mut self, numbers: &Numbers) -> Vec<&'static str> {
        let mut seen = Vec::new();
        if !self.name_changes.is_empty() {
            seen.push("a power cut left names that were not synced, or not");
        }
        self.settle_names(numbers);
        self.names = self.durable_names.clone();
        // All of what was pending is lost, or all of it is there, or each sector decides by itself.
        let mode = numbers.below(4);
        for file in self.files.values_mut().filter(|file| !file.pending.is_empty()) {
            match mode {
                0 => file.pending.clear(),
                1 => file.settle_all(),
                _ => file.settle(numbers),
            }
            seen.push(["a power cut lost writes", "a power cut lost nothing"].get(mode as usize).unwrap_or(&"a power cut tore writes"));
        }
        for file in self.files.values_mut() {
            file.cache.clone_from(&file.durable);
        }
        seen
    }
}

impl File {
    fn write(&mut self, offset: usize, bytes: &[u8]) {
        put(&mut self.cache, offset, bytes);
        self.pending.push((offset, bytes.to_vec()));
        if self.pending.len() > PENDING_MAX {
            let (offset, bytes) = self.pending.remove(0);
            put(&mut self.durable, offset, &bytes);
        }
    }

    fn settle_all(&mut self) {
        for (offset, bytes) in std::mem::take(&mut self.pending) {
            put(&mut self.durable, offset, &bytes);
        }
    }

    /// Each sector of what is pending is written or not, in any order: the rest is forgotten.
    fn settle(&mut self, numbers: &Numbers) {
        for (offset, bytes) in std::mem::take(&mut self.pending) {
            let mut at = 0;
            while at < bytes.len() {
                let end = bytes.len().min(at + SECTOR - (offset + at) % SECTOR);
                if numbers.once_in(2) {
                    put(&mut self.durable, offset + at, &bytes[at..end]);
                }
                at = end;
            }
        }
    }
}

fn put(content: &mut Vec<u8>, offset: usize, bytes: &[u8]) {
    let end = offset + bytes.len();
    if content.len() < end {
        content.resize(end, 0);
    }
    content[offset..end].copy_from_slice(bytes);
}

fn eio() -> io::Error {
    ErrorKind::Other.into()
}
