//! Checkpoints: the size and the root of the log, signed by the vault, in the form of a C2SP tlog-checkpoint (a signed note).
//!
//! `origin LF size LF base64(root) LF LF "— " origin " " base64(key id (4) | signature (64)) LF`. The verifier key is
//! `origin "+" hex(key id) "+" base64(0x01 | public key)`; the key id is the beginning of SHA-256(origin LF 0x01 public key).
//! See <https://c2sp.org/signed-note> and <https://c2sp.org/tlog-checkpoint>.

use crate::barrier::Barrier;
use crate::crypto::{Key256, Label, derive, public_key, sha256, sign, verify_signature};
use crate::types::{Code, Error, Result};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

const ED25519: u8 = 1;

/// The log at one point: how many events it had, and the root of their tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// The log's name: `libvault/`, the vault's id and the lineage.
    pub origin: String,
    /// How many events there were.
    pub size: u64,
    /// The root of the tree over them (RFC 6962).
    pub root: [u8; 32],
}

/// Signs the checkpoints of one lineage of a vault.
pub(crate) struct Signer {
    origin: String,
    seed: Key256,
}

impl Signer {
    pub(crate) fn new(barrier: &Barrier, lineage: &[u8; 16]) -> Self {
        let origin = format!("libvault/{}/{}", hex::encode(barrier.store().as_bytes()), hex::encode(lineage));
        Signer { origin, seed: derive(barrier.keyring().checkpoint(), Label::CheckpointKey, lineage) }
    }

    /// The signed note.
    pub(crate) fn sign(&self, size: u64, root: &[u8; 32]) -> String {
        let body = format!("{}\n{size}\n{}\n", self.origin, STANDARD.encode(root));
        let signature = sign(&self.seed, body.as_bytes());
        let line = [&key_id(&self.origin, &public_key(&self.seed))[..], &signature].concat();
        format!("{body}\n\u{2014} {} {}\n", self.origin, STANDARD.encode(line))
    }

    /// What a verifier needs, and all that it needs.
    pub(crate) fn verifier_key(&self) -> String {
        let public = public_key(&self.seed);
        let encoded = STANDARD.encode([&[ED25519], &public[..]].concat());
        format!("{}+{}+{encoded}", self.origin, hex::encode(key_id(&self.origin, &public)))
    }
}

/// Checks a checkpoint with the vault's verifier key, as `sys/audit-log/public-key` answers it.
///
/// # Errors
/// `InvalidData` when either is not of its form; `Corrupt` when the signature is not that of the key.
pub fn verify_checkpoint(note: &str, verifier_key: &str) -> Result<Checkpoint> {
    let no_key = || Error::new(Code::InvalidData, "this is no verifier key: it has the form name+key id+base64");
    let mut parts = verifier_key.trim().splitn(3, '+');
    let (Some(name), Some(id), Some(encoded)) = (parts.next(), parts.next(), parts.next()) else { return Err(no_key()) };
    let key = STANDARD.decode(encoded).map_err(|_| no_key())?;
    let public: [u8; 32] = key.strip_prefix(&[ED25519]).and_then(|key| key.try_into().ok()).ok_or_else(no_key)?;
    let key_id = key_id(name, &public);
    if id != hex::encode(key_id) {
        return Err(no_key());
    }
    let no_note = || Error::new(Code::InvalidData, "this is no checkpoint: a text of a name, a size, a root, an empty line and signatures");
    let (body, signatures) = note.split_once("\n\n").ok_or_else(no_note)?;
    let body = format!("{body}\n");
    let signed = |line: &str| -> Option<bool> {
        let (signer, encoded) = line.strip_prefix("\u{2014} ")?.split_once(' ')?;
        let bytes = STANDARD.decode(encoded).ok()?;
        let signature: &[u8; 64] = bytes.strip_prefix(&key_id)?.try_into().ok()?;
        Some(signer == name && verify_signature(&public, body.as_bytes(), signature))
    };
    if !signatures.lines().any(|line| signed(line) == Some(true)) {
        return Err(Error::new(Code::Corrupt, "the checkpoint is not signed by this key: it was altered, or is another vault's"));
    }
    let mut lines = body.lines();
    let (Some(origin), Some(size), Some(root)) = (lines.next(), lines.next(), lines.next()) else { return Err(no_note()) };
    let root = STANDARD.decode(root).ok().and_then(|root| root.try_into().ok()).ok_or_else(no_note)?;
    Ok(Checkpoint { origin: origin.to_owned(), size: size.parse().map_err(|_| no_note())?, root })
}

fn key_id(name: &str, public: &[u8; 32]) -> [u8; 4] {
    let hash = sha256(&[name.as_bytes(), b"\n", &[ED25519], public]);
    [hash[0], hash[1], hash[2], hash[3]]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_checkpoint_verifies_with_its_key_and_every_change_is_found() {
        let signer = Signer { origin: "libvault/0/1".to_owned(), seed: Key256::from_bytes(&[7; 32]) };
        let (note, key) = (signer.sign(5, &[3; 32]), signer.verifier_key());
        let expected = Checkpoint { origin: "libvault/0/1".to_owned(), size: 5, root: [3; 32] };
        assert_eq!(verify_checkpoint(&note, &key).expect("signed"), expected);
        let other = Signer { origin: "libvault/0/1".to_owned(), seed: Key256::from_bytes(&[8; 32]) };
        assert_eq!(verify_checkpoint(&note, &other.verifier_key()).expect_err("another key").code(), Code::Corrupt);
        for (at, letter) in note.char_indices() {
            let changed: String = note.char_indices().map(|(i, c)| if i == at { if c == 'A' { 'B' } else { 'A' } } else { c }).collect();
            if changed != note {
                assert!(verify_checkpoint(&changed, &key).is_err(), "{at} {letter}");
            }
        }
        for cut in (0..key.len()).chain([]) {
            assert!(verify_checkpoint(&note, &key[..cut]).is_err());
        }
    }

    /// The example of c2sp.org/signed-note: the key id and verification of a foreign implementation's note.
    #[test]
    fn a_note_of_another_implementation_verifies() {
        // golang.org/x/mod/sumdb/note, test key "PeterNeumann".
        let key = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
        let note = "If you think cryptography is the answer to your problem,\n\
                    then you don't know what your problem is.\n\n\
                    \u{2014} PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n";
        // It is no checkpoint, so it is refused for its form, and not for its signature.
        assert_eq!(verify_checkpoint(note, key).expect_err("no checkpoint").code(), Code::InvalidData);
        assert_eq!(verify_checkpoint(&note.replace("cryptography", "Cryptography"), key).expect_err("altered").code(), Code::Corrupt);
    }
}
