//! The hot paths by themselves, in memory, for callgrind: `hot-paths PATH TIMES`. What making the vault costs is in each run alike, so that
//! the difference of two runs is that of the path alone.

mod policies_of;
#[allow(dead_code, reason = "the comparison has the rest")]
mod world;

use std::hint::black_box;
use std::sync::Arc;
use vault_core::Config;
use vault_core::host::ManualClock;
use vault_core::policy::Capability;
use vault_core::types::{Timestamp, Ttl};
use world::{World, paths, secret};

const SECRETS: u64 = 64;

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let (name, times) = (words[0].as_str(), words[1].parse::<usize>().expect("a number"));
    match name {
        "read" | "held" | "write" => {
            // A clock that stands still: queues are written when they are full, and never because callgrind is slow.
            let clock = ManualClock::new(Timestamp::from_secs(1_800_000_000));
            let config = Config::in_memory().with_clock(Arc::new(clock));
            let config = if name == "held" { config.with_value_cache(1 << 20, Ttl::from_secs(60)) } else { config };
            let world = World::new(config);
            world.fill(SECRETS, 1024);
            let paths = paths(SECRETS);
            if let Some(threads) = words.get(2) {
                let threads: usize = threads.parse().unwrap();
                let world = &world; let paths = &paths;
                let start = std::time::Instant::now();
                std::thread::scope(|s| for t in 0..threads { s.spawn(move || {
                    let kv = world.app.kv("secret");
                    for number in 0..times { let path = &paths[(number * 7 + t * 31) % paths.len()]; black_box(kv.get(path).expect("there")); }
                }); });
                println!("{threads} threads: {:.3} us a read", start.elapsed().as_secs_f64() * 1e6 / (times * threads) as f64);
                return;
            }
            let kv = world.app.kv("secret");
            for number in 0..times {
                let path = &paths[number % paths.len()];
                if name != "write" {
                    black_box(kv.get(path).expect("it is there"));
                } else {
                    black_box(kv.put(path, secret(1024)).expect("it is written"));
                }
            }
        }
        "dsled" | "dredb" | "dmem" => {
            let dir = tempfile::tempdir().unwrap();
            let place = match name { "dsled" => world::Place::Sled, "dmem" => world::Place::Memory, _ => world::Place::Redb };
            let world = World::new(place.config(dir.path()));
            world.root.kv("secret").set_config(&vault_core::KvSettings { max_versions: Some(2), ..Default::default() }).expect("root may");
            world.fill(1000, 1024);
            let threads: u64 = words[2].parse().unwrap();
            let world = &world;
            let start = std::time::Instant::now();
            std::thread::scope(|s| for t in 0..threads { s.spawn(move || {
                let kv = world.app.kv("secret");
                for number in 0..times as u64 { kv.put(&world::path((number * threads + t) % 1000), secret(1024)).expect("written"); }
            }); });
            let wall = start.elapsed().as_secs_f64();
            println!("{name} {threads} threads: {:.1} us a write", wall * 1e6 / (times as f64 * threads as f64));
            let mut file = std::fs::File::create(dir.path().join("raw")).unwrap();
            let start = std::time::Instant::now();
            use std::io::Write;
            for _ in 0..1000 { file.write_all(&[5; 1152]).unwrap(); file.sync_data().unwrap(); }
            println!("raw append {:.1}", start.elapsed().as_secs_f64() * 1e3);
            let file = std::fs::OpenOptions::new().write(true).open(dir.path().join("raw")).unwrap();
            use std::os::unix::fs::FileExt;
            for k in [1, 2, 4, 16, 32] {
            let start = std::time::Instant::now();
            for i in 0..1000 { file.write_all_at(&vec![6; 4096*k], 4096 * (i % 100)).unwrap(); file.sync_data().unwrap(); }
            println!("raw overwrite {} blocks {:.1}", k, start.elapsed().as_secs_f64() * 1e3);
            }
        }
        "decision" => {
            let (set, paths) = policies_of::questions_of(1_000);
            for number in 0..times {
                assert!(set.allows(Capability::Read, black_box(&paths[number % paths.len()]), None, None));
            }
        }
        other => panic!("{other} is no hot path: read, held, write or decision"),
    }
}
