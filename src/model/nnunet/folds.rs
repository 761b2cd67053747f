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

#[cfg(test)]
mod tests {

    use super::*;

    fn said(names: &[&str], folds: Option<Vec<Fold>>, checkpoint: &str) -> String {
        let files = names.iter().map(|name| ((*name).to_owned(), b"x".to_vec().into())).collect();
        let options = ModelOptions { folds, checkpoint: checkpoint.into(), ..ModelOptions::default() };
        super::folds(&Files::memory(files), &options).unwrap_err().to_string()
    }

    #[test]
    fn what_is_there_is_named_with_its_option() {
        let usual = "checkpoint_final.pth";
        let all = ["fold_all/checkpoint_final.pth", "fold_all/checkpoint_best.pth"];
        let text = said(&all, None, usual);
        assert!(
            text.contains("fold_all has one, which the option `folds` (--folds all, VXS_FOLD_ALL) takes"),
            "{text}"
        );
        assert!(
            said(&all, Some(vec![Fold::Number(0)]), usual)
                .contains("no fold_0/checkpoint_final.pth; fold_all has")
        );
        let best =
            ["fold_0/checkpoint_best.pth", "fold_0/checkpoint_latest.pth", "fold_1/checkpoint_best.pth"];
        let text = said(&best, None, usual);
        let expected = "fold_0 has checkpoint_best.pth, checkpoint_latest.pth, which the option `checkpoint` \
                        (--checkpoint checkpoint_best.pth) takes";
        assert!(text.contains(expected), "{text}");
        let text = said(&["fold_all/checkpoint_latest.pth"], None, usual);
        assert!(
            text.contains("(--checkpoint checkpoint_latest.pth) with the option `folds` (--folds all"),
            "{text}"
        );
        let text =
            said(&["fold_0/a.pth", "fold_1/a.pth", "fold_all/a.pth"], Some(vec![Fold::Number(7)]), "a.pth");
        assert!(
            text.contains("fold_0, fold_1, fold_all has one, which the option `folds` (--folds 0,1)"),
            "{text}"
        );
        assert!(said(&["plans.json"], None, usual).contains("no folder fold_0"));
        assert!(said(&["fold_0/progress.png"], None, usual).contains("there are no weights in fold_0"));
    }
}
