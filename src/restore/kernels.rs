//! The inner loops of restoring. Each is written once, in a form that compilers turn into vector code, and
//! compiled a second time for processors with AVX2; both give the same bits, since neither reorders a sum.

#![allow(unsafe_code, reason = "calling code that was compiled for AVX2 after asking for it, and its loads")]

use std::sync::LazyLock;

/// Whether this processor has what the second copy needs.
static AVX2: LazyLock<bool> = LazyLock::new(|| {
    #[cfg(target_arch = "x86_64")]
    return std::arch::is_x86_feature_detected!("avx2");
    #[cfg(not(target_arch = "x86_64"))]
    return false;
});

/// Compiles a function twice and chooses at run time.
macro_rules! twice {
    ($(#[$about:meta])* $name:ident / $body:ident / $avx2:ident ($($argument:ident: $type:ty),* $(,)?)) => {
        $(#[$about])*
        pub(super) fn $name($($argument: $type),*) {
            #[cfg(target_arch = "x86_64")]
            if *AVX2 {
                // SAFETY: the processor has AVX2.
                return unsafe { $avx2($($argument),*) };
            }
            $body($($argument),*)
        }

        #[cfg(target_arch = "x86_64")]
        #[target_feature(enable = "avx2")]
        fn $avx2($($argument: $type),*) {
            $body($($argument),*)
        }
    };
}

twice! {
    /// `out` = a + weight · (b − a).
    mix / mix_body / mix_avx2 (a: &[f32], b: &[f32], weight: f32, out: &mut [f32])
}

#[inline(always)]
fn mix_body(a: &[f32], b: &[f32], weight: f32, out: &mut [f32]) {
    for ((out, &a), &b) in out.iter_mut().zip(a).zip(b) {
        *out = a + weight * (b - a);
    }
}

twice! {
    /// As [`mix`], rounded to half precision, ties to even, and widened again. Results must be finite in half
    /// precision.
    mix_to_half / mix_to_half_body / mix_to_half_avx2 (a: &[f32], b: &[f32], weight: f32, out: &mut [f32])
}

#[inline(always)]
fn mix_to_half_body(a: &[f32], b: &[f32], weight: f32, out: &mut [f32]) {
    for ((out, &a), &b) in out.iter_mut().zip(a).zip(b) {
        *out = rounded(a + weight * (b - a));
    }
}

/// The nearest half-precision number.
#[inline(always)]
fn rounded(value: f32) -> f32 {
    let bits = value.to_bits();
    // Ten of 23 digits stay: adding just under half of what goes, and the last digit that stays, rounds ties
    // to even; a carry into the exponent is right too.
    let normal = f32::from_bits((bits + 0xfff + ((bits >> 13) & 1)) & !0x1fff);
    // Below 2⁻¹⁴ half precision has a fixed step of 2⁻²⁴, the step of single precision from ½ to 1.
    let small = ((value.abs() + 0.75) - 0.75).copysign(value);
    if value.abs() < 6.103_515_6e-5 { small } else { normal }
}

/// Voxels whose best scores are held in registers while all classes pass.
const BLOCK: usize = 16;

twice! {
    /// Finds the highest score of each voxel of a row, the first of equals, its class, and its lead over the
    /// second highest. `scores` is [class][voxel].
    contest / contest_body / contest_avx2 (scores: &[f32], best: &mut [f32], lead: &mut [f32], winner: &mut [u32])
}

#[inline(always)]
fn contest_body(scores: &[f32], best: &mut [f32], lead: &mut [f32], winner: &mut [u32]) {
    let width = best.len();
    let blocks = best.chunks_mut(BLOCK).zip(lead.chunks_mut(BLOCK)).zip(winner.chunks_mut(BLOCK));
    for (block, ((best, lead), winner)) in blocks.enumerate() {
        let (mut top, mut next) = ([f32::NEG_INFINITY; BLOCK], [f32::NEG_INFINITY; BLOCK]);
        let mut class_of = [0_u32; BLOCK];
        for (class, row) in scores.chunks_exact(width).enumerate() {
            let row = &row[block * BLOCK..];
            let score: [f32; BLOCK] = match row.first_chunk() {
                Some(whole) => *whole,
                None => std::array::from_fn(|lane| row.get(lane).copied().unwrap_or(f32::NEG_INFINITY)),
            };
            // Selections and no branches, so that the lanes run on vectors.
            for lane in 0..BLOCK {
                let wins = score[lane] > top[lane];
                let loser = if wins { top[lane] } else { score[lane] };
                next[lane] = if loser > next[lane] { loser } else { next[lane] };
                top[lane] = if wins { score[lane] } else { top[lane] };
                class_of[lane] = if wins { class as u32 } else { class_of[lane] };
            }
        }
        best.copy_from_slice(&top[..best.len()]);
        let leads: [f32; BLOCK] = std::array::from_fn(|lane| top[lane] - next[lane]);
        lead.copy_from_slice(&leads[..lead.len()]);
        winner.copy_from_slice(&class_of[..winner.len()]);
    }
}

/// Outputs of a line interpolation that are computed together, where their inputs lie within eight neighbours.
#[derive(Clone, Copy, Debug)]
pub(super) struct Octet {
    /// The first of the eight inputs.
    start: usize,
    /// Which of them each output lies behind and before.
    low: [i32; 8],
    high: [i32; 8],
    weights: [f32; 8],
}

/// Groups the taps of a line by eight; `None` where a group's inputs lie too far apart, or the line is too
/// short.
pub(super) fn octets(between: &[[usize; 2]], weights: &[f32], inputs: usize) -> Option<Vec<Octet>> {
    if inputs < 8 || between.len() < 8 {
        return None;
    }
    between
        .chunks_exact(8)
        .zip(weights.chunks_exact(8))
        .map(|(between, weights)| {
            let start = between[0][0].min(inputs - 8);
            let near = between.iter().flatten().all(|input| (start..start + 8).contains(input));
            let place = |which: usize| std::array::from_fn(|k| between[k][which].wrapping_sub(start) as i32);
            near.then(|| Octet {
                start,
                low: place(0),
                high: place(1),
                weights: std::array::from_fn(|k| weights[k]),
            })
        })
        .collect()
}

/// Interpolates the outputs that `octets` cover, eight at a time; returns how many those are.
pub(super) fn interpolate(octets: &[Octet], line: &[f32], out: &mut [f32]) -> usize {
    #[cfg(target_arch = "x86_64")]
    if *AVX2 {
        // SAFETY: the processor has AVX2.
        return unsafe { interpolate_avx2(octets, line, out) };
    }
    let _ = (octets, line, out);
    0
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn interpolate_avx2(octets: &[Octet], line: &[f32], out: &mut [f32]) -> usize {
    use std::arch::x86_64::*;
    for (octet, out) in octets.iter().zip(out.chunks_exact_mut(8)) {
        let inputs = &line[octet.start..octet.start + 8];
        // SAFETY: each pointer is to eight readable (or, for `out`, writable) values of four bytes; unaligned
        // access is what these instructions are for.
        unsafe {
            let inputs = _mm256_loadu_ps(inputs.as_ptr());
            let low = _mm256_permutevar8x32_ps(inputs, _mm256_loadu_si256(octet.low.as_ptr().cast()));
            let high = _mm256_permutevar8x32_ps(inputs, _mm256_loadu_si256(octet.high.as_ptr().cast()));
            let weights = _mm256_loadu_ps(octet.weights.as_ptr());
            let mixed = _mm256_add_ps(low, _mm256_mul_ps(weights, _mm256_sub_ps(high, low)));
            _mm256_storeu_ps(out.as_mut_ptr(), mixed);
        }
    }
    octets.len() * 8
}

#[cfg(test)]
mod tests {
    use half::f16;

    use super::*;

    #[test]
    fn rounds_like_the_conversion() {
        // Every half and what lies between it and the next, both signs.
        for bits in 0..0x7bff_u16 {
            let (a, b) = (f16::from_bits(bits).to_f32(), f16::from_bits(bits + 1).to_f32());
            let mut values: Vec<f32> =
                [0.0, 0.3, 0.499_9, 0.5, 0.500_1, 0.9].map(|t| a + t * (b - a)).to_vec();
            values.extend(values.clone().iter().map(|value| -value));
            let expected: Vec<f32> = values.iter().map(|&v| f16::from_f32(v).to_f32()).collect();
            let mut rounded = [values.clone(), values.clone()];
            mix_to_half(&values, &values, 0.0, &mut rounded[0]);
            mix_to_half_body(&values, &values, 0.0, &mut rounded[1]);
            rounded.iter().for_each(|rounded| assert_eq!(*rounded, expected, "{bits:#x}"));
        }
    }

    #[test]
    fn both_copies_give_the_same_bits() {
        let line = |seed: u32| -> Vec<f32> {
            let mixed = |k: u32| k.wrapping_mul(2_654_435_761).wrapping_add(seed);
            (0..1003).map(|k| (mixed(k) >> 8) as f32 / 1e6 - 8.0).collect()
        };
        let (a, b) = (line(1), line(77));
        let (mut one, mut two) = (vec![0.0; a.len()], vec![0.0; a.len()]);
        mix(&a, &b, 0.3, &mut one);
        mix_body(&a, &b, 0.3, &mut two);
        assert_eq!(one, two);
        let scores = [line(1), line(77), line(1), line(3000)].concat();
        type Contest = fn(&[f32], &mut [f32], &mut [f32], &mut [u32]);
        let run = |contest: Contest| {
            let (mut best, mut lead, mut winner) = (vec![0.0; a.len()], vec![0.0; a.len()], vec![9; a.len()]);
            contest(&scores, &mut best, &mut lead, &mut winner);
            (best, lead, winner)
        };
        let (best, lead, winner) = run(contest);
        assert_eq!(run(contest_body), (best.clone(), lead.clone(), winner.clone()));
        for x in 0..a.len() {
            let mut ranked: Vec<(f32, u32)> = (0..4).map(|c| (scores[c * a.len() + x], c as u32)).collect();
            ranked.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
            assert_eq!((best[x], lead[x], winner[x]), (ranked[0].0, ranked[0].0 - ranked[1].0, ranked[0].1));
        }
    }
}
