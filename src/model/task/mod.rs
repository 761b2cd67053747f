//! Tasks: several published models that answer one question together, as data. A task says which models run on which
//! grid, on which part of the volume, what their labels are called, and what is done to the labels afterwards.
//!
//! TotalSegmentator's tasks come with the library ([`Task::named`]); others are JSON files of the same form
//! ([`Task::from_json`], docs/models.md).

// Files of strangers are read here: each place is asked for, none is taken for granted.
#![cfg_attr(not(test), deny(clippy::indexing_slicing))]

mod catalogue;
mod opened;
mod read;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::Arc;

use super::Fold;
use super::files::LARGEST_TEXT;
use crate::error::Result;
use crate::file;
use crate::labels::Label;
use crate::progress::{Cancel, Watch};

pub(crate) use opened::{Link, LinkCrop};
pub use opened::{OpenedTask, Part};

/// A task, as data.
#[derive(Clone, Debug, PartialEq)]
pub struct Task {
    pub(crate) name: String,
    pub(crate) modality: String,
    pub(crate) licence: String,
    pub(crate) labels: Vec<Label>,
    /// Its labels as TotalSegmentator 1 numbered them.
    pub(crate) legacy_v1_labels: Option<Vec<Label>>,
    pub(crate) spacing: Option<[f64; 3]>,
    pub(crate) step: Option<f64>,
    pub(crate) models: Vec<TaskModel>,
    /// The task whose labels the rules turn into this one's, in the place of models.
    pub(crate) source: Option<Arc<Task>>,
    pub(crate) crop: Option<Crop>,
    pub(crate) rough: Option<Rough>,
    pub(crate) rules: Vec<Rule>,
}

/// One of a task's models.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct TaskModel {
    /// Its folder below that of the weights, with `/` between folders.
    pub path: String,
    /// The folds to average; `None`: all.
    pub folds: Option<Vec<Fold>>,
    /// What its labels from 1 on are called; `None`: as the model itself calls them.
    pub labels: Option<Vec<String>>,
}

/// The part of the volume that a task looks at: a box around what another task found.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Crop {
    pub task: Arc<Task>,
    /// Labels of that task.
    pub labels: Vec<u32>,
    /// By how much the box is larger, along each of the volume's axes, in millimetres.
    pub margin: [f64; 3],
}

/// Names of the tasks that find the box of a subset of the labels. They may be this one.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Rough {
    pub task: String,
    pub robust: String,
}

/// What is done to the labels.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Rule {
    /// Of each of these labels the largest piece stays.
    KeepLargest(Vec<u32>),
    /// Of each of these labels pieces of at most so many cubic millimetres go.
    RemoveSmall { labels: Vec<u32>, volume: f64 },
    /// Vertebrae that touch are told apart by their pieces and counted anew; pieces under so many cubic millimetres
    /// go.
    SeparateVertebrae { smallest: f64 },
    /// Each label grows by so many millimetres into the background.
    Dilate(f64),
    /// What is further than so many millimetres from these labels of the cropping task goes.
    RemoveOutside { labels: Vec<u32>, distance: f64 },
    /// Each label grows by so many millimetres into the background, on the volume's grid, and stays only where another
    /// task finds one of these labels.
    ClipTo { task: Arc<Task>, labels: Vec<u32>, distance: f64 },
    /// The skin around these labels of the source becomes label 1.
    Skin(Vec<u32>),
}

impl Rule {
    /// Whether it works on the volume's own grid, after labels were brought there.
    pub fn is_on_volume(&self) -> bool {
        matches!(self, Rule::RemoveOutside { .. } | Rule::ClipTo { .. } | Rule::Skin(_))
    }
}

