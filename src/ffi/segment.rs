//! Running a plan on a volume. The caller has all buffers; the call blocks, tells its progress on the calling
//! thread, and can be cancelled within one tile.

use std::ffi::c_void;
use std::ptr::{null, null_mut};

use super::args::{Growable, init, read_or_default, reference, write};
use super::boundary::{boundary, guard, panic_text};
use super::cancel::vxs_cancel;
use super::error::{c_string, vxs_error, vxs_status};
use super::labels::{self, vxs_labels};
use super::map::{self, vxs_map};
use super::plan::{self, vxs_plan, vxs_plan_report};
use super::progress::{self, vxs_progress_callback};
use super::record::vxs_record;
use super::region::{self, VXS_WHEN_GLOBAL_COMPUTE, vxs_box, vxs_labels_callback, vxs_when_global};
use super::version::vxs_bool;
use super::volume::{self, vxs_volume};
use crate::error::Error;
use crate::inference::{MemoryStep, Warning};
use crate::volume::{NonFinite, NonFiniteVoxels};

/// What the memory of a device wasn't enough for: one of `VXS_MEMORY_STEP_*`.
pub type vxs_memory_step = i32;

/// The device's memory was enough for what was asked for.
pub const VXS_MEMORY_STEP_NONE: i32 = 0;
/// The device computed one tile at a time where several were asked for.
pub const VXS_MEMORY_STEP_ONE_TILE: i32 = 1;
/// The host cut and blended tiles, since the device had no room for that beside the network.
pub const VXS_MEMORY_STEP_HOST_BLENDS: i32 = 2;

/// What happens to voxels that are NaN or infinite: one of `VXS_NON_FINITE_*`.
pub type vxs_non_finite = i32;

/// Voxels that are NaN or infinite are an error, `VXS_VOXELS_NOT_FINITE`, before anything is computed.
pub const VXS_NON_FINITE_ERROR: i32 = 0;
/// They are read as 0, as ITK reads such files, and so nnU-Net's readers that use SimpleITK.
pub const VXS_NON_FINITE_ZERO: i32 = 1;
/// They are read as the lowest 32-bit integer, -2147483648, which every clipping of intensities brings to its lower
/// bound: air, for a CT model. A task that resamples the whole volume lets them take part and gives the lowest integer
/// to all that they touch, as TotalSegmentator 2.18 does with NumPy on x86-64.
pub const VXS_NON_FINITE_LOWEST: i32 = 2;

/// What may make the labels of a run wrong: `VXS_WARNING_*` together.
pub type vxs_warnings = u64;

/// Voxels that are NaN or infinite were read as the run's options want it.
pub const VXS_WARNING_NON_FINITE_REPLACED: u64 = 1;
/// A channel's intensities can't be in the units that the model was trained with: a CT scaled to 0 to 1 or to 0 to 255,
/// Hounsfield units without their intercept, a volume that is the same everywhere.
pub const VXS_WARNING_UNUSUAL_INTENSITIES: u64 = 2;

/// How to run. Fill it by `vxs_run_options_init` first.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct vxs_run_options {
    /// Set by `vxs_run_options_init`.
    pub struct_size: u32,
    /// `VXS_NON_FINITE_ERROR` by default.
    pub non_finite: vxs_non_finite,
    /// NULL by default.
    pub progress: vxs_progress_callback,
    /// Passed to `progress`.
    pub user_data: *mut c_void,
    /// A flag that stops the run; NULL (default) for none.
    pub cancel: *const vxs_cancel,
    /// What to tell of each voxel beside its label: pointers to maps; NULL (default) for none.
    pub maps: *const *const vxs_map,
    /// Number of entries in `maps`.
    pub map_count: u64,
    /// Receives the record of a run that succeeds, to be freed with `vxs_record_free`; NULL (default): none is made.
    pub record: *mut *mut vxs_record,
    /// The voxels that get labels: boxes of the labels' grid. Their labels are byte for byte those of the run over the
    /// whole volume, others and values of maps there aren't written, and only tiles that touch the boxes are computed.
    /// What looks at the whole image (the crop to nonzero voxels, statistics of intensities, places of tiles) still
    /// does. NULL (default): the whole volume.
    pub regions: *const vxs_box,
    /// Number of entries in `regions`.
    pub region_count: u64,
    /// `VXS_WHEN_GLOBAL_COMPUTE` by default.
    pub when_global: vxs_when_global,
    /// Whether labels and maps have the voxels of the region only, which is one box then: sizes, strides and offsets
    /// are those of the box. 0 by default.
    pub buffers_of_region: vxs_bool,
    /// Called when labels are final, with `user_data`; they are in the buffer by then, and stay there when the run
    /// fails. Models that look at all labels before any is final (largest components, labels that are brought back from
    /// the network's grid) give them all at the end. Not for buffers on a device. NULL (default): labels are written at
    /// the end, all or none.
    pub on_labels: vxs_labels_callback,
}

