//! `creds/NAME`: what account a role makes, with its name and password.

use super::{DatabaseEngine, record, roles, username};
use crate::barrier::Overlay;
use crate::engines::common::effect::{Effect, NewLease};
use crate::engines::common::input::not_found;
use crate::engines::{Call, Outcome};
use crate::lease::{Account, terms};
use crate::password;
use crate::types::{Code, Error, Object, Result};
use std::sync::Arc;

/// Draws the account that is to be made.
pub(super) fn draw(overlay: &mut Overlay<'_>, engine: &DatabaseEngine, name: &str, call: &Call<'_>) -> Result<Outcome> {
    let role = roles::load(overlay, &engine.mount, name)?.ok_or_else(not_found)?;
    let missing = || Error::new(Code::InvalidRequest, "the connection that the role names is not there: write it, or another \"db_name\"");
    let configured = record::named(overlay, &engine.mount, &role.db_name)?.ok_or_else(missing)?;
    configured.check_allows(name)?;
    if configured.connection.pending.is_some() {
        let why = "the connection's password is being changed, and it is not known yet which one the target has: try again later";
        return Err(Error::new(Code::TargetUnavailable, why));
    }
    let rng = overlay.barrier().rng();
    let username = username::expand(&configured.username_template, call.display_name, name, call.now, rng)?;
    let password = password::generate(overlay, Some(configured.password_policy.as_str()).filter(|name| !name.is_empty()), rng)?;
    let body = Object::new().with("username", username.as_str()).with("password", password.expose());
    let new = NewLease {
        password,
        terms: terms::of_new(engine.default_lease, engine.max_lease, role.terms()),
        account: Account { username, role: name.to_owned(), revocation: role.revocation, renewal: role.renewal },
        creation: role.creation,
        rollback: role.rollback,
    };
    let effect = Some(Effect::Issue(Arc::new(configured.connection), Box::new(new)));
    Ok(Outcome { data: Some(body.into()), effect, ..Outcome::default() })
}
