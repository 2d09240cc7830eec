//! Leases: the records of a grant, and the whole life of so many: granted, there after a restart, looked up, listed, ended, told.

use crate::Options;
use crate::measure::{Contestant, contest};
use crate::memory::resident_bytes;
use crate::plot::Plot;
use crate::report::{Report, Unit};
use crate::world::KEY;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;
use vault_core::host::{Account, Connector, ConnectorError, ManualClock, NewAccount, Target};
use vault_core::measure::LeaseRecords;
use vault_core::storage::memory::MemoryStorage;
use vault_core::types::{Operation, SecretString, Timestamp, Ttl, Value};
use vault_core::{Config, NewSeal, Session, UnsealKey, Vault};

/// When all of it begins, in seconds since the Unix epoch.
const START: u64 = 1_800_000_000;
/// Times that an opening and a look-up are timed.
const ROUNDS: u64 = 5;
/// Names of one page of a listing.
const PAGE: u64 = 100;
/// What is drawn against the number of leases: the row, what it is called there, and in which unit it is kept.
const DRAWN: [(&str, &str); 4] = [
    ("a whole grant", "granted"),
    ("ended, without its target", "ended"),
    ("told to its target, and gone", "told"),
    ("looked up", "looked up"),
];

/// A target that does at once whatever is asked, and counts what was revoked.
#[derive(Default)]
struct Willing {
    revoked: AtomicU64,
}

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
        self.revoked.fetch_add(1, Ordering::Relaxed);
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

/// A store in memory, and what is beside it.
struct Place {
    storage: Arc<MemoryStorage>,
    clock: Arc<ManualClock>,
    target: Arc<Willing>,
}

impl Place {
    fn new() -> Self {
        let clock = Arc::new(ManualClock::new(Timestamp::from_secs(START)));
        Place { storage: Arc::new(MemoryStorage::new()), clock, target: Arc::default() }
    }

    /// A host that cannot tell targets.
    fn alone(&self) -> Config {
        Config::on(Arc::clone(&self.storage) as Arc<_>).with_clock(Arc::clone(&self.clock) as Arc<_>)
    }

    fn whole(&self) -> Config {
        self.alone().with_connector(Arc::clone(&self.target) as Arc<_>)
    }

    /// Closes a vault, and lets the store be opened anew: nobody has the old one then, so that no record is copied.
    fn leave(&mut self, vault: Vault, root: Session) {
        drop(root);
        vault.close().expect("it closes");
        drop(vault);
        self.storage = Arc::new(self.storage.copy());
    }
}

pub fn life(report: &mut Report, options: &Options) {
    report.chapter(
        "Leases",
        "Over a store in memory, at a target that does at once what is asked. A whole grant is a request with two commits: the lease is on \
         record before its account is made, and handed out after it. Then the vault is opened anew, one lease is looked up, a page of the ids is \
         listed, all of them end by ticks of a host that has no connector (without their targets), and their target is told by ticks of one that \
         has it.",
    );
    let records = LeaseRecords::in_memory().expect("randomness");
    let grant = Contestant::each("the records of a grant", move |_| assert!(records.grant().expect("randomness") > 0));
    report.timings("lease", Unit::Nanos, &contest(options.pace, vec![grant]));
    for leases in options.leases() {
        live(report, leases);
    }
}

