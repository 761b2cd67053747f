//! MONAI's transforms on the random cases that `make_transforms.py` made in the folder `VOXSEG_TRANSFORMS`.

use std::path::Path;
use voxseg::recipe::{
    CropForeground, LargestComponents, MonaiIntensity, Padding, PaddingMode, Spacing, SpatialPad,
};

use ndarray::{Array3, Array4, ArrayD, Axis, Ix3, Ix4};
use serde_json::Value;
use voxseg::preprocess::monai::{Grid, Sampling, Spaced, Window, resize};
use voxseg::tiling::sliding::{importance, starts};
use voxseg::volume::Geometry;

/// Whatever a value stands for, of the type that is asked for.
macro_rules! read {
    ($value:expr) => {
        serde_json::from_value($value.clone()).unwrap()
    };
}

struct Cases {
    cases: Value,
    data: Vec<f32>,
}

impl Cases {
    fn open() -> Option<Self> {
        let Some(folder) = std::env::var_os("VOXSEG_TRANSFORMS") else {
            eprintln!("skipped: set VOXSEG_TRANSFORMS to a folder that make_transforms.py made");
            return None;
        };
        let folder = Path::new(&folder);
        let cases = serde_json::from_slice(&std::fs::read(folder.join("transforms.json")).unwrap()).unwrap();
        let bytes = std::fs::read(folder.join("data.f32")).unwrap();
        let data = bytes.as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
        Some(Cases { cases, data })
    }

    fn each(&self, kind: &str) -> impl Iterator<Item = &Value> {
        self.cases[kind].as_array().unwrap().iter()
    }

    fn array(&self, place: &Value) -> ArrayD<f32> {
        let shape: Vec<usize> = read!(place["shape"]);
        let (at, size) = (place["at"].as_u64().unwrap() as usize, shape.iter().product::<usize>());
        ArrayD::from_shape_vec(shape, self.data[at..at + size].to_vec()).unwrap()
    }

    fn image(&self, place: &Value) -> Array3<f32> {
        self.array(place).into_dimensionality::<Ix3>().unwrap()
    }

    fn channels(&self, place: &Value) -> Array4<f32> {
        self.array(place).into_dimensionality::<Ix4>().unwrap()
    }
}

fn flag(value: &Value) -> bool {
    value.as_bool().unwrap()
}

/// How many values differ, the largest difference and, of values that aren't tiny, the largest in units in the
/// last place.
fn differences(found: &ArrayD<f32>, expected: &ArrayD<f32>) -> (usize, f32, u32) {
    assert_eq!(found.shape(), expected.shape());
    found.iter().zip(expected).fold((0, 0.0, 0), |(count, most, units), (&found, &expected)| {
        if found == expected || found.is_nan() && expected.is_nan() {
            return (count, most, units);
        }
        let apart = if expected.abs() > 1e-3 { found.to_bits().abs_diff(expected.to_bits()) } else { 0 };
        (count + 1, (found - expected).abs().max(most), units.max(apart))
    })
}

fn geometry(case: &Value, shape: [usize; 3]) -> Geometry {
    let bits: [[u64; 4]; 4] = read!(case["affine"]);
    let affine = bits.map(|row| row.map(f64::from_bits));
    let mut geometry = Geometry::with_shape(shape);
    geometry.origin = [0, 1, 2].map(|row: usize| affine[row][3]);
    geometry.spacing = [0, 1, 2].map(|axis| affine.iter().map(|row| row[axis].powi(2)).sum::<f64>().sqrt());
    geometry.direction =
        [0, 1, 2].map(|row: usize| [0, 1, 2].map(|axis: usize| affine[row][axis] / geometry.spacing[axis]));
    geometry
}

