//! What the vault knows of accounts, compared with what is at the target systems: after every step, and once everything is well again.

use super::ask::{Ask, Deed};
use super::host::{ADMIN, FROM_BEFORE, HOSTS, HostMood, ROTATED, host_of};
use super::lent::{LentBy, ROLES};
use super::outside::Mood;
use super::world::World;
use std::collections::{BTreeMap, BTreeSet};
use vault_core::testing::{Known, KnownLease, known};
use vault_core::types::{Timestamp, Ttl, Value};

/// Ticks until nothing is due any more once the targets are well: settling, six tries of a revocation, failing logins that are counted for an hour.
const WAITS_SECONDS: [u64; 14] = [0, 61, 61, 960, 960, 960, 960, 960, 960, 960, 960, 960, 960, 61];
/// Ticks after which they must be through with what is due.
const TICKS_MAX: usize = 100;
/// Longer than any lease.
const LONGEST_SECONDS: u64 = 40 * 86_400;

impl World {
    /// What the records tell, read behind the story's back: no fault strikes, and no operation is counted. None where a commit has failed that no
    /// answer has told of.
    pub fn known(&mut self) -> Option<Known> {
        match self.ground.disk.aside(|| known(&self.live().vault)) {
            Ok(known) => Some(known),
            Err(error) => {
                self.failed(error.code(), "looking at what is known");
                None
            }
        }
    }

    /// Compares what is known with what is there. It holds at every instant.
    pub fn check_accounts(&mut self) {
        let lives = self.live.as_ref().is_some_and(|live| live.poisoned.is_none());
        if !self.ground.setting.lends || !lives || self.ground.disk.is_dead() {
            return;
        }
        let Some(known) = self.known() else { return };
        let hosts = std::sync::Arc::clone(&self.ground.hosts);
        let mut by_name: BTreeMap<&str, Vec<_>> = BTreeMap::new();
        known.leases.iter().for_each(|lease| by_name.entry(&lease.username).or_default().push(lease));
        for host in 0..HOSTS {
            for (name, kept) in hosts.accounts(host) {
                if name == ADMIN || ROTATED.contains(&name.as_str()) || hosts.is_excused(&name) {
                    continue;
                }
                let leases =
                    by_name.get(name.as_str()).unwrap_or_else(|| panic!("the account {name} is at target {host}, and no lease knows it"));
                // One that is shared lasts for as long as the latest of its leases, which may be gone already, and never longer than it may live.
                let end = |lease: &&KnownLease| {
                    if is_shared(lease) {
                        self.longest(lease)
                    } else {
                        lease.asked.max(Some(lease.expires)).map_or(0, Timestamp::as_millis)
                    }
                };
                let latest = leases.iter().map(end).max().unwrap_or_default();
                assert!(kept.ends.is_none_or(|ends| ends <= latest), "an account lasts longer at its target than its lease's record tells");
            }
        }
        for lease in &known.leases {
            assert!(lease.expires <= lease.latest_end, "a lease ends after its maximum: {lease:?}");
        }
        for connection in &known.connections {
            let there = hosts.accounts(host_of(&connection.config))[ADMIN].password.clone();
            let is_known = connection.passwords.iter().any(|password| password.expose() == there);
            assert!(is_known, "the vault does not know the password of its own account");
        }
        let there = hosts.accounts(0);
        for credential in &known.credentials {
            let knows = |password: &str| credential.passwords.iter().any(|known| known.expose() == password);
            match (&credential.current, credential.usernames.as_slice()) {
                (_, [name]) if !hosts.is_excused(name) => {
                    let password = &there[name].password;
                    assert!(password == FROM_BEFORE || knows(password), "the vault does not know the password of {name}");
                }
                (Some((name, password)), [_, _]) if !hosts.is_excused(name) => {
                    assert_eq!(there[name].password, password.expose(), "of two accounts the one in use does not work");
                }
                _ => {}
            }
        }
        self.note_leases(&known.leases);
    }

    /// The end of the longest life of a shared account, which counts from its birth.
    fn longest(&self, lease: &KnownLease) -> u64 {
        let born = self.books.births.get(&lease.username).copied().unwrap_or(lease.issued.as_millis());
        born + role_of(lease).max_seconds * 1000
    }

