//! Secret values: wiped on drop, redacted in `Debug`, compared in constant time, exposed only by name.

use secrecy::{ExposeSecret, SecretBox};
use std::fmt;
use subtle::ConstantTimeEq;
use zeroize::Zeroize;

/// A secret: no `Clone`, `Display` or `Serialize`. [`Secret::expose`] is the one way to it, and easy to search for.
pub struct Secret<T: Zeroize + ?Sized>(SecretBox<T>);

/// Secret bytes in a box of exactly their length, so that growth never leaves copies behind.
pub type SecretBytes = Secret<[u8]>;
/// Secret text in a box of exactly its length.
pub type SecretString = Secret<str>;

impl<T: Zeroize + ?Sized> Secret<T> {
    /// Takes ownership of a boxed secret.
    #[must_use]
    pub fn new(value: Box<T>) -> Self {
        Secret(SecretBox::new(value))
    }

    /// The secret itself: keep the borrow short and make no copies.
    #[must_use]
    pub fn expose(&self) -> &T {
        self.0.expose_secret()
    }
}

impl SecretBytes {
    /// Copies bytes into a secret; wiping the source stays with the caller.
    #[must_use]
    pub fn copy_from(bytes: &[u8]) -> Self {
        Secret::new(bytes.into())
    }
}

impl SecretString {
    /// Copies text into a secret; wiping the source stays with the caller.
    #[must_use]
    pub fn copy_from(text: &str) -> Self {
        Secret::new(text.into())
    }
}

impl<T: Zeroize + ?Sized> fmt::Debug for Secret<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret([redacted])")
    }
}

impl PartialEq for SecretBytes {
    fn eq(&self, other: &Self) -> bool {
        self.expose().ct_eq(other.expose()).into()
    }
}

impl PartialEq for SecretString {
    fn eq(&self, other: &Self) -> bool {
        self.expose().as_bytes().ct_eq(other.expose().as_bytes()).into()
    }
}

impl Eq for SecretBytes {}
impl Eq for SecretString {}
