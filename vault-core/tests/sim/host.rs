//! Target systems with accounts, which outlive the vault's process: slow, refusing, cut off, late, and lying.

use super::disk::Disk;
use super::numbers::Numbers;
use super::outside::millis;
use parking_lot::Mutex;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Weak};
use vault_core::host::{Account, Connector, ConnectorError, ConnectorFailure, ManualClock, NewAccount, Target};
use vault_core::types::{SecretString, Timestamp, Ttl, Value};

/// What the connector is called.
pub const PLUGIN: &str = "sim";
/// The account of the vault's own at each of them.
pub const ADMIN: &str = "vaultadmin";
/// The password with which accounts begin that the vault has not made.
pub const FROM_BEFORE: &str = "from-before";
/// Accounts at the first of them whose passwords the vault rotates.
pub const ROTATED: [&str; 3] = ["app", "app-a", "app-b"];
pub const HOSTS: usize = 2;

/// A call that was lost arrives within this time, in milliseconds: the documentation gives it 60 seconds.
const LATE_MILLIS_MAX: u64 = 50_000;

/// How a target system does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HostMood {
    Well,
    Refuses,
    /// Nothing reaches it.
    Away,
    /// It does what it is asked, and the answer is lost.
    LostDone,
    /// It does nothing, and no answer comes.
    LostUndone,
    /// The connection breaks: it has done it or not.
    Breaks,
    /// No answer comes, and what was asked arrives some seconds later.
    Late,
    /// It takes its time, while somebody else lets the vault tick.
    Slow,
    /// It says that it did it, and did not.
    LiesDone,
    /// It says that it refused, and did it.
    LiesRefused,
    /// With each call another of these.
    Moody,
}

pub const HOST_MOODS: [HostMood; 11] = [
    HostMood::Well,
    HostMood::Refuses,
    HostMood::Away,
    HostMood::LostDone,
    HostMood::LostUndone,
    HostMood::Breaks,
    HostMood::Late,
    HostMood::Slow,
    HostMood::LiesDone,
    HostMood::LiesRefused,
    HostMood::Moody,
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Duty {
    Check,
    Create,
    Renew,
    Revoke,
    SetPassword,
    Test,
}

/// An account at a target system.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    pub password: String,
    /// When the target system would end it itself, in milliseconds.
    pub ends: Option<u64>,
}

/// What was asked.
#[derive(Clone)]
struct Asked {
    host: usize,
    duty: Duty,
    name: String,
    password: String,
    ends: Option<u64>,
}

#[derive(Clone)]
struct Late {
    asked: Asked,
    since: u64,
    due: u64,
}

#[derive(Clone)]
struct State {
    hosts: [BTreeMap<String, Kept>; HOSTS],
    moods: [HostMood; HOSTS],
    late: Vec<Late>,
    lied: BTreeSet<String>,
    /// Something went otherwise than it should have in this step.
    troubled: bool,
    /// The vault was let tick while a call was under way.
    ticked: bool,
    calls: BTreeMap<String, u64>,
}

pub type Meanwhile = Box<dyn Fn() + Send>;

/// All target systems, behind one connector.
pub struct Hosts {
    state: Mutex<State>,
    numbers: Numbers,
    clock: Arc<ManualClock>,
    /// The machine on which the vault runs: where it is dead nobody asks, and nobody hears an answer.
    pub disk: Mutex<Weak<Disk>>,
    pub meanwhile: Mutex<Option<Meanwhile>>,
}

impl Hosts {
    pub fn new(seed: u64, clock: Arc<ManualClock>) -> Self {
        let kept = || Kept { password: FROM_BEFORE.to_owned(), ends: None };
        let admin = || BTreeMap::from([(ADMIN.to_owned(), kept())]);
        let mut hosts = [admin(), admin()];
        hosts[0].extend(ROTATED.map(|name| (name.to_owned(), kept())));
        let moods = [HostMood::Well; HOSTS];
        let state = State { hosts, moods, late: Vec::new(), lied: BTreeSet::new(), troubled: false, ticked: false, calls: BTreeMap::new() };
        Hosts { state: Mutex::new(state), numbers: Numbers::new(seed), clock, disk: Mutex::default(), meanwhile: Mutex::default() }
    }

