//! What comes in from C: text and bytes, bounded before they are read and checked before they are used.

use crate::error::bad_argument;
use std::ffi::c_char;
use std::mem::MaybeUninit;
use vault_core::types::limits::{JSON_BYTES_MAX, PATH_BYTES_MAX};
use vault_core::types::{Code, Error, Result};

/// No later version's structs are larger than this, so a size that was never set is refused before it is believed.
const STRUCT_BYTES_MAX: usize = 4096;

/// NUL-terminated UTF-8 text of at most `bytes_max` bytes.
///
/// # Safety
/// `pointer` is NULL, or points to text that ends in a NUL or is at least `bytes_max + 1` bytes long, unchanged while it is borrowed.
pub(crate) unsafe fn text<'a>(pointer: *const c_char, name: &str, bytes_max: usize) -> Result<&'a str> {
    if pointer.is_null() {
        return Err(bad_argument(format!("{name} is NULL")));
    }
    let mut length = 0;
    // SAFETY: no byte past the NUL or past `bytes_max` is read.
    while unsafe { *pointer.add(length) } != 0 {
        if length == bytes_max {
            return Err(bad_argument(format!("{name} is longer than {bytes_max} bytes")));
        }
        length += 1;
    }
    // SAFETY: these bytes were just read.
    utf8(unsafe { std::slice::from_raw_parts(pointer.cast(), length) }, name)
}

/// A request path, a mount or a folder: NUL-terminated UTF-8 text within the limit of a path.
///
/// # Safety
/// As for [`text`].
pub(crate) unsafe fn path<'a>(pointer: *const c_char, name: &str) -> Result<&'a str> {
    // SAFETY: as the caller promises.
    unsafe { text(pointer, name, PATH_BYTES_MAX) }
}

/// Bytes, at most `bytes_max` of them.
///
/// # Safety
/// `pointer` is NULL or valid for reads of `length` bytes, unchanged while they are borrowed.
pub(crate) unsafe fn bytes<'a>(pointer: *const u8, length: usize, name: &str, bytes_max: usize) -> Result<&'a [u8]> {
    if pointer.is_null() {
        return Err(bad_argument(format!("{name} is NULL")));
    }
    if length > bytes_max {
        return Err(bad_argument(format!("{name} is longer than {bytes_max} bytes")));
    }
    // SAFETY: not NULL, and the length is far below isize::MAX.
    Ok(unsafe { std::slice::from_raw_parts(pointer, length) })
}

/// JSON text; NULL with the length 0 is no text.
///
/// # Safety
/// As for [`bytes`].
pub(crate) unsafe fn json<'a>(pointer: *const c_char, length: usize) -> Result<&'a [u8]> {
    if pointer.is_null() && length == 0 {
        return Ok(&[]);
    }
    if length > JSON_BYTES_MAX {
        return Err(Error::new(Code::InvalidData, format!("the JSON is larger than {JSON_BYTES_MAX} bytes")));
    }
    // SAFETY: as the caller promises.
    let json = unsafe { bytes(pointer.cast(), length, "json", JSON_BYTES_MAX) }?;
    utf8(json, "json").map(str::as_bytes)
}

/// A struct that starts with its size in bytes, as its caller was compiled; none for NULL. What an earlier version of the struct does not
/// have yet is zero, and what a later one has beyond ours must be.
///
/// # Safety
/// `pointer` is NULL or points to as many bytes as its first member says, and every bit pattern is a value of `T`.
pub(crate) unsafe fn sized<T: Copy>(pointer: *const T, bytes_first: usize) -> Result<Option<T>> {
    if pointer.is_null() {
        return Ok(None);
    }
    // SAFETY: not NULL, and the size stands first in every version.
    let size = unsafe { pointer.cast::<usize>().read() };
    // A size that ends within a member is none that a compiler ever gave.
    if !(bytes_first..=STRUCT_BYTES_MAX).contains(&size) || !size.is_multiple_of(align_of::<T>()) {
        return Err(bad_argument("options.size is not that of the struct: zero it and set its size (vault_options_init does)"));
    }
    // SAFETY: the caller's size says that these bytes are there.
    let given = unsafe { std::slice::from_raw_parts(pointer.cast::<u8>(), size) };
    let (known, unknown) = given.split_at(size.min(size_of::<T>()));
    if unknown.iter().any(|byte| *byte != 0) {
        return Err(bad_argument("options sets a member that this version of libvault does not know"));
    }
    let mut ours = MaybeUninit::<T>::zeroed();
    // SAFETY: no more than `T` holds is copied, from bytes that were just looked at.
    unsafe { ours.as_mut_ptr().cast::<u8>().copy_from_nonoverlapping(known.as_ptr(), known.len()) };
    // SAFETY: as the caller promises.
    Ok(Some(unsafe { ours.assume_init() }))
}

