//! The one table of stable error numbers, from which C and Python derive theirs.

/// What kind of failure an error is; a caller decides by it what to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Class {
    /// Malformed, refused by validation, or a check-and-set mismatch: change the request.
    InvalidRequest,
    /// The token is missing, bad or not allowed; always one and the same answer.
    PermissionDenied,
    /// Nothing is there, or it was deleted (then the error carries its metadata).
    NotFound,
    /// The vault is sealed: unseal it.
    Sealed,
    /// A quota or a lockout: wait.
    RateLimited,
    /// The request lost a race: try again.
    Conflict,
    /// Storage, audit log, key service or target failed; nothing was acknowledged. After `Poisoned` (701) it may have been written, after
    /// `AnchorFailed` (705) it was.
    Unavailable,
    /// What is on disk does not verify.
    Corrupt,
    /// The store is older than its anchor.
    Rollback,
    /// A bug, caught at the boundary.
    Internal,
}

impl Class {
    /// The class's name, as C and Python spell it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Class::InvalidRequest => "InvalidRequest",
            Class::PermissionDenied => "PermissionDenied",
            Class::NotFound => "NotFound",
            Class::Sealed => "Sealed",
            Class::RateLimited => "RateLimited",
            Class::Conflict => "Conflict",
            Class::Unavailable => "Unavailable",
            Class::Corrupt => "Corrupt",
            Class::Rollback => "Rollback",
            Class::Internal => "Internal",
        }
    }

    /// The HTTP status that a wire adapter would answer.
    #[must_use]
    pub const fn http_status(self) -> u16 {
        match self {
            Class::InvalidRequest => 400,
            Class::PermissionDenied => 403,
            Class::NotFound => 404,
            Class::Conflict => 409,
            Class::RateLimited => 429,
            Class::Sealed | Class::Unavailable => 503,
            Class::Corrupt | Class::Rollback | Class::Internal => 500,
        }
    }
}

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $number:literal, $class:ident;)*) => {
        /// A stable error number. Hundreds give the class; 0 is success and a number is never reused.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(i32)]
        #[non_exhaustive]
        pub enum Code { $($(#[$doc])* $name = $number,)* }

        impl Code {
            /// Every code, in ascending order.
            pub const ALL: &'static [Code] = &[$(Code::$name,)*];

            /// The class that the code belongs to.
            #[must_use]
            pub const fn class(self) -> Class {
                match self { $(Code::$name => Class::$class,)* }
            }

            /// The code's name.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Code::$name => stringify!($name),)* }
            }
        }
    };
}

codes! {
    /// The request is malformed or refused by validation.
    InvalidRequest = 100, InvalidRequest;
    /// The path is empty, too long, or not in its one canonical form.
    InvalidPath = 101, InvalidRequest;
    /// The data is not JSON, or past a limit of size, depth or count.
    InvalidData = 102, InvalidRequest;
    /// Check-and-set: the version given is not the current one.
    CasMismatch = 103, InvalidRequest;
    /// The policy text does not parse; the message gives line and column.
    InvalidPolicy = 104, InvalidRequest;
    /// What is mounted at this path has no such operation.
    UnsupportedPath = 105, InvalidRequest;
    /// The key opens no slot of this store: wrong passphrase or key.
    WrongKey = 106, InvalidRequest;
    /// There is already a store at this place.
    StoreExists = 107, InvalidRequest;
    /// There is no store at this place, or it is none of ours.
    NotAStore = 108, InvalidRequest;
    /// Another process, or another handle of this one, has the store open.
    StoreLocked = 109, InvalidRequest;
    /// The vault was closed.
    Closed = 110, InvalidRequest;
    /// The vault was opened in another process: open it after the fork.
    Forked = 111, InvalidRequest;
    /// The handle was freed, closed, or is of another kind (C only).
    BadHandle = 112, InvalidRequest;
    /// An argument is NULL or out of range (C only), or of a wrong type.
    BadArgument = 113, InvalidRequest;
    /// Text is not valid UTF-8.
    InvalidUtf8 = 114, InvalidRequest;
    /// The vault is unsealed already.
    AlreadyUnsealed = 115, InvalidRequest;
    /// The text is no key share, or one of another set, or was altered.
    BadShare = 116, InvalidRequest;
    /// More key shares are needed.
    NotEnoughShares = 117, InvalidRequest;
    /// The vault was restored and not yet adopted: it can be read, and adopted.
    Frozen = 118, InvalidRequest;
    /// The backup is cut, altered, or none of ours.
    BadBackup = 119, InvalidRequest;
    /// The lease has ended, or is being revoked: ask for new credentials.
    LeaseEnded = 130, InvalidRequest;
    /// The configuration names a connector that the host has not given.
    UnknownConnector = 131, InvalidRequest;
    /// The target refused what it was asked: the configuration or the statements need to be changed.
    TargetRefused = 132, InvalidRequest;
    /// The role shares accounts among the tokens of an entity, and the token is of none: log in by an alias, or use another role.
    EntityRequired = 140, InvalidRequest;

    /// The token is missing, bad or not allowed.
    PermissionDenied = 200, PermissionDenied;

    /// Nothing is there.
    NotFound = 300, NotFound;
    /// The version was deleted or destroyed; its metadata is in the error's data.
    VersionDeleted = 301, NotFound;

    /// The vault is sealed.
    Sealed = 400, Sealed;

    /// A quota or a lockout.
    RateLimited = 500, RateLimited;

    /// The request lost a race with others several times in a row.
    Conflict = 600, Conflict;

    /// Storage, the audit log, a key service or a target system failed; nothing was acknowledged.
    Unavailable = 700, Unavailable;
    /// A commit failed: it may or may not have been written, and only reopening the store tells.
    Poisoned = 701, Unavailable;
    /// There is no room on the device.
    NoSpace = 702, Unavailable;
    /// The operating system gave no randomness.
    NoEntropy = 703, Unavailable;
    /// The key service (KMS, HSM) failed or refused.
    KeyService = 704, Unavailable;
    /// The write is durable, but the anchor could not be advanced.
    AnchorFailed = 705, Unavailable;
    /// The target system could not be reached, or did not answer: what it may have done is undone by `tick`.
    TargetUnavailable = 706, Unavailable;
    /// The lease has ended, but the target system could not be told yet: it is told again by `tick`.
    RevocationPending = 707, Unavailable;
    /// The rotation has begun and is not at its end: `tick` carries it on, and reading the role tells where it stands.
    RotationPending = 710, Unavailable;
    /// The rotation has stopped and needs an operator: reading the role tells what to do.
    RotationStuck = 711, Unavailable;

    /// What is on disk does not verify.
    Corrupt = 800, Corrupt;
    /// The store has lost commits that it acknowledged.
    LostCommits = 801, Corrupt;

    /// The store is older than its anchor.
    Rollback = 900, Rollback;

    /// A bug in libvault, caught at the boundary.
    Internal = 1000, Internal;
}

impl Code {
    /// The stable number.
    #[must_use]
    pub const fn number(self) -> i32 {
        self as i32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hundreds_of_a_code_give_its_class_and_order_is_ascending() {
        let class_of_hundred = |n: i32| match n {
            1 => Class::InvalidRequest,
            2 => Class::PermissionDenied,
            3 => Class::NotFound,
            4 => Class::Sealed,
            5 => Class::RateLimited,
            6 => Class::Conflict,
            7 => Class::Unavailable,
            8 => Class::Corrupt,
            9 => Class::Rollback,
            10 => Class::Internal,
            _ => unreachable!("no such hundred"),
        };
        for code in Code::ALL {
            assert_eq!(class_of_hundred(code.number() / 100), code.class(), "{}", code.name());
        }
        assert!(Code::ALL.windows(2).all(|w| w[0].number() < w[1].number()));
    }
}
