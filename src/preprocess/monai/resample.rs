//! Resampling one axis after the other, from the taps of each.

use ndarray::{Array3, ArrayView3, Axis};

use super::sampling::{AxisTaps, Real};
use crate::parallel;

/// Resamples an image between its taps, in single or double precision, summed in the order of PyTorch's
/// `grid_sample` and rounded once.
///
/// # Panics
/// When the taps aren't for this image's shape.
pub fn resample_linear(
    image: ArrayView3<f32>,
    taps: &[AxisTaps; 3],
    single: bool,
    threads: usize,
) -> Array3<f32> {
    let run = if single { linear::<f32> } else { linear::<f64> };
    run(image, taps, threads)
}

/// One line of the image, brought to the columns of the output.
struct Line<R> {
    /// Its row in the image.
    row: usize,
    /// The lower and the upper input of each output.
    values: [Vec<R>; 2],
}

fn linear<R: Real>(image: ArrayView3<f32>, taps: &[AxisTaps; 3], threads: usize) -> Array3<f32> {
    let image = image.as_standard_layout();
    let [planes, rows, columns] = taps;
    let side = |side: usize| columns.weights.iter().map(move |weights| R::of(weights[side]));
    let across: [Vec<R>; 2] = [side(0).collect(), side(1).collect()];
    let tap = |taps: &AxisTaps, index: usize, side: usize| {
        (taps.between[index][side], R::of(taps.weights[index][side]))
    };
    let mut out = Array3::zeros(taps.each_ref().map(|taps| taps.between.len()));
    parallel::for_each(threads, out.axis_iter_mut(Axis(0)).enumerate(), |(plane, mut out)| {
        // Neighbouring rows of the image have different parity, so that both stay for the next output row.
        let none = || Line { row: usize::MAX, values: [Vec::new(), Vec::new()] };
        let mut lines = [[none(), none()], [none(), none()]];
        let mut sums = vec![R::of(0.0); columns.between.len()];
        for (row, mut out) in out.outer_iter_mut().enumerate() {
            sums.fill(R::of(0.0));
            for (front, down) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
                let ((z, front_weight), (y, down_weight)) = (tap(planes, plane, front), tap(rows, row, down));
                let line = &mut lines[front][y % 2];
                if line.row != y {
                    let source = image.slice(ndarray::s![z, y, ..]);
                    let source = source.to_slice().unwrap_or_default();
                    for (side, values) in line.values.iter_mut().enumerate() {
                        values.clear();
                        values.extend(columns.between.iter().map(|at| R::of(source[at[side]].into())));
                    }
                    line.row = y;
                }
                let [low, high] = &line.values;
                let weights = across[0].iter().zip(&across[1]);
                for ((sum, (&low, &high)), (&left, &right)) in
                    sums.iter_mut().zip(low.iter().zip(high)).zip(weights)
                {
                    *sum = *sum + low * (left * down_weight * front_weight);
                    *sum = *sum + high * (right * down_weight * front_weight);
                }
            }
            out.iter_mut().zip(&sums).for_each(|(value, sum)| *value = sum.wide() as f32);
        }
    });
    out
}

/// Copies the nearest voxels; `outside` where there is none.
///
/// # Panics
/// When the indices aren't for this array's shape.
pub fn resample_nearest<T: Copy + Send + Sync>(
    labels: ArrayView3<T>,
    nearest: &[Vec<Option<usize>>; 3],
    outside: T,
    threads: usize,
) -> Array3<T> {
    let [planes, rows, columns] = nearest;
    let mut out = Array3::from_elem(nearest.each_ref().map(Vec::len), outside);
    parallel::for_each(threads, out.outer_iter_mut().zip(planes), |(mut plane, z)| {
        for (mut row, y) in plane.outer_iter_mut().zip(rows) {
            let (Some(z), Some(y)) = (*z, *y) else { continue };
            let line = labels.slice(ndarray::s![z, y, ..]);
            for (out, x) in row.iter_mut().zip(columns) {
                if let Some(x) = *x {
                    *out = line[x];
                }
            }
        }
    });
    out
}
