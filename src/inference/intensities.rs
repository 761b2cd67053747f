//! Whether intensities can be in the units that a model was trained with.
//!
//! No statistics tell that for sure. The rules here are made to say nothing about any image of the right kind, however
//! it was cropped or masked, and to find the usual mistakes: intensities that were scaled to 0…1 or 0…255, and
//! Hounsfield units whose intercept was left out.

use std::fmt;

use crate::buffer;
use crate::error::Result;
use crate::recipe::IntensityRange;
use crate::volume::{AxisMap, Volume};

/// About so many voxels are looked at.
const SAMPLE: f64 = 65_536.0;

/// Below it no Hounsfield unit is an intensity: scanners fill what they don't see with such values.
const FILLING: f32 = -1500.0;

/// Everything in a CT that isn't noise spans more Hounsfield units than this.
const LEAST_SPAN: f32 = 30.0;

/// An image spans more than this share of what the model was trained with.
const LEAST_SHARE: f32 = 0.05;

/// Without its intercept air is at 0 in Hounsfield units, give or take noise and this…
const AIR: f32 = -50.0;
/// …and tissue near 1000: one voxel in a hundred is over this.
const TISSUE: f32 = 800.0;

/// Intensities that the model can't have been trained with.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Unusual {
    /// What they are.
    pub kind: UnusualKind,
    /// The lowest and the highest, of about 65,000 voxels spread over the volume.
    pub found: [f32; 2],
    /// 99 of 100 are between these.
    pub usual: [f32; 2],
    /// Those that the model was trained with.
    pub expected: IntensityRange,
}

/// What is unusual about intensities.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnusualKind {
    /// All are the same.
    Constant,
    /// They span too little: scaled, perhaps to 0…1.
    Narrow,
    /// None is below 0 although the model knows such: scaled, perhaps to 0…255.
    NoneNegative,
    /// They are Hounsfield units without their intercept.
    NoIntercept,
    /// All are below or above those that the model knows.
    Outside,
}

/// What is unusual about a channel; `None` where it may well be as expected.
pub(super) fn unusual(volume: &Volume, channel: usize, expected: IntensityRange) -> Result<Option<Unusual>> {
    let values = sample(volume, channel)?;
    let Some((&lowest, &highest)) = values.first().zip(values.last()) else { return Ok(None) };
    let unusual = |kind, values: &[f32]| {
        let usual = [quantile(values, 0.005), quantile(values, 0.995)];
        Ok(Some(Unusual { kind, found: [lowest, highest], usual, expected }))
    };
    if lowest == highest {
        // A sparse image may hide between the voxels that were looked at.
        let constant = is_constant(volume, channel)?;
        return if constant { unusual(UnusualKind::Constant, &values) } else { Ok(None) };
    }
    let is_ct = expected.lower < 0.0;
    let filling = if is_ct { values.partition_point(|&value| value < FILLING) } else { 0 };
    let inside = if filling == values.len() { &values[..] } else { &values[filling..] };
    if is_ct && quantile(inside, 0.005) >= AIR && quantile(inside, 0.99) >= TISSUE {
        return unusual(UnusualKind::NoIntercept, inside);
    }
    if quantile(&values, 0.995) < expected.lower || quantile(inside, 0.005) > expected.upper {
        return unusual(UnusualKind::Outside, &values);
    }
    let least = (expected.upper - expected.lower) * LEAST_SHARE;
    if highest - inside[0] < if is_ct { least.max(LEAST_SPAN) } else { least } {
        return unusual(UnusualKind::Narrow, inside);
    }
    if is_ct && quantile(inside, 0.005) >= 0.0 {
        return unusual(UnusualKind::NoneNegative, inside);
    }
    Ok(None)
}

/// Finite intensities of voxels that are spread evenly over the volume, in ascending order.
fn sample(volume: &Volume, channel: usize) -> Result<Vec<f32>> {
    let shape = volume.geometry().shape;
    let mut steps = [1; 3];
    // Coarser along the axis with the most voxels left, so that flat volumes keep their planes.
    loop {
        let counts = [0, 1, 2].map(|axis| shape[axis].div_ceil(steps[axis]));
        if counts.iter().map(|&count| count as f64).product::<f64>() <= SAMPLE {
            break;
        }
        let axis = (0..3).max_by_key(|&axis| counts[axis]).unwrap_or(0);
        steps[axis] += 1;
    }
    let thinned = volume.every(steps);
    let mut values = buffer::zeroed("a sample of intensities", thinned.geometry().voxels())?;
    thinned.read(channel, &AxisMap::identity(), [0; 3], thinned.geometry().shape, &mut values, 1);
    values.retain(|value| value.is_finite());
    values.sort_unstable_by(f32::total_cmp);
    Ok(values)
}

/// Of values in ascending order.
fn quantile(values: &[f32], share: f64) -> f32 {
    values[((values.len() - 1) as f64 * share).round() as usize]
}

