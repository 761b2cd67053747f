//! What the values in a label map stand for: each label's name and colour, and what it is in coded terms (SNOMED CT, as
//! DICOM has them).

use std::ffi::{CString, c_char};
use std::ptr::{null, null_mut};

use super::args::{Growable, at, init, reference, write};
use super::boundary::{boundary, getter};
use super::error::{c_string, vxs_error, vxs_status};
use super::model::vxs_model;
use crate::error::Error;
use crate::labels::Term;

/// What a coded term of a label says: one of `VXS_TERM_*`, DICOM's attributes.
pub type vxs_term_role = i32;

/// Segmented Property Category.
pub const VXS_TERM_CATEGORY: i32 = 0;
/// Segmented Property Type.
pub const VXS_TERM_TYPE: i32 = 1;
/// Segmented Property Type Modifier: the side, for example.
pub const VXS_TERM_MODIFIER: i32 = 2;
/// Anatomic Region.
pub const VXS_TERM_REGION: i32 = 3;
/// Anatomic Region Modifier.
pub const VXS_TERM_REGION_MODIFIER: i32 = 4;

/// One label of a model. Fill it by `vxs_label_info_init` first.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct vxs_label_info {
    /// Set by `vxs_label_info_init`.
    pub struct_size: u32,
    /// The value that voxels of this structure get.
    pub value: u32,
    /// A colour to show it in: 0x00RRGGBB.
    pub color: u32,
    /// Must be 0.
    pub reserved: u32,
    /// Its name. UTF-8, lives as long as the model.
    pub name: *const c_char,
}

// SAFETY: repr(C), starts with struct_size; integers and raw pointers accept any bits.
unsafe impl Growable for vxs_label_info {
    fn defaults() -> Self {
        vxs_label_info {
            struct_size: size_of::<Self>() as u32,
            value: 0,
            color: 0,
            reserved: 0,
            name: null(),
        }
    }
}

/// A coded term. Fill it by `vxs_term_init` first.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct vxs_term {
    /// Set by `vxs_term_init`.
    pub struct_size: u32,
    /// What it says of the label.
    pub role: vxs_term_role,
    /// The coding scheme, "SCT" for SNOMED CT; NULL when the label has no such term. UTF-8, lives as long as the
    /// model, as the other texts.
    pub scheme: *const c_char,
    /// The code.
    pub code: *const c_char,
    /// What it means.
    pub meaning: *const c_char,
}

// SAFETY: repr(C), starts with struct_size; integers and raw pointers accept any bits.
unsafe impl Growable for vxs_term {
    fn defaults() -> Self {
        let struct_size = size_of::<Self>() as u32;
        vxs_term { struct_size, role: VXS_TERM_CATEGORY, scheme: null(), code: null(), meaning: null() }
    }
}

pub(super) fn term_text(term: Option<&Term>) -> Option<[CString; 3]> {
    term.map(|term| [&term.scheme, &term.code, &term.meaning].map(|text| c_string(text)))
}

/// Writes the defaults. `size` is `sizeof(vxs_label_info)` as the caller's header has it.
///
/// Returns `VXS_STRUCT_SIZE` for a size that no version has. Any thread.
///
/// # Safety
/// `info` is NULL or valid for writes of `size` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vxs_label_info_init(info: *mut vxs_label_info, size: u64) -> vxs_status {
    // SAFETY: passed on.
    unsafe { boundary(null_mut(), || init(info, size, "info")) }
}

/// Number of labels, the background included; 0 for NULL. Any thread.
///
/// # Safety
/// `model` is NULL or a live model.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vxs_model_label_count(model: *const vxs_model) -> u64 {
    // SAFETY: NULL or live, by the caller's guarantee.
    getter(0, || unsafe { model.as_ref() }.map_or(0, |model| model.model.labels().len() as u64))
}

/// Tells about one label, in ascending order of their values.
///
/// Returns `VXS_INVALID_ARGUMENT` for an index past the end. Any thread.
///
/// # Safety
/// `model` is NULL or a live model; `info` is NULL or was filled by `vxs_label_info_init`; `error` is NULL or
/// writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vxs_model_label(
    model: *const vxs_model,
    index: u64,
    info: *mut vxs_label_info,
    error: *mut *mut vxs_error,
) -> vxs_status {
    // SAFETY: passed on; `reference` and `write` rule NULL out.
    unsafe {
        boundary(error, || {
            let model = reference(model, "model")?;
            let label = at(model.model.labels(), index)?;
            let [red, green, blue] = label.color.map(u32::from);
            let filled = vxs_label_info {
                value: label.value,
                name: at(&model.text.labels, index)?.as_ptr(),
                color: red << 16 | green << 8 | blue,
                ..vxs_label_info::defaults()
            };
            write(info, filled, "info")
        })
    }
}

/// Writes the defaults. `size` is `sizeof(vxs_term)` as the caller's header has it.
///
/// Returns `VXS_STRUCT_SIZE` for a size that no version has. Any thread.
///
/// # Safety
/// `term` is NULL or valid for writes of `size` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vxs_term_init(term: *mut vxs_term, size: u64) -> vxs_status {
    // SAFETY: passed on.
    unsafe { boundary(null_mut(), || init(term, size, "term")) }
}

/// Tells one of a label's coded terms; its texts are NULL where the label has none of that role. `index` is as for
/// `vxs_model_label`.
///
/// Returns `VXS_INVALID_ARGUMENT` for an index past the end and for an unknown role. Any thread.
///
/// # Safety
/// `model` is NULL or a live model; `term` is NULL or was filled by `vxs_term_init`; `error` is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vxs_model_label_term(
    model: *const vxs_model,
    index: u64,
    role: vxs_term_role,
    term: *mut vxs_term,
    error: *mut *mut vxs_error,
) -> vxs_status {
    // SAFETY: passed on; `reference` and `write` rule NULL out.
    unsafe {
        boundary(error, || {
            let text = &reference(model, "model")?.text;
            let terms = at(&text.terms, index)?;
            let Some(found) = usize::try_from(role).ok().and_then(|role| terms.get(role)) else {
                return Err(Error::argument("role", role, "one of VXS_TERM_*"));
            };
            let texts = found.as_ref().map(|texts| texts.each_ref().map(|text| text.as_ptr()));
            let [scheme, code, meaning] = texts.unwrap_or([null(); 3]);
            let filled = vxs_term { role, scheme, code, meaning, ..vxs_term::defaults() };
            write(term, filled, "term")
        })
    }
}
