//! What a published model is: files become networks, a recipe and a label table. Only this folder knows the
//! formats; after it there are recipes and networks.

mod auto3dseg;
mod files;
mod form;
mod identity;
mod inspect;
mod json;
mod kinds;
mod monai;
mod nnunet;
mod onnx;
pub mod task;

use std::path::Path;
use std::sync::Arc;

use serde_json::json;
use sha2::{Digest, Sha256};

use crate::error::{Error, Result};
use crate::file::Budget;
pub use crate::file::{Bytes, open as open_file, read as read_file};
use crate::floating_point::Ours;
use crate::labels::Label;
use crate::network::Network;
use crate::nifti::Reader;
use crate::progress::{Cancel, Stage, Watch};
use crate::recipe::{KeepLargest, PromptKind, Recipe, RestoreMode};
use files::Files;
pub use inspect::{Inspection, inspect};

/// The network whose classes are chosen when it is opened.
const ASKED_FOR_CLASSES: &str = "VISTA3D";

/// A trained fold of a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fold {
    /// `fold_0`, `fold_1` and so on.
    Number(u32),
    /// `fold_all`.
    All,
}

/// How to open a model.
#[derive(Clone, Debug)]
pub struct ModelOptions {
    /// The folds to average; `None`: every numbered fold that is there.
    pub folds: Option<Vec<Fold>>,
    /// File name of the weights in each fold's folder.
    pub checkpoint: String,
    /// Which of several models in a folder or an archive: a folder's whole name, or the configuration at its
    /// end; of a MONAI bundle the name of its config file. `None`: the only one, and a bundle's
    /// `inference` config.
    pub configuration: Option<String>,
    /// For VISTA3D: the classes to segment, by their numbers or names. `None`: all that its config lists.
    pub classes: Option<Vec<String>>,
    /// How Auto3DSeg models crop to the foreground.
    pub foreground_crop: ForegroundCrop,
    /// Which way of SlicerMONAIAuto3DSeg's script an Auto3DSeg model goes.
    pub auto3dseg_script: Auto3dsegScript,
    /// Bytes of memory that opening may take at one time. `None`: 128 MiB, and 16 bytes for each byte of the files that
    /// are opened (docs/models.md).
    pub memory_budget: Option<u64>,
    /// Stops opening within a piece of a file.
    pub cancel: Cancel,
    /// Is told how many of the files' bytes were read.
    pub watch: Watch,
}

/// How Auto3DSeg models crop to the foreground.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ForegroundCrop {
    /// As SlicerMONAIAuto3DSeg's script does it: the box is found before the image is reoriented, and used
    /// after. Images along the patient's axes get the right box; others may lose foreground.
    #[default]
    AsPublished,
    /// The box turns with the image.
    Corrected,
}

impl ModelOptions {
    fn budget(&self) -> Budget {
        Budget::watched(self.memory_budget, self.cancel.clone(), self.watch.clone())
    }
}

/// The ways that SlicerMONAIAuto3DSeg's script knows. It tells them apart by words in the path of the model, which
/// isn't looked at here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Auto3dsegScript {
    /// [`Auto3dsegScript::Brats`] for a network of four images and three regions that overlap, else
    /// [`Auto3dsegScript::General`].
    #[default]
    FromModel,
    /// Each image is normalised as it comes.
    General,
    /// Images are normalised when they have the network's spacing, and regions become BraTS' labels: the path has
    /// "brats".
    Brats,
    /// The two largest components of each label are kept: the path has "whole-head".
    WholeHead,
}

impl Default for ModelOptions {
    fn default() -> Self {
        ModelOptions {
            folds: None,
            checkpoint: "checkpoint_final.pth".into(),
            configuration: None,
            classes: None,
            foreground_crop: ForegroundCrop::default(),
            auto3dseg_script: Auto3dsegScript::default(),
            memory_budget: None,
            cancel: Cancel::new(),
            watch: Watch::default(),
        }
    }
}

/// An opened model. Clones share the weights.
#[derive(Clone, Debug)]
pub struct Model {
    pub(crate) networks: Vec<Arc<Network>>,
    pub(crate) recipe: Arc<Recipe>,
    pub(crate) previous: Option<Arc<Model>>,
    members: Vec<Model>,
    about: Arc<About>,
}

