//! The record of a run: every call by which it changed a directory or made it durable, in order, and what it said. `shim.c` writes it.

use super::tree::Tree;
use std::collections::{BTreeMap, HashMap, HashSet};

/// A file or directory: counted as they were made, so that an inode that is used again is another one. The recorded directory itself is 0.
pub type Id = usize;

/// A name in a directory.
pub type Name = (Id, String);

/// What was called, after it had succeeded.
#[derive(Clone)]
pub enum Op {
    /// A new file or directory under this name, or a further name of one that was there.
    Make {
        name: Name,
        id: Id,
    },
    /// What a file held after a write, where it was written.
    Write {
        id: Id,
        offset: usize,
        bytes: Vec<u8>,
    },
    Length {
        id: Id,
        length: usize,
    },
    Rename {
        from: Name,
        to: Name,
        id: Id,
    },
    /// A file or an empty directory is removed.
    Remove {
        name: Name,
    },
    /// fsync, of a file or a directory.
    Sync {
        id: Id,
    },
    /// fdatasync.
    SyncData {
        id: Id,
    },
    /// sync and syncfs.
    SyncAll,
    /// sync_file_range: begins to write, and promises nothing.
    Range {
        id: Id,
    },
    Said(String),
}

/// What was there, and what was done to it.
pub struct Record {
    pub start: Start,
    pub ops: Vec<Op>,
    /// How each file was called first, for what is told of a failure.
    labels: Vec<String>,
    dirs: HashSet<Id>,
}

/// What lay in the directory when the record began: durable, all of it.
pub struct Start {
    pub names: BTreeMap<Name, Id>,
    /// Contents by id; `None` for directories.
    pub files: Vec<Option<Vec<u8>>>,
}

impl Record {
    /// Reads what the shim has written of a run over a directory that held `tree`, whose files have these inodes.
    pub fn parse(bytes: &[u8], tree: &Tree, inodes: &HashMap<String, u64>) -> Self {
        let mut parser =
            Parser { bytes, ids: HashMap::new(), labels: vec![".".to_owned()], dirs: HashSet::from([0]), names: BTreeMap::new() };
        let entry = parser.entry().expect("a record has a beginning");
        assert_eq!(entry.kind, BEGIN, "a record begins with its beginning");
        parser.ids.insert(entry.inode, 0);
        let mut start = Start { names: BTreeMap::new(), files: vec![None] };
        let mut by_path = HashMap::from([(String::new(), 0)]);
        for (path, content) in tree.entries() {
            let (parent, name) = path.rsplit_once('/').unwrap_or(("", path));
            let id = parser.fresh(inodes[path], path.to_owned());
            start.names.insert((by_path[parent], name.to_owned()), id);
            if content.is_none() {
                parser.dirs.insert(id);
            }
            start.files.push(content.map(<[u8]>::to_vec));
            by_path.insert(path.to_owned(), id);
        }
        parser.names.clone_from(&start.names);
        let mut ops = Vec::new();
        while let Some(entry) = parser.entry() {
            ops.push(parser.op(&entry));
        }
        Record { start, ops, labels: parser.labels, dirs: parser.dirs }
    }

    /// Calls in an empty directory, in which each file has a number of its own.
    pub fn of(ops: Vec<Op>) -> Self {
        let count = ops.iter().filter(|op| matches!(op, Op::Make { .. })).count();
        let start = Start { names: BTreeMap::new(), files: vec![None] };
        Record { start, ops, labels: vec![String::new(); count + 1], dirs: HashSet::from([0]) }
    }

    /// How many files and directories there ever were.
    pub fn count(&self) -> usize {
        self.labels.len()
    }

    pub fn is_dir(&self, id: Id) -> bool {
        self.dirs.contains(&id)
    }

    /// A call in words.
    pub fn describe(&self, at: usize) -> String {
        let name = |name: &Name| format!("{}/{}", self.labels[name.0], name.1);
        let words = match &self.ops[at] {
            Op::Make { name: made, .. } => format!("make {}", name(made)),
            Op::Write { id, offset, bytes } => format!("write {} {offset}+{}", self.labels[*id], bytes.len()),
            Op::Length { id, length } => format!("length {} {length}", self.labels[*id]),
            Op::Rename { from, to, .. } => format!("rename {} {}", name(from), name(to)),
            Op::Remove { name: removed } => format!("remove {}", name(removed)),
            Op::Sync { id } => format!("fsync {}", self.labels[*id]),
            Op::SyncData { id } => format!("fdatasync {}", self.labels[*id]),
            Op::SyncAll => "sync".to_owned(),
            Op::Range { id } => format!("sync_file_range {}", self.labels[*id]),
            Op::Said(line) => format!("said {}", line.split(' ').next().unwrap_or_default()),
        };
        format!("#{at} {words}")
    }

