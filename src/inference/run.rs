//! The conductor: a volume through a plan to labels.

use std::time::Instant;

use half::f16;
use ndarray::{Array3, Array4, Axis, s};

use super::finish::{Finished, finish};
use super::maps::RunMaps;
use super::prepare::prepare;
use super::region::Group;
use super::rows::{RowOutput, infer};
use super::slabs::Slabs;
use super::{Plan, RunReport};
use crate::buffer;
use crate::engine::Workspace;
use crate::error::Result;
use crate::labels::LabelBuffer;
use crate::preprocess::{Prepared, Trace};
use crate::progress::Run;
use crate::recipe::{RestoreMode, ScorePrecision};
use crate::restore::{Field, Map, MapBuffer, Part, Restored, Restorer, activate, different_crops};
use crate::tiling::{Score, TileGrid};
use crate::volume::{Box3, Geometry, Region, Volume};

pub(super) fn segment(
    plan: &Plan,
    volume: &Volume,
    asked: (&Region, bool),
    labels: &mut LabelBuffer,
    maps: &mut [MapBuffer],
    workspace: &mut Workspace,
    run: &mut Run,
) -> Result<RunReport> {
    match plan.recipe.tiling.score_precision {
        ScorePrecision::Half => segment_in::<f16>(plan, volume, asked, labels, maps, workspace, run),
        ScorePrecision::Single => segment_in::<f32>(plan, volume, asked, labels, maps, workspace, run),
    }
}

/// With scores kept as `S`. Labels are written at the end, or as they become final.
fn segment_in<S: Score>(
    plan: &Plan,
    volume: &Volume,
    (region, as_they_come): (&Region, bool),
    labels: &mut LabelBuffer,
    maps: &mut [MapBuffer],
    workspace: &mut Workspace,
    run: &mut Run,
) -> Result<RunReport> {
    let started = Instant::now();
    let boxes = region.boxes(volume.geometry().shape);
    let mut report = RunReport { voxels: boxes.iter().map(Box3::voxels).sum(), ..RunReport::default() };
    let groups = plan.groups(volume.geometry(), region)?;
    let fields = member_scores::<S>(plan, volume, (region, &groups), workspace, run, &mut report)?;
    let prepared = prepare(plan, volume, (region, &groups), workspace, run, &mut report)?;
    let buffers = (as_they_come, labels, maps);
    prepared_in::<S>(plan, prepared, (&groups, fields), buffers, workspace, run, &mut report)?;
    report.total_seconds = started.elapsed().as_secs_f64();
    report.process_peak_bytes = crate::platform::peak_memory();
    Ok(report)
}

/// As [`segment`], of the whole of an image that was prepared before.
pub(super) fn segment_prepared(
    plan: &Plan,
    prepared: Prepared,
    geometry: &Geometry,
    labels: &mut LabelBuffer,
    workspace: &mut Workspace,
    run: &mut Run,
) -> Result<RunReport> {
    let groups = plan.groups(geometry, &Region::whole())?;
    let mut report = RunReport { voxels: geometry.voxels(), ..RunReport::default() };
    match plan.recipe.tiling.score_precision {
        ScorePrecision::Half => {
            let fields: Vec<Fields<f16>> = groups.iter().map(|_| Vec::new()).collect();
            let buffers = (false, labels, &mut [][..]);
            prepared_in(plan, prepared, (&groups, fields), buffers, workspace, run, &mut report)?;
        }
        ScorePrecision::Single => {
            let fields: Vec<Fields<f32>> = groups.iter().map(|_| Vec::new()).collect();
            let buffers = (false, labels, &mut [][..]);
            prepared_in(plan, prepared, (&groups, fields), buffers, workspace, run, &mut report)?;
        }
    }
    Ok(report)
}

