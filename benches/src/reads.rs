//! Reads in a session: token, policy, decryption and a batched audit record, beside the raw limits and beside peers that decrypt only.

use crate::Options;
use crate::measure::{Contestant, Pace, contest, on_threads};
use crate::raw::{RawSled, gcm_open, siv_open};
use crate::report::{Report, Unit};
use crate::world::{Place, World, paths};
use std::hint::black_box;
use std::path::Path;
use vault_core::Config;
use vault_core::types::Ttl;

/// Secrets that are held at most, and the memory for them, in bytes.
const HELD_SECRETS_MAX: u64 = 100_000;
const HELD_BYTES: u64 = 1 << 30;
/// Secrets up to which RustyVault reads too: it keeps a file for each.
#[cfg(feature = "rusty-vault")]
const RUSTY_VAULT_SECRETS_MAX: u64 = 1_000;

/// Reads of several sizes of secrets.
pub fn sizes(report: &mut Report, options: &Options, folder: &Path) {
    report.chapter(
        "Reads",
        "A read of libvault is a whole request in a session of a token with ten rules: token, policy, decryption, and an audit record that is \
         written within 50 ms or 4,096 records; the time of that writing is in the figure. SQLCipher decrypts a page and does none of the rest; \
         RustyVault looks the token up and decrypts, without policy and audit record. \
         \"Values held\" is a vault that is told to hold decrypted secrets, which is not the default; it has read each before. \
         Paths are asked for in turn, far apart.",
    );
    // 1 KiB comes with the numbers of secrets.
    for bytes in [64, 4096] {
        let folder = tempfile::tempdir_in(folder).expect("a folder");
        let worlds: Vec<(Place, World)> = Place::ALL.into_iter().map(|place| (place, filled(place, folder.path(), 1_000, bytes))).collect();
        compare(report, options, &worlds, folder.path(), (1_000, bytes));
    }
}

/// Reads in vaults with so many secrets of a size, the raw limits and the peers, all in turn.
pub fn compare(report: &mut Report, options: &Options, worlds: &[(Place, World)], folder: &Path, (secrets, bytes): (u64, usize)) {
    let sled = RawSled::filled(folder, secrets, bytes);
    let paths = paths(secrets);
    let holding = (secrets <= HELD_SECRETS_MAX).then(|| holding(&paths, secrets, bytes));
    let mut contestants = vec![sled.get(), siv_open(bytes), gcm_open(bytes)];
    for (place, world) in worlds {
        contestants.push(read(format!("libvault, {}", place.name()), world, &paths));
    }
    contestants.extend(holding.as_ref().map(|world| read("libvault, values held".to_owned(), world, &paths)));
    #[cfg(feature = "peers")]
    contestants.extend(crate::peers::sqlcipher::selects(folder, secrets, bytes));
    #[cfg(feature = "rusty-vault")]
    if secrets <= RUSTY_VAULT_SECRETS_MAX {
        contestants.push(crate::peers::rusty_vault::RustyVault::filled(folder, secrets, bytes).read());
    }
    let timings = contest(options.pace, contestants);
    report.timings(&title(secrets, bytes), Unit::Micros, &timings);
}

/// The name of a chapter's table, under which its figures are kept.
pub fn title(secrets: u64, bytes: usize) -> String {
    format!("read of {bytes} B among {secrets} secrets")
}

/// A vault with secrets.
pub fn filled(place: Place, folder: &Path, secrets: u64, bytes: usize) -> World {
    let world = World::new(place.config(folder));
    world.fill(secrets, bytes);
    world
}

/// A vault that holds its secrets decrypted, after it has read each.
fn holding(paths: &[String], secrets: u64, bytes: usize) -> World {
    let world = World::new(Config::in_memory().with_value_cache(HELD_BYTES, Ttl::from_secs(86_400)));
    world.fill(secrets, bytes);
    paths.iter().for_each(|path| drop(world.app.kv("secret").get(path).expect("it is there")));
    world
}

/// One thread that reads.
pub fn read<'c>(name: String, world: &'c World, paths: &'c [String]) -> Contestant<'c> {
    Contestant::each(name, move |number| {
        let secret = world.app.kv("secret").get(&paths[number as usize % paths.len()]).expect("it is there");
        black_box(secret);
    })
}

/// The same reads on several threads at once; what is shown is the time for one read of all.
pub fn threads(report: &mut Report, options: &Options, folder: &Path) {
    report.chapter(
        "Reads on several threads",
        "The time for one read, all threads together, 1 KiB among 1,000 secrets: half of it is twice the rate.",
    );
    // Longer rounds: threads take a while to spread over the cores.
    let pace = Pace { round: options.pace.round * 4, ..options.pace };
    for place in Place::ALL {
        let folder = tempfile::tempdir_in(folder).expect("a folder");
        let world = filled(place, folder.path(), 1_000, 1024);
        let paths = paths(1_000);
        let (world, paths) = (&world, &paths);
        let on = |threads: u64| {
            Contestant::whole(format!("{threads} threads"), move |operations| {
                on_threads(threads, operations, |thread, number| {
                    let at = (thread * 101 + number) as usize % paths.len();
                    black_box(world.app.kv("secret").get(&paths[at]).expect("it is there"));
                })
            })
        };
        let timings = contest(pace, [1, 2, 8, 64].map(on).into_iter().collect());
        report.timings(&format!("{} threads", place.name()), Unit::Micros, &timings);
    }
}
