//! Whole runs of our own engine for GPUs beside the CPU, where there is a Vulkan device: `cargo xtask test gpu` has one
//! made of software. `tests/gpu/run.py` is for machines with NVIDIA GPUs.

#![allow(clippy::print_stdout, reason = "the counts are what this test is for")]

#[allow(dead_code, reason = "the values serve the parity tests, here the bytes do")]
#[path = "../parity/image.rs"]
mod image;

use std::path::{Path, PathBuf};

use voxseg::devices::{Device, DeviceInfo, DeviceOptions, Precision, Provider, devices};
use voxseg::inference::{Map, MapBuffer};
use voxseg::inference::{Plan, PlanOptions, RunReport};
use voxseg::labels::LabelBuffer;
use voxseg::model::{Model, ModelOptions};
use voxseg::progress::Run;
use voxseg::volume::{DType, Layout, Volume};

use image::Image;

/// The middle of the image that is segmented: one tile, as software is slow.
const SHAPE: [usize; 3] = [60, 60, 48];
/// Labels of fewer voxels have a Dice number that a handful of near ties spoils.
const ENOUGH: usize = 5_000;

fn reference() -> Option<PathBuf> {
    let folder = voxseg_reference::folder();
    let there = folder.join("nnunet/cases.json").is_file();
    if !there {
        println!("skipped: the reference data is not here; set VOXSEG_REFERENCE to its folder");
    }
    there.then_some(folder)
}

fn model(folder: &Path) -> Model {
    let path = "nnunet/public/Dataset906_OldPlans/nnUNetTrainer__nnUNetPlans__3d_fullres";
    Model::open(&folder.join(path), &ModelOptions::default()).unwrap()
}

struct Found {
    labels: Vec<u8>,
    margins: Vec<u8>,
    report: RunReport,
}

fn segment(plan: &Plan, image: &Image) -> Found {
    let whole = image.geometry.shape;
    let grid = voxseg::volume::Geometry { shape: SHAPE, ..image.geometry.clone() };
    let start = [0, 1, 2].map(|axis| (whole[axis] - SHAPE[axis]) / 2);
    let dense = Layout::dense(whole, DType::F32);
    let offset = start[0] + whole[0] * (start[1] + whole[1] * start[2]);
    let layout = Layout { offset: offset * DType::F32.size(), ..dense };
    let volume = Volume::new(grid.clone(), DType::F32, layout, vec![&image.bytes]).unwrap();
    let (mut labels, mut margins) = (vec![255; grid.voxels()], vec![0; grid.voxels()]);
    let dense = Layout::dense(SHAPE, DType::U8);
    let mut buffer = LabelBuffer::new(&grid, DType::U8, dense, &mut labels).unwrap();
    let mut maps = [MapBuffer::new(Map::Margin, &grid, DType::U8, dense, &mut margins).unwrap()];
    let report = plan.segment(&volume, &mut buffer, &mut maps, &mut Run::default()).unwrap();
    Found { labels, margins, report }
}

fn options(device: Device, precision: Precision) -> PlanOptions {
    PlanOptions { device, precision, mirroring: false, threads: 2, ..PlanOptions::default() }
}

/// Whether there is a device for our own engine.
fn has_gpu() -> bool {
    let device = |info: &DeviceInfo| info.device == Device::Gpu(0);
    let reason = devices().into_iter().find(device).and_then(|info| info.reason);
    if let Some(reason) = &reason {
        println!("skipped: {reason}");
    }
    reason.is_none()
}

/// Software that emulates a GPU is nobody's best device.
#[test]
fn the_best_gpu_is_hardware() {
    if has_gpu() {
        let best = Device::Best.resolve();
        let info = devices().into_iter().find(|info| info.device == best).unwrap();
        assert!(info.hardware || best == Device::Cpu, "{info:?}");
    }
}

#[test]
fn gpu_labels_differ_from_the_cpu_only_at_near_ties() {
    if has_gpu() {
        labels_differ_only_at_near_ties(Device::Gpu(0));
    }
}

fn labels_differ_only_at_near_ties(device: Device) {
    let Some(folder) = reference() else { return };
    let model = model(&folder);
    let image = Image::read(&folder.join("images/mr_t1_ch2.nii.gz"));
    let expected = segment(&Plan::new(&model, &options(Device::Cpu, Precision::F32)).unwrap(), &image);
    for (precision, tie) in [(Precision::F32, 10), (Precision::Auto, 50)] {
        let plan = Plan::new(&model, &options(device, precision)).unwrap();
        let planned = plan.report(&image.geometry).unwrap();
        assert_eq!(planned.device, device);
        assert_eq!(planned.precision == Precision::F16, precision == Precision::Auto);
        assert!(planned.device_peak_bytes > planned.weight_bytes);
        assert_eq!(plan.describe()["operators_on_cpu"], serde_json::json!({}));
        let found = segment(&plan, &image);
        assert_eq!(found.report.tiles_in_single, 0);
        let pairs = || expected.labels.iter().zip(&found.labels);
        let off: Vec<usize> =
            (0..found.labels.len()).filter(|&at| expected.labels[at] != found.labels[at]).collect();
        let margin = off.iter().map(|&at| expected.margins[at]).max().unwrap_or(0);
        let foreground = expected.labels.iter().filter(|&&label| label != 0).count();
        println!("{precision:?}: {} of {foreground} differ, largest margin {margin} of 1000", off.len());
        assert!(margin <= tie && off.len() * 1000 <= foreground, "{precision:?}");
        for label in 1..=5 {
            let count = |labels: &[u8]| labels.iter().filter(|&&found| found == label).count();
            let (ours, theirs) = (count(&found.labels), count(&expected.labels));
            let both = pairs().filter(|&(&a, &b)| a == label && b == label).count();
            let dice = 2.0 * both as f64 / (ours + theirs).max(1) as f64;
            println!("{precision:?}: label {label}, {theirs} voxels, Dice {dice:.5}");
            assert!(dice >= 0.999 || theirs < ENOUGH, "{precision:?}, label {label}: {dice}");
        }
    }
}

