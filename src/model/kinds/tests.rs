use crate::checkpoint::tests::file_with;
use crate::model::{Model, ModelOptions};

fn said(names: &[&str], configuration: Option<&str>) -> String {
    let files = names.iter().map(|name| ((*name).to_owned(), b"{}".to_vec().into())).collect();
    let options = ModelOptions { configuration: configuration.map(str::to_owned), ..ModelOptions::default() };
    let error = Model::from_files(files, &options).unwrap_err();
    assert_eq!(error.status(), 202, "{error}");
    error.to_string()
}

#[test]
fn what_was_found_is_said() {
    for (names, parts) in [
        (
            &[
                "work/segresnet_0/model/model.pt",
                "work/segresnet_0/configs/hyper_parameters.yaml",
                "work/dints_1/x",
            ][..],
            &["work folder of Auto3DSeg with dints_1, segresnet_0", "of a segresnet opens by its own path"][..],
        ),
        (&["configs/hyper_parameters.yaml"], &["work folder of Auto3DSeg"]),
        (&["algorithm_templates/segresnet/x.py", "input.yaml"], &["work folder of Auto3DSeg"]),
        (&["plans.pkl", "fold_0/model_final_checkpoint.model"], &["nnU-Net's first version (plans.pkl)"]),
        (&["Task1/plans.pkl", "Task1/fold_0/x.model"], &["folder Task1", "first version"]),
        (
            &["dataset.json", "imagesTr/a_0000.nii.gz", "labelsTr/a.nii.gz"],
            &["training data", "nnUNet_results"],
        ),
        (&["nnUNetPlans.json", "gt_segmentations/a.nii.gz"], &["preprocessed training data"]),
        (&["labels.csv"], &["has labels.csv, but no model.pt"]),
        (&["model.pt"], &["has model.pt, but neither a labels.csv", "model.json"]),
        (
            &["configs/evaluate.json", "configs/other.yaml", "configs/metadata.json", "models/model.pt"],
            &[
                "MONAI bundle without configs/inference.json",
                "evaluate.json, other.yaml",
                "--configuration evaluate.json",
            ],
        ),
        (&["configs/metadata.json", "models/model.pt"], &["only configs/metadata.json is there"]),
        (
            &["a/configs/inference.json", "b/configs/inference.json"],
            &["several MONAI bundles, each of which opens: a, b"],
        ),
        (&["dataset.json", "fold_0/checkpoint_final.pth"], &["has fold_0, but no plans.json"]),
        (&["checkpoint_final.pth", "debug.json"], &["one fold of a model of nnU-Net v2; the folder above"]),
        (&["results/plans.json"], &["plans.json in results, but no trained fold"]),
        (&["net.onnx", "readme.md"], &["net.onnx is a file of weights alone; a net.json beside it"]),
        (&["net.ckpt"], &["net.ckpt is a file of weights alone", "called .pt"]),
        (&["a.txt", "b/c.txt"], &["is none that opens (it has b, a.txt)", "MONAI bundles"]),
        (&[], &["it is empty"]),
    ] {
        let text = said(names, None);
        assert!(parts.iter().all(|part| text.contains(part)), "{names:?}: {text}");
        assert!(!text.contains("has no plans.json"), "{names:?}: {text}");
    }
    let text = said(&["configs/inference.json", "models/model.pt"], Some("evaluate"));
    assert!(text.contains("without configs/evaluate; it has inference.json"), "{text}");
}

#[test]
fn a_file_by_itself_is_told_apart() {
    let folder = std::env::temp_dir().join(format!("voxseg-kinds-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let said = |name: &str, bytes: &[u8]| {
        let path = folder.join(name);
        std::fs::write(&path, bytes).unwrap();
        Model::open(&path, &ModelOptions::default()).unwrap_err().to_string()
    };
    let tensors = [("a", vec![1])];
    let file = |key: &str, others: serde_json::Value| file_with(&tensors, key, &others);
    for (name, bytes, part) in [
        (
            "checkpoint_final.pth",
            file("network_weights", serde_json::json!({})),
            "plans.json, above its fold",
        ),
        ("model.pt", file("state_dict", serde_json::json!({"config": {}})), "in a folder with labels.csv"),
        (
            "net.pt",
            file("state_dict", serde_json::json!({})),
            "net.pt is a file of weights alone; a net.json",
        ),
        ("net.onnx", b"x".to_vec(), "net.onnx is a file of weights alone; a net.json"),
        ("net.safetensors", b"x".to_vec(), "a net.json beside it"),
        ("text.pt", b"hello".to_vec(), "starts with `hello`"),
        ("plans.json", b"{}".to_vec(), "its folder opens"),
        ("image.nii", b"x".to_vec(), "neither a folder nor a zip archive"),
    ] {
        let text = said(name, &bytes);
        assert!(text.contains(part), "{name}: {text}");
    }
    std::fs::remove_dir_all(folder).unwrap();
}
