//! Handles: pointer-typed values that are never addresses, looked up in a table at each call.
//!
//! A C caller can free twice, use after close, mix up kinds, or pass a pointer of its own. A handle therefore is a number
//! that says which slot of a table is meant and which use of that slot:
//!
//! ```text
//!  bit 63  62   61 ........ 56  55 ............... 32  31 ....... 8  7 .... 4  3 .. 1  0
//!       0   1   process epoch   generation of slot     slot          shard     kind    1
//! ```
//!
//! Bits 62 and 63 make it a non-canonical address and bit 0 an odd one, so a program that follows it faults at once. A slot whose
//! generations are used up is retired, so no handle value is ever issued twice in a process.
//!
//! The tables belong to one process. A forked child makes its own on first use and never takes a lock of its parent's, which
//! another thread may have held at the instant of the fork; a handle from before the fork is told by its epoch. That this is a child is
//! told by a page that the kernel wipes there: a read of memory, where asking for the process' number is a call of the system.

use crate::live::LiveEntry;
use crate::secret::SecretEntry;
use crate::session::SessionEntry;
use crate::vault::VaultEntry;
use parking_lot::RwLock;
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};
use vault_core::os::ForkGuard;
use vault_core::types::{Code, Error, Result};

const _: () = assert!(usize::BITS == 64, "handles are laid out for 64-bit targets");

const MARK: usize = 0b01 << 62 | 1;
const MARK_MASK: usize = 0b11 << 62 | 1;
const KIND_SHIFT: u32 = 1;
const KIND_MASK: usize = 0b111;
const SHARD_SHIFT: u32 = 4;
const SHARDS: usize = 16;
const SLOT_SHIFT: u32 = 8;
const SLOTS_PER_SHARD_MAX: usize = 1 << 24;
const GENERATION_SHIFT: u32 = 32;
const GENERATIONS: usize = 1 << 24;
const EPOCH_SHIFT: u32 = 56;
const EPOCHS: usize = 1 << 6;

/// What a handle can stand for.
pub(crate) trait Entry: Sized + 'static {
    /// The opaque C type.
    type Raw;
    /// The kind's number in a handle.
    const KIND: usize;
    /// The kind's name, for messages.
    const NAME: &'static str;
    /// The kind's table.
    fn table(tables: &Tables) -> &Table<Self>;
}

/// The tables of one process.
pub(crate) struct Tables {
    fork: ForkGuard,
    epoch: usize,
    /// The parent's tables stay reachable and untouched: what they hold is the parent's to close.
    _parent: Option<&'static Tables>,
    pub(crate) vaults: Table<VaultEntry>,
    pub(crate) sessions: Table<SessionEntry>,
    pub(crate) secrets: Table<SecretEntry>,
    pub(crate) lives: Table<LiveEntry>,
}

/// The table of one kind.
pub(crate) struct Table<T> {
    shards: [RwLock<Shard<T>>; SHARDS],
    next_shard: AtomicUsize,
}

struct Shard<T> {
    slots: Vec<Slot<T>>,
    free: Vec<usize>,
}

struct Slot<T> {
    generation: usize,
    content: Option<Arc<T>>,
}

/// A slot that is set aside before work whose result must not get lost for want of one.
pub(crate) struct Reserved<T: Entry> {
    tables: &'static Tables,
    shard: usize,
    slot: usize,
    filled: bool,
    kind: std::marker::PhantomData<T>,
}

/// What a handle says, once its marks are checked.
struct Parts {
    shard: usize,
    slot: usize,
    generation: usize,
}

/// Sets a slot aside.
pub(crate) fn reserve<T: Entry>() -> Result<Reserved<T>> {
    let tables = tables();
    let table = T::table(tables);
    let shard = table.next_shard.fetch_add(1, Ordering::Relaxed) % SHARDS;
    let slot = table.shards[shard].write().free_slot()?;
    Ok(Reserved { tables, shard, slot, filled: false, kind: std::marker::PhantomData })
}

/// Gives out a handle on what can be had again where there is no slot for it: under one lock, where setting a slot aside takes two.
pub(crate) fn issue<T: Entry>(content: T) -> Result<*mut T::Raw> {
    let tables = tables();
    let table = T::table(tables);
    let shard = table.next_shard.fetch_add(1, Ordering::Relaxed) % SHARDS;
    let content = Arc::new(content);
    let mut guard = table.shards[shard].write();
    let slot = guard.free_slot()?;
    Ok(guard.fill::<T>(tables, (shard, slot), content))
}

