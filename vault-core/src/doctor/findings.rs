//! From what was seen to what it means, and what to do about it.

use super::report::{Finding, Report, Severity};
use crate::commit::Standing;
use crate::pipeline::doctor::{Shut, Survey};
use crate::storage::Backend;
use crate::storage::doctor::{CurrentSign, Signs};

const SALVAGE: &str = "restore the newest backup, or salvage what is there into a new place";
const BACKUP: &str = "restore the newest backup";

fn finding(severity: Severity, name: &'static str, what: impl Into<String>, advice: &'static str) -> Finding {
    Finding { severity, name, what: what.into(), advice }
}

/// What the files tell.
pub(super) fn of_signs(report: &mut Report, signs: &Signs) {
    if let Some(pid) = signs.holder {
        let who = pid.map_or("another process".to_owned(), |pid| format!("process {pid}"));
        let what = format!("the store is open in {who}: its files alone were looked at");
        report.add(finding(Severity::Warning, "in-use", what, "close the vault there, or let it verify itself (sys/storage/verify)"));
    }
    if signs.mixed {
        let advice = "find out which of them is the store, and move the files of the other one away";
        report.add(finding(Severity::Damage, "two-backends", "there are the files of two backends, sled and redb", advice));
    }
    if signs.backend.is_none() {
        report.add(finding(Severity::Fatal, "no-database", "the database of the store is missing", BACKUP));
    }
    if signs.backend == Some(Backend::Sled) {
        of_current(report, signs);
    }
    if signs.head_missing {
        let what = "the file HEAD is missing: whether commits were lost since the store was opened last cannot be told";
        report.add(finding(Severity::Warning, "head-missing", what, "the next opening makes it anew"));
    }
    if signs.torn_heads > 0 {
        let what = format!("{} of the two slots of HEAD is torn or was altered", signs.torn_heads);
        let severity = if signs.heads.is_empty() { Severity::Warning } else { Severity::Info };
        report.add(finding(
            severity,
            "head-torn",
            what,
            "nothing: a process that was killed leaves this, and the next commits write it anew",
        ));
    }
    if !signs.leftovers.is_empty() {
        let what = format!("left by something that was cut off: {}", signs.leftovers.join(", "));
        report.add(finding(Severity::Info, "leftovers", what, "nothing: the next opening, creation or examination removes it"));
    }
    if signs.audit_missing {
        let what = "the directory of the audit segments is missing";
        report.add(finding(
            Severity::Warning,
            "audit-directory-missing",
            what,
            "make the directory audit in the store, 0700, once you know why",
        ));
    }
    let (first, last) = (signs.segments.keys().next(), signs.segments.keys().next_back());
    if let (Some(first), Some(last)) = (first, last) {
        let missing: Vec<String> =
            (*first..*last).filter(|number| !signs.segments.contains_key(number)).map(|number| number.to_string()).collect();
        if !missing.is_empty() {
            let what = format!("audit segments are missing: {}", missing.join(", "));
            report.add(finding(Severity::Damage, "segments-missing", what, SALVAGE));
        }
    }
    if signs.too_open > 0 {
        let what = format!("{} files or directories of the store can be read or written by others than their owner", signs.too_open);
        report.add(finding(Severity::Warning, "permissions", what, "take the rights of group and others away: chmod -R go= STORE"));
    }
}

fn of_current(report: &mut Report, signs: &Signs) {
    let (name, what) = match signs.current {
        CurrentSign::Missing => ("current-missing", "the file CURRENT is missing".to_owned()),
        CurrentSign::Torn => ("current-torn", "the file CURRENT was altered or cut".to_owned()),
        CurrentSign::Names { generation, .. } if !signs.generations.contains(&generation) => {
            ("generation-missing", format!("the generation {generation} that CURRENT names is missing"))
        }
        CurrentSign::Names { .. } => return,
    };
    let severity = if signs.generations.is_empty() { Severity::Fatal } else { Severity::Damage };
    let advice = if signs.generations.is_empty() { BACKUP } else { SALVAGE };
    report.add(finding(severity, name, what, advice));
}

/// What the database tells by its opening.
pub(super) fn of_commits(report: &mut Report, signs: &Signs, number: u64, sound: bool) {
    let acknowledged = signs.acknowledged();
    if number < acknowledged {
        let lost = acknowledged - number;
        let what = format!("{lost} acknowledged commits are lost: {acknowledged} were acknowledged, {number} are there");
        report.add(finding(Severity::Damage, "lost-commits", what, SALVAGE));
    }
    if !sound {
        let what = "pages of the database, or its WAL, do not agree with their checksums";
        report.add(finding(Severity::Damage, "database-damaged", what, SALVAGE));
    }
    let named = match signs.current {
        CurrentSign::Names { generation, .. } => signs.generations.contains(&generation),
        _ => signs.backend == Some(Backend::Redb),
    };
    report.opens = number >= acknowledged && sound && named;
}

