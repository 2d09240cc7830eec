//! A crash at every operation of a short story, and in some of them another at every operation of the recovery.

use super::coverage::Coverage;
use super::disk::{Death, Doom};
use super::shrink::{attempt, told};
use super::story::{Setting, Step, story};
use super::world::World;

/// Steps of a story in which every operation is tried.
pub const STEPS: u64 = 12;

/// How many crashes were tried.
#[derive(Clone, Copy, Default)]
pub struct Tried {
    pub stories: u64,
    pub crashes: u64,
    pub double_crashes: u64,
    /// Steps that were carried out for it.
    pub steps: u64,
}

/// Every variant of a crash at an operation: before it, or after it; by a kill, or by a power cut.
const VARIANTS: [(bool, Death); 4] = [(false, Death::Kill), (true, Death::Kill), (false, Death::PowerCut), (true, Death::PowerCut)];

/// Which of the crashes are tried: those at one in so many operations, and of these one in so many with others in its recovery, at one in so
/// many of its operations.
#[derive(Clone, Copy)]
pub struct Density {
    pub every: u64,
    pub doubles_every: u64,
    pub in_recovery: u64,
}

/// Tries the crashes of the story of a seed.
pub fn explore(seed: u64, density: Density, tried: &mut Tried, coverage: &mut Coverage) -> Result<(), String> {
    let setting = Setting::of(seed);
    let steps: Vec<Step> = calm(story(seed, 3 * STEPS));
    let mut all = None;
    let counted = attempt(|| {
        let mut world = World::new(setting);
        let first = world.ground.disk.operations();
        steps.iter().for_each(|step| world.apply(step));
        all = Some((first, world.ground.disk.operations()));
    });
    counted.map_err(|why| told(setting, &steps, &why))?;
    let (first, last) = all.expect("it was run");
    tried.stories += 1;
    for at in (first + 1..=last).filter(|at| (at + seed).is_multiple_of(density.every)) {
        for (after, death) in VARIANTS {
            let doom = Doom { at, after };
            let doubles = tried.crashes.is_multiple_of(density.doubles_every).then_some(density.in_recovery);
            let outcome = attempt(|| crash_at(setting, &steps, doom, death, doubles, tried, coverage));
            outcome.map_err(|why| told(setting, &steps, &format!("with {doom:?} by {death:?}: {why}")))?;
        }
    }
    Ok(())
}

/// Steps that make no faults of their own: here every crash is ordered from outside.
fn calm(steps: Vec<Step>) -> Vec<Step> {
    let is_calm = |step: &Step| {
        matches!(
            step,
            Step::Ask { .. }
                | Step::Forward { .. }
                | Step::Tick
                | Step::Seal
                | Step::Rekey { .. }
                | Step::RemoveSlot
                | Step::Sink { .. }
                | Step::Host { .. }
                | Step::Lease { .. }
                | Step::Connect { .. }
        )
    };
    let mut calm: Vec<Step> = steps.into_iter().filter(is_calm).collect();
    calm.truncate(STEPS as usize);
    calm
}

fn crash_at(setting: Setting, steps: &[Step], doom: Doom, death: Death, doubles: Option<u64>, tried: &mut Tried, coverage: &mut Coverage) {
    let mut world = World::new(setting);
    world.death = death;
    world.ground.disk.doom(Some(doom));
    for step in steps {
        world.apply_without_recovery(step);
        if world.ground.disk.is_dead() {
            break;
        }
    }
    assert!(world.ground.disk.is_dead(), "the same story takes the same operations");
    world.die(death);
    tried.crashes += 1;
    if let Some(every) = doubles {
        double_crashes(&world, every, tried);
    }
    world.recover(None);
    world.compare();
    world.finish();
    tried.steps += world.steps;
    coverage.merge(&world.coverage);
}

/// From one crash on: the recovery dies at each of its operations in turn, or at one in so many, and the next one finds everything.
fn double_crashes(crashed: &World, every: u64, tried: &mut Tried) {
    let mut calm = crashed.fork();
    let first = calm.ground.disk.operations();
    calm.open_and_tick();
    let last = calm.ground.disk.operations();
    for at in (first + 1..=last).filter(|at| at.is_multiple_of(every)) {
        let (after, death) = VARIANTS[usize::try_from(tried.double_crashes % 4).expect("few")];
        let mut world = crashed.fork();
        world.ground.disk.doom(Some(Doom { at, after }));
        world.open_and_tick();
        world.die(death);
        world.recover(None);
        world.compare();
        tried.double_crashes += 1;
    }
}
