//! Running a task: its models one after another on one image, their labels into one map.
//!
//! The conventions are TotalSegmentator 2.18's (`nnUNet_predict_image` and `python_api`): see docs/numerics.md.

mod any;
mod image;
mod rules;
mod slots;
#[cfg(test)]
mod tests;

use std::ops::Range;
use std::time::Instant;

use ndarray::{Array3, ArrayView3, s};
use serde_json::json;

use crate::error::{Error, Result};
use crate::labels::LabelBuffer;
use crate::model::task::{OpenedTask, Rule, TaskResampling};
use crate::plan::{ENGINE_BYTES, Plan, PlanOptions, PlanReport};
use crate::preprocess::crop::Box3;
use crate::progress::Run;
use crate::segment::RunReport;
use crate::volume::{AxisMap, DType, Geometry, Layout, Volume};
use image::{Image, reversed};
use slots::Slot;

pub use any::{AnyModel, AnyPlan};

/// A task on a device. One segmentation at a time; many run at once. At most two of its models have their weights in
/// memory.
pub struct TaskPlan {
    task: OpenedTask,
    slots: Vec<Slot>,
    threads: usize,
    memory_budget: Option<u64>,
}

/// Voxels from which on an image is cut into three parts along the body, and the planes that it has at least then.
const LARGE: usize = 512 * 512 * 900;
const TALL: usize = 200;
/// By how many planes those parts overlap.
const OVERLAP: usize = 20;

/// The share of a run that bringing the labels to the volume's grid takes, in the progress.
const REST: f64 = 0.01;

impl TaskPlan {
    /// Gives memory back: [`Plan::trim`] of each model whose weights are in memory.
    ///
    /// # Errors
    /// As [`Plan::trim`].
    pub fn trim(&mut self) -> Result<()> {
        self.slots.iter_mut().try_for_each(|slot| slot.plan.trim())
    }

    /// Compiles the networks of a task for a device, one after the other; all but two are forgotten again until
    /// they run. Tiles are never mirrored, and their distance is the task's unless `options` say another.
    ///
    /// # Errors
    /// As [`Plan::new`].
    pub fn new(task: &OpenedTask, options: &PlanOptions) -> Result<Self> {
        let mut slots = Vec::new();
        let count = task.links.iter().map(|link| link.parts.len()).sum::<usize>();
        for link in &task.links {
            let step = options.step.or(link.task.step);
            let options = PlanOptions { step, mirroring: false, postprocess: false, ..options.clone() };
            for part in &link.parts {
                let mut slot = Slot::new(part, &options)?;
                if count > 2 && !slots.is_empty() {
                    slot.sleep();
                }
                slots.push(slot);
            }
        }
        let threads = slots.first().map_or(1, |slot: &Slot| slot.plan.threads);
        Ok(TaskPlan { task: task.clone(), slots, threads, memory_budget: options.memory_budget })
    }

    /// What a segmentation of a volume on this grid needs at most: what a crop will leave is known only when it
    /// runs. Weights are those of the two models that are in memory at once.
    ///
    /// # Errors
    /// As [`Plan::report`].
    pub fn report(&self, geometry: &Geometry) -> Result<PlanReport> {
        let mut all: Option<PlanReport> = None;
        let voxels = geometry.voxels() as u64;
        for (index, slots) in self.ranges().enumerate() {
            let (spacing, resampling) = self.resampling(index);
            let grid = image::network_grid(geometry, spacing)?;
            // The merged labels, and those of one model.
            let here = image::bytes(geometry, spacing, resampling)? + 4 * grid.voxels() as u64;
            // Those that a link before found stay while labels outside of them have to go.
            let before = if index > 0 { 2 * voxels } else { 0 };
            for slot in slots {
                let next = self.slots.get(slot + 1).map_or(0, |next| next.plan.weight_bytes());
                // What engines leave behind when their weights go.
                let left = slot as u64 * ENGINE_BYTES;
                for (start, end) in self.pieces(index, grid.shape) {
                    let shape = [grid.shape[0], grid.shape[1], end - start];
                    let one = self.slots[slot].plan.report(&Geometry { shape, ..grid.clone() })?;
                    let peak = before + here + left + next + one.host_peak_bytes;
                    // A next model's weights are on the device by then, too.
                    let device_peak =
                        one.device_peak_bytes + if one.device_peak_bytes > 0 { next } else { 0 };
                    let weights = one.weight_bytes + next;
                    let one = PlanReport { device_peak_bytes: device_peak, weight_bytes: weights, ..one };
                    all = Some(match all {
                        None => PlanReport { host_peak_bytes: peak, ..one },
                        Some(all) => PlanReport {
                            tiles: all.tiles + one.tiles,
                            network_runs: all.network_runs + one.network_runs,
                            host_peak_bytes: all.host_peak_bytes.max(peak),
                            device_peak_bytes: all.device_peak_bytes.max(one.device_peak_bytes),
                            weight_bytes: all.weight_bytes.max(one.weight_bytes),
                            ..one
                        },
                    });
                }
            }
            // On both grids at once.
            let end = before + here + 4 * voxels;
            all = all.map(|all| PlanReport { host_peak_bytes: all.host_peak_bytes.max(end), ..all });
        }
        all.ok_or_else(|| Error::unsupported("a task without models"))
    }

