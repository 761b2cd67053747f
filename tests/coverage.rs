//! Small models of the kinds that people publish, with the answers of their references: labels may differ only in near
//! ties, and in one of 1,000 foreground voxels. `VOXSEG_COVERAGE=word` runs those whose names have the word.

#![allow(clippy::print_stdout, reason = "the counts are what this test is for")]

#[path = "parity/image.rs"]
mod image;

use std::path::{Path, PathBuf};

use serde_json::Value;
use voxseg::inference::{Plan, PlanOptions};
use voxseg::labels::LabelBuffer;
use voxseg::model::{Model, ModelOptions};
use voxseg::progress::Run;
use voxseg::volume::{DType, Layout, Volume};

use image::Image;

/// Margins are in thousandths; up to this one the reference's two best classes nearly tie.
const NEAR_TIE: f32 = 10.0;

/// Networks with operators that only ONNX Runtime has; without it they aren't run.
const NEEDS_RUNTIME: &str = "VOXSEG_ORT_LIBRARY";

fn folder() -> Option<PathBuf> {
    let folder = voxseg_reference::folder().join("coverage");
    let there = folder.join("cases.json").is_file();
    if !there {
        eprintln!("skipped: the reference data is not here; set VOXSEG_REFERENCE to its folder");
    }
    there.then_some(folder)
}

#[test]
fn published_kinds_give_their_references_labels() {
    let Some(folder) = folder() else { return };
    let word = std::env::var("VOXSEG_COVERAGE").unwrap_or_default();
    let cases: Vec<Value> =
        serde_json::from_slice(&std::fs::read(folder.join("cases.json")).unwrap()).unwrap();
    let cases = cases.iter().filter(|case| case["name"].as_str().unwrap().contains(&word));
    let wrong: Vec<String> = cases.filter_map(|case| compare(&folder, case).err()).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// What is wrong with a case.
fn compare(folder: &Path, case: &Value) -> Result<(), String> {
    let name = case["name"].as_str().unwrap();
    let told = |error: voxseg::Error| format!("{name}: {error}");
    let path = |value: &Value| folder.join(value.as_str().unwrap());
    let model = Model::open(&path(&case["model"]), &ModelOptions::default()).map_err(told)?;
    let plan = match Plan::new(&model, &PlanOptions { threads: 2, ..PlanOptions::default() }) {
        Err(voxseg::Error::Runtime { .. }) if std::env::var_os(NEEDS_RUNTIME).is_none() => {
            println!("{name}: opens; not run, set {NEEDS_RUNTIME} to ONNX Runtime's library");
            return Ok(());
        }
        plan => plan.map_err(told)?,
    };
    let read = |value: &Value| Image::read_as(&path(value), model.reader());
    let images: Vec<Image> = case["images"].as_array().unwrap().iter().map(read).collect();
    let grid = images[0].geometry.clone();
    let channels = images.iter().map(|image| image.bytes.as_slice()).collect();
    let layout = Layout::dense(grid.shape, DType::F32);
    let volume = Volume::new(grid.clone(), DType::F32, layout, channels).map_err(told)?;
    let mut found = vec![255; grid.voxels()];
    let layout = Layout::dense(grid.shape, DType::U8);
    let mut labels = LabelBuffer::new(&grid, DType::U8, layout, &mut found).map_err(told)?;
    plan.segment(&volume, &mut labels, &mut [], &mut Run::default()).map_err(told)?;

    let expected = Image::read(&path(&case["expected"])).values;
    let margins = Image::read(&path(&case["margin"])).values;
    let differs = |index: &usize| f32::from(found[*index]) != expected[*index];
    let differing: Vec<usize> = (0..found.len()).filter(differs).collect();
    let beyond = differing.iter().filter(|&&index| margins[index] > NEAR_TIE).count();
    let foreground = expected.iter().filter(|&&label| label != 0.0).count();
    let counts = format!(
        "{name}: {} of {foreground} foreground voxels differ, {beyond} beyond a near tie",
        differing.len()
    );
    println!("{counts}");
    if beyond == 0 && differing.len() * 1000 <= foreground { Ok(()) } else { Err(counts) }
}
