//! A channel on another grid, by linear interpolation.

use voxseg::volume::{DType, Geometry};

use crate::channels::{index, position};
use crate::image_file::ImageFile;

/// The first channel of an image on `grid`, as floats: linear between the centres of voxels, the outermost ones reach
/// half a voxel farther, and beyond them is 0. These are ITK's rules.
pub fn resampled(image: &ImageFile, grid: &Geometry) -> ImageFile {
    let [columns, rows, planes] = grid.shape;
    let start = index(&image.geometry, &position(grid, [0.0; 3]));
    // How far the place in the image goes on with a step along each axis of the grid.
    let steps = [0, 1, 2].map(|axis| {
        let mut one = [0.0; 3];
        one[axis] = 1.0;
        let next = index(&image.geometry, &position(grid, one));
        [0, 1, 2].map(|n| next[n] - start[n])
    });
    let mut bytes = Vec::with_capacity(grid.voxels() * 4);
    for k in 0..planes {
        for j in 0..rows {
            for i in 0..columns {
                let place = [0, 1, 2].map(|n| {
                    start[n] + i as f64 * steps[0][n] + j as f64 * steps[1][n] + k as f64 * steps[2][n]
                });
                bytes.extend((linear(image, place) as f32).to_ne_bytes());
            }
        }
    }
    let on_grid = image.on_grid(grid);
    ImageFile { dtype: DType::F32, channels: 1, bytes, slope: 1.0, intercept: 0.0, ..on_grid }
}

/// The value between voxels.
fn linear(image: &ImageFile, place: [f64; 3]) -> f64 {
    let shape = image.geometry.shape;
    let inside = (0..3).all(|axis| place[axis] >= -0.5 && place[axis] < shape[axis] as f64 - 0.5);
    if !inside {
        return 0.0;
    }
    let place: [f64; 3] = std::array::from_fn(|axis| place[axis].clamp(0.0, (shape[axis] - 1) as f64));
    let low = place.map(|along| along as usize);
    let share: [f64; 3] = std::array::from_fn(|axis| place[axis] - low[axis] as f64);
    let mut sum = 0.0;
    for corner in 0..8_usize {
        let upper = [0, 1, 2].map(|axis| corner >> axis & 1);
        let weights = (0..3).map(|axis| if upper[axis] == 1 { share[axis] } else { 1.0 - share[axis] });
        let weight: f64 = weights.product();
        // A weight of 0 may belong to a voxel that isn't there.
        if weight > 0.0 {
            let [x, y, z] = [0, 1, 2].map(|axis| low[axis] + upper[axis]);
            sum += weight * image.value((z * shape[1] + y) * shape[0] + x);
        }
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image_file::tests::example;

    #[test]
    fn the_same_grid_keeps_the_values() {
        let image = example(DType::I16);
        let same = resampled(&image, &image.geometry);
        for (a, b) in same.values().zip(image.values()) {
            assert!((a - b).abs() < 1e-3 * (1.0 + b.abs()), "{a} {b}");
        }
    }

    /// What SimpleITK 2.5.7's `Resample` gives for the same images.
    #[test]
    fn matches_itk_on_a_turned_grid() {
        let geometry = Geometry {
            spacing: [1.0, 2.0, 3.0],
            origin: [5.0, -7.0, 2.0],
            ..Geometry::with_shape([3, 2, 2])
        };
        let bytes = (0..12_u8).map(|n| n * n + 1).collect();
        let pattern = example(DType::U8);
        let image = ImageFile { geometry, bytes, ..pattern };
        let grid = Geometry {
            shape: [4, 3, 2],
            spacing: [0.75, 1.25, 2.5],
            origin: [4.7, -7.5, 2.25],
            direction: [[0.8, -0.6, 0.0], [0.6, 0.8, 0.0], [0.0, 0.0, 1.0]],
        };
        let expected = [
            4.0, 4.6, 9.28, 16.925, 0.0, 9.7, 13.33, 20.7625, 0.0, 0.0, 0.0, 16.0, 34.0, 37.6, 54.28, 74.675,
            0.0, 53.95, 65.83, 86.0125, 0.0, 0.0, 0.0, 76.0,
        ];
        let found: Vec<f64> = resampled(&image, &grid).values().collect();
        assert_eq!(found.len(), expected.len());
        for (n, (found, expected)) in found.iter().zip(expected).enumerate() {
            assert!((found - expected).abs() < 1e-4, "{n}: {found} {expected}");
        }
    }
}
