//! Asking a running segmentation to stop.

use super::args::{output, reference};
use super::boundary::{boundary, getter};
use super::error::{vxs_error, vxs_status};
use crate::progress::Cancel;

/// A flag that stops a segmentation within one tile. Any thread may request it at any time; one flag may
/// serve several runs.
pub struct vxs_cancel(pub(super) Cancel);

/// Makes a flag that isn't set.
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

/// Sets the flag. NULL is fine. Any thread.
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

/// 1 when the flag is set, else 0, also for NULL. Any thread.
///
/// # Safety
/// `cancel` is NULL or a live flag.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vxs_cancel_requested(cancel: *const vxs_cancel) -> i32 {
    // SAFETY: NULL or live, by the caller's guarantee.
    getter(0, || unsafe { reference(cancel, "cancel") }.map_or(0, |cancel| cancel.0.requested().into()))
}

/// Clears the flag, so that it can serve the next run. NULL is fine. Any thread.
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

/// Frees a flag that no run uses any more. NULL is fine.
///
/// # Safety
/// `cancel` is NULL or a live flag that no other call uses.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vxs_cancel_free(cancel: *mut vxs_cancel) {
    if !cancel.is_null() {
        // SAFETY: made by `Box::into_raw`, freed once by the caller's guarantee.
        drop(unsafe { Box::from_raw(cancel) });
    }
}