    /// What becomes of leases, and of the accounts that several have.
    fn note_leases(&mut self, leases: &[KnownLease]) {
        let now: BTreeMap<String, String> = leases.iter().map(|lease| (lease.id.clone(), lease.username.clone())).collect();
        let stays = |name: &String| now.values().any(|other| other == name);
        let gone: Vec<(String, String)> =
            self.books.seen.iter().filter(|(id, _)| !now.contains_key(*id)).map(|(id, name)| (id.clone(), name.clone())).collect();
        for (id, name) in gone {
            if stays(&name) {
                self.coverage.hit("lease: left an account that others have");
            }
            self.books.gone.insert(id);
        }
        self.books.active.clear();
        for lease in leases.iter().filter(|lease| is_shared(lease)) {
            self.books.births.entry(lease.username.clone()).or_insert(lease.issued.as_millis());
            assert!(lease.latest_end.as_millis() <= self.longest(lease), "a lease outlasts the longest life of its account: {lease:?}");
            if lease.state == "active" {
                self.books.active.entry(lease.username.clone()).or_default().push((lease.id.clone(), lease.expires.as_millis()));
            }
        }
        let ended =
            leases.iter().filter(|lease| is_shared(lease) && lease.state != "begun" && !self.books.active.contains_key(&lease.username));
        let ended: Vec<String> = ended.map(|lease| lease.username.clone()).collect();
        self.books.closed.extend(ended);
        self.books.seen = now;
    }

    /// Everything is well for some hours: nothing is left to be done then, and whatever is lent works.
    pub fn calm(&mut self) {
        if !self.ground.setting.lends || self.live().poisoned.is_some() || self.ground.disk.is_dead() {
            return;
        }
        self.all_is_well();
        self.wait_and_tick();
        self.connect_anew();
        for _ in 0..2 {
            let Some(known) = self.known() else { return };
            for lease in known.leases.iter().filter(|lease| lease.state == "irrevocable") {
                self.coverage.hit("lease: was irrevocable");
                let _outcome = self.ask(Some(0), &Ask::Lease { deed: Deed::Revoke { sync: true }, id: lease.id.clone() }, u64::MAX);
            }
            let stuck: Vec<u8> =
                (0..2).filter(|role| known.credentials.iter().any(|other| is_of(other, *role) && other.needs_attention)).collect();
            for role in &stuck {
                self.coverage.hit("static role: needed attention");
                let _outcome = self.ask(Some(0), &Ask::Rotate { role: *role, wish: 2 }, u64::MAX);
            }
            // One whose first run was rolled back has none to go back to: an operator wants another run.
            let bare: Vec<u8> = (0..2)
                .filter(|role| {
                    known.credentials.iter().any(|other| is_of(other, *role) && !other.needs_attention && other.current.is_none())
                })
                .collect();
            for role in &bare {
                self.coverage.hit("static role: had no password");
                let _outcome = self.ask(Some(0), &Ask::Rotate { role: *role, wish: 0 }, u64::MAX);
            }
            // One that was given up may have been set by a late target: an operator lets that be found out.
            for connection in known.connections.iter().filter(|connection| connection.passwords.len() > 1) {
                self.coverage.hit("connection: a password was in doubt");
                let host = host_of(&connection.config) as u8;
                self.ask(Some(0), &Ask::SettleRoot { host }, u64::MAX).expect("one of the passwords works");
            }
            self.wait_and_tick();
        }
        self.check_accounts();
        self.books.uneasy = false;
        self.check_settled();
        self.coverage.hit("outcome: all was well for some hours");
    }

    /// An operator writes the connection that is missing where accounts are left of a deleted one, whose own account may have another password since.
    fn connect_anew(&mut self) {
        for host in 0..HOSTS as u8 {
            let waits =
                self.known().is_some_and(|known| known.leases.iter().any(|lease| lease.state != "active" && host_of_lease(lease) == host));
            if waits && !self.is_connected(host) {
                self.ground.hosts.let_all_arrive();
                let password = self.ground.hosts.accounts(usize::from(host))[ADMIN].password.clone();
                self.coverage.hit("connection: written for what a deleted one has left");
                self.ask(Some(0), &Ask::Connect { host, password }, u64::MAX).expect("all is well");
            }
        }
    }

    fn all_is_well(&mut self) {
        self.ground.disk.heal();
        self.ground.anchor.iter().for_each(|anchor| anchor.fail(None));
        self.ground.sinks.iter().for_each(|sink| sink.set(Mood::Well));
        (0..HOSTS).for_each(|host| self.ground.hosts.set(host, HostMood::Well));
        self.ground.hosts.begin_step();
    }

    fn wait_and_tick(&mut self) {
        for seconds in WAITS_SECONDS {
            self.ground.clock.advance(Ttl::from_secs(seconds));
            self.ground.hosts.arrive();
            let through = (0..TICKS_MAX).any(|_| self.tick());
            assert!(through, "ticks never come to an end");
        }
    }

