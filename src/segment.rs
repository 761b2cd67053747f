//! The conductor: a volume through a plan to labels.

pub(crate) mod ahead;

use std::time::Instant;

use half::f16;
use ndarray::{Array3, Array4, Axis, s};

use crate::engine::{self, Engine, Job, Resident};
use crate::error::{Error, Result};
use crate::labels::LabelBuffer;
use crate::plan::Plan;
use crate::preprocess::crop::Box3;
use crate::preprocess::{Prepared, Way, preprocess};
use crate::progress::{Run, Stage};
use crate::recipe::{Back, Cleanup, Decision, Recipe, Sums};
use crate::restore::components::keep_largest;
use crate::restore::{Field, Map, MapBuffer, NEAR_TIE_MARK, Restored, Restorer, activate, back};
use crate::tiling::{Blend, Mirrored, Score, cut};
use crate::volume::{DType, Layout, Volume};
use ahead::Ahead;

/// Planes that leave the sums together: each time they are there twice.
pub(crate) const RELEASED_AT_ONCE: usize = 16;

/// What a run did.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct RunReport {
    /// Tiles that the network computed, folds included.
    pub tiles: usize,
    /// Runs of the network that overflowed half precision and were repeated in single.
    pub tiles_in_single: usize,
    /// Tiles that were cut and blended in the device's memory, beside their computing.
    pub tiles_on_device: usize,
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
    let mut here = MapsHere::new(&recipe, &way, shape, maps);
    infer::<S>(plan, image, run, &mut report, |mut planes, run| {
        if recipe.back == Back::Probabilities {
            activate(&mut planes, &recipe.decision, threads);
        }
        restorer.push(planes, &wanted, &mut |map, plane, values| here.receive(map, plane, values), run)
    })?;

    let ending = Instant::now();
    here.finish(threads);
    let mut restored = restorer.finish()?;
    for cleanup in recipe.cleanup.iter().filter(|cleanup| cleanup.on_network_grid) {
        run.check()?;
        clean(&mut restored.labels, cleanup)?;
    }
    let mut start = way.kept().start;
    if matches!(recipe.back, Back::Labels | Back::InterpolatedLabels) {
        restored = bring_back(restored.labels, &way, recipe.back, threads);
        start = [0; 3];
    } else if let Some(label) = outside(&recipe) {
        restored.labels = surrounded(restored.labels, &way, label);
        start = [0; 3];
    }
    for cleanup in recipe.cleanup.iter().filter(|cleanup| !cleanup.on_network_grid) {
        run.check()?;
        clean(&mut restored.labels, cleanup)?;
    }
    if plan.postprocess {
        for rule in &recipe.postprocess {
            run.check()?;
            keep_largest(&mut restored.labels, rule);
        }
    }
    run.finished(report.tiles)?;
    labels.write(restored.labels.view(), &way.map, start);
    report.near_ties = restored.near_ties;
    report.restore_seconds += ending.elapsed().as_secs_f64();
    report.total_seconds = started.elapsed().as_secs_f64();
    report.process_peak_bytes = crate::ffi::peak_memory();
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
    fn new(recipe: &Recipe, way: &'a Way, shape: [usize; 3], buffers: &'a mut [MapBuffer<'b>]) -> Self {
        let arrays = match recipe.back {
            Back::Scores | Back::Probabilities => Vec::new(),
            _ => buffers.iter().map(|_| Array3::zeros(shape)).collect(),
        };
        MapsHere { buffers, way, arrays }
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
    fn finish(self, threads: usize) {
        for (array, buffer) in self.arrays.into_iter().zip(self.buffers) {
            let outside = buffer.map().outside();
            let array = back::nearest(array, self.way, outside, threads);
            let shape = array.dim().into();
            buffer.write(array.as_slice().unwrap_or_default(), &self.way.map, [0; 3], shape);
        }
    }
}

/// Labels that were decided on the network's grid, with their marks of near ties, on the volume's.
fn bring_back(labels: Array3<u16>, way: &Way, how: Back, threads: usize) -> Restored {
    let near = back::nearest(labels.mapv(|label| label & NEAR_TIE_MARK != 0), way, false, threads);
    let near_ties = near.iter().filter(|&&near| near).count();
    drop(near);
    let labels = labels.mapv_into(|label| label & !NEAR_TIE_MARK);
    let labels = match how {
        Back::InterpolatedLabels => {
            back::linear(labels.mapv(f32::from), way, threads).mapv(|value| value.round_ties_even() as u16)
        }
        _ => back::nearest(labels, way, 0, threads),
    };
    Restored { labels, near_ties }
}

/// The label of what was cut away, where it isn't 0: scores that are brought back are 0 there, which is a probability
/// of one half.
fn outside(recipe: &Recipe) -> Option<u16> {
    match (&recipe.decision, recipe.back) {
        (Decision::Regions { regions, at_half: true }, Back::Scores) => Some(regions.last()?.label),
        _ => None,
    }
}

/// Labels of the part that was kept, in the whole volume.
fn surrounded(labels: Array3<u16>, way: &Way, outside: u16) -> Array3<u16> {
    let Box3 { start, end } = way.kept();
    if start == [0; 3] && end == way.grid.shape {
        return labels;
    }
    let mut whole = Array3::from_elem(way.grid.shape, outside);
    let [z, y, x] = [0, 1, 2].map(|axis| start[axis]..end[axis]);
    whole.slice_mut(s![z, y, x]).assign(&labels);
    whole
}

/// Applies a rule to labels, whose marks of near ties stay.
fn clean(labels: &mut Array3<u16>, cleanup: &Cleanup) -> Result<()> {
    let marks = labels.mapv(|label| label & NEAR_TIE_MARK);
    labels.mapv_inplace(|label| label & !NEAR_TIE_MARK);
    cleanup.rule.apply(labels)?;
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
    let mut scores = Array4::from_elem((plan.classes, planes, rows, columns), S::default());
    let mut done = 0;
    infer::<S>(plan, image, run, report, |planes, _| {
        let count = planes.dim().1;
        scores.slice_axis_mut(Axis(1), (done..done + count).into()).assign(&planes);
        done += count;
        Ok(())
    })?;
    Ok(Field::new(&plan.recipe, &way, scores, plan.threads))
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
    let mut bytes = vec![0; grid.voxels() * DType::U16.size()];
    let mut labels = LabelBuffer::new(grid, DType::U16, layout, &mut bytes)?;
    run.part(0.0, 0.3, |run| stage.segment(volume, &mut labels, &mut [], run))?;
    Ok(bytes)
}

/// From an image to planes of scores: every fold over every tile. Tiles run in rows along the first axis; planes
/// that no later row touches are averaged, handed to `receive` and dropped before the next row runs.
fn infer<S: Score>(
    plan: &mut Plan,
    image: Array4<f32>,
    run: &mut Run,
    report: &mut RunReport,
    mut receive: impl FnMut(Array4<S>, &Run) -> Result<()>,
) -> Result<()> {
    let shape = [image.dim().1, image.dim().2, image.dim().3];
    let tiles = plan.tiles(shape)?;
    let patch = tiles.patch().iter().product::<usize>();
    let (input, scores) = (image.dim().0 * patch, plan.classes * patch);
    let total = tiles.len() * plan.engines.len();
    let (window, fill, threads) = (plan.window.view(), plan.recipe.tiling.fill, plan.threads);
    let (classes, in_single) = (plan.classes, |plan: &Plan| {
        plan.engines.iter().map(|engine| engine.tiles_in_single()).sum::<usize>()
    });
    let before = in_single(plan);
    let flips = Mirrored::flips(&plan.mirror);
    let job = Job { image: &image, tiles: &tiles, window, fill, mirror: &flips, classes, half: S::HALF };
    let mut fields: Vec<Blending<S>> =
        plan.engines.iter_mut().map(|engine| Blending::new(engine, job, threads)).collect();
    let elsewhere =
        |field: &Blending<S>| matches!(field, Blending::Host(engine, _) if engine.runs_elsewhere());
    let mut mirrored = Mirrored::new(tiles.patch(), &plan.mirror, scores);
    let mut ahead = Ahead::new(&mut mirrored, input, scores, fields.iter().any(elsewhere));
    let (mut done, mut released) = (0, 0);
    for row in tiles.rows() {
        for field in &mut fields {
            let mut blended = 0;
            let cut_tile = |tile: usize, run: &mut Run| run.checkpoint(Stage::Network, done + tile, total);
            let outcome = match field {
                Blending::Host(engine, sums) => ahead.run(
                    &mut ***engine,
                    row.tiles.len(),
                    |tile, input| {
                        cut_tile(tile, run)?;
                        cut(image.view(), &tiles, row.tiles[tile], fill, input);
                        Ok(())
                    },
                    |tile, scores| {
                        sums.add(row.tiles[tile], scores);
                        blended += 1;
                    },
                ),
                Blending::Device(resident) => row.tiles.iter().enumerate().try_for_each(|(tile, &start)| {
                    cut_tile(tile, run)?;
                    let started = Instant::now();
                    resident.tile(start)?;
                    report.network_seconds += started.elapsed().as_secs_f64();
                    report.tiles_on_device += 1;
                    blended += 1;
                    Ok(())
                }),
            };
            report.tiles += blended;
            outcome.map_err(|error| match error {
                Error::Cancelled => error,
                other => Error::Inference { tile: done + blended, reason: other.to_string() },
            })?;
            done += blended;
        }
        while released < row.finished {
            released = row.finished.min(released + RELEASED_AT_ONCE);
            let started = Instant::now();
            let planes = average(&mut fields, released, [classes, shape[1], shape[2]])?;
            report.blend_seconds += started.elapsed().as_secs_f64();
            let started = Instant::now();
            receive(planes, run)?;
            report.restore_seconds += started.elapsed().as_secs_f64();
        }
    }
    report.network_seconds += ahead.network_seconds;
    report.blend_seconds += ahead.around_seconds;
    drop(fields);
    report.tiles_in_single += in_single(plan) - before;
    run.checkpoint(Stage::Network, done, total)
}

/// Where one network's scores are summed.
enum Blending<'a, S> {
    Host(&'a mut Box<dyn Engine>, Blend<S>),
    Device(Resident<'a>),
}

impl<'a, S: Score> Blending<'a, S> {
    /// On the device where that is possible, else on the host.
    fn new(engine: &'a mut Box<dyn Engine>, job: Job<'a>, threads: usize) -> Self {
        match engine.memory_for(&job) {
            Some(memory) => Blending::Device(Resident::new(memory, &mut **engine, job)),
            None => Blending::Host(engine, Blend::new(job.classes, job.tiles, job.window, threads)),
        }
    }

    /// As [`Blend::take`].
    fn take(&mut self, end: usize, [classes, rows, columns]: [usize; 3]) -> Result<Array4<S>> {
        match self {
            Blending::Host(_, sums) => sums.take(end),
            Blending::Device(resident) => {
                let scores = engine::scores(&resident.take(end)?);
                let planes = scores.len() / (classes * rows * columns).max(1);
                let shaped = Array4::from_shape_vec((classes, planes, rows, columns), scores);
                shaped.map_err(|error| Error::unsupported(error.to_string()))
            }
        }
    }
}

/// The finished planes of all folds, summed and divided in their type as the reference does it.
fn average<S: Score>(fields: &mut [Blending<S>], end: usize, size: [usize; 3]) -> Result<Array4<S>> {
    let folds = fields.len() as f32;
    let mut sum: Option<Array4<S>> = None;
    for field in fields {
        let planes = field.take(end, size)?;
        match &mut sum {
            None => sum = Some(planes),
            Some(sum) => {
                sum.zip_mut_with(&planes, |sum, score| *sum = S::from_f32(sum.to_f32() + score.to_f32()))
            }
        }
    }
    let mut sum = sum.ok_or_else(|| Error::unsupported("a model without networks"))?;
    if folds > 1.0 {
        sum.mapv_inplace(|score| S::from_f32(score.to_f32() / folds));
    }
    Ok(sum)
}

#[cfg(test)]
mod tests;
