//! A task whose models were found: each is opened once, to see that it suits the task, and forgotten until it runs.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::json;
use sha2::{Digest, Sha256};

use super::{Crop, Task, TaskModel, TaskOptions};
use crate::error::{Error, Result};
use crate::labels::Label;
use crate::model::{Model, ModelOptions, describe_label, hexadecimal};

/// A task with the folder of its weights. It holds no weights itself.
#[derive(Clone, Debug)]
pub struct OpenedTask {
    pub(crate) task: Arc<Task>,
    pub(crate) options: TaskOptions,
    /// What runs, in order: each link looks at the part of the volume that the one before it found.
    pub(crate) links: Vec<Link>,
    labels: Vec<Label>,
    identity: String,
}

/// A task as one link of a chain.
#[derive(Clone, Debug)]
pub(crate) struct Link {
    pub task: Arc<Task>,
    /// Which labels of the link before give the box, and its margin in millimetres.
    pub crop: Option<(Vec<u32>, [f64; 3])>,
    pub parts: Vec<Part>,
}

/// One of a task's models on disk.
#[derive(Clone, Debug)]
pub struct Part {
    pub(crate) path: PathBuf,
    pub(crate) options: ModelOptions,
    /// The task's label for each of the model's; 0 for those that the task doesn't have.
    pub(crate) values: Vec<u16>,
    pub(crate) identity: String,
}

impl Task {
    /// Finds the task's models, and those of the tasks that it crops by, below the folder `weights`, which is laid
    /// out as TotalSegmentator stores it: `Dataset291_…/nnUNetTrainerNoMirroring__nnUNetPlans__3d_fullres/fold_0/…`.
    /// Each is opened once, one after the other. Nothing is ever fetched.
    ///
    /// # Errors
    /// [`Error::NotAModel`] for a model that is missing, with the licence under which it is published; what is wrong
    /// with a model's files; [`Error::InvalidArgument`] for options that don't suit the task.
    pub fn open(&self, weights: &Path, options: &TaskOptions) -> Result<OpenedTask> {
        if let Some(volume) = options.remove_small.filter(|volume| !(volume.is_finite() && *volume >= 0.0)) {
            return Err(Error::argument("options.remove_small", volume, "a volume in cubic millimetres"));
        }
        let task = Arc::new(self.clone());
        let mut crop = self.crop.clone();
        let mut labels = self.labels.clone();
        if !options.subset.is_empty() {
            let values: Vec<u32> = options
                .subset
                .iter()
                .map(|name| self.value(name).map_err(|_| self.not_a_label(name)))
                .collect::<Result<_>>()?;
            labels.retain(|label| label.value == 0 || values.contains(&label.value));
            crop = Some(self.crop_of_subset(options)?);
        }
        let mut links = Vec::new();
        let mut here = Some((task.clone(), crop));
        while let Some((task, crop)) = here {
            // Of the tasks that others crop by all models run.
            let subset = if links.is_empty() { &options.subset[..] } else { &[] };
            let parts = task.parts(weights, subset)?;
            here = crop.as_ref().map(|crop| (crop.task.clone(), crop.task.crop.clone()));
            let crop = crop.map(|crop| (crop.labels, crop.margin));
            links.push(Link { task, crop, parts });
        }
        links.reverse();
        let mut hash = Sha256::new();
        hash.update(format!("{task:?} {options:?}"));
        links.iter().flat_map(|link| &link.parts).for_each(|part| hash.update(&part.identity));
        let identity = hexadecimal(hash);
        Ok(OpenedTask { task, options: options.clone(), links, labels, identity })
    }

    fn not_a_label(&self, name: &str) -> Error {
        Error::argument("options.subset", name, format!("names of labels of {}", self.name))
    }

    /// The crop around some of the labels, found by another task that has labels of the same names.
    fn crop_of_subset(&self, options: &TaskOptions) -> Result<Crop> {
        let Some(rough) = &self.rough else {
            let expected = format!("nothing: {} always finds all of its labels", self.name);
            return Err(Error::argument("options.subset", options.subset.join(", "), expected));
        };
        let task = Arc::new(Task::named(if options.robust_crop { &rough.robust } else { &rough.task })?);
        let value = |name: &String| task.value(name).map_err(|_| task.not_a_label(name));
        let labels = options.subset.iter().map(value).collect::<Result<_>>()?;
        Ok(Crop { task, labels, margin: [MARGIN; 3] })
    }

