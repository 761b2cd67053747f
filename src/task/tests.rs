use ndarray::Array3;
use sha2::{Digest, Sha256};

use super::chain::{OVERLAP, kept};
use super::image::Image;
use super::part::{along, around};
use crate::model::task::TaskResampling;
use crate::nifti::Reader;
use crate::volume::{AxisMap, Box3, DType, Geometry, Layout, Volume};

/// An image of the reference data: its grid and its voxels as bytes of i16.
fn reference(name: &str) -> Option<(Geometry, Vec<u8>)> {
    let path = crate::reference::path(&format!("totalseg/images/{name}.nii.gz"))?;
    let (header, stored) = crate::reference::nifti(&path);
    let values = header.stored.numbers(&stored);
    let bytes = values.flat_map(|value| (value as i16).to_ne_bytes()).collect();
    let geometry = header.read(Reader::Nibabel).unwrap().geometry;
    Some((geometry, bytes))
}

/// SHA-256 of an image as the logs of the reference runs have it: f32, along the patient's axes, z fastest.
fn hash(image: &Image) -> String {
    let volume = image.volume().unwrap();
    let shape = volume.geometry().shape;
    let mut values = vec![0.0; volume.geometry().voxels()];
    volume.read(0, &AxisMap::identity(), [0; 3], shape, &mut values, 1);
    let mut hash = Sha256::new();
    values.iter().for_each(|value| hash.update(value.to_le_bytes()));
    crate::model::hexadecimal(hash)
}

#[test]
fn images_are_those_of_the_reference() {
    for case in ["a_total_fast", "b_total_fastest", "c_total", "d_total_roi", "l_lung_vessels"] {
        let Some(log) = crate::reference::file(&format!("totalseg/cases/{case}/case.json")) else { return };
        let log: serde_json::Value = serde_json::from_slice(&log).unwrap();
        let steps = log["steps"].as_array().unwrap();
        let run = steps.iter().find(|step| step["step"] == "nnunet").unwrap();
        let name = log["image"].as_str().unwrap().trim_start_matches("images/").trim_end_matches(".nii.gz");
        let Some((geometry, bytes)) = reference(name) else { return };
        let layout = Layout::dense(geometry.shape, DType::I16);
        let volume = Volume::new(geometry, DType::I16, layout, vec![&bytes]).unwrap();
        let spacing = run["input_zooms_f32"].as_array().unwrap();
        let spacing = [0, 1, 2].map(|axis| spacing[axis].as_f64().unwrap());
        let image = Image::new(&volume, None, Some(spacing), TaskResampling::Linear, 2).unwrap();
        let expected: Vec<usize> = crate::reference::numbers(&run["input_shape"]);
        assert_eq!(image.volume().unwrap().geometry().shape.to_vec(), expected, "{case}");
        assert_eq!(hash(&image), run["input_sha256_f32_C_order"].as_str().unwrap(), "{case}");
    }
}

#[test]
fn pieces_cover_each_plane_once() {
    let third = 70;
    let pieces =
        [(0, third + OVERLAP), (third + 1 - OVERLAP, 2 * third + OVERLAP), (2 * third + 1 - OVERLAP, 211)];
    let planes: Vec<usize> = (0..3).flat_map(|piece| kept(&pieces, piece)).collect();
    assert_eq!(planes, (0..211).collect::<Vec<_>>());
    assert_eq!(kept(&[(0, 50)], 0), 0..50);
}

#[test]
fn boxes_follow_the_axes_of_the_volume() {
    // Array axes 0, 1, 2 run to the left, to the foot, to the back.
    let mut volume = Geometry::with_shape([10, 20, 30]);
    volume.spacing = [1.0, 2.0, 0.8_f32.into()];
    volume.direction = [[1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, -1.0, 0.0]];
    let axes = AxisMap::closest_canonical(&volume);
    assert_eq!(axes, AxisMap { axis: [0, 2, 1], flip: [true, true, true] });
    let mut found = Array3::<u16>::zeros([20, 30, 10]);
    found[[3, 28, 1]] = 4;
    found[[5, 20, 2]] = 6;
    found[[0, 0, 0]] = 5;
    let part = around(found.view(), &[4, 6], [0.0; 3], &axes, &volume).unwrap();
    assert_eq!(part, Box3 { start: [7, 14, 1], end: [9, 17, 10] });
    assert_eq!(along(&axes, volume.shape, part), [1, 20, 3]);
    // 20 mm are 24.99… voxels of 0.8 mm, of which whole ones count.
    let part = around(found.view(), &[4, 6], [2.9, 5.0, 20.0], &axes, &volume).unwrap();
    assert_eq!(part, Box3 { start: [5, 12, 0], end: [10, 19, 30] });
    assert!(around(found.view(), &[7], [0.0; 3], &axes, &volume).is_none());
}
