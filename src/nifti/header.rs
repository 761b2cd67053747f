//! The bytes of a header as numbers.

use crate::error::{Error, Result};
use crate::volume::DType;

/// A header of NIfTI-1 or NIfTI-2. Fields that are single precision in the file are exact in double.
#[derive(Clone, Debug, PartialEq)]
pub struct Header {
    /// 1 or 2.
    pub version: u8,
    /// Whether it, and the voxels, are in the other byte order than this machine's.
    pub swapped: bool,
    /// Whether the voxels follow in the same file (`.nii`), or lie in one of their own (`.hdr` and `.img`).
    pub single_file: bool,
    /// Voxels along x, y and z.
    pub shape: [usize; 3],
    /// Number of volumes: the product of the dimensions from the fourth on.
    pub volumes: usize,
    /// The code of the stored voxels' type.
    pub datatype: i16,
    /// Type of the stored voxels.
    pub stored: Stored,
    /// Where the voxels start in their file.
    pub data_offset: u64,
    /// `scl_slope`, whatever it is.
    pub slope: f64,
    /// `scl_inter`, whatever it is.
    pub intercept: f64,
    /// The number of dimensions that the header states.
    pub(super) dimensions: usize,
    /// A dimension that was not positive.
    pub(super) mended_axis: Option<usize>,
    /// `vox_offset`, whatever it is.
    pub(super) stored_offset: f64,
    /// pixdim[0], the sign of the third axis of the qform.
    pub(super) qfac: f64,
    /// pixdim[1] to pixdim[3].
    pub(super) pixdim: [f64; 3],
    /// pixdim[4].
    pub(super) duration: f64,
    pub(super) units: u8,
    pub(super) qform_code: i32,
    pub(super) sform_code: i32,
    pub(super) quaternion: [f64; 3],
    pub(super) qoffset: [f64; 3],
    pub(super) srow: [[f64; 4]; 3],
}

/// Bytes of a NIfTI-1 header.
const SIZE_1: usize = 348;
/// Bytes of a NIfTI-2 header.
const SIZE_2: usize = 540;

/// The type of stored voxels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stored {
    /// One that the library takes as it is.
    Library(DType),
    /// 64-bit signed integers.
    I64,
    /// 64-bit unsigned integers.
    U64,
}

impl Stored {
    /// Bytes of a voxel.
    pub fn size(self) -> usize {
        match self {
            Stored::Library(dtype) => dtype.size(),
            Stored::I64 | Stored::U64 => 8,
        }
    }

    /// Stored voxels as numbers, in their order. What follows the last whole voxel is left out; integers of 64 bits
    /// are rounded.
    pub fn numbers(self, bytes: &[u8]) -> impl Iterator<Item = f64> {
        fn word(bytes: &[u8]) -> [u8; 8] {
            std::array::from_fn(|n| bytes[n])
        }
        let decode = match self {
            Stored::Library(dtype) => dtype.decoder(),
            Stored::I64 => |bytes: &[u8]| i64::from_ne_bytes(word(bytes)) as f64,
            Stored::U64 => |bytes: &[u8]| u64::from_ne_bytes(word(bytes)) as f64,
        };
        bytes.chunks_exact(self.size()).map(decode)
    }

    fn of_code(code: i16) -> Result<Self> {
        Ok(Stored::Library(match code {
            2 => DType::U8,
            4 => DType::I16,
            8 => DType::I32,
            16 => DType::F32,
            64 => DType::F64,
            256 => DType::I8,
            512 => DType::U16,
            768 => DType::U32,
            1024 => return Ok(Stored::I64),
            1280 => return Ok(Stored::U64),
            other => {
                let known = [
                    (1, "bits"),
                    (32, "complex"),
                    (128, "RGB"),
                    (1536, "float128"),
                    (1792, "complex"),
                    (2304, "RGBA"),
                ];
                let name = known.iter().find(|(code, _)| *code == other).map_or("unknown", |(_, name)| name);
                return Err(wrong(format!(
                    "datatype is {other} ({name}), expected integers or floats up to 64 bits"
                )));
            }
        }))
    }
}

fn wrong(reason: String) -> Error {
    Error::Geometry { reason: format!("NIfTI header: {reason}") }
}

/// Numbers at places of a header, in its byte order.
struct Bytes<'a> {
    bytes: &'a [u8],
    swapped: bool,
}

