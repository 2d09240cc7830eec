//! What the models leave of a few calls, compared with every state that they may leave and no other.

use super::disk::{Disk, Model};
use super::draw::{Draw, systematic};
use super::record::{Id, Name, Op, Record};
use crate::support::Random;
use std::collections::BTreeSet;

/// Enough that each state of so few calls is drawn.
const DRAWS: u64 = 3_000;

fn name(name: &str) -> Name {
    (0, name.to_owned())
}

fn make(id: Id, called: &str) -> Op {
    Op::Make { name: name(called), id }
}

fn write(id: Id, offset: usize, byte: u8, count: usize) -> Op {
    Op::Write { id, offset, bytes: vec![byte; count] }
}

fn rename(id: Id, from: &str, to: &str) -> Op {
    Op::Rename { from: name(from), to: name(to), id }
}

const SYNC_DIR: Op = Op::Sync { id: 0 };

/// All that is drawn of a cut after these calls: files, and in each the byte that every sector begins with and the length.
fn left(model: Model, ops: Vec<Op>) -> BTreeSet<String> {
    let record = Record::of(ops);
    let mut disk = Disk::new(&record, model);
    disk.advance(record.ops.len());
    let mut random = Random::from_seed(1);
    let mut draws = systematic(&disk, &mut random);
    draws.extend((0..DRAWS).map(Draw::Random));
    let tell = |(path, content): (&str, Option<&[u8]>)| {
        let content = content.unwrap();
        let sectors: String = content.chunks(512).map(|sector| char::from(sector[0].max(b'.'))).collect();
        format!("{path}:{sectors}{}", content.len())
    };
    draws.into_iter().map(|draw| disk.tree(&draw.fates(&disk, model)).entries().map(tell).collect::<Vec<_>>().join(" ")).collect()
}

fn both(ops: impl Fn() -> Vec<Op>, expected: &[&str]) {
    let expected: BTreeSet<String> = expected.iter().map(|state| (*state).to_owned()).collect();
    for model in [Model::Ordered, Model::Adversarial] {
        assert_eq!(left(model, ops()), expected, "{model}");
    }
}

#[test]
fn a_file_that_was_not_synced_has_any_of_its_sectors_and_its_old_or_new_length() {
    let durable = || vec![make(1, "a"), write(1, 0, b'o', 1024), Op::Sync { id: 1 }, SYNC_DIR];
    both(durable, &["a:oo1024"]);
    let over = || [durable(), vec![write(1, 0, b'n', 1024)]].concat();
    both(over, &["a:oo1024", "a:on1024", "a:no1024", "a:nn1024"]);
    let past = || [durable(), vec![write(1, 1024, b'n', 512)]].concat();
    both(past, &["a:oo1024", "a:oo.1536", "a:oon1536"]);
    let cut = || [durable(), vec![Op::Length { id: 1, length: 512 }]].concat();
    both(cut, &["a:oo1024", "a:o512"]);
}

#[test]
fn a_range_that_is_being_written_is_not_durable_and_a_synced_one_is() {
    let written = |barrier| vec![make(1, "a"), SYNC_DIR, write(1, 0, b'n', 512), barrier];
    both(|| written(Op::Range { id: 1 }), &["a:0", "a:.512", "a:n512"]);
    both(|| written(Op::SyncData { id: 1 }), &["a:n512"]);
    both(|| written(Op::SyncAll), &["a:n512"]);
}

#[test]
fn a_later_write_brings_what_an_earlier_one_left_in_the_same_sector() {
    let ops = || {
        let durable = vec![make(1, "a"), write(1, 0, b'o', 512), Op::Sync { id: 1 }, SYNC_DIR];
        [durable, vec![write(1, 0, b'n', 1), write(1, 1, b'm', 1)]].concat()
    };
    // The second byte is never new beside the first one's old.
    let record = Record::of(ops());
    let mut disk = Disk::new(&record, Model::Adversarial);
    disk.advance(record.ops.len());
    let seen: BTreeSet<Vec<u8>> = (0..DRAWS)
        .map(|seed| {
            let tree = disk.tree(&Draw::Random(seed).fates(&disk, Model::Adversarial));
            tree.entries().next().unwrap().1.unwrap()[..2].to_vec()
        })
        .collect();
    assert_eq!(seen, [b"oo", b"no", b"nm"].map(|bytes| bytes.to_vec()).into());
}

#[test]
fn a_file_that_replaces_another_is_whole_if_it_was_synced_and_stays_once_the_directory_was() {
    let replaced = |synced: bool| {
        let before = vec![make(1, "a"), write(1, 0, b'o', 512), Op::Sync { id: 1 }, SYNC_DIR, make(2, "b"), write(2, 0, b'n', 512)];
        let sync = if synced { vec![Op::Sync { id: 2 }] } else { Vec::new() };
        [before, sync, vec![rename(2, "b", "a")]].concat()
    };
    let ordered = |synced| left(Model::Ordered, replaced(synced)).into_iter().collect::<Vec<_>>();
    assert_eq!(ordered(true), ["a:n512", "a:o512 b:n512"], "an fsync of the file makes its name durable");
    assert_eq!(ordered(false), ["a:.512", "a:0", "a:n512", "a:o512", "a:o512 b:.512", "a:o512 b:0", "a:o512 b:n512"]);
    let adversarial = left(Model::Adversarial, replaced(true)).into_iter().collect::<Vec<_>>();
    assert_eq!(adversarial, ["a:n512", "a:o512", "a:o512 b:n512"], "it does not");
    both(|| [replaced(true), vec![SYNC_DIR]].concat(), &["a:n512"]);
}

#[test]
fn names_are_kept_as_a_beginning_or_in_any_choice() {
    let ops = || vec![make(1, "a"), make(2, "b"), Op::Remove { name: name("a") }];
    assert_eq!(left(Model::Ordered, ops()).into_iter().collect::<Vec<_>>(), ["", "a:0", "a:0 b:0", "b:0"]);
    assert_eq!(left(Model::Adversarial, ops()).into_iter().collect::<Vec<_>>(), ["", "a:0", "a:0 b:0", "b:0"]);
    let ops = || vec![make(1, "a"), make(2, "b"), make(3, "c")];
    assert_eq!(left(Model::Ordered, ops()).len(), 4);
    assert_eq!(left(Model::Adversarial, ops()).len(), 8);
}
