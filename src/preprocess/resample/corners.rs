//! Resampling between grids whose outermost voxel centres coincide: SciPy's `zoom` with `grid_mode` off, which is
//! TotalSegmentator's way to change a spacing.
//!
//! What is interpolated is rounded towards zero there, so that the last bit of a sum decides about a whole unit: in
//! air, for one, eight equal values are summed whose weights add up to one or to a little less. So each sum has
//! SciPy's order here: taps with the first of the patient's axes slowest, each value times its weights from the
//! first axis on.

use ndarray::{Array3, ArrayView3};

use super::pass::{Pass, Range};
use super::{IMAGE, resample_by};
use crate::error::Result;
use crate::{buffer, parallel};

/// One axis: where its output samples lie between the input samples.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Line {
    from: usize,
    /// For each output sample the input sample below it and the weights of that one and the next.
    taps: Vec<(usize, [f64; 2])>,
}

impl Line {
    pub(crate) fn new(from: usize, to: usize) -> Result<Self> {
        Line::through(from, positions(from, to))
    }

    /// With output samples at these positions, which lie between the input's first and last.
    pub(super) fn through(from: usize, positions: impl Iterator<Item = f64>) -> Result<Self> {
        let tap = |at: f64| {
            let below = at.floor();
            let first = 1.0 - (at - below);
            (below as usize, [first, 1.0 - first])
        };
        Ok(Line { from, taps: buffer::collect(IMAGE, positions.map(tap))? })
    }

    /// The input samples around an output sample; beyond the last one it goes on.
    pub(super) fn around(&self, index: usize) -> ([usize; 2], [f64; 2]) {
        let (below, weights) = self.taps[index];
        ([below, (below + 1).min(self.from - 1)], weights)
    }
}

/// The positions of the output samples of a line among its input samples.
fn positions(from: usize, to: usize) -> impl Iterator<Item = f64> {
    // The ratio is rounded before it is multiplied, so that the last position may lie a little beyond the end.
    let ratio = if to > 1 { (from - 1) as f64 / (to - 1) as f64 } else { 1.0 };
    (0..to).map(move |index| (index as f64 * ratio).clamp(0.0, (from - 1) as f64))
}

/// The input sample that is nearest to each output sample, the upper one of two.
pub(crate) fn nearest_indices(from: usize, to: usize) -> Result<Vec<usize>> {
    buffer::collect(IMAGE, positions(from, to).map(|at| (at + 0.5).floor() as usize))
}

/// The shape of a grid after a change from `spacing` to `target`; halves are rounded to even.
pub(crate) fn shape(shape: [usize; 3], spacing: [f64; 3], target: [f64; 3]) -> [usize; 3] {
    [0, 1, 2].map(|axis| (shape[axis] as f64 * (spacing[axis] / target[axis])).round_ties_even() as usize)
}

/// Linear interpolation, rounded towards zero and stored by `store`. Arrays are [z, y, x]; `plane` reads one of the
/// input's planes. Each thread holds two of them, so that the input is never there as a whole.
pub(crate) fn linear<const N: usize>(
    from: [usize; 3],
    to: [usize; 3],
    threads: usize,
    plane: impl Fn(usize, &mut [f32]) + Sync,
    store: impl Fn(f64) -> [u8; N] + Sync,
) -> Result<Vec<u8>> {
    let [planes, rows, columns] = [0, 1, 2].map(|axis| Line::new(from[axis], to[axis]));
    let (planes, rows, columns) = (planes?, rows?, columns?);
    let size = from[1] * from[2];
    let mut out = buffer::zeroed(IMAGE, to.iter().product::<usize>() * N)?;
    // Neighbouring planes share their inputs.
    let share = to[0].div_ceil(threads.max(1) * 4).max(1);
    let chunks = out.chunks_mut((share * to[1] * to[2] * N).max(1)).enumerate();
    parallel::try_for_each(threads, chunks, |(chunk, out)| {
        let mut held = [0, 1].map(|_| (usize::MAX, Vec::new()));
        for (_, plane) in &mut held {
            *plane = buffer::zeroed(IMAGE, size)?;
        }
        for (n, out) in out.chunks_exact_mut(to[1] * to[2] * N).enumerate() {
            let (wanted, weights) = planes.around(chunk * share + n);
            if held[1].0 == wanted[0] {
                held.swap(0, 1);
            }
            for (held, &wanted) in held.iter_mut().zip(&wanted) {
                if held.0 != wanted {
                    plane(wanted, &mut held.1);
                    held.0 = wanted;
                }
            }
            for (y, out) in out.chunks_exact_mut(to[2] * N).enumerate() {
                let (y, of_row) = rows.around(y);
                let lines = y.map(|y| held.each_ref().map(|(_, plane)| &plane[y * from[2]..][..from[2]]));
                for (x, out) in out.chunks_exact_mut(N).enumerate() {
                    let (x, of_column) = columns.around(x);
                    let mut sum = 0.0;
                    for (&x, &across) in x.iter().zip(&of_column) {
                        for (lines, &down) in lines.iter().zip(&of_row) {
                            for (line, &along) in lines.iter().zip(&weights) {
                                sum += f64::from(line[x]) * across * down * along;
                            }
                        }
                    }
                    out.copy_from_slice(&store(sum.trunc()));
                }
            }
        }
        Ok(())
    })?;
    Ok(out)
}

