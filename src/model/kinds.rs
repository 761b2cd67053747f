//! What files are that no model opens from, in the words of what was found, and what to do with them.

use std::path::Path;

use super::files::Files;
use crate::checkpoint::Checkpoint;
use crate::error::Error;
use crate::file::{Budget, shorten};

/// What opens.
const KNOWN: &str = "nnU-Net v2 (plans.json, dataset.json, fold_0), MONAI bundles (configs/inference.json, models), \
                     Auto3DSeg (model.pt, labels.csv), and a file of weights with a JSON of its name beside it";
/// Names and folders that are looked at and named.
const MOST_NAMED: usize = 8;
/// Algorithms of Auto3DSeg, as their folders are called with the fold's number.
const ALGORITHMS: [&str; 4] = ["segresnet", "segresnet2d", "dints", "swinunetr"];
/// Endings of files of weights.
const WEIGHTS: [&str; 7] = ["pt", "pth", "safetensors", "onnx", "ckpt", "ts", "bin"];

/// The error for files among which no model was found; `configuration` is the one that was asked for.
pub(super) fn unknown(files: &Files, configuration: Option<&str>) -> Error {
    let reason = describe(files, configuration).map(|what| format!("{} {what}", files.title()));
    // Archives and downloads often have one more folder around all.
    let below = || {
        let mut folders = files.folders().into_iter().take(MOST_NAMED);
        folders.find_map(|name| {
            let what = describe(&files.below(&name), configuration)?;
            Some(format!("{} has a folder {} which {what}", files.title(), shorten(&name)))
        })
    };
    let reason = reason.or_else(below).unwrap_or_else(|| {
        let found = [files.folders(), files.names()].concat();
        let found = if found.is_empty() { "it is empty".into() } else { format!("it has {}", list(&found)) };
        format!("{} is none that opens ({found}): {KNOWN}", files.title())
    });
    Error::NotAModel { reason }
}

/// The error for a single file that isn't an archive of a model.
pub(super) fn unknown_file(path: &Path, budget: &Budget) -> Error {
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let ending = name.rsplit_once('.').map_or("", |(_, ending)| ending).to_ascii_lowercase();
    if ["pt", "pth", "ckpt", "ts"].contains(&ending.as_str()) {
        return unknown_checkpoint(path, budget);
    }
    let reason = if WEIGHTS.contains(&ending.as_str()) {
        alone(&name)
    } else if ending == "json" {
        format!("{name} is a part of a model; its folder opens, or the file of weights that it describes")
    } else {
        format!("{} is neither a folder nor a zip archive", path.display())
    };
    Error::NotAModel { reason }
}

/// The error for a checkpoint that was opened by itself.
pub(super) fn unknown_checkpoint(path: &Path, budget: &Budget) -> Error {
    let checkpoint = match Checkpoint::open_within(path, budget) {
        Ok(checkpoint) => checkpoint,
        Err(error) => return error,
    };
    let (root, name) = (checkpoint.root(), checkpoint.name());
    let has = |key: &str| root.get(key).is_some();
    let reason = if has("network_weights") {
        format!("{name} is a checkpoint of nnU-Net v2; the folder with plans.json, above its fold, opens")
    } else if has("config") && has("state_dict") {
        format!("{name} is a checkpoint of Auto3DSeg; as model.pt in a folder with labels.csv it opens")
    } else {
        alone(name)
    };
    Error::NotAModel { reason }
}

/// Weights without anything that says what happens around them.
fn alone(name: &str) -> String {
    let stem = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
    let other = match name.rsplit_once('.') {
        Some((_, "onnx" | "safetensors" | "pt" | "pth" | "ts")) => "",
        _ => ", once it is called .pt, .safetensors or .onnx by what it is",
    };
    format!(
        "{name} is a file of weights alone; a {stem}.json beside it must say what happens around the network{other} \
         (docs/models.md, \"Weights with a description\")"
    )
}

/// What a folder is, as the end of a sentence about it.
fn describe(files: &Files, configuration: Option<&str>) -> Option<String> {
    let (folders, names) = (files.folders(), files.names());
    let file = |name: &str| files.has(name);
    let folder = |name: &str| folders.iter().any(|folder| folder == name);
    if file("plans.pkl") {
        return Some(
            "is a model of nnU-Net's first version (plans.pkl), which isn't supported; models of nnU-Net v2 are"
                .into(),
        );
    }
    if folder("imagesTr") || folder("labelsTr") || folder("imagesTs") {
        return Some(
            "is training data of nnU-Net, not a trained model; that is in nnUNet_results, in a folder called \
             <trainer>__<plans>__<configuration>"
                .into(),
        );
    }
    if folder("gt_segmentations") {
        return Some("is preprocessed training data of nnU-Net, not a trained model".into());
    }
    if let Some(what) = work_folder(files, &folders) {
        return Some(what);
    }
    match (file("labels.csv"), file("model.pt")) {
        (true, false) => return Some("has labels.csv, but no model.pt beside it as Auto3DSeg has it".into()),
        (false, true) => {
            return Some(
                "has model.pt, but neither a labels.csv beside it, as for Auto3DSeg, nor a model.json that \
                 describes it; of a MONAI bundle the folder above opens"
                    .into(),
            );
        }
        _ => {}
    }
    if let Some(what) = bundle(files, configuration) {
        return Some(what);
    }
    nnunet(files, &folders, &names).or_else(|| weights(files, &names))
}