impl Bytes<'_> {
    fn at<const N: usize>(&self, place: usize) -> [u8; N] {
        let mut found = [0; N];
        // Places are constants below the sizes that `Header::parse` checked.
        if let Some(bytes) = self.bytes.get(place..place + N) {
            found.copy_from_slice(bytes);
        }
        if self.swapped {
            found.reverse();
        }
        found
    }

    fn i16(&self, place: usize) -> i16 {
        i16::from_ne_bytes(self.at(place))
    }

    fn i32(&self, place: usize) -> i32 {
        i32::from_ne_bytes(self.at(place))
    }

    fn i64(&self, place: usize) -> i64 {
        i64::from_ne_bytes(self.at(place))
    }

    fn f32s<const N: usize>(&self, place: usize) -> [f64; N] {
        std::array::from_fn(|n| f64::from(f32::from_ne_bytes(self.at(place + 4 * n))))
    }

    fn f64s<const N: usize>(&self, place: usize) -> [f64; N] {
        std::array::from_fn(|n| f64::from_ne_bytes(self.at(place + 8 * n)))
    }
}

impl Header {
    /// The size of the header that begins with these bytes, `None` for what is no NIfTI file.
    pub fn size_of(first: [u8; 4]) -> Option<usize> {
        let size = i32::from_ne_bytes(first);
        [size, size.swap_bytes()].into_iter().find_map(|size| match size {
            348 => Some(SIZE_1),
            540 => Some(SIZE_2),
            _ => None,
        })
    }

    /// Reads a header; more bytes may follow.
    ///
    /// # Errors
    /// [`Error::Geometry`], which names the field that no image has.
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        let first = bytes.first_chunk().copied().unwrap_or_default();
        let Some(size) = Self::size_of(first) else {
            return Err(wrong("it doesn't begin with its size, 348 or 540: no NIfTI file".into()));
        };
        if bytes.len() < size {
            return Err(wrong(format!("{} bytes, expected {size}", bytes.len())));
        }
        let swapped = i32::from_ne_bytes(first) != size as i32;
        let raw = Bytes { bytes, swapped };
        if size == SIZE_1 { Self::first(&raw) } else { Self::second(&raw) }
    }

    fn first(raw: &Bytes) -> Result<Self> {
        let single_file = match &raw.bytes[344..348] {
            [b'n', b'+', b'1'..=b'9', 0] => true,
            [b'n', b'i', b'1'..=b'9', 0] => false,
            _ => {
                let what = "its magic is not n+1 or ni1: an Analyze file, whose left and right nobody knows; convert it";
                return Err(wrong(what.into()));
            }
        };
        let dim: [i64; 8] = std::array::from_fn(|n| raw.i16(40 + 2 * n).into());
        let (dimensions, shape, volumes, mended_axis) = shape(dim)?;
        let [offset] = raw.f32s(108);
        let [qfac, x, y, z, duration] = raw.f32s(76);
        let [slope, intercept] = raw.f32s(112);
        Ok(Header {
            version: 1,
            swapped: raw.swapped,
            single_file,
            shape,
            volumes,
            datatype: raw.i16(70),
            stored: Stored::of_code(raw.i16(70))?,
            data_offset: data_offset(offset, single_file, 352)?,
            slope,
            intercept,
            dimensions,
            mended_axis,
            stored_offset: offset,
            qfac,
            pixdim: [x, y, z],
            duration,
            units: raw.bytes[123],
            qform_code: raw.i16(252).into(),
            sform_code: raw.i16(254).into(),
            quaternion: raw.f32s(256),
            qoffset: raw.f32s(268),
            srow: [0, 1, 2].map(|row| raw.f32s(280 + 16 * row)),
        })
    }

    fn second(raw: &Bytes) -> Result<Self> {
        let single_file = match &raw.bytes[4..8] {
            b"n+2\0" => true,
            b"ni2\0" => false,
            _ => return Err(wrong("its magic is not n+2 or ni2".into())),
        };
        let dim: [i64; 8] = std::array::from_fn(|n| raw.i64(16 + 8 * n));
        let (dimensions, shape, volumes, mended_axis) = shape(dim)?;
        let [qfac, x, y, z, duration] = raw.f64s(104);
        let [slope, intercept] = raw.f64s(176);
        Ok(Header {
            version: 2,
            swapped: raw.swapped,
            single_file,
            shape,
            volumes,
            datatype: raw.i16(12),
            stored: Stored::of_code(raw.i16(12))?,
            data_offset: data_offset(raw.i64(168) as f64, single_file, 544)?,
            slope,
            intercept,
            dimensions,
            mended_axis,
            stored_offset: raw.i64(168) as f64,
            qfac,
            pixdim: [x, y, z],
            duration,
            // Spatial units are the low bits of an integer.
            units: raw.i32(500) as u8,
            qform_code: raw.i32(344),
            sform_code: raw.i32(348),
            quaternion: raw.f64s(352),
            qoffset: raw.f64s(376),
            srow: [0, 1, 2].map(|row| raw.f64s(400 + 32 * row)),
        })
    }

    /// Whether `vox_offset` is a place that the format allows.
    pub(super) fn has_sound_offset(&self) -> bool {
        !self.single_file || self.stored_offset >= if self.version == 1 { 352.0 } else { 544.0 }
    }

    /// Whether any software can read its qform and its sform, coded or not: nibabel opens no file with a quaternion
    /// that is longer than 1.
    pub fn has_sound_forms(&self) -> bool {
        let numbers = [&self.quaternion[..], &self.qoffset, self.srow.as_flattened(), &self.pixdim].concat();
        let length: f64 = self.quaternion.iter().map(|part| part * part).sum();
        numbers.iter().all(|number| number.is_finite()) && length <= 1.0 + 1e-6
    }

    /// Millimetres in the unit of its lengths.
    pub(super) fn unit(&self) -> f64 {
        match self.units & 7 {
            1 => 1e3,
            3 => 1e-3,
            _ => 1.0,
        }
    }

    /// Lengths of the sform's columns.
    pub(super) fn sform_lengths(&self) -> [f64; 3] {
        [0, 1, 2].map(|axis| self.srow.iter().map(|row| row[axis] * row[axis]).sum::<f64>().sqrt())
    }

    /// How qform and sform differ where both are coded, in words.
    pub(super) fn forms_differ(&self) -> Option<String> {
        if self.qform_code <= 0 || self.sform_code <= 0 {
            return None;
        }
        let qform = super::itk::quaternion_matrix(self, [1.0; 3]);
        let lengths = self.sform_lengths();
        let mut angle: f64 = 0.0;
        for (axis, length) in lengths.into_iter().enumerate() {
            let cosine: f64 = (0..3).map(|row| qform[row][axis] * self.srow[row][axis] / length).sum();
            angle = angle.max(libm::acos(cosine.clamp(-1.0, 1.0)).to_degrees());
        }
        // Quaternions of single precision are good for some hundredths of a degree.
        if angle > 0.2 {
            return Some(format!("differ by {angle:.1} degrees"));
        }
        let distance = (0..3).map(|row| (self.qoffset[row] - self.srow[row][3]).powi(2)).sum::<f64>().sqrt();
        let smallest = lengths.into_iter().fold(f64::INFINITY, f64::min);
        (distance > 0.1 * smallest).then(|| format!("differ by {distance:.1} mm"))
    }
}

