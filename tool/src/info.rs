//! `voxseg info`: what a model says of itself.

use std::io::Write;
use std::path::PathBuf;

use serde_json::Value;
use voxseg::model::{Auto3dsegScript, Fold, ForegroundCrop, Model, ModelOptions};

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
    /// Classes to segment with VISTA3D, numbers or names: 3,14,liver [default: all that its config lists]
    #[arg(long, value_name = "CLASSES", value_delimiter = ',')]
    classes: Option<Vec<String>>,
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
            classes: weights.classes.clone(),
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

/// Writes a summary of a model: the main things of its description, and its recipe step by step.
pub fn info(out: &mut impl Write, arguments: &Arguments) -> Outcome<()> {
    let model = Model::open(&arguments.model, &(&arguments.weights).into())?;
    let about = model.describe();
    if arguments.json {
        writeln!(out, "{about:#}")?;
        return Ok(());
    }
    let recipe = &about["recipe"];
    let folds = about["folds"].as_u64().unwrap_or(1);
    let each = if folds > 1 { format!(" in each of {folds} folds") } else { String::new() };
    let parameters = thousands(about["parameters"].as_u64().unwrap_or(0));
    let mirroring = match elements(&about["mirror_axes"]) {
        [] => "none".into(),
        axes => format!("network axes {}, {} runs a tile", settings(&about["mirror_axes"]), 1 << axes.len()),
    };
    let previous = match &about["previous_stage"] {
        Value::Null => "none".into(),
        stage => format!("{} ({})", settings(&stage["name"]), settings(&stage["configuration"])),
    };
    let postprocessing = match (&about["unusable_postprocessing"], elements(&recipe["postprocessing"])) {
        (Value::String(reason), _) => reason.clone(),
        (_, []) => "none".into(),
        (_, rules) => rules.iter().map(settings).collect::<Vec<_>>().join("; "),
    };
    let rows = [
        ("name", settings(&about["name"])),
        ("format", settings(&about["format"])),
        ("configuration", settings(&about["configuration"])),
        ("trainer", settings(&about["trainer"])),
        ("architecture", settings(&about["architecture"])),
        ("parameters", format!("{parameters}{each}")),
        ("work", format!("{:.1} GFLOP a tile", about["gflop_per_tile"].as_f64().unwrap_or(0.0))),
        ("channels", model.channels().join(", ")),
        ("tile", format!("{} voxels, step {}", times(&model.patch()), settings(&about["step"]))),
        ("spacing", spacing(model.spacing())),
        ("NIfTI reader", model.reader().name().into()),
        ("mirroring", mirroring),
        ("decision", settings(&recipe["decision"])),
        ("postprocessing", postprocessing),
        ("previous stage", previous),
        ("identity", settings(&about["identity"])),
    ];
    for (key, value) in rows {
        writeln!(out, "{key:<16}{value}")?;
    }
    for (n, step) in elements(&recipe["steps"]).iter().enumerate() {
        writeln!(out, "{:<16}{}", if n == 0 { "recipe" } else { "" }, settings(step))?;
    }
    writeln!(out, "\n{:>5}  name", "label")?;
    for label in elements(&about["labels"]) {
        writeln!(out, "{:>5}  {}", settings(&label["value"]), settings(&label["name"]))?;
    }
    Ok(())
}

fn elements(list: &Value) -> &[Value] {
    list.as_array().map_or(&[], Vec::as_slice)
}

fn times<T: ToString>(numbers: &[T]) -> String {
    numbers.iter().map(T::to_string).collect::<Vec<_>>().join(" × ")
}

fn spacing(spacing: [f64; 3]) -> String {
    let number =
        |value: f64| if value == 0.0 { "the image's".into() } else { format!("{:.4}", Value::from(value)) };
    if spacing == [0.0; 3] { "the image's own".into() } else { format!("{} mm", times(&spacing.map(number))) }
}

/// A part of a description in one line: what it is first (the step, the rule), then its settings by name; those that
/// are null aren't set.
fn settings(part: &Value) -> String {
    match part {
        Value::String(text) => text.clone(),
        Value::Array(list) => match list.as_slice() {
            [Value::Object(_)] => settings(&list[0]),
            list => format!("[{}]", list.iter().map(settings).collect::<Vec<_>>().join(", ")),
        },
        Value::Object(fields) => {
            let kinds = ["step", "rule"].iter().filter_map(|kind| fields.get(*kind)?.as_str());
            let kind: Vec<String> = kinds.map(|name| name.replace('_', " ")).collect();
            let set =
                fields.iter().filter(|(name, value)| !value.is_null() && *name != "step" && *name != "rule");
            let set: Vec<String> = set.map(|(name, value)| setting(name, value)).collect();
            let between = if kind.is_empty() || set.is_empty() { "" } else { ": " };
            format!("{}{between}{}", kind.concat(), set.join(", "))
        }
        value => value.to_string(),
    }
}

fn setting(name: &str, value: &Value) -> String {
    let name = name.replace('_', " ");
    match value {
        Value::Object(_) => format!("{name} ({})", settings(value)),
        value => format!("{name} {}", settings(value)),
    }
}
