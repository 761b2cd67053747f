//! Range, mean and deviation of intensities, summed in `f64` slice by slice, so that neither the number of
//! threads nor the memory layout shows. PyTorch sums in `f32` and agrees to about 1e-6.

use ndarray::{ArrayView4, s};

use crate::error::Result;
use crate::{buffer, parallel};

/// Interleaved results, since one chain of operations would wait for each.
const LANES: usize = 8;

/// The smallest and the largest intensity; both NaN when one is, as in PyTorch.
pub(super) fn range(image: ArrayView4<f32>, threads: usize) -> Result<[f32; 2]> {
    let slices = each_slice(image, threads, |values| {
        let (mut low, mut high) = ([f32::INFINITY; LANES], [f32::NEG_INFINITY; LANES]);
        let mut numbers = true;
        for block in values.chunks(LANES) {
            for ((low, high), &value) in low.iter_mut().zip(&mut high).zip(block) {
                *low = if value < *low { value } else { *low };
                *high = if value > *high { value } else { *high };
                numbers &= !value.is_nan();
            }
        }
        let least = low.into_iter().fold(f32::INFINITY, f32::min);
        let most = high.into_iter().fold(f32::NEG_INFINITY, f32::max);
        if numbers { [least, most] } else { [f32::NAN; 2] }
    })?;
    Ok(slices.into_iter().fold([f32::INFINITY, f32::NEG_INFINITY], |[low, high], [least, most]| {
        if low.is_nan() || least.is_nan() { [f32::NAN; 2] } else { [low.min(least), high.max(most)] }
    }))
}

/// Mean and variance of intensities.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Moments {
    /// How many intensities were measured.
    pub count: u64,
    /// Their mean.
    pub mean: f64,
    /// The sum of their squared distances from the mean.
    pub squares: f64,
}

impl Moments {
    /// Of all intensities, or of those that aren't zero.
    pub fn of(image: ArrayView4<f32>, nonzero: bool, threads: usize) -> Result<Moments> {
        let counts = each_slice(image, threads, |values| match nonzero {
            true => values.iter().filter(|&&value| value != 0.0).count() as u64,
            false => values.len() as u64,
        })?;
        let count = counts.into_iter().sum::<u64>();
        // Zeros add nothing to the first sum.
        let mean = total(image, threads, |value| value)? / count.max(1) as f64;
        let squares = match nonzero {
            true => total(
                image,
                threads,
                |value| if value == 0.0 { 0.0 } else { (value - mean) * (value - mean) },
            )?,
            false => total(image, threads, |value| (value - mean) * (value - mean))?,
        };
        Ok(Moments { count, mean, squares })
    }

    /// The standard deviation of the intensities themselves.
    pub fn population_deviation(&self) -> f64 {
        (self.squares / self.count as f64).sqrt()
    }

    /// The standard deviation with Bessel's correction; NaN for a single intensity, as in PyTorch.
    pub fn sample_deviation(&self) -> f64 {
        (self.squares / (self.count as f64 - 1.0)).sqrt()
    }
}

fn total(image: ArrayView4<f32>, threads: usize, term: impl Fn(f64) -> f64 + Sync) -> Result<f64> {
    let slices = each_slice(image, threads, |values| {
        let mut sums = [0.0; LANES];
        for block in values.chunks(LANES) {
            sums.iter_mut().zip(block).for_each(|(sum, &value)| *sum += term(value.into()));
        }
        sums.into_iter().sum::<f64>()
    })?;
    Ok(slices.into_iter().sum())
}

/// What its memory is for, in errors.
const SLICES: &str = "measuring an image";

/// Measures each slice of each channel, and returns the results in order.
fn each_slice<T: Clone + Default + Send>(
    image: ArrayView4<f32>,
    threads: usize,
    measure: impl Fn(&[f32]) -> T + Sync,
) -> Result<Vec<T>> {
    let (channels, depth, _, _) = image.dim();
    let mut results = buffer::filled(SLICES, channels * depth, T::default())?;
    parallel::try_for_each(threads, results.iter_mut().enumerate(), |(index, result)| {
        let slice = image.slice(s![index / depth, index % depth, .., ..]);
        *result = measure(buffer::row_major(SLICES, slice)?.as_slice().unwrap_or_default());
        Ok(())
    })?;
    Ok(results)
}
