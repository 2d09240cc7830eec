//! Checks of the audit log that need only the vault's public key.

use crate::arguments::Text;
use crate::convert::data_to_value;
use crate::errors::{detached, raise};
use pyo3::prelude::*;
use pyo3::types::PyDict;
use vault_core::audit_proof::{self, ConsistencyProof, InclusionProof};
use vault_core::types::{Code, Error, Value};

/// Checks a checkpoint with the vault's public key (both as `sys/audit-log` answers them); its origin, size and root (hexadecimal).
#[pyfunction]
pub(crate) fn verify_checkpoint<'py>(py: Python<'py>, note: Text<'_>, key: Text<'_>) -> PyResult<Bound<'py, PyDict>> {
    let found = detached(py, || audit_proof::verify_checkpoint(note.0, key.0))?;
    let dict = PyDict::new(py);
    dict.set_item("origin", found.origin)?;
    dict.set_item("size", found.size)?;
    dict.set_item("root", found.root.iter().map(|byte| format!("{byte:02x}")).collect::<String>())?;
    Ok(dict)
}

/// Checks that an event is in the log of a checkpoint: `proof` as `sys/audit-log/proof/inclusion` answers it for the checkpoint's size.
#[pyfunction]
pub(crate) fn verify_inclusion(py: Python<'_>, note: Text<'_>, key: Text<'_>, proof: &Bound<'_, PyAny>) -> PyResult<()> {
    let proof = proof_of(py, proof)?;
    detached(py, || InclusionProof::from_value(&proof)?.verify(&audit_proof::verify_checkpoint(note.0, key.0)?))
}

/// Checks that the log of a newer checkpoint begins with that of an older one: `proof` as `sys/audit-log/proof/consistency` answers it.
#[pyfunction]
pub(crate) fn verify_consistency(
    py: Python<'_>,
    older: Text<'_>,
    newer: Text<'_>,
    key: Text<'_>,
    proof: &Bound<'_, PyAny>,
) -> PyResult<()> {
    let proof = proof_of(py, proof)?;
    detached(py, || {
        let (older, newer) = (audit_proof::verify_checkpoint(older.0, key.0)?, audit_proof::verify_checkpoint(newer.0, key.0)?);
        ConsistencyProof::from_value(&proof)?.verify(&older, &newer)
    })
}

fn proof_of(py: Python<'_>, proof: &Bound<'_, PyAny>) -> PyResult<Value> {
    let missing = || raise(py, &Error::new(Code::InvalidData, "give the proof as sys/audit-log/proof answers it, its data"));
    data_to_value(Some(proof))?.ok_or_else(missing)
}
