//! A model made ready for a device: compiled, and its memory measured. A plan runs one segmentation at a time; a
//! second call gets `VXS_BUSY`, unless options say otherwise. Many plans run at once.

use std::ffi::{CString, c_char, c_void};
use std::path::PathBuf;
use std::ptr::{null, null_mut};
use std::sync::{Arc, OnceLock};

use super::args::{Growable, init, output, read_or_default, reference, text, write};
use super::boundary::{boundary, free, getter};
use super::cancel::vxs_cancel;
use super::device::{VXS_DEVICE_CPU, device, device_code, vxs_device};
use super::error::{c_string, vxs_error, vxs_status};
use super::executor::{HostExecutor, vxs_executor};
use super::model::vxs_model;
use super::progress::{self, Watching, vxs_progress_callback};
use super::volume::{self, vxs_volume};
use crate::engine::cpu::{CpuOptions, Isa, Mode};
use crate::engine::{DeviceOptions, Precision};
use crate::error::{Error, Result};
use crate::inference::{Blending, PlanOptions, PlanReport, WhenBusy};
use crate::parallel::Executor;
use crate::task::AnyPlan;
use crate::volume::Region;

/// The type that the network computes in: one of `VXS_PRECISION_*`.
pub type vxs_precision = i32;

/// What suits the device: single precision on a CPU and for ONNX files, else half.
pub const VXS_PRECISION_AUTO: i32 = 0;
/// IEEE single precision, as the reference implementations compute on a CPU.
pub const VXS_PRECISION_F32: i32 = 1;
/// IEEE half precision.
pub const VXS_PRECISION_F16: i32 = 2;

/// Whether tiles are computed mirrored, too: one of `VXS_MIRRORING_*`.
pub type vxs_mirroring = i32;

/// Mirror tiles along the axes that the model was trained with, and average: the reference's default.
pub const VXS_MIRRORING_MODEL: i32 = 0;
/// Don't mirror: faster by 2 to the number of axes.
pub const VXS_MIRRORING_OFF: i32 = 1;

/// What becomes of a segmentation that a plan has no place for: one of `VXS_WHEN_BUSY_*`.
pub type vxs_when_busy = i32;

/// A segmentation that a plan has no place for fails with `VXS_BUSY`.
pub const VXS_WHEN_BUSY_FAIL: i32 = 0;
/// It waits until another one ends, or until its own flag cancels it.
pub const VXS_WHEN_BUSY_WAIT: i32 = 1;

/// How overlapping tiles weigh: one of `VXS_BLENDING_*`.
pub type vxs_blending = i32;

/// Overlapping tiles weigh as the model has it.
pub const VXS_BLENDING_MODEL: i32 = 0;
/// Overlapping tiles weigh most at their centre: nnU-Net's default.
pub const VXS_BLENDING_GAUSSIAN: i32 = 1;
/// Overlapping tiles weigh the same everywhere: MONAI's default.
pub const VXS_BLENDING_CONSTANT: i32 = 2;

/// What is done to the labels that the network gives: one of `VXS_POSTPROCESS_*`.
pub type vxs_postprocess = i32;

/// Labels as the network gives them: the reference's default.
pub const VXS_POSTPROCESS_OFF: i32 = 0;
/// Apply the postprocessing that comes with the model; where none does, nothing happens.
pub const VXS_POSTPROCESS_MODEL: i32 = 1;

/// What happens where the device can't compute something: one of `VXS_FALLBACK_*`.
pub type vxs_fallback = i32;

/// The device computes everything, or there is an error.
pub const VXS_FALLBACK_OFF: i32 = 0;
/// The CPU may compute operators that the device lacks, or everything when the device can't be used;
/// `vxs_plan_describe` tells.
pub const VXS_FALLBACK_CPU: i32 = 1;

/// What happens to scores that overflow half precision: one of `VXS_OVERFLOW_*`.
pub type vxs_overflow = i32;

/// A tile whose scores overflow half precision runs again in single; the run's report counts them.
pub const VXS_OVERFLOW_SINGLE: i32 = 0;
/// Scores that overflow half precision are an error.
pub const VXS_OVERFLOW_ERROR: i32 = 1;

/// How our own CPU engine computes convolutions: one of `VXS_ACCURACY_*`.
pub type vxs_accuracy = i32;

