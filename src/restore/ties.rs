//! Nearest voxels where an output lies half-way between two inputs, against what the references' own functions give:
//! golden values that `tests/parity/make_nearest.py` made.

use ndarray::Array3;
use serde_json::Value;

use super::back;
use crate::preprocess::monai::resize;
use crate::preprocess::preprocess;
use crate::preprocess::resample::{self, corners, torch};
use crate::progress::Run;
use crate::recipe::{
    BoxSource, CropForeground, Frame, Padding, PaddingMode, Recipe, Resampler, Spacing, SpatialPad, Spline,
    Step,
};
use crate::volume::{DType, Geometry, Layout, Volume};

/// The suite's golden values, or those in the file `VOXSEG_NEAREST`.
fn golden() -> Value {
    match std::env::var_os("VOXSEG_NEAREST") {
        Some(file) => serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap(),
        None => serde_json::from_str(include_str!("../../tests/parity/data/nearest.json")).unwrap(),
    }
}

fn digest(numbers: impl IntoIterator<Item = i32>) -> u64 {
    numbers
        .into_iter()
        .flat_map(i32::to_le_bytes)
        .fold(0xCBF2_9CE4_8422_2325, |value, byte| (value ^ u64::from(byte)).wrapping_mul(0x100_0000_01B3))
}

fn numbers(value: &Value) -> [f64; 3] {
    let bits: [u64; 3] = serde_json::from_value(value.clone()).unwrap();
    bits.map(f64::from_bits)
}

fn shape(value: &Value) -> [usize; 3] {
    serde_json::from_value(value.clone()).unwrap()
}

