//! What a model says of itself without its weights, in milliseconds: for settings dialogs and lists of models.

use std::path::Path;

use serde_json::{Value, json};

use super::files::Files;
use super::{ModelOptions, auto3dseg, describe_label, kinds, monai, nnunet};
use crate::error::{Error, Result};
use crate::floating_point::Ours;
use crate::labels::Label;
use crate::recipe::Recipe;
use crate::volume::AxisMap;

/// A model as its files around the weights describe it.
#[derive(Clone, Debug, PartialEq)]
pub struct Inspection {
    /// Its name.
    pub name: String,
    /// What kind of files it is, for example "nnU-Net v2".
    pub format: &'static str,
    /// Which of several configurations; empty where only the weights tell.
    pub configuration: String,
    /// Names of the channels that a volume must have.
    pub channels: Vec<String>,
    /// Its labels in ascending order of their values, the background first.
    pub labels: Vec<Label>,
    /// The spacing that the network works at in millimetres, in the order of a volume's axes; 0 where the volume's own
    /// is kept. `None` where only the weights tell.
    pub spacing: Option<[f64; 3]>,
    /// The size of a tile in voxels, in the order of a volume's axes. `None` where only the weights tell.
    pub patch: Option<[usize; 3]>,
    /// Its licence, where its files say it.
    pub licence: Option<String>,
    /// The folds that would be opened; empty for formats without folds.
    pub folds: Vec<String>,
    /// Bytes of the files of weights.
    pub weight_bytes: u64,
    /// Why it wouldn't open, as far as that can be told without the weights.
    pub unsupported: Vec<String>,
}

/// What a format's own reader finds.
pub(super) struct Found {
    pub format: &'static str,
    pub name: String,
    pub configuration: String,
    pub channels: Vec<String>,
    pub labels: Vec<Label>,
    pub licence: Option<String>,
    pub folds: Vec<String>,
    /// The files of weights.
    pub weights: Vec<String>,
    /// What happens around the network, and whether that can be done; `None` where only the weights tell.
    pub recipe: Option<Result<Recipe>>,
    /// What the network is made of can't be built.
    pub network: Option<Error>,
}

/// Looks at a model's folder, archive or described file as [`super::Model::open`] does, but for the weights, of which
/// only the sizes are asked for.
///
/// # Errors
/// [`Error::NotAModel`] where there is none, and what is wrong with the files around the weights.
pub fn inspect(path: &Path, configuration: Option<&str>) -> Result<Inspection> {
    let _ours = Ours::enter();
    let configuration = configuration.map(str::to_owned);
    let options = ModelOptions { configuration, ..ModelOptions::default() };
    let budget = options.budget();
    let (files, found) = match Files::described_at(path, &budget) {
        Some((files, weights, description)) => {
            let found = monai::inspect_described(&files, &weights, &description)?;
            (files, found)
        }
        None => look(path, &options)?,
    };
    let recipe = found.recipe.as_ref().and_then(|recipe| recipe.as_ref().ok());
    let unreadable = found.recipe.as_ref().and_then(|recipe| recipe.as_ref().err());
    let missing = found.weights.iter().filter(|name| files.size(name).is_none());
    let missing = missing.map(|name| format!("{name} is missing"));
    let unsupported = unreadable.into_iter().chain(&found.network).map(Error::to_string).chain(missing);
    Ok(Inspection {
        spacing: recipe.map(|recipe| in_volume_order(recipe, recipe.spacing().map(|one| one.unwrap_or(0.0)))),
        patch: recipe.map(|recipe| in_volume_order(recipe, recipe.tiling.patch)),
        weight_bytes: found.weights.iter().filter_map(|name| files.size(name)).sum(),
        unsupported: unsupported.collect(),
        name: found.name,
        format: found.format,
        configuration: found.configuration,
        channels: found.channels,
        labels: found.labels,
        licence: found.licence,
        folds: found.folds,
    })
}

fn look(path: &Path, options: &ModelOptions) -> Result<(Files, Found)> {
    let budget = options.budget();
    let files = match Files::open(path, &budget) {
        Ok(files) if files.is_checkpoint() => return Err(kinds::unknown_checkpoint(path, &budget)),
        Err(Error::NotAModel { .. }) if path.is_file() => return Err(kinds::unknown_file(path, &budget)),
        files => files?,
    };
    if let Some(files) = auto3dseg::find(&files) {
        let found = auto3dseg::inspect(&files)?;
        return Ok((files, found));
    }
    if let Some((files, weights, description)) = files.described() {
        let found = monai::inspect_described(&files, &weights, &description)?;
        return Ok((files, found));
    }
    if monai::is_bundle(&files, options.configuration.as_deref()) {
        return monai::inspect(&files, options);
    }
    if nnunet::is_model(&files) {
        return nnunet::inspect(&files, options);
    }
    Err(kinds::unknown(&files, options.configuration.as_deref()))
}