#[test]
fn transforms_spacing() {
    let Some(cases) = Cases::open() else { return };
    // Of axis-aligned and of oblique images: voxels, those that differ, for labels and for intensities.
    let mut counts = [[0; 4]; 2];
    let mut most = [0.0f32; 2];
    let mut shapes = 0;
    for case in cases.each("spacing") {
        let image = cases.image(&case["image"]);
        let bits: [u64; 3] = read!(case["pixdim"]);
        let pixdim = bits.map(f64::from_bits);
        let bound = |share: f64| pixdim.map(|size| flag(&case["bounds"]).then_some(size * share));
        let rule = Spacing {
            min_pixdim: bound(0.75),
            max_pixdim: bound(1.25),
            align_corners: flag(&case["corners"]),
            outside: if flag(&case["border"]) { PaddingMode::Border } else { PaddingMode::Zeros },
            single: flag(&case["single"]),
            orthogonal: false,
            ..Spacing::new(pixdim)
        };
        let grid = Grid::new(&geometry(case, image.dim().into()));
        let expected = cases.image(&case["bilinear"]["forward"]);
        let oblique = usize::from(flag(&case["oblique"]));
        let Spaced { grid: after, sampling: forward } = rule.forward(&grid).unwrap();
        let found = after.shape;
        if found != <[usize; 3]>::from(expected.dim()) {
            // A length that ends in one half, rounded by what is left of solving for oblique axes.
            assert!(
                oblique == 1 && (0..3).all(|axis| found[axis].abs_diff(expected.shape()[axis]) <= 1),
                "{case}"
            );
            shapes += 1;
            continue;
        }
        let linear = |sampling: &Option<Sampling>, image: Array3<f32>| match sampling {
            Some(sampling) => sampling.linear(image.view(), 2).unwrap(),
            None => image,
        };
        let nearest = |sampling: &Option<Sampling>, image: Array3<f32>| match sampling {
            Some(sampling) => sampling.nearest(image.view(), 0.0, 2).unwrap(),
            None => image,
        };
        // `Spacing.inverse` keeps `align_corners`, which only `Invertd` forgets.
        let inverse = rule.back(&after, &grid).unwrap().map(|back| back.linear);
        for (mode, resample) in [("bilinear", &linear as &dyn Fn(_, _) -> _), ("nearest", &nearest)] {
            let case = &case[mode];
            let pairs = [
                (resample(&forward, image.clone()), cases.array(&case["forward"])),
                (resample(&inverse, cases.image(&case["labels"])), cases.array(&case["inverse"])),
            ];
            for (found, expected) in pairs {
                let range = expected.iter().fold(1.0f32, |range, value| range.max(value.abs()));
                let (different, apart, _) = differences(&found.into_dyn(), &expected);
                let at = if mode == "nearest" { 0 } else { 2 };
                counts[oblique][at] += expected.len();
                counts[oblique][at + 1] += different;
                if mode == "bilinear" {
                    most[oblique] = most[oblique].max(apart / range);
                }
            }
        }
    }
    println!(
        "spacing: nearest voxels, different; linear voxels, different: {counts:?}; relative {most:?}; shapes {shapes}"
    );
    assert_eq!((counts[0][1], counts[0][3]), (0, 0), "axes along the patient's");
    assert!(shapes * 50 <= cases.each("spacing").count(), "shapes of oblique images");
    assert!(most[1] < 1e-5 && counts[1][1] * 100 < counts[1][0], "oblique axes");
}

#[test]
fn transforms_intensity() {
    let Some(cases) = Cases::open() else { return };
    let mut worst = std::collections::BTreeMap::new();
    for case in cases.each("intensity") {
        let to: [Option<f64>; 2] = [case["to"][0].as_f64(), case["to"][1].as_f64()];
        let given = |key: &str| (!case[key].is_null()).then(|| read!(case[key]));
        let name = case["name"].as_str().unwrap();
        let change = match name {
            "range" => {
                let from = [case["from"][0].as_f64().unwrap(), case["from"][1].as_f64().unwrap()];
                MonaiIntensity::ScaleRange { from, to, clip: flag(&case["clip"]) }
            }
            "scale" => MonaiIntensity::Scale { to, channel_wise: flag(&case["wise"]) },
            "normalize" => MonaiIntensity::Normalize {
                nonzero: flag(&case["nonzero"]),
                channel_wise: flag(&case["wise"]),
                subtrahend: given("sub"),
                divisor: given("div"),
            },
            "sigmoid" => MonaiIntensity::Sigmoid,
            "tanh" => MonaiIntensity::SoftClip,
            _ => MonaiIntensity::ScaleByDeviation,
        };
        let mut image = cases.channels(&case["image"]);
        change.apply(image.view_mut(), 2).unwrap();
        let (different, apart, units) = differences(&image.into_dyn(), &cases.array(&case["out"]));
        let entry = worst.entry(name).or_insert((0, 0.0f32, 0));
        *entry = (entry.0 + different, entry.1.max(apart), entry.2.max(units));
    }
    println!("intensity: different, apart, units in the last place: {worst:?}");
    assert_eq!((worst["range"].0, worst["scale"].0), (0, 0));
    assert!(worst["sigmoid"].2 <= 2 && worst["tanh"].2 <= 2);
    assert!(worst["normalize"].1 < 2e-6 && worst["pet"].1 < 2e-6);
}

