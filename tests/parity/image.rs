//! Reading the reference data's NIfTI files.

use std::path::Path;

use voxseg::nifti::{Header, Reader, Reading};
use voxseg::volume::Geometry;

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
        let contents = voxseg_reference::contents(path);
        let header = Header::parse(&contents).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let Reading { geometry, slope, intercept, .. } = header.read(reader).unwrap();
        let size = geometry.voxels() * header.stored.size();
        let stored = &contents[header.data_offset as usize..][..size];
        assert!(!header.swapped, "{}", path.display());
        let value = |stored: f64| (stored * slope + intercept) as f32;
        let values: Vec<f32> = header.stored.numbers(stored).map(value).collect();
        let bytes = values.iter().flat_map(|value| value.to_ne_bytes()).collect();
        Image { geometry, values, bytes }
    }
}
