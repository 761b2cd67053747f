//! Models of MONAI's Auto3DSeg as 3D Slicer's extension MONAIAuto3DSeg distributes them: `model.pt` with weights and
//! configuration, and `labels.csv`. The chain around the network is that of the extension's script
//! `auto3dseg_segresnet_inference.py`.

mod labels;

use serde_json::{Map, Value};

use super::files::Files;
use super::json::Json;
use super::{About, ForegroundCrop, Model, ModelOptions};
use crate::error::{Error, Result};
use crate::network::StateDict;
use crate::network::monai::{self, Context};
use crate::nifti::Reader;
use crate::preprocess::monai::{CropForeground, MonaiIntensity, Outside, Padding, Spacing};
use crate::recipe::{
    Back, BoxSource, Cleanup, Decision, Fill, Placement, Recipe, Region, Step, Sums, Tiling, Weights,
};
use crate::restore::LargestComponents;
use crate::tiling::sliding::SIGMA_SCALE;

const CHECKPOINT: &str = "model.pt";
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

/// Opens a model that [`find`] found; `place` is what the user called it, which tells a few models apart.
pub(super) fn open(files: &Files, place: &str, options: &ModelOptions) -> Result<Model> {
    let checkpoint = files.checkpoint(CHECKPOINT)?;
    let root = checkpoint.root();
    let (Some(config), Some(weights)) = (root.get("config"), root.get("state_dict")) else {
        let reason = "`config` and `state_dict` are missing: not a checkpoint of Auto3DSeg's segmenter";
        return Err(Error::malformed(checkpoint.name(), reason));
    };
    let config = config.to_json(checkpoint.name())?;
    let config = Json::new(CHECKPOINT, &config);
    let network = network(&config)?;
    let network = network.build(StateDict::new(&checkpoint, weights)?)?;
    let brats = place.to_lowercase().contains("brats");
    let modes = modes(&config)?;
    if modes.len() != network.input_channels() && !brats {
        let found = format!("{} normalisation modes", modes.len());
        let reason = format!("{found} for a network with {} channels", network.input_channels());
        return Err(Error::malformed(checkpoint.name(), reason));
    }
    let recipe = recipe(&config, &modes, network.output_channels(), brats, place, options)?;
    network.sizes(recipe.tiling.patch)?;
    let labels = labels::read(files, LABELS)?;
    let channels = channels(&config, network.input_channels());
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
    let mut modes = vec![config.find("normalize_mode").map_or(Ok("none"), |mode| mode.text())?.to_owned()];
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

fn recipe(
    config: &Json,
    modes: &[String],
    classes: usize,
    brats: bool,
    place: &str,
    options: &ModelOptions,
) -> Result<Recipe> {
    let flag = |key: &str, default: bool| match config.find(key) {
        Some(value) => value.boolean(),
        None => Ok(default),
    };
    let orient = flag("orientation_ras", false)?;
    let mut steps = Vec::new();
    if orient {
        steps.push(Step::Orient { canonical: true, flip: [false; 3], order: [0, 1, 2] });
    }
    let normalize = normalize(config, modes)?;
    let crop = flag("crop_foreground", true)?.then_some(Step::CropForeground {
        crop: CropForeground { margin: [MARGIN; 3], allow_smaller: true, k_divisible: [1; 3] },
        padding: Padding::Constant(0.0),
        source: match options.foreground_crop {
            _ if brats => BoxSource::Image,
            ForegroundCrop::AsPublished if orient => BoxSource::Misplaced,
            _ => BoxSource::FirstChannel,
        },
    });
    let spacing =
        config.find("resample_resolution").map(|spacing| spacing.axes(1.0, Json::number)).transpose()?;
    let space = spacing.map(|spacing| {
        let bound = |share: f64| spacing.map(|length: f64| Some(length * share));
        Step::Space(Spacing {
            min_pixdim: bound(KEPT[0]),
            max_pixdim: bound(KEPT[1]),
            outside: Outside::Border,
            single: true,
            // 3D Slicer hands images over in NRRD files that ITK writes.
            straight: true,
            ..Spacing::new(spacing)
        })
    });
    // With BraTS' four images the script normalises at the end, else the image as it comes.
    let (first, last) = if brats { (Vec::new(), normalize) } else { (normalize, Vec::new()) };
    steps.extend(first);
    steps.extend(crop);
    steps.extend(space);
    steps.extend(last);

    let roi = config.get("roi_size")?;
    let patch = roi.axes(1, Json::count)?;
    if patch.contains(&0) || patch.iter().product::<usize>() > 1 << 30 {
        return Err(roi.wrong("sizes from 1 whose product stays under 2^30"));
    }
    let region = |class, label| Region { class, label };
    let decision = match (flag("sigmoid", false)?, brats) {
        (false, _) => Decision::Highest,
        // Whole tumour, core and enhancing core as BraTS numbers their parts.
        (true, true) if classes == 3 => {
            Decision::Regions { regions: vec![region(0, 2), region(1, 1), region(2, 3)], at_half: true }
        }
        (true, true) => {
            return Err(Error::unsupported(format!("a BraTS model with {classes} classes; 3 are known")));
        }
        // Of other models the script writes the first class only.
        (true, false) => Decision::Regions { regions: vec![region(0, 1)], at_half: true },
    };
    let cleanup = place.contains("whole-head").then_some(Cleanup {
        rule: LargestComponents { labels: None, independent: true, connectivity: 3, components: 2 },
        on_network_grid: false,
    });
    Ok(Recipe {
        reader: Reader::Itk,
        steps,
        tiling: Tiling {
            patch,
            slices: false,
            placement: Placement::Overlapping([OVERLAP; 3]),
            weights: Weights::MonaiGaussian([SIGMA_SCALE; 3]),
            fill: Fill::Constant(0.0),
            sums: Sums::Single,
            mirror: Vec::new(),
        },
        back: Back::Labels,
        decision,
        cleanup: cleanup.into_iter().collect(),
        postprocess: Vec::new(),
    })
}

fn normalize(config: &Json, modes: &[String]) -> Result<Vec<Step>> {
    let bounds = match config.find("intensity_bounds") {
        Some(bounds) => match bounds.list()?[..] {
            [ref low, ref high] => [low.number()?, high.number()?],
            _ => return Err(bounds.wrong("two numbers")),
        },
        None => [0.0, 1.0],
    };
    let mut steps = Vec::new();
    for (channel, mode) in modes.iter().enumerate() {
        let channel = (modes.len() > 1).then_some(channel);
        let rules = MonaiIntensity::auto3dseg(mode, bounds)?;
        steps.extend(rules.into_iter().map(|rule| Step::Intensity { channel, rule }));
    }
    Ok(steps)
}
