//! A model or a task: hosts use both in the same way.

use std::sync::Arc;

use serde_json::Value;

use super::TaskPlan;
use crate::error::{Error, Result};
use crate::inference::{Backend, Plan, PlanOptions, PlanReport, RunReport, Turn};
use crate::labels::{Label, LabelBuffer};
use crate::model::Model;
use crate::model::task::OpenedTask;
use crate::nifti::Reader;
use crate::progress::Run;
use crate::restore::MapBuffer;
use crate::volume::{Geometry, Region, Volume};

/// What gives labels to a volume.
#[derive(Clone, Debug)]
pub enum AnyModel {
    /// One model, or an ensemble.
    Model(Model),
    /// Several models that answer one question together.
    Task(OpenedTask),
}

/// It on a device, for any number of threads.
pub enum AnyPlan {
    /// Of a model.
    Model(Box<Plan>),
    /// Of a task.
    Task(Box<TaskPlan>),
}

impl AnyModel {
    /// Makes it ready for a device: [`Plan::new`] or [`TaskPlan::new`].
    ///
    /// # Errors
    /// As those.
    pub fn plan(&self, options: &PlanOptions) -> Result<AnyPlan> {
        Ok(match self {
            AnyModel::Model(model) => AnyPlan::Model(Box::new(Plan::new(model, options)?)),
            AnyModel::Task(task) => AnyPlan::Task(Box::new(TaskPlan::new(task, options)?)),
        })
    }

    /// The model, where it is one.
    pub fn model(&self) -> Option<&Model> {
        match self {
            AnyModel::Model(model) => Some(model),
            AnyModel::Task(_) => None,
        }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        match self {
            AnyModel::Model(model) => model.name(),
            AnyModel::Task(task) => task.name(),
        }
    }

    /// `voxseg1:sha256:` and a digest in hexadecimal over weights and all that happens around them, in the format of
    /// docs/identity.md: equal exactly for those that compute the same.
    pub fn identity(&self) -> &str {
        match self {
            AnyModel::Model(model) => model.identity(),
            AnyModel::Task(task) => task.identity(),
        }
    }

    /// Names of the channels that a volume must have.
    pub fn channels(&self) -> &[String] {
        match self {
            AnyModel::Model(model) => model.channels(),
            AnyModel::Task(task) => task.channels(),
        }
    }

    /// Its labels in ascending order of their values, the background first.
    pub fn labels(&self) -> &[Label] {
        match self {
            AnyModel::Model(model) => model.labels(),
            AnyModel::Task(task) => task.labels(),
        }
    }

    /// The spacing that networks work at in millimetres: of a model in the order of the axes of a volume (x, y, z), of
    /// a task along the patient's axes. 0 where the volume's own is kept, or each of a task's models has its own.
    pub fn spacing(&self) -> [f64; 3] {
        match self {
            AnyModel::Model(model) => model.spacing(),
            AnyModel::Task(task) => task.spacing().unwrap_or_default(),
        }
    }

    /// The size of a tile in voxels, in the order of the axes of a volume; 0 for a task, whose models have their own.
    pub fn patch(&self) -> [usize; 3] {
        self.model().map_or([0; 3], Model::patch)
    }

    /// What reads the headers of NIfTI files for it.
    pub fn reader(&self) -> Reader {
        match self {
            AnyModel::Model(model) => model.reader(),
            AnyModel::Task(task) => task.reader(),
        }
    }

    /// All that is known about it, as JSON.
    pub fn describe(&self) -> Value {
        match self {
            AnyModel::Model(model) => model.describe(),
            AnyModel::Task(task) => task.describe(),
        }
    }
}

impl AnyPlan {
    /// What a segmentation of a volume on this grid needs.
    ///
    /// # Errors
    /// As [`Plan::report`].
    pub fn report(&self, geometry: &Geometry) -> Result<PlanReport> {
        match self {
            AnyPlan::Model(plan) => plan.report(geometry),
            AnyPlan::Task(plan) => plan.report(geometry),
        }
    }

    /// What a segmentation of a region of a volume on this grid needs.
    ///
    /// # Errors
    /// As [`Plan::report_for`].
    pub fn report_for(&self, geometry: &Geometry, region: &Region) -> Result<PlanReport> {
        match self {
            AnyPlan::Model(plan) => plan.report_for(geometry, region),
            AnyPlan::Task(plan) => plan.report_for(geometry, region),
        }
    }

    /// The grid of the labels of a volume on this grid: the same, unless a task says otherwise
    /// ([`TaskPlan::label_grid`]).
    ///
    /// # Errors
    /// As [`TaskPlan::label_grid`].
    pub fn label_grid(&self, geometry: &Geometry) -> Result<Geometry> {
        match self {
            AnyPlan::Model(_) => Ok(geometry.clone()),
            AnyPlan::Task(plan) => plan.label_grid(geometry),
        }
    }

    /// Gives memory back: [`Plan::trim`], of each plan of a task.
    ///
    /// # Errors
    /// As [`Plan::trim`].
    pub fn trim(&self) -> Result<()> {
        match self {
            AnyPlan::Model(plan) => plan.trim(),
            AnyPlan::Task(plan) => plan.trim(),
        }
    }

    /// Segments a volume: [`Plan::segment`] or [`TaskPlan::segment`].
    ///
    /// # Errors
    /// As those; [`Error::InvalidArgument`] for maps of a task, which has no probabilities of its own.
    pub fn segment(
        &self,
        volume: &Volume,
        labels: &mut LabelBuffer,
        maps: &mut [MapBuffer],
        run: &mut Run,
    ) -> Result<RunReport> {
        self.segment_in(self.begin(run)?, volume, labels, maps, run)
    }

    /// A place for a run among those that may be under way.
    ///
    /// # Errors
    /// [`Error::Busy`] where nobody waits and there is none, [`Error::Cancelled`] while it waits.
    pub(crate) fn begin(&self, run: &Run) -> Result<Turn> {
        match self {
            AnyPlan::Model(plan) => plan.runs.begin(run),
            AnyPlan::Task(plan) => plan.begin(run),
        }
    }

    /// As [`AnyPlan::segment`], of a run that has its place.
    pub(crate) fn segment_in(
        &self,
        turn: Turn,
        volume: &Volume,
        labels: &mut LabelBuffer,
        maps: &mut [MapBuffer],
        run: &mut Run,
    ) -> Result<RunReport> {
        match self {
            AnyPlan::Model(plan) => plan.segment_in(turn, volume, labels, maps, run),
            AnyPlan::Task(_) if !maps.is_empty() => {
                Err(Error::argument("options.maps", format!("{} maps", maps.len()), "none, for a task"))
            }
            AnyPlan::Task(plan) => plan.segment_in(turn, volume, labels, run),
        }
    }

    /// The memory of the device that it runs on, for a caller's buffer there.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] about `argument` when the device isn't NVIDIA's, or for a task.
    pub(crate) fn backend(&self, argument: &'static str) -> Result<Arc<dyn Backend>> {
        match self {
            AnyPlan::Model(plan) => plan.backend(argument),
            AnyPlan::Task(_) => {
                Err(Error::argument(argument, "memory of a CUDA device", "memory of the host, for a task"))
            }
        }
    }

    /// What runs where, as JSON.
    pub fn describe(&self) -> Value {
        match self {
            AnyPlan::Model(plan) => plan.describe(),
            AnyPlan::Task(plan) => plan.describe(),
        }
    }
}
