//! A bundle's postprocessing: what is brought back onto the volume's grid, and how scores become labels.

use super::arguments::{Argument, Arguments};
use super::config::expression::{Binary, Expression};
use super::config::value::Lambda;
use super::config::{Component, Value};
use super::preprocessing::base;
use crate::error::{Error, Result};
use crate::recipe::{
    Cleanup, Decision, FillHoles, LabelRule, LargestComponents, Region, RestoreMode, SmallObjects,
};

/// Transforms that save, or change how results are held and not what they are.
const HARMLESS: [&str; 7] =
    ["SaveImage", "ToDevice", "EnsureType", "CastToType", "ToTensor", "DeleteItems", "Identity"];

/// Labels of a decision on regions whose number isn't known yet: all that there can be.
pub(super) const MOST_REGIONS: usize = u16::MAX as usize;

/// What happens after the network.
pub(super) struct End {
    pub(super) restore: RestoreMode,
    pub(super) decision: Decision,
    pub(super) cleanup: Vec<Cleanup>,
}

/// How far the chain has come.
#[derive(Default)]
struct Chain {
    softmax: bool,
    sigmoid: bool,
    /// Set by `AsDiscrete`.
    decision: Option<Decision>,
    /// Set by `Invert`.
    restore: Option<RestoreMode>,
    cleanup: Vec<Cleanup>,
}

/// What may be inverted.
#[derive(Clone, Copy)]
pub(super) struct Forward<'a> {
    /// The id of the preprocessing as a whole.
    pub(super) id: &'a str,
    /// Its transforms.
    pub(super) chain: &'a [Component],
}

impl Forward<'_> {
    /// Whether a value is the preprocessing: the object itself or, where that is a list, which MONAI would want in a
    /// `Compose`, a list of the same transforms.
    fn is(&self, value: &Value) -> bool {
        match value {
            Value::Component(object) => object.id == self.id,
            Value::List(list) if !list.is_empty() => {
                let same = |(value, own): (&Value, &Component)| match value {
                    Value::Component(transform) => transform.id == own.id,
                    _ => false,
                };
                list.len() == self.chain.len() && list.iter().zip(self.chain).all(same)
            }
            _ => false,
        }
    }
}

/// Reads a chain of transforms after the network.
pub(super) fn read(file: &str, chain: &[Component], preprocessing: Forward) -> Result<End> {
    let mut state = Chain::default();
    for transform in chain {
        let Component { target, id, .. } = transform;
        let unsupported = |how: &str| Error::unsupported(format!("{file}: `{id}`: `{target}` {how}"));
        let arguments = |known: &[&str]| {
            let mut all = vec!["keys", "allow_missing_keys", "meta_keys", "meta_key_postfix"];
            all.extend(known);
            Arguments::new(file, transform, &all)
        };
        let name = base(transform.name());
        if HARMLESS.contains(&name) {
            continue;
        }
        match name {
            "Activations" => {
                if state.decision.is_some() {
                    return Err(unsupported("after the decision"));
                }
                let arguments = arguments(&["sigmoid", "softmax", "other", "dim"])?;
                if arguments.find("other").is_some() {
                    return Err(unsupported("with a function of its own"));
                }
                let flag = |name: &str| match arguments.find(name) {
                    Some(argument) => argument.first()?.boolean(),
                    None => Ok(false),
                };
                state.sigmoid |= flag("sigmoid")?;
                state.softmax |= flag("softmax")?;
            }
            "AsDiscrete" => state.decision = Some(discrete(&arguments, &unsupported, &state)?),
            // The class of the highest score where one is above zero: the network has a background of zeros.
            "VistaPostTransform" => {
                arguments(&[])?;
                state.decision = Some(Decision::Highest);
            }
            "Invert" => {
                if state.restore.is_some() {
                    return Err(unsupported("a second time"));
                }
                state.restore = Some(invert(&arguments, &unsupported, &state, preprocessing)?);
            }
            "KeepLargestConnectedComponent"
            | "RemoveSmallObjects"
            | "FillHoles"
            | "LabelFilter"
            | "MapLabelValue" => {
                if state.decision.is_none() {
                    return Err(unsupported("before the decision"));
                }
                let rule = match name {
                    "KeepLargestConnectedComponent" => {
                        LabelRule::Largest(components(&arguments, &unsupported)?)
                    }
                    "RemoveSmallObjects" => LabelRule::RemoveSmall(small_objects(&arguments)?),
                    "FillHoles" => LabelRule::FillHoles(holes(&arguments)?),
                    "LabelFilter" => {
                        LabelRule::Filter(labels(&arguments(&["applied_labels"])?.get("applied_labels")?)?)
                    }
                    _ => LabelRule::Map(pairs(&arguments)?),
                };
                rule.check()?;
                let on_network_grid = state.restore.is_none();
                if matches!(&rule, LabelRule::RemoveSmall(rule) if rule.by_measure && on_network_grid) {
                    return Err(unsupported("by_measure before the result is inverted"));
                }
                state.cleanup.push(Cleanup { rule, on_network_grid });
            }
            // A script of the published bundle renalStructures_CECT_segmentation.
            "MergeClasses" => {
                arguments(&[])?;
                let Some(Decision::Regions { regions, .. }) = &mut state.decision else {
                    return Err(unsupported("of other than thresholded channels"));
                };
                // Labels are the channels' numbers, and the first of several wins.
                *regions =
                    (0..MOST_REGIONS).rev().map(|class| Region { class, label: class as u16 }).collect();
            }
            "Lambda" => {
                let arguments = arguments(&["func", "inv_func", "overwrite", "track_meta"])?;
                if matches!(arguments.get("func")?.value(), Value::Lambda(lambda) if leaves_numbers(lambda)) {
                    continue;
                }
                let regions = match (arguments.get("func")?.value(), &state.decision) {
                    (Value::Lambda(lambda), Some(Decision::Regions { .. })) => {
                        merged(&lambda.body, &lambda.parameter)
                    }
                    _ => None,
                };
                let Some(regions) = regions else {
                    let found = arguments.get("func")?.value().describe();
                    return Err(unsupported(&format!(
                        "with {found}, expected nested torch.where that give labels to thresholded channels"
                    )));
                };
                state.decision = Some(Decision::Regions { regions, threshold: 0.5, at_half: true });
            }
            _ => {
                return Err(unsupported(
                    "among the transforms; known are Activations, AsDiscrete, Invert, KeepLargestConnectedComponent, \
                     RemoveSmallObjects, FillHoles, LabelFilter, MapLabelValue, Lambda with torch.where, and SaveImage. \
                     Leave it out in a copy of the config, and do what it does to the labels",
                ));
            }
        }
    }
    let Some(decision) = state.decision else {
        return Err(Error::unsupported(format!("{file}: a postprocessing without AsDiscrete: no labels")));
    };
    if state.sigmoid && decision == Decision::Highest && state.restore == Some(RestoreMode::Probabilities) {
        let what =
            format!("{file}: the highest of sigmoids that are interpolated; softmax is supported there");
        return Err(Error::unsupported(what));
    }
    // Without an inversion the labels would stay on the network's grid; here they are on the volume's.
    Ok(End { restore: state.restore.unwrap_or(RestoreMode::Labels), decision, cleanup: state.cleanup })
}

