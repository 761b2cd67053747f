//! What a run can tell of each voxel beside its label: probabilities, and how certain they are. The buffers are the
//! caller's. Options of a run take maps; tasks have none.

use std::ffi::c_void;
use std::ptr::null_mut;

use super::args::{Growable, array, buffer, init, read};
use super::boundary::boundary;
use super::error::vxs_status;
use super::volume::{VXS_DTYPE_F32, dtype, layout, vxs_dtype};
use crate::error::{Error, Result};
use crate::restore::{Map, MapBuffer};
use crate::volume::{Box3, Geometry};

/// What a map tells of each voxel: one of `VXS_MAP_*`.
pub type vxs_map_kind = i32;

/// The probability of one of the model's labels, in `VXS_DTYPE_F32` or `VXS_DTYPE_F16`. Outside of the part of the
/// volume that the network saw it is 1 for the background and 0 for all others.
pub const VXS_MAP_PROBABILITY: i32 = 1;
/// By how many thousandths the highest probability is over the second highest, at most 255, in `VXS_DTYPE_U8`. For
/// models whose classes overlap: twice the distance of the nearest region's probability from one half. 255
/// outside.
pub const VXS_MAP_MARGIN: i32 = 2;
/// The entropy of the probabilities in nats, in `VXS_DTYPE_F32` or `VXS_DTYPE_F16`; for models whose classes overlap
/// the sum of each region's. 0 outside.
pub const VXS_MAP_ENTROPY: i32 = 3;

/// A map that a run fills: the caller's own buffer, on the volume's grid. Maps are about what the network says,
/// before any postprocessing. After a run that fails they are as they were, or all zero. Fill it by
/// `vxs_map_init` first.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct vxs_map {
    /// Set by `vxs_map_init`.
    pub struct_size: u32,
    /// `VXS_MAP_PROBABILITY` by default.
    pub kind: vxs_map_kind,
    /// For `VXS_MAP_PROBABILITY`: which label.
    pub label: u32,
    /// `VXS_DTYPE_F32` by default.
    pub dtype: vxs_dtype,
    /// The buffer. It overlaps no other buffer of the run.
    pub data: *mut c_void,
    /// Its size in bytes. Nothing outside is written.
    pub data_size: u64,
    /// As in `vxs_volume`. All zero (default): axis 0 is the fastest, dense.
    pub strides: [i64; 3],
    /// Where the value of voxel (0, 0, 0) lies, in bytes. 0 by default.
    pub offset: u64,
}

// SAFETY: repr(C), starts with struct_size; integers and raw pointers accept any bits.
unsafe impl Growable for vxs_map {
    fn defaults() -> Self {
        vxs_map {
            struct_size: size_of::<Self>() as u32,
            kind: VXS_MAP_PROBABILITY,
            label: 0,
            dtype: VXS_DTYPE_F32,
            data: null_mut(),
            data_size: 0,
            strides: [0; 3],
            offset: 0,
        }
    }
}

/// Writes the defaults. `size` is `sizeof(vxs_map)` as the caller's header has it.
///
/// Returns `VXS_STRUCT_SIZE` for a size that no version has. Any thread.
///
/// # Safety
/// `map` is NULL or valid for writes of `size` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vxs_map_init(map: *mut vxs_map, size: u64) -> vxs_status {
    // SAFETY: passed on.
    unsafe { boundary(null_mut(), || init(map, size, "map")) }
}

/// Borrows the caller's maps, as buffers of a part of the grid.
///
/// # Safety
/// `maps` is NULL or holds `count` pointers, each NULL or to a filled structure whose buffer is valid for writes
/// of `data_size` bytes for `'a`, with nothing else referring to it.
pub(super) unsafe fn borrow<'a>(
    maps: *const *const vxs_map,
    count: u64,
    grid: &Geometry,
    part: Box3,
) -> Result<Vec<MapBuffer<'a>>> {
    // SAFETY: by the caller's guarantee.
    let maps = unsafe { array(maps, count, "options.maps") }?;
    // SAFETY: each is NULL or filled, by the caller's guarantee.
    maps.iter().map(|&map| unsafe { borrow_one(map, grid, part) }).collect()
}

/// # Safety
/// As for [`borrow`], for one of its maps.
unsafe fn borrow_one<'a>(map: *const vxs_map, grid: &Geometry, part: Box3) -> Result<MapBuffer<'a>> {
    // SAFETY: by the caller's guarantee.
    let map = unsafe { read(map, "options.maps") }?;
    let kind = match map.kind {
        VXS_MAP_PROBABILITY => {
            let label = u16::try_from(map.label);
            Map::Probability(
                label.map_err(|_| Error::argument("map.label", map.label, "one of the model's labels"))?,
            )
        }
        VXS_MAP_MARGIN => Map::Margin,
        VXS_MAP_ENTROPY => Map::Entropy,
        other => return Err(Error::argument("map.kind", other, "one of VXS_MAP_*")),
    };
    let dtype = dtype(map.dtype, "map.dtype")?;
    let layout = layout(part.shape(), dtype, map.strides, map.offset)?;
    // SAFETY: valid and unaliased for `data_size` bytes by the caller's guarantee.
    let bytes = unsafe { buffer(map.data, map.data_size, ["map.data", "map.data_size"]) }?;
    MapBuffer::of_part(kind, grid, part, dtype, layout, bytes)
}
