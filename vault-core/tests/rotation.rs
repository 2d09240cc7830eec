//! Every world that a rotation can come into with so many faults, and long random lives: the rules of `rotation/rules.rs` hold in each.
//!
//! `LIBVAULT_ROTATION_FAULTS` says how many faults are explored, `LIBVAULT_ROTATION_RUNS` how many random lives; `LIBVAULT_SEED` is the first
//! one's seed.
#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::print_stderr,
    unreachable_pub,
    reason = "a test fails by panicking, and tells its seed"
)]

#[path = "rotation/rules.rs"]
mod rules;
#[path = "rotation/world.rs"]
mod world;

use rules::Broken;
use std::collections::{HashSet, VecDeque};
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
use vault_core::host::ConnectorFailure as Failure;
use vault_core::rotation::{Finish, Input, Phase, Plan, Retire, Strategy, Task};
use world::{Done, Move, Sabotage, World, slot_index};

const FAULTS_DEFAULT: u32 = 3;
const RUNS_OF_ROTATION: u32 = 2;
const RUNS_DEFAULT: u64 = 2_000;
const MOVES_OF_LIFE: u32 = 120;
/// Asks after which a rotation that keeps failing must have stopped.
const ASKS_UNTIL_STOP: u32 = 40;

fn strategies() -> [(&'static str, Plan); 5] {
    let plan =
        |strategy| Plan { grace_seconds: 600, attempts_max: 2, backoff_first_seconds: 10, backoff_max_seconds: 20, ..Plan::new(strategy) };
    [
        ("one account", plan(Strategy::SingleAccount { by_itself: false })),
        ("one account by itself", plan(Strategy::SingleAccount { by_itself: true })),
        ("two accounts, closed", plan(Strategy::TwoAccounts { retire: Retire::Close })),
        ("two accounts, kept", plan(Strategy::TwoAccounts { retire: Retire::Keep })),
        ("no target", plan(Strategy::GenerateAndStore)),
    ]
}

fn number_from(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap())
}

/// All worlds, breadth first; the way to the first that breaks a rule. A world that was seen is known by 64 bits of a hash.
fn explore(plan: &Plan, sabotage: Sabotage, start: World) -> Result<usize, Broken> {
    let hasher = BuildHasherDefault::<DefaultHasher>::default();
    let mut seen: HashSet<u64> = HashSet::new();
    let mut waiting = VecDeque::from([(start, Vec::new())]);
    while let Some((world, way)) = waiting.pop_front() {
        let told = |broken: Broken, last: Option<Move>| format!("{broken}\n{way:?}\n{last:?}\n{world:?}");
        stops(plan, sabotage, &world).and_then(|()| recovers(plan, sabotage, &world)).map_err(|broken| told(broken, None))?;
        for step in world.moves() {
            let Some(next) = world.after(plan, sabotage, step).map_err(|broken| told(broken, Some(step)))? else { continue };
            if seen.insert(hasher.hash_one(&next)) {
                let mut way = way.clone();
                way.push(step);
                waiting.push_back((next, way));
            }
        }
    }
    Ok(seen.len())
}

/// Whatever a target keeps answering, a rotation stops without an operator.
fn stops(plan: &Plan, sabotage: Sabotage, world: &World) -> Result<(), Broken> {
    let always =
        [(Done::No, Err(Failure::Refused)), (Done::No, Err(Failure::Unreachable)), (Done::No, Err(Failure::Unknown)), (Done::No, Ok(()))];
    for (done, answer) in always {
        let mut world = world.clone();
        let mut asks = 0;
        loop {
            let step = match world.ask {
                Some((_, task)) if answer.is_ok() && !can_lie(&world, task) => world.honest(task),
                Some(_) => Move::Answer { done, answer },
                None if world.state.wake().is_some() => Move::Wait,
                None => break,
            };
            asks += u32::from(step != Move::Wait);
            if asks > ASKS_UNTIL_STOP {
                return Err(format!("a rotation that keeps failing stops: {answer:?}"));
            }
            world = world.after(plan, sabotage, step)?.ok_or("a step is refused that must be taken")?;
        }
    }
    Ok(())
}

/// A target can say that it did what it did not, but not that it let in whom it refused.
fn can_lie(world: &World, task: Task) -> bool {
    let refuses = matches!(world.honest(task), Move::Answer { answer: Err(_), .. });
    matches!(task, Task::Set(..) | Task::Close(_)) && !refuses
}

