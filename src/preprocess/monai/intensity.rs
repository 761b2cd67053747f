//! MONAI's intensity transforms, in `f32` as PyTorch computes them.

use crate::recipe::MonaiIntensity;
use ndarray::{ArrayViewMut4, Axis};

use super::percentile::percentiles;
use super::sigmoid::{sigmoid, tanh};
use super::smooth::smooth;
use super::statistics::{Moments, range};
use crate::{Error, Result, parallel};

impl MonaiIntensity {
    /// What Auto3DSeg's segmenter does for one of its `normalize_mode`s.
    ///
    /// # Errors
    /// [`Error::Unsupported`] for a mode that it doesn't have.
    pub fn auto3dseg(mode: &str, bounds: [f64; 2]) -> Result<Vec<MonaiIntensity>> {
        use MonaiIntensity::{Normalize, ScaleByDeviation, ScaleRange, Sigmoid, SoftClip};
        let own = Normalize { nonzero: true, channel_wise: true, subtrahend: None, divisor: None };
        Ok(match mode {
            "none" => Vec::new(),
            "range" | "ct" => {
                vec![ScaleRange { from: bounds, to: [Some(-1.0), Some(1.0)], clip: false }, Sigmoid]
            }
            "meanstd" | "mri" => vec![own],
            "meanstdtanh" => vec![own, SoftClip],
            "pet" => vec![ScaleByDeviation, Sigmoid],
            other => {
                let known = "none, range, ct, meanstd, mri, meanstdtanh and pet";
                return Err(Error::unsupported(format!("normalize_mode `{other}`, supported are {known}")));
            }
        })
    }

    /// Changes an image `[channel, axis 0, axis 1, axis 2]` in place, on up to `threads` threads; the result
    /// doesn't depend on their number.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] when there is another number of subtrahends or divisors than needed,
    /// [`Error::OutOfMemory`].
    pub fn apply(&self, mut image: ArrayViewMut4<f32>, threads: usize) -> Result<()> {
        if image.is_empty() {
            return Ok(());
        }
        match self {
            MonaiIntensity::ScaleRange { from, to, clip } => scale_range(image, *from, *to, *clip, threads),
            MonaiIntensity::Scale { to, channel_wise } => {
                each_part(image, *channel_wise, |_, part| scale(part, *to, threads))?;
            }
            MonaiIntensity::Normalize { nonzero, channel_wise, subtrahend, divisor } => {
                let parts = if *channel_wise { image.dim().0 } else { 1 };
                for (name, given) in [("subtrahend", subtrahend), ("divisor", divisor)] {
                    if let Some(given) = given.as_ref().filter(|given| given.len() != parts) {
                        let found = format!("{} numbers", given.len());
                        return Err(Error::argument(
                            name,
                            found,
                            format!("{parts}, as the image has channels"),
                        ));
                    }
                }
                let number = |given: &Option<Vec<f64>>, part: usize| given.as_ref().map(|given| given[part]);
                each_part(image, *channel_wise, |index, part| {
                    normalize(part, *nonzero, number(subtrahend, index), number(divisor, index), threads)
                })?;
            }
            MonaiIntensity::Times(factor) => {
                let factor = *factor as f32;
                map(image, threads, |value| value * factor);
            }
            MonaiIntensity::Shift(offset) => {
                let offset = *offset as f32;
                map(image, threads, |value| value + offset);
            }
            MonaiIntensity::ScalePercentiles { from, to, clip, channel_wise } => {
                each_part(image, *channel_wise, |_, part| {
                    let from = percentiles(part.view(), *from, threads)?.map(f64::from);
                    scale_range(part, from, *to, *clip, threads);
                    Ok(())
                })?;
            }
            MonaiIntensity::ClipPercentiles { bounds, channel_wise } => {
                each_part(image, *channel_wise, |_, part| {
                    let [least, most] = percentiles(part.view(), *bounds, threads)?;
                    map(part, threads, |value| clipped(value, least, most));
                    Ok(())
                })?;
            }
            MonaiIntensity::Threshold { threshold, above, other } => {
                let (threshold, other) = (*threshold as f32, *other as f32);
                let stays = |value: f32| if *above { value > threshold } else { value < threshold };
                map(image, threads, |value| if stays(value) { value } else { other });
            }
            MonaiIntensity::Contrast { gamma } => {
                let [low, high] = range(image.view(), threads)?;
                let (gamma, width) = (*gamma, high - low);
                let divisor = width + 1e-7;
                map(image, threads, |value| power((value - low) / divisor, gamma) * width + low);
            }
            MonaiIntensity::Smooth { sigma } => smooth(image, *sigma, threads)?,
            MonaiIntensity::Sigmoid => map(image, threads, sigmoid),
            MonaiIntensity::SoftClip => map(image, threads, |value| 3.0 * tanh(value / 3.0)),
            MonaiIntensity::ScaleByDeviation => {
                let [low, _] = range(image.view(), threads)?;
                let deviation = Moments::of(image.view(), false, threads)?.sample_deviation() as f32;
                map(image.view_mut(), threads, |value| (value - low) / deviation);
            }
        }
        Ok(())
    }
}

