//! MONAI's bundles: configs that create a network and the transforms around it, and a checkpoint.

mod arguments;
mod bundle;
mod class_prompts;
mod config;
mod inferer;
mod metadata;
mod postprocessing;
mod preprocessing;
mod single;
mod weights;

#[cfg(test)]
mod tests;

use serde_json::Map;

use super::files::Files;
use super::inspect::Found;
use super::{About, Model, ModelOptions, nnunet};
use crate::checkpoint::{Checkpoint, Value as Stored};
use crate::error::{Error, Result};
use crate::labels::{Label, Terms, colors};
use crate::network::monai::{Context, MonaiNetwork, from_config};
use crate::network::{Network, StateDict};
use crate::recipe::{Cleanup, Decision, LabelRule, Recipe, Step, Tiling};
use bundle::{Bundle, BundleConfig, NnUnetBundle};
use config::{Component, Value};
use postprocessing::Forward;
use preprocessing::{Chain, base};

/// Transforms that a bundle around an nnU-Net model may have: they load and save.
const HARMLESS: [&str; 7] =
    ["LoadImage", "EnsureChannelFirst", "EnsureType", "ToTensor", "SaveImage", "Decollate", "DecollateBatch"];
/// Labels have two bytes.
const MOST_CLASSES: usize = 1 << 16;
/// Files that an error names.
const MOST_NAMED: usize = 8;
/// Keys under which training tools keep a network's weights beside other things.
const USUAL_KEYS: [&str; 2] = ["model", "state_dict"];

/// Whether the files are a bundle; `config` is the name of a config file other than the usual ones.
pub(super) fn is_bundle(files: &Files, config: Option<&str>) -> bool {
    bundle::find(files, config).is_some()
}

/// Opens a bundle.
pub(super) fn open(files: &Files, options: &ModelOptions) -> Result<Model> {
    let config = options.configuration.as_deref();
    let Some((files, _)) = bundle::find(files, config) else {
        return Err(Error::NotAModel { reason: format!("{} is no bundle", files.title()) });
    };
    match Bundle::read(&files, config)? {
        Bundle::Described(bundle) => described(&files, &bundle, options.classes.as_deref()),
        Bundle::NnUnet(bundle) => wrapped(&files, &bundle),
    }
}

/// What there is to know of a bundle without its weights.
pub(super) fn inspect(files: &Files, options: &ModelOptions) -> Result<(Files, Found)> {
    let config = options.configuration.as_deref();
    let Some((files, _)) = bundle::find(files, config) else {
        return Err(Error::NotAModel { reason: format!("{} is no bundle", files.title()) });
    };
    let found = match Bundle::read(&files, config)? {
        Bundle::NnUnet(bundle) => nnunet::inspect_wrapped(&files, &bundle.folder, &bundle.checkpoint)?,
        Bundle::Described(bundle) => {
            let metadata = &bundle.metadata;
            let context = Context { file: &bundle.file, monai_version: metadata.monai_version.as_deref() };
            let recipe = recipe(&bundle);
            let (decision, cleanup, images) = match &recipe {
                Ok((recipe, images)) => (&recipe.decision, &*recipe.cleanup, &**images),
                Err(_) => (&Decision::Highest, &[][..], &[][..]),
            };
            let arguments = arguments(&bundle.network)?;
            let count =
                |name: &str| arguments.get(name).and_then(serde_json::Value::as_u64).map(|it| it as usize);
            let classes = count("out_channels").unwrap_or(metadata.classes.len()).max(1);
            let asked = bundle.classes.as_ref().map(|classes| classes.chosen(None, &metadata.classes));
            let labels = match asked {
                Some(asked) => class_labels(&metadata.classes, &asked?),
                None => labels(&metadata.classes, decision, cleanup, classes.min(MOST_CLASSES)),
            };
            let clicks = recipe.as_ref().map_or(0, |(recipe, _)| clicks(recipe));
            Found {
                format: "MONAI bundle",
                name: metadata.name.clone().unwrap_or_else(|| files.folder_name().unwrap_or("bundle").into()),
                configuration: bundle.file.clone(),
                channels: channels(
                    &metadata.channels,
                    images,
                    count("in_channels").map_or(metadata.channels.len(), |all| all.saturating_sub(clicks)),
                    &bundle.file,
                )?,
                labels,
                licence: metadata.licence.clone(),
                folds: Vec::new(),
                weights: vec![bundle.checkpoint.clone()],
                network: from_config(&bundle.network.target, &arguments, &context).err(),
                recipe: Some(recipe.map(|(recipe, _)| recipe)),
            }
        }
    };
    Ok((files, found))
}

