//! A key in an HSM or a smart card, named by the module, the token and the key: what `vault_options_t` takes as a key wrapper.

use crate::error::bad_argument;
use crate::guard::guard;
use crate::input;
use crate::status::vault_status_t;
use std::ffi::c_char;
use vault_connectors::pkcs11::{Pkcs11Options, Pkcs11Wrapper, Token};
use vault_core::types::{Result, SecretString};

/// A key in an HSM or a smart card, over PKCS #11 (OASIS, v2.40 and v3.0). It wraps a key slot by AES-256-GCM and never leaves the token.
/// The module is loaded when it is first needed, and stays loaded. Zero the struct before filling it in. All pointers are borrowed for the
/// call that is given it.
///
/// A wrong PIN is tried once by each vault that is opened, since tokens lock after some; none is tried when the token says that it is at the
/// last try.
#[allow(non_camel_case_types, reason = "the name in C")]
#[repr(C)]
#[derive(Clone, Copy)]
pub struct vault_pkcs11_t {
    /// The path of the token's module, a shared library: NUL-terminated UTF-8, at most 4096 bytes.
    pub module: *const c_char,
    /// The token's label, NUL-terminated UTF-8, at most 255 bytes; NULL when the serial number is given.
    pub token_label: *const c_char,
    /// The token's serial number, NUL-terminated UTF-8, at most 255 bytes; NULL when the label is given.
    pub token_serial: *const c_char,
    /// The PIN of the token's normal user, UTF-8, at most 4096 bytes. Copied, and wiped when the vault is closed.
    pub pin: *const c_char,
    /// Its length in bytes.
    pub pin_len: usize,
    /// The key's label (`CKA_LABEL`): NUL-terminated UTF-8, at most 255 bytes.
    pub key_label: *const c_char,
    /// The key's id (`CKA_ID`), where several keys have the label; else NULL.
    pub key_id: *const u8,
    /// Its length in bytes, at most 255.
    pub key_id_len: usize,
    /// The name by which slots find this wrapper again, as in `vault_key_wrapper_t`; NULL for `pkcs11`.
    pub name: *const c_char,
}

/// Makes the key that is named on the token: AES-256, sensitive, not extractable, to encrypt and decrypt with. No other function makes a key.
///
/// - `pkcs11`: borrowed for the call. Where it names no id, the key gets a random one.
/// - Fails with `VAULT_ERR_KEY_SERVICE` when there is such a key already, and when the token fails or refuses; the text says what to do.
/// - Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vault_pkcs11_generate_key(pkcs11: *const vault_pkcs11_t) -> vault_status_t {
    guard!(=> {
        // SAFETY: the caller gives NULL or a struct with members as described.
        let wrapper = unsafe { vault_pkcs11_t::read(pkcs11) }?.ok_or_else(|| bad_argument("pkcs11 is NULL"))?;
        Ok(wrapper.generate_key()?)
    })
}

const PATH_BYTES_MAX: usize = 4096;
const PIN_BYTES_MAX: usize = 4096;
const NAME_BYTES_MAX: usize = 255;

impl vault_pkcs11_t {
    /// The wrapper that the struct describes; none where it is NULL.
    ///
    /// # Safety
    /// `pkcs11` is NULL, or as its description says.
    pub(crate) unsafe fn read(pkcs11: *const Self) -> Result<Option<Pkcs11Wrapper>> {
        if pkcs11.is_null() {
            return Ok(None);
        }
        // SAFETY: not NULL, so as the caller promises.
        let given = unsafe { pkcs11.read() };
        // SAFETY: each text is as its description says, or NULL.
        let text = |pointer, name, bytes_max| unsafe { input::text(pointer, name, bytes_max) };
        let token = match (given.token_label.is_null(), given.token_serial.is_null()) {
            (false, true) => Token::Label(text(given.token_label, "pkcs11.token_label", NAME_BYTES_MAX)?.to_owned()),
            (true, false) => Token::Serial(text(given.token_serial, "pkcs11.token_serial", NAME_BYTES_MAX)?.to_owned()),
            _ => return Err(bad_argument("give one of pkcs11.token_label and pkcs11.token_serial")),
        };
        // SAFETY: as the caller promises.
        let pin = unsafe { input::bytes(given.pin.cast(), given.pin_len, "pkcs11.pin", PIN_BYTES_MAX) }?;
        let pin = SecretString::copy_from(input::utf8(pin, "pkcs11.pin")?);
        let module = text(given.module, "pkcs11.module", PATH_BYTES_MAX)?;
        let mut options = Pkcs11Options::new(module, token, pin, text(given.key_label, "pkcs11.key_label", NAME_BYTES_MAX)?);
        if !given.key_id.is_null() {
            // SAFETY: as the caller promises.
            options = options.with_key_id(unsafe { input::bytes(given.key_id, given.key_id_len, "pkcs11.key_id", NAME_BYTES_MAX) }?);
        }
        if !given.name.is_null() {
            options = options.with_name(text(given.name, "pkcs11.name", NAME_BYTES_MAX)?);
        }
        Ok(Some(Pkcs11Wrapper::new(options)?))
    }
}
