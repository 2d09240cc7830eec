//! RESULTS.md: the bars with what was reached, then all tables, with the machine, the versions, the date and the command.

use crate::Options;
use crate::machine;
use crate::reads::title;
use crate::report::{Limit, Report};
use std::path::Path;

/// What a whole run writes into the repository.
pub fn write(report: &Report, options: &Options, folder: &Path) {
    let text = format!(
        "# Results\n\nWritten by `{}` on {}, with {} threads of others waiting for the machine's cores on average over the minute before it began. \
         Read the ratios: what is compared took turns in one run on one machine; times differ from machine to machine, and durable ones from \
         minute to minute.\n\n{}\n\n## Bars\n\n{}{}",
        options.command(),
        machine::date(),
        options.load,
        machine::table(),
        report.bars(),
        report.text(),
    );
    std::fs::write(folder.join("RESULTS.md"), text).expect("benches/RESULTS.md is written");
}

fn ratio(value: f64) -> String {
    format!("{value:.2} x")
}

fn micros(nanos: f64) -> String {
    format!("{:.2} µs", nanos / 1e3)
}

/// Judges every bar whose chapters were run.
pub fn judge(report: &mut Report) {
    read_bars(report);
    write_bars(report);
    other_bars(report);
}

fn read_bars(report: &mut Report) {
    let of = |report: &Report, who: &str| report.get(&format!("{}: {who}", title(1_000, 1024)));
    let floor = |report: &Report| Some(of(report, "raw: sled get")? + of(report, "raw: AES-256-GCM-SIV open")?);
    let (sled, floor) = (of(report, "libvault, sled"), floor(report));
    let beside = |other: Option<f64>| Some(other? / sled?);
    let over_floor = sled.zip(floor).map(|(sled, floor)| sled / floor);
    report.bar(
        "read of 1 KiB over sled",
        "at most 1.6 x (sled get + AES-256-GCM-SIV open)",
        over_floor,
        Limit::AtMost(1.6),
        |times| format!("{} ({} beside {})", ratio(times), micros(sled.unwrap_or_default()), micros(floor.unwrap_or_default())),
        "a whole request: token, policy, HMAC of the name, look-up, decryption, JSON, and its audit record with the group that it is written in. Tried \
         and kept: one record for a secret's metadata and value, answers in one piece of memory, no shared counts, nonces in blocks, an event \
         hashed once. Tried and taken back: an AES-GCM-SIV of our own, a tenth faster, since cryptography is a library's",
    );
    let large = beside(of(report, "SQLCipher SELECT, 256 MiB cache"));
    report.bar(
        "the same beside SQLCipher, 256 MiB cache",
        "faster",
        large,
        Limit::AtLeast(1.0),
        |times| format!("{times:.1} x as fast"),
        "a warm cache holds pages that are decrypted already",
    );
    let default = beside(of(report, "SQLCipher SELECT, its default cache"));
    report.bar(
        "the same beside SQLCipher's default cache",
        "5 x faster",
        default,
        Limit::AtLeast(5.0),
        |times| format!("{times:.1} x as fast"),
        "at 1,000 secrets its cache of 2 MiB holds them all; see 100,000",
    );
    let many = |report: &Report, who: &str| report.get(&format!("{}: {who}", title(100_000, 1024)));
    let among_many =
        many(report, "SQLCipher SELECT, its default cache").zip(many(report, "libvault, sled")).map(|(theirs, ours)| theirs / ours);
    report.bar(
        "the same among 100,000 secrets",
        "5 x faster",
        among_many,
        Limit::AtLeast(5.0),
        |times| format!("{times:.1} x as fast"),
        "its cache does not hold them; neither does sled's",
    );
    let held = of(report, "libvault, values held").zip(floor).map(|(held, floor)| held / floor);
    report.bar(
        "read of 1 KiB where decrypted values are held",
        "at most 1.6 x (sled get + AES-256-GCM-SIV open)",
        held,
        Limit::AtMost(1.6),
        ratio,
        "neither read from the store nor decrypted. What is left is the group's audit work (SHA-256 for leaf, chain and tree, and the encryption of the \
         segment), the answer's JSON and metadata, token, policy, name and event",
    );
    for (place, what) in
        [("memory", "two threads reading, memory"), ("sled", "two threads reading, sled"), ("redb", "two threads reading, redb")]
    {
        let on = |threads| report.get(&format!("{place} threads: {threads} threads"));
        let rate = on(1).zip(on(2)).map(|(one, two)| one / two);
        report.bar(
            what,
            "1.8 x one thread",
            rate,
            Limit::AtLeast(1.8),
            ratio,
            "they meet at the queue of audit records, which keeps one order for all, and in the allocator. Kept: counters in stripes, callers that hold no \
             count of owners, events encoded before the queue is locked",
        );
    }
    let (few, many) = (report.get("decision at 100 rules: libvault"), report.get("decision at 10000 rules: libvault"));
    report.bar(
        "policy decision, 10,000 rules in 100 policies",
        "at most 200 ns",
        many,
        Limit::AtMost(200.0),
        |nanos| format!("{nanos:.0} ns"),
        "",
    );
    let growth = many.zip(few).map(|(many, few)| many / few);
    report.bar(
        "the same beside 100 rules",
        "at most 1.5 x",
        growth,
        Limit::AtMost(1.5),
        ratio,
        "the work is the same; 10,000 rules are no longer in the nearest cache",
    );
}

