//! The doctor: what is wrong with a store, and what can be had of it.

use crate::arguments::{Parameter, Place, Text};
use crate::clock::ManualClock;
use crate::convert::to_python;
use crate::errors::detached;
use crate::keys::unseal_key;
use crate::vault::{Vault, config, on_backend, surroundings};
use pyo3::prelude::*;
use vault_core::doctor::{self, Options};
use vault_core::types::Value;

/// Tells what is wrong with a store, without changing it.
#[pyfunction]
#[pyo3(
    name = "doctor",
    signature = (path, *, key=None, names=false, scratch=None, anchor=None),
    text_signature = "(path, *, key=None, names=False, scratch=None, anchor=None)"
)]
pub(crate) fn examine<'py>(
    py: Python<'py>,
    path: Place,
    key: Option<&Bound<'py, PyAny>>,
    names: bool,
    scratch: Option<Place>,
    anchor: Option<&Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyAny>> {
    let config = surroundings(config(py, Some(path), None, Text("batched"))?, None, None, None, anchor, Parameter(0))?;
    let (key, how) = (key.map(unseal_key).transpose()?, how(names, scratch));
    let report = detached(py, || doctor::examine_with(&config, key.as_ref(), &how))?;
    dict(py, report.to_value(), &report.to_string())
}

/// Takes out of a store what can be read of it, into an empty place; the new vault, frozen, and what was taken and lost.
#[pyfunction]
#[pyo3(
    signature = (path, *, key, to, names=false, scratch=None, backend=None, clock=None, audit=Text("batched")),
    text_signature = "(path, *, key, to, names=False, scratch=None, backend=None, clock=None, audit='batched')"
)]
#[allow(clippy::too_many_arguments, reason = "each is a keyword of its own in Python")]
pub(crate) fn salvage<'py>(
    py: Python<'py>,
    path: Place,
    key: &Bound<'py, PyAny>,
    to: Option<Place>,
    names: bool,
    scratch: Option<Place>,
    backend: Option<Text<'_>>,
    clock: Option<&ManualClock>,
    audit: Text<'_>,
) -> PyResult<(Vault, Bound<'py, PyAny>)> {
    let from = config(py, Some(path), None, Text("batched"))?;
    let to = on_backend(py, config(py, to, clock, audit)?, backend)?;
    let to = surroundings(to, Some(key), None, None, None, Parameter(0))?;
    let (key, how) = (unseal_key(key)?, how(names, scratch));
    let (vault, report) = detached(py, || doctor::salvage_with(&from, &key, to, &how))?;
    Ok((Vault::unsealed_by(vault), dict(py, report.to_value(), &report.to_string())?))
}

fn how(names: bool, scratch: Option<Place>) -> Options {
    let how = if names { Options::new().with_names() } else { Options::new() };
    match scratch {
        Some(scratch) => how.with_scratch(scratch.0),
        None => how,
    }
}

fn dict<'py>(py: Python<'py>, report: Value, text: &str) -> PyResult<Bound<'py, PyAny>> {
    let dict = to_python(py, &report)?;
    dict.set_item("text", text)?;
    Ok(dict)
}
