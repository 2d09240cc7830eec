//! The one guard that is the body of every export: outputs cleared, panics caught, errors mapped, outputs written only on success.

use crate::error;
use crate::status::{VAULT_OK, vault_status_t};
use std::panic::{AssertUnwindSafe, catch_unwind};
use vault_core::types::{Code, Error, Result};

/// The body of an export.
///
/// `guard!(required out_a, optional out_b => { ... Ok((a, b)) })` answers a status: every output that is given is cleared first, a
/// `required` one that is NULL is an error, and all are written together when the body succeeds. With one output the body gives its
/// value alone, with none `()`.
///
/// `guard!(or fallback => { ... Ok(value) })` answers a value, and the fallback when the body fails; both keep the last error.
macro_rules! guard {
    (or $fallback:expr => $body:block) => {
        $crate::guard::run_or($fallback, || $body)
    };
    ($($mode:ident $out:ident),* => $body:block) => {
        $crate::guard::run(
            ($(
                // SAFETY: that every output is NULL or valid for a write is what each export asks of its caller.
                unsafe { $crate::guard::Out::$mode($out, stringify!($out)) },
            )*),
            || $body,
        )
    };
}
pub(crate) use guard;

/// A pointer that a caller gave for a result: NULL or valid for a write, as whoever makes one promises.
pub(crate) struct Out<T> {
    pointer: *mut T,
    missing: Option<&'static str>,
}

impl<T> Out<T> {
    /// # Safety
    /// The pointer is NULL or valid for a write during the call.
    pub(crate) unsafe fn required(pointer: *mut T, name: &'static str) -> Self {
        Out { pointer, missing: pointer.is_null().then_some(name) }
    }

    /// # Safety
    /// As for [`Out::required`].
    pub(crate) unsafe fn optional(pointer: *mut T, _name: &'static str) -> Self {
        Out { pointer, missing: None }
    }

    fn check(&self) -> Result<()> {
        self.missing.map_or(Ok(()), |name| Err(Error::new(Code::BadArgument, format!("{name} is NULL"))))
    }

    fn write(&self, value: T) {
        if !self.pointer.is_null() {
            // SAFETY: not NULL, so valid for a write.
            unsafe { self.pointer.write(value) }
        }
    }
}

/// A type that has a value for "no result".
pub(crate) trait Cleared {
    const CLEARED: Self;
}
impl<T> Cleared for *mut T {
    const CLEARED: Self = std::ptr::null_mut();
}
impl<T> Cleared for *const T {
    const CLEARED: Self = std::ptr::null();
}
impl Cleared for bool {
    const CLEARED: Self = false;
}
impl Cleared for usize {
    const CLEARED: Self = 0;
}
impl Cleared for u64 {
    const CLEARED: Self = 0;
}
impl Cleared for i32 {
    const CLEARED: Self = 0;
}
impl Cleared for i64 {
    const CLEARED: Self = 0;
}

/// The outputs of one export, with the values that its body gives for them.
pub(crate) trait Outputs {
    type Values;
    fn clear(&self);
    fn check(&self) -> Result<()>;
    fn write(&self, values: Self::Values);
}

impl Outputs for () {
    type Values = ();
    fn clear(&self) {}
    fn check(&self) -> Result<()> {
        Ok(())
    }
    fn write(&self, (): ()) {}
}

impl<A: Cleared> Outputs for (Out<A>,) {
    type Values = A;
    fn clear(&self) {
        self.0.write(A::CLEARED);
    }
    fn check(&self) -> Result<()> {
        self.0.check()
    }
    fn write(&self, a: A) {
        self.0.write(a);
    }
}

impl<A: Cleared, B: Cleared> Outputs for (Out<A>, Out<B>) {
    type Values = (A, B);
    fn clear(&self) {
        self.0.write(A::CLEARED);
        self.1.write(B::CLEARED);
    }
    fn check(&self) -> Result<()> {
        self.0.check()?;
        self.1.check()
    }
    fn write(&self, (a, b): (A, B)) {
        self.0.write(a);
        self.1.write(b);
    }
}

