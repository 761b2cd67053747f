//! ONNX Runtime runs networks on GPUs, and those that the library's own CPU engine lacks operators for. It is a
//! shared library that is loaded when the first plan needs it: one for the process, opened once, kept until the
//! process ends.

use std::ffi::c_char;
use std::path::Path;
use std::ptr::null;

use super::args::text;
use super::boundary::{boundary, getter};
use super::error::{vxs_error, vxs_status};
use crate::runtime;

/// Loads ONNX Runtime now, so that a missing library shows before the first plan is made. A plan loads it by itself
/// otherwise.
///
/// `path` is the library's file or the folder that holds it (UTF-8). NULL looks at the environment variable
/// `VOXSEG_ORT_LIBRARY` (file or folder), then in the folder of this library and its `onnxruntime` subfolder, never
/// in the system's search path. The process keeps the first one that was opened.
///
/// Returns `VXS_RUNTIME_MISSING`, `VXS_RUNTIME_VERSION` for one that is too old, `VXS_INVALID_ARGUMENT` when
/// another one is open. Any thread.
///
/// # Safety
/// `path` is NULL or a NUL-terminated string; `error` is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vxs_runtime_open(path: *const c_char, error: *mut *mut vxs_error) -> vxs_status {
    // SAFETY: passed on.
    unsafe {
        boundary(error, || {
            let path = if path.is_null() { None } else { Some(Path::new(text(path, "path")?)) };
            runtime::open(path).map(|_| ())
        })
    }
}

/// Registers a library of ONNX Runtime's plug-in execution providers, so that its devices can be
/// listed and used. Opens ONNX Runtime as `vxs_runtime_open(NULL)` does, if it isn't open. `path` is the library's
/// file (UTF-8); a library that is registered already is left alone. It stays until the process ends. The
/// environment variable `VOXSEG_ORT_PLUGIN`, with files separated as in PATH, does the same whenever ONNX Runtime
/// is opened; what fails there shows in the list of devices.
///
/// Returns as `vxs_runtime_open`, and `VXS_RUNTIME_FAILED` for a library that can't be used. Any thread.
///
/// # Safety
/// `path` is NULL or a NUL-terminated string; `error` is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vxs_runtime_add_plugin(
    path: *const c_char,
    error: *mut *mut vxs_error,
) -> vxs_status {
    // SAFETY: passed on; `text` rules NULL out.
    unsafe { boundary(error, || runtime::add_plugin(Path::new(text(path, "path")?))) }
}

/// The version of the ONNX Runtime that is loaded, for example "1.28.0"; NULL when none is. Lives as long as the
/// process. Any thread.
#[unsafe(no_mangle)]
pub extern "C" fn vxs_runtime_version() -> *const c_char {
    getter(null(), || runtime::current().map_or(null(), |runtime| runtime.version_c().as_ptr()))
}

/// The file that the loaded ONNX Runtime came from; NULL when none is loaded. Lives as long as the process. Any
/// thread.
#[unsafe(no_mangle)]
pub extern "C" fn vxs_runtime_path() -> *const c_char {
    getter(null(), || runtime::current().map_or(null(), |runtime| runtime.path_c().as_ptr()))
}