/// Our own CPU engine computes convolutions by Winograd's algorithm where that is faster.
pub const VXS_ACCURACY_FAST: i32 = 0;
/// Our own CPU engine computes convolutions as plain sums: rounding errors are a few times smaller, runs several times
/// as long.
pub const VXS_ACCURACY_EXACT: i32 = 1;

/// Which instructions our own CPU engine uses: one of `VXS_INSTRUCTIONS_*`.
pub type vxs_instructions = i32;

/// The widest instructions that the machine has.
pub const VXS_INSTRUCTIONS_AUTO: i32 = 0;
/// AVX-512 Foundation (x86-64).
pub const VXS_INSTRUCTIONS_AVX512: i32 = 1;
/// AVX2 and FMA (x86-64).
pub const VXS_INSTRUCTIONS_AVX2: i32 = 2;
/// Advanced SIMD (AArch64).
pub const VXS_INSTRUCTIONS_NEON: i32 = 3;
/// Plain code for any processor.
pub const VXS_INSTRUCTIONS_PORTABLE: i32 = 4;

/// A model on a device, which never changes. Any number of threads may use one; as many segmentations run at once as
/// `vxs_plan_options.concurrent_runs` says.
pub struct vxs_plan {
    plan: AnyPlan,
    description: CString,
    /// What the model says of itself.
    pub(super) about: serde_json::Value,
    pub(super) poisoned: OnceLock<()>,
}

impl vxs_plan {
    /// Refuses a plan that met a panic: whatever is asked of it, it is lost.
    pub(super) fn plan(&self) -> Result<&AnyPlan> {
        if self.poisoned.get().is_some() { Err(Error::Poisoned) } else { Ok(&self.plan) }
    }
}

/// How to run a model. Fill it by `vxs_plan_options_init` first.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct vxs_plan_options {
    /// Set by `vxs_plan_options_init`.
    pub struct_size: u32,
    /// What runs the network. `VXS_DEVICE_CPU` by default.
    pub device: vxs_device,
    /// `VXS_PRECISION_AUTO` by default.
    pub precision: vxs_precision,
    /// Threads that a run may use, the calling one included. 0 (default): all processors of this process.
    pub threads: u32,
    /// Distance between tiles as a share of the tile's size, over 0 and up to 1. 0 (default): the model's own
    /// (0.5 for nnU-Net; 1 less the overlap for MONAI).
    pub step: f64,
    /// `VXS_MIRRORING_MODEL` by default.
    pub mirroring: vxs_mirroring,
    /// `VXS_BLENDING_MODEL` by default.
    pub blending: vxs_blending,
    /// Bytes of memory that a run may need, beside the caller's buffers. A larger need is refused before
    /// anything is computed. 0 (default): what the process may still take
    /// (docs/memory.md), which counts in any case.
    pub memory_budget: u64,
    /// `VXS_POSTPROCESS_OFF` by default.
    pub postprocess: vxs_postprocess,
    /// Which of the provider's devices, from 0 (default).
    pub device_index: u32,
    /// `VXS_FALLBACK_OFF` by default.
    pub fallback: vxs_fallback,
    /// `VXS_OVERFLOW_SINGLE` by default.
    pub overflow: vxs_overflow,
    /// Bytes of the device's own memory that the plan may need. 0 (default): what is free.
    pub device_memory_budget: u64,
    /// An existing folder (UTF-8) for what our own engine for GPUs, TensorRT, OpenVINO and Core ML compile; read
    /// during the call. NULL (default): nothing is kept.
    pub device_cache: *const c_char,
    /// A `cudaStream_t` of the device's primary context that CUDA and TensorRT shall compute on, alive as long as the
    /// plan. NULL (default): one of their own.
    pub device_stream: *mut c_void,
    /// `VXS_ACCURACY_FAST` by default. For `VXS_DEVICE_CPU`.
    pub accuracy: vxs_accuracy,
    /// `VXS_INSTRUCTIONS_AUTO` by default. For `VXS_DEVICE_CPU`; what the machine lacks is an error.
    pub instructions: vxs_instructions,
    /// Tiles that a GPU computes at once, up to 64, as far as its memory is enough; `vxs_plan_report` tells. 0
    /// (default): one. `VXS_DEVICE_CPU`, ONNX files and networks with attention compute one whatever is asked for.
    pub tile_batch: u32,
    /// Segmentations that may run at once on the plan, up to 1024, each with up to `threads` threads and memory of its
    /// own beside the weights, which exist once (`vxs_plan_report`). 0 (default): one.
    pub concurrent_runs: u32,
    /// What becomes of a further one. `VXS_WHEN_BUSY_FAIL` by default.
    pub when_busy: vxs_when_busy,
    /// Must be 0.
    pub reserved: u32,
    /// The host's threads, for all that would run on the library's; copied, so that only its `user_data` must live as
    /// long as the plan. NULL (default): each segmentation starts threads of its own, which end with it.
    pub executor: *const vxs_executor,
    /// Told of each network that was compiled. NULL by default. A task compiles its models when it runs.
    pub progress: vxs_progress_callback,
    /// Passed to `progress`.
    pub user_data: *mut c_void,
    /// A flag that stops `vxs_plan_create` between the networks of a model, and within one where ONNX Runtime lets it.
    /// NULL (default): none. The plan of a task looks at it when it runs, too.
    pub cancel: *const vxs_cancel,
}

