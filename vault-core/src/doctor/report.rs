//! What an examination says: as types, as a JSON value, and as text to read.

use crate::pipeline::doctor::{DamagedSecret as Damaged, LogState, Survey};
use crate::seal::Header;
use crate::storage::Backend;
use crate::storage::doctor::Signs;
use crate::types::{Object, Timestamp, Value};
use std::fmt;

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Worth knowing.
    Info,
    /// To be put right; nothing is lost.
    Warning,
    /// Something is lost, or is not what it was.
    Damage,
    /// Nothing can be read.
    Fatal,
}

/// How a store is, all in all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// Nothing is wrong that was looked at.
    Sound,
    /// Something is to be put right; nothing is lost.
    Degraded,
    /// Something is lost, or is not what it was; the rest can be salvaged.
    Damaged,
    /// Nothing can be read: a backup is what is left.
    Unreadable,
}

/// One thing that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// Its stable name, such as `lost-commits`.
    pub name: &'static str,
    /// What was found. It holds no secret and no path.
    pub what: String,
    /// What to do.
    pub advice: &'static str,
}

/// What an examination found.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Report {
    /// How the store is, all in all.
    pub verdict: Verdict,
    /// What was found, the worst first.
    pub findings: Vec<Finding>,
    /// The backend that the store is of, as its files tell.
    pub backend: Option<Backend>,
    /// Somebody has the store open: then its files alone were looked at.
    pub in_use: bool,
    /// The process that has it open, where that could be read.
    pub pid: Option<u32>,
    /// What the store's files hold, in bytes.
    pub bytes: u64,
    /// Audit segments that are there.
    pub segments: u64,
    /// Whether the store can be opened as it is.
    pub opens: bool,
    /// The number of the last commit that is there.
    pub commit: Option<u64>,
    /// The largest number of a commit that was acknowledged, as far as the files tell.
    pub acknowledged: u64,
    /// The vault's id: 32 hexadecimal digits.
    pub vault: Option<String>,
    /// When the vault was made.
    pub created: Option<Timestamp>,
    /// The kinds of its key slots.
    pub slots: Vec<&'static str>,
    /// What is in it, where a key was given and opens it.
    pub content: Option<Content>,
}

/// What is in a store.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Content {
    /// The slot that the key opens.
    pub slot: u32,
    /// Records that are there.
    pub records: u64,
    /// Records among them that do not decrypt.
    pub unreadable: u64,
    /// Records of namespaces whose keys are gone.
    pub orphans: u64,
    /// Namespaces below the root one whose keys are there.
    pub namespaces: u64,
    /// Namespaces whose keys are gone.
    pub namespaces_lost: u64,
    /// The paths of those, where names were asked for.
    pub lost_namespaces: Vec<String>,
    /// Whether the records are all those, and only those, that the root record knows.
    pub digest_agrees: bool,
    /// Secrets all of whose versions can be read.
    pub secrets: u64,
    /// Secrets of which some version, or all, cannot.
    pub secrets_damaged: u64,
    /// Records of secrets that can be read and whose names are gone.
    pub nameless: u64,
    /// The damaged secrets, where names were asked for.
    pub damaged: Vec<DamagedSecret>,
    /// Policies that are missing.
    pub policies_lost: u64,
    /// Records of the vault's own that are missing.
    pub system_lost: Vec<&'static str>,
    /// The audit log.
    pub audit: Audit,
}

/// How an audit log is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Audit {
    /// Events that are what they were, in one chain from where the log begins.
    pub chained: u64,
    /// Events behind a break that can be read all the same.
    pub unchained: u64,
    /// Events that the root record knows and that cannot be read.
    pub lost: u64,
    /// The number of the first event that is missing or not what it was.
    pub first_bad: Option<u64>,
}

/// A secret of which something cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DamagedSecret {
    /// Its mount, which ends in a slash; it begins with the path of its namespace.
    pub mount: String,
    /// Its path below the mount.
    pub path: String,
    /// Versions that cannot be read.
    pub lost: Vec<u64>,
    /// How many versions of it can be read.
    pub readable: u64,
}

