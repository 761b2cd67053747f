use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::{Context, from_config};
use crate::checkpoint::Checkpoint;
use crate::checkpoint::tests::state_dict;
use crate::engine::{Device, DeviceOptions, EngineRequest, Precision, Workspace};
use crate::error::Result;
use crate::network::{Network, StateDict};
use crate::progress::Cancel;

fn object(value: &Value) -> &Map<String, Value> {
    value.as_object().unwrap()
}

/// Builds a network from a checkpoint that is a state dict, or has one as `key`.
fn build(
    target: &str,
    arguments: &Value,
    version: &str,
    file: &Checkpoint,
    key: Option<&str>,
) -> Result<Network> {
    let context = Context { file: "inference.json", monai_version: Some(version) };
    let weights = key.map_or(file.root(), |key| file.root().get(key).unwrap());
    from_config(target, object(arguments), &context)?.build(StateDict::new(file, weights)?)
}

fn floats(path: &Path) -> Vec<f32> {
    let bytes = std::fs::read(path).unwrap();
    bytes.as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect()
}

fn run(network: &Arc<Network>, tile: [usize; 3], precision: Precision, image: &[f32]) -> Vec<f32> {
    let (options, never) = (DeviceOptions::default(), Cancel::new());
    let engine =
        EngineRequest::new(Device::OrtCpu, tile, precision, 2, &options, &never).engine(network, 0).unwrap();
    let mut scores = vec![f32::NAN; network.output_channels() * tile.iter().product::<usize>()];
    engine.run(&mut Workspace::default(), image, &mut scores).unwrap();
    scores
}

/// The largest difference from the expected scores, in terms of the largest of these.
fn deviation(scores: &[f32], expected: &[f32]) -> f32 {
    assert_eq!(scores.len(), expected.len());
    assert!(scores.iter().all(|score| score.is_finite()));
    let largest = expected.iter().fold(0.0_f32, |largest, value| largest.max(value.abs()));
    let differences = scores.iter().zip(expected).map(|(a, b)| (a - b).abs());
    differences.fold(0.0, f32::max) / largest
}

