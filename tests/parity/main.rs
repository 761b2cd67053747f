//! Labels against those that the reference implementations gave, by the rule of the reference data: a label
//! may differ only where the reference's own margin is a near tie, and in at most one of 1,000 foreground
//! voxels. Prints what it counted: `cargo test --release --test parity -- --nocapture`.

#![allow(clippy::disallowed_methods, reason = "what is compared with need not be the same everywhere")]
#![allow(clippy::print_stdout, reason = "the counts are what this test is for")]

mod image;
mod non_finite;
mod onnx;
mod probes;
mod tasks;
mod ties;
mod transforms;

use std::path::{Path, PathBuf};

use serde_json::Value;
use voxseg::devices::{Algorithm, CpuOptions};
use voxseg::devices::{Device, DeviceOptions};
use voxseg::inference::RunReport;
use voxseg::inference::{Map, MapBuffer};
use voxseg::inference::{Plan, PlanOptions};
use voxseg::labels::LabelBuffer;
use voxseg::model::{Auto3dsegScript, Fold, ForegroundCrop, Model, ModelOptions};
use voxseg::progress::Run;
use voxseg::volume::{DType, Layout, Volume};

use image::Image;

/// Margins are in thousandths; up to this one the reference's two best classes nearly tie.
const NEAR_TIE: f32 = 10.0;

/// Kernels that round differently move scores by a step of half precision, and margins by this many thousandths.
const MARGIN_NOISE: f32 = 5.0;

fn reference() -> Option<PathBuf> {
    let folder = voxseg_reference::folder();
    let there = folder.join("nnunet/cases.json").is_file();
    if !there {
        eprintln!("skipped: the reference data is not here; set VOXSEG_REFERENCE to its folder");
    }
    there.then_some(folder)
}

/// What a run gave, in file order.
struct Found {
    labels: Vec<u8>,
    margins: Vec<u8>,
    report: RunReport,
}

/// How our CPU engine computes: `VOXSEG_CONVOLUTION=direct` makes all cases run as plain sums.
fn convolution() -> Algorithm {
    match std::env::var("VOXSEG_CONVOLUTION").as_deref() {
        Ok("direct") => Algorithm::Direct,
        _ => Algorithm::Winograd,
    }
}

/// What runs the networks: the CPU, unless `VOXSEG_DEVICE` names another device.
fn device() -> Device {
    std::env::var("VOXSEG_DEVICE").map_or(Device::Cpu, |name| Device::from_name(&name).unwrap())
}

/// How it does so.
fn device_options(convolution: Algorithm) -> DeviceOptions {
    DeviceOptions { cpu: CpuOptions { convolution, ..CpuOptions::default() }, ..DeviceOptions::default() }
}

