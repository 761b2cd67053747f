//! Reading the reference data's NIfTI files, by the rules that SimpleITK follows.

use std::path::Path;

use nifti::{IntoNdArray, NiftiObject, ReaderOptions};
use voxseg::volume::Geometry;

/// An image in file order, axis 0 fastest.
pub struct Image {
    pub geometry: Geometry,
    pub values: Vec<f32>,
    /// The same values as bytes.
    pub bytes: Vec<u8>,
}

impl Image {
    pub fn read(path: &Path) -> Image {
        let object = ReaderOptions::new()
            .read_file(path)
            .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let header = object.header().clone();
        let array = object.into_volume().into_ndarray::<f32>().unwrap();
        let shape = [array.shape()[0], array.shape()[1], array.shape()[2]];
        let values: Vec<f32> = array.t().iter().copied().collect();
        let mut geometry = Geometry::with_shape(shape);
        geometry.spacing = [1, 2, 3].map(|axis| f64::from(header.pixdim[axis]).abs());
        if header.sform_code > 0 {
            let rows = [header.srow_x, header.srow_y, header.srow_z];
            for axis in 0..3 {
                let length = rows.iter().map(|row| f64::from(row[axis]).powi(2)).sum::<f64>().sqrt();
                (0..3).for_each(|row| geometry.direction[row][axis] = f64::from(rows[row][axis]) / length);
            }
            geometry.origin = rows.map(|row| f64::from(row[3]));
        }
        let bytes = values.iter().flat_map(|value| value.to_ne_bytes()).collect();
        Image { geometry: geometry.ras_to_lps(), values, bytes }
    }
}
