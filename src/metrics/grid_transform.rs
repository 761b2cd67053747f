//! Where the voxels of one grid lie in another, in patient space.

use crate::volume::Geometry;

/// Positions in another grid, in its voxels, as an affine function of the voxel.
pub(super) struct GridTransform {
    start: [f64; 3],
    /// Change of the position with a step along each axis.
    steps: [[f64; 3]; 3],
}

impl GridTransform {
    /// Of the voxels of `grid` in `other`.
    pub(super) fn new(grid: &Geometry, other: &Geometry) -> Self {
        // Directions in files are rounded, so that the transpose wouldn't be the inverse.
        let inverse = inverse(&other.direction);
        let position = |point: [f64; 3]| {
            [0, 1, 2].map(|n| (0..3).map(|k| inverse[n][k] * point[k]).sum::<f64>() / other.spacing[n])
        };
        let steps = [0, 1, 2].map(|axis| position(grid.direction.map(|row| row[axis] * grid.spacing[axis])));
        GridTransform { start: position([0, 1, 2].map(|k| grid.origin[k] - other.origin[k])), steps }
    }

    /// The position of a voxel.
    pub(super) fn continuous_index(&self, voxel: [usize; 3]) -> [f64; 3] {
        let [i, j, k] = voxel.map(|index| index as f64);
        [0, 1, 2].map(|n| self.start[n] + i * self.steps[0][n] + j * self.steps[1][n] + k * self.steps[2][n])
    }
}

/// Whether each voxel of a grid is nearest to the one of the same index of the other, and there are no more.
pub(super) fn same_voxels(grid: &Geometry, other: &Geometry) -> bool {
    let transform = GridTransform::new(grid, other);
    // An affine function deviates most at a corner.
    let near = |corner: usize| {
        let last = |axis: usize| if corner >> axis & 1 == 1 { grid.shape[axis] - 1 } else { 0 };
        let voxel = [0, 1, 2].map(last);
        let position = transform.continuous_index(voxel);
        (0..3).all(|axis| (position[axis] - voxel[axis] as f64).abs() < 0.5)
    };
    grid.shape == other.shape && (0..8).all(near)
}

/// The voxel whose centre is nearest to a position, if the position is within the grid's voxels.
pub(super) fn nearest(position: [f64; 3], shape: [usize; 3]) -> Option<[usize; 3]> {
    let mut voxel = [0; 3];
    for axis in 0..3 {
        let index = (position[axis] + 0.5).floor();
        if !(index >= 0.0 && index < shape[axis] as f64) {
            return None;
        }
        voxel[axis] = index as usize;
    }
    Some(voxel)
}

/// By cofactors; `Geometry::check` has made sure that the determinant is near 1 or -1.
fn inverse(matrix: &[[f64; 3]; 3]) -> [[f64; 3]; 3] {
    let cofactor = |row: usize, column: usize| {
        let [a, b] = [(row + 1) % 3, (row + 2) % 3];
        let [c, d] = [(column + 1) % 3, (column + 2) % 3];
        matrix[a][c] * matrix[b][d] - matrix[a][d] * matrix[b][c]
    };
    let determinant: f64 = (0..3).map(|column| matrix[0][column] * cofactor(0, column)).sum();
    [0, 1, 2].map(|row| [0, 1, 2].map(|column| cofactor(column, row) / determinant))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_are_those_of_patient_space() {
        let grid = Geometry {
            shape: [4, 5, 6],
            spacing: [0.5, 2.0, 3.0],
            origin: [1.0, -2.0, 7.0],
            direction: [[0.0, 0.6, 0.8], [-1.0, 0.0, 0.0], [0.0, 0.8, -0.6]],
        };
        let other =
            Geometry { spacing: [2.0, 1.0, 0.5], origin: [-1.0, 0.0, 1.0], ..Geometry::with_shape([9; 3]) };
        let position = GridTransform::new(&grid, &other).continuous_index([2, 1, 3]);
        // The voxel lies at (1 + 1.2 + 7.2, -2 - 1, 7 + 1.6 - 5.4).
        let expected = [(9.4 + 1.0) / 2.0, -3.0, (3.2 - 1.0) / 0.5];
        assert!((0..3).all(|n| (position[n] - expected[n]).abs() < 1e-12), "{position:?}");
    }

    #[test]
    fn voxels_are_the_same_up_to_half_a_voxel() {
        let grid = Geometry { spacing: [1.0, 2.0, 3.0], ..Geometry::with_shape([11, 4, 5]) };
        let moved = |origin: [f64; 3], spacing: [f64; 3]| Geometry { origin, spacing, ..grid.clone() };
        assert!(same_voxels(&grid, &moved([0.4, -0.9, 1.4], grid.spacing)));
        assert!(!same_voxels(&grid, &moved([0.0, 1.1, 0.0], grid.spacing)));
        assert!(!same_voxels(&grid, &moved([0.0; 3], [1.06, 2.0, 3.0])));
        assert!(!same_voxels(&grid, &Geometry { shape: [11, 4, 6], ..grid.clone() }));
    }

    #[test]
    fn outside_there_is_no_voxel() {
        assert_eq!(nearest([-0.5, 1.49, 2.5], [3, 2, 4]), Some([0, 1, 3]));
        assert_eq!(nearest([-0.51, 1.0, 2.0], [3, 2, 4]), None);
        assert_eq!(nearest([0.0, 1.5, 2.0], [3, 2, 4]), None);
        assert_eq!(nearest([f64::NAN, 0.0, 0.0], [3, 2, 4]), None);
    }
}
