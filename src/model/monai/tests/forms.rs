//! One network in each form that its weights may come in, which all make the same model.

use std::path::Path;

use serde_json::json;

use crate::checkpoint::Checkpoint;
use crate::checkpoint::tests::file_with;
use crate::error::Result;
use crate::model::{Model, ModelOptions};
use crate::recipe::RestoreMode;
use crate::reference;

/// A bundle's config, and with `channels` and `labels` the description of a file of weights.
const CONFIG: &str = r#"{
    "network_def": {"_target_": "UNet", "spatial_dims": 3, "in_channels": 1, "out_channels": 2,
        "channels": [2, 3], "strides": [2]},
    "preprocessing": {"_target_": "Compose", "transforms": [
        {"_target_": "LoadImaged", "keys": "image"},
        {"_target_": "ScaleIntensityRanged", "keys": "image", "a_min": -57, "a_max": 164, "b_min": 0.0,
         "b_max": 0.1, "clip": true}]},
    "inferer": {"_target_": "SlidingWindowInferer", "roi_size": [16, 16, 8], "overlap": 0.7},
    "postprocessing": {"_target_": "Compose", "transforms": [
        {"_target_": "Invertd", "keys": "pred", "transform": "@preprocessing", "nearest_interp": false},
        {"_target_": "AsDiscreted", "keys": "pred", "argmax": true}]},
    "channels": ["CT"], "labels": {"0": "background", "1": "spleen"}
}"#;

type Entries<'a> = &'a [(&'a str, &'a [u8])];

fn open(files: Entries) -> Result<Model> {
    let owned = files.iter().map(|(name, bytes)| ((*name).to_owned(), bytes.to_vec().into()));
    Model::from_files(owned.collect(), &ModelOptions::default())
}

fn refused(files: Entries, part: &str) {
    let error = open(files).unwrap_err().to_string();
    assert!(error.contains(part), "{error}");
}

/// A safetensors file with the tensors' values.
fn safetensors(tensors: &[(&str, Vec<usize>, Vec<f32>)]) -> Vec<u8> {
    let (mut header, mut data) = (serde_json::Map::new(), Vec::new());
    for (name, shape, values) in tensors {
        let start = data.len();
        values.iter().for_each(|value| data.extend(value.to_le_bytes()));
        let entry = json!({"dtype": "F32", "shape": shape, "data_offsets": [start, data.len()]});
        header.insert((*name).to_owned(), entry);
    }
    let header = serde_json::to_vec(&header).unwrap();
    [&(header.len() as u64).to_le_bytes()[..], &header, &data].concat()
}

/// The weights of [`CONFIG`]'s network.
fn weights(first: f32) -> Vec<u8> {
    let shapes: [(&str, &[usize]); 8] = [
        ("model.0.conv.weight", &[2, 1, 3, 3, 3]),
        ("model.0.conv.bias", &[2]),
        ("model.0.adn.A.weight", &[1]),
        ("model.1.submodule.conv.weight", &[3, 2, 3, 3, 3]),
        ("model.1.submodule.conv.bias", &[3]),
        ("model.1.submodule.adn.A.weight", &[1]),
        ("model.2.conv.weight", &[5, 2, 3, 3, 3]),
        ("model.2.conv.bias", &[2]),
    ];
    let tensor = |(name, shape): (&'static str, &[usize])| {
        let count: usize = shape.iter().product();
        (name, shape.to_vec(), (0..count).map(|n| first + n as f32).collect())
    };
    safetensors(&shapes.map(tensor))
}

