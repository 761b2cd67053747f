//! A task whose models were found: each is opened once, to see that it suits the task, and forgotten until it runs.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::json;

use super::{Crop, Opening, Rule, Task, TaskModel, TaskOptions, TaskResampling, values_by_name};
use crate::error::{Error, Result};
use crate::floating_point::Ours;
use crate::labels::Label;
use crate::model::{Fold, Model, ModelOptions, describe_label, form, identity};
use crate::nifti::Reader;
use crate::progress::Stage;

/// A task with the folder of its weights. It holds no weights itself.
#[derive(Clone, Debug)]
pub struct OpenedTask {
    pub(crate) task: Arc<Task>,
    pub(crate) options: TaskOptions,
    /// What runs, in order; the last one is the task itself.
    pub(crate) links: Vec<Link>,
    labels: Vec<Label>,
    identity: String,
}

/// A task as one link of a chain.
#[derive(Clone, Debug)]
pub(crate) struct Link {
    pub task: Arc<Task>,
    pub crop: Option<LinkCrop>,
    /// The earlier link whose labels the rules look at.
    pub beside: Option<usize>,
    pub parts: Vec<Part>,
}

/// The part of the volume that a link looks at.
#[derive(Clone, Debug)]
pub(crate) struct LinkCrop {
    /// The earlier link that finds it.
    pub link: usize,
    /// Which of its labels give the box.
    pub labels: Vec<u32>,
    /// The box's margin in millimetres.
    pub margin: [f64; 3],
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

/// Where a task's models are looked for, and what opening them may take.
struct Weights<'a> {
    folder: &'a Path,
    /// Whether they are opened, or only looked for.
    reads: bool,
    opening: &'a Opening,
}

