//! What happens to labels after they are decided: the way back to the volume's grid, and the model's own rules.

use ndarray::{Array3, s};

use super::Plan;
use super::region::Group;
use crate::buffer;
use crate::error::Result;
use crate::preprocess::Trace;
use crate::progress::Run;
use crate::recipe::{Cleanup, Decision, Recipe, RestoreMode};
use crate::restore::components::{self, keep_largest};
use crate::restore::{NEAR_TIE_MARK, Restored, back};
use crate::volume::Box3;

/// What their memory is for, in errors.
const LABELS: &str = "labels";

/// Labels with marks of near ties, and where in the volume they begin.
pub(super) struct Finished {
    pub restored: Restored,
    pub start: [usize; 3],
}

/// Labels as the model's rules want them. `part` are those that were restored, within what was kept of the volume or
/// the network's image of that shape.
pub(super) fn finish(
    plan: &Plan,
    mut restored: Restored,
    trace: &Trace,
    (part, network): (&Box3, [usize; 3]),
    group: &Group,
    run: &Run,
) -> Result<Finished> {
    let recipe = &plan.recipe;
    let voxel_volume = trace.grid.spacing.iter().product::<f64>();
    for cleanup in recipe.cleanup.iter().filter(|cleanup| cleanup.on_network_grid) {
        run.check()?;
        clean(&mut restored.labels, cleanup, voxel_volume)?;
    }
    let mut start = part.within(trace.kept().start).start;
    if matches!(recipe.restore, RestoreMode::Labels | RestoreMode::InterpolatedLabels) {
        let labels = placed(restored.labels, network, part, 0)?;
        let counted = trace.map.to_array(trace.map.undo(trace.grid.shape), &group.around);
        restored = bring_back(labels, trace, recipe.restore, &counted, plan.threads)?;
        start = [0; 3];
    } else if let Some(label) = outside(recipe) {
        restored.labels = placed(restored.labels, trace.grid.shape, &part.within(trace.kept().start), label)?;
        start = [0; 3];
    }
    for cleanup in recipe.cleanup.iter().filter(|cleanup| !cleanup.on_network_grid) {
        run.check()?;
        clean(&mut restored.labels, cleanup, voxel_volume)?;
    }
    if plan.postprocess {
        for rule in &recipe.postprocess {
            run.check()?;
            keep_largest(&mut restored.labels, rule)?;
        }
    }
    Ok(Finished { restored, start })
}

/// Bytes that it needs, for the volume's shape and the network's.
pub(super) fn bytes(plan: &Plan, shape: [usize; 3], network: [usize; 3]) -> u64 {
    let count = |shape: [usize; 3]| shape.iter().map(|&n| n as u64).product::<u64>();
    let (voxels, image) = (count(shape), count(network));
    // Labels with a mark for near ties, on both grids at once.
    let decided_there = matches!(plan.recipe.restore, RestoreMode::Labels | RestoreMode::InterpolatedLabels);
    let back = if decided_there { 3 * (image + voxels) } else { 0 };
    let of_rule = |cleanup: &Cleanup| {
        let shape = if cleanup.on_network_grid { network } else { shape };
        cleanup.rule.bytes(shape) + 2 * count(shape)
    };
    let cleanup = plan.recipe.cleanup.iter().map(of_rule).max().unwrap_or(0);
    let postprocess = if plan.postprocess { 2 * voxels + components::bytes(shape) } else { 0 };
    back.max(cleanup).max(postprocess)
}

/// Labels that were decided on the network's grid, with their marks of near ties, on the volume's; near ties count in a
/// box of it.
fn bring_back(
    labels: Array3<u16>,
    trace: &Trace,
    how: RestoreMode,
    counted: &Box3,
    threads: usize,
) -> Result<Restored> {
    let marks = buffer::map(LABELS, &labels, |label| label & NEAR_TIE_MARK != 0)?;
    let near = back::nearest(marks, trace, false, threads)?;
    let [z, y, x] = [0, 1, 2].map(|axis| counted.start[axis]..counted.end[axis]);
    let near_ties = near.slice(s![z, y, x]).iter().filter(|&&near| near).count();
    drop(near);
    let labels = labels.mapv_into(|label| label & !NEAR_TIE_MARK);
    let labels = match how {
        RestoreMode::InterpolatedLabels => {
            let values = back::linear(buffer::map(LABELS, &labels, f32::from)?, trace, threads)?;
            buffer::map(LABELS, &values, |value| value.round_ties_even() as u16)?
        }
        _ => back::nearest(labels, trace, 0, threads)?,
    };
    Ok(Restored { labels, near_ties })
}

/// The label of what was cut away, where it isn't 0: scores that are brought back are 0 there, which is a probability
/// of one half.
fn outside(recipe: &Recipe) -> Option<u16> {
    match (&recipe.decision, recipe.restore) {
        (Decision::Regions { regions, at_half: true, threshold }, RestoreMode::Scores)
            if *threshold <= 0.5 =>
        {
            Some(regions.last()?.label)
        }
        _ => None,
    }
}

/// Labels of a part of a grid of that shape, with a label around them.
fn placed(labels: Array3<u16>, shape: [usize; 3], part: &Box3, around: u16) -> Result<Array3<u16>> {
    if part.is_whole(shape) {
        return Ok(labels);
    }
    let mut whole = buffer::array(LABELS, shape, around)?;
    let [z, y, x] = [0, 1, 2].map(|axis| part.start[axis]..part.end[axis]);
    whole.slice_mut(s![z, y, x]).assign(&labels);
    Ok(whole)
}

/// Applies a rule to labels, whose marks of near ties stay.
fn clean(labels: &mut Array3<u16>, cleanup: &Cleanup, voxel_volume: f64) -> Result<()> {
    let marks = buffer::map(LABELS, labels, |label| label & NEAR_TIE_MARK)?;
    labels.mapv_inplace(|label| label & !NEAR_TIE_MARK);
    cleanup.rule.apply(labels, voxel_volume)?;
    labels.zip_mut_with(&marks, |label, mark| *label |= mark);
    Ok(())
}
