//! Passwords of accounts: 20 characters, with one at least of each class. The one place where they are made.

use crate::host::Rng;
use crate::types::{Code, Error, Result, SecretString};
use zeroize::{Zeroize, Zeroizing};

const CHARACTERS: usize = 20;
const CLASSES: [&[u8]; 4] = [b"abcdefghijklmnopqrstuvwxyz", b"ABCDEFGHIJKLMNOPQRSTUVWXYZ", b"0123456789", b"-"];

/// A new password; by the password policy of that name where there is one.
pub(super) fn generate(rng: &dyn Rng, policy: &str) -> Result<SecretString> {
    if !policy.is_empty() {
        return Err(Error::new(Code::InvalidRequest, "password policies are not there yet: leave the \"password_policy\" empty"));
    }
    let mut all = Vec::new();
    CLASSES.iter().for_each(|class| all.extend_from_slice(class));
    loop {
        let mut text = Zeroizing::new(String::with_capacity(CHARACTERS));
        while text.len() < CHARACTERS {
            let mut bytes: [u8; 64] = rng.array().map_err(|error| Error::new(Code::NoEntropy, error.to_string()))?;
            // Bytes from the last multiple on would favour the first characters.
            let even = 256 - 256 % all.len();
            let room = CHARACTERS - text.len();
            text.extend(
                bytes
                    .iter()
                    .filter(|byte| usize::from(**byte) < even)
                    .take(room)
                    .map(|byte| char::from(all[usize::from(*byte) % all.len()])),
            );
            bytes.zeroize();
        }
        // Drawn anew as a whole until each class is there, so that all such passwords are equally likely. None begins as an option would.
        let has_all = CLASSES.iter().all(|class| text.bytes().any(|byte| class.contains(&byte)));
        if has_all && !text.starts_with('-') {
            return Ok(SecretString::copy_from(&text));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::os::SystemRng;

    #[test]
    fn a_password_has_its_length_and_one_of_each_class() {
        let rng = SystemRng::new();
        for _ in 0..200 {
            let password = generate(&rng, "").expect("randomness");
            let text = password.expose();
            assert_eq!(text.len(), CHARACTERS);
            assert!(CLASSES.iter().all(|class| text.bytes().any(|byte| class.contains(&byte))));
            assert!(!text.starts_with('-'));
        }
        assert!(generate(&rng, "other").is_err());
    }
}
