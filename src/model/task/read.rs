//! Task files.

use std::sync::Arc;

use super::{Crop, Rough, Rule, Task, TaskModel, values_by_name};
use crate::error::{Error, Result};
use crate::labels::{Label, Terms, colors};
use crate::model::Fold;
use crate::model::json::Json;

/// Finds the tasks that others name.
pub(super) type Find<'a> = &'a dyn Fn(&str) -> Result<Task>;

/// Reads a task; without a name from outside it has one itself.
pub(super) fn task(name: Option<&str>, json: &Json, find: Find) -> Result<Task> {
    let name = match name {
        Some(name) => name.to_owned(),
        None => json.get("name")?.text()?.to_owned(),
    };
    let text = |key: &str, default: &str| {
        json.find(key).map_or(Ok(default.to_owned()), |text| text.text().map(str::to_owned))
    };
    let named = json.get("labels")?;
    // A task of the same family has the same labels.
    let labels = if named.is_list() { table(&names(&named)?) } else { find(named.text()?)?.labels };
    let legacy_v1_labels = match json.find("legacy_v1_labels") {
        None => None,
        Some(list) if list.is_list() => Some(table(&names(&list)?)),
        Some(other) => find(other.text()?)?.legacy_v1_labels,
    };
    let source = json.find("from").map(|task| Ok::<_, Error>(Arc::new(find(task.text()?)?))).transpose()?;
    let models = match &source {
        None => few(&json.get("models")?, MOST_MODELS)?.iter().map(model).collect::<Result<_>>()?,
        Some(_) => Vec::new(),
    };
    let mut task = Task {
        name,
        modality: text("modality", "")?,
        licence: text("licence", "not stated")?,
        labels,
        legacy_v1_labels,
        spacing: json.find("spacing").map(|spacing| spacing.axes(1.0, length)).transpose()?,
        step: json.find("step").map(|step| share(&step)).transpose()?,
        models,
        source,
        crop: None,
        rough: None,
        rules: Vec::new(),
    };
    if task.models.is_empty() && task.source.is_none() {
        return Err(json.get("models")?.wrong("one model or more"));
    }
    if let Some(crop) = json.find("crop") {
        let other = Arc::new(find(crop.get("task")?.text()?)?);
        let labels = values(&crop.get("labels")?, &other)?;
        let margin = crop.get("margin")?.axes(0.0, margin)?;
        task.crop = Some(Crop { task: other, labels, margin });
    }
    if let Some(rough) = json.find("rough") {
        let other = |key: &str| Ok::<_, Error>(rough.get(key)?.text()?.to_owned());
        task.rough = Some(Rough { task: other("task")?, robust: other("robust")? });
    }
    if let Some(rules) = json.find("after") {
        task.rules =
            few(&rules, MOST_RULES)?.iter().map(|json| rule(json, &task, find)).collect::<Result<_>>()?;
        if task.rules.iter().filter(|rule| rule.is_on_volume()).count() > 1 {
            return Err(rules.wrong("at most one of remove_outside, clip_to and skin"));
        }
    }
    Ok(task)
}

/// Models of a task, of which each is opened; TotalSegmentator's have five at most.
const MOST_MODELS: usize = 64;
/// Rules of a task.
const MOST_RULES: usize = 64;
/// Folds of a model.
const MOST_FOLDS: usize = 64;
/// Labels of a task beside the background.
const MOST_LABELS: usize = 65_535;
/// Millimetres between voxels: what isn't in between is a mistake, and no grid could have it.
const SPACINGS: (f64, f64) = (1e-3, 1e3);

/// Millimetres that no body has.
const WIDEST: f64 = 1e4;
/// Millimetres by which labels may grow, and voxels of the task's spacing: each voxel is compared with all in reach.
const FARTHEST: f64 = 100.0;
const MOST_STEPS: f64 = 64.0;

/// The elements of a list that has some.
fn few<'a>(list: &Json<'a>, most: usize) -> Result<Vec<Json<'a>>> {
    let elements = list.list()?;
    if elements.len() > most { Err(list.wrong(&format!("at most {most} entries"))) } else { Ok(elements) }
}

fn names(list: &Json) -> Result<Vec<String>> {
    few(list, MOST_LABELS)?.iter().map(|name| name.text().map(str::to_owned)).collect()
}

/// Labels with these names from 1 on, and the background.
fn table(names: &[String]) -> Vec<Label> {
    let all = std::iter::once("background").chain(names.iter().map(String::as_str));
    let label = |((value, name), color): ((u32, &str), [u8; 3])| Label {
        value,
        name: name.into(),
        color,
        terms: Terms::of_structure(name),
    };
    (0..).zip(all).zip(colors(names.len() + 1)).map(label).collect()
}

