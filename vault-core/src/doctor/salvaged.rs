//! What a salvage says: as a type, as a JSON value, and as text to read.

use super::report::{Audit, DamagedSecret};
use crate::pipeline::doctor::Salvaged;
use crate::types::{Object, Value};
use std::fmt;

/// What a salvage has taken, and what was lost.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SalvageReport {
    /// Commits that were acknowledged and were not there any more.
    pub commits_lost: u64,
    /// Records that were taken as they were.
    pub records: u64,
    /// Records that do not decrypt.
    pub records_lost: u64,
    /// Whether the records were all those, and only those, that the root record knows: otherwise some may be gone without a trace.
    pub digest_agrees: bool,
    /// Records of namespaces whose keys are gone.
    pub orphans: u64,
    /// Namespaces below the root one that were taken.
    pub namespaces: u64,
    /// Namespaces whose keys are gone: the new vault does not have them.
    pub namespaces_lost: u64,
    /// The paths of those, where names were asked for.
    pub lost_namespaces: Vec<String>,
    /// Places at which the database could not be read: how many records lay there is not known.
    pub gaps: u64,
    /// Secrets that are whole.
    pub secrets: u64,
    /// Secrets of which some versions were lost: those are marked as destroyed.
    pub secrets_damaged: u64,
    /// Secrets of which nothing could be read.
    pub secrets_lost: u64,
    /// The damaged and the lost secrets, where names were asked for.
    pub damaged: Vec<DamagedSecret>,
    /// Secrets, versions of secrets and policies whose names were lost.
    pub nameless: u64,
    /// The mount in which they lie now, each in its namespace, under the names of their records.
    pub nameless_mount: Option<String>,
    /// Policies that were lost; `default` was made anew.
    pub policies_lost: u64,
    /// Tokens that were not taken since they hold a policy that was lost.
    pub tokens_dropped: u64,
    /// Entities that were disabled, since a policy or a group was lost that could have denied them something.
    pub entities_disabled: u64,
    /// Records of the vault's own that were made anew.
    pub remade: Vec<&'static str>,
    /// Whether the header was altered: the new one has no slot but the one that the key opens.
    pub header_remade: bool,
    /// The audit log. Events behind a break were taken, under new numbers.
    pub audit: Audit,
}

impl SalvageReport {
    pub(super) fn of(salvaged: Salvaged, commits_lost: u64, gaps: u64, names: bool) -> Self {
        let lost = salvaged.damaged.iter().filter(|secret| secret.readable == 0).count() as u64;
        SalvageReport {
            commits_lost,
            records: salvaged.taken,
            records_lost: salvaged.unreadable,
            digest_agrees: salvaged.digest_agrees,
            orphans: salvaged.orphans,
            namespaces: salvaged.namespaces,
            namespaces_lost: salvaged.namespaces_lost.len() as u64,
            lost_namespaces: if names { salvaged.namespaces_lost } else { Vec::new() },
            gaps,
            secrets: salvaged.whole,
            secrets_damaged: salvaged.damaged.len() as u64 - lost,
            secrets_lost: lost,
            nameless: salvaged.nameless,
            nameless_mount: salvaged.nameless_mount,
            policies_lost: salvaged.policies_lost,
            tokens_dropped: salvaged.tokens_dropped,
            entities_disabled: salvaged.entities_disabled,
            remade: salvaged.remade,
            header_remade: salvaged.header_remade,
            audit: Audit::of(&salvaged.log),
            damaged: if names { salvaged.damaged.into_iter().map(DamagedSecret::of).collect() } else { Vec::new() },
        }
    }

    /// Whether all that the store should hold was taken.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        let counts = [
            self.commits_lost,
            self.records_lost,
            self.orphans,
            self.namespaces_lost,
            self.gaps,
            self.secrets_damaged,
            self.secrets_lost,
            self.nameless,
            self.policies_lost,
            self.tokens_dropped,
            self.entities_disabled,
            self.remade.len() as u64,
            self.audit.lost,
        ];
        counts.iter().all(|count| *count == 0) && self.digest_agrees && !self.header_remade && self.audit.first_bad.is_none()
    }

    /// The report as JSON.
    #[must_use]
    pub fn to_value(&self) -> Value {
        Object::new()
            .with("complete", self.is_complete())
            .with("commits_lost", self.commits_lost)
            .with("records", self.records)
            .with("records_lost", self.records_lost)
            .with("digest_agrees", self.digest_agrees)
            .with("orphans", self.orphans)
            .with("namespaces", self.namespaces)
            .with("namespaces_lost", self.namespaces_lost)
            .with("lost_namespaces", Value::Array(self.lost_namespaces.iter().map(|path| Value::from(path.as_str())).collect()))
            .with("gaps", self.gaps)
            .with("secrets", self.secrets)
            .with("secrets_damaged", self.secrets_damaged)
            .with("secrets_lost", self.secrets_lost)
            .with("damaged", Value::Array(self.damaged.iter().map(DamagedSecret::to_value).collect()))
            .with("nameless", self.nameless)
            .with("nameless_mount", self.nameless_mount.as_deref().map_or(Value::Null, Value::from))
            .with("policies_lost", self.policies_lost)
            .with("tokens_dropped", self.tokens_dropped)
            .with("entities_disabled", self.entities_disabled)
            .with("remade", Value::Array(self.remade.iter().map(|name| Value::from(*name)).collect()))
            .with("header_remade", self.header_remade)
            .with("audit", self.audit.to_object())
            .into()
    }
}

impl fmt::Display for SalvageReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", if self.is_complete() { "everything was taken" } else { "what can be read was taken" })?;
        writeln!(f, "secrets: {} whole, {} without some versions, {} lost", self.secrets, self.secrets_damaged, self.secrets_lost)?;
        writeln!(f, "records: {} taken, {} lost, and {} gaps of unknown size", self.records, self.records_lost, self.gaps)?;
        if !self.digest_agrees {
            writeln!(f, "the records are not those that the root record knows: some may be gone without a trace")?;
        }
        writeln!(f, "commits lost: {}", self.commits_lost)?;
        if self.namespaces + self.namespaces_lost + self.orphans > 0 {
            let (taken, lost, orphans) = (self.namespaces, self.namespaces_lost, self.orphans);
            writeln!(f, "namespaces: {taken} taken, {lost} lost with their keys; {orphans} records of such")?;
        }
        if let Some(mount) = &self.nameless_mount {
            writeln!(f, "without a name: {}, now below {mount}", self.nameless)?;
        }
        writeln!(f, "policies lost: {}, tokens left out for that: {}", self.policies_lost, self.tokens_dropped)?;
        if self.entities_disabled > 0 {
            writeln!(f, "entities disabled, since a policy or a group of theirs is lost: {}", self.entities_disabled)?;
        }
        writeln!(
            f,
            "audit log: {} events as they were, {} under new numbers, {} lost",
            self.audit.chained, self.audit.unchained, self.audit.lost
        )?;
        if !self.remade.is_empty() {
            writeln!(f, "made anew: {}", self.remade.join(", "))?;
        }
        if self.header_remade {
            writeln!(f, "the header was altered: the one slot that the key opens was kept")?;
        }
        Ok(())
    }
}
