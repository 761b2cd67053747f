//! `voxseg info`: what a model says of itself.

use std::io::Write;
use std::path::PathBuf;

use serde_json::Value;
use voxseg::model::{Auto3dsegScript, Fold, ForegroundCrop, Model, ModelOptions};
use voxseg::recipe::{
    BoxSource, Decision, Frame, KeepLargest, Normalization, Resampler, Resize, Size, Spacing, Spline, Step,
};

use crate::counts::thousands;
use crate::failure::Outcome;
use crate::options;

/// Which weights of a model to take; for every command that opens one.
#[derive(Clone, Debug, clap::Args)]
pub struct Weights {
    /// Folds to average: 0,1 or all (the fold trained on everything) [default: every numbered fold]
    #[arg(long, value_name = "FOLDS", value_delimiter = ',', value_parser = options::fold)]
    folds: Option<Vec<Fold>>,
    /// File name of the weights in each fold
    #[arg(long, value_name = "NAME", default_value = "checkpoint_final.pth")]
    checkpoint: String,
    /// Which of several models in the folder or archive: its configuration, or its folder's whole name; of a bundle
    /// its config file
    #[arg(long, value_name = "NAME")]
    configuration: Option<String>,
    /// Turn the foreground's box of an Auto3DSeg model with the image, which its published script doesn't do
    #[arg(long)]
    correct_crop: bool,
    /// Which way of its script an Auto3DSeg model goes: general, brats or whole-head [default: by the network]
    #[arg(long, value_name = "WAY", value_parser = options::auto3dseg)]
    auto3dseg: Option<Auto3dsegScript>,
    /// Memory that opening the model may take, for example 4GiB [default: by the size of its files]
    #[arg(long, value_name = "SIZE", value_parser = options::bytes)]
    model_memory: Option<u64>,
}

impl From<&Weights> for ModelOptions {
    fn from(weights: &Weights) -> Self {
        ModelOptions {
            folds: weights.folds.clone(),
            checkpoint: weights.checkpoint.clone(),
            configuration: weights.configuration.clone(),
            foreground_crop: if weights.correct_crop {
                ForegroundCrop::Corrected
            } else {
                ForegroundCrop::AsPublished
            },
            auto3dseg_script: weights.auto3dseg.unwrap_or_default(),
            memory_budget: weights.model_memory,
            ..ModelOptions::default()
        }
    }
}

/// Which model to describe, and how.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// The model's folder, or its zip archive
    model: PathBuf,
    #[command(flatten)]
    weights: Weights,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Writes a summary of a model.
pub fn info(out: &mut impl Write, arguments: &Arguments) -> Outcome<()> {
    let model = Model::open(&arguments.model, &(&arguments.weights).into())?;
    let about = model.describe();
    if arguments.json {
        writeln!(out, "{about:#}")?;
        return Ok(());
    }
    let text = |key: &str| about[key].as_str().unwrap_or_default().to_owned();
    let recipe = model.recipe();
    let folds = about["folds"].as_u64().unwrap_or(1);
    let each = if folds > 1 { format!(" in each of {folds} folds") } else { String::new() };
    let parameters = thousands(about["parameters"].as_u64().unwrap_or(0));
    let mirror = &recipe.tiling.mirror;
    let mirroring = match mirror.len() {
        0 => "none".into(),
        count => format!("network axes {mirror:?}, {} runs a tile", 1 << count),
    };
    let previous = model.previous_stage().map(|stage| format!("{} ({})", stage.name(), configuration(stage)));
    let rows = [
        ("name", text("name")),
        ("format", text("format")),
        ("configuration", text("configuration")),
        ("trainer", text("trainer")),
        ("architecture", text("architecture")),
        ("parameters", format!("{parameters}{each}")),
        ("work", format!("{:.1} GFLOP a tile", about["gflop_per_tile"].as_f64().unwrap_or(0.0))),
        ("channels", model.channels().join(", ")),
        ("tile", format!("{} voxels, step {}", times(&model.patch()), recipe.tiling.placement.step())),
        ("spacing", spacing(model.spacing())),
        ("NIfTI reader", model.reader().name().into()),
        ("mirroring", mirroring),
        ("decision", decision(&recipe.decision)),
        ("postprocessing", postprocessing(&model)),
        ("previous stage", previous.unwrap_or_else(|| "none".into())),
        ("identity", text("identity")),
    ];
    for (key, value) in rows {
        writeln!(out, "{key:<16}{value}")?;
    }
    for (n, step) in recipe.steps.iter().enumerate() {
        writeln!(out, "{:<16}{}", if n == 0 { "recipe" } else { "" }, describe(step))?;
    }
    writeln!(out, "\n{:>5}  name", "label")?;
    for label in about["labels"].as_array().map_or(&[][..], Vec::as_slice) {
        let value = label["value"].as_u64().unwrap_or(0);
        writeln!(out, "{value:>5}  {}", label["name"].as_str().unwrap_or_default())?;
    }
    Ok(())
}