fn scale_range(
    image: ArrayViewMut4<f32>,
    [low, high]: [f64; 2],
    to: [Option<f64>; 2],
    clip: bool,
    threads: usize,
) {
    let start = low as f32;
    let [bottom, top] = to;
    if high - low == 0.0 {
        let bottom = bottom.map_or(0.0, |bottom| bottom as f32);
        return map(image, threads, |value| value - start + bottom);
    }
    let width = (high - low) as f32;
    let (factor, offset) = match (bottom, top) {
        (Some(bottom), Some(top)) => ((top - bottom) as f32, bottom as f32),
        _ => (1.0, 0.0),
    };
    let limit = |given: Option<f64>, none: f32| given.filter(|_| clip).map_or(none, |given| given as f32);
    let (least, most) = (limit(bottom, f32::NEG_INFINITY), limit(top, f32::INFINITY));
    map(image, threads, |value| clipped((value - start) / width * factor + offset, least, most));
}

/// NaN stays, and the upper limit wins.
fn clipped(value: f32, least: f32, most: f32) -> f32 {
    let value = if value < least { least } else { value };
    if value > most { most } else { value }
}

/// A share of a range to a power, rounded once.
fn power(share: f32, exponent: f64) -> f32 {
    libm::pow(f64::from(share), exponent) as f32
}

fn scale(part: ArrayViewMut4<f32>, to: [Option<f64>; 2], threads: usize) -> Result<()> {
    if to == [None; 2] {
        return Ok(());
    }
    let [low, high] = range(part.view(), threads)?;
    if low == high {
        let bottom = to[0].map_or(1.0, |bottom| bottom as f32);
        map(part, threads, |value| value * bottom);
        return Ok(());
    }
    let width = high - low;
    match to {
        [Some(bottom), Some(top)] => {
            let (factor, offset) = ((top - bottom) as f32, bottom as f32);
            map(part, threads, |value| (value - low) / width * factor + offset);
        }
        _ => map(part, threads, |value| (value - low) / width),
    }
    Ok(())
}

fn normalize(
    part: ArrayViewMut4<f32>,
    nonzero: bool,
    mean: Option<f64>,
    deviation: Option<f64>,
    threads: usize,
) -> Result<()> {
    let (mean, deviation) = match (mean, deviation) {
        (Some(mean), Some(deviation)) => (mean, deviation),
        _ => {
            let moments = Moments::of(part.view(), nonzero, threads)?;
            if moments.count == 0 {
                return Ok(());
            }
            (mean.unwrap_or(moments.mean), deviation.unwrap_or_else(|| moments.population_deviation()))
        }
    };
    let (mean, deviation) = (mean as f32, deviation as f32);
    let deviation = if deviation == 0.0 { 1.0 } else { deviation };
    match nonzero {
        true => map(part, threads, |value| if value == 0.0 { value } else { (value - mean) / deviation }),
        false => map(part, threads, |value| (value - mean) / deviation),
    }
    Ok(())
}

/// Calls with each channel, or with all of them at once.
fn each_part(
    mut image: ArrayViewMut4<f32>,
    channel_wise: bool,
    mut change: impl FnMut(usize, ArrayViewMut4<f32>) -> Result<()>,
) -> Result<()> {
    if !channel_wise {
        return change(0, image);
    }
    let mut channels = image.axis_chunks_iter_mut(Axis(0), 1).enumerate();
    channels.try_for_each(|(index, channel)| change(index, channel))
}

fn map(mut image: ArrayViewMut4<f32>, threads: usize, change: impl Fn(f32) -> f32 + Sync) {
    for mut channel in image.outer_iter_mut() {
        parallel::for_each(threads, channel.outer_iter_mut(), |mut slice| slice.mapv_inplace(&change));
    }
}

#[cfg(test)]
mod tests {
    use ndarray::Array4;

    use super::*;

    const IMAGE: [f32; 8] = [-2.0, 0.0, 1.5, 7.0, 3.0, 0.0, 0.0, 5.0];

