//! An image in the caller's own memory: type, shape and strides of its voxels, and where they lie in the patient.
//! Axis 0 is the fastest by default, as in ITK, VTK, NIfTI and DICOM; strides describe any other order without a
//! copy.

use std::ffi::c_void;
use std::ptr::{null, null_mut};
use std::sync::Arc;

use super::args::{Growable, array, init, read};
use super::boundary::boundary;
use super::error::vxs_status;
use super::on_device;
use crate::error::{Error, Result};
use crate::inference::Backend;
use crate::volume::{DType, Geometry, Layout, Volume};

/// The type of a voxel: one of `VXS_DTYPE_*`, in the machine's byte order unless `VXS_VOLUME_SWAPPED` is set.
pub type vxs_dtype = i32;

/// 8-bit signed integer.
pub const VXS_DTYPE_I8: i32 = 1;
/// 8-bit unsigned integer.
pub const VXS_DTYPE_U8: i32 = 2;
/// 16-bit signed integer.
pub const VXS_DTYPE_I16: i32 = 3;
/// 16-bit unsigned integer.
pub const VXS_DTYPE_U16: i32 = 4;
/// 32-bit signed integer.
pub const VXS_DTYPE_I32: i32 = 5;
/// 32-bit unsigned integer.
pub const VXS_DTYPE_U32: i32 = 6;
/// IEEE half precision.
pub const VXS_DTYPE_F16: i32 = 7;
/// IEEE single precision.
pub const VXS_DTYPE_F32: i32 = 8;
/// IEEE double precision.
pub const VXS_DTYPE_F64: i32 = 9;

/// `VXS_VOLUME_*` together.
pub type vxs_volume_flags = u64;

/// Origin and direction are in RAS coordinates (NIfTI, Slicer) and not in LPS (DICOM, ITK).
pub const VXS_VOLUME_RAS: u64 = 1;
/// Voxels are in the other byte order than the machine's.
pub const VXS_VOLUME_SWAPPED: u64 = 2;
/// For `vxs_segment` with a plan on CUDA or TensorRT: the voxels (`data`, or what `channel_data` points to) lie in the
/// memory of the plan's GPU. What was queued there before the call is waited for. Preprocessing runs on the host, so
/// that they are copied there once.
pub const VXS_VOLUME_ON_DEVICE: u64 = 4;

/// An image to segment: one or several channels on one grid. The library only reads it, during the call that
/// it is passed to. Fill it by `vxs_volume_init` first.
///
/// The grid: voxel (i, j, k) lies at `origin + direction · (i·spacing[0], j·spacing[1], k·spacing[2])`, and
/// in memory at `data + offset + i·strides[0] + j·strides[1] + k·strides[2]`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct vxs_volume {
    /// Set by `vxs_volume_init`.
    pub struct_size: u32,
    /// Type of a voxel.
    pub dtype: vxs_dtype,
    /// The voxels. Not needed when `channel_data` is set.
    pub data: *const c_void,
    /// Size of the buffer at `data`, or of each buffer in `channel_data`, in bytes. Nothing outside is read.
    pub data_size: u64,
    /// Number of voxels along each axis.
    pub shape: [u64; 3],
    /// Distance in bytes between neighbours along each axis, negative when an axis runs backwards. All zero
    /// (default): axis 0 is the fastest and nothing lies between the voxels. Each voxel has bytes of its own:
    /// `VXS_INVALID_ARGUMENT` for strides by which voxels share bytes, such as 0 along an axis that has several.
    pub strides: [i64; 3],
    /// Where voxel (0, 0, 0) lies in the buffer, in bytes. 0 by default.
    pub offset: u64,
    /// Number of channels, in the order that the model names them. 1 by default.
    pub channels: u64,
    /// Distance in bytes between the channels in `data`, negative when they run backwards; 0 (default): each channel
    /// follows the one before.
    pub channel_stride: i64,
    /// NULL (default), or `channels` pointers to one buffer a channel, all with the same type and layout.
    pub channel_data: *const *const c_void,
    /// Distance between neighbours along each axis in millimetres. 1 by default.
    pub spacing: [f64; 3],
    /// Position of voxel (0, 0, 0) in millimetres. 0 by default.
    pub origin: [f64; 3],
    /// Row-major 3×3 matrix: column a is the unit vector in patient coordinates along which axis a runs.
    /// Columns are orthogonal; either handedness. Identity by default.
    pub direction: [f64; 9],
    /// Intensity = stored value · slope + intercept. 1 and 0 by default.
    pub slope: f64,
    /// See `slope`.
    pub intercept: f64,
    /// 0 by default.
    pub flags: vxs_volume_flags,
}

