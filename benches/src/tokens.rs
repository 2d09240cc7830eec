//! Tokens: how long it takes to make one and to look one up, what memory it takes, and what an opening takes, with more and more of them.

use crate::Options;
use crate::measure::{Contestant, contest, timing};
use crate::memory::resident_bytes;
use crate::report::{Report, Unit};
use crate::world::{World, reopen};
use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;
use vault_core::storage::memory::MemoryStorage;
use vault_core::types::Ttl;
use vault_core::{Config, TokenOptions};

/// Tokens that are kept at hand, to be looked up in turn.
const AT_HAND_MAX: usize = 10_000;
const DAY: Ttl = Ttl::from_secs(86_400);

pub fn life(report: &mut Report, options: &Options) {
    report.chapter(
        "Tokens",
        "Over a store in memory, so that what grows is the vault's own work: each token is made in a request of root's, one after another, and \
         lasts a day. Made is the mean over those that were added for the row; up to 10,000 of them are looked up in turn. Memory is what the \
         process grew by for each, the records of the store included; of a token that is not in use the vault holds nothing beside the store.",
    );
    let storage = Arc::new(MemoryStorage::new());
    let world = World::new(Config::on(Arc::clone(&storage) as Arc<_>));
    let begun = resident_bytes();
    let mut rows =
        vec![["tokens", "make one, µs", "look one up, µs", "memory of each, bytes", "open and unseal, ms"].map(str::to_owned).to_vec()];
    let (mut made, mut at_hand) = (0, Vec::new());
    for tokens in options.sizes() {
        let step = (tokens / AT_HAND_MAX as u64).max(1);
        at_hand.clear();
        let (added, start) = (tokens - made, Instant::now());
        for number in made..tokens {
            let token = TokenOptions { policies: vec!["app".to_owned()], ttl: Some(DAY), ..TokenOptions::default() };
            let token = world.root.tokens().create(token).expect("root makes a token").client_token;
            if number % step == 0 {
                at_hand.push(token);
            }
        }
        let make = start.elapsed().as_nanos() as f64 / added as f64;
        made = tokens;
        let grown = resident_bytes().saturating_sub(begun) as f64 / tokens as f64;
        let look = Contestant::each("look-up", |number| {
            let token = &at_hand[(number as usize).wrapping_mul(7919) % at_hand.len()];
            black_box(world.root.tokens().lookup(token.expose()).expect("it lives"));
        });
        let look = contest(options.pace, vec![look])[0].1.median;
        let open = || {
            let copy = Config::on(Arc::new(storage.copy()));
            let start = Instant::now();
            let vault = reopen(copy);
            let took = start.elapsed().as_nanos() as f64;
            // Its store in memory goes with it, which takes long and is no part of an opening.
            drop(vault);
            took
        };
        let open = timing((0..5).map(|_| open()).collect()).median;
        for (what, value) in [("make", make), ("look up", look), ("memory", grown), ("open", open)] {
            report.figure(&figure(what, tokens), value);
        }
        let shown = [Unit::Micros.show(make), Unit::Micros.show(look), format!("{grown:.0}"), Unit::Millis.show(open)];
        rows.push([tokens.to_string()].into_iter().chain(shown).collect());
    }
    report.table(&rows);
}

/// The name of a figure.
pub fn figure(what: &str, tokens: u64) -> String {
    format!("tokens, {what}: {tokens}")
}
