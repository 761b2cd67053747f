//! The conductor: a volume through a plan to labels.

pub(crate) mod ahead;
mod infer;
mod inspect;
mod intensities;
mod warnings;

use std::time::Instant;

use half::f16;
use ndarray::{Array3, Axis, s};

use crate::buffer;
use crate::error::Result;
use crate::labels::LabelBuffer;
use crate::plan::Plan;
use crate::preprocess::crop::Box3;
use crate::preprocess::{Prepared, Way, preprocess};
use crate::progress::Run;
use crate::recipe::{Back, Cleanup, Decision, Recipe, Sums};
use crate::restore::components::keep_largest;
use crate::restore::{Field, Map, MapBuffer, NEAR_TIE_MARK, Restored, Restorer, activate, back};
use crate::tiling::Score;
use crate::volume::{DType, Layout, NonFiniteVoxels, Volume};
pub use infer::MemoryStep;
pub(crate) use infer::RELEASED_AT_ONCE;
use infer::{Planes, infer};
pub(crate) use inspect::{Inspected, inspect};
pub use intensities::{Unusual, UnusualKind};
pub use warnings::Warning;

/// What their memory is for, in errors.
const LABELS: &str = "labels";
const MAP: &str = "a map on the network's grid";

/// What a run did.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RunReport {
    /// Tiles that the network computed, folds included.
    pub tiles: usize,
    /// Runs of the network that overflowed half precision and were repeated in single.
    pub tiles_in_single: usize,
    /// Tiles that were cut and blended in the device's memory, beside their computing.
    pub tiles_on_device: usize,
    /// Tiles that the network computed at once.
    pub tile_batch: usize,
    /// What the device's memory wasn't enough for.
    pub memory_step: MemoryStep,
    /// Voxels of the label map.
    pub voxels: usize,
    /// Voxels whose two best classes differ in probability by at most 0.01: only there may another
    /// implementation of the same model decide otherwise.
    pub near_ties: usize,
    /// Seconds spent on reading, cropping, normalising and resampling the volume.
    pub preprocess_seconds: f64,
    /// Seconds spent in the network, or waiting for it where it runs beside the host.
    pub network_seconds: f64,
    /// Seconds spent on cutting and blending tiles.
    pub blend_seconds: f64,
    /// Seconds spent on bringing the labels onto the volume's grid.
    pub restore_seconds: f64,
    /// Seconds in all.
    pub total_seconds: f64,
    /// Most memory that the whole process ever had resident, in bytes; 0 where the system doesn't tell.
    pub process_peak_bytes: u64,
    /// Voxels of the volume that aren't finite, which were read as [`Run::with_non_finite`] asks for.
    pub non_finite: Option<NonFiniteVoxels>,
    /// What may make the labels wrong.
    pub warnings: Vec<Warning>,
}

pub(crate) fn segment(
    plan: &mut Plan,
    volume: &Volume,
    labels: &mut LabelBuffer,
    maps: &mut [MapBuffer],
    run: &mut Run,
) -> Result<RunReport> {
    match plan.recipe.tiling.sums {
        Sums::Half => segment_in::<f16>(plan, volume, labels, maps, run),
        Sums::Single => segment_in::<f32>(plan, volume, labels, maps, run),
    }
}