// SAFETY: repr(C), starts with struct_size; integers and raw pointers accept any bits, and an all-zero
// callback is None. A non-zero one is the caller's function by contract.
unsafe impl Growable for vxs_run_options {
    fn defaults() -> Self {
        vxs_run_options {
            struct_size: size_of::<Self>() as u32,
            non_finite: VXS_NON_FINITE_ERROR,
            progress: None,
            user_data: null_mut(),
            cancel: null(),
            maps: null(),
            map_count: 0,
            record: null_mut(),
            regions: null(),
            region_count: 0,
            when_global: VXS_WHEN_GLOBAL_COMPUTE,
            buffers_of_region: 0,
            on_labels: None,
        }
    }
}

/// What a run did. Fill it by `vxs_run_report_init` first.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct vxs_run_report {
    /// Set by `vxs_run_report_init`.
    pub struct_size: u32,
    /// What the device's memory wasn't enough for.
    pub memory_step: vxs_memory_step,
    /// Tiles that the network computed, folds included.
    pub tiles: u64,
    /// Voxels of the label map, or of the regions.
    pub voxels: u64,
    /// Voxels whose two best classes differ in probability by at most 0.01: only there may another
    /// implementation of the same model decide otherwise. With regions: among all that were computed with them.
    pub near_ties: u64,
    /// Seconds spent on reading, cropping, normalising and resampling the volume.
    pub preprocess_seconds: f64,
    /// Seconds spent in the network.
    pub network_seconds: f64,
    /// Seconds spent on cutting and blending tiles.
    pub blend_seconds: f64,
    /// Seconds spent on bringing the labels onto the volume's grid.
    pub restore_seconds: f64,
    /// Seconds from the call to its return.
    pub total_seconds: f64,
    /// Most memory that the whole process ever had resident, in bytes; 0 where the system doesn't tell.
    pub process_peak_bytes: u64,
    /// Runs of the network that overflowed half precision and were repeated in single.
    pub tiles_in_single: u64,
    /// Tiles that were cut and blended in the device's memory; with others the host did it while the device computed.
    pub tiles_on_device: u64,
    /// Tiles that the network computed at once.
    pub tile_batch: u64,
    /// Voxels of all channels that are NaN or infinite and were read as `vxs_run_options.non_finite` says.
    pub non_finite_voxels: u64,
    /// The first of them: channel, and index along each axis of the volume. Zeros where there are none.
    pub first_non_finite: [u64; 4],
    /// What may make the labels wrong: `VXS_WARNING_*` together, or 0. The log has a sentence for each, and so has the
    /// record.
    pub warnings: vxs_warnings,
    /// Tiles that a run over the whole volume computes; more than `tiles` where regions were asked for.
    pub tiles_in_all: u64,
    /// Voxels whose labels are final and in the buffer: `voxels` after a run that succeeded. With `on_labels` a run
    /// that fails or is cancelled writes its report, too: then this and `final_part` tell what was written.
    pub final_voxels: u64,
    /// The voxels whose labels are final: the box that was completed last.
    pub final_part: vxs_box,
}

// SAFETY: repr(C), starts with struct_size; integers and floats accept any bits.
unsafe impl Growable for vxs_run_report {
    fn defaults() -> Self {
        vxs_run_report {
            struct_size: size_of::<Self>() as u32,
            memory_step: VXS_MEMORY_STEP_NONE,
            tiles: 0,
            voxels: 0,
            near_ties: 0,
            preprocess_seconds: 0.0,
            network_seconds: 0.0,
            blend_seconds: 0.0,
            restore_seconds: 0.0,
            total_seconds: 0.0,
            process_peak_bytes: 0,
            tiles_in_single: 0,
            tiles_on_device: 0,
            tile_batch: 0,
            non_finite_voxels: 0,
            first_non_finite: [0; 4],
            warnings: 0,
            tiles_in_all: 0,
            final_voxels: 0,
            final_part: vxs_box::default(),
        }
    }
}

/// Writes the defaults. `size` is `sizeof(vxs_run_options)` as the caller's header has it.
///
/// Returns `VXS_STRUCT_SIZE` for a size that no version has. Any thread.
///
/// # Safety
/// `options` is NULL or valid for writes of `size` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vxs_run_options_init(options: *mut vxs_run_options, size: u64) -> vxs_status {
    // SAFETY: passed on.
    unsafe { boundary(null_mut(), || init(options, size, "options")) }
}

