//! Reading and writing arguments: NULL checks, strings, and structures that grow between versions.

use std::ffi::{CStr, c_char, c_void};

use super::version::vxs_bool;
use crate::error::{Error, Result};

/// A structure that starts with `struct_size` and grows only at its end.
///
/// # Safety
/// `#[repr(C)]`, the first field is `struct_size: u32`, and every bit pattern of the other fields is valid.
pub(super) unsafe trait Growable: Copy {
    /// Its size in the first released version: no caller may state less. A structure that has grown since then names
    /// its first new field here.
    const FIRST_SIZE: usize = size_of::<Self>();

    /// The values that `vxs_<x>_init` writes, `struct_size` included.
    fn defaults() -> Self;
}

/// A yes or no of the caller's.
pub(super) fn flag(value: vxs_bool, argument: &'static str) -> Result<bool> {
    match value {
        0 | 1 => Ok(value == 1),
        other => Err(Error::argument(argument, other, "0 or 1")),
    }
}

/// A required reference.
///
/// # Safety
/// `pointer` is NULL or valid for reads as a `T` for `'a`.
pub(super) unsafe fn reference<'a, T>(pointer: *const T, argument: &'static str) -> Result<&'a T> {
    // SAFETY: the caller's guarantee; NULL gives None.
    unsafe { pointer.as_ref() }.ok_or(Error::NullPointer { argument })
}

/// A required place to write to.
///
/// # Safety
/// `pointer` is NULL or valid for writes as a `T` for `'a`, with nothing else referring to it.
pub(super) unsafe fn output<'a, T>(pointer: *mut T, argument: &'static str) -> Result<&'a mut T> {
    // SAFETY: the caller's guarantee; NULL gives None.
    unsafe { pointer.as_mut() }.ok_or(Error::NullPointer { argument })
}

/// A required UTF-8 string.
///
/// # Safety
/// `pointer` is NULL or points to a NUL-terminated string that lives for `'a`.
pub(super) unsafe fn text<'a>(pointer: *const c_char, argument: &'static str) -> Result<&'a str> {
    if pointer.is_null() {
        return Err(Error::NullPointer { argument });
    }
    // SAFETY: not NULL, and NUL-terminated by the caller's guarantee.
    let bytes = unsafe { CStr::from_ptr(pointer) };
    bytes.to_str().map_err(|error| {
        Error::argument(argument, format!("invalid UTF-8 after byte {}", error.valid_up_to()), "UTF-8 text")
    })
}

/// An array that may be NULL only when it is empty.
///
/// # Safety
/// `pointer` is NULL or valid for reads of `length` elements for `'a`.
pub(super) unsafe fn array<'a, T>(pointer: *const T, length: u64, argument: &'static str) -> Result<&'a [T]> {
    if length == 0 {
        return Ok(&[]);
    }
    if pointer.is_null() {
        return Err(Error::NullPointer { argument });
    }
    let bytes = usize::try_from(length).ok().and_then(|length| length.checked_mul(size_of::<T>()));
    if bytes.is_none_or(|bytes| bytes > isize::MAX as usize) {
        return Err(Error::argument(argument, length, "a length that fits into memory"));
    }
    // SAFETY: not NULL, readable by the caller's guarantee, and no larger than an allocation can be.
    Ok(unsafe { std::slice::from_raw_parts(pointer, length as usize) })
}

/// A buffer to write into; `names` are those of its pointer and its size.
///
/// # Safety
/// `data` is NULL or valid for writes of `size` bytes for `'a`, with nothing else referring to it.
pub(super) unsafe fn buffer<'a>(
    data: *mut c_void,
    size: u64,
    names: [&'static str; 2],
) -> Result<&'a mut [u8]> {
    if data.is_null() {
        return Err(Error::NullPointer { argument: names[0] });
    }
    let length = usize::try_from(size).ok().filter(|&size| size <= isize::MAX as usize);
    let length = length.ok_or_else(|| Error::argument(names[1], size, "a size that fits into memory"))?;
    // SAFETY: not NULL; valid and unaliased for `size` bytes by the caller's guarantee.
    Ok(unsafe { std::slice::from_raw_parts_mut(data.cast::<u8>(), length) })
}

/// An entry of a list.
pub(super) fn at<T>(list: &[T], index: u64) -> Result<&T> {
    let found = usize::try_from(index).ok().and_then(|index| list.get(index));
    found.ok_or_else(|| Error::argument("index", index, format!("less than {}", list.len())))
}

/// Reads a growable structure: the caller's fields over the defaults. Fields that this version doesn't know
/// must be zero.
///
/// # Safety
/// `pointer` is NULL or valid for reads of the `struct_size` bytes that it states.
pub(super) unsafe fn read<T: Growable>(pointer: *const T, argument: &'static str) -> Result<T> {
    if pointer.is_null() {
        return Err(Error::NullPointer { argument });
    }
    // SAFETY: not NULL; the first field of a `Growable` is the u32 `struct_size`.
    let stated = unsafe { pointer.cast::<u32>().read() } as usize;
    let known = size_of::<T>();
    let wrong = |expected| Error::StructSize { argument, found: stated as u64, expected };
    if stated < T::FIRST_SIZE {
        return Err(wrong(format!("at least {} (call the init function)", T::FIRST_SIZE)));
    }
    // A structure is never this large: a wild value must not be read past the caller's memory.
    if stated > known + 4096 {
        return Err(wrong(format!("at most {known}")));
    }
    // SAFETY: readable for `stated` bytes by the caller's guarantee.
    let bytes = unsafe { std::slice::from_raw_parts(pointer.cast::<u8>(), stated) };
    if bytes.iter().skip(known).any(|&byte| byte != 0) {
        return Err(wrong(format!("{known}, or more with zeros after it")));
    }
    let mut value = T::defaults();
    // SAFETY: both sides hold at least min(stated, known) bytes, and any bit pattern is a valid `T`.
    unsafe {
        std::ptr::copy_nonoverlapping(bytes.as_ptr(), (&raw mut value).cast::<u8>(), stated.min(known));
    }
    Ok(value)
}

