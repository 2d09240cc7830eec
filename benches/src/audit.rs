//! The audit log: what it costs a read, how many records it takes in a second, and how quickly it is verified.

use crate::Options;
use crate::measure::{Contestant, contest, timing};
use crate::report::{Report, Unit};
use crate::world::{Place, World, path};
use std::path::Path;
use std::time::Instant;
use vault_core::measure::AuditLog;

pub fn log(report: &mut Report, options: &Options, folder: &Path) {
    report.chapter(
        "Audit log",
        "A read's record by itself: made, encoded and admitted to the queue; and in whole, chained, put into the Merkle tree, encrypted and stored \
         in memory with 4,096 to a commit.",
    );
    let (mut queue, whole) = (AuditLog::in_memory().expect("randomness"), AuditLog::in_memory().expect("randomness"));
    let contestants = vec![
        Contestant::each("on the read's way", move |_| queue.admit()),
        Contestant::each("in whole", move |_| whole.record().expect("memory takes it")),
    ];
    report.timings("audit record", Unit::Nanos, &contest(options.pace, contestants));
    verification(report, options, folder);
}

/// A log of many reads is verified: every record's place in the chain and in the tree, every segment, and the head.
fn verification(report: &mut Report, options: &Options, folder: &Path) {
    let records = if options.quick { 20_000 } else { 300_000 };
    let world = World::new(Place::Memory.config(folder));
    world.fill(1, 64);
    (0..records).for_each(|_| drop(world.app.kv("secret").get(&path(0)).expect("it is there")));
    let verify = || {
        let start = Instant::now();
        assert!(world.root.audit().verify().expect("it is sound").records > records);
        start.elapsed().as_nanos() as f64 / records as f64
    };
    let rounds = (0..options.pace.rounds).map(|_| verify()).collect();
    report.timings("audit record of a log", Unit::Nanos, &[("verify".to_owned(), timing(rounds))]);
}
