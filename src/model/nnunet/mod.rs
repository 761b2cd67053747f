//! nnU-Net v2's model folders: plans.json, dataset.json and a checkpoint for each fold.

// Files of strangers are read here: each place is asked for, none is taken for granted.
#![cfg_attr(not(test), deny(clippy::indexing_slicing))]

mod architecture;
mod folds;
mod interactive;
mod labels;
mod plans;
mod postprocess;
mod recipe;
mod trainer;

use super::files::Files;
use super::inspect::{Found, licence};
use super::json::{Json, parse};
use super::{About, Model, ModelOptions};
use crate::checkpoint::{Checkpoint, Value};
use crate::error::{Error, Result};
use crate::network::{Network, StateDict};
use crate::recipe::{Painting, Recipe};
use architecture::Architecture;
use folds::folds;
use labels::Labels;
use plans::Configuration;
use trainer::Trainer;

const PLANS: &str = "plans.json";
const DATASET: &str = "dataset.json";
/// What models that answer to prompts are called.
const INTERACTIVE: &str = "nnInteractive";

/// Whether the files are a model of nnU-Net v2, or folders with such models.
pub(super) fn is_model(files: &Files) -> bool {
    files.has(PLANS) || files.folders_with(PLANS).iter().any(has_folds)
}

/// Results of a cross-validation and of ensembles have copies of the plans, but no folds.
fn has_folds(files: &Files) -> bool {
    files.folders().iter().any(|name| name.starts_with("fold_"))
}

/// Opens a model folder, and the folder of the previous stage where it belongs to a cascade.
pub(super) fn open(files: &Files, options: &ModelOptions) -> Result<Model> {
    let files = &choose(files, options.configuration.as_deref())?;
    let plans = parse(files, PLANS)?;
    let dataset = parse(files, DATASET)?;
    let (plans, dataset) = (Json::new(PLANS, &plans), Json::new(DATASET, &dataset));
    let folds = folds(files, options)?;
    let file = |fold: &String| format!("{fold}/{}", options.checkpoint);
    files.announce(&folds.iter().map(file).collect::<Vec<_>>());
    let checkpoint = |fold: &String| files.checkpoint(&file(fold));
    let Some((first, further)) = folds.split_first() else {
        return Err(Error::NotAModel { reason: format!("{} has no folds", files.title()) });
    };
    let first = checkpoint(first)?;
    let name = configuration_name(files, &first)?.to_owned();
    if let Some(wanted) = &options.configuration
        && *wanted != name
        && !is_called(files, wanted)
    {
        let beside = files.folder_name().and_then(|own| own.rsplit_once("__"));
        let beside = beside.map(|(trainer_and_plans, _)| format!("{trainer_and_plans}__{wanted}"));
        let beside = beside.filter(|name| files.sibling(name).is_some());
        let beside = beside.map_or(String::new(), |name| format!("; that is the folder {name} beside it"));
        let reason = format!("{} is configuration {name}, not {wanted}{beside}", files.title());
        return Err(Error::NotAModel { reason });
    }
    let configuration = Configuration::resolve(&plans, &name)?;
    let channels = labels::channels(&dataset)?;
    if let Some(prompting) = interactive::read(files)? {
        if !further.is_empty() {
            return Err(Error::unsupported("several folds of a model that answers to prompts"));
        }
        return open_interactive(&plans, &configuration, channels, &first, prompting);
    }
    let labels = Labels::read(&dataset)?;
    let previous = match configuration.previous_stage()? {
        Some(stage) => Some(previous_stage(files, &stage, options)?),
        None => None,
    };

    let inputs = channels.len() + if previous.is_some() { labels.foreground.len() } else { 0 };
    let own = Architecture::of_trainer(&configuration, labels.classes, inputs, &weights(&first)?)?;
    let architecture = match own {
        Some(own) => own,
        None => Architecture::read(&configuration, labels.classes, inputs)?,
    };
    let mirror = mirror_axes(&first, configuration.dimensions)?;
    let trainer = Trainer::of(&first);
    let build = |checkpoint: Checkpoint| build(&architecture, &trainer, &checkpoint);
    // One at a time: a checkpoint out of an archive is in memory as a whole.
    let mut networks = vec![build(first)?];
    for fold in further {
        networks.push(build(checkpoint(fold)?)?);
    }
    let mut recipe = recipe::recipe(&plans, &configuration, channels.len(), mirror, &labels)?;
    networks.first().map(|network| network.sizes(recipe.tiling.network_tile())).transpose()?;
    // Without the option it isn't needed, so what is wrong with it waits until then.
    let (postprocess, unusable) = match postprocess::read(files, &folds, &labels) {
        Ok(rules) => (rules, None),
        Err(error) => (Vec::new(), Some(error)),
    };
    recipe.postprocess = postprocess;
    let about = About {
        name: plans.get("dataset_name")?.text()?.into(),
        format: "nnU-Net v2",
        configuration: name,
        trainer: trainer.name,
        architecture: architecture.name().into(),
        channels,
        labels: labels.table,
        identity: String::new(),
        unusable_postprocessing: unusable,
    };
    Ok(Model::new(networks, recipe, about, previous))
}

