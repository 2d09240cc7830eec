//! A story that fails is shortened: steps are left out and made simpler for as long as it still fails.

use super::ask::Ask;
use super::coverage::Coverage;
use super::disk::Death;
use super::story::{Dies, Setting, Step};
use super::world::World;
use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Once;

thread_local! {
    static QUIET: Cell<bool> = const { Cell::new(false) };
    static SAID: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Runs a story to its end; why it fails, if it does.
pub fn run(setting: Setting, steps: &[Step], coverage: &mut Coverage) -> Result<(), String> {
    attempt(|| {
        let mut world = World::new(setting);
        steps.iter().for_each(|step| world.apply(step));
        world.finish();
        coverage.merge(&world.coverage);
    })
}

/// Does something that may panic, and says nothing of it but the message.
pub fn attempt(action: impl FnOnce()) -> Result<(), String> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let usual = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if QUIET.get() {
                SAID.replace(info.to_string());
            } else {
                usual(info);
            }
        }));
    });
    QUIET.set(true);
    let outcome = catch_unwind(AssertUnwindSafe(action));
    QUIET.set(false);
    outcome.map_err(|_| SAID.take())
}

/// The shortest story found that still fails, as text, with what it fails by.
pub fn shrink(setting: Setting, steps: &[Step]) -> (Vec<Step>, String) {
    let fails = |steps: &[Step]| run(setting, steps, &mut Coverage::default()).err();
    let mut steps = steps.to_vec();
    let mut chunk = steps.len().div_ceil(2);
    while chunk > 0 {
        let mut at = 0;
        let mut shorter = false;
        while at < steps.len() {
            let mut fewer = steps.clone();
            fewer.drain(at..(at + chunk).min(fewer.len()));
            if fails(&fewer).is_some() {
                (steps, shorter) = (fewer, true);
            } else {
                at += chunk;
            }
        }
        // What could not be left out before may be now.
        chunk = if chunk == 1 && shorter { 1 } else { chunk / 2 };
    }
    for at in 0..steps.len() {
        for simpler in simpler(&steps[at]) {
            let mut other = steps.clone();
            other[at] = simpler;
            if fails(&other).is_some() {
                steps = other;
                break;
            }
        }
    }
    let why = fails(&steps).unwrap_or_default();
    (steps, why)
}

/// What a step may be replaced by, simplest first.
fn simpler(step: &Step) -> Vec<Step> {
    let plain = Dies { after: 0, carried_out: false, death: Death::Kill };
    match step {
        Step::Ask { who, ask, .. } => {
            let mut all =
                vec![Step::Ask { who: 0, fresh: false, ask: ask.clone() }, Step::Ask { who: *who, fresh: false, ask: ask.clone() }];
            if let Ask::WritePolicy { name, rules } = ask {
                all.extend(rules.iter().map(|rule| Step::Ask {
                    who: *who,
                    fresh: false,
                    ask: Ask::WritePolicy { name: *name, rules: vec![*rule] },
                }));
            }
            all.retain(|other| other != step);
            all
        }
        Step::Lease { who, which, deed } => {
            let mut all = vec![
                Step::Lease { who: 0, which: 0, deed: *deed },
                Step::Lease { who: 0, which: *which, deed: *deed },
                Step::Lease { who: *who, which: 0, deed: *deed },
            ];
            all.retain(|other| other != step);
            all
        }
        Step::Crash { death, again } => {
            let mut all = vec![Step::Crash { death: Death::Kill, again: None }, Step::Crash { death: *death, again: None }];
            if again.is_some() {
                all.push(Step::Crash { death: *death, again: Some(plain) });
            }
            all.retain(|other| other != step);
            all
        }
        Step::Move { dies: Some(_) } => vec![Step::Move { dies: None }],
        Step::Fails { fault, after } if *after > 0 => vec![Step::Fails { fault: *fault, after: 0 }],
        _ => Vec::new(),
    }
}

/// A story as people read it.
pub fn told(setting: Setting, steps: &[Step], why: &str) -> String {
    let mut text = format!("{setting:?}\n");
    for (number, step) in steps.iter().enumerate() {
        text.push_str(&format!("{:>4}. {step}\n", number + 1));
    }
    text + "fails: " + why
}
