//! Intensity normalisation, one channel at a time, in `f32` as nnU-Net does it.

use crate::recipe::Normalization;
use ndarray::{ArrayView2, ArrayView3, ArrayViewMut3, Axis};

use crate::{Error, Result, buffer, parallel};

/// The smallest divisor: keeps constant images finite.
const SMALLEST: f32 = 1e-8;

impl Normalization {
    /// Normalises `channel` in place, on up to `threads` threads; the result doesn't depend on their number.
    ///
    /// `mask`, of the channel's shape, is used by [`Normalization::ZScore`] with `masked` only, which takes
    /// the whole channel when there is none. Fails when the intensities of a colour image aren't within 0 and
    /// 255.
    pub fn apply(
        &self,
        mut channel: ArrayViewMut3<f32>,
        mask: Option<ArrayView3<bool>>,
        threads: usize,
    ) -> Result<()> {
        match *self {
            Normalization::None => {}
            Normalization::Ct { lower, upper, mean, std } => {
                let std = std.max(SMALLEST);
                map(channel, threads, |value| (clip(value, lower, upper) - mean) / std);
            }
            Normalization::ZScore { masked } => match mask.filter(|_| masked) {
                None => {
                    let (mean, std) = moments(channel.view(), None, threads)?;
                    map(channel, threads, |value| (value - mean) / std);
                }
                Some(mask) => {
                    let (mean, std) = moments(channel.view(), Some(mask), threads)?;
                    let slices = channel.outer_iter_mut().zip(mask.outer_iter());
                    parallel::for_each(threads, slices, |(mut slice, mask)| {
                        slice.zip_mut_with(&mask, |value, &inside| {
                            *value = if inside { (*value - mean) / std } else { *value };
                        });
                    });
                }
            },
            Normalization::RescaleTo01 => {
                let (low, _) = range(channel.view(), threads)?;
                map(channel.view_mut(), threads, |value| value - low);
                let (_, high) = range(channel.view(), threads)?;
                let high = high.max(SMALLEST);
                map(channel, threads, |value| value / high);
            }
            Normalization::RgbTo01 => {
                let (low, high) = range(channel.view(), threads)?;
                if low < 0.0 || high > 255.0 || channel.iter().any(|value| value.is_nan()) {
                    return Err(Error::VolumeMismatch {
                        expected: "a colour image with intensities from 0 to 255".into(),
                        found: format!("intensities from {low} to {high}"),
                    });
                }
                map(channel, threads, |value| value / 255.0);
            }
        }
        Ok(())
    }
}

/// Like NumPy's `clip`: NaN stays NaN, and `upper` wins over `lower`.
fn clip(value: f32, lower: f32, upper: f32) -> f32 {
    let value = if value < lower { lower } else { value };
    if value > upper { upper } else { value }
}

fn map(mut channel: ArrayViewMut3<f32>, threads: usize, change: impl Fn(f32) -> f32 + Sync) {
    parallel::for_each(threads, channel.outer_iter_mut(), |mut slice| slice.mapv_inplace(&change));
}

/// Measures each slice and returns the results in the order of the slices.
fn measure<T: Clone + Default + Send>(
    channel: ArrayView3<f32>,
    threads: usize,
    measure: impl Fn(usize, ArrayView2<f32>) -> T + Sync,
) -> Result<Vec<T>> {
    let mut results = buffer::filled("measuring an image", channel.len_of(Axis(0)), T::default())?;
    let items = results.iter_mut().zip(channel.outer_iter().enumerate());
    parallel::for_each(threads, items, |(result, (index, slice))| *result = measure(index, slice));
    Ok(results)
}

/// The smallest and the largest intensity, without NaN.
fn range(channel: ArrayView3<f32>, threads: usize) -> Result<(f32, f32)> {
    const NOTHING: (f32, f32) = (f32::INFINITY, f32::NEG_INFINITY);
    let extend = |range: (f32, f32), other: (f32, f32)| (range.0.min(other.0), range.1.max(other.1));
    let slices = measure(channel, threads, |_, slice| {
        slice.iter().fold(NOTHING, |range, &value| extend(range, (value, value)))
    })?;
    Ok(slices.into_iter().fold(NOTHING, extend))
}

/// The mean and the population standard deviation, at least [`SMALLEST`], of the voxels inside the mask.
///
/// NumPy sums in `f32`, in an order that depends on the memory layout. Sums of slices in `f64`, added in the
/// order of the slices, depend on nothing else and agree with it to about 1e-6.
fn moments(channel: ArrayView3<f32>, mask: Option<ArrayView3<bool>>, threads: usize) -> Result<(f32, f32)> {
    let count =
        mask.map_or(channel.len(), |mask| mask.iter().filter(|&&inside| inside).count()).max(1) as f64;
    let mean = total(channel, mask, threads, f64::from)? / count;
    let variance = total(channel, mask, threads, |value| (f64::from(value) - mean).powi(2))? / count;
    Ok((mean as f32, (variance.sqrt() as f32).max(SMALLEST)))
}