/// The stages after the network's image, for each group of boxes with the scores of other members.
fn prepared_in<S: Score>(
    plan: &Plan,
    Prepared { image, trace }: Prepared,
    (groups, fields): (&[Group], Vec<Fields<S>>),
    (as_they_come, labels, maps): (bool, &mut LabelBuffer, &mut [MapBuffer]),
    workspace: &mut Workspace,
    run: &mut Run,
    report: &mut RunReport,
) -> Result<()> {
    let boxes: Vec<Box3> = groups.iter().flat_map(|group| group.boxes.iter().copied()).collect();
    let mut image = Parts::new(plan, image, groups.len(), report)?;
    maps.iter_mut().for_each(|map| map.begin(&boxes));
    let mut done = Vec::new();
    for (group, fields) in groups.iter().zip(fields) {
        let share = image.share();
        done.push(run.part(0.0, share, |run| {
            let labels = as_they_come.then_some(&mut *labels);
            let buffers = (labels, &mut *maps);
            one::<S>(plan, &trace, group, &mut image, fields, buffers, workspace, run, report)
        })?);
    }

    let ending = Instant::now();
    run.finished(report.tiles)?;
    for ((Finished { restored, start }, written), group) in done.iter().zip(groups) {
        report.near_ties += restored.near_ties;
        if !written {
            labels.write(restored.labels.view(), &trace.map, *start, 0, &group.boxes);
            if as_they_come {
                run.labels_are_final(&group.boxes)?;
            }
        }
    }
    report.restore_seconds += ending.elapsed().as_secs_f64();
    Ok(())
}

/// The labels of a group of boxes, and whether they were written as they came.
#[expect(clippy::too_many_arguments, reason = "what a run has at hand")]
fn one<S: Score>(
    plan: &Plan,
    trace: &Trace,
    group: &Group,
    image: &mut Parts,
    fields: Fields<S>,
    (labels, maps): (Option<&mut LabelBuffer>, &mut [MapBuffer]),
    workspace: &mut Workspace,
    run: &mut Run,
    report: &mut RunReport,
) -> Result<(Finished, bool)> {
    let (recipe, threads, shape) = (&*plan.recipe, plan.threads, image.shape());
    let Some((part, tiles, image)) = image.take(plan, trace, group)? else {
        let (labels, nothing) = (Array3::default([0; 3]), Box3 { start: [0; 3], end: [0; 3] });
        let restored = Restored { labels, near_ties: 0 };
        return Ok((finish(plan, restored, trace, (&nothing, shape), group, run)?, false));
    };
    // Where one sees something and another doesn't, they crop differently.
    let fields = fields.into_iter().map(|field| field.ok_or_else(different_crops)).collect::<Result<_>>()?;
    let mut restorer = Restorer::new(recipe, trace, plan.classes, shape, &part, fields, threads)?;
    let wanted: Vec<Map> = maps.iter().map(|map| map.map()).collect();
    let mut run_maps = RunMaps::new(recipe, trace, shape, &part, group, maps)?;
    let activated = recipe.restore == RestoreMode::Probabilities;
    let labelling = if wanted.is_empty() { restorer.labelling(activated)? } else { None };
    let mut slabs = labels.and_then(|labels| Some((Slabs::new(plan, trace, group, &part)?, labels)));
    let receive = |planes: RowOutput<S>, run: &mut Run| {
        match planes {
            RowOutput::Labels(labels, near_ties) => restorer.push_labels(&labels, near_ties),
            RowOutput::Scores(mut planes) => {
                if activated {
                    activate(&mut planes, &recipe.decision, threads)?;
                }
                let mut receive =
                    |map: usize, plane: usize, values: &[f32]| run_maps.receive(map, plane, values);
                restorer.push(planes, &wanted, &mut receive, run)?;
            }
        }
        match &mut slabs {
            Some((slabs, labels)) => slabs.write(restorer.done(), labels, run),
            None => Ok(()),
        }
    };
    infer::<S>(plan, image, &tiles, labelling.as_ref(), workspace, run, report, receive)?;
    let written = slabs.is_some();
    let ending = Instant::now();
    run_maps.finish(threads)?;
    let finished = finish(plan, restorer.finish()?, trace, (&part.labels, shape), group, run)?;
    report.restore_seconds += ending.elapsed().as_secs_f64();
    Ok((finished, written))
}

/// The network's image, of which one group of boxes after the other takes the part that its tiles cover.
struct Parts {
    image: Array4<f32>,
    shape: [usize; 3],
    left: usize,
}

