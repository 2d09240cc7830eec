//! A story: the steps that a seed decides, and the vault's settings in it.

use super::ask::{Ask, At, Deed, Fate, WISHES};
use super::disk::{Death, Fault};
use super::host::{HOST_MOODS, HOSTS, HostMood};
use super::lent::SHARED_ROLE;
use super::numbers::Numbers;
use super::outside::{AnchorFault, MOODS, Mood};
use super::rules::{PATHS, Rule};
use std::fmt;

/// Tokens that a story holds at a time, the root token included; one more is a token that no vault has made.
pub const HOLDERS: u8 = 6;

/// Tokens of entities, two of each, which share accounts; they stand behind the others.
pub const REPLICAS: u8 = 4;

/// When stories begin.
pub const BEGINNING_SECONDS: u64 = 1_795_457_040;

/// How far clocks are set from there in stories with leases.
const CLOCK_SECONDS_MAX: u64 = 2 * 365 * 86_400;

/// Where the machine dies: so many operations from now, the last of which may still be carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dies {
    pub after: u64,
    pub carried_out: bool,
    pub death: Death,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// A session asks; a fresh one knows nothing of the requests before.
    Ask {
        who: u8,
        fresh: bool,
        ask: Ask,
    },
    Forward {
        millis: u64,
    },
    SetClock {
        seconds: u64,
    },
    Tick,
    /// A target system does otherwise from now on.
    Host {
        number: u8,
        mood: HostMood,
    },
    /// A session asks for something about one of the leases that were granted last.
    Lease {
        who: u8,
        which: u8,
        deed: Deed,
    },
    /// The root token writes the connection to a target, with the password that the vault's account has there.
    Connect {
        host: u8,
    },
    /// Everything is well for some hours.
    Calm,
    /// The vault is sealed and unsealed again.
    Seal,
    /// A rekey gives key shares; other slots stay where it keeps the root key.
    Rekey {
        keep: bool,
    },
    RemoveSlot,
    Sink {
        number: u8,
        mood: Mood,
    },
    Anchor(AnchorFault),
    /// The operation of that kind after so many more fails.
    Fails {
        fault: Fault,
        after: u64,
    },
    /// The device has room for so many bytes more; later there is room again.
    Full {
        room: usize,
    },
    Room,
    Dies(Dies),
    /// The process dies between two steps, and perhaps again while it recovers.
    Crash {
        death: Death,
        again: Option<Dies>,
    },
    /// The vault is closed in an orderly way and opened again.
    Close,
    /// The store is copied, to be put back later.
    Copy,
    /// The copy is put in the place of the store.
    PutBack,
    /// A backup is restored elsewhere and adopted: the story goes on there. Before that another restore may die.
    Move {
        dies: Option<Dies>,
    },
}

/// How the vault of a story is set up.
#[derive(Clone, Copy, Debug)]
pub struct Setting {
    pub seed: u64,
    pub strict: bool,
    /// Seconds between two advances of the anchor, if there is one.
    pub anchor: Option<u64>,
    pub sinks: u64,
    pub tail_bytes: u64,
    /// There are target systems, whose accounts are lent and rotated.
    pub lends: bool,
    pub planted: Planted,
}

/// Bugs that are planted to see that they are found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Planted {
    #[default]
    Nothing,
    /// The storage acknowledges each commit of a number that this one divides without having synced it.
    Unsynced(u64),
    /// The model lets a denial take nothing away.
    Lenient,
}

impl Setting {
    pub fn of(seed: u64) -> Self {
        let numbers = Numbers::new(seed ^ 0x5E77);
        Setting {
            seed,
            strict: numbers.once_in(3),
            anchor: *numbers.pick(&[None, Some(0), Some(60)]),
            sinks: 1 + numbers.below(2),
            tail_bytes: *numbers.pick(&[1024, 2048, 8192]),
            lends: !numbers.once_in(4),
            planted: Planted::Nothing,
        }
    }
}

