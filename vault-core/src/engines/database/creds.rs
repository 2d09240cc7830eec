//! `creds/NAME`: what account a role makes, with its name and password.

use super::{DatabaseEngine, record, roles, username};
use crate::barrier::Overlay;
use crate::engines::common::effect::{Effect, NewLease, Sharing};
use crate::engines::common::input::not_found;
use crate::engines::{Call, Outcome};
use crate::lease::shared::{self, Shared};
use crate::lease::terms::{self, Terms};
use crate::lease::{Account, Entity, chore};
use crate::password;
use crate::types::{Code, Error, Object, Result, SecretString, Timestamp};
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
    let terms = terms::of_new(engine.default_lease, engine.max_lease, role.terms());
    let asked = match role.shares_by_entity {
        true => Some(sharing_entity(call)?),
        false => None,
    };
    let found = match &asked {
        Some(entity) => {
            let slot = shared::slot_key(overlay.barrier(), &engine.mount, name, entity);
            shared::in_slot(overlay, &slot)?
        }
        None => None,
    };
    let is_its_own = |shared: &Shared| shared.target == configured.connection.id && shared.made_by == role.hash();
    let era = chore::era(overlay)?;
    let joined = found.filter(|shared| is_its_own(shared) && shared.can_be_joined(terms.ttl, call.now, era));
    let new = match (joined, asked) {
        (Some(shared), _) => join(shared, terms, call.now),
        (None, asked) => {
            let rng = overlay.barrier().rng();
            let username = username::expand(&configured.username_template, call.display_name, name, call.now, rng)?;
            let policy = Some(configured.password_policy.as_str()).filter(|name| !name.is_empty());
            let password = password::generate(overlay, policy, rng)?;
            let sharing = match asked {
                None => Sharing::None,
                Some(entity) => Sharing::First(Box::new(Shared {
                    id: rng.array().map_err(|error| Error::new(Code::NoEntropy, error.to_string()))?,
                    mount: *engine.mount.as_bytes(),
                    role: name.to_owned(),
                    entity,
                    target: configured.connection.id,
                    username: username.clone(),
                    password: SecretString::copy_from(password.expose()),
                    made_by: role.hash(),
                    born_millis: call.now.as_millis(),
                    max_seconds: terms.max.as_secs(),
                    is_ready: false,
                    is_closed: false,
                    era,
                    ends_millis: 0,
                    asked_millis: 0,
                })),
            };
            NewLease {
                password,
                terms,
                account: account(username),
                creation: role.creation.clone(),
                rollback: role.rollback.clone(),
                sharing,
            }
        }
    };
    let new =
        NewLease { account: Account { role: name.to_owned(), revocation: role.revocation, renewal: role.renewal, ..new.account }, ..new };
    let body = Object::new().with("username", new.account.username.as_str()).with("password", new.password.expose());
    let effect = Some(Effect::Issue(Arc::new(configured.connection), Box::new(new)));
    Ok(Outcome { data: Some(body.into()), effect, ..Outcome::default() })
}

/// The account that is there, for one more: never for longer than its own longest life, which counts from its birth.
fn join(shared: Shared, terms: Terms, now: Timestamp) -> NewLease {
    let left = shared.left(now);
    NewLease {
        password: SecretString::copy_from(shared.password.expose()),
        terms: Terms { ttl: terms.ttl.min(left), max: terms.max.min(left) },
        account: account(shared.username.clone()),
        creation: Vec::new(),
        rollback: Vec::new(),
        sharing: Sharing::Joined(Box::new(shared)),
    }
}

fn account(username: String) -> Account {
    Account { username, ..Account::default() }
}

/// The entity whose tokens are given one account.
fn sharing_entity(call: &Call<'_>) -> Result<Entity> {
    let why = "the role gives all tokens of an entity one account, and this token is of no entity: make it by a role of tokens with \"entity_alias\" \
               (docs/identity.md), or ask a role whose \"credential_sharing\" is \"none\"";
    call.entity.map(Entity::from).ok_or_else(|| Error::new(Code::EntityRequired, why))
}
