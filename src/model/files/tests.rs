use std::io::{Cursor, Write};
use std::path::{Path, PathBuf};

use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use super::*;
use crate::engine::Precision;
use crate::inference::{Plan, PlanOptions};
use crate::model::{Model, ModelOptions};

const NAME: &str = "nnUNetTrainerNoMirroring__nnUNetPlans__3d_fullres";
const LOW: &str = "nnUNetTrainerNoMirroring__nnUNetPlans__3d_lowres";

/// A folder that goes with its owner.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("voxseg-files-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Folder(path)
    }

    fn write(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.0.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, bytes).unwrap();
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

type Entries = Vec<(String, Vec<u8>)>;

fn example() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/models/Dataset901_TorsoCT").join(NAME)
}

/// The example's files in a folder; its dataset is called `dataset`.
fn model(folder: &str, dataset: &str) -> Entries {
    let file = |name: &str| {
        let bytes = std::fs::read(example().join(name)).unwrap();
        (format!("{folder}/{name}"), bytes)
    };
    let mut files = ["plans.json", "dataset.json", "fold_0/checkpoint_final.pth"].map(file).to_vec();
    let plans = String::from_utf8(files[0].1.clone()).unwrap();
    files[0].1 = plans.replace("Dataset901_TorsoCT", dataset).into_bytes();
    files
}

