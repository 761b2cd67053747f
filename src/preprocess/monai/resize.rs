//! MONAI's `Resize` with `size_mode="all"` and no anti-aliasing, which is PyTorch's `interpolate`.

use ndarray::{Array3, ArrayView3};

use super::resample::resample_nearest;
use crate::buffer;
use crate::error::Result;
use crate::preprocess::resample::torch;

/// Mode `trilinear`, with `align_corners` false or not given.
///
/// # Errors
/// [`Error::OutOfMemory`](crate::Error::OutOfMemory).
pub fn resize_linear(image: ArrayView3<f32>, to: [usize; 3], threads: usize) -> Result<Array3<f32>> {
    torch::interpolate(image, to, None, threads)
}

/// Mode `nearest`, which takes the voxel below, not the closer one.
///
/// # Errors
/// [`Error::OutOfMemory`](crate::Error::OutOfMemory).
pub fn resize_nearest<T: Copy + Default + Send + Sync>(
    labels: ArrayView3<T>,
    to: [usize; 3],
    threads: usize,
) -> Result<Array3<T>> {
    let from: [usize; 3] = labels.dim().into();
    let nearest =
        [0, 1, 2].map(|axis| buffer::collect("a label map", indices(from[axis], to[axis]).map(Some)));
    let [planes, rows, columns] = nearest;
    resample_nearest(labels, &[planes?, rows?, columns?], T::default(), threads)
}

/// The input of each output along an axis; the scale has single precision in PyTorch.
fn indices(from: usize, to: usize) -> impl Iterator<Item = usize> {
    let scale = from as f32 / to as f32;
    (0..to).map(move |index| ((index as f32 * scale) as usize).min(from - 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_equal_pytorch() {
        // torch.nn.functional.interpolate(torch.tensor([[[0., 1., 4., 9.]]]), size, mode="nearest" and "linear")
        let image = Array3::from_shape_vec((1, 1, 4), vec![0.0, 1.0, 4.0, 9.0]).unwrap();
        let nearest =
            |size| resize_nearest(image.view(), [1, 1, size], 1).unwrap().into_raw_vec_and_offset().0;
        assert_eq!(nearest(3), [0.0, 1.0, 4.0]);
        assert_eq!(nearest(6), [0.0, 0.0, 1.0, 4.0, 4.0, 9.0]);
        let linear = resize_linear(image.view(), [1, 1, 2], 1).unwrap().into_raw_vec_and_offset().0;
        assert_eq!(linear, [0.5, 6.5]);
    }
}