/// The story of a seed.
pub fn story(seed: u64, steps: u64) -> Vec<Step> {
    let numbers = Numbers::new(seed);
    let mut all = opening(&numbers);
    let lends = Setting::of(seed).lends;
    if lends {
        // Two tokens of one entity, and one of another: there is somebody to share with.
        all.extend([0, 1, 2].map(|number| make_replica(&numbers, number)));
    }
    all.extend((0..steps).map(|number| if lends && numbers.once_in(3) { lending(&numbers) } else { step(&numbers, number) }));
    for step in all.iter_mut().filter(|_| lends) {
        // A tick looks through the buckets of six years at most, so that decades would take many, and say little more.
        if let Step::SetClock { seconds } = step {
            *seconds = (*seconds).clamp(BEGINNING_SECONDS - CLOCK_SECONDS_MAX, BEGINNING_SECONDS + CLOCK_SECONDS_MAX);
        }
    }
    all.truncate(usize::try_from(steps).expect("a short story"));
    all
}

/// What makes the rest worth telling: policies, tokens under them, a second mount.
fn opening(numbers: &Numbers) -> Vec<Step> {
    let by_root = |ask| Step::Ask { who: 0, fresh: false, ask };
    let mut steps = vec![by_root(Ask::WritePolicy { name: 0, rules: rules(numbers) }), by_root(make_token(numbers, 1, false))];
    if numbers.once_in(2) {
        steps.push(by_root(Ask::Mount { mount: 1 }));
    }
    steps
}

fn step(numbers: &Numbers, number: u64) -> Step {
    match numbers.below(200) {
        0..=118 => {
            // Root every other time, and now and then a token that was never made.
            let who = if numbers.once_in(2) { 0 } else { 1 + numbers.below(u64::from(HOLDERS)) as u8 };
            Step::Ask { who, fresh: numbers.once_in(8), ask: ask(numbers, number, who) }
        }
        119..=135 => Step::Forward { millis: *numbers.pick(&[1, 30, 60, 500, 1_000, 60_000, 3_600_000]) },
        136..=138 => Step::Forward { millis: numbers.below(if numbers.once_in(20) { 100_000_000_000 } else { 3_000_000_000 }) },
        139..=141 if numbers.once_in(20) => Step::SetClock { seconds: numbers.below(3_000_000_000) },
        139..=140 => Step::SetClock { seconds: BEGINNING_SECONDS - 14_400 + 1_800 * numbers.below(17) },
        141 => Step::SetClock { seconds: BEGINNING_SECONDS - 1_000_000 + numbers.below(4_000_000) },
        142..=157 => Step::Tick,
        158..=160 => Step::Seal,
        161 => Step::Rekey { keep: numbers.once_in(2) },
        162..=163 => Step::RemoveSlot,
        164..=169 => Step::Sink { number: numbers.below(2) as u8, mood: *numbers.pick(&MOODS) },
        170..=172 => Step::Anchor(*numbers.pick(&[AnchorFault::Lost, AnchorFault::Stored, AnchorFault::Unreadable])),
        173..=177 => {
            let fault = *numbers.pick(&[Fault::Sync, Fault::SyncDirectory, Fault::Write, Fault::Read]);
            Step::Fails { fault, after: numbers.below(6) }
        }
        178..=179 => Step::Full { room: numbers.index(6_000) },
        180..=181 => Step::Room,
        182..=185 => Step::Dies(dies(numbers, 60)),
        186..=190 => Step::Crash { death: death(numbers), again: numbers.once_in(2).then(|| dies(numbers, 40)) },
        191..=192 => Step::Close,
        193..=195 => Step::Copy,
        196..=198 => Step::PutBack,
        199 => Step::Move { dies: numbers.once_in(2).then(|| dies(numbers, 30)) },
        _ => unreachable!("below 200"),
    }
}

/// A step about an account that tokens of an entity share.
fn sharing(numbers: &Numbers) -> Step {
    let number = numbers.below(u64::from(REPLICAS)) as u8;
    let slot = HOLDERS + 1 + number;
    let by = |who, ask| Step::Ask { who, fresh: false, ask };
    let lease = |deed| Step::Lease { who: slot, which: numbers.below(4) as u8, deed };
    match numbers.below(100) {
        0..=14 => make_replica(numbers, number),
        15..=66 => by(slot, Ask::Creds { role: SHARED_ROLE }),
        67..=76 => lease(Deed::Renew { increment: *numbers.pick(&[0, 0, 30, 1_200, 50_000]) }),
        77..=79 => lease(Deed::LookUp),
        80..=86 => lease(Deed::Revoke { sync: numbers.once_in(2) }),
        87..=91 => by(slot, Ask::RevokeSelf),
        92 => by(0, Ask::EndLeases { role: numbers.once_in(2).then_some(SHARED_ROLE), sync: numbers.once_in(2) }),
        93..=95 => Step::Forward { millis: *numbers.pick(&[300_000, 900_000, 1_800_000]) },
        // One of no entity is given no such account.
        96 => by(numbers.below(2) as u8, Ask::Creds { role: SHARED_ROLE }),
        _ => Step::Host { number: 0, mood: if numbers.once_in(2) { HostMood::Well } else { *numbers.pick(&HOST_MOODS) } },
    }
}

