//! A flag that stops a call within one tile, or one piece of a file: the call returns `VXS_CANCELLED` and has
//! written nothing. One flag may serve several calls. Options that have a field `cancel` take it.

use super::args::{output, reference};
use super::boundary::{boundary, free, getter};
use super::error::{vxs_error, vxs_status};
use super::version::vxs_bool;
use crate::progress::Cancel;

/// A flag that stops calls.
pub struct vxs_cancel(pub(super) Cancel);

/// Makes a flag that isn't set. Free it with `vxs_cancel_free`.
///
/// Returns `VXS_OK`. Any thread.
///
/// # Safety
/// `cancel` is NULL or writable; `error` is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vxs_cancel_create(
    cancel: *mut *mut vxs_cancel,
    error: *mut *mut vxs_error,
) -> vxs_status {
    // SAFETY: passed on; `output` rules NULL out.
    unsafe {
        boundary(error, || {
            let place = output(cancel, "cancel")?;
            *place = Box::into_raw(Box::new(vxs_cancel(Cancel::new())));
            Ok(())
        })
    }
}

/// Sets the flag. NULL is fine. Any thread, also a signal handler: it is one atomic store.
///
/// # Safety
/// `cancel` is NULL or a live flag.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vxs_cancel_request(cancel: *const vxs_cancel) {
    // SAFETY: NULL or live, by the caller's guarantee; the flag is atomic.
    if let Ok(cancel) = unsafe { reference(cancel, "cancel") } {
        cancel.0.request();
    }
}

/// Whether the flag is set; 0 for NULL. Any thread.
///
/// # Safety
/// `cancel` is NULL or a live flag.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vxs_cancel_requested(cancel: *const vxs_cancel) -> vxs_bool {
    // SAFETY: NULL or live, by the caller's guarantee.
    getter(0, || unsafe { reference(cancel, "cancel") }.map_or(0, |cancel| cancel.0.requested().into()))
}

/// Clears the flag, so that it can serve the next call. NULL is fine. Any thread.
///
/// # Safety
/// `cancel` is NULL or a live flag.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vxs_cancel_reset(cancel: *const vxs_cancel) {
    // SAFETY: NULL or live, by the caller's guarantee; the flag is atomic.
    if let Ok(cancel) = unsafe { reference(cancel, "cancel") } {
        cancel.0.reset();
    }
}

/// Frees a flag that no call uses any more. NULL is fine. Any thread.
///
/// # Safety
/// `cancel` is NULL or a live flag that no other call uses.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vxs_cancel_free(cancel: *mut vxs_cancel) {
    // SAFETY: by the caller's guarantee.
    unsafe { free(cancel) };
}
