//! Durable writes with their audit records, by one writer and by several at once.

use crate::Options;
use crate::measure::{Contestant, Pace, contest, on_threads};
use crate::raw::append;
use crate::report::{Report, Unit};
use crate::world::{Place, World, path, secret};
use std::path::Path;

/// Secrets that are written in turn: they stay as many.
const SECRETS: u64 = 1_000;
const BYTES: usize = 1024;

pub fn durable(report: &mut Report, options: &Options, folder: &Path) {
    report.chapter(
        "Durable writes",
        "A new version of a 1 KiB secret, acknowledged once it and its audit record are durable. With several writers the time is that for one \
         write of all together. In memory nothing is durable: that is what checking, encryption, audit and the commit cost by themselves. RustyVault leaves its files to the system: its write may be lost in a power cut.",
    );
    let pace = Pace { round: options.pace.round * 4, ..options.pace };
    let worlds = Place::ALL.map(|place| {
        let world = World::new(place.config(folder));
        // So that the figures are those of a store that stays as large.
        world.root.kv("secret").set_config(&vault_core::KvSettings { max_versions: Some(2), ..Default::default() }).expect("root may");
        world.fill(SECRETS, BYTES);
        (place, world)
    });
    let mut contestants = vec![append(folder, BYTES)];
    #[cfg(feature = "peers")]
    contestants.push(crate::peers::sqlcipher::SqlCipher::filled(folder, SECRETS, BYTES).write(BYTES));
    #[cfg(feature = "rusty-vault")]
    contestants.push(crate::peers::rusty_vault::RustyVault::filled(folder, SECRETS, BYTES).write(BYTES));
    for (place, world) in &worlds {
        let writers: &[u64] = if *place == Place::Memory { &[1, 64] } else { &[1, 8, 64] };
        contestants.extend(writers.iter().map(|writers| write(*place, world, *writers)));
    }
    let timings = contest(pace, contestants);
    report.timings("durable write", Unit::Micros, &timings);
}

fn write(place: Place, world: &World, writers: u64) -> Contestant<'_> {
    let mut turn = 0;
    Contestant::whole(format!("libvault, {}, {writers} writers", place.name()), move |operations| {
        turn += 1;
        on_threads(writers, operations, |writer, number| {
            // Each writer has secrets of its own: none waits for another's.
            let at = (number * writers + writer + turn * 331) % SECRETS;
            world.app.kv("secret").put(&path(at), secret(BYTES)).expect("it is written");
        })
    })
}
