//! The caller's buffer for the labels.

use std::ffi::c_void;
use std::sync::Arc;

use super::args::{Growable, init, read};
use super::boundary::boundary;
use super::error::vxs_status;
use super::on_device;
use super::volume::{dtype, layout, vxs_dtype};
use crate::engine::Machine;
use crate::error::{Error, Result};
use crate::labels::LabelBuffer;
use crate::volume::Geometry;

/// Where the labels go: the caller's own buffer, on the volume's grid, so without a shape of its own. It is
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
            dtype: super::volume::VXS_DTYPE_U8,
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
