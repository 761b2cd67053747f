//! Scores of one row, all classes, become labels.

use super::kernels;
use crate::recipe::Decision;

/// Two classes nearly tie when their probabilities differ by at most this much.
pub(crate) const NEAR_TIE: f32 = 0.01;
/// A region nearly ties when its probability is within half of that of one half: |score| up to ln(0.505/0.495).
const NEAR_HALF: f32 = 0.020_000_67;
/// The largest score whose sigmoid is exactly ½ in f32: the reference compares probabilities, not scores.
const ZERO: f32 = 1.0 / (1 << 23) as f32;

/// How rows are decided.
pub(super) struct Decider<'a> {
    decision: &'a Decision,
    classes: usize,
    /// A gap between the two best scores over which they can't nearly tie, whatever the others are.
    clear_gap: f32,
}

/// Buffers of one row.
pub(super) struct RowScratch {
    score: Vec<f32>,
    lead: Vec<f32>,
    class: Vec<u32>,
}

impl<'a> Decider<'a> {
    pub(super) fn new(decision: &'a Decision, classes: usize) -> Self {
        // With a gap g the margin is at least (1 − e⁻ᵍ) / (1 + (n − 1)·e⁻ᵍ); solved for the margin of a tie.
        let ratio = (1.0 - NEAR_TIE) / (1.0 + NEAR_TIE * classes.saturating_sub(1) as f32);
        Decider { decision, classes, clear_gap: -ratio.ln() + 1e-3 }
    }

    pub(super) fn scratch(&self, width: usize) -> RowScratch {
        RowScratch { score: vec![0.0; width], lead: vec![0.0; width], class: vec![0; width] }
    }

    /// `scores` is [class][x]; returns the number of near ties.
    pub(super) fn decide(&self, scores: &[f32], out: &mut [u16], scratch: &mut RowScratch) -> usize {
        match self.decision {
            Decision::Highest => self.highest(scores, out, scratch),
            Decision::Regions(values) => regions(values, scores, out),
        }
    }

    /// The first of the highest scores wins, as numpy's argmax has it.
    fn highest(&self, scores: &[f32], out: &mut [u16], scratch: &mut RowScratch) -> usize {
        let width = out.len();
        let RowScratch { score, lead, class } = scratch;
        kernels::contest(scores, score, lead, class);
        out.iter_mut().zip(&*class).for_each(|(label, &class)| *label = class as u16);
        let mut ties = 0;
        for (block, leads) in lead.chunks(16).enumerate() {
            // Near ties are rare: most blocks are dismissed by their smallest lead.
            if leads.iter().fold(f32::INFINITY, |least, &lead| if lead < least { lead } else { least })
                > self.clear_gap
            {
                continue;
            }
            let voxels = (block * 16..).zip(leads).filter(|&(_, &lead)| lead <= self.clear_gap);
            ties += voxels
                .filter(|&(x, &lead)| self.nearly_ties(scores, width, x, score[x], score[x] - lead))
                .count();
        }
        ties
    }

    /// Whether the two highest probabilities of a voxel differ by at most [`NEAR_TIE`].
    fn nearly_ties(&self, scores: &[f32], width: usize, x: usize, best: f32, second: f32) -> bool {
        // The margin is (1 − e⁻ᵍ) / sum, with the sum over all classes of e to the score less the best.
        let least = (1.0 - (second - best).exp()) / NEAR_TIE;
        let others =
            || (0..self.classes).map(|class| scores[class * width + x]).filter(|&score| score < second);
        let third = others().fold(f32::NEG_INFINITY, f32::max);
        let two = 1.0 + (second - best).exp();
        if two + (self.classes as f32 - 2.0) * (third - best).exp() < least {
            return false;
        }
        let equals = (0..self.classes).filter(|class| scores[class * width + x] >= second).count();
        let first = 1.0 + (equals as f32 - 1.0) * (second - best).exp();
        first + others().map(|score| (score - best).exp()).sum::<f32>() >= least
    }
}

fn regions(values: &[u16], scores: &[f32], out: &mut [u16]) -> usize {
    let width = out.len();
    let mut close = vec![false; width];
    out.fill(0);
    for (&value, row) in values.iter().zip(scores.chunks_exact(width)) {
        for ((&score, label), close) in row.iter().zip(&mut *out).zip(&mut close) {
            *label = if score > ZERO { value } else { *label };
            *close |= score.abs() <= NEAR_HALF;
        }
    }
    close.into_iter().filter(|&close| close).count()
}
