//! The one place where results and panics become statuses.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::error::{vxs_error, vxs_status};
use crate::error::{Error, Result};

/// Runs `body`; an error or a panic becomes a status, and an error object where the caller wants one.
///
/// # Safety
/// `error` is NULL or points to a writable pointer.
pub(super) unsafe fn boundary(error: *mut *mut vxs_error, body: impl FnOnce() -> Result<()>) -> vxs_status {
    let failure = match catch_unwind(AssertUnwindSafe(body)) {
        Ok(Ok(())) => return 0,
        Ok(Err(failure)) => failure,
        Err(payload) => Error::Panic { message: panic_text(payload.as_ref()) },
    };
    let status = failure.status();
    if !error.is_null() {
        // SAFETY: the caller passes NULL or a writable pointer; NULL was ruled out above.
        unsafe { *error = vxs_error::into_raw(&failure) };
    }
    status
}

/// Runs a getter that has no way to fail but a defect; then `fallback` is returned.
pub(super) fn getter<T>(fallback: T, body: impl FnOnce() -> T) -> T {
    catch_unwind(AssertUnwindSafe(body)).unwrap_or(fallback)
}

/// The text of a panic.
pub(super) fn panic_text(payload: &(dyn Any + Send)) -> String {
    payload
        .downcast_ref::<&str>()
        .map(ToString::to_string)
        .or_else(|| payload.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "panic without a text".into())
}