/// As [`inspect`], for a file of weights with a JSON beside it.
pub(super) fn inspect_described(files: &Files, weights: &str, description: &str) -> Result<Found> {
    single::inspect(files, weights, description)
}

/// Opens a file of weights by the JSON beside it: what a bundle's config says, and `channels` and `labels`.
pub(super) fn open_described(files: &Files, weights: &str, description: &str) -> Result<Model> {
    single::open(files, weights, description)
}

/// Opens an nnU-Net model in a bundle. MONAI's wrapper predicts without mirroring.
fn wrapped(files: &Files, bundle: &NnUnetBundle) -> Result<Model> {
    if let Some((name, _)) = bundle.replaced.first() {
        let what = format!("{}: `{name}` in place of the folder's own file", bundle.file);
        return Err(Error::unsupported(what));
    }
    let own = |transform: &&Component| !HARMLESS.contains(&base(transform.name()));
    let transforms = bundle.preprocessing.iter().chain(&bundle.postprocessing);
    if let Some(transform) = transforms.clone().find(own) {
        let Component { target, id, .. } = transform;
        let what = format!("{}: `{id}`: `{target}` around an nnU-Net model", bundle.file);
        return Err(Error::unsupported(what));
    }
    nnunet::open_wrapped(files, &bundle.folder, &bundle.checkpoint)
}

/// Channels of the network's image that are for clicks.
fn clicks(recipe: &Recipe) -> usize {
    let channels = |step: &Step| if let Step::AddClicks { labels } = step { labels.len() } else { 0 };
    recipe.steps.iter().map(channels).sum()
}

/// The table of the classes that a network is asked for.
fn class_labels(named: &[(usize, String)], classes: &[usize]) -> Vec<Label> {
    let name = |class: usize| named.iter().find(|(number, _)| *number == class).map(|(_, name)| name.clone());
    let asked = classes.iter().enumerate().filter_map(|(at, &class)| Some((at + 1, name(class)?)));
    labels(&asked.collect::<Vec<_>>(), &Decision::Highest, &[numbered(classes)], classes.len() + 1)
}

/// Gives the network's classes the numbers that they were asked for by.
fn numbered(classes: &[usize]) -> Cleanup {
    let pair = |(at, &class): (usize, &usize)| (at as u16 + 1, class as u16);
    Cleanup { rule: LabelRule::Map(classes.iter().enumerate().map(pair).collect()), on_network_grid: true }
}

fn described(files: &Files, bundle: &BundleConfig, wanted: Option<&[String]>) -> Result<Model> {
    let metadata = &bundle.metadata;
    let context = Context { file: &bundle.file, monai_version: metadata.monai_version.as_deref() };
    let arguments = arguments(&bundle.network)?;
    let mut description = from_config(&bundle.network.target, &arguments, &context)?;
    let (mut recipe, images) = recipe(bundle)?;
    let mut asked = None;
    if let (MonaiNetwork::Vista3D(network), Some(prompts)) = (&mut description, &bundle.classes) {
        network.classes = prompts.chosen(wanted, &metadata.classes)?;
        recipe.cleanup.insert(0, numbered(&network.classes));
        asked = Some(network.classes.clone());
    }
    check_dimensions(&bundle.file, &description, &recipe)?;
    let network = build(files, &bundle.checkpoint, bundle.checkpoint_key.as_deref(), &description)?;
    network.sizes(recipe.tiling.network_tile())?;
    fit(&mut recipe, network.output_channels(), &bundle.file)?;
    let inputs = network.input_channels().checked_sub(clicks(&recipe)).filter(|&images| images > 0);
    let inputs = inputs.ok_or_else(|| {
        let reason = format!("a network of {} channels for clicks and images", network.input_channels());
        Error::malformed(&bundle.file, reason)
    })?;
    let about = About {
        name: metadata.name.clone().unwrap_or_else(|| files.folder_name().unwrap_or("bundle").into()),
        format: "MONAI bundle",
        configuration: bundle.file.clone(),
        trainer: metadata.monai_version.as_ref().map_or(String::new(), |version| format!("MONAI {version}")),
        architecture: description.name().into(),
        channels: channels(&metadata.channels, &images, inputs, &bundle.file)?,
        labels: match &asked {
            Some(asked) => class_labels(&metadata.classes, asked),
            None => labels(&metadata.classes, &recipe.decision, &recipe.cleanup, network.output_channels()),
        },
        identity: String::new(),
        unusable_postprocessing: None,
    };
    Ok(Model::new(vec![network], recipe, about, None))
}

