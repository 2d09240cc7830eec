//! The modules that this process has loaded: each once, initialised, and never finalised, since others in the process may use it too.

use super::error::Pkcs11Error;
use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
use cryptoki::error::{Error as Native, RvError};
use parking_lot::Mutex;
use std::path::{Path, PathBuf};

/// A module stays loaded as long as the process: some of them have threads, or handlers that run at its end.
static LOADED: Mutex<Vec<(PathBuf, Pkcs11)>> = Mutex::new(Vec::new());

/// The module at this path, ready for use.
///
/// `C_Initialize` is called anew each time, and it is no failure that somebody did so before: another part of the process may have
/// finalised the module, and a child process must initialise it for itself (PKCS #11 v2.40, section 5.4).
pub(super) fn ready(path: &Path) -> Result<Pkcs11, Pkcs11Error> {
    let module = loaded(path)?;
    match module.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK)) {
        Ok(()) | Err(Native::Pkcs11(RvError::CryptokiAlreadyInitialized, _)) => Ok(module),
        Err(error) => Err(error.into()),
    }
}

fn loaded(path: &Path) -> Result<Pkcs11, Pkcs11Error> {
    let known = |loaded: &[(PathBuf, Pkcs11)]| loaded.iter().find(|(known, _)| known == path).map(|(_, module)| module.clone());
    if let Some(module) = known(&LOADED.lock()) {
        return Ok(module);
    }
    // A name without a folder is looked for where the loader looks.
    if path.components().count() > 1 && !path.exists() {
        return Err(Pkcs11Error::NoModule);
    }
    // Outside of the lock: loading runs the module's own code, and a child process that is made meanwhile must not find the lock taken.
    let module = Pkcs11::new(path)?;
    let mut loaded = LOADED.lock();
    // The loader counts: where another thread was first, its module and this one are the same.
    Ok(known(&loaded).unwrap_or_else(|| {
        loaded.push((path.to_owned(), module.clone()));
        module
    }))
}