fn zipped(entries: &Entries) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default().compression_method(CompressionMethod::Deflated);
    for (name, bytes) in entries {
        zip.start_file(name.as_str(), options).unwrap();
        zip.write_all(bytes).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

fn open(path: &Path, configuration: Option<&str>) -> Result<Model> {
    let configuration = configuration.map(str::to_owned);
    Model::open(path, &ModelOptions { configuration, ..ModelOptions::default() })
}

/// What the error says.
fn refusal(path: &Path, configuration: Option<&str>) -> String {
    let error = open(path, configuration).unwrap_err();
    assert!(matches!(error, Error::NotAModel { .. }), "{error}");
    error.to_string()
}

#[test]
fn an_archive_of_one_model_is_that_model() {
    let folder = Folder::new("one");
    let mut entries = model(&format!("Dataset901_TorsoCT/{NAME}"), "Dataset901_TorsoCT");
    let plans = entries[0].1.clone();
    // Results with copies of the plans are no models.
    for results in [&format!("{NAME}/crossval_results_folds_0"), "ensembles/a_b"] {
        entries.push((format!("Dataset901_TorsoCT/{results}/plans.json"), plans.clone()));
    }
    let path = folder.write("model.bin", &zipped(&entries));
    let expected = open(&example(), None).unwrap();
    for configuration in [None, Some("3d_fullres"), Some(NAME)] {
        let model = open(&path, configuration).unwrap();
        assert_eq!(model.identity(), expected.identity());
        assert_eq!(model.describe(), expected.describe());
    }
    assert!(refusal(&path, Some("3d_lowres")).contains(NAME));
    assert!(refusal(&example(), Some("3d_lowres")).contains("3d_fullres"));
    assert!(open(&example(), Some("3d_fullres")).is_ok());

    let entries = entries.into_iter().map(|(name, bytes)| (name, bytes.into())).collect();
    let model = Model::from_files(entries, &ModelOptions::default()).unwrap();
    assert_eq!(model.identity(), expected.identity());
}

/// Tools for Windows wrote such archives, and programs there list files so.
#[test]
fn backslashes_separate_folders_too() {
    let folder = Folder::new("backslashes");
    let name = |name: String| format!(".\\{}", name.replace('/', "\\"));
    let entries = model(&format!("Dataset901_TorsoCT/{NAME}"), "Dataset901_TorsoCT").into_iter();
    let entries: Entries = entries.map(|(own, bytes)| (name(own), bytes)).collect();
    let expected = open(&example(), None).unwrap();
    let path = folder.write("model.zip", &zipped(&entries));
    assert_eq!(open(&path, None).unwrap().identity(), expected.identity());
    let entries = entries.into_iter().map(|(name, bytes)| (name, bytes.into())).collect();
    let model = Model::from_files(entries, &ModelOptions::default()).unwrap();
    assert_eq!(model.identity(), expected.identity());
}

#[test]
fn one_of_several_models_is_chosen_in_archives_and_folders() {
    let folder = Folder::new("several");
    let mut entries = model(&format!("Dataset901/{NAME}"), "full");
    entries.extend(model(&format!("Dataset901/{LOW}"), "low"));
    let path = folder.write("model.zip", &zipped(&entries));
    entries.iter().for_each(|(name, bytes)| drop(folder.write(name, bytes)));
    for path in [path, folder.0.join("Dataset901")] {
        for (configuration, name) in [("3d_fullres", "full"), ("3d_lowres", "low"), (LOW, "low")] {
            assert_eq!(open(&path, Some(configuration)).unwrap().name(), name);
        }
        for configuration in [None, Some("2d"), Some("lowres")] {
            let refusal = refusal(&path, configuration);
            assert!(refusal.contains(NAME) && refusal.contains(LOW), "{refusal}");
        }
    }
    // A dataset's folder with one model needs no choice.
    std::fs::remove_dir_all(folder.0.join("Dataset901").join(LOW)).unwrap();
    assert_eq!(open(&folder.0.join("Dataset901"), None).unwrap().name(), "full");
}

#[test]
fn stages_of_a_cascade_lie_beside_each_other() {
    let folder = Folder::new("siblings");
    let entries: Entries = ["a/b/x__1/f", "a/b/x__2/f", "x__2/f"].map(|name| (name.into(), vec![1])).to_vec();
    let path = folder.write("files.zip", &zipped(&entries));
    let root = Files::open(&path, &Budget::default()).unwrap();
    let at = |files: &Files, place: &str| {
        files.folders_with("f").into_iter().find(|files| files.place() == place).unwrap()
    };
    let beside = at(&root, "a/b/x__1").sibling("x__2").unwrap();
    assert_eq!((beside.place().as_str(), beside.folder_name()), ("a/b/x__2", Some("x__2")));
    assert!(at(&root, "x__2").sibling("x__1").is_none() && root.sibling("a").is_none());
    assert_eq!(beside.read("f").unwrap().as_deref(), Some(&[1][..]));
    assert_eq!(beside.read("g").unwrap().as_deref(), None);
    assert_eq!(root.folders(), ["a", "x__2"]);

    // A first stage that isn't there is asked for by name.
    let mut entries = model(&format!("a/{NAME}"), "full");
    let plans = String::from_utf8(entries[0].1.clone()).unwrap();
    let cascade = plans.replace(r#""batch_size": 2,"#, r#""previous_stage": "3d_lowres","#);
    entries[0].1 = cascade.into_bytes();
    let path = folder.write("cascade.zip", &zipped(&entries));
    assert!(refusal(&path, None).contains("3d_lowres"));
}

#[test]
fn bombs_and_damage_are_refused() {
    let folder = Folder::new("bombs");
    let status = |entries: &Entries| {
        let path = folder.write("model.zip", &zipped(entries));
        open(&path, None).unwrap_err().status()
    };
    let good = model(NAME, "full");
    let bomb = vec![0; 32 << 20];
    let mut entries = good.clone();
    entries[2].1 = bomb.clone();
    assert_eq!(status(&entries), 204);
    let mut entries = good.clone();
    entries[0].1 = [bomb.clone(), bomb, vec![0]].concat();
    assert_eq!(status(&entries), 204);
    let mut entries = good.clone();
    entries[2].1.truncate(100_000);
    assert_eq!(status(&entries), 203);

    let whole = zipped(&good);
    let mut damaged = whole.clone();
    let middle = whole.len() / 2;
    damaged[middle..middle + 64].fill(0x55);
    for bytes in [&damaged[..], &whole[..middle], b"PK\x03\x04"] {
        assert_eq!(open(&folder.write("model.zip", bytes), None).unwrap_err().status(), 203);
    }
    // Neither a folder nor an archive, and archives of something else.
    let checkpoint = example().join("fold_0/checkpoint_final.pth");
    for path in [folder.write("model.zip", b"PL"), folder.write("empty.zip", b""), checkpoint] {
        refusal(&path, None);
    }
}

#[test]
fn postprocessing_is_read_and_only_asked_for_by_its_option() {
    let with = |function: &str| {
        let text = format!(
            r#"{{"mean": NaN, "postprocessing_fns": ["{function}"],
                "postprocessing_kwargs": [{{"labels_or_regions": [1, [2, 3]]}}]}}"#
        );
        let mut entries = model(NAME, "full");
        entries.push((format!("{NAME}/crossval_results_folds_0/postprocessing.json"), text.into_bytes()));
        let files = entries.into_iter().map(|(name, bytes)| (name, bytes.into())).collect();
        Model::from_files(files, &ModelOptions::default()).unwrap()
    };
    let plan = |model: &Model, postprocess| {
        let options = PlanOptions { postprocess, ..PlanOptions::default() };
        Plan::with_engines(model, &options, Vec::new(), Precision::F32, 1).map(|plan| plan.postprocess)
    };
    let known = with("remove_all_but_largest_component_from_segmentation");
    assert_eq!(known.postprocessing().unwrap()[0].labels, [1, 2, 3]);
    let described = &known.describe()["recipe"]["postprocessing"][0];
    assert_eq!(described["labels"], serde_json::json!([1, 2, 3]));
    assert!(plan(&known, true).unwrap() && !plan(&known, false).unwrap());

    let unknown = with("smooth");
    assert!(!plan(&unknown, false).unwrap());
    let error = plan(&unknown, true).unwrap_err();
    assert!(matches!(&error, Error::Unsupported { what } if what.contains("smooth")), "{error}");
    assert!(unknown.describe()["unusable_postprocessing"].as_str().unwrap().contains("smooth"));

    let none = open(&example(), None).unwrap();
    assert!(!plan(&none, true).unwrap() && none.postprocessing().unwrap().is_empty());
}

