//! Runs for which memory isn't there, at each place where it is asked for.

use crate::buffer::scarce;
use crate::error::Error;
use crate::inference::{Plan, PlanOptions};
use crate::labels::LabelBuffer;
use crate::model::Model;
use crate::progress::Run;
use crate::recipe::{
    Frame, KeepLargest, Normalization, Padding, Recipe, Resample, Resampler, RestoreMode, ScorePrecision,
    Spacing, SpatialPad, Spline, Step,
};
use crate::restore::{Map, MapBuffer};
use crate::volume::{DType, Geometry, Layout, Volume};

const SHAPE: [usize; 3] = [9, 8, 7];

fn resample(order: u8) -> Step {
    let rule = Resampler::Spline(Spline::new(order, 0, None).unwrap());
    Step::Resample(Resample { spacing: [Some(1.5); 3], image: rule, scores: rule, labels: rule })
}

/// nnU-Net's way, with scores that come back by splines of this order.
fn nnunet(order: u8) -> Recipe {
    let normalize = Step::Normalize(vec![Normalization::ZScore { masked: true }]);
    let keep = KeepLargest { labels: vec![1], background: 0 };
    Recipe {
        steps: vec![Step::CropToNonzero, normalize, resample(order)],
        postprocess: vec![keep],
        ..Recipe::for_tests([4, 4, 4])
    }
}

/// MONAI's, with labels or probabilities that come back.
fn monai(restore: RestoreMode) -> Recipe {
    let frame = Frame::AtLeast(SpatialPad { shape: [10; 3], end: false });
    let mut recipe = Recipe {
        steps: vec![Step::Space(Spacing::new([1.5; 3])), Step::Frame { frame, padding: Padding::Edge }],
        restore,
        ..Recipe::for_tests([4, 4, 4])
    };
    recipe.tiling.score_precision = ScorePrecision::Single;
    recipe
}

/// Makes a plan and runs it, once for each request of memory that fails; returns how many there were.
fn fail_each(recipe: Recipe, mirrored: bool, maps: bool) -> usize {
    let mut recipe = recipe;
    recipe.tiling.mirror = if mirrored { vec![0, 2] } else { Vec::new() };
    let model = Model::for_tests(recipe, 2);
    let options = PlanOptions { threads: 1, postprocess: true, ..PlanOptions::default() };
    let voxels: Vec<u8> = (0..SHAPE.iter().product::<usize>())
        .flat_map(|at| (if at % 7 == 0 { 0 } else { at as i16 * 3 % 50 + 1 }).to_ne_bytes())
        .collect();
    let grid = Geometry::with_shape(SHAPE);
    let layout = Layout::dense(SHAPE, DType::I16);
    let volume = Volume::new(grid.clone(), DType::I16, layout, vec![&voxels]).unwrap();
    let made = |failing: usize| match scarce::with(failing, || Plan::new(&model, &options)) {
        Err(Error::OutOfMemory { .. }) => false,
        Err(other) => panic!("{failing}: {other}"),
        Ok(_) => true,
    };
    let in_plan = (0..).find(|&failing| made(failing)).unwrap();
    let plan = Plan::new(&model, &options).unwrap();
    let mut right = None;
    for failing in (0..).map(|n| if n == 0 { usize::MAX } else { n - 1 }) {
        let (mut bytes, mut map) = (vec![0xA5; grid.voxels()], vec![0xA5; 4 * grid.voxels()]);
        let layout = |dtype| Layout::dense(SHAPE, dtype);
        let mut labels = LabelBuffer::new(&grid, DType::U8, layout(DType::U8), &mut bytes).unwrap();
        let entropy = MapBuffer::new(Map::Entropy, &grid, DType::F32, layout(DType::F32), &mut map).unwrap();
        let mut maps = if maps { vec![entropy] } else { Vec::new() };
        let run = &mut Run::default();
        match scarce::with(failing, || plan.segment(&volume, &mut labels, &mut maps, run)) {
            Ok(_) => {
                assert!(!bytes.contains(&0xA5));
                assert_eq!(*right.get_or_insert_with(|| bytes.clone()), bytes, "after {failing} failures");
                if failing < usize::MAX {
                    return in_plan + failing;
                }
            }
            Err(Error::OutOfMemory { what, .. }) => {
                assert!(!what.is_empty());
                assert!(bytes.iter().all(|&byte| byte == 0xA5), "{failing}: labels were written");
                let touched = map.iter().any(|&byte| byte != 0xA5);
                assert!(!touched || map.iter().all(|&byte| byte == 0), "{failing}: half a map");
            }
            Err(other) => panic!("{failing}: {other}"),
        }
    }
    0
}

#[test]
fn a_lack_of_memory_is_an_error_wherever_it_is_met() {
    for (recipe, mirrored, maps) in [
        (nnunet(1), true, false),
        (nnunet(3), false, true),
        (monai(RestoreMode::Labels), false, true),
        (monai(RestoreMode::InterpolatedLabels), true, false),
        (monai(RestoreMode::Probabilities), false, true),
    ] {
        let requests = fail_each(recipe, mirrored, maps);
        assert!(requests > 40, "{requests}");
    }
}
