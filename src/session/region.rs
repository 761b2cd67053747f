//! Boxes of an image's array, which may reach beyond it, and masks in them.

use ndarray::{Array3, ArrayView3, s};

use crate::buffer;
use crate::error::Result;

/// A half-open box in voxels of the array, z, y, x.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Region {
    pub start: [i64; 3],
    pub end: [i64; 3],
}

impl Region {
    /// Of an array.
    pub fn of_shape(shape: [usize; 3]) -> Self {
        Region { start: [0; 3], end: shape.map(|length| length as i64) }
    }

    /// Of this size around a voxel.
    pub fn around(center: [i64; 3], size: [usize; 3]) -> Self {
        let start = [0, 1, 2].map(|axis| center[axis] - (size[axis] / 2) as i64);
        Region { start, end: [0, 1, 2].map(|axis| start[axis] + size[axis] as i64) }
    }

    pub fn shape(&self) -> [usize; 3] {
        [0, 1, 2].map(|axis| (self.end[axis] - self.start[axis]).max(0) as usize)
    }

    pub fn is_empty(&self) -> bool {
        self.shape().contains(&0)
    }

    /// What both have; empty where they have nothing in common.
    pub fn clip(&self, other: &Region) -> Region {
        let start = [0, 1, 2].map(|axis| self.start[axis].max(other.start[axis]));
        let end = [0, 1, 2].map(|axis| self.end[axis].min(other.end[axis]).max(start[axis]));
        Region { start, end }
    }

    /// The smallest that has both.
    pub fn union(&self, other: &Region) -> Region {
        Region {
            start: [0, 1, 2].map(|axis| self.start[axis].min(other.start[axis])),
            end: [0, 1, 2].map(|axis| self.end[axis].max(other.end[axis])),
        }
    }

    /// Larger by so many voxels on each side.
    pub fn grown(&self, by: i64) -> Region {
        Region { start: self.start.map(|start| start - by), end: self.end.map(|end| end + by) }
    }

    /// Where it begins within another region that has it.
    pub fn offset_in(&self, other: &Region) -> [usize; 3] {
        [0, 1, 2].map(|axis| (self.start[axis] - other.start[axis]) as usize)
    }

    /// The same along the volume's axes: x, y, z.
    pub fn in_volume_order(&self) -> [[u64; 3]; 2] {
        [self.start, self.end].map(|[z, y, x]| [x, y, z].map(|index| index.max(0) as u64))
    }
}

/// A mask in a region: 1 for the object.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Placed {
    pub region: Region,
    pub values: Array3<u8>,
}

/// What memory of masks is asked for as.
const MASK: &str = "a mask";

impl Placed {
    /// Nothing of the object.
    pub fn empty(region: Region) -> Result<Self> {
        Ok(Placed { region, values: buffer::zeros(MASK, region.shape())? })
    }

    /// The voxel at a place of the array; 0 outside.
    #[inline]
    pub fn at(&self, place: [i64; 3]) -> u8 {
        let Region { start, end } = self.region;
        if (0..3).any(|axis| place[axis] < start[axis] || place[axis] >= end[axis]) {
            return 0;
        }
        self.values[[0, 1, 2].map(|axis| (place[axis] - start[axis]) as usize)]
    }

    /// The part that lies in a region within this one.
    pub fn view(&self, part: &Region) -> ArrayView3<'_, u8> {
        let ([z, y, x], [planes, rows, columns]) = (part.offset_in(&self.region), part.shape());
        self.values.slice(s![z..z + planes, y..y + rows, x..x + columns])
    }

    /// A copy of any region; 0 outside of this one.
    pub fn copy(&self, region: Region) -> Result<Placed> {
        let mut copy = Placed::empty(region)?;
        copy.paste(self);
        Ok(copy)
    }

    /// Takes over what another mask has in this region.
    pub fn paste(&mut self, other: &Placed) {
        let common = self.region.clip(&other.region);
        if common.is_empty() {
            return;
        }
        let ([z, y, x], [planes, rows, columns]) = (common.offset_in(&self.region), common.shape());
        let mut place = self.values.slice_mut(s![z..z + planes, y..y + rows, x..x + columns]);
        place.assign(&other.view(&common));
    }

    /// The smallest region with all voxels that differ from another mask of the same region; empty where none does.
    pub fn differing(&self, other: &Placed) -> Region {
        let mut found: Option<Region> = None;
        let pairs = self.values.outer_iter().zip(other.values.outer_iter()).enumerate();
        for (z, (plane, before)) in pairs {
            if plane == before {
                continue;
            }
            for (y, (row, before)) in plane.outer_iter().zip(before.outer_iter()).enumerate() {
                let differs = |(new, old): (&u8, &u8)| new != old;
                let mut places = row.iter().zip(&before).map(differs);
                let Some(first) = places.position(|differs| differs) else { continue };
                let last = places.rposition(|differs| differs).map_or(first, |last| first + 1 + last);
                let start = [z, y, first].map(|index| index as i64);
                let line = Region { start, end: [z + 1, y + 1, last + 1].map(|index| index as i64) };
                found = Some(found.map_or(line, |found| found.union(&line)));
            }
        }
        let start = self.region.start;
        let nothing = Region { start: [0; 3], end: [0; 3] };
        let found = found.unwrap_or(nothing);
        let moved = |place: [i64; 3]| [0, 1, 2].map(|axis| place[axis] + start[axis]);
        Region { start: moved(found.start), end: moved(found.end) }
    }

    /// The smallest region with all of the object; `None` where there is none of it.
    pub fn extent(&self) -> Option<Region> {
        let mut found: Option<Region> = None;
        for ((z, y, x), &value) in self.values.indexed_iter() {
            if value != 0 {
                let start = [0, 1, 2].map(|axis| [z, y, x][axis] as i64 + self.region.start[axis]);
                let voxel = Region { start, end: start.map(|index| index + 1) };
                found = Some(found.map_or(voxel, |found| found.union(&voxel)));
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boxes_reach_beyond_the_array() {
        let volume = Region::of_shape([4, 5, 6]);
        let around = Region::around([0, 4, 3], [3, 4, 5]);
        assert_eq!(around, Region { start: [-1, 2, 1], end: [2, 6, 6] });
        assert_eq!(around.clip(&volume), Region { start: [0, 2, 1], end: [2, 5, 6] });
        assert!(around.clip(&Region::around([9, 9, 9], [2; 3])).is_empty());
        assert_eq!(volume.union(&around), Region { start: [-1, 0, 0], end: [4, 6, 6] });
    }

    #[test]
    fn masks_are_copied_and_pasted_where_they_overlap() {
        let mut mask = Placed::empty(Region::of_shape([4, 5, 6])).unwrap();
        assert_eq!(mask.extent(), None);
        let mut patch = Placed::empty(Region::around([0, 4, 3], [3, 4, 5])).unwrap();
        patch.values.fill(1);
        mask.paste(&patch);
        assert_eq!(mask.extent(), Some(Region { start: [0, 2, 1], end: [2, 5, 6] }));
        let copy = mask.copy(patch.region).unwrap();
        assert_eq!(
            (copy.at([0, 2, 1]), copy.at([-1, 2, 1]), copy.at([0, 5, 1]), copy.at([99, 0, 0])),
            (1, 0, 0, 0)
        );
        mask.paste(&Placed::empty(Region::around([9, 9, 9], [2; 3])).unwrap());
        assert_eq!(mask.values.iter().filter(|&&value| value == 1).count(), 2 * 3 * 5);
    }
}