/// Writes the defaults. `size` is `sizeof(vxs_run_report)` as the caller's header has it.
///
/// Returns `VXS_STRUCT_SIZE` for a size that no version has. Any thread.
///
/// # Safety
/// `report` is NULL or valid for writes of `size` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vxs_run_report_init(report: *mut vxs_run_report, size: u64) -> vxs_status {
    // SAFETY: passed on.
    unsafe { boundary(null_mut(), || init(report, size, "report")) }
}

pub(super) fn non_finite(value: vxs_non_finite) -> crate::Result<NonFinite> {
    match value {
        VXS_NON_FINITE_ERROR => Ok(NonFinite::Refuse),
        VXS_NON_FINITE_ZERO => Ok(NonFinite::Zero),
        VXS_NON_FINITE_LOWEST => Ok(NonFinite::Lowest),
        other => Err(Error::argument("options.non_finite", other, "one of VXS_NON_FINITE_*")),
    }
}

/// The bit of a warning.
fn bit(warning: &Warning) -> u64 {
    match warning {
        Warning::NonFiniteReplaced { .. } => VXS_WARNING_NON_FINITE_REPLACED,
        Warning::UnusualIntensities { .. } => VXS_WARNING_UNUSUAL_INTENSITIES,
    }
}

/// Tells what a run with these options will need: with regions fewer tiles and less memory than `vxs_plan_estimate`
/// tells. Of the options only `regions`, `region_count` and `when_global` are looked at.
///
/// Returns as `vxs_plan_estimate`; `VXS_INVALID_ARGUMENT` for regions that aren't on the labels' grid,
/// `VXS_UNSUPPORTED_MODEL` where `when_global` refuses them. Any thread.
///
/// # Safety
/// As `vxs_plan_estimate`; `options` is NULL (defaults) or a filled structure whose regions are readable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vxs_plan_estimate_run(
    plan: *const vxs_plan,
    volume: *const vxs_volume,
    options: *const vxs_run_options,
    report: *mut vxs_plan_report,
    error: *mut *mut vxs_error,
) -> vxs_status {
    // SAFETY: passed on.
    unsafe {
        boundary(error, || {
            let options = read_or_default(options, "options")?;
            plan::estimate(plan, volume, &region::region(&options)?, report)
        })
    }
}

