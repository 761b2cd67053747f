//! Ways to walk along the axes of a volume: permutations with flips.

use super::Geometry;

/// How the axes of an array follow from those of a volume: array axis `n` runs along volume axis `axis[n]`,
/// backwards where `flip[n]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AxisMap {
    /// The volume's axis for each array axis.
    pub axis: [usize; 3],
    /// Whether the array axis runs against it.
    pub flip: [bool; 3],
}

impl AxisMap {
    /// The array's axes are the volume's.
    pub fn identity() -> Self {
        AxisMap { axis: [0, 1, 2], flip: [false; 3] }
    }

    /// The map whose array is closest to RAS order (axis 0 to the right, 1 to the front, 2 to the head), as
    /// nibabel 5.4's `io_orientation` chooses it: pairs of axes from the strongest projection downwards.
    pub fn closest_canonical(geometry: &Geometry) -> Self {
        // Orthonormal columns are their own nearest orthogonal matrix, so the projections are the entries.
        let ras = |world: usize, axis: usize| {
            let value = geometry.direction[world][axis];
            if world < 2 { -value } else { value }
        };
        let mut pairs: Vec<(usize, usize)> = (0..3).flat_map(|w| (0..3).map(move |a| (w, a))).collect();
        pairs.sort_by(|&(w, a), &(v, b)| {
            ras(v, b).abs().total_cmp(&ras(w, a).abs()).then((a, w).cmp(&(b, v)))
        });
        let (mut axis, mut flip) = ([usize::MAX; 3], [false; 3]);
        for (world, source) in pairs {
            if axis[world] == usize::MAX && !axis.contains(&source) {
                axis[world] = source;
                flip[world] = ras(world, source) < 0.0;
            }
        }
        AxisMap { axis, flip }
    }

    /// First this map, then a transposition of the array: new axis `n` is the old axis `order[n]`.
    pub fn transposed(self, order: [usize; 3]) -> Self {
        AxisMap { axis: order.map(|n| self.axis[n]), flip: order.map(|n| self.flip[n]) }
    }

    /// Some of the array's axes the other way round.
    pub fn flipped(self, flip: [bool; 3]) -> Self {
        AxisMap { flip: [0, 1, 2].map(|n| self.flip[n] != flip[n]), ..self }
    }

    /// First this map, then another one of the array.
    pub fn then(self, next: &AxisMap) -> Self {
        self.transposed(next.axis).flipped(next.flip)
    }

    /// What makes the array of another map of the same volume out of this one's.
    pub fn turn_to(&self, other: &AxisMap) -> AxisMap {
        let place = |axis: usize| self.axis.iter().position(|&own| own == axis).unwrap_or(axis);
        let axis = other.axis.map(place);
        AxisMap { axis, flip: [0, 1, 2].map(|n| self.flip[axis[n]] != other.flip[n]) }
    }

    /// What undoes it.
    pub fn inverse(&self) -> AxisMap {
        self.turn_to(&AxisMap::identity())
    }

    /// The array with other axes, as a view of it.
    pub(crate) fn turned<S: ndarray::RawData>(
        &self,
        array: ndarray::ArrayBase<S, ndarray::Ix3>,
    ) -> ndarray::ArrayBase<S, ndarray::Ix3> {
        let mut turned = array.permuted_axes(self.axis);
        for (axis, _) in self.flip.iter().enumerate().filter(|(_, flip)| **flip) {
            turned.invert_axis(ndarray::Axis(axis));
        }
        turned
    }

    /// The grid along the array's axes.
    pub fn grid(&self, volume: &Geometry) -> Geometry {
        let mut grid = Geometry {
            shape: self.apply(volume.shape),
            spacing: self.apply(volume.spacing),
            origin: volume.origin,
            direction: volume.direction,
        };
        for (n, (&axis, &flip)) in self.axis.iter().zip(&self.flip).enumerate() {
            for world in 0..3 {
                let toward = volume.direction[world][axis];
                grid.direction[world][n] = if flip { -toward } else { toward };
                if flip {
                    grid.origin[world] += toward * volume.spacing[axis] * (volume.shape[axis] as f64 - 1.0);
                }
            }
        }
        grid
    }

