//! `Pkcs11`: a key in an HSM or a smart card as a key service, without a line of Python in its way.

use crate::arguments::{Place, Text};
use crate::callbacks::KeyWrapper;
use crate::convert::refuse;
use crate::errors::{detached, raise};
use crate::secret::token_of;
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use std::sync::Arc;
use vault_connectors::pkcs11::{Pkcs11Options, Pkcs11Wrapper, Token};
use vault_core::host::KeyWrapper as CoreWrapper;
use vault_core::types::{Code, Error};

/// A key in an HSM or a smart card, over PKCS #11: a `KeyWrapper` whose key never leaves the token. `module` is the path of the token's shared
/// library; the token is named by its label (`token`) or by its serial number (`serial`); `pin` is that of its normal user, and is tried once
/// if it is wrong; `key` is the label of an AES key, `key_id` its id where several have the label. Slots find it again by `name`.
#[pyclass(frozen, extends = KeyWrapper, module = "libvault")]
pub(crate) struct Pkcs11(Arc<Pkcs11Wrapper>);

#[pymethods]
impl Pkcs11 {
    #[new]
    #[pyo3(
        signature = (module, *, pin, key, token=None, serial=None, key_id=None, name=Text("pkcs11")),
        text_signature = "(module, *, pin, key, token=None, serial=None, key_id=None, name='pkcs11')"
    )]
    #[allow(clippy::too_many_arguments, reason = "each is a keyword of its own in Python")]
    fn new(
        py: Python<'_>,
        module: Place,
        pin: &Bound<'_, PyAny>,
        key: Text<'_>,
        token: Option<Text<'_>>,
        serial: Option<Text<'_>>,
        key_id: Option<&[u8]>,
        name: Text<'_>,
    ) -> PyResult<PyClassInitializer<Self>> {
        let token = match (token, serial) {
            (Some(Text(label)), None) => Token::Label(label.to_owned()),
            (None, Some(Text(serial))) => Token::Serial(serial.to_owned()),
            _ => return Err(refuse(py, Code::InvalidRequest, "name the token: by its label (token) or by its serial number (serial)")),
        };
        let mut options = Pkcs11Options::new(module.0, token, token_of(pin)?, key.0).with_name(name.0);
        if let Some(id) = key_id {
            options = options.with_key_id(id);
        }
        let wrapper = Pkcs11Wrapper::new(options).map_err(|error| raise(py, &error.into()))?;
        Ok(PyClassInitializer::from(KeyWrapper).add_subclass(Pkcs11(Arc::new(wrapper))))
    }

    /// The name by which a slot finds its service again.
    #[getter]
    fn name(&self) -> &str {
        self.0.name()
    }

    /// Makes the key on the token: AES-256, sensitive, not extractable. Raises Unavailable when there is such a key already.
    fn generate_key(&self, py: Python<'_>) -> PyResult<()> {
        detached(py, || Ok(self.0.generate_key()?))
    }

    /// Encrypts 32 bytes under the token's key.
    fn wrap<'py>(&self, py: Python<'py>, key: &[u8], context: &[u8]) -> PyResult<Bound<'py, PyBytes>> {
        let key = key.try_into().map_err(|_| refuse(py, Code::InvalidRequest, "a key that is wrapped has exactly 32 bytes"))?;
        let wrapped = detached(py, || self.0.wrap(key, context).map_err(failed))?;
        Ok(PyBytes::new(py, &wrapped))
    }

    /// Gives the 32 bytes back that `wrap` encrypted under the same context.
    fn unwrap<'py>(&self, py: Python<'py>, wrapped: &[u8], context: &[u8]) -> PyResult<Bound<'py, PyBytes>> {
        let key = detached(py, || self.0.unwrap(wrapped, context).map_err(failed))?;
        Ok(PyBytes::new(py, key.expose()))
    }

    fn __repr__(&self) -> String {
        format!("Pkcs11(name={:?}, pin=[redacted])", self.0.name())
    }

    fn __reduce__(&self) -> PyResult<()> {
        Err(PyTypeError::new_err("a key cannot be pickled"))
    }
}

impl Pkcs11 {
    /// The service itself.
    pub(crate) fn wrapper(&self) -> Arc<dyn CoreWrapper> {
        Arc::clone(&self.0) as Arc<dyn CoreWrapper>
    }
}

fn failed(error: vault_core::host::WrapError) -> Error {
    Error::new(Code::KeyService, error.to_string())
}
