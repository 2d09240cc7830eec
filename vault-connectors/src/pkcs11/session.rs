//! One session with a token: it is found, logged into, asked for its key, and left again.

use super::Token;
use super::blob::{Blob, IV_BYTES, KEY_BYTES, KeyName, TAG_BYTES};
use super::error::Pkcs11Error;
use cryptoki::context::Pkcs11;
use cryptoki::error::{Error as Native, RvError};
use cryptoki::mechanism::Mechanism;
use cryptoki::mechanism::aead::GcmParams;
use cryptoki::object::{Attribute, AttributeType, KeyType, ObjectClass, ObjectHandle};
use cryptoki::session::{Session as NativeSession, SessionState, UserType};
use cryptoki::slot::Slot;
use cryptoki::types::{AuthPin, Ulong};
use vault_core::host::Rng;
use vault_core::types::{SecretBytes, SecretString};
use zeroize::Zeroizing;

const TAG_BITS: u64 = 8 * TAG_BYTES as u64;

/// A session that is logged in. Dropping it closes it, and with the process's last one the token is logged out.
pub(super) struct Session(NativeSession);

/// A key of the token's, as it was found.
struct Found {
    handle: ObjectHandle,
    name: KeyName,
}

impl Session {
    /// Opens a session with the token and logs in. The PIN is tried at most once.
    pub(super) fn open(module: &Pkcs11, token: &Token, pin: &SecretString, writes: bool) -> Result<Self, Pkcs11Error> {
        let slot = find_token(module, token)?;
        let flags = module.get_token_info(slot)?;
        if flags.user_pin_locked() {
            return Err(Pkcs11Error::PinLocked);
        }
        if flags.user_pin_final_try() {
            return Err(Pkcs11Error::LastTry);
        }
        let session = if writes { module.open_rw_session(slot)? } else { module.open_ro_session(slot)? };
        match session.login(UserType::User, Some(&AuthPin::new(pin.expose().into()))) {
            // Logins count for the whole process: another of its sessions was first.
            Ok(()) | Err(Native::Pkcs11(RvError::UserAlreadyLoggedIn, _)) => Ok(Session(session)),
            Err(error) => Err(error.into()),
        }
    }

    /// Encrypts a key under the token's.
    pub(super) fn wrap(&self, rng: &dyn Rng, name: &KeyName, key: &[u8; KEY_BYTES], context: &[u8]) -> Result<Vec<u8>, Pkcs11Error> {
        let found = self.find(name)?;
        self.check_fit(&found)?;
        let head = found.name.head()?;
        let mut iv: [u8; IV_BYTES] = rng.array()?;
        let sealed = self.0.encrypt(&gcm(&mut iv, &[&head, context].concat())?, found.handle, key)?;
        if sealed.len() != KEY_BYTES + TAG_BYTES {
            return Err(Pkcs11Error::NotAModule);
        }
        // The IV as it is now: a token that makes its own (FIPS 140-3, IG C.H) has written it over ours.
        Ok([&head[..], &iv, &sealed].concat())
    }

    /// Decrypts a key under the one of the token's that the blob names.
    pub(super) fn unwrap(&self, blob: &Blob<'_>, context: &[u8]) -> Result<SecretBytes, Pkcs11Error> {
        let found = self.find(&blob.key)?;
        let mut iv = blob.iv;
        let key = self.0.decrypt(&gcm(&mut iv, &[blob.head, context].concat())?, found.handle, blob.sealed)?;
        let key = Zeroizing::new(key);
        if key.len() == KEY_BYTES { Ok(SecretBytes::copy_from(&key)) } else { Err(Pkcs11Error::Refused) }
    }

