//! Resampling one axis after the other, from the taps of each.

use ndarray::{Array3, ArrayView3, Axis};

use super::sampling::{AxisTaps, Real};
use crate::error::Result;
use crate::{buffer, parallel};

/// Resamples an image between its taps, in single or double precision, summed in the order of PyTorch's
/// `grid_sample` and rounded once.
///
/// # Errors
/// [`Error::OutOfMemory`](crate::Error::OutOfMemory).
///
/// # Panics
/// When the taps aren't for this image's shape.
pub fn resample_linear(
    image: ArrayView3<f32>,
    taps: &[AxisTaps; 3],
    single: bool,
    threads: usize,
) -> Result<Array3<f32>> {
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

/// What its memory is for, in errors.
const IMAGE: &str = "a resampled image";

fn linear<R: Real>(image: ArrayView3<f32>, taps: &[AxisTaps; 3], threads: usize) -> Result<Array3<f32>> {
    let image = buffer::row_major(IMAGE, image)?;
    let [planes, rows, columns] = taps;
    let side = |side: usize| columns.weights.iter().map(move |weights| R::of(weights[side]));
    let across: [Vec<R>; 2] = [buffer::collect(IMAGE, side(0))?, buffer::collect(IMAGE, side(1))?];
    let tap = |taps: &AxisTaps, index: usize, side: usize| {
        (taps.between[index][side], R::of(taps.weights[index][side]))
    };
    let mut out: Array3<f32> = buffer::zeros(IMAGE, taps.each_ref().map(|taps| taps.between.len()))?;
    parallel::try_for_each(threads, out.axis_iter_mut(Axis(0)).enumerate(), |(plane, mut out)| {
        // Neighbouring rows of the image have different parity, so that both stay for the next output row.
        let none = || Line { row: usize::MAX, values: [Vec::new(), Vec::new()] };
        let mut lines = [[none(), none()], [none(), none()]];
        let mut sums = buffer::filled(IMAGE, columns.between.len(), R::of(0.0))?;
        for values in lines.iter_mut().flatten().flat_map(|line| &mut line.values) {
            buffer::reserve(values, IMAGE, columns.between.len())?;
        }
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
        Ok(())
    })?;
    Ok(out)
}

/// Copies the nearest voxels; `outside` where there is none.
///
/// # Errors
/// [`Error::OutOfMemory`](crate::Error::OutOfMemory).
///
/// # Panics
/// When the indices aren't for this array's shape.
pub fn resample_nearest<T: Copy + Send + Sync>(
    labels: ArrayView3<T>,
    nearest: &[Vec<Option<usize>>; 3],
    outside: T,
    threads: usize,
) -> Result<Array3<T>> {
    let [planes, rows, columns] = nearest;
    let mut out = buffer::array("a label map", nearest.each_ref().map(Vec::len), outside)?;
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
    Ok(out)
}
