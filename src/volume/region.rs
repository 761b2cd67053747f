//! Boxes of voxels, and the part of a volume that a run is asked for.

use super::{AxisMap, Geometry};
use crate::error::{Error, Result};

/// A half-open box of voxels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Box3 {
    /// The first voxel inside.
    pub start: [usize; 3],
    /// One beyond the last voxel inside.
    pub end: [usize; 3],
}

impl Box3 {
    /// The box of all voxels of an image.
    pub fn whole(shape: [usize; 3]) -> Box3 {
        Box3 { start: [0; 3], end: shape }
    }

    /// Its extent in voxels.
    pub fn shape(&self) -> [usize; 3] {
        [0, 1, 2].map(|axis| self.end[axis] - self.start[axis])
    }

    /// The number of its voxels.
    pub fn voxels(&self) -> usize {
        self.shape().iter().product()
    }

    /// Whether it includes every voxel of an image of that shape.
    pub fn is_whole(&self, shape: [usize; 3]) -> bool {
        *self == Box3::whole(shape)
    }

    /// The voxels that both have, if any.
    pub fn common(&self, other: &Box3) -> Option<Box3> {
        let start = [0, 1, 2].map(|axis| self.start[axis].max(other.start[axis]));
        let end = [0, 1, 2].map(|axis| self.end[axis].min(other.end[axis]));
        (0..3).all(|axis| start[axis] < end[axis]).then_some(Box3 { start, end })
    }

    /// The smallest box around both.
    #[must_use]
    pub fn around(&self, other: &Box3) -> Box3 {
        let start = [0, 1, 2].map(|axis| self.start[axis].min(other.start[axis]));
        Box3 { start, end: [0, 1, 2].map(|axis| self.end[axis].max(other.end[axis])) }
    }

    /// It with so many voxels more on each side, as far as an image of that shape has them.
    #[must_use]
    pub fn widened(&self, by: [usize; 3], shape: [usize; 3]) -> Box3 {
        let start = [0, 1, 2].map(|axis| self.start[axis].saturating_sub(by[axis]));
        Box3 { start, end: [0, 1, 2].map(|axis| self.end[axis].saturating_add(by[axis]).min(shape[axis])) }
    }

    /// It in an image that begins at the voxel `origin`.
    #[must_use]
    pub fn from(&self, origin: [usize; 3]) -> Box3 {
        let less = |at: [usize; 3]| [0, 1, 2].map(|axis| at[axis] - origin[axis]);
        Box3 { start: less(self.start), end: less(self.end) }
    }

    /// It in an image in which its own one begins at the voxel `origin`.
    #[must_use]
    pub fn within(&self, origin: [usize; 3]) -> Box3 {
        let more = |at: [usize; 3]| [0, 1, 2].map(|axis| at[axis] + origin[axis]);
        Box3 { start: more(self.start), end: more(self.end) }
    }

    /// The voxels of an image of shape `to` that may lie in it, a box of an image of shape `from` over the same space,
    /// with a voxel more on each side of axes of another length.
    #[must_use]
    pub fn scaled(&self, from: [usize; 3], to: [usize; 3]) -> Box3 {
        let mut scaled = *self;
        for axis in (0..3).filter(|&axis| from[axis] != to[axis]) {
            let at = |index: usize| index as f64 * to[axis] as f64 / from[axis].max(1) as f64;
            let end = (at(self.end[axis]).ceil() as usize + 1).min(to[axis]);
            // Of a box at the end rounding may leave nothing.
            let start = (at(self.start[axis]).floor() as usize).saturating_sub(1).min(end.saturating_sub(1));
            (scaled.start[axis], scaled.end[axis]) = (start, end);
        }
        scaled
    }
}

impl AxisMap {
    /// A box of a volume of that shape, in the array.
    pub fn to_array(&self, volume: [usize; 3], part: &Box3) -> Box3 {
        let place = |n: usize, from: usize, to: usize| {
            let axis = self.axis[n];
            if self.flip[n] { volume[axis] - to } else { from }
        };
        let start = |n: usize| place(n, part.start[self.axis[n]], part.end[self.axis[n]]);
        let end = |n: usize| start(n) + part.end[self.axis[n]] - part.start[self.axis[n]];
        Box3 { start: [0, 1, 2].map(start), end: [0, 1, 2].map(end) }
    }

