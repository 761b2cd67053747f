//! Small models of Auto3DSeg, written here.

use serde_json::{Value, json};

use super::*;
use crate::checkpoint::tests::file_with;

const TABLE: &str = "LabelValue,Name\n1,spleen\n2,liver\n3,kidney\n";

fn config(inputs: usize, classes: usize) -> Value {
    json!({
        "network": {"_target_": "SegResNetDS", "init_filters": 2, "blocks_down": [1, 1], "norm": "INSTANCE",
            "in_channels": inputs, "out_channels": classes, "dsdepth": 1},
        "normalize_mode": "range", "intensity_bounds": [-100.0, 300.0], "roi_size": [16, 16, 16],
        "orientation_ras": true, "crop_foreground": false, "resample_resolution": [2.0, 2.0, 2.0], "sigmoid": false,
    })
}

/// A model of the config; its network is the one that [`config`] describes.
fn files(config: &Value) -> Vec<(String, crate::file::Bytes)> {
    let size = |key: &str| config["network"][key].as_u64().unwrap() as usize;
    let (inputs, classes) = (size("in_channels"), size("out_channels"));
    let mut tensors: Vec<(String, Vec<usize>)> = Vec::new();
    let mut block = |name: &str, channels: usize| {
        for part in [1, 2] {
            tensors.push((format!("{name}.norm{part}.weight"), vec![channels]));
            tensors.push((format!("{name}.norm{part}.bias"), vec![channels]));
            tensors.push((format!("{name}.conv{part}.weight"), vec![channels, channels, 3, 3, 3]));
        }
    };
    block("encoder.layers.0.blocks.0", 2);
    block("encoder.layers.1.blocks.0", 4);
    block("up_layers.0.blocks.0", 2);
    for (name, shape) in [
        ("encoder.conv_init.weight", vec![2, inputs, 3, 3, 3]),
        ("encoder.layers.0.downsample.weight", vec![4, 2, 3, 3, 3]),
        ("up_layers.0.upsample.deconv.weight", vec![4, 2, 3, 3, 3]),
        ("up_layers.0.head.weight", vec![classes, 2, 1, 1, 1]),
        ("up_layers.0.head.bias", vec![classes]),
    ] {
        tensors.push((name.into(), shape));
    }
    let tensors: Vec<_> = tensors.iter().map(|(name, shape)| (name.as_str(), shape.clone())).collect();
    let file = file_with(&tensors, "state_dict", &json!({"config": config}));
    vec![(CHECKPOINT.into(), file.into()), (LABELS.into(), TABLE.as_bytes().to_vec().into())]
}

fn open_with(config: &Value, options: &ModelOptions) -> Result<Model> {
    Model::from_files(files(config), options)
}

fn opened(config: &Value) -> Model {
    open_with(config, &ModelOptions::default()).unwrap()
}

fn with(config: &Value, key: &str, value: Value) -> Value {
    let mut changed = config.clone();
    changed[key] = value;
    changed
}

#[test]
fn a_path_changes_nothing() {
    let plain = opened(&config(1, 4));
    let root = std::env::temp_dir().join(format!("voxseg-auto3dseg-{}", std::process::id()));
    for name in ["MyBraTS2021_project/model", "whole-head-study/model", "brats-whole-head"] {
        let folder = root.join(name);
        std::fs::create_dir_all(&folder).unwrap();
        for (name, bytes) in files(&config(1, 4)) {
            std::fs::write(folder.join(name), bytes).unwrap();
        }
        let model = Model::open(&folder, &ModelOptions::default()).unwrap();
        assert_eq!(model.identity(), plain.identity(), "{name}");
    }
    std::fs::remove_dir_all(root).unwrap();
    // What the path told the script, an option tells here.
    let way = |auto3dseg_script| ModelOptions { auto3dseg_script, ..ModelOptions::default() };
    let head = open_with(&config(1, 4), &way(Auto3dsegScript::WholeHead)).unwrap();
    assert_eq!(head.recipe().cleanup.len(), 1);
    assert!(plain.recipe().cleanup.is_empty());
    assert_eq!(open_with(&config(1, 4), &way(Auto3dsegScript::Brats)).unwrap_err().status(), 205);
}

