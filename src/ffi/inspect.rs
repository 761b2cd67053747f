//! What a model says of itself without its weights, in milliseconds: for settings dialogs and lists of models. Opening
//! is the only way to know that the weights are whole.

use std::ffi::{CString, c_char};
use std::path::Path;
use std::ptr::null;

use super::args::{output, text};
use super::boundary::{boundary, free, getter};
use super::error::{c_string, vxs_error, vxs_status};
use crate::model::inspect;

/// What a model says of itself. Immutable: any thread may read it.
pub struct vxs_inspection(CString);

/// Looks at a model's files as `vxs_model_open` does, but for the weights, of which only the sizes are asked for.
/// `configuration` is as in `vxs_model_options`, or NULL. Free it with `vxs_inspection_free`.
///
/// Returns a status from 201 to 205 for what is wrong with the files around the weights. A model that can't be run is
/// no error: "unsupported" says why. Any thread.
///
/// # Safety
/// `path` is NULL or a NUL-terminated UTF-8 string, likewise `configuration`; `inspection` is NULL or writable; `error`
/// is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vxs_model_inspect(
    path: *const c_char,
    configuration: *const c_char,
    inspection: *mut *mut vxs_inspection,
    error: *mut *mut vxs_error,
) -> vxs_status {
    // SAFETY: passed on; the readers rule NULL out.
    unsafe {
        boundary(error, || {
            let path = Path::new(text(path, "path")?);
            let wanted = !configuration.is_null();
            let configuration = wanted.then(|| text(configuration, "configuration")).transpose()?;
            let place = output(inspection, "inspection")?;
            let found = inspect(path, configuration)?.to_json();
            *place = Box::into_raw(Box::new(vxs_inspection(c_string(&found.to_string()))));
            Ok(())
        })
    }
}

/// The inspection as JSON: "name", "format", "configuration", "channels", "labels" with their coded terms, "spacing"
/// and "patch" as `vxs_model_spacing` and `vxs_model_patch` give them, "licence", "folds", "weight_bytes" (of all files
/// of weights), and "unsupported", a list of reasons for which the model wouldn't open. null is what only the weights
/// tell. New keys may come. UTF-8, lives as long as the inspection; NULL for NULL. Any thread.
///
/// # Safety
/// `inspection` is NULL or live.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vxs_inspection_json(inspection: *const vxs_inspection) -> *const c_char {
    // SAFETY: NULL or live, by the caller's guarantee.
    getter(null(), || unsafe { inspection.as_ref() }.map_or(null(), |inspection| inspection.0.as_ptr()))
}

/// Frees an inspection and the string that it lent. NULL is fine. Any thread.
///
/// # Safety
/// `inspection` is NULL or live, and no other call uses it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vxs_inspection_free(inspection: *mut vxs_inspection) {
    // SAFETY: by the caller's guarantee.
    unsafe { free(inspection) };
}