    /// A box of the array, in the volume of that shape.
    pub fn to_volume(&self, volume: [usize; 3], part: &Box3) -> Box3 {
        self.inverse().to_array(self.apply(volume), part)
    }
}

/// What becomes of a region where labels depend on more than the tiles around it: see [`Region`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WhenGlobal {
    /// All that the labels depend on is computed, so that they are those of the whole run.
    #[default]
    Compute,
    /// The run fails with [`Error::Unsupported`], which names what depends on the whole image.
    Refuse,
}

/// The voxels that a run is asked for: boxes of the labels' grid, in the order of its axes. Their labels are those of
/// the run over the whole volume; other labels aren't written. What looks at the whole image, such as a crop to nonzero
/// voxels, the statistics of a normalisation and the places of tiles, still does.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Region {
    /// The boxes; none for the whole volume.
    pub boxes: Vec<Box3>,
    /// What becomes of labels that depend on more than the tiles around them.
    pub when_global: WhenGlobal,
}

impl Region {
    /// The whole volume.
    pub fn whole() -> Self {
        Region::default()
    }

    /// One box.
    pub fn of(part: Box3) -> Self {
        Region { boxes: vec![part], ..Region::default() }
    }

    /// Whether it is the whole volume.
    pub fn is_whole(&self) -> bool {
        self.boxes.is_empty()
    }

    /// Its boxes in a volume of that shape.
    pub(crate) fn boxes(&self, shape: [usize; 3]) -> Vec<Box3> {
        if self.is_whole() { vec![Box3::whole(shape)] } else { self.boxes.clone() }
    }

    /// Refuses boxes without voxels and those that leave the grid.
    pub(crate) fn check(&self, grid: &Geometry) -> Result<()> {
        let fits = |part: &Box3| (0..3).all(|n| part.start[n] < part.end[n] && part.end[n] <= grid.shape[n]);
        match self.boxes.iter().find(|part| !fits(part)) {
            None => Ok(()),
            Some(Box3 { start, end }) => {
                let found = format!("voxels from {start:?} to before {end:?}");
                let expected = format!("at least one voxel along each axis, within {:?} voxels", grid.shape);
                Err(Error::argument("options.regions", found, expected))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use ndarray::{Array3, s};

    use super::*;

    #[test]
    fn boxes_turn_as_arrays_do() {
        let shape = [4, 5, 6];
        let part = Box3 { start: [1, 0, 3], end: [2, 4, 6] };
        let mut volume = Array3::from_elem(shape, false);
        volume.slice_mut(s![1..2, 0..4, 3..6]).fill(true);
        for order in [[0, 1, 2], [2, 0, 1], [1, 0, 2], [2, 1, 0]] {
            for flips in 0..8 {
                let map = AxisMap { axis: order, flip: [0, 1, 2].map(|n| flips >> n & 1 == 1) };
                let there = map.to_array(shape, &part);
                for (at, inside) in map.turned(volume.view()).indexed_iter() {
                    let at: [usize; 3] = at.into();
                    let expected = (0..3).all(|n| (there.start[n]..there.end[n]).contains(&at[n]));
                    assert_eq!(*inside, expected);
                }
                assert_eq!(map.to_volume(shape, &there), part);
            }
        }
    }

    #[test]
    fn boxes_that_leave_the_grid_are_refused() {
        let grid = Geometry::with_shape([4, 5, 6]);
        assert!(Region::of(Box3::whole(grid.shape)).check(&grid).is_ok());
        for (start, end) in [([0, 0, 0], [4, 5, 7]), ([1, 1, 1], [2, 1, 3]), ([3, 0, 0], [2, 5, 6])] {
            assert_eq!(Region::of(Box3 { start, end }).check(&grid).unwrap_err().status(), 101);
        }
    }

    #[test]
    fn a_scaled_box_keeps_a_voxel_around() {
        let part = Box3 { start: [2, 0, 7], end: [4, 1, 8] };
        let scaled = part.scaled([8, 8, 8], [16, 4, 8]);
        assert_eq!(scaled, Box3 { start: [3, 0, 7], end: [9, 2, 8] });
    }
}
