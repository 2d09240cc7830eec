//! Capabilities: what a rule lets a token do.

use crate::types::{Code, Error, Result};

/// What a rule can give, or with `deny` take.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Capability {
    /// Write where nothing is yet.
    Create,
    /// Read.
    Read,
    /// Write where something is.
    Update,
    /// Change part of what is there.
    Patch,
    /// Delete.
    Delete,
    /// List the names below.
    List,
    /// Use root-protected paths, in addition to the operation's capability.
    Sudo,
    /// Nothing, whatever else the rules of this path give.
    Deny,
}

impl Capability {
    /// Every capability.
    pub const ALL: [Capability; 8] = [
        Capability::Create,
        Capability::Read,
        Capability::Update,
        Capability::Patch,
        Capability::Delete,
        Capability::List,
        Capability::Sudo,
        Capability::Deny,
    ];

    /// The name, as policies write it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Capability::Create => "create",
            Capability::Read => "read",
            Capability::Update => "update",
            Capability::Patch => "patch",
            Capability::Delete => "delete",
            Capability::List => "list",
            Capability::Sudo => "sudo",
            Capability::Deny => "deny",
        }
    }

    /// The capability of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|capability| capability.name() == name)
    }

    /// The capability of that name, as what a request asks for.
    ///
    /// # Errors
    /// `InvalidRequest` for `sudo`, `deny` and unknown names.
    pub fn asked(name: &str) -> Result<Self> {
        Self::from_name(name).filter(|capability| capability.can_be_asked()).ok_or_else(Self::none_asked)
    }

    /// Whether a request can ask for it: `sudo` comes in addition, and nobody asks to be denied.
    pub(super) fn can_be_asked(self) -> bool {
        !matches!(self, Capability::Sudo | Capability::Deny)
    }

    pub(super) fn none_asked() -> Error {
        Error::new(Code::InvalidRequest, "unknown operation: ask for create, read, update, patch, delete or list")
    }
}

/// A set of capabilities.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CapabilitySet(u8);

impl CapabilitySet {
    /// Adds a capability.
    pub fn insert(&mut self, capability: Capability) {
        self.0 |= 1 << capability as u8;
    }

    /// Whether the capability is in the set; `deny` in it erases all others.
    #[must_use]
    pub fn grants(self, capability: Capability) -> bool {
        self.contains(capability) && !self.contains(Capability::Deny)
    }

    /// Whether the set holds the capability, `deny` or not.
    #[must_use]
    pub fn contains(self, capability: Capability) -> bool {
        self.0 & (1 << capability as u8) != 0
    }

    /// All of both sets.
    #[must_use]
    pub fn union(self, other: Self) -> Self {
        CapabilitySet(self.0 | other.0)
    }

    /// The names of what the set gives: `deny` alone where it is in it, or where the set is empty.
    #[must_use]
    pub fn names(self) -> Vec<&'static str> {
        if self.0 == 0 || self.contains(Capability::Deny) {
            return vec![Capability::Deny.name()];
        }
        let mut names: Vec<_> = Capability::ALL.into_iter().filter(|capability| self.contains(*capability)).map(Capability::name).collect();
        names.sort_unstable();
        names
    }
}

impl FromIterator<Capability> for CapabilitySet {
    fn from_iter<I: IntoIterator<Item = Capability>>(capabilities: I) -> Self {
        let mut set = CapabilitySet::default();
        capabilities.into_iter().for_each(|capability| set.insert(capability));
        set
    }
}
