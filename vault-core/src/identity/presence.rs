//! Whether an entity that must check in still does, and which of its tokens that leaves.

use super::record::Entity;
use crate::types::Timestamp;
use crate::types::deadman::Deadman;

/// When an entity was heard of, and when it was lost.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Presence {
    deadman: Option<Deadman>,
    heard_millis: u64,
    /// When it was lost last. It is still, unless it was heard of later.
    lost_millis: Option<u64>,
}

impl Presence {
    /// What it is lost by when nothing is heard of it.
    pub(crate) fn deadman(self) -> Option<Deadman> {
        self.deadman
    }

    /// Since when it is lost, if it is: whether that was noted yet or not.
    pub(crate) fn lost(self, now: Timestamp) -> Option<Timestamp> {
        let unnoted = || self.deadman.filter(|deadman| deadman.has_struck(now)).map(Deadman::deadline);
        self.noted_loss().or_else(unnoted)
    }

    /// Whether it is lost by now and nothing in its record says so. What is known of it may be old: somebody may have heard of it meanwhile.
    pub(crate) fn is_overdue(self, now: Timestamp) -> bool {
        self.noted_loss().is_none() && self.lost(now).is_some()
    }

    /// Whether a token that was made then is worth anything: all that it had are lost with it.
    pub(crate) fn leaves(self, created: Timestamp, now: Timestamp) -> bool {
        self.lost(now).is_none() && self.lost_millis.is_none_or(|lost| created.as_millis() >= lost)
    }

    /// Whether that it is heard of now is to be noted.
    pub(crate) fn is_use_noted(self, now: Timestamp) -> bool {
        self.lost(now).is_none() && self.deadman.is_some_and(|deadman| deadman.is_use_noted(now))
    }

    /// When its loss is to be noted, unless it is heard of before.
    pub(crate) fn due(self) -> Option<Timestamp> {
        self.deadman.filter(|_| self.noted_loss().is_none()).map(Deadman::deadline)
    }

    fn noted_loss(self) -> Option<Timestamp> {
        self.lost_millis.filter(|lost| *lost >= self.heard_millis).map(Timestamp::from_millis)
    }
}

impl Entity {
    pub(crate) fn presence(&self) -> Presence {
        let heard_millis = self.heard_millis.unwrap_or(self.created_millis);
        let deadman = self.deadman_seconds.map(|seconds| Deadman { seconds, used_millis: heard_millis });
        Presence { deadman, heard_millis, lost_millis: self.lost_millis }
    }

    /// The same, heard of now: one that was lost is not any more, and its tokens are.
    pub(crate) fn heard(self, now: Timestamp) -> Self {
        let now = now.as_millis();
        Entity { heard_millis: Some(self.lost_millis.map_or(now, |lost| now.max(lost.saturating_add(1)))), ..self }
    }

    /// The same, with the loss noted that is due.
    pub(crate) fn lost(self) -> Self {
        match self.presence().due() {
            Some(deadline) => Entity { lost_millis: Some(deadline.as_millis()), ..self },
            None => self,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_that_is_lost_comes_back_without_the_tokens_that_it_had() {
        let at = Timestamp::from_millis;
        let entity = Entity { created_millis: 1_000, deadman_seconds: Some(4), ..Entity::default() };
        let deadline = entity.presence().due().expect("a switch");
        assert_eq!(deadline, at(6_000));
        let there = entity.presence();
        assert!(there.leaves(at(1_000), at(5_999)) && !there.leaves(at(1_000), deadline) && there.is_overdue(deadline));
        let lost = entity.lost();
        // A clock that steps back does not bring it back.
        assert!(lost.presence().lost(at(0)).is_some() && lost.presence().due().is_none() && !lost.presence().is_overdue(deadline));
        assert!(!lost.presence().is_use_noted(at(7_000)) && !lost.presence().leaves(at(7_000), at(7_000)));
        for now in [at(9_000), at(10)] {
            let back = lost.clone().heard(now).presence();
            assert!(back.lost(now).is_none() && !back.leaves(at(5_999), now) && back.leaves(at(6_000), now), "{now:?}");
            assert!(back.due() > Some(deadline));
        }
    }
}