fn configuration(model: &Model) -> String {
    model.describe()["configuration"].as_str().unwrap_or_default().into()
}

fn times<T: ToString>(numbers: &[T]) -> String {
    numbers.iter().map(T::to_string).collect::<Vec<_>>().join(" × ")
}

fn spacing(spacing: [f64; 3]) -> String {
    let number =
        |value: f64| if value == 0.0 { "the image's".into() } else { format!("{:.4}", Value::from(value)) };
    if spacing == [0.0; 3] { "the image's own".into() } else { format!("{} mm", times(&spacing.map(number))) }
}

fn decision(decision: &Decision) -> String {
    match decision {
        Decision::Highest => "highest score".into(),
        Decision::Regions { regions, threshold, at_half } => {
            let regions: Vec<String> = regions
                .iter()
                .map(|region| format!("class {} gives {}", region.class, region.label))
                .collect();
            let from = if *at_half { format!("from {threshold} on") } else { format!("over {threshold}") };
            format!("regions {from}, later over earlier: {}", regions.join(", "))
        }
    }
}

fn postprocessing(model: &Model) -> String {
    match model.postprocessing() {
        Ok([]) => "none".into(),
        Ok(rules) => rules.iter().map(KeepLargest::describe).collect::<Vec<_>>().join("; "),
        Err(error) => error.to_string(),
    }
}

fn describe(step: &Step) -> String {
    match step {
        Step::Orient { canonical, flip, order } => {
            let ends = if *canonical {
                [["R", "A", "S"], ["L", "P", "I"]]
            } else {
                [["x", "y", "z"], ["-x", "-y", "-z"]]
            };
            let axes = order.map(|axis| ends[usize::from(flip[axis])][axis]);
            let whose = if *canonical { "the patient's" } else { "the image's" };
            format!("{whose} axes in the order {}", axes.join(", "))
        }
        Step::CropToNonzero => "crop margins of zeros".into(),
        Step::Normalize(rules) => {
            format!("normalise: {}", rules.iter().map(normalization).collect::<Vec<_>>().join("; "))
        }
        Step::Resample(resample) => {
            let (image, scores) = (resampler(&resample.image), resampler(&resample.scores));
            format!("resample: image {image}; scores {scores}")
        }
        Step::Intensity { channel, rule } => match channel {
            Some(channel) => format!("channel {channel}: {rule:?}"),
            None => format!("{rule:?}"),
        },
        Step::CropForeground { crop, source, .. } => {
            let place = match source {
                BoxSource::Image => "",
                BoxSource::FirstChannel => " of the first channel",
                BoxSource::Misplaced => {
                    " of the first channel, its box not turned with the image (as published)"
                }
            };
            format!("crop to the foreground with margin {:?}{place}", crop.margin)
        }
        Step::Space(Spacing { pixdim, .. }) => format!("linear to a spacing of {pixdim:?}"),
        Step::Frame { frame, .. } => frame_of(frame),
        Step::Resize(Resize { size: Size::All(shape), .. }) => format!("resize to {shape:?}"),
        Step::Resize(Resize { size: Size::Longest(length), .. }) => {
            format!("resize the longest side to {length}")
        }
        Step::Turn(turn) => format!("turn: axes {:?}, reversed {:?}", turn.axis, turn.flip),
        Step::AddPreviousStage { labels } => {
            format!("add the previous stage's labels {labels:?} as channels")
        }
    }
}

fn frame_of(frame: &Frame) -> String {
    match frame {
        Frame::AtLeast(pad) => format!("pad to {:?}", pad.shape),
        Frame::Divisible { k, .. } => format!("pad to multiples of {k:?}"),
        Frame::Border { below, above } => format!("pad by {below:?} before and {above:?} after"),
        Frame::Center(shape) => format!("crop to {shape:?} around the middle"),
        Frame::Part { start, end } => format!("crop from {start:?} to {end:?}"),
    }
}

fn normalization(rule: &Normalization) -> String {
    match rule {
        Normalization::Ct { lower, upper, mean, std } => {
            format!("clip to {lower} … {upper}, subtract {mean}, divide by {std}")
        }
        Normalization::ZScore { masked: false } => "mean 0, deviation 1".into(),
        Normalization::ZScore { masked: true } => "mean 0, deviation 1 within the nonzero mask".into(),
        Normalization::None => "none".into(),
        Normalization::RescaleTo01 => "to 0 … 1".into(),
        Normalization::RgbTo01 => "divide by 255".into(),
    }
}

fn resampler(resampler: &Resampler) -> String {
    let (name, coarse, separate) = match resampler {
        Resampler::Spline(Spline { orders, separate }) => {
            (format!("order {}", orders.order), format!("order {}", orders.order_z), separate)
        }
        Resampler::Torch { separate, .. } => ("PyTorch linear".into(), "nearest".into(), separate),
        Resampler::None => return "none".into(),
    };
    match separate {
        None => format!("{name} ({coarse} along an axis over three times coarser)"),
        Some(true) => format!("{name} ({coarse} along the coarsest axis)"),
        Some(false) => name,
    }
}
