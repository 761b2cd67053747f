//! The scores of one network: planes that arrive while later tiles still run, or a field that is complete.

use ndarray::{Array4, ArrayView1, Axis, s};

use super::reach::Part;
use super::taps::Taps;
use crate::buffer;
use crate::error::{Error, Result};
use crate::preprocess::monai::resize;
use crate::preprocess::{GridChange, Trace, resample};
use crate::recipe::{Recipe, Resampler, ResizeMode};
use crate::tiling::Score;
use crate::volume::AxisMap;

/// What its memory is for, in errors.
const SCORES: &str = "planes of scores";

/// Planes of scores, and how they come onto the finer grid.
pub(super) struct Source<S> {
    scheme: Scheme,
    /// What is left of the planes that came before.
    before: Option<Array4<S>>,
    /// The planes that came last, [class, plane, row, column].
    planes: Array4<S>,
    /// Number of the first plane at hand.
    first: usize,
    /// Planes in all.
    all: usize,
    to: [usize; 3],
    threads: usize,
}

/// How scores come onto the finer grid.
pub(super) enum Scheme {
    /// Each output lies between two inputs along every axis.
    Taps(Box<[Taps; 3]>),
    /// Outputs reach further: each class is resampled whole, when all planes are there.
    Whole(Whole),
}

/// How whole fields of scores are resampled.
#[derive(Clone, Copy)]
pub(super) enum Whole {
    /// By splines, perhaps with an axis apart.
    Splines(Resampler, Option<usize>),
    /// By a change of the shape alone, as areas that have more than two voxels along an axis.
    Resized(ResizeMode),
}

impl Scheme {
    /// The way back from an image of shape `from`.
    pub(super) fn new(recipe: &Recipe, trace: &Trace, from: [usize; 3]) -> Result<Self> {
        let kept = trace.kept();
        let [planes, rows, columns] = kept.shape().map(Taps::identity);
        let mut taps = [planes?, rows?, columns?];
        for change in &trace.changes {
            match change {
                GridChange::Cut { window, .. } => {
                    // The first cut keeps what the outputs are; its window may begin outside of the volume.
                    let first = std::ptr::eq(change, &trace.changes[0]);
                    let start =
                        |axis: usize| window.start[axis] - if first { kept.start[axis] as i64 } else { 0 };
                    let shape = window.shape();
                    for (axis, taps) in taps.iter_mut().enumerate() {
                        taps.cut(start(axis), shape[axis])?;
                    }
                }
                GridChange::Resampled(shape) => {
                    let Some(step) = recipe.resample().filter(|_| *shape != from) else { continue };
                    let (target, spacing) = (step.target(trace.grid.spacing), trace.grid.spacing);
                    let separate = step.scores.separate_axis(target, spacing);
                    match Taps::of(&step.scores, from, *shape, separate)? {
                        Some(resampled) => taps = resampled,
                        None => return Ok(Scheme::Whole(Whole::Splines(step.scores, separate))),
                    }
                }
                GridChange::Spaced(None) | GridChange::Turned(_) => {}
                GridChange::Resized { from: before, to, mode } => {
                    if only_change(trace) && reaches_further(*mode, *to, *before)? {
                        return Ok(Scheme::Whole(Whole::Resized(*mode)));
                    }
                    for (axis, taps) in taps.iter_mut().enumerate() {
                        let resized = resize::taps(*mode, to[axis], before[axis])?.ok_or_else(|| {
                            let (found, expected) = (before[axis], to[axis].div_ceil(2));
                            Error::VolumeMismatch {
                                expected: format!(
                                    "{expected} voxels or more along each of the network's axes: its \
                                                   scores are brought back by means of areas"
                                ),
                                found: format!("{found} along axis {axis}"),
                            }
                        })?;
                        *taps = taps.through(&resized, to[axis])?;
                    }
                }
                GridChange::Spaced(Some(back)) => {
                    let sampling = &back.linear;
                    let spaced = sampling.taps()?;
                    for (axis, (taps, spaced)) in taps.iter_mut().zip(&spaced).enumerate() {
                        *taps = taps.through(spaced, sampling.from()[axis])?;
                    }
                }
            }
        }
        Ok(Scheme::Taps(Box::new(taps)))
    }
}

/// Whether an image's shape or spacing changes once.
fn only_change(trace: &Trace) -> bool {
    let changes = |change: &&GridChange| !matches!(change, GridChange::Spaced(None) | GridChange::Turned(_));
    trace.changes.iter().filter(changes).count() == 1
}

/// Whether outputs lie between more than two inputs along an axis.
fn reaches_further(mode: ResizeMode, from: [usize; 3], to: [usize; 3]) -> Result<bool> {
    for axis in 0..3 {
        if resize::taps(mode, from[axis], to[axis])?.is_none() {
            return Ok(true);
        }
    }
    Ok(false)
}

