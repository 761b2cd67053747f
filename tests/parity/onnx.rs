//! ONNX files with a description beside them, against the scores that PyTorch gave for the same arrays.

use std::path::Path;

use voxseg::inference::{Map, MapBuffer};
use voxseg::inference::{Plan, PlanOptions};
use voxseg::labels::LabelBuffer;
use voxseg::model::{Model, ModelOptions};
use voxseg::progress::Run;
use voxseg::volume::{DType, Geometry, Layout, Volume};

const CLASSES: usize = 5;
/// ONNX Runtime's scores differ from PyTorch's by up to 3e-4, probabilities by a quarter of that.
const TOLERANCE: f32 = 1e-4;

/// The numbers in a NumPy file, in single precision and row-major order.
fn numbers(path: &Path) -> Vec<f32> {
    let bytes = std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    assert!(bytes.starts_with(b"\x93NUMPY\x01\x00"), "{} has another version", path.display());
    let header = usize::from(u16::from_le_bytes([bytes[8], bytes[9]]));
    let text = std::str::from_utf8(&bytes[10..10 + header]).unwrap();
    assert!(text.contains("'<f4'") && text.contains("'fortran_order': False"), "{text}");
    bytes[10 + header..].chunks_exact(4).map(|four| f32::from_le_bytes(four.try_into().unwrap())).collect()
}

/// Probabilities [class][voxel] of scores.
fn softmax(scores: &[f32]) -> Vec<f32> {
    let voxels = scores.len() / CLASSES;
    let mut out = vec![0.0; scores.len()];
    for voxel in 0..voxels {
        let of = |class: usize| f64::from(scores[class * voxels + voxel]);
        let most = (0..CLASSES).map(of).fold(f64::NEG_INFINITY, f64::max);
        let sum: f64 = (0..CLASSES).map(|class| (of(class) - most).exp()).sum();
        (0..CLASSES).for_each(|class| out[class * voxels + voxel] = ((of(class) - most).exp() / sum) as f32);
    }
    out
}

fn compare(folder: &Path, file: &str, arrays: &str, shape: [usize; 3]) {
    let labels: serde_json::Map<_, _> =
        (0..CLASSES).map(|class| (class.to_string(), format!("class {class}").into())).collect();
    let description = serde_json::json!({
        "preprocessing": [],
        "inferer": {"_target_": "SlidingWindowInferer", "roi_size": shape},
        "postprocessing": [{"_target_": "AsDiscreted", "keys": "pred", "argmax": true}],
        "channels": ["image"], "labels": labels,
    });
    let files = vec![
        ("unet.onnx".to_owned(), std::fs::read(folder.join(file)).unwrap().into()),
        ("unet.json".to_owned(), serde_json::to_vec(&description).unwrap().into()),
    ];
    let model = Model::from_files(files, &ModelOptions::default()).unwrap();
    let plan = Plan::new(&model, &PlanOptions { threads: 2, ..PlanOptions::default() }).unwrap();
    let grid = Geometry::with_shape(shape);
    let voxels = grid.voxels();
    let input = numbers(&folder.join(format!("input_{arrays}.npy")));
    let output = numbers(&folder.join(format!("output_{arrays}.npy")));
    for (image, scores) in input.chunks_exact(voxels).zip(output.chunks_exact(voxels * CLASSES)) {
        // The arrays' last axis is the fastest one.
        let [_, rows, columns] = shape.map(|size| size as isize);
        let layout =
            |size: isize| Layout { offset: 0, strides: [rows * columns * size, columns * size, size] };
        let bytes: Vec<u8> = image.iter().flat_map(|value| value.to_ne_bytes()).collect();
        let volume = Volume::new(grid.clone(), DType::F32, layout(4), vec![&bytes]).unwrap();
        let mut found = vec![255; voxels];
        let mut labels = LabelBuffer::new(&grid, DType::U8, layout(1), &mut found).unwrap();
        let mut maps = vec![vec![0; voxels * 4]; CLASSES];
        let buffers = maps.iter_mut().enumerate();
        let mut buffers: Vec<MapBuffer> = buffers
            .map(|(class, bytes)| {
                MapBuffer::new(Map::Probability(class as u16), &grid, DType::F32, layout(4), bytes).unwrap()
            })
            .collect();
        plan.segment(&volume, &mut labels, &mut buffers, &mut Run::default()).unwrap();
        let right = softmax(scores);
        let mut largest = 0.0_f32;
        for (map, right) in maps.iter().zip(right.chunks_exact(voxels)) {
            let own = map.chunks_exact(4).map(|four| f32::from_ne_bytes(four.try_into().unwrap()));
            largest = own.zip(right).fold(largest, |largest, (own, right)| largest.max((own - right).abs()));
        }
        println!("{file}, {arrays}: largest difference of probabilities {largest:.1e}");
        assert!(largest < TOLERANCE, "{file}: {largest}");
        for (voxel, &label) in found.iter().enumerate() {
            let of = |class: usize| right[class * voxels + voxel];
            let most = (0..CLASSES).map(of).fold(0.0, f32::max);
            assert!(of(label.into()) >= most - 2.0 * TOLERANCE, "{file}: label {label} at voxel {voxel}");
        }
    }
}

#[test]
fn onnx_files() {
    let Some(folder) = crate::reference().map(|folder| folder.join("monai/public/onnx_plain")) else {
        return;
    };
    for file in ["unet_static.onnx", "unet_dynamic.onnx", "unet_dynamic_legacy.onnx"] {
        compare(&folder, file, "static", [32, 40, 24]);
    }
    for file in ["unet_dynamic.onnx", "unet_dynamic_legacy.onnx"] {
        compare(&folder, file, "dynamic_b", [28, 32, 24]);
    }
}
