//! Ed25519 signatures (RFC 8032). The key object of the library cannot be wiped, so it is made for one signature and gone with it.

use super::Key256;
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};

/// The public key of a seed.
pub(crate) fn public_key(seed: &Key256) -> [u8; 32] {
    let mut public = [0; 32];
    public.copy_from_slice(pair(seed).public_key().as_ref());
    public
}

/// Signs a message.
pub(crate) fn sign(seed: &Key256, message: &[u8]) -> [u8; 64] {
    let mut signature = [0; 64];
    signature.copy_from_slice(pair(seed).sign(message).as_ref());
    signature
}

/// Whether a message was signed by the holder of this key.
pub(crate) fn verify(public: &[u8; 32], message: &[u8], signature: &[u8; 64]) -> bool {
    UnparsedPublicKey::new(&ED25519, public).verify(message, signature).is_ok()
}

fn pair(seed: &Key256) -> Ed25519KeyPair {
    Ed25519KeyPair::from_seed_unchecked(seed.expose()).expect("a seed has 32 bytes")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 8032, section 7.1, test 3.
    #[test]
    fn the_vector_of_rfc_8032_holds_and_nothing_else_verifies() {
        let bytes = |text: &str| hex::decode(text).expect("hex");
        let seed: [u8; 32] = bytes("c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7").try_into().expect("32 bytes");
        let seed = Key256::from_bytes(&seed);
        let public = public_key(&seed);
        assert_eq!(hex::encode(public), "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025");
        let signature = sign(&seed, &bytes("af82"));
        let expected = "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac\
                        18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a";
        assert_eq!(hex::encode(signature), expected);
        assert!(verify(&public, &bytes("af82"), &signature));
        assert!(!verify(&public, &bytes("af83"), &signature));
        let mut bad = signature;
        bad[0] ^= 1;
        assert!(!verify(&public, &bytes("af82"), &bad));
    }
}