fn write_bars(report: &mut Report) {
    let of = |report: &Report, who: &str| report.get(&format!("durable write: {who}"));
    let raw = of(report, "raw: append + fdatasync");
    for (place, one, eight, many) in [
        ("sled", "durable write of 1 KiB, one writer, sled", "the same, 8 writers", "the same, 64 writers"),
        ("redb", "durable write of 1 KiB, one writer, redb", "the same, 8 writers, redb", "the same, 64 writers, redb"),
    ] {
        let writers = |writers: u64| of(report, &format!("libvault, {place}, {writers} writers"));
        let (single, eighth, sixty) = (writers(1), writers(8), writers(64));
        let over_raw = single.zip(raw).map(|(single, raw)| single / raw);
        report.bar(
            one,
            "at most 1.6 x append + fdatasync",
            over_raw,
            Limit::AtMost(1.6),
            ratio,
            "the WAL's sync is one append's; on top come encryption and MACs of four records, and what the engine is given now and then. Kept: a WAL that is \
             written over, commits that are shown from memory, each record given to the engine once in its last state. sled takes 24 KiB between two \
             syncs of its log, which grows by new blocks each time; segments of 1 and 2 MiB and a WAL of 2 MiB were tried and brought less than they cost in disk",
        );
        let times = |several: Option<f64>| single.zip(several).map(|(one, several)| one / several);
        let why = "the sync is shared; checking and encryption on two cores, the leader's work (both in the rows in memory) and what the engine is given are \
                   not. The faster one writer is, the more this asks";
        report.bar(eight, "4 x the one-writer rate", times(eighth), Limit::AtLeast(4.0), ratio, why);
        report.bar(many, "8 x the one-writer rate", times(sixty), Limit::AtLeast(8.0), ratio, why);
    }
}