    /// The models that know any of the labels of `subset`, or all.
    fn parts(&self, weights: &Path, subset: &[String]) -> Result<Vec<Part>> {
        let knows = |model: &&TaskModel| match &model.labels {
            Some(labels) if !subset.is_empty() => labels.iter().any(|label| subset.contains(label)),
            _ => true,
        };
        self.models.iter().filter(knows).map(|model| self.part(weights, model)).collect()
    }

    fn part(&self, weights: &Path, model: &TaskModel) -> Result<Part> {
        let path = model.path.split('/').fold(weights.to_path_buf(), |path, part| path.join(part));
        if !path.is_dir() {
            let (place, weights) = (&model.path, weights.display());
            let reason = format!(
                "task {} needs the weights {place}, which are not in {weights}; their licence: {}",
                self.name, self.licence
            );
            return Err(Error::NotAModel { reason });
        }
        let options = ModelOptions { folds: model.folds.clone(), ..ModelOptions::default() };
        let opened = Model::open(&path, &options)?;
        let unsuited =
            |what: String| Err(Error::unsupported(format!("{what} in task {}: {}", self.name, model.path)));
        if opened.channels().len() != 1 {
            return unsuited(format!("{} channels", opened.channels().len()));
        }
        let largest = opened.labels().iter().map(|label| label.value).max().unwrap_or(0) as usize;
        if largest > 255 {
            return unsuited(format!("{largest} labels"));
        }
        let values = (0..=largest).map(|value| self.value_of(model, value)).collect();
        Ok(Part { path, options, values, identity: opened.identity().to_owned() })
    }

    /// The task's value for a label of one of its models.
    fn value_of(&self, model: &TaskModel, value: usize) -> u16 {
        let found = match &model.labels {
            None => self.labels.iter().find(|label| label.value as usize == value),
            Some(names) => {
                let name = value.checked_sub(1).and_then(|index| names.get(index));
                name.and_then(|name| self.labels.iter().find(|label| label.name == *name))
            }
        };
        found.map_or(0, |label| label.value as u16)
    }
}

/// What TotalSegmentator leaves around a subset, in millimetres.
const MARGIN: f64 = 20.0;

impl OpenedTask {
    /// The task's name.
    pub fn name(&self) -> &str {
        &self.task.name
    }

    /// The labels that it gives, in ascending order of their values, the background first.
    pub fn labels(&self) -> &[Label] {
        &self.labels
    }

    /// Names of the channels that a volume must have: one.
    pub fn channels(&self) -> &[String] {
        std::slice::from_ref(&self.task.modality)
    }

    /// SHA-256 over the task, its options and all weights in hexadecimal.
    pub fn identity(&self) -> &str {
        &self.identity
    }

    /// As [`Task::spacing`].
    pub fn spacing(&self) -> Option<[f64; 3]> {
        self.task.spacing
    }

    /// All that is known about it, as JSON.
    pub fn describe(&self) -> serde_json::Value {
        let parts = self.links.iter().flat_map(|link| link.parts.iter().map(move |part| (link, part)));
        let part = |(link, part): (&Link, &Part)| {
            let folds = part.options.folds.as_ref().map(|folds| format!("{folds:?}"));
            json!({
                "task": link.task.name,
                "crop_labels": link.crop.as_ref().map(|(labels, _)| labels),
                "crop_margin": link.crop.as_ref().map(|(_, margin)| margin),
                "model": part.path.display().to_string(),
                "folds": folds,
                "values": part.values,
                "identity": part.identity,
            })
        };
        let labels: Vec<_> = self.labels.iter().map(describe_label).collect();
        json!({
            "name": self.task.name,
            "format": "task",
            "modality": self.task.modality,
            "licence": self.task.licence,
            "channels": self.channels(),
            "spacing": self.task.spacing,
            "step": self.task.step,
            "models": parts.map(part).collect::<Vec<_>>(),
            "rules": self.task.rules.iter().map(|rule| format!("{rule:?}")).collect::<Vec<_>>(),
            "subset": self.options.subset,
            "resampling": format!("{:?}", self.options.resampling),
            "labels": labels,
            "identity": self.identity,
        })
    }
}
