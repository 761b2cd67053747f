//! Which labels a run writes, and when: those of a region of the volume, and those that are final while it goes on.
//! Both come as fields of the run's options.

use std::ffi::c_void;

use super::args::{array, flag};
use super::segment::vxs_run_options;
use super::version::vxs_bool;
use crate::error::{Error, Result};
use crate::progress::{LabelsSoFar, Run};
use crate::volume::{Box3, Region, WhenGlobal};

/// A box of voxels of the labels' grid, which is the volume's but for tasks that keep labels on the networks' grid; in
/// the order of its axes.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct vxs_box {
    /// The first voxel inside.
    pub start: [u64; 3],
    /// One beyond the last voxel inside.
    pub end: [u64; 3],
}

/// What becomes of a region where labels depend on more than the tiles around it, as they do where the largest
/// component of a label is kept: one of `VXS_WHEN_GLOBAL_*`.
pub type vxs_when_global = i32;

/// All that the region's labels depend on is computed: they are those of the whole run in any case.
pub const VXS_WHEN_GLOBAL_COMPUTE: i32 = 0;
/// The run fails with `VXS_UNSUPPORTED_MODEL`, whose message names what depends on the whole image.
pub const VXS_WHEN_GLOBAL_REFUSE: i32 = 1;

/// Labels that are in the caller's buffer while a run goes on. The library fills it; it may grow at its end.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct vxs_labels_so_far {
    /// Size of this structure in the library.
    pub struct_size: u32,
    /// Whether they are final. Else they are those that the models of a task found so far.
    pub is_final: vxs_bool,
    /// The voxels.
    pub part: vxs_box,
    /// The values of the labels that are complete, where not all are: later models of the task may still take voxels of
    /// them, but add none. NULL where labels are final.
    pub complete: *const u16,
    /// Number of entries in `complete`.
    pub complete_count: u64,
}

/// Receives labels as they come, on the thread that called, in the caller's floating-point environment; they are in the
/// caller's buffer. Returns 0 to go on, anything else to cancel. It must not use the plan that runs, and must not
/// throw.
pub type vxs_labels_callback =
    Option<unsafe extern "C" fn(user_data: *mut c_void, labels: *const vxs_labels_so_far) -> i32>;

impl From<Box3> for vxs_box {
    fn from(part: Box3) -> Self {
        let wide = |at: [usize; 3]| at.map(|index| index as u64);
        vxs_box { start: wide(part.start), end: wide(part.end) }
    }
}

impl From<vxs_box> for Box3 {
    fn from(part: vxs_box) -> Self {
        let index = |at: [u64; 3]| at.map(|index| usize::try_from(index).unwrap_or(usize::MAX));
        Box3 { start: index(part.start), end: index(part.end) }
    }
}

/// The region that a run's options ask for.
///
/// # Safety
/// `options.regions` is NULL or has `options.region_count` entries.
pub(super) unsafe fn region(options: &vxs_run_options) -> Result<Region> {
    // SAFETY: by the caller's guarantee; NULL with a count is refused.
    let boxes = unsafe { array(options.regions, options.region_count, "options.regions") }?;
    Ok(Region {
        boxes: boxes.iter().map(|&part| part.into()).collect(),
        when_global: match options.when_global {
            VXS_WHEN_GLOBAL_COMPUTE => WhenGlobal::Compute,
            VXS_WHEN_GLOBAL_REFUSE => WhenGlobal::Refuse,
            other => return Err(Error::argument("options.when_global", other, "one of VXS_WHEN_GLOBAL_*")),
        },
    })
}

/// The voxels that the buffers of a run have, of a grid of that shape.
pub(super) fn part_of_buffers(options: &vxs_run_options, region: &Region, shape: [usize; 3]) -> Result<Box3> {
    if !flag(options.buffers_of_region, "options.buffers_of_region")? {
        return Ok(Box3::whole(shape));
    }
    match region.boxes[..] {
        [part] if part.common(&Box3::whole(shape)) == Some(part) => Ok(part),
        // The run itself says what is wrong with it.
        [_] => Ok(Box3::whole(shape)),
        _ => {
            let found = format!("1, with {} regions", region.boxes.len());
            Err(Error::argument("options.buffers_of_region", found, "one region"))
        }
    }
}

/// A function of the caller's that receives labels.
struct Receiver {
    callback: unsafe extern "C" fn(user_data: *mut c_void, labels: *const vxs_labels_so_far) -> i32,
    user_data: *mut c_void,
}

impl Receiver {
    fn tell(&self, labels: &LabelsSoFar) -> bool {
        let told = vxs_labels_so_far {
            struct_size: size_of::<vxs_labels_so_far>() as u32,
            is_final: labels.is_final.into(),
            part: labels.part.into(),
            complete: if labels.is_final { std::ptr::null() } else { labels.complete.as_ptr() },
            complete_count: labels.complete.len() as u64,
        };
        // SAFETY: who made this guarantees the contract of `vxs_labels_callback` as long as the run.
        unsafe { (self.callback)(self.user_data, &raw const told) == 0 }
    }
}

/// A run whose labels go to the caller as they come, if it wants that.
///
/// # Safety
/// The callback follows the contract of `vxs_labels_callback` as long as the run.
pub(super) unsafe fn with_labels<'a>(run: Run<'a>, options: &vxs_run_options) -> Run<'a> {
    let Some(callback) = options.on_labels else { return run };
    let receiver = Receiver { callback, user_data: options.user_data };
    run.with_labels(move |labels| receiver.tell(labels))
}
