//! Models of the kinds that people report: what the reference data has of them in `bugs`, and copies of other models
//! with one thing changed.

#[path = "../parity/image.rs"]
mod image;

use std::path::{Path, PathBuf};

use voxseg::inference::{Plan, PlanOptions};
use voxseg::labels::LabelBuffer;
use voxseg::model::{Model, ModelOptions};
use voxseg::progress::Run;
use voxseg::volume::{DType, Layout, Volume};
use voxseg::{Error, Result};

use image::Image;

/// A folder of the reference data, if it is there.
fn reference(name: &str) -> Option<PathBuf> {
    voxseg_reference::path(name)?.canonicalize().ok()
}

/// A copy that goes with its owner.
struct Copy(PathBuf);

impl Copy {
    /// The files of a folder, in a folder of this name below one of its own.
    fn of(from: &Path, name: &str) -> Copy {
        let number = std::process::id();
        let root = std::env::temp_dir().join(format!("voxseg-bugs-{number}-{}", name.replace('/', "-")));
        let _ = std::fs::remove_dir_all(&root);
        let copy = Copy(root);
        copy_all(from, &copy.0.join(name));
        copy
    }
}

impl Drop for Copy {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn copy_all(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let to = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy_all(&path, &to);
        } else {
            std::fs::write(to, std::fs::read(path).unwrap()).unwrap();
        }
    }
}

fn open(path: &Path) -> Result<Model> {
    Model::open(path, &ModelOptions::default())
}

fn refused(path: &Path, status: i32, parts: &[&str]) {
    let error = open(path).unwrap_err();
    let text = error.to_string();
    assert_eq!(error.status(), status, "{text}");
    assert!(parts.iter().all(|part| text.contains(part)), "{text}");
}

/// Labels of an image, in file order; `None` where there is no ONNX Runtime that the model needs.
fn labels(model: &Model, image: &Image) -> Option<Vec<u8>> {
    let options = PlanOptions { threads: 2, ..PlanOptions::default() };
    let plan = match Plan::new(model, &options) {
        Err(Error::RuntimeMissing { reason }) => {
            eprintln!("skipped: no ONNX Runtime here: {reason}");
            return None;
        }
        plan => plan.unwrap(),
    };
    let grid = &image.geometry;
    let layout = Layout::dense(grid.shape, DType::F32);
    let volume = Volume::new(grid.clone(), DType::F32, layout, vec![&image.bytes]).unwrap();
    let mut bytes = vec![255; grid.voxels()];
    let layout = Layout::dense(grid.shape, DType::U8);
    let mut buffer = LabelBuffer::new(grid, DType::U8, layout, &mut bytes).unwrap();
    plan.segment(&volume, &mut buffer, &mut [], &mut Run::default()).unwrap();
    Some(bytes)
}

/// Equal but for near ties: at most one of 1,000 foreground voxels.
fn assert_equal(found: &[u8], expected: &Image) {
    let differ = found.iter().zip(&expected.values).filter(|(a, b)| f32::from(**a) != **b).count();
    let foreground = expected.values.iter().filter(|value| **value != 0.0).count();
    assert!(foreground > 0 && differ * 1000 <= foreground, "{differ} voxels differ of {foreground}");
}

/// B01: the process's folder has nothing to do with where a model's files are.
#[test]
fn onnx_weights_come_from_the_models_own_folder() {
    let Some(bugs) = reference("bugs") else { return };
    let folder = bugs.join("models/onnx_external");
    let model = open(&folder.join("net.onnx")).unwrap();
    let image = Image::read(&bugs.join("images/plain.nii.gz"));
    let expected = Image::read(&bugs.join("expected/plain.onnx_external.nii.gz"));
    for place in [Path::new("/"), &folder.join("other"), &folder] {
        std::env::set_current_dir(place).unwrap();
        let here = open(&folder.join("net.onnx")).unwrap();
        assert_eq!(here.identity(), model.identity());
        let Some(found) = labels(&here, &image) else { break };
        assert_equal(&found, &expected);
    }
    let copy = Copy::of(&folder, "external");
    let inside = copy.0.join("external");
    assert_eq!(open(&inside.join("net.onnx")).unwrap().identity(), model.identity());
    std::fs::copy(inside.join("other/net.onnx.data"), inside.join("net.onnx.data")).unwrap();
    assert_ne!(open(&inside.join("net.onnx")).unwrap().identity(), model.identity());
    std::fs::remove_file(inside.join("net.onnx.data")).unwrap();
    refused(&inside.join("net.onnx"), 202, &["net.onnx.data, which is missing"]);
    let files = ["net.onnx", "net.json", "net.onnx.data"];
    let file = |name: &str| (name.to_owned(), std::fs::read(folder.join(name)).unwrap().into());
    let in_memory = Model::from_files(files.map(file).into(), &ModelOptions::default()).unwrap();
    assert_eq!(in_memory.identity(), model.identity());
    let without =
        Model::from_files(files[..2].iter().map(|name| file(name)).collect(), &ModelOptions::default());
    assert_eq!(without.unwrap_err().status(), 202);
}

