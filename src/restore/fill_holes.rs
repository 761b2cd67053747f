//! MONAI's `FillHoles` on label maps.

use ndarray::{Array3, s};

use super::components::{Sets, bytes_of_runs};
use crate::recipe::FillHoles;
use crate::{Error, Result, buffer};

/// What its memory is for, in errors.
const MASK: &str = "the surroundings of a label";

impl FillHoles {
    pub(super) fn check(&self) -> Result<()> {
        match self.connectivity {
            1..=3 => Ok(()),
            other => Err(Error::argument("connectivity", other, "1, 2 or 3")),
        }
    }

    pub(super) fn bytes(&self, shape: [usize; 3]) -> u64 {
        let around = shape.map(|length| length + 2);
        let voxels = around.iter().map(|&length| length as u64).product::<u64>();
        2 * voxels + bytes_of_runs(around, around[2].div_ceil(2))
    }

    /// Each label fills what no path leads out of that avoids the label.
    pub(super) fn apply(&self, labels: &mut Array3<u16>) -> Result<()> {
        self.check()?;
        let mut present = vec![false; 1 << 16];
        labels.iter().for_each(|&label| present[usize::from(label)] = true);
        for label in 1..=u16::MAX {
            let meant = self.labels.as_ref().is_none_or(|labels| labels.contains(&label));
            if meant && present[usize::from(label)] {
                self.fill(labels, label)?;
            }
        }
        Ok(())
    }

    fn fill(&self, labels: &mut Array3<u16>, label: u16) -> Result<()> {
        let shape = [labels.dim().0, labels.dim().1, labels.dim().2];
        // A voxel of surroundings on all sides joins what reaches the border.
        let mut around = buffer::array(MASK, shape.map(|length| length + 2), 0_u16)?;
        let inside = s![1..=shape[0], 1..=shape[1], 1..=shape[2]];
        around.slice_mut(inside).zip_mut_with(labels, |mark, &found| *mark = u16::from(found == label));
        let surroundings = |mark: u16| (mark == 0).then_some(0);
        let mut sets = Sets::find(around.view(), surroundings, self.connectivity)?;
        sets.relabel(around.view_mut(), surroundings, |first, _| (first != 0).then_some(1))?;
        labels.zip_mut_with(&around.slice(inside), |found, &mark| {
            *found = if mark == 1 { label } else { *found }
        });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(connectivity: u8, labels: Option<Vec<u16>>, rows: [[u16; 5]; 5]) -> [[u16; 5]; 5] {
        let mut map = Array3::from_shape_fn((1, 5, 5), |(_, y, x)| rows[y][x]);
        FillHoles { labels, connectivity }.apply(&mut map).unwrap();
        std::array::from_fn(|y| std::array::from_fn(|x| map[(0, y, x)]))
    }

    #[test]
    fn holes_equal_scipy() {
        // monai.transforms.FillHoles, MONAI 1.6.1, on a 3 × 5 × 5 stack of which the outer planes are full; in one
        // plane nothing is enclosed.
        let rows = [[1, 1, 1, 1, 0], [1, 0, 2, 1, 0], [1, 0, 1, 0, 0], [1, 1, 1, 1, 0], [0, 0, 0, 0, 0]];
        assert_eq!(filled(3, None, rows), rows);
        let stack = |rows: [[u16; 5]; 5]| {
            Array3::from_shape_fn((3, 5, 5), |(z, y, x)| if z == 1 { rows[y][x] } else { 1 })
        };
        let closed = [[1, 1, 1, 1, 1], [1, 0, 2, 1, 1], [1, 0, 1, 0, 1], [1, 1, 1, 1, 1], [1, 1, 1, 1, 0]];
        let fill = |connectivity, labels, rows| {
            let mut map = stack(rows);
            FillHoles { labels, connectivity }.apply(&mut map).unwrap();
            map
        };
        let mut expected = closed;
        (expected[1][1], expected[1][2], expected[2][1], expected[2][3]) = (1, 1, 1, 1);
        // The corner reaches the border.
        assert_eq!(fill(3, None, closed), stack(expected));
        assert_eq!(fill(1, Some(vec![1]), closed), stack(expected));
        assert_eq!(fill(3, Some(vec![2]), closed), stack(closed));
        // A hole that leads out by a corner only is one where faces count.
        let mut open = closed;
        open[3][4] = 0;
        let mut by_face = open;
        (by_face[1][1], by_face[1][2], by_face[2][1], by_face[2][3]) = (1, 1, 1, 1);
        assert_eq!(fill(3, None, open), stack(open));
        assert_eq!(fill(1, None, open), stack(by_face));
    }

    #[test]
    fn bad_rules_are_refused() {
        let rule = FillHoles { labels: None, connectivity: 0 };
        assert!(matches!(rule.apply(&mut Array3::zeros((1, 1, 1))), Err(Error::InvalidArgument { .. })));
    }
}