fn live(report: &mut Report, leases: u64) {
    let mut place = Place::new();
    let (vault, init) = Vault::create(place.whole(), NewSeal::raw_key(&KEY).expect("32 bytes")).expect("a vault is made");
    let token = init.root_token.expose().to_owned();
    let root = vault.session(init.root_token);
    prepare(&root);
    place.leave(vault, root);
    let (vault, empty) = opened(&place.whole());
    let root = vault.session(SecretString::copy_from(&token));

    let (before, start) = (resident_bytes(), Since::now());
    for _ in 0..leases {
        root.request(Operation::Read, "database/creds/app", None).expect("an account");
    }
    let granted = start.each(leases);
    let stored = resident_bytes().saturating_sub(before) as f64 / leases as f64;
    place.leave(vault, root);

    let before = resident_bytes();
    let (vault, full) = opened(&place.alone());
    let root = vault.session(SecretString::copy_from(&token));
    vault.tick().expect("a tick");
    let held = resident_bytes().saturating_sub(before) as f64 / leases as f64;
    let start = Since::now();
    let page = Value::from_json(format!(r#"{{"limit":{PAGE}}}"#).as_bytes()).expect("JSON");
    let listed = root.request(Operation::List, "sys/leases/lookup/database/creds/app", Some(page)).expect("root may").data.expect("a page");
    let listing = start.each(1);
    let name = listed.get("keys").and_then(Value::as_array).and_then(|keys| keys[0].as_str()).expect("a name");
    let start = Since::now();
    for _ in 0..ROUNDS {
        root.leases().lookup(&format!("database/creds/app/{name}")).expect("it holds");
    }
    let looked_up = start.each(ROUNDS);

    place.clock.advance(Ttl::from_secs(7_200));
    let start = Since::now();
    while vault.tick().expect("a tick").is_some_and(|next| next.as_millis() <= (START + 7_200) * 1_000 + 1) {}
    let ended = start.each(leases);
    let left = root.request(Operation::List, "sys/leases/lookup/database/creds/app", None);
    assert!(left.is_err(), "all have ended");
    assert_eq!(place.target.revoked.load(Ordering::Relaxed), 0, "nothing was told");
    place.leave(vault, root);

    let (vault, _) = opened(&place.whole());
    let start = Since::now();
    while place.target.revoked.load(Ordering::Relaxed) < leases {
        vault.tick().expect("a tick");
    }
    let told = start.each(leases);
    vault.verify().expect("the store is whole");

    report.figure("leases: ended in a second", 1e9 / ended.clock);
    let of_one = [
        ("a whole grant", granted),
        ("looked up", looked_up),
        ("ended, without its target", ended),
        ("told to its target, and gone", told),
    ];
    let of_all = [("opened and unsealed without leases", empty), ("opened and unsealed with them", full), ("a page of 100 ids", listing)];
    let mut rows = vec![["", "by the clock", "on a processor"].map(str::to_owned).to_vec()];
    rows[0][0] = of(leases);
    for (name, took) in of_one {
        report.figure(&format!("{}: {name}", of(leases)), took.clock);
        rows.push(vec![name.to_owned(), format!("{:.1} µs", took.clock / 1e3), format!("{:.1} µs", took.computed / 1e3)]);
    }
    for (name, took) in of_all {
        rows.push(vec![name.to_owned(), format!("{:.1} ms", took.clock / 1e6), format!("{:.1} ms", took.computed / 1e6)]);
    }
    report.table(&rows);
    let rate = |took: Took| format!("{:.0} a second by the clock, {:.0} by the processor's time", 1e9 / took.clock, 1e9 / took.computed);
    report.words(&format!(
        "{leases} leases ended without their targets at {}, and were told at {}. The process grew by {stored:.0} bytes for each lease that was \
         granted, all records of the store in memory and its audit log included, and by {held:.1} bytes for each when the store was opened anew: \
         beside the store the vault holds nothing of a lease.",
        rate(ended),
        rate(told)
    ));
}

fn of(leases: u64) -> String {
    format!("lease of {leases}")
}

/// Draws the cost of a lease against the number of leases, where more than one number was measured.
pub fn plot(report: &mut Report, options: &Options, folder: &Path) {
    let sizes = options.leases();
    let line = |(row, name): &(&str, &str)| {
        let points = sizes.iter().filter_map(|size| Some((*size as f64, report.get(&format!("{}: {row}", of(*size)))? / 1e3)));
        ((*name).to_owned(), points.collect::<Vec<_>>())
    };
    let lines: Vec<_> = DRAWN.iter().map(line).filter(|(_, points)| points.len() > 1).collect();
    if lines.is_empty() {
        return;
    }
    Plot { title: "One of so many leases".to_owned(), x: "leases", y: "µs", lines }.write(&folder.join("lease.svg"));
    report.words("[What one of so many leases costs](plots/lease.svg) is drawn in plots/.");
}

/// A vault that is opened, and how long that took.
fn opened(config: &Config) -> (Vault, Took) {
    let start = Since::now();
    let sealed = Vault::open(config.clone()).expect("the vault is there");
    let vault = sealed.unseal(&UnsealKey::raw_key(&KEY).expect("32 bytes")).expect("it is its key");
    (vault, start.each(1))
}

/// The time since something began, by the clock and on a processor: on a machine that does other work the first tells of that too.
struct Since {
    clock: Instant,
    computed: u64,
}

/// What one of so many took, in nanoseconds.
#[derive(Clone, Copy)]
struct Took {
    clock: f64,
    computed: f64,
}

impl Since {
    fn now() -> Self {
        Since { clock: Instant::now(), computed: computed() }
    }

    fn each(&self, count: u64) -> Took {
        let count = count as f64;
        Took { clock: self.clock.elapsed().as_nanos() as f64 / count, computed: (computed() - self.computed) as f64 / count }
    }
}

/// Nanoseconds that this thread has had a processor.
fn computed() -> u64 {
    let status = std::fs::read_to_string("/proc/thread-self/schedstat").expect("Linux");
    status.split_whitespace().next().and_then(|nanos| nanos.parse().ok()).expect("Linux")
}

/// A connection and a role.
fn prepare(root: &Session) {
    let write = |path: &str, json: &str| {
        let data = Value::from_json(json.as_bytes()).expect("JSON");
        root.request(Operation::Write, path, Some(data)).expect("root may");
    };
    write("sys/mounts/database", r#"{"type":"database"}"#);
    let connection =
        r#"{"plugin_name":"willing","username":"admin","password":"secret","connection_url":"willing://","allowed_roles":["*"]}"#;
    write("database/config/target", connection);
    write("database/roles/app", r#"{"db_name":"target","creation_statements":["make"],"default_ttl":"1h","max_ttl":"24h"}"#);
}
