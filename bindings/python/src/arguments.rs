//! What Python passes as an argument, parsed once: a wrong type is a `TypeError`, a value that cannot be an `InvalidRequest`.

use crate::convert::refuse;
use crate::errors::raise;
use crate::secret::SecretBytes;
use pyo3::buffer::PyBuffer;
use pyo3::exceptions::{PyOverflowError, PyTypeError, PyUnicodeEncodeError};
use pyo3::prelude::*;
use pyo3::types::{PyList, PyTuple};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use vault_core::types::limits::JSON_VALUES_MAX;
use vault_core::types::{Code, SecretBytes as CoreBytes, Ttl};

/// Text that is UTF-8: lone surrogates are refused.
#[derive(Clone, Copy)]
pub(crate) struct Text<'a>(pub(crate) &'a str);

/// A whole number from 0 to 2^64-1.
#[derive(Clone, Copy)]
pub(crate) struct Whole(pub(crate) u64);

/// A parameter from 0 to 2^32-1.
#[derive(Clone, Copy)]
pub(crate) struct Parameter(pub(crate) u32);

/// Whole numbers, in a list or a tuple.
pub(crate) struct Wholes(pub(crate) Vec<u64>);

/// A time span: whole seconds, or text such as "5m".
#[derive(Clone, Copy)]
pub(crate) struct Duration(pub(crate) Ttl);

/// A place in the file system.
pub(crate) struct Place(pub(crate) PathBuf);

/// A finite number of milliseconds, given in seconds from 0 on.
#[derive(Clone, Copy)]
pub(crate) struct Seconds(pub(crate) u64);

impl<'a> FromPyObject<'a, '_> for Text<'a> {
    type Error = PyErr;

    fn extract(object: Borrowed<'a, '_, PyAny>) -> PyResult<Self> {
        object.extract::<&'a str>().map(Text).map_err(|error| unless_surrogates(object.py(), error))
    }
}

impl<'a> FromPyObject<'a, '_> for Whole {
    type Error = PyErr;

    fn extract(object: Borrowed<'a, '_, PyAny>) -> PyResult<Self> {
        object.extract::<u64>().map(Whole).map_err(|error| unless_overflow(object.py(), error, "a number must be from 0 to 2^64-1"))
    }
}

impl<'a> FromPyObject<'a, '_> for Duration {
    type Error = PyErr;

    fn extract(object: Borrowed<'a, '_, PyAny>) -> PyResult<Self> {
        if let Ok(Text(text)) = object.extract::<Text<'_>>() {
            return Ttl::parse(text).map(Duration).map_err(|error| raise(object.py(), &error));
        }
        object.extract::<Whole>().map(|Whole(seconds)| Duration(Ttl::from_secs(seconds)))
    }
}

impl<'a> FromPyObject<'a, '_> for Parameter {
    type Error = PyErr;

    fn extract(object: Borrowed<'a, '_, PyAny>) -> PyResult<Self> {
        object.extract::<u32>().map(Parameter).map_err(|error| unless_overflow(object.py(), error, "a parameter must be from 0 to 2^32-1"))
    }
}

impl<'a> FromPyObject<'a, '_> for Wholes {
    type Error = PyErr;

    fn extract(object: Borrowed<'a, '_, PyAny>) -> PyResult<Self> {
        let items = match object.cast::<PyTuple>() {
            Ok(tuple) => tuple.to_list(),
            Err(_) => object.cast::<PyList>()?.to_owned(),
        };
        if items.len() > JSON_VALUES_MAX {
            return Err(refuse(object.py(), Code::InvalidData, "the data holds more than 20000 values"));
        }
        items.iter().map(|item| item.extract::<Whole>().map(|whole| whole.0)).collect::<PyResult<_>>().map(Wholes)
    }
}

impl<'a> FromPyObject<'a, '_> for Place {
    type Error = PyErr;

    fn extract(object: Borrowed<'a, '_, PyAny>) -> PyResult<Self> {
        let place: PathBuf = object.extract().map_err(|error| unless_surrogates(object.py(), error))?;
        if place.as_os_str().is_empty() {
            return Err(refuse(object.py(), Code::InvalidRequest, "a place in the file system has a name"));
        }
        if place.as_os_str().as_bytes().contains(&0) {
            return Err(refuse(object.py(), Code::InvalidRequest, "a place in the file system holds no NUL"));
        }
        Ok(Place(place))
    }
}

impl<'a> FromPyObject<'a, '_> for Seconds {
    type Error = PyErr;

    fn extract(object: Borrowed<'a, '_, PyAny>) -> PyResult<Self> {
        const WHY: &str = "seconds must be a finite number from 0 on";
        let py = object.py();
        let seconds = object.extract::<f64>().map_err(|error| unless_overflow(py, error, WHY))?;
        if !seconds.is_finite() || seconds < 0.0 {
            return Err(refuse(py, Code::InvalidRequest, WHY));
        }
        // Past the range of u64 this saturates, and a timestamp ends with the year 9999.
        Ok(Seconds((seconds * 1000.0).round() as u64))
    }
}

/// Bytes, given as `bytes`, `bytearray`, a `memoryview` of bytes or `SecretBytes`; the copy is wiped when it is dropped.
pub(crate) fn bytes_of(object: &Bound<'_, PyAny>) -> PyResult<CoreBytes> {
    let py = object.py();
    if let Ok(secret) = object.cast::<SecretBytes>() {
        return secret.get().copy(py);
    }
    let view =
        PyBuffer::<u8>::get(object).map_err(|_| PyTypeError::new_err("must be bytes, bytearray, a memoryview of bytes or SecretBytes"))?;
    let mut copy = vec![0; view.item_count()].into_boxed_slice();
    view.copy_to_slice(py, &mut copy)?;
    Ok(CoreBytes::new(copy))
}

/// The error itself, but for text that is no UTF-8.
fn unless_surrogates(py: Python<'_>, error: PyErr) -> PyErr {
    if error.is_instance_of::<PyUnicodeEncodeError>(py) {
        return refuse(py, Code::InvalidUtf8, "the text holds lone surrogates, which UTF-8 does not have");
    }
    error
}

fn unless_overflow(py: Python<'_>, error: PyErr, why: &str) -> PyErr {
    if error.is_instance_of::<PyOverflowError>(py) { refuse(py, Code::InvalidRequest, why) } else { error }
}
