//! Models of MONAI's Auto3DSeg: as 3D Slicer's extension MONAIAuto3DSeg distributes them, `model.pt` with weights and
//! configuration, and `labels.csv`, where the chain around the network is that of the extension's script
//! `auto3dseg_segresnet_inference.py`; and as they were trained, `segresnet_0` with `model/model.pt` and
//! `configs/hyper_parameters.yaml`, where it is that of the training's own `segmenter.py`.

mod labels;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::files::Files;
use super::inspect::Found;
use super::json::Json;
use super::{About, Auto3dsegScript, ForegroundCrop, Model, ModelOptions};
use crate::error::{Error, Result};
use crate::labels::Label;
use crate::log::{self, Level};
use crate::network::StateDict;
use crate::network::monai::{self, Context};
use crate::nifti::Reader;
use crate::recipe::{
    BoxSource, Cleanup, CropForeground, Decision, Fill, ImportanceMap, LabelRule, LargestComponents,
    MonaiIntensity, Padding, PaddingMode, Recipe, Region, RestoreMode, ScorePrecision, Spacing, Step,
    TilePlacement, Tiling,
};
use crate::tiling::sliding::SIGMA_SCALE;

const CHECKPOINT: &str = "model.pt";
/// Where a training leaves it, and what lies beside it then.
const TRAINED: &str = "model/model.pt";
const SETTINGS: &str = "configs/hyper_parameters.yaml";
const LABELS: &str = "labels.csv";

/// Voxels that the script leaves around the foreground.
const MARGIN: u32 = 10;
/// How much tiles overlap in the script.
const OVERLAP: f64 = 0.625;
/// An axis keeps its spacing where that is within these shares of the model's.
const KEPT: [f64; 2] = [0.75, 1.25];

/// The folder with the model: this one, or the only one below it.
pub(super) fn find(files: &Files) -> Option<Files> {
    if files.has(LABELS) && files.has(CHECKPOINT) {
        return Some(files.clone());
    }
    match &files.folders_with(LABELS)[..] {
        [one] if one.has(CHECKPOINT) => Some(one.clone()),
        _ => None,
    }
}

/// The work folder of a training: this one, or the only one below it.
pub(super) fn find_trained(files: &Files) -> Option<Files> {
    let is_one = |files: &Files| files.has(TRAINED) && files.has(SETTINGS);
    if is_one(files) {
        return Some(files.clone());
    }
    let below: Vec<Files> = files.folders().iter().map(|name| files.below(name)).filter(is_one).collect();
    if let [one] = &below[..] { Some(one.clone()) } else { None }
}

/// Opens a model that [`find`] found; `place` is what the user called it, for a hint.
pub(super) fn open(files: &Files, place: &str, options: &ModelOptions) -> Result<Model> {
    open_as(files, place, options, false)
}

/// Opens a work folder that [`find_trained`] found.
pub(super) fn open_trained(files: &Files, place: &str, options: &ModelOptions) -> Result<Model> {
    open_as(files, place, options, true)
}

fn open_as(files: &Files, place: &str, options: &ModelOptions, trained: bool) -> Result<Model> {
    let checkpoint = files.checkpoint(if trained { TRAINED } else { CHECKPOINT })?;
    let root = checkpoint.root();
    let (Some(config), Some(weights)) = (root.get("config"), root.get("state_dict")) else {
        let missing = ["config", "state_dict"].map(|key| (key, root.get(key).is_none()));
        let missing = missing.iter().filter(|(_, missing)| *missing).map(|(key, _)| format!("`{key}`"));
        let missing = missing.collect::<Vec<_>>().join(" and ");
        let reason = format!("{missing} missing: not a checkpoint of Auto3DSeg's segmenter");
        return Err(Error::malformed(checkpoint.name(), reason));
    };
    let config = config.to_json(checkpoint.name())?;
    let config = Json::new(CHECKPOINT, &config);
    let described = network(&config)?;
    if described.spatial_dims() != 3 {
        let what = format!("{CHECKPOINT}: a two-dimensional network; Auto3DSeg's script runs volumes");
        return Err(Error::unsupported(what));
    }
    let network = described.build(StateDict::new(&checkpoint, weights)?)?;
    let (inputs, classes) = (network.input_channels(), network.output_channels());
    let script = if trained { Script::Training } else { script(&config, inputs, classes, options)? };
    if !trained {
        hint(script, place, options);
    }
    let modes = modes(&config)?;
    if modes.len() != inputs && script != Script::Brats {
        let reason = format!("{} normalisation modes for a network with {inputs} channels", modes.len());
        return Err(Error::malformed(checkpoint.name(), reason));
    }
    let recipe = recipe(&config, &modes, classes, script, options)?;
    network.sizes(recipe.tiling.network_tile())?;
    let table = if trained { class_names(&config, classes)? } else { labels::read(files, LABELS)? };
    let labels = named(table, &recipe.decision);
    let channels = channels(&config, inputs);
    let about = About {
        name: files.folder_name().unwrap_or("Auto3DSeg").into(),
        format: "Auto3DSeg",
        configuration: String::new(),
        trainer: "segresnet".into(),
        architecture: "SegResNetDS".into(),
        channels,
        labels,
        identity: String::new(),
        unusable_postprocessing: None,
    };
    Ok(Model::new(vec![network], recipe, about, None))
}

