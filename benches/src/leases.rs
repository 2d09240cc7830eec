//! Leases: the records of a grant, a whole grant, and how quickly those end whose time is over.

use crate::Options;
use crate::measure::{Contestant, contest, timing};
use crate::report::{Report, Unit};
use crate::world::{KEY, World};
use std::sync::Arc;
use std::time::Instant;
use vault_core::host::{Account, Connector, ConnectorError, ManualClock, NewAccount, Target};
use vault_core::measure::LeaseRecords;
use vault_core::storage::memory::MemoryStorage;
use vault_core::types::{Operation, SecretString, Timestamp, Ttl, Value};
use vault_core::{Config, UnsealKey, Vault};

/// A target that does at once whatever is asked.
struct Willing;

impl Connector for Willing {
    fn name(&self) -> &str {
        "willing"
    }
    fn check(&self, _: &Target<'_>, _: bool) -> Result<(), ConnectorError> {
        Ok(())
    }
    fn create(&self, _: &Target<'_>, _: &NewAccount<'_>) -> Result<(), ConnectorError> {
        Ok(())
    }
    fn renew(&self, _: &Target<'_>, _: &Account<'_>, _: Timestamp) -> Result<(), ConnectorError> {
        Ok(())
    }
    fn revoke(&self, _: &Target<'_>, _: &Account<'_>) -> Result<(), ConnectorError> {
        Ok(())
    }
    fn set_password(&self, _: &Target<'_>, _: &Account<'_>, _: &SecretString) -> Result<(), ConnectorError> {
        Ok(())
    }
    fn test(&self, _: &Target<'_>, _: &str, _: &SecretString) -> Result<(), ConnectorError> {
        Ok(())
    }
    fn forget(&self, _: &[u8; 16]) {}
}

pub fn life(report: &mut Report, options: &Options) {
    let leases = options.leases();
    report.chapter(
        "Leases",
        &format!(
            "Over a store in memory, at a target that does at once what is asked. A whole grant is a request with two commits: the lease is on \
             record before its account is made, and handed out after it. {leases} leases are alive then."
        ),
    );
    let records = LeaseRecords::in_memory().expect("randomness");
    let grant = Contestant::each("the records of a grant", move |_| assert!(records.grant().expect("randomness") > 0));
    report.timings("lease", Unit::Nanos, &contest(options.pace, vec![grant]));
    let storage = Arc::new(MemoryStorage::new());
    let clock = Arc::new(ManualClock::new(Timestamp::from_secs(1_800_000_000)));
    let config = || {
        let config = Config::on(Arc::new(storage.copy())).with_clock(Arc::clone(&clock) as Arc<_>);
        config.with_connector(Arc::new(Willing))
    };
    let world =
        World::new(Config::on(Arc::clone(&storage) as Arc<_>).with_clock(Arc::clone(&clock) as Arc<_>).with_connector(Arc::new(Willing)));
    prepare(&world);
    let open = |report: &mut Report, name: &str| {
        let rounds = (0..3).map(|_| unseal(&config())).collect();
        report.timings(name, Unit::Millis, &[("unseal".to_owned(), timing(rounds))]);
    };
    open(report, "unseal without leases");
    let (before, start) = (resident_bytes(), Instant::now());
    for _ in 0..leases {
        world.root.request(Operation::Read, "database/creds/app", None).expect("an account");
    }
    let each = start.elapsed().as_nanos() as f64 / leases as f64;
    report.timings("lease in a request", Unit::Micros, &[("a whole grant".to_owned(), timing(vec![each]))]);
    let grown = resident_bytes().saturating_sub(before) as f64 / leases as f64;
    report.words(&format!("The process grew by {grown:.0} bytes for each lease, all records of the store in memory included; beside the store the vault holds nothing of a lease."));
    open(report, &format!("unseal with {leases} leases"));
    clock.advance(Ttl::from_secs(7_200));
    let start = Instant::now();
    while count(&world) > 0 {
        world.vault.tick().expect("a tick");
    }
    let each = start.elapsed().as_nanos() as f64 / leases as f64;
    report.figure("leases: ended in a second", 1e9 / each);
    report.timings("lease that ends", Unit::Micros, &[("ended, and its target told".to_owned(), timing(vec![each]))]);
}

/// A connection and a role.
fn prepare(world: &World) {
    let write = |path: &str, json: &str| {
        let data = Value::from_json(json.as_bytes()).expect("JSON");
        world.root.request(Operation::Write, path, Some(data)).expect("root may");
    };
    write("sys/mounts/database", r#"{"type":"database"}"#);
    let connection =
        r#"{"plugin_name":"willing","username":"admin","password":"secret","connection_url":"willing://","allowed_roles":["*"]}"#;
    write("database/config/target", connection);
    write("database/roles/app", r#"{"db_name":"target","creation_statements":["make"],"default_ttl":"1h","max_ttl":"24h"}"#);
}

fn unseal(config: &Config) -> f64 {
    let sealed = Vault::open(config.clone()).expect("the vault is there");
    let start = Instant::now();
    drop(sealed.unseal(&UnsealKey::raw_key(&KEY).expect("32 bytes")).expect("it is its key"));
    start.elapsed().as_nanos() as f64
}

/// Leases whose time is over and that are not ended yet, and those that wait for their target.
fn count(world: &World) -> u64 {
    let number = |of: &str| {
        let data = Value::from_json(format!(r#"{{"type":"{of}"}}"#).as_bytes()).expect("JSON");
        let response = world.root.request(Operation::Read, "sys/leases/count", Some(data)).expect("root may");
        response.data.as_ref().and_then(|data| data.get("lease_count")).and_then(Value::as_u64).expect("a count")
    };
    assert_eq!(number("irrevocable"), 0, "the target is willing");
    number("due") + number("ending")
}

/// What the process has in memory.
pub fn resident_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/statm").expect("Linux");
    let pages: u64 = status.split_whitespace().nth(1).and_then(|pages| pages.parse().ok()).expect("Linux");
    pages * 4096
}
