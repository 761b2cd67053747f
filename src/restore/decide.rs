//! Scores of one row, all classes, become labels.

use ndarray::{Array4, Axis};

use super::kernels::{self, Row};
use crate::error::Result;
use crate::recipe::{Decision, Region};
use crate::tiling::Score;
use crate::{buffer, parallel};

/// Two classes nearly tie when their probabilities differ by at most this much.
pub(crate) const NEAR_TIE: f32 = 0.01;
/// A region nearly ties when its probability is within half of that of one half: |score| up to ln(0.505/0.495).
const NEAR_HALF: f32 = 0.020_000_67;
/// The largest score whose sigmoid is exactly ½ in f32: the reference compares probabilities, not scores.
const ZERO: f32 = 1.0 / (1 << 23) as f32;

/// What the numbers that are decided on are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Domain {
    /// What the network gives.
    Scores,
    /// Probabilities: of all classes together, or of each region.
    Probabilities,
}

/// How rows are decided.
pub(super) struct Decider<'a> {
    pub decision: &'a Decision,
    domain: Domain,
    /// Bits that labels of near ties get.
    mark: u16,
    /// A gap between the two best over which they can't nearly tie, whatever the others are.
    clear_gap: f32,
}

/// What its memory is for, in errors.
pub(super) const ROWS: &str = "rows of scores";

/// Buffers of one row.
pub(super) struct RowScratch {
    pub score: Vec<f32>,
    pub lead: Vec<f32>,
    pub class: Vec<u32>,
}

impl RowScratch {
    pub(super) fn new(width: usize) -> Result<Self> {
        Ok(RowScratch {
            score: buffer::zeroed(ROWS, width)?,
            lead: buffer::zeroed(ROWS, width)?,
            class: buffer::zeroed(ROWS, width)?,
        })
    }
}

impl<'a> Decider<'a> {
    pub(super) fn new(decision: &'a Decision, classes: usize, domain: Domain, mark: u16) -> Self {
        // With a gap g the margin is at least (1 − e⁻ᵍ) / (1 + (n − 1)·e⁻ᵍ); solved for the margin of a tie.
        let ratio = (1.0 - NEAR_TIE) / (1.0 + NEAR_TIE * classes.saturating_sub(1) as f32);
        let clear_gap = match domain {
            Domain::Scores => 1e-3 - libm::logf(ratio),
            Domain::Probabilities => NEAR_TIE,
        };
        Decider { decision, domain, mark, clear_gap }
    }

    /// Whether it decides on probabilities.
    pub(super) fn on_probabilities(&self) -> bool {
        self.domain == Domain::Probabilities
    }

    /// Bits that labels of near ties get.
    pub(super) fn mark(&self) -> u16 {
        self.mark
    }

    /// The lead over which there is no near tie, or for regions how far from one half there is; and how far over one
    /// half a score has to be.
    pub(super) fn limits(&self) -> (f32, f32) {
        match (self.decision, self.domain) {
            (Decision::Highest, _) => (self.clear_gap, 0.0),
            (Decision::Regions { threshold, .. }, Domain::Scores) if *threshold != 0.5 => {
                (0.5 * NEAR_TIE / (threshold * (1.0 - threshold)), 0.0)
            }
            (Decision::Regions { .. }, Domain::Scores) => (NEAR_HALF, ZERO),
            (Decision::Regions { .. }, Domain::Probabilities) => (0.5 * NEAR_TIE, 0.0),
        }
    }

    /// Whether rows may be decided without being written down.
    pub(super) fn takes_mixtures(&self) -> bool {
        *self.decision == Decision::Highest
    }

    /// Writes a label for each voxel of a row; returns the number of near ties.
    pub(super) fn decide(&self, row: Row, out: &mut [u16], scratch: &mut RowScratch) -> usize {
        match self.decision {
            Decision::Highest => self.highest(row, out, scratch),
            Decision::Regions { regions, at_half, threshold } => {
                let least = if self.on_probabilities() { *threshold } else { logit(*threshold) };
                self.regions(regions, least, *at_half, row, out, scratch)
            }
        }
    }

