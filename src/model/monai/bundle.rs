//! Reads a bundle: its configs and metadata become the objects that make up the
//! inference, their arguments resolved.

use serde_json::Value as Raw;

use super::arguments::{Argument, Arguments};
use super::class_prompts::ClassPrompts;
use super::config::{Component, Config, Value, parse};
use super::metadata::{METADATA, Metadata};
use super::weights::Weights;
use crate::error::{Error, Result};
use crate::model::files::{Files, inside};

/// Config files that a bundle runs with unless told otherwise.
const CONFIGS: [&str; 3] = ["configs/inference.json", "configs/inference.yaml", "configs/inference.yml"];
/// What the nnU-Net networks of MONAI are called.
const NNUNET: [&str; 2] = ["get_nnunet_monai_predictor", "ModelnnUNetWrapper"];
/// Their arguments that replace what is in nnU-Net's files.
const REPLACED: [&str; 3] = ["nnunet_config", "plans", "dataset_json"];

/// What a bundle holds.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Bundle {
    /// A network and the transforms around it, all described by the config.
    Described(Box<BundleConfig>),
    /// A model that nnU-Net's predictor runs.
    NnUnet(Box<NnUnetBundle>),
}

/// A network and what happens around it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct BundleConfig {
    /// The config's name, for error texts.
    pub(super) file: String,
    pub(super) network: Component,
    /// The id of the preprocessing as a whole: what its inverse refers to has this id.
    pub(super) preprocessing_id: String,
    pub(super) preprocessing: Vec<Component>,
    pub(super) inferer: Component,
    pub(super) postprocessing: Vec<Component>,
    /// The file with the weights in the bundle.
    pub(super) checkpoint: String,
    /// The key of the weights in that file, if it has this key.
    pub(super) checkpoint_key: Option<String>,
    /// Whether the network runs in half precision where the device has it.
    pub(super) amp: bool,
    pub(super) metadata: Metadata,
    /// For a network that is asked for classes.
    pub(super) classes: Option<ClassPrompts>,
}

/// The files of an nnU-Net model in a bundle, as MONAI's `nnunet_bundle` places them.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct NnUnetBundle {
    /// The config's name, for error texts.
    pub(super) file: String,
    /// The folder in the bundle that has plans.json, dataset.json and nnunet_checkpoint.pth.
    pub(super) folder: String,
    /// The file in the bundle with `network_weights`.
    pub(super) checkpoint: String,
    /// Contents that the config gives in place of the folder's files: `nnunet_config` for the checkpoint's,
    /// `plans` and `dataset_json`.
    pub(super) replaced: Vec<(String, Value)>,
    pub(super) preprocessing: Vec<Component>,
    pub(super) postprocessing: Vec<Component>,
    pub(super) metadata: Metadata,
}

/// The folder of the bundle in a model's files and its config: these files themselves, or the only folder
/// below them that has such a config.
pub(super) fn find(files: &Files, config: Option<&str>) -> Option<(Files, String)> {
    let given = config.and_then(inside);
    let names: Vec<String> = match (config, given) {
        (None, _) => CONFIGS.map(str::to_owned).into(),
        (_, Some(name)) => vec![format!("configs/{name}"), name],
        _ => Vec::new(),
    };
    let mut found = names.iter().filter(|name| files.has(name)).map(|name| (files.clone(), name.clone()));
    found.next().or_else(|| {
        names.iter().find_map(|name| match &files.folders_with(name)[..] {
            [only] => Some((only.clone(), name.clone())),
            _ => None,
        })
    })
}

