//! The doctor: what is wrong with a store, and what can be had of it.
//!
//! [`examine`] never changes the store: it looks at its files, and opens a private copy. [`salvage`] writes what can be read into a new
//! vault, which starts frozen like one that was restored. `docs/doctor.md` tells both as a guide.

mod findings;
mod report;
mod salvaged;

pub use report::{Audit, Content, DamagedSecret, Finding, Report, Severity, Verdict};
pub use salvaged::SalvageReport;

use crate::pipeline::doctor::{Shut, header_of, salvage as salvage_into, survey};
use crate::storage::doctor::{Patient, Signs, Tolerant};
use crate::storage::{Storage, StorageError};
use crate::types::{Code, Error, Result};
use crate::{Config, UnsealKey, Vault};
use std::path::{Path, PathBuf};

/// How an examination or a salvage is done.
#[derive(Clone, Debug, Default)]
pub struct Options {
    names: bool,
    scratch: Option<PathBuf>,
}

impl Options {
    /// As [`examine`] and [`salvage`] do it: secrets are counted and not named, the copy is made beside the store.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Names damaged secrets by mount and path: the report is then as confidential as a listing of the vault.
    #[must_use]
    pub fn with_names(mut self) -> Self {
        self.names = true;
        self
    }

    /// Makes the private copy below this directory, which must be there, instead of beside the store. It takes as much room as the store.
    #[must_use]
    pub fn with_scratch(mut self, directory: impl Into<PathBuf>) -> Self {
        self.scratch = Some(directory.into());
        self
    }
}

/// Tells what is wrong with a store. Without a key that is what its files and its database tell; with one, every record and the audit log
/// are read as well. The store is not changed.
///
/// # Errors
/// `InvalidRequest` with the code `NotAStore` where there is none, and `WrongKey` where the key opens none of its slots: without a key the
/// rest can be told. `Unavailable` when the device fails, with the code `NoSpace` where there is no room for a copy. A store that is
/// damaged is no error.
pub fn examine(config: &Config, key: Option<&UnsealKey>) -> Result<Report> {
    examine_with(config, key, &Options::default())
}

/// As [`examine`].
///
/// # Errors
/// As [`examine`].
pub fn examine_with(config: &Config, key: Option<&UnsealKey>, options: &Options) -> Result<Report> {
    let Some(dir) = config.directory()? else {
        let mut report = Report::default();
        let storage = config.storage()?;
        report.commit = Some(storage.commit_number());
        look_inside(&mut report, &**storage, config, key, options)?;
        return Ok(report.judged());
    };
    let signs = Signs::of(dir)?;
    let mut report = Report::of(&signs);
    findings::of_signs(&mut report, &signs);
    if signs.holder.is_some() {
        return Ok(report.judged());
    }
    match copy(dir, &signs, options, config) {
        Ok(patient) => {
            report.commit = Some(patient.number());
            findings::of_commits(&mut report, &signs, patient.number(), patient.is_sound());
            if patient.gaps() > 0 {
                report.add(findings::gaps(patient.gaps()));
            }
            look_inside(&mut report, patient.storage(), config, key, options)?;
        }
        Err(StorageError::Corrupt(why)) => report.add(findings::unopenable(&why)),
        Err(other) => return Err(other.into()),
    }
    Ok(report.judged())
}

/// Takes out of a store what can be read of it, into an empty place of whichever backend, and opens that: **frozen**, as after
/// [`Vault::restore`], until somebody writes to `sys/storage/adopt`. What was lost is in the report, and in the new vault's audit log. The
/// damaged store is not changed.
///
/// # Errors
/// As [`examine`]; `StoreLocked` where somebody has the store open; `Corrupt` where no key opens it any more: restore a backup then;
/// `StoreExists` or `NotAStore` where the new place is not empty. Nothing is left at the new place then.
pub fn salvage(from: &Config, key: &UnsealKey, to: Config) -> Result<(Vault, SalvageReport)> {
    salvage_with(from, key, to, &Options::default())
}

/// As [`salvage`].
///
/// # Errors
/// As [`salvage`].
pub fn salvage_with(from: &Config, key: &UnsealKey, to: Config, options: &Options) -> Result<(Vault, SalvageReport)> {
    let Some(dir) = from.directory()? else {
        return salvage_of(&**from.storage()?, (0, 0), key, to, options);
    };
    let signs = Signs::of(dir)?;
    let patient = copy(dir, &signs, options, from)?;
    let lost_commits = signs.acknowledged().saturating_sub(patient.number());
    salvage_of(patient.storage(), (lost_commits, patient.gaps()), key, to, options)
}

/// `lost`: commits, and places at which the database could not be read.
fn salvage_of(storage: &dyn Storage, lost: (u64, u64), key: &UnsealKey, to: Config, options: &Options) -> Result<(Vault, SalvageReport)> {
    let (lost_commits, gaps) = lost;
    let records = Tolerant::over(storage);
    let (vault, salvaged) = Vault::filled(to, key, |parts| salvage_into(&records, storage, key, parts, lost_commits))?;
    Ok((vault, SalvageReport::of(salvaged, lost_commits, gaps + records.gaps(), options.names)))
}

fn copy(dir: &Path, signs: &Signs, options: &Options, config: &Config) -> Result<Patient, StorageError> {
    if options.scratch.as_ref().is_some_and(|scratch| scratch.as_os_str().as_encoded_bytes().contains(&0)) {
        return Err(StorageError::NotAStore("the path of the directory for the copy holds a NUL character"));
    }
    Patient::copy_of(dir, signs, options.scratch.as_deref(), config.cache_bytes)
}

/// What the database of a store tells, and, with a key, all that is in it.
fn look_inside(report: &mut Report, storage: &dyn Storage, config: &Config, key: Option<&UnsealKey>, options: &Options) -> Result<()> {
    let records = Tolerant::over(storage);
    if report.commit == Some(0) {
        // Sled may have cut its log at the very beginning: then there was something.
        let cut = report.acknowledged > 0;
        report.add(if cut { findings::shut(Shut::NoHeader) } else { findings::unfinished() });
        return Ok(());
    }
    match header_of(&records)? {
        Ok(header) => report.see_header(&header),
        Err(shut) => {
            report.add(findings::shut(shut));
            return Ok(());
        }
    }
    if let Some(key) = key {
        let surveyed = survey(&records, storage, key, &config.rng, config.anchor.as_ref()).map_err(|error| {
            if error.code() != Code::WrongKey {
                return error;
            }
            let why = "the key opens no slot of this store: it is a wrong one, or its slot was altered; without a key the rest can be told";
            Error::new(Code::WrongKey, why)
        })?;
        match surveyed {
            Ok(survey) => {
                findings::of_survey(report, &survey);
                report.content = Some(Content::of(survey, options.names));
            }
            Err(shut) => report.add(findings::shut(shut)),
        }
    }
    if records.gaps() > 0 {
        report.add(findings::gaps(records.gaps()));
    }
    Ok(())
}
