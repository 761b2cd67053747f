//! Resampling of label maps, for the previous stage of a cascade: each label's indicator is resampled and the
//! best one wins (batchgenerators 0.25.5, `resize_segmentation`).

use ndarray::{Array3, ArrayView3, Axis, Zip};

use super::{coordinate, nearest, resample_as, resample_nearest, torch};
use crate::buffer;
use crate::error::{Error, Result};
use crate::parallel;
use crate::recipe::{Orders, Resampler};

/// What its memory is for, in errors.
const LABELS: &str = "the labels of a previous stage";

/// Resamples labels as a recipe says; −1 stands for voxels outside of the image.
///
/// # Errors
/// [`Error::Unsupported`] for labels that are interpolated along a separate axis, [`Error::OutOfMemory`].
pub fn resample_labels(
    resampler: &Resampler,
    labels: Array3<i32>,
    to: [usize; 3],
    separate: Option<usize>,
    threads: usize,
) -> Result<Array3<i32>> {
    if labels.shape() == to {
        return Ok(labels);
    }
    match *resampler {
        Resampler::None => Err(Error::unsupported("a previous stage on another grid than the image")),
        Resampler::Torch { memory_efficient, .. } => {
            like_torch(labels.view(), to, separate, memory_efficient, threads)
        }
        Resampler::Spline(spline) => match separate {
            None => by_best(labels.view(), to, spline.orders, threads),
            Some(axis) if spline.orders.order_z == 0 => {
                let mut between: [usize; 3] = labels.dim().into();
                (0..3).filter(|&other| other != axis).for_each(|other| between[other] = to[other]);
                let mut slices: Array3<i32> = buffer::zeros(LABELS, between)?;
                for (mut out, slice) in
                    slices.axis_chunks_iter_mut(Axis(axis), 1).zip(labels.axis_chunks_iter(Axis(axis), 1))
                {
                    let mut shape = between;
                    shape[axis] = 1;
                    out.assign(&by_best(slice, shape, spline.orders, threads)?);
                }
                buffer::select(LABELS, &slices, axis, &nearest::indices(labels.len_of(Axis(axis)), to[axis])?)
            }
            Some(_) => Err(Error::unsupported("labels that are interpolated along a separate axis")),
        },
    }
}

fn distinct(labels: ArrayView3<i32>) -> Vec<i32> {
    let mut all = Vec::new();
    for &label in labels {
        if let Err(place) = all.binary_search(&label) {
            all.insert(place, label);
        }
    }
    all
}

/// The label with the highest interpolated indicator; among equals the nearest voxel's, else the smallest.
fn by_best(labels: ArrayView3<i32>, to: [usize; 3], orders: Orders, threads: usize) -> Result<Array3<i32>> {
    let nearest = resample_nearest(labels, to)?;
    let all = distinct(labels);
    if orders.order == 0 || all.len() == 1 {
        return Ok(nearest);
    }
    if orders.order == 1 {
        return Ok(by_best_of_eight(labels, nearest, threads));
    }
    let mut best = buffer::array(LABELS, to, f64::NEG_INFINITY)?;
    let mut winner = buffer::zeros::<i32, _>(LABELS, to)?;
    for &label in &all {
        let indicator = buffer::map(LABELS, &labels, |found| f32::from(u8::from(found == label)))?;
        let score: Array3<f64> = resample_as(indicator.view(), to, orders, None, threads)?;
        Zip::from(&mut best).and(&mut winner).and(&score).and(&nearest).for_each(
            |best, winner, &score, &nearest| {
                let draws = score == *best && nearest == label;
                if score > *best || draws {
                    *best = score;
                    *winner = label;
                }
            },
        );
    }
    Ok(winner)
}

