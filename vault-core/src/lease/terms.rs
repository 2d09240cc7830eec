//! How long a lease lasts: what is asked, else what the role says, else the mount; never past its maximum, nor past the end of its token.

use super::record::Lease;
use crate::types::{Timestamp, Ttl};

/// What a role says of times; zero where it says nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct RoleTerms {
    pub(crate) default_ttl: Ttl,
    pub(crate) max_ttl: Ttl,
}

/// What a lease is granted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Terms {
    pub(crate) ttl: Ttl,
    pub(crate) max: Ttl,
}

/// The time of a new lease: the mount's maximum, lowered by the role's; the role's default, else the mount's.
pub(crate) fn of_new(mount_default: Ttl, mount_max: Ttl, role: RoleTerms) -> Terms {
    let max = if role.max_ttl == Ttl::ZERO { mount_max } else { role.max_ttl.min(mount_max) };
    let ttl = if role.default_ttl == Ttl::ZERO { mount_default } else { role.default_ttl };
    Terms { ttl: ttl.min(max), max }
}

/// The end that so long a time brings, counted from now: not past the lease's maximum, nor past the end of the token that holds it.
pub(crate) fn end_after(now: Timestamp, ttl: Ttl, latest: Timestamp, token_ends: Option<Timestamp>) -> Timestamp {
    let end = now.plus(ttl).min(latest);
    token_ends.map_or(end, |token_ends| end.min(token_ends))
}

/// The end of a lease that is renewed by an increment; its own time where that is zero.
pub(crate) fn renewed_end(lease: &Lease, now: Timestamp, increment: Ttl, token_ends: Option<Timestamp>) -> Timestamp {
    let ttl = if increment == Ttl::ZERO { Ttl::from_secs(lease.ttl_seconds) } else { increment };
    end_after(now, ttl, lease.latest_end(), token_ends)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secs(secs: u64) -> Ttl {
        Ttl::from_secs(secs)
    }

    #[test]
    fn the_roles_times_lower_the_mounts_and_never_raise_them() {
        let terms = |default, max| of_new(secs(100), secs(1_000), RoleTerms { default_ttl: secs(default), max_ttl: secs(max) });
        assert_eq!(terms(0, 0), Terms { ttl: secs(100), max: secs(1_000) });
        assert_eq!(terms(300, 0), Terms { ttl: secs(300), max: secs(1_000) });
        assert_eq!(terms(300, 200), Terms { ttl: secs(200), max: secs(200) });
        assert_eq!(terms(5_000, 9_000), Terms { ttl: secs(1_000), max: secs(1_000) });
    }

    #[test]
    fn an_end_is_counted_from_now_and_bounded_by_the_maximum_and_the_token() {
        let at = Timestamp::from_secs;
        assert_eq!(end_after(at(50), secs(10), at(100), None), at(60));
        assert_eq!(end_after(at(50), secs(100), at(100), None), at(100));
        assert_eq!(end_after(at(50), secs(100), at(100), Some(at(55))), at(55));
        assert_eq!(end_after(at(50), secs(u64::MAX), at(100), None), at(100), "no overflow");
    }
}
