//! Whether an entity that must check in still does, and which of its tokens that leaves.

use super::record::Entity;
use crate::types::Timestamp;
use crate::types::deadman::Deadman;

/// When an entity was heard of, and whether it is lost.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Presence {
    deadman: Option<Deadman>,
    /// Since when it is lost, where that is noted.
    lost_millis: Option<u64>,
    losses: u64,
}

impl Presence {
    /// What it is lost by when nothing is heard of it.
    pub(crate) fn deadman(self) -> Option<Deadman> {
        self.deadman
    }

    /// Since when it is lost, if it is: whether that was noted yet or not.
    pub(crate) fn lost_since(self, now: Timestamp) -> Option<Timestamp> {
        let unnoted = || self.deadman.filter(|deadman| deadman.has_struck(now)).map(Deadman::deadline);
        self.lost_millis.map(Timestamp::from_millis).or_else(unnoted)
    }

    /// Whether it is lost by now and nothing in its record says so. What is known of it may be old: somebody may have heard of it meanwhile.
    pub(crate) fn is_overdue(self, now: Timestamp) -> bool {
        self.lost_millis.is_none() && self.lost_since(now).is_some()
    }

    /// Whether a token is worth anything that was made when it had been lost so often: all that it had are lost with it.
    pub(crate) fn admits(self, losses: u64, now: Timestamp) -> bool {
        self.losses == losses && self.lost_since(now).is_none()
    }

    /// Whether that it is heard of now is to be noted.
    pub(crate) fn is_use_noted(self, now: Timestamp) -> bool {
        self.lost_since(now).is_none() && self.deadman.is_some_and(|deadman| deadman.is_use_noted(now))
    }

    /// When its loss is to be noted, unless it is heard of before.
    pub(crate) fn due(self) -> Option<Timestamp> {
        self.deadman.filter(|_| self.lost_millis.is_none()).map(Deadman::deadline)
    }
}

impl Entity {
    pub(crate) fn presence(&self) -> Presence {
        let used_millis = self.heard_millis.unwrap_or(self.created_millis);
        let deadman = self.deadman_seconds.map(|seconds| Deadman { seconds, used_millis });
        Presence { deadman, lost_millis: self.lost_millis, losses: self.losses }
    }

    /// The same, heard of now.
    pub(crate) fn heard(self, now: Timestamp) -> Self {
        Entity { heard_millis: Some(now.as_millis()), ..self }
    }

    /// The same, lost no more: heard of now, and without the tokens that it had.
    pub(crate) fn taken_back(self, now: Timestamp) -> Self {
        Entity { lost_millis: None, ..self }.heard(now)
    }

    /// The same, with the loss noted that is due.
    pub(crate) fn with_loss_noted(self) -> Self {
        match self.presence().due() {
            Some(deadline) => Entity { lost_millis: Some(deadline.as_millis()), losses: self.losses + 1, ..self },
            None => self,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_that_is_lost_comes_back_without_the_tokens_that_it_had_whatever_the_clock_says() {
        let at = Timestamp::from_millis;
        let entity = Entity { created_millis: 1_000, deadman_seconds: Some(4), ..Entity::default() };
        let deadline = entity.presence().due().expect("a switch");
        assert_eq!(deadline, at(6_000));
        let there = entity.presence();
        assert!(there.admits(0, at(5_999)) && !there.admits(0, deadline) && there.is_overdue(deadline));
        let lost = entity.with_loss_noted();
        // A clock that steps back does not bring it back.
        assert!(lost.presence().lost_since(at(0)).is_some() && lost.presence().due().is_none() && !lost.presence().is_overdue(deadline));
        assert!(!lost.presence().is_use_noted(at(7_000)) && !lost.presence().admits(1, at(7_000)));
        assert_eq!(lost.clone().with_loss_noted(), lost, "once");
        for now in [at(9_000), at(10)] {
            let back = lost.clone().taken_back(now).presence();
            assert!(back.lost_since(now).is_none() && !back.admits(0, now) && back.admits(1, now), "{now:?}");
            assert_eq!(back.due(), Some(at(now.as_millis() + 5_000)));
        }
    }
}
