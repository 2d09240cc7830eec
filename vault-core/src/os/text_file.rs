//! A text file of the host's, read whole and no further than its limit.
#![allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "the one place where a host's text files are read")]

use crate::types::{Code, Error, Result};
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// The text of a file of at most `bytes_max` bytes.
pub(crate) fn read_text(path: &Path, bytes_max: usize) -> Result<String> {
    let fail = |why: &dyn std::fmt::Display| Error::new(Code::InvalidRequest, format!("{}: {why}", path.display()));
    let file = File::open(path).map_err(|error| fail(&error))?;
    let mut bytes = Vec::new();
    file.take(bytes_max as u64 + 1).read_to_end(&mut bytes).map_err(|error| fail(&error))?;
    if bytes.len() > bytes_max {
        return Err(fail(&format!("it is larger than {bytes_max} bytes")));
    }
    String::from_utf8(bytes).map_err(|_| fail(&"it is not UTF-8"))
}
