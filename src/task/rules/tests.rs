//! The rules against TotalSegmentator's own, on the small random maps of `tests/parity/make_rules.py`.

use std::sync::Arc;

use ndarray::{Array3, s};
use serde_json::Value;

use super::*;
use crate::model::task::Task;
use crate::preprocess::resample::smooth_labels;
use crate::volume::{DType, Geometry, Layout};

struct Case(Value);

fn cases() -> Vec<Case> {
    let file: Value = serde_json::from_str(include_str!("data/totalsegmentator.json")).unwrap();
    file["cases"].as_array().unwrap().iter().cloned().map(Case).collect()
}

impl Case {
    fn axes<T>(&self, key: &str, number: impl Fn(&Value) -> T) -> [T; 3] {
        [0, 1, 2].map(|axis| number(&self.0[key][axis]))
    }

    fn shape(&self, key: &str) -> [usize; 3] {
        self.axes(key, |size| size.as_u64().unwrap() as usize)
    }

    fn spacing(&self) -> [f64; 3] {
        self.axes("spacing", |length| length.as_f64().unwrap())
    }

    /// A label map [z, y, x] of the file, whose z is the fastest.
    fn map(&self, key: &str) -> Array3<u16> {
        let shape = self.shape(if key == "smooth" { "smooth_shape" } else { "shape" });
        let labels = self.0[key].as_str().unwrap().bytes().map(|letter| u16::from(letter - b'a')).collect();
        let map = Array3::from_shape_vec(shape, labels).unwrap();
        map.reversed_axes().as_standard_layout().into_owned()
    }

    /// The image as a volume of the same axes, which run to the left and to the back.
    fn with_volume<T>(&self, work: impl FnOnce(&Volume) -> T) -> T {
        let grid = Geometry { spacing: self.spacing(), ..Geometry::with_shape(self.shape("shape")) };
        let values = self.0["image"].as_array().unwrap();
        let bytes: Vec<u8> =
            values.iter().flat_map(|value| (value.as_i64().unwrap() as i16).to_ne_bytes()).collect();
        let [_, y, z] = grid.shape.map(|size| size as isize);
        let layout = Layout { offset: 0, strides: [2 * y * z, 2 * z, 2] };
        work(&Volume::new(grid, DType::I16, layout, vec![&bytes]).unwrap())
    }
}

/// Along the patient's axes, to which the volume's x and y run backwards.
fn along(map: &Array3<u16>) -> Array3<u16> {
    map.slice(s![.., ..;-1, ..;-1]).to_owned()
}

/// What a rule makes of the labels on the volume's grid.
fn on_volume(case: &Case, rule: &Rule) -> Array3<u16> {
    let mut labels = along(&case.map("labels"));
    case.with_volume(|volume| apply_on_volume(rule, &mut labels, &along(&case.map("body")), volume)).unwrap();
    along(&labels)
}

#[test]
fn rules_are_those_of_totalsegmentator() {
    let task = Arc::new(Task::named("vertebrae_body").unwrap());
    let values = [1, 2, 3, 4, 5];
    let cases = cases();
    assert_eq!(cases.len(), 5);
    for case in &cases {
        let (labels, spacing) = (case.map("labels"), case.spacing());
        let expect = |found: &Array3<u16>, key: &str| {
            let expected = case.map(key);
            assert!(expected != labels, "{key} changes nothing");
            let different = found.iter().zip(&expected).filter(|(found, expected)| found != expected).count();
            assert_eq!(different, 0, "{key} at {spacing:?} mm");
        };
        let mut found = labels.clone();
        apply(&Rule::Dilate(3.0), &mut found, spacing, &values).unwrap();
        expect(&found, "dilated_3mm");
        let mut found = labels.clone();
        apply(&Rule::SeparateVertebrae { smallest: 20.0 }, &mut found, spacing, &values).unwrap();
        apply(&Rule::Dilate(3.0), &mut found, spacing, &values).unwrap();
        expect(&found, "separated");
        let clip = Rule::ClipTo { task: task.clone(), labels: vec![1], distance: 2.0 };
        expect(&on_volume(case, &clip), "refined");
        let mean = spacing.iter().sum::<f64>() / 3.0;
        expect(
            &on_volume(case, &Rule::RemoveOutside { labels: vec![1], distance: 2.01 * mean }),
            "outside_2",
        );
        expect(&on_volume(case, &Rule::Skin(vec![1, 2])), "skin");
        let shape = image::reversed(case.shape("smooth_shape"));
        for threads in [1, 3] {
            let found = smooth_labels(labels.view(), shape, threads).unwrap();
            assert!(found == case.map("smooth"), "{spacing:?} mm");
        }
    }
}
