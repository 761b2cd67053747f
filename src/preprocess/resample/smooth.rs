//! Label maps with smooth borders: each label's indicator is interpolated linearly, and where it is a half or more the
//! label holds, the last one of two (TotalSegmentator 2.18, `resample_one_hot_crop`).

use ndarray::{Array3, ArrayView3};

use super::corners::Line;
use crate::error::Result;
use crate::{buffer, parallel};

/// Labels on another grid of the same extent.
pub(crate) fn smooth_labels(labels: ArrayView3<u16>, to: [usize; 3], threads: usize) -> Result<Array3<u16>> {
    let from: [usize; 3] = labels.dim().into();
    let line = |axis: usize| {
        let (from, to) = (from[axis], to[axis]);
        let at = move |n: usize| (n as f64 + 0.5) * from as f64 / to as f64 - 0.5;
        Line::through(from, (0..to).map(move |n| at(n).clamp(0.0, (from - 1) as f64)))
    };
    let [planes, rows, columns] = [line(0)?, line(1)?, line(2)?];
    let mut out: Array3<u16> = buffer::zeros("a label map", to)?;
    let chunks = out.as_slice_mut().unwrap_or_default().chunks_mut((to[1] * to[2]).max(1)).enumerate();
    parallel::for_each(threads, chunks, |(z, plane)| {
        let (z, of_plane) = planes.around(z);
        for (n, label) in plane.iter_mut().enumerate() {
            let ((y, of_row), (x, of_column)) = (rows.around(n / to[2]), columns.around(n % to[2]));
            // At most two labels can have a half or more of a voxel.
            let corner = |n: usize| labels[[z[n & 1], y[n >> 1 & 1], x[n >> 2]]];
            let mut best = 0;
            for candidate in (0..8).map(corner) {
                if candidate <= best {
                    continue;
                }
                // With SciPy's order of the sum, and its results in single precision.
                let weight = |n: usize| of_column[n >> 2] * of_row[n >> 1 & 1] * of_plane[n & 1];
                let share: f64 = (0..8).filter(|&n| corner(n) == candidate).map(weight).sum();
                if share as f32 >= 0.5 {
                    best = candidate;
                }
            }
            *label = best;
        }
    });
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_corner_is_rounded_and_the_last_of_two_halves_holds() {
        let mut labels = Array3::zeros([1, 2, 2]);
        labels[[0, 0, 0]] = 3;
        let smooth = smooth_labels(labels.view(), [1, 8, 8], 2).unwrap();
        // Of the corner's 16 voxels the outermost has a share of less than a half.
        assert_eq!(smooth.iter().filter(|&&label| label == 3).count(), 15);
        assert_eq!(smooth[[0, 3, 3]], 0);
        let labels = Array3::from_shape_vec([1, 1, 2], vec![2, 1]).unwrap();
        assert_eq!(smooth_labels(labels.view(), [1, 1, 3], 1).unwrap().as_slice().unwrap(), [2, 2, 1]);
    }
}
