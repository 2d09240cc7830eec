//! SHA-256 (FIPS 180-4), through ring.

/// The SHA-256 of the parts, one after another.
pub(crate) fn sha256(parts: &[&[u8]]) -> [u8; 32] {
    let mut context = ring::digest::Context::new(&ring::digest::SHA256);
    parts.iter().for_each(|part| context.update(part));
    let mut hash = [0; 32];
    hash.copy_from_slice(context.finish().as_ref());
    hash
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_examples_of_the_standard_hold() {
        let million = vec![b'a'; 1_000_000];
        let examples: [(&[&[u8]], &str); 4] = [
            (&[], "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
            (&[b"a", b"", b"bc"], "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
            (
                &[b"abcdbcdecdefdefgefghfghighijhijk", b"ijkljklmklmnlmnomnopnopq"],
                "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1",
            ),
            (&[&million], "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"),
        ];
        for (parts, expected) in examples {
            assert_eq!(hex::encode(sha256(parts)), expected);
        }
    }

    #[test]
    fn every_length_has_the_hash_that_another_implementation_gives() {
        use sha2::Digest;
        let bytes: Vec<u8> = (0..300_u32).map(|at| (at % 251) as u8).collect();
        for len in 0..=bytes.len() {
            let (one, other) = bytes[..len].split_at(len / 3);
            assert_eq!(sha256(&[one, other])[..], sha2::Sha256::digest(&bytes[..len])[..], "{len} bytes");
        }
    }
}
