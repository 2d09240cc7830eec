//! What the paths below `sys/policies/password` answer.

use super::system::{Ask, Done};
use crate::barrier::Overlay;
use crate::password::{self, PasswordPolicy, Stored};
use crate::types::limits::PASSWORD_POLICIES_MAX;
use crate::types::{Code, Error, Object, Result, Value};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// `LIST sys/policies/password`.
pub(super) fn list(overlay: &Overlay<'_>) -> Result<Done> {
    Ok(Done::answer(Object::new().with("keys", Stored::names(overlay)?)))
}

/// `READ sys/policies/password/NAME`.
pub(super) fn read(overlay: &mut Overlay<'_>, name: &str) -> Result<Done> {
    Ok(Done::answer(Object::new().with("policy", Stored::load(overlay, name)?.text)))
}

/// `WRITE sys/policies/password/NAME`: `policy` is its text, or the base64 of it.
pub(super) fn write(ask: &Ask<'_>, overlay: &mut Overlay<'_>, name: &str) -> Result<Done> {
    let text = ask.data.and_then(|data| data.get("policy")).and_then(Value::as_str);
    let text = text.ok_or_else(|| Error::new(Code::InvalidData, "the policy is missing: pass its text as the member \"policy\""))?;
    let decoded = STANDARD.decode(text).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    let text = decoded.unwrap_or_else(|| text.to_owned());
    PasswordPolicy::parse(&text)?.check_common(ask.core.barrier.rng())?;
    if !Stored::is_there(overlay, name)? && Stored::names(overlay)?.len() >= PASSWORD_POLICIES_MAX {
        let why = format!("there are {PASSWORD_POLICIES_MAX} password policies already: delete some first");
        return Err(Error::new(Code::InvalidRequest, why));
    }
    Stored::save(overlay, name, text)?;
    Ok(Done::default())
}

/// `DELETE sys/policies/password/NAME`.
pub(super) fn delete(overlay: &mut Overlay<'_>, name: &str) -> Result<Done> {
    Stored::remove(overlay, name)?;
    Ok(Done::default())
}

/// `READ sys/policies/password/NAME/generate`.
pub(super) fn generate(ask: &Ask<'_>, overlay: &mut Overlay<'_>, name: &str) -> Result<Done> {
    let password = password::generate(overlay, Some(name), ask.core.barrier.rng())?;
    Ok(Done::answer(Object::new().with("password", password.expose())))
}