    /// What runs where, as JSON.
    pub fn describe(&self) -> serde_json::Value {
        let models: Vec<_> = self.slots.iter().map(|slot| slot.plan.describe()).collect();
        json!({ "task": self.task.name(), "models": models })
    }

    /// Segments a volume into labels on its own grid. On any error the labels are untouched, and the plan can be used
    /// again. Near ties are counted on the networks' grid, those of all models together; of a task that crops, those
    /// of the last one.
    ///
    /// # Errors
    /// As [`Plan::segment`]; [`Error::NotAModel`] when a model has changed since the task was opened.
    pub fn segment(&mut self, volume: &Volume, labels: &mut LabelBuffer, run: &mut Run) -> Result<RunReport> {
        let started = Instant::now();
        if volume.channels() != 1 {
            let found = format!("{} channels", volume.channels());
            return Err(Error::VolumeMismatch { expected: "1 channel".into(), found });
        }
        let largest = self.task.labels().iter().map(|label| label.value).max().unwrap_or(0);
        labels.check(volume.geometry(), largest)?;
        let needed = self.report(volume.geometry())?.host_peak_bytes;
        let machine = crate::ffi::physical_memory();
        let budget = self.memory_budget.unwrap_or(u64::MAX).min(machine.unwrap_or(u64::MAX));
        if needed > budget {
            return Err(Error::MemoryBudget { budget, needed });
        }
        let mut report = RunReport { voxels: volume.geometry().voxels(), ..RunReport::default() };
        let map = AxisMap::closest_canonical(volume.geometry()).transposed([2, 1, 0]);
        let mut found = run.part(0.0, 1.0 - REST, |run| self.links(volume, run, &mut report))?;
        let ending = Instant::now();
        if !self.task.options.subset.is_empty() {
            let wanted: Vec<u16> = self.task.labels().iter().map(|label| label.value as u16).collect();
            found.mapv_inplace(|label| if wanted.contains(&label) { label } else { 0 });
        }
        run.finished(report.tiles)?;
        labels.write(found.view(), &map, [0; 3]);
        report.restore_seconds += ending.elapsed().as_secs_f64();
        report.total_seconds = started.elapsed().as_secs_f64();
        report.process_peak_bytes = crate::ffi::peak_memory();
        Ok(report)
    }

    /// The numbers of each link's slots.
    fn ranges(&self) -> impl Iterator<Item = Range<usize>> + use<> {
        let mut start = 0;
        let counts: Vec<usize> = self.task.links.iter().map(|link| link.parts.len()).collect();
        counts.into_iter().map(move |count| {
            start += count;
            start - count..start
        })
    }

    /// The spacing and the resampling of a link. What only finds a box keeps the usual way.
    fn resampling(&self, link: usize) -> (Option<[f64; 3]>, TaskResampling) {
        let spacing = self.task.links[link].task.spacing;
        let last = link + 1 == self.task.links.len();
        match self.task.options.resampling {
            TaskResampling::Network if last => (None, TaskResampling::Network),
            TaskResampling::Network => (spacing, TaskResampling::Linear),
            resampling => (spacing, resampling),
        }
    }

    /// First and last plane of the parts that an image is cut into along the body.
    fn pieces(&self, link: usize, shape: [usize; 3]) -> Vec<(usize, usize)> {
        let last = link + 1 == self.task.links.len();
        let several = self.task.links[link].task.models.len() > 1;
        let large = shape.iter().product::<usize>() > LARGE && shape[2] > TALL && several;
        let third = shape[2] / 3;
        if !(large || self.task.options.split && last) || third <= OVERLAP {
            return vec![(0, shape[2])];
        }
        vec![
            (0, third + OVERLAP),
            (third + 1 - OVERLAP, 2 * third + OVERLAP),
            (2 * third + 1 - OVERLAP, shape[2]),
        ]
    }

