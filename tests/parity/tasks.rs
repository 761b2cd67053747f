//! Whole tasks against TotalSegmentator's own runs on small networks: crops, part models, rules, the way back.
//! Few of those have margins, so that a label may differ only in as many voxels as we report near ties, and in at most
//! one of 1,000 foreground voxels.

use std::path::Path;

use serde_json::Value;
use voxseg::inference::{PlanOptions, RunReport};
use voxseg::labels::LabelBuffer;
use voxseg::metrics::statistics;
use voxseg::model::task::{Task, TaskOptions, TaskResampling};
use voxseg::progress::Run;
use voxseg::task::TaskPlan;
use voxseg::volume::{DType, Layout, Volume};

use crate::image::Image;

/// Runs a task on one of the reference's images.
fn segment(folder: &Path, name: &str, image: &Image, options: &TaskOptions) -> (Vec<u8>, RunReport) {
    let task = Task::named(name).unwrap().open(&folder.join("weights"), options).unwrap();
    let options = PlanOptions {
        threads: 2,
        device: crate::device(),
        device_options: crate::device_options(crate::convolution()),
        ..PlanOptions::default()
    };
    let plan = TaskPlan::new(&task, &options).unwrap();
    let grid = image.geometry.clone();
    let layout = Layout::dense(grid.shape, DType::F32);
    let volume = Volume::new(grid.clone(), DType::F32, layout, vec![&image.bytes]).unwrap();
    let grid = plan.label_grid(&grid).unwrap();
    let mut bytes = vec![255; grid.voxels()];
    let layout = Layout::dense(grid.shape, DType::U8);
    let mut labels = LabelBuffer::new(&grid, DType::U8, layout, &mut bytes).unwrap();
    let mut last = 0.0;
    let mut run = Run::default().with_progress(|progress| {
        assert!(progress.fraction >= last && progress.fraction <= 1.0, "{progress:?} after {last}");
        last = progress.fraction;
        true
    });
    let report = plan.segment(&volume, &mut labels, &mut run).unwrap();
    drop(run);
    assert_eq!(last, 1.0);
    (bytes, report)
}

fn check(case: &str) {
    let Some(folder) = crate::reference().map(|folder| folder.join("totalseg")) else { return };
    compare(&folder, case);
}

/// The options of a case.
fn options(given: &Value) -> TaskOptions {
    let flag = |name: &str| given[name] == true;
    let list = |name: &str| -> Vec<String> {
        given[name].as_array().into_iter().flatten().map(|name| name.as_str().unwrap().to_owned()).collect()
    };
    let robust_crop = !given["roi_subset_robust"].is_null();
    TaskOptions {
        subset: list(if robust_crop { "roi_subset_robust" } else { "roi_subset" }),
        robust_crop,
        remove_small: flag("remove_small_blobs").then_some(200.0),
        resampling: match &given["resampling_order"] {
            _ if flag("higher_order_resampling") => TaskResampling::Network,
            order if *order == 3 => TaskResampling::Cubic,
            _ => TaskResampling::Linear,
        },
        split: false,
        crop_to_body: flag("body_seg"),
        on_network_grid: flag("save_lowres"),
        smooth: flag("higher_order_resampling_LEGACY"),
        legacy_v1_labels: flag("v1_order"),
    }
}

/// The log of a case, the name of its task and its image.
fn case(folder: &Path, name: &str) -> (Value, String, Image) {
    let log = std::fs::read(folder.join("cases").join(name).join("case.json")).unwrap();
    let log: Value = serde_json::from_slice(&log).unwrap();
    let task = log["task"].as_str().unwrap();
    let speed = ["fast", "fastest"].into_iter().find(|&speed| log["options"][speed] == true);
    let task = match speed.map(|speed| format!("{task}_{speed}")) {
        Some(task) if Task::named(&task).is_ok() => task,
        _ => task.to_owned(),
    };
    let image = Image::read(&folder.join(log["image"].as_str().unwrap()));
    (log, task, image)
}

fn compare(folder: &Path, name: &str) {
    let (log, task, image) = case(folder, name);
    let (labels, report) = segment(folder, &task, &image, &options(&log["options"]));
    let expected = Image::read(&folder.join("cases").join(name).join("segmentation.nii.gz"));
    same(name, &labels, &report, &expected.values);
}

fn same(case: &str, labels: &[u8], report: &RunReport, expected: &[f32]) {
    assert_eq!(labels.len(), expected.len());
    let different =
        labels.iter().zip(expected).filter(|(label, right)| f32::from(**label) != **right).count();
    let foreground = expected.iter().filter(|&&label| label != 0.0).count();
    println!(
        "{case}: {different} of {} voxels differ ({foreground} in the foreground); {} near ties of {} tiles, {:.1} s",
        labels.len(),
        report.near_ties,
        report.tiles,
        report.total_seconds,
    );
    assert!(different <= report.near_ties.max(1), "{case}: {different} voxels differ");
    assert!(different * 1000 <= foreground, "{case}: {different} of {foreground} foreground voxels differ");
}

/// Cases that `make_tasks.py` made, where `VOXSEG_CASES` names their folder.
#[test]
fn further_tasks() {
    let folder = std::env::var_os("VOXSEG_CASES").map(|folder| Path::new(&folder).join("totalseg"));
    let Some(folder) = folder.filter(|folder| folder.join("cases").is_dir()) else {
        eprintln!("skipped: VOXSEG_CASES names no folder with further tasks");
        return;
    };
    for place in std::fs::read_dir(folder.join("cases")).unwrap() {
        compare(&folder, place.unwrap().file_name().to_str().unwrap());
    }
}

