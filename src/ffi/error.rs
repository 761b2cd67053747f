//! Every function that can fail returns a status: 0, or a number in a band: 1xx the caller's arguments, 2xx the
//! model, 3xx runtime and device, 4xx the run, 9xx a defect of this library. Where the caller passes a pointer for
//! it, a `vxs_error` says in words what is wrong, what was found and what was expected. There is no state of a
//! thread.

use std::ffi::{CString, c_char};
use std::ptr::null;

use super::args::text;
use super::boundary::{free, getter};
use crate::error::Error;

/// 0 for success, else what went wrong. Bands: 1xx the caller's arguments, 2xx the model, 3xx runtime and
/// device, 4xx the run, 9xx a defect of this library. A number never changes its meaning.
pub type vxs_status = i32;

/// Success.
pub const VXS_OK: i32 = 0;
/// An argument has a value that can't be used.
pub const VXS_INVALID_ARGUMENT: i32 = 101;
/// A pointer that must not be NULL was.
pub const VXS_NULL_POINTER: i32 = 102;
/// A structure's `struct_size` is not one that this version reads.
pub const VXS_STRUCT_SIZE: i32 = 103;
/// Spacing, origin or direction don't describe a grid that can be segmented.
pub const VXS_GEOMETRY: i32 = 104;
/// A buffer is smaller than its shape and strides need.
pub const VXS_BUFFER_TOO_SMALL: i32 = 105;
/// The volume isn't one that this model segments.
pub const VXS_VOLUME_MISMATCH: i32 = 106;
/// Voxels are NaN or infinite. Nothing was computed.
pub const VXS_VOXELS_NOT_FINITE: i32 = 107;
/// A file of the model couldn't be read.
pub const VXS_CANNOT_READ: i32 = 201;
/// The path or file set is not a model.
pub const VXS_NOT_A_MODEL: i32 = 202;
/// A file of the model is damaged, truncated or malformed.
pub const VXS_MALFORMED_MODEL: i32 = 203;
/// A file of the model exceeds a limit that protects the host.
pub const VXS_REFUSED_MODEL: i32 = 204;
/// The model needs something that this version doesn't implement.
pub const VXS_UNSUPPORTED_MODEL: i32 = 205;
/// A tensor that the network needs is not in the checkpoint.
pub const VXS_MISSING_TENSOR: i32 = 206;
/// The checkpoint holds tensors that the network doesn't use.
pub const VXS_UNUSED_TENSOR: i32 = 207;
/// A tensor has another shape or type than the network needs, or values that are NaN or infinite.
pub const VXS_TENSOR_MISMATCH: i32 = 208;
/// ONNX Runtime's shared library was not found or couldn't be loaded.
pub const VXS_RUNTIME_MISSING: i32 = 301;
/// ONNX Runtime is older than this library needs.
pub const VXS_RUNTIME_VERSION: i32 = 302;
/// ONNX Runtime answered with an error.
pub const VXS_RUNTIME_FAILED: i32 = 303;
/// The device asked for isn't there or can't be used.
pub const VXS_DEVICE_UNUSABLE: i32 = 304;
/// The caller asked to stop. Nothing was written.
pub const VXS_CANCELLED: i32 = 401;
/// The plan is running a segmentation on another thread.
pub const VXS_BUSY: i32 = 402;
/// The run would need more memory than the budget allows.
pub const VXS_MEMORY_BUDGET: i32 = 403;
/// The network's output couldn't be computed.
pub const VXS_INFERENCE_FAILED: i32 = 404;
/// The class scores are not finite in half precision.
pub const VXS_NOT_FINITE: i32 = 405;
/// Memory that was asked for isn't there.
pub const VXS_OUT_OF_MEMORY: i32 = 406;
/// The device doesn't answer any more: it was reset, taken away, or hung. Another plan may work.
pub const VXS_DEVICE_LOST: i32 = 407;
/// A defect in this library; the message says where.
pub const VXS_INTERNAL_ERROR: i32 = 901;
/// The handle met an internal error earlier and can only be freed.
pub const VXS_POISONED: i32 = 902;

/// What went wrong, in words. Owned by the caller of the function that failed; free it with
/// `vxs_error_free`. Immutable: any thread may read it.
pub struct vxs_error {
    status: i32,
    message: CString,
    details: Vec<(CString, CString)>,
}

/// Text for C: NUL bytes can't occur in it.
pub(super) fn c_string(text: &str) -> CString {
    CString::new(text.replace('\0', "\u{fffd}")).unwrap_or_default()
}

impl vxs_error {
    pub(super) fn into_raw(error: &Error) -> *mut vxs_error {
        let details = error.details().iter().map(|(key, value)| (c_string(key), c_string(value))).collect();
        let message = c_string(&error.to_string());
        Box::into_raw(Box::new(vxs_error { status: error.status(), message, details }))
    }
}

/// The status that came with this error; 0 for NULL. Any thread.
///
/// # Safety
/// `error` is NULL or was returned by this library and not freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vxs_error_status(error: *const vxs_error) -> vxs_status {
    // SAFETY: NULL or a live error, by the caller's guarantee.
    unsafe { error.as_ref() }.map_or(VXS_OK, |error| error.status)
}

/// One sentence that names what is wrong, what was found and what was expected. UTF-8, lives as long as the error;
/// an empty string for NULL. Any thread.
///
/// # Safety
/// `error` is NULL or was returned by this library and not freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vxs_error_message(error: *const vxs_error) -> *const c_char {
    // SAFETY: NULL or a live error, by the caller's guarantee.
    unsafe { error.as_ref() }.map_or(c"".as_ptr(), |error| error.message.as_ptr())
}

/// One detail of the error: keys are "argument", "found", "expected", "file", "tensor", "path", "reason", "needed",
/// "budget", "channel" and "voxel", each present where it applies. UTF-8, lives as long as the error; NULL when
/// absent. Any thread.
///
/// # Safety
/// `error` is NULL or was returned by this library and not freed; `key` is NULL or a NUL-terminated string.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vxs_error_detail(error: *const vxs_error, key: *const c_char) -> *const c_char {
    getter(null(), || {
        // SAFETY: both by the caller's guarantee; NULL is handled.
        let (error, key) = unsafe { (error.as_ref(), text(key, "key")) };
        let (Some(error), Ok(key)) = (error, key) else { return null() };
        let found = error.details.iter().find(|(name, _)| name.as_bytes() == key.as_bytes());
        found.map_or(null(), |(_, value)| value.as_ptr())
    })
}

/// Frees an error and the strings that it lent. NULL is fine. Any thread.
///
/// # Safety
/// `error` is NULL or was returned by this library and not freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vxs_error_free(error: *mut vxs_error) {
    // SAFETY: by the caller's guarantee.
    unsafe { free(error) };
}

/// The name of a status, for example "missing tensor"; "unknown" for a number that isn't in use. A static string.
/// Any thread.
#[unsafe(no_mangle)]
pub extern "C" fn vxs_status_name(status: vxs_status) -> *const c_char {
    Error::status_name(status).unwrap_or(c"unknown").as_ptr()
}
