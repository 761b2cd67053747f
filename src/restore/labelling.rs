//! How planes of scores become labels, as data: for devices that do it in their own memory.

use super::decide::{Decider, NEAR_TIE};
use super::source::Source;
use crate::buffer;
use crate::error::Result;
use crate::recipe::{Decision, Region};
use crate::tiling::Score;

/// What its memory is for, in errors.
const TAPS: &str = "how scores lie between others";

/// What [`super::Restorer`] does to the scores of one network while no map is asked for.
#[derive(Clone, Debug)]
pub struct Labelling {
    /// Planes, rows and columns of the labels.
    pub to: [usize; 3],
    /// Planes, rows and columns of the scores.
    pub from: [usize; 3],
    /// For each label along an axis, the two scores that it lies between; one beyond the last stands for zero.
    pub between: [Vec<[usize; 2]>; 3],
    /// For each label along an axis, the weight of the second score.
    pub weights: [Vec<f32>; 3],
    /// Whether what lies between is rounded to half precision.
    pub rounded: bool,
    /// Whether scores become probabilities before anything else.
    pub activated: bool,
    /// Whether what is decided on are probabilities.
    pub on_probabilities: bool,
    /// Regions, in order; none where the highest score wins.
    pub regions: Vec<Region>,
    /// Whether exactly one half is enough for a region.
    pub at_half: bool,
    /// Bits that labels of near ties get.
    pub mark: u16,
    /// The lead over which the two best scores can't nearly tie, or how far from one half a region does.
    pub clear: f32,
    /// The largest difference of the two best probabilities of a near tie.
    pub near_tie: f32,
    /// A region's score that isn't over one half yet.
    pub step: f32,
}

impl Labelling {
    /// `None` while some scores are missing that all labels need.
    pub(super) fn new<S: Score>(
        source: &Source<S>,
        decider: &Decider,
        activated: bool,
    ) -> Result<Option<Self>> {
        // Devices know one half only.
        let another = |threshold: f32| threshold != 0.5;
        if matches!(decider.decision, Decision::Regions { threshold, .. } if another(*threshold)) {
            return Ok(None);
        }
        let Some(taps) = source.taps() else { return Ok(None) };
        let each = |axis: usize| 0..taps[axis].len();
        let [planes, rows] = source.extent();
        let (clear, step) = decider.limits();
        let (regions, at_half) = match decider.decision {
            Decision::Highest => (Vec::new(), false),
            Decision::Regions { regions, at_half, .. } => (regions.clone(), *at_half),
        };
        let between = |axis: usize| buffer::collect(TAPS, each(axis).map(|at| taps[axis].between(at)));
        let weights = |axis: usize| buffer::collect(TAPS, each(axis).map(|at| taps[axis].weight(at)));
        Ok(Some(Labelling {
            to: source.to(),
            from: [planes, rows, source.columns()],
            between: [between(0)?, between(1)?, between(2)?],
            weights: [weights(0)?, weights(1)?, weights(2)?],
            rounded: S::HALF && !taps[2].single,
            activated,
            on_probabilities: decider.on_probabilities(),
            regions,
            at_half,
            mark: decider.mark(),
            clear,
            near_tie: NEAR_TIE,
            step,
        }))
    }

    /// How many planes of labels from `done` on can be decided when the planes of scores before `end` are there.
    pub fn ready(&self, done: usize, end: usize) -> usize {
        let needed = |pair: &[usize; 2]| pair.iter().copied().filter(|&plane| plane < self.from[0]).max();
        self.between[0][done..].iter().take_while(|pair| needed(pair).is_none_or(|last| last < end)).count()
    }
}
