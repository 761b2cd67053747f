//! Percentiles of an image's intensities, between two neighbours by linear interpolation as PyTorch's `quantile` and
//! NumPy's `percentile` have it. Intensities are counted by the halves of their bits, so that no copy is sorted.

use ndarray::ArrayView4;

use crate::buffer;
use crate::error::Result;
use crate::parallel;

/// What its memory is for, in errors.
const COUNTS: &str = "counting intensities";

/// Values of half an intensity's bits.
const HALF: usize = 1 << 16;

/// Up to so many intensities MONAI asks PyTorch, which computes in single precision; beyond it asks NumPy.
const MOST_OF_PYTORCH: u64 = 1_000_000;

/// The intensities at two percentiles, 0 to 100; NaN for both when one intensity is NaN.
pub(super) fn percentiles(image: ArrayView4<f32>, at: [f64; 2], threads: usize) -> Result<[f32; 2]> {
    let count = image.len() as u64;
    let tops = counts(image, threads, |key| Some(key >> 16))?;
    if image.iter().any(|value| value.is_nan()) {
        return Ok([f32::NAN; 2]);
    }
    let nth = |rank: u64| -> Result<f32> {
        let (top, before) = bin(&tops, rank);
        let lows = counts(image, threads, |key| (key >> 16 == top as u32).then_some(key & 0xffff))?;
        let (low, _) = bin(&lows, rank - before);
        Ok(value((top as u32) << 16 | low as u32))
    };
    let percentile = |percent: f64| -> Result<f32> {
        let last = count - 1;
        if count <= MOST_OF_PYTORCH {
            let rank = (percent / 100.0) as f32 * last as f32;
            let (low, share) = (rank.floor(), rank - rank.floor());
            let [a, b] = [nth(low as u64)?, nth((rank.ceil() as u64).min(last))?];
            return Ok(if share < 0.5 { a + share * (b - a) } else { b - (b - a) * (1.0 - share) });
        }
        let rank = percent / 100.0 * last as f64;
        let (low, share) = (rank.floor(), rank - rank.floor());
        let [a, b] = [nth(low as u64)?, nth((low as u64 + 1).min(last))?].map(f64::from);
        Ok((if share < 0.5 { a + share * (b - a) } else { b - (b - a) * (1.0 - share) }) as f32)
    };
    Ok([percentile(at[0])?, percentile(at[1])?])
}

/// A number whose order is that of the intensities.
fn key(value: f32) -> u32 {
    // Both zeros are one intensity.
    let bits = (value + 0.0).to_bits();
    if bits >> 31 == 1 { !bits } else { bits | 1 << 31 }
}

/// The intensity of a key.
fn value(key: u32) -> f32 {
    f32::from_bits(if key >> 31 == 1 { key & !(1 << 31) } else { !key })
}

/// How many intensities there are of each kind.
fn counts(
    image: ArrayView4<f32>,
    threads: usize,
    kind: impl Fn(u32) -> Option<u32> + Sync,
) -> Result<Vec<u64>> {
    let parts = threads.clamp(1, 16);
    let of_part = |_| buffer::zeroed::<u64>(COUNTS, HALF);
    let mut found = (0..parts).map(of_part).collect::<Result<Vec<_>>>()?;
    let planes = image.dim().1;
    parallel::for_each(threads, found.iter_mut().enumerate(), |(part, counts)| {
        for plane in (part..planes).step_by(parts) {
            for &value in image.index_axis(ndarray::Axis(1), plane).iter() {
                if let Some(kind) = kind(key(value)) {
                    counts[kind as usize] += 1;
                }
            }
        }
    });
    Ok(found
        .into_iter()
        .reduce(|mut all, part| {
            all.iter_mut().zip(part).for_each(|(all, count)| *all += count);
            all
        })
        .unwrap_or_default())
}

/// The bin that holds an ordinal number, and how many are before it.
fn bin(counts: &[u64], rank: u64) -> (usize, u64) {
    let mut before = 0;
    for (bin, &count) in counts.iter().enumerate() {
        if before + count > rank {
            return (bin, before);
        }
        before += count;
    }
    (HALF - 1, before)
}

#[cfg(test)]
mod tests {
    use ndarray::Array4;
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn ordinal_numbers_are_those_of_a_sorted_copy(
            values in prop::collection::vec(prop_oneof![-1e3f32..1e3, Just(0.0), Just(-0.0), -1e-30f32..1e-30], 1..60),
            at in 0.0..100.0f64, threads in 1..4usize,
        ) {
            let image = Array4::from_shape_vec((1, values.len(), 1, 1), values.clone()).unwrap();
            let [least, most] = percentiles(image.view(), [0.0, 100.0], threads).unwrap();
            let mut sorted = values;
            sorted.sort_by(f32::total_cmp);
            prop_assert_eq!((least, most), (sorted[0], sorted[sorted.len() - 1]));
            let [found, _] = percentiles(image.view(), [at, 0.0], threads).unwrap();
            let rank = at / 100.0 * (sorted.len() - 1) as f64;
            let [low, high] = [rank - 1e-3, rank + 1e-3 + 1.0].map(|rank| sorted[(rank.max(0.0) as usize).min(sorted.len() - 1)]);
            prop_assert!(low <= found && found <= high);
        }
    }

    #[test]
    fn one_that_is_no_number_spoils_all() {
        let image = Array4::from_shape_vec((1, 3, 1, 1), vec![1.0, f32::NAN, 2.0]).unwrap();
        assert!(percentiles(image.view(), [0.0, 100.0], 2).unwrap().iter().all(|value| value.is_nan()));
    }
}