    /// The grid of which this map makes `array`.
    pub(crate) fn volume(&self, array: &Geometry) -> Geometry {
        let mut inverse = AxisMap::identity();
        for (n, (&axis, &flip)) in self.axis.iter().zip(&self.flip).enumerate() {
            (inverse.axis[axis], inverse.flip[axis]) = (n, flip);
        }
        inverse.grid(array)
    }

    /// A property of the volume's axes, in the array's order.
    pub fn apply<T: Copy>(&self, volume: [T; 3]) -> [T; 3] {
        self.axis.map(|axis| volume[axis])
    }

    /// A property of the array's axes, in the volume's order.
    pub fn undo<T: Copy>(&self, array: [T; 3]) -> [T; 3] {
        let mut volume = array;
        for (n, &axis) in self.axis.iter().enumerate() {
            volume[axis] = array[n];
        }
        volume
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn turns_lead_from_map_to_map() {
        let maps = [
            AxisMap { axis: [2, 0, 1], flip: [true, false, true] },
            AxisMap { axis: [1, 0, 2], flip: [false, true, true] },
            AxisMap::identity(),
        ];
        for from in maps {
            for to in maps {
                assert_eq!(from.then(&from.turn_to(&to)), to);
            }
            assert_eq!(from.then(&from.inverse()), AxisMap::identity());
            let array = ndarray::Array3::from_shape_fn((2, 3, 4), |(z, y, x)| z * 12 + y * 4 + x);
            let turned = from.turned(array.view());
            assert_eq!(turned.dim(), from.apply([2, 3, 4]).into());
            assert_eq!(from.inverse().turned(turned), array);
        }
    }

    #[test]
    fn canonical_of_lps_flips_x_and_y() {
        let map = AxisMap::closest_canonical(&Geometry::with_shape([2, 3, 4]));
        assert_eq!(map, AxisMap { axis: [0, 1, 2], flip: [true, true, false] });
    }

    #[test]
    fn apply_and_undo_are_inverse() {
        let map = AxisMap { axis: [2, 0, 1], flip: [true, false, true] };
        assert_eq!(map.apply([10, 11, 12]), [12, 10, 11]);
        assert_eq!(map.undo(map.apply([10, 11, 12])), [10, 11, 12]);
    }

    #[test]
    fn grids_come_back() {
        let map = AxisMap { axis: [2, 0, 1], flip: [true, false, true] };
        let volume = Geometry {
            origin: [1.0, -2.0, 5.0],
            spacing: [0.5, 2.0, 4.0],
            ..Geometry::with_shape([4, 5, 6])
        };
        assert_eq!(map.volume(&map.grid(&volume)), volume);
    }

    #[test]
    fn matches_nibabel() {
        let Some(golden) = crate::reference::golden("orientation.json") else { return };
        for case in golden["cases"].as_array().unwrap() {
            let number = |row: usize, column: usize| case["affine"][row][column].as_f64().unwrap();
            let mut geometry = Geometry::with_shape([2, 3, 4]);
            for axis in 0..3 {
                let length = (0..3).map(|row| number(row, axis).powi(2)).sum::<f64>().sqrt();
                (0..3).for_each(|row| geometry.direction[row][axis] = number(row, axis) / length);
            }
            let geometry = geometry.ras_to_lps();
            if geometry.check().is_err() {
                continue;
            }
            let map = AxisMap::closest_canonical(&geometry);
            for axis in 0..3 {
                let world = case["ornt"][axis][0].as_u64().unwrap() as usize;
                let sign = case["ornt"][axis][1].as_f64().unwrap();
                assert_eq!((map.axis[world], map.flip[world]), (axis, sign < 0.0), "{case}");
            }
        }
    }
}