/// What there is to know of a model without its weights, which hold all but the labels.
pub(super) fn inspect(files: &Files) -> Result<Found> {
    Ok(Found {
        format: "Auto3DSeg",
        name: files.folder_name().unwrap_or("Auto3DSeg").into(),
        configuration: String::new(),
        channels: Vec::new(),
        labels: labels::read(files, LABELS)?,
        licence: None,
        folds: Vec::new(),
        weights: vec![CHECKPOINT.into()],
        recipe: None,
        network: None,
    })
}

/// The ways that the script knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Script {
    General,
    Brats,
    WholeHead,
    /// The training's own, not one of the script's.
    Training,
}

/// Which way a model goes. The script looks for words in the path of the file, which change when somebody moves it;
/// here the network tells a model of BraTS: four images, and three regions that overlap.
fn script(config: &Json, inputs: usize, classes: usize, options: &ModelOptions) -> Result<Script> {
    Ok(match options.auto3dseg_script {
        Auto3dsegScript::General => Script::General,
        Auto3dsegScript::Brats => Script::Brats,
        Auto3dsegScript::WholeHead => Script::WholeHead,
        Auto3dsegScript::FromModel if inputs == 4 && classes == 3 && flag(config, "sigmoid", false)? => {
            Script::Brats
        }
        Auto3dsegScript::FromModel => Script::General,
    })
}

/// Says so where the script would go another way because of a name.
fn hint(script: Script, place: &str, options: &ModelOptions) {
    let named = place.to_lowercase();
    let words = [("brats", Script::Brats, "brats"), ("whole-head", Script::WholeHead, "whole-head")];
    let other = words.iter().find(|(word, other, _)| named.contains(word) && *other != script);
    if let (Auto3dsegScript::FromModel, Some((word, _, value))) = (options.auto3dseg_script, other) {
        log::write(Level::Warning, || {
            format!(
                "the path {place} has \"{word}\" in it, by which SlicerMONAIAuto3DSeg's script tells models apart; \
                 here names change nothing: its {word} model needs the option auto3dseg_script (--auto3dseg {value})"
            )
        });
    }
}

/// The network of the configuration.
fn network(config: &Json) -> Result<monai::MonaiNetwork> {
    let network = config.get("network")?;
    let target = network.get("_target_")?;
    let arguments: Map<String, Value> = network
        .members()?
        .into_iter()
        .filter(|(key, _)| !key.starts_with('_'))
        .map(|(key, json)| (key.to_owned(), json.value().clone()))
        .collect();
    monai::from_config(target.text()?, &arguments, &Context { file: CHECKPOINT, monai_version: None })
}

/// The normalisation of each input.
fn modes(config: &Json) -> Result<Vec<String>> {
    let mut modes = vec![config.get("normalize_mode")?.text()?.to_owned()];
    if let Some(extra) = config.find("extra_modalities") {
        for (_, mode) in extra.members()? {
            modes.push(mode.text()?.to_owned());
        }
    }
    Ok(modes)
}

/// What inputs are called.
fn channels(config: &Json, count: usize) -> Vec<String> {
    let first = config.find("modality").and_then(|modality| Some(modality.text().ok()?.to_owned()));
    let extra = config.find("extra_modalities");
    let extra = extra.and_then(|extra| extra.members().ok()).unwrap_or_default();
    let extra = extra.into_iter().map(|(name, _)| name.to_owned());
    let mut names: Vec<String> = first.into_iter().chain(extra).take(count).collect();
    (names.len()..count).for_each(|index| names.push(format!("image {}", index + 1)));
    names
}