    /// Makes an AES key of 256 bits that stays on the token.
    pub(super) fn generate(&self, rng: &dyn Rng, name: &KeyName) -> Result<(), Pkcs11Error> {
        if !self.handles(name)?.is_empty() {
            return Err(Pkcs11Error::KeyExists(name.told()));
        }
        let id = if name.id.is_empty() { rng.array::<16>()?.to_vec() } else { name.id.clone() };
        let template = [
            Attribute::Class(ObjectClass::SECRET_KEY),
            Attribute::KeyType(KeyType::AES),
            Attribute::ValueLen(Ulong::from(KEY_BYTES as u64)),
            Attribute::Label(name.label.clone().into_bytes()),
            Attribute::Id(id),
            Attribute::Token(true),
            Attribute::Private(true),
            Attribute::Sensitive(true),
            Attribute::Extractable(false),
            Attribute::Encrypt(true),
            Attribute::Decrypt(true),
            Attribute::Wrap(false),
            Attribute::Unwrap(false),
            Attribute::Sign(false),
            Attribute::Verify(false),
            Attribute::Derive(false),
        ];
        self.0.generate_key(&Mechanism::AesKeyGen, &template)?;
        Ok(())
    }

    /// The one key of this name.
    fn find(&self, name: &KeyName) -> Result<Found, Pkcs11Error> {
        let handle = match self.handles(name)?.as_slice() {
            [handle] => *handle,
            [] => return Err(Pkcs11Error::NoKey(name.told())),
            _ => return Err(Pkcs11Error::SeveralKeys(name.told())),
        };
        let attributes = self.0.get_attributes(handle, &[AttributeType::Id])?;
        let id = attributes.into_iter().find_map(|attribute| if let Attribute::Id(id) = attribute { Some(id) } else { None });
        Ok(Found { handle, name: KeyName { label: name.label.clone(), id: id.unwrap_or_default() } })
    }

    fn handles(&self, name: &KeyName) -> Result<Vec<ObjectHandle>, Pkcs11Error> {
        let mut template = vec![
            Attribute::Class(ObjectClass::SECRET_KEY),
            Attribute::KeyType(KeyType::AES),
            Attribute::Token(true),
            Attribute::Label(name.label.clone().into_bytes()),
        ];
        if !name.id.is_empty() {
            template.push(Attribute::Id(name.id.clone()));
        }
        let handles = self.0.find_objects(&template)?;
        // Who was logged out sees no private key, and is not told why.
        let state = self.0.get_session_info()?.session_state();
        if handles.is_empty() && matches!(state, SessionState::RoPublic | SessionState::RwPublic) {
            return Err(Pkcs11Error::Lost("the session was logged out".to_owned()));
        }
        Ok(handles)
    }

    /// Nothing is wrapped under a key that could leave the token, or is shorter than what it wraps.
    fn check_fit(&self, found: &Found) -> Result<(), Pkcs11Error> {
        let asked = [AttributeType::Sensitive, AttributeType::Extractable, AttributeType::ValueLen];
        let told = self.0.get_attributes(found.handle, &asked)?;
        let fit = [Attribute::Sensitive(true), Attribute::Extractable(false), Attribute::ValueLen(Ulong::from(KEY_BYTES as u64))];
        if fit.iter().all(|wanted| told.contains(wanted)) { Ok(()) } else { Err(Pkcs11Error::UnfitKey(found.name.told())) }
    }
}

fn gcm<'a>(iv: &'a mut [u8; IV_BYTES], associated: &'a [u8]) -> Result<Mechanism<'a>, Pkcs11Error> {
    Ok(Mechanism::AesGcm(GcmParams::new(iv, associated, Ulong::from(TAG_BITS))?))
}

/// The one slot whose token is meant.
fn find_token(module: &Pkcs11, token: &Token) -> Result<Slot, Pkcs11Error> {
    let mut found = Vec::new();
    for slot in module.get_slots_with_token()? {
        let is_meant = match token {
            Token::Slot(id) => slot.id() == *id,
            // A token that does not tell its name is not ours, whatever it suffers from.
            Token::Label(label) => module.get_token_info(slot).is_ok_and(|info| info.label() == label),
            Token::Serial(serial) => module.get_token_info(slot).is_ok_and(|info| info.serial_number() == serial),
        };
        if is_meant {
            found.push(slot);
        }
    }
    match found.as_slice() {
        [slot] => Ok(*slot),
        [] => Err(Pkcs11Error::NoToken(token.told())),
        _ => Err(Pkcs11Error::SeveralTokens(token.told())),
    }
}
