//! Nearest-neighbour resampling, which is a map of indices and exact for every voxel type.

use ndarray::{Array3, ArrayView3};

use super::coordinate;

/// Resamples by copying, for each output voxel, the nearest input voxel (the upper one of two equally near).
///
/// `image` must have at least one voxel. Equals SciPy's spline order 0, for labels as well as for
/// intensities.
pub fn resample_nearest<T: Copy>(image: ArrayView3<T>, new_shape: [usize; 3]) -> Array3<T> {
    let shape: [usize; 3] = image.dim().into();
    let [planes, rows, columns] = [0, 1, 2].map(|axis| indices(shape[axis], new_shape[axis]));
    let mut voxels = Vec::with_capacity(new_shape.iter().product());
    for &plane in &planes {
        for &row in &rows {
            voxels.extend(columns.iter().map(|&column| image[[plane, row, column]]));
        }
    }
    Array3::from_shape_vec(new_shape, voxels).unwrap_or_else(|_| unreachable!("one value for each voxel"))
}

/// The input index of each output index along one axis.
pub(super) fn indices(from: usize, to: usize) -> Vec<usize> {
    let last = (from - 1) as f64;
    (0..to).map(|index| (coordinate(from, to, index).clamp(0.0, last) + 0.5).floor() as usize).collect()
}