// SAFETY: repr(C), starts with struct_size; integers, floats and raw pointers accept any bits, and an all-zero callback
// is None. A non-zero one is the caller's function by contract.
unsafe impl Growable for vxs_plan_options {
    fn defaults() -> Self {
        vxs_plan_options {
            struct_size: size_of::<Self>() as u32,
            device: VXS_DEVICE_CPU,
            precision: VXS_PRECISION_AUTO,
            threads: 0,
            step: 0.0,
            mirroring: VXS_MIRRORING_MODEL,
            blending: VXS_BLENDING_MODEL,
            memory_budget: 0,
            postprocess: VXS_POSTPROCESS_OFF,
            device_index: 0,
            fallback: VXS_FALLBACK_OFF,
            overflow: VXS_OVERFLOW_SINGLE,
            device_memory_budget: 0,
            device_cache: null(),
            device_stream: null_mut(),
            accuracy: VXS_ACCURACY_FAST,
            instructions: VXS_INSTRUCTIONS_AUTO,
            tile_batch: 0,
            concurrent_runs: 0,
            when_busy: VXS_WHEN_BUSY_FAIL,
            reserved: 0,
            executor: null(),
            progress: None,
            user_data: null_mut(),
            cancel: null(),
        }
    }
}

/// What a plan will do to a volume, known before it does it. Fill it by `vxs_plan_report_init` first.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct vxs_plan_report {
    /// Set by `vxs_plan_report_init`.
    pub struct_size: u32,
    /// The device that runs the network.
    pub device: vxs_device,
    /// The precision, never `VXS_PRECISION_AUTO`.
    pub precision: vxs_precision,
    /// Threads.
    pub threads: u32,
    /// Size of the image that the network sees, in the order of the volume's axes. Less where the volume has
    /// a margin of zeros, which is only cut off when the voxels are there.
    pub network_shape: [u64; 3],
    /// Tiles that networks compute, those of all folds, stages and members included.
    pub tiles: u64,
    /// Times that the network runs: tiles times mirrorings.
    pub network_runs: u64,
    /// Bytes that one run needs at its peak, weights included, the caller's buffers not: `shared_bytes` and
    /// `run_bytes`.
    pub host_peak_bytes: u64,
    /// As above in the device's own memory; 0 for a CPU.
    pub device_peak_bytes: u64,
    /// Bytes of weights, all networks together; part of `host_peak_bytes`.
    pub weight_bytes: u64,
    /// Which of the provider's devices.
    pub device_index: u32,
    /// Tiles that the network computes at once.
    pub tile_batch: u32,
    /// The part of `host_peak_bytes` that all runs of the plan share: weights, and the forms that the engine has them
    /// in.
    pub shared_bytes: u64,
    /// The part that each run under way needs for itself.
    pub run_bytes: u64,
    /// Tiles of a run over the whole volume; more than `tiles` where regions are asked for.
    pub tiles_in_all: u64,
}

// SAFETY: repr(C), starts with struct_size; integers accept any bits.
unsafe impl Growable for vxs_plan_report {
    fn defaults() -> Self {
        vxs_plan_report {
            struct_size: size_of::<Self>() as u32,
            device: 0,
            precision: 0,
            threads: 0,
            network_shape: [0; 3],
            tiles: 0,
            network_runs: 0,
            host_peak_bytes: 0,
            device_peak_bytes: 0,
            weight_bytes: 0,
            device_index: 0,
            tile_batch: 0,
            shared_bytes: 0,
            run_bytes: 0,
            tiles_in_all: 0,
        }
    }
}

