//! Which folds of a model are opened, and what to do where they aren't there.

use crate::error::{Error, Result};
use crate::model::files::Files;
use crate::model::{Fold, ModelOptions};

/// Folders that an error names.
const MOST_NAMED: usize = 8;

/// Names of the folds' folders, one at least; each has a checkpoint.
pub(super) fn folds(files: &Files, options: &ModelOptions) -> Result<Vec<String>> {
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
    let lacking = match names.iter().find(|name| !files.has(&file(name))) {
        Some(name) => file(name),
        None if names.is_empty() => format!("numbered fold with a {}", options.checkpoint),
        None => return Ok(names),
    };
    let reason = format!("{} has no {lacking}{}", files.title(), advice(files, &options.checkpoint));
    Err(Error::NotAModel { reason })
}

/// What is there instead, and the options that take it.
fn advice(files: &Files, checkpoint: &str) -> String {
    let mut folders = files.folders();
    folders.retain(|name| name.starts_with("fold_"));
    let with: Vec<&str> = folders
        .iter()
        .map(String::as_str)
        .filter(|folder| files.has(&format!("{folder}/{checkpoint}")))
        .collect();
    if let Some(folds) = choose_folds(&with) {
        return format!("; {} has one, which {folds} takes", list(&with));
    }
    let weights = |folder: &str| {
        let mut names = files.below(folder).names();
        names.retain(|name| name.ends_with(".pth"));
        names
    };
    let others = folders.iter().map(|folder| (folder.as_str(), weights(folder)));
    let others: Vec<(&str, Vec<String>)> = others.filter(|(_, names)| !names.is_empty()).collect();
    // Numbered folds are taken without an option.
    let first = others.iter().find(|(folder, _)| *folder != "fold_all").or(others.first());
    let Some((folder, names)) = first else {
        return match folders.is_empty() {
            true => "; it has no folder fold_0 or the like".into(),
            false => format!("; there are no weights in {}", list(&folders)),
        };
    };
    let best = names.iter().find(|name| *name == "checkpoint_best.pth").or(names.first());
    let best = best.map_or("", String::as_str);
    let checkpoint = format!("the option `checkpoint` (--checkpoint {best})");
    let folds = (*folder == "fold_all").then(|| choose_folds(&[folder])).flatten();
    let both = folds.map_or_else(|| checkpoint.clone(), |folds| format!("{checkpoint} with {folds}"));
    format!("; {folder} has {}, which {both} takes", list(names))
}

/// The option that takes these folds: the numbered ones, as far as there are such.
fn choose_folds(names: &[&str]) -> Option<String> {
    let values: Vec<&str> = names.iter().filter_map(|name| name.strip_prefix("fold_")).collect();
    let numbers: Vec<&str> = values.iter().copied().filter(|value| value.parse::<u32>().is_ok()).collect();
    if !numbers.is_empty() {
        return Some(format!("the option `folds` (--folds {})", numbers.join(",")));
    }
    values.contains(&"all").then(|| "the option `folds` (--folds all, VXS_FOLD_ALL)".into())
}

fn list<T: AsRef<str>>(names: &[T]) -> String {
    let mut named: Vec<&str> = names.iter().take(MOST_NAMED).map(AsRef::as_ref).collect();
    if names.len() > MOST_NAMED {
        named.push("…");
    }
    named.join(", ")
}
