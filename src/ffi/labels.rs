//! The caller's buffer for the labels.

use std::ffi::c_void;

use super::args::{Growable, init, read};
use super::boundary::boundary;
use super::error::vxs_status;
use super::volume::{dtype, layout, vxs_dtype};
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
}

// SAFETY: repr(C), starts with struct_size; integers and raw pointers accept any bits.
unsafe impl Growable for vxs_labels {
    const FIRST_SIZE: usize = size_of::<Self>();

    fn defaults() -> Self {
        vxs_labels {
            struct_size: size_of::<Self>() as u32,
            dtype: super::volume::VXS_DTYPE_U8,
            data: std::ptr::null_mut(),
            data_size: 0,
            strides: [0; 3],
            offset: 0,
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

/// Borrows the caller's label buffer.
///
/// # Safety
/// `labels` is NULL or a filled structure whose buffer is valid for writes of `data_size` bytes for `'a`,
/// with nothing else referring to it.
pub(super) unsafe fn borrow<'a>(labels: *const vxs_labels, grid: &Geometry) -> Result<LabelBuffer<'a>> {
    // SAFETY: by the caller's guarantee.
    let labels = unsafe { read(labels, "labels") }?;
    let dtype = dtype(labels.dtype, "labels.dtype")?;
    let layout = layout(grid.shape, dtype, labels.strides, labels.offset)?;
    if labels.data.is_null() {
        return Err(Error::NullPointer { argument: "labels.data" });
    }
    let size = usize::try_from(labels.data_size).ok().filter(|&size| size <= isize::MAX as usize);
    let Some(size) = size else {
        return Err(Error::argument("labels.data_size", labels.data_size, "a size that fits into memory"));
    };
    // SAFETY: not NULL; valid and unaliased for `data_size` bytes by the caller's guarantee.
    let bytes = unsafe { std::slice::from_raw_parts_mut(labels.data.cast::<u8>(), size) };
    LabelBuffer::new(grid, dtype, layout, bytes)
}
