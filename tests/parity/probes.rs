//! The preprocessed image at fixed voxels, against what MONAI's own chain made of the same input.

use serde_json::Value;
use voxseg::model::{Model, ModelOptions};
use voxseg::preprocess::{Prepared, preprocess};
use voxseg::progress::Run;
use voxseg::volume::{DType, Layout, Volume};

use crate::image::Image;

/// The reference's numbers are single precision; sums of a whole image differ in their last digits.
const TOLERANCE: f32 = 2e-5;

#[test]
fn images_of_monai_cases() {
    let Some(folder) = crate::reference().map(|folder| folder.join("monai")) else { return };
    for case in crate::cases(&folder) {
        let text = |key: &str| case[key].as_str().unwrap_or_default().to_owned();
        let probes = text("expected").replace("labels", "probes").replace(".nii.gz", ".json");
        let probes: Value = serde_json::from_slice(&std::fs::read(folder.join(probes)).unwrap()).unwrap();
        let image = Image::read(&folder.join(case["images"][0].as_str().unwrap()));
        let model = Model::open(&folder.join(text("model")), &ModelOptions::default()).unwrap();
        let layout = Layout::dense(image.geometry.shape, DType::F32);
        let volume = Volume::new(image.geometry.clone(), DType::F32, layout, vec![&image.bytes]).unwrap();
        let Prepared { image, .. } =
            preprocess(&volume, None, model.recipe(), 2, &mut Run::default()).unwrap();
        let shape: Vec<u64> = image.shape()[1..].iter().map(|&size| size as u64).collect();
        assert_eq!(probes["network_grid"], Value::from(shape), "{}", text("name"));
        let mut largest = 0.0_f32;
        let places = probes["probe_index"].as_array().unwrap();
        for (place, values) in places.iter().zip(probes["probe_image"].as_array().unwrap()) {
            let at = |axis: usize| place[axis].as_u64().unwrap() as usize;
            let expected = values[0].as_f64().unwrap() as f32;
            largest = largest.max((image[(0, at(0), at(1), at(2))] - expected).abs());
        }
        println!("{}: largest difference of the image {largest:.1e}", text("name"));
        assert!(largest < TOLERANCE, "{}: {largest}", text("name"));
    }
}