/// What Auto3DSeg leaves where it trains.
fn work_folder(files: &Files, folders: &[String]) -> Option<String> {
    let algorithm = |name: &&String| {
        let (name, number) = name.rsplit_once('_')?;
        (ALGORITHMS.contains(&name) && number.parse::<u32>().is_ok()).then_some(())
    };
    let trained: Vec<&String> = folders.iter().filter(|name| algorithm(name).is_some()).collect();
    let settings =
        ["configs/hyper_parameters.yaml", "hyper_parameters.yaml"].iter().any(|name| files.has(name));
    let way = "the folder of a segresnet opens by its own path, others don't (docs/models.md)";
    if !trained.is_empty() {
        return Some(format!("is a work folder of Auto3DSeg with {}; {way}", list(&trained)));
    }
    if settings || folders.iter().any(|name| name == "algorithm_templates") || files.has("algo_object.pkl") {
        return Some(format!("is a work folder of Auto3DSeg; {way}"));
    }
    None
}

/// What a bundle has in the place of the config that was looked for.
fn bundle(files: &Files, configuration: Option<&str>) -> Option<String> {
    let mut configs = files.below("configs").names();
    configs.retain(|name| {
        let config = [".json", ".yaml", ".yml"].iter().any(|ending| name.ends_with(ending));
        config && name != "metadata.json"
    });
    let wanted = configuration.unwrap_or("inference.json or .yaml");
    if !configs.is_empty() {
        return Some(format!(
            "is a MONAI bundle without configs/{wanted}; it has {}, of which the option `configuration` \
             (--configuration {}) takes one",
            list(&configs),
            configs.first().map_or("", String::as_str)
        ));
    }
    let mut bundles = files.folders_with("configs/inference.json");
    bundles.extend(files.folders_with("configs/inference.yaml"));
    if bundles.len() > 1 {
        let places: Vec<String> = bundles.iter().map(Files::place).collect();
        return Some(format!("has several MONAI bundles, each of which opens: {}", list(&places)));
    }
    let metadata = files.has("configs/metadata.json");
    metadata
        .then(|| format!("is a MONAI bundle without configs/{wanted}; only configs/metadata.json is there"))
}

/// Parts of nnU-Net's folders, and folders of them.
fn nnunet(files: &Files, folders: &[String], names: &[String]) -> Option<String> {
    let fold = folders.iter().find(|name| name.starts_with("fold_"));
    if let Some(fold) = fold {
        return Some(format!("has {fold}, but no plans.json, as models of nnU-Net v2 have it"));
    }
    if names.iter().any(|name| name.starts_with("checkpoint_") && name.ends_with(".pth")) {
        return Some("is one fold of a model of nnU-Net v2; the folder above it opens".into());
    }
    let plans: Vec<String> = files.folders_with("plans.json").iter().map(Files::place).collect();
    if !plans.is_empty() {
        return Some(format!("has plans.json in {}, but no trained fold (fold_0) there", list(&plans)));
    }
    let models = folders.iter().take(MOST_NAMED).flat_map(|name| {
        let inner = files.below(name).folders_with("plans.json");
        inner
            .iter()
            .map(|model| format!("{name}/{}", model.folder_name().unwrap_or_default()))
            .collect::<Vec<_>>()
    });
    let models: Vec<String> = models.collect();
    (!models.is_empty())
        .then(|| format!("has models of nnU-Net v2 deeper in it; one opens: {}", list(&models)))
}

/// Files of weights, described or not.
fn weights(files: &Files, names: &[String]) -> Option<String> {
    let named = names.iter().filter_map(|name| Some((name, name.rsplit_once('.')?)));
    let weights: Vec<(&String, &str)> = named
        .filter(|(_, (_, ending))| WEIGHTS.contains(ending))
        .map(|(name, (stem, _))| (name, stem))
        .collect();
    let described = weights.iter().find(|(_, stem)| files.has(&format!("{stem}.json")));
    match (described, weights.first()) {
        (Some((name, _)), _) => Some(format!("has {name} with its description, which opens by its own path")),
        (None, Some((name, _))) => Some(format!("has no model that is described: {}", alone(name))),
        (None, None) => None,
    }
}

fn list<T: AsRef<str>>(names: &[T]) -> String {
    let mut named: Vec<String> = names.iter().take(MOST_NAMED).map(|name| shorten(name.as_ref())).collect();
    if names.len() > MOST_NAMED {
        named.push("…".into());
    }
    named.join(", ")
}

#[cfg(test)]
mod tests;
