//! Bundles with configs changed at random, by the grammar and byte by byte: each gives its objects or an
//! error, in little time. `PROPTEST_CASES` sets how many.

use std::time::{Duration, Instant};

use proptest::prelude::*;
use serde_json::Value as Raw;

use super::*;
use crate::model::monai::config::Config;

/// A config with everything that the grammar has.
const SAMPLE: &str = r#"{
    "imports": ["$import glob"], "bundle_root": ".", "image_key": "image", "highres": true,
    "sizes": [96, 96, 96],
    "device": "$torch.device('cuda')", "pixdim": "$[1.5, 1.5, 1.5] if @highres else [3.0, 3.0, 3.0]",
    "network_def": {"_target_": "UNet", "spatial_dims": "$len(@sizes)", "in_channels": "$@sizes[0] // 96",
        "channels": "%other::channels", "_desc_": "x"},
    "other": {"channels": [16, 32], "copy": "%::channels", "file": "%configs/b.yaml::a::0",
        "up": "@::::sizes::1"},
    "network": "$@network_def.to(@device)",
    "preprocessing": {"_target_": "Compose", "transforms": [
        {"_target_": "LoadImaged", "keys": "@image_key", "_disabled_": "$not @highres"},
        {"_target_": "Spacingd", "keys": ["@image_key"], "pixdim": "@pixdim", "mode": "bilinear"},
        {"_target_": "CastToTyped", "keys": "@preprocessing#transforms#0#keys", "dtype": "$np.float32"}]},
    "inferer": {"_target_": "SlidingWindowInferer", "roi_size": "@sizes", "overlap": 0.5},
    "postprocessing": {"_target_": "Compose", "transforms": [
        {"_target_": "Invertd", "transform": "@preprocessing", "orig_keys": "@image_key"},
        {"_target_": "Lambdad", "func": "$lambda x: torch.where(x[[2]] > 0, 4, 0)"}]},
    "handlers": [{"_target_": "CheckpointLoader", "load_path": "$@bundle_root + '/models/model.pt'",
        "load_dict": {"model": "@network"}}],
    "+sizes": [1], "network_def::norm": "batch"
}"#;
const OTHER: &str = "a: &x [1, 'two', {b: @sizes}]\nb: *x\nc: '%other'\n";

/// Texts that mean something to the grammar.
const TEXTS: [&str; 44] = [
    "@network_def",
    "@preprocessing",
    "@postprocessing",
    "@sizes::0",
    "@::a",
    "@::::a",
    "@other#copy",
    "@",
    "%",
    "$",
    "%network_def",
    "%preprocessing",
    "%::channels",
    "%configs/b.yaml::a",
    "%configs/inference.json",
    "%::::",
    "$@sizes + @sizes",
    "$[@other, @other, @other]",
    "$@preprocessing",
    "$[0]*1000000000",
    "$'x' * 9",
    "$@image_key + @image_key",
    "$1 if @highres else @nothing",
    "$-9223372036854775807 - 2",
    "$1 // 0",
    "$7 % -2",
    "$lambda x: x",
    "$lambda x: @x",
    "$monai.x.Y(a=@sizes, **@other)",
    "$@network_def.to(@device)",
    "$torch.float32",
    "$len(@other)",
    "$list(@other.keys())",
    "$@other['channels'][-1]",
    "$not not (1 < 2) and None is None",
    "$((((((((((((((((((((((((((((((((((1))))))))))))))))))))))))))))))))))",
    "$1.5e308 * 10",
    "_target_",
    "$copy.deepcopy(@postprocessing)",
    "größe::👩‍⚕️",
    "",
    "True",
    "../../x",
    "\u{202e}\u{0}",
];

/// Pieces of expressions.
const PIECES: [&str; 24] = [
    "(",
    ")",
    "[",
    "]",
    "{",
    "}",
    ",",
    ".",
    ":",
    "@",
    "@sizes",
    "$",
    "%",
    "::",
    " if ",
    " else ",
    "not ",
    " in ",
    "**",
    "'",
    "\\",
    "1e9",
    "lambda x: ",
    "ß",
];

#[derive(Clone, Debug)]
enum Change {
    Text(usize),
    /// A copy of another node in a node's place.
    Graft(usize),
    /// A node in lists within each other.
    Wrap(usize),
    Rename(usize),
    Repeat(usize),
    /// A piece into a text, over some of its bytes.
    Splice {
        at: usize,
        over: usize,
        piece: usize,
    },
    Number(i64),
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        3 => (0..TEXTS.len()).prop_map(Change::Text),
        3 => any::<usize>().prop_map(Change::Graft),
        1 => (1usize..200).prop_map(Change::Wrap),
        1 => (0..TEXTS.len()).prop_map(Change::Rename),
        1 => (1usize..300).prop_map(Change::Repeat),
        6 => (any::<usize>(), 0usize..4, 0..PIECES.len())
            .prop_map(|(at, over, piece)| Change::Splice { at, over, piece }),
        1 => any::<i64>().prop_map(Change::Number),
    ]
}