impl Parts {
    fn new(plan: &Plan, image: Array4<f32>, groups: usize, report: &mut RunReport) -> Result<Self> {
        let shape = [image.dim().1, image.dim().2, image.dim().3];
        report.tiles_in_all += plan.tiles(shape)?.len() * plan.folds.len();
        Ok(Parts { image, shape, left: groups })
    }

    fn shape(&self) -> [usize; 3] {
        self.shape
    }

    /// The share of what is left that the next part has.
    fn share(&self) -> f64 {
        1.0 / self.left.max(1) as f64
    }

    /// What a group needs: which labels and scores, the tiles, and the image that they cover; `None` where the network
    /// sees nothing of it.
    fn take(
        &mut self,
        plan: &Plan,
        trace: &Trace,
        group: &Group,
    ) -> Result<Option<(Part, TileGrid, Array4<f32>)>> {
        self.left -= 1;
        let volume = trace.map.undo(trace.grid.shape);
        let all = plan.tiles(self.shape)?;
        if group.around.is_whole(volume) {
            let part = Part::whole(&plan.recipe, trace, self.shape);
            return Ok(Some((part, all, std::mem::take(&mut self.image))));
        }
        let asked = trace.map.to_array(volume, &group.around);
        let Some(part) = Part::of(&plan.recipe, trace, self.shape, &asked)? else { return Ok(None) };
        let (tiles, cover) = all.touching(&part.scores)?;
        let ([z, y, x], [to_z, to_y, to_x]) = (cover.start, cover.end);
        let inside = self.image.slice(s![.., z..to_z, y..to_y, x..to_x]);
        let image = buffer::copy("the part of an image that tiles cover", &inside)?;
        if self.left == 0 {
            self.image = Array4::default((0, 0, 0, 0));
        }
        Ok(Some((Part { scores: cover, ..part }, tiles, image)))
    }
}

/// The scores of other members for a group of boxes; `None` where one sees nothing of it.
type Fields<S> = Vec<Option<Field<S>>>;

/// The scores of the other members of an ensemble, for each group of boxes.
fn member_scores<S: Score>(
    plan: &Plan,
    volume: &Volume,
    asked: (&Region, &[Group]),
    workspace: &mut Workspace,
    run: &mut Run,
    report: &mut RunReport,
) -> Result<Vec<Fields<S>>> {
    let members = plan.members.len() as f64 + 1.0;
    let mut fields: Vec<Fields<S>> = asked.1.iter().map(|_| Vec::new()).collect();
    for (done, member) in plan.members.iter().enumerate() {
        let share = 1.0 / (members - done as f64);
        let found =
            run.part(0.0, share, |run| member_fields::<S>(member, volume, asked, workspace, run, report))?;
        fields.iter_mut().zip(found).for_each(|(fields, found)| fields.push(found));
    }
    Ok(fields)
}

/// The scores of a member, for each group of boxes; none where it sees nothing of one.
fn member_fields<S: Score>(
    plan: &Plan,
    volume: &Volume,
    asked: (&Region, &[Group]),
    workspace: &mut Workspace,
    run: &mut Run,
    report: &mut RunReport,
) -> Result<Fields<S>> {
    let Prepared { image, trace } = prepare(plan, volume, asked, workspace, run, report)?;
    let mut image = Parts::new(plan, image, asked.1.len(), report)?;
    let (shape, mut fields) = (image.shape(), Vec::new());
    for group in asked.1 {
        let share = image.share();
        let Some((part, tiles, image)) = image.take(plan, &trace, group)? else {
            fields.push(None);
            continue;
        };
        let [planes, rows, columns] = part.scores.shape();
        let shape_of_scores = (plan.classes, planes, rows, columns);
        let mut scores = buffer::array("the scores of an ensemble's member", shape_of_scores, S::default())?;
        let mut done = 0;
        run.part(0.0, share, |run| {
            infer::<S>(plan, image, &tiles, None, workspace, run, report, |planes, _| {
                let RowOutput::Scores(planes) = planes else { return Ok(()) };
                let count = planes.dim().1;
                scores.slice_axis_mut(Axis(1), (done..done + count).into()).assign(&planes);
                done += count;
                Ok(())
            })
        })?;
        fields.push(Some(Field::new(&plan.recipe, &trace, shape, &part, scores, plan.threads)?));
    }
    Ok(fields)
}
