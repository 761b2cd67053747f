//! MONAI's `RemoveSmallObjects` on label maps, which is scikit-image's `remove_small_objects`: from 0.26 on objects of
//! just the size that is given go too.

use ndarray::Array3;

use super::components::{Sets, bytes_of_runs};
use crate::recipe::SmallObjects;
use crate::{Error, Result};

impl SmallObjects {
    pub(super) fn check(&self) -> Result<()> {
        if !(1..=3).contains(&self.connectivity) {
            return Err(Error::argument("connectivity", self.connectivity, "1, 2 or 3"));
        }
        if !(self.least >= 0.0 && self.least.is_finite()) {
            return Err(Error::argument("min_size", self.least, "a size from 0"));
        }
        Ok(())
    }

    pub(super) fn bytes(&self, shape: [usize; 3]) -> u64 {
        bytes_of_runs(shape, shape[2].div_ceil(2))
    }

    pub(super) fn apply(&self, labels: &mut Array3<u16>, voxel_volume: f64) -> Result<()> {
        self.check()?;
        let least = if self.by_measure { (self.least / voxel_volume).ceil() } else { self.least };
        let mut counts = vec![0_u32; 1 << 16];
        labels.iter().for_each(|&label| counts[usize::from(label)] += 1);
        if counts.iter().filter(|&&count| count > 0).count() < 2 {
            // As MONAI, which leaves a map of a single label alone.
            return Ok(());
        }
        if self.together || counts[2..].iter().all(|&count| count == 0) {
            let kind = |label: u16| (label != 0).then_some(0);
            let mut sets = Sets::find(labels.view(), kind, self.connectivity)?;
            return sets.clear(labels, kind, 0, |_, voxels| f64::from(voxels) > least);
        }
        labels.mapv_inplace(|label| if f64::from(counts[usize::from(label)]) <= least { 0 } else { label });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn left(least: f64, together: bool, connectivity: u8, rows: [[u16; 4]; 3]) -> [[u16; 4]; 3] {
        let mut map = Array3::from_shape_fn((1, 3, 4), |(_, y, x)| rows[y][x]);
        let rule = SmallObjects { least, by_measure: false, together, connectivity };
        rule.apply(&mut map, 1.0).unwrap();
        std::array::from_fn(|y| std::array::from_fn(|x| map[(0, y, x)]))
    }

    #[test]
    fn objects_equal_monai() {
        // monai.transforms.RemoveSmallObjects, MONAI 1.6.1 with scikit-image 0.26
        let ones = [[1, 1, 0, 1], [0, 0, 1, 0], [0, 0, 0, 0]];
        assert_eq!(left(1.0, false, 1, ones), [[1, 1, 0, 0], [0; 4], [0; 4]]);
        assert_eq!(left(3.0, false, 2, ones), ones);
        // With several labels each is an object as a whole, unless all are taken together.
        let several = [[1, 1, 0, 2], [0, 0, 0, 0], [1, 0, 2, 2]];
        assert_eq!(left(2.0, false, 1, several), several);
        assert_eq!(left(1.0, true, 1, several), [[1, 1, 0, 0], [0; 4], [0, 0, 2, 2]]);
        assert_eq!(left(9.0, false, 1, [[1; 4]; 3]), [[1; 4]; 3]);
    }

    #[test]
    fn sizes_may_be_volumes() {
        let mut map = Array3::from_shape_vec((1, 1, 6), vec![1, 1, 0, 1, 1, 1]).unwrap();
        let rule = SmallObjects { least: 4.0, by_measure: true, together: false, connectivity: 1 };
        rule.apply(&mut map, 2.0).unwrap();
        assert_eq!(map.into_raw_vec_and_offset().0, [0, 0, 0, 1, 1, 1]);
        let bad = SmallObjects { least: f64::NAN, ..rule };
        assert!(matches!(bad.apply(&mut Array3::zeros((1, 1, 1)), 1.0), Err(Error::InvalidArgument { .. })));
    }
}
