//! Minima and maxima of the voxels around each, in cubes that end at the border.

use ndarray::{Array3, Axis};

use crate::error::Result;
use crate::{buffer, parallel};

/// Each voxel becomes what `pick` takes of those up to `radius` voxels away along each axis.
pub(super) fn spread<T: Copy + Send + Sync>(
    values: &mut Array3<T>,
    radius: usize,
    threads: usize,
    pick: impl Fn(T, T) -> T + Sync,
) -> Result<()> {
    for axis in 0..3 {
        // Planes that have whole lines along the axis.
        let (across, along) = if axis == 0 { (1, 0) } else { (0, axis - 1) };
        parallel::try_for_each(threads, values.axis_iter_mut(Axis(across)), |mut plane| {
            let mut before = Vec::new();
            for mut line in plane.lanes_mut(Axis(along)) {
                before.clear();
                buffer::grow(&mut before, "a line of a mask", line.len())?;
                before.extend(line.iter().copied());
                for (at, value) in line.iter_mut().enumerate() {
                    let near = &before[at.saturating_sub(radius)..(at + radius + 1).min(before.len())];
                    *value = near.iter().copied().fold(*value, &pick);
                }
            }
            Ok(())
        })?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cubes_end_at_the_border() {
        let mut one = Array3::<u8>::zeros((4, 5, 6));
        one[[0, 2, 5]] = 1;
        spread(&mut one, 1, 2, u8::max).unwrap();
        let expected =
            Array3::from_shape_fn((4, 5, 6), |(z, y, x)| u8::from(z < 2 && y.abs_diff(2) < 2 && x > 3));
        assert_eq!(one, expected);
        spread(&mut one, 1, 1, u8::min).unwrap();
        // What lies beyond the border is like the border.
        assert_eq!(one.iter().map(|&value| usize::from(value)).sum::<usize>(), 1);
        assert_eq!(one[[0, 2, 5]], 1);
    }
}