impl Part {
    /// Bytes of its weights: those of each fold that will be opened.
    fn bytes(&self) -> u64 {
        let folds = std::fs::read_dir(&self.path).into_iter().flatten().flatten();
        let wanted = |name: &str| match &self.options.folds {
            Some(folds) => folds.iter().any(|fold| match fold {
                Fold::Number(number) => name == format!("fold_{number}"),
                Fold::All => name == "fold_all",
            }),
            None => name.strip_prefix("fold_").is_some_and(|number| number.parse::<u32>().is_ok()),
        };
        folds
            .filter(|entry| entry.file_name().to_str().is_some_and(wanted))
            .filter_map(|entry| std::fs::metadata(entry.path().join(&self.options.checkpoint)).ok())
            .map(|about| about.len())
            .sum()
    }
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
        self.open_with(weights, options, &Opening::default())
    }

    /// As [`Task::open`], within a budget of memory and until it is cancelled.
    ///
    /// # Errors
    /// As [`Task::open`]; [`Error::Refused`] for a model that takes more than the budget; [`Error::Cancelled`].
    pub fn open_with(&self, weights: &Path, options: &TaskOptions, opening: &Opening) -> Result<OpenedTask> {
        let _ours = Ours::enter();
        if let Some(volume) = options.remove_small.filter(|volume| !(volume.is_finite() && *volume >= 0.0)) {
            return Err(Error::argument("options.remove_small", volume, "a volume in cubic millimetres"));
        }
        let task = Arc::new(self.clone());
        let mut labels = self.labels.clone();
        let mut crop = self.crop.clone();
        if !options.subset.is_empty() {
            let known = values_by_name(&self.labels);
            let value = |name: &String| known.get(&**name).copied().ok_or_else(|| self.not_a_label(name));
            let values: HashSet<u32> = options.subset.iter().map(value).collect::<Result<_>>()?;
            labels.retain(|label| label.value == 0 || values.contains(&label.value));
            crop = Some(self.crop_of_subset(options)?);
        }
        if options.crop_to_body {
            let cropped = crop.is_some() || self.source.as_ref().is_some_and(|source| source.crop.is_some());
            crop = Some(self.crop_to_body(cropped)?);
        }
        if options.legacy_v1_labels {
            labels = self.in_v1_order(&labels)?;
        }
        if options.on_network_grid {
            self.check_network_grid(crop.is_some(), options)?;
        }
        let mut links = Vec::new();
        // A first look finds what is missing before anything is read, and how much there is to read.
        let watch = &opening.watch;
        let mut look = Weights { folder: weights, reads: false, opening };
        task.add_to(&mut links, crop.clone(), &look, &options.subset)?;
        watch.announce_all(links.iter().flat_map(|link| &link.parts).map(Part::bytes).sum());
        links.clear();
        look.reads = true;
        task.add_to(&mut links, crop, &look, &options.subset)?;
        watch.finish(Stage::Open)?;
        let identity = identity::of_task(&links, options, &labels);
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
        let known = values_by_name(&task.labels);
        let value = |name: &String| known.get(&**name).copied().ok_or_else(|| task.not_a_label(name));
        let labels = options.subset.iter().map(value).collect::<Result<_>>()?;
        Ok(Crop { task, labels, margin: [MARGIN; 3] })
    }

    /// The crop around the body, a little larger, which TotalSegmentator calls `body_seg`.
    fn crop_to_body(&self, cropped: bool) -> Result<Crop> {
        let refused = |expected: &str| Err(Error::argument("options.crop_to_body", true, expected));
        if cropped {
            return refused("false: the task or its subset looks at a part of the volume already");
        }
        if self.modality == "MR" {
            return refused("false: the body is found in CT volumes only");
        }
        let task = Arc::new(Task::named("body_fast")?);
        let labels = task.labels.iter().map(|label| label.value).filter(|&value| value > 0).collect();
        Ok(Crop { task, labels, margin: [MARGIN_OF_BODY; 3] })
    }

    /// These of its labels with the values that TotalSegmentator 1 gave them.
    pub(super) fn in_v1_order(&self, labels: &[Label]) -> Result<Vec<Label>> {
        let Some(first) = &self.legacy_v1_labels else {
            let expected = format!("false: {} has one order of labels only", self.name);
            return Err(Error::argument("options.legacy_v1_labels", true, expected));
        };
        let kept: HashSet<&str> = labels.iter().map(|label| &*label.name).collect();
        let left: Vec<Label> = first.iter().filter(|label| kept.contains(&*label.name)).cloned().collect();
        if left.len() < 2 {
            let names: Vec<&str> = labels.iter().skip(1).map(|label| &*label.name).collect();
            let expected = "names of labels that TotalSegmentator 1 had, with options.legacy_v1_labels";
            return Err(Error::argument("options.subset", names.join(", "), expected));
        }
        Ok(left)
    }

    /// Refuses labels on the networks' grid where something is done on the volume's.
    fn check_network_grid(&self, cropped: bool, options: &TaskOptions) -> Result<()> {
        let expected = if cropped {
            "false: the task looks at a part of the volume only"
        } else if self.source.is_some() || self.rules.iter().any(Rule::is_on_volume) {
            "false: the task's rules work on the volume's own grid"
        } else if options.resampling == TaskResampling::Network {
            "false, as each network brings its scores back to the volume's grid by itself"
        } else {
            return Ok(());
        };
        Err(Error::argument("options.on_network_grid", true, expected))
    }

    /// Adds what the task needs and then itself to the links of a chain, and tells its number.
    fn add_to(
        self: &Arc<Self>,
        links: &mut Vec<Link>,
        crop: Option<Crop>,
        weights: &Weights,
        subset: &[String],
    ) -> Result<usize> {
        if let Some(source) = &self.source {
            let beside = Some(source.add_to(links, crop.or(source.crop.clone()), weights, &[])?);
            links.push(Link { task: self.clone(), crop: None, beside, parts: Vec::new() });
            return Ok(links.len() - 1);
        }
        let parts = self.parts(weights, subset)?;
        // Of the tasks that others need all models run.
        let mut add = |task: &Arc<Task>| task.add_to(links, task.crop.clone(), weights, &[]);
        let link_of_crop = crop.as_ref().map(|crop| add(&crop.task)).transpose()?;
        let looks_there = self.rules.iter().any(|rule| matches!(rule, Rule::RemoveOutside { .. }));
        let beside = self.beside().map(add).transpose()?.or(link_of_crop.filter(|_| looks_there));
        let crop = crop.zip(link_of_crop);
        let crop = crop.map(|(Crop { labels, margin, .. }, link)| LinkCrop { link, labels, margin });
        links.push(Link { task: self.clone(), crop, beside, parts });
        Ok(links.len() - 1)
    }

    /// The models that know any of the labels of `subset`, or all.
    fn parts(&self, weights: &Weights, subset: &[String]) -> Result<Vec<Part>> {
        let wanted: HashSet<&String> = subset.iter().collect();
        let knows = |model: &&TaskModel| match &model.labels {
            Some(labels) if !subset.is_empty() => labels.iter().any(|label| wanted.contains(label)),
            _ => true,
        };
        self.models.iter().filter(knows).map(|model| self.part(weights, model)).collect()
    }

    fn part(&self, weights: &Weights, model: &TaskModel) -> Result<Part> {
        let path = model.path.split('/').fold(weights.folder.to_path_buf(), |path, part| path.join(part));
        if !path.is_dir() {
            let (place, weights) = (&model.path, weights.folder.display());
            let reason = format!(
                "task {} needs the weights {place}, which are not in {weights}; their licence: {}",
                self.name, self.licence
            );
            return Err(Error::NotAModel { reason });
        }
        let Opening { memory_budget, cancel, watch } = weights.opening;
        let (folds, memory_budget) = (model.folds.clone(), *memory_budget);
        let options = ModelOptions { folds, memory_budget, ..ModelOptions::default() };
        if !weights.reads {
            return Ok(Part { path, options, values: Vec::new(), identity: String::new() });
        }
        // The caller's flag and receiver are about opening the task, not about loading a model again.
        let (cancel, watch) = (cancel.clone(), watch.clone());
        let opened = Model::read(&path, &ModelOptions { cancel, watch, ..options.clone() })?;
        let unsuited =
            |what: String| Err(Error::unsupported(format!("{what} in task {}: {}", self.name, model.path)));
        if opened.channels().len() != 1 {
            return unsuited(format!("{} channels", opened.channels().len()));
        }
        let largest = opened.labels().iter().map(|label| label.value).max().unwrap_or(0) as usize;
        if largest > 255 {
            return unsuited(format!("{largest} labels"));
        }
        let values = self.values_of(model, largest);
        Ok(Part { path, options, values, identity: opened.identity().to_owned() })
    }

    /// The task's values for the labels of one of its models; 0 for those that it doesn't have.
    fn values_of(&self, model: &TaskModel, largest: usize) -> Vec<u16> {
        let named = values_by_name(&self.labels);
        let all: HashSet<u32> = self.labels.iter().map(|label| label.value).collect();
        let value = |value: usize| match &model.labels {
            None => Some(value as u32).filter(|value| all.contains(value)),
            Some(names) => {
                let name = value.checked_sub(1).and_then(|index| names.get(index));
                name.and_then(|name| named.get(&**name).copied())
            }
        };
        (0..=largest).map(|label| value(label).unwrap_or(0) as u16).collect()
    }
}