    /// Runs all links; the labels [z, y, x] of the last one on the volume's grid along the patient's axes.
    fn links(&mut self, volume: &Volume, run: &mut Run, report: &mut RunReport) -> Result<Array3<u16>> {
        let costs = self.costs(volume.geometry())?;
        let axes = AxisMap::closest_canonical(volume.geometry());
        let whole = reversed(axes.apply(volume.geometry().shape));
        let mut before: Option<Array3<u16>> = None;
        for (index, slots) in self.ranges().enumerate() {
            report.near_ties = 0;
            let link = self.task.links[index].clone();
            let part = match (&link.crop, &before) {
                (Some((labels, margin)), Some(found)) => {
                    match around(found.view(), labels, *margin, &axes, volume.geometry()) {
                        Some(part) => Some(part),
                        // Nothing to look at.
                        None => return Ok(Array3::zeros(whole)),
                    }
                }
                _ => None,
            };
            let share = costs[slots.clone()].iter().sum::<f64>() / costs[slots.start..].iter().sum::<f64>();
            let (spacing, resampling) = self.resampling(index);
            let found = run.part(0.0, share, |run| {
                let preparing = Instant::now();
                let image = Image::new(volume, part, spacing, resampling, self.threads)?;
                report.preprocess_seconds += preparing.elapsed().as_secs_f64();
                let labels = self.models(index, slots, &image, &costs, run, report)?;
                Ok(image.back(labels))
            })?;
            let mut found = match part {
                None => found,
                Some(part) => {
                    let mut pasted = Array3::zeros(whole);
                    let (start, shape) = (along(&axes, volume.geometry().shape, part), found.dim());
                    let [z, y, x] = reversed(start);
                    pasted.slice_mut(s![z..z + shape.0, y..y + shape.1, x..x + shape.2]).assign(&found);
                    pasted
                }
            };
            for rule in &link.task.rules {
                if let (Rule::RemoveOutside { labels, distance }, Some(before)) = (rule, &before) {
                    let spacing = image::canonical(volume.geometry()).spacing.map(|length| length as f32);
                    let steps = *distance as f32 / (spacing.iter().sum::<f32>() / 3.0);
                    let inside = before.mapv(|label| labels.contains(&label.into()));
                    rules::remove_outside(&mut found, &inside, steps as usize);
                }
            }
            before = Some(found);
        }
        before.ok_or_else(|| Error::unsupported("a task without models"))
    }

    /// How long each slot takes, up to a factor, if nothing is cropped.
    fn costs(&self, geometry: &Geometry) -> Result<Vec<f64>> {
        let mut costs = Vec::new();
        for (index, slots) in self.ranges().enumerate() {
            let grid = image::network_grid(geometry, self.resampling(index).0)?;
            for slot in slots {
                let plan = &self.slots[slot].plan;
                let tile = plan.recipe.tiling.patch.iter().product::<usize>();
                costs.push((plan.report(&grid)?.tiles * tile) as f64);
            }
        }
        Ok(costs)
    }

    /// Runs the models of a link on its image, and its rules on their labels [z, y, x].
    fn models(
        &mut self,
        link: usize,
        slots: Range<usize>,
        image: &Image,
        costs: &[f64],
        run: &mut Run,
        report: &mut RunReport,
    ) -> Result<Array3<u16>> {
        let volume = image.volume()?;
        let grid = volume.geometry().clone();
        let pieces = self.pieces(link, grid.shape);
        let mut merged = Array3::<u16>::zeros(reversed(grid.shape));
        for index in slots.clone() {
            let share = costs[index] / costs[index..slots.end].iter().sum::<f64>();
            let values = self.slots[index].part.values.clone();
            run.part(0.0, share, |run| {
                slots::run(&mut self.slots, index, |plan| {
                    for (n, &(start, end)) in pieces.iter().enumerate() {
                        let share = 1.0 / (pieces.len() - n) as f64;
                        let piece = volume.part([0, 0, start], [grid.shape[0], grid.shape[1], end]);
                        let kept = kept(&pieces, n);
                        let found = run.part(0.0, share, |run| one(plan, &piece, run, report))?;
                        let inside = found.slice(s![kept.start - start..kept.end - start, .., ..]);
                        merge(&mut merged.slice_mut(s![kept, .., ..]), inside, &values);
                    }
                    Ok(())
                })
            })?;
        }
        let task = &self.task.links[link].task;
        let labels: Vec<u32> =
            task.labels.iter().map(|label| label.value).filter(|&value| value > 0).collect();
        for rule in &task.rules {
            run.check()?;
            rules::apply(rule, &mut merged, grid.spacing, &labels);
        }
        let last = link + 1 == self.task.links.len();
        if let Some(volume) = self.task.options.remove_small.filter(|_| last) {
            run.check()?;
            rules::remove_small(&mut merged, &labels, volume, grid.spacing);
        }
        Ok(merged)
    }
}