/// The same for linear interpolation. Labels draw where their weights add up to the same number, to the last bit, so
/// that sums have SciPy's order here: the first axis slowest, weights multiplied from the first axis on, and samples
/// beyond the outermost voxel centres between that voxel and itself.
fn by_best_of_eight(labels: ArrayView3<i32>, mut nearest: Array3<i32>, threads: usize) -> Array3<i32> {
    let (from, to): ([usize; 3], [usize; 3]) = (labels.dim().into(), nearest.dim().into());
    let [planes, rows, columns] = [0, 1, 2].map(|axis| -> Vec<[(usize, f64); 2]> {
        let tap = |index| {
            let at = coordinate(from[axis], to[axis], index);
            let last = (from[axis] - 1) as f64;
            let first = 1.0 - (at - at.floor());
            [
                (at.floor().clamp(0.0, last) as usize, first),
                ((at.floor() + 1.0).clamp(0.0, last) as usize, 1.0 - first),
            ]
        };
        (0..to[axis]).map(tap).collect()
    });
    parallel::for_each(threads, nearest.outer_iter_mut().zip(&planes), |(mut plane, along)| {
        for ((y, x), winner) in plane.indexed_iter_mut() {
            let mut sums = [(0, 0.0); 8];
            let mut count = 0;
            for (z, front) in along {
                for (y, down) in &rows[y] {
                    for (x, across) in &columns[x] {
                        let (label, weight) = (labels[[*z, *y, *x]], front * down * across);
                        match sums[..count].iter_mut().find(|(known, _)| *known == label) {
                            Some((_, sum)) => *sum += weight,
                            None => {
                                sums[count] = (label, weight);
                                count += 1;
                            }
                        }
                    }
                }
            }
            // An indicator's results are clipped to its range.
            let found = || sums[..count].iter().map(|&(label, sum)| (label, sum.min(1.0)));
            let best = found().fold(0.0, |best, (_, sum)| sum.max(best));
            let drawn = || found().filter(|&(_, sum)| sum == best).map(|(label, _)| label);
            if !drawn().any(|label| label == *winner) {
                *winner = drawn().min().unwrap_or(*winner);
            }
        }
    });
    nearest
}

fn like_torch(
    labels: ArrayView3<i32>,
    to: [usize; 3],
    separate: Option<usize>,
    memory_efficient: bool,
    threads: usize,
) -> Result<Array3<i32>> {
    if let Some(axis) = separate {
        let mut between = to;
        between[axis] = labels.len_of(Axis(axis));
        let mut slices: Array3<i32> = buffer::zeros(LABELS, between)?;
        for (mut out, slice) in
            slices.axis_chunks_iter_mut(Axis(axis), 1).zip(labels.axis_chunks_iter(Axis(axis), 1))
        {
            let mut shape = between;
            shape[axis] = 1;
            out.assign(&like_torch(slice, shape, None, memory_efficient, threads)?);
        }
        let taps = torch::nearest(labels.len_of(Axis(axis)), to[axis])?;
        let inputs = buffer::collect(LABELS, taps.iter().map(|(inputs, _)| inputs[0]))?;
        return buffer::select(LABELS, &slices, axis, &inputs);
    }
    if labels.shape() == to {
        return buffer::copy(LABELS, &labels);
    }
    // Indicators of 1000 in half precision: over 700 a label is sure, the last such label stays; the rest go
    // to the first best. The memory-efficient variant asks for one half and leaves 0 where none has it.
    let mut sure = buffer::zeros::<bool, _>(LABELS, to)?;
    let mut best = buffer::array(LABELS, to, f32::NEG_INFINITY)?;
    let mut result = buffer::zeros::<i32, _>(LABELS, to)?;
    for label in distinct(labels) {
        let scale = if memory_efficient { 1.0 } else { 1000.0 };
        let indicator = buffer::map(LABELS, &labels, |found| if found == label { scale } else { 0.0 })?;
        let score = torch::interpolate(indicator.view(), to, None, threads)?;
        Zip::from(&mut sure).and(&mut best).and(&mut result).and(&score).for_each(
            |sure, best, result, &score| {
                if memory_efficient {
                    *result = if score > 0.5 { label } else { *result };
                    return;
                }
                let score = half::f16::from_f32(score).to_f32();
                if score > 700.0 {
                    (*sure, *result) = (true, label);
                } else if !*sure && score > *best {
                    (*best, *result) = (score, label);
                }
            },
        );
    }
    Ok(result)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recipe::Spline;

    fn line(values: &[i32]) -> Array3<i32> {
        Array3::from_shape_vec((1, 1, values.len()), values.to_vec()).unwrap()
    }

    #[test]
    fn no_label_between_two_is_invented() {
        let spline = Resampler::Spline(Spline::new(1, 0, None).unwrap());
        let resampled = resample_labels(&spline, line(&[0, 0, 5, 5]), [1, 1, 6], None, 1).unwrap();
        assert_eq!(resampled, line(&[0, 0, 0, 5, 5, 5]));
        let torch = Resampler::Torch { separate: None, memory_efficient: false };
        assert_eq!(resample_labels(&torch, line(&[0, 0, 5, 5]), [1, 1, 6], None, 1).unwrap(), resampled);
    }

    #[test]
    fn ties_go_to_the_nearest() {
        let spline = Resampler::Spline(Spline::new(1, 0, None).unwrap());
        // Halving puts each sample between two voxels; scipy's nearest rounds up.
        let resampled = resample_labels(&spline, line(&[2, 1, 1, 3]), [1, 1, 2], None, 1).unwrap();
        assert_eq!(resampled, line(&[1, 3]));
    }
}