/// The number of nodes of a tree.
fn count(raw: &Raw) -> usize {
    1 + match raw {
        Raw::Array(items) => items.iter().map(count).sum(),
        Raw::Object(members) => members.values().map(count).sum(),
        _ => 0,
    }
}

/// A node by its number, the tree itself being the first.
fn node<'a>(raw: &'a mut Raw, number: &mut usize) -> Option<&'a mut Raw> {
    if *number == 0 {
        return Some(raw);
    }
    *number -= 1;
    match raw {
        Raw::Array(items) => items.iter_mut().find_map(|item| node(item, number)),
        Raw::Object(members) => members.values_mut().find_map(|member| node(member, number)),
        _ => None,
    }
}

fn apply(root: &mut Raw, place: usize, change: &Change) {
    let nodes = count(root);
    let graft = match change {
        Change::Graft(from) => node(root, &mut (from % nodes)).cloned(),
        _ => None,
    };
    let Some(node) = node(root, &mut (place % nodes)) else { return };
    match change {
        Change::Text(text) => *node = TEXTS[*text].into(),
        Change::Graft(_) => *node = graft.unwrap_or_default(),
        Change::Wrap(times) => (0..*times).for_each(|_| *node = Raw::Array(vec![node.take()])),
        Change::Number(number) => *node = (*number).into(),
        Change::Rename(key) => {
            if let Raw::Object(members) = node {
                let old = members.keys().nth(place % members.len().max(1)).cloned();
                if let Some(value) = old.and_then(|old| members.remove(&old)) {
                    members.insert(TEXTS[*key].into(), value);
                }
            }
        }
        Change::Repeat(times) => {
            if let Raw::Array(items) = node {
                let last = items.last().cloned();
                items.extend(last.into_iter().cycle().take(*times));
            }
        }
        Change::Splice { at, over, piece } => {
            if let Raw::String(text) = node {
                let letters: Vec<char> = text.chars().collect();
                let at = at % (letters.len() + 1);
                let kept = letters.iter().skip(at + over);
                *text = letters[..at].iter().collect::<String>() + PIECES[*piece] + &kept.collect::<String>();
            }
        }
    }
}

/// The built-in sample and, where they are present, published configs.
fn samples() -> Vec<Raw> {
    let zoo =
        ["brats_mri_segmentation", "wholeBody_ct_segmentation", "spleen_deepedit_annotation", "vista3d"];
    let zoo =
        zoo.iter().filter_map(|bundle| serde_json::from_slice(&zoo_file(bundle, "inference.json")?).ok());
    [serde_json::from_str(SAMPLE).unwrap()].into_iter().chain(zoo).collect()
}

fn cases() -> u32 {
    std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(3000)
}

/// Reads a bundle with this config, under both suffixes.
fn check(text: &[u8]) -> std::result::Result<(), TestCaseError> {
    let start = Instant::now();
    let ids = [
        "network_def",
        "network",
        "preprocessing",
        "inferer",
        "postprocessing",
        "other",
        "sizes",
        "handlers",
    ];
    for name in ["configs/inference.json", "configs/inference.yaml"] {
        let files = files(&[(name, text), ("configs/b.yaml", OTHER.as_bytes())]);
        let mut errors: Vec<_> = Bundle::read(&files, None).err().into_iter().collect();
        match Config::read(&files, &[name]) {
            Ok(config) => errors.extend(ids.iter().filter_map(|id| config.get(id).err())),
            Err(error) => errors.push(error),
        }
        for error in errors {
            let error = error.to_string();
            prop_assert!(error.contains(name) && error.len() < 2000, "{}", error);
        }
    }
    prop_assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
    Ok(())
}

#[test]
fn the_sample_is_a_bundle() {
    let list: [(&str, &[u8]); 2] =
        [("configs/inference.json", SAMPLE.as_bytes()), ("configs/b.yaml", OTHER.as_bytes())];
    let config = described(Bundle::read(&files(&list), None).unwrap());
    assert_eq!(config.network.argument("norm"), Some(&Value::Text("batch".into())));
    assert_eq!(config.network.argument("spatial_dims"), Some(&Value::Int(4)));
    assert_eq!(config.preprocessing.len(), 3);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(cases()) })]

    #[test]
    fn changed_configs_are_read_or_refused(
        sample in 0usize..5,
        changes in prop::collection::vec((any::<usize>(), change()), 1..8),
    ) {
        let mut root = SAMPLES.with(|samples| samples[sample % samples.len()].clone());
        for (place, change) in &changes {
            apply(&mut root, *place, change);
        }
        check(root.to_string().as_bytes())?;
    }

    #[test]
    fn damaged_texts_are_read_or_refused(
        yaml in any::<bool>(),
        damage in prop::collection::vec((any::<usize>(), 0usize..6, any::<[u8; 2]>(), 0usize..3), 1..6),
    ) {
        let mut text = if yaml { OTHER.repeat(3) } else { SAMPLE.to_owned() }.into_bytes();
        for (at, over, bytes, count) in damage {
            let at = at % (text.len() + 1);
            let end = (at + over).min(text.len());
            text.splice(at..end, bytes.into_iter().take(count));
        }
        check(&text)?;
    }
}

thread_local! {
    static SAMPLES: Vec<Raw> = samples();
}
