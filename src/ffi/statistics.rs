//! Size, place and surface of each label, and the intensities of an image under it.

use std::ptr::null_mut;

use super::args::{Growable, at, init, output, read_or_default, reference, write};
use super::boundary::{boundary, free, getter};
use super::error::{vxs_error, vxs_status};
use super::measure::vxs_measure_options;
use super::volume::{self, vxs_volume};
use crate::metrics::{Intensities, LabelStatistics, statistics};

/// Size, place and intensities of a label. Fill it by `vxs_label_statistics_init` first.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct vxs_label_statistics {
    /// Set by `vxs_label_statistics_init`.
    pub struct_size: u32,
    /// The label.
    pub label: u32,
    /// Voxels that have it.
    pub voxels: u64,
    /// Their volume in millilitres.
    pub milliliters: f64,
    /// The area of its surface in square millimetres.
    pub surface_area: f64,
    /// The first voxel along each axis.
    pub first: [u64; 3],
    /// The last voxel along each axis.
    pub last: [u64; 3],
    /// The mean of its voxels' indices.
    pub centroid_index: [f64; 3],
    /// The mean of its voxels' positions in millimetres, in LPS coordinates.
    pub centroid: [f64; 3],
    /// Voxels between it and the nearest face of the grid: 0 where the field of view may cut it.
    pub margin: u64,
    /// The mean of the image's intensities in it; NaN without an image, as the following.
    pub mean: f64,
    /// Their standard deviation, over n.
    pub std: f64,
    /// The one in the middle, or the mean of the two there.
    pub median: f64,
    /// The smallest one.
    pub min: f64,
    /// The largest one.
    pub max: f64,
}

// SAFETY: repr(C), starts with struct_size; integers and floats accept any bits.
unsafe impl Growable for vxs_label_statistics {
    fn defaults() -> Self {
        vxs_label_statistics {
            struct_size: size_of::<Self>() as u32,
            label: 0,
            voxels: 0,
            milliliters: 0.0,
            surface_area: 0.0,
            first: [0; 3],
            last: [0; 3],
            centroid_index: [f64::NAN; 3],
            centroid: [f64::NAN; 3],
            margin: 0,
            mean: f64::NAN,
            std: f64::NAN,
            median: f64::NAN,
            min: f64::NAN,
            max: f64::NAN,
        }
    }
}

/// The statistics of a map's labels.
pub struct vxs_statistics_list(Vec<LabelStatistics>);

/// Writes the defaults. `size` is `sizeof(vxs_label_statistics)` as the caller's header has it.
///
/// Returns `VXS_STRUCT_SIZE` for a size that no version has. Any thread.
///
/// # Safety
/// `statistics` is NULL or valid for writes of `size` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vxs_label_statistics_init(
    statistics: *mut vxs_label_statistics,
    size: u64,
) -> vxs_status {
    // SAFETY: passed on.
    unsafe { boundary(null_mut(), || init(statistics, size, "statistics")) }
}

/// Measures each label but 0 that occurs in a label map, and the intensities of channel `channel` of an image on
/// the same grid; `image` may be NULL. The numbers are TotalSegmentator's where it has them. Free the list with
/// `vxs_statistics_list_free`.
///
/// Returns a status from 101 to 107 for the arguments, `VXS_CANCELLED`. Any thread.
///
/// # Safety
/// `labels` is NULL or a filled structure whose buffers are valid for their stated sizes, `image` likewise, where NULL
/// stands for no image; `options` is NULL (defaults) or a filled structure; `list` is NULL or writable; `error` is NULL
/// or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vxs_statistics(
    labels: *const vxs_volume,
    image: *const vxs_volume,
    channel: u64,
    options: *const vxs_measure_options,
    list: *mut *mut vxs_statistics_list,
    error: *mut *mut vxs_error,
) -> vxs_status {
    // SAFETY: passed on; the readers rule NULL out.
    unsafe {
        boundary(error, || {
            let labels = volume::borrow(labels)?;
            let image = if image.is_null() { None } else { Some(volume::borrow(image)?) };
            let options = read_or_default(options, "options")?;
            let list = output(list, "list")?;
            let channel = usize::try_from(channel).unwrap_or(usize::MAX);
            let image = image.as_ref().map(|image| (image, channel));
            let (_entered, threads) = options.enter()?;
            let found = statistics(&labels, image, threads, &mut options.run())?;
            *list = Box::into_raw(Box::new(vxs_statistics_list(found)));
            Ok(())
        })
    }
}

/// Number of labels that occur; 0 for NULL. Any thread.
///
/// # Safety
/// `list` is NULL or a live list.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vxs_statistics_list_count(list: *const vxs_statistics_list) -> u64 {
    // SAFETY: NULL or live, by the caller's guarantee.
    getter(0, || unsafe { list.as_ref() }.map_or(0, |list| list.0.len() as u64))
}

/// Tells the statistics of one label, in ascending order of their values.
///
/// Returns `VXS_INVALID_ARGUMENT` for an index past the end. Any thread.
///
/// # Safety
/// `list` is NULL or a live list; `statistics` is NULL or was filled by `vxs_label_statistics_init`; `error` is NULL or
/// writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vxs_statistics_list_get(
    list: *const vxs_statistics_list,
    index: u64,
    statistics: *mut vxs_label_statistics,
    error: *mut *mut vxs_error,
) -> vxs_status {
    // SAFETY: passed on; `reference` and `write` rule NULL out.
    unsafe {
        boundary(error, || {
            let found = at(&reference(list, "list")?.0, index)?;
            let intensity = |of: fn(&Intensities) -> f64| found.intensities.as_ref().map_or(f64::NAN, of);
            let filled = vxs_label_statistics {
                label: found.label,
                voxels: found.voxels,
                milliliters: found.milliliters,
                surface_area: found.surface_area,
                first: found.first.map(|index| index as u64),
                last: found.last.map(|index| index as u64),
                centroid_index: found.centroid_index,
                centroid: found.centroid,
                margin: found.margin as u64,
                mean: intensity(|found| found.mean),
                std: intensity(|found| found.std),
                median: intensity(|found| found.median),
                min: intensity(|found| found.min),
                max: intensity(|found| found.max),
                ..vxs_label_statistics::defaults()
            };
            write(statistics, filled, "statistics")
        })
    }
}

/// Frees a list. NULL is fine. Any thread.
///
/// # Safety
/// `list` is NULL or a live list that no other call uses.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vxs_statistics_list_free(list: *mut vxs_statistics_list) {
    // SAFETY: by the caller's guarantee.
    unsafe { free(list) };
}