/// Runs one case of `cases.json` with a number of threads.
fn segment(folder: &Path, case: &Value, threads: usize, convolution: Algorithm) -> Found {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let arguments: Vec<String> = case["args"].as_array().into_iter().flatten().map(text).collect();
    let argument = |name: &str| arguments.iter().position(|argument| argument == name);
    let folds = argument("--folds")
        .map(|at| arguments[at + 1].split(',').map(|fold| Fold::Number(fold.parse().unwrap())).collect());
    let options = PlanOptions {
        step: argument("--step").map(|at| arguments[at + 1].parse().unwrap()),
        mirroring: argument("--no-mirror").is_none(),
        threads,
        device: device(),
        device_options: device_options(convolution),
        ..PlanOptions::default()
    };
    let foreground_crop = match argument("--corrected-crop") {
        Some(_) => ForegroundCrop::Corrected,
        None => ForegroundCrop::AsPublished,
    };
    let auto3dseg_script = match argument("--auto3dseg").map(|at| arguments[at + 1].as_str()) {
        Some("whole-head") => Auto3dsegScript::WholeHead,
        _ => Auto3dsegScript::FromModel,
    };
    let options_of_model =
        ModelOptions { folds, foreground_crop, auto3dseg_script, ..ModelOptions::default() };
    let open = |path: &Value| Model::open(&folder.join(text(path)), &options_of_model).unwrap();
    let members: Vec<Model> = match case["model"].as_array() {
        Some(several) => several.iter().map(open).collect(),
        None => vec![open(&case["model"])],
    };
    let model = Model::ensemble(&members).unwrap();
    let plan = Plan::new(&model, &options).unwrap();
    let read = |path: &Value| Image::read_as(&folder.join(text(path)), model.reader());
    let images: Vec<Image> = case["images"].as_array().unwrap().iter().map(read).collect();
    let grid = images[0].geometry.clone();
    let channels = images.iter().map(|image| image.bytes.as_slice()).collect();
    let volume =
        Volume::new(grid.clone(), DType::F32, Layout::dense(grid.shape, DType::F32), channels).unwrap();
    let mut bytes = vec![255; grid.voxels()];
    let layout = Layout::dense(grid.shape, DType::U8);
    let mut labels = LabelBuffer::new(&grid, DType::U8, layout, &mut bytes).unwrap();
    let mut margins = vec![7; grid.voxels()];
    let mut maps = [MapBuffer::new(Map::Margin, &grid, DType::U8, layout, &mut margins).unwrap()];
    let report = plan.segment(&volume, &mut labels, &mut maps, &mut Run::default()).unwrap();
    Found { labels: bytes, margins, report }
}

fn cases(folder: &Path) -> Vec<Value> {
    serde_json::from_slice(&std::fs::read(folder.join("cases.json")).unwrap()).unwrap()
}

