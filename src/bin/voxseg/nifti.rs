//! NIfTI-1 files (.nii, .nii.gz). Voxels keep the order and type that the file has; geometry is read as ITK
//! reads it.

use std::io::{Read, Write};
use std::path::Path;

use nifti::{NiftiHeader, NiftiType};
use voxseg::volume::{DType, Geometry};

use crate::failure::{Failure, Outcome};
use crate::image_file::{ImageFile, narrowed, swap_bytes};
use crate::output::Outputs;
use crate::{gzip, source};

/// Size of the header.
const SIZE: usize = 348;
/// Where voxels start in files that this tool writes: after the header and four bytes that say "no
/// extension".
const DATA: usize = 352;
/// Parts of the header that are numbers: first byte, end, size of each.
const NUMBERS: [(usize, usize, usize); 11] = [
    (0, 4, 4),
    (32, 36, 4),
    (36, 38, 2),
    (40, 56, 2),
    (56, 68, 4),
    (68, 76, 2),
    (76, 120, 4),
    (120, 122, 2),
    (124, 148, 4),
    (252, 256, 2),
    (256, 328, 4),
];

/// Positions of the fields that are written.
mod field {
    pub const DIM: usize = 40;
    pub const DATATYPE: usize = 70;
    pub const BITPIX: usize = 72;
    pub const PIXDIM: usize = 76;
    pub const VOX_OFFSET: usize = 108;
    pub const SCL_SLOPE: usize = 112;
    pub const SCL_INTER: usize = 116;
    pub const XYZT_UNITS: usize = 123;
    pub const CAL_MAX: usize = 124;
    pub const CAL_MIN: usize = 128;
    pub const DESCRIP: usize = 148;
    pub const QFORM_CODE: usize = 252;
    pub const SFORM_CODE: usize = 254;
    pub const QUATERN: usize = 256;
    pub const SROW: usize = 280;
    pub const MAGIC: usize = 344;
}

/// The 348 bytes of a header in the machine's byte order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header([u8; SIZE]);

impl Header {
    fn set<const N: usize>(&mut self, position: usize, bytes: [u8; N]) {
        self.0[position..position + N].copy_from_slice(&bytes);
    }

    fn set_i16(&mut self, position: usize, value: i16) {
        self.set(position, value.to_ne_bytes());
    }

    fn set_f32(&mut self, position: usize, values: &[f64]) {
        for (n, &value) in values.iter().enumerate() {
            self.set(position + 4 * n, (value as f32).to_ne_bytes());
        }
    }

    /// Says who made the file, and forgets the range of grey values to show.
    pub fn describe(&mut self, text: &str) {
        let mut description = [0; 80];
        let length = text.len().min(79);
        description[..length].copy_from_slice(&text.as_bytes()[..length]);
        self.set(field::DESCRIP, description);
        self.set_f32(field::CAL_MAX, &[0.0]);
        self.set_f32(field::CAL_MIN, &[0.0]);
    }

    /// A header for a grid, with the same transform as sform and as qform.
    fn for_grid(geometry: &Geometry) -> Self {
        let mut header = Header([0; SIZE]);
        header.set(0, (SIZE as i32).to_ne_bytes());
        header.set(38, [b'r']);
        header.set(field::XYZT_UNITS, [2]); // millimetres
        let ras = geometry.clone().ras_to_lps();
        let (quaternion, qfac) = quaternion(&ras.direction);
        let [x, y, z] = ras.spacing;
        header.set_f32(field::PIXDIM, &[qfac, x, y, z, 1.0, 1.0, 1.0, 1.0]);
        header.set_i16(field::QFORM_CODE, 1);
        header.set_i16(field::SFORM_CODE, 1);
        header.set_f32(field::QUATERN, &quaternion);
        header.set_f32(field::QUATERN + 12, &ras.origin);
        for row in 0..3 {
            let [a, b, c] = ras.direction[row];
            header.set_f32(field::SROW + 16 * row, &[a * x, b * y, c * z, ras.origin[row]]);
        }
        header
    }
}