/// From every world a target that works, and an operator who does what is said, lead to rest with a credential that works.
fn recovers(plan: &Plan, sabotage: Sabotage, world: &World) -> Result<(), Broken> {
    let mut world = world.clone();
    let mut retries = 0;
    for _ in 0..100 {
        let step = match world.ask {
            Some((_, task)) => world.honest(task),
            None if world.state.attention.is_some() && retries < 3 => {
                retries += 1;
                Move::Want(Input::Retry)
            }
            None if world.state.attention.is_some() => Move::Want(Input::Give),
            None if world.state.wake().is_some() => Move::Wait,
            None => break,
        };
        world = world.after(plan, sabotage, step)?.ok_or("an operator who does what is said is refused")?;
    }
    let state = &world.state;
    if state.phase != Phase::Idle || state.asked || state.attention.is_some() {
        return Err("with a target that works it comes to rest".to_owned());
    }
    let works = world.vault.get(&state.current.value) == Some(&world.target[slot_index(state.current.slot)]);
    if works
        || !state.has_current()
        || world.strange
        || world.late.is_some()
        || late_came(&world)
        || plan.strategy == Strategy::GenerateAndStore
    {
        return Ok(());
    }
    Err("at rest what readers are given works".to_owned())
}

/// A password of a run that was rolled back was set by a late target; the vault knows it.
fn late_came(world: &World) -> bool {
    let abandoned = &world.state.abandoned;
    abandoned.iter().any(|one| world.vault.get(&one.value) == Some(&world.target[slot_index(one.slot)]))
}

#[test]
fn no_world_breaks_a_rule() {
    let faults = number_from("LIBVAULT_ROTATION_FAULTS").map_or(FAULTS_DEFAULT, |faults| u32::try_from(faults).unwrap());
    let mut counts = Vec::new();
    for (name, plan) in strategies() {
        let count =
            explore(&plan, Sabotage::None, World::new(faults, RUNS_OF_ROTATION)).unwrap_or_else(|broken| panic!("{name}: {broken}"));
        eprintln!("{name}: {count} worlds with up to {faults} faults in {RUNS_OF_ROTATION} runs");
        counts.push(count);
    }
    if faults == FAULTS_DEFAULT {
        assert_eq!(counts, [45_405, 62_941, 207_404, 90_792, 247], "as docs/rotation.md says");
    }
}

/// An account whose password nobody has told: its first run, or a password that is given, ends that.
#[test]
fn no_world_of_an_account_with_an_unknown_password_breaks_a_rule() {
    let faults = number_from("LIBVAULT_ROTATION_FAULTS").map_or(FAULTS_DEFAULT, |faults| u32::try_from(faults).unwrap());
    let mut counts = Vec::new();
    for (name, plan) in strategies() {
        let count =
            explore(&plan, Sabotage::None, World::unknown(faults, RUNS_OF_ROTATION)).unwrap_or_else(|broken| panic!("{name}: {broken}"));
        eprintln!("{name}, unknown at first: {count} worlds with up to {faults} faults in {RUNS_OF_ROTATION} runs");
        counts.push(count);
    }
    if faults == FAULTS_DEFAULT {
        assert_eq!(counts, [19_697, 7_835, 60_507, 36_298, 128], "as docs/rotation.md says");
    }
}