/// # Safety
/// `options.device_cache` is NULL or a NUL-terminated string.
unsafe fn device_options(options: &vxs_plan_options) -> Result<DeviceOptions> {
    let cache = if options.device_cache.is_null() {
        None
    } else {
        // SAFETY: not NULL, so a string by the caller's guarantee.
        let folder = unsafe { text(options.device_cache, "options.device_cache") }?;
        Some(PathBuf::from(folder))
    };
    if options.reserved != 0 {
        return Err(Error::argument("options.reserved", options.reserved, "0"));
    }
    Ok(DeviceOptions {
        fallback: match options.fallback {
            VXS_FALLBACK_OFF => false,
            VXS_FALLBACK_CPU => true,
            other => return Err(Error::argument("options.fallback", other, "one of VXS_FALLBACK_*")),
        },
        strict_half: match options.overflow {
            VXS_OVERFLOW_SINGLE => false,
            VXS_OVERFLOW_ERROR => true,
            other => return Err(Error::argument("options.overflow", other, "one of VXS_OVERFLOW_*")),
        },
        memory_budget: if options.device_memory_budget == 0 {
            None
        } else {
            Some(options.device_memory_budget)
        },
        cache,
        tile_batch: match options.tile_batch {
            0..=64 => options.tile_batch as usize,
            other => return Err(Error::argument("options.tile_batch", other, "0 to 64")),
        },
        stream: options.device_stream as usize,
        cpu: CpuOptions {
            mode: match options.accuracy {
                VXS_ACCURACY_FAST => Mode::Fast,
                VXS_ACCURACY_EXACT => Mode::Exact,
                other => return Err(Error::argument("options.accuracy", other, "one of VXS_ACCURACY_*")),
            },
            isa: match options.instructions {
                VXS_INSTRUCTIONS_AUTO => Isa::Auto,
                VXS_INSTRUCTIONS_AVX512 => Isa::Avx512,
                VXS_INSTRUCTIONS_AVX2 => Isa::Avx2,
                VXS_INSTRUCTIONS_NEON => Isa::Neon,
                VXS_INSTRUCTIONS_PORTABLE => Isa::Portable,
                other => {
                    return Err(Error::argument("options.instructions", other, "one of VXS_INSTRUCTIONS_*"));
                }
            },
        },
    })
}

/// # Safety
/// As [`device_options`]; `cancel` is NULL or a live flag, `executor` NULL or a filled structure.
unsafe fn plan_options(options: vxs_plan_options, watching: &Watching) -> Result<PlanOptions> {
    // SAFETY: passed on.
    let executor = unsafe { HostExecutor::read(options.executor, "options.executor") }?;
    // A run is split into no more parts than the host runs at once.
    let most = executor.as_ref().map_or(0, HostExecutor::most);
    let threads = match (options.threads as usize, most) {
        (0, most) => most,
        (threads, 0) => threads,
        (threads, most) => threads.min(most),
    };
    Ok(PlanOptions {
        device: device(options.device, options.device_index)?,
        // SAFETY: passed on.
        device_options: unsafe { device_options(&options) }?,
        precision: match options.precision {
            VXS_PRECISION_AUTO => Precision::Auto,
            VXS_PRECISION_F32 => Precision::F32,
            VXS_PRECISION_F16 => Precision::F16,
            other => return Err(Error::argument("options.precision", other, "one of VXS_PRECISION_*")),
        },
        threads,
        step: if options.step == 0.0 { None } else { Some(options.step) },
        mirroring: match options.mirroring {
            VXS_MIRRORING_MODEL => true,
            VXS_MIRRORING_OFF => false,
            other => return Err(Error::argument("options.mirroring", other, "one of VXS_MIRRORING_*")),
        },
        blending: match options.blending {
            VXS_BLENDING_MODEL => Blending::Model,
            VXS_BLENDING_GAUSSIAN => Blending::Gaussian,
            VXS_BLENDING_CONSTANT => Blending::Constant,
            other => return Err(Error::argument("options.blending", other, "one of VXS_BLENDING_*")),
        },
        memory_budget: if options.memory_budget == 0 { None } else { Some(options.memory_budget) },
        postprocess: match options.postprocess {
            VXS_POSTPROCESS_OFF => false,
            VXS_POSTPROCESS_MODEL => true,
            other => return Err(Error::argument("options.postprocess", other, "one of VXS_POSTPROCESS_*")),
        },
        // SAFETY: NULL or a live flag, by the caller's guarantee.
        cancel: unsafe { progress::flag(options.cancel) },
        watch: watching.0.clone(),
        concurrent_runs: options.concurrent_runs as usize,
        when_busy: match options.when_busy {
            VXS_WHEN_BUSY_FAIL => WhenBusy::Fail,
            VXS_WHEN_BUSY_WAIT => WhenBusy::Wait,
            other => return Err(Error::argument("options.when_busy", other, "one of VXS_WHEN_BUSY_*")),
        },
        executor: executor.map(|executor| -> Arc<dyn Executor> { Arc::new(executor) }),
    })
}

