//! Identifiers: 128 random bits, written as users know UUIDs.

use std::fmt;

/// A random 128-bit identifier: of a store, a namespace or a mount. Its text form is that of a version 4 UUID (RFC 9562).
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Id([u8; 16]);

impl Id {
    /// The root namespace.
    pub const ROOT: Id = Id([0; 16]);

    /// An identifier from 16 random bytes; the version and variant bits are set as for a version 4 UUID.
    #[must_use]
    pub fn from_random(bytes: [u8; 16]) -> Self {
        Id(*uuid::Builder::from_random_bytes(bytes).as_uuid().as_bytes())
    }

    /// The identifier as it stands in a record.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Id(bytes)
    }

    /// The identifier of a text in the one form that it is written in; `None` for any other.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let id = Id(*uuid::Uuid::try_parse(text).ok()?.as_bytes());
        (id.to_string() == text).then_some(id)
    }

    /// The sixteen bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        uuid::Uuid::from_bytes(self.0).hyphenated().fmt(f)
    }
}

impl fmt::Debug for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