fn other_bars(report: &mut Report) {
    let (queue, whole) = (report.get("audit record: on the read's way"), report.get("audit record: in whole"));
    report.bar(
        "audit on the read path",
        "at most 0.6 µs",
        queue,
        Limit::AtMost(600.0),
        micros,
        "made, encoded, queued; a group's writing comes on top",
    );
    let rate = |nanos: f64| 1e9 / nanos;
    let shown = |rate: f64| format!("{:.0} a second", rate);
    report.bar(
        "audit records chained, in the tree and stored",
        "600,000 a second",
        whole.map(rate),
        Limit::AtLeast(600_000.0),
        shown,
        "made and encoded included",
    );
    let verify = report.get("audit record of a log: verify").map(rate);
    report.bar(
        "audit log verified",
        "1,000,000 records a second",
        verify,
        Limit::AtLeast(1e6),
        shown,
        "chain and tree are three SHA-256 of each record",
    );
    let grant = report.get("lease: the records of a grant");
    report.bar(
        "lease granted, without storage",
        "under 1 µs",
        grant,
        Limit::AtMost(1_000.0),
        micros,
        "four records, each encrypted and named by a MAC. Fewer would mean to walk through more where a token, a target or a time ends",
    );
    let ended = report.get("leases: ended in a second");
    report.bar(
        "leases that end, without their targets",
        "100,000 a second",
        ended,
        Limit::AtLeast(100_000.0),
        shown,
        "each is a change of six records, of which three are encrypted anew; the telling of targets stands in its own row. Kept: 64 leases in one commit, \
         bounded look-ups of the chores that may end them",
    );
    let first = report.get("open and first read, 1000 secrets: libvault, sled");
    let millis = |nanos: f64| format!("{:.1} ms", nanos / 1e6);
    report.bar(
        "open + unseal + first read, 1,000 secrets, sled",
        "under 5 ms",
        first,
        Limit::AtMost(5e6),
        millis,
        "sled is opened in a copy of its log, which is synced as a whole before anything is written: opening in place can lose a store in a power cut. A \
         larger part of it is free room of the log. redb opens in place",
    );
    let first = report.get("open and first read, 1000 secrets: libvault, redb");
    report.bar("the same, redb", "under 5 ms", first, Limit::AtMost(5e6), millis, "");
    // With `--full`.
    let many = |report: &Report, place: &str| report.get(&format!("open and first read, 1000000 secrets: libvault, {place}"));
    let (sled, redb) = (many(report, "sled"), many(report, "redb"));
    let copied = "all of the store is copied and synced: a compaction makes it smaller";
    report.bar("the same, 1,000,000 secrets, sled", "under 3 s with its copy", sled, Limit::AtMost(3e9), millis, copied);
    report.bar("the same, 1,000,000 secrets, redb", "under 50 ms", redb, Limit::AtMost(50e6), millis, "");
    for (place, filled, compacted, why) in [
        (
            "sled",
            "disk, sled",
            "the same after ten overwrites and `compact`",
            "the WAL (1 MiB), and leaves that were written anew and not cleaned yet: a compaction gives that back. Kept: segments of half a MiB and \
             cleaning before each sync",
        ),
        (
            "redb",
            "disk, redb",
            "the same, redb",
            "the WAL (2 MiB), and room that redb keeps for records to come: a compaction gives that back",
        ),
    ] {
        let at = |when: &str| report.get(&format!("disk, {place}: {when}"));
        let (first, last) = (at("filled"), at("compacted"));
        let beside = |when: &str| {
            format!("{:.2} x with the audit log's files", report.get(&format!("disk, {place}, with its log: {when}")).unwrap_or_default())
        };
        let (with_log, with_log_after) = (beside("filled"), beside("compacted"));
        report.bar(filled, "at most 2.2 x the payload", first, Limit::AtMost(2.2), |times| format!("{} ({with_log})", ratio(times)), why);
        report.bar(
            compacted,
            "at most 3 x",
            last,
            Limit::AtMost(3.0),
            |times| format!("{} ({with_log_after})", ratio(times)),
            "what the engine keeps free after it",
        );
    }
    let over = |report: &Report, one: &str, base: &str| Some(report.get(one)? - report.get(base)?);
    report.bar(
        "C over Rust, per read",
        "at most 0.3 µs",
        over(report, "binding: C", "binding: Rust"),
        Limit::AtMost(300.0),
        micros,
        "handles, copies of texts, and the wiping of what is lent. Kept: a call asks the system for nothing, and its handle is found in one of several tables under a reader's lock",
    );
    let python = over(report, "Python read: libvault's wheel, memory", "binding: Rust");
    report.bar(
        "Python over Rust, per read",
        "at most 3 µs",
        python,
        Limit::AtMost(3_000.0),
        micros,
        "the text of 1 KiB becomes a str of Python's",
    );
}
