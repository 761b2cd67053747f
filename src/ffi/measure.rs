//! Options that statistics and doses of label maps share, and label maps on other grids. A label map is a `vxs_volume`
//! with one channel of an integer type: labels from `vxs_segment` or from any other source. The numbers don't depend on
//! the number of threads.

use std::ffi::c_void;
use std::ptr::{null, null_mut};
use std::sync::Arc;

use super::args::{Growable, init, read, read_or_default};
use super::boundary::boundary;
use super::cancel::vxs_cancel;
use super::error::{vxs_error, vxs_status};
use super::executor::{HostExecutor, vxs_executor};
use super::labels::{Destination, vxs_labels};
use super::progress::{self, vxs_progress_callback};
use super::volume::{self, vxs_volume};
use crate::error::{Error, Result};
use crate::metrics::write_labels_on_grid;
use crate::parallel::{self, Entered, Executor};
use crate::progress::Run;
use crate::volume::Box3;

/// How to measure labels. Fill it by `vxs_measure_options_init` first.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct vxs_measure_options {
    /// Set by `vxs_measure_options_init`.
    pub struct_size: u32,
    /// Threads that work, the calling one included. 0 (default): all processors of this process.
    pub threads: u32,
    /// NULL by default. It is called on the thread that called, and returns 0 to go on.
    pub progress: vxs_progress_callback,
    /// Passed to `progress`.
    pub user_data: *mut c_void,
    /// A flag that stops the work; NULL (default) for none.
    pub cancel: *const vxs_cancel,
    /// The host's threads to work on. NULL (default): the library starts threads, which end with the call.
    pub executor: *const vxs_executor,
}

// SAFETY: repr(C), starts with struct_size; integers and raw pointers accept any bits, and an all-zero
// callback is None. A non-zero one is the caller's function by contract.
unsafe impl Growable for vxs_measure_options {
    fn defaults() -> Self {
        vxs_measure_options {
            struct_size: size_of::<Self>() as u32,
            threads: 0,
            progress: None,
            user_data: null_mut(),
            cancel: null(),
            executor: null(),
        }
    }
}

impl vxs_measure_options {
    /// # Safety
    /// As [`enter`].
    pub(super) unsafe fn enter(&self) -> Result<(Entered, usize)> {
        // SAFETY: passed on.
        unsafe { enter(self.threads, self.executor) }
    }

    /// # Safety
    /// The cancel flag is NULL or live, the callback follows its contract, both as long as the run.
    pub(super) unsafe fn run(&self) -> Run<'static> {
        // SAFETY: by the caller's guarantee.
        unsafe { progress::run(self.progress, self.user_data, self.cancel) }
    }
}

/// Begins work on the threads of `executor`, or on the library's own, and tells how many parts it is split into.
///
/// # Safety
/// `executor` is NULL or a filled structure, whose function keeps the contract of `vxs_parallel_for`.
pub(super) unsafe fn enter(threads: u32, executor: *const vxs_executor) -> Result<(Entered, usize)> {
    if threads > 1024 {
        return Err(Error::argument("options.threads", threads, "0 to 1024"));
    }
    // SAFETY: passed on.
    let executor = unsafe { HostExecutor::read(executor, "options.executor") }?;
    let parts = executor.as_ref().map_or(threads as usize, |executor| executor.parts(threads as usize));
    let parts = if parts == 0 { crate::platform::processors() } else { parts };
    let host = executor.map(|executor| -> Arc<dyn Executor> { Arc::new(executor) });
    Ok((parallel::enter(host.as_ref(), parts), parts))
}

/// Writes the defaults. `size` is `sizeof(vxs_measure_options)` as the caller's header has it.
///
/// Returns `VXS_STRUCT_SIZE` for a size that no version has. Any thread.
///
/// # Safety
/// `options` is NULL or valid for writes of `size` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vxs_measure_options_init(
    options: *mut vxs_measure_options,
    size: u64,
) -> vxs_status {
    // SAFETY: passed on.
    unsafe { boundary(null_mut(), || init(options, size, "options")) }
}

/// Brings a label map to another grid, in patient space, such as that of a dose: each voxel of `grid` gets the
/// label of the voxel that its centre lies in, 0 outside. Of `grid` only the grid is looked at, its buffers may be
/// NULL, so that the dose volume itself will do. `out` is a buffer on that grid whose type is that of `labels`; it
/// is untouched unless the call succeeds.
///
/// Returns a status from 101 to 105 for the arguments, `VXS_CANCELLED`. Any thread.
///
/// # Safety
/// `labels` and `grid` are NULL or filled structures, the buffers of `labels` valid for their stated sizes; `out` is
/// NULL or a filled structure whose buffer is valid for writes and overlaps no other; `options` is NULL (defaults) or a
/// filled structure; `error` is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vxs_labels_on_grid(
    labels: *const vxs_volume,
    grid: *const vxs_volume,
    options: *const vxs_measure_options,
    out: *const vxs_labels,
    error: *mut *mut vxs_error,
) -> vxs_status {
    // SAFETY: passed on; the readers rule NULL out.
    unsafe {
        boundary(error, || {
            let labels = volume::borrow(labels)?;
            let (grid, ..) = volume::geometry(&read(grid, "grid")?)?;
            let elsewhere = |argument| {
                let expected = "memory of the host, for this function";
                Err(Error::argument(argument, "VXS_LABELS_ON_DEVICE", expected))
            };
            let mut destination = Destination::new(out, elsewhere)?;
            let mut out = destination.borrow(&grid, Box3::whole(grid.shape))?;
            let options = read_or_default(options, "options")?;
            let (_entered, threads) = options.enter()?;
            write_labels_on_grid(&labels, &grid, &mut out, threads, &mut options.run())
        })
    }
}
