//! Vertebrae of a model that was trained on labels made smaller, so that they never touch: each piece is one.

use ndarray::Array3;

use super::voxel_volume;
use crate::buffer;
use crate::error::Result;
use crate::restore::components::Sets;

/// What its memory is for, in errors.
const PIECES: &str = "the pieces of labels";

/// Where different labels touch, each piece of at least `smallest` cubic millimetres becomes one vertebra: from the
/// lowest upwards, counted down from the last label that occurs; where the first label of the task occurs and the
/// last doesn't, from the uppermost downwards, counted up from the first.
pub(super) fn separate(
    array: &mut Array3<u16>,
    labels: &[u32],
    smallest: f64,
    spacing: [f64; 3],
) -> Result<()> {
    if !touch(array) {
        return Ok(());
    }
    let any = |label: u16| (label > 0).then_some(0);
    let volume = f64::from(voxel_volume(spacing));
    // With z as the last axis, along which the pieces are put in order.
    let mut sets = Sets::find(array.t(), any, 1)?;
    let mut pieces = sets.centers(array.t(), any)?;
    pieces.retain(|&(_, voxels, _)| f64::from(voxels) * volume >= smallest);
    let kept = buffer::collect(PIECES, pieces.iter().map(|&(first, ..)| first))?;
    let gone = |first, _| kept.binary_search(&first).is_err().then_some(0);
    sets.relabel(array.view_mut().reversed_axes(), any, gone)?;
    let (Some(&first), Some(&last)) = (labels.iter().min(), labels.iter().max()) else { return Ok(()) };
    let mut occurs = buffer::zeroed(PIECES, 1 << 16)?;
    array.iter().for_each(|&label| occurs[usize::from(label)] = true);
    let present: Vec<u32> =
        (0..1 << 16).filter(|&label| occurs[label as usize] && labels.contains(&label)).collect();
    let Some(&lowest) = present.last() else { return Ok(()) };
    let downwards = !present.contains(&last) && present.contains(&first);
    let mut order = buffer::collect(PIECES, 0..pieces.len())?;
    let height = |&piece: &usize| pieces[piece].2;
    // Equals stay in their order, without the memory that a stable sort would take.
    order.sort_unstable_by(|a, b| {
        let order = if downwards { height(b).total_cmp(&height(a)) } else { height(a).total_cmp(&height(b)) };
        order.then(a.cmp(b))
    });
    let values: Vec<u32> =
        if downwards { (first..=last).collect() } else { (first..=lowest).rev().collect() };
    let mut given = buffer::zeroed(PIECES, pieces.len())?;
    order.iter().zip(values).for_each(|(&piece, value)| given[piece] = value as u16);
    // The small ones are gone, so that the first voxels of the others have other numbers, in the same order.
    let mut sets = Sets::find(array.t(), any, 1)?;
    let centers = sets.centers(array.t(), any)?;
    let firsts = buffer::collect(PIECES, centers.into_iter().map(|(first, ..)| first))?;
    let value = |first: u32, _| firsts.binary_search(&first).ok().map(|piece| given[piece]);
    sets.relabel(array.view_mut().reversed_axes(), any, value)
}

/// Whether voxels of different labels share a face.
fn touch(array: &Array3<u16>) -> bool {
    (0..3).any(|axis| {
        let (before, after) = (
            array.slice_axis(ndarray::Axis(axis), (..-1).into()),
            array.slice_axis(ndarray::Axis(axis), (1..).into()),
        );
        before.iter().zip(after).any(|(&a, &b)| a > 0 && b > 0 && a != b)
    })
}