/// The labels of a training: the background, and the names of its classes where the configuration has them.
fn class_names(config: &Json, classes: usize) -> Result<Vec<Label>> {
    let named = match config.find("class_names") {
        Some(names) if names.is_list() => names.list()?,
        _ => Vec::new(),
    };
    let sigmoid = flag(config, "sigmoid", false)?;
    let count = classes + usize::from(sigmoid);
    let colors = crate::labels::colors(count);
    let label = |(value, color): (usize, [u8; 3])| {
        let name = match value.checked_sub(1) {
            None => "background".to_owned(),
            Some(index) => match named.get(index).map(Json::value) {
                Some(Value::String(name)) => name.clone(),
                _ => format!("class {value}"),
            },
        };
        let terms = crate::labels::Terms::of_structure(&name);
        Label { value: value as u32, name, color, terms }
    };
    Ok((0..count).zip(colors).map(label).collect())
}

/// A flag for which the script has a default.
fn flag(config: &Json, key: &str, default: bool) -> Result<bool> {
    config.find(key).map_or(Ok(default), |value| value.boolean())
}

fn recipe(
    config: &Json,
    modes: &[String],
    classes: usize,
    script: Script,
    options: &ModelOptions,
) -> Result<Recipe> {
    let brats = script == Script::Brats;
    let orient = flag(config, "orientation_ras", false)?;
    let mut steps = Vec::new();
    if orient {
        steps.push(Step::Orient { canonical: true, flip: [false; 3], order: [0, 1, 2] });
    }
    let normalize = normalize(config, modes, script == Script::Training)?;
    let crop = flag(config, "crop_foreground", true)?.then_some(Step::CropForeground {
        crop: CropForeground { margin: [MARGIN; 3], allow_smaller: true, k_divisible: [1; 3] },
        padding: Padding::Constant(0.0),
        source: match options.foreground_crop {
            _ if brats => BoxSource::Image,
            _ if script == Script::Training => BoxSource::FirstChannel,
            ForegroundCrop::AsPublished if orient => BoxSource::Misplaced,
            _ => BoxSource::FirstChannel,
        },
    });
    // The script resamples whenever there is a resolution, the training where it was told to.
    let resampled = script != Script::Training || flag(config, "resample", false)?;
    let spacing = config.find("resample_resolution").filter(|_| resampled);
    let spacing = spacing.map(|spacing| spacing.axes(1.0, Json::number)).transpose()?;
    let space = spacing.map(|spacing| {
        let bound = |share: f64| spacing.map(|length: f64| Some(length * share));
        Step::Space(Spacing {
            min_pixdim: bound(KEPT[0]),
            max_pixdim: bound(KEPT[1]),
            outside: PaddingMode::Border,
            single: true,
            // 3D Slicer hands images over in NRRD files that ITK writes.
            orthogonal: script != Script::Training,
            ..Spacing::new(spacing)
        })
    });
    // With BraTS' four images the script normalises at the end, else the image as it comes.
    let at_the_end = brats || script == Script::Training;
    let (first, last) = if at_the_end { (Vec::new(), normalize) } else { (normalize, Vec::new()) };
    steps.extend(first);
    steps.extend(crop);
    steps.extend(space);
    steps.extend(last);

    let roi = config.get("roi_size")?;
    let patch = roi.axes(1, Json::count)?;
    if patch.contains(&0) || patch.iter().product::<usize>() > 1 << 30 {
        return Err(roi.wrong("sizes from 1 whose product stays under 2^30"));
    }
    let decision = match flag(config, "sigmoid", false)? {
        true => {
            Decision::Regions { regions: regions(config, classes, brats)?, threshold: 0.5, at_half: true }
        }
        false if brats => {
            return Err(Error::unsupported(format!("{CHECKPOINT}: a BraTS model without `sigmoid`")));
        }
        false => Decision::Highest,
    };
    let cleanup = (script == Script::WholeHead).then_some(Cleanup {
        rule: LabelRule::Largest(LargestComponents {
            labels: None,
            independent: true,
            connectivity: 3,
            components: 2,
        }),
        on_network_grid: false,
    });
    Ok(Recipe {
        reader: if script == Script::Training { Reader::Monai } else { Reader::Itk },
        steps,
        tiling: Tiling {
            patch,
            slices: false,
            placement: TilePlacement::Overlapping([OVERLAP; 3]),
            importance: ImportanceMap::MonaiGaussian([SIGMA_SCALE; 3]),
            fill: Fill::Constant(0.0),
            score_precision: ScorePrecision::Single,
            mirror: Vec::new(),
        },
        restore: if script == Script::Training { RestoreMode::Probabilities } else { RestoreMode::Labels },
        decision,
        cleanup: cleanup.into_iter().collect(),
        postprocess: Vec::new(),
        prompting: None,
    })
}

