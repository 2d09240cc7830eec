//! Between Python's objects and core's JSON values, without JSON text in between.

use pyo3::exceptions::PyUnicodeEncodeError;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyFloat, PyInt, PyList, PyString, PyTuple};
use vault_core::types::limits::{JSON_DEPTH_MAX, JSON_VALUES_MAX};
use vault_core::types::{Code, Error, Object, Value};

use crate::errors::raise;

/// A Python object for a value.
pub(crate) fn to_python<'py>(py: Python<'py>, value: &Value) -> PyResult<Bound<'py, PyAny>> {
    Ok(match value {
        Value::Null => py.None().into_bound(py),
        Value::Bool(truth) => PyBool::new(py, *truth).to_owned().into_any(),
        Value::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(whole), _) => whole.into_pyobject(py)?.into_any(),
            (None, Some(whole)) => whole.into_pyobject(py)?.into_any(),
            (None, None) => PyFloat::new(py, number.as_f64().unwrap_or(f64::NAN)).into_any(),
        },
        Value::String(text) => PyString::new(py, text).into_any(),
        Value::Array(items) => {
            let list = PyList::empty(py);
            for item in items {
                list.append(to_python(py, item)?)?;
            }
            list.into_any()
        }
        Value::Object(object) => object_to_python(py, object)?.into_any(),
    })
}

/// A dict for an object.
pub(crate) fn object_to_python<'py>(py: Python<'py>, object: &Object) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    for (name, value) in object.iter() {
        dict.set_item(name, to_python(py, value)?)?;
    }
    Ok(dict)
}

/// The value of a dict of JSON-like objects.
pub(crate) fn dict_to_object(dict: &Bound<'_, PyDict>) -> PyResult<Object> {
    let mut left = JSON_VALUES_MAX;
    object_from(dict, 1, &mut left)
}

/// The value of optional data.
pub(crate) fn data_to_value(data: Option<&Bound<'_, PyDict>>) -> PyResult<Option<Value>> {
    data.map(|dict| dict_to_object(dict).map(Value::from)).transpose()
}

/// Text that must be UTF-8: lone surrogates are refused.
pub(crate) fn text_of<'a>(text: &'a Bound<'_, PyString>) -> PyResult<&'a str> {
    let py = text.py();
    text.to_str().map_err(|error| {
        if error.is_instance_of::<PyUnicodeEncodeError>(py) {
            refuse(py, Code::InvalidUtf8, "the text holds lone surrogates, which UTF-8 does not have")
        } else {
            error
        }
    })
}

/// An exception for data that cannot be taken.
pub(crate) fn refuse(py: Python<'_>, code: Code, why: &str) -> PyErr {
    raise(py, &Error::new(code, why))
}

fn object_from(dict: &Bound<'_, PyDict>, depth: usize, left: &mut usize) -> PyResult<Object> {
    let py = dict.py();
    let mut object = Object::new();
    for (name, value) in dict.iter() {
        let name = name.cast::<PyString>().map_err(|_| refuse(py, Code::InvalidData, "the names of an object must be text"))?;
        object.insert(text_of(name)?, value_from(&value, depth, left)?);
    }
    Ok(object)
}

fn value_from(value: &Bound<'_, PyAny>, depth: usize, left: &mut usize) -> PyResult<Value> {
    let py = value.py();
    // A cycle ends here too.
    if depth > JSON_DEPTH_MAX {
        return Err(refuse(py, Code::InvalidData, "the data is nested deeper than 64 levels"));
    }
    *left = left.checked_sub(1).ok_or_else(|| refuse(py, Code::InvalidData, "the data holds more than 20000 values"))?;
    if value.is_none() {
        return Ok(Value::Null);
    }
    if let Ok(truth) = value.cast::<PyBool>() {
        return Ok(truth.is_true().into());
    }
    if let Ok(text) = value.cast::<PyString>() {
        return Ok(Value::string(text_of(text)?));
    }
    if value.is_instance_of::<PyInt>() {
        let whole = value.extract::<i64>().map(Value::from).or_else(|_| value.extract::<u64>().map(Value::from));
        return whole.map_err(|_| refuse(py, Code::InvalidData, "a whole number must be from -2^63 to 2^64-1"));
    }
    if let Ok(number) = value.cast::<PyFloat>() {
        let number = serde_json::Number::from_f64(number.value());
        return number.map(Value::Number).ok_or_else(|| refuse(py, Code::InvalidData, "a number must be finite"));
    }
    if let Ok(dict) = value.cast::<PyDict>() {
        return object_from(dict, depth + 1, left).map(Value::from);
    }
    if value.is_instance_of::<PyList>() || value.is_instance_of::<PyTuple>() {
        let items = value.try_iter()?.map(|item| value_from(&item?, depth + 1, left));
        return items.collect::<PyResult<Vec<_>>>().map(Value::Array);
    }
    let kind = value.get_type().name()?.to_string();
    Err(refuse(
        py,
        Code::InvalidData,
        &format!("an object of type {kind} has no place in JSON: use dict, list, str, int, float, bool or None"),
    ))
}