    fn applied(changes: &[MonaiIntensity], values: [f32; 8]) -> Vec<f32> {
        let mut image = Array4::from_shape_vec((2, 1, 2, 2), values.to_vec()).unwrap();
        changes.iter().for_each(|change| change.apply(image.view_mut(), 2).unwrap());
        image.into_raw_vec_and_offset().0
    }

    fn close(found: &[f32], expected: [f32; 8]) {
        assert!(found.iter().zip(&expected).all(|(a, b)| (a - b).abs() < 3e-7), "{found:?}");
    }

    /// monai.transforms, MONAI 1.6.1: ScaleIntensityRangePercentiles(10, 90, 0, 1, clip) of all channels and of each,
    /// ClipIntensityPercentiles(20, 70), AdjustContrast(0.7).
    const PERCENTILES: [[f32; 8]; 4] = [
        [0.0, 0.096_774_206, 0.338_709_7, 1.0, 0.580_645_2, 0.096_774_206, 0.096_774_206, 0.903_225_9],
        [0.0, 0.207_407_4, 0.429_629_7, 1.0, 0.681_818_25, 0.0, 0.0, 1.0],
        [0.0, 0.0, 1.5, 2.85, 2.85, 0.0, 0.0, 2.85],
        [-2.0, 1.140_463_6, 2.646_440_5, 7.0, 3.964_194_3, 1.140_463_6, 1.140_463_6, 5.548_165],
    ];

    fn own(nonzero: bool, channel_wise: bool) -> MonaiIntensity {
        MonaiIntensity::Normalize { nonzero, channel_wise, subtrahend: None, divisor: None }
    }

    #[test]
    fn normalising_equals_monai() {
        // monai.transforms.NormalizeIntensity, MONAI 1.6.1, as in the other tests here
        let all = [
            -1.358_915_1,
            -0.646_041_6,
            -0.111_386_48,
            1.849_015_6,
            0.423_268_62,
            -0.646_041_6,
            -0.646_041_6,
            1.136_142_1,
        ];
        close(&applied(&[own(false, false)], IMAGE), all);
        let some = [-1.594_814_2, 0.0, -0.455_661_24, 1.334_436_3, 0.032_547_2, 0.0, 0.0, 0.683_491_77];
        close(&applied(&[own(true, false)], IMAGE), some);
        let each = [-1.124_803_2, 0.0, -0.179_968_52, 1.304_771_5, -1.0, 0.0, 0.0, 1.0];
        close(&applied(&[own(true, true)], IMAGE), each);
        let given = MonaiIntensity::Normalize {
            nonzero: false,
            channel_wise: true,
            subtrahend: Some(vec![1.0, 2.0]),
            divisor: Some(vec![2.0, 4.0]),
        };
        assert_eq!(applied(&[given], IMAGE), [-1.5, -0.5, 0.25, 3.0, 0.25, -0.5, -0.5, 0.75]);
        assert_eq!(applied(&[own(true, true)], [0.0; 8]), [0.0; 8]);
        assert_eq!(applied(&[own(false, false)], [3.0; 8]), [0.0; 8]);
    }

    #[test]
    fn scaling_equals_monai() {
        let scale = |to, channel_wise| MonaiIntensity::Scale { to, channel_wise };
        let all =
            [-1.0, -0.555_555_6, -0.222_222_21, 1.0, 0.111_111_164, -0.555_555_6, -0.555_555_6, 0.555_555_6];
        assert_eq!(applied(&[scale([Some(-1.0), Some(1.0)], false)], IMAGE), all);
        let each = [0.0, 0.444_444_45, 0.777_777_8, 2.0, 1.2, 0.0, 0.0, 2.0];
        assert_eq!(applied(&[scale([Some(0.0), Some(2.0)], true)], IMAGE), each);
        assert_eq!(applied(&[scale([Some(0.5), Some(2.0)], false)], [3.0; 8]), [1.5; 8]);
        assert_eq!(applied(&[scale([None, None], false)], IMAGE), IMAGE);
        let mut spoilt = IMAGE;
        spoilt[3] = f32::NAN;
        assert!(applied(&[scale([Some(0.0), Some(1.0)], false)], spoilt).iter().all(|value| value.is_nan()));
    }

