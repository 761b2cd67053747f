//! nnInteractive's folders: nnU-Net's, and a file that says how prompts become channels of the network's image.

use serde_json::Value;

use super::PLANS;
use super::plans::Configuration;
use crate::error::{Error, Result};
use crate::file::shorten;
use crate::labels::{Label, Terms, colors};
use crate::model::files::Files;
use crate::model::json::{Json, parse};
use crate::nifti::Reader;
use crate::recipe::{
    Decision, Fill, ImportanceMap, Painting, PromptKind, Prompting, Recipe, RestoreMode, ScorePrecision,
    Step, TilePlacement, Tiling,
};

/// The file that says it, today's name first.
const FILES: [&str; 2] = ["inference_info.json", "inference_session_class.json"];
/// The only session that is known, and the newest version of it.
const CLASS: &str = "nnInteractiveInferenceSession";
const VERSION: u64 = 2;
/// What the network decides between.
pub(super) const CLASSES: usize = 2;
/// The decay of files that only have the session's name.
const OLD_DECAY: f64 = 0.9;
/// More channels than any folder has.
const MOST_CHANNELS: usize = 64;

/// A kind of prompts with its keys among the supported ones and in the mapping, whether it is supported without a word,
/// and its channels without one.
const KINDS: [(PromptKind, &str, bool, [i64; 2]); 5] = [
    (PromptKind::Point, "points", true, [3, 4]),
    (PromptKind::Box2d, "bbox2d", true, [1, 2]),
    (PromptKind::Box3d, "bbox3d", false, [1, 2]),
    (PromptKind::Scribble, "scribble", true, [5, 6]),
    (PromptKind::Lasso, "lasso", true, [1, 2]),
];

/// How prompts become channels, where the folder is one of nnInteractive.
pub(super) fn read(files: &Files) -> Result<Option<Painting>> {
    let Some(name) = FILES.into_iter().find(|name| files.has(name)) else { return Ok(None) };
    let value = parse(files, name)?;
    if let Value::String(class) = &value {
        check_class(class)?;
        let nothing = Value::Object(serde_json::Map::new());
        let prompting = prompting(&Json::new(name, &nothing))?;
        return Ok(Some(Painting { decay: OLD_DECAY, ..prompting }));
    }
    prompting(&Json::new(name, &value)).map(Some)
}

fn check_class(class: &str) -> Result<()> {
    if class == CLASS {
        return Ok(());
    }
    Err(Error::unsupported(format!("the session class {}; known is {CLASS}", shorten(class))))
}

fn prompting(json: &Json) -> Result<Painting> {
    json.members()?;
    json.find("inference_class").map_or(Ok(()), |class| check_class(class.text()?))?;
    if let Some(least) = json.find("inference_class_min_version") {
        let first = least.text()?.split('.').next().and_then(|major| major.parse().ok());
        let first: u64 = first.ok_or_else(|| least.wrong("a version as in 1.2.3"))?;
        if first > VERSION {
            let what = format!("{CLASS} of version {}; this is version {VERSION}", shorten(least.text()?));
            return Err(Error::unsupported(what));
        }
    }
    if let Some(mode) = json.find("pad_mode_image")
        && mode.text()? != "constant"
    {
        return Err(mode.wrong("constant"));
    }
    let decay = json.find("interaction_decay").map_or(Ok(0.98), |decay| decay.number())?;
    if !(decay > 0.0 && decay <= 1.0) {
        return Err(json.get("interaction_decay")?.wrong("a number over 0 and up to 1"));
    }
    let point_radius = json.find("point_radius").map_or(Ok(4), |radius| radius.count())?;
    if point_radius > 32 {
        return Err(json.get("point_radius")?.wrong("up to 32"));
    }
    let (supported, mapping) = (json.find("supported_interactions"), json.find("channel_mapping"));
    let mut pairs = Vec::new();
    let mut previous = 0;
    if let Some(json) = mapping.as_ref().and_then(|mapping| mapping.find("prev_seg")) {
        previous = match json.is_list() {
            true => json.list()?.first().ok_or_else(|| json.wrong("a channel"))?.integer()?,
            false => json.integer()?,
        };
    }
    for (kind, key, usual, channels) in KINDS {
        let takes = supported.as_ref().and_then(|supported| supported.find(key));
        let takes = takes.map_or(Ok(usual), |takes| takes.boolean())?;
        let channels = match mapping.as_ref().and_then(|mapping| mapping.find(key)) {
            None => channels,
            Some(pair) => {
                let numbers = pair.list()?.iter().map(Json::integer).collect::<Result<Vec<i64>>>()?;
                <[i64; 2]>::try_from(numbers).map_err(|_| pair.wrong("two channels"))?
            }
        };
        pairs.push((kind, takes, channels));
    }
    let most = pairs.iter().flat_map(|(.., channels)| *channels).fold(previous, i64::max);
    let channels = match json.find("interaction_channels") {
        Some(count) => count.count()? + 1,
        None => usize::try_from(most).unwrap_or(0).saturating_add(1),
    };
    if channels > MOST_CHANNELS {
        return Err(Error::unsupported(format!(
            "{channels} channels of prompts; up to {MOST_CHANNELS} are read"
        )));
    }
    let channel = |number: i64| {
        let counted = if number < 0 { number.saturating_add(channels as i64) } else { number };
        let found = usize::try_from(counted).ok().filter(|channel| *channel < channels);
        let outside =
            || json.wrong(&format!("channels below {channels}, where `channel_mapping` has {number}"));
        found.ok_or_else(outside)
    };
    let mut painted = Vec::new();
    for (kind, takes, [object, rest]) in pairs {
        let channels = [channel(object)?, channel(rest)?];
        if takes {
            painted.push((kind, channels));
        }
    }
    let initial = json.find("supports_initial_label").map_or(Ok(true), |flag| flag.boolean())?;
    Ok(Painting { point_radius, decay, channels, previous: channel(previous)?, painted, initial })
}

