//! MONAI's `GaussianSmooth`: `GaussianFilter` with the kernel of the error function, cut off after four standard
//! deviations, its sum not made one; zeros around the image.

use ndarray::{ArrayViewMut1, ArrayViewMut4, Axis};

use crate::error::Result;
use crate::{buffer, parallel};

/// What its memory is for, in errors.
const LINE: &str = "a line of an image";
/// Where the kernel ends, in standard deviations.
const CUT_OFF: f64 = 4.0;

/// Smooths each channel along one axis after the other.
pub(super) fn smooth(mut image: ArrayViewMut4<f32>, sigma: [f64; 3], threads: usize) -> Result<()> {
    for (axis, &sigma) in sigma.iter().enumerate() {
        let kernel = kernel(sigma)?;
        // Slices that hold whole lines along the axis.
        let (across, along) = (Axis(usize::from(axis == 0)), Axis(usize::from(axis == 2)));
        for mut channel in image.axis_iter_mut(Axis(0)) {
            parallel::try_for_each(threads, channel.axis_iter_mut(across), |mut slice| {
                let mut line = buffer::zeroed(LINE, slice.len_of(along))?;
                slice.lanes_mut(along).into_iter().for_each(|lane| filter(lane, &kernel, &mut line));
                Ok(())
            })?;
        }
    }
    Ok(())
}

/// The weights from one end to the other.
fn kernel(sigma: f64) -> Result<Vec<f32>> {
    let tail = ((sigma * CUT_OFF).max(0.5) + 0.5) as usize;
    let scale = f64::from(std::f32::consts::FRAC_1_SQRT_2) / sigma;
    let weight = |index: usize| {
        let place = index as f64 - tail as f64;
        (0.5 * (erf(scale * (place + 0.5)) - erf(scale * (place - 0.5)))).max(0.0) as f32
    };
    buffer::collect(LINE, (0..2 * tail + 1).map(weight))
}

fn filter(mut lane: ArrayViewMut1<f32>, kernel: &[f32], line: &mut [f32]) {
    line.iter_mut().zip(&lane).for_each(|(held, &value)| *held = value);
    let tail = kernel.len() / 2;
    for (at, out) in lane.iter_mut().enumerate() {
        let first = at.saturating_sub(tail);
        let weights = &kernel[tail + first - at..];
        *out = line[first..].iter().zip(weights).map(|(value, weight)| value * weight).sum();
    }
}

/// The error function, by a series of positive terms.
fn erf(x: f64) -> f64 {
    if x.abs() > 6.0 {
        return x.signum();
    }
    let (mut term, mut sum, mut divisor) = (x, x, 1.0);
    while term.abs() > 1e-17 * sum.abs() {
        divisor += 2.0;
        term *= 2.0 * x * x / divisor;
        sum += term;
    }
    std::f64::consts::FRAC_2_SQRT_PI * libm::exp(-x * x) * sum
}

#[cfg(test)]
mod tests {
    use ndarray::Array4;

    use super::*;

    #[test]
    fn the_error_function_is_known() {
        for (x, value) in
            [(0.0, 0.0), (0.5, 0.520_499_877_813_046_5), (-2.0, -0.995_322_265_018_952_7), (7.0, 1.0)]
        {
            assert!((erf(x) - value).abs() < 1e-14, "{x}");
        }
    }

    #[test]
    fn smoothing_equals_monai() {
        // monai.transforms.GaussianSmooth(sigma), MONAI 1.6.1
        let smoothed = |sigma: [f64; 3], shape: (usize, usize, usize, usize), values: &[f32]| {
            let mut image = Array4::from_shape_vec(shape, values.to_vec()).unwrap();
            smooth(image.view_mut(), sigma, 2).unwrap();
            image.into_raw_vec_and_offset().0
        };
        let close = |found: &[f32], expected: &[f32]| {
            assert!(
                found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-6 * b.abs().max(1.0)),
                "{found:?}"
            );
        };
        let values: Vec<f32> = (0..24).map(|n| (n % 7) as f32 * 1.5).collect();
        let shape = (1, 2, 3, 4);
        close(
            &smoothed([0.4; 3], shape, &values),
            &[
                1.162_043_9,
                2.264_733_8,
                2.682_266_7,
                2.655_899_5,
                3.966_923_2,
                5.514_12,
                6.061_174,
                1.933_383,
                2.015_851_5,
                2.633_081,
                3.647_741_3,
                3.601_899_9,
                4.582_415_6,
                5.491_255_3,
                1.527_155_9,
                1.614_341_7,
                3.408_668_3,
                4.222_8,
                4.689_558,
                4.562_806,
                4.839_096,
                1.398_174_4,
                1.895_503_4,
                2.559_842,
            ],
        );
        close(
            &smoothed([1.0, 0.5, 2.0], shape, &values),
            &[
                1.076_693_9,
                1.273_048_3,
                1.251_366_1,
                1.025_498_2,
                1.728_231_3,
                2.060_260_8,
                2.032_700_8,
                1.659_406_9,
                1.131_276_2,
                1.357_928_5,
                1.375_582_8,
                1.172_927_5,
                1.269_882,
                1.440_235_5,
                1.353_605_6,
                1.061_406_6,
                1.691_433_8,
                2.028_138_9,
                2.024_571_7,
                1.682_022_8,
                1.148_031_2,
                1.325_706_1,
                1.301_389_2,
                1.086_634_5,
            ],
        );
    }
}