/// Reads a file, decompressed when it is a gzip file whatever its name.
pub fn read(path: &Path) -> Result<ImageFile, String> {
    let mut file = source::open(path)?;
    let compressed = gzip::is_next(&mut file).map_err(source::words)?;
    let most = source::most(&file, compressed);
    decode(if compressed { needed(gzip::Reader::new(file), most) } else { needed(file, most) }?)
}

/// The header and what it asks for.
fn needed(mut from: impl Read, most: u64) -> Result<Vec<u8>, String> {
    let mut file = Vec::new();
    source::append(&mut from, &mut file, DATA, most)?;
    let rest = end_of_voxels(&file).saturating_sub(file.len());
    source::append(&mut from, &mut file, rest, most)?;
    source::finish(from)?;
    Ok(file)
}

/// Where the voxels end by the header; `decode` says what is wrong with headers that make no sense.
fn end_of_voxels(file: &[u8]) -> usize {
    let Ok(header) = NiftiHeader::from_reader(file) else { return 0 };
    let sizes = header.dim().unwrap_or_default().iter().map(|&count| usize::from(count.max(1)));
    let size = sizes.fold(header.data_type().map_or(1, NiftiType::size_of), usize::saturating_mul);
    size.saturating_add(header.vox_offset.max(0.0) as usize)
}

fn decode(mut file: Vec<u8>) -> Result<ImageFile, String> {
    let Some(raw) = file.first_chunk::<SIZE>() else {
        return Err(format!("{} bytes are no NIfTI-1 file", file.len()));
    };
    let mut raw = *raw;
    let size = i32::from_ne_bytes([raw[0], raw[1], raw[2], raw[3]]);
    let swapped = match (size, size.swap_bytes()) {
        (348, _) => false,
        (_, 348) => true,
        (540, _) | (_, 540) => return Err("NIfTI-2 files are not supported".into()),
        _ => return Err("no NIfTI-1 header".into()),
    };
    if swapped {
        NUMBERS.iter().for_each(|&(start, end, size)| swap_bytes(&mut raw[start..end], size));
    }
    if !raw[field::MAGIC..].starts_with(b"n+1") {
        return Err("header and voxels in separate files are not supported".into());
    }
    let header = NiftiHeader::from_reader(&raw[..]).map_err(|error| error.to_string())?;

    let dim = header.dim().map_err(|error| error.to_string())?;
    if dim.len() < 3 || dim[3..].iter().filter(|&&count| count > 1).count() > 1 {
        return Err(format!("shape {dim:?}, expected three dimensions, or four with the channels last"));
    }
    let shape = [dim[0], dim[1], dim[2]].map(usize::from);
    let channels = dim[3..].iter().map(|&count| usize::from(count)).product::<usize>();
    let kind = header.data_type().map_err(|error| error.to_string())?;
    let width = stored_size(kind)?;

    let offset = header.vox_offset;
    if !(offset >= SIZE as f32 && offset <= file.len() as f32) {
        return Err(format!("voxels start at byte {offset} of {}", file.len()));
    }
    let voxels = shape.iter().try_fold(channels, |count, &n| count.checked_mul(n));
    let needed = voxels.and_then(|count| count.checked_mul(width)).ok_or("impossible size")?;
    file.drain(..offset as usize);
    if file.len() < needed {
        return Err(format!("truncated: {} bytes of voxels instead of {needed}", file.len()));
    }
    file.truncate(needed);
    if swapped {
        swap_bytes(&mut file, width);
    }
    let (dtype, bytes) = typed(kind, file);

    let (mut slope, mut intercept) = (f64::from(header.scl_slope), f64::from(header.scl_inter));
    if slope == 0.0 || !slope.is_finite() || !intercept.is_finite() {
        (slope, intercept) = (1.0, 0.0);
    }
    let geometry = geometry(&header, shape);
    Ok(ImageFile { geometry, dtype, channels, bytes, slope, intercept, header: Some(Header(raw)) })
}

