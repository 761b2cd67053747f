//! Where `vxs_segment` writes labels: a buffer of the caller's, one label a voxel. It is written whole, or, on any
//! error or cancel, not at all; unless the run's options ask for labels as they come.

use std::ffi::c_void;
use std::ptr::null_mut;
use std::sync::Arc;

use super::args::{Growable, buffer, init, read};
use super::boundary::boundary;
use super::error::vxs_status;
use super::on_device;
use super::volume::{self, dtype, layout, vxs_dtype};
use crate::error::{Error, Result};
use crate::inference::Backend;
use crate::labels::LabelBuffer;
use crate::volume::{Box3, Geometry};

/// `VXS_LABELS_*` together.
pub type vxs_labels_flags = u64;

/// For a plan on CUDA or TensorRT: `data` lies in the memory of the plan's GPU. What was queued there before
/// the call is waited for, and the labels are there when it returns.
pub const VXS_LABELS_ON_DEVICE: u64 = 1;

/// Where the labels go. It has no shape of its own: the call knows the grid. Fill it by `vxs_labels_init` first.
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
    /// 0 by default.
    pub flags: vxs_labels_flags,
}

// SAFETY: repr(C), starts with struct_size; integers and raw pointers accept any bits.
unsafe impl Growable for vxs_labels {
    fn defaults() -> Self {
        vxs_labels {
            struct_size: size_of::<Self>() as u32,
            dtype: volume::VXS_DTYPE_U8,
            data: null_mut(),
            data_size: 0,
            strides: [0; 3],
            offset: 0,
            flags: 0,
        }
    }
}

/// Writes the defaults. `size` is `sizeof(vxs_labels)` as the caller's header has it.
///
/// Returns `VXS_STRUCT_SIZE` for a size that no version has. Any thread.
///
/// # Safety
/// `labels` is NULL or valid for writes of `size` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vxs_labels_init(labels: *mut vxs_labels, size: u64) -> vxs_status {
    // SAFETY: passed on.
    unsafe { boundary(null_mut(), || init(labels, size, "labels")) }
}

/// The caller's label buffer, or a copy of it where it lies on a device.
pub(super) enum Destination {
    /// Memory of the host.
    Host(vxs_labels),
    /// Memory of a device.
    Device(vxs_labels, on_device::Target, Vec<u8>),
}

impl Destination {
    /// # Safety
    /// `labels` is NULL or a filled structure; a buffer of a device is memory there.
    pub(super) unsafe fn new(
        labels: *const vxs_labels,
        machine: impl FnOnce(&'static str) -> Result<Arc<dyn Backend>>,
    ) -> Result<Self> {
        // SAFETY: by the caller's guarantee.
        let labels = unsafe { read(labels, "labels") }?;
        if labels.flags & !VXS_LABELS_ON_DEVICE != 0 {
            return Err(Error::argument("labels.flags", labels.flags, "flags of VXS_LABELS_*"));
        }
        if labels.flags == 0 {
            return Ok(Destination::Host(labels));
        }
        let machine = machine("labels.flags")?;
        let (target, bytes) = on_device::Target::new(machine, labels.data, labels.data_size, "labels.data")?;
        Ok(Destination::Device(labels, target, bytes))
    }

    /// Whether it lies on a device.
    pub(super) fn is_on_device(&self) -> bool {
        matches!(self, Destination::Device(..))
    }

    /// Borrows it, as the buffer of a part of the grid.
    ///
    /// # Safety
    /// A buffer of the host is valid for writes of `data_size` bytes for `'a`, with nothing else referring to it.
    pub(super) unsafe fn borrow<'a>(&'a mut self, grid: &Geometry, part: Box3) -> Result<LabelBuffer<'a>> {
        let labels = match self {
            Destination::Host(labels) | Destination::Device(labels, ..) => *labels,
        };
        let dtype = dtype(labels.dtype, "labels.dtype")?;
        let layout = layout(part.shape(), dtype, labels.strides, labels.offset)?;
        let bytes = match self {
            Destination::Host(_) => {
                // SAFETY: by the caller's guarantee.
                unsafe { buffer(labels.data, labels.data_size, ["labels.data", "labels.data_size"]) }?
            }
            Destination::Device(_, _, bytes) => bytes,
        };
        LabelBuffer::of_part(grid, part, dtype, layout, bytes)
    }

    /// Brings a copy to where it belongs.
    pub(super) fn finish(&self) -> Result<()> {
        match self {
            Destination::Host(_) => Ok(()),
            Destination::Device(_, target, bytes) => target.put(bytes),
        }
    }
}
