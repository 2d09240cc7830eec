//! What must hold in every world.

use crate::world::{Password, World, slot_index};
use std::collections::BTreeSet;
use vault_core::rotation::{Credential, Phase, Plan, Record, Slot, State, Strategy, Task};

/// A rule that was broken, in words.
pub type Broken = String;

fn works(world: &World, credential: Credential) -> bool {
    world.vault.get(&credential.value) == Some(&world.target[slot_index(credential.slot)])
}

/// The rules of every instant.
pub fn check(plan: &Plan, world: &World) -> Result<(), Broken> {
    let rule = |holds: bool, text: &str| if holds { Ok(()) } else { Err(text.to_owned()) };
    let state = &world.state;
    let known: BTreeSet<_> = state.known().map(|credential| credential.value).collect();
    let kept: BTreeSet<_> = world.vault.keys().copied().collect();
    rule(known == kept, "the vault keeps exactly the values that the state speaks of")?;
    if plan.strategy == Strategy::GenerateAndStore {
        return Ok(());
    }
    rule(
        world.strange || !state.has_current() || state.known().any(|credential| works(world, credential)),
        "the vault knows a credential that works",
    )?;
    for slot in [Slot::A, Slot::B] {
        let generated = matches!(world.target[slot_index(slot)], Password::Generated(_));
        let is_known = state.known().any(|credential| credential.slot == slot && works(world, credential));
        rule(!generated || is_known, "no password is left behind at the target that the vault does not know")?;
        let failed = world.failed.iter().filter(|(at, _)| *at == slot_index(slot)).count();
        rule(world.clock_was_set || failed <= plan.failing_logins_per_hour_max as usize, "no more logins fail within an hour than may")?;
    }
    if matches!(plan.strategy, Strategy::TwoAccounts { .. }) && !world.strange && state.has_current() {
        rule(works(world, state.current), "with two accounts what readers are given works")?;
        let in_grace = state.previous.filter(|_| state.phase == Phase::Grace && state.attention.is_none());
        rule(in_grace.is_none_or(|previous| works(world, previous)), "the old account works through its grace")?;
    }
    Ok(())
}

/// The rules of a commit.
pub fn check_records(plan: &Plan, before: &World, records: &[Record]) -> Result<(), Broken> {
    for record in records {
        let Record::Promote(new) = record else { continue };
        if before.state.rehearsal {
            return Err("a rehearsal promotes nothing".to_owned());
        }
        if plan.strategy != Strategy::GenerateAndStore && !before.tested.contains(new) {
            return Err("nothing is promoted, nor goes back, that was not seen to work".to_owned());
        }
    }
    Ok(())
}

/// The rules of what is asked.
pub fn check_ask(world: &World, state: &State, task: Option<Task>) -> Result<(), Broken> {
    match task {
        Some(Task::Set(credential, _)) if !world.vault.contains_key(&credential.value) => {
            Err("a password is set only once it is durable".to_owned())
        }
        Some(Task::Close(slot)) if slot == state.current.slot => Err("the current account is never closed".to_owned()),
        Some(Task::Close(_)) if state.previous.is_some() && !world.strange && !world.tested.contains(&state.current) => {
            Err("an old account is closed only after the new one was seen to work".to_owned())
        }
        Some(Task::Set(..) | Task::Close(_)) if state.rehearsal && state.pending.is_none() => {
            Err("a rehearsal with one account changes nothing".to_owned())
        }
        _ => Ok(()),
    }
}
