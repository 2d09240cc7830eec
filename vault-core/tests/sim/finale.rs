//! The end of a story: all is healed, and then everything is where it belongs: state, log, sinks, ledger.

use super::disk::Death;
use super::model::TokenId;
use super::outside::Mood;
use super::world::World;
use std::collections::BTreeMap;
use vault_core::types::{Ttl, Value};

/// Ticks that sinks may need until they have everything.
const TICKS_MAX: usize = 40;
const PAGE: u64 = 1_000;

impl World {
    /// Crashes once more, lets everything come back, and checks all of it.
    pub fn finish(&mut self) {
        self.ground.sinks.iter().for_each(|sink| sink.set(Mood::Well));
        self.ground.anchor.iter().for_each(|anchor| anchor.fail(None));
        self.ground.disk.set_room(None);
        self.crash(Death::PowerCut, None);
        self.end_lending();
        let lines = self.lines_of_log();
        self.feed_sinks();
        for sink in &self.ground.sinks {
            let taken = sink.taken();
            assert_eq!(taken.keys().next(), Some(&1), "a sink has the first event");
            assert!(taken.len() as u64 == *taken.keys().next_back().expect("events"), "a sink has every event");
            for (number, line) in &lines {
                assert_eq!(taken.get(number), Some(line), "a sink has event {number} as it is in the log");
            }
            sink.calls.lock().iter().for_each(|(call, times)| (0..*times).for_each(|_| self.coverage.hit(*call)));
        }
        let accessors: BTreeMap<TokenId, String> = self.tokens.iter().map(|(id, held)| (*id, held.accessor.clone())).collect();
        self.ledger.check(&self.ground.sinks[0].taken(), &accessors);
        self.check_log_of_leases(&self.ground.sinks[0].taken());
        self.ground.hosts.calls().into_iter().for_each(|(call, times)| (0..times).for_each(|_| self.coverage.hit(call.as_str())));
        let pruned = self.live().vault.verify().expect("the store verifies").audit.pruned;
        if pruned > 0 {
            self.coverage.hit("outcome: the log was pruned");
        }
        self.live().vault.close().expect("a healthy vault closes");
    }

    /// Ticks until no sink is behind any more.
    fn feed_sinks(&mut self) {
        for _ in 0..TICKS_MAX {
            // Past the rest of a sink that has failed.
            self.ground.clock.advance(Ttl::from_secs(61));
            let number = |sink: &Value| sink.get("behind").and_then(Value::as_u64).expect("a number");
            self.live().vault.tick().expect("a healthy vault ticks");
            let response = self.root().request(vault_core::types::Operation::Read, "sys/audit-log/sinks", None).expect("sinks");
            let rows = response.data.as_ref().and_then(|data| data.get("sinks")).and_then(Value::as_array).expect("rows").to_vec();
            if rows.iter().all(|row| number(row) == 0) {
                return;
            }
        }
        panic!("a sink that is well again never gets everything");
    }

    /// The log as it is, by number; what was pruned is left out.
    fn lines_of_log(&self) -> BTreeMap<u64, String> {
        let root = self.root();
        let mut lines = BTreeMap::new();
        loop {
            let after = lines.keys().next_back().copied().unwrap_or(0);
            let events = root.audit().events(after, PAGE).expect("the log can be read");
            for event in &events {
                let number = event.get("sequence").and_then(Value::as_u64).expect("a number");
                lines.insert(number, String::from_utf8_lossy(&event.to_json()).into_owned());
            }
            if (events.len() as u64) < PAGE {
                return lines;
            }
        }
    }
}