/// Files with a description: an ONNX file with weights beside it, and the form that docs/models.md shows.
#[test]
fn described_files_give_the_references_labels() {
    let Some(coverage) = reference("coverage") else { return };
    for name in ["onnx_external/external.onnx", "description_lists/x.pt"] {
        let path = coverage.join(name);
        let model = open(&path).unwrap();
        let image = Image::read(&coverage.join("images/ct_lps.nii.gz"));
        let Some(found) = labels(&model, &image) else { continue };
        assert_equal(&found, &Image::read(&path.with_file_name("expected/labels.nii.gz")));
    }
}

const DATASET: &str = "Dataset298_TotalSegmentator_total_6mm_1559subj";

/// B20, B22, B27.
#[test]
fn an_nnunet_folder_survives_what_happens_to_folders() {
    let (Some(folder), Some(bugs)) = (reference(&format!("totalseg/weights/{DATASET}")), reference("bugs"))
    else {
        return;
    };
    let identity = open(&folder).unwrap().identity().to_owned();
    assert_eq!(open(&bugs.join("models/zip_with_backslashes.zip")).unwrap().identity(), identity);

    let copy = Copy::of(&folder, DATASET);
    let dataset = copy.0.join(DATASET);
    let inside = std::fs::read_dir(&dataset).unwrap().next().unwrap().unwrap().path();
    std::fs::copy(bugs.join("models/plans_with_nan.json"), inside.join("plans.json")).unwrap();
    assert_eq!(open(&inside).unwrap().identity(), identity);
    refused(&copy.0, 202, &["deeper in it", DATASET]);

    let (fold, all) = (inside.join("fold_0"), inside.join("fold_all"));
    std::fs::rename(&fold, &all).unwrap();
    refused(&dataset, 202, &["fold_all has one", "`folds` (--folds all"]);
    std::fs::rename(all.join("checkpoint_final.pth"), all.join("checkpoint_best.pth")).unwrap();
    std::fs::rename(&all, &fold).unwrap();
    refused(
        &dataset,
        202,
        &["fold_0 has checkpoint_best.pth", "`checkpoint` (--checkpoint checkpoint_best.pth)"],
    );
    refused(&fold, 202, &["one fold of a model of nnU-Net v2"]);
    refused(&fold.join("checkpoint_best.pth"), 202, &["above its fold"]);
}

/// B10: the names of the folders around a model mean nothing.
#[test]
fn an_auto3dseg_model_is_the_same_in_every_folder() {
    let Some(folder) = reference("monai/public/auto3dseg_ct/model") else { return };
    let identity = open(&folder).unwrap().identity().to_owned();
    for name in ["MyBraTS2021_project/model", "whole-head-study/model", "brats"] {
        let copy = Copy::of(&folder, name);
        assert_eq!(open(&copy.0.join(name)).unwrap().identity(), identity, "{name}");
    }
}

/// B28: what a bundle has under other names is said.
#[test]
fn what_a_bundle_lacks_is_said_by_what_it_has() {
    let Some(folder) = reference("monai/public/bundle_spleen_unet/bundle") else { return };
    let copy = Copy::of(&folder, "bundle");
    let bundle = copy.0.join("bundle");
    let rename = |from: &str, to: &str| std::fs::rename(bundle.join(from), bundle.join(to)).unwrap();
    rename("models/model.pt", "models/model_best.pt");
    refused(&bundle, 202, &["models/model.pt", "there is model_best.pt"]);
    rename("configs/inference.json", "configs/infer.json");
    refused(&bundle, 202, &["MONAI bundle", "infer.json", "`configuration` (--configuration infer.json)"]);
    refused(&bundle.join("models"), 202, &["file of weights alone"]);
}

/// The hostile folders: an error that names the argument.
#[test]
fn empty_lists_are_named() {
    let Some(hostile) = reference("bugs/hostile") else { return };
    refused(&hostile.join("empty_list/x.safetensors"), 203, &["is a list of 0"]);
    refused(&hostile.join("empty_list_threshold/x.safetensors"), 203, &["is a list of 0"]);
}

/// Networks of trainers that the plans don't describe.
#[test]
fn trainers_with_networks_of_their_own_are_named() {
    let Some(coverage) = reference("coverage") else { return };
    for (folder, network) in [
        ("mednext_S/nnUNetTrainerMedNeXt_S_kernel3__nnUNetPlans__3d_fullres", "MedNeXt"),
        ("primus_S/nnUNet_Primus_S_Trainer__nnUNetPlans__3d_fullres", "Primus"),
    ] {
        // A later version may have the network.
        if let Err(error) = open(&coverage.join(folder)) {
            assert!(matches!(error, Error::Unsupported { .. }), "{error}");
            assert!(error.to_string().contains(network), "{error}");
        }
    }
}
