//! A published model: weights, labels, and the way from an image to what the network sees. A model is immutable:
//! any thread may use it, many plans share it, and it may be freed before them.

use std::ffi::{CString, c_char, c_void};
use std::path::Path;
use std::ptr::{null, null_mut};
use std::sync::Arc;

use super::args::{Growable, array, init, output, read_or_default, reference, text};
use super::boundary::{boundary, free, getter};
use super::cancel::vxs_cancel;
use super::error::{c_string, vxs_error, vxs_status};
use super::label;
use super::nifti::{self, vxs_reader};
use super::progress::{self, Watching, vxs_progress_callback};
use crate::error::{Error, Result};
use crate::file::Bytes;
use crate::model::{Auto3dsegScript, Fold, ForegroundCrop, Model, ModelOptions};
use crate::task::AnyModel;

/// In `vxs_model_options.folds`: the folder `fold_all`.
pub const VXS_FOLD_ALL: u32 = u32::MAX;

/// How Auto3DSeg models crop to the foreground: one of `VXS_FOREGROUND_CROP_*`.
pub type vxs_foreground_crop = i32;

/// Crop to the foreground as the script of 3D Slicer's extension MONAIAuto3DSeg does it: the box is found before the
/// image's axes are turned, and used after. Images along the patient's axes get the right box; others may lose
/// foreground.
pub const VXS_FOREGROUND_CROP_AS_PUBLISHED: i32 = 0;
/// Turn the foreground's box with the image.
pub const VXS_FOREGROUND_CROP_CORRECTED: i32 = 1;

/// The ways that SlicerMONAIAuto3DSeg's script knows: one of `VXS_AUTO3DSEG_*`.
pub type vxs_auto3dseg_script = i32;

/// BraTS' way for a network of four images and three regions that overlap, else the general one.
pub const VXS_AUTO3DSEG_FROM_MODEL: i32 = 0;
/// The general way of SlicerMONAIAuto3DSeg's script: each image is normalised as it comes.
pub const VXS_AUTO3DSEG_GENERAL: i32 = 1;
/// The script's way for paths with "brats": images are normalised when they have the network's spacing, and regions
/// become BraTS' labels.
pub const VXS_AUTO3DSEG_BRATS: i32 = 2;
/// The script's way for paths with "whole-head": the two largest components of each label are kept.
pub const VXS_AUTO3DSEG_WHOLE_HEAD: i32 = 3;

/// An opened model. Immutable: any thread may use it, many plans share it. Plans keep what they need of it,
/// so that it may be freed before them.
pub struct vxs_model {
    pub(super) model: Arc<AnyModel>,
    pub(super) text: ModelText,
}

/// The strings that the getters lend.
pub(super) struct ModelText {
    name: CString,
    identity: CString,
    description: CString,
    channels: Vec<CString>,
    pub(super) labels: Vec<CString>,
    /// Scheme, code and meaning of each label's terms.
    pub(super) terms: Vec<[Option<[CString; 3]>; 5]>,
}

/// How to open a model. Fill it by `vxs_model_options_init` first.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct vxs_model_options {
    /// Set by `vxs_model_options_init`.
    pub struct_size: u32,
    /// For Auto3DSeg models: `VXS_FOREGROUND_CROP_AS_PUBLISHED` by default.
    pub foreground_crop: vxs_foreground_crop,
    /// For Auto3DSeg models: `VXS_AUTO3DSEG_FROM_MODEL` by default. The published script tells models apart by words in
    /// their path, which isn't looked at here.
    pub auto3dseg_script: vxs_auto3dseg_script,
    /// Must be 0.
    pub reserved: u32,
    /// The trained folds to average, by number, or `VXS_FOLD_ALL`. NULL (default): every numbered fold that
    /// is there.
    pub folds: *const u32,
    /// Number of entries in `folds`.
    pub fold_count: u64,
    /// File name of the weights in each fold's folder. NULL (default): "checkpoint_final.pth".
    pub checkpoint: *const c_char,
    /// Which of several models in a folder or an archive: the whole name of its folder, or the configuration at
    /// the name's end ("3d_fullres"). Of a bundle: its config file ("inference_segresnet.yaml"). NULL (default):
    /// the only one, and a bundle's `inference`.
    pub configuration: *const c_char,
    /// Bytes of memory that opening may take at one time: files that take more are `VXS_REFUSED_MODEL`. 0 (default):
    /// 128 MiB, and 16 bytes for each byte of the files that are opened.
    pub memory_budget: u64,
    /// NULL by default.
    pub progress: vxs_progress_callback,
    /// Passed to `progress`.
    pub user_data: *mut c_void,
    /// A flag that stops the call; NULL (default) for none.
    pub cancel: *const vxs_cancel,
    /// For VISTA3D: the classes to segment, numbers or names, as many as `class_count` says. NULL (default): all that
    /// the model's config lists. Must be NULL for other models.
    pub classes: *const *const c_char,
    /// Number of entries in `classes`.
    pub class_count: u64,
}