impl Bundle {
    /// Reads the bundle with its config for inference, or with the one of a name, in `configs` or elsewhere.
    pub(super) fn read(files: &Files, config: Option<&str>) -> Result<Self> {
        let Some((files, name)) = find(files, config) else {
            let names = config.map_or_else(|| CONFIGS.join(", "), str::to_owned);
            return Err(Error::NotAModel { reason: format!("{} has none of {names}", files.title()) });
        };
        let mut config = Config::read(&files, &[&name])?;
        // The config's own root is where its author kept the bundle.
        config.set("bundle_root", ".".into());
        let metadata = if files.has(METADATA) {
            let raw = parse(&files, METADATA)?;
            let metadata = Metadata::read(&raw)?;
            // Scripts read it as a file.
            if config.raw("metadata").and_then(Raw::as_str).is_some_and(|text| text.starts_with("$json.load"))
            {
                config.set("metadata", raw.clone());
            }
            config.set("_meta_", raw);
            metadata
        } else {
            Metadata::default()
        };
        let network = object(&config, if config.has("network_def") { "network_def" } else { "network" })?;
        let (preprocessing_id, preprocessing) = transforms(&config, "preprocessing")?;
        let inferer = object(&config, "inferer")?;
        let (_, postprocessing) = transforms(&config, "postprocessing")?;
        if NNUNET.contains(&network.name()) {
            let (folder, checkpoint) = nnunet_files(&name, &network)?;
            let replaced = network.arguments.into_iter();
            let replaced =
                replaced.filter(|(key, value)| REPLACED.contains(&key.as_str()) && *value != Value::None);
            let replaced = replaced.collect();
            let bundle = NnUnetBundle {
                file: name,
                folder,
                checkpoint,
                replaced,
                preprocessing,
                postprocessing,
                metadata,
            };
            return Ok(Bundle::NnUnet(bundle.into()));
        }
        let weights = Weights::find(&config)?;
        let amp = "evaluator::amp";
        let amp = if config.has(amp) { config.get(amp)?.is_truthy() } else { false };
        let classes = ClassPrompts::read(&config, &preprocessing)?;
        Ok(Bundle::Described(Box::new(BundleConfig {
            classes,
            network,
            preprocessing_id,
            preprocessing,
            inferer,
            postprocessing,
            checkpoint: weights.file,
            checkpoint_key: weights.key,
            amp,
            metadata,
            file: name,
        })))
    }
}

/// An object whose arguments are all known.
pub(super) fn object(config: &Config, id: &str) -> Result<Component> {
    let value = config.get(id)?;
    if let Some(what) = value.unsupported() {
        return Err(Error::unsupported(what));
    }
    match value {
        Value::Component(component) => Ok(*component),
        other => Err(Error::malformed(
            config.file(),
            format!("`{id}` is {}, expected an object with a `_target_`", other.describe()),
        )),
    }
}

/// The transforms of a chain in their order, chains within it unrolled, and the id of the whole.
pub(super) fn transforms(config: &Config, id: &str) -> Result<(String, Vec<Component>)> {
    let mut chain = Vec::new();
    let value = config.get(id)?;
    let whole = if let Value::Component(component) = &value { component.id.clone() } else { id.to_owned() };
    unroll(config.file(), id, value, &mut chain)?;
    Ok((whole, chain))
}

fn unroll(file: &str, id: &str, value: Value, chain: &mut Vec<Component>) -> Result<()> {
    match value {
        Value::None => Ok(()),
        Value::List(list) => list.into_iter().try_for_each(|value| unroll(file, id, value, chain)),
        Value::Component(compose) if compose.name() == "Compose" => {
            let known = ["transforms", "map_items", "unpack_items", "log_stats", "lazy"];
            let arguments = Arguments::new(file, &compose, &known)?;
            // A lazy chain resamples once for all its steps, which gives other values.
            if let Some(lazy) = arguments.find("lazy")
                && lazy.boolean()?
            {
                return Err(Error::unsupported(format!("{file}: `{}` is lazy", compose.id)));
            }
            let transforms = compose.arguments.into_iter().find(|(name, _)| name == "transforms");
            unroll(file, &compose.id, transforms.map_or(Value::None, |(_, value)| value), chain)
        }
        Value::Component(transform) => {
            chain.push(*transform);
            Ok(())
        }
        other => {
            let reason = format!("`{id}` has {}, expected an object with a `_target_`", other.describe());
            Err(Error::malformed(file, reason))
        }
    }
}

/// The folder with nnU-Net's files and the file with its weights.
fn nnunet_files(file: &str, network: &Component) -> Result<(String, String)> {
    let known = ["predictor", "model_folder", "model_name", REPLACED[0], REPLACED[1], REPLACED[2]];
    let arguments = Arguments::new(file, network, &known)?;
    let folder = arguments.get("model_folder")?;
    let wrong = || folder.wrong("a folder in a folder of the bundle");
    let path = inside(folder.text()?).ok_or_else(wrong)?;
    // MONAI looks for nnU-Net's files beside the folder of the weights.
    let (parent, _) = path.rsplit_once('/').ok_or_else(wrong)?;
    let name = arguments.get_or("model_name", "model.pt", Argument::text)?;
    let checkpoint = inside(&format!("{path}/{name}")).ok_or_else(wrong)?;
    Ok((parent.to_owned(), checkpoint))
}