/// What a model says of itself.
#[derive(Debug)]
struct About {
    name: String,
    format: &'static str,
    configuration: String,
    trainer: String,
    architecture: String,
    channels: Vec<String>,
    labels: Vec<Label>,
    identity: String,
    /// Why the postprocessing that comes with the model can't be applied.
    unusable_postprocessing: Option<Error>,
}

impl Model {
    /// Opens a model's folder, or a zip archive with it; its files tell the kind:
    /// - nnU-Net v2: the folder `<trainer>__<plans>__<configuration>`, a folder of such folders, or an archive as
    ///   `nnUNetv2_export_model_to_zip` writes it. Where there are several, [`ModelOptions::configuration`] chooses.
    /// - nnInteractive: such a folder with `inference_info.json` or `inference_session_class.json`, for a session.
    /// - A MONAI bundle: `configs/inference.json` (or `.yaml`) and a checkpoint.
    /// - Auto3DSeg, as 3D Slicer's extension distributes it: `model.pt` and `labels.csv`.
    ///
    /// Or a file of weights (`.pt`, `.safetensors`, `.onnx`) with a JSON of the same name beside it that says what
    /// happens around it (docs/models.md).
    ///
    /// # Errors
    /// [`crate::Error::NotAModel`] when it isn't one, or what is wrong with its files; [`crate::Error::Refused`] for
    /// files that take more than [`ModelOptions::memory_budget`]; [`crate::Error::Cancelled`].
    pub fn open(path: &Path, options: &ModelOptions) -> Result<Self> {
        let _ours = Ours::enter();
        let model = Self::read(path, options)?;
        model.check_classes(options)?;
        options.watch.finish(Stage::Open)?;
        Ok(model)
    }

    /// Refuses classes for a network that isn't asked for any.
    fn check_classes(&self, options: &ModelOptions) -> Result<()> {
        match &options.classes {
            Some(classes) if self.about.architecture != ASKED_FOR_CLASSES => {
                let found = crate::file::shorten(&classes.join(", "));
                Err(Error::argument("classes", found, "none: this model always gives all of its labels"))
            }
            _ => Ok(()),
        }
    }

    /// As [`Model::open`], as one of several.
    fn read(path: &Path, options: &ModelOptions) -> Result<Self> {
        let budget = options.budget();
        if let Some((files, weights, description)) = Files::described_at(path, &budget) {
            return monai::open_described(&files, &weights, &description);
        }
        match Files::open(path, &budget) {
            Ok(files) if files.is_checkpoint() => Err(kinds::unknown_checkpoint(path, &budget)),
            Ok(files) => open(&files, &path.to_string_lossy(), options),
            Err(Error::NotAModel { .. }) if path.is_file() => Err(kinds::unknown_file(path, &budget)),
            Err(error) => Err(error),
        }
    }

    /// As [`Model::open`], for files in memory: names within the folder with `/`, and contents.
    ///
    /// # Errors
    /// As [`Model::open`].
    pub fn from_files(files: Vec<(String, Bytes)>, options: &ModelOptions) -> Result<Self> {
        let _ours = Ours::enter();
        let model = open(&Files::memory_within(files, &options.budget()), "", options)?;
        model.check_classes(options)?;
        options.watch.finish(Stage::Open)?;
        Ok(model)
    }

