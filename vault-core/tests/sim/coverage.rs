//! How often each kind of step, fault and outcome was met: a kind that a run never meets is a hole in it.

use std::collections::BTreeMap;

/// What every run of the default length must have met.
pub const MUST_BE_MET: [&str; 97] = [
    "anchor: a store as new as it was taken",
    "anchor: an older store was refused",
    "answer: AnchorFailed",
    "answer: CasMismatch",
    "answer: InvalidRequest",
    "answer: NoSpace",
    "answer: NotFound",
    "answer: PermissionDenied",
    "answer: Poisoned",
    "answer: Unavailable",
    "answer: VersionDeleted",
    "answer: success",
    "ask: add a slot",
    "ask: delete",
    "ask: delete a policy",
    "ask: delete metadata",
    "ask: delete versions",
    "ask: destroy versions",
    "ask: get",
    "ask: list",
    "ask: list policies",
    "ask: list slots",
    "ask: look up",
    "ask: make a token",
    "ask: metadata",
    "ask: mount",
    "ask: prune",
    "ask: put",
    "ask: put with check-and-set",
    "ask: read a policy",
    "ask: retention",
    "ask: revoke",
    "ask: roll the data keys",
    "ask: undelete versions",
    "ask: write a policy",
    "caller: a token that has expired",
    "caller: a token that is allowed to",
    "caller: a token that is not allowed to",
    "caller: a token that was never made",
    "caller: a token that was revoked or removed",
    "caller: the root token",
    "fault: a read failed",
    "fault: a sync failed",
    "fault: a sync of the directory failed",
    "fault: a write failed",
    "fault: the device was full",
    "medium: a power cut left names that were not synced, or not",
    "medium: a power cut lost nothing",
    "medium: a power cut lost writes",
    "medium: a power cut tore writes",
    "outcome: a rekey was refused",
    "outcome: a slot was removed",
    "outcome: closed in order",
    "outcome: died in the middle of a step",
    "outcome: moved by a backup",
    "outcome: rekeyed",
    "outcome: opened by a raw key",
    "outcome: opened by key shares",
    "outcome: reopened after a failed commit",
    "outcome: sealed and unsealed",
    "outcome: the log was pruned",
    "recovery: AnchorFailed",
    "recovery: NoSpace",
    "recovery: died",
    "recovery: died after it",
    "restore: died, and all of it was there",
    "restore: died, and nothing was there",
    "sink: stalled",
    "sink: took a half",
    "sink: took everything and denied it",
    "sink: took what it was given",
    "sink: was down",
    "step: close and open",
    "step: copy the store",
    "step: crash by Kill",
    "step: crash by Kill, and again in recovery",
    "step: crash by PowerCut",
    "step: crash by PowerCut, and again in recovery",
    "step: dies soon",
    "step: fails: Read",
    "step: fails: Sync",
    "step: fails: SyncDirectory",
    "step: fails: Write",
    "step: move by backup",
    "step: put the copy back",
    "step: rekey",
    "step: remove a slot",
    "step: seal and unseal",
    "step: the anchor fails: Lost",
    "step: the anchor fails: Stored",
    "step: the anchor fails: Unreadable",
    "step: the clock goes on",
    "step: the clock is set",
    "step: the device fills",
    "step: there is room",
    "step: tick",
    "strict: a repeated refusal is counted",
];

#[derive(Clone, Default)]
pub struct Coverage(BTreeMap<String, u64>);

impl Coverage {
    pub fn hit(&mut self, what: impl Into<String>) {
        *self.0.entry(what.into()).or_default() += 1;
    }

    pub fn merge(&mut self, other: &Coverage) {
        other.0.iter().for_each(|(what, times)| *self.0.entry(what.clone()).or_default() += times);
    }

    pub fn times(&self, what: &str) -> u64 {
        self.0.get(what).copied().unwrap_or(0)
    }

    /// Which of these were never met.
    pub fn missing<'n>(&self, wanted: &[&'n str]) -> Vec<&'n str> {
        wanted.iter().filter(|what| self.times(what) == 0).copied().collect()
    }

    pub fn table(&self) -> String {
        self.0.iter().map(|(what, times)| format!("{times:>10}  {what}\n")).collect()
    }
}