/// A token of an entity, two for each.
fn make_replica(numbers: &Numbers, number: u8) -> Step {
    let ttl = *numbers.pick(&[None, None, None, Some(900), Some(7_200)]);
    Step::Ask { who: 0, fresh: false, ask: Ask::MakeReplica { entity: number / 2, ttl, slot: HOLDERS + 1 + number } }
}

/// A step about accounts at target systems.
fn lending(numbers: &Numbers) -> Step {
    if numbers.once_in(2) {
        return sharing(numbers);
    }
    let who = if numbers.once_in(3) { 1 + numbers.below(u64::from(HOLDERS)) as u8 } else { 0 };
    let (host, role) = (numbers.below(HOSTS as u64) as u8, numbers.below(2) as u8);
    let by = |who, ask| Step::Ask { who, fresh: numbers.once_in(8), ask };
    let lease = |deed| Step::Lease { who, which: numbers.below(5) as u8, deed };
    match numbers.below(100) {
        0..=26 => by(who, Ask::Creds { role }),
        27..=41 => lease(Deed::Renew { increment: *numbers.pick(&[0, 0, 30, 1_200, 50_000, 1_000_000]) }),
        42..=46 => lease(Deed::LookUp),
        47..=53 => lease(Deed::Revoke { sync: numbers.once_in(2) }),
        54..=55 => by(who, Ask::EndLeases { role: numbers.once_in(2).then_some(role), sync: numbers.once_in(2) }),
        56..=74 => Step::Host { number: host, mood: if numbers.once_in(3) { HostMood::Well } else { *numbers.pick(&HOST_MOODS) } },
        75..=77 => by(0, Ask::Enrol { role }),
        78..=81 => by(who, Ask::StaticCreds { role }),
        82..=87 => by(0, Ask::Rotate { role, wish: numbers.index(WISHES.len()) as u8 }),
        88..=90 => by(0, Ask::RotateRoot { host }),
        91 => by(0, Ask::SettleRoot { host }),
        92..=94 => Step::Connect { host },
        95..=96 => by(0, Ask::Disconnect { host }),
        _ => Step::Calm,
    }
}

fn death(numbers: &Numbers) -> Death {
    *numbers.pick(&[Death::Kill, Death::PowerCut])
}

fn dies(numbers: &Numbers, within: u64) -> Dies {
    Dies { after: numbers.below(within), carried_out: numbers.once_in(2), death: death(numbers) }
}

fn ask(numbers: &Numbers, number: u64, who: u8) -> Ask {
    let at = At { mount: u8::from(numbers.once_in(4)), key: numbers.below(4) as u8 };
    let name = numbers.below(3) as u8;
    match numbers.below(100) {
        0..=14 => Ask::Get { at, version: if numbers.once_in(2) { 0 } else { numbers.below(5) } },
        15..=33 => Ask::Put { at, value: number, cas: None },
        34..=40 => Ask::Put { at, value: number, cas: Some(numbers.below(4)) },
        41..=44 => Ask::Delete { at },
        45..=53 => {
            let versions = (0..1 + numbers.below(2)).map(|_| 1 + numbers.below(4)).collect();
            Ask::Change { at, versions, fate: *numbers.pick(&[Fate::Delete, Fate::Undelete, Fate::Undelete, Fate::Destroy]) }
        }
        54..=57 => Ask::Metadata { at },
        58..=59 => Ask::Forget { at },
        60..=64 => Ask::List { mount: at.mount, folder: numbers.below(3) as u8 },
        65..=74 => make_token(numbers, 1 + numbers.below(u64::from(HOLDERS - 1)) as u8, true),
        75..=76 if who != 0 => Ask::RevokeSelf,
        77..=79 => Ask::LookUpSelf,
        80..=87 => Ask::WritePolicy { name, rules: rules(numbers) },
        88 => Ask::DeletePolicy { name },
        89 => Ask::ReadPolicy { name },
        90 => Ask::ListPolicies,
        91..=93 => Ask::Mount { mount: at.mount },
        94 if numbers.once_in(2) => Ask::AddSlot { key: 1 + numbers.below(3) as u8 },
        94 => Ask::Roll,
        95 => Ask::Retain { seconds: *numbers.pick(&[0, 60, 86_400]) },
        96 => Ask::Prune { before: numbers.below(200) },
        97 => Ask::AddSlot { key: 1 + numbers.below(3) as u8 },
        98 => Ask::Slots,
        _ => Ask::LookUpSelf,
    }
}