// SAFETY: repr(C), starts with struct_size; integers, floats and raw pointers accept any bits.
unsafe impl Growable for vxs_volume {
    fn defaults() -> Self {
        vxs_volume {
            struct_size: size_of::<Self>() as u32,
            dtype: 0,
            data: null(),
            data_size: 0,
            shape: [0; 3],
            strides: [0; 3],
            offset: 0,
            channels: 1,
            channel_stride: 0,
            channel_data: null(),
            spacing: [1.0; 3],
            origin: [0.0; 3],
            direction: [1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0],
            slope: 1.0,
            intercept: 0.0,
            flags: 0,
        }
    }
}

/// Writes the defaults. `size` is `sizeof(vxs_volume)` as the caller's header has it.
///
/// Returns `VXS_STRUCT_SIZE` for a size that no version has. Any thread.
///
/// # Safety
/// `volume` is NULL or valid for writes of `size` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vxs_volume_init(volume: *mut vxs_volume, size: u64) -> vxs_status {
    // SAFETY: passed on.
    unsafe { boundary(null_mut(), || init(volume, size, "volume")) }
}

/// The grid and layout of a volume, without its voxels.
pub(super) fn geometry(volume: &vxs_volume) -> Result<(Geometry, DType, Layout)> {
    if volume.flags & !(VXS_VOLUME_RAS | VXS_VOLUME_SWAPPED | VXS_VOLUME_ON_DEVICE) != 0 {
        return Err(Error::argument("volume.flags", volume.flags, "flags of VXS_VOLUME_*"));
    }
    let dtype = dtype(volume.dtype, "volume.dtype")?;
    let shape = shape(volume.shape)?;
    let [a, b, c, d, e, f, g, h, i] = volume.direction;
    let direction = [[a, b, c], [d, e, f], [g, h, i]];
    let mut geometry = Geometry { shape, spacing: volume.spacing, origin: volume.origin, direction };
    if volume.flags & VXS_VOLUME_RAS != 0 {
        geometry = geometry.ras_to_lps();
    }
    geometry.check()?;
    let layout = layout(shape, dtype, volume.strides, volume.offset)?;
    Ok((geometry, dtype, layout))
}

/// A volume without voxels on another grid, of the same type and in the same coordinates.
pub(super) fn on_grid(volume: &vxs_volume, grid: &Geometry) -> vxs_volume {
    let flags = volume.flags & VXS_VOLUME_RAS;
    let grid = if flags == 0 { grid.clone() } else { grid.clone().ras_to_lps() };
    let [[a, b, c], [d, e, f], [g, h, i]] = grid.direction;
    vxs_volume {
        dtype: volume.dtype,
        shape: grid.shape.map(|size| size as u64),
        spacing: grid.spacing,
        origin: grid.origin,
        direction: [a, b, c, d, e, f, g, h, i],
        flags,
        ..vxs_volume::defaults()
    }
}

