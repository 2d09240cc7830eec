//! A buffer of secret bytes that Python may look at while it is wiped.
#![allow(unsafe_code, reason = "Python's buffer protocol hands out a pointer; each block says why it is sound")]

use crate::convert::refuse;
use pyo3::ffi;
use pyo3::prelude::*;
use std::ffi::c_int;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering, compiler_fence};
use vault_core::types::{Code, SecretBytes as CoreBytes};

/// Bytes that are zeroed when they are closed or dropped. They are atomic, so that closing while another thread looks is no data race
/// on our side, and the memory stays until the last view is gone, since a view holds the object.
pub(crate) struct Buffer {
    bytes: Box<[AtomicU8]>,
    closed: AtomicBool,
}

impl Buffer {
    /// Copies bytes into a place of exactly their size; wiping the source stays with the caller.
    pub(crate) fn copy_from(bytes: &[u8]) -> Self {
        Buffer { bytes: bytes.iter().map(|byte| AtomicU8::new(*byte)).collect(), closed: AtomicBool::new(false) }
    }

    /// A copy that is wiped when it is dropped.
    pub(crate) fn copy(&self, py: Python<'_>) -> PyResult<CoreBytes> {
        self.check_open(py)?;
        Ok(CoreBytes::new(self.bytes.iter().map(|byte| byte.load(Ordering::Relaxed)).collect()))
    }

    pub(crate) fn len(&self, py: Python<'_>) -> PyResult<usize> {
        self.check_open(py)?;
        Ok(self.bytes.len())
    }

    /// Zeroes the bytes, under the eyes of whoever has a view of them too.
    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::SeqCst);
        for byte in &self.bytes {
            byte.store(0, Ordering::Relaxed);
        }
        compiler_fence(Ordering::SeqCst);
    }

    /// Fills in what Python's buffer protocol asks for: a view that cannot be written to.
    ///
    /// # Safety
    /// `view` is as Python gave it to `__getbuffer__` of `owner`, and `owner` holds this buffer for as long as it lives.
    pub(crate) unsafe fn lend(&self, owner: &Bound<'_, PyAny>, view: *mut ffi::Py_buffer, flags: c_int) -> PyResult<()> {
        self.check_open(owner.py())?;
        let start = self.bytes.as_ptr().cast_mut().cast();
        let len = self.bytes.len() as ffi::Py_ssize_t;
        // SAFETY: the caller gives a view of Python's; the view takes a reference to the owner, which keeps the bytes where they are.
        let outcome = unsafe { ffi::PyBuffer_FillInfo(view, owner.as_ptr(), start, len, 1, flags) };
        if outcome == 0 { Ok(()) } else { Err(PyErr::fetch(owner.py())) }
    }

    fn check_open(&self, py: Python<'_>) -> PyResult<()> {
        if self.closed.load(Ordering::SeqCst) { Err(refuse(py, Code::Closed, "the secret was closed and wiped")) } else { Ok(()) }
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        self.close();
    }
}
