//! What the library has to say beside its errors.

use std::ffi::{c_char, c_void};

use super::boundary::boundary;
use super::error::{c_string, vxs_error, vxs_status};
use crate::error::Error;
use crate::log::{self, Level};

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

/// Receives a message: UTF-8, valid during the call. It may come from any thread and from several at once, and must not
/// call this library. It must not throw: an exception can't pass the library's frames and ends the process.
pub type vxs_log_callback =
    Option<unsafe extern "C" fn(user_data: *mut c_void, level: vxs_log_level, message: *const c_char)>;

struct Sink {
    callback: unsafe extern "C" fn(*mut c_void, vxs_log_level, *const c_char),
    user_data: *mut c_void,
}

// SAFETY: the caller of `vxs_log_set_callback` promises that both may be used from any thread.
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

/// Sets the process-wide receiver of messages of at least `level`, ONNX Runtime's included; a NULL callback
/// ends it. Without one the library is silent. Returns when no call of the former receiver is under way.
///
/// # Safety
/// `callback` and `user_data` follow the contract above until another receiver is set; `error` is NULL or
/// writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vxs_log_set_callback(
    callback: vxs_log_callback,
    user_data: *mut c_void,
    level: vxs_log_level,
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
        let sink = callback.map(|callback| Sink { callback, user_data });
        log::set(
            level,
            sink.map(|sink| Box::new(move |level, text: &str| sink.write(level, text)) as log::Receiver),
        );
        Ok(())
    };
    // SAFETY: passed on.
    unsafe { boundary(error, body) }
}