#[test]
fn brats_is_known_by_its_network() {
    let brats = with(&with(&config(4, 3), "sigmoid", json!(true)), "normalize_mode", json!("meanstd"));
    let labels = |model: &Model| match &model.recipe().decision {
        Decision::Regions { regions, at_half: true, .. } => {
            regions.iter().map(|region| region.label).collect()
        }
        _ => Vec::new(),
    };
    let model = opened(&brats);
    assert_eq!(labels(&model), [2, 1, 3]);
    assert!(matches!(model.recipe().steps.last(), Some(Step::Intensity { .. })));
    let general = ModelOptions { auto3dseg_script: Auto3dsegScript::General, ..ModelOptions::default() };
    let modes = json!({"a": "meanstd", "b": "meanstd", "c": "meanstd"});
    let model = open_with(&with(&brats, "extra_modalities", modes), &general).unwrap();
    assert_eq!(labels(&model), [1, 2, 3]);
    assert!(!matches!(model.recipe().steps.last(), Some(Step::Intensity { .. })));
}

#[test]
fn all_classes_that_overlap_come_out() {
    let sigmoid = with(&config(1, 4), "sigmoid", json!(true));
    let model = opened(&sigmoid);
    let regions = |labels: [u16; 4]| {
        let regions = labels.into_iter().enumerate().map(|(class, label)| Region { class, label });
        Decision::Regions { regions: regions.collect(), threshold: 0.5, at_half: true }
    };
    assert_eq!(model.recipe().decision, regions([1, 2, 3, 4]));
    let names: Vec<&str> = model.labels().iter().map(|label| label.name.as_str()).collect();
    assert_eq!(names, ["background", "spleen", "liver", "kidney", "class 3"]);
    // What the classes are made of tells their labels.
    let nested = opened(&with(&sigmoid, "class_index", json!([[1, 2, 3, 4], [2, 3, 4], [3, 4], [3]])));
    assert_eq!(nested.recipe().decision, regions([1, 2, 4, 3]));
    let single = opened(&with(&sigmoid, "class_index", json!([[3], [1], [2], [4]])));
    assert_eq!(single.recipe().decision, regions([3, 1, 2, 4]));
    let unclear = opened(&with(&sigmoid, "class_index", json!([[1, 2], [2, 3], [3], [3]])));
    assert_eq!(unclear.recipe().decision, regions([1, 2, 3, 4]));
    let error = open_with(&with(&sigmoid, "class_index", json!([[1]])), &ModelOptions::default());
    assert_eq!(error.unwrap_err().status(), 203);
}

#[test]
fn a_missing_key_is_named() {
    for key in ["normalize_mode", "intensity_bounds", "roi_size", "network"] {
        let mut lacking = config(1, 4);
        lacking["network"]["in_channels"] = json!(1);
        let complete = files(&lacking);
        lacking.as_object_mut().unwrap().remove(key);
        let tensors = [("x", vec![1])];
        let mut without = complete;
        if key == "network" {
            without[0].1 = file_with(&tensors, "state_dict", &json!({"config": lacking})).into();
        } else {
            without = files(&lacking);
        }
        let error = Model::from_files(without, &ModelOptions::default()).unwrap_err();
        let expected = format!("malformed model.pt: `{key}` is missing");
        assert_eq!(error.to_string(), expected);
    }
    // Numbers that aren't finite are no missing ones.
    let infinite = with(&config(1, 4), "resample_resolution", json!("inf"));
    let error = open_with(&infinite, &ModelOptions::default()).unwrap_err().to_string();
    assert!(error.contains("`resample_resolution` is \"inf\", expected a number"), "{error}");
}