fn stored_size(kind: NiftiType) -> Result<usize, String> {
    match kind {
        NiftiType::Int8 | NiftiType::Uint8 => Ok(1),
        NiftiType::Int16 | NiftiType::Uint16 => Ok(2),
        NiftiType::Int32 | NiftiType::Uint32 | NiftiType::Float32 => Ok(4),
        NiftiType::Int64 | NiftiType::Uint64 | NiftiType::Float64 => Ok(8),
        other => Err(format!("voxels of type {other:?}, expected whole numbers or floats")),
    }
}

/// Voxels in a type of the library: their own except for 64-bit whole numbers.
fn typed(kind: NiftiType, bytes: Vec<u8>) -> (DType, Vec<u8>) {
    let dtype = match kind {
        NiftiType::Int8 => DType::I8,
        NiftiType::Uint8 => DType::U8,
        NiftiType::Int16 => DType::I16,
        NiftiType::Uint16 => DType::U16,
        NiftiType::Int32 => DType::I32,
        NiftiType::Uint32 => DType::U32,
        NiftiType::Float32 => DType::F32,
        NiftiType::Int64 | NiftiType::Uint64 => {
            let signed = matches!(kind, NiftiType::Int64);
            let number = |&word: &[u8; 8]| match signed {
                true => i64::from_ne_bytes(word).into(),
                false => u64::from_ne_bytes(word).into(),
            };
            return narrowed(&bytes.as_chunks().0.iter().map(number).collect::<Vec<i128>>());
        }
        _ => DType::F64,
    };
    (dtype, bytes)
}

/// The grid as ITK reads it: spacing from `pixdim` even where the columns of the sform have other lengths,
/// the rest from the sform, else the qform. Without either, the axes are taken for the patient's.
fn geometry(header: &NiftiHeader, shape: [usize; 3]) -> Geometry {
    let mut geometry = Geometry::with_shape(shape);
    geometry.spacing = [1, 2, 3].map(|n| f64::from(header.pixdim[n].abs()));
    if header.sform_code > 0 {
        for (row, srow) in [header.srow_x, header.srow_y, header.srow_z].into_iter().enumerate() {
            let [x, y, z, origin] = srow.map(f64::from);
            (geometry.direction[row], geometry.origin[row]) = ([x, y, z], origin);
        }
        for axis in 0..3 {
            let length = geometry.direction.iter().map(|row| row[axis].powi(2)).sum::<f64>().sqrt();
            geometry.direction.iter_mut().for_each(|row| row[axis] /= length);
        }
        geometry.ras_to_lps()
    } else if header.qform_code > 0 {
        let quaternion = [header.quatern_b, header.quatern_c, header.quatern_d].map(f64::from);
        geometry.direction = rotation(quaternion, if header.pixdim[0] < 0.0 { -1.0 } else { 1.0 });
        geometry.origin = [header.quatern_x, header.quatern_y, header.quatern_z].map(f64::from);
        geometry.ras_to_lps()
    } else {
        geometry
    }
}

/// The matrix of a unit quaternion without its first part, with the last column times `qfac`.
fn rotation([mut b, mut c, mut d]: [f64; 3], qfac: f64) -> [[f64; 3]; 3] {
    let rest = 1.0 - (b * b + c * c + d * d);
    let a = if rest < 1e-7 {
        let length = (b * b + c * c + d * d).sqrt();
        [b, c, d] = [b / length, c / length, d / length];
        0.0
    } else {
        rest.sqrt()
    };
    [
        [a * a + b * b - c * c - d * d, 2.0 * (b * c - a * d), 2.0 * (b * d + a * c) * qfac],
        [2.0 * (b * c + a * d), a * a + c * c - b * b - d * d, 2.0 * (c * d - a * b) * qfac],
        [2.0 * (b * d - a * c), 2.0 * (c * d + a * b), (a * a + d * d - b * b - c * c) * qfac],
    ]
}

