//! What a power cut can leave: the durable part of a directory, and the calls since then, each with a fate of its own.
//!
//! Both models agree about files. A write or a change of length is durable once an fsync or fdatasync of that file (or sync) has followed it.
//! Until then each 512-byte sector that a write touched holds what the page cache held after some of the writes to it, or what was durable: a write
//! is kept, dropped or torn, and what is kept of a later write brings with it the bytes of earlier ones in the same sector. A length is
//! metadata: a write past the end may leave its bytes and not its length, or its length and zeros. sync_file_range is no barrier.
//!
//! They differ in the names: making, renaming and removing files and directories.
//!
//! - `Adversarial`: a change of names is durable once the directory (either one, for a rename from one to another) was fsynced. Until then any
//!   subset is kept, in order: making a name sets it, renaming sets one and clears another in one step, removing clears. An fsync of a file does
//!   not make its name durable. Truncation and ftruncate belong to their file alone.
//! - `Ordered`, as a journal does it (ext4): changes of names and ftruncate stand in one sequence, of which a beginning is kept; an fsync of any
//!   file or directory makes all of the sequence before it durable. An fdatasync makes durable what belongs to its file and nothing else, which
//!   is less than ext4 does.
//!
//! Modes, owners, times and locks are not modelled, nor are devices that lose what they have confirmed.

use super::record::{Id, Name, Op, Record};
use super::tree::Tree;
use crate::support::Random;
use std::collections::{BTreeMap, HashMap};
use std::fmt::{self, Display};

const SECTOR: usize = 512;

/// How names become durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Model {
    Ordered,
    Adversarial,
}

impl Display for Model {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if *self == Model::Ordered { "ordered" } else { "adversarial" })
    }
}

/// What becomes of a call that is not durable.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Fate {
    Keep,
    Drop,
    /// The bytes without the length that they need.
    NoLength,
    /// The length without the bytes.
    NoBytes,
    /// Some of the sectors, and perhaps the length: those that this seed picks.
    Torn(u64),
}

/// A call that is not durable.
#[derive(Clone, Copy, Debug)]
pub struct Pending {
    /// Its place in the record.
    pub at: usize,
    /// It belongs to the sequence of which a beginning is kept.
    pub journalled: bool,
    /// It is durable all the same, though earlier writes to its file are not.
    forced: bool,
}

/// A directory on a device, as far as the record was followed.
pub struct Disk<'r> {
    record: &'r Record,
    model: Model,
    names: BTreeMap<Name, Id>,
    files: Vec<Vec<u8>>,
    pub pending: Vec<Pending>,
    /// Calls that were followed.
    pub at: usize,
}

impl<'r> Disk<'r> {
    pub fn new(record: &'r Record, model: Model) -> Self {
        let mut files: Vec<Vec<u8>> = record.start.files.iter().map(|content| content.clone().unwrap_or_default()).collect();
        files.resize(record.count(), Vec::new());
        Disk { record, model, names: record.start.names.clone(), files, pending: Vec::new(), at: 0 }
    }

    /// Follows the record up to a cut, before which this many calls were carried out.
    pub fn advance(&mut self, cut: usize) {
        while self.at < cut {
            let ordered = self.model == Model::Ordered;
            match &self.record.ops[self.at] {
                Op::Said(_) | Op::Range { .. } => {}
                Op::Write { .. } => self.pending.push(Pending { at: self.at, journalled: false, forced: false }),
                Op::Length { .. } | Op::Make { .. } | Op::Rename { .. } | Op::Remove { .. } => {
                    self.pending.push(Pending { at: self.at, journalled: ordered, forced: false });
                }
                Op::Sync { id } => {
                    let id = *id;
                    self.settle(|op| file_of(op) == Some(id) || names_of(op).iter().any(|name| ordered || name.0 == id));
                    if ordered {
                        self.pending.iter_mut().filter(|pending| pending.journalled).for_each(|pending| pending.forced = true);
                    }
                }
                Op::SyncData { id } => {
                    let id = *id;
                    self.settle(|op| file_of(op) == Some(id));
                }
                Op::SyncAll => self.settle(|_| true),
            }
            self.at += 1;
        }
    }

    /// Makes pending calls durable.
    fn settle(&mut self, which: impl Fn(&Op) -> bool) {
        let record = self.record;
        let (settled, pending): (Vec<Pending>, _) = self.pending.iter().partition(|pending| which(&record.ops[pending.at]));
        self.pending = pending;
        for Pending { at, .. } in settled {
            match &record.ops[at] {
                Op::Write { id, offset, bytes } => write(&mut self.files[*id], *offset, bytes),
                Op::Length { id, length } => self.files[*id].resize(*length, 0),
                op => change_names(&mut self.names, op),
            }
        }
    }

    /// Whether a pending write reaches past what is durable of its file.
    pub fn lengthens(&self, pending: &Pending) -> bool {
        matches!(&self.record.ops[pending.at], Op::Write { id, offset, bytes } if offset + bytes.len() > self.files[*id].len())
    }

    /// Whether a pending call is a write of more than one sector.
    pub fn can_tear(&self, pending: &Pending) -> bool {
        matches!(&self.record.ops[pending.at], Op::Write { offset, bytes, .. } if offset / SECTOR != (offset + bytes.len() - 1) / SECTOR)
    }

