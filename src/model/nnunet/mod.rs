//! nnU-Net v2's model folders: plans.json, dataset.json and a checkpoint for each fold.

mod architecture;
mod labels;
mod plans;
mod recipe;

use super::files::Files;
use super::json::{Json, parse};
use super::{About, Fold, Model, ModelOptions};
use crate::checkpoint::{Checkpoint, Value};
use crate::error::{Error, Result};
use crate::log::{self, Level};
use crate::network::{Network, StateDict};
use architecture::Architecture;
use labels::Labels;
use plans::Configuration;

const PLANS: &str = "plans.json";
const DATASET: &str = "dataset.json";

/// Opens a model folder, and the folder of the previous stage where it belongs to a cascade.
pub(super) fn open(files: &Files, options: &ModelOptions) -> Result<Model> {
    if !files.has(PLANS) {
        return Err(Error::NotAModel { reason: what_is_missing(files) });
    }
    let plans = parse(files, PLANS)?;
    let dataset = parse(files, DATASET)?;
    let (plans, dataset) = (Json::new(PLANS, &plans), Json::new(DATASET, &dataset));
    let checkpoints = checkpoints(files, options)?;
    let first = &checkpoints[0];
    let name = configuration_name(files, first)?;
    let configuration = Configuration::resolve(&plans, name)?;
    let labels = Labels::read(&dataset)?;
    let channels = labels::channels(&dataset)?;
    let previous = match configuration.previous_stage()? {
        Some(stage) => Some(previous_stage(files, &stage, options)?),
        None => None,
    };

    let inputs = channels.len() + if previous.is_some() { labels.foreground.len() } else { 0 };
    let architecture = Architecture::read(&configuration, labels.classes, inputs)?;
    let networks = checkpoints
        .iter()
        .map(|checkpoint| {
            let weights = required(checkpoint, checkpoint.root(), "network_weights")?;
            architecture.build(StateDict::new(checkpoint, weights)?)
        })
        .collect::<Result<Vec<Network>>>()?;
    let mirror = mirror_axes(first, configuration.dimensions)?;
    let recipe = recipe::recipe(&plans, &configuration, channels.len(), mirror, &labels)?;
    networks[0].sizes(recipe.tiling.patch)?;
    let about = About {
        name: plans.get("dataset_name")?.text()?.into(),
        format: "nnU-Net v2",
        configuration: name.into(),
        trainer: trainer(first),
        architecture: architecture.name().into(),
        channels,
        labels: labels.table,
        identity: String::new(),
    };
    Ok(Model::new(networks, recipe, about, previous))
}

/// Says what was looked for, and where a model seems to be instead.
fn what_is_missing(files: &Files) -> String {
    let mut reason = format!("{} has no {PLANS}", files.title());
    if let Files::Folder(path) = files {
        let inside: Vec<String> =
            files.folders().into_iter().filter(|name| path.join(name).join(PLANS).is_file()).collect();
        if !inside.is_empty() {
            reason.push_str(&format!("; did you mean its folder {}?", inside.join(" or ")));
        }
    }
    reason
}

/// The previous stage of a cascade lies beside it: same trainer and plans, its own configuration.
fn previous_stage(files: &Files, stage: &str, options: &ModelOptions) -> Result<Model> {
    let place = match files {
        Files::Folder(path) => path.file_name().and_then(|name| name.to_str()).and_then(|name| {
            let (trainer_and_plans, _) = name.rsplit_once("__")?;
            Some(path.with_file_name(format!("{trainer_and_plans}__{stage}")))
        }),
        Files::Memory(_) => None,
    };
    let Some(place) = place.filter(|place| place.is_dir()) else {
        let reason = format!("{} needs its previous stage {stage} in a folder beside it", files.title());
        return Err(Error::NotAModel { reason });
    };
    // The stages need not have the same folds; each takes all that it has.
    open(&Files::folder(&place)?, &ModelOptions { folds: None, ..options.clone() })
}

fn checkpoints(files: &Files, options: &ModelOptions) -> Result<Vec<Checkpoint>> {
    let file = |folder: &str| format!("{folder}/{}", options.checkpoint);
    let names: Vec<String> = match &options.folds {
        Some(folds) => folds
            .iter()
            .map(|fold| match fold {
                Fold::Number(number) => format!("fold_{number}"),
                Fold::All => "fold_all".into(),
            })
            .collect(),
        None => {
            let mut numbers: Vec<u32> =
                files.folders().iter().filter_map(|name| name.strip_prefix("fold_")?.parse().ok()).collect();
            numbers.sort_unstable();
            let names = numbers.iter().map(|number| format!("fold_{number}"));
            names.filter(|name| files.has(&file(name))).collect()
        }
    };
    if let Some(name) = names.iter().find(|name| !files.has(&file(name))) {
        return Err(Error::NotAModel { reason: format!("{} has no {}", files.title(), file(name)) });
    }
    if names.is_empty() {
        let reason = format!("{} has no numbered fold with a {}", files.title(), options.checkpoint);
        return Err(Error::NotAModel { reason });
    }
    names.iter().map(|name| files.checkpoint(&file(name))).collect()
}

fn required<'a>(checkpoint: &Checkpoint, parent: Value<'a>, key: &str) -> Result<Value<'a>> {
    let missing =
        || Error::malformed(checkpoint.name(), format!("`{key}` is missing: not a checkpoint of nnU-Net v2"));
    parent.get(key).ok_or_else(missing)
}

/// The checkpoint knows its configuration; the folder's name says it too.
fn configuration_name<'a>(files: &'a Files, checkpoint: &'a Checkpoint) -> Result<&'a str> {
    let stored = checkpoint.root().get("init_args").and_then(|args| args.get("configuration")?.as_str());
    let from_folder = || files.folder_name()?.split("__").nth(2);
    stored.or_else(from_folder).ok_or_else(|| {
        let reason = "`init_args.configuration` is missing, and the folder's name doesn't say it";
        Error::malformed(checkpoint.name(), reason)
    })
}

fn trainer(checkpoint: &Checkpoint) -> String {
    let name = checkpoint.root().get("trainer_name").and_then(|name| name.as_str()).unwrap_or("unknown");
    let foreign = ["BN", "Primus", "UMamba", "MedNeXt", "STUNet"].iter().find(|part| name.contains(*part));
    if let Some(part) = foreign {
        log::write(Level::Warning, || {
            format!("trainer {name}: \"{part}\" trainers may use a network of their own; the tensors decide")
        });
    }
    name.into()
}

fn mirror_axes(checkpoint: &Checkpoint, dimensions: usize) -> Result<Vec<usize>> {
    let Some(axes) = checkpoint.root().get("inference_allowed_mirroring_axes") else { return Ok(Vec::new()) };
    if axes.is_none() {
        return Ok(Vec::new());
    }
    let wrong = || {
        let found = axes.describe();
        let reason =
            format!("`inference_allowed_mirroring_axes` is {found}, expected axes below {dimensions}");
        Error::malformed(checkpoint.name(), reason)
    };
    let mut found = Vec::new();
    for axis in axes.iter() {
        let axis = axis.as_int().and_then(|axis| usize::try_from(axis).ok());
        let axis = axis.filter(|&axis| axis < dimensions).ok_or_else(wrong)? + 3 - dimensions;
        if !found.contains(&axis) {
            found.push(axis);
        }
    }
    Ok(found)
}