/// Bytes that must be UTF-8 text.
pub(crate) fn utf8<'a>(bytes: &'a [u8], name: &str) -> Result<&'a str> {
    std::str::from_utf8(bytes).map_err(|_| Error::new(Code::InvalidUtf8, format!("{name} is not valid UTF-8")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code<T>(result: Result<T>) -> Option<Code> {
        result.err().map(|error| error.code())
    }

    #[test]
    fn text_is_read_up_to_its_limit_and_no_further() {
        // No NUL ends this text: a scan past the limit would leave the array (and be seen under Miri or valgrind).
        let unterminated = [b'a'; 4];
        // SAFETY: limit + 1 bytes are there.
        assert_eq!(code(unsafe { text(unterminated.as_ptr().cast(), "t", 3) }), Some(Code::BadArgument));
        // SAFETY: a literal.
        assert_eq!(unsafe { text(c"abc".as_ptr(), "t", 3) }.expect("fits"), "abc");
        // SAFETY: NULL is allowed.
        assert_eq!(code(unsafe { text(std::ptr::null(), "t", 3) }), Some(Code::BadArgument));
        // SAFETY: a literal.
        assert_eq!(code(unsafe { text(c"\xff".as_ptr(), "t", 3) }), Some(Code::InvalidUtf8));
    }

    #[test]
    fn a_struct_is_read_from_its_first_size_on_and_additions_that_are_unknown_must_be_zero() {
        #[repr(C)]
        #[derive(Clone, Copy)]
        struct Ours {
            size: usize,
            first: usize,
            added: usize,
        }
        // SAFETY: each array has as many bytes as its first word says, or a size that is refused before more is read.
        let read =
            |words: &[usize]| unsafe { sized(words.as_ptr().cast::<Ours>(), 16) }.map(|ours| ours.map(|o| (o.size, o.first, o.added)));
        assert_eq!(read(&[16, 7, 9]).expect("an earlier one"), Some((16, 7, 0)));
        assert_eq!(read(&[24, 7, 9]).expect("ours"), Some((24, 7, 9)));
        assert_eq!(read(&[32, 7, 9, 0]).expect("a later one"), Some((32, 7, 9)));
        for refused in [&[32, 7, 9, 1][..], &[0, 7, 9], &[15, 7, 9], &[23, 7, 9], &[4097, 7, 9], &[usize::MAX, 7, 9]] {
            assert_eq!(code(read(refused)), Some(Code::BadArgument), "{refused:?}");
        }
    }

    #[test]
    fn a_huge_length_is_refused_before_anything_is_read() {
        let byte = 0_u8;
        // SAFETY: the length is past the limit, so nothing is read.
        assert_eq!(code(unsafe { bytes(&raw const byte, usize::MAX, "b", 64) }), Some(Code::BadArgument));
        // SAFETY: as above.
        assert_eq!(code(unsafe { json((&raw const byte).cast(), usize::MAX) }), Some(Code::InvalidData));
        // SAFETY: NULL is allowed.
        assert_eq!(code(unsafe { json(std::ptr::null(), 1) }), Some(Code::BadArgument));
        // SAFETY: NULL is allowed.
        assert!(unsafe { json(std::ptr::null(), 0) }.expect("no text").is_empty());
    }
}