/// The backend cannot open its database.
pub(super) fn unopenable(why: &str) -> Finding {
    finding(Severity::Fatal, "database-unreadable", format!("the database cannot be opened: {why}"), BACKUP)
}

/// There is a store without a commit.
pub(super) fn unfinished() -> Finding {
    let what = "the store has no commit: its creation was cut off, and nothing was ever in it";
    finding(Severity::Warning, "unfinished", what, "create the vault again, or remove the directory")
}

/// Nothing opens the store.
pub(super) fn shut(shut: Shut) -> Finding {
    let name = match shut {
        Shut::NoHeader => "header-missing",
        Shut::BadHeader => "header-damaged",
        Shut::NoKeyring => "keyring-damaged",
    };
    finding(Severity::Fatal, name, shut.what(), BACKUP)
}

/// Places at which the database does not let itself be read.
pub(super) fn gaps(count: u64) -> Finding {
    finding(Severity::Damage, "gaps", format!("the database could not be read at {count} places"), SALVAGE)
}

fn of_namespaces(report: &mut Report, survey: &Survey) {
    if !survey.namespaces_lost.is_empty() {
        let (count, records) = (survey.namespaces_lost.len(), survey.orphans);
        let what =
            format!("the keyrings of {count} namespaces are missing or were altered: {records} records cannot be decrypted for that");
        report.add(finding(Severity::Damage, "namespaces-lost", what, SALVAGE));
        report.opens = false;
    } else if survey.orphans > 0 {
        let what = format!("{} records are of namespaces that nothing tells of any more", survey.orphans);
        report.add(finding(Severity::Damage, "namespaces-lost", what, SALVAGE));
    }
}

/// What the records and the log tell.
pub(super) fn of_survey(report: &mut Report, survey: &Survey) {
    if !survey.header_sound {
        let what = "the header is not the one that the vault has signed: somebody has altered its slots or its times";
        report.add(finding(Severity::Damage, "header-altered", what, SALVAGE));
        report.opens = false;
    }
    if survey.unreadable > 0 {
        let what =
            format!("{} of {} records do not decrypt: they were altered or put in another's place", survey.unreadable, survey.records);
        report.add(finding(Severity::Damage, "records-unreadable", what, SALVAGE));
    }
    of_namespaces(report, survey);
    if !survey.system_lost.is_empty() {
        let what = format!("records of the vault's own are missing: {}", survey.system_lost.join(", "));
        report.add(finding(Severity::Damage, "system-records", what, SALVAGE));
        report.opens = false;
    }
    if !survey.digest_agrees && survey.commit.is_some() {
        let what = "the records are not those that the root record knows: some were removed, added, altered or put back";
        report.add(finding(Severity::Damage, "digest", what, SALVAGE));
    }
    if survey.commit.is_some_and(|commit| Some(commit) != report.commit) {
        let what = "the root record is of another commit than the store's last";
        report.add(finding(Severity::Damage, "root-record", what, SALVAGE));
        report.opens = false;
    }
    if !survey.damaged.is_empty() {
        let what = format!("{} secrets cannot be read in some version, or in none", survey.damaged.len());
        report.add(finding(Severity::Damage, "secrets-damaged", what, SALVAGE));
    }
    if survey.nameless > 0 {
        let what = format!("{} records of secrets can be read, but their names are gone", survey.nameless);
        report.add(finding(Severity::Damage, "names-lost", what, SALVAGE));
    }
    if survey.leases_astray > 0 {
        let what = format!("{} records by which leases are found and ended are missing, or lead nowhere", survey.leases_astray);
        report.add(finding(Severity::Damage, "lease-indexes", what, SALVAGE));
    }
    if survey.rotations_astray > 0 {
        let what = format!("{} records by which rotated credentials are found are missing, or lead nowhere", survey.rotations_astray);
        report.add(finding(Severity::Damage, "rotation-indexes", what, SALVAGE));
    }
    if survey.policies_lost > 0 {
        let what = format!("{} policies are missing or do not decrypt", survey.policies_lost);
        report.add(finding(Severity::Damage, "policies-lost", what, SALVAGE));
        report.opens = false;
    }
    if let Some(why) = survey.log.why.as_ref().filter(|_| survey.commit.is_some()) {
        let at = survey.log.first_bad.unwrap_or_default();
        report.add(finding(Severity::Damage, "audit-log", format!("the audit log is broken at event {at}: {why}"), SALVAGE));
    }
    match &survey.anchor {
        Some(Ok(Standing::RolledBack { anchored })) => {
            let what = format!("the store is older than its anchor, or a fork: commit {anchored} was anchored");
            let advice = "find the newer store; if this is the copy that there is, open it once with the rollback accepted";
            report.add(finding(Severity::Damage, "rollback", what, advice));
            report.opens = false;
        }
        Some(Err(error)) => {
            let what = format!("how the store stands to its anchor cannot be told: {error}");
            report.add(finding(Severity::Warning, "anchor", what, "give the anchor of this vault, or mend it"));
        }
        Some(Ok(Standing::Sound)) | None => {}
    }
}
