//! Numbers about labels: what a label map says about an image.

use std::ffi::c_void;
use std::ptr::null;

use super::args::{Growable, init, output, read_or_default, reference, write};
use super::boundary::{boundary, getter};
use super::cancel::vxs_cancel;
use super::error::{vxs_error, vxs_status};
use super::segment::{self, vxs_progress_callback};
use super::volume::{self, vxs_volume};
use crate::error::{Error, Result};
use crate::metrics::{Intensities, LabelStatistics, statistics};
use crate::progress::Run;

/// How to measure labels. Fill it by `vxs_measure_options_init` first.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct vxs_measure_options {
    /// Set by `vxs_measure_options_init`.
    pub struct_size: u32,
    /// Threads that work, the calling one included. 0 (default): all processors of this process.
    pub threads: u32,
    /// For statistics: which of the image's channels. 0 by default.
    pub channel: u64,
    /// NULL by default. It is called on the thread that called, and returns 0 to go on.
    pub progress: vxs_progress_callback,
    /// Passed to `progress`.
    pub user_data: *mut c_void,
    /// A flag that stops the work; NULL (default) for none.
    pub cancel: *const vxs_cancel,
}

// SAFETY: repr(C), starts with struct_size; integers and raw pointers accept any bits, and an all-zero
// callback is None. A non-zero one is the caller's function by contract.
unsafe impl Growable for vxs_measure_options {
    const FIRST_SIZE: usize = size_of::<Self>();

    fn defaults() -> Self {
        vxs_measure_options {
            struct_size: size_of::<Self>() as u32,
            threads: 0,
            channel: 0,
            progress: None,
            user_data: std::ptr::null_mut(),
            cancel: null(),
        }
    }
}

impl vxs_measure_options {
    pub(super) fn threads(&self) -> Result<usize> {
        threads(self.threads)
    }

    /// # Safety
    /// The cancel flag is NULL or live, the callback follows its contract, both as long as the run.
    pub(super) unsafe fn run(&self) -> Run<'static> {
        // SAFETY: by the caller's guarantee.
        unsafe { segment::run(self.cancel, self.progress, self.user_data) }
    }
}

/// Of options of this file's and others'.
pub(super) fn threads(wanted: u32) -> Result<usize> {
    match wanted {
        0 => Ok(std::thread::available_parallelism().map_or(1, usize::from)),
        1..=1024 => Ok(wanted as usize),
        other => Err(Error::argument("options.threads", other, "0 to 1024")),
    }
}

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
    const FIRST_SIZE: usize = size_of::<Self>();

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

/// Writes the defaults; `size` is `sizeof(vxs_measure_options)` as the caller's header has it.
///
/// # Safety
/// `options` is NULL or valid for writes of `size` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vxs_measure_options_init(
    options: *mut vxs_measure_options,
    size: u64,
) -> vxs_status {
    // SAFETY: passed on.
    unsafe { boundary(std::ptr::null_mut(), || init(options, size, "options")) }
}

/// Writes the defaults; `size` is `sizeof(vxs_label_statistics)` as the caller's header has it.
///
/// # Safety
/// `statistics` is NULL or valid for writes of `size` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vxs_label_statistics_init(
    statistics: *mut vxs_label_statistics,
    size: u64,
) -> vxs_status {
    // SAFETY: passed on.
    unsafe { boundary(std::ptr::null_mut(), || init(statistics, size, "statistics")) }
}

/// Measures each label but 0 that occurs in a label map, a volume with one channel of an integer type, and the
/// intensities of an image on the same grid. The numbers are TotalSegmentator's where it has them, and don't depend on
/// the number of threads. Free the list with `vxs_statistics_list_free`. Any thread.
///
/// # Safety
/// `labels` is NULL or a filled structure whose buffers are valid for their stated sizes, `image` likewise, where NULL
/// stands for no image; `options` is NULL (defaults) or a filled structure; `list` is NULL or writable; `error` is NULL
/// or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vxs_statistics(
    labels: *const vxs_volume,
    image: *const vxs_volume,
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
            let channel = usize::try_from(options.channel).unwrap_or(usize::MAX);
            let image = image.as_ref().map(|image| (image, channel));
            let found = statistics(&labels, image, options.threads()?, &mut options.run())?;
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

/// Tells the statistics of one label, in ascending order of their values. Any thread.
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

/// Frees a list. NULL is fine.
///
/// # Safety
/// `list` is NULL or a live list that no other call uses.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vxs_statistics_list_free(list: *mut vxs_statistics_list) {
    if !list.is_null() {
        // SAFETY: made by `Box::into_raw`, freed once by the caller's guarantee.
        drop(unsafe { Box::from_raw(list) });
    }
}

/// An entry of a list.
pub(super) fn at<T>(list: &[T], index: u64) -> Result<&T> {
    let found = usize::try_from(index).ok().and_then(|index| list.get(index));
    found.ok_or_else(|| Error::argument("index", index, format!("less than {}", list.len())))
}