#[test]
fn safetensors_stand_in_a_checkpoints_place_or_beside_a_description() {
    let (config, file) = (CONFIG.as_bytes(), &weights(1.0)[..]);
    let bundle = open(&[("configs/inference.json", config), ("models/model.safetensors", file)]).unwrap();
    let single = open(&[("spleen.safetensors", file), ("spleen.json", config)]).unwrap();
    assert_eq!(bundle.identity(), single.identity());
    assert_eq!(single.channels(), ["CT"]);
    assert_eq!(single.labels()[1].name, "spleen");
    let named = CONFIG.replacen('{', r#"{"ckpt_path": "models/own.safetensors", "#, 1);
    let files = [("configs/inference.json", named.as_bytes()), ("models/own.safetensors", file)];
    assert_eq!(open(&files).unwrap().identity(), bundle.identity());
    let other = weights(2.0);
    let other = open(&[("spleen.safetensors", &other), ("spleen.json", config)]).unwrap();
    assert_ne!(other.identity(), bundle.identity());
}

#[test]
fn what_a_file_of_weights_lacks_is_named() {
    let (config, file) = (CONFIG.as_bytes(), &weights(1.0)[..]);
    refused(&[("x.safetensors", &safetensors(&[])), ("x.json", config)], "it has no tensors");
    let wider = CONFIG.replace("[2, 3]", "[2, 4]");
    refused(&[("x.safetensors", file), ("x.json", wider.as_bytes())], "model.1.submodule.conv.weight");
    let none = CONFIG.replace("network_def", "x");
    refused(&[("x.safetensors", file), ("x.json", none.as_bytes())], "there is no item `network_def`");
    refused(
        &[("x.onnx", b"x"), ("x.json", none.replace("labels", "y").as_bytes())],
        "`channels` and `labels`",
    );
    let label = CONFIG.replace(r#""1": "spleen""#, r#""one": "spleen""#);
    refused(&[("x.onnx", b"x"), ("x.json", label.as_bytes())], "label `one`, expected a number");
}

#[test]
fn an_empty_list_is_named() {
    let argument = |name: &str, value: &str| {
        let usual = format!(r#""{name}": {value}"#);
        let changed = CONFIG.replace(&usual, &format!(r#""{name}": []"#));
        assert_ne!(changed, CONFIG, "{name}");
        let error = open(&[("x.safetensors", &weights(1.0)), ("x.json", changed.as_bytes())]).unwrap_err();
        let expected = format!("::{name}` is a list of 0, expected a value, or a list of one or more");
        assert!(error.status() == 203 && error.to_string().contains(&expected), "{error}");
    };
    argument("argmax", "true");
    argument("nearest_interp", "false");
    for (transform, name) in
        [("Activationsd", "softmax"), ("Activationsd", "sigmoid"), ("AsDiscreted", "threshold")]
    {
        let end = format!(r#"{{"_target_": "{transform}", "keys": "pred", "{name}": []}}"#);
        let changed = CONFIG.replace(r#"{"_target_": "AsDiscreted", "keys": "pred", "argmax": true}"#, &end);
        let error = open(&[("x.safetensors", &weights(1.0)), ("x.json", changed.as_bytes())]).unwrap_err();
        assert!(
            error.status() == 203 && error.to_string().contains(&format!("::{name}` is a list of 0")),
            "{error}"
        );
    }
}

#[test]
fn numbers_of_python_are_read_where_nothing_needs_them() {
    let (file, usual) = (&weights(1.0)[..], CONFIG.as_bytes());
    let identity = open(&[("x.safetensors", file), ("x.json", usual)]).unwrap().identity().to_owned();
    let unused = CONFIG.replacen('{', r#"{"best_metric": NaN, "range": [-Infinity, Infinity], "#, 1);
    let model = open(&[("x.safetensors", file), ("x.json", unused.as_bytes())]).unwrap();
    assert_eq!(model.identity(), identity);
    let metadata = br#"{"name": "x", "loss": NaN}"#;
    let bundle = [
        ("configs/inference.json", usual),
        ("models/model.safetensors", file),
        ("configs/metadata.json", metadata),
    ];
    assert_eq!(open(&bundle).unwrap().identity(), identity);
    // In the place of a number, or of one that has a default, it is an error.
    for needed in [CONFIG.replace("-57", "NaN"), CONFIG.replace("0.7", "NaN")] {
        refused(
            &[("x.safetensors", file), ("x.json", needed.as_bytes())],
            "is text \"NaN\", expected a number",
        );
    }
}

#[test]
fn weights_that_are_not_finite_are_refused() {
    for (value, word) in [(f32::NAN, "NaN"), (f32::INFINITY, "inf"), (f32::NEG_INFINITY, "-inf")] {
        let mut file = weights(1.0);
        // The last of the values of `model.2.conv.weight`, before the two of its bias.
        let place = file.len() - 3 * size_of::<f32>();
        file[place..][..size_of::<f32>()].copy_from_slice(&value.to_le_bytes());
        let error = open(&[("x.safetensors", &file), ("x.json", CONFIG.as_bytes())]).unwrap_err();
        let found = format!("{word} at [4, 1, 2, 2, 2], one of 1 values that aren't finite");
        let text = format!("x.safetensors: tensor `model.2.conv.weight` is {found}, expected finite values");
        assert_eq!((error.status(), error.to_string()), (208, text));
    }
}

#[test]
fn two_dimensional_networks_are_refused() {
    let flat = CONFIG.replace(r#""spatial_dims": 3"#, r#""spatial_dims": 2"#);
    let part = "UNet with spatial_dims 2 for tiles of [16, 16, 8]";
    refused(&[("x.safetensors", &weights(1.0)), ("x.json", flat.as_bytes())], part);
    refused(
        &[("configs/inference.json", flat.as_bytes()), ("models/model.safetensors", &weights(1.0))],
        part,
    );
}

#[test]
fn what_is_in_the_place_of_a_bundles_weights_is_said() {
    let config = ("configs/inference.json", CONFIG.as_bytes());
    refused(&[config], "no models/model.pt, where its config says that the weights are");
    // TorchScript's modules stand in the place of the weights.
    refused(&[config, ("models/model.ts", b"x")], "model.ts");
    refused(
        &[config, ("models/best.pt", b"x"), ("models/other.ts", b"x")],
        "there is best.pt, other.ts: name it",
    );
    refused(&[config, ("large_files.yml", b"x")], "large_files.yml says where it is to be downloaded from");
}

#[test]
fn all_classes_that_overlap_become_labels() {
    let sigmoid = r#"{"_target_": "Activationsd", "keys": "pred", "sigmoid": true},
        {"_target_": "AsDiscreted", "keys": "pred", "threshold": 0.5}"#;
    let config = CONFIG.replace(r#"{"_target_": "AsDiscreted", "keys": "pred", "argmax": true}"#, sigmoid);
    let config = config.replace(
        r#"{"_target_": "Invertd", "keys": "pred", "transform": "@preprocessing", "nearest_interp": false},"#,
        "",
    );
    let labels: serde_json::Map<_, _> = (0..100).map(|n| (n.to_string(), format!("l{n}").into())).collect();
    let config = config.replace(r#"{"0": "background", "1": "spleen"}"#, &json!(labels).to_string());
    let model = open(&[("x.onnx", b""), ("x.json", config.as_bytes())]).unwrap();
    assert_eq!(model.labels().len(), 100);
    assert_eq!(model.networks()[0].output_channels(), 99);
}

/// Tensors of MONAI's UNet with two residual units a level, of these channels.
fn unet(
    name: &str,
    (inputs, outputs): (usize, usize),
    channels: &[usize],
    tensors: &mut Vec<(String, Vec<usize>)>,
) {
    fn conv(
        name: String,
        shape: [usize; 2],
        bias: usize,
        size: usize,
        tensors: &mut Vec<(String, Vec<usize>)>,
    ) {
        tensors.push((format!("{name}.weight"), [&shape[..], &[size; 3]].concat()));
        tensors.push((format!("{name}.bias"), vec![bias]));
    }
    fn adn(name: String, count: usize, tensors: &mut Vec<(String, Vec<usize>)>) {
        for part in ["weight", "bias", "running_mean", "running_var"] {
            tensors.push((format!("{name}.adn.N.{part}"), vec![count]));
        }
        tensors.push((format!("{name}.adn.N.num_batches_tracked"), vec![]));
        tensors.push((format!("{name}.adn.A.weight"), vec![1]));
    }
    let &[width, deeper, ..] = channels else { panic!("two channels or more") };
    let mut residual = |name: &str, (from, to): (usize, usize), size: usize| {
        for (unit, from) in [(0, from), (1, to)] {
            conv(format!("{name}.conv.unit{unit}.conv"), [to, from], to, 3, tensors);
            adn(format!("{name}.conv.unit{unit}"), to, tensors);
        }
        conv(format!("{name}.residual"), [to, from], to, size, tensors);
    };
    residual(&format!("{name}.0"), (inputs, width), 3);
    let below = format!("{name}.1.submodule");
    let deeper = if channels.len() > 2 {
        unet(&below, (width, width), &channels[1..], tensors);
        width
    } else {
        residual(&below, (width, deeper), 1);
        deeper
    };
    conv(format!("{name}.2.0.conv"), [width + deeper, outputs], outputs, 3, tensors);
    adn(format!("{name}.2.0"), outputs, tensors);
    conv(format!("{name}.2.1.conv.unit0.conv"), [outputs, outputs], outputs, 3, tensors);
    if name != "model" {
        adn(format!("{name}.2.1.conv.unit0"), outputs, tensors);
    }
}

/// The documented example opens as it stands: its text with weights made for its network.
#[test]
fn the_documented_description_opens() {
    let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/models.md")).unwrap();
    let (_, rest) = text.split_once("## Weights with a description").unwrap();
    let (_, rest) = rest.split_once("```json").unwrap();
    let (config, _) = rest.split_once("```").unwrap();
    let mut tensors = Vec::new();
    unet("model", (1, 2), &[16, 32, 64, 128, 256], &mut tensors);
    let tensors: Vec<_> = tensors.iter().map(|(name, shape)| (name.as_str(), shape.clone())).collect();
    let file = file_with(&tensors, "state_dict", &json!({}));
    let model = open(&[("spleen.pt", &file), ("spleen.json", config.as_bytes())]).unwrap();
    assert_eq!((model.name(), model.channels()), ("spleen", &["CT".to_owned()][..]));
    assert_eq!(model.labels()[1].name, "spleen");
    assert_eq!(model.recipe().restore, RestoreMode::Labels);
    // Another list than the preprocessing is no inverse of it.
    let other = config.replace("\"@preprocessing\"", "[\"@preprocessing::0\", \"@preprocessing::2\"]");
    refused(
        &[("spleen.pt", &file), ("spleen.json", other.as_bytes())],
        "`@preprocessing`, the preprocessing as a whole",
    );
}

/// MONAI Label keeps a network's weights alone in a file.
#[test]
fn a_checkpoint_is_the_same_in_a_bundle_alone_and_as_safetensors() {
    let folder = "monai/public/bundle_spleen_unet/bundle";
    let file = |name: &str| reference::file(&format!("{folder}/{name}"));
    let Some(config) = file("configs/inference.json") else { return };
    let checkpoint = file("models/model.pt").unwrap();
    let bundle = [("configs/inference.json", &config[..]), ("models/model.pt", &checkpoint)];
    let bundle = open(&bundle).unwrap();
    let single = open(&[("spleen.pt", &checkpoint), ("spleen.json", &config)]).unwrap();
    assert_eq!(single.identity(), bundle.identity());

    let read = Checkpoint::from_bytes("model.pt", checkpoint.into()).unwrap();
    let stored = read.root().items().map(|(key, value)| (key.as_str().unwrap(), value.as_tensor().unwrap()));
    let copied: Vec<_> =
        stored.map(|(name, tensor)| (name, tensor.shape.clone(), read.read_f32(&tensor).unwrap())).collect();
    let safe = safetensors(&copied);
    let safe = open(&[("spleen.safetensors", &safe), ("spleen.json", &config)]).unwrap();
    assert_eq!(safe.identity(), bundle.identity());
}

#[test]
fn an_nnunet_in_a_bundle_is_the_folder_without_mirroring() {
    const WRAPPER: &str = r#"{
        "bundle_root": ".", "fold": 0,
        "network_def": {"_target_": "monai.apps.nnunet.nnunet_bundle.get_nnunet_monai_predictor",
            "model_folder": "$@bundle_root + '/models/fold_' + str(@fold)", "model_name": "model.pt"},
        "preprocessing": {"_target_": "Compose", "transforms": [{"_target_": "LoadImaged", "keys": "image"}]},
        "inferer": {"_target_": "SimpleInferer"},
        "postprocessing": {"_target_": "Compose", "transforms": [{"_target_": "SaveImaged", "keys": "pred"}]}
    }"#;
    let name = "nnUNetTrainerNoMirroring__nnUNetPlans__3d_fullres";
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/models/Dataset901_TorsoCT").join(name);
    let file = |name: &str| std::fs::read(folder.join(name)).unwrap();
    let (plans, dataset, checkpoint) =
        (file("plans.json"), file("dataset.json"), file("fold_0/checkpoint_final.pth"));
    let bundle = open(&[
        ("configs/inference.json", WRAPPER.as_bytes()),
        ("models/plans.json", &plans),
        ("models/dataset.json", &dataset),
        ("models/nnunet_checkpoint.pth", &checkpoint),
        ("models/fold_0/model.pt", &checkpoint),
    ]);
    let bundle = bundle.unwrap();
    let own = Model::open(&folder, &ModelOptions::default()).unwrap();
    // This model's trainer never mirrors.
    assert_eq!(bundle.identity(), own.identity());
    assert_eq!((bundle.channels(), bundle.labels()), (own.channels(), own.labels()));
}
