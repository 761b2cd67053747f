//! Several published models that answer one question together, as TotalSegmentator combines them. An opened task is
//! a `vxs_model` and used as any other.

use std::ffi::{CString, c_char, c_void};
use std::path::Path;
use std::ptr::{null, null_mut};
use std::sync::LazyLock;

use super::args::{Growable, array, flag, init, output, read_or_default, text};
use super::boundary::{boundary, getter};
use super::cancel::vxs_cancel;
use super::error::{c_string, vxs_error, vxs_status};
use super::model::vxs_model;
use super::progress::{self, Watching, vxs_progress_callback};
use super::version::vxs_bool;
use crate::error::{Error, Result};
use crate::model::task::{Opening, Task, TaskOptions, TaskResampling};
use crate::task::AnyModel;

/// How a task brings the volume to its networks' grid: one of `VXS_RESAMPLING_*`.
pub type vxs_resampling = i32;

/// Bring the volume to the networks' grid by linear interpolation, rounded towards zero, and the labels back to the
/// nearest: TotalSegmentator from 2.16.
pub const VXS_RESAMPLING_LINEAR: i32 = 0;
/// By cubic splines, otherwise the same: TotalSegmentator before 2.16.
pub const VXS_RESAMPLING_CUBIC: i32 = 1;
/// By each network's own resampling, so that scores and not labels are brought back.
pub const VXS_RESAMPLING_NETWORK: i32 = 2;

/// How to run a task. Fill it by `vxs_task_options_init` first.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct vxs_task_options {
    /// Set by `vxs_task_options_init`.
    pub struct_size: u32,
    /// `VXS_RESAMPLING_LINEAR` by default.
    pub resampling: vxs_resampling,
    /// Whether the rough segmentation for a subset is a finer one that misses less.
    pub robust_crop: vxs_bool,
    /// Whether every volume is cut into three overlapping parts along the body, as otherwise only large ones are.
    pub split: vxs_bool,
    /// Whether only that part of the volume is looked at in which a rough segmentation finds the body, and 3 mm around
    /// it. For CT tasks that look at the whole volume otherwise.
    pub crop_to_body: vxs_bool,
    /// Whether labels stay on the networks' grid, which `vxs_plan_label_grid` tells. For tasks that look at the whole
    /// volume.
    pub on_network_grid: vxs_bool,
    /// Whether labels come back to the volume's grid with smooth borders, each interpolated by itself, and not as those
    /// of the nearest voxels.
    pub smooth: vxs_bool,
    /// Whether labels have the values that TotalSegmentator 1 gave them; those that it didn't have are dropped. For
    /// "total", "total_fast" and "total_fastest".
    pub legacy_v1_labels: vxs_bool,
    /// Names of the labels that are wanted. A rough segmentation finds where they are first, and only the models that
    /// know them run there. Only for whole-body tasks ("total" and its kin). NULL (default): all labels.
    pub subset: *const *const c_char,
    /// Number of entries in `subset`.
    pub subset_count: u64,
    /// Pieces of a label of at most so many cubic millimetres are removed; TotalSegmentator removes those up to 200.
    /// 0 (default): none.
    pub remove_small: f64,
    /// NULL by default.
    pub progress: vxs_progress_callback,
    /// Passed to `progress`.
    pub user_data: *mut c_void,
    /// A flag that stops the call; NULL (default) for none.
    pub cancel: *const vxs_cancel,
    /// Bytes of memory that opening each of the task's models may take, as `vxs_model_options.memory_budget`; also when
    /// a run loads it again. 0 (default): 64 MiB, and 16 bytes for each byte of the model's files.
    pub memory_budget: u64,
}

// SAFETY: repr(C), starts with struct_size; integers, floats and raw pointers accept any bits, and an all-zero callback
// is None. A non-zero one is the caller's function by contract.
unsafe impl Growable for vxs_task_options {
    fn defaults() -> Self {
        vxs_task_options {
            struct_size: size_of::<Self>() as u32,
            resampling: VXS_RESAMPLING_LINEAR,
            robust_crop: 0,
            split: 0,
            crop_to_body: 0,
            on_network_grid: 0,
            smooth: 0,
            legacy_v1_labels: 0,
            subset: null(),
            subset_count: 0,
            remove_small: 0.0,
            progress: None,
            user_data: null_mut(),
            cancel: null(),
            memory_budget: 0,
        }
    }
}

static NAMES: LazyLock<Vec<CString>> =
    LazyLock::new(|| Task::names().iter().map(|name| c_string(name)).collect());

