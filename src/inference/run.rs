//! The conductor: a volume through a plan to labels.

use std::time::Instant;

use half::f16;
use ndarray::Axis;

use super::finish::{Finished, finish};
use super::maps::MapsHere;
use super::prepare::prepare;
use super::rows::{Planes, infer};
use super::{Plan, RunReport};
use crate::buffer;
use crate::engine::Workspace;
use crate::error::Result;
use crate::labels::LabelBuffer;
use crate::preprocess::Prepared;
use crate::progress::Run;
use crate::recipe::{RestoreMode, ScorePrecision};
use crate::restore::{Field, Map, MapBuffer, Restorer, activate};
use crate::tiling::Score;
use crate::volume::Volume;

pub(super) fn segment(
    plan: &Plan,
    volume: &Volume,
    labels: &mut LabelBuffer,
    maps: &mut [MapBuffer],
    workspace: &mut Workspace,
    run: &mut Run,
) -> Result<RunReport> {
    match plan.recipe.tiling.score_precision {
        ScorePrecision::Half => segment_in::<f16>(plan, volume, labels, maps, workspace, run),
        ScorePrecision::Single => segment_in::<f32>(plan, volume, labels, maps, workspace, run),
    }
}

/// With scores kept as `S`.
fn segment_in<S: Score>(
    plan: &Plan,
    volume: &Volume,
    labels: &mut LabelBuffer,
    maps: &mut [MapBuffer],
    workspace: &mut Workspace,
    run: &mut Run,
) -> Result<RunReport> {
    let started = Instant::now();
    let mut report = RunReport { voxels: volume.geometry().voxels(), ..RunReport::default() };
    let fields = others::<S>(plan, volume, workspace, run, &mut report)?;
    let Prepared { image, trace } = prepare(plan, volume, workspace, run, &mut report)?;
    let (recipe, threads) = (&*plan.recipe, plan.threads);
    let shape = [image.dim().1, image.dim().2, image.dim().3];
    let mut restorer = Restorer::new(recipe, &trace, plan.classes, shape, fields, threads)?;
    maps.iter_mut().for_each(MapBuffer::begin);
    let wanted: Vec<Map> = maps.iter().map(|map| map.map()).collect();
    let mut here = MapsHere::new(recipe, &trace, shape, maps)?;
    let activated = recipe.restore == RestoreMode::Probabilities;
    let labelling = if wanted.is_empty() { restorer.labelling(activated)? } else { None };
    infer::<S>(plan, image, labelling.as_ref(), workspace, run, &mut report, |planes, run| match planes {
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
    let Finished { restored, start } = finish(plan, restorer.finish()?, &trace, run)?;
    run.finished(report.tiles)?;
    labels.write(restored.labels.view(), &trace.map, start);
    report.near_ties = restored.near_ties;
    report.restore_seconds += ending.elapsed().as_secs_f64();
    report.total_seconds = started.elapsed().as_secs_f64();
    report.process_peak_bytes = crate::platform::peak_memory();
    Ok(report)
}

/// The complete scores of the other members of an ensemble.
fn others<S: Score>(
    plan: &Plan,
    volume: &Volume,
    workspace: &mut Workspace,
    run: &mut Run,
    report: &mut RunReport,
) -> Result<Vec<Field<S>>> {
    let members = plan.others.len() as f64 + 1.0;
    let mut fields = Vec::new();
    for (done, member) in plan.others.iter().enumerate() {
        let share = 1.0 / (members - done as f64);
        fields.push(run.part(0.0, share, |run| field::<S>(member, volume, workspace, run, report))?);
    }
    Ok(fields)
}

fn field<S: Score>(
    plan: &Plan,
    volume: &Volume,
    workspace: &mut Workspace,
    run: &mut Run,
    report: &mut RunReport,
) -> Result<Field<S>> {
    let Prepared { image, trace } = prepare(plan, volume, workspace, run, report)?;
    let (_, planes, rows, columns) = image.dim();
    let shape = (plan.classes, planes, rows, columns);
    let mut scores = buffer::array("the scores of an ensemble's member", shape, S::default())?;
    let mut done = 0;
    infer::<S>(plan, image, None, workspace, run, report, |planes, _| {
        let Planes::Scores(planes) = planes else { return Ok(()) };
        let count = planes.dim().1;
        scores.slice_axis_mut(Axis(1), (done..done + count).into()).assign(&planes);
        done += count;
        Ok(())
    })?;
    Field::new(&plan.recipe, &trace, scores, plan.threads)
}