/// Segments a volume: writes one label a voxel into `labels`, on the volume's own grid (or, for a task that keeps
/// labels on the networks' grid, that of `vxs_plan_label_grid`). Blocks until it is done, cancelled or failed; on
/// anything but `VXS_OK` the label buffer is untouched (with `on_labels`: final labels stay) and the plan can be used
/// again, except after `VXS_INTERNAL_ERROR`. `report` may be NULL.
///
/// Returns a status from 101 to 107 for the arguments, `VXS_CANCELLED`, `VXS_BUSY` where the plan has no place for it
/// and its options don't let it wait, `VXS_MEMORY_BUDGET`, `VXS_INFERENCE_FAILED`, `VXS_NOT_FINITE`,
/// `VXS_RUNTIME_FAILED`, `VXS_POISONED`. Any thread, as many calls at once on one plan as its `concurrent_runs` says.
///
/// # Safety
/// `plan` is NULL or a live plan; `volume` and `labels` are NULL or filled structures whose buffers are valid for their
/// stated sizes and don't overlap, those of `labels` not with another call's either; `options` is NULL (defaults) or a
/// filled structure, likewise its maps, and the place for its record is writable; `report` is NULL (not wanted) or was
/// filled by `vxs_run_report_init`; `error` is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vxs_segment(
    plan: *mut vxs_plan,
    volume: *const vxs_volume,
    options: *const vxs_run_options,
    labels: *const vxs_labels,
    report: *mut vxs_run_report,
    error: *mut *mut vxs_error,
) -> vxs_status {
    let body = || {
        // SAFETY: by the caller's guarantee; NULL is refused.
        let handle = unsafe { reference(plan.cast_const(), "plan") }?;
        let plan = handle.plan()?;
        let mut copies = Vec::new();
        // SAFETY: by the caller's guarantee.
        let volume = unsafe { volume::borrow_or_fetch(volume, |name| plan.backend(name), &mut copies) }?;
        // SAFETY: by the caller's guarantee.
        let options = unsafe { read_or_default(options, "options") }?;
        // SAFETY: by the caller's guarantee.
        let run = unsafe { progress::run(options.progress, options.user_data, options.cancel) };
        // SAFETY: by the caller's guarantee.
        let (region, run) = unsafe { (region::region(&options)?, region::with_labels(run, &options)) };
        let turn = plan.begin(&run)?;
        // A run that waited may have met a panic of another.
        handle.plan()?;
        // SAFETY: by the caller's guarantee.
        let mut destination = unsafe { labels::Destination::new(labels, |name| plan.backend(name)) }?;
        let grid = plan.label_grid(volume.geometry())?;
        let part = region::part_of_buffers(&options, &region, grid.shape)?;
        if options.on_labels.is_some() && destination.is_on_device() {
            return Err(Error::argument("options.on_labels", "a function", "none, for labels on a device"));
        }
        // SAFETY: by the caller's guarantee; the buffer overlaps neither the volume's nor that of a run under way.
        let mut labels = unsafe { destination.borrow(&grid, part) }?;
        let non_finite = non_finite(options.non_finite)?;
        // SAFETY: by the caller's guarantee.
        let mut maps = unsafe { map::borrow(options.maps, options.map_count, volume.geometry(), part) }?;
        if !report.is_null() {
            // SAFETY: by the caller's guarantee. A wrong structure is refused before the work and not after.
            unsafe { super::args::read(report.cast_const(), "report") }?;
        }
        let mut run = run.with_non_finite(non_finite).with_region(region);
        let outcome = guard(|| plan.segment_in(turn, &volume, &mut labels, &mut maps, &mut run));
        let outcome = outcome.unwrap_or_else(|payload| {
            let _ = handle.poisoned.set(());
            Err(Error::Panic { message: panic_text(payload.as_ref()) })
        });
        let finals = run.finals();
        let (final_voxels, final_part) =
            (finals.iter().map(|part| part.voxels() as u64).sum(), finals.last().copied());
        let found = match outcome {
            Ok(found) => found,
            Err(error) if !report.is_null() && options.on_labels.is_some() => {
                let final_part = final_part.map_or_else(vxs_box::default, vxs_box::from);
                let written = vxs_run_report { final_voxels, final_part, ..vxs_run_report::defaults() };
                // SAFETY: by the caller's guarantee; checked above.
                unsafe { write(report, written, "report") }?;
                return Err(error);
            }
            Err(error) => return Err(error),
        };
        // SAFETY: NULL or writable, by the caller's guarantee.
        let made = unsafe { options.record.as_mut() };
        let about = |_: &_| crate::record::record(&handle.about, plan, &volume, &labels, &found);
        let record = made.as_ref().map(about).transpose()?;
        destination.finish()?;
        if let (Some(made), Some(record)) = (made, record) {
            *made = Box::into_raw(Box::new(vxs_record(c_string(&record.to_string()))));
        }
        if report.is_null() {
            return Ok(());
        }
        let filled = vxs_run_report {
            tiles: found.tiles as u64,
            voxels: found.voxels as u64,
            near_ties: found.near_ties as u64,
            preprocess_seconds: found.preprocess_seconds,
            network_seconds: found.network_seconds,
            blend_seconds: found.blend_seconds,
            restore_seconds: found.restore_seconds,
            total_seconds: found.total_seconds,
            process_peak_bytes: found.process_peak_bytes,
            tiles_in_single: found.tiles_in_single as u64,
            tiles_on_device: found.tiles_on_device as u64,
            tile_batch: found.tile_batch as u64,
            memory_step: match found.memory_step {
                MemoryStep::None => VXS_MEMORY_STEP_NONE,
                MemoryStep::OneTile => VXS_MEMORY_STEP_ONE_TILE,
                MemoryStep::HostBlends => VXS_MEMORY_STEP_HOST_BLENDS,
            },
            non_finite_voxels: found.non_finite.map_or(0, |voxels| voxels.count),
            first_non_finite: found.non_finite.map_or(
                [0; 4],
                |NonFiniteVoxels { channel, voxel, .. }| {
                    [channel, voxel[0], voxel[1], voxel[2]].map(|index| index as u64)
                },
            ),
            tiles_in_all: found.tiles_in_all as u64,
            final_voxels: found.voxels as u64,
            final_part: final_part.or_else(|| run.region().boxes.last().copied()).unwrap_or(part).into(),
            warnings: found.warnings.iter().map(bit).fold(0, |bits, bit| bits | bit),
            ..vxs_run_report::defaults()
        };
        // SAFETY: by the caller's guarantee; checked above.
        unsafe { write(report, filled, "report") }
    };
    // SAFETY: passed on.
    unsafe { boundary(error, body) }
}
