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
        "decision" => {
            let (set, paths) = policies_of::questions_of(1_000);
            for number in 0..times {
                assert!(set.allows(Capability::Read, black_box(&paths[number % paths.len()]), None, None));
            }
        }
        other => panic!("{other} is no hot path: read, held, write or decision"),
    }
}
