//! Which labels of a box of the volume there are, and which scores they depend on.

use super::source::Scheme;
use crate::error::Result;
use crate::preprocess::monai::{AxisTaps, Sampling, resize};
use crate::preprocess::{GridChange, Trace};
use crate::recipe::{Recipe, RestoreMode};
use crate::volume::Box3;

/// What is restored of an image: labels, and the scores that are there for them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// The labels, within the part of the volume that was kept; of the network's grid where labels are brought back.
    pub labels: Box3,
    /// The scores, of the network's grid.
    pub scores: Box3,
}

impl Part {
    /// All labels and scores of an image of shape `from`.
    pub fn whole(recipe: &Recipe, trace: &Trace, from: [usize; 3]) -> Part {
        let labels = if decided_there(recipe) { from } else { trace.kept().shape() };
        Part { labels: Box3::whole(labels), scores: Box3::whole(from) }
    }

    /// The labels that decide about a box of the array that the trace's map makes of the volume, and the scores that
    /// they depend on, of an image of shape `from`; `None` where the network saw nothing of it.
    ///
    /// # Errors
    /// As [`super::Restorer::new`].
    pub fn of(recipe: &Recipe, trace: &Trace, from: [usize; 3], asked: &Box3) -> Result<Option<Part>> {
        if decided_there(recipe) {
            let labels = on_the_networks_grid(trace, asked)?;
            return Ok(labels.map(|labels| Part { labels, scores: labels }));
        }
        let Some(kept) = asked.common(&trace.kept()) else { return Ok(None) };
        let labels = kept.from(trace.kept().start);
        let scores = match Scheme::new(recipe, trace, from)? {
            Scheme::Whole(..) => return Ok(Some(Part::whole(recipe, trace, from))),
            Scheme::Taps(taps) => {
                // Labels where the network saw nothing are decided on zeros: any scores will do.
                let range =
                    |axis: usize| taps[axis].needed(labels.start[axis]..labels.end[axis]).unwrap_or((0, 1));
                let ranges = [0, 1, 2].map(range);
                Box3 { start: ranges.map(|(start, _)| start), end: ranges.map(|(_, end)| end) }
            }
        };
        Ok(Some(Part { labels, scores }))
    }
}

/// Whether scores of this image depend on each other's interpolation as a whole, so that no part of them can be
/// restored alone.
///
/// # Errors
/// As [`super::Restorer::new`].
pub fn interpolates_whole(recipe: &Recipe, trace: &Trace, from: [usize; 3]) -> Result<bool> {
    Ok(!decided_there(recipe) && matches!(Scheme::new(recipe, trace, from)?, Scheme::Whole(..)))
}

/// Whether labels are decided on the network's grid.
pub(super) fn decided_there(recipe: &Recipe) -> bool {
    matches!(recipe.restore, RestoreMode::Labels | RestoreMode::InterpolatedLabels)
}

/// The voxels of the network's grid that a box of the volume's may be brought back from: a few more, where
/// coordinates are rounded.
fn on_the_networks_grid(trace: &Trace, asked: &Box3) -> Result<Option<Box3>> {
    let (mut part, mut shape) = (*asked, trace.grid.shape);
    for change in &trace.changes {
        match change {
            GridChange::Cut { window, .. } => {
                shape = window.shape();
                let inside =
                    |axis: usize, at: usize| (at as i64 - window.start[axis]).clamp(0, shape[axis] as i64);
                let start = [0, 1, 2].map(|axis| inside(axis, part.start[axis]) as usize);
                let end = [0, 1, 2].map(|axis| inside(axis, part.end[axis]) as usize);
                match (Box3 { start, end }).common(&Box3::whole(shape)) {
                    Some(inside) => part = inside,
                    None => return Ok(None),
                }
            }
            GridChange::Spaced(Some(back)) => {
                shape = back.linear.from();
                part = sampled(&back.linear, &part)?.around(&sampled(&back.nearest, &part)?);
            }
            GridChange::Resized { from, to, mode } => {
                shape = *to;
                // A scale's worth of voxels more: outermost centres may lie together.
                let wide = [0, 1, 2].map(|axis| to[axis].div_ceil(from[axis]) + 1);
                let scaled = part.scaled(*from, *to).widened(wide, shape);
                let mut found = scaled;
                for axis in 0..3 {
                    if let Some(taps) = resize::taps(*mode, to[axis], from[axis])? {
                        let range = between(&taps, part.start[axis]..part.end[axis], 0, shape[axis]);
                        (found.start[axis], found.end[axis]) =
                            (found.start[axis].min(range.0), found.end[axis].max(range.1));
                    }
                }
                part = found;
            }
            GridChange::Turned(turn) => {
                part = turn.to_array(shape, &part);
                shape = turn.apply(shape);
            }
            GridChange::Spaced(None) | GridChange::Resampled(_) => {}
        }
    }
    Ok(Some(part))
}

/// The voxels of an image that the samples of a box may lie between.
fn sampled(sampling: &Sampling, part: &Box3) -> Result<Box3> {
    let (taps, more) = (sampling.taps()?, 1 + sampling.skew().ceil() as usize);
    let ranges = [0, 1, 2]
        .map(|axis| between(&taps[axis], part.start[axis]..part.end[axis], more, sampling.from()[axis]));
    Ok(Box3 { start: ranges.map(|(start, _)| start), end: ranges.map(|(_, end)| end) })
}

fn between(taps: &AxisTaps, outputs: std::ops::Range<usize>, more: usize, inputs: usize) -> (usize, usize) {
    let of_outputs = taps.between[outputs].iter().flatten();
    let first = of_outputs.clone().min().copied().unwrap_or(0).min(inputs - 1);
    let last = of_outputs.max().copied().unwrap_or(0).min(inputs - 1);
    (first.saturating_sub(more), (last + 1 + more).min(inputs))
}