/// Each label grows into the background by an ellipsoid of `distance` millimetres, in ascending order. The ellipsoid
/// is sampled from one of its ends in steps of a voxel, so that it isn't symmetric where its radius isn't whole; along
/// flipped axes (x, y, z) from the other end. All in single precision, as TotalSegmentator has spacings.
pub(super) fn dilate(
    array: &mut Array3<u16>,
    distance: f64,
    spacing: [f64; 3],
    flip: [bool; 3],
) -> Result<()> {
    let line = |axis: usize| {
        let radius = distance as f32 / spacing[axis] as f32;
        let count = (radius + 1.0 + radius).ceil() as isize;
        let step = move |n: isize| if flip[axis] { count / 2 - n } else { n - count / 2 };
        (0..count)
            .map(move |n| (step(n), (n as f32 - radius).powi(2) / (radius * radius)))
            .collect::<Vec<_>>()
    };
    let lines = [0, 1, 2].map(line);
    let mut ellipsoid = Vec::new();
    for &(x, a) in &lines[0] {
        for &(y, b) in &lines[1] {
            for &(z, _) in lines[2].iter().filter(|(_, c)| a + b + c <= 1.0) {
                buffer::push(&mut ellipsoid, "an ellipsoid", [z, y, x])?;
            }
        }
    }
    let shape = array.dim();
    let inside =
        |at: usize, step: isize, length: usize| at.checked_add_signed(step).filter(|&at| at < length);
    // What several labels reach goes to the smallest.
    let before = buffer::copy("labels before they grow", array)?;
    for ((z, y, x), &label) in before.indexed_iter().filter(|(_, label)| **label > 0) {
        for [dz, dy, dx] in &ellipsoid {
            let at = (inside(z, *dz, shape.0), inside(y, *dy, shape.1), inside(x, *dx, shape.2));
            if let (Some(z), Some(y), Some(x)) = at
                && before[[z, y, x]] == 0
            {
                let grown = &mut array[[z, y, x]];
                *grown = if *grown == 0 { label } else { label.min(*grown) };
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const LABELS: [u32; 5] = [1, 2, 3, 4, 5];

    fn column(labels: &[u16]) -> Array3<u16> {
        Array3::from_shape_vec((labels.len(), 1, 1), labels.to_vec()).unwrap()
    }

    fn separated(labels: &[u16]) -> Vec<u16> {
        let mut array = column(labels);
        separate(&mut array, &LABELS, 2.0, [1.0; 3]).unwrap();
        array.into_iter().collect()
    }

    #[test]
    fn labels_that_do_not_touch_stay() {
        assert_eq!(separated(&[5, 0, 5, 0, 1, 1]), [5, 0, 5, 0, 1, 1]);
    }

    #[test]
    fn pieces_are_counted_upwards_from_the_lowest() {
        // The last piece is too small, and its label doesn't count any more.
        assert_eq!(separated(&[4, 4, 3, 0, 3, 3, 0, 3, 2, 0, 5]), [4, 4, 4, 0, 3, 3, 0, 2, 2, 0, 0]);
    }

    #[test]
    fn pieces_are_counted_downwards_in_a_head() {
        assert_eq!(separated(&[3, 3, 0, 3, 3, 0, 2, 1]), [3, 3, 0, 2, 2, 0, 1, 1]);
    }

    #[test]
    fn labels_grow_into_the_background() {
        let mut array = column(&[0, 0, 0, 2, 0, 0, 1, 0]);
        dilate(&mut array, 2.0, [1.0; 3], [false; 3]).unwrap();
        assert_eq!(array, column(&[0, 2, 2, 2, 1, 1, 1, 1]));
        // The radius is 1.5 voxels: sampled at -1.5, -0.5, 0.5 and 1.5, the middle is the third.
        let mut array = column(&[0, 0, 0, 2, 0, 0, 0, 0]);
        dilate(&mut array, 3.0, [1.0, 1.0, 2.0], [false; 3]).unwrap();
        assert_eq!(array[[0, 0, 0]], 0);
        let grown: Vec<bool> = array.iter().map(|&label| label == 2).collect();
        assert_eq!(grown, [false, true, true, true, true, false, false, false]);
        let mut array = column(&[0, 0, 0, 2, 0, 0, 0, 0]);
        dilate(&mut array, 3.0, [1.0, 1.0, 2.0], [false, false, true]).unwrap();
        let grown: Vec<bool> = array.iter().map(|&label| label == 2).collect();
        assert_eq!(grown, [false, false, true, true, true, true, false, false]);
    }
}
