//! What a slot keeps of a key that a token wrapped: which of the token's keys did it, and the ciphertext.
//!
//! ```text
//!  "LVP11"  version  label length  label        id length  id           IV        ciphertext, tag
//!  5 bytes  1 byte   1 byte        1-255 bytes  1 byte     0-255 bytes  12 bytes  32 + 16 bytes
//! ```
//!
//! All that stands before the IV, followed by the slot's context, is the associated data of AES-GCM: it says itself where it ends, so the
//! two cannot be taken for one another.

use super::error::Pkcs11Error;

/// The bytes of an IV: 96 bits, as NIST SP 800-38D advises.
pub(super) const IV_BYTES: usize = 12;
/// The bytes of a tag.
pub(super) const TAG_BYTES: usize = 16;
/// The bytes of the key that is wrapped.
pub(super) const KEY_BYTES: usize = 32;
/// Longest label or id of a token's key, in bytes.
pub(super) const NAME_BYTES_MAX: usize = 255;

const MAGIC: &[u8; 5] = b"LVP11";
const VERSION: u8 = 1;

/// Which of a token's keys is meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct KeyName {
    /// `CKA_LABEL`.
    pub(super) label: String,
    /// `CKA_ID`; empty where the key has none, or any will do.
    pub(super) id: Vec<u8>,
}

/// A wrapped key, taken apart.
#[derive(Debug)]
pub(super) struct Blob<'a> {
    pub(super) key: KeyName,
    /// What is authenticated of the blob itself.
    pub(super) head: &'a [u8],
    pub(super) iv: [u8; IV_BYTES],
    /// Ciphertext and tag.
    pub(super) sealed: &'a [u8],
}

impl KeyName {
    /// How messages name the key.
    pub(super) fn told(&self) -> String {
        let id: String = self.id.iter().map(|byte| format!("{byte:02x}")).collect();
        if id.is_empty() { format!("labelled {:?}", self.label) } else { format!("labelled {:?} with the id {id}", self.label) }
    }

    /// The beginning of a blob of this key's.
    pub(super) fn head(&self) -> Result<Vec<u8>, Pkcs11Error> {
        let length =
            |bytes: usize| u8::try_from(bytes).map_err(|_| Pkcs11Error::BadOption("a key's label and id have at most 255 bytes each"));
        let mut head = [&MAGIC[..], &[VERSION, length(self.label.len())?], self.label.as_bytes()].concat();
        head.push(length(self.id.len())?);
        head.extend_from_slice(&self.id);
        Ok(head)
    }
}

impl<'a> Blob<'a> {
    /// Takes a blob apart.
    pub(super) fn parse(bytes: &'a [u8]) -> Result<Self, Pkcs11Error> {
        let rest = bytes.strip_prefix(MAGIC).ok_or(Pkcs11Error::ForeignBlob)?;
        let (&version, rest) = rest.split_first().ok_or(Pkcs11Error::Refused)?;
        if version != VERSION {
            return Err(Pkcs11Error::NewerBlob(version));
        }
        let (label, rest) = counted(rest)?;
        let (id, rest) = counted(rest)?;
        let label = std::str::from_utf8(label).map_err(|_| Pkcs11Error::Refused)?.to_owned();
        let (iv, sealed) = rest.split_first_chunk::<IV_BYTES>().ok_or(Pkcs11Error::Refused)?;
        if sealed.len() != KEY_BYTES + TAG_BYTES {
            return Err(Pkcs11Error::Refused);
        }
        let head = &bytes[..bytes.len() - rest.len()];
        Ok(Blob { key: KeyName { label, id: id.to_vec() }, head, iv: *iv, sealed })
    }
}

/// Bytes after their number, and the rest.
fn counted(bytes: &[u8]) -> Result<(&[u8], &[u8]), Pkcs11Error> {
    let (&length, rest) = bytes.split_first().ok_or(Pkcs11Error::Refused)?;
    rest.split_at_checked(length.into()).ok_or(Pkcs11Error::Refused)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(label: &str, id: &[u8]) -> Vec<u8> {
        let head = KeyName { label: label.to_owned(), id: id.to_vec() }.head().expect("short");
        [&head[..], &[7; IV_BYTES], &[8; KEY_BYTES + TAG_BYTES]].concat()
    }

    #[test]
    fn a_blob_tells_its_key_and_what_is_authenticated() {
        for (label, id) in [("k", &b""[..]), ("a key of 2026", &[0, 255]), (&"x".repeat(255), &[1; 255])] {
            let bytes = bytes(label, id);
            let blob = Blob::parse(&bytes).expect("own bytes");
            assert_eq!((blob.key.label.as_str(), blob.key.id.as_slice()), (label, id));
            assert_eq!((blob.head, blob.iv), (&bytes[..bytes.len() - 60], [7; 12]));
            assert_eq!(blob.sealed, [8; 48]);
        }
        assert!(KeyName { label: "x".repeat(256), id: Vec::new() }.head().is_err());
    }

    #[test]
    fn every_cut_and_every_addition_is_refused() {
        let whole = bytes("key", &[1, 2, 3]);
        for end in 0..whole.len() {
            assert!(Blob::parse(&whole[..end]).is_err(), "{end}");
        }
        assert!(Blob::parse(&[&whole[..], &[0]].concat()).is_err());
    }

    #[test]
    fn what_another_service_or_a_later_version_made_is_named_as_such() {
        assert!(matches!(Blob::parse(b"vault:v1:AAAA"), Err(Pkcs11Error::ForeignBlob)));
        let mut later = bytes("key", &[]);
        later[5] = 2;
        assert!(matches!(Blob::parse(&later), Err(Pkcs11Error::NewerBlob(2))));
    }

    #[test]
    fn a_label_in_a_message_cannot_break_its_line() {
        let told = KeyName { label: "a\nb".to_owned(), id: vec![0, 0xAB] }.told();
        assert_eq!(told, "labelled \"a\\nb\" with the id 00ab");
    }
}