/// Builds a network from a checkpoint, or from a safetensors file, which may stand in a checkpoint's place.
fn build(files: &Files, name: &str, key: Option<&str>, description: &MonaiNetwork) -> Result<Network> {
    let safe = name.rsplit_once('.').map(|(stem, _)| format!("{stem}.safetensors"));
    if let Some(safe) = safe.filter(|safe| safe == name || (!files.has(name) && files.has(safe))) {
        let file = files.safetensors(&safe)?;
        return description.build(StateDict::of_safetensors(&file)?);
    }
    // MONAI's export puts a program of TorchScript beside the checkpoint, whose modules hold the same weights.
    let scripted = name.rsplit_once('.').map(|(stem, _)| format!("{stem}.ts"));
    let name = match scripted.as_deref() {
        _ if files.has(name) => name,
        Some(scripted) if files.has(scripted) => scripted,
        _ => return Err(lacks_weights(files, name)),
    };
    let checkpoint = files.checkpoint(name)?;
    let weights = weights_of(&checkpoint, key);
    description.build(StateDict::new(&checkpoint, weights)?)
}

/// What is there in the place of the weights that a config names.
fn lacks_weights(files: &Files, name: &str) -> Error {
    let folder = name.rsplit_once('/').map_or("", |(folder, _)| folder);
    let mut others = files.below(folder).names();
    let weights = [".pt", ".pth", ".ts", ".safetensors", ".onnx", ".ckpt"];
    others.retain(|other| weights.iter().any(|ending| other.ends_with(ending)));
    others.truncate(MOST_NAMED);
    let mut reason = format!("{} has no {name}, where its config says that the weights are", files.title());
    if !others.is_empty() {
        reason.push_str(&format!(
            "; there is {}: name it in a copy of the config (`load_path` of its CheckpointLoader, or `ckpt_path`), \
             which the option `configuration` (--configuration) takes",
            others.join(", ")
        ));
    }
    if let Some(list) = ["large_files.yml", "large_files.yaml"].into_iter().find(|list| files.has(list)) {
        reason.push_str(&format!("; {list} says where it is to be downloaded from"));
    }
    Error::NotAModel { reason }
}

/// What the bundle's config says of everything but the network.
fn recipe(bundle: &BundleConfig) -> Result<(Recipe, Vec<String>)> {
    Around {
        file: &bundle.file,
        preprocessing_id: &bundle.preprocessing_id,
        preprocessing: &bundle.preprocessing,
        inferer: &bundle.inferer,
        postprocessing: &bundle.postprocessing,
    }
    .recipe()
}

/// What a config says happens around the network.
struct Around<'a> {
    file: &'a str,
    preprocessing_id: &'a str,
    preprocessing: &'a [Component],
    inferer: &'a Component,
    postprocessing: &'a [Component],
}

impl Around<'_> {
    /// The recipe, and the keys of the images where several are loaded apart.
    fn recipe(&self) -> Result<(Recipe, Vec<String>)> {
        let Chain { steps, images } = preprocessing::read(self.file, self.preprocessing)?;
        let prompting = preprocessing::prompting(&steps);
        let tiling = inferer::tiling(self.file, self.inferer, preprocessing::fixed_shape(&steps))?;
        let forward = Forward { id: self.preprocessing_id, chain: self.preprocessing };
        let end = postprocessing::read(self.file, self.postprocessing, forward)?;
        let recipe = Recipe {
            reader: preprocessing::reader(self.file, self.preprocessing)?,
            steps,
            tiling,
            restore: end.restore,
            decision: end.decision,
            cleanup: end.cleanup,
            postprocess: Vec::new(),
            prompting,
        };
        Ok((recipe, images))
    }
}

/// The tiles of a volume have three axes and slices two, and so must the network.
fn check_dimensions(file: &str, network: &MonaiNetwork, recipe: &Recipe) -> Result<()> {
    let Tiling { slices, patch, .. } = recipe.tiling;
    if network.spatial_dims() == if slices { 2 } else { 3 } {
        return Ok(());
    }
    let name = network.name();
    Err(Error::unsupported(format!(
        "{file}: {name} with spatial_dims {} for tiles of {patch:?}: MONAI runs two-dimensional networks on slices, with \
         a SliceInferer, and no others",
        network.spatial_dims()
    )))
}