/// The model of nnInteractive's folder: the image's channels and those of prompts in, object or not out.
fn open_interactive(
    plans: &Json,
    configuration: &Configuration,
    channels: Vec<String>,
    checkpoint: &Checkpoint,
    prompting: Painting,
) -> Result<Model> {
    let inputs = channels.len() + prompting.channels;
    let architecture = Architecture::read(configuration, interactive::CLASSES, inputs)?;
    let trainer = Trainer::of(checkpoint);
    let network = build(&architecture, &trainer, checkpoint)?;
    let recipe = interactive::recipe(configuration, prompting)?;
    network.sizes(recipe.tiling.network_tile())?;
    let about = About {
        name: plans.get("dataset_name")?.text()?.into(),
        format: INTERACTIVE,
        configuration: configuration.name.clone(),
        trainer: trainer.name,
        architecture: architecture.name().into(),
        channels,
        labels: interactive::labels(),
        identity: String::new(),
        unusable_postprocessing: None,
    };
    Ok(Model::new(vec![network], recipe, about, None))
}

/// Opens the model that MONAI's nnU-Net bundles wrap: plans.json, dataset.json and nnunet_checkpoint.pth in `folder`,
/// and the weights in a file of their own. The wrapper predicts without mirroring.
pub(super) fn open_wrapped(files: &Files, folder: &str, weights: &str) -> Result<Model> {
    let inside = |name: &str| if folder.is_empty() { name.to_owned() } else { format!("{folder}/{name}") };
    let (plans, dataset) = (parse(files, &inside(PLANS))?, parse(files, &inside(DATASET))?);
    let (plans, dataset) = (Json::new(PLANS, &plans), Json::new(DATASET, &dataset));
    let settings = files.checkpoint(&inside("nnunet_checkpoint.pth"))?;
    let name = configuration_name(files, &settings)?.to_owned();
    let configuration = Configuration::resolve(&plans, &name)?;
    if configuration.previous_stage()?.is_some() {
        return Err(Error::unsupported("a cascade in a bundle"));
    }
    let labels = Labels::read(&dataset)?;
    let channels = labels::channels(&dataset)?;
    let architecture = Architecture::read(&configuration, labels.classes, channels.len())?;
    let checkpoint = files.checkpoint(weights)?;
    let trainer = Trainer::of(&settings);
    let network = build(&architecture, &trainer, &checkpoint)?;
    let recipe = recipe::recipe(&plans, &configuration, channels.len(), Vec::new(), &labels)?;
    network.sizes(recipe.tiling.network_tile())?;
    let about = About {
        name: plans.get("dataset_name")?.text()?.into(),
        format: "MONAI bundle of nnU-Net v2",
        configuration: name,
        trainer: trainer.name,
        architecture: architecture.name().into(),
        channels,
        labels: labels.table,
        identity: String::new(),
        unusable_postprocessing: None,
    };
    Ok(Model::new(vec![network], recipe, about, None))
}

/// The model's folder: this one, or the one below it that is alone or has the name.
fn choose(files: &Files, configuration: Option<&str>) -> Result<Files> {
    if files.has(PLANS) {
        return Ok(files.clone());
    }
    let mut models = files.folders_with(PLANS);
    models.retain(has_folds);
    let chosen: Vec<&Files> =
        models.iter().filter(|model| configuration.is_none_or(|wanted| is_called(model, wanted))).collect();
    if let [one] = chosen[..] {
        return Ok(one.clone());
    }
    let mut reason = format!("{} has no {PLANS}", files.title());
    let places: Vec<String> = models.iter().map(Files::place).collect();
    match configuration {
        _ if places.is_empty() => {}
        None => reason.push_str(&format!(
            "; did you mean its folder {}? The option `configuration` (--configuration) chooses",
            places.join(" or ")
        )),
        Some(wanted) => {
            let count = if chosen.is_empty() { "none".into() } else { chosen.len().to_string() };
            let places = places.join(", ");
            reason.push_str(&format!("; {count} of its folders {places} have configuration {wanted}"));
        }
    }
    Err(Error::NotAModel { reason })
}

/// Whether a folder has this name, or this configuration at the name's end.
fn is_called(files: &Files, wanted: &str) -> bool {
    let configuration = |name: &str| name.rsplit_once("__").is_some_and(|(_, last)| last == wanted);
    files.folder_name().is_some_and(|name| name == wanted || configuration(name))
}

