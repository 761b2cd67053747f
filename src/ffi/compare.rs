//! How two label maps agree, label by label: Dice, and on request distances between surfaces. The maps may have
//! different grids and, by pairs, different labels.

use std::ffi::c_void;
use std::ptr::{null, null_mut};

use super::args::{Growable, array, at, flag, init, output, read_or_default, reference, write};
use super::boundary::{boundary, free, getter};
use super::cancel::vxs_cancel;
use super::error::{vxs_error, vxs_status};
use super::executor::vxs_executor;
use super::measure;
use super::model::vxs_model;
use super::progress::{self, vxs_progress_callback};
use super::version::vxs_bool;
use super::volume::{self, vxs_volume};
use crate::error::Error;
use crate::metrics::{CompareOptions, Comparison, Pair, compare, pairs_by_name, pairs_by_terms};

/// How labels of two models are matched: one of `VXS_MATCH_*`.
pub type vxs_match = i32;

/// By name; case doesn't matter, and spaces, hyphens and underscores are the same.
pub const VXS_MATCH_NAME: i32 = 0;
/// By the codes of property type and modifier.
pub const VXS_MATCH_TERMS: i32 = 1;

/// A label of one map and the one of another that means the same. Arrays of it are passed, so that it never grows and
/// has no `struct_size`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct vxs_label_pair {
    /// Its value in the first map.
    pub first: u32,
    /// Its value in the second map.
    pub second: u32,
}

/// What to compare. Fill it by `vxs_compare_options_init` first.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct vxs_compare_options {
    /// Set by `vxs_compare_options_init`.
    pub struct_size: u32,
    /// Threads that work, the calling one included. 0 (default): all processors of this process.
    pub threads: u32,
    /// Whether surfaces and the distances between them are compared too, which takes longer.
    pub surfaces: vxs_bool,
    /// Must be 0.
    pub reserved: u32,
    /// The labels to compare. NULL (default): each value but 0 that occurs, with the same value.
    pub pairs: *const vxs_label_pair,
    /// Number of entries in `pairs`.
    pub pair_count: u64,
    /// With `surfaces`: the tolerance of surface Dice in millimetres, from 0 (default).
    pub tolerance: f64,
    /// NULL by default. It is called on the thread that called, and returns 0 to go on.
    pub progress: vxs_progress_callback,
    /// Passed to `progress`.
    pub user_data: *mut c_void,
    /// A flag that stops the work; NULL (default) for none.
    pub cancel: *const vxs_cancel,
    /// The host's threads to work on. NULL (default): the library starts threads, which end with the call.
    pub executor: *const vxs_executor,
}

// SAFETY: repr(C), starts with struct_size; integers, floats and raw pointers accept any bits, and an all-zero
// callback is None. A non-zero one is the caller's function by contract.
unsafe impl Growable for vxs_compare_options {
    fn defaults() -> Self {
        vxs_compare_options {
            struct_size: size_of::<Self>() as u32,
            threads: 0,
            surfaces: 0,
            reserved: 0,
            pairs: null(),
            pair_count: 0,
            tolerance: 0.0,
            progress: None,
            user_data: null_mut(),
            cancel: null(),
            executor: null(),
        }
    }
}

/// How a label of the first map and one of the second agree. Numbers that aren't defined are NaN: overlaps of labels
/// that don't occur, and distances where they weren't asked for; distances to a label that doesn't occur are infinite.
/// Fill it by `vxs_comparison_init` first.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct vxs_comparison {
    /// Set by `vxs_comparison_init`.
    pub struct_size: u32,
    /// Whether surfaces were compared.
    pub surfaces: vxs_bool,
    /// The labels.
    pub pair: vxs_label_pair,
    /// Voxels of each, on the first map's grid.
    pub voxels: [u64; 2],
    /// Voxels that have both.
    pub both: u64,
    /// Volume of each in millilitres.
    pub milliliters: [f64; 2],
    /// The Dice coefficient.
    pub dice: f64,
    /// The largest distance from an element of either surface to the other, in millimetres.
    pub hausdorff: f64,
    /// The distance that 95 % of a surface's area keep within, of that surface for which it is larger.
    pub hausdorff_95: f64,
    /// The mean distance over the elements of both surfaces.
    pub mean_distance: f64,
    /// The share of both surfaces' area that is within the tolerance of the other surface.
    pub surface_dice: f64,
}