/// The labels [z, y, x] of one model on a volume along the patient's axes.
fn one(plan: &mut Plan, volume: &Volume, run: &mut Run, report: &mut RunReport) -> Result<Array3<u8>> {
    let grid = volume.geometry();
    let mut bytes = vec![0; grid.voxels()];
    let mut labels = LabelBuffer::new(grid, DType::U8, Layout::dense(grid.shape, DType::U8), &mut bytes)?;
    let found = plan.segment(volume, &mut labels, &mut [], run)?;
    report.tiles += found.tiles;
    report.tiles_in_single += found.tiles_in_single;
    report.tiles_on_device += found.tiles_on_device;
    report.tile_batch = report.tile_batch.max(found.tile_batch);
    report.memory_step = report.memory_step.max(found.memory_step);
    report.near_ties += found.near_ties;
    report.preprocess_seconds += found.preprocess_seconds;
    report.network_seconds += found.network_seconds;
    report.blend_seconds += found.blend_seconds;
    report.restore_seconds += found.restore_seconds;
    Ok(Array3::from_shape_vec(reversed(grid.shape), bytes)
        .unwrap_or_else(|_| unreachable!("the buffer was made for this shape")))
}

/// The planes of the image that come from a piece.
fn kept(pieces: &[(usize, usize)], piece: usize) -> Range<usize> {
    let end =
        |piece: usize| if piece + 1 < pieces.len() { pieces[piece].1 - OVERLAP } else { pieces[piece].1 };
    (if piece == 0 { 0 } else { end(piece - 1) })..end(piece)
}

/// Writes a model's labels, by the task's values, over those of the models before it.
fn merge(merged: &mut ndarray::ArrayViewMut3<u16>, labels: ArrayView3<u8>, values: &[u16]) {
    ndarray::Zip::from(merged).and(labels).for_each(|merged, &label| match values.get(usize::from(label)) {
        None | Some(0) => {}
        Some(&value) => *merged = value,
    });
}

/// The box of a volume around some labels [z, y, x], with a margin in millimetres along the volume's axes, cut down to
/// whole voxels; `None` where there are none.
fn around(
    found: ArrayView3<u16>,
    labels: &[u32],
    margin: [f64; 3],
    axes: &AxisMap,
    volume: &Geometry,
) -> Option<Box3> {
    let (mut start, mut end) = ([usize::MAX; 3], [0; 3]);
    for ((z, y, x), &label) in found.indexed_iter() {
        if label > 0 && labels.contains(&label.into()) {
            for (axis, at) in [x, y, z].into_iter().enumerate() {
                start[axis] = start[axis].min(at);
                end[axis] = end[axis].max(at + 1);
            }
        }
    }
    if start[0] == usize::MAX {
        return None;
    }
    let part = Box3 { start, end };
    // Flipping is its own inverse.
    let flipped = along(&AxisMap { axis: [0, 1, 2], ..*axes }, axes.apply(volume.shape), part);
    let length = part.shape();
    let (start, length) = (axes.undo(flipped), axes.undo(length));
    let wide = |axis: usize| (margin[axis] / f64::from(volume.spacing[axis] as f32)) as usize;
    Some(Box3 {
        start: [0, 1, 2].map(|axis| start[axis].saturating_sub(wide(axis))),
        end: [0, 1, 2].map(|axis| (start[axis] + length[axis] + wide(axis)).min(volume.shape[axis])),
    })
}

/// Where a box of a volume of that shape begins, along the axes of the array that `map` makes.
fn along(map: &AxisMap, shape: [usize; 3], part: Box3) -> [usize; 3] {
    [0, 1, 2].map(|n| {
        let axis = map.axis[n];
        if map.flip[n] { shape[axis] - part.end[axis] } else { part.start[axis] }
    })
}
