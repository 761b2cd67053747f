//! Running a task: its models one after another on one image, their labels into one map.
//!
//! The conventions are TotalSegmentator 2.18's (`nnUNet_predict_image` and `python_api`): see docs/numerics.md.

mod any;
mod chain;
mod image;
mod memory;
mod part;
mod region;
mod rules;
mod slots;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;
use std::time::Instant;

use ndarray::Array3;
use serde_json::json;

use crate::buffer;
use crate::error::{Error, Result};
use crate::floating_point::Ours;
use crate::inference::{Inspected, PlanOptions, RunReport, Runs, Turn, check_budget, inspect};
use crate::labels::LabelBuffer;
use crate::model::task::{OpenedTask, TaskResampling};
use crate::parallel::{self, Entered, Executor};
use crate::progress::{LabelsSoFar, Run};
use crate::volume::{AxisMap, Box3, Geometry, Volume};
use chain::SoFar;
use slots::Slot;

pub use any::{AnyModel, AnyPlan};

/// A task on a device. Any number of threads may use one, and up to [`PlanOptions::concurrent_runs`] segment at the
/// same time. Of each run at most two models have their weights in memory; runs that are at the same model share them.
pub struct TaskPlan {
    task: OpenedTask,
    slots: Vec<Slot>,
    threads: usize,
    memory_budget: Option<u64>,
    executor: Option<Arc<dyn Executor>>,
    runs: Runs,
}

/// The share of a run that bringing the labels to the volume's grid takes, in the progress.
const REST: f64 = 0.01;

impl TaskPlan {
    /// Gives memory back: [`crate::inference::Plan::trim`] of each model whose weights are in memory.
    ///
    /// # Errors
    /// As [`crate::inference::Plan::trim`].
    pub fn trim(&self) -> Result<()> {
        self.runs.trim();
        self.slots.iter().filter_map(Slot::now).try_for_each(|plan| plan.trim())?;
        crate::platform::return_freed_memory();
        Ok(())
    }

    /// Compiles the networks of a task for a device, one after the other; all but two are forgotten again until
    /// they run. Tiles are never mirrored, and their distance is the task's unless `options` say another.
    ///
    /// # Errors
    /// As [`crate::inference::Plan::new`].
    pub fn new(task: &OpenedTask, options: &PlanOptions) -> Result<Self> {
        let _ours = Ours::enter();
        let runs = Runs::new(options.concurrent_runs, options.when_busy)?;
        let mut slots = Vec::new();
        let count = task.links.iter().map(|link| link.parts.len()).sum::<usize>();
        for link in &task.links {
            let step = options.step.or(link.task.step);
            let options = PlanOptions { step, mirroring: false, postprocess: false, ..options.clone() };
            for part in &link.parts {
                let slot = Slot::new(part, &options)?;
                if count > 2 && !slots.is_empty() {
                    slot.sleep();
                }
                slots.push(slot);
            }
        }
        let threads = slots.first().map_or(1, |slot: &Slot| slot.told.threads);
        let (memory_budget, executor) = (options.memory_budget, options.executor.clone());
        Ok(TaskPlan { task: task.clone(), slots, threads, memory_budget, executor, runs })
    }

    /// What runs where, as JSON.
    pub fn describe(&self) -> serde_json::Value {
        let models: Vec<_> = self.slots.iter().map(|slot| slot.told.describe()).collect();
        json!({ "task": self.task.name(), "models": models })
    }

    /// The grid of the labels of a volume on this grid: the same, or that of the networks in the order and direction of
    /// its axes, where [`TaskOptions::on_network_grid`](crate::model::task::TaskOptions) asks for it.
    ///
    /// # Errors
    /// [`Error::Geometry`] for an impossible grid, [`Error::VolumeMismatch`] for one that is too small for the task.
    pub fn label_grid(&self, geometry: &Geometry) -> Result<Geometry> {
        label_grid(&self.task, geometry)
    }

    /// Segments a volume into labels on the grid that [`TaskPlan::label_grid`] tells. On any error the labels are
    /// untouched, and the plan can be used again. Near ties are counted on the networks' grid, those of all models
    /// together; those of models that only find the part to look at don't count.
    ///
    /// # Errors
    /// As [`crate::inference::Plan::segment`]; [`Error::NotAModel`] when a model has changed since the task was opened.
    pub fn segment(&self, volume: &Volume, labels: &mut LabelBuffer, run: &mut Run) -> Result<RunReport> {
        self.segment_in(self.begin(run)?, volume, labels, run)
    }

    /// A place for a run.
    fn begin(&self, run: &Run) -> Result<Turn> {
        self.runs.begin(run)
    }

    /// The threads of a run: the host's, or the library's as long as it lives.
    fn enter_threads(&self) -> Entered {
        parallel::enter(self.executor.as_ref(), self.threads)
    }