// SAFETY: repr(C), starts with struct_size; integers and floats accept any bits.
unsafe impl Growable for vxs_comparison {
    fn defaults() -> Self {
        vxs_comparison {
            struct_size: size_of::<Self>() as u32,
            surfaces: 0,
            pair: vxs_label_pair { first: 0, second: 0 },
            voxels: [0; 2],
            both: 0,
            milliliters: [0.0; 2],
            dice: f64::NAN,
            hausdorff: f64::NAN,
            hausdorff_95: f64::NAN,
            mean_distance: f64::NAN,
            surface_dice: f64::NAN,
        }
    }
}

/// The comparisons of two label maps.
pub struct vxs_comparison_list(Vec<Comparison>);

/// Writes the defaults. `size` is `sizeof(vxs_compare_options)` as the caller's header has it.
///
/// Returns `VXS_STRUCT_SIZE` for a size that no version has. Any thread.
///
/// # Safety
/// `options` is NULL or valid for writes of `size` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vxs_compare_options_init(
    options: *mut vxs_compare_options,
    size: u64,
) -> vxs_status {
    // SAFETY: passed on.
    unsafe { boundary(null_mut(), || init(options, size, "options")) }
}

/// Writes the defaults. `size` is `sizeof(vxs_comparison)` as the caller's header has it.
///
/// Returns `VXS_STRUCT_SIZE` for a size that no version has. Any thread.
///
/// # Safety
/// `comparison` is NULL or valid for writes of `size` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vxs_comparison_init(comparison: *mut vxs_comparison, size: u64) -> vxs_status {
    // SAFETY: passed on.
    unsafe { boundary(null_mut(), || init(comparison, size, "comparison")) }
}

/// Finds the labels of two models that mean the same. Writes up to `capacity` pairs, in the order of the first
/// model's labels, and how many there are; with a capacity of 0 only their number.
///
/// Returns `VXS_INVALID_ARGUMENT` for an unknown way to match. Any thread.
///
/// # Safety
/// `first` and `second` are NULL or live models; `pairs` is valid for writes of `capacity` entries, or NULL with a
/// capacity of 0; `count` is NULL or writable; `error` is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vxs_match_labels(
    first: *const vxs_model,
    second: *const vxs_model,
    by: vxs_match,
    capacity: u64,
    pairs: *mut vxs_label_pair,
    count: *mut u64,
    error: *mut *mut vxs_error,
) -> vxs_status {
    // SAFETY: passed on; the readers rule NULL out.
    unsafe {
        boundary(error, || {
            let [first, second] = [reference(first, "first")?, reference(second, "second")?];
            let (first, second) = (first.model.labels(), second.model.labels());
            let found = match by {
                VXS_MATCH_NAME => pairs_by_name(first, second),
                VXS_MATCH_TERMS => pairs_by_terms(first, second),
                other => return Err(Error::argument("by", other, "one of VXS_MATCH_*")),
            };
            let count = output(count, "count")?;
            if capacity > 0 && pairs.is_null() {
                return Err(Error::NullPointer { argument: "pairs" });
            }
            for (index, &Pair { first, second }) in found.iter().enumerate().take(capacity as usize) {
                pairs.add(index).write(vxs_label_pair { first, second });
            }
            *count = found.len() as u64;
            Ok(())
        })
    }
}

