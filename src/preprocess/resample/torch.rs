//! PyTorch's `interpolate` in single precision, as nnU-Net's `resample_torch_fornnunet` calls it: linear with
//! `align_corners=False`, and `nearest-exact` along an axis that is resampled apart.

use ndarray::{Array3, ArrayView3, Axis};

use super::IMAGE;
use crate::error::Result;
use crate::{buffer, parallel};

/// For each output sample of an axis: two input samples and their weights.
pub(crate) type Taps = Vec<([usize; 2], [f32; 2])>;

/// Taps of linear interpolation.
pub(crate) fn linear(from: usize, to: usize) -> Result<Taps> {
    let scale = from as f32 / to as f32;
    let tap = |k: usize| {
        if from == to {
            return ([k, k], [1.0, 0.0]);
        }
        let position = ((k as f32 + 0.5) * scale - 0.5).max(0.0);
        let low = (position as usize).min(from - 1);
        let weight = (position - low as f32).clamp(0.0, 1.0);
        ([low, (low + 1).min(from - 1)], [1.0 - weight, weight])
    };
    buffer::collect(IMAGE, (0..to).map(tap))
}

/// Taps of `nearest-exact`. PyTorch adds a half to what it has fused with its subtraction, which saves a few samples
/// that the product alone would round below a whole number.
pub(crate) fn nearest(from: usize, to: usize) -> Result<Taps> {
    let scale = from as f32 / to as f32;
    let tap = |k: usize| {
        let position = (k as f32 + 0.5).mul_add(scale, -0.5).max(0.0);
        let index = ((position + 0.5) as usize).min(from - 1);
        ([index, index], [1.0, 0.0])
    };
    buffer::collect(IMAGE, (0..to).map(tap))
}

/// Resamples an image; with a `separate` axis that one is nearest.
pub(crate) fn interpolate(
    image: ArrayView3<f32>,
    to: [usize; 3],
    separate: Option<usize>,
    threads: usize,
) -> Result<Array3<f32>> {
    let from: [usize; 3] = image.dim().into();
    let [planes, rows, columns] = [0, 1, 2].map(|axis| {
        if separate == Some(axis) { nearest(from[axis], to[axis]) } else { linear(from[axis], to[axis]) }
    });
    let (planes, rows, columns) = (planes?, rows?, columns?);
    let image = buffer::row_major(IMAGE, image)?;
    let mut out = buffer::zeros(IMAGE, to)?;
    parallel::for_each(threads, out.axis_iter_mut(Axis(0)).zip(&planes), |(mut plane, (z, weights))| {
        for (mut row, (y, down)) in plane.outer_iter_mut().zip(&rows) {
            let line = |z: usize, y: usize, x: usize| image[[z, y, x]];
            for (value, (x, across)) in row.iter_mut().zip(&columns) {
                // Innermost axis first, as PyTorch nests its sums.
                let along = |z, y| line(z, y, x[0]) * across[0] + line(z, y, x[1]) * across[1];
                let area = |z| along(z, y[0]) * down[0] + along(z, y[1]) * down[1];
                *value = area(z[0]) * weights[0] + area(z[1]) * weights[1];
            }
        }
    });
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_and_doubles_like_pytorch() {
        // torch.nn.functional.interpolate(torch.tensor([[[0., 1., 4., 9.]]]), 8 and 2, mode="linear")
        let line = |values: &[f32]| Array3::from_shape_vec((1, 1, values.len()), values.to_vec()).unwrap();
        let source = line(&[0.0, 1.0, 4.0, 9.0]);
        let double = interpolate(source.view(), [1, 1, 8], None, 1).unwrap();
        assert_eq!(double, line(&[0.0, 0.25, 0.75, 1.75, 3.25, 5.25, 7.75, 9.0]));
        let half = interpolate(source.view(), [1, 1, 2], None, 1).unwrap();
        assert_eq!(half, line(&[0.5, 6.5]));
        let nearest = interpolate(source.view(), [1, 1, 3], Some(2), 1).unwrap();
        assert_eq!(nearest, line(&[0.0, 4.0, 9.0]));
    }
}