/// A volume without voxels, in LPS coordinates.
pub(super) fn described(grid: &Geometry, dtype: vxs_dtype, channels: u64, swapped: bool) -> vxs_volume {
    let volume = vxs_volume { dtype, ..vxs_volume::defaults() };
    let flags = if swapped { VXS_VOLUME_SWAPPED } else { 0 };
    vxs_volume { channels, flags, ..on_grid(&volume, grid) }
}

/// Borrows the caller's voxels.
///
/// # Safety
/// `volume` is NULL or a filled structure whose buffers are valid for reads of `data_size` bytes for `'a`.
pub(super) unsafe fn borrow<'a>(volume: *const vxs_volume) -> Result<Volume<'a>> {
    // SAFETY: by the caller's guarantee.
    let volume = unsafe { read(volume, "volume") }?;
    if volume.flags & VXS_VOLUME_ON_DEVICE != 0 {
        let found = "VXS_VOLUME_ON_DEVICE";
        return Err(Error::argument("volume.flags", found, "memory of the host, for this function"));
    }
    // SAFETY: by the caller's guarantee.
    let buffers = unsafe { buffers(&volume) }?;
    let bytes = |pointer: *const c_void| {
        // SAFETY: each is valid for `data_size` bytes by the caller's guarantee.
        unsafe { array(pointer.cast::<u8>(), volume.data_size, name_of(&volume)) }
    };
    let buffers = buffers.into_iter().map(bytes).collect::<Result<Vec<_>>>()?;
    view(&volume, &buffers)
}

/// As [`borrow`]; voxels in a device's memory, which `machine` gives, are copied into `copies`.
///
/// # Safety
/// As [`borrow`]; buffers of a device are memory there.
pub(super) unsafe fn borrow_or_fetch<'a>(
    volume: *const vxs_volume,
    machine: impl FnOnce(&'static str) -> Result<Arc<dyn Backend>>,
    copies: &'a mut Vec<Vec<u8>>,
) -> Result<Volume<'a>> {
    // SAFETY: by the caller's guarantee.
    let found = unsafe { read(volume, "volume") }?;
    if found.flags & VXS_VOLUME_ON_DEVICE == 0 {
        // SAFETY: by the caller's guarantee.
        return unsafe { borrow(volume) };
    }
    let (grid, dtype, layout) = geometry(&found)?;
    let size = usize::try_from(found.data_size).unwrap_or(usize::MAX);
    layout.check(grid.shape, dtype.size(), size, [name_of(&found), "volume.strides"])?;
    let machine = machine("volume.flags")?;
    // SAFETY: by the caller's guarantee.
    let buffers = unsafe { buffers(&found) }?;
    for pointer in buffers {
        copies.push(on_device::fetch(&*machine, pointer, found.data_size, name_of(&found))?);
    }
    view(&found, &copies.iter().map(Vec::as_slice).collect::<Vec<_>>())
}

/// The argument that holds the voxels.
fn name_of(volume: &vxs_volume) -> &'static str {
    if volume.channel_data.is_null() { "volume.data" } else { "volume.channel_data" }
}

/// Where the voxels are: one buffer, or one for each channel.
///
/// # Safety
/// `channel_data` is NULL or holds `channels` pointers.
unsafe fn buffers(volume: &vxs_volume) -> Result<Vec<*const c_void>> {
    if volume.channels == 0 || volume.channels > 65_536 {
        return Err(Error::argument("volume.channels", volume.channels, "1 to 65536"));
    }
    if volume.channel_data.is_null() {
        return Ok(vec![volume.data]);
    }
    // SAFETY: by the caller's guarantee.
    let pointers = unsafe { array(volume.channel_data, volume.channels, "volume.channel_data") }?;
    Ok(pointers.to_vec())
}

