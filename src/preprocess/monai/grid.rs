//! A grid as MONAI knows it: a shape and an affine, which changes by products of matrices.

use super::matrix::product;
use super::pad::Window;
use crate::volume::{AxisMap, Geometry};

/// How many units in the last place a product may be away from the number in single precision that it stands for.
const ROUNDING: f64 = 4.0 * f64::EPSILON;

/// Where voxels lie, with the rounding that the affine has in MONAI after each step. Patient coordinates are LPS:
/// two signs differ from MONAI's, no digits.
#[derive(Clone, Debug, PartialEq)]
pub struct Grid {
    /// Voxels along each axis.
    pub shape: [usize; 3],
    /// Millimetres from indices.
    pub affine: [[f64; 4]; 4],
}

impl Grid {
    /// The grid of a volume.
    ///
    /// Files hold the columns of an affine in single precision, which a spacing and a direction have taken apart:
    /// products within rounding of such a number are that number.
    pub fn new(geometry: &Geometry) -> Self {
        let side = |row: usize, axis: usize| {
            let product = geometry.direction[row][axis] * geometry.spacing[axis];
            let single = f64::from(product as f32);
            if (single - product).abs() <= ROUNDING * product.abs() { single } else { product }
        };
        let row = |row: usize| [side(row, 0), side(row, 1), side(row, 2), geometry.origin[row]];
        Grid { shape: geometry.shape, affine: [row(0), row(1), row(2), [0.0, 0.0, 0.0, 1.0]] }
    }

    /// Along the axes of an array: MONAI's `Orientation`.
    #[must_use]
    pub fn turned(&self, map: &AxisMap) -> Self {
        let mut turn = [[0.0; 4]; 4];
        turn[3][3] = 1.0;
        for (to, (&from, &flip)) in map.axis.iter().zip(&map.flip).enumerate() {
            turn[from][to] = if flip { -1.0 } else { 1.0 };
            turn[from][3] = if flip { self.shape[from] as f64 - 1.0 } else { 0.0 };
        }
        Grid { shape: map.apply(self.shape), affine: product(&self.affine, &turn) }
    }

    /// The part of the grid in a window, which may reach beyond it.
    #[must_use]
    pub fn cut(&self, window: &Window) -> Self {
        let [inside, beyond] = parts(window);
        Grid { shape: window.shape(), ..self.moved(inside).moved(beyond) }
    }

    /// The grid of this shape over the same space, face to face.
    #[must_use]
    pub fn resized(&self, shape: [usize; 3]) -> Self {
        let mut scale = super::matrix::identity();
        for axis in 0..3 {
            let ratio = self.shape[axis] as f64 / shape[axis] as f64;
            (scale[axis][axis], scale[axis][3]) = (ratio, (ratio - 1.0) / 2.0);
        }
        Grid { shape, affine: product(&self.affine, &scale) }
    }

    /// The grid of this shape that [`Grid::cut`] made this one of, but for rounding.
    #[must_use]
    pub fn restored(&self, window: &Window, shape: [usize; 3]) -> Self {
        let [inside, beyond] = parts(window);
        Grid { shape, ..self.moved(beyond.map(|by| -by)).moved(inside.map(|by| -by)) }
    }

    fn moved(&self, by: [f64; 3]) -> Self {
        let mut shift = super::matrix::identity();
        (0..3).for_each(|axis| shift[axis][3] = by[axis]);
        Grid { shape: self.shape, affine: product(&self.affine, &shift) }
    }

    /// Directions and spacing in one.
    pub(super) fn sides(&self) -> [[f64; 3]; 3] {
        [0, 1, 2].map(|row: usize| [0, 1, 2].map(|axis: usize| self.affine[row][axis]))
    }

    /// Distance between neighbours along each axis.
    pub fn spacing(&self) -> [f64; 3] {
        let [x, y, z] = self.sides();
        [0, 1, 2].map(|axis: usize| (x[axis] * x[axis] + y[axis] * y[axis] + z[axis] * z[axis]).sqrt())
    }
}

/// The steps to a window's start: MONAI cuts inside of the image first, and pads then.
fn parts(window: &Window) -> [[f64; 3]; 2] {
    [window.start.map(|start| start.max(0) as f64), window.start.map(|start| start.min(0) as f64)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn single_precision_of_a_file_comes_back() {
        let file = [[1.1, -0.1, 0.03], [0.2, 1.7, -0.11], [-0.05, 0.09, 2.5]]
            .map(|row| row.map(|v: f64| f64::from(v as f32)));
        let mut geometry =
            Geometry { shape: [4, 5, 6], origin: [0.1, -7.3, 1e3], ..Geometry::with_shape([1; 3]) };
        let length = |axis: usize| file.iter().map(|row| row[axis].powi(2)).sum::<f64>().sqrt();
        geometry.spacing = [length(0), length(1), length(2)];
        geometry.direction = file.map(|row| [0, 1, 2].map(|axis: usize| row[axis] / geometry.spacing[axis]));
        let grid = Grid::new(&geometry);
        assert_eq!(grid.sides(), file);
        assert!((0..3).all(|row| grid.affine[row][3] == geometry.origin[row]));
        // Products of double precision stay.
        geometry.spacing[0] *= 1.0 + 1e-14;
        assert_eq!(Grid::new(&geometry).affine[0][0], geometry.direction[0][0] * geometry.spacing[0]);
    }

    #[test]
    fn grids_turn_as_arrays_do() {
        let map = AxisMap { axis: [2, 0, 1], flip: [true, false, true] };
        let geometry = Geometry {
            origin: [1.0, -2.0, 5.0],
            spacing: [0.5, 2.0, 4.0],
            ..Geometry::with_shape([4, 5, 6])
        };
        assert_eq!(Grid::new(&geometry).turned(&map), Grid::new(&map.grid(&geometry)));
    }

    #[test]
    fn windows_are_undone() {
        let grid = Grid::new(&Geometry { spacing: [0.5, 2.0, 4.0], ..Geometry::with_shape([4, 5, 6]) });
        let window = Window { start: [1, -2, 0], end: [3, 9, 6] };
        let cut = grid.cut(&window);
        assert_eq!((cut.shape, cut.affine[0][3], cut.affine[1][3]), ([2, 11, 6], 0.5, -4.0));
        assert_eq!(cut.restored(&window, grid.shape), grid);
    }
}