/// Which of the cases don't give the golden value.
fn wrong<'a>(cases: &'a Value, found: impl Fn(&'a Value) -> u64, key: &str) -> Vec<&'a Value> {
    let cases = cases.as_array().unwrap();
    let wrong: Vec<&Value> = cases.iter().filter(|case| found(case) != case[key].as_u64().unwrap()).collect();
    if !wrong.is_empty() {
        let few: Vec<String> = wrong.iter().take(20).map(ToString::to_string).collect();
        eprintln!("{} of {} differ, among them\n{}", wrong.len(), cases.len(), few.join("\n"));
    }
    wrong
}

/// The steps of a case, as a bundle's config would have them.
fn steps(case: &Value) -> Vec<Step> {
    let flag = |name: &str| case[name].as_bool().unwrap();
    let crop = |margin: u32| Step::CropForeground {
        crop: CropForeground { margin: [margin; 3], allow_smaller: false, k_divisible: [1; 3] },
        padding: Padding::Constant(0.0),
        source: BoxSource::Image,
    };
    let axes = case["axes"].as_str().map(|axes| {
        let back = axes == "LPS";
        Step::Orient { canonical: true, flip: [back, back, false], order: [0, 1, 2] }
    });
    let spacing = Spacing {
        align_corners: flag("corners"),
        outside: if flag("border") { PaddingMode::Border } else { PaddingMode::Zeros },
        single: flag("single"),
        ..Spacing::new(numbers(&case["pixdim"]))
    };
    let pad = case["pad"].as_u64().map(|size| Step::Frame {
        frame: Frame::AtLeast(SpatialPad { shape: [size as usize; 3], end: false }),
        padding: Padding::Constant(0.0),
    });
    let before = flag("before").then(|| crop(1));
    let after = flag("after").then(|| crop(0));
    [axes, before, Some(Step::Space(spacing)), after, pad].into_iter().flatten().collect()
}

/// The indices, from 1 on, of what the network would see, brought back to the volume's voxels.
fn brought_back(case: &Value) -> u64 {
    let size = shape(&case["shape"]);
    let direction: [[u64; 3]; 3] = serde_json::from_value(case["direction"].clone()).unwrap();
    let geometry = Geometry {
        shape: size,
        spacing: numbers(&case["spacing"]),
        origin: numbers(&case["origin"]),
        direction: direction.map(|row| row.map(f64::from_bits)),
    };
    let place = |axis: usize, at: usize| {
        let length = size[axis] as f64;
        ((at as f64 - (length - 1.0) / 2.0) / (length / 2.3)).powi(2)
    };
    let mut bytes = Vec::new();
    for k in 0..size[2] {
        for j in 0..size[1] {
            for i in 0..size[0] {
                let inside = place(0, i) + place(1, j) + place(2, k) < 1.0;
                bytes.extend(if inside { 1.0_f32 } else { -1.37 }.to_ne_bytes());
            }
        }
    }
    let layout = Layout::dense(size, DType::F32);
    let volume = Volume::new(geometry.ras_to_lps(), DType::F32, layout, vec![&bytes]).unwrap();
    let recipe = Recipe { steps: steps(case), ..Recipe::for_tests([3, 4, 5]) };
    let Ok(prepared) = preprocess(&volume, None, &recipe, 2, &mut Run::default()) else { return 0 };
    let out = prepared.image.dim();
    if [out.1, out.2, out.3] != shape(&case["out"]) {
        return 0;
    }
    let mut next = 0;
    let indices = Array3::from_shape_simple_fn((out.1, out.2, out.3), || {
        next += 1;
        next
    });
    let trace = &prepared.trace;
    let found = back::nearest(indices, trace, 0, 2).unwrap();
    digest(ndarray::indices(size).into_iter().map(|(i, j, k)| {
        let at = |axis: usize| {
            let (from, last) = (trace.map.axis[axis], size[trace.map.axis[axis]] - 1);
            let index = [i, j, k][from];
            if trace.map.flip[axis] { last - index } else { index }
        };
        found[[at(0), at(1), at(2)]]
    }))
}

#[test]
fn nearest_voxels_of_monai() {
    let golden = golden();
    assert_eq!(wrong(&golden["monai"], brought_back, "back").len(), 0);
}

#[test]
fn nearest_voxels_of_lines() {
    let golden = golden();
    let check = |name: &str, indices: &dyn Fn(usize, usize) -> Vec<usize>| {
        let found = |case: &Value| {
            let from = case[0].as_u64().unwrap() as usize;
            let to: Vec<usize> =
                if from < 49 { (1..49).collect() } else { vec![97, 128, 301, 512, 64, 171, 300, 513] };
            digest(to.into_iter().flat_map(|to| indices(from, to)).map(|index| index as i32))
        };
        let cases = golden[name].as_array().unwrap();
        let wrong: Vec<&Value> = cases
            .iter()
            .filter(|case| found(case) != case[1].as_u64().unwrap())
            .map(|case| &case[0])
            .collect();
        assert!(wrong.is_empty(), "{name}: lengths {wrong:?}");
    };
    let line = |from: usize| Array3::from_shape_fn((from, 1, 1), |(at, _, _)| at);
    let flat = |found: Array3<usize>| found.into_raw_vec_and_offset().0;
    check("zoom", &|from, to| corners::nearest_indices(from, to).unwrap());
    check("resize", &|from, to| flat(resample::resample_nearest(line(from).view(), [to, 1, 1]).unwrap()));
    check("exact", &|from, to| {
        torch::nearest(from, to).unwrap().iter().map(|(inputs, _)| inputs[0]).collect()
    });
    check("below", &|from, to| flat(resize::resize_nearest(line(from).view(), [to, 1, 1], 1).unwrap()));
}

#[test]
fn nearest_voxels_of_nnunets_labels() {
    let golden = golden();
    let found = |case: &Value| {
        let labels = case["labels"].as_str().unwrap().bytes();
        let labels = labels.map(|byte| if byte == b'm' { -1 } else { i32::from(byte - b'0') }).collect();
        let labels = Array3::from_shape_vec(shape(&case["shape"]), labels).unwrap();
        let order = case["order"].as_u64().unwrap() as u8;
        let resampler = match case["way"].as_str().unwrap() {
            "spline" => Resampler::Spline(Spline::new(order, 0, None).unwrap()),
            way => Resampler::Torch { separate: None, memory_efficient: way == "memory_efficient" },
        };
        let separate = case["axis"].as_u64().map(|axis| axis as usize);
        digest(resample::resample_labels(&resampler, labels, shape(&case["to"]), separate, 2).unwrap())
    };
    assert_eq!(wrong(&golden["nnunet"], found, "out").len(), 0);
}
