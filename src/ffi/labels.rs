//! The caller's buffer for the labels.

use std::ffi::c_void;
use std::sync::Arc;

use super::args::{Growable, init, read, read_or_default};
use super::boundary::boundary;
use super::error::{vxs_error, vxs_status};
use super::on_device;
use super::statistics::vxs_measure_options;
use super::volume::{self, dtype, layout, vxs_dtype, vxs_volume};
use crate::error::{Error, Result};
use crate::inference::Machine;
use crate::labels::LabelBuffer;
use crate::metrics::write_labels_on_grid;
use crate::volume::Geometry;

/// Where the labels go: the caller's own buffer, on a grid that the call knows (the volume's), so without a shape of its
/// own. It is
/// written whole, or, on any error or cancel, not at all. Fill it by `vxs_labels_init` first.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct vxs_labels {
    /// Set by `vxs_labels_init`.
    pub struct_size: u32,
    /// An integer `VXS_DTYPE_*` that holds every label value of the model. `VXS_DTYPE_U8` by default.
    pub dtype: vxs_dtype,
    /// The buffer.
    pub data: *mut c_void,
    /// Its size in bytes. Nothing outside is written.
    pub data_size: u64,
    /// As in `vxs_volume`. All zero (default): axis 0 is the fastest, dense.
    pub strides: [i64; 3],
    /// Where the label of voxel (0, 0, 0) lies, in bytes. 0 by default.
    pub offset: u64,
    /// `VXS_LABELS_*` together, or 0 (default).
    pub flags: u32,
    /// Must be 0.
    pub reserved: u32,
}

/// Flag of labels for a plan on CUDA or TensorRT: `data` lies in the memory of the plan's GPU. What was queued there before
/// the call is waited for, and the labels are there when it returns.
pub const VXS_LABELS_ON_DEVICE: u32 = 1;

// SAFETY: repr(C), starts with struct_size; integers and raw pointers accept any bits.
unsafe impl Growable for vxs_labels {
    const FIRST_SIZE: usize = std::mem::offset_of!(Self, flags);

    fn defaults() -> Self {
        vxs_labels {
            struct_size: size_of::<Self>() as u32,
            dtype: volume::VXS_DTYPE_U8,
            data: std::ptr::null_mut(),
            data_size: 0,
            strides: [0; 3],
            offset: 0,
            flags: 0,
            reserved: 0,
        }
    }
}

/// Writes the defaults; `size` is `sizeof(vxs_labels)` as the caller's header has it.
///
/// # Safety
/// `labels` is NULL or valid for writes of `size` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vxs_labels_init(labels: *mut vxs_labels, size: u64) -> vxs_status {
    // SAFETY: passed on.
    unsafe { boundary(std::ptr::null_mut(), || init(labels, size, "labels")) }
}

/// The caller's label buffer, or a copy of it where it lies on a device.
pub(super) enum Place {
    /// Memory of the host.
    Host(vxs_labels),
    /// Memory of a device.
    Device(vxs_labels, on_device::Target, Vec<u8>),
}

impl Place {
    /// # Safety
    /// `labels` is NULL or a filled structure; a buffer of a device is memory there.
    pub(super) unsafe fn new(
        labels: *const vxs_labels,
        machine: impl FnOnce(&'static str) -> Result<Arc<dyn Machine>>,
    ) -> Result<Self> {
        // SAFETY: by the caller's guarantee.
        let labels = unsafe { read(labels, "labels") }?;
        if labels.flags & !VXS_LABELS_ON_DEVICE != 0 {
            return Err(Error::argument("labels.flags", labels.flags, "flags of VXS_LABELS_*"));
        }
        if labels.reserved != 0 {
            return Err(Error::argument("labels.reserved", labels.reserved, "0"));
        }
        if labels.flags == 0 {
            return Ok(Place::Host(labels));
        }
        let machine = machine("labels.flags")?;
        let (target, bytes) = on_device::Target::new(machine, labels.data, labels.data_size, "labels.data")?;
        Ok(Place::Device(labels, target, bytes))
    }

    /// Borrows it.
    ///
    /// # Safety
    /// A buffer of the host is valid for writes of `data_size` bytes for `'a`, with nothing else referring to it.
    pub(super) unsafe fn borrow<'a>(&'a mut self, grid: &Geometry) -> Result<LabelBuffer<'a>> {
        let labels = match self {
            Place::Host(labels) | Place::Device(labels, ..) => *labels,
        };
        let dtype = dtype(labels.dtype, "labels.dtype")?;
        let layout = layout(grid.shape, dtype, labels.strides, labels.offset)?;
        let bytes = match self {
            Place::Host(_) => {
                // SAFETY: by the caller's guarantee.
                unsafe { writable(&labels) }?
            }
            Place::Device(_, _, bytes) => bytes,
        };
        LabelBuffer::new(grid, dtype, layout, bytes)
    }

    /// Brings a copy to where it belongs.
    pub(super) fn finish(&self) -> Result<()> {
        match self {
            Place::Host(_) => Ok(()),
            Place::Device(_, target, bytes) => target.put(bytes),
        }
    }
}

/// # Safety
/// The buffer is valid for writes of `data_size` bytes for `'a`, with nothing else referring to it.
unsafe fn writable<'a>(labels: &vxs_labels) -> Result<&'a mut [u8]> {
    if labels.data.is_null() {
        return Err(Error::NullPointer { argument: "labels.data" });
    }
    let size = usize::try_from(labels.data_size).ok().filter(|&size| size <= isize::MAX as usize);
    let Some(size) = size else {
        return Err(Error::argument("labels.data_size", labels.data_size, "a size that fits into memory"));
    };
    // SAFETY: not NULL; valid and unaliased for `data_size` bytes by the caller's guarantee.
    Ok(unsafe { std::slice::from_raw_parts_mut(labels.data.cast::<u8>(), size) })
}

/// Brings a label map to another grid, in patient space, such as that of a dose: each voxel of `grid` gets the label of
/// the voxel that its centre lies in, 0 outside. Of `grid` only the grid is looked at, its buffers may be NULL, so that
/// the dose volume itself will do. `out` is a buffer on it whose type is that of `labels`; on an error it is untouched.
/// Of the options `threads` counts. Any thread.
///
/// # Safety
/// `labels` and `grid` are NULL or filled structures, the buffers of `labels` valid for their stated sizes; `out` is
/// NULL or a filled structure whose buffer is valid for writes and overlaps no other; `options` is NULL (defaults) or a
/// filled structure; `error` is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vxs_labels_on_grid(
    labels: *const vxs_volume,
    grid: *const vxs_volume,
    out: *const vxs_labels,
    options: *const vxs_measure_options,
    error: *mut *mut vxs_error,
) -> vxs_status {
    // SAFETY: passed on; the readers rule NULL out.
    unsafe {
        boundary(error, || {
            let labels = volume::borrow(labels)?;
            let (grid, ..) = volume::geometry(&read(grid, "grid")?)?;
            let elsewhere = |argument| {
                let expected = "memory of the host, for this function";
                Err(Error::argument(argument, "VXS_LABELS_ON_DEVICE", expected))
            };
            let mut place = Place::new(out, elsewhere)?;
            let mut out = place.borrow(&grid)?;
            let threads = read_or_default(options, "options")?.threads()?;
            write_labels_on_grid(&labels, &grid, &mut out, threads)
        })
    }
}
