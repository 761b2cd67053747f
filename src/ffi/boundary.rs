//! The one place where results and panics become statuses, and where the host's floating-point environment waits.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Once;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::error::{vxs_error, vxs_status};
use crate::error::{Error, Result};
use crate::floating_point::Ours;
use crate::log::{self, Level};

/// Calls that are inside the boundary now.
static INSIDE: AtomicUsize = AtomicUsize::new(0);
static HOOK: Once = Once::new();

/// A panic inside the boundary comes back as an error; its text goes to the host's log and not to stderr. In a
/// shared library this hook is the library's own; a Rust host's hook still gets all other panics.
fn quiet_panics() {
    HOOK.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            if INSIDE.load(Ordering::Acquire) == 0 {
                before(panic);
            } else {
                log::write(Level::Error, || panic.to_string());
            }
        }));
    });
}

/// Catches a panic quietly.
pub(super) fn guard<T>(body: impl FnOnce() -> T) -> std::thread::Result<T> {
    quiet_panics();
    INSIDE.fetch_add(1, Ordering::AcqRel);
    let result = catch_unwind(AssertUnwindSafe(body));
    INSIDE.fetch_sub(1, Ordering::AcqRel);
    result
}

/// Runs `body`; an error or a panic becomes a status, and an error object where the caller wants one.
///
/// # Safety
/// `error` is NULL or points to a writable pointer.
pub(super) unsafe fn boundary(error: *mut *mut vxs_error, body: impl FnOnce() -> Result<()>) -> vxs_status {
    let _ours = Ours::enter();
    let failure = match guard(body) {
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
    let _ours = Ours::enter();
    guard(body).unwrap_or(fallback)
}

/// What every `vxs_<x>_free` does.
///
/// # Safety
/// `handle` is NULL or was made by `Box::into_raw`, is freed once, and nothing else uses it.
pub(super) unsafe fn free<T>(handle: *mut T) {
    if !handle.is_null() {
        // SAFETY: by the caller's guarantee.
        drop(unsafe { Box::from_raw(handle) });
    }
}

/// The text of a panic.
pub(super) fn panic_text(payload: &(dyn Any + Send)) -> String {
    payload
        .downcast_ref::<&str>()
        .map(ToString::to_string)
        .or_else(|| payload.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "panic without a text".into())
}
