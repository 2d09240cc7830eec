//! How a client shows MySQL that it knows a password: the two plugins that accounts have by default.

use ring::digest::{Algorithm, Context, SHA1_FOR_LEGACY_USE_ONLY, SHA256};
use zeroize::Zeroizing;

pub(super) const NATIVE: &str = "mysql_native_password";
pub(super) const CACHING: &str = "caching_sha2_password";

pub(super) fn is_known(plugin: &str) -> bool {
    plugin == NATIVE || plugin == CACHING
}

/// What proves the password for a nonce of the server's, without telling it. An empty password is proved by nothing.
pub(super) fn scramble(plugin: &str, password: &str, nonce: &[u8]) -> Zeroizing<Vec<u8>> {
    if password.is_empty() {
        return Zeroizing::default();
    }
    let (algorithm, nonce_first) = if plugin == NATIVE { (&SHA1_FOR_LEGACY_USE_ONLY, true) } else { (&SHA256, false) };
    let once = hash(algorithm, &[password.as_bytes()]);
    let twice = hash(algorithm, &[&once]);
    let mask = if nonce_first { hash(algorithm, &[nonce, &twice]) } else { hash(algorithm, &[&twice, nonce]) };
    Zeroizing::new(once.iter().zip(mask.iter()).map(|(once, mask)| once ^ mask).collect())
}

fn hash(algorithm: &'static Algorithm, parts: &[&[u8]]) -> Zeroizing<Vec<u8>> {
    let mut context = Context::new(algorithm);
    parts.iter().for_each(|part| context.update(part));
    Zeroizing::new(context.finish().as_ref().to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The values are those of the tests of the `mysql_common` crate, made from other clients' traffic.
    #[test]
    fn scrambles_are_those_of_other_clients() {
        let nonce = b"NR3HP:qIYa_9=db?Sd{`";
        assert!(scramble(NATIVE, "", nonce).is_empty());
        let told = |plugin| hex(&scramble(plugin, "G!ider27", nonce));
        assert_eq!(told(NATIVE), "09cff8855e9e705340ff2270d8fb9fadba906b70");
        assert_eq!(told(CACHING), "4f97bbfd202401c42a69deaae53bda077ed7578563c1a80eb816c82119b68d2e");
    }

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}