/// Runs the body of an export that answers a status.
pub(crate) fn run<O: Outputs>(outputs: O, body: impl FnOnce() -> Result<O::Values>) -> vault_status_t {
    outputs.clear();
    match caught(|| outputs.check().and_then(|()| body())) {
        Ok(values) => {
            outputs.write(values);
            VAULT_OK
        }
        Err(error) => error::keep(&error),
    }
}

/// Runs the body of an export that answers a value.
pub(crate) fn run_or<T>(fallback: T, body: impl FnOnce() -> Result<T>) -> T {
    caught(body).unwrap_or_else(|error| {
        error::keep(&error);
        fallback
    })
}

/// A panic must not cross into C: it becomes `Internal`. The vault below is safe to use on: its locks do not poison and its commits are
/// atomic; what the body itself owned is dropped by the unwinding.
fn caught<T>(body: impl FnOnce() -> Result<T>) -> Result<T> {
    catch_unwind(AssertUnwindSafe(body)).unwrap_or_else(|payload| {
        // A payload may panic when it is dropped, and may hold text that is not ours to show.
        std::mem::forget(payload);
        Err(Error::new(Code::Internal, "a bug in libvault, caught at the boundary"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::{vault_last_error, vault_last_error_code};
    use crate::status::{VAULT_ERR_BAD_ARGUMENT, VAULT_ERR_CAS_MISMATCH, VAULT_ERR_INTERNAL};
    use std::ffi::CStr;
    use std::ptr;

    fn export(out_number: *mut u64, out_flag: *mut bool, body: impl FnOnce() -> Result<(u64, bool)>) -> vault_status_t {
        guard!(required out_number, optional out_flag => { body() })
    }

    fn last_error() -> String {
        // SAFETY: the text lives until this thread's next failure.
        unsafe { CStr::from_ptr(vault_last_error()) }.to_str().expect("UTF-8").to_owned()
    }

    #[test]
    fn a_panic_becomes_an_internal_error_that_does_not_repeat_its_message() {
        let mut number = 7;
        let status = export(&raw mut number, ptr::null_mut(), || panic!("CANARY"));
        assert_eq!((status, number), (VAULT_ERR_INTERNAL, 0));
        assert_eq!(vault_last_error_code(), VAULT_ERR_INTERNAL);
        assert!(last_error().contains("bug") && !last_error().contains("CANARY"));
    }

    #[test]
    fn a_panic_in_the_payload_of_a_panic_is_never_set_off() {
        struct Bomb;
        impl Drop for Bomb {
            fn drop(&mut self) {
                panic!("dropped");
            }
        }
        assert_eq!(guard!(or 3 => { std::panic::panic_any(Bomb) }), 3);
    }

    #[test]
    fn outputs_are_cleared_on_failure_and_written_together_on_success() {
        let (mut number, mut flag) = (7, true);
        let refused = || Err(Error::new(Code::CasMismatch, "stale"));
        assert_eq!(export(&raw mut number, &raw mut flag, refused), VAULT_ERR_CAS_MISMATCH);
        assert_eq!((number, flag, last_error().as_str()), (0, false, "stale"));
        assert_eq!(export(&raw mut number, &raw mut flag, || Ok((5, true))), VAULT_OK);
        assert_eq!((number, flag), (5, true));
    }

    #[test]
    fn a_required_output_that_is_null_stops_the_call_before_its_body_and_clears_the_others() {
        let mut flag = true;
        let status = export(ptr::null_mut(), &raw mut flag, || unreachable!("the body must not run"));
        assert_eq!((status, flag), (VAULT_ERR_BAD_ARGUMENT, false));
        assert_eq!(last_error(), "out_number is NULL");
    }

    #[test]
    fn an_optional_output_may_be_null() {
        let mut number = 0;
        assert_eq!(export(&raw mut number, ptr::null_mut(), || Ok((5, true))), VAULT_OK);
        assert_eq!(number, 5);
    }
}