    /// Whether a call changes the content of a file whose first name is such, or makes it durable.
    pub fn is_of(&self, at: usize, file: impl Fn(&str) -> bool) -> bool {
        match &self.ops[at] {
            Op::Write { id, .. } | Op::Length { id, .. } | Op::Sync { id } | Op::SyncData { id } | Op::Range { id } => {
                file(&self.labels[*id])
            }
            _ => false,
        }
    }

    /// The record of a store that forgets the barriers of files and directories whose first name is such.
    pub fn without_barriers(mut self, forgotten: impl Fn(&str) -> bool) -> Self {
        let labels = &self.labels;
        self.ops.retain(|op| match op {
            Op::Sync { id } | Op::SyncData { id } => !forgotten(&labels[*id]),
            _ => true,
        });
        self
    }
}

const CREATE: u32 = 1;
const MKDIR: u32 = 2;
const WRITE: u32 = 3;
const TRUNCATE: u32 = 4;
const RENAME: u32 = 5;
const UNLINK: u32 = 6;
const RMDIR: u32 = 7;
const LINK: u32 = 8;
const FSYNC: u32 = 9;
const FDATASYNC: u32 = 10;
const RANGE: u32 = 11;
const SYNC: u32 = 12;
const SAID: u32 = 13;
const BEGIN: u32 = 15;

/// One entry as the shim has written it.
struct Entry<'b> {
    kind: u32,
    inode: u64,
    number: u64,
    names: String,
    data: &'b [u8],
}

struct Parser<'b> {
    bytes: &'b [u8],
    ids: HashMap<u64, Id>,
    labels: Vec<String>,
    dirs: HashSet<Id>,
    names: BTreeMap<Name, Id>,
}

impl<'b> Parser<'b> {
    fn entry(&mut self) -> Option<Entry<'b>> {
        if self.bytes.is_empty() {
            return None;
        }
        let mut take = |count: usize| {
            let (taken, rest) = self.bytes.split_at(count);
            self.bytes = rest;
            taken
        };
        let short = |bytes: &[u8]| u32::from_le_bytes(bytes.try_into().unwrap());
        let long = |bytes: &[u8]| u64::from_le_bytes(bytes.try_into().unwrap());
        let (kind, names, inode) = (short(take(4)), short(take(4)) as usize, long(take(8)));
        let (number, data) = (long(take(8)), usize::try_from(long(take(8))).unwrap());
        let names = String::from_utf8(take(names).to_vec()).unwrap();
        Some(Entry { kind, inode, number, names, data: take(data) })
    }

    fn fresh(&mut self, inode: u64, label: String) -> Id {
        let id = self.labels.len();
        self.labels.push(label);
        self.ids.insert(inode, id);
        id
    }

    fn id(&self, inode: u64) -> Id {
        *self.ids.get(&inode).unwrap_or_else(|| panic!("the record knows every file: inode {inode} is missing"))
    }

    fn op(&mut self, entry: &Entry<'_>) -> Op {
        let number = usize::try_from(entry.number).unwrap_or(usize::MAX);
        match entry.kind {
            CREATE | MKDIR => {
                let dir = self.id(entry.inode);
                let label = if dir == 0 { entry.names.clone() } else { format!("{}/{}", self.labels[dir], entry.names) };
                let id = self.fresh(entry.number, label);
                if entry.kind == MKDIR {
                    self.dirs.insert(id);
                }
                let name = (dir, entry.names.clone());
                self.names.insert(name.clone(), id);
                Op::Make { name, id }
            }
            WRITE => Op::Write { id: self.id(entry.inode), offset: number, bytes: entry.data.to_vec() },
            TRUNCATE => Op::Length { id: self.id(entry.inode), length: number },
            RENAME => {
                let (from, to) = entry.names.split_once('\0').unwrap();
                let (from, to) = ((self.id(entry.inode), from.to_owned()), (self.id(entry.number), to.to_owned()));
                let id = self.names.remove(&from).expect("what is renamed was there");
                self.names.insert(to.clone(), id);
                Op::Rename { from, to, id }
            }
            LINK => {
                let (from, to) = entry.names.split_once('\0').unwrap();
                let (from, to) = ((self.id(entry.inode), from.to_owned()), (self.id(entry.number), to.to_owned()));
                let id = *self.names.get(&from).expect("what is linked was there");
                self.names.insert(to.clone(), id);
                Op::Make { name: to, id }
            }
            UNLINK | RMDIR => {
                let name = (self.id(entry.inode), entry.names.clone());
                self.names.remove(&name).expect("what is removed was there");
                Op::Remove { name }
            }
            FSYNC => Op::Sync { id: self.id(entry.inode) },
            FDATASYNC => Op::SyncData { id: self.id(entry.inode) },
            RANGE => Op::Range { id: self.id(entry.inode) },
            SYNC => Op::SyncAll,
            SAID => Op::Said(String::from_utf8_lossy(entry.data).trim_end().to_owned()),
            kind => panic!("the record holds what cannot be replayed: {kind} {}", entry.names),
        }
    }
}
