//! The dose that each label receives: mean and extremes, dose at volume (D95) and volume at dose (V20).

use std::ptr::null_mut;

use super::args::{Growable, array, at, init, output, read_or_default, reference, write};
use super::boundary::{boundary, free, getter};
use super::error::{vxs_error, vxs_status};
use super::measure::vxs_measure_options;
use super::volume::{self, vxs_volume};
use crate::error::{Error, Result};
use crate::metrics::LabelDose;

/// The dose in a label, in the unit of the dose volume. Fill it by `vxs_label_dose_init` first.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct vxs_label_dose {
    /// Set by `vxs_label_dose_init`.
    pub struct_size: u32,
    /// The label.
    pub label: u32,
    /// Voxels that have it.
    pub voxels: u64,
    /// Those of them that lie outside of the dose volume and count as a dose of 0.
    pub outside: u64,
    /// The mean dose.
    pub mean: f64,
    /// The smallest dose.
    pub min: f64,
    /// The largest dose.
    pub max: f64,
}

// SAFETY: repr(C), starts with struct_size; integers and floats accept any bits.
unsafe impl Growable for vxs_label_dose {
    fn defaults() -> Self {
        let struct_size = size_of::<Self>() as u32;
        vxs_label_dose { struct_size, label: 0, voxels: 0, outside: 0, mean: 0.0, min: 0.0, max: 0.0 }
    }
}

/// The doses of a map's labels.
pub struct vxs_dose_list(Vec<LabelDose>);

/// Writes the defaults. `size` is `sizeof(vxs_label_dose)` as the caller's header has it.
///
/// Returns `VXS_STRUCT_SIZE` for a size that no version has. Any thread.
///
/// # Safety
/// `dose` is NULL or valid for writes of `size` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vxs_label_dose_init(dose: *mut vxs_label_dose, size: u64) -> vxs_status {
    // SAFETY: passed on.
    unsafe { boundary(null_mut(), || init(dose, size, "dose")) }
}

/// Measures the dose that each label but 0 receives: `dose`, a volume with one channel on any grid, sampled
/// trilinearly in the patient's space at the centres of the label's voxels. Its outermost voxels reach half a voxel
/// further than their centres. Free the list with `vxs_dose_list_free`.
///
/// Returns a status from 101 to 107 for the arguments, `VXS_CANCELLED`. Any thread.
///
/// # Safety
/// `labels` and `dose` are NULL or filled structures whose buffers are valid for their stated sizes; `options` is NULL
/// (defaults) or a filled structure; `list` is NULL or writable; `error` is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vxs_dose(
    labels: *const vxs_volume,
    dose: *const vxs_volume,
    options: *const vxs_measure_options,
    list: *mut *mut vxs_dose_list,
    error: *mut *mut vxs_error,
) -> vxs_status {
    // SAFETY: passed on; the readers rule NULL out.
    unsafe {
        boundary(error, || {
            let [labels, field] = [volume::borrow(labels)?, volume::borrow(dose)?];
            let options = read_or_default(options, "options")?;
            let list = output(list, "list")?;
            let (_entered, threads) = options.enter()?;
            let found = crate::metrics::dose(&labels, &field, threads, &mut options.run())?;
            *list = Box::into_raw(Box::new(vxs_dose_list(found)));
            Ok(())
        })
    }
}

/// Number of labels that occur; 0 for NULL. Any thread.
///
/// # Safety
/// `list` is NULL or a live list.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vxs_dose_list_count(list: *const vxs_dose_list) -> u64 {
    // SAFETY: NULL or live, by the caller's guarantee.
    getter(0, || unsafe { list.as_ref() }.map_or(0, |list| list.0.len() as u64))
}

/// Tells the dose of one label, in ascending order of their values.
///
/// Returns `VXS_INVALID_ARGUMENT` for an index past the end. Any thread.
///
/// # Safety
/// `list` is NULL or a live list; `dose` is NULL or was filled by `vxs_label_dose_init`; `error` is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vxs_dose_list_get(
    list: *const vxs_dose_list,
    index: u64,
    dose: *mut vxs_label_dose,
    error: *mut *mut vxs_error,
) -> vxs_status {
    // SAFETY: passed on; `reference` and `write` rule NULL out.
    unsafe {
        boundary(error, || {
            let found = at(&reference(list, "list")?.0, index)?;
            let filled = vxs_label_dose {
                label: found.label,
                voxels: found.voxels(),
                outside: found.outside,
                mean: found.mean,
                min: found.min(),
                max: found.max(),
                ..vxs_label_dose::defaults()
            };
            write(dose, filled, "dose")
        })
    }
}

/// D95, D2 and so on of one label: for each of `percents`, 0 to 100, writes the dose that this part of it receives
/// at least, which is a percentile of its voxels' doses, between two of them by linear interpolation. `doses` has
/// room for `count` values, and may be the same array.
///
/// Returns `VXS_INVALID_ARGUMENT` for an index past the end and for other per cents. Any thread.
///
/// # Safety
/// `list` is NULL or a live list; `percents` and `doses` hold `count` values; `error` is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vxs_dose_list_dose_at_volume(
    list: *const vxs_dose_list,
    index: u64,
    percents: *const f64,
    count: u64,
    doses: *mut f64,
    error: *mut *mut vxs_error,
) -> vxs_status {
    // SAFETY: passed on.
    unsafe {
        boundary(error, || {
            let found = at(&reference(list, "list")?.0, index)?;
            let given = array(percents, count, "percents")?;
            if let Some(percent) = given.iter().find(|percent| !(0.0..=100.0).contains(*percent)) {
                return Err(Error::argument("percents", percent, "0 to 100"));
            }
            fill(doses, "doses", percents, given.len(), |percent| found.dose_to(percent))
        })
    }
}

/// V20 and so on of one label, or its cumulative dose-volume histogram: for each of `doses` writes the share of the
/// label, 0 to 1, that receives at least that dose. `shares` has room for `count` values, and may be the same array.
///
/// Returns `VXS_INVALID_ARGUMENT` for an index past the end. Any thread.
///
/// # Safety
/// `list` is NULL or a live list; `doses` and `shares` hold `count` values; `error` is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vxs_dose_list_volume_at_dose(
    list: *const vxs_dose_list,
    index: u64,
    doses: *const f64,
    count: u64,
    shares: *mut f64,
    error: *mut *mut vxs_error,
) -> vxs_status {
    // SAFETY: passed on.
    unsafe {
        boundary(error, || {
            let found = at(&reference(list, "list")?.0, index)?;
            let given = array(doses, count, "doses")?;
            fill(shares, "shares", doses, given.len(), |dose| found.share_at(dose))
        })
    }
}

/// # Safety
/// `values` holds `count` of them; `results` is NULL or has room for as many, and may be the same array.
unsafe fn fill(
    results: *mut f64,
    argument: &'static str,
    values: *const f64,
    count: usize,
    result: impl Fn(f64) -> f64,
) -> Result<()> {
    if results.is_null() && count > 0 {
        return Err(Error::NullPointer { argument });
    }
    for index in 0..count {
        // SAFETY: not NULL, and within the arrays by the caller's guarantee. Nothing refers to either.
        unsafe { results.add(index).write(result(values.add(index).read())) };
    }
    Ok(())
}

/// Frees a list. NULL is fine. Any thread.
///
/// # Safety
/// `list` is NULL or a live list that no other call uses.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vxs_dose_list_free(list: *mut vxs_dose_list) {
    // SAFETY: by the caller's guarantee.
    unsafe { free(list) };
}