    /// As [`TaskPlan::segment`], of a run that has its place.
    fn segment_in(
        &self,
        mut turn: Turn,
        volume: &Volume,
        labels: &mut LabelBuffer,
        run: &mut Run,
    ) -> Result<RunReport> {
        let _ours = Ours::enter();
        let _threads = self.enter_threads();
        let started = Instant::now();
        if volume.channels() != 1 {
            let found = format!("{} channels", volume.channels());
            return Err(Error::VolumeMismatch { expected: "1 channel".into(), found });
        }
        let largest = self.task.labels().iter().map(|label| label.value).max().unwrap_or(0);
        labels.check(&self.label_grid(volume.geometry())?, largest)?;
        let region = run.region().clone();
        let boxes = self.boxes(volume.geometry(), &region)?;
        // Labels that are told while models run are copies.
        let told = if run.wants_labels() { 8 * volume.geometry().voxels() as u64 } else { 0 };
        let needed = self.report_for(volume.geometry(), &region)?.host_peak_bytes + told;
        let held = self.slots.iter().map(Slot::held_bytes).sum::<u64>();
        check_budget(self.memory_budget, needed, held + turn.workspace.bytes())?;
        let inspected = self.inspect(volume, run)?;
        let volume = &inspected.volume;
        let written = region.boxes(self.label_grid(volume.geometry())?.shape);
        let mut report = RunReport { voxels: written.iter().map(Box3::voxels).sum(), ..RunReport::default() };
        report.preprocess_seconds = started.elapsed().as_secs_f64();
        let map = AxisMap::closest_canonical(volume.geometry()).transposed([2, 1, 0]);
        let values = self.values()?;
        let put = |labels: &mut LabelBuffer, mut found: Array3<u16>| {
            if let Some(values) = &values {
                found.mapv_inplace(|label| values[usize::from(label)]);
            }
            labels.write(found.view(), &map, [0; 3], 0, &written);
        };
        let mut so_far = |found: Array3<u16>, complete: &[u16], run: &mut Run| {
            put(labels, found);
            let value = |&label: &u16| values.as_ref().map_or(label, |values| values[usize::from(label)]);
            let complete: Vec<u16> = complete.iter().map(value).filter(|&label| label > 0).collect();
            written.iter().try_for_each(|&part| {
                run.labels_so_far(&LabelsSoFar { part, is_final: false, complete: &complete })
            })
        };
        let so_far: Option<SoFar> = if run.wants_labels() { Some(&mut so_far) } else { None };
        let found = run.part(0.0, 1.0 - REST, |run| {
            self.links(volume, boxes, so_far, &mut turn.workspace, run, &mut report)
        })?;
        let ending = Instant::now();
        run.finished(report.tiles)?;
        put(labels, found);
        if run.wants_labels() {
            run.labels_are_final(&written)?;
        }
        report.restore_seconds += ending.elapsed().as_secs_f64();
        report.total_seconds = started.elapsed().as_secs_f64();
        report.regions.clone_from(&region.boxes);
        report.process_peak_bytes = crate::platform::peak_memory();
        Ok(inspected.told_in(report))
    }

    /// Looks at a volume, for the first of the models that find the task's labels.
    fn inspect<'a>(&self, volume: &Volume<'a>, run: &Run) -> Result<Inspected<'a>> {
        let slot = self.ranges().nth(self.main_link()).and_then(|slots| self.slots.get(slots.start));
        let expected = slot.map(|slot| slot.told.expected_intensities()).unwrap_or_default();
        inspect(volume, self.task.channels(), &expected, self.threads, run)
    }

    /// The values that the caller wants for the task's own, 0 for those that it doesn't want; `None`: the task's own.
    fn values(&self) -> Result<Option<Vec<u16>>> {
        let options = &self.task.options;
        if options.subset.is_empty() && !options.legacy_v1_labels {
            return Ok(None);
        }
        let wanted = self.task.labels().iter().rev().map(|label| (&*label.name, label.value as u16));
        let wanted: HashMap<&str, u16> = wanted.collect();
        let mut values = buffer::zeroed("the values of labels", 1 << 16)?;
        for label in &self.task.task.labels {
            values[label.value as usize] = wanted.get(&*label.name).copied().unwrap_or(0);
        }
        Ok(Some(values))
    }

    /// The link whose models find the task's labels; those before help it, one after it only applies rules.
    fn main_link(&self) -> usize {
        self.task.links.iter().rposition(|link| !link.parts.is_empty()).unwrap_or(0)
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

    /// The spacing and the resampling of a link. What only finds a box keeps the usual trace.
    fn resampling(&self, link: usize) -> (Option<[f64; 3]>, TaskResampling) {
        let spacing = self.task.links[link].task.spacing;
        let main = link == self.main_link();
        match self.task.options.resampling {
            TaskResampling::Network if main => (None, TaskResampling::Network),
            TaskResampling::Network => (spacing, TaskResampling::Linear),
            resampling => (spacing, resampling),
        }
    }
}

/// The grid of a task's labels for a volume on this grid: [`TaskPlan::label_grid`].
fn label_grid(task: &OpenedTask, geometry: &Geometry) -> Result<Geometry> {
    geometry.check()?;
    if !task.options.on_network_grid {
        return Ok(geometry.clone());
    }
    let axes = AxisMap::closest_canonical(geometry);
    Ok(axes.volume(&image::network_grid(geometry, task.task.spacing)?))
}