/// Compares two label maps. A second map on another grid is brought to the first one's, each voxel to the nearest
/// in the patient's space. Free the list with `vxs_comparison_list_free`.
///
/// Returns a status from 101 to 106 for the arguments, `VXS_CANCELLED`. Any thread.
///
/// # Safety
/// `first` and `second` are NULL or filled structures whose buffers are valid for their stated sizes; `options` is NULL
/// (defaults) or a filled structure; `list` is NULL or writable; `error` is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vxs_compare(
    first: *const vxs_volume,
    second: *const vxs_volume,
    options: *const vxs_compare_options,
    list: *mut *mut vxs_comparison_list,
    error: *mut *mut vxs_error,
) -> vxs_status {
    // SAFETY: passed on; the readers rule NULL out.
    unsafe {
        boundary(error, || {
            let [first, second] = [volume::borrow(first)?, volume::borrow(second)?];
            let options = read_or_default(options, "options")?;
            let list = output(list, "list")?;
            if !(options.tolerance >= 0.0 && options.tolerance.is_finite()) {
                return Err(Error::argument("options.tolerance", options.tolerance, "millimetres from 0"));
            }
            if options.reserved != 0 {
                return Err(Error::argument("options.reserved", options.reserved, "0"));
            }
            let pair = |&vxs_label_pair { first, second }: &vxs_label_pair| Pair { first, second };
            let pairs = if options.pairs.is_null() {
                None
            } else {
                Some(array(options.pairs, options.pair_count, "options.pairs")?.iter().map(pair).collect())
            };
            let (_entered, threads) = measure::enter(options.threads, options.executor)?;
            let tolerance = flag(options.surfaces, "options.surfaces")?.then_some(options.tolerance);
            let wanted = CompareOptions { pairs, tolerance, threads };
            let mut run = progress::run(options.progress, options.user_data, options.cancel);
            let found = compare(&first, &second, &wanted, &mut run)?;
            *list = Box::into_raw(Box::new(vxs_comparison_list(found)));
            Ok(())
        })
    }
}

/// Number of comparisons; 0 for NULL. Any thread.
///
/// # Safety
/// `list` is NULL or a live list.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vxs_comparison_list_count(list: *const vxs_comparison_list) -> u64 {
    // SAFETY: NULL or live, by the caller's guarantee.
    getter(0, || unsafe { list.as_ref() }.map_or(0, |list| list.0.len() as u64))
}

/// Tells one comparison, in the order of the pairs that were asked for, or of the first map's values.
///
/// Returns `VXS_INVALID_ARGUMENT` for an index past the end. Any thread.
///
/// # Safety
/// `list` is NULL or a live list; `comparison` is NULL or was filled by `vxs_comparison_init`; `error` is NULL or
/// writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vxs_comparison_list_get(
    list: *const vxs_comparison_list,
    index: u64,
    comparison: *mut vxs_comparison,
    error: *mut *mut vxs_error,
) -> vxs_status {
    // SAFETY: passed on; `reference` and `write` rule NULL out.
    unsafe {
        boundary(error, || {
            let found = at(&reference(list, "list")?.0, index)?;
            let distance = |of: fn(&crate::metrics::SurfaceDistances) -> f64| {
                found.surface.as_ref().map_or(f64::NAN, of)
            };
            let filled = vxs_comparison {
                surfaces: found.surface.is_some().into(),
                pair: vxs_label_pair { first: found.pair.first, second: found.pair.second },
                voxels: found.voxels,
                both: found.both,
                milliliters: found.milliliters,
                dice: found.dice().unwrap_or(f64::NAN),
                hausdorff: distance(|surface| surface.hausdorff),
                hausdorff_95: distance(|surface| surface.hausdorff_95),
                mean_distance: distance(|surface| surface.mean),
                surface_dice: distance(|surface| surface.dice),
                ..vxs_comparison::defaults()
            };
            write(comparison, filled, "comparison")
        })
    }
}

/// Frees a list. NULL is fine. Any thread.
///
/// # Safety
/// `list` is NULL or a live list that no other call uses.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vxs_comparison_list_free(list: *mut vxs_comparison_list) {
    // SAFETY: by the caller's guarantee.
    unsafe { free(list) };
}