    pub fn fork(&self, clock: Arc<ManualClock>) -> Self {
        let state = Mutex::new(self.state.lock().clone());
        Hosts { state, numbers: self.numbers.fork(), clock, disk: Mutex::default(), meanwhile: Mutex::default() }
    }

    pub fn set(&self, host: usize, mood: HostMood) {
        self.state.lock().moods[host] = mood;
    }

    /// A new step begins: what was late may arrive, and what went wrong before excuses nothing in it.
    pub fn begin_step(&self) {
        self.arrive();
        let mut state = self.state.lock();
        (state.troubled, state.ticked) = (false, false);
    }

    pub fn is_troubled(&self) -> bool {
        self.state.lock().troubled
    }

    pub fn has_ticked(&self) -> bool {
        self.state.lock().ticked
    }

    /// The accounts of one of them.
    pub fn accounts(&self, host: usize) -> BTreeMap<String, Kept> {
        self.state.lock().hosts[host].clone()
    }

    /// Whether the vault was told of an account what it cannot find out.
    pub fn is_excused(&self, name: &str) -> bool {
        self.state.lock().lied.contains(name)
    }

    pub fn calls(&self) -> BTreeMap<String, u64> {
        self.state.lock().calls.clone()
    }

    /// What was lost arrives once its time has come, and before a clock is set that would hide that.
    pub fn arrive(&self) {
        self.arrive_by(millis(&self.clock));
    }

    /// Nothing is on its way any more.
    pub fn let_all_arrive(&self) {
        self.arrive_by(u64::MAX);
    }

    fn arrive_by(&self, now: u64) {
        let mut state = self.state.lock();
        let (arrives, waits) = std::mem::take(&mut state.late).into_iter().partition(|late| now >= late.due || now < late.since);
        state.late = waits;
        let arrives: Vec<Late> = arrives;
        for late in arrives {
            *state.calls.entry("host: what was lost arrived".to_owned()).or_default() += 1;
            let _outcome = carry_out(&mut state, &late.asked);
        }
    }

    /// Whether the vault's machine still runs: a call, and its answer, each count as an operation at which it may die.
    fn is_running(&self) -> bool {
        self.disk.lock().upgrade().is_some_and(|disk| disk.outside().is_ok())
    }

    fn run(&self, duty: Duty, target: &Target<'_>, (name, password): (&str, &str), ends: Option<Timestamp>) -> Result<(), ConnectorError> {
        let failed = |failure| Err(ConnectorError::new(failure, "as the story wants it"));
        if !self.is_running() {
            return failed(ConnectorFailure::Unknown);
        }
        self.arrive();
        let host = host_of(target.config);
        let asked = Asked {
            host,
            duty,
            name: name.to_owned(),
            password: password.to_owned(),
            ends: ends.map(Timestamp::as_millis).filter(|_| matches!(duty, Duty::Create | Duty::Renew)),
        };
        let mood = self.mood(host, duty);
        if mood == HostMood::Slow {
            self.take_time();
        }
        let mut state = self.state.lock();
        let logged_in =
            duty == Duty::Test || state.hosts[host].get(target.username).is_some_and(|kept| kept.password == target.password.expose());
        let is_rotated = ROTATED.contains(&name);
        let outcome = match mood {
            HostMood::Away => failed(ConnectorFailure::Unreachable),
            _ if !logged_in => failed(ConnectorFailure::Unauthenticated),
            HostMood::Refuses => failed(ConnectorFailure::Refused),
            HostMood::LostUndone => failed(ConnectorFailure::Unknown),
            HostMood::LostDone => carry_out(&mut state, &asked).and(failed(ConnectorFailure::Unknown)),
            HostMood::Late => {
                let since = millis(&self.clock);
                state.late.push(Late { asked, since, due: since + 1 + self.numbers.below(LATE_MILLIS_MAX) });
                failed(ConnectorFailure::Unknown)
            }
            HostMood::LiesDone => {
                if matches!(duty, Duty::Create | Duty::Renew | Duty::Revoke) {
                    state.lied.insert(name.to_owned());
                }
                Ok(())
            }
            HostMood::LiesRefused => {
                if matches!(duty, Duty::Create | Duty::Renew) || is_rotated {
                    state.lied.insert(name.to_owned());
                }
                carry_out(&mut state, &asked).and(failed(ConnectorFailure::Refused))
            }
            HostMood::Well | HostMood::Slow | HostMood::Breaks | HostMood::Moody => carry_out(&mut state, &asked),
        };
        drop(state);
        if self.is_running() { outcome } else { failed(ConnectorFailure::Unknown) }
    }

