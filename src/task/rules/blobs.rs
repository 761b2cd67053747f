//! Pieces of labels by their size.

use ndarray::Array3;

use super::voxel_volume;
use crate::error::Result;
use crate::restore::components::Sets;

/// Keeps the largest piece of each of these labels, the first of equals.
pub(super) fn keep_largest(array: &mut Array3<u16>, labels: &[u32]) -> Result<()> {
    for &label in labels {
        let kind = |found: u16| (u32::from(found) == label).then_some(0);
        let mut sets = Sets::find(array.t(), kind, 1)?;
        let pieces = sets.components(array.t(), kind)?;
        let largest = pieces.iter().map(|&(.., voxels)| voxels).max();
        let kept = pieces.iter().find(|(.., voxels)| Some(*voxels) == largest).map(|&(first, ..)| first);
        sets.relabel(array.view_mut().reversed_axes(), kind, |first, _| (Some(first) != kept).then_some(0))?;
    }
    Ok(())
}

/// Removes the pieces of these labels that have at most `volume` cubic millimetres.
pub(in crate::task) fn remove_small(
    array: &mut Array3<u16>,
    labels: &[u32],
    volume: f64,
    spacing: [f64; 3],
) -> Result<()> {
    let most = f64::from(volume as f32 / voxel_volume(spacing));
    let kind = |found: u16| labels.contains(&u32::from(found)).then_some(found);
    let mut sets = Sets::find(array.view(), kind, 1)?;
    sets.clear(array, kind, 0, |_, voxels| f64::from(voxels) > most)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(labels: &[u16]) -> Array3<u16> {
        Array3::from_shape_vec((1, 1, labels.len()), labels.to_vec()).unwrap()
    }

    #[test]
    fn the_first_of_equals_in_the_order_of_x_stays() {
        let mut array = Array3::zeros((2, 1, 2));
        // Two pieces of one voxel: (x 1, z 0) and (x 0, z 1).
        array[[0, 0, 1]] = 3;
        array[[1, 0, 0]] = 3;
        keep_largest(&mut array, &[3, 4]).unwrap();
        assert_eq!((array[[0, 0, 1]], array[[1, 0, 0]]), (0, 3));
        let mut array = row(&[1, 0, 1, 1, 2, 0, 2]);
        keep_largest(&mut array, &[1]).unwrap();
        assert_eq!(array, row(&[0, 0, 1, 1, 2, 0, 2]));
    }

    #[test]
    fn pieces_of_the_very_volume_go() {
        let mut array = row(&[1, 1, 2, 2, 2, 0, 3]);
        remove_small(&mut array, &[1, 2], 4.0, [2.0, 1.0, 1.0]).unwrap();
        assert_eq!(array, row(&[0, 0, 2, 2, 2, 0, 3]));
    }
}
