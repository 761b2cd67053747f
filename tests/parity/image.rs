//! Reading the reference data's NIfTI files.

use std::io::Read;
use std::path::Path;

use voxseg::nifti::{Header, Reader, Reading, Stored};
use voxseg::volume::{DType, Geometry};

/// An image in file order, axis 0 fastest.
pub struct Image {
    pub geometry: Geometry,
    pub values: Vec<f32>,
    /// The same values as bytes.
    pub bytes: Vec<u8>,
}

impl Image {
    /// As SimpleITK reads it.
    pub fn read(path: &Path) -> Image {
        Self::read_as(path, Reader::Itk)
    }

    /// As a model's reader reads it.
    pub fn read_as(path: &Path, reader: Reader) -> Image {
        let file = std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let mut contents = Vec::new();
        if file.starts_with(&[0x1f, 0x8b]) {
            flate2::read::MultiGzDecoder::new(&file[..]).read_to_end(&mut contents).unwrap();
        } else {
            contents = file;
        }
        let header = Header::parse(&contents).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let Reading { geometry, slope, intercept, .. } = header.read(reader).unwrap();
        let size = geometry.voxels() * header.stored.size();
        let stored = &contents[header.data_offset as usize..][..size];
        assert!(!header.swapped, "{}", path.display());
        let value = |stored: f64| (stored * slope + intercept) as f32;
        let values = stored.chunks_exact(header.stored.size()).map(decoder(header.stored)).map(value);
        let values: Vec<f32> = values.collect();
        let bytes = values.iter().flat_map(|value| value.to_ne_bytes()).collect();
        Image { geometry, values, bytes }
    }
}

fn decoder(stored: Stored) -> fn(&[u8]) -> f64 {
    macro_rules! decode {
        ($type:ty) => {
            |bytes| <$type>::from_ne_bytes(std::array::from_fn(|n| bytes[n])) as f64
        };
    }
    match stored {
        Stored::Library(DType::I8) => decode!(i8),
        Stored::Library(DType::U8) => decode!(u8),
        Stored::Library(DType::I16) => decode!(i16),
        Stored::Library(DType::U16) => decode!(u16),
        Stored::Library(DType::I32) => decode!(i32),
        Stored::Library(DType::U32) => decode!(u32),
        Stored::Library(DType::F32) => decode!(f32),
        Stored::Library(_) => decode!(f64),
        Stored::I64 => decode!(i64),
        Stored::U64 => decode!(u64),
    }
}