type Known<'a> = dyn Fn(&[&str]) -> Result<Arguments<'a>> + 'a;
type Refusal<'a> = dyn Fn(&str) -> Error + 'a;

fn discrete(arguments: &Known, unsupported: &Refusal, state: &Chain) -> Result<Decision> {
    let arguments = arguments(&["argmax", "to_onehot", "threshold", "rounding", "n_classes", "num_classes"])?;
    for name in ["to_onehot", "rounding"] {
        if let Some(argument) = arguments.find(name)
            && argument.boolean().unwrap_or(true)
        {
            return Err(unsupported(&format!("with {name}: the result is one label map")));
        }
    }
    let argmax = match arguments.find("argmax") {
        Some(argument) => argument.first()?.boolean()?,
        None => false,
    };
    match arguments.find("threshold") {
        None if argmax => Ok(Decision::Highest),
        Some(threshold) if !argmax => {
            let threshold = threshold.first()?;
            let least = threshold.number()? as f32;
            if !(least > 0.0 && least < 1.0) {
                return Err(threshold.wrong("a probability between 0 and 1"));
            }
            if !state.sigmoid {
                return Err(unsupported("with a threshold for scores that aren't probabilities"));
            }
            // Channels become labels by their numbers; there are as many as the network has.
            let region = |class| Region { class, label: class as u16 + 1 };
            let regions = (0..MOST_REGIONS).map(region).collect();
            Ok(Decision::Regions { regions, threshold: least, at_half: true })
        }
        _ => Err(unsupported("with neither argmax alone nor a threshold alone")),
    }
}

fn invert(
    arguments: &Known,
    unsupported: &Refusal,
    state: &Chain,
    preprocessing: Forward,
) -> Result<RestoreMode> {
    let arguments = arguments(&[
        "transform",
        "orig_keys",
        "orig_meta_keys",
        "nearest_interp",
        "to_tensor",
        "device",
        "post_func",
    ])?;
    let transform = arguments.get("transform")?;
    if !preprocessing.is(transform.value()) {
        let id = preprocessing.id;
        return match transform.value() {
            Value::Component(other) => Err(unsupported(&format!("of `{}`, expected `{id}`", other.id))),
            _ => Err(transform.wrong(&format!("`@{id}`, the preprocessing as a whole"))),
        };
    }
    if arguments.find("post_func").is_some() {
        return Err(unsupported("with a function of its own"));
    }
    let nearest =
        arguments.get_or("nearest_interp", true, |argument: &Argument| argument.first()?.boolean())?;
    match (&state.decision, nearest) {
        (Some(_), true) => Ok(RestoreMode::Labels),
        (Some(Decision::Highest), false) => Ok(RestoreMode::InterpolatedLabels),
        (Some(_), false) => Err(unsupported("of thresholded channels by interpolation")),
        (None, true) => Err(unsupported("of scores to the nearest")),
        (None, false) if state.softmax || state.sigmoid => Ok(RestoreMode::Probabilities),
        (None, false) => Ok(RestoreMode::Scores),
    }
}

