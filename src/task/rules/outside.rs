//! Labels far from where they belong.

use ndarray::{Array3, ArrayViewMut1, Axis};

use crate::buffer;
use crate::error::Result;

/// Removes labels whose way to the nearest voxel of `inside` is longer than so many steps along the axes: what so
/// many dilations by a voxel's faces don't reach.
pub(super) fn remove_outside(array: &mut Array3<u16>, inside: &Array3<bool>, steps: usize) -> Result<()> {
    array.zip_mut_with(&ways(inside, true)?, |label, &way| {
        if way == FAR || usize::from(way) > steps {
            *label = 0;
        }
    });
    Ok(())
}

/// The way of a voxel from which no way leads on, or a longer one than is counted.
pub(super) const FAR: u16 = u16::MAX;

/// For each voxel the steps along the axes to the nearest one that is `wanted`.
pub(super) fn ways(array: &Array3<bool>, wanted: bool) -> Result<Array3<u16>> {
    let mut ways = buffer::map("ways between voxels", array, |found| if found == wanted { 0 } else { FAR })?;
    for axis in 0..3 {
        ways.lanes_mut(Axis(axis)).into_iter().for_each(sweep);
    }
    Ok(ways)
}

/// Lets ways go on along a line, in both directions.
fn sweep(mut line: ArrayViewMut1<u16>) {
    for n in 1..line.len() {
        line[n] = line[n].min(line[n - 1].saturating_add(1));
    }
    for n in (1..line.len()).rev() {
        line[n - 1] = line[n - 1].min(line[n].saturating_add(1));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ways_follow_the_axes() {
        let mut array = Array3::from_elem((3, 3, 4), 7);
        let mut inside = Array3::from_elem((3, 3, 4), false);
        inside[[1, 1, 0]] = true;
        remove_outside(&mut array, &inside, 2).unwrap();
        for ((z, y, x), &label) in array.indexed_iter() {
            assert_eq!(label == 7, z.abs_diff(1) + y.abs_diff(1) + x <= 2, "{z} {y} {x}");
        }
        remove_outside(&mut array, &Array3::from_elem((3, 3, 4), false), 1000).unwrap();
        assert!(array.iter().all(|&label| label == 0));
    }
}