/// What the handle stands for. It stays usable by this call even when another thread frees the handle meanwhile.
pub(crate) fn get<T: Entry>(handle: *const T::Raw) -> Result<Arc<T>> {
    let tables = tables();
    let parts = parse::<T>(tables, handle)?;
    let shard = T::table(tables).shards[parts.shard].read();
    let slot = shard.slots.get(parts.slot).filter(|slot| slot.generation == parts.generation);
    slot.and_then(|slot| slot.content.clone()).ok_or_else(bad_handle::<T>)
}

/// Frees the handle and gives back what it stood for.
pub(crate) fn take<T: Entry>(handle: *const T::Raw) -> Result<Arc<T>> {
    let tables = tables();
    let parts = parse::<T>(tables, handle)?;
    let mut shard = T::table(tables).shards[parts.shard].write();
    let slot = shard.slots.get_mut(parts.slot).filter(|slot| slot.generation == parts.generation);
    let content = slot.and_then(|slot| slot.content.take()).ok_or_else(bad_handle::<T>)?;
    shard.release(parts.slot);
    Ok(content)
}

impl<T: Entry> Reserved<T> {
    /// Puts the content in and gives the handle out.
    pub(crate) fn fill(mut self, content: T) -> *mut T::Raw {
        let content = Arc::new(content);
        self.filled = true;
        T::table(self.tables).shards[self.shard].write().fill::<T>(self.tables, (self.shard, self.slot), content)
    }
}

impl<T: Entry> Drop for Reserved<T> {
    fn drop(&mut self) {
        if !self.filled {
            T::table(self.tables).shards[self.shard].write().free.push(self.slot);
        }
    }
}

impl<T> Shard<T> {
    /// A slot that nobody has.
    fn free_slot(&mut self) -> Result<usize> {
        match self.free.pop() {
            Some(slot) => Ok(slot),
            None if self.slots.len() < SLOTS_PER_SHARD_MAX => {
                self.slots.push(Slot { generation: 0, content: None });
                Ok(self.slots.len() - 1)
            }
            None => Err(Error::new(Code::Unavailable, "too many handles are open: free some")),
        }
    }

    /// Fills a slot; the handle on it.
    fn fill<E: Entry>(&mut self, tables: &Tables, (number, at): (usize, usize), content: Arc<T>) -> *mut E::Raw {
        let slot = &mut self.slots[at];
        slot.content = Some(content);
        let value = MARK
            | E::KIND << KIND_SHIFT
            | number << SHARD_SHIFT
            | at << SLOT_SHIFT
            | slot.generation << GENERATION_SHIFT
            | tables.epoch << EPOCH_SHIFT;
        ptr::without_provenance_mut(value)
    }

    /// Makes a slot ready for its next use, if it has one.
    fn release(&mut self, slot: usize) {
        self.slots[slot].generation += 1;
        if self.slots[slot].generation < GENERATIONS {
            self.free.push(slot);
        }
    }
}

impl<T> Table<T> {
    fn new() -> Self {
        Table {
            shards: std::array::from_fn(|_| RwLock::new(Shard { slots: Vec::new(), free: Vec::new() })),
            next_shard: AtomicUsize::new(0),
        }
    }
}

impl Tables {
    fn new(parent: Option<&'static Tables>) -> Self {
        let epoch = parent.map_or(0, |parent| (parent.epoch + 1) % EPOCHS);
        let (vaults, sessions, secrets, lives) = (Table::new(), Table::new(), Table::new(), Table::new());
        Tables { fork: ForkGuard::new(), epoch, _parent: parent, vaults, sessions, secrets, lives }
    }
}

/// The tables of this process, made on first use.
fn tables() -> &'static Tables {
    static TABLES: AtomicPtr<Tables> = AtomicPtr::new(ptr::null_mut());
    loop {
        let current = TABLES.load(Ordering::Acquire);
        // SAFETY: only pointers from Box::into_raw are stored, and what was stored once is never freed.
        let known = unsafe { current.as_ref() };
        if let Some(tables) = known.filter(|tables| !tables.fork.is_forked()) {
            return tables;
        }
        let fresh = Box::into_raw(Box::new(Tables::new(known)));
        if TABLES.compare_exchange(current, fresh, Ordering::AcqRel, Ordering::Acquire).is_err() {
            // SAFETY: another thread was first, so `fresh` was not stored and is still ours alone.
            drop(unsafe { Box::from_raw(fresh) });
        }
    }
}