fn components(arguments: &Known, unsupported: &Refusal) -> Result<LargestComponents> {
    let arguments =
        arguments(&["applied_labels", "is_onehot", "independent", "connectivity", "num_components"])?;
    if let Some(argument) = arguments.find("is_onehot")
        && argument.boolean()?
    {
        return Err(unsupported("of one channel for each label"));
    }
    let labels = arguments.find("applied_labels").map(|list| labels(&list)).transpose()?;
    Ok(LargestComponents {
        labels,
        independent: arguments.get_or("independent", true, Argument::boolean)?,
        connectivity: arguments.get_or("connectivity", 3, Argument::count)?.min(255) as u8,
        components: arguments.get_or("num_components", 1, Argument::count)?,
    })
}

fn small_objects(arguments: &Known) -> Result<SmallObjects> {
    let known = ["min_size", "connectivity", "independent_channels", "by_measure", "pixdim"];
    let arguments = arguments(&known)?;
    Ok(SmallObjects {
        least: arguments.get_or("min_size", 64.0, Argument::number)?,
        by_measure: arguments.get_or("by_measure", false, Argument::boolean)?,
        together: !arguments.get_or("independent_channels", true, Argument::boolean)?,
        connectivity: arguments.get_or("connectivity", 1, Argument::count)?.min(255) as u8,
    })
}

fn holes(arguments: &Known) -> Result<FillHoles> {
    let arguments = arguments(&["applied_labels", "connectivity"])?;
    Ok(FillHoles {
        labels: arguments.find("applied_labels").map(|list| labels(&list)).transpose()?,
        connectivity: arguments.get_or("connectivity", 3, Argument::count)?.min(255) as u8,
    })
}

/// Which label becomes which.
fn pairs(arguments: &Known) -> Result<Vec<(u16, u16)>> {
    let arguments = arguments(&["orig_labels", "target_labels", "dtype"])?;
    let (from, to) = (arguments.get("orig_labels")?, arguments.get("target_labels")?);
    let (from, targets) = (labels(&from)?, labels(&to)?);
    if from.len() != targets.len() {
        return Err(to.wrong(&format!("{} labels, as there are in orig_labels", from.len())));
    }
    Ok(from.into_iter().zip(targets).collect())
}

/// One label or several.
fn labels(argument: &Argument) -> Result<Vec<u16>> {
    let label =
        |label: &Argument| u16::try_from(label.count()?).map_err(|_| label.wrong("a label up to 65535"));
    argument.one_or_more()?.iter().map(label).collect()
}

/// Whether a function changes only what is no number: labels have no such.
fn leaves_numbers(lambda: &Lambda) -> bool {
    let Expression::Call { callee, positional, .. } = &lambda.body else { return false };
    let name = Expression::Name("torch.nan_to_num".into());
    **callee == name && positional[..] == [Expression::Name(lambda.parameter.clone())]
}

/// The regions, later over earlier, of `torch.where(x[[c]] > 0, label, …)` with 0 at the end.
fn merged(body: &Expression, parameter: &str) -> Option<Vec<Region>> {
    if *body == Expression::Int(0) {
        return Some(Vec::new());
    }
    let Expression::Call { callee, positional, keywords } = body else { return None };
    let [test, label, rest] = &positional[..] else { return None };
    if **callee != Expression::Name("torch.where".into()) || !keywords.is_empty() {
        return None;
    }
    let Expression::Int(label) = label else { return None };
    let mut regions = merged(rest, parameter)?;
    regions.push(Region { class: channel(test, parameter)?, label: u16::try_from(*label).ok()? });
    Some(regions)
}

/// The channel of `x[[c]] > 0` or `x[c] > 0`.
fn channel(test: &Expression, parameter: &str) -> Option<usize> {
    let Expression::Binary(Binary::Greater, sides) = test else { return None };
    let [Expression::Index(indexed), Expression::Int(0)] = &**sides else { return None };
    let [Expression::Name(name), index] = &**indexed else { return None };
    let index = match index {
        Expression::List(list) => list.first().filter(|_| list.len() == 1)?,
        single => single,
    };
    match index {
        Expression::Int(class) if name == parameter => usize::try_from(*class).ok(),
        _ => None,
    }
}