// SAFETY: repr(C), starts with struct_size; integers and raw pointers accept any bits, and an all-zero callback is
// None. A non-zero one is the caller's function by contract.
unsafe impl Growable for vxs_model_options {
    fn defaults() -> Self {
        let struct_size = size_of::<Self>() as u32;
        vxs_model_options {
            struct_size,
            foreground_crop: VXS_FOREGROUND_CROP_AS_PUBLISHED,
            auto3dseg_script: VXS_AUTO3DSEG_FROM_MODEL,
            reserved: 0,
            folds: null(),
            fold_count: 0,
            checkpoint: null(),
            configuration: null(),
            memory_budget: 0,
            progress: None,
            user_data: null_mut(),
            cancel: null(),
            classes: null(),
            class_count: 0,
        }
    }
}

/// One file of a model that is in memory. Arrays of it are passed, so that it never grows and has no `struct_size`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct vxs_model_file {
    /// Its path within the model folder, with `/` between folders: "fold_0/checkpoint_final.pth".
    pub name: *const c_char,
    /// Its content.
    pub data: *const c_void,
    /// Size of the content in bytes.
    pub size: u64,
}

impl vxs_model {
    pub(super) fn into_raw(model: AnyModel) -> *mut vxs_model {
        let text = ModelText {
            name: c_string(model.name()),
            identity: c_string(model.identity()),
            description: c_string(&model.describe().to_string()),
            channels: model.channels().iter().map(|name| c_string(name)).collect(),
            labels: model.labels().iter().map(|label| c_string(&label.name)).collect(),
            terms: model.labels().iter().map(|label| label.terms.all().map(label::term_text)).collect(),
        };
        Box::into_raw(Box::new(vxs_model { model: Arc::new(model), text }))
    }
}

/// # Safety
/// `options` is NULL or a filled structure whose pointers are valid.
unsafe fn model_options(options: *const vxs_model_options) -> Result<(ModelOptions, Watching)> {
    // SAFETY: by the caller's guarantee.
    unsafe {
        let options = read_or_default(options, "options")?;
        let foreground_crop = match options.foreground_crop {
            VXS_FOREGROUND_CROP_AS_PUBLISHED => ForegroundCrop::AsPublished,
            VXS_FOREGROUND_CROP_CORRECTED => ForegroundCrop::Corrected,
            other => {
                let expected = "one of VXS_FOREGROUND_CROP_*";
                return Err(Error::argument("options.foreground_crop", other, expected));
            }
        };
        let auto3dseg_script = match options.auto3dseg_script {
            VXS_AUTO3DSEG_FROM_MODEL => Auto3dsegScript::FromModel,
            VXS_AUTO3DSEG_GENERAL => Auto3dsegScript::General,
            VXS_AUTO3DSEG_BRATS => Auto3dsegScript::Brats,
            VXS_AUTO3DSEG_WHOLE_HEAD => Auto3dsegScript::WholeHead,
            other => {
                return Err(Error::argument("options.auto3dseg_script", other, "one of VXS_AUTO3DSEG_*"));
            }
        };
        if options.reserved != 0 {
            return Err(Error::argument("options.reserved", options.reserved, "0"));
        }
        let fold = |&fold: &u32| if fold == VXS_FOLD_ALL { Fold::All } else { Fold::Number(fold) };
        let folds = if options.folds.is_null() {
            None
        } else {
            let folds = array(options.folds, options.fold_count, "options.folds")?;
            Some(folds.iter().map(fold).collect())
        };
        let classes = if options.classes.is_null() {
            None
        } else {
            let classes = array(options.classes, options.class_count, "options.classes")?;
            let class = |&class: &*const c_char| Ok(text(class, "options.classes")?.to_owned());
            Some(classes.iter().map(class).collect::<Result<_>>()?)
        };
        let memory_budget = (options.memory_budget != 0).then_some(options.memory_budget);
        let cancel = progress::flag(options.cancel);
        let watching = Watching::new(options.progress, options.user_data);
        let (checkpoint, configuration) = (ModelOptions::default().checkpoint, None);
        let mut filled = ModelOptions {
            folds,
            checkpoint,
            configuration,
            classes,
            foreground_crop,
            auto3dseg_script,
            memory_budget,
            cancel,
            watch: watching.0.clone(),
        };
        if !options.checkpoint.is_null() {
            filled.checkpoint = text(options.checkpoint, "options.checkpoint")?.into();
        }
        if !options.configuration.is_null() {
            filled.configuration = Some(text(options.configuration, "options.configuration")?.into());
        }
        Ok((filled, watching))
    }
}