/// Writes the defaults. `size` is `sizeof(vxs_plan_options)` as the caller's header has it.
///
/// Returns `VXS_STRUCT_SIZE` for a size that no version has. Any thread.
///
/// # Safety
/// `options` is NULL or valid for writes of `size` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vxs_plan_options_init(options: *mut vxs_plan_options, size: u64) -> vxs_status {
    // SAFETY: passed on.
    unsafe { boundary(null_mut(), || init(options, size, "options")) }
}

/// Writes the defaults. `size` is `sizeof(vxs_plan_report)` as the caller's header has it.
///
/// Returns `VXS_STRUCT_SIZE` for a size that no version has. Any thread.
///
/// # Safety
/// `report` is NULL or valid for writes of `size` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vxs_plan_report_init(report: *mut vxs_plan_report, size: u64) -> vxs_status {
    // SAFETY: passed on.
    unsafe { boundary(null_mut(), || init(report, size, "report")) }
}

/// Makes a model ready to run: compiles its network for the device, for which TensorRT takes minutes. Free it with
/// `vxs_plan_free`. The plan keeps what it needs of the model.
///
/// Returns a status from 301 to 304 where the device can't be used, `VXS_UNSUPPORTED_MODEL`, `VXS_MEMORY_BUDGET`,
/// `VXS_CANCELLED`, `VXS_INVALID_ARGUMENT` for the options. Any thread.
///
/// # Safety
/// `model` is NULL or a live model; `options` is NULL (defaults) or a filled structure; `plan` is NULL or
/// writable; `error` is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vxs_plan_create(
    model: *const vxs_model,
    options: *const vxs_plan_options,
    plan: *mut *mut vxs_plan,
    error: *mut *mut vxs_error,
) -> vxs_status {
    // SAFETY: passed on; the readers rule NULL out.
    unsafe {
        boundary(error, || {
            let model = reference(model, "model")?;
            let options = read_or_default(options, "options")?;
            let watching = Watching::new(options.progress, options.user_data);
            let options = plan_options(options, &watching)?;
            let place = output(plan, "plan")?;
            let plan = model.model.plan(&options)?;
            let description = c_string(&plan.describe().to_string());
            let about = model.model.describe();
            let handle = vxs_plan { plan, description, about, poisoned: OnceLock::new() };
            *place = Box::into_raw(Box::new(handle));
            Ok(())
        })
    }
}

/// Tells the grid of the labels for a volume: its own, unless a task was opened with `on_network_grid`. Only the
/// volume's grid is looked at, its buffers may be NULL. Writes `shape`, `spacing`, `origin` and `direction` of
/// `grid` in the coordinates and the order of axes of `volume`, with its `dtype`; the rest of `grid` becomes as
/// after `vxs_volume_init`.
///
/// Returns `VXS_GEOMETRY`, `VXS_POISONED`. Any thread.
///
/// # Safety
/// `plan` is NULL or a live plan; `volume` is NULL or a filled structure; `grid` is NULL or was filled by
/// `vxs_volume_init`; `error` is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vxs_plan_label_grid(
    plan: *const vxs_plan,
    volume: *const vxs_volume,
    grid: *mut vxs_volume,
    error: *mut *mut vxs_error,
) -> vxs_status {
    // SAFETY: passed on; the readers rule NULL out.
    unsafe {
        boundary(error, || {
            let plan = reference(plan, "plan")?;
            let of = super::args::read(volume, "volume")?;
            let (geometry, ..) = volume::geometry(&of)?;
            let found = plan.plan()?.label_grid(&geometry)?;
            write(grid, volume::on_grid(&of, &found), "grid")
        })
    }
}