/// The sum of a term for each voxel inside the mask.
fn total(
    channel: ArrayView3<f32>,
    mask: Option<ArrayView3<bool>>,
    threads: usize,
    term: impl Fn(f32) -> f64 + Sync,
) -> Result<f64> {
    let slices = measure(channel, threads, |index, slice| {
        let mut sums = [0.0; 8];
        match mask.map(|mask| mask.index_axis_move(Axis(0), index)) {
            None => {
                slice.rows().into_iter().for_each(|row| add(&mut sums, row.iter().map(|&value| term(value))))
            }
            Some(mask) => slice.rows().into_iter().zip(mask.rows()).for_each(|(row, mask)| {
                let inside = row.iter().zip(mask);
                add(&mut sums, inside.map(|(&value, &inside)| if inside { term(value) } else { 0.0 }));
            }),
        }
        sums.into_iter().sum::<f64>()
    })?;
    Ok(slices.into_iter().sum())
}

/// Adds to interleaved sums, since one chain of additions would wait for each.
fn add(sums: &mut [f64; 8], mut terms: impl ExactSizeIterator<Item = f64>) {
    while terms.len() >= sums.len() {
        sums.iter_mut().zip(&mut terms).for_each(|(sum, term)| *sum += term);
    }
    sums.iter_mut().zip(terms).for_each(|(sum, term)| *sum += term);
}

#[cfg(test)]
mod tests {
    use ndarray::{Array3, array};

    use super::*;

    fn applied(scheme: Normalization, mut values: Array3<f32>, mask: Option<&Array3<bool>>) -> Array3<f32> {
        scheme.apply(values.view_mut(), mask.map(|mask| mask.view()), 2).unwrap();
        values
    }

    #[test]
    fn ct_divides_after_clipping() {
        let scheme = Normalization::Ct { lower: -10.0, upper: 20.0, mean: 5.5, std: 3.0 };
        let result = applied(scheme, array![[[-100.0, 1.1, 50.0, f32::NAN]]], None);
        assert_eq!(result.as_slice().unwrap()[..3], [-15.5 / 3.0, (1.1f32 - 5.5) / 3.0, 14.5 / 3.0]);
        assert!(result[(0, 0, 3)].is_nan());
        let flat = Normalization::Ct { lower: 0.0, upper: 1.0, mean: 1.0, std: 0.0 };
        assert_eq!(applied(flat, array![[[0.0]]], None), array![[[-1.0 / 1e-8]]]);
    }

    #[test]
    fn z_score_of_all_or_masked() {
        let image = array![[[1.0, 3.0], [1.0, 3.0]], [[1.0, 3.0], [5.0, 9.0]]];
        let mask = array![[[true, true], [true, true]], [[true, true], [false, false]]];
        let masked = applied(Normalization::ZScore { masked: true }, image.clone(), Some(&mask));
        assert_eq!(masked, array![[[-1.0, 1.0], [-1.0, 1.0]], [[-1.0, 1.0], [5.0, 9.0]]]);
        let all = applied(Normalization::ZScore { masked: false }, image.clone(), Some(&mask));
        assert!(all.mean().unwrap().abs() < 1e-6 && (all.std(0.0) - 1.0).abs() < 1e-6);
        assert_eq!(all, applied(Normalization::ZScore { masked: true }, image.clone(), None));
        let none = mask.mapv(|_| false);
        assert_eq!(applied(Normalization::ZScore { masked: true }, image.clone(), Some(&none)), image);
        assert_eq!(
            applied(Normalization::ZScore { masked: false }, array![[[7.0, 7.0]]], None),
            array![[[0.0, 0.0]]]
        );
    }

    #[test]
    fn scales_to_unit_range() {
        assert_eq!(
            applied(Normalization::RescaleTo01, array![[[-2.0, 2.0, 0.0]]], None),
            array![[[0.0, 1.0, 0.5]]]
        );
        assert_eq!(
            applied(Normalization::RgbTo01, array![[[0.0, 51.0, 255.0]]], None),
            array![[[0.0, 0.2, 1.0]]]
        );
        assert_eq!(applied(Normalization::None, array![[[3.0]]], None), array![[[3.0]]]);
        for bad in [256.0, -1.0, f32::NAN] {
            let mut image = array![[[1.0, bad]]];
            let error = Normalization::RgbTo01.apply(image.view_mut(), None, 1).unwrap_err();
            assert!(matches!(error, Error::VolumeMismatch { .. }));
        }
    }

    #[test]
    fn threads_do_not_matter() {
        let image =
            Array3::from_shape_fn((7, 11, 13), |(z, y, x)| ((z * 37 + y * 101 + x * 57) % 83) as f32 * 0.37);
        let mask = image.mapv(|value| value > 3.0);
        for scheme in [Normalization::ZScore { masked: true }, Normalization::ZScore { masked: false }] {
            let with = |threads| {
                let mut image = image.clone();
                scheme.apply(image.view_mut(), Some(mask.view()), threads).unwrap();
                image
            };
            assert!(with(1) == with(2) && with(1) == with(3));
        }
    }
}