/// In the place of any of a model's files: an error at once that names it and says what it is.
#[test]
#[cfg(unix)]
fn pipes_and_devices_are_no_files_of_a_model() {
    let folder = Folder::new("pipes");
    let places =
        ["plans.json", "dataset.json", "fold_0/checkpoint_final.pth", "x.json", "x.safetensors", "x.onnx"];
    let make = |what: &str, path: &Path| match what {
        "a device" => std::os::unix::fs::symlink("/dev/zero", path).is_ok(),
        _ => std::process::Command::new("mkfifo").arg(path).status().is_ok_and(|status| status.success()),
    };
    for (index, place) in places.iter().enumerate() {
        for what in ["a pipe", "a device"] {
            let name = format!("{}/{NAME}", index * 2 + usize::from(what == "a pipe"));
            for (name, bytes) in model(&name, "Dataset901_TorsoCT") {
                folder.write(&name, &bytes);
            }
            let path = folder.0.join(name);
            let place = path.join(place);
            let _ = std::fs::remove_file(&place);
            if !make(what, &place) {
                eprintln!("{what} can't be made, skipped");
                continue;
            }
            let weights = place.extension().is_some_and(|ending| ending != "json" && ending != "pth");
            if weights {
                std::fs::write(place.with_extension("json"), DESCRIPTION).unwrap();
            }
            if place.ends_with("x.json") {
                std::fs::write(path.join("x.onnx"), "x").unwrap();
            }
            let opened = if weights {
                &place
            } else if place.ends_with("x.json") {
                &path.join("x.onnx")
            } else {
                &path
            };
            let started = std::time::Instant::now();
            let error = open(opened, None).unwrap_err();
            assert!(started.elapsed().as_secs() < 10);
            assert!(
                matches!(&error, Error::Read { path, .. } if path.ends_with(place.file_name().unwrap())),
                "{error}"
            );
            assert!(error.to_string().contains(what), "{error}");
        }
    }
    let pipe = folder.0.join("pipe.json");
    if make("a pipe", &pipe) {
        let error = crate::model::task::Task::find(pipe.to_str().unwrap()).unwrap_err().to_string();
        assert!(error.contains("a pipe"), "{error}");
        assert!(open(&pipe, None).unwrap_err().to_string().contains("a pipe"));
    }
}

#[cfg(unix)]
const DESCRIPTION: &str = r#"{"channels": ["CT"], "labels": {"0": "background", "1": "x"},
    "network_def": {"_target_": "UNet", "spatial_dims": 3, "in_channels": 1, "out_channels": 2, "channels": [4, 8],
    "strides": [2]}, "preprocessing": [], "inferer": {"_target_": "SlidingWindowInferer", "roi_size": [16, 16, 16]},
    "postprocessing": [{"_target_": "AsDiscreted", "keys": "pred", "argmax": true}]}"#;