fn in_volume_order<T: Copy>(recipe: &Recipe, network: [T; 3]) -> [T; 3] {
    AxisMap::identity().transposed(recipe.order()).undo(network)
}

/// The licence in a file about a model, as different makers call it.
pub(super) fn licence(about: &Value) -> Option<String> {
    let names = ["licence", "license", "copyright"];
    names.iter().find_map(|name| about.get(name)?.as_str()).filter(|text| !text.is_empty()).map(str::to_owned)
}

impl Inspection {
    /// It as JSON.
    pub fn to_json(&self) -> Value {
        json!({
            "name": self.name,
            "format": self.format,
            "configuration": self.configuration,
            "channels": self.channels,
            "labels": self.labels.iter().map(describe_label).collect::<Vec<_>>(),
            "spacing": self.spacing,
            "patch": self.patch,
            "licence": self.licence,
            "folds": self.folds,
            "weight_bytes": self.weight_bytes,
            "unsupported": self.unsupported,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::time::Instant;

    use super::super::Model;
    use super::*;
    use crate::progress::Watch;

    fn example() -> &'static Path {
        let folder = "examples/models/Dataset901_TorsoCT/nnUNetTrainerNoMirroring__nnUNetPlans__3d_fullres";
        Box::leak(Path::new(env!("CARGO_MANIFEST_DIR")).join(folder).into_boxed_path())
    }

    /// It says what the opened model says.
    #[test]
    fn an_inspection_is_what_opening_finds() {
        let found = inspect(example(), None).unwrap();
        let model = Model::open(example(), &ModelOptions::default()).unwrap();
        assert_eq!(found.name, model.name());
        assert_eq!((&found.channels[..], &found.labels[..]), (model.channels(), model.labels()));
        assert_eq!((found.spacing, found.patch), (Some(model.spacing()), Some(model.patch())));
        assert_eq!((found.folds.len(), &found.unsupported[..]), (1, &[][..]));
        assert_eq!((found.format, &*found.configuration), ("nnU-Net v2", "3d_fullres"));
        let checkpoint = example().join("fold_0/checkpoint_final.pth");
        assert_eq!(found.weight_bytes, fs::metadata(checkpoint).unwrap().len());
        let json = found.to_json();
        assert_eq!(json["labels"].as_array().unwrap().len(), found.labels.len());
        assert!(json["licence"].is_null() || json["licence"].is_string());
    }

    /// Five folds of weights that nobody could read: nothing of them is read.
    #[test]
    fn weights_are_not_read() {
        let copy = std::env::temp_dir().join(format!("voxseg-inspect-{}", std::process::id()));
        let folder = copy.join(example().file_name().unwrap());
        for fold in 0..5 {
            let fold = folder.join(format!("fold_{fold}"));
            fs::create_dir_all(&fold).unwrap();
            let garbage = fs::File::create(fold.join("checkpoint_final.pth")).unwrap();
            garbage.set_len(200 << 20).unwrap();
        }
        let mut around = 0;
        for name in ["plans.json", "dataset.json"] {
            around += fs::copy(example().join(name), folder.join(name)).unwrap();
        }
        let (watch, options) = (Watch::new(|_| true), ModelOptions::default());
        let options = ModelOptions { watch: watch.clone(), ..options };
        let (_, found) = look(&folder, &options).unwrap();
        assert_eq!(
            (found.folds.len(), watch.counted()),
            (5, (around, around)),
            "bytes read, of bytes opened"
        );
        let started = Instant::now();
        let found = inspect(&folder, None).unwrap();
        let seconds = started.elapsed().as_secs_f64();
        assert!(Model::open(&folder, &ModelOptions::default()).is_err());
        fs::remove_dir_all(&copy).unwrap();
        assert_eq!((found.weight_bytes, &found.unsupported[..]), (1000 << 20, &[][..]));
        assert_eq!(found.patch, Some(Model::open(example(), &ModelOptions::default()).unwrap().patch()));
        // The tests around it take the processors.
        assert!(seconds < 0.5, "{seconds} s");
    }
}
