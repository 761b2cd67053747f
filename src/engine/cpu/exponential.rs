//! The exponential and the error function in plain arithmetic, so that a loop over lanes becomes vector code and every
//! processor computes the same bits.

/// e to the power of `x`, within two units of the last place; 0 below −87. The rest of `x` after whole multiples of the
/// logarithm of 2 goes through the polynomial of the Cephes library's `expf` (Moshier).
#[inline(always)]
pub(super) fn exp(x: f32) -> f32 {
    let bounded = if x < 88.0 { x } else { 88.0 };
    let bounded = if bounded > -87.0 { bounded } else { -87.0 };
    // Adding and taking away 1.5 · 2²³ rounds to a whole number.
    let shifted = bounded * std::f32::consts::LOG2_E + 12_582_912.0;
    let n = shifted - 12_582_912.0;
    // The logarithm of 2 in two parts, so that the product with n is exact.
    let rest = (bounded - n * 0.693_359_4) + n * 2.121_944_4e-4;
    let polynomial = [1.398_199_9e-3, 8.333_452e-3, 4.166_579_6e-2, 1.666_666_5e-1, 0.5]
        .iter()
        .fold(1.987_569_1e-4, |sum: f32, term| sum * rest + term);
    let power = f32::from_bits(((n as i32 + 127) << 23) as u32);
    let value = (polynomial * rest * rest + rest + 1.0) * power;
    let value = if x < -87.0 { 0.0 } else { value };
    if x.is_nan() { x } else { value }
}

/// Beyond this the error function is 1, but for 2 · 10⁻¹⁰.
const FAR: f64 = 4.5;

/// erf(x) / x as a polynomial of 2x² / 4.5² − 1, through the values at 400 Chebyshev nodes; the highest power first.
const ERF: [f64; 25] = [
    8.031_791_076_064_11e-6,
    -2.096_720_505_505_800_4e-5,
    4.587_923_176_586_63e-6,
    -7.397_071_458_399_276e-6,
    1.346_334_745_176_136_7e-4,
    -2.981_923_788_320_274e-4,
    4.435_475_166_246_759_6e-4,
    -8.648_428_824_380_968e-4,
    1.787_707_422_154_199_5e-3,
    -3.215_241_530_488_13e-3,
    5.389_808_904_865_275e-3,
    -8.738_352_798_886_804e-3,
    1.349_883_939_481_97e-2,
    -1.973_412_808_391_459_8e-2,
    2.738_233_396_901_876_3e-2,
    -3.615_567_054_469_833_6e-2,
    4.556_897_313_590_168_3e-2,
    -5.513_023_665_287_789e-2,
    6.457_457_078_042_839e-2,
    -7.408_937_496_086_1e-2,
    8.452_117_423_149_094e-2,
    -9.771_290_029_848_727e-2,
    1.177_189_411_368_23e-1,
    -1.571_111_680_503_139_7e-1,
    3.142_675_449_560_906e-1,
];

/// The error function, to 2 · 10⁻¹⁰.
#[inline(always)]
fn erf(x: f64) -> f64 {
    let bounded = if x < FAR { x } else { FAR };
    let bounded = if bounded > -FAR { bounded } else { -FAR };
    let place = bounded * bounded * (2.0 / (FAR * FAR)) - 1.0;
    bounded * ERF[1..].iter().fold(ERF[0], |sum, term| sum * place + term)
}

/// x · Φ(x) = x / 2 · (1 + erf(x / √2)).
#[inline(always)]
pub(super) fn gelu(x: f32) -> f32 {
    let x = f64::from(x);
    (0.5 * x * (1.0 + erf(x * std::f64::consts::FRAC_1_SQRT_2))) as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_error_function_is_that_of_tables() {
        // Abramowitz and Stegun, table 7.1, and the complement at 3 and 5.
        let known = [
            (0.0, 0.0),
            (0.1, 0.1124629160),
            (0.5, 0.5204998778),
            (1.0, 0.8427007929),
            (1.9, 0.9927904292),
            (2.0, 0.9953222650),
            (3.0, 1.0 - 2.209049700e-5),
            (5.0, 1.0 - 1.537459794e-12),
        ];
        for (x, value) in known {
            assert!((erf(x) - value).abs() < 3e-10, "{x}: {}", erf(x));
            assert!((erf(-x) + value).abs() < 3e-10);
        }
        assert!(gelu(f32::NAN).is_nan() && gelu(f32::INFINITY) == f32::INFINITY);
    }

    #[test]
    fn the_exponential_is_near_the_real_one() {
        for k in -900..900 {
            let x = k as f32 * 0.097;
            let error = (f64::from(exp(x)) - f64::from(x).exp()).abs();
            assert!(error <= f64::from(x).exp() * 1.8e-7 || (x < -87.0 && exp(x) == 0.0), "e to the {x}");
        }
        assert!(exp(f32::NEG_INFINITY) == 0.0 && exp(f32::NAN).is_nan());
    }
}
