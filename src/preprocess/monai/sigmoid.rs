//! Sigmoid and hyperbolic tangent of single precision, correct to the last bit but for rare ties: computed in
//! double precision without branches, and the same on every platform, which a system's `exp` isn't.

/// The logistic function.
#[inline(always)]
pub(super) fn sigmoid(value: f32) -> f32 {
    (1.0 / (1.0 + exp(-f64::from(value)))) as f32
}

/// The hyperbolic tangent.
#[inline(always)]
pub(super) fn tanh(value: f32) -> f32 {
    let wide = f64::from(value);
    let power = exp(-2.0 * wide.abs());
    let large = ((1.0 - power) / (1.0 + power)).copysign(wide);
    // The difference from one loses digits near zero, where the series' first terms suffice.
    let small = wide - wide * wide * wide / 3.0;
    (if wide.abs() < 1e-3 { small } else { large }) as f32
}

/// e to the power of `value`, which is clamped to ±700, with a relative error of about 1e-13.
#[inline(always)]
fn exp(value: f64) -> f64 {
    /// 1.5 · 2⁵²: adding it rounds to an integer, which then stands in the lowest bits.
    const ROUND: f64 = 6_755_399_441_055_744.0;
    // NaN passes both comparisons.
    let value = if value < -700.0 { -700.0 } else { value };
    let value = if value > 700.0 { 700.0 } else { value };
    let shifted = value * std::f64::consts::LOG2_E + ROUND;
    let rest = value - (shifted - ROUND) * std::f64::consts::LN_2;
    let mut sum = 1.0;
    for divisor in [11.0, 10.0, 9.0, 8.0, 7.0, 6.0, 5.0, 4.0, 3.0, 2.0, 1.0] {
        sum = 1.0 + sum * rest * (1.0 / divisor);
    }
    sum * f64::from_bits((shifted.to_bits() << 52).wrapping_add(1.0f64.to_bits()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equals_the_rounded_functions() {
        let mut other = 0;
        for step in -40_000..=40_000 {
            let value = step as f32 * 0.0007;
            let wide = f64::from(value);
            let exact = [(1.0 / (1.0 + (-wide).exp())) as f32, wide.tanh() as f32];
            for (found, exact) in [sigmoid(value), tanh(value)].into_iter().zip(exact) {
                assert!(found.to_bits().abs_diff(exact.to_bits()) <= 1, "{value}: {found} {exact}");
                other += usize::from(found != exact);
            }
        }
        assert!(other <= 2, "{other}");
    }

    #[test]
    fn ends_and_not_a_number() {
        assert_eq!([sigmoid(0.0), sigmoid(200.0), sigmoid(-1e30)], [0.5, 1.0, 0.0]);
        assert_eq!([tanh(-0.0), tanh(1e-20), tanh(9e9), tanh(-99.0)], [0.0, 1e-20, 1.0, -1.0]);
        assert!(sigmoid(f32::NAN).is_nan() && tanh(f32::NAN).is_nan());
        assert_eq!([sigmoid(f32::INFINITY), tanh(f32::NEG_INFINITY)], [1.0, -1.0]);
    }
}