fn is_constant(volume: &Volume, channel: usize) -> Result<bool> {
    let map = volume.memory_order();
    let [planes, rows, columns] = map.apply(volume.geometry().shape);
    let mut plane = buffer::zeroed("a plane of intensities", rows * columns)?;
    let mut first = None;
    Ok((0..planes).all(|z| {
        volume.read(channel, &map, [z, 0, 0], [1, rows, columns], &mut plane, 1);
        let first = *first.get_or_insert(plane[0]);
        plane.iter().all(|&value| value == first)
    }))
}

/// Four digits, or all before the point.
fn short(value: f32) -> String {
    if value == value.trunc() {
        return value.to_string();
    }
    let places = (3.0 - libm::log10f(value.abs()).floor()).clamp(0.0, 9.0) as usize;
    format!("{value:.places$}")
}

impl fmt::Display for Unusual {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        let Unusual { kind, found, usual, expected } = *self;
        let ([lowest, highest], [low, high]) = (found.map(short), usual.map(short));
        let IntensityRange { lower, upper } = expected;
        if kind == UnusualKind::Constant {
            return write!(
                formatter,
                "all intensities are {lowest}, but the model was trained with {lower} to {upper}: the image is empty"
            );
        }
        let units = if lower < 0.0 { "Hounsfield units" } else { "the original intensities" };
        write!(
            formatter,
            "intensities from about {lowest} to {highest}, 99 of 100 between {low} and {high}, but the model was \
             trained with {lower} to {upper}: "
        )?;
        match kind {
            UnusualKind::Constant => Ok(()),
            UnusualKind::Narrow => write!(formatter, "they look scaled, the model needs {units}"),
            UnusualKind::NoneNegative => {
                write!(formatter, "none is below 0, they look scaled or shifted, the model needs {units}")
            }
            UnusualKind::NoIntercept => {
                write!(
                    formatter,
                    "they look like Hounsfield units without the intercept, which is -1024 as a rule"
                )
            }
            UnusualKind::Outside => write!(formatter, "they look shifted or scaled, the model needs {units}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::model::{Model, ModelOptions};
    use crate::nifti::Reader;
    use crate::reference;
    use crate::volume::{DType, Geometry, Layout};

    /// Values with axis 0 fastest, and the shape.
    struct Image {
        shape: [usize; 3],
        values: Vec<f32>,
    }

    impl Image {
        fn read(path: &Path) -> Self {
            let (header, bytes) = reference::nifti(path);
            let reading = header.read(Reader::Itk).unwrap();
            let value = |stored: f64| (stored * reading.slope + reading.intercept) as f32;
            let values = header.stored.numbers(&bytes).map(value).collect();
            Image { shape: header.shape, values }
        }

        fn unusual(&self, expected: IntensityRange) -> Option<Unusual> {
            let bytes: Vec<u8> = self.values.iter().flat_map(|value| value.to_ne_bytes()).collect();
            let (grid, layout) = (Geometry::with_shape(self.shape), Layout::dense(self.shape, DType::F32));
            unusual(&Volume::new(grid, DType::F32, layout, vec![&bytes]).unwrap(), 0, expected).unwrap()
        }

        fn map(&self, change: impl Fn(f32) -> f32) -> Self {
            Image { shape: self.shape, values: self.values.iter().map(|&value| change(value)).collect() }
        }

        fn kind(&self, expected: IntensityRange) -> Option<UnusualKind> {
            self.unusual(expected).map(|found| found.kind)
        }
    }

    /// Every image of the reference data that a model with known intensities was run on, and those intensities.
    fn cases() -> Vec<(String, Image, IntensityRange)> {
        let mut cases = Vec::new();
        for family in ["nnunet", "monai"] {
            let Some(list) = reference::file(&format!("{family}/cases.json")) else { continue };
            let list: serde_json::Value = serde_json::from_slice(&list).unwrap();
            for case in list.as_array().unwrap() {
                let path = |value: &serde_json::Value| format!("{family}/{}", value.as_str().unwrap());
                let Some(cases_file) = reference::path(&format!("{family}/cases.json")) else { continue };
                let folder = cases_file.parent().unwrap();
                let Some(model) = case["model"].as_str() else { continue };
                let model = Model::open(&folder.join(model), &ModelOptions::default()).unwrap();
                let images = case["images"].as_array().unwrap();
                let expected = model.recipe().expected_intensities(images.len());
                for (image, expected) in images.iter().zip(expected) {
                    if let (Some(expected), Some(file)) = (expected, reference::path(&path(image))) {
                        let name = case["name"].as_str().unwrap().to_owned();
                        cases.push((name, Image::read(&file), expected));
                    }
                }
            }
        }
        // Others have a CT for what TotalSegmentator's models and those of the tests were trained with.
        let torso = IntensityRange { lower: -992.0, upper: 730.0 };
        for name in [
            "totalseg/images/ct_3mm",
            "totalseg/images/ct_lps_1p5mm",
            "totalseg/images/ct_lps_aniso",
            "bugs/images/plain",
            "bugs/images/nan_inf_float",
            "bugs/images/three_time_points",
            "coverage/images/ct_lps",
            "coverage/images/ct_psl",
            "coverage/images/ct_small",
        ] {
            if let Some(path) = reference::path(&format!("{name}.nii.gz")) {
                cases.push((name.into(), Image::read(&path), torso));
            }
        }
        cases
    }

    #[test]
    fn images_of_the_right_kind_are_usual() {
        let window = |lower, upper| IntensityRange { lower, upper };
        for (name, image, expected) in cases() {
            assert_eq!(image.unusual(expected), None, "{name}");
            // Liver, spleen and a vessel model; the whole body.
            for expected in
                [window(-17.0, 201.0), window(-57.0, 164.0), window(5.0, 420.0), window(-1024.0, 3071.0)]
            {
                assert_eq!(image.unusual(expected), None, "{name} {expected:?}");
            }
            // What scanners don't see, and a mask.
            let filled = |with: f32| {
                let (mut filled, half) = (image.map(|value| value), image.values.len() / 2);
                filled.values[..half].fill(with);
                filled
            };
            for with in [-2000.0, -3024.0, -1024.0, 0.0] {
                assert_eq!(filled(with).unusual(expected), None, "{name} {with}");
            }
        }
    }

    #[test]
    fn other_units_are_not() {
        for (name, image, expected) in cases() {
            let finite: Vec<f32> = image.values.iter().copied().filter(|value| value.is_finite()).collect();
            let low = finite.iter().copied().fold(f32::INFINITY, f32::min);
            let high = finite.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            let span = high - low;
            let mean = finite.iter().sum::<f32>() / finite.len() as f32;
            let kinds = [
                image.map(|value| (value - low) / span),
                image.map(|value| 2.0 * (value - low) / span - 1.0),
                image.map(|value| (value - mean) / 300.0),
                image.map(|value| value / 4095.0),
                image.map(|_| -1024.0),
            ]
            .map(|changed| changed.kind(expected));
            let constant = [0, 1, 2, 3].map(|_| Some(UnusualKind::Narrow));
            assert_eq!((&kinds[..4], kinds[4]), (&constant[..], Some(UnusualKind::Constant)), "{name}");
            for bytes in [
                image.map(|value| ((value - low) / span * 255.0).round()),
                image.map(|value| ((value + 1000.0) / 2000.0 * 255.0).round().clamp(0.0, 255.0)),
                image.map(|value| ((value + 160.0) / 400.0 * 255.0).round().clamp(0.0, 255.0)),
            ] {
                assert_eq!(bytes.kind(expected), Some(UnusualKind::NoneNegative), "{name}");
            }
            let unsigned = image.map(|value| (value + 1024.0).max(0.0));
            assert_eq!(unsigned.kind(expected), Some(UnusualKind::NoIntercept), "{name}");
            // As scanners of one maker fill what they don't see.
            let mut filled = image.map(|value| value + 1024.0);
            let half = filled.values.len() / 2;
            filled.values[..half].fill(-2000.0);
            assert_eq!(filled.kind(expected), Some(UnusualKind::NoIntercept), "{name}");
            let twice = image.map(|value| value - 3000.0);
            assert_eq!(twice.kind(expected), Some(UnusualKind::Outside), "{name}");
        }
    }

    #[test]
    fn words() {
        let expected = IntensityRange { lower: -992.0, upper: 730.0 };
        let found = |kind| Unusual { kind, found: [0.0, 1.0], usual: [0.0, 0.123_456], expected }.to_string();
        assert_eq!(
            found(UnusualKind::Narrow),
            "intensities from about 0 to 1, 99 of 100 between 0 and 0.1235, but the model was trained with -992 to \
             730: they look scaled, the model needs Hounsfield units"
        );
        assert_eq!(
            found(UnusualKind::Constant),
            "all intensities are 0, but the model was trained with -992 to 730: the image is empty"
        );
    }

    #[test]
    fn flat_and_sparse_volumes() {
        let expected = IntensityRange { lower: -992.0, upper: 730.0 };
        let flat = Image {
            shape: [700, 700, 3],
            values: (0..1_470_000).map(|n| (n % 1500) as f32 - 1000.0).collect(),
        };
        assert_eq!(flat.unusual(expected), None);
        // One voxel that isn't looked at.
        let mut sparse = Image { shape: [99, 99, 99], values: vec![-1000.0; 99 * 99 * 99] };
        assert_eq!(sparse.kind(expected), Some(UnusualKind::Constant));
        sparse.values[0] = 60.0;
        assert_eq!(sparse.unusual(expected), None);
        let nothing = Image { shape: [2, 2, 2], values: vec![f32::NAN; 8] };
        assert_eq!(nothing.unusual(expected), None);
    }
}