/// A target sets the password of a run that was rolled back, long after it: the vault finds that out by itself, for it knows it.
#[test]
fn a_password_that_a_late_target_has_set_is_found_before_anybody_is_asked() {
    for (name, plan) in strategies().into_iter().take(2) {
        let plan = Plan { attempts_max: 6, ..plan };
        let mut world = World::new(u32::MAX, 2);
        let mut go = |step: Move| {
            let next = world.after(&plan, Sabotage::None, step).unwrap_or_else(|broken| panic!("{name}: {broken}"));
            world = next.unwrap_or_else(|| panic!("{name}: {step:?} is refused"));
            world.clone()
        };
        go(Move::Want(Input::Begin));
        go(Move::Answer { done: Done::Later, answer: Err(Failure::Unknown) });
        let mut now = go(Move::Want(Input::RollBack));
        while now.state.phase != Phase::Idle {
            let step = now.ask.map_or(Move::Wait, |(_, task)| now.honest(task));
            now = go(step);
        }
        assert_eq!(now.state.abandoned.len(), 1, "{name}");
        go(Move::Late);
        let mut now = go(Move::Want(Input::Begin));
        // The account that manages it has set nothing, and says that it has.
        if let (Some((_, Task::Set(_, by))), true) = (now.ask, name == "one account") {
            assert_eq!(by, vault_core::rotation::Authenticate::Manager);
            now = go(Move::Answer { done: Done::No, answer: Ok(()) });
        }
        for _ in 0..40 {
            assert_eq!(now.state.attention, None, "{name}: {:?}", now.state);
            if matches!(now.state.phase, Phase::Idle | Phase::Grace) {
                break;
            }
            let step = now.ask.map_or(Move::Wait, |(_, task)| now.honest(task));
            now = go(step);
        }
        assert_eq!(now.state.phase, Phase::Grace, "{name}");
        assert!(matches!(now.state.last, Some(Finish::Rotated { .. })), "{name}: {:?}", now.state.last);
        assert_eq!(now.vault.get(&now.state.current.value), Some(&now.target[0]), "{name}: what readers are given works");
    }
}

#[test]
fn a_broken_driver_is_found() {
    let [one, _, closed, ..] = strategies().map(|(_, plan)| plan);
    let broken = [
        (one, Sabotage::PendingNotKept, "only once it is durable"),
        (one, Sabotage::AskedBeforeDurable, "left behind|knows a credential that works"),
        (one, Sabotage::PromotedUntested, "nothing is promoted"),
        (closed, Sabotage::RetiredBeforeTest, "what readers are given works"),
        (one, Sabotage::LoginsNotCounted, "no more logins fail"),
        (one, Sabotage::FailuresNotCounted, "a rotation that keeps failing stops"),
        (one, Sabotage::RestartNotTold, "comes to rest"),
        (closed, Sabotage::ForgottenAtPromotion, "the vault keeps exactly"),
    ];
    for (plan, sabotage, expected) in broken {
        let told = explore(&plan, sabotage, World::new(4, 2)).expect_err(&format!("{sabotage:?} is not found"));
        let first = told.lines().next().unwrap_or_default();
        assert!(expected.split('|').any(|one| first.contains(one)), "{sabotage:?}: {told}");
    }
}

#[test]
fn long_random_lives_break_no_rule() {
    let seed = number_from("LIBVAULT_SEED").unwrap_or(1);
    let runs = number_from("LIBVAULT_ROTATION_RUNS").unwrap_or(RUNS_DEFAULT);
    let (mut rotated, mut stopped) = (0_u64, 0_u64);
    for seed in seed..seed + runs {
        for (name, plan) in strategies() {
            let mut random = seed;
            let mut world = World::new(u32::MAX, u32::MAX);
            for _ in 0..MOVES_OF_LIFE {
                let moves = world.moves();
                let honest = world.ask.map_or(Move::Wait, |(_, task)| world.honest(task));
                let drawn = moves[usize::try_from(draw(&mut random) % moves.len() as u64).unwrap()];
                let calm = !draw(&mut random).is_multiple_of(3) && moves.contains(&honest);
                let step = if calm { honest } else { drawn };
                // Who changes passwords behind the vault's back, or the clock, is the explorer's matter: most rules are void after it.
                if matches!(step, Move::Strange | Move::Clock { .. }) {
                    continue;
                }
                let next = world.after(&plan, Sabotage::None, step);
                let next = next.unwrap_or_else(|broken| panic!("{name}, LIBVAULT_SEED={seed}: {broken}\n{step:?}\n{world:?}"));
                if let Some(next) = next {
                    rotated += u64::from(next.state.last != world.state.last && matches!(next.state.last, Some(Finish::Rotated { .. })));
                    stopped += u64::from(next.state.attention.is_some() && world.state.attention.is_none());
                    world = next;
                }
            }
            let end = stops(&plan, Sabotage::None, &world).and_then(|()| recovers(&plan, Sabotage::None, &world));
            end.unwrap_or_else(|broken| panic!("{name}, LIBVAULT_SEED={seed}: {broken}\n{world:?}"));
        }
    }
    eprintln!("{runs} seeds from {seed} on: rotated {rotated} times, stopped {stopped} times");
    assert!(rotated > runs && stopped > runs, "these lives are too quiet");
}

/// SplitMix64.
fn draw(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}
