//! Tasks: several models that answer one question together. `voxseg tasks` lists TotalSegmentator's.

use std::io::Write;
use std::path::{Path, PathBuf};

use voxseg::labels::{Label, label_table};
use voxseg::model::task::{OpenedTask, Task, TaskOptions, TaskResampling};
use voxseg::model::{Model, ModelOptions};

use crate::failure::Outcome;

/// Which task to run, and how.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct TaskArguments {
    /// One of TotalSegmentator's tasks (`voxseg tasks`), or a task file (.json), instead of a model
    #[arg(long, value_name = "NAME", requires = "weights_folder")]
    task: Option<String>,
    /// The folder of the task's models, as TotalSegmentator stores them: Dataset291_…/nnUNetTrainer…/fold_0/…
    #[arg(long = "weights", id = "weights_folder", value_name = "FOLDER", requires = "task")]
    weights: Option<PathBuf>,
    /// Only these labels of a whole-body task: found roughly first, then segmented there
    #[arg(long, value_name = "NAMES", value_delimiter = ',', requires = "task")]
    subset: Vec<String>,
    /// Find the subset by a finer model that misses less
    #[arg(long, requires = "subset")]
    robust_crop: bool,
    /// Remove pieces of a label of at most so many cubic millimetres [TotalSegmentator's own: 200]
    #[arg(long, value_name = "MM3", requires = "task")]
    remove_small: Option<f64>,
    /// How the volume comes to the networks' grid: linear, cubic (as before TotalSegmentator 2.16) or network (each by
    /// itself)
    #[arg(long, value_name = "WAY", value_parser = resampling, default_value = "linear")]
    resampling: TaskResampling,
    /// Cut the volume into three parts along the body, which large ones are anyway
    #[arg(long, requires = "task")]
    split: bool,
    /// Look only at the part of a CT volume that shows the body, found roughly first
    #[arg(long, requires = "task")]
    crop_to_body: bool,
    /// Write the labels on the networks' grid, which is coarser for the fast tasks
    #[arg(long, requires = "task")]
    on_network_grid: bool,
    /// Give labels smooth borders where they come back to the image's grid
    #[arg(long, requires = "task")]
    smooth: bool,
    /// Give labels the values that they had in TotalSegmentator 1
    #[arg(long, requires = "task")]
    legacy_v1_labels: bool,
}

impl TaskArguments {
    /// The file and the folder that are read.
    pub fn paths(&self) -> impl Iterator<Item = &Path> {
        self.task.iter().map(Path::new).chain(self.weights.as_deref())
    }

    /// The task, if one is asked for.
    pub fn open(&self) -> voxseg::Result<Option<OpenedTask>> {
        let (Some(task), Some(weights)) = (&self.task, &self.weights) else { return Ok(None) };
        let options = TaskOptions {
            subset: self.subset.clone(),
            robust_crop: self.robust_crop,
            remove_small: self.remove_small,
            resampling: self.resampling,
            split: self.split,
            crop_to_body: self.crop_to_body,
            on_network_grid: self.on_network_grid,
            smooth: self.smooth,
            legacy_v1_labels: self.legacy_v1_labels,
        };
        Task::find(task)?.open(weights, &options).map(Some)
    }
}

/// TotalSegmentator 1's `total`, for comparing label maps that it made.
const FIRST: &str = "total_v1";

/// Bytes of a task's file or a table of labels.
const LARGEST_TEXT: u64 = 4 << 20;

/// The labels of a model, of a task by its name or file, or of a table (.csv).
pub fn labels_of(model: &Path) -> Outcome<Vec<Label>> {
    let name = &*model.to_string_lossy();
    if name == FIRST {
        return Ok(Task::named("total")?.labels_in_v1_order().unwrap_or_default().to_vec());
    }
    if name.ends_with(".csv") {
        return Ok(label_table(&voxseg::model::read_file(model, LARGEST_TEXT)?, name)?);
    }
    if name.ends_with(".json") {
        let text = voxseg::model::read_file(model, LARGEST_TEXT)?;
        return Ok(Task::from_json(&text, name)?.labels().to_vec());
    }
    if Task::names().iter().any(|task| task == name) {
        return Ok(Task::named(name)?.labels().to_vec());
    }
    Ok(Model::open(model, &ModelOptions::default())?.labels().to_vec())
}

fn resampling(text: &str) -> Result<TaskResampling, String> {
    match text {
        "linear" => Ok(TaskResampling::Linear),
        "cubic" => Ok(TaskResampling::Cubic),
        "network" => Ok(TaskResampling::Network),
        _ => Err(format!("`{text}` is none of linear, cubic and network")),
    }
}

/// What to list.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// A task whose labels are listed [default: all tasks]
    name: Option<String>,
}

/// Lists tasks.
pub fn tasks(out: &mut impl Write, arguments: &Arguments) -> Outcome<()> {
    if let Some(name) = &arguments.name {
        for label in Task::find(name)?.labels().iter().filter(|label| label.value > 0) {
            writeln!(out, "{:>5}  {}", label.value, label.name)?;
        }
        return Ok(());
    }
    writeln!(out, "{:<28}{:<6}{:>6}  {:<15} weights", "task", "image", "labels", "spacing")?;
    for name in Task::names() {
        let task = Task::named(&name)?;
        let spacing = task.spacing().map_or("its models'".into(), |[x, y, z]| {
            if x == y && y == z { format!("{x} mm") } else { format!("{x:.2} {y:.2} {z:.2}") }
        });
        let (labels, modality) = (task.labels().len() - 1, task.modality());
        writeln!(out, "{name:<28}{modality:<6}{labels:>6}  {spacing:<15} {}", task.licence())?;
    }
    Ok(())
}