/// Cubic splines, not rounded. SciPy sums 64 products a voxel where this goes axis by axis, which differs in the last
/// bits: whole numbers may be missed by so little that rounding towards zero loses a unit in the one and not in the
/// other.
pub(crate) fn cubic(image: ArrayView3<f32>, to: [usize; 3], threads: usize) -> Result<Array3<f64>> {
    let from: [usize; 3] = image.dim().into();
    let pass = |axis: usize| Pass::through(from[axis], positions(from[axis], to[axis]));
    resample_by([pass(0)?, pass(1)?, pass(2)?], image, Range::ALL, threads)
}

/// Labels on another grid, each output voxel the nearest input voxel.
pub(crate) fn nearest<T: Copy>(labels: ArrayView3<T>, to: [usize; 3]) -> Result<Array3<T>> {
    let from: [usize; 3] = labels.dim().into();
    let [planes, rows, columns] = [0, 1, 2].map(|axis| nearest_indices(from[axis], to[axis]));
    let (planes, rows, columns) = (planes?, rows?, columns?);
    buffer::from_fn("a label map", to, |z, y, x| labels[[planes[z], rows[y], columns[x]]])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn corners_stay_and_halves_go_up() {
        assert_eq!(nearest_indices(3, 5).unwrap(), [0, 1, 1, 2, 2]);
        assert_eq!(nearest_indices(5, 3).unwrap(), [0, 2, 4]);
        assert_eq!(nearest_indices(4, 1).unwrap(), [0]);
        assert_eq!(nearest_indices(1, 3).unwrap(), [0, 0, 0]);
        assert_eq!(shape([101, 70, 55], [3.0, 1.5, 4.5], [6.0, 6.0, 3.0]), [50, 18, 82]);
    }

    /// Linear interpolation of an array in the patient's order of axes, first axis slowest.
    fn interpolated(values: &[f32], from: [usize; 3], to: [usize; 3], threads: usize) -> Vec<f32> {
        let reversed = |shape: [usize; 3]| [shape[2], shape[1], shape[0]];
        let read = |z: usize, plane: &mut [f32]| {
            for (n, value) in plane.iter_mut().enumerate() {
                let (y, x) = (n / from[0], n % from[0]);
                *value = values[(x * from[1] + y) * from[2] + z];
            }
        };
        let store = |value: f64| (value as f32).to_ne_bytes();
        let bytes = linear(reversed(from), reversed(to), threads, read, store).unwrap();
        let found: Vec<f32> =
            bytes.chunks_exact(4).map(|b| f32::from_ne_bytes(b.try_into().unwrap())).collect();
        let at = |n: usize| {
            let (x, y, z) = (n / (to[1] * to[2]), n / to[2] % to[1], n % to[2]);
            found[(z * to[1] + y) * to[0] + x]
        };
        (0..found.len()).map(at).collect()
    }

    #[test]
    fn equals_scipy() {
        let Some(golden) = crate::reference::golden("resample.json") else { return };
        for case in golden["cases"].as_array().unwrap() {
            let shape =
                |key: &str| -> [usize; 3] { crate::reference::numbers(&case[key]).try_into().unwrap() };
            let numbers = |value: &serde_json::Value| -> Vec<f64> {
                value.as_array().unwrap().iter().map(|value| value.as_f64().unwrap()).collect()
            };
            let input: Vec<f32> = numbers(&case["input"]).into_iter().map(|value| value as f32).collect();
            let (from, to) = (shape("shape"), shape("out"));
            let expected = numbers(&case["ndimage_zoom_order1_gridFalse"]["data"]);
            for threads in [1, 3] {
                for (found, expected) in interpolated(&input, from, to, threads).iter().zip(&expected) {
                    // The vectors are of f64, so that whole numbers may be missed by the input's rounding.
                    let whole = (expected - expected.round()).abs() < 1e-3;
                    assert!(whole || f64::from(*found) == expected.trunc(), "{found} {expected}");
                }
            }
        }
    }
}