    /// What is there after a cut here, with these fates of what is pending.
    pub fn tree(&self, fates: &[Fate]) -> Tree {
        let mut names = self.names.clone();
        let mut torn: HashMap<Id, Torn> = HashMap::new();
        for (pending, fate) in self.pending.iter().zip(fates) {
            let fate = if pending.forced { Fate::Keep } else { *fate };
            let op = &self.record.ops[pending.at];
            match op {
                Op::Write { id, offset, bytes } => {
                    torn.entry(*id).or_insert_with(|| Torn::new(&self.files[*id])).write(*offset, bytes, fate);
                }
                Op::Length { id, length } => {
                    torn.entry(*id).or_insert_with(|| Torn::new(&self.files[*id])).set_length(*length, fate == Fate::Keep);
                }
                op if fate == Fate::Keep => change_names(&mut names, op),
                _ => {}
            }
        }
        let mut tree = Tree::default();
        self.walk(&names, &mut torn, 0, "", &mut tree);
        tree
    }

    fn walk(&self, names: &BTreeMap<Name, Id>, torn: &mut HashMap<Id, Torn>, dir: Id, prefix: &str, tree: &mut Tree) {
        for ((_, name), id) in names.range((dir, String::new())..).take_while(|((of, _), _)| *of == dir) {
            let path = format!("{prefix}{name}");
            if self.record.is_dir(*id) {
                self.walk(names, torn, *id, &format!("{path}/"), tree);
                tree.insert(path, None);
            } else {
                let content = torn.get(id).map_or_else(|| self.files[*id].clone(), Torn::content);
                tree.insert(path, Some(content));
            }
        }
    }
}

/// The file whose content a call changes.
fn file_of(op: &Op) -> Option<Id> {
    match op {
        Op::Write { id, .. } | Op::Length { id, .. } => Some(*id),
        _ => None,
    }
}

/// The names that a call changes.
fn names_of(op: &Op) -> Vec<&Name> {
    match op {
        Op::Make { name, .. } | Op::Remove { name } => vec![name],
        Op::Rename { from, to, .. } => vec![from, to],
        _ => Vec::new(),
    }
}

fn change_names(names: &mut BTreeMap<Name, Id>, op: &Op) {
    match op {
        Op::Make { name, id } => _ = names.insert(name.clone(), *id),
        Op::Rename { from, to, id } => {
            names.remove(from);
            names.insert(to.clone(), *id);
        }
        Op::Remove { name } => _ = names.remove(name),
        _ => {}
    }
}

fn write(file: &mut Vec<u8>, offset: usize, bytes: &[u8]) {
    if file.len() < offset + bytes.len() {
        file.resize(offset + bytes.len(), 0);
    }
    file[offset..offset + bytes.len()].copy_from_slice(bytes);
}

/// A file some of whose last writes reached the device.
struct Torn {
    /// As the page cache has it.
    cache: Vec<u8>,
    /// Sectors as the device has them, also past the end.
    sectors: Vec<u8>,
    length: usize,
}

impl Torn {
    fn new(durable: &[u8]) -> Self {
        Torn { cache: durable.to_vec(), sectors: durable.to_vec(), length: durable.len() }
    }

    fn write(&mut self, offset: usize, bytes: &[u8], fate: Fate) {
        write(&mut self.cache, offset, bytes);
        let end = offset + bytes.len();
        let (first, last) = (offset / SECTOR, (end - 1) / SECTOR);
        let kept = kept_sectors(fate, last - first + 1);
        for sector in (first..=last).zip(&kept).filter_map(|(sector, kept)| kept.then_some(sector)) {
            let range = sector * SECTOR..self.cache.len().min((sector + 1) * SECTOR);
            if self.sectors.len() < range.end {
                self.sectors.resize(range.end, 0);
            }
            self.sectors[range.clone()].copy_from_slice(&self.cache[range]);
        }
        let lengthens = match fate {
            Fate::Keep | Fate::NoBytes => true,
            Fate::Drop | Fate::NoLength => false,
            Fate::Torn(seed) => seed % 3 > 0,
        };
        if lengthens {
            self.length = self.length.max(end);
        }
    }

    fn set_length(&mut self, length: usize, kept: bool) {
        self.cache.resize(length, 0);
        if kept {
            if self.sectors.len() > length {
                self.sectors.truncate(length);
            }
            self.length = length;
        }
    }

    fn content(&self) -> Vec<u8> {
        let mut content = self.sectors.clone();
        content.resize(self.length, 0);
        content
    }
}

/// Which of so many sectors are kept: a beginning, an end, or any.
fn kept_sectors(fate: Fate, count: usize) -> Vec<bool> {
    match fate {
        Fate::Keep | Fate::NoLength => vec![true; count],
        Fate::Drop | Fate::NoBytes => vec![false; count],
        Fate::Torn(seed) => {
            let mut random = Random::from_seed(seed);
            let style = random.below(4);
            let split = usize::try_from(random.below(count as u64 + 1)).unwrap();
            (0..count)
                .map(|sector| match style {
                    0 => sector < split,
                    1 => sector >= split,
                    _ => random.below(2) == 0,
                })
                .collect()
        }
    }
}
