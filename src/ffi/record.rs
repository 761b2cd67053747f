//! The record of a run, for those who have to prove later which software and weights made its labels. Options of a
//! run ask for it.

use std::ffi::{CString, c_char};
use std::ptr::null;

use super::boundary::{free, getter};

/// The record of a run: `vxs_run_options.record`.
pub struct vxs_record(pub(super) CString);

/// The record as JSON: versions of the library, its interface and ONNX Runtime, the model with hashes of its weights,
/// the image's grid, what was planned and what happened, and SHA-256 of the labels, each as two bytes, the less
/// significant first, axis 0 the fastest (docs/schemas/record.schema.json). UTF-8, lives as long as the record; NULL
/// for NULL. Any thread.
///
/// # Safety
/// `record` is NULL or a live record.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vxs_record_json(record: *const vxs_record) -> *const c_char {
    // SAFETY: NULL or live, by the caller's guarantee.
    getter(null(), || unsafe { record.as_ref() }.map_or(null(), |record| record.0.as_ptr()))
}

/// Frees a record and the string that it lent. NULL is fine. Any thread.
///
/// # Safety
/// `record` is NULL or a live record that no other call uses.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vxs_record_free(record: *mut vxs_record) {
    // SAFETY: by the caller's guarantee.
    unsafe { free(record) };
}