    #[test]
    fn ranges_are_clipped_or_not() {
        let rule = |to, clip| MonaiIntensity::ScaleRange { from: [0.0, 4.0], to, clip };
        let unit = [Some(0.0), Some(1.0)];
        assert_eq!(applied(&[rule(unit, true)], IMAGE), [0.0, 0.0, 0.375, 1.0, 0.75, 0.0, 0.0, 1.0]);
        assert_eq!(applied(&[rule(unit, false)], IMAGE)[3], 1.75);
        assert_eq!(applied(&[rule([Some(0.0), None], true)], IMAGE)[..4], [0.0, 0.0, 0.375, 1.75]);
        let flat = MonaiIntensity::ScaleRange { from: [2.0, 2.0], to: [Some(1.0), None], clip: true };
        assert_eq!(applied(&[flat], IMAGE)[..4], [-3.0, -1.0, 0.5, 6.0]);
    }

    #[test]
    fn percentiles_and_contrast_equal_monai() {
        use MonaiIntensity::{ClipPercentiles, Contrast, ScalePercentiles, Shift, Threshold, Times};
        let unit = [Some(0.0), Some(1.0)];
        let scale =
            |channel_wise| ScalePercentiles { from: [10.0, 90.0], to: unit, clip: true, channel_wise };
        close(&applied(&[scale(false)], IMAGE), PERCENTILES[0]);
        close(&applied(&[scale(true)], IMAGE), PERCENTILES[1]);
        let clip = ClipPercentiles { bounds: [20.0, 70.0], channel_wise: false };
        close(&applied(&[clip], IMAGE), PERCENTILES[2]);
        let found = applied(&[Contrast { gamma: 0.7 }], IMAGE);
        assert!(found.iter().zip(&PERCENTILES[3]).all(|(a, b)| (a - b).abs() < 2e-6), "{found:?}");
        let threshold = |above| Threshold { threshold: 1.5, above, other: -9.0 };
        assert_eq!(applied(&[threshold(true)], IMAGE), [-9.0, -9.0, -9.0, 7.0, 3.0, -9.0, -9.0, 5.0]);
        assert_eq!(applied(&[threshold(false)], IMAGE), [-2.0, 0.0, -9.0, -9.0, -9.0, 0.0, 0.0, -9.0]);
        assert_eq!(applied(&[Times(0.5), Shift(1.0)], IMAGE), [0.0, 1.0, 1.75, 4.5, 2.5, 1.0, 1.0, 3.5]);
    }

    #[test]
    fn auto3dseg_equals_its_formulas() {
        let mode = |mode: &str| applied(&MonaiIntensity::auto3dseg(mode, [-1.0, 6.0]).unwrap(), IMAGE);
        close(
            &mode("ct"),
            [
                0.216_579_11,
                0.328_652_56,
                0.429_053_37,
                0.783_420_9,
                0.535_653_7,
                0.328_652_56,
                0.328_652_56,
                0.671_347_44,
            ],
        );
        close(
            &mode("pet"),
            [
                0.5,
                0.660_793_5,
                0.762_594_34,
                0.952_607_8,
                0.841_186_17,
                0.660_793_5,
                0.660_793_5,
                0.911_646_96,
            ],
        );
        close(
            &mode("meanstdtanh"),
            [-1.074_900_7, 0.0, -0.179_752_95, 1.228_284_1, -0.964_538_3, 0.0, 0.0, 0.964_538_3],
        );
        assert_eq!(mode("mri"), applied(&[own(true, true)], IMAGE));
        assert_eq!(mode("none"), IMAGE);
        assert!(matches!(MonaiIntensity::auto3dseg("xray", [0.0; 2]), Err(Error::Unsupported { .. })));
    }

    #[test]
    fn wrong_numbers_of_channels_are_refused() {
        let mut image = Array4::zeros((2, 1, 1, 1));
        for (channel_wise, count) in [(true, 3), (false, 2)] {
            let divisor = Some(vec![1.0; count]);
            let rule = MonaiIntensity::Normalize { nonzero: false, channel_wise, subtrahend: None, divisor };
            assert!(matches!(rule.apply(image.view_mut(), 1), Err(Error::InvalidArgument { .. })));
        }
    }

    #[test]
    fn neither_threads_nor_layout_matter() {
        let image = Array4::from_shape_fn((2, 5, 7, 13), |(c, z, y, x)| {
            ((c * 7 + z * 37 + y * 101 + x * 57) % 83) as f32 * 0.37
        });
        for rule in [own(true, false), own(false, true), MonaiIntensity::ScaleByDeviation] {
            let with = |threads, mut image: Array4<f32>| {
                rule.apply(image.view_mut(), threads).unwrap();
                image.as_standard_layout().into_owned()
            };
            let reversed = image.t().as_standard_layout().into_owned().reversed_axes();
            assert!(
                with(1, image.clone()) == with(3, image.clone())
                    && with(2, reversed) == with(1, image.clone())
            );
        }
    }
}
