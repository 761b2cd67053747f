//! Oblique images whose voxels lie half-way between the network's on the way back: MONAI's labels, by its own reading
//! of the files (nibabel's affine).

use voxseg::inference::{Map, MapBuffer};
use voxseg::inference::{Plan, PlanOptions};
use voxseg::labels::LabelBuffer;
use voxseg::model::{Model, ModelOptions};
use voxseg::progress::Run;
use voxseg::volume::{DType, Layout, Volume};

use super::image::Image;
use super::{NEAR_TIE, convolution, device, device_options, reference};

#[test]
fn monai_inverse_ties() {
    let Some(folder) = reference() else { return };
    let cases = folder.join("bugs/monai_inverse_ties");
    if !cases.is_dir() {
        eprintln!("skipped: {} is not here", cases.display());
        return;
    }
    let model =
        Model::open(&folder.join("monai/public/bundle_wholebody/bundle"), &ModelOptions::default()).unwrap();
    let options = PlanOptions {
        threads: 2,
        device: device(),
        device_options: device_options(convolution()),
        ..PlanOptions::default()
    };
    let plan = Plan::new(&model, &options).unwrap();
    for name in ["ties_a", "ties_b"] {
        let image = Image::read_as(&cases.join(format!("{name}.nii.gz")), model.reader());
        let expected = Image::read(&cases.join(format!("{name}_labels.nii.gz"))).values;
        let grid = image.geometry.clone();
        let layout = Layout::dense(grid.shape, DType::F32);
        let volume = Volume::new(grid.clone(), DType::F32, layout, vec![&image.bytes]).unwrap();
        let (mut bytes, mut margins) = (vec![255; grid.voxels()], vec![7; grid.voxels()]);
        let layout = Layout::dense(grid.shape, DType::U8);
        let mut labels = LabelBuffer::new(&grid, DType::U8, layout, &mut bytes).unwrap();
        let mut maps = [MapBuffer::new(Map::Margin, &grid, DType::U8, layout, &mut margins).unwrap()];
        plan.segment(&volume, &mut labels, &mut maps, &mut Run::default()).unwrap();
        let differs = |index: &usize| f32::from(bytes[*index]) != expected[*index];
        let differing: Vec<usize> = (0..bytes.len()).filter(differs).collect();
        let beyond = differing.iter().filter(|&&index| f32::from(margins[index]) > NEAR_TIE).count();
        let foreground = expected.iter().filter(|&&label| label != 0.0).count();
        println!("{name}: {} of {} voxels differ, {beyond} beyond a near tie", differing.len(), bytes.len());
        assert!(beyond == 0 && differing.len() * 1000 <= foreground, "{name}");
    }
}