#[test]
fn transforms_shape() {
    let Some(cases) = Cases::open() else { return };
    for case in cases.each("foreground") {
        let image = cases.channels(&case["image"]);
        let rule = CropForeground {
            margin: read!(case["margin"]),
            allow_smaller: flag(&case["smaller"]),
            k_divisible: read!(case["k"]),
        };
        let window = rule.window(image.view(), 2).unwrap();
        assert_eq!(window, Window { start: read!(case["start"]), end: read!(case["end"]) }, "{case}");
        let padding = match case["mode"].as_str().unwrap() {
            "edge" => Padding::Edge,
            "minimum" => Padding::Minimum,
            _ => Padding::Constant(0.0),
        };
        let (out, back) = (cases.channels(&case["out"]), cases.channels(&case["back"]));
        for (channel, image) in image.axis_iter(Axis(0)).enumerate() {
            let cut = window.cut(image, padding, 2).unwrap();
            assert_eq!(cut, out.index_axis(Axis(0), channel), "{case}");
            let restored = window.restore(cut.view(), image.dim().into(), 0.0, 2).unwrap();
            assert_eq!(restored, back.index_axis(Axis(0), channel), "{case}");
        }
    }
    for case in cases.each("pad") {
        let image = cases.image(&case["image"]);
        let window =
            SpatialPad { shape: read!(case["to"]), end: flag(&case["end"]) }.window(image.dim().into());
        assert_eq!(window.cut(image.view(), Padding::Constant(0.0), 2).unwrap(), cases.image(&case["out"]));
    }
    let mut most = (0, 0.0f32);
    for case in cases.each("resize") {
        let (image, linear) = (cases.image(&case["image"]), cases.image(&case["linear"]));
        let nearest = resize::resize_nearest(image.view(), linear.dim().into(), 2).unwrap();
        assert_eq!(nearest, cases.image(&case["nearest"]));
        let found = resize::resize_linear(image.view(), linear.dim().into(), 2).unwrap();
        let (different, apart, _) = differences(&found.into_dyn(), &linear.into_dyn());
        most = (most.0 + different, most.1.max(apart));
    }
    println!("resize: different, apart {most:?} (intensities up to about 1000)");
    assert!(most.1 < 5e-4);
}

#[test]
fn transforms_tiles_and_components() {
    let Some(cases) = Cases::open() else { return };
    let mut map = (0, 0, 0);
    for case in cases.each("windows") {
        let found = starts(read!(case["image"]), read!(case["roi"]), read!(case["overlap"])).unwrap();
        let expected: [Vec<usize>; 3] = read!(case["starts"]);
        assert_eq!(found, expected, "{case}");
        let sigma_scale = read!(case["sigma"]);
        let found = importance(read!(case["map_roi"]), sigma_scale).unwrap();
        let (different, _, units) = differences(&found.clone().into_dyn(), &cases.array(&case["map"]));
        map = (map.0 + found.len(), map.1 + different, map.2.max(units));
    }
    println!("importance: voxels, different, units in the last place {map:?}");
    assert!(map.2 <= 4);
    let mut ties = 0;
    for case in cases.each("components") {
        let mut labels = cases.image(&case["labels"]).mapv(|label| label as u16);
        let rule = LargestComponents {
            labels: (!case["applied_labels"].is_null()).then(|| read!(case["applied_labels"])),
            independent: flag(&case["independent"]),
            connectivity: case["connectivity"].as_u64().unwrap_or(3) as u8,
            components: case["num_components"].as_u64().unwrap() as usize,
        };
        rule.apply(&mut labels).unwrap();
        let expected = cases.image(&case["out"]).mapv(|label| label as u16);
        let kept = |labels: &Array3<u16>| labels.iter().filter(|&&label| label > 0).count();
        assert_eq!(kept(&labels), kept(&expected), "{case}");
        ties += usize::from(labels != expected);
    }
    println!("components: cases with another choice among equals: {ties}");
    assert!(ties * 5 < cases.each("components").count());
}