/// What TotalSegmentator leaves around a subset, in millimetres.
const MARGIN: f64 = 20.0;
/// And around the body.
const MARGIN_OF_BODY: f64 = 3.0;

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

    /// `voxseg1:sha256:` and a digest in hexadecimal over the task, its options and all weights, in the format of
    /// docs/identity.md.
    pub fn identity(&self) -> &str {
        &self.identity
    }

    /// As [`Task::spacing`].
    pub fn spacing(&self) -> Option<[f64; 3]> {
        self.task.spacing
    }

    /// What reads the headers of NIfTI files for a task: TotalSegmentator hands its networks nibabel's affine, whatever
    /// they were trained with.
    pub fn reader(&self) -> Reader {
        Reader::Nibabel
    }

    /// All that is known about it, as JSON (docs/schemas/task.schema.json).
    pub fn describe(&self) -> serde_json::Value {
        let parts = self.links.iter().flat_map(|link| link.parts.iter().map(move |part| (link, part)));
        let part = |(link, part): (&Link, &Part)| {
            let fold = |fold: &Fold| match fold {
                Fold::Number(number) => json!(number),
                Fold::All => json!("all"),
            };
            let folds = part.options.folds.as_ref().map(|folds| folds.iter().map(fold).collect::<Vec<_>>());
            json!({
                "task": link.task.name,
                "crop_labels": link.crop.as_ref().map(|crop| &crop.labels),
                "crop_margin": link.crop.as_ref().map(|crop| crop.margin),
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
            "reader": self.reader().name(),
            "step": self.task.step,
            "models": parts.map(part).collect::<Vec<_>>(),
            "rules": self.task.rules.iter().map(|rule| form::rule(rule).json()).collect::<Vec<_>>(),
            "subset": self.options.subset,
            "resampling": form::resampling(self.options.resampling).json(),
            "labels": labels,
            "identity": self.identity,
        })
    }
}
