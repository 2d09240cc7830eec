//! What can go wrong between a vault and a token, each with what to do about it.

use cryptoki::context::Function;
use cryptoki::error::{Error as Native, RvError};
use vault_core::host::{RngError, WrapError};
use vault_core::types::{Code, Error};

/// Why a token did not wrap or unwrap a key. No text holds a PIN or a key; labels of tokens and keys are in them.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Pkcs11Error {
    /// An option is empty or too long.
    #[error("{0}")]
    BadOption(&'static str),
    /// The wrapper is of another process.
    #[error("the PKCS#11 wrapper was made before the fork: make one in this process")]
    Forked,
    /// There is no file where the module should be.
    #[error("there is no PKCS#11 module at the path that was given: install the token's software, or correct the path")]
    NoModule,
    /// The file is there and cannot be loaded.
    #[error(
        "the PKCS#11 module cannot be loaded: it is no shared library of this architecture, or a library that it needs is missing (ldd tells)"
    )]
    BadModule,
    /// It was loaded and is something else, or answers nonsense.
    #[error("the library is no PKCS#11 module, or breaks the standard: correct the path, or update the token's software")]
    NotAModule,
    /// The module knows no such token.
    #[error("the PKCS#11 module has no token with the {0}: see that it is plugged in, reachable and initialised")]
    NoToken(String),
    /// The module knows several.
    #[error("the PKCS#11 module has several tokens with the {0}: name the token by its serial number")]
    SeveralTokens(String),
    /// The PIN is wrong.
    #[error(
        "the token refused the user PIN; this wrapper does not try it again, since wrong PINs lock a token: correct it and make a new one"
    )]
    WrongPin,
    /// The PIN was wrong before.
    #[error("the user PIN was refused before and is not tried again, since wrong PINs lock a token: correct it and make a new wrapper")]
    PinRefusedBefore,
    /// One more wrong PIN would lock the token.
    #[error(
        "the next wrong user PIN locks the token, so none is tried: correct the PIN, log in once with the token's own tool, and make a new wrapper"
    )]
    LastTry,
    /// The PIN is locked.
    #[error("the token's user PIN is locked after too many wrong ones: its security officer must set a new one (C_InitPIN)")]
    PinLocked,
    /// There is no PIN yet, or it must be changed first.
    #[error("the token's user PIN was never set, has expired, or must be changed first: set it with the token's own tool")]
    PinNotSet,
    /// The key is not there.
    #[error("the token has no AES key {0}: make it (generate_key), or see that it was not deleted or renamed")]
    NoKey(String),
    /// Several keys have the name.
    #[error("the token has several AES keys {0}: name the key by its id (CKA_ID) too, or remove one")]
    SeveralKeys(String),
    /// A key that would be made is there already.
    #[error("the token has an AES key {0} already: none was made")]
    KeyExists(String),
    /// The key could leave the token.
    #[error(
        "the AES key {0} is not fit to wrap with: it must be of 256 bits, CKA_SENSITIVE and not CKA_EXTRACTABLE, as generate_key makes one"
    )]
    UnfitKey(String),
    /// The key's use is restricted.
    #[error("the token does not let its AES key encrypt and decrypt: CKA_ENCRYPT and CKA_DECRYPT must be set")]
    KeyNotAllowed,
    /// AES-GCM is missing.
    #[error("the token cannot do AES-GCM (CKM_AES_GCM) with this key, 96 bits of IV and a tag of 128 bits: use another token or mechanism")]
    NoMechanism,
    /// The blob was not made by this wrapper.
    #[error("the slot's wrapping was not made by the PKCS#11 wrapper: another key service of the same name made it")]
    ForeignBlob,
    /// The blob was made by a later version.
    #[error("the slot's wrapping has the format {0}, which this version does not know: use a newer version of libvault")]
    NewerBlob(u8),
    /// The tag is wrong.
    #[error("the token does not open the slot's wrapping: it was altered, is of another vault or slot, or the key of that name is another")]
    Refused,
    /// The session or the token was lost, twice in a row.
    #[error("the token was lost during the work and again after a new login ({0}): see that it is plugged in and reachable")]
    Lost(String),
    /// Anything else that the module answered.
    #[error("the token failed: {0}")]
    Failed(String),
    /// There is no randomness.
    #[error(transparent)]
    Rng(#[from] RngError),
}