/// Writes the defaults. `size` is `sizeof(vxs_model_options)` as the caller's header has it.
///
/// Returns `VXS_STRUCT_SIZE` for a size that no version has. Any thread.
///
/// # Safety
/// `options` is NULL or valid for writes of `size` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vxs_model_options_init(options: *mut vxs_model_options, size: u64) -> vxs_status {
    // SAFETY: passed on.
    unsafe { boundary(null_mut(), || init(options, size, "options")) }
}

/// Opens a model; its files tell what it is. A folder, or a zip archive with it:
/// - nnU-Net v2's `<trainer>__<plans>__<configuration>`, or a folder of such folders;
/// - a MONAI bundle: `configs/inference.json` (or `.yaml`) and a checkpoint;
/// - Auto3DSeg as 3D Slicer's extension distributes it: `model.pt` and `labels.csv`.
///
/// Or a file of weights (`.pt`, `.safetensors`, `.onnx`) with a JSON of the same name beside it that says what
/// happens around it (docs/models.md). Reads the weights, which takes seconds for large models; nothing in the
/// files is ever executed. Free it with `vxs_model_free`.
///
/// Returns a status from 201 to 208 for what is wrong with the files, `VXS_CANCELLED`, `VXS_INVALID_ARGUMENT` for
/// the options. Any thread.
///
/// # Safety
/// `path` is NULL or a NUL-terminated UTF-8 string; `options` is NULL (defaults) or a filled structure;
/// `model` is NULL or writable; `error` is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vxs_model_open(
    path: *const c_char,
    options: *const vxs_model_options,
    model: *mut *mut vxs_model,
    error: *mut *mut vxs_error,
) -> vxs_status {
    // SAFETY: passed on; the readers rule NULL out.
    unsafe {
        boundary(error, || {
            let path = Path::new(text(path, "path")?);
            let model = output(model, "model")?;
            let (options, _watching) = model_options(options)?;
            *model = vxs_model::into_raw(AnyModel::Model(Model::open(path, &options)?));
            Ok(())
        })
    }
}

/// As `vxs_model_open`, for a folder's files in memory. They are only read during the call.
///
/// Returns as `vxs_model_open`. Any thread.
///
/// # Safety
/// `files` holds `file_count` entries whose names are NUL-terminated and whose data are valid for `size`
/// bytes; the rest as for `vxs_model_open`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vxs_model_open_memory(
    files: *const vxs_model_file,
    file_count: u64,
    options: *const vxs_model_options,
    model: *mut *mut vxs_model,
    error: *mut *mut vxs_error,
) -> vxs_status {
    // SAFETY: passed on; the readers rule NULL out.
    unsafe {
        boundary(error, || {
            let files = array(files, file_count, "files")?;
            let model = output(model, "model")?;
            let mut folder = Vec::with_capacity(files.len());
            for file in files {
                let name = text(file.name, "files.name")?.to_owned();
                let bytes = array(file.data.cast::<u8>(), file.size, "files.data")?;
                let copy = Bytes::copy(bytes, &name)?;
                folder.push((name, copy));
            }
            let (options, _watching) = model_options(options)?;
            *model = vxs_model::into_raw(AnyModel::Model(Model::from_files(folder, &options)?));
            Ok(())
        })
    }
}

/// Makes one model of several: their probabilities are averaged on the volume's grid, as `nnUNetv2_ensemble`
/// averages those of configurations. Members have the same channels and labels; they may be freed at once. Free it
/// with `vxs_model_free`.
///
/// Returns `VXS_INVALID_ARGUMENT` for members that differ, or aren't single models. Any thread.
///
/// # Safety
/// `members` holds `member_count` pointers, each NULL or to a live model; `model` is NULL or writable; `error`
/// is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vxs_model_ensemble(
    members: *const *const vxs_model,
    member_count: u64,
    model: *mut *mut vxs_model,
    error: *mut *mut vxs_error,
) -> vxs_status {
    // SAFETY: passed on; the readers rule NULL out.
    unsafe {
        boundary(error, || {
            let members = array(members, member_count, "members")?;
            let model = output(model, "model")?;
            let member = |&member: &*const vxs_model| match &*reference(member, "members")?.model {
                AnyModel::Model(model) => Ok(model.clone()),
                AnyModel::Task(task) => {
                    Err(Error::argument("members", format!("the task {}", task.name()), "models"))
                }
            };
            let members: Vec<Model> = members.iter().map(member).collect::<Result<_>>()?;
            *model = vxs_model::into_raw(AnyModel::Model(Model::ensemble(&members)?));
            Ok(())
        })
    }
}

