//! The host's threads for the library's work, for plans and measurements that shall start none of their own. With an
//! executor the threads of a call are those that the host lends; ONNX Runtime's stay its own.

use std::ffi::c_void;
use std::ptr::null_mut;

use super::args::{Growable, init};
use super::boundary::boundary;
use super::error::vxs_status;
use crate::error::{Error, Result};
use crate::floating_point::as_host;
use crate::parallel::Executor;

/// The library's part of a `vxs_parallel_for`: does the task of that number. It throws nothing. It computes in the
/// library's floating-point environment and leaves the thread in the host's. Any thread.
pub type vxs_task_function = Option<unsafe extern "C" fn(task_data: *mut c_void, index: u64)>;

/// Calls `task(task_data, index)` once for each index below `count`, on any threads, in any order, one after another or
/// at the same time, and returns when the last call has returned: `task_data` dies then. It must not throw, and may be
/// called from several threads at once. Whichever tasks it runs first do all the work; tasks wait for others that run,
/// and never for one that hasn't begun.
pub type vxs_parallel_for = Option<
    unsafe extern "C" fn(user_data: *mut c_void, count: u64, task: vxs_task_function, task_data: *mut c_void),
>;

/// Threads of the host, for the `executor` of a plan's options, a comparison's and a measurement's. With one the
/// library starts no thread; those of ONNX Runtime stay its own. Fill it by `vxs_executor_init` first.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct vxs_executor {
    /// Set by `vxs_executor_init`.
    pub struct_size: u32,
    /// The most tasks that `parallel_for` runs at the same time, up to 1024: as many as the work is split into, or
    /// `threads` of the options if that is less. 0 (default): as many as the process has processors.
    pub max_concurrency: u32,
    /// Passed to `parallel_for`.
    pub user_data: *mut c_void,
    /// NULL after `vxs_executor_init`, which is refused.
    pub parallel_for: vxs_parallel_for,
}

// SAFETY: repr(C), starts with struct_size; integers and raw pointers accept any bits, and an all-zero callback is
// None. A non-zero one is the caller's function by contract.
unsafe impl Growable for vxs_executor {
    fn defaults() -> Self {
        vxs_executor {
            struct_size: size_of::<Self>() as u32,
            max_concurrency: 0,
            user_data: null_mut(),
            parallel_for: None,
        }
    }
}

/// Writes the defaults. `size` is `sizeof(vxs_executor)` as the caller's header has it.
///
/// Returns `VXS_STRUCT_SIZE` for a size that no version has. Any thread.
///
/// # Safety
/// `executor` is NULL or valid for writes of `size` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vxs_executor_init(executor: *mut vxs_executor, size: u64) -> vxs_status {
    // SAFETY: passed on.
    unsafe { boundary(null_mut(), || init(executor, size, "executor")) }
}

/// The host's function.
pub(super) struct HostExecutor {
    parallel_for: unsafe extern "C" fn(*mut c_void, u64, vxs_task_function, *mut c_void),
    user_data: *mut c_void,
    most: usize,
}

// SAFETY: the function may be called from any thread with this pointer, by its contract.
unsafe impl Send for HostExecutor {}
// SAFETY: as above.
unsafe impl Sync for HostExecutor {}

impl HostExecutor {
    /// # Safety
    /// `executor` is NULL or a filled structure, whose function keeps the contract of `vxs_parallel_for`.
    pub(super) unsafe fn read(executor: *const vxs_executor, argument: &'static str) -> Result<Option<Self>> {
        if executor.is_null() {
            return Ok(None);
        }
        // SAFETY: passed on.
        let executor = unsafe { super::args::read(executor, argument) }?;
        let Some(parallel_for) = executor.parallel_for else {
            return Err(Error::NullPointer { argument: "options.executor.parallel_for" });
        };
        let most = executor.max_concurrency as usize;
        if most > 1024 {
            return Err(Error::argument("options.executor.max_concurrency", most, "0 to 1024"));
        }
        Ok(Some(HostExecutor { parallel_for, user_data: executor.user_data, most }))
    }

    /// How many parts work is split into where the options say `threads`: no more than the host runs at once; 0: as
    /// many as there are processors.
    pub(super) fn parts(&self, threads: usize) -> usize {
        match (threads, self.most) {
            (0, most) => most,
            (threads, 0) => threads,
            (threads, most) => threads.min(most),
        }
    }
}

impl Executor for HostExecutor {
    fn parallel_for(&self, tasks: usize, task: &(dyn Fn(usize) + Sync)) {
        /// # Safety
        /// `task_data` is what was passed beside this function, whose call hasn't returned.
        unsafe extern "C" fn run(task_data: *mut c_void, index: u64) {
            // SAFETY: by the contract above it is the reference of the call that is under way.
            let task = unsafe { &*task_data.cast::<&(dyn Fn(usize) + Sync)>() };
            task(index as usize);
        }
        let task_data = (&raw const task).cast_mut().cast::<c_void>();
        // SAFETY: the function is the host's, which keeps its contract: it uses `task_data` before it returns.
        as_host(|| unsafe { (self.parallel_for)(self.user_data, tasks as u64, Some(run), task_data) });
    }
}