/// A volume in buffers on the host.
fn view<'a>(volume: &vxs_volume, buffers: &[&'a [u8]]) -> Result<Volume<'a>> {
    let (geometry, dtype, mut layout) = geometry(volume)?;
    let channels = match buffers {
        [bytes] if volume.channel_data.is_null() => {
            let dense = (geometry.voxels() * dtype.size()) as i64;
            let stride = if volume.channel_stride == 0 { dense } else { volume.channel_stride };
            // Of channels that run backwards the last is the first in memory, and that is where all of them count from.
            let backwards = if stride < 0 { volume.channels - 1 } else { 0 };
            let distance = |channels: u64| {
                let bytes = channels.checked_mul(stride.unsigned_abs());
                bytes.and_then(|bytes| usize::try_from(bytes).ok())
            };
            layout.offset =
                distance(backwards).and_then(|bytes| layout.offset.checked_sub(bytes)).ok_or_else(|| {
                    let expected = "a distance by which the last channel lies within the buffer";
                    Error::argument("volume.channel_stride", stride, expected)
                })?;
            let channel = |channel: u64| {
                let start = distance(channel.abs_diff(backwards));
                start.and_then(|start| bytes.get(start..)).ok_or(Error::BufferTooSmall {
                    argument: "volume.data",
                    found: bytes.len() as u64,
                    expected: (stride.unsigned_abs()).saturating_mul(volume.channels),
                })
            };
            (0..volume.channels).map(channel).collect::<Result<Vec<_>>>()?
        }
        many => many.to_vec(),
    };
    let swapped = volume.flags & VXS_VOLUME_SWAPPED != 0;
    let view = Volume::new(geometry, dtype, layout, channels)?.with_swapped_bytes(swapped);
    view.with_scaling(volume.slope, volume.intercept)
}

pub(super) fn dtype(code: vxs_dtype, argument: &str) -> Result<DType> {
    Ok(match code {
        VXS_DTYPE_I8 => DType::I8,
        VXS_DTYPE_U8 => DType::U8,
        VXS_DTYPE_I16 => DType::I16,
        VXS_DTYPE_U16 => DType::U16,
        VXS_DTYPE_I32 => DType::I32,
        VXS_DTYPE_U32 => DType::U32,
        VXS_DTYPE_F16 => DType::F16,
        VXS_DTYPE_F32 => DType::F32,
        VXS_DTYPE_F64 => DType::F64,
        _ => return Err(Error::argument(argument, code, "one of VXS_DTYPE_*")),
    })
}

pub(super) fn code(dtype: DType) -> vxs_dtype {
    match dtype {
        DType::I8 => VXS_DTYPE_I8,
        DType::U8 => VXS_DTYPE_U8,
        DType::I16 => VXS_DTYPE_I16,
        DType::U16 => VXS_DTYPE_U16,
        DType::I32 => VXS_DTYPE_I32,
        DType::U32 => VXS_DTYPE_U32,
        DType::F16 => VXS_DTYPE_F16,
        DType::F32 => VXS_DTYPE_F32,
        DType::F64 => VXS_DTYPE_F64,
    }
}

fn shape(shape: [u64; 3]) -> Result<[usize; 3]> {
    let sizes = shape.map(|size| usize::try_from(size).unwrap_or(usize::MAX));
    let voxels = sizes.iter().try_fold(1_usize, |product, &size| product.checked_mul(size));
    match voxels {
        // Eight bytes a voxel, and the f32 copies of it, must stay countable in an isize.
        Some(voxels) if voxels > 0 && voxels <= isize::MAX as usize / 64 => Ok(sizes),
        _ => Err(Error::argument(
            "volume.shape",
            format!("{shape:?}"),
            "sizes from 1 whose product fits into memory",
        )),
    }
}

pub(super) fn layout(shape: [usize; 3], dtype: DType, strides: [i64; 3], offset: u64) -> Result<Layout> {
    let offset =
        usize::try_from(offset).map_err(|_| Error::argument("offset", offset, "an offset in memory"))?;
    if strides == [0; 3] {
        return Ok(Layout { offset, ..Layout::dense(shape, dtype) });
    }
    Ok(Layout { offset, strides: strides.map(|stride| stride as isize) })
}