/// The inverse of [`rotation`].
fn quaternion(direction: &[[f64; 3]; 3]) -> ([f64; 3], f64) {
    let mut m = *direction;
    let determinant = m[0][0] * (m[1][1] * m[2][2] - m[1][2] * m[2][1])
        - m[0][1] * (m[1][0] * m[2][2] - m[1][2] * m[2][0])
        + m[0][2] * (m[1][0] * m[2][1] - m[1][1] * m[2][0]);
    let qfac = if determinant < 0.0 { -1.0 } else { 1.0 };
    m.iter_mut().for_each(|row| row[2] *= qfac);
    // Four times the squares of the parts; dividing by the largest is stable.
    let squares = [
        1.0 + m[0][0] + m[1][1] + m[2][2],
        1.0 + m[0][0] - m[1][1] - m[2][2],
        1.0 + m[1][1] - m[0][0] - m[2][2],
        1.0 + m[2][2] - m[0][0] - m[1][1],
    ];
    let largest = (0..4).max_by(|&x, &y| squares[x].total_cmp(&squares[y])).unwrap_or(0);
    let twice = squares[largest].sqrt();
    let (x, y, z) = (m[2][1] - m[1][2], m[0][2] - m[2][0], m[1][0] - m[0][1]);
    let (xy, xz, yz) = (m[0][1] + m[1][0], m[0][2] + m[2][0], m[1][2] + m[2][1]);
    let [a, b, c, d] = match largest {
        0 => [twice * twice, x, y, z],
        1 => [x, twice * twice, xy, xz],
        2 => [y, xy, twice * twice, yz],
        _ => [z, xz, yz, twice * twice],
    }
    .map(|part| part / (2.0 * twice));
    let sign = if a < 0.0 { -1.0 } else { 1.0 };
    ([b * sign, c * sign, d * sign], qfac)
}

/// Writes a file. Equal images give equal files.
pub fn write(image: &ImageFile, outputs: &mut Outputs, path: &Path, compressed: bool) -> Outcome<()> {
    let file = encode(image).map_err(|reason| Failure::write(path, reason))?;
    outputs.write(path, |out| if compressed { gzip::write(out, &file) } else { out.write_all(&file) })
}

fn encode(image: &ImageFile) -> Result<Vec<u8>, String> {
    let mut header = image.header.clone().unwrap_or_else(|| Header::for_grid(&image.geometry));
    let [x, y, z] = image.geometry.shape;
    let dimensions = if image.channels > 1 { 4 } else { 3 };
    for (n, count) in [dimensions, x, y, z, image.channels, 1, 1, 1].into_iter().enumerate() {
        let count =
            i16::try_from(count).map_err(|_| format!("a size of {count} is too large for NIfTI-1"))?;
        header.set_i16(field::DIM + 2 * n, count);
    }
    let code = match image.dtype {
        DType::I8 => NiftiType::Int8,
        DType::U8 => NiftiType::Uint8,
        DType::I16 => NiftiType::Int16,
        DType::U16 => NiftiType::Uint16,
        DType::I32 => NiftiType::Int32,
        DType::U32 => NiftiType::Uint32,
        DType::F32 => NiftiType::Float32,
        DType::F64 => NiftiType::Float64,
        DType::F16 => return Err("NIfTI-1 has no half precision".into()),
    };
    header.set_i16(field::DATATYPE, code as i16);
    header.set_i16(field::BITPIX, 8 * image.dtype.size() as i16);
    header.set_f32(field::VOX_OFFSET, &[DATA as f64]);
    header.set_f32(field::SCL_SLOPE, &[image.slope]);
    header.set_f32(field::SCL_INTER, &[image.intercept]);
    header.set(field::MAGIC, *b"n+1\0");
    let mut file = header.0.to_vec();
    file.resize(DATA, 0);
    file.extend(&image.bytes);
    Ok(file)
}

#[cfg(test)]
#[path = "nifti_tests.rs"]
mod tests;