/// As [`read`], with the defaults for NULL.
///
/// # Safety
/// As [`read`].
pub(super) unsafe fn read_or_default<T: Growable>(pointer: *const T, argument: &'static str) -> Result<T> {
    if pointer.is_null() {
        return Ok(T::defaults());
    }
    // SAFETY: passed on.
    unsafe { read(pointer, argument) }
}

/// Writes the fields of `value` that the caller's structure has room for.
///
/// # Safety
/// `pointer` is NULL or valid for reads and writes of the `struct_size` bytes that it states.
pub(super) unsafe fn write<T: Growable>(pointer: *mut T, value: T, argument: &'static str) -> Result<()> {
    // SAFETY: passed on; this checks NULL and the stated size.
    unsafe { read(pointer.cast_const(), argument) }?;
    let head = size_of::<u32>();
    // SAFETY: checked above; the caller's `struct_size` itself stays as it is.
    unsafe {
        let stated = pointer.cast::<u32>().read() as usize;
        let source = (&raw const value).cast::<u8>();
        let length = stated.min(size_of::<T>()) - head;
        std::ptr::copy_nonoverlapping(source.add(head), pointer.cast::<u8>().add(head), length);
    }
    Ok(())
}

/// What every `vxs_<x>_init` does: defaults, cut to the size that the caller's header gave the structure.
///
/// # Safety
/// `pointer` is NULL or valid for writes of `size` bytes.
pub(super) unsafe fn init<T: Growable>(pointer: *mut T, size: u64, argument: &'static str) -> Result<()> {
    if pointer.is_null() {
        return Err(Error::NullPointer { argument });
    }
    let known = size_of::<T>();
    let stated = usize::try_from(size).unwrap_or(usize::MAX);
    if stated < T::FIRST_SIZE || stated > known + 4096 {
        let expected = format!("{} to {}", T::FIRST_SIZE, known + 4096);
        return Err(Error::StructSize { argument, found: size, expected });
    }
    let defaults = T::defaults();
    // SAFETY: writable for `stated` bytes by the caller's guarantee.
    unsafe {
        std::ptr::write_bytes(pointer.cast::<u8>(), 0, stated);
        let source = (&raw const defaults).cast::<u8>();
        std::ptr::copy_nonoverlapping(source, pointer.cast::<u8>(), stated.min(known));
        pointer.cast::<u32>().write(stated as u32);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::mem::offset_of;

    use super::*;

    /// A structure whose last field came after the first release.
    #[repr(C)]
    #[derive(Clone, Copy, Debug, PartialEq)]
    struct Grown {
        struct_size: u32,
        old: u32,
        new: u64,
    }

    // SAFETY: repr(C), starts with struct_size; integers accept any bits.
    unsafe impl Growable for Grown {
        const FIRST_SIZE: usize = offset_of!(Self, new);

        fn defaults() -> Self {
            Grown { struct_size: size_of::<Self>() as u32, old: 1, new: 2 }
        }
    }

    /// A client of the first header has 8 bytes, and behind them something else.
    #[test]
    fn a_structure_of_the_first_release_is_read_over_the_defaults() {
        let mut memory = Grown { struct_size: 0, old: 0, new: 77 };
        let place = &raw mut memory;
        // SAFETY: `place` is valid for 16 bytes, of which the calls may touch 8.
        unsafe {
            init(place, 8, "grown").unwrap();
            assert_eq!(*place, Grown { struct_size: 8, old: 1, new: 77 });
            (*place).old = 5;
            assert_eq!(read(place, "grown").unwrap(), Grown { struct_size: 8, old: 5, new: 2 });
            write(place, Grown { struct_size: 16, old: 6, new: 7 }, "grown").unwrap();
        }
        assert_eq!(memory, Grown { struct_size: 8, old: 6, new: 77 });
    }

    /// A client of a later header has more, which must be zero.
    #[test]
    fn a_structure_of_a_later_release_must_not_use_what_is_new() {
        let mut memory = [u64::MAX; 3];
        let place = (&raw mut memory).cast::<Grown>();
        let unknown = place.cast::<u64>().wrapping_add(2);
        // SAFETY: both lie within the 24 bytes of `memory`, which has the alignment of a `Grown`.
        unsafe {
            init(place, 24, "grown").unwrap();
            assert_eq!((*place, *unknown), (Grown { struct_size: 24, old: 1, new: 2 }, 0));
            assert_eq!(read(place, "grown").unwrap().new, 2);
            *unknown = 1;
            assert!(matches!(read(place, "grown"), Err(Error::StructSize { found: 24, .. })));
            for wrong in [0, 4, 7, 16 + 4097] {
                assert!(matches!(init(place, wrong, "grown"), Err(Error::StructSize { .. })), "{wrong}");
            }
        }
    }
}
