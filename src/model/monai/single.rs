//! A file of weights with a JSON of the same name beside it, which says what a bundle's config says
//! (`network_def`, `preprocessing`, `inferer`, `postprocessing`), and `channels` and `labels`. Of an ONNX file the
//! network needs no definition.

use super::bundle::{object, transforms};
use super::config::{Config, Value};
use super::{Around, MOST_CLASSES, arguments, build, channels, check_dimensions, fit, labels};
use crate::error::{Error, Result};
use crate::model::files::Files;
use crate::model::inspect::Found;
use crate::model::{About, Model, onnx};
use crate::network::Network;
use crate::network::monai::{Context, from_config};
use crate::recipe::{Decision, Recipe};

/// What the description says of everything but the network.
struct Described {
    config: Config,
    channels: Vec<String>,
    classes: Vec<(usize, String)>,
    recipe: Recipe,
    /// The keys of images that are loaded apart.
    images: Vec<String>,
}

impl Described {
    fn read(files: &Files, description: &str) -> Result<Self> {
        let config = Config::read(files, &[description])?;
        let channels = names(&config, "channels")?;
        let mut classes: Vec<(usize, String)> = Vec::new();
        for (number, name) in entries(&config, "labels")? {
            let wrong = || {
                Error::malformed(description, format!("label `{number}`, expected a number from 0 to 65535"))
            };
            classes.push((number.parse::<u16>().map_err(|_| wrong())?.into(), name));
        }
        classes.sort();

        let (preprocessing_id, before) = transforms(&config, "preprocessing")?;
        let (_, after) = transforms(&config, "postprocessing")?;
        let around = Around {
            file: description,
            preprocessing_id: &preprocessing_id,
            preprocessing: &before,
            inferer: &object(&config, "inferer")?,
            postprocessing: &after,
        };
        let (recipe, images) = around.recipe()?;
        Ok(Described { config, channels, classes, recipe, images })
    }
}

/// What there is to know without the weights.
pub(super) fn inspect(files: &Files, weights: &str, description: &str) -> Result<Found> {
    let Described { config, channels: named, classes, recipe, images } = Described::read(files, description)?;
    let is_onnx = weights.ends_with(".onnx");
    let (mut inputs, mut outputs, mut network) = (named.len(), classes.len(), None);
    if !is_onnx {
        let definition = object(&config, "network_def")?;
        let arguments = arguments(&definition)?;
        let count =
            |name: &str| arguments.get(name).and_then(serde_json::Value::as_u64).map(|it| it as usize);
        inputs = count("in_channels").unwrap_or(inputs);
        outputs = count("out_channels").unwrap_or(outputs);
        let version = version(&config)?;
        let context = Context { file: description, monai_version: version.as_deref() };
        network = from_config(&definition.target, &arguments, &context).err();
    }
    Ok(Found {
        format: format(weights),
        name: if config.has("name") { text(&config, "name")? } else { weights.to_owned() },
        configuration: description.into(),
        channels: channels(&named, &images, inputs.min(MOST_CLASSES), description)?,
        labels: labels(&classes, &recipe.decision, &recipe.cleanup, outputs.clamp(1, MOST_CLASSES)),
        licence: ["licence", "license"]
            .iter()
            .find(|id| config.has(id))
            .map(|id| text(&config, id))
            .transpose()?,
        folds: Vec::new(),
        weights: vec![weights.into()],
        recipe: Some(Ok(recipe)),
        network,
    })
}

fn format(weights: &str) -> &'static str {
    if weights.ends_with(".onnx") { "ONNX" } else { "weights with a description" }
}

fn version(config: &Config) -> Result<Option<String>> {
    if config.has("monai_version") { text(config, "monai_version").map(Some) } else { Ok(None) }
}

pub(super) fn open(files: &Files, weights: &str, description: &str) -> Result<Model> {
    let described = Described::read(files, description)?;
    let Described { config, channels: named_channels, classes, mut recipe, images } = described;
    let version = version(&config)?;
    let (network, architecture) = if weights.ends_with(".onnx") {
        let classes = match &recipe.decision {
            Decision::Highest => classes.len(),
            // Regions have no background of their own.
            Decision::Regions { .. } => classes.iter().filter(|(number, _)| *number != 0).count(),
        };
        if named_channels.is_empty() || classes == 0 {
            let reason = "an ONNX file needs the names of its `channels` and `labels`";
            return Err(Error::malformed(description, reason));
        }
        (Network::onnx(onnx::read(files, weights)?, named_channels.len(), classes), "ONNX".into())
    } else {
        let definition = object(&config, "network_def")?;
        let context = Context { file: description, monai_version: version.as_deref() };
        let network = from_config(&definition.target, &arguments(&definition)?, &context)?;
        check_dimensions(description, &network, &recipe)?;
        let key = if config.has("checkpoint_key") { Some(text(&config, "checkpoint_key")?) } else { None };
        (build(files, weights, key.as_deref(), &network)?, network.name().to_owned())
    };
    network.sizes(recipe.tiling.network_tile())?;
    fit(&mut recipe, network.output_channels(), description)?;
    let about = About {
        name: if config.has("name") { text(&config, "name")? } else { weights.to_owned() },
        format: format(weights),
        configuration: description.into(),
        trainer: String::new(),
        architecture,
        channels: channels(&named_channels, &images, network.input_channels(), description)?,
        labels: labels(&classes, &recipe.decision, &recipe.cleanup, network.output_channels()),
        identity: String::new(),
        unusable_postprocessing: None,
    };
    Ok(Model::new(vec![network], recipe, about, None))
}

fn text(config: &Config, id: &str) -> Result<String> {
    match config.get(id)? {
        Value::Text(text) => Ok(text),
        other => {
            Err(Error::malformed(config.file(), format!("`{id}` is {}, expected text", other.describe())))
        }
    }
}

/// A list of texts; empty where there is none.
fn names(config: &Config, id: &str) -> Result<Vec<String>> {
    if !config.has(id) {
        return Ok(Vec::new());
    }
    let wrong = |found: &Value| {
        Error::malformed(config.file(), format!("`{id}` has {}, expected a list of texts", found.describe()))
    };
    match config.get(id)? {
        Value::List(list) => list
            .into_iter()
            .map(|value| if let Value::Text(text) = value { Ok(text) } else { Err(wrong(&value)) })
            .collect(),
        other => Err(wrong(&other)),
    }
}

/// A dict of texts; empty where there is none.
fn entries(config: &Config, id: &str) -> Result<Vec<(String, String)>> {
    if !config.has(id) {
        return Ok(Vec::new());
    }
    let wrong = |found: &Value| {
        let expected = "names by their numbers, as {\"0\": \"background\"}";
        Error::malformed(config.file(), format!("`{id}` has {}, expected {expected}", found.describe()))
    };
    match config.get(id)? {
        Value::Dict(dict) => dict
            .into_iter()
            .map(
                |(key, value)| {
                    if let Value::Text(text) = value { Ok((key, text)) } else { Err(wrong(&value)) }
                },
            )
            .collect(),
        other => Err(wrong(&other)),
    }
}
