//! What the library has to say beside its errors: fallbacks, warnings about volumes and models, and ONNX Runtime's
//! messages. Without a receiver the library is silent. A process may have several receivers, each of which gets every
//! message: a program and its plug-ins that share the library don't know of each other.

use std::ffi::{c_char, c_void};

use super::args::output;
use super::boundary::{boundary, free};
use super::error::{c_string, vxs_error, vxs_status};
use crate::error::Error;
use crate::log::{self, Level, Listening};

/// How much a message matters: one of `VXS_LOG_*`.
pub type vxs_log_level = i32;

/// For the developers of this library.
pub const VXS_LOG_DEBUG: i32 = 0;
/// What happens.
pub const VXS_LOG_INFO: i32 = 1;
/// Something that the user may want to know.
pub const VXS_LOG_WARNING: i32 = 2;
/// Something failed; the call that failed returns it too.
pub const VXS_LOG_ERROR: i32 = 3;

/// A receiver of messages that listens.
pub struct vxs_log(#[expect(dead_code, reason = "dropping it ends the receiver")] Listening);

/// Receives a message: UTF-8, valid during the call. It may come from any thread and from several at once, and must not
/// call this library. It must not throw: an exception can't pass the library's frames and ends the process.
pub type vxs_log_callback =
    Option<unsafe extern "C" fn(user_data: *mut c_void, level: vxs_log_level, message: *const c_char)>;

struct Sink {
    callback: unsafe extern "C" fn(*mut c_void, vxs_log_level, *const c_char),
    user_data: *mut c_void,
}

// SAFETY: the caller of `vxs_log_add` promises that both may be used from any thread.
unsafe impl Send for Sink {}
// SAFETY: as above.
unsafe impl Sync for Sink {}

impl Sink {
    fn write(&self, level: Level, message: &str) {
        let text = c_string(message);
        // SAFETY: the callback follows the contract of `vxs_log_callback`; one that throws ends the process.
        unsafe { (self.callback)(self.user_data, level as i32, text.as_ptr()) };
    }
}

/// Adds a receiver of messages of at least `level`, beside those that are there. It listens until `vxs_log_remove`
/// ends it.
///
/// Returns `VXS_INVALID_ARGUMENT` for an unknown level, `VXS_NULL_POINTER` for no callback. Any thread, but not out
/// of a receiver.
///
/// # Safety
/// `callback` and `user_data` follow the contract of `vxs_log_callback` until the receiver is removed; `log` is NULL or
/// writable; `error` is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vxs_log_add(
    level: vxs_log_level,
    callback: vxs_log_callback,
    user_data: *mut c_void,
    log: *mut *mut vxs_log,
    error: *mut *mut vxs_error,
) -> vxs_status {
    let body = || {
        let level = match level {
            VXS_LOG_DEBUG => Level::Debug,
            VXS_LOG_INFO => Level::Info,
            VXS_LOG_WARNING => Level::Warning,
            VXS_LOG_ERROR => Level::Error,
            _ => return Err(Error::argument("level", level, "one of VXS_LOG_*")),
        };
        let callback = callback.ok_or(Error::NullPointer { argument: "callback" })?;
        // SAFETY: by the caller's guarantee; `output` rules NULL out.
        let place = unsafe { output(log, "log") }?;
        let sink = Sink { callback, user_data };
        let listening = log::add(level, Box::new(move |level, text| sink.write(level, text)));
        *place = Box::into_raw(Box::new(vxs_log(listening)));
        Ok(())
    };
    // SAFETY: passed on.
    unsafe { boundary(error, body) }
}

/// Ends a receiver and frees it. Returns when no call of it is under way, so that `user_data` may go. NULL is fine.
/// Any thread, but not out of a receiver.
///
/// # Safety
/// `log` is NULL or a live receiver that no other call uses, and this isn't called out of a receiver.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vxs_log_remove(log: *mut vxs_log) {
    // SAFETY: by the caller's guarantee.
    unsafe { free(log) };
}