    /// The first of the highest scores wins, as numpy's argmax has it.
    fn highest(&self, row: Row, out: &mut [u16], scratch: &mut RowScratch) -> usize {
        let RowScratch { score, lead, class } = scratch;
        kernels::contest(row, score, lead, class);
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
            for (x, &lead) in voxels {
                let ties_here = match self.domain {
                    // Outside of what the network saw all probabilities are zero.
                    Domain::Probabilities => score[x] > 0.0,
                    Domain::Scores => nearly_ties(row, x, score[x], score[x] - lead),
                };
                if ties_here {
                    out[x] |= self.mark;
                    ties += 1;
                }
            }
        }
        ties
    }

    fn regions(
        &self,
        regions: &[Region],
        least: f32,
        at_half: bool,
        row: Row,
        out: &mut [u16],
        scratch: &mut RowScratch,
    ) -> usize {
        let (near, step) = self.limits();
        // Not 0 where a region nearly ties.
        let close = &mut scratch.class;
        close.fill(0);
        out.fill(0);
        for &Region { class, label } in regions {
            for (x, (out, close)) in out.iter_mut().zip(&mut *close).enumerate() {
                let over = row.score(class, x) - least;
                *out = if over > step || (at_half && over >= -step) { label } else { *out };
                *close |= u32::from(over.abs() <= near);
            }
        }
        out.iter_mut().zip(&*close).for_each(|(out, &close)| *out |= if close > 0 { self.mark } else { 0 });
        close.iter().filter(|&&close| close > 0).count()
    }
}

/// The score whose sigmoid is this probability.
fn logit(probability: f32) -> f32 {
    libm::logf(probability / (1.0 - probability))
}

/// Scores [class, plane, row, column] become probabilities, in place.
///
/// # Errors
/// [`Error::OutOfMemory`](crate::Error::OutOfMemory).
pub fn activate<S: Score>(scores: &mut Array4<S>, decision: &Decision, threads: usize) -> Result<()> {
    let (classes, _, rows, columns) = scores.dim();
    parallel::try_for_each(threads, scores.axis_iter_mut(Axis(1)), |mut plane| {
        let mut line = buffer::zeroed(ROWS, classes * columns)?;
        for row in 0..rows {
            let mut scores = plane.slice_mut(ndarray::s![.., row, ..]);
            line.iter_mut().zip(&scores).for_each(|(value, score)| *value = score.to_f32());
            match decision {
                Decision::Highest => kernels::softmax(&mut line, columns),
                Decision::Regions { .. } => kernels::sigmoid(&mut line),
            }
            scores.iter_mut().zip(&line).for_each(|(score, &value)| *score = S::from_f32(value));
        }
        Ok(())
    })
}

/// Whether the two highest probabilities of a voxel differ by at most [`NEAR_TIE`].
fn nearly_ties(row: Row, x: usize, best: f32, second: f32) -> bool {
    let classes = row.classes();
    // The margin is (1 − e⁻ᵍ) / sum, with the sum over all classes of e to the score less the best.
    let exp = kernels::exp;
    let least = (1.0 - exp(second - best)) / NEAR_TIE;
    let others = || (0..classes).map(|class| row.score(class, x)).filter(|&score| score < second);
    let third = others().fold(f32::NEG_INFINITY, f32::max);
    let two = 1.0 + exp(second - best);
    if two + (classes as f32 - 2.0) * exp(third - best) < least {
        return false;
    }
    let equals = (0..classes).filter(|&class| row.score(class, x) >= second).count();
    let first = 1.0 + (equals as f32 - 1.0) * exp(second - best);
    first + others().map(|score| exp(score - best)).sum::<f32>() >= least
}
