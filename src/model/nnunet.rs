//! nnU-Net v2's model folders: plans.json, dataset.json and a checkpoint for each fold.

use serde_json::Value as JsonValue;

use super::files::Files;
use super::json::{Json, parse};
use super::{About, Fold, Model, ModelOptions};
use crate::checkpoint::{Checkpoint, Value};
use crate::error::{Error, Result};
use crate::labels::{Label, colors};
use crate::log::{self, Level};
use crate::network::{ConvBlock, Network, PlainConvUNet, StateDict};
use crate::preprocess::normalize::Normalization;
use crate::recipe::{Decision, Recipe, Resample, Resampler, Step, Tiling};

const PLANS: &str = "plans.json";
const DATASET: &str = "dataset.json";

/// Opens a model folder.
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
    let channels = channels(&dataset)?;

    let mirror = mirror_axes(first, configuration.dimensions)?;
    let architecture = architecture(&configuration.json(), &labels, channels.len())?;
    let networks = checkpoints
        .iter()
        .map(|checkpoint| {
            let weights = required(checkpoint, checkpoint.root(), "network_weights")?;
            architecture.build(StateDict::new(checkpoint, weights)?)
        })
        .collect::<Result<Vec<Network>>>()?;
    let recipe = recipe(&plans, &configuration, channels.len(), mirror, labels.decision)?;
    networks[0].sizes(recipe.tiling.patch)?;
    let about = About {
        name: plans.get("dataset_name")?.text()?.into(),
        format: "nnU-Net v2",
        configuration: name.into(),
        trainer: trainer(first),
        architecture: "PlainConvUNet".into(),
        channels,
        labels: labels.table,
        identity: String::new(),
    };
    Ok(Model::new(networks, recipe, about))
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
    let missing = names.iter().find(|name| !files.has(&file(name)));
    if let Some(name) = missing {
        return Err(Error::NotAModel { reason: format!("{} has no {}", files.title(), file(name)) });
    }
    if names.is_empty() {
        let reason = format!("{} has no fold with a {}", files.title(), options.checkpoint);
        return Err(Error::NotAModel { reason });
    }
    names.iter().map(|name| files.checkpoint(&file(name))).collect()
}

fn required<'a>(checkpoint: &Checkpoint, parent: Value<'a>, key: &str) -> Result<Value<'a>> {
    parent
        .get(key)
        .ok_or_else(|| Error::malformed(checkpoint.name(), format!("`{key}` is missing: not a checkpoint of nnU-Net v2")))
}

