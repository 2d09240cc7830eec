//! What operators want of a static role's rotation: `rotate-role/NAME`, `rehearse-role/NAME`, `roll-back-role/NAME`, `retry-role/NAME`,
//! `end-grace-role/NAME`, `adopt-role/NAME`.

use super::record::{self, Configured};
use super::static_roles::{given, status};
use crate::barrier::{BarrierError, Overlay};
use crate::engines::common::effect::{Begun, Effect};
use crate::engines::common::input::not_found;
use crate::engines::{Call, Outcome};
use crate::managed::step::{self, Advanced, With};
use crate::managed::{Managed, index};
use crate::password;
use crate::rotation::Input;
use crate::types::id::Id;
use crate::types::{Code, Error, Result, SecretString, Timestamp};

/// What an operator wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wish {
    Rotate,
    Rehearse,
    RollBack,
    Retry,
    EndGrace,
    /// A password that was changed by hand is the vault's from now on.
    Adopt,
}

impl Wish {
    /// The wish that a path begins with.
    pub(super) fn named(part: &str) -> Option<Self> {
        Some(match part {
            "rotate-role" => Wish::Rotate,
            "rehearse-role" => Wish::Rehearse,
            "roll-back-role" => Wish::RollBack,
            "retry-role" => Wish::Retry,
            "end-grace-role" => Wish::EndGrace,
            "adopt-role" => Wish::Adopt,
            _ => return None,
        })
    }

    fn input(self) -> Input {
        match self {
            Wish::Rotate => Input::Begin,
            Wish::Rehearse => Input::Rehearse,
            Wish::RollBack => Input::RollBack,
            Wish::Retry => Input::Retry,
            Wish::EndGrace => Input::EndGrace,
            Wish::Adopt => Input::Give,
        }
    }
}

/// Makes the first step of what is wanted; the pipeline carries it on.
pub(super) fn run(overlay: &mut Overlay<'_>, mount: &Id, name: &str, wish: Wish, call: &Call<'_>) -> Result<Outcome> {
    let mut managed = Managed::named(overlay, mount, name)?.ok_or_else(not_found)?;
    let gone = || Error::new(Code::InvalidRequest, "the role's connection is not there any more");
    let configured = managed.target.map(|id| record::load(overlay, &id)).transpose()?.flatten().ok_or_else(gone)?;
    // What was begun may be taken back, and ended, without it.
    if !matches!(wish, Wish::RollBack | Wish::EndGrace) {
        configured.check_allows(name)?;
    }
    let given = if wish == Wish::Adopt { given(call.data)? } else { None };
    if wish == Wish::Adopt && given.is_none() {
        return Err(Error::new(Code::InvalidData, "pass the password that the account has at the target as \"password\""));
    }
    let before = index::places(&managed);
    let advanced = advance(overlay, &configured, &mut managed, wish.input(), given, call.now)?;
    index::save(overlay, &before, Some(&managed))?;
    let mut outcome = outcome(&managed, &configured, wish.input(), advanced, false)?;
    if outcome.effect.is_none() {
        outcome.data = Some(status(&managed, call.now).into());
        if managed.state.again_wanted {
            outcome.warnings.push("the old account is still in its grace: the role is rotated once that is over".to_owned());
        }
        if managed.state.roll_back_wanted {
            outcome.warnings.push("the target is being asked just now: it is rolled back once it has answered".to_owned());
        }
    }
    Ok(outcome)
}

/// One step of a role's rotation, with passwords by the connection's policy.
pub(super) fn advance(
    overlay: &mut Overlay<'_>,
    configured: &Configured,
    managed: &mut Managed,
    input: Input,
    given: Option<SecretString>,
    now: Timestamp,
) -> Result<Advanced> {
    let rng = overlay.barrier().rng();
    let mut fresh = || password::generate(overlay, configured.policy(), rng);
    step::advance(managed, input, With { now, rng, given, fresh: &mut fresh }).map_err(Error::from)
}

/// What a request leads to that has made a step.
pub(super) fn outcome(managed: &Managed, configured: &Configured, input: Input, advanced: Advanced, is_new: bool) -> Result<Outcome> {
    let begun = advanced.ask.map(|ask| {
        let plugin = configured.connection.plugin.clone();
        Effect::Carry(Box::new(Begun {
            id: managed.id,
            name: managed.name.clone(),
            plugin,
            ask,
            input,
            phase: managed.state.phase,
            is_new,
        }))
    });
    Ok(Outcome { effect: begun, version: Some(managed.state.current.value.0), ..Outcome::default() })
}

/// A random number from 0 to 1,000.
pub(super) fn permille(overlay: &Overlay<'_>) -> Result<u32> {
    let bytes: [u8; 4] = overlay.barrier().rng().array().map_err(BarrierError::from)?;
    Ok(u32::from_le_bytes(bytes) % 1001)
}