impl Severity {
    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Severity::Info => "info",
            Severity::Warning => "warning",
            Severity::Damage => "damage",
            Severity::Fatal => "fatal",
        }
    }
}

impl Verdict {
    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Verdict::Sound => "sound",
            Verdict::Degraded => "degraded",
            Verdict::Damaged => "damaged",
            Verdict::Unreadable => "unreadable",
        }
    }

    /// What to do next.
    #[must_use]
    pub const fn advice(self) -> &'static str {
        match self {
            Verdict::Sound => "nothing needs to be done",
            Verdict::Degraded => "follow the advice of the findings: nothing is lost",
            Verdict::Damaged => "keep the store as it is, restore the newest backup, or salvage what is there into a new place",
            Verdict::Unreadable => "keep the store as it is, and restore the newest backup",
        }
    }
}

impl Default for Report {
    fn default() -> Self {
        Report {
            verdict: Verdict::Sound,
            findings: Vec::new(),
            backend: None,
            in_use: false,
            pid: None,
            bytes: 0,
            segments: 0,
            opens: true,
            commit: None,
            acknowledged: 0,
            vault: None,
            created: None,
            slots: Vec::new(),
            content: None,
        }
    }
}

impl Report {
    pub(super) fn of(signs: &Signs) -> Self {
        Report {
            backend: signs.backend,
            in_use: signs.holder.is_some(),
            pid: signs.holder.flatten(),
            bytes: signs.bytes,
            segments: signs.segments.len() as u64,
            opens: false,
            acknowledged: signs.acknowledged(),
            ..Report::default()
        }
    }

    pub(super) fn add(&mut self, finding: Finding) {
        self.opens &= finding.severity < Severity::Fatal;
        self.findings.push(finding);
    }

    pub(super) fn see_header(&mut self, header: &Header) {
        self.vault = Some(hex::encode(header.store().as_bytes()));
        self.created = Some(header.created());
        self.slots = header.slots().iter().map(|slot| slot.kind).collect();
    }

    /// The report with its verdict.
    pub(super) fn judged(mut self) -> Self {
        self.findings.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
        self.verdict = match self.findings.first().map(|finding| finding.severity) {
            None | Some(Severity::Info) => Verdict::Sound,
            Some(Severity::Warning) => Verdict::Degraded,
            Some(Severity::Damage) => Verdict::Damaged,
            Some(Severity::Fatal) => Verdict::Unreadable,
        };
        self
    }

    /// Whether something of that name was found.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.findings.iter().any(|finding| finding.name == name)
    }

    /// The report as JSON.
    #[must_use]
    pub fn to_value(&self) -> Value {
        let finding = |finding: &Finding| -> Value {
            Object::new()
                .with("severity", finding.severity.name())
                .with("name", finding.name)
                .with("what", finding.what.as_str())
                .with("advice", finding.advice)
                .into()
        };
        Object::new()
            .with("verdict", self.verdict.name())
            .with("advice", self.verdict.advice())
            .with("findings", Value::Array(self.findings.iter().map(finding).collect()))
            .with("backend", self.backend.map_or(Value::Null, |backend| backend.name().into()))
            .with("in_use", self.in_use)
            .with("pid", self.pid.map_or(Value::Null, |pid| u64::from(pid).into()))
            .with("bytes", self.bytes)
            .with("segments", self.segments)
            .with("opens", self.opens)
            .with("commit", self.commit.map_or(Value::Null, Value::from))
            .with("acknowledged", self.acknowledged)
            .with("vault", self.vault.as_deref().map_or(Value::Null, Value::from))
            .with("created", self.created.map_or(Value::Null, |created| created.to_string().into()))
            .with("slots", Value::Array(self.slots.iter().map(|kind| Value::from(*kind)).collect()))
            .with("content", self.content.as_ref().map_or(Value::Null, Content::to_value))
            .into()
    }
}