/// Frees a model and the strings that it lent. NULL is fine; plans made from it live on. Any thread.
///
/// # Safety
/// `model` is NULL or a live model that no other call uses.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vxs_model_free(model: *mut vxs_model) {
    // SAFETY: by the caller's guarantee.
    unsafe { free(model) };
    super::return_freed_memory();
}

/// The model's own name, for example "Dataset901_TorsoCT". UTF-8, lives as long as the model; NULL for NULL. Any
/// thread.
///
/// # Safety
/// `model` is NULL or a live model.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vxs_model_name(model: *const vxs_model) -> *const c_char {
    // SAFETY: NULL or live, by the caller's guarantee.
    getter(null(), || unsafe { model.as_ref() }.map_or(null(), |model| model.text.name.as_ptr()))
}

/// "voxseg1:sha256:" and 64 hexadecimal digits, over weights and recipe in the format of docs/identity.md: equal
/// exactly for models that compute the same, whatever the version of the library. Lives as long as the model; NULL for
/// NULL. Any thread.
///
/// # Safety
/// `model` is NULL or a live model.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vxs_model_identity(model: *const vxs_model) -> *const c_char {
    // SAFETY: NULL or live, by the caller's guarantee.
    getter(null(), || unsafe { model.as_ref() }.map_or(null(), |model| model.text.identity.as_ptr()))
}

/// All that is known about the model as JSON: architecture, parameters, recipe, labels (docs/schemas/model.schema.json,
/// of a task docs/schemas/task.schema.json). UTF-8, lives as long as the model; NULL for NULL. Any thread.
///
/// # Safety
/// `model` is NULL or a live model.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vxs_model_describe(model: *const vxs_model) -> *const c_char {
    // SAFETY: NULL or live, by the caller's guarantee.
    getter(null(), || unsafe { model.as_ref() }.map_or(null(), |model| model.text.description.as_ptr()))
}

/// Number of channels that a volume must have; 0 for NULL. Any thread.
///
/// # Safety
/// `model` is NULL or a live model.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vxs_model_channel_count(model: *const vxs_model) -> u64 {
    // SAFETY: NULL or live, by the caller's guarantee.
    getter(0, || unsafe { model.as_ref() }.map_or(0, |model| model.text.channels.len() as u64))
}

/// The model's name for a channel, for example "CT". UTF-8, lives as long as the model; NULL when there is no such
/// channel. Any thread.
///
/// # Safety
/// `model` is NULL or a live model.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vxs_model_channel_name(model: *const vxs_model, index: u64) -> *const c_char {
    getter(null(), || {
        // SAFETY: NULL or live, by the caller's guarantee.
        let names = unsafe { model.as_ref() }.map(|model| &model.text.channels);
        names.and_then(|names| names.get(usize::try_from(index).ok()?)).map_or(null(), |name| name.as_ptr())
    })
}

/// What reads the headers of NIfTI files for this model, so that it sees images as it was trained with them: one of
/// `VXS_READER_*`; 0 for NULL. Any thread.
///
/// # Safety
/// `model` is NULL or a live model.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vxs_model_reader(model: *const vxs_model) -> vxs_reader {
    // SAFETY: NULL or live, by the caller's guarantee.
    getter(0, || unsafe { model.as_ref() }.map_or(0, |model| nifti::code(model.model.reader())))
}

/// The spacing that the network works at, in millimetres, in the order of a volume's axes (x, y, z for a volume
/// whose axis 0 is x); 0 where the volume's own spacing is kept. A task's is along the patient's axes. Writes three
/// values.
///
/// Returns `VXS_OK`. Any thread.
///
/// # Safety
/// `model` is NULL or a live model; `spacing` is NULL or holds three values; `error` is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vxs_model_spacing(
    model: *const vxs_model,
    spacing: *mut f64,
    error: *mut *mut vxs_error,
) -> vxs_status {
    // SAFETY: passed on; `reference` and `output` rule NULL out.
    unsafe {
        boundary(error, || {
            let model = reference(model, "model")?;
            *output(spacing.cast::<[f64; 3]>(), "spacing")? = model.model.spacing();
            Ok(())
        })
    }
}

/// The size of a tile in voxels, in the order of a volume's axes; 0 for a task, whose models have their own. Writes
/// three values.
///
/// Returns `VXS_OK`. Any thread.
///
/// # Safety
/// `model` is NULL or a live model; `patch` is NULL or holds three values; `error` is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vxs_model_patch(
    model: *const vxs_model,
    patch: *mut u64,
    error: *mut *mut vxs_error,
) -> vxs_status {
    // SAFETY: passed on; `reference` and `output` rule NULL out.
    unsafe {
        boundary(error, || {
            let model = reference(model, "model")?;
            *output(patch.cast::<[u64; 3]>(), "patch")? = model.model.patch().map(|size| size as u64);
            Ok(())
        })
    }
}