    /// An ensemble: the members' probabilities are averaged on the volume's grid, as `nnUNetv2_ensemble` does it.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for no members, members that are ensembles, and members whose channels, labels
    /// or way to decide differ.
    pub fn ensemble(members: &[Model]) -> Result<Self> {
        let Some((last, others)) = members.split_last() else {
            return Err(Error::argument("members", "no model", "one or more"));
        };
        if others.is_empty() {
            return Ok(last.clone());
        }
        if let Some(nested) = members.iter().find(|member| !member.members.is_empty()) {
            let found = format!("{}, which is an ensemble", nested.name());
            return Err(Error::argument("members", found, "single models"));
        }
        if let Some(other) = members.iter().find(|member| member.recipe.restore != RestoreMode::Scores) {
            let found = format!("{}, a {} model", other.name(), other.about.format);
            return Err(Error::argument("members", found, "models whose scores are brought back: nnU-Net's"));
        }
        for other in others {
            let differs = |what: &str| {
                let found = format!("{} and {} with different {what}", other.name(), last.name());
                Err(Error::argument("members", found, "models of the same dataset"))
            };
            if other.channels() != last.channels() {
                return differs("channels");
            }
            if other.labels() != last.labels() || other.recipe.decision != last.recipe.decision {
                return differs("labels");
            }
        }
        let join = |of: fn(&About) -> &String| {
            let mut names: Vec<&str> = members.iter().map(|member| of(&member.about).as_str()).collect();
            names.dedup();
            names.join(" + ")
        };
        let about = About {
            name: join(|about| &about.name),
            format: last.about.format,
            configuration: join(|about| &about.configuration),
            trainer: join(|about| &about.trainer),
            architecture: join(|about| &about.architecture),
            channels: last.about.channels.clone(),
            labels: last.about.labels.clone(),
            identity: identity::of_ensemble(members),
            unusable_postprocessing: None,
        };
        // Each member's postprocessing was found for that member alone.
        let recipe = Recipe { postprocess: Vec::new(), ..(*last.recipe).clone() };
        Ok(Model {
            recipe: Arc::new(recipe),
            about: Arc::new(about),
            members: others.to_vec(),
            ..last.clone()
        })
    }

    fn new(networks: Vec<Network>, recipe: Recipe, mut about: About, previous: Option<Model>) -> Self {
        about.identity = identity::of_model(&networks, &recipe, previous.as_ref());
        let networks = networks.into_iter().map(Arc::new).collect();
        Model {
            networks,
            recipe: Arc::new(recipe),
            about: Arc::new(about),
            previous: previous.map(Arc::new),
            members: Vec::new(),
        }
    }

    /// A model with one channel whose network is never run.
    #[cfg(test)]
    pub(crate) fn for_tests(recipe: Recipe, classes: usize) -> Self {
        use crate::network::{Op, Weight};
        let weight = Weight { name: "w".into(), shape: vec![classes, 1, 1, 1, 1], data: vec![0.0; classes] };
        let mut network = Network::new(1);
        network.add(
            Op::Conv {
                weight: Arc::new(weight),
                bias: None,
                kernel: [1; 3],
                stride: [1; 3],
                padding: [0; 3],
            },
            &[0],
        );
        let names = (0..classes as u32).zip(crate::labels::colors(classes));
        let labels = names.map(|(value, color)| Label {
            value,
            name: format!("label {value}"),
            color,
            terms: Default::default(),
        });
        let about = About {
            name: "test".into(),
            format: "test",
            configuration: String::new(),
            trainer: String::new(),
            architecture: String::new(),
            channels: vec!["CT".into()],
            labels: labels.collect(),
            identity: String::new(),
            unusable_postprocessing: None,
        };
        Model::new(vec![network], recipe, about, None)
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.about.name
    }

