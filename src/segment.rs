//! The conductor: a volume through a plan to labels.

use std::time::Instant;

use half::f16;
use ndarray::{Array4, Axis};

use crate::error::{Error, Result};
use crate::labels::LabelBuffer;
use crate::plan::Plan;
use crate::preprocess::{Prepared, preprocess};
use crate::progress::{Run, Stage};
use crate::restore::components::keep_largest;
use crate::restore::{Field, MapBuffer, Restored, Restorer};
use crate::tiling::{Blend, Mirrored, cut};
use crate::volume::{DType, Layout, Volume};

/// What a run did.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct RunReport {
    /// Tiles that the network computed, folds included.
    pub tiles: usize,
    /// Voxels of the label map.
    pub voxels: usize,
    /// Voxels whose two best classes differ in probability by at most 0.01: only there may another
    /// implementation of the same model decide otherwise.
    pub near_ties: usize,
    /// Seconds spent on reading, cropping, normalising and resampling the volume.
    pub preprocess_seconds: f64,
    /// Seconds spent in the network.
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
    let started = Instant::now();
    let mut report = RunReport { voxels: volume.geometry().voxels(), ..RunReport::default() };
    let members = plan.others.len() as f64 + 1.0;
    let mut fields = Vec::new();
    for (done, member) in plan.others.iter_mut().enumerate() {
        let field =
            run.part(0.0, 1.0 / (members - done as f64), |run| field(member, volume, run, &mut report));
        fields.push(field?);
    }

    let Prepared { image, way } = prepare(plan, volume, run, &mut report)?;
    let recipe = plan.recipe.clone();
    let shape = [image.dim().1, image.dim().2, image.dim().3];
    let mut restorer = Restorer::new(&recipe, &way, plan.classes, shape, fields, plan.threads)?;
    maps.iter_mut().for_each(MapBuffer::begin);
    infer(plan, image, run, &mut report, |planes, run| restorer.push(planes, maps, run))?;
    let Restored { labels: mut restored, near_ties } = restorer.finish()?;

    let writing = Instant::now();
    if plan.postprocess {
        for rule in &recipe.postprocess {
            run.check()?;
            keep_largest(&mut restored, rule);
        }
    }
    run.finished(report.tiles)?;
    labels.write(restored.view(), &way.map, way.crop.start);
    report.near_ties = near_ties;
    report.restore_seconds += writing.elapsed().as_secs_f64();
    report.total_seconds = started.elapsed().as_secs_f64();
    report.process_peak_bytes = crate::ffi::peak_memory();
    Ok(report)
}

/// The complete scores of one member of an ensemble.
fn field(plan: &mut Plan, volume: &Volume, run: &mut Run, report: &mut RunReport) -> Result<Field<f16>> {
    let Prepared { image, way } = prepare(plan, volume, run, report)?;
    let (_, planes, rows, columns) = image.dim();
    let mut scores = Array4::from_elem((plan.classes, planes, rows, columns), f16::ZERO);
    let mut done = 0;
    infer(plan, image, run, report, |planes, _| {
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
fn infer(
    plan: &mut Plan,
    image: Array4<f32>,
    run: &mut Run,
    report: &mut RunReport,
    mut receive: impl FnMut(Array4<f16>, &Run) -> Result<()>,
) -> Result<()> {
    let shape = [image.dim().1, image.dim().2, image.dim().3];
    let tiles = plan.tiles(shape)?;
    let patch = tiles.patch().iter().product::<usize>();
    let mut input = vec![0.0; image.dim().0 * patch];
    let mut mirrored = Mirrored::new(tiles.patch(), &plan.mirror, plan.classes * patch);
    let total = tiles.len() * plan.engines.len();
    let window = plan.window.view();
    let mut fields: Vec<Blend<f16>> =
        plan.engines.iter().map(|_| Blend::new(plan.classes, &tiles, window, plan.threads)).collect();
    let mut last = Instant::now();
    let lap = |last: &mut Instant| std::mem::replace(last, Instant::now()).elapsed().as_secs_f64();
    let mut done = 0;
    for row in tiles.rows() {
        for (engine, field) in plan.engines.iter_mut().zip(&mut fields) {
            for &start in &row.tiles {
                run.checkpoint(Stage::Network, done, total)?;
                cut(image.view(), &tiles, start, &mut input);
                report.blend_seconds += lap(&mut last);
                let scores = mirrored.run(&mut input, |input, output| engine.run(input, output));
                let failed = |error: Error| Error::Inference { tile: done, reason: error.to_string() };
                let scores = scores.map_err(failed)?;
                report.network_seconds += lap(&mut last);
                field.add(start, scores);
                done += 1;
                report.tiles += 1;
            }
        }
        let planes = average(&mut fields, row.finished)?;
        report.blend_seconds += lap(&mut last);
        receive(planes, run)?;
        report.restore_seconds += lap(&mut last);
    }
    run.checkpoint(Stage::Network, done, total)
}

/// The finished planes of all folds, summed and divided in half precision as the reference does it.
fn average(fields: &mut [Blend<f16>], end: usize) -> Result<Array4<f16>> {
    let folds = fields.len() as f32;
    let mut sum: Option<Array4<f16>> = None;
    for field in fields {
        let planes = field.take(end)?;
        match &mut sum {
            None => sum = Some(planes),
            Some(sum) => {
                sum.zip_mut_with(&planes, |sum, &score| *sum = f16::from_f32(sum.to_f32() + score.to_f32()))
            }
        }
    }
    let mut sum = sum.ok_or_else(|| Error::unsupported("a model without networks"))?;
    if folds > 1.0 {
        sum.mapv_inplace(|score| f16::from_f32(score.to_f32() / folds));
    }
    Ok(sum)
}

#[cfg(test)]
mod tests;
