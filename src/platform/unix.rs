//! What all Unix systems have.

use std::ffi::{CStr, OsStr, c_void};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use super::Limit;

/// The folder of the shared library (or program) that this code was linked into.
pub(crate) fn library_folder() -> Option<PathBuf> {
    let mut info = libc::Dl_info {
        dli_fname: std::ptr::null(),
        dli_fbase: std::ptr::null_mut(),
        dli_sname: std::ptr::null(),
        dli_saddr: std::ptr::null_mut(),
    };
    // SAFETY: the address lies in this code, and `info` is writable.
    let found = unsafe { libc::dladdr(library_folder as *const c_void, &raw mut info) };
    if found == 0 || info.dli_fname.is_null() {
        return None;
    }
    // SAFETY: `dladdr` returned a NUL-terminated name that lives as long as this library.
    let file = PathBuf::from(OsStr::from_bytes(unsafe { CStr::from_ptr(info.dli_fname) }.to_bytes()));
    std::path::absolute(file).ok()?.parent().map(Into::into)
}

/// The number of a limit, as the C library has it.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
type Resource = libc::__rlimit_resource_t;
#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
type Resource = std::ffi::c_int;

/// A limit of the process's own (`RLIMIT_AS`, `RLIMIT_DATA`), of which so much is used; `None` where there is none.
#[allow(clippy::unnecessary_cast, reason = "sizes have 32 bits on some systems")]
pub(super) fn own_limit(resource: Resource, used: u64) -> Option<Limit> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: `limit` is writable.
    let failed = unsafe { libc::getrlimit(resource, &raw mut limit) };
    (failed == 0 && limit.rlim_cur != libc::RLIM_INFINITY)
        .then_some(Limit { bytes: limit.rlim_cur as u64, used })
}