fn make_token(numbers: &Numbers, slot: u8, any: bool) -> Ask {
    let mut policies: Vec<u8> = (0..3).filter(|_| numbers.once_in(2)).collect();
    if !any || (policies.is_empty() && !numbers.once_in(4)) {
        policies = vec![0];
    }
    let ttl = *numbers.pick(&[None, None, Some(1), Some(60), Some(3_600), Some(7_200), Some(86_400), Some(9_000_000)]);
    Ask::MakeToken { policies, ttl, no_default: numbers.once_in(5), slot }
}

fn rules(numbers: &Numbers) -> Vec<Rule> {
    let mut rules: Vec<Rule> = Vec::new();
    for _ in 0..1 + numbers.below(5) {
        let path = *numbers.pick(&PATHS);
        let capabilities = match numbers.below(10) {
            0 => 0b100_0000 | numbers.below(64) as u8,
            1..=4 => 1 + numbers.below(63) as u8,
            _ => 0b1_1111,
        };
        if rules.iter().all(|rule| rule.path != path) {
            rules.push(Rule { path, capabilities });
        }
    }
    rules
}

impl Step {
    pub fn name(&self) -> String {
        match self {
            Step::Ask { ask, .. } => format!("ask: {}", ask.name()),
            Step::Forward { .. } => "step: the clock goes on".to_owned(),
            Step::SetClock { .. } => "step: the clock is set".to_owned(),
            Step::Tick => "step: tick".to_owned(),
            Step::Host { mood, .. } => format!("step: a target becomes {mood:?}"),
            Step::Lease { deed, .. } => format!("ask: {}", Ask::Lease { deed: *deed, id: String::new() }.name()),
            Step::Connect { .. } => "ask: write a connection".to_owned(),
            Step::Calm => "step: all is well for some hours".to_owned(),
            Step::Seal => "step: seal and unseal".to_owned(),
            Step::Rekey { .. } => "step: rekey".to_owned(),
            Step::RemoveSlot => "step: remove a slot".to_owned(),
            Step::Sink { mood, .. } => format!("step: a sink becomes {mood:?}"),
            Step::Anchor(fault) => format!("step: the anchor fails: {fault:?}"),
            Step::Fails { fault, .. } => format!("step: fails: {fault:?}"),
            Step::Full { .. } => "step: the device fills".to_owned(),
            Step::Room => "step: there is room".to_owned(),
            Step::Dies(_) => "step: dies soon".to_owned(),
            Step::Crash { death, again } => {
                format!("step: crash by {death:?}{}", if again.is_some() { ", and again in recovery" } else { "" })
            }
            Step::Close => "step: close and open".to_owned(),
            Step::Copy => "step: copy the store".to_owned(),
            Step::PutBack => "step: put the copy back".to_owned(),
            Step::Move { .. } => "step: move by backup".to_owned(),
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Step::Ask { who, fresh, ask } = self else { return write!(f, "{self:?}") };
        let asked = ask.to_request();
        let data = asked.data.map_or(String::new(), |data| format!(" {}", String::from_utf8_lossy(&data.to_json())));
        let fresh = if *fresh { "a fresh session of " } else { "" };
        write!(f, "{fresh}holder {who}: {} {}{data}", asked.operation.name(), asked.path)?;
        if let Ask::MakeToken { slot, .. } | Ask::MakeReplica { slot, .. } = ask { write!(f, ", for holder {slot}") } else { Ok(()) }
    }
}
