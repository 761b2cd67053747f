//! NIfTI files: reading .nii, .nii.gz and pairs of .hdr and .img, writing NIfTI-1. Voxels keep the order and type that
//! the file has; the library reads the header.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use voxseg::nifti::{self, Reader, Reading};
use voxseg::volume::{DType, Geometry};

use crate::failure::{Failure, Outcome};
use crate::image_file::ImageFile;
use crate::output::Outputs;
use crate::voxels::{swap_bytes, typed};
use crate::{gzip, source};

/// Size of the header.
const SIZE: usize = 348;
/// Size of a NIfTI-2 header.
const LARGE_SIZE: usize = 540;
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
    /// The header of a NIfTI-1 file.
    fn of(file: &[u8], swapped: bool) -> Option<Self> {
        let mut raw = *file.first_chunk::<SIZE>()?;
        if swapped {
            NUMBERS.iter().for_each(|&(start, end, size)| swap_bytes(&mut raw[start..end], size));
        }
        (i32::from_ne_bytes([raw[0], raw[1], raw[2], raw[3]]) == SIZE as i32).then_some(Header(raw))
    }

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

/// Reads a file, its header as `reader` does. Of a pair (.hdr and .img) the path of either will do.
pub fn read(path: &Path, reader: Reader) -> Result<ImageFile, String> {
    match partner(path) {
        None => decode(Source::open(path)?, None, reader),
        Some((header, voxels)) => {
            let open =
                |path: &Path| Source::open(path).map_err(|reason| format!("{}: {reason}", path.display()));
            decode(open(&header)?, Some(open(&voxels)?), reader)
        }
    }
}

/// The other file that an image is in.
pub fn data_file(path: &Path) -> Option<PathBuf> {
    partner(path).map(|(header, voxels)| if header == path { voxels } else { header })
}

/// The files of a pair, of which one is given: endings in capitals stay so.
fn partner(path: &Path) -> Option<(PathBuf, PathBuf)> {
    let compressed = path.extension().filter(|end| end.eq_ignore_ascii_case("gz"));
    let plain = compressed.map_or_else(|| path.to_path_buf(), |_| path.with_extension(""));
    let ending = plain.extension()?.to_str()?;
    let other = |other: &str| {
        let capitals = ending.chars().all(|letter| letter.is_ascii_uppercase());
        let mut name = plain.with_extension(if capitals { other.to_ascii_uppercase() } else { other.into() });
        if let Some(compression) = compressed {
            let mut long = name.into_os_string();
            long.push(".");
            long.push(compression);
            name = long.into();
        }
        name
    };
    match ending.to_ascii_lowercase().as_str() {
        "hdr" => Some((path.into(), other("img"))),
        "img" => Some((other("hdr"), path.into())),
        _ => None,
    }
}

/// What is read, and how much it can be at most.
struct Source<'a> {
    from: Box<dyn Read + 'a>,
    most: u64,
}

impl Source<'_> {
    /// A file, decompressed when it is a gzip file whatever its name.
    fn open(path: &Path) -> Result<Self, String> {
        let mut file = source::open(path)?;
        let compressed = gzip::is_next(&mut file).map_err(source::words)?;
        let most = source::most(&file, compressed);
        Ok(Source { from: if compressed { Box::new(gzip::Reader::new(file)) } else { Box::new(file) }, most })
    }
}

/// An image out of a header with the voxels behind it, or out of a header and the file of its voxels.
fn decode(mut head: Source, voxels: Option<Source>, reader: Reader) -> Result<ImageFile, String> {
    let mut raw = Vec::new();
    source::append(&mut head.from, &mut raw, SIZE, head.most)?;
    if raw.first_chunk().is_some_and(|&size| nifti::Header::size_of(size) == Some(LARGE_SIZE)) {
        source::append(&mut head.from, &mut raw, LARGE_SIZE - SIZE, head.most)?;
    }
    let header = nifti::Header::parse(&raw).map_err(|error| error.to_string())?;
    let Reading { geometry, slope, intercept, note } =
        header.read(reader).map_err(|error| error.to_string())?;
    let (mut from, before) = match voxels {
        Some(voxels) if !header.single_file => (voxels, 0),
        None if header.single_file => (head, raw.len() as u64),
        _ => return Err("header and voxels are in one file or in two, and the header says the other".into()),
    };
    let width = header.stored.size();
    let voxels = header.shape.iter().try_fold(header.volumes, |count, &n| count.checked_mul(n));
    let needed = voxels.and_then(|count| count.checked_mul(width)).ok_or("impossible size")?;
    let skipped = header.data_offset.saturating_sub(before);
    std::io::copy(&mut from.from.by_ref().take(skipped), &mut std::io::sink()).map_err(source::words)?;
    let mut bytes = source::exactly(from.from, needed, from.most)?;
    if header.swapped {
        swap_bytes(&mut bytes, width);
    }
    let (dtype, bytes) = typed(header.stored, bytes);
    // What nobody else could read isn't written again.
    let like = if header.has_sound_forms() { Header::of(&raw, header.swapped) } else { None };
    Ok(ImageFile { geometry, dtype, channels: header.volumes, bytes, slope, intercept, header: like, note })
}

/// The unit quaternion of a direction without its first part, and the sign of the third axis.
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
        DType::I8 => 256,
        DType::U8 => 2,
        DType::I16 => 4,
        DType::U16 => 512,
        DType::I32 => 8,
        DType::U32 => 768,
        DType::F32 => 16,
        DType::F64 => 64,
        DType::F16 => return Err("NIfTI-1 has no half precision".into()),
    };
    header.set_i16(field::DATATYPE, code);
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