impl<S: Score> Source<S> {
    /// Scores of `classes`, of a part of a grid of shape `from`, which came from a volume by `trace`; no planes yet.
    pub(super) fn new(
        recipe: &Recipe,
        trace: &Trace,
        classes: usize,
        from: [usize; 3],
        part: &Part,
        threads: usize,
    ) -> Result<Source<S>> {
        let mut scheme = Scheme::new(recipe, trace, from)?;
        if let Scheme::Taps(taps) = &mut scheme {
            for (axis, taps) in taps.iter_mut().enumerate() {
                taps.keep(part.labels.start[axis]..part.labels.end[axis])?;
                taps.cut(part.scores.start[axis] as i64, part.scores.shape()[axis])?;
            }
        }
        let [all, rows, columns] = part.scores.shape();
        let planes = Array4::default((classes, 0, rows, columns));
        let to = part.labels.shape();
        Ok(Source { scheme, before: None, planes, first: 0, all, to, threads })
    }

    /// Takes the next planes.
    pub(super) fn push(&mut self, planes: Array4<S>) -> Result<()> {
        match self.scheme {
            Scheme::Taps(_) => {
                self.forget()?;
                self.planes = planes;
            }
            Scheme::Whole(rule) => {
                self.planes = buffer::concatenate(SCORES, 1, [self.planes.view(), planes.view()])?;
                if self.end() == self.all {
                    self.planes = resampled(&self.planes, self.to, rule, self.threads)?;
                    let [planes, rows, columns] = self.to.map(Taps::identity);
                    self.scheme = Scheme::Taps(Box::new([planes?, rows?, columns?]));
                    self.all = self.to[0];
                }
            }
        }
        Ok(())
    }

    /// Forgets planes that nothing needs any more, once all is restored that they allow: only the last one lies beside
    /// those that come next.
    pub(super) fn forget(&mut self) -> Result<()> {
        let (classes, count, rows, columns) = self.planes.dim();
        if count > 0 && matches!(self.scheme, Scheme::Taps(_)) {
            let last = self.planes.slice_axis(Axis(1), (count - 1..count).into());
            let last = buffer::copy(SCORES, &last)?;
            self.first = self.end() - 1;
            self.before = Some(last);
            self.planes = Array4::default((classes, 0, rows, columns));
        }
        Ok(())
    }

    /// How outputs lie between the planes; `None` while that takes all planes and some are missing.
    pub(super) fn taps(&self) -> Option<&[Taps; 3]> {
        match &self.scheme {
            Scheme::Taps(taps) => Some(taps),
            Scheme::Whole(..) => None,
        }
    }

    /// The shape of what is restored.
    pub(super) fn to(&self) -> [usize; 3] {
        self.to
    }

    /// Planes and rows of the field.
    pub(super) fn extent(&self) -> [usize; 2] {
        [self.all, self.planes.dim().2]
    }

    /// One beyond the last plane at hand.
    pub(super) fn end(&self) -> usize {
        self.first + self.kept() + self.planes.dim().1
    }

    fn kept(&self) -> usize {
        self.before.as_ref().map_or(0, |before| before.dim().1)
    }

    pub(super) fn classes(&self) -> usize {
        self.planes.dim().0
    }

    /// Scores in a line along the last axis.
    pub(super) fn columns(&self) -> usize {
        self.planes.dim().3
    }

    pub(super) fn line(&self, class: usize, plane: usize, row: usize) -> ArrayView1<'_, S> {
        let index = plane - self.first;
        match &self.before {
            Some(before) if index < self.kept() => before.slice(s![class, index, row, ..]),
            _ => self.planes.slice(s![class, index - self.kept(), row, ..]),
        }
    }

    /// The same complete field along other axes of the same volume.
    pub(super) fn turned(self, from: &AxisMap, to: &AxisMap) -> Result<Source<S>> {
        let place = |axis: usize| from.axis.iter().position(|&other| other == axis).unwrap_or(axis);
        let order = to.axis.map(place);
        let flipped = [0, 1, 2].map(|n| from.flip[order[n]] != to.flip[n]);
        if order == [0, 1, 2] && flipped == [false; 3] {
            return Ok(self);
        }
        let mut planes = self.planes.permuted_axes([0, order[0] + 1, order[1] + 1, order[2] + 1]);
        (0..3).filter(|&n| flipped[n]).for_each(|n| planes.invert_axis(Axis(n + 1)));
        let scheme = match self.scheme {
            Scheme::Taps(taps) => {
                let mut taps = taps.map(Some);
                let mut turned = |n: usize| {
                    let taps = taps[order[n]].take().map_or_else(|| Taps::identity(0), Ok)?;
                    if flipped[n] { taps.reversed() } else { Ok(taps) }
                };
                Scheme::Taps(Box::new([turned(0)?, turned(1)?, turned(2)?]))
            }
            whole => whole,
        };
        let planes = buffer::copy(SCORES, &planes)?;
        Ok(Source { scheme, planes, to: order.map(|n| self.to[n]), ..self })
    }
}

fn resampled<S: Score>(scores: &Array4<S>, to: [usize; 3], rule: Whole, threads: usize) -> Result<Array4<S>> {
    let mut out = buffer::array(SCORES, (scores.dim().0, to[0], to[1], to[2]), S::default())?;
    for (class, mut out) in scores.outer_iter().zip(out.outer_iter_mut()) {
        let single = buffer::map(SCORES, &class, S::to_f32)?;
        let resampled = match rule {
            Whole::Splines(rule, separate) => {
                resample::resample_with(&rule, single.view(), to, separate, threads)?
            }
            Whole::Resized(mode) => resize::resize(single.view(), to, mode, threads)?,
        };
        out.zip_mut_with(&resampled, |out, &score| *out = S::from_f32(score));
    }
    Ok(out)
}