impl Pkcs11Error {
    /// Whether a new session may do better: the token was reset, unplugged for a moment, or somebody else in the process logged it out.
    pub(super) fn is_lost(&self) -> bool {
        matches!(self, Pkcs11Error::Lost(_))
    }
}

impl From<Native> for Pkcs11Error {
    fn from(error: Native) -> Self {
        match error {
            Native::Pkcs11(answer, function) => answered(answer, function),
            Native::LibraryLoading(_) => Pkcs11Error::BadModule,
            _ => Pkcs11Error::NotAModule,
        }
    }
}

impl From<Pkcs11Error> for WrapError {
    fn from(error: Pkcs11Error) -> Self {
        WrapError::new(error.to_string())
    }
}

impl From<Pkcs11Error> for Error {
    fn from(error: Pkcs11Error) -> Self {
        let code = match error {
            Pkcs11Error::BadOption(_) => Code::InvalidRequest,
            Pkcs11Error::Forked => Code::Forked,
            Pkcs11Error::Rng(_) => Code::NoEntropy,
            _ => Code::KeyService,
        };
        Error::new(code, error.to_string())
    }
}

/// What an answer of the module means (PKCS #11 v2.40, section 5.1).
fn answered(answer: RvError, function: Function) -> Pkcs11Error {
    let told = || format!("C_{function:?} answered {answer:x?}");
    match answer {
        RvError::PinIncorrect | RvError::PinInvalid | RvError::PinLenRange => Pkcs11Error::WrongPin,
        RvError::PinLocked => Pkcs11Error::PinLocked,
        RvError::PinExpired | RvError::UserPinNotInitialized => Pkcs11Error::PinNotSet,
        RvError::MechanismInvalid | RvError::MechanismParamInvalid | RvError::KeyTypeInconsistent | RvError::KeySizeRange => {
            Pkcs11Error::NoMechanism
        }
        RvError::KeyFunctionNotPermitted => Pkcs11Error::KeyNotAllowed,
        RvError::SessionHandleInvalid
        | RvError::SessionClosed
        | RvError::DeviceRemoved
        | RvError::DeviceError
        | RvError::TokenNotPresent
        | RvError::UserNotLoggedIn
        | RvError::CryptokiNotInitialized
        | RvError::KeyHandleInvalid
        | RvError::ObjectHandleInvalid => Pkcs11Error::Lost(told()),
        // A wrong tag has no answer of its own before v3.0, and tokens differ in which of these they give.
        RvError::EncryptedDataInvalid
        | RvError::EncryptedDataLenRange
        | RvError::DataInvalid
        | RvError::GeneralError
        | RvError::FunctionFailed
            if matches!(function, Function::Decrypt) =>
        {
            Pkcs11Error::Refused
        }
        _ => Pkcs11Error::Failed(told()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_told_apart_by_what_is_to_be_done() {
        let answered = |answer| answered(answer, Function::Decrypt);
        assert!(matches!(answered(RvError::PinLenRange), Pkcs11Error::WrongPin));
        assert!(matches!(answered(RvError::PinExpired), Pkcs11Error::PinNotSet));
        assert!(matches!(answered(RvError::KeySizeRange), Pkcs11Error::NoMechanism));
        assert!(matches!(answered(RvError::EncryptedDataInvalid), Pkcs11Error::Refused));
        assert!(matches!(super::answered(RvError::GeneralError, Function::Login), Pkcs11Error::Failed(_)));
        let vendor = answered(RvError::VendorDefined(0x8000_0001)).to_string();
        assert!(vendor.contains("C_Decrypt answered VendorDefined(80000001)"), "{vendor}");
    }

    #[test]
    fn codes_are_those_of_the_table() {
        let code = |error: Pkcs11Error| Error::from(error).code();
        assert_eq!(code(Pkcs11Error::Forked), Code::Forked);
        assert_eq!(code(Pkcs11Error::BadOption("x")), Code::InvalidRequest);
        assert_eq!(code(Pkcs11Error::Rng(RngError)), Code::NoEntropy);
        assert_eq!(code(Pkcs11Error::PinLocked), Code::KeyService);
    }
}