/// The checkpoint knows its configuration; the folder's name says it too.
fn configuration_name<'a>(files: &'a Files, checkpoint: &'a Checkpoint) -> Result<&'a str> {
    let stored = checkpoint.root().get("init_args").and_then(|args| args.get("configuration")?.as_str());
    let from_folder = || files.folder_name()?.split("__").nth(2);
    stored.or_else(from_folder).ok_or_else(|| {
        Error::malformed(checkpoint.name(), "`init_args.configuration` is missing, and the folder's name doesn't say it")
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
        let reason = format!("`inference_allowed_mirroring_axes` is {}, expected axes below {dimensions}", axes.describe());
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

fn channels(dataset: &Json) -> Result<Vec<String>> {
    let names = match dataset.find("channel_names") {
        Some(names) => names,
        None => dataset.get("modality")?,
    };
    let channels: Vec<String> =
        names.members()?.into_iter().map(|(_, name)| Ok(name.text()?.to_owned())).collect::<Result<_>>()?;
    if channels.is_empty() { Err(names.wrong("at least one channel")) } else { Ok(channels) }
}

/// dataset.json's labels: values or regions.
struct Labels {
    table: Vec<Label>,
    decision: Decision,
    /// Channels of the network's result.
    classes: usize,
}

impl Labels {
    fn read(dataset: &Json) -> Result<Self> {
        let labels = dataset.get("labels")?;
        let mut entries: Vec<(&str, Vec<u32>, bool)> = Vec::new();
        for (name, label) in labels.members()? {
            let value = |json: &Json| match json.count()? {
                value if value <= u16::MAX.into() => Ok(value as u32),
                _ => Err(json.wrong("a label from 0 to 65535")),
            };
            if name == "ignore" {
                continue;
            }
            if label.is_list() {
                let values = label.list()?.iter().map(value).collect::<Result<Vec<u32>>>()?;
                entries.push((name, values, true));
            } else {
                entries.push((name, vec![value(&label)?], false));
            }
        }
        let background = entries.iter().position(|(name, ..)| *name == "background");
        if background.is_none_or(|index| entries[index].1 != [0]) {
            return Err(labels.wrong("`background` with value 0"));
        }
        if entries.iter().any(|(_, values, list)| *list && values.len() > 1) {
            Self::regions(dataset, &labels, &entries)
        } else {
            Self::classes(&labels, &entries)
        }
    }

    fn classes(labels: &Json, entries: &[(&str, Vec<u32>, bool)]) -> Result<Self> {
        let mut named: Vec<(u32, &str)> =
            entries.iter().flat_map(|(name, values, _)| values.iter().map(|&value| (value, *name))).collect();
        named.sort_by_key(|&(value, _)| value);
        named.dedup_by_key(|&mut (value, _)| value);
        if named.iter().enumerate().any(|(index, &(value, _))| index as u32 != value) {
            return Err(labels.wrong("consecutive values from 0"));
        }
        let classes = named.len();
        Ok(Labels { table: table(named), decision: Decision::Highest, classes })
    }

    fn regions(dataset: &Json, labels: &Json, entries: &[(&str, Vec<u32>, bool)]) -> Result<Self> {
        let names: Vec<&str> =
            entries.iter().filter(|(_, values, _)| values[..] != [0]).map(|(name, ..)| *name).collect();
        let order = dataset.get("regions_class_order")?;
        let values = order
            .list()?
            .iter()
            .map(|value| Ok(u16::try_from(value.count()?).map_err(|_| value.wrong("a label up to 65535"))?))
            .collect::<Result<Vec<u16>>>()?;
        if values.len() != names.len() {
            return Err(order.wrong(&format!("one value for each of the {} regions", names.len())));
        }
        let mut named = vec![(0, "background")];
        named.extend(values.iter().zip(&names).map(|(&value, &name)| (u32::from(value), name)));
        named.sort_by_key(|&(value, _)| value);
        if named.windows(2).any(|pair| pair[0].0 == pair[1].0) {
            return Err(labels.wrong("regions with a value of their own each"));
        }
        Ok(Labels { table: table(named), classes: values.len(), decision: Decision::Regions(values) })
    }
}

fn table(named: Vec<(u32, &str)>) -> Vec<Label> {
    let colors = colors(named.len());
    let label = |((value, name), color): ((u32, &str), [u8; 3])| Label { value, name: name.into(), color };
    named.into_iter().zip(colors).map(label).collect()
}

/// One configuration of the plans with all that it inherits.
struct Configuration {
    value: JsonValue,
    dimensions: usize,
}

impl Configuration {
    fn resolve(plans: &Json, name: &str) -> Result<Self> {
        let configurations = plans.get("configurations")?;
        let mut merged = serde_json::Map::new();
        let (mut next, mut seen) = (name.to_owned(), Vec::new());
        loop {
            let entry = configurations.get(&next)?;
            seen.push(next);
            for (key, _) in entry.members()? {
                // A child's entries go before its parent's.
                if !merged.contains_key(key) {
                    merged.insert(key.to_owned(), entry.raw(key));
                }
            }
            let Some(parent) = entry.find("inherits_from") else { break };
            next = parent.text()?.to_owned();
            if seen.contains(&next) {
                return Err(parent.wrong("a parent that doesn't inherit from this configuration"));
            }
        }
        let value = JsonValue::Object(merged);
        let dimensions = Json::new(PLANS, &value).get("patch_size")?.list()?.len();
        if !(2..=3).contains(&dimensions) {
            return Err(Json::new(PLANS, &value).get("patch_size")?.wrong("two or three sizes"));
        }
        Ok(Configuration { value, dimensions })
    }

    fn json(&self) -> Json<'_> {
        Json::new(PLANS, &self.value)
    }
}

/// The network that the plans describe, in the new form (`architecture`) or the old.
fn architecture(configuration: &Json, labels: &Labels, channels: usize) -> Result<PlainConvUNet> {
    let dimensions = configuration.get("patch_size")?.list()?.len();
    let unet = match configuration.find("architecture") {
        Some(architecture) => new_architecture(&architecture, dimensions, labels.classes, channels)?,
        None => old_architecture(configuration, dimensions, labels.classes, channels)?,
    };
    let stages = unet.features.len();
    let lengths = [unet.kernels.len(), unet.strides.len(), unet.encoder_convs.len(), unet.decoder_convs.len() + 1];
    if stages < 2 || lengths.iter().any(|&length| length != stages) {
        let reason = format!("{stages} stages, but lists of {lengths:?} kernels, strides, encoder and decoder convolutions");
        return Err(Error::malformed(PLANS, reason));
    }
    let sizes = unet.kernels.iter().chain(&unet.strides).flatten();
    if unet.kernels.iter().flatten().any(|kernel| kernel % 2 == 0) || sizes.copied().any(|size| size == 0 || size > 64) {
        return Err(Error::unsupported("kernel sizes that are even, or kernels and strides of 0 or over 64"));
    }
    Ok(unet)
}

fn check_class(name: &str) -> Result<()> {
    match name.rsplit('.').next() {
        Some("PlainConvUNet") => Ok(()),
        _ => Err(Error::unsupported(format!("network class {name}; this version builds PlainConvUNet"))),
    }
}

fn new_architecture(json: &Json, dimensions: usize, classes: usize, channels: usize) -> Result<PlainConvUNet> {
    check_class(json.get("network_class_name")?.text()?)?;
    let args = json.get("arch_kwargs")?;
    let stages = args.get("n_stages")?.count()?;
    let counts = |key: &str, length: usize| -> Result<Vec<usize>> {
        let value = args.get(key)?;
        if value.is_list() { value.list()?.iter().map(Json::count).collect() } else { Ok(vec![value.count()?; length]) }
    };
    let per_stage = |key: &str| -> Result<Vec<[usize; 3]>> {
        let value = args.get(key)?;
        if value.is_list() {
            value.list()?.iter().map(|stage| sizes(stage, dimensions)).collect()
        } else {
            Ok(vec![sizes(&value, dimensions)?; stages])
        }
    };
    let expect = |key: &str, accepted: &[&str]| -> Result<()> {
        let value = args.get(key)?;
        let name = value.text()?;
        match name.rsplit('.').next() {
            Some(last) if accepted.contains(&last) => Ok(()),
            _ => Err(Error::unsupported(format!("{key} {name}; this version runs {}", accepted.join(", ")))),
        }
    };
    expect("conv_op", if dimensions == 2 { &["Conv2d"] } else { &["Conv3d"] })?;
    expect("norm_op", if dimensions == 2 { &["InstanceNorm2d"] } else { &["InstanceNorm3d"] })?;
    expect("nonlin", &["LeakyReLU"])?;
    let norm = args.find("norm_op_kwargs");
    let norm = |key: &str| norm.as_ref().and_then(|norm| norm.find(key));
    let slope = args.find("nonlin_kwargs").and_then(|nonlin| nonlin.find("negative_slope"));
    let block = ConvBlock {
        dimensions,
        bias: args.get("conv_bias")?.boolean()?,
        epsilon: norm("eps").map_or(Ok(1e-5), |eps| eps.number())? as f32,
        affine: norm("affine").map_or(Ok(false), |affine| affine.boolean())?,
        slope: slope.map_or(Ok(0.01), |slope| slope.number())? as f32,
        dropout: args.find("dropout_op").is_some(),
        activation_first: args.find("nonlin_first").map_or(Ok(false), |first| first.boolean())?,
    };
    Ok(PlainConvUNet {
        input_channels: channels,
        classes,
        features: counts("features_per_stage", stages)?,
        kernels: per_stage("kernel_sizes")?,
        strides: per_stage("strides")?,
        encoder_convs: counts("n_conv_per_stage", stages)?,
        decoder_convs: counts("n_conv_per_stage_decoder", stages.saturating_sub(1))?,
        block,
    })
}

/// Sizes along the network's axes; a single number serves all axes that there are.
fn sizes(json: &Json, dimensions: usize) -> Result<[usize; 3]> {
    let mut sizes = json.axes(1, Json::count)?;
    if dimensions == 2 {
        sizes[0] = 1;
    }
    Ok(sizes)
}

fn old_architecture(json: &Json, dimensions: usize, classes: usize, channels: usize) -> Result<PlainConvUNet> {
    check_class(json.get("UNet_class_name")?.text()?)?;
    let counts = |key: &str| json.get(key)?.list()?.iter().map(Json::count).collect::<Result<Vec<usize>>>();
    let per_stage = |key: &str| {
        json.get(key)?.list()?.iter().map(|stage| sizes(stage, dimensions)).collect::<Result<Vec<[usize; 3]>>>()
    };
    let encoder_convs = counts("n_conv_per_stage_encoder")?;
    let (base, most) = (json.get("UNet_base_num_features")?.count()?, json.get("unet_max_num_features")?.count()?);
    Ok(PlainConvUNet {
        input_channels: channels,
        classes,
        features: (0..encoder_convs.len()).map(|stage| (base << stage.min(30)).min(most)).collect(),
        kernels: per_stage("conv_kernel_sizes")?,
        strides: per_stage("pool_op_kernel_sizes")?,
        encoder_convs,
        decoder_convs: counts("n_conv_per_stage_decoder")?,
        block: ConvBlock {
            dimensions,
            bias: true,
            epsilon: 1e-5,
            affine: true,
            slope: 0.01,
            dropout: false,
            activation_first: false,
        },
    })
}

fn recipe(
    plans: &Json,
    configuration: &Configuration,
    channels: usize,
    mirror: Vec<usize>,
    decision: Decision,
) -> Result<Recipe> {
    let json = configuration.json();
    if let Some(stage) = json.find("previous_stage") {
        let what = format!("a cascade (previous stage {}); this version runs single stages", stage.text()?);
        return Err(Error::unsupported(what));
    }
    let preprocessor = json.get("preprocessor_name")?.text()?;
    if preprocessor != "DefaultPreprocessor" {
        return Err(Error::unsupported(format!("preprocessor {preprocessor}; this version runs DefaultPreprocessor")));
    }
    let transpose = plans.get("transpose_forward")?;
    let order = transpose.axes(0, Json::count)?;
    if (0..3).any(|axis| !order.contains(&axis)) {
        return Err(transpose.wrong("a permutation of 0, 1, 2"));
    }
    let reader = plans.get("image_reader_writer")?.text()?;
    let canonical = match reader {
        "SimpleITKIO" | "NibabelIO" => false,
        "NibabelIOWithReorient" | "SimpleITKIOWithReorient" => true,
        _ => return Err(Error::unsupported(format!("image reader {reader}; this version reads volumes"))),
    };
    let spacing = json.get("spacing")?;
    let positive = |json: &Json| match json.number()? {
        number if number > 0.0 => Ok(Some(number)),
        _ => Err(json.wrong("a positive number")),
    };
    let resample = Resample {
        spacing: spacing.axes(None, positive)?,
        image: resampler(&json, "resampling_fn_data", 3)?,
        scores: resampler(&json, "resampling_fn_probabilities", 1)?,
    };
    let patch = json.get("patch_size")?;
    let sizes = patch.axes(1, Json::count)?;
    if sizes.contains(&0) || sizes.iter().product::<usize>() > 1 << 30 {
        return Err(patch.wrong("sizes from 1 whose product stays under 2^30"));
    }
    Ok(Recipe {
        steps: vec![
            Step::Orient { canonical, transpose: order },
            Step::CropToNonzero,
            Step::Normalize(normalizations(plans, &json, channels)?),
            Step::Resample(resample),
        ],
        tiling: Tiling { patch: sizes, slices: configuration.dimensions == 2, step: 0.5, mirror },
        decision,
    })
}

fn resampler(configuration: &Json, key: &str, order: u8) -> Result<Resampler> {
    let name = configuration.find(key).map_or(Ok("resample_data_or_seg_to_shape"), |name| name.text())?;
    if name != "resample_data_or_seg_to_shape" {
        return Err(Error::unsupported(format!("{key} {name}; this version runs resample_data_or_seg_to_shape")));
    }
    let arguments = configuration.find(&format!("{key}_kwargs"));
    let argument = |key: &str| arguments.as_ref().and_then(|arguments| arguments.find(key));
    let small = |json: Json| Ok(json.count()?.min(255) as u8);
    Resampler::new(
        argument("order").map_or(Ok(order), small)?,
        argument("order_z").map_or(Ok(0), small)?,
        argument("force_separate_z").map(|force| force.boolean()).transpose()?,
    )
}

fn normalizations(plans: &Json, configuration: &Json, channels: usize) -> Result<Vec<Normalization>> {
    let schemes = configuration.get("normalization_schemes")?;
    let masks = configuration.get("use_mask_for_norm")?;
    let (names, masked) = (schemes.list()?, masks.list()?);
    if names.len() != channels || masked.len() != channels {
        return Err(schemes.wrong(&format!("one entry for each of the {channels} channels, as in use_mask_for_norm")));
    }
    let statistics = ["foreground_intensity_properties_per_channel", "foreground_intensity_properties_by_modality"]
        .iter()
        .find_map(|key| plans.find(key));
    let scheme = |(channel, (name, mask)): (usize, (&Json, &Json))| {
        Ok(match name.text()? {
            "CTNormalization" => {
                let properties = statistics.as_ref().and_then(|all| all.find(&channel.to_string()));
                let properties = properties.ok_or_else(|| name.wrong("intensity properties of this channel in the plans"))?;
                let value = |key: &str| Ok::<f32, Error>(properties.get(key)?.number()? as f32);
                Normalization::Ct {
                    lower: value("percentile_00_5")?,
                    upper: value("percentile_99_5")?,
                    mean: value("mean")?,
                    std: value("std")?,
                }
            }
            "ZScoreNormalization" => Normalization::ZScore { masked: mask.boolean()? },
            "NoNormalization" => Normalization::None,
            "RescaleTo01Normalization" => Normalization::RescaleTo01,
            "RGBTo01Normalization" => Normalization::RgbTo01,
            other => return Err(Error::unsupported(format!("normalisation {other}"))),
        })
    };
    names.iter().zip(&masked).enumerate().map(scheme).collect()
}
