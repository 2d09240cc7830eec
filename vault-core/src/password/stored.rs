//! Password policies as a namespace keeps them, and passwords by their names.

use super::PasswordPolicy;
use crate::barrier::{Barrier, BarrierError, Kind, Overlay};
use crate::host::Rng;
use crate::storage::Key;
use crate::types::limits::NAME_BYTES_MAX;
use crate::types::{Code, Error, Result, SecretString};
use minicbor::{Decode, Encode};

/// All policies of a namespace lie under one prefix, which is the only group of its kind.
const GROUP: &[u8] = b"";

/// A policy's record.
#[derive(Encode, Decode)]
pub(crate) struct Stored {
    #[n(0)]
    name: String,
    /// As it was written.
    #[n(1)]
    pub(crate) text: String,
}

/// A password that follows the named policy of the overlay's namespace; where none is named, 20 characters of base 62 and `-`.
pub(crate) fn generate(overlay: &mut Overlay<'_>, policy_name: Option<&str>, rng: &dyn Rng) -> Result<SecretString> {
    let policy = match policy_name {
        None => PasswordPolicy::standard(),
        Some(name) => PasswordPolicy::parse(&Stored::load(overlay, name)?.text)?,
    };
    Ok(policy.generate(rng)?)
}

/// Refuses the name of a policy that is not there, before anything is made that needs it.
pub(crate) fn check_policy(overlay: &mut Overlay<'_>, policy_name: Option<&str>) -> Result<()> {
    let missing =
        || Error::new(Code::InvalidRequest, "there is no password policy of that name: write it to sys/policies/password/NAME first");
    match policy_name {
        Some(name) if !Stored::is_there(overlay, name)? => Err(missing()),
        _ => Ok(()),
    }
}

impl Stored {
    /// The policy of that name.
    pub(crate) fn load(overlay: &mut Overlay<'_>, name: &str) -> Result<Self> {
        let key = key_of(overlay.barrier(), name)?;
        let bytes = overlay.get(Kind::PasswordPolicy, &key)?;
        let missing = || Error::new(Code::NotFound, "there is no password policy of that name");
        bytes.map(|bytes| decode(&bytes)).transpose()?.ok_or_else(missing)
    }

    /// Puts a policy into its namespace, in the place of what has its name.
    pub(crate) fn save(overlay: &mut Overlay<'_>, name: &str, text: String) -> Result<()> {
        let key = key_of(overlay.barrier(), name)?;
        let stored = Stored { name: name.to_owned(), text };
        Ok(overlay.put(Kind::PasswordPolicy, key, &minicbor::to_vec(&stored).expect("encoding to memory cannot fail"))?)
    }

    /// Whether a policy of that name is there.
    pub(crate) fn is_there(overlay: &mut Overlay<'_>, name: &str) -> Result<bool> {
        let key = key_of(overlay.barrier(), name)?;
        Ok(overlay.get(Kind::PasswordPolicy, &key)?.is_some())
    }

    /// Takes the policy of that name away, if it is there.
    pub(crate) fn remove(overlay: &mut Overlay<'_>, name: &str) -> Result<()> {
        if Stored::is_there(overlay, name)? {
            let key = key_of(overlay.barrier(), name)?;
            overlay.delete(key);
        }
        Ok(())
    }

    /// The names of all that are published, in order.
    pub(crate) fn names(overlay: &Overlay<'_>) -> Result<Vec<String>> {
        let mut names = Vec::new();
        overlay.scan(Kind::PasswordPolicy, &overlay.barrier().member_prefix(Kind::PasswordPolicy, GROUP), |_, bytes| {
            names.push(decode(bytes)?.name);
            Ok(true)
        })?;
        names.sort_unstable();
        Ok(names)
    }
}

fn decode(bytes: &[u8]) -> Result<Stored, BarrierError> {
    minicbor::decode(bytes).map_err(|_| BarrierError::Corrupt)
}

fn key_of(barrier: &Barrier, name: &str) -> Result<Key> {
    if name.is_empty() || name.len() > NAME_BYTES_MAX || !name.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'/') {
        let why = format!("a password policy's name must be printable ASCII of at most {NAME_BYTES_MAX} bytes, without spaces and slashes");
        return Err(Error::new(Code::InvalidRequest, why));
    }
    let member = barrier.keyring().names().short_tag(&[GROUP, name.as_bytes()]);
    Ok(barrier.member_key(Kind::PasswordPolicy, GROUP, &member))
}