/// A plan's report for C.
pub(super) fn filled_report(found: &PlanReport) -> vxs_plan_report {
    let (code, index) = device_code(found.device);
    vxs_plan_report {
        device: code,
        precision: match found.precision {
            Precision::F16 => VXS_PRECISION_F16,
            _ => VXS_PRECISION_F32,
        },
        threads: found.threads as u32,
        network_shape: found.network_shape.map(|size| size as u64),
        tiles: found.tiles as u64,
        network_runs: found.network_runs as u64,
        host_peak_bytes: found.host_peak_bytes,
        device_peak_bytes: found.device_peak_bytes,
        weight_bytes: found.weight_bytes,
        device_index: index,
        tile_batch: found.tile_batch as u32,
        shared_bytes: found.shared_bytes,
        run_bytes: found.run_bytes,
        tiles_in_all: found.tiles_in_all as u64,
        ..vxs_plan_report::defaults()
    }
}

/// Tells what a segmentation of `volume` will need, before it is run. Only the volume's grid is looked at, its
/// buffers may be NULL.
///
/// Returns `VXS_GEOMETRY`, `VXS_VOLUME_MISMATCH`, `VXS_POISONED`. Any thread.
///
/// # Safety
/// `plan` is NULL or a live plan; `volume` is NULL or a filled structure; `report` is NULL or was filled by
/// `vxs_plan_report_init`; `error` is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vxs_plan_estimate(
    plan: *const vxs_plan,
    volume: *const vxs_volume,
    report: *mut vxs_plan_report,
    error: *mut *mut vxs_error,
) -> vxs_status {
    // SAFETY: passed on.
    unsafe { boundary(error, || estimate(plan, volume, &Region::whole(), report)) }
}

/// # Safety
/// As [`vxs_plan_estimate`].
pub(super) unsafe fn estimate(
    plan: *const vxs_plan,
    volume: *const vxs_volume,
    region: &Region,
    report: *mut vxs_plan_report,
) -> Result<()> {
    // SAFETY: by the caller's guarantee; the readers rule NULL out.
    unsafe {
        let plan = reference(plan, "plan")?;
        let grid = super::args::read(volume, "volume")?;
        let (geometry, ..) = volume::geometry(&grid)?;
        let found = plan.plan()?.report_for(&geometry, region)?;
        write(report, filled_report(&found), "report")
    }
}

/// Gives memory back, of the host and of the device, that a plan only keeps to make its next run faster; for plans that
/// wait for long. It takes the time of one tile for each network, and so does the next run's growing. Runs that are
/// under way keep what they have.
///
/// Returns `VXS_POISONED`, or an error of the device. Any thread.
///
/// # Safety
/// `plan` is NULL or a live plan; `error` is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vxs_plan_trim(plan: *mut vxs_plan, error: *mut *mut vxs_error) -> vxs_status {
    // SAFETY: passed on; `reference` rules NULL out.
    unsafe { boundary(error, || reference(plan.cast_const(), "plan")?.plan()?.trim()) }
}

/// What runs where, as JSON: device, engine and its version, precision, operators that the device left to the CPU
/// ("operators_on_cpu"), why another device runs than was asked for ("fallback"), and what our own engine for GPUs runs
/// for a tile, with groups, bytes and operations ("dispatches"): docs/schemas/plan.schema.json. UTF-8, lives as long as
/// the plan; NULL for NULL. Any thread.
///
/// # Safety
/// `plan` is NULL or a live plan.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vxs_plan_describe(plan: *const vxs_plan) -> *const c_char {
    // SAFETY: NULL or live, by the caller's guarantee.
    getter(null(), || unsafe { plan.as_ref() }.map_or(null(), |plan| plan.description.as_ptr()))
}

/// Frees a plan that isn't running. NULL is fine. Any thread.
///
/// # Safety
/// `plan` is NULL or a live plan that no other call uses.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vxs_plan_free(plan: *mut vxs_plan) {
    // SAFETY: by the caller's guarantee.
    unsafe { free(plan) };
}

#[cfg(test)]
mod tests;