/// Regions are those of the network's classes, and transforms of one label map have one.
fn fit(recipe: &mut Recipe, classes: usize, file: &str) -> Result<()> {
    let Decision::Regions { regions, .. } = &mut recipe.decision else { return Ok(()) };
    // Where the config names none, there are as many as can be.
    if regions.len() == postprocessing::MOST_REGIONS {
        regions.retain(|region| region.class < classes);
    }
    let several = regions.len() > 1;
    let of_one_map = |cleanup: &&Cleanup| !matches!(cleanup.rule, LabelRule::Largest(_));
    if let Some(cleanup) = recipe.cleanup.iter().find(of_one_map).filter(|_| several) {
        let what = format!("{file}: {:?} of {} thresholded channels", cleanup.rule, regions.len());
        return Err(Error::unsupported(what));
    }
    match regions.iter().find(|region| region.class >= classes) {
        None => Ok(()),
        Some(region) => {
            let reason =
                format!("channel {} of a network with {classes} in the postprocessing", region.class);
            Err(Error::malformed(file, reason))
        }
    }
}

/// An object's arguments as the JSON that they were written in.
fn arguments(component: &Component) -> Result<Map<String, serde_json::Value>> {
    let argument = |(name, value): &(String, Value)| Ok((name.clone(), json(value, &component.id)?));
    component.arguments.iter().map(argument).collect()
}

fn json(value: &Value, id: &str) -> Result<serde_json::Value> {
    use serde_json::Value as Json;
    Ok(match value {
        Value::None => Json::Null,
        Value::Bool(value) => (*value).into(),
        Value::Int(value) => (*value).into(),
        Value::Float(value) => (*value).into(),
        Value::Text(text) | Value::Runtime(text) => text.as_str().into(),
        Value::List(list) => list.iter().map(|value| json(value, id)).collect::<Result<Vec<_>>>()?.into(),
        Value::Dict(dict) => {
            let entry = |(key, value): &(String, Value)| Ok((key.clone(), json(value, id)?));
            Json::Object(dict.iter().map(entry).collect::<Result<_>>()?)
        }
        // An object as it would be written.
        Value::Component(object) if !object.callable => {
            let mut members = arguments(object)?;
            members.insert("_target_".into(), object.target.as_str().into());
            Json::Object(members)
        }
        other => {
            return Err(Error::unsupported(format!("`{id}` with an argument that is {}", other.describe())));
        }
    })
}

/// The weights in a checkpoint: under the key that the config names, under a usual one, or all of it.
fn weights_of<'a>(checkpoint: &'a Checkpoint, key: Option<&str>) -> Stored<'a> {
    let root = checkpoint.root();
    if checkpoint.is_program() {
        // Its root is the network, of which a module may be called so.
        return root;
    }
    if let Some(weights) = key.and_then(|key| root.get(key)) {
        return weights;
    }
    let usual = USUAL_KEYS.iter().filter_map(|key| root.get(key)).find(|weights| weights.is_dict());
    usual.unwrap_or(root)
}

/// Names of the network's channels: those of the metadata, else the keys of images that are loaded apart.
fn channels(named: &[String], images: &[String], count: usize, file: &str) -> Result<Vec<String>> {
    if !images.is_empty() && images.len() != count {
        let reason = format!("{} images for a network with {count} channels", images.join(", "));
        return Err(Error::malformed(file, reason));
    }
    let unnamed = |index: usize| match images.get(index) {
        Some(key) => key.clone(),
        None if count == 1 => "image".into(),
        None => format!("image {}", index + 1),
    };
    Ok((0..count).map(|index| named.get(index).cloned().unwrap_or_else(|| unnamed(index))).collect())
}

/// The table of what the network's classes become.
fn labels(named: &[(usize, String)], decision: &Decision, cleanup: &[Cleanup], classes: usize) -> Vec<Label> {
    let name = |class: usize| {
        let found = named.iter().find(|(number, _)| *number == class).map(|(_, name)| name.clone());
        found.unwrap_or_else(|| format!("class {class}"))
    };
    let mut values: Vec<(u32, String)> = match decision {
        Decision::Highest => (0..classes).map(|class| (class as u32, name(class))).collect(),
        Decision::Regions { regions, .. } => {
            let regions = regions.iter().map(|region| (u32::from(region.label), name(region.class)));
            std::iter::once((0, "background".into())).chain(regions).collect()
        }
    };
    if *decision == Decision::Highest && named.iter().all(|(number, _)| *number != 0) {
        values.iter_mut().take(1).for_each(|(_, name)| *name = "background".into());
    }
    for (value, _) in values.iter_mut().filter(|(value, _)| *value > 0) {
        let renamed = |label: u16, cleanup: &Cleanup| cleanup.rule.renamed(label);
        *value = cleanup.iter().fold(*value as u16, renamed).into();
    }
    values.sort_by_key(|(value, _)| *value);
    values.dedup_by_key(|(value, _)| *value);
    let colors = colors(values.len());
    let label = |((value, name), color): ((u32, String), [u8; 3])| {
        let terms = Terms::of_structure(&name);
        Label { value, name, color, terms }
    };
    values.into_iter().zip(colors).map(label).collect()
}