/// How to run a task.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TaskOptions {
    /// The labels that are wanted, by name; none: all. A rough segmentation finds where they are first, and only the
    /// models that know them run there. Only for whole-body tasks.
    pub subset: Vec<String>,
    /// Whether the rough segmentation for a subset is a finer one that misses less.
    pub robust_crop: bool,
    /// Pieces of a label of at most so many cubic millimetres are removed. TotalSegmentator removes those up to 200.
    pub remove_small: Option<f64>,
    /// How the volume comes to the networks' grid.
    pub resampling: TaskResampling,
    /// Whether the volume is cut into three overlapping parts along the body, which otherwise happens to large ones
    /// only.
    pub split: bool,
    /// Whether only the part of the volume is looked at in which a rough segmentation finds the body. For CT tasks that
    /// look at the whole volume otherwise.
    pub crop_to_body: bool,
    /// Whether labels stay on the networks' grid ([`label_grid`](crate::task::TaskPlan::label_grid)). For tasks that
    /// look at the whole volume.
    pub on_network_grid: bool,
    /// Whether the labels come back to the volume's grid with smooth borders, each interpolated by itself, where
    /// otherwise each voxel has that of the nearest.
    pub smooth: bool,
    /// Whether labels have the values that TotalSegmentator 1 gave them; those that it didn't have are dropped. Only
    /// for `total`.
    pub legacy_v1_labels: bool,
}

/// What opening a task may take, and what stops it. It changes nothing of what the task gives.
#[derive(Clone, Debug, Default)]
pub struct Opening {
    /// As [`ModelOptions::memory_budget`](super::ModelOptions::memory_budget), for each of the task's models: they are
    /// opened one after the other, and again when the task runs.
    pub memory_budget: Option<u64>,
    /// Stops opening between two tensors.
    pub cancel: Cancel,
    /// Is told how many of the files' bytes were read.
    pub watch: Watch,
}

/// How a volume comes to the grid of a task's networks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TaskResampling {
    /// By linear interpolation, rounded towards zero, and the labels back to the nearest: TotalSegmentator from 2.16.
    #[default]
    Linear,
    /// By cubic splines, otherwise the same: TotalSegmentator before 2.16.
    Cubic,
    /// By each network's own resampling, so that scores and not labels are brought back.
    Network,
}

impl Task {
    /// One of TotalSegmentator's tasks: `total`, `total_fast` (3 mm), `total_fastest` (6 mm), `total_mr`,
    /// `lung_vessels` and so on.
    ///
    /// # Errors
    /// [`crate::Error::InvalidArgument`] with the names that there are.
    pub fn named(name: &str) -> Result<Self> {
        catalogue::find(name)
    }

    /// A task by its name or, where that ends in `.json`, out of the file of that path.
    ///
    /// # Errors
    /// As [`Task::named`] and [`Task::from_json`]; [`crate::Error::Read`] for a file that can't be read.
    pub fn find(name: &str) -> Result<Self> {
        if !name.ends_with(".json") {
            return Self::named(name);
        }
        Self::from_json(&file::read(name.as_ref(), LARGEST_TEXT)?, name)
    }

    /// The names of all of TotalSegmentator's tasks.
    pub fn names() -> Vec<String> {
        catalogue::names()
    }

    /// A task that a JSON text describes (docs/models.md). `file` stands for it in error texts.
    ///
    /// # Errors
    /// [`crate::Error::Malformed`], which names the entry.
    pub fn from_json(json: &[u8], file: &str) -> Result<Self> {
        let value = super::json::from_slice(file, json)?;
        read::task(None, &super::json::Json::new(file, &value), &|name| catalogue::find(name))
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What its images are: `CT` or `MR`.
    pub fn modality(&self) -> &str {
        &self.modality
    }

    /// Under which licence its weights are published.
    pub fn licence(&self) -> &str {
        &self.licence
    }

    /// Its labels in ascending order of their values, the background first.
    pub fn labels(&self) -> &[Label] {
        &self.labels
    }

    /// Its labels as TotalSegmentator 1 numbered them, the background first; `None` for tasks that it didn't have.
    pub fn labels_in_v1_order(&self) -> Option<&[Label]> {
        self.legacy_v1_labels.as_deref()
    }

    /// The spacing in millimetres that the volume is brought to, along the patient's axes; `None` where each model
    /// does that by itself.
    pub fn spacing(&self) -> Option<[f64; 3]> {
        self.spacing
    }

    /// The task whose labels one of its rules looks at on the volume's grid.
    fn beside(&self) -> Option<&Arc<Task>> {
        self.rules.iter().find_map(|rule| match rule {
            Rule::ClipTo { task, .. } => Some(task),
            _ => None,
        })
    }
}

/// The foreground labels' values by their names, of equal names the first.
fn values_by_name(labels: &[Label]) -> HashMap<&str, u32> {
    let foreground = labels.iter().rev().filter(|label| label.value > 0);
    foreground.map(|label| (&*label.name, label.value)).collect()
}