/// The labels of classes that overlap, later over earlier. The script writes the first class of such a network and
/// drops the others, unless it is one of BraTS; here all come out.
fn regions(config: &Json, classes: usize, brats: bool) -> Result<Vec<Region>> {
    let labels: Vec<u16> = match nested(config, classes)? {
        Some(labels) => labels,
        // Whole tumour, core and enhancing core as BraTS numbers their parts.
        None if brats && classes == 3 => vec![2, 1, 3],
        None if brats => {
            let what = format!("{CHECKPOINT}: a BraTS model with {classes} classes; 3 are known");
            return Err(Error::unsupported(what));
        }
        None => (1..=u16::MAX).take(classes).collect(),
    };
    Ok(labels.into_iter().enumerate().map(|(class, label)| Region { class, label }).collect())
}

/// `class_index` lists the labels that each class is made of: one, or one more than the class after it, which is a part
/// of it and is written over it. Other lists tell nothing.
fn nested(config: &Json, classes: usize) -> Result<Option<Vec<u16>>> {
    let Some(index) = config.find("class_index") else { return Ok(None) };
    let parts = |list: &Json| list.list()?.iter().map(Json::count).collect::<Result<Vec<usize>>>();
    let parts: Vec<Vec<usize>> = index.list()?.iter().map(parts).collect::<Result<_>>()?;
    if parts.len() != classes {
        return Err(index.wrong(&format!("the labels of each of the {classes} classes")));
    }
    let own = |class: usize| {
        let (all, inner) = (parts.get(class)?, parts.get(class + 1));
        let inner = inner.map_or(&[][..], Vec::as_slice);
        let mut own = all.iter().filter(|label| !inner.contains(label));
        let (label, more) = (u16::try_from(*own.next()?).ok()?, own.next());
        let nested = all.len() == 1 || inner.iter().all(|label| all.contains(label));
        (nested && more.is_none() && label > 0).then_some(label)
    };
    let labels: Option<Vec<u16>> = (0..classes).map(own).collect();
    let distinct = |labels: &Vec<u16>| labels.iter().collect::<BTreeSet<_>>().len() == labels.len();
    Ok(labels.filter(distinct))
}

/// The table, with a label of its own for each class that it doesn't name.
fn named(mut table: Vec<Label>, decision: &Decision) -> Vec<Label> {
    let Decision::Regions { regions, .. } = decision else { return table };
    let known: BTreeSet<u32> = table.iter().map(|label| label.value).collect();
    let mut missing: Vec<&Region> =
        regions.iter().filter(|region| !known.contains(&region.label.into())).collect();
    missing.sort_by_key(|region| region.label);
    let Some(first) = missing.first() else { return table };
    let (count, label, class) = (missing.len(), first.label, first.class);
    log::write(Level::Warning, || {
        format!("{LABELS} lacks {count} labels of the network, the first is {label} of class {class}")
    });
    let colors = crate::labels::colors(table.len() + count);
    let colors = colors.into_iter().skip(table.len());
    table.extend(missing.into_iter().zip(colors).map(|(region, color)| Label {
        value: region.label.into(),
        name: format!("class {}", region.class),
        color,
        terms: Default::default(),
    }));
    table.sort_by_key(|label| label.value);
    table
}

fn normalize(config: &Json, modes: &[String], trained: bool) -> Result<Vec<Step>> {
    // The script asks for them whatever the mode is; a training leaves them out where nothing needs them.
    let needed = modes.iter().any(|mode| ["range", "ct"].contains(&mode.as_str()));
    let bounds = match config.find("intensity_bounds") {
        None if !needed && trained => [0.0, 1.0],
        _ => {
            let bounds = config.get("intensity_bounds")?;
            match bounds.list()?[..] {
                [ref low, ref high] => [low.number()?, high.number()?],
                _ => return Err(bounds.wrong("two numbers")),
            }
        }
    };
    let mut steps = Vec::new();
    for (channel, mode) in modes.iter().enumerate() {
        let channel = (modes.len() > 1).then_some(channel);
        let rules = MonaiIntensity::auto3dseg(mode, bounds)?;
        steps.extend(rules.into_iter().map(|rule| Step::Intensity { channel, rule }));
    }
    Ok(steps)
}