/// With scores kept as `S`.
fn segment_in<S: Score>(
    plan: &mut Plan,
    volume: &Volume,
    labels: &mut LabelBuffer,
    maps: &mut [MapBuffer],
    run: &mut Run,
) -> Result<RunReport> {
    let started = Instant::now();
    let mut report = RunReport { voxels: volume.geometry().voxels(), ..RunReport::default() };
    let members = plan.others.len() as f64 + 1.0;
    let mut fields = Vec::new();
    for (done, member) in plan.others.iter_mut().enumerate() {
        let share = 1.0 / (members - done as f64);
        fields.push(run.part(0.0, share, |run| field::<S>(member, volume, run, &mut report))?);
    }

    let Prepared { image, way } = prepare(plan, volume, run, &mut report)?;
    let (recipe, threads) = (plan.recipe.clone(), plan.threads);
    let shape = [image.dim().1, image.dim().2, image.dim().3];
    let mut restorer = Restorer::new(&recipe, &way, plan.classes, shape, fields, threads)?;
    maps.iter_mut().for_each(MapBuffer::begin);
    let wanted: Vec<Map> = maps.iter().map(|map| map.map()).collect();
    let mut here = MapsHere::new(&recipe, &way, shape, maps)?;
    let activated = recipe.back == Back::Probabilities;
    let labelling = if wanted.is_empty() { restorer.labelling(activated)? } else { None };
    infer::<S>(plan, image, labelling.as_ref(), run, &mut report, |planes, run| match planes {
        Planes::Labels(labels, near_ties) => {
            restorer.push_labels(&labels, near_ties);
            Ok(())
        }
        Planes::Scores(mut planes) => {
            if activated {
                activate(&mut planes, &recipe.decision, threads)?;
            }
            restorer.push(planes, &wanted, &mut |map, plane, values| here.receive(map, plane, values), run)
        }
    })?;

    let ending = Instant::now();
    here.finish(threads)?;
    let mut restored = restorer.finish()?;
    let voxel_volume = way.grid.spacing.iter().product::<f64>();
    for cleanup in recipe.cleanup.iter().filter(|cleanup| cleanup.on_network_grid) {
        run.check()?;
        clean(&mut restored.labels, cleanup, voxel_volume)?;
    }
    let mut start = way.kept().start;
    if matches!(recipe.back, Back::Labels | Back::InterpolatedLabels) {
        restored = bring_back(restored.labels, &way, recipe.back, threads)?;
        start = [0; 3];
    } else if let Some(label) = outside(&recipe) {
        restored.labels = surrounded(restored.labels, &way, label)?;
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
    run.finished(report.tiles)?;
    labels.write(restored.labels.view(), &way.map, start);
    report.near_ties = restored.near_ties;
    report.restore_seconds += ending.elapsed().as_secs_f64();
    report.total_seconds = started.elapsed().as_secs_f64();
    report.process_peak_bytes = crate::platform::peak_memory();
    Ok(report)
}

/// Where maps go as their values come: into the caller's buffers, or, while the network's grid is another, first
/// into an array on it.
struct MapsHere<'a, 'b> {
    buffers: &'a mut [MapBuffer<'b>],
    way: &'a Way,
    /// On the network's grid, one for each buffer; empty when values go straight to the buffers.
    arrays: Vec<Array3<f32>>,
}

impl<'a, 'b> MapsHere<'a, 'b> {
    fn new(
        recipe: &Recipe,
        way: &'a Way,
        shape: [usize; 3],
        buffers: &'a mut [MapBuffer<'b>],
    ) -> Result<Self> {
        let arrays = match recipe.back {
            Back::Scores | Back::Probabilities => Vec::new(),
            _ => buffers.iter().map(|_| buffer::zeros(MAP, shape)).collect::<Result<_>>()?,
        };
        Ok(MapsHere { buffers, way, arrays })
    }

    fn receive(&mut self, map: usize, plane: usize, values: &[f32]) {
        match self.arrays.get_mut(map) {
            Some(array) => {
                let (_, rows, columns) = array.dim();
                let at = plane * rows * columns;
                array.as_slice_mut().unwrap_or_default()[at..at + values.len()].copy_from_slice(values);
            }
            None => {
                let (kept, map_of) = (self.way.kept(), &self.way.map);
                let [_, rows, columns] = kept.shape();
                let start = [kept.start[0] + plane, kept.start[1], kept.start[2]];
                let shape = [values.len() / (rows * columns).max(1), rows, columns];
                self.buffers[map].write(values, map_of, start, shape);
            }
        }
    }

    /// Brings what waits on the network's grid to the buffers.
    fn finish(self, threads: usize) -> Result<()> {
        for (array, buffer) in self.arrays.into_iter().zip(self.buffers) {
            let outside = buffer.map().outside();
            let array = back::nearest(array, self.way, outside, threads)?;
            let shape = array.dim().into();
            buffer.write(array.as_slice().unwrap_or_default(), &self.way.map, [0; 3], shape);
        }
        Ok(())
    }
}