/// The values of labels of a task.
fn values(list: &Json, task: &Task) -> Result<Vec<u32>> {
    let known = values_by_name(&task.labels);
    let wrong = |name: &Json| name.wrong(&format!("one of the labels of {}", task.name));
    let value = |name: &Json| known.get(name.text()?).copied().ok_or_else(|| wrong(name));
    few(list, MOST_LABELS)?.iter().map(value).collect()
}

fn model(json: &Json) -> Result<TaskModel> {
    let path = json.get("path")?;
    let inside = |part: &str| !part.is_empty() && part != "." && part != ".." && !part.contains(['\\', ':']);
    // Weights are looked for below the folder that the caller gives and nowhere else.
    if !path.text()?.split('/').all(inside) {
        return Err(path.wrong("a path below the folder of the weights, with `/` between folders"));
    }
    let folds = match json.find("folds") {
        None => Some(vec![Fold::Number(0)]),
        Some(folds) if folds.is_list() => {
            let number = |fold: &Json| Ok(Fold::Number(fold.count()? as u32));
            Some(few(&folds, MOST_FOLDS)?.iter().map(number).collect::<Result<_>>()?)
        }
        Some(all) if all.text()? == "all" => None,
        Some(other) => return Err(other.wrong("numbers in a list, or \"all\"")),
    };
    let labels = json.find("labels").map(|labels| names(&labels)).transpose()?;
    Ok(TaskModel { path: path.text()?.into(), folds, labels })
}

fn rule(json: &Json, task: &Task, find: Find) -> Result<Rule> {
    let [(kind, argument), ..] = &json.members()?[..] else { return Err(json.wrong("a rule")) };
    // There is no grid of networks where no models run.
    if task.source.is_some() && *kind != "skin" {
        return Err(json.wrong("skin, for a task with `from`"));
    }
    let cropping = || match &task.crop {
        Some(crop) => values(argument, &crop.task),
        None => Err(json.wrong("a rule of a task with `crop`")),
    };
    Ok(match *kind {
        "keep_largest" => Rule::KeepLargest(values(argument, task)?),
        "remove_small" => {
            Rule::RemoveSmall { labels: values(argument, task)?, volume: positive(&json.get("volume")?)? }
        }
        "separate_vertebrae" => Rule::SeparateVertebrae { smallest: positive(argument)? },
        "dilate" => {
            let finest = task.spacing.unwrap_or([1.0; 3]).into_iter().fold(FARTHEST, f64::min);
            Rule::Dilate(distance(argument, FARTHEST.min(MOST_STEPS * finest))?)
        }
        "remove_outside" => {
            Rule::RemoveOutside { labels: cropping()?, distance: distance(&json.get("distance")?, WIDEST)? }
        }
        "clip_to" => {
            let other = Arc::new(find(json.get("task")?.text()?)?);
            let labels = values(argument, &other)?;
            Rule::ClipTo { task: other, labels, distance: distance(&json.get("distance")?, FARTHEST)? }
        }
        "skin" => match &task.source {
            Some(source) => Rule::Skin(values(argument, source)?),
            None => return Err(json.wrong("a rule of a task with `from`")),
        },
        _ => {
            return Err(json.wrong(
                "keep_largest, remove_small, separate_vertebrae, dilate, remove_outside, clip_to or skin as the \
                 first entry",
            ));
        }
    })
}

fn positive(json: &Json) -> Result<f64> {
    json.number()
        .and_then(|number| if number > 0.0 { Ok(number) } else { Err(json.wrong("a positive number")) })
}

fn length(json: &Json) -> Result<f64> {
    let (least, most) = SPACINGS;
    match json.number()? {
        length if (least..=most).contains(&length) => Ok(length),
        _ => Err(json.wrong(&format!("millimetres from {least} to {most}"))),
    }
}

fn margin(json: &Json) -> Result<f64> {
    match json.number()? {
        margin if (0.0..=WIDEST).contains(&margin) => Ok(margin),
        _ => Err(json.wrong(&format!("millimetres from 0 to {WIDEST}"))),
    }
}

fn distance(json: &Json, most: f64) -> Result<f64> {
    match json.number()? {
        distance if distance > 0.0 && distance <= most => Ok(distance),
        _ => Err(json.wrong(&format!("millimetres over 0 and up to {most}"))),
    }
}

fn share(json: &Json) -> Result<f64> {
    match json.number()? {
        share if share > 0.0 && share <= 1.0 => Ok(share),
        _ => Err(json.wrong("a number over 0 and up to 1")),
    }
}