/// The image as the viewer holds it; the session does the rest.
pub(super) fn recipe(configuration: &Configuration, prompting: Painting) -> Result<Recipe> {
    if configuration.dimensions != 3 {
        return Err(Error::unsupported(format!("{PLANS}: prompts for a two-dimensional network")));
    }
    Ok(Recipe {
        reader: Reader::Itk,
        steps: vec![Step::Orient { canonical: false, flip: [false; 3], order: [2, 1, 0] }],
        tiling: Tiling {
            patch: configuration.json().get("patch_size")?.axes(1, Json::count)?,
            slices: false,
            placement: TilePlacement::Even(0.5),
            importance: ImportanceMap::Constant,
            fill: Fill::Constant(0.0),
            score_precision: ScorePrecision::Single,
            mirror: Vec::new(),
        },
        restore: RestoreMode::Labels,
        decision: Decision::Highest,
        cleanup: Vec::new(),
        postprocess: Vec::new(),
        prompting: Some(Prompting::Painting(prompting)),
    })
}

/// The object, whatever the training's labels were.
pub(super) fn labels() -> Vec<Label> {
    let names = ["background", "object"].into_iter().zip(0..).zip(colors(CLASSES));
    let label = |((name, value), color): ((&str, u32), [u8; 3])| Label {
        value,
        name: name.to_owned(),
        color,
        terms: Terms::default(),
    };
    names.map(label).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(value: Value) -> Result<Option<Painting>> {
        let name = FILES[0].to_owned();
        super::read(&Files::memory(vec![(name, serde_json::to_vec(&value).unwrap().into())]))
    }

    #[test]
    fn files_say_how_prompts_become_channels() {
        assert_eq!(super::read(&Files::memory(Vec::new())).unwrap(), None);
        let usual = read(json!({})).unwrap().unwrap();
        assert_eq!((usual.channels, usual.previous, usual.decay, usual.point_radius), (7, 0, 0.98, 4));
        assert_eq!(usual.channels_of(PromptKind::Scribble), Some([5, 6]));
        assert_eq!(usual.channels_of(PromptKind::Box3d), None);
        assert!(usual.kinds().contains(&PromptKind::Mask));
        // The old file may be a name alone.
        assert_eq!(read(json!(CLASS)).unwrap().unwrap(), Painting { decay: 0.9, ..usual.clone() });
        let other = read(json!({
            "interaction_channels": 6,
            "supports_initial_label": false,
            "supported_interactions": {"bbox3d": true, "lasso": false},
            "channel_mapping": {"points": [-2, -1], "prev_seg": [0]},
        }));
        let other = other.unwrap().unwrap();
        assert_eq!((other.channels, other.channels_of(PromptKind::Point)), (7, Some([5, 6])));
        assert_eq!(other.channels_of(PromptKind::Box3d), Some([1, 2]));
        assert_eq!(other.channels_of(PromptKind::Lasso), None);
        assert!(!other.kinds().contains(&PromptKind::Mask));
    }

    #[test]
    fn what_is_wrong_with_a_file_is_named() {
        for (value, words) in [
            (json!("AnotherSession"), "AnotherSession"),
            (json!({"inference_class": "x"}), "the session class x"),
            (json!({"inference_class_min_version": "9.1"}), "version 9.1"),
            (json!({"pad_mode_image": "edge"}), "pad_mode_image"),
            (json!({"interaction_decay": 0.0}), "interaction_decay"),
            (json!({"interaction_decay": "x"}), "interaction_decay"),
            (json!({"point_radius": 33}), "point_radius"),
            (json!({"channel_mapping": {"points": [7, 8]}, "interaction_channels": 6}), "channel_mapping"),
            (json!({"channel_mapping": {"points": [-8, 1]}}), "channel_mapping"),
            (json!({"channel_mapping": {"points": [1, 2, 3]}}), "points"),
            (json!({"interaction_channels": 100_000}), "100001 channels"),
            (json!([1]), "object"),
        ] {
            let error = read(value).unwrap_err().to_string();
            assert!(error.contains(words), "{error}");
        }
    }
}