    /// What kind of files it came from, for example "nnU-Net v2".
    pub fn format(&self) -> &'static str {
        self.about.format
    }

    /// `voxseg1:sha256:` and a digest in hexadecimal over weights and recipe, in the format of docs/identity.md: equal
    /// exactly for models that compute the same.
    pub fn identity(&self) -> &str {
        &self.about.identity
    }

    /// Names of the channels that a volume must have.
    pub fn channels(&self) -> &[String] {
        &self.about.channels
    }

    /// Its labels in ascending order of their values, the background first.
    pub fn labels(&self) -> &[Label] {
        &self.about.labels
    }

    /// What happens around the network.
    #[doc(hidden)]
    pub fn recipe(&self) -> &Recipe {
        &self.recipe
    }

    /// What reads the headers of NIfTI files for this model.
    pub fn reader(&self) -> Reader {
        self.recipe.reader
    }

    /// The prompts that it takes, in a [`Session`](crate::session::Session); none for most models.
    pub fn prompts(&self) -> Vec<PromptKind> {
        self.recipe.prompting.as_ref().map_or_else(Vec::new, |prompting| prompting.kinds())
    }

    /// The networks whose scores are averaged.
    #[doc(hidden)]
    pub fn networks(&self) -> &[Arc<Network>] {
        &self.networks
    }

    /// The model whose labels this one refines, in a cascade.
    pub fn previous_stage(&self) -> Option<&Model> {
        self.previous.as_deref()
    }

    /// The members of an ensemble before the last, which this model stands for in all else.
    pub(crate) fn members(&self) -> &[Model] {
        &self.members
    }

    /// The postprocessing that comes with the model: nothing where there is none.
    ///
    /// # Errors
    /// [`Error::Unsupported`] when it has steps that this version doesn't know, or what is wrong with its file.
    pub(crate) fn postprocessing(&self) -> Result<&[KeepLargest]> {
        match &self.about.unusable_postprocessing {
            None => Ok(&self.recipe.postprocess),
            Some(Error::Unsupported { what }) => Err(Error::unsupported(what)),
            Some(Error::Malformed { file, reason }) => Err(Error::malformed(file, reason)),
            Some(error) => Err(Error::refused("postprocessing", error.to_string())),
        }
    }

    /// The spacing that the network works at in millimetres, in the order of the axes of a volume (x, y, z);
    /// 0 where the volume's own is kept.
    pub fn spacing(&self) -> [f64; 3] {
        self.in_volume_order(self.recipe.spacing().map(|spacing| spacing.unwrap_or(0.0)))
    }

    /// The size of a tile in voxels, in the order of the axes of a volume.
    pub fn patch(&self) -> [usize; 3] {
        self.in_volume_order(self.recipe.tiling.patch)
    }

    fn in_volume_order<T: Copy>(&self, network: [T; 3]) -> [T; 3] {
        crate::volume::AxisMap::identity().transposed(self.recipe.order()).undo(network)
    }

    /// All that is known about the model, as JSON (docs/schemas/model.schema.json).
    pub fn describe(&self) -> serde_json::Value {
        let about = &self.about;
        let network = &self.networks[0];
        let patch = self.recipe.tiling.network_tile();
        let labels: Vec<_> = about.labels.iter().map(describe_label).collect();
        json!({
            "name": about.name,
            "format": about.format,
            "configuration": about.configuration,
            "trainer": about.trainer,
            "architecture": about.architecture,
            "folds": self.networks.len(),
            "parameters": network.parameters(),
            "gflop_per_tile": network.multiply_adds(patch).map_or(0.0, |count| count as f64 * 2e-9),
            "channels": about.channels,
            "patch": self.patch(),
            "spacing": self.spacing(),
            "step": self.recipe.tiling.placement.step(),
            "reader": self.recipe.reader.name(),
            "mirror_axes": self.recipe.tiling.mirror,
            "recipe": form::recipe(&self.recipe).json(),
            "unusable_postprocessing": about.unusable_postprocessing.as_ref().map(Error::to_string),
            "previous_stage": self.previous_stage().map(Model::describe),
            "ensembled_with": self.members.iter().map(Model::describe).collect::<Vec<_>>(),
            "labels": labels,
            "identity": about.identity,
        })
    }
}

pub(super) fn describe_label(label: &Label) -> serde_json::Value {
    let mut about = json!({"value": label.value, "name": label.name});
    let roles = ["category", "type", "modifier", "region", "region_modifier"];
    for (role, term) in roles.into_iter().zip(label.terms.all()) {
        if let Some(term) = term {
            about[role] = json!({"scheme": term.scheme, "code": term.code, "meaning": term.meaning});
        }
    }
    about
}

/// Opens whatever the files are.
fn open(files: &Files, place: &str, options: &ModelOptions) -> Result<Model> {
    if let Some(files) = auto3dseg::find(files) {
        return auto3dseg::open(&files, place, options);
    }
    if let Some(files) = auto3dseg::find_trained(files) {
        return auto3dseg::open_trained(&files, place, options);
    }
    if let Some((files, weights, description)) = files.described() {
        return monai::open_described(&files, &weights, &description);
    }
    if monai::is_bundle(files, options.configuration.as_deref()) {
        return monai::open(files, options);
    }
    if nnunet::is_model(files) {
        return nnunet::open(files, options);
    }
    Err(kinds::unknown(files, options.configuration.as_deref()))
}

/// A digest as text.
pub(super) fn hexadecimal(hash: Sha256) -> String {
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}