    /// Nothing waits, and whatever is lent works.
    fn check_settled(&mut self) {
        let (known, now) = (self.known().expect("a healthy vault knows what it knows"), self.now());
        let hosts = std::sync::Arc::clone(&self.ground.hosts);
        for lease in &known.leases {
            let rests = lease.state == "active" && lease.asked.is_none() && lease.expires.as_millis() > now;
            assert!(rests, "all was well for hours, and this lease still waits at {now}: {lease:?}");
        }
        let active: BTreeSet<&str> = known.leases.iter().map(|lease| lease.username.as_str()).collect();
        let there: Vec<_> = (0..HOSTS).map(|host| hosts.accounts(host)).collect();
        for name in there.iter().flat_map(BTreeMap::keys) {
            let is_lent = name != ADMIN && !ROTATED.contains(&name.as_str());
            assert!(!is_lent || active.contains(name.as_str()) || hosts.is_excused(name), "the account {name} is left behind");
        }
        for lent in self.books.lent.iter().filter(|lent| self.must_hold(lent)) {
            let works = there.iter().any(|accounts| accounts.get(&lent.username).is_some_and(|kept| kept.password == lent.password));
            assert!(active.contains(lent.username.as_str()), "a lease that holds has no record");
            assert!(works || hosts.is_excused(&lent.username), "the account of a lease that holds does not work: {}", lent.username);
        }
        for connection in &known.connections {
            let password = &there[host_of(&connection.config)][ADMIN].password;
            assert!(!connection.is_changing, "all was well for hours, and a connection's password is still in doubt");
            assert_eq!(connection.passwords[0].expose(), password, "the connection's password does not work");
        }
        for credential in known.credentials.iter().filter(|credential| credential.usernames.iter().all(|name| !hosts.is_excused(name))) {
            assert!(!credential.needs_attention, "all was well for hours, and a rotation needs attention");
            let (name, password) = credential.current.as_ref().expect("all was well for hours, and a static role has no password");
            assert_eq!(there[0][name].password, password.expose(), "the password that readers are given does not work");
        }
    }

    /// The end of a story: whatever was lent ends by its longest time, and each end is in the log.
    pub fn end_lending(&mut self) {
        if !self.ground.setting.lends {
            return;
        }
        self.calm();
        // The clock may have been set back since the last was lent.
        let known = self.known().expect("a healthy vault knows what it knows");
        let latest = known.leases.iter().map(|lease| lease.latest_end.as_millis()).max().unwrap_or_default();
        self.ground.clock.set(Timestamp::from_millis(self.now().max(latest)));
        self.ground.clock.advance(Ttl::from_secs(LONGEST_SECONDS));
        self.wait_and_tick();
        self.check_accounts();
        self.check_settled();
        assert!(self.known().is_some_and(|known| known.leases.is_empty()), "a lease has outlived its longest time");
    }

    /// Each lease that has gone has the record of its end, and each that was answered that of its grant.
    pub fn check_log_of_leases(&self, lines: &BTreeMap<u64, String>) {
        let mut told: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for line in lines.values() {
            let event = Value::from_json(line.as_bytes()).expect("a line is JSON");
            let text = |name: &str| event.get(name).and_then(Value::as_str).map(str::to_owned);
            if let (Some(id), Some(operation)) = (text("lease_id"), text("operation")) {
                told.entry(id).or_default().insert(operation);
            }
        }
        let has = |id: &String, operation: &str| told.get(id).is_some_and(|operations| operations.contains(operation));
        for id in &self.books.gone {
            assert!(has(id, "revoke") || has(id, "roll-back"), "the end of {id} is not in the log");
        }
        for lent in &self.books.lent {
            assert!(has(&lent.id, "read"), "the grant of {} is not in the log", lent.id);
        }
    }
}

/// The role that a lease's account was made by.
fn role_of(lease: &KnownLease) -> &'static LentBy {
    let name = lease.id.split('/').nth(2).unwrap_or_default();
    ROLES.iter().find(|role| role.name == name).expect("a lease's id begins with its role's path")
}

fn host_of_lease(lease: &KnownLease) -> u8 {
    role_of(lease).host as u8
}

fn is_shared(lease: &KnownLease) -> bool {
    role_of(lease).is_shared
}

/// Whether that is the credential of a static role.
fn is_of(credential: &vault_core::testing::KnownCredential, role: u8) -> bool {
    credential.usernames.len() == usize::from(role) + 1
}