    /// How the target does in this call.
    fn mood(&self, host: usize, duty: Duty) -> HostMood {
        let mut state = self.state.lock();
        let mut mood = state.moods[host];
        if mood == HostMood::Moody {
            mood = *self.numbers.pick(&HOST_MOODS[..10]);
        }
        if mood == HostMood::Breaks {
            mood = if self.numbers.once_in(2) { HostMood::LostDone } else { HostMood::LostUndone };
        }
        // Whether a login works it tells truly, as the documentation presumes.
        if matches!(duty, Duty::Test | Duty::Check) && matches!(mood, HostMood::LiesDone | HostMood::LiesRefused | HostMood::Late) {
            mood = HostMood::Well;
        }
        if mood != HostMood::Well {
            state.troubled = true;
        }
        *state.calls.entry(format!("host: {mood:?} when asked for {duty:?}")).or_default() += 1;
        mood
    }

    fn take_time(&self) {
        self.clock.advance(Ttl::from_secs(1 + self.numbers.below(90)));
        // Once at a time: whoever is let do something meanwhile has nobody beside.
        let meanwhile = self.meanwhile.lock().take();
        if let Some(meanwhile) = meanwhile {
            if self.numbers.once_in(2) {
                self.state.lock().ticked = true;
                meanwhile();
            }
            self.meanwhile.lock().get_or_insert(meanwhile);
        }
    }
}

/// The target system that a configuration leads to.
pub fn host_of(config: &Value) -> usize {
    let url = config.get("connection_url").and_then(Value::as_str).unwrap_or_default();
    usize::from(url.ends_with("@h1"))
}

fn carry_out(state: &mut State, asked: &Asked) -> Result<(), ConnectorError> {
    let accounts = &mut state.hosts[asked.host];
    let failed = |failure| Err(ConnectorError::new(failure, "there is no such account, or it has another password"));
    match asked.duty {
        Duty::Check => {}
        Duty::Create => drop(accounts.insert(asked.name.clone(), Kept { password: asked.password.clone(), ends: asked.ends })),
        Duty::Revoke => drop(accounts.remove(&asked.name)),
        Duty::Renew => match accounts.get_mut(&asked.name) {
            Some(kept) => kept.ends = asked.ends,
            None => return failed(ConnectorFailure::Refused),
        },
        Duty::SetPassword => match accounts.get_mut(&asked.name) {
            Some(kept) => kept.password.clone_from(&asked.password),
            None => return failed(ConnectorFailure::Refused),
        },
        Duty::Test if accounts.get(&asked.name).is_none_or(|kept| kept.password != asked.password) => {
            return failed(ConnectorFailure::Unauthenticated);
        }
        Duty::Test => {}
    }
    Ok(())
}

impl Connector for Hosts {
    fn name(&self) -> &str {
        PLUGIN
    }

    fn check(&self, target: &Target<'_>, verify: bool) -> Result<(), ConnectorError> {
        if verify { self.run(Duty::Check, target, ("", ""), None) } else { Ok(()) }
    }

    fn create(&self, target: &Target<'_>, new: &NewAccount<'_>) -> Result<(), ConnectorError> {
        self.run(Duty::Create, target, (new.account.username, new.password.expose()), new.expires)
    }

    fn renew(&self, target: &Target<'_>, account: &Account<'_>, expires: Timestamp) -> Result<(), ConnectorError> {
        self.run(Duty::Renew, target, (account.username, ""), Some(expires))
    }

    fn revoke(&self, target: &Target<'_>, account: &Account<'_>) -> Result<(), ConnectorError> {
        self.run(Duty::Revoke, target, (account.username, ""), None)
    }

    fn set_password(&self, target: &Target<'_>, account: &Account<'_>, password: &SecretString) -> Result<(), ConnectorError> {
        self.run(Duty::SetPassword, target, (account.username, password.expose()), None)
    }

    fn test(&self, target: &Target<'_>, username: &str, password: &SecretString) -> Result<(), ConnectorError> {
        self.run(Duty::Test, target, (username, password.expose()), None)
    }

    fn forget(&self, _id: &[u8; 16]) {}
}