fn check(family: &str, name: &str, convolution: Algorithm) {
    let Some(folder) = reference().map(|folder| folder.join(family)) else { return };
    let case = cases(&folder).into_iter().find(|case| case["name"] == name).unwrap();
    let wrong = compare(&folder, &case, convolution);
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Cases that `make_cases.py` and its neighbours made, where `VOXSEG_CASES` names their folder.
#[test]
fn further() {
    let Some(folder) = std::env::var_os("VOXSEG_CASES").map(PathBuf::from) else {
        eprintln!("skipped: VOXSEG_CASES names no folder with further cases");
        return;
    };
    let wrong: Vec<String> =
        cases(&folder).iter().flat_map(|case| compare(&folder, case, convolution())).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// What is wrong with a case.
fn compare(folder: &Path, case: &Value, convolution: Algorithm) -> Vec<String> {
    let name = case["name"].as_str().unwrap();
    let Found { labels, margins: own_margins, report } = segment(folder, case, 2, convolution);
    let expected = Image::read(&folder.join(case["expected"].as_str().unwrap()));
    let margins = Image::read(&folder.join(case["margin"].as_str().unwrap()));
    assert_eq!(labels.len(), expected.values.len(), "{name}: shapes differ");

    let differ = |index: &usize| f32::from(labels[*index]) != expected.values[*index];
    let differing: Vec<usize> = (0..labels.len()).filter(differ).collect();
    let different = differing.len();
    let mut unexplained: Vec<usize> =
        differing.into_iter().filter(|&index| margins.values[index] > NEAR_TIE).collect();
    let ties = different - unexplained.len();
    let foreground = expected.values.iter().filter(|&&label| label != 0.0).count();
    println!(
        "{name}: {different} of {} voxels differ ({:.1e} of the foreground), {} of them beyond a near tie; \
         {} near ties reported",
        labels.len(),
        different as f64 / foreground.max(1) as f64,
        different - ties,
        report.near_ties,
    );
    let off = |&(&own, &theirs): &(&u8, &f32)| (f32::from(own) - theirs).abs() > MARGIN_NOISE;
    let off = own_margins.iter().zip(&margins.values).filter(off).count();
    println!("{name}: {off} margins differ by more than {MARGIN_NOISE} thousandths");
    let largest = expected.values.iter().fold(0.0_f32, |largest, &label| largest.max(label)) as u8;
    let dice: Vec<String> = (1..=largest)
        .map(|label| {
            let ours = labels.iter().filter(|&&found| found == label).count();
            let theirs = expected.values.iter().filter(|&&right| right == f32::from(label)).count();
            let both = labels.iter().zip(&expected.values);
            let both = both.filter(|&(&found, &right)| found == label && right == f32::from(label)).count();
            let dice = if ours + theirs == 0 { 1.0 } else { 2.0 * both as f64 / (ours + theirs) as f64 };
            format!("{label}:{dice:.5}")
        })
        .collect();
    println!("{name}: Dice {}", dice.join(" "));
    let mut wrong = Vec::new();
    let mut expect = |right: bool, what: String| {
        if !right {
            wrong.push(format!("{name}: {what}"))
        }
    };
    if let Some(stage) = (name == "cascade_fullres").then_some("cascade_lowres") {
        let reached = reached(folder, stage, convolution);
        unexplained.retain(|&index| !reached[index]);
        println!(
            "{name}: {} of them far from where the first stage's near ties were decided otherwise",
            unexplained.len()
        );
    }
    let beyond = unexplained.len();
    expect(beyond == 0, format!("{beyond} voxels differ beyond near ties"));
    expect(different * 1000 <= foreground, format!("{different} of {foreground} foreground voxels differ"));
    expect(
        report.near_ties >= different,
        format!("{} near ties reported, {different} voxels differ", report.near_ties),
    );
    expect(off * 1000 <= labels.len(), format!("{off} margins differ"));
    // Same bytes whatever the thread count; the smallest case serves to show it.
    if name == "torso_ct_step08" {
        assert!(
            segment(folder, case, 1, convolution).labels == labels,
            "one thread gives other labels than two"
        );
        assert!(
            segment(folder, case, 3, convolution).labels == labels,
            "three threads give other labels than two"
        );
    }
    wrong
}

/// Voxels that the second network of a cascade may see otherwise: those near one that our first stage labels otherwise
/// than the reference's. That these are near ties is checked by the first stage's own case.
fn reached(folder: &Path, stage: &str, convolution: Algorithm) -> Vec<bool> {
    const REACH: usize = 16;
    let case = cases(folder).into_iter().find(|case| case["name"] == stage).unwrap();
    let labels = segment(folder, &case, 2, convolution).labels;
    let expected = Image::read(&folder.join(case["expected"].as_str().unwrap()));
    // In file order, the first axis runs fastest.
    let shape = expected.geometry.shape;
    let place = |index: usize| [index % shape[0], index / shape[0] % shape[1], index / (shape[0] * shape[1])];
    let flips: Vec<[usize; 3]> = (0..labels.len())
        .filter(|&index| f32::from(labels[index]) != expected.values[index])
        .map(place)
        .collect();
    let near = |a: [usize; 3], b: &[usize; 3]| (0..3).all(|axis| a[axis].abs_diff(b[axis]) <= REACH);
    (0..labels.len()).map(|index| flips.iter().any(|flip| near(place(index), flip))).collect()
}

/// The plain sums too: always for two quick cases, for all of them by `VOXSEG_CONVOLUTION=direct`.
#[test]
fn plain_sums() {
    check("nnunet", "regions_mr", Algorithm::Direct);
    check("monai", "auto3dseg_mr_aniso", Algorithm::Direct);
}

macro_rules! cases {
    ($($family:ident: $($name:ident)*;)*) => {$($(
        #[test]
        fn $name() {
            check(stringify!($family), stringify!($name), convolution());
        }
    )*)*};
}
cases! {
    nnunet:
    torso_ct torso_ct_step08 torso_ct15 old_t1 cardiac2d_mr_mirror regions_mr brain_aniso_2folds_mirror
    cascade_lowres cascade_fullres;
    monai: bundle_wholebody bundle_spleen_unet auto3dseg_ct auto3dseg_ct_box_ras auto3dseg_ct_box_lps auto3dseg_mr_aniso;
}
