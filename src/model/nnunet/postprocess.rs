//! postprocessing.json: which components of the labels to keep. nnU-Net finds by cross-validation whether that
//! helps, and leaves it to the user to apply it.

use super::labels::{Labels, value};
use crate::error::{Error, Result};
use crate::model::files::Files;
use crate::model::json::{Json, from_slice};
use crate::recipe::KeepLargest;

const FILE: &str = "postprocessing.json";
const RESULTS: &str = "crossval_results_folds_";
const KEEP_LARGEST: &str = "remove_all_but_largest_component_from_segmentation";

/// The model's rules, in order; none where there is no such file.
pub(super) fn read(files: &Files, folds: &[String], labels: &Labels) -> Result<Vec<KeepLargest>> {
    let Some(name) = find(files, folds) else { return Ok(Vec::new()) };
    let Some(bytes) = files.read(&name)? else { return Ok(Vec::new()) };
    let values: Vec<u16> = labels.table.iter().filter_map(|label| u16::try_from(label.value).ok()).collect();
    rules(&name, &bytes, &values)
}

/// The file in the model's own folder; else in the results of these folds; else in those of the most folds.
fn find(files: &Files, folds: &[String]) -> Option<String> {
    if files.has(FILE) {
        return Some(FILE.into());
    }
    let mut results = files.folders();
    results.retain(|folder| folder.starts_with(RESULTS) && files.has(&format!("{folder}/{FILE}")));
    let numbers: Vec<&str> = folds.iter().filter_map(|fold| fold.strip_prefix("fold_")).collect();
    let own = format!("{RESULTS}{}", numbers.join("_"));
    let best = results.iter().max_by_key(|folder| (**folder == own, folder.len()))?;
    Some(format!("{best}/{FILE}"))
}

/// `values` are those that the model's labels have.
fn rules(file: &str, bytes: &[u8], values: &[u16]) -> Result<Vec<KeepLargest>> {
    // It holds scores beside the rules, some of which don't exist: `NaN`.
    let parsed = from_slice(file, bytes)?;
    let json = Json::new(file, &parsed);
    let functions = json.get("postprocessing_fns")?;
    let arguments = json.get("postprocessing_kwargs")?.list()?;
    let names = functions.list()?;
    if names.len() != arguments.len() {
        return Err(functions.wrong("as many entries as postprocessing_kwargs"));
    }
    names.iter().zip(&arguments).map(|(name, arguments)| rule(name, arguments, values)).collect()
}

fn rule(name: &Json, arguments: &Json, values: &[u16]) -> Result<KeepLargest> {
    let name = name.text()?;
    if name != KEEP_LARGEST {
        return Err(Error::unsupported(format!("postprocessing {name}; this version knows {KEEP_LARGEST}")));
    }
    let known = ["labels_or_regions", "background_label"];
    if let Some((other, _)) = arguments.members()?.iter().find(|(key, _)| !known.contains(key)) {
        return Err(Error::unsupported(format!("postprocessing {name} with {other}")));
    }
    let mut labels = Vec::new();
    collect(&arguments.get("labels_or_regions")?, 0, &mut labels)?;
    labels.sort_unstable();
    labels.dedup();
    // The margin that cropping cut off is background: its components aren't known.
    if labels.first() == Some(&0) {
        return Err(Error::unsupported(format!("postprocessing {name} of label 0, the background")));
    }
    let background = match arguments.find("background_label") {
        None => 0,
        Some(label) => match value(&label)? {
            background if values.contains(&background) => background,
            _ => return Err(label.wrong("a label of the model")),
        },
    };
    Ok(KeepLargest { labels, background })
}

/// A label, a region's list of labels, or a list of both: all of them together.
fn collect(json: &Json, depth: usize, labels: &mut Vec<u16>) -> Result<()> {
    if json.is_list() && depth < 2 {
        return json.list()?.iter().try_for_each(|entry| collect(entry, depth + 1, labels));
    }
    labels.push(value(json)?);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(functions: &str, arguments: &str) -> Result<Vec<KeepLargest>> {
        let text = format!(
            r#"{{"input_folder": {{"foreground_mean": {{"Dice": NaN, "a \"NaN\"": -Infinity}}}},
            "postprocessing_fns": {functions}, "postprocessing_kwargs": {arguments}}}"#
        );
        rules(FILE, text.as_bytes(), &[0, 1, 2, 7])
    }

    fn keep(arguments: &str) -> Result<KeepLargest> {
        let rules = parse(&format!(r#"["{KEEP_LARGEST}"]"#), &format!("[{arguments}]"))?;
        Ok(rules[0].clone())
    }

    #[test]
    fn labels_and_regions_in_every_form() {
        for (form, labels) in [
            ("2", vec![2]),
            ("[2, 1, 2]", vec![1, 2]),
            ("[[1, 2], 7, [2, 9]]", vec![1, 2, 7, 9]),
            ("[[3]]", vec![3]),
            ("[]", vec![]),
        ] {
            let rule = keep(&format!(r#"{{"labels_or_regions": {form}}}"#)).unwrap();
            assert_eq!(rule, KeepLargest { labels, background: 0 }, "{form}");
        }
        let rule = keep(r#"{"labels_or_regions": 1, "background_label": 7}"#).unwrap();
        assert_eq!(rule, KeepLargest { labels: vec![1], background: 7 });
        assert_eq!(parse("[]", "[]").unwrap(), []);
    }

    #[test]
    fn what_is_not_known_is_refused() {
        for (arguments, status) in [
            (r#"{"labels_or_regions": 0}"#, 205),
            (r#"{"labels_or_regions": 1, "minimum": 3}"#, 205),
            (r#"{"labels_or_regions": 1, "background_label": 300}"#, 203),
            (r#"{"labels_or_regions": [[[1]]]}"#, 203),
            (r#"{"labels_or_regions": -1}"#, 203),
            (r#"{"labels_or_regions": "all"}"#, 203),
            ("{}", 203),
        ] {
            assert_eq!(keep(arguments).unwrap_err().status(), status, "{arguments}");
        }
        let error = parse(r#"["smooth"]"#, "[{}]").unwrap_err();
        assert!(matches!(&error, Error::Unsupported { what } if what.contains("smooth")), "{error}");
        assert_eq!(parse(r#"["smooth"]"#, "[]").unwrap_err().status(), 203);
        assert_eq!(parse("3", "[]").unwrap_err().status(), 203);
        assert_eq!(rules(FILE, b"{", &[]).unwrap_err().status(), 203);
    }

    #[test]
    fn the_results_of_the_opened_folds_count() {
        let at = |name: &str| (format!("{name}/{FILE}"), b"{}".to_vec().into());
        let folds = ["fold_0".to_owned(), "fold_1".to_owned()];
        let results = |names: &[&str]| Files::memory(names.iter().map(|name| at(name)).collect());
        let all = ["crossval_results_folds_0", "crossval_results_folds_0_1", "crossval_results_folds_0_1_2"];
        assert_eq!(find(&results(&all), &folds), Some(format!("{}/{FILE}", all[1])));
        assert_eq!(find(&results(&all), &folds[1..]), Some(format!("{}/{FILE}", all[2])));
        assert_eq!(find(&results(&["fold_0"]), &folds), None);
        let own = Files::memory(vec![(FILE.into(), b"{}".to_vec().into())]);
        assert_eq!(find(&own, &folds), Some(FILE.into()));
    }
}