/// # Safety
/// `options` is NULL or a filled structure whose pointers are valid.
unsafe fn task_options(options: *const vxs_task_options) -> Result<TaskOptions> {
    // SAFETY: by the caller's guarantee.
    unsafe {
        let options = read_or_default(options, "options")?;
        let subset = if options.subset.is_null() {
            Vec::new()
        } else {
            let names = array(options.subset, options.subset_count, "options.subset")?;
            names.iter().map(|&name| Ok(text(name, "options.subset")?.to_owned())).collect::<Result<_>>()?
        };
        Ok(TaskOptions {
            subset,
            robust_crop: flag(options.robust_crop, "options.robust_crop")?,
            remove_small: (options.remove_small != 0.0).then_some(options.remove_small),
            resampling: match options.resampling {
                VXS_RESAMPLING_LINEAR => TaskResampling::Linear,
                VXS_RESAMPLING_CUBIC => TaskResampling::Cubic,
                VXS_RESAMPLING_NETWORK => TaskResampling::Network,
                other => {
                    return Err(Error::argument("options.resampling", other, "one of VXS_RESAMPLING_*"));
                }
            },
            split: flag(options.split, "options.split")?,
            crop_to_body: flag(options.crop_to_body, "options.crop_to_body")?,
            on_network_grid: flag(options.on_network_grid, "options.on_network_grid")?,
            smooth: flag(options.smooth, "options.smooth")?,
            legacy_v1_labels: flag(options.legacy_v1_labels, "options.legacy_v1_labels")?,
        })
    }
}

/// Writes the defaults. `size` is `sizeof(vxs_task_options)` as the caller's header has it.
///
/// Returns `VXS_STRUCT_SIZE` for a size that no version has. Any thread.
///
/// # Safety
/// `options` is NULL or valid for writes of `size` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vxs_task_options_init(options: *mut vxs_task_options, size: u64) -> vxs_status {
    // SAFETY: passed on.
    unsafe { boundary(null_mut(), || init(options, size, "options")) }
}

/// Number of TotalSegmentator's tasks, which the library knows. Any thread.
#[unsafe(no_mangle)]
pub extern "C" fn vxs_task_count() -> u64 {
    getter(0, || NAMES.len() as u64)
}

/// The name of one of them, such as "total", "total_fast" (3 mm), "total_mr", "lung_vessels"; NULL when there is no
/// such task. A static string. Any thread.
#[unsafe(no_mangle)]
pub extern "C" fn vxs_task_name(index: u64) -> *const c_char {
    let name = || usize::try_from(index).ok().and_then(|index| NAMES.get(index));
    getter(null(), || name().map_or(null(), |name| name.as_ptr()))
}

/// Opens a task, which is then used as any model: plans, labels, `vxs_segment` with one progress and one
/// cancelling. `task` is one of TotalSegmentator's names (`vxs_task_name`), or the path of a task file, which ends
/// in ".json" (docs/models.md). `weights` is the folder that holds its models as TotalSegmentator stores them,
/// `Dataset291_…/nnUNetTrainerNoMirroring__nnUNetPlans__3d_fullres/fold_0/…`. Nothing is ever fetched. Each model
/// is opened once, one after the other; plans hold the weights of two at most. Maps aren't for tasks. Free it with
/// `vxs_model_free`.
///
/// Returns `VXS_NOT_A_MODEL` for weights that are missing, with their licence, else as `vxs_model_open`. Any
/// thread.
///
/// # Safety
/// `task` and `weights` are NULL or NUL-terminated UTF-8 strings; `options` is NULL (defaults) or a filled structure;
/// `model` is NULL or writable; `error` is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vxs_model_open_task(
    task: *const c_char,
    weights: *const c_char,
    options: *const vxs_task_options,
    model: *mut *mut vxs_model,
    error: *mut *mut vxs_error,
) -> vxs_status {
    // SAFETY: passed on; the readers rule NULL out.
    unsafe {
        boundary(error, || {
            let (task, weights) = (text(task, "task")?, Path::new(text(weights, "weights")?));
            let model = output(model, "model")?;
            let given = read_or_default(options, "options")?;
            let watching = Watching::new(given.progress, given.user_data);
            let opening = Opening {
                memory_budget: (given.memory_budget != 0).then_some(given.memory_budget),
                cancel: progress::flag(given.cancel),
                watch: watching.0.clone(),
            };
            let opened = Task::find(task)?.open_with(weights, &task_options(options)?, &opening)?;
            *model = vxs_model::into_raw(AnyModel::Task(opened));
            Ok(())
        })
    }
}