/// One file for each class in place of one map, with those that TotalSegmentator derives.
#[test]
fn f2_body_fast_masks() {
    let Some(folder) = crate::reference().map(|folder| folder.join("totalseg")) else { return };
    let (_, task, image) = case(&folder, "f2_body_fast_masks");
    let mask = |name: &str| {
        let path = folder.join(format!("cases/f2_body_fast_masks/masks/{name}.nii.gz"));
        Image::read(&path).values
    };
    let (labels, report) = segment(&folder, &task, &image, &TaskOptions::default());
    for (name, values) in [("body_trunc", &[1][..]), ("body_extremities", &[2]), ("body", &[1, 2])] {
        let found: Vec<u8> = labels.iter().map(|label| values.contains(label).into()).collect();
        same(name, &found, &report, &mask(name));
    }
    let (skin, report) = segment(&folder, "skin_fast", &image, &TaskOptions::default());
    same("skin", &skin, &report, &mask("skin"));
}

/// The labels' grid is that of the file which TotalSegmentator writes.
#[test]
fn network_grid_is_that_of_the_reference() {
    let Some(folder) = crate::reference().map(|folder| folder.join("totalseg")) else { return };
    let (log, task, image) = case(&folder, "p_fast_save_lowres");
    let opened =
        Task::named(&task).unwrap().open(&folder.join("weights"), &options(&log["options"])).unwrap();
    let plan = TaskPlan::new(&opened, &PlanOptions::default()).unwrap();
    let found = plan.label_grid(&image.geometry).unwrap();
    let expected = Image::read(&folder.join("cases/p_fast_save_lowres/segmentation.nii.gz")).geometry;
    assert_eq!((found.shape, found.spacing), (expected.shape, expected.spacing));
    for row in 0..3 {
        assert!((found.origin[row] - expected.origin[row]).abs() < 1e-4, "{found:?} {expected:?}");
        for axis in 0..3 {
            assert!((found.direction[row][axis] - expected.direction[row][axis]).abs() < 1e-6);
        }
    }
}

/// TotalSegmentator's `statistics.json`: with all labels on the volume's own grid, and with those left out that come
/// within three voxels of a face.
#[test]
fn statistics_are_those_of_the_reference() {
    for (case, image, border) in
        [("e2_statistics_native", "ct_lps_aniso", true), ("e_total_fast_statistics", "ct_3mm", false)]
    {
        let Some(folder) = crate::reference().map(|folder| folder.join("totalseg")) else { return };
        let place = folder.join("cases").join(case);
        let expected: Value =
            serde_json::from_slice(&std::fs::read(place.join("statistics.json")).unwrap()).unwrap();
        let image = Image::read(&folder.join(format!("images/{image}.nii.gz")));
        let labels = Image::read(&place.join("segmentation.nii.gz"));
        let bytes: Vec<u8> = labels.values.iter().map(|&label| label as u8).collect();
        let volume = |dtype, bytes| {
            let layout = Layout::dense(image.geometry.shape, dtype);
            Volume::new(image.geometry.clone(), dtype, layout, vec![bytes]).unwrap()
        };
        let (map, image) = (volume(DType::U8, &bytes), volume(DType::F32, &image.bytes));
        let found = statistics(&map, Some((&image, 0)), 2, &mut Run::default()).unwrap();
        let task = Task::named("total").unwrap();
        let mut seen = 0;
        for label in task.labels().iter().filter(|label| label.value > 0) {
            let theirs = &expected[&label.name];
            let number = |key: &str| theirs[key].as_f64().unwrap();
            let ours = found.iter().find(|one| one.label == label.value && (border || one.margin >= 3));
            let Some(ours) = ours else {
                assert_eq!(number("volume"), 0.0, "{case} {}", label.name);
                continue;
            };
            seen += 1;
            let near = |ours: f64, theirs: f64, tolerance: f64| {
                assert!((ours - theirs).abs() <= tolerance, "{case} {}: {ours} {theirs}", label.name);
            };
            let intensities = ours.intensities.unwrap();
            near(ours.milliliters * 1000.0, number("volume"), 1e-6 * number("volume"));
            near(intensities.mean, number("intensity"), 5.1e-6);
            if border {
                assert_eq!(ours.voxels, theirs["n_voxels"].as_u64().unwrap());
                near(intensities.std, number("intensity_std"), 5.1e-6);
                near(intensities.min, number("intensity_min"), 0.0);
                near(intensities.max, number("intensity_max"), 0.0);
                for axis in 0..3 {
                    near(ours.centroid_index[axis], theirs["centroid_vox"][axis].as_f64().unwrap(), 5.1e-3);
                    let bounds = &theirs["bbox_vox"][axis];
                    assert_eq!(
                        [ours.first[axis], ours.last[axis]].map(Some),
                        [0, 1].map(|n| { bounds[n].as_u64().map(|bound| bound as usize) })
                    );
                }
            }
        }
        println!("{case}: {seen} labels");
        assert!(seen > 5, "{case}");
    }
}

macro_rules! cases {
    ($($name:ident)*) => {$(
        #[test]
        fn $name() {
            check(stringify!($name));
        }
    )*};
}
cases! {
    a_total_fast b_total_fastest c_total d_total_roi e2_statistics_native f_body g1_fast_remove_small_blobs
    g3_fast_higher_order_legacy g4_fast_order3 h_liver_vessels i_empty_crop j_kidney_cysts k_vertebrae_pp l_lung_vessels
    m_total_1p5 n_total_roi_robust_fast o_effusion_2folds p_fast_save_lowres
}
