//! Between Python's objects and core's JSON values, without JSON text in between.

use crate::arguments::Text;
use crate::errors::{guarded, raise};
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyFloat, PyInt, PyList, PyMapping, PyString, PyTuple};
use vault_core::types::limits::{JSON_BYTES_MAX, JSON_DEPTH_MAX, JSON_VALUES_MAX};
use vault_core::types::{Code, Error, Object, Value};

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

/// The object of a dict, or another mapping, of JSON-like objects.
pub(crate) fn mapping_to_object(mapping: &Bound<'_, PyAny>) -> PyResult<Object> {
    guarded(mapping.py(), || {
        // The outermost object counts too.
        let mut budget = Budget { values: JSON_VALUES_MAX - 1, bytes: JSON_BYTES_MAX };
        let items = items_of(mapping)?.ok_or_else(|| PyTypeError::new_err("the data must be a dict or another mapping"))?;
        object_from(&items, 1, &mut budget)
    })
}

/// The value of optional data.
pub(crate) fn data_to_value(data: Option<&Bound<'_, PyAny>>) -> PyResult<Option<Value>> {
    data.map(|mapping| mapping_to_object(mapping).map(Value::from)).transpose()
}

/// An exception for what cannot be taken.
pub(crate) fn refuse(py: Python<'_>, code: Code, why: &str) -> PyErr {
    raise(py, &Error::new(code, why))
}

/// What one conversion may still use. The bytes are counted as they are copied: twenty thousand names for one large text are
/// little in Python and would be much here.
struct Budget {
    values: usize,
    bytes: usize,
}

impl Budget {
    /// Enters a container at a depth, 1 being the outermost. A cycle ends here too.
    fn enter(&mut self, py: Python<'_>, depth: usize, count: usize) -> PyResult<()> {
        if depth > JSON_DEPTH_MAX {
            return Err(refuse(py, Code::InvalidData, "the data is nested deeper than 64 levels"));
        }
        let left = self.values.checked_sub(count);
        self.values = left.ok_or_else(|| refuse(py, Code::InvalidData, "the data holds more than 20000 values"))?;
        Ok(())
    }

    fn take_text<'a>(&mut self, text: &'a Bound<'_, PyAny>) -> PyResult<&'a str> {
        let Text(bytes) = text.extract()?;
        let left = self.bytes.checked_sub(bytes.len());
        self.bytes = left.ok_or_else(|| refuse(text.py(), Code::InvalidData, "the data holds more than 1 MiB of text"))?;
        Ok(bytes)
    }
}

/// The members of a mapping as they are now: a list of our own, since what a conversion runs in Python might change the mapping.
fn items_of<'py>(value: &Bound<'py, PyAny>) -> PyResult<Option<Bound<'py, PyList>>> {
    if let Ok(dict) = value.cast::<PyDict>() {
        return Ok(Some(dict.items()));
    }
    value.cast::<PyMapping>().ok().map(|mapping| mapping.items()).transpose()
}

fn object_from(items: &Bound<'_, PyList>, depth: usize, budget: &mut Budget) -> PyResult<Object> {
    let py = items.py();
    budget.enter(py, depth, items.len())?;
    let mut object = Object::new();
    for item in items.iter() {
        let (name, value): (Bound<'_, PyAny>, Bound<'_, PyAny>) = item.extract()?;
        if !name.is_instance_of::<PyString>() {
            return Err(refuse(py, Code::InvalidData, "the names of an object must be text"));
        }
        let name = budget.take_text(&name)?;
        object.insert(name, value_from(&value, depth, budget)?);
    }
    Ok(object)
}

fn array_from<'py>(
    items: impl ExactSizeIterator<Item = Bound<'py, PyAny>>,
    py: Python<'py>,
    depth: usize,
    budget: &mut Budget,
) -> PyResult<Value> {
    budget.enter(py, depth, items.len())?;
    items.map(|item| value_from(&item, depth, budget)).collect::<PyResult<Vec<_>>>().map(Value::Array)
}

/// The value of an object; whoever holds it has counted it.
fn value_from(value: &Bound<'_, PyAny>, depth: usize, budget: &mut Budget) -> PyResult<Value> {
    let py = value.py();
    if value.is_none() {
        return Ok(Value::Null);
    }
    if let Ok(truth) = value.cast::<PyBool>() {
        return Ok(truth.is_true().into());
    }
    if value.is_instance_of::<PyString>() {
        return Ok(Value::string(budget.take_text(value)?));
    }
    if value.is_instance_of::<PyInt>() {
        let whole = value.extract::<i64>().map(Value::from).or_else(|_| value.extract::<u64>().map(Value::from));
        return whole.map_err(|_| refuse(py, Code::InvalidData, "a whole number must be from -2^63 to 2^64-1"));
    }
    if let Ok(number) = value.cast::<PyFloat>() {
        let number = serde_json::Number::from_f64(number.value());
        return number.map(Value::Number).ok_or_else(|| refuse(py, Code::InvalidData, "a number must be finite"));
    }
    // Lists and tuples are read as they lie, never through an `__iter__` of their own.
    if let Ok(list) = value.cast::<PyList>() {
        return array_from(list.iter(), py, depth + 1, budget);
    }
    if let Ok(tuple) = value.cast::<PyTuple>() {
        return array_from(tuple.iter(), py, depth + 1, budget);
    }
    if let Some(items) = items_of(value)? {
        return object_from(&items, depth + 1, budget).map(Value::from);
    }
    let kind = value.get_type().name()?.to_string();
    let why = format!("an object of type {kind} has no place in JSON: use dict, list, str, int, float, bool or None");
    Err(refuse(py, Code::InvalidData, &why))
}
