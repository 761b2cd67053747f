//! DeepEdit's clicks: where a voxel of the volume lies in the network's image, and what is painted there (MONAI 1.6.1,
//! `monai/apps/deepedit/transforms.py`).

use ndarray::{ArrayViewMut3, Axis};

use super::smooth::smooth;
use crate::error::Result;
use crate::parallel;
use crate::preprocess::Trace;
use crate::volume::Box3;

/// Voxels over which a click is smoothed.
const SIGMA: f64 = 3.0;

/// The voxel of the network's image, of shape `to`, for a voxel of the volume. The reference scales by the stored
/// shape's axes, one by one, even where turning the image has changed their order, and twice; so does this.
pub fn place(trace: &Trace, to: [usize; 3], at: [usize; 3]) -> [usize; 3] {
    let turned = trace.grid.shape;
    let stored = trace.map.undo(turned);
    let there = trace.map.to_array(stored, &Box3 { start: at, end: at.map(|index| index + 1) }).start;
    [0, 1, 2].map(|axis| {
        let length = stored[axis] as f64;
        let first = (there[axis] as f64 * (turned[axis] as f64 / length)).trunc();
        let second = (first * (to[axis] as f64 / length)).trunc();
        (second as usize).min(to[axis].saturating_sub(1))
    })
}

/// Paints the clicks of a label into its channel of zeros: ones that are smoothed and brought to 0–1.
///
/// # Errors
/// [`crate::Error::OutOfMemory`].
pub fn paint(mut channel: ArrayViewMut3<f32>, clicks: &[[usize; 3]], threads: usize) -> Result<()> {
    if clicks.is_empty() {
        return Ok(());
    }
    for &click in clicks {
        channel[click] = 1.0;
    }
    smooth(channel.view_mut().insert_axis(Axis(0)), [SIGMA; 3], threads)?;
    let (least, most) = channel.iter().fold((f32::INFINITY, f32::NEG_INFINITY), |(least, most), &value| {
        (least.min(value), most.max(value))
    });
    let range = most - least;
    // A channel that is smaller than the filter and full of clicks may come out even.
    if range > 0.0 {
        parallel::for_each(threads, channel.axis_iter_mut(Axis(0)), |mut plane| {
            plane.iter_mut().for_each(|value| *value = (*value - least) / range);
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use ndarray::Array3;

    use super::*;
    use crate::volume::{AxisMap, Geometry};

    #[test]
    fn clicks_are_placed_by_the_stored_shape() {
        let volume = Geometry::with_shape([48, 40, 20]);
        let trace = Trace::new(AxisMap::identity(), &volume);
        assert_eq!(place(&trace, [64; 3], [24, 39, 19]), [32, 62, 60]);
        let map = AxisMap { axis: [2, 0, 1], flip: [true, false, false] };
        // Turned it is 20 × 48 × 40; voxel (24, 39, 19) is at (0, 24, 39).
        let trace = Trace::new(map, &volume);
        let second = |at: f64, turned: f64, stored: f64| {
            ((at * (turned / stored)).trunc() * (64.0 / stored)).trunc() as usize
        };
        let expected = [0, second(24.0, 48.0, 40.0), second(39.0, 40.0, 20.0).min(63)];
        assert_eq!(place(&trace, [64; 3], [24, 39, 19]), expected);
    }

    #[test]
    fn a_click_is_one_in_the_middle_and_zero_far_away() {
        let mut channel = Array3::zeros((40, 40, 40));
        paint(channel.view_mut(), &[[20, 20, 20]], 2).unwrap();
        assert_eq!((channel[[20, 20, 20]], channel[[0, 0, 0]], channel[[20, 20, 33]]), (1.0, 0.0, 0.0));
        assert!(channel[[20, 20, 23]] > 0.5 && channel[[20, 20, 23]] < 0.7, "{}", channel[[20, 20, 23]]);
        let mut nothing = Array3::zeros((4, 4, 4));
        paint(nothing.view_mut(), &[], 1).unwrap();
        assert!(nothing.iter().all(|&value: &f32| value == 0.0));
    }
}