/// Cases that `tests/parity/make_networks.py` made, where `VOXSEG_NETWORK_CASES` names their folder.
#[test]
fn networks_of_monai() {
    let Some(folder) = std::env::var_os("VOXSEG_NETWORK_CASES").map(PathBuf::from) else {
        eprintln!("skipped: VOXSEG_NETWORK_CASES names no folder with networks");
        return;
    };
    let cases: Vec<Value> =
        serde_json::from_slice(&std::fs::read(folder.join("cases.json")).unwrap()).unwrap();
    let mut wrong = Vec::new();
    for case in &cases {
        let name = case["name"].as_str().unwrap();
        let file = Checkpoint::open(&folder.join(format!("{name}.pt"))).unwrap();
        let (target, version) = (case["target"].as_str().unwrap(), case["monai_version"].as_str().unwrap());
        let network = match build(target, &case["arguments"], version, &file, case["key"].as_str()) {
            Ok(network) => Arc::new(network),
            Err(error) => {
                wrong.push(format!("{name}: {error}"));
                continue;
            }
        };
        let tile = crate::reference::numbers(&case["tile"]).try_into().unwrap();
        let image = floats(&folder.join(format!("{name}.image.f32")));
        let expected = floats(&folder.join(format!("{name}.scores.f32")));
        let single = deviation(&run(&network, tile, Precision::F32, &image), &expected);
        let half = deviation(&run(&network, tile, Precision::F16, &image), &expected);
        eprintln!("{name}: {single:.1e} in single precision, {half:.1e} in half");
        if !(single < 2e-5 && half < 2e-2) {
            wrong.push(format!("{name}: {single:e} in single precision, {half:e} in half"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Scores of MONAI 1.6.1 for an image that is a formula of the voxel's index, at the sevenths of the result.
#[test]
fn reference_models_give_the_scores_of_monai() {
    type Case = (&'static str, &'static str, Option<&'static str>, [usize; 3], [f32; 6]);
    let cases: [Case; 4] = [
        (
            "bundle_wholebody/bundle/configs/inference.json",
            "bundle_wholebody/bundle/models/model.pt",
            None,
            [32, 32, 32],
            [1.493402, 28.48441, -5.513973, 8.100033, -6.927084, -20.96181],
        ),
        (
            "bundle_spleen_unet/bundle/configs/inference.json",
            "bundle_spleen_unet/bundle/models/model.pt",
            None,
            [32, 32, 32],
            [-4.831178, -7.58129, -1.318434, -1.392307, -0.9650153, 14.21161],
        ),
        (
            "auto3dseg_ct/config_in_model_pt.json",
            "auto3dseg_ct/model/model.pt",
            Some("state_dict"),
            [32, 32, 32],
            [-25.31446, 2.522581, -10.76838, 6.271636, 1.105249, 9.931654],
        ),
        (
            "auto3dseg_mr_aniso/config_in_model_pt.json",
            "auto3dseg_mr_aniso/model/model.pt",
            Some("state_dict"),
            [32, 8, 48],
            [-0.0244627, -5.507643, -4.691771, 9.404129, -20.35303, 7.442008],
        ),
    ];
    for (config, checkpoint, key, tile, expected) in cases {
        let file = |name: &str| crate::reference::file(&format!("monai/public/{name}"));
        let (Some(config), Some(bytes)) = (file(config), file(checkpoint)) else { return };
        let config: Value = serde_json::from_slice(&config).unwrap();
        let mut arguments = config.get("network_def").unwrap_or(&config["network"]).clone();
        let target = arguments.as_object_mut().unwrap().remove("_target_").unwrap();
        let file = Checkpoint::from_bytes("model.pt", bytes.into()).unwrap();
        let network = Arc::new(build(target.as_str().unwrap(), &arguments, "1.4.0", &file, key).unwrap());
        let voxels = tile.iter().product::<usize>();
        let image: Vec<f32> = (0..voxels).map(|at| ((at * 37 % 101) as f32 - 50.0) / 50.0).collect();
        let scores = run(&network, tile, Precision::F32, &image);
        let probes: Vec<f32> = (1..7).map(|seventh| scores[scores.len() * seventh / 7]).collect();
        assert!(deviation(&probes, &expected) < 1e-5, "{checkpoint}: {probes:?}");
    }
}

fn read(target: &str, arguments: &Value) -> Result<super::MonaiNetwork> {
    let context = Context { file: "inference.json", monai_version: Some("1.4.0") };
    from_config(target, object(arguments), &context)
}

/// The text of an error that has the status number.
fn refusal<T>(result: Result<T>, status: i32) -> String {
    let error = result.err().expect("should be refused");
    assert_eq!(error.status(), status, "{error}");
    error.to_string()
}

const UNSUPPORTED: i32 = 205;
const MALFORMED: i32 = 203;

#[test]
fn class_names_may_have_their_modules() {
    let unet =
        json!({"spatial_dims": 3, "in_channels": 1, "out_channels": 2, "channels": [4, 8], "strides": [2]});
    for target in ["UNet", "Unet", "monai.networks.nets.UNet", "monai.networks.nets.unet.UNet"] {
        assert_eq!(read(target, &unet).unwrap().name(), "UNet");
    }
    for target in ["SegResNet", "monai.networks.nets.segresnet.SegResNet"] {
        assert_eq!(read(target, &json!({})).unwrap().name(), "SegResNet");
    }
}

#[test]
fn other_classes_are_refused_with_a_way_out() {
    for target in ["UNesT", "monai.networks.nets.HighResNet", "FlexibleUNet", "scripts.networks.UNet", ""] {
        let text = refusal(read(target, &json!({})), UNSUPPORTED);
        assert!(text.contains(&format!("`{target}`")) && text.contains("ONNX"), "{text}");
    }
}

#[test]
fn arguments_that_are_unknown_wrong_or_unsupported_are_named() {
    let cases = [
        ("SegResNet", json!({"blocks": [1]}), UNSUPPORTED, "blocks"),
        ("SegResNet", json!({"init_filters": -1}), MALFORMED, "init_filters"),
        ("SegResNet", json!({"init_filters": 1 << 21}), MALFORMED, "init_filters"),
        ("SegResNet", json!({"blocks_down": vec![1; 17]}), MALFORMED, "blocks_down"),
        ("SegResNet", json!({"blocks_up": [1]}), MALFORMED, "blocks_up"),
        ("SegResNet", json!({"upsample_mode": "pixelshuffle"}), UNSUPPORTED, "pixelshuffle"),
        ("SegResNet", json!({"norm": ["group", {"groups": 8}]}), MALFORMED, "num_groups"),
        ("SegResNet", json!({"norm": ["batch", {"affin": true}]}), UNSUPPORTED, "affin"),
        ("SegResNet", json!({"norm": "layer"}), UNSUPPORTED, "`layer`"),
        ("SegResNet", json!({"norm": 3}), MALFORMED, "norm"),
        ("SegResNet", json!({"act": ["mish"]}), UNSUPPORTED, "`mish`"),
        ("SegResNet", json!({"spatial_dims": 1}), UNSUPPORTED, "spatial_dims"),
        ("SegResNetDS", json!({"resolution": [1.0, 0.0, 1.0]}), MALFORMED, "resolution"),
        ("SegResNetDS", json!({"preprocess": "x"}), UNSUPPORTED, "preprocess"),
        ("UNet", json!({"spatial_dims": 3}), MALFORMED, "in_channels"),
        ("BasicUNet", json!({"features": [1, 2, 3]}), MALFORMED, "features"),
        ("DiNTS", json!({}), MALFORMED, "dints_space"),
        (
            "SwinUNETR",
            json!({"in_channels": 1, "out_channels": 2, "spatial_dims": 2}),
            UNSUPPORTED,
            "spatial_dims",
        ),
    ];
    for (target, arguments, status, name) in cases {
        let text = refusal(read(target, &arguments), status);
        assert!(text.contains(name) && text.contains("inference.json"), "{text}");
    }
}

#[test]
fn the_order_of_merging_follows_the_version() {
    let merging = |version: Option<&str>, downsample: &str| {
        let arguments = json!({"in_channels": 1, "out_channels": 2, "downsample": downsample});
        let context = Context { file: "inference.json", monai_version: version };
        match from_config("SwinUNETR", object(&arguments), &context)? {
            super::MonaiNetwork::SwinUNETR(net) => Ok(net.downsample),
            other => panic!("{other:?}"),
        }
    };
    use super::PatchMerging::{Fixed, Legacy, V2};
    let expected = [
        ("0.9.1", Legacy),
        ("1.4.0", Legacy),
        ("1.4.0rc5+3", Legacy),
        ("1.5.0", Fixed),
        ("1.10", Fixed),
        ("2.0", Fixed),
    ];
    for (version, order) in expected {
        assert_eq!(merging(Some(version), "merging").unwrap(), order, "{version}");
    }
    assert_eq!(merging(None, "mergingv2").unwrap(), V2);
    for version in [None, Some("main")] {
        assert!(refusal(merging(version, "merging"), UNSUPPORTED).contains("1.5.0"));
    }
}

/// A U-Net of six tensors, with its arguments.
fn small() -> (Value, Vec<(&'static str, Vec<usize>)>) {
    let arguments = json!({
        "spatial_dims": 3, "in_channels": 1, "out_channels": 2, "channels": [3, 4], "strides": [2],
        "act": "relu", "norm": null, "dropout": 0.1,
    });
    let tensors = vec![
        ("model.0.conv.weight", vec![3, 1, 3, 3, 3]),
        ("model.0.conv.bias", vec![3]),
        ("model.1.submodule.conv.weight", vec![4, 3, 3, 3, 3]),
        ("model.1.submodule.conv.bias", vec![4]),
        ("model.2.conv.weight", vec![7, 2, 3, 3, 3]),
        ("model.2.conv.bias", vec![2]),
    ];
    (arguments, tensors)
}

#[test]
fn tensors_that_are_missing_misshapen_or_unused_are_refused() {
    let (arguments, tensors) = small();
    let build =
        |tensors: &[(&str, Vec<usize>)]| build("UNet", &arguments, "1.4.0", &state_dict(tensors), None);
    let network = build(&tensors).unwrap();
    assert_eq!((network.input_channels(), network.output_channels()), (1, 2));
    assert_eq!(network.sizes([6, 8, 10]).unwrap().last(), Some(&[6, 8, 10]));
    assert!(refusal(network.sizes([6, 8, 9]), UNSUPPORTED).contains("[6, 8, 9]"));
    for index in 0..tensors.len() {
        let mut fewer = tensors.clone();
        let (name, shape) = fewer.remove(index);
        assert!(refusal(build(&fewer), 206).contains(name));
        let mut other = tensors.clone();
        other[index].1 = shape.iter().rev().map(|size| size + 1).collect();
        assert!(refusal(build(&other), 208).contains(name));
    }
    let more = [tensors, vec![("model.3.conv.bias", vec![2])]].concat();
    assert!(refusal(build(&more), 207).contains("model.3.conv.bias"));
}

#[test]
fn a_module_under_a_second_name_must_be_the_same() {
    let tensors = [("a.w", vec![2]), ("b.c.w", vec![2]), ("b.c.x", vec![1])];
    let file = state_dict(&tensors);
    let mut weights = StateDict::new(&file, file.root()).unwrap();
    weights.take("a.w", &[2]).unwrap();
    // Tensors of the second name that the first doesn't have stay unaccounted for.
    weights.alias_module("b.c", "a").unwrap();
    assert!(refusal(weights.finish(), 207).contains("b.c.x"));
    let mut weights = StateDict::new(&file, file.root()).unwrap();
    weights.skip_module("b");
    assert!(refusal(weights.finish(), 207).contains("a.w"));
    let other = state_dict(&[("a.w", vec![2]), ("b.w", vec![3])]);
    let mut weights = StateDict::new(&other, other.root()).unwrap();
    assert!(refusal(weights.alias_module("b", "a"), 208).contains("b.w"));
}
