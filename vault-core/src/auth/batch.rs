//! Batch tokens: their text is all that there is of them, an encryption of what a record would hold under the key of their namespace.
//!
//! `hvb.` and base64url of `version = 0 (1) | nonce (12) | ciphertext | tag (16)`.

use super::token::TokenEntry;
use crate::barrier::Barrier;
use crate::crypto::Nonce;
use crate::host::RngError;
use crate::types::SecretString;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use zeroize::Zeroizing;

const PREFIX: &str = "hvb.";
const VERSION: u8 = 0;
const NONCE_AT: usize = 1;
const BODY_AT: usize = NONCE_AT + 12;

/// Whether a text has the form of a batch token.
pub(crate) fn is_batch(token: &str) -> bool {
    token.starts_with(PREFIX)
}

/// The token that holds this.
pub(crate) fn seal(barrier: &Barrier, entry: &TokenEntry) -> Result<SecretString, RngError> {
    let nonce = Nonce::random(barrier.rng())?;
    let mut bytes = vec![VERSION];
    bytes.extend_from_slice(nonce.as_bytes());
    barrier.keyring().batch().seal(nonce, &associated_data(barrier), &[&entry.to_bytes()], &mut bytes);
    let mut text = Zeroizing::new(String::with_capacity(PREFIX.len() + bytes.len().div_ceil(3) * 4));
    text.push_str(PREFIX);
    URL_SAFE_NO_PAD.encode_string(&bytes, &mut text);
    Ok(SecretString::copy_from(&text))
}

/// What a token of this namespace holds; `None` for any other text.
pub(crate) fn open(barrier: &Barrier, token: &str) -> Option<TokenEntry> {
    let bytes = URL_SAFE_NO_PAD.decode(token.strip_prefix(PREFIX)?).ok()?;
    let nonce = bytes.get(NONCE_AT..BODY_AT)?.try_into().ok()?;
    if bytes.first() != Some(&VERSION) {
        return None;
    }
    let plaintext = barrier.keyring().batch().open(nonce, &associated_data(barrier), &bytes[BODY_AT..]).ok()?;
    TokenEntry::from_bytes(&plaintext).ok()
}

/// Each part has a fixed length, so that no two tuples share an encoding.
fn associated_data(barrier: &Barrier) -> Vec<u8> {
    [&[VERSION][..], barrier.store().as_bytes(), barrier.namespace().as_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::Keyring;
    use crate::os::SystemRng;
    use crate::types::id::Id;
    use std::sync::Arc;

    fn barrier(namespace: u8) -> Barrier {
        let rng = SystemRng::new();
        let keyring = Keyring::generate(&rng, 1, 0).expect("randomness");
        Barrier::new(Id::from_bytes([1; 16]), Id::from_bytes([namespace; 16]), keyring, Arc::new(rng))
    }

    #[test]
    fn a_batch_token_opens_in_its_namespace_only_and_no_altered_one_anywhere() {
        let (here, elsewhere) = (barrier(0), barrier(2));
        let entry = TokenEntry { policies: vec!["p".to_owned()], expires_millis: 5, ..TokenEntry::default() };
        let token = seal(&here, &entry).expect("randomness");
        let text = token.expose();
        assert!(is_batch(text));
        assert_eq!(open(&here, text), Some(entry));
        assert_eq!(open(&elsewhere, text), None);
        let body = text.strip_prefix(PREFIX).expect("its prefix");
        let bytes = URL_SAFE_NO_PAD.decode(body).expect("base64url");
        for bit in 0..bytes.len() * 8 {
            let mut bad = bytes.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(open(&here, &format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(bad))), None, "bit {bit}");
        }
        for text in ["", "hvb.", "hvb.AA", "hvb.!", body, "hvs.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"] {
            assert_eq!(open(&here, text), None);
        }
    }
}