fn parse<T: Entry>(tables: &Tables, handle: *const T::Raw) -> Result<Parts> {
    let value = handle.addr();
    if value == 0 {
        return Err(Error::new(Code::BadArgument, format!("the {} is NULL", T::NAME)));
    }
    if value & MARK_MASK != MARK || value >> KIND_SHIFT & KIND_MASK != T::KIND {
        return Err(bad_handle::<T>());
    }
    if value >> EPOCH_SHIFT & (EPOCHS - 1) != tables.epoch {
        return Err(Error::new(Code::Forked, "the handle is from before the fork: open the vault anew in this process"));
    }
    Ok(Parts {
        shard: value >> SHARD_SHIFT & (SHARDS - 1),
        slot: value >> SLOT_SHIFT & (SLOTS_PER_SHARD_MAX - 1),
        generation: value >> GENERATION_SHIFT & (GENERATIONS - 1),
    })
}

fn bad_handle<T: Entry>() -> Error {
    Error::new(Code::BadHandle, format!("this is no {}: it was freed or closed, or is of another kind", T::NAME))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::vault_secret_t;
    use crate::session::vault_session_t;
    use std::collections::HashSet;
    use vault_core::types::Value;

    fn issue() -> *mut vault_secret_t {
        super::issue(SecretEntry::new(Some(Value::from("x")))).expect("room")
    }

    fn code<T>(result: Result<T>) -> Option<Code> {
        result.err().map(|error| error.code())
    }

    #[test]
    fn a_handle_is_never_a_canonical_or_aligned_address() {
        let handle = issue();
        assert_eq!(handle.addr() & 1, 1);
        assert_eq!(handle.addr() >> 62, 0b01);
        take::<SecretEntry>(handle).expect("live");
    }

    #[test]
    fn a_freed_handle_is_refused_by_get_and_take_even_after_its_slot_is_used_again() {
        let handle = issue();
        take::<SecretEntry>(handle).expect("live");
        let others: Vec<_> = (0..4 * SHARDS).map(|_| issue()).collect();
        assert_eq!(code(get::<SecretEntry>(handle)), Some(Code::BadHandle));
        assert_eq!(code(take::<SecretEntry>(handle)), Some(Code::BadHandle));
        for other in others {
            take::<SecretEntry>(other).expect("live");
        }
    }

    #[test]
    fn a_handle_of_another_kind_a_foreign_pointer_and_null_are_told_apart() {
        let secret = issue();
        assert_eq!(code(get::<SessionEntry>(secret.cast::<vault_session_t>())), Some(Code::BadHandle));
        let local = 0_u64;
        assert_eq!(code(get::<SecretEntry>((&raw const local).cast())), Some(Code::BadHandle));
        assert_eq!(code(get::<SecretEntry>(ptr::without_provenance(usize::MAX))), Some(Code::BadHandle));
        assert_eq!(code(get::<SecretEntry>(ptr::null())), Some(Code::BadArgument));
        take::<SecretEntry>(secret).expect("live");
    }

    #[test]
    fn a_handle_of_another_epoch_answers_forked() {
        let handle = issue();
        let foreign = ptr::without_provenance::<vault_secret_t>(handle.addr() ^ 1 << EPOCH_SHIFT);
        assert_eq!(code(get::<SecretEntry>(foreign)), Some(Code::Forked));
        take::<SecretEntry>(handle).expect("live");
    }

    #[test]
    fn a_slot_whose_generations_are_used_up_is_retired() {
        let mut shard = Shard { slots: vec![Slot { generation: GENERATIONS - 2, content: None::<Arc<()>> }], free: Vec::new() };
        shard.release(0);
        assert_eq!(shard.free.pop(), Some(0));
        shard.release(0);
        assert!(shard.free.is_empty());
    }

    #[test]
    fn handles_issued_and_freed_by_many_threads_are_never_the_same() {
        let threads: Vec<_> = (0..4)
            .map(|_| {
                std::thread::spawn(|| {
                    let issue_and_free = |_| {
                        let handle = issue();
                        take::<SecretEntry>(handle).expect("live");
                        handle.addr()
                    };
                    (0..2000).map(issue_and_free).collect::<Vec<_>>()
                })
            })
            .collect();
        let values: Vec<_> = threads.into_iter().flat_map(|thread| thread.join().expect("no panic")).collect();
        assert_eq!(values.iter().collect::<HashSet<_>>().len(), values.len());
    }
}