impl Content {
    pub(super) fn of(survey: Survey, names: bool) -> Self {
        Content {
            slot: survey.slot,
            records: survey.records,
            unreadable: survey.unreadable,
            orphans: survey.orphans,
            namespaces: survey.namespaces,
            namespaces_lost: survey.namespaces_lost.len() as u64,
            lost_namespaces: if names { survey.namespaces_lost } else { Vec::new() },
            digest_agrees: survey.digest_agrees,
            secrets: survey.whole,
            secrets_damaged: survey.damaged.len() as u64,
            nameless: survey.nameless,
            policies_lost: survey.policies_lost,
            system_lost: survey.system_lost,
            audit: Audit::of(&survey.log),
            damaged: if names { survey.damaged.into_iter().map(DamagedSecret::of).collect() } else { Vec::new() },
        }
    }

    fn to_value(&self) -> Value {
        Object::new()
            .with("slot", u64::from(self.slot))
            .with("records", self.records)
            .with("unreadable", self.unreadable)
            .with("orphans", self.orphans)
            .with("namespaces", self.namespaces)
            .with("namespaces_lost", self.namespaces_lost)
            .with("lost_namespaces", Value::Array(self.lost_namespaces.iter().map(|path| Value::from(path.as_str())).collect()))
            .with("digest_agrees", self.digest_agrees)
            .with("secrets", self.secrets)
            .with("secrets_damaged", self.secrets_damaged)
            .with("nameless", self.nameless)
            .with("damaged", Value::Array(self.damaged.iter().map(DamagedSecret::to_value).collect()))
            .with("policies_lost", self.policies_lost)
            .with("system_lost", Value::Array(self.system_lost.iter().map(|name| Value::from(*name)).collect()))
            .with("audit", self.audit.to_object())
            .into()
    }
}

impl Audit {
    pub(super) fn of(log: &LogState) -> Self {
        Audit { chained: log.chained, unchained: log.unchained, lost: log.lost, first_bad: log.first_bad }
    }

    pub(super) fn to_object(&self) -> Object {
        Object::new()
            .with("chained", self.chained)
            .with("unchained", self.unchained)
            .with("lost", self.lost)
            .with("first_bad", self.first_bad.map_or(Value::Null, Value::from))
    }
}

impl DamagedSecret {
    pub(super) fn of(secret: Damaged) -> Self {
        DamagedSecret { mount: secret.mount, path: secret.path, lost: secret.lost, readable: secret.readable }
    }

    pub(super) fn to_value(&self) -> Value {
        Object::new()
            .with("mount", self.mount.as_str())
            .with("path", self.path.as_str())
            .with("lost", Value::Array(self.lost.iter().map(|number| Value::from(*number)).collect()))
            .with("readable", self.readable)
            .into()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}: {}", self.verdict.name(), self.verdict.advice())?;
        let backend = self.backend.map_or("no backend that is known", Backend::name);
        write!(f, "store: {backend}, {} bytes, {} audit segments", self.bytes, self.segments)?;
        match self.commit {
            Some(commit) => writeln!(f, ", commit {commit}")?,
            None => writeln!(f)?,
        }
        if let (Some(vault), Some(created)) = (&self.vault, self.created) {
            writeln!(f, "vault: {vault}, made {created}, opened by {}", self.slots.join(", "))?;
        }
        if let Some(content) = &self.content {
            writeln!(f, "records: {}, of which {} do not decrypt", content.records, content.unreadable)?;
            if content.namespaces + content.namespaces_lost + content.orphans > 0 {
                let (there, lost, orphans) = (content.namespaces, content.namespaces_lost, content.orphans);
                writeln!(f, "namespaces: {there}, and {lost} whose keys are gone; {orphans} records of such")?;
            }
            writeln!(f, "secrets: {} whole, {} damaged, {} without a name", content.secrets, content.secrets_damaged, content.nameless)?;
            let audit = &content.audit;
            writeln!(f, "audit log: {} events in the chain, {} outside of it, {} lost", audit.chained, audit.unchained, audit.lost)?;
        }
        for finding in &self.findings {
            writeln!(f, "{} {}: {}", finding.severity.name(), finding.name, finding.what)?;
            writeln!(f, "    {}", finding.advice)?;
        }
        Ok(())
    }
}