/// The number of dimensions, the shape along x, y and z, the number of volumes, and a dimension that was not positive,
/// which every reader takes for 1.
fn shape(dim: [i64; 8]) -> Result<(usize, [usize; 3], usize, Option<usize>)> {
    let [count, sizes @ ..] = dim;
    if !(3..=7).contains(&count) {
        return Err(wrong(format!("dim[0] is {count}, expected 3 dimensions, or up to 7 with volumes")));
    }
    let mut shape = [0; 3];
    for (axis, size) in shape.iter_mut().enumerate() {
        let found = sizes[axis];
        *size = usize::try_from(found)
            .ok()
            .filter(|&size| size > 0)
            .ok_or_else(|| wrong(format!("dim[{}] is {found}, expected at least one voxel", axis + 1)))?;
    }
    let further = &sizes[3..count as usize];
    let mended = further.iter().position(|&size| size <= 0).map(|at| at + 4);
    let volumes = further
        .iter()
        .try_fold(1_usize, |product, &size| product.checked_mul(usize::try_from(size.max(1)).ok()?));
    let volumes =
        volumes.ok_or_else(|| wrong(format!("dim is {dim:?}: more volumes than memory has bytes")))?;
    Ok((count as usize, shape, volumes, mended))
}

/// 0 means what the format demands.
fn data_offset(stored: f64, single_file: bool, least: u64) -> Result<u64> {
    let low = if single_file { (least - 4) as f64 } else { 0.0 };
    match stored {
        0.0 if single_file => Ok(least),
        _ if stored >= low && stored < 9e15 => Ok(stored as u64),
        _ => Err(wrong(format!("vox_offset is {stored}, expected {least} or more"))),
    }
}
