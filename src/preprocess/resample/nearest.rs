//! Nearest-neighbour resampling, which is a map of indices and exact for every voxel type.

use ndarray::{Array3, ArrayView3};

use super::{IMAGE, coordinate};
use crate::buffer;
use crate::error::Result;

/// Resamples by copying, for each output voxel, the nearest input voxel (the upper one of two equally near).
///
/// `image` must have at least one voxel. Equals SciPy's spline order 0, for labels as well as for
/// intensities.
///
/// # Errors
/// [`Error::OutOfMemory`](crate::Error::OutOfMemory).
pub fn resample_nearest<T: Copy>(image: ArrayView3<T>, new_shape: [usize; 3]) -> Result<Array3<T>> {
    let shape: [usize; 3] = image.dim().into();
    let [planes, rows, columns] = [0, 1, 2].map(|axis| indices(shape[axis], new_shape[axis]));
    let (planes, rows, columns) = (planes?, rows?, columns?);
    buffer::from_fn(IMAGE, new_shape, |z, y, x| image[[planes[z], rows[y], columns[x]]])
}

/// The input index of each output index along one axis.
pub(super) fn indices(from: usize, to: usize) -> Result<Vec<usize>> {
    let last = (from - 1) as f64;
    let nearest = |index| (coordinate(from, to, index).clamp(0.0, last) + 0.5).floor() as usize;
    buffer::collect(IMAGE, (0..to).map(nearest))
}