/// The previous stage of a cascade lies beside it: same trainer and plans, its own configuration.
fn previous_stage(files: &Files, stage: &str, options: &ModelOptions) -> Result<Model> {
    let place = files.folder_name().and_then(|name| {
        let (trainer_and_plans, _) = name.rsplit_once("__")?;
        files.sibling(&format!("{trainer_and_plans}__{stage}"))
    });
    let Some(place) = place else {
        let reason = format!("{} needs its previous stage {stage} in a folder beside it", files.title());
        return Err(Error::NotAModel { reason });
    };
    // The stages need not have the same folds; each takes all that it has.
    open(&place, &ModelOptions { folds: None, configuration: None, ..options.clone() })
}

/// What there is to know of a model folder without its weights, which are the first to know the configuration's name:
/// the folder's name says it, too.
pub(super) fn inspect(files: &Files, options: &ModelOptions) -> Result<(Files, Found)> {
    let files = choose(files, options.configuration.as_deref())?;
    let named = files.folder_name().and_then(|name| name.split("__").nth(2)).map(str::to_owned);
    let folds = folds(&files, options)?;
    let weights = folds.iter().map(|fold| format!("{fold}/{}", options.checkpoint)).collect();
    let found = found(&files, "", named.or(options.configuration.clone()), folds, weights)?;
    Ok((files, found))
}

/// As [`inspect`], for a model in a bundle.
pub(super) fn inspect_wrapped(files: &Files, folder: &str, weights: &str) -> Result<Found> {
    let folder = if folder.is_empty() { String::new() } else { format!("{folder}/") };
    let found = found(files, &folder, None, Vec::new(), vec![weights.to_owned()])?;
    Ok(Found { format: "MONAI bundle of nnU-Net v2", ..found })
}

fn found(
    files: &Files,
    folder: &str,
    configuration: Option<String>,
    folds: Vec<String>,
    weights: Vec<String>,
) -> Result<Found> {
    let (plans, dataset) =
        (parse(files, &format!("{folder}{PLANS}"))?, parse(files, &format!("{folder}{DATASET}"))?);
    let licence = licence(&dataset);
    let (plans, dataset) = (Json::new(PLANS, &plans), Json::new(DATASET, &dataset));
    let configurations = plans.get("configurations")?;
    let mut only = configurations.members()?.into_iter().map(|(name, _)| name.to_owned());
    let name = configuration.or_else(|| only.next().filter(|_| only.next().is_none()));
    let channels = labels::channels(&dataset)?;
    if let Some(prompting) = interactive::read(files)? {
        let recipe_of = |name: &String| -> Result<Recipe> {
            let configuration = Configuration::resolve(&plans, name)?;
            Architecture::read(&configuration, interactive::CLASSES, channels.len() + prompting.channels)?;
            interactive::recipe(&configuration, prompting.clone())
        };
        return Ok(Found {
            format: INTERACTIVE,
            name: plans.get("dataset_name")?.text()?.into(),
            recipe: name.as_ref().map(recipe_of),
            configuration: name.unwrap_or_default(),
            channels,
            labels: interactive::labels(),
            licence,
            folds,
            weights,
            network: None,
        });
    }
    let labels = Labels::read(&dataset)?;
    let recipe_of = |name: &String| -> Result<Recipe> {
        let configuration = Configuration::resolve(&plans, name)?;
        let cascaded = configuration.previous_stage()?.is_some();
        let inputs = channels.len() + if cascaded { labels.foreground.len() } else { 0 };
        Architecture::read(&configuration, labels.classes, inputs)?;
        recipe::recipe(&plans, &configuration, channels.len(), Vec::new(), &labels)
    };
    Ok(Found {
        format: "nnU-Net v2",
        name: plans.get("dataset_name")?.text()?.into(),
        recipe: name.as_ref().map(recipe_of),
        configuration: name.unwrap_or_default(),
        channels,
        labels: labels.table,
        licence,
        folds,
        weights,
        network: None,
    })
}

/// The plans' network with a checkpoint's weights.
fn build(architecture: &Architecture, trainer: &Trainer, checkpoint: &Checkpoint) -> Result<Network> {
    let tensors = required(checkpoint, checkpoint.root(), "network_weights")?;
    let network = architecture.build(weights(checkpoint)?);
    network.map_err(|error| trainer.explain(error, tensors, architecture.name()))
}

/// The tensors of a fold.
fn weights(checkpoint: &Checkpoint) -> Result<StateDict<'_>> {
    StateDict::new(checkpoint, required(checkpoint, checkpoint.root(), "network_weights")?)
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
