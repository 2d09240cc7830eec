//! What each path below a KV version 2 mount names, and which operations it has.

use super::versions::Fate;
use super::{Call, Outcome, Secrets};
use crate::engines::common::input::named;
use crate::engines::common::listing;
use crate::types::{Code, Error, Operation, Result};

/// What a path below the mount names.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Target<'p> {
    Data(&'p str),
    Metadata(&'p str),
    DetailedMetadata(&'p str),
    Subkeys(&'p str),
    Delete(&'p str),
    Undelete(&'p str),
    Destroy(&'p str),
    Config,
}

impl<'p> Target<'p> {
    pub(super) fn parse(path: &'p str) -> Result<Self> {
        let (verb, rest) = path.split_once('/').unwrap_or((path, ""));
        match verb {
            "data" => Ok(Target::Data(rest)),
            "metadata" => Ok(Target::Metadata(rest)),
            "detailed-metadata" => Ok(Target::DetailedMetadata(rest)),
            "subkeys" => Ok(Target::Subkeys(rest)),
            "delete" => Ok(Target::Delete(rest)),
            "undelete" => Ok(Target::Undelete(rest)),
            "destroy" => Ok(Target::Destroy(rest)),
            // Not `config/`: a rule for the one must hold for the other.
            "config" if path == "config" => Ok(Target::Config),
            _ => Err(unsupported()),
        }
    }
}

impl Secrets<'_, '_> {
    pub(super) fn execute(&mut self, call: &Call<'_>) -> Result<Outcome> {
        let data = call.data;
        match (call.operation, Target::parse(call.path)?) {
            (Operation::List, Target::Metadata(folder)) => listing::list(self.overlay, self.mount, folder, data),
            (Operation::List, Target::DetailedMetadata(folder)) => self.list_detailed(folder, data),
            (Operation::Read, Target::Data(path)) => self.read(named(path)?, data),
            (Operation::Read, Target::Subkeys(path)) => self.read_subkeys(named(path)?, data),
            (Operation::Write, Target::Data(path)) => self.write(named(path)?, data),
            (Operation::Patch, Target::Data(path)) => self.patch(named(path)?, data),
            (Operation::Delete, Target::Data(path)) => self.delete_newest(named(path)?),
            (Operation::Read, Target::Metadata(path)) => self.read_metadata(named(path)?),
            (Operation::Write, Target::Metadata(path)) => self.write_metadata(named(path)?, data),
            (Operation::Patch, Target::Metadata(path)) => self.patch_metadata(named(path)?, data),
            (Operation::Delete, Target::Metadata(path)) => self.delete_all(named(path)?),
            (Operation::Write, Target::Delete(path)) => self.on_versions(named(path)?, data, Fate::Deleted),
            (Operation::Write, Target::Undelete(path)) => self.on_versions(named(path)?, data, Fate::Undeleted),
            (Operation::Write, Target::Destroy(path)) => self.on_versions(named(path)?, data, Fate::Destroyed),
            (Operation::Read, Target::Config) => self.read_config(),
            (Operation::Write, Target::Config) => self.write_config(data),
            _ => Err(unsupported()),
        }
    }
}

fn unsupported() -> Error {
    Error::new(
        Code::UnsupportedPath,
        "a KV version 2 mount has no such operation here: use data/, metadata/, detailed-metadata/, subkeys/, delete/, undelete/, destroy/ or config",
    )
}