/// Labels that were decided on the network's grid, with their marks of near ties, on the volume's.
fn bring_back(labels: Array3<u16>, way: &Way, how: Back, threads: usize) -> Result<Restored> {
    let marks = buffer::map(LABELS, &labels, |label| label & NEAR_TIE_MARK != 0)?;
    let near = back::nearest(marks, way, false, threads)?;
    let near_ties = near.iter().filter(|&&near| near).count();
    drop(near);
    let labels = labels.mapv_into(|label| label & !NEAR_TIE_MARK);
    let labels = match how {
        Back::InterpolatedLabels => {
            let values = back::linear(buffer::map(LABELS, &labels, f32::from)?, way, threads)?;
            buffer::map(LABELS, &values, |value| value.round_ties_even() as u16)?
        }
        _ => back::nearest(labels, way, 0, threads)?,
    };
    Ok(Restored { labels, near_ties })
}

/// The label of what was cut away, where it isn't 0: scores that are brought back are 0 there, which is a probability
/// of one half.
fn outside(recipe: &Recipe) -> Option<u16> {
    match (&recipe.decision, recipe.back) {
        (Decision::Regions { regions, at_half: true, threshold }, Back::Scores) if *threshold <= 0.5 => {
            Some(regions.last()?.label)
        }
        _ => None,
    }
}

/// Labels of the part that was kept, in the whole volume.
fn surrounded(labels: Array3<u16>, way: &Way, outside: u16) -> Result<Array3<u16>> {
    let Box3 { start, end } = way.kept();
    if start == [0; 3] && end == way.grid.shape {
        return Ok(labels);
    }
    let mut whole = buffer::array(LABELS, way.grid.shape, outside)?;
    let [z, y, x] = [0, 1, 2].map(|axis| start[axis]..end[axis]);
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

/// The complete scores of one member of an ensemble.
fn field<S: Score>(
    plan: &mut Plan,
    volume: &Volume,
    run: &mut Run,
    report: &mut RunReport,
) -> Result<Field<S>> {
    let Prepared { image, way } = prepare(plan, volume, run, report)?;
    let (_, planes, rows, columns) = image.dim();
    let shape = (plan.classes, planes, rows, columns);
    let mut scores = buffer::array("the scores of an ensemble's member", shape, S::default())?;
    let mut done = 0;
    infer::<S>(plan, image, None, run, report, |planes, _| {
        let Planes::Scores(planes) = planes else { return Ok(()) };
        let count = planes.dim().1;
        scores.slice_axis_mut(Axis(1), (done..done + count).into()).assign(&planes);
        done += count;
        Ok(())
    })?;
    Field::new(&plan.recipe, &way, scores, plan.threads)
}

/// The network's image.
fn prepare(plan: &mut Plan, volume: &Volume, run: &mut Run, report: &mut RunReport) -> Result<Prepared> {
    let started = Instant::now();
    let previous = match &mut plan.previous {
        Some(stage) => Some(previous_labels(stage, volume, run)?),
        None => None,
    };
    let prepared = preprocess(volume, previous.as_deref(), &plan.recipe, plan.threads, run)?;
    report.preprocess_seconds += started.elapsed().as_secs_f64();
    Ok(prepared)
}

/// The labels of a cascade's previous stage, dense on the volume's grid.
fn previous_labels(stage: &mut Plan, volume: &Volume, run: &mut Run) -> Result<Vec<u8>> {
    let grid = volume.geometry();
    let layout = Layout::dense(grid.shape, DType::U16);
    let mut bytes = buffer::zeroed(LABELS, grid.voxels() * DType::U16.size())?;
    let mut labels = LabelBuffer::new(grid, DType::U16, layout, &mut bytes)?;
    run.part(0.0, 0.3, |run| stage.segment_inspected(volume, &mut labels, &mut [], run))?;
    Ok(bytes)
}

#[cfg(test)]
mod device_tests;
#[cfg(test)]
mod lack_tests;
#[cfg(test)]
mod tests;