/// Whole reference cases, which take minutes on software: two small ones, or the one that `VOXSEG_GPU_CASE` names
/// ("nnunet/torso_ct"), on the device that `VOXSEG_GPU_DEVICE` names ("gpu").
#[test]
fn gpu_whole_cases_by_the_rule_of_the_reference() {
    let Ok(device) = std::env::var("VOXSEG_GPU_DEVICE") else {
        println!("skipped: VOXSEG_GPU_DEVICE names no device");
        return;
    };
    let Some(folder) = reference() else { return };
    let device = Device::from_name(&device).unwrap();
    match std::env::var("VOXSEG_GPU_CASE") {
        Ok(name) => whole_case(&folder, &name, device),
        Err(_) => ["monai/bundle_spleen_unet", "nnunet/cascade_lowres"]
            .into_iter()
            .for_each(|name| whole_case(&folder, name, device)),
    }
}

fn whole_case(folder: &Path, name: &str, device: Device) {
    let (family, name) = name.split_once('/').expect("a family and a case");
    let folder = folder.join(family);
    let cases: serde_json::Value =
        serde_json::from_slice(&std::fs::read(folder.join("cases.json")).unwrap()).unwrap();
    let case = cases.as_array().unwrap().iter().find(|case| case["name"] == name).expect("a case");
    let path = |value: &serde_json::Value| folder.join(value.as_str().unwrap());
    let arguments: Vec<&str> =
        case["args"].as_array().into_iter().flatten().filter_map(|argument| argument.as_str()).collect();
    let argument = |name: &str| arguments.iter().position(|&argument| argument == name);
    let images: Vec<Image> =
        case["images"].as_array().unwrap().iter().map(|image| Image::read(&path(image))).collect();
    let (expected, margins) = (Image::read(&path(&case["expected"])), Image::read(&path(&case["margin"])));
    let grid = images[0].geometry.clone();
    let dense = Layout::dense(grid.shape, DType::F32);
    let channels = images.iter().map(|image| image.bytes.as_slice()).collect();
    let volume = Volume::new(grid.clone(), DType::F32, dense, channels).unwrap();
    let model = Model::open(&path(&case["model"]), &ModelOptions::default()).unwrap();
    for (precision, tie) in [(Precision::F32, 10.0), (Precision::F16, 50.0)] {
        let options = PlanOptions {
            step: argument("--step").map(|at| arguments[at + 1].parse().unwrap()),
            mirroring: argument("--no-mirror").is_none(),
            ..options(device, precision)
        };
        let plan = Plan::new(&model, &options).unwrap();
        let mut labels = vec![255; grid.voxels()];
        let layout = Layout::dense(grid.shape, DType::U8);
        let mut buffer = LabelBuffer::new(&grid, DType::U8, layout, &mut labels).unwrap();
        let report = plan.segment(&volume, &mut buffer, &mut [], &mut Run::default()).unwrap();
        let off: Vec<usize> =
            (0..labels.len()).filter(|&at| f32::from(labels[at]) != expected.values[at]).collect();
        let margin = off.iter().map(|&at| margins.values[at]).fold(0.0, f32::max);
        let foreground = expected.values.iter().filter(|&&label| label != 0.0).count();
        let least = (1..=expected.values.iter().fold(0.0_f32, |most, &label| most.max(label)) as u8)
            .filter_map(|label| {
                let ours = labels.iter().filter(|&&found| found == label).count();
                let theirs = expected.values.iter().filter(|&&found| found == f32::from(label)).count();
                let pairs = labels.iter().zip(&expected.values);
                let both = pairs.filter(|&(&a, &b)| a == label && b == f32::from(label)).count();
                (ours + theirs > 0).then(|| 2.0 * both as f64 / (ours + theirs) as f64)
            })
            .fold(1.0, f64::min);
        println!(
            "{name} on {device}, {precision:?}: {} of {foreground} foreground voxels differ, largest margin {margin} of 1000, \
             least Dice {least:.5}, {} tiles, {:.0} s",
            off.len(),
            report.tiles,
            report.total_seconds,
        );
        assert!(margin <= tie, "{precision:?}");
        assert!(precision == Precision::F16 || off.len() * 1000 <= foreground, "{precision:?}");
        assert!(precision == Precision::F32 || least >= 0.999, "{precision:?}: {least}");
    }
}

/// What the device can't do at all is the CPU's, if the caller wants that, and the plan says so.
#[test]
fn fallback_from_a_gpu_that_is_not_here_is_told() {
    let Some(folder) = reference() else { return };
    let model = model(&folder);
    let cuda = options(Device::Provider(Provider::Cuda, 99), Precision::Auto);
    let error = Plan::new(&model, &cuda).err().unwrap();
    assert_eq!(error.status(), 304, "{error}");
    let fallback = DeviceOptions { fallback: true, ..DeviceOptions::default() };
    let plan = Plan::new(&model, &PlanOptions { device_options: fallback, ..cuda }).unwrap();
    let image = Image::read(&folder.join("images/mr_t1_ch2.nii.gz"));
    let planned = plan.report(&image.geometry).unwrap();
    assert_eq!((planned.device, planned.precision), (Device::Cpu, Precision::F32));
    let described = plan.describe();
    assert!(described["fallback"].as_str().is_some_and(|reason| reason.contains("cuda:99")), "{described}");
}
