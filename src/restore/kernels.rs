//! The inner loops of restoring. Each is written once, in a form that compilers turn into vector code, and
//! compiled a second time for processors with AVX2; both give the same bits, since neither reorders a sum.

#![allow(unsafe_code, reason = "calling code that was compiled for AVX2 after asking for it, and its loads")]

#[cfg(target_arch = "x86_64")]
use std::sync::LazyLock;

use crate::buffer;
use crate::error::Result;

/// Whether this processor has what the second copies need; half precision came before AVX2.
#[cfg(target_arch = "x86_64")]
static AVX2: LazyLock<bool> = LazyLock::new(|| {
    std::arch::is_x86_feature_detected!("avx2") && std::arch::is_x86_feature_detected!("f16c")
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

/// A row of scores for all classes, each class the mix of two lines: a + weight · (b − a).
#[derive(Clone, Copy)]
pub(super) struct Row<'a> {
    pub a: &'a [f32],
    pub b: &'a [f32],
    pub weight: f32,
    /// Voxels in the row; each class begins that far after the one before it.
    pub width: usize,
    /// Whether mixes are rounded to half precision, ties to even. They must be finite there.
    pub half: bool,
}

impl<'a> Row<'a> {
    /// Scores that need no mixing, [class][x].
    pub(super) fn plain(scores: &'a [f32], width: usize) -> Self {
        Row { a: scores, b: scores, weight: 0.0, width, half: false }
    }

    pub(super) fn classes(&self) -> usize {
        self.a.len() / self.width.max(1)
    }

    /// The score of one class at one voxel.
    pub(super) fn score(&self, class: usize, x: usize) -> f32 {
        let at = class * self.width + x;
        let mixed = self.a[at] + self.weight * (self.b[at] - self.a[at]);
        if self.half { rounded(mixed) } else { mixed }
    }

    /// All scores, [class][x].
    pub(super) fn scores(&self, out: &mut [f32]) {
        mix(self.a, self.b, self.weight, out);
        if self.half {
            out.iter_mut().for_each(|score| *score = rounded(*score));
        }
    }
}

/// Finds the highest score of each voxel of a row, the first of equals, its class, and its lead over the second
/// highest.
pub(super) fn contest(row: Row, best: &mut [f32], lead: &mut [f32], winner: &mut [u32]) {
    #[cfg(target_arch = "x86_64")]
    if *AVX2 {
        // SAFETY: the processor has AVX2 and F16C.
        return unsafe { contest_avx2(row, best, lead, winner) };
    }
    contest_portable(row, best, lead, winner);
}

fn contest_portable(row: Row, best: &mut [f32], lead: &mut [f32], winner: &mut [u32]) {
    let round = |score: &mut [f32; BLOCK]| score.iter_mut().for_each(|score| *score = rounded(*score));
    contest_body(row, best, lead, winner, round);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,f16c")]
fn contest_avx2(row: Row, best: &mut [f32], lead: &mut [f32], winner: &mut [u32]) {
    use std::arch::x86_64::*;
    let round = |score: &mut [f32; BLOCK]| {
        for eight in score.as_chunks_mut::<8>().0 {
            // SAFETY: eight values are read and written; the enclosing function has AVX2 and F16C.
            unsafe {
                let half = _mm256_cvtps_ph::<_MM_FROUND_TO_NEAREST_INT>(_mm256_loadu_ps(eight.as_ptr()));
                _mm256_storeu_ps(eight.as_mut_ptr(), _mm256_cvtph_ps(half));
            }
        }
    };
    contest_body(row, best, lead, winner, round);
}

#[inline(always)]
fn contest_body(
    row: Row,
    best: &mut [f32],
    lead: &mut [f32],
    winner: &mut [u32],
    round: impl Fn(&mut [f32; BLOCK]),
) {
    let Row { width, weight, half, .. } = row;
    let blocks = best.chunks_mut(BLOCK).zip(lead.chunks_mut(BLOCK)).zip(winner.chunks_mut(BLOCK));
    for (block, ((best, lead), winner)) in blocks.enumerate() {
        let (mut top, mut next) = ([f32::NEG_INFINITY; BLOCK], [f32::NEG_INFINITY; BLOCK]);
        let mut class_of = [0_u32; BLOCK];
        let lines = row.a.chunks_exact(width).zip(row.b.chunks_exact(width));
        for (class, (a, b)) in lines.enumerate() {
            let (a, b) = (&a[block * BLOCK..], &b[block * BLOCK..]);
            let mut score: [f32; BLOCK] = match (a.first_chunk::<BLOCK>(), b.first_chunk::<BLOCK>()) {
                (Some(a), Some(b)) => std::array::from_fn(|lane| a[lane] + weight * (b[lane] - a[lane])),
                _ => {
                    let mixed = |lane: usize| Some(a.get(lane)? + weight * (b.get(lane)? - a.get(lane)?));
                    std::array::from_fn(|lane| mixed(lane).unwrap_or(f32::NEG_INFINITY))
                }
            };
            if half {
                round(&mut score);
            }
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

twice! {
    /// Scores [class][x] become probabilities: e to the score over the sum of all classes.
    softmax / softmax_body / softmax_avx2 (scores: &mut [f32], width: usize)
}

#[inline(always)]
fn softmax_body(scores: &mut [f32], width: usize) {
    for start in (0..width).step_by(BLOCK) {
        let lanes = BLOCK.min(width - start);
        let mut top = [f32::NEG_INFINITY; BLOCK];
        for line in scores.chunks_exact(width) {
            for (top, &score) in top.iter_mut().zip(&line[start..start + lanes]) {
                *top = if score > *top { score } else { *top };
            }
        }
        let mut sum = [0.0_f32; BLOCK];
        for line in scores.chunks_exact_mut(width) {
            let line = &mut line[start..start + lanes];
            for ((score, top), sum) in line.iter_mut().zip(&top).zip(&mut sum) {
                *score = exp(*score - top);
                *sum += *score;
            }
        }
        for line in scores.chunks_exact_mut(width) {
            line[start..start + lanes].iter_mut().zip(&sum).for_each(|(score, sum)| *score /= sum);
        }
    }
}

twice! {
    /// Each score becomes a probability of its own: 1 / (1 + e⁻ˢ).
    sigmoid / sigmoid_body / sigmoid_avx2 (scores: &mut [f32])
}

#[inline(always)]
fn sigmoid_body(scores: &mut [f32]) {
    scores.iter_mut().for_each(|score| *score = 1.0 / (1.0 + exp(-*score)));
}

/// e to the power of `x`, within two units of the last place: 2ⁿ · e to the rest, whose polynomial is that of
/// the Cephes library's `expf` (Moshier). Below −87 it is 0.
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
    if x < -87.0 { 0.0 } else { value }
}

/// Outputs of a line interpolation that are computed together, where their inputs lie within eight neighbours.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(not(target_arch = "x86_64"), expect(dead_code, reason = "only AVX2 interpolates by these"))]
pub(super) struct Octet {
    /// The first of the eight inputs.
    start: usize,
    /// Which of them each output lies behind and before.
    low: [i32; 8],
    high: [i32; 8],
    weights: [f32; 8],
}

/// Groups the taps of a line by eight; none where a group's inputs lie too far apart, or the line is too
/// short.
pub(super) fn octets(between: &[[usize; 2]], weights: &[f32], inputs: usize) -> Result<Vec<Octet>> {
    if inputs < 8 || between.len() < 8 {
        return Ok(Vec::new());
    }
    let mut octets = buffer::with_room("how scores lie between others", between.len() / 8)?;
    for (between, weights) in between.chunks_exact(8).zip(weights.chunks_exact(8)) {
        let start = between[0][0].min(between[0][1]).min(inputs - 8);
        if !between.iter().flatten().all(|input| (start..start + 8).contains(input)) {
            return Ok(Vec::new());
        }
        let place = |which: usize| std::array::from_fn(|k| between[k][which].wrapping_sub(start) as i32);
        let weights = std::array::from_fn(|k| weights[k]);
        octets.push(Octet { start, low: place(0), high: place(1), weights });
    }
    Ok(octets)
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
            let row = Row { half: true, ..Row::plain(&values, values.len()) };
            let (mut lead, mut winner) = (values.clone(), vec![0; values.len()]);
            contest(row, &mut rounded[0], &mut lead, &mut winner);
            row.scores(&mut rounded[1]);
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
        let other = [line(5), line(6), line(5), line(8)].concat();
        let row = Row { b: &other, weight: 0.3, half: true, ..Row::plain(&scores, a.len()) };
        type Contest = fn(Row, &mut [f32], &mut [f32], &mut [u32]);
        let run = |contest: Contest| {
            let (mut best, mut lead, mut winner) = (vec![0.0; a.len()], vec![0.0; a.len()], vec![9; a.len()]);
            contest(row, &mut best, &mut lead, &mut winner);
            (best, lead, winner)
        };
        let (best, lead, winner) = run(contest);
        assert_eq!(run(contest_portable), (best.clone(), lead.clone(), winner.clone()));
        for x in 0..a.len() {
            let mut ranked: Vec<(f32, u32)> = (0..4).map(|c| (row.score(c, x), c as u32)).collect();
            ranked.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
            assert_eq!((best[x], lead[x], winner[x]), (ranked[0].0, ranked[0].0 - ranked[1].0, ranked[0].1));
        }
    }

    #[test]
    fn exponentials_and_probabilities() {
        for k in -90_000..=87_900 {
            let x = k as f32 * 1e-3;
            let expected = f64::from(x).exp();
            let error = (f64::from(exp(x)) - expected).abs();
            assert!(error <= expected * 1.8e-7 || (x < -87.0 && exp(x) == 0.0), "e to the {x}");
        }
        let scores: Vec<f32> = (0..5 * 37).map(|k| ((k * 7919) % 1000) as f32 * 0.03 - 12.0).collect();
        let [mut one, mut two] = [scores.clone(), scores.clone()];
        softmax(&mut one, 37);
        softmax_body(&mut two, 37);
        assert_eq!(one, two);
        for x in 0..37 {
            let wide = |class: usize| f64::from(scores[class * 37 + x]).exp();
            let sum = (0..5).map(wide).sum::<f64>();
            assert!((0..5).all(|c| (f64::from(one[c * 37 + x]) - wide(c) / sum).abs() < 3e-7), "{x}");
        }
        let mut single = [-100.0, -1.0, 0.0, 1.0, 100.0];
        sigmoid(&mut single);
        let expected = [0.0, 0.268_941_43, 0.5, 0.731_058_6, 1.0];
        assert!(single.iter().zip(expected).all(|(a, b): (&f32, f32)| (a - b).abs() < 1e-7), "{single:?}");
    }
}
