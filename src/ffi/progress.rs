//! How far a call is. Calls that can take seconds tell it to a function of the caller's, on the calling thread, and
//! stop when that function or a `vxs_cancel` wants it: they return `VXS_CANCELLED` and have written nothing. Both come
//! as three fields of the call's options: `progress`, `user_data` and `cancel`.

use std::ffi::c_void;

use super::cancel::vxs_cancel;
use crate::progress::{Cancel, Progress, Run, Stage, Watch};

/// What a call is at: one of `VXS_STAGE_*`.
pub type vxs_stage = i32;

/// Reading, cropping, normalising and resampling the volume.
pub const VXS_STAGE_PREPROCESS: i32 = 1;
/// Running the network on the tiles.
pub const VXS_STAGE_NETWORK: i32 = 2;
/// Bringing the labels onto the volume's grid.
pub const VXS_STAGE_RESTORE: i32 = 3;
/// Measuring labels, comparing them, or bringing them to another grid.
pub const VXS_STAGE_MEASURE: i32 = 4;

/// Reading the files of a model.
pub const VXS_STAGE_OPEN: i32 = 5;
/// Compiling the networks of a plan.
pub const VXS_STAGE_COMPILE: i32 = 6;

/// How far a call is. The library fills it; it may grow at its end.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct vxs_progress {
    /// Size of this structure in the library.
    pub struct_size: u32,
    /// What it is at.
    pub stage: vxs_stage,
    /// Share of the whole call that is done, 0 to 1: never decreases, 1 at the end of a call that succeeds.
    pub fraction: f64,
    /// For `VXS_STAGE_NETWORK`: tiles that are done; else 0.
    pub tiles_done: u64,
    /// Tiles in all.
    pub tiles: u64,
    /// For `VXS_STAGE_OPEN`: bytes of the model's files that were read, or that aren't needed; else 0.
    pub bytes_read: u64,
    /// Bytes of these files in all, as far as they are known.
    pub bytes: u64,
}

/// Receives the progress of a call, on the thread that called, in the caller's floating-point environment. Returns 0 to
/// go on, anything else to cancel. It must not use the plan that runs, and must not throw: an exception can't pass the
/// library's frames and ends the process.
pub type vxs_progress_callback =
    Option<unsafe extern "C" fn(user_data: *mut c_void, progress: *const vxs_progress) -> i32>;

fn progress_of(progress: &Progress) -> vxs_progress {
    vxs_progress {
        struct_size: size_of::<vxs_progress>() as u32,
        stage: match progress.stage {
            Stage::Preprocess => VXS_STAGE_PREPROCESS,
            Stage::Network => VXS_STAGE_NETWORK,
            Stage::Restore => VXS_STAGE_RESTORE,
            Stage::Measure => VXS_STAGE_MEASURE,
            Stage::Open => VXS_STAGE_OPEN,
            Stage::Compile => VXS_STAGE_COMPILE,
        },
        fraction: progress.fraction,
        tiles_done: progress.tiles_done as u64,
        tiles: progress.tiles as u64,
        bytes_read: progress.bytes_read,
        bytes: progress.bytes,
    }
}

/// The flag of the caller's, or one that nobody sets.
///
/// # Safety
/// `cancel` is NULL or a live flag.
pub(super) unsafe fn flag(cancel: *const vxs_cancel) -> Cancel {
    // SAFETY: NULL or a live flag, by the caller's guarantee.
    unsafe { cancel.as_ref() }.map_or_else(Cancel::new, |cancel| cancel.0.clone())
}

/// A run whose progress goes to the caller, who may stop it.
///
/// # Safety
/// `cancel` is NULL or a live flag; the callback follows the contract of `vxs_progress_callback` as long as the run.
pub(super) unsafe fn run(
    callback: vxs_progress_callback,
    user_data: *mut c_void,
    cancel: *const vxs_cancel,
) -> Run<'static> {
    // SAFETY: by the caller's guarantee.
    let run = Run::new(unsafe { flag(cancel) });
    let Some(callback) = callback else { return run };
    let receiver = Receiver { callback, user_data };
    run.with_progress(move |progress| receiver.tell(progress))
}

/// A function of the caller's.
struct Receiver {
    callback: unsafe extern "C" fn(user_data: *mut c_void, progress: *const vxs_progress) -> i32,
    user_data: *mut c_void,
}

// SAFETY: calls tell of progress on the thread that they were called on, and have forgotten the receiver when they
// return.
unsafe impl Send for Receiver {}

impl Receiver {
    fn tell(&self, progress: &Progress) -> bool {
        let progress = progress_of(progress);
        // SAFETY: who made this guarantees the contract of `vxs_progress_callback` as long as the call.
        unsafe { (self.callback)(self.user_data, &raw const progress) == 0 }
    }
}

/// A receiver for options, which a model or plan may keep: it ends with this.
pub(super) struct Watching(pub(super) Watch);

impl Watching {
    /// # Safety
    /// The callback follows the contract of `vxs_progress_callback` as long as this lives.
    pub(super) unsafe fn new(callback: vxs_progress_callback, user_data: *mut c_void) -> Self {
        Watching(callback.map_or_else(Watch::default, |callback| {
            let receiver = Receiver { callback, user_data };
            Watch::new(move |progress| receiver.tell(progress))
        }))
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        self.0.close();
    }
}
