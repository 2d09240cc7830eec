//! `static-creds/NAME`: what an account's password is now, and which versions of it there are.

use super::record;
use super::static_roles::last_rotation;
use crate::barrier::Overlay;
use crate::engines::Outcome;
use crate::engines::common::input::not_found;
use crate::managed::Managed;
use crate::rotation::{Credential, Phase};
use crate::types::id::Id;
use crate::types::{Code, Error, Object, Result, Timestamp, Ttl, Value};

pub(super) fn read(overlay: &mut Overlay<'_>, mount: &Id, name: &str, now: Timestamp) -> Result<Outcome> {
    let managed = Managed::named(overlay, mount, name)?.ok_or_else(not_found)?;
    if let Some(configured) = managed.target.map(|id| record::load(overlay, &id)).transpose()?.flatten() {
        configured.check_allows(name)?;
    }
    let Some((username, password)) = managed.current() else {
        let why = "the role's first rotation is not at its end, so that there is no password yet: reading the role tells where it stands";
        return Err(Error::new(Code::RotationPending, why));
    };
    let next = managed.due.next_millis.map(|millis| now.until(Timestamp::from_millis(millis)));
    let body = Object::new().with("username", username).with("password", password.expose());
    let body = managed.settings.show(body.with("last_vault_rotation", last_rotation(&managed)));
    let body = body.with("ttl", next.unwrap_or(Ttl::ZERO).as_secs()).with("stages", stages(&managed));
    let (version, used) = (Some(managed.state.current.value.0), managed.used_by_reads());
    Ok(Outcome { data: Some(body.into()), version, used, ..Outcome::default() })
}

/// The versions of the credential by their stages, without passwords.
fn stages(managed: &Managed) -> Object {
    let state = &managed.state;
    let stage =
        |credential: Credential| Object::new().with("version", credential.value.0).with("username", managed.username(credential.slot));
    let ends = (state.phase == Phase::Grace).then(|| Value::from(Timestamp::from_millis(state.wake_millis).to_string()));
    let previous = state.previous.map(|previous| Value::from(stage(previous).with("until", ends)));
    Object::new()
        .with("current", stage(state.current))
        .with("pending", state.pending.map(|pending| Value::from(stage(pending))))
        .with("previous", previous)
}
