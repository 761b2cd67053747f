//! The grid in patient space, with ITK's words: shape, spacing, origin, direction.

use crate::error::{Error, Result};

/// A grid: voxel (i, j, k) lies at `origin + direction · (i·spacing[0], j·spacing[1], k·spacing[2])`, in
/// millimetres, LPS coordinates (x to the patient's left, y to the back, z to the head).
#[derive(Clone, Debug, PartialEq)]
pub struct Geometry {
    /// Voxels along each axis.
    pub shape: [usize; 3],
    /// Distance between neighbours along each axis.
    pub spacing: [f64; 3],
    /// Position of voxel (0, 0, 0).
    pub origin: [f64; 3],
    /// Rows of the direction matrix; its columns are the unit vectors of the axes.
    pub direction: [[f64; 3]; 3],
}

/// How far the columns of a direction may be from unit length: files round them to six or seven digits, NIfTI
/// quaternions lose a little more.
const TOLERANCE: f64 = 1e-3;

/// How far axes may be from right angles, in degrees. Rounding in files stays far below it, gantry tilts are above it.
/// Up to here MONAI's resampling along sheared axes is followed.
const LARGEST_SHEAR: f64 = 1.0;

impl Geometry {
    /// A grid of 1 mm spacing, at the origin, along the patient's axes.
    pub fn with_shape(shape: [usize; 3]) -> Self {
        let direction = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]];
        Geometry { shape, spacing: [1.0; 3], origin: [0.0; 3], direction }
    }

    /// Number of voxels.
    pub fn voxels(&self) -> usize {
        self.shape.iter().product()
    }

    /// Volume of one voxel in cubic millimetres.
    pub fn voxel_volume(&self) -> f64 {
        self.spacing.iter().product()
    }

    /// The same grid with axes at exactly right angles: the nearest orthogonal matrix to its direction, by Newton's
    /// iteration for the polar decomposition (Higham 1986).
    #[must_use]
    pub fn orthogonalized(mut self) -> Self {
        for _ in 0..8 {
            let d = self.direction;
            let minor = |row: usize, axis: usize| {
                let [a, b] = [(row + 1) % 3, (row + 2) % 3];
                let [p, q] = [(axis + 1) % 3, (axis + 2) % 3];
                d[a][p] * d[b][q] - d[a][q] * d[b][p]
            };
            let determinant: f64 = (0..3).map(|axis| d[0][axis] * minor(0, axis)).sum();
            // The inverse transposed has the minors, divided by the determinant.
            self.direction = std::array::from_fn(|row| {
                std::array::from_fn(|axis| 0.5 * (d[row][axis] + minor(row, axis) / determinant))
            });
        }
        self
    }

    /// The same grid when origin and direction were given in RAS coordinates.
    pub fn ras_to_lps(mut self) -> Self {
        for row in 0..2 {
            // Subtracting keeps zeros positive.
            self.origin[row] = 0.0 - self.origin[row];
            self.direction[row] = self.direction[row].map(|value| 0.0 - value);
        }
        self
    }

    /// How far its axes are from right angles, in degrees: of the pair that is furthest.
    pub fn shear(&self) -> f64 {
        let mut shear: f64 = 0.0;
        for (a, b) in [(0, 1), (0, 2), (1, 2)] {
            let product = |a: usize, b: usize| self.direction.iter().map(|row| row[a] * row[b]).sum::<f64>();
            let sine = product(a, b) / (product(a, a) * product(b, b)).sqrt();
            // Not `max`, which would pass over what is no number.
            let angle = libm::asin(sine.clamp(-1.0, 1.0)).to_degrees().abs();
            shear = if angle <= shear { shear } else { angle };
        }
        shear
    }

    /// Refuses grids that no image has: empty, not finite, without thickness, or sheared.
    ///
    /// # Errors
    /// [`Error::Geometry`], which names the field and what is wrong with it.
    pub fn check(&self) -> Result<()> {
        let wrong = |reason: String| Err(Error::Geometry { reason });
        if self.shape.contains(&0) {
            return wrong(format!("shape is {:?}, every size must be at least 1", self.shape));
        }
        if !self.spacing.iter().all(|spacing| spacing.is_finite() && *spacing > 0.0) {
            return wrong(format!("spacing is {:?}, expected three positive numbers", self.spacing));
        }
        if !self.origin.iter().chain(self.direction.iter().flatten()).all(|value| value.is_finite()) {
            return wrong("origin or direction has a value that is not a finite number".into());
        }
        for axis in 0..3 {
            let square: f64 = self.direction.iter().map(|row| row[axis] * row[axis]).sum();
            if (square - 1.0).abs() > TOLERANCE {
                return wrong(format!("direction column {axis} has length {:.6}, expected 1", square.sqrt()));
            }
        }
        let shear = self.shear();
        if shear > LARGEST_SHEAR {
            return wrong(format!(
                "the axes are {shear:.2} degrees away from right angles (a sheared grid), at most {LARGEST_SHEAR} is \
                 accepted; resample the image onto a grid with right angles, for example with the tool that corrects \
                 gantry tilt"
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn straight_axes_are_at_right_angles_and_close() {
        let (sine, cosine) = 0.3_f64.sin_cos();
        let exact = [[cosine, -sine, 0.0], [sine, cosine, 0.0], [0.0, 0.0, -1.0]];
        let mut grid = Geometry { direction: exact, ..Geometry::with_shape([2, 3, 4]) };
        grid.direction[0][1] += 3e-6;
        grid.direction[2][0] -= 2e-6;
        let orthogonal = grid.orthogonalized();
        let d = orthogonal.direction;
        for (a, b) in [(0, 0), (0, 1), (0, 2), (1, 1), (1, 2), (2, 2)] {
            let product: f64 = (0..3).map(|row| d[row][a] * d[row][b]).sum();
            assert!((product - f64::from(u8::from(a == b))).abs() < 1e-15, "{a} {b}: {product}");
        }
        let near = (0..9).all(|at| (d[at / 3][at % 3] - exact[at / 3][at % 3]).abs() < 4e-6);
        assert!(near, "{d:?}");
        let plain = Geometry::with_shape([1; 3]);
        assert_eq!(plain.clone().orthogonalized(), plain);
    }
}
