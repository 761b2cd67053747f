//! Regions: the bytes of the whole run, from the tiles that touch them.

use super::*;
use crate::recipe::{Decision, Frame, Resample, Resampler, Resize, ResizeMode, Size, SpatialPad, Spline};
use crate::volume::{Box3, Region, WhenGlobal};

/// Scores depend on the whole tile, so that a wrong tile or a wrong image in it shows.
fn mixing() -> Rule {
    Box::new(move |input, output| {
        let mean = input.iter().sum::<f32>() / input.len() as f32;
        for (class, scores) in output.chunks_exact_mut(input.len()).enumerate() {
            for (at, (score, value)) in scores.iter_mut().zip(input).enumerate() {
                let pattern = ((at * 7 + class * 13) % 11) as f32 - 5.0;
                *score = (value - mean) * 0.05 * (class as f32 - 1.0) + pattern * 0.3 + mean * 0.01;
            }
        }
        Ok(())
    })
}

fn spline(order: u8) -> Resampler {
    Resampler::Spline(Spline::new(order, 0, Some(false)).unwrap())
}

/// Recipes of all kinds; the last ones depend on the whole image.
fn recipe(kind: usize, spacing: [f64; 3]) -> Recipe {
    let nnunet = |steps: Vec<Step>, decision: Decision| {
        let mut all =
            vec![Step::Orient { canonical: true, flip: [false; 3], order: [1, 2, 0] }, Step::CropToNonzero];
        all.push(Step::Normalize(vec![Normalization::ZScore { masked: false }]));
        all.extend(steps);
        Recipe { steps: all, decision, ..Recipe::for_tests([4, 5, 4]) }
    };
    let resample = |order: u8| {
        Step::Resample(Resample {
            spacing: spacing.map(Some),
            image: spline(3),
            scores: spline(order),
            labels: spline(order),
        })
    };
    let monai = |steps: Vec<Step>, restore: RestoreMode| {
        let mut all = vec![Step::Orient { canonical: true, flip: [true, false, true], order: [0, 1, 2] }];
        all.extend(steps);
        let recipe = Recipe::for_tests([5, 4, 6]);
        let tiling = Tiling {
            placement: TilePlacement::Overlapping([0.5; 3]),
            importance: ImportanceMap::MonaiGaussian([0.125; 3]),
            score_precision: ScorePrecision::Single,
            ..recipe.tiling
        };
        Recipe { steps: all, restore, tiling, ..recipe }
    };
    let space = || Step::Space(Spacing::new(spacing));
    let crop = || Step::CropForeground {
        crop: CropForeground { margin: [1; 3], allow_smaller: false, k_divisible: [1; 3] },
        padding: Padding::Constant(0.0),
        source: BoxSource::Image,
    };
    let frame = || Step::Frame {
        frame: Frame::AtLeast(SpatialPad { shape: [9; 3], end: false }),
        padding: Padding::Constant(0.0),
    };
    let resize = |shape: usize| {
        Step::Resize(Resize {
            size: Size::All([shape; 3]),
            mode: ResizeMode::Linear { align_corners: false },
        })
    };
    match kind {
        0 => nnunet(vec![], Decision::Highest),
        1 => nnunet(vec![resample(1)], Decision::Highest),
        2 => nnunet(vec![resample(1)], Decision::regions([2, 1, 3])),
        3 => monai(vec![space(), crop(), frame()], RestoreMode::Scores),
        4 => monai(vec![crop(), space(), frame()], RestoreMode::Probabilities),
        5 => monai(vec![space(), crop(), frame()], RestoreMode::Labels),
        6 => monai(vec![crop(), space()], RestoreMode::InterpolatedLabels),
        7 => monai(vec![crop(), resize(9)], RestoreMode::Labels),
        8 => monai(vec![resize(8)], RestoreMode::Scores),
        9 => nnunet(vec![resample(3)], Decision::Highest),
        _ => {
            let postprocess = vec![KeepLargest { labels: vec![1, 2], background: 0 }];
            Recipe { postprocess, ..nnunet(vec![], Decision::Highest) }
        }
    }
}

const KINDS: usize = 11;
/// From this kind on labels depend on the whole image.
const GLOBAL: usize = 9;

fn plan_of(kind: usize, spacing: [f64; 3]) -> Plan {
    let model = Model::for_tests(recipe(kind, spacing), 3);
    let options = PlanOptions { postprocess: true, ..PlanOptions::default() };
    plan_with(&model, &options, mixing())
}

/// Labels and margins of a region in buffers of the whole grid, which were filled before.
fn segment(
    plan: &Plan,
    stored: &Stored,
    grid: &Geometry,
    region: Region,
) -> Result<(Vec<u8>, Vec<u8>, [usize; 2])> {
    let (mut labels, mut margins) = (vec![77; grid.voxels()], vec![77; grid.voxels()]);
    let dense = Layout::dense(grid.shape, DType::U8);
    let mut buffer = LabelBuffer::new(grid, DType::U8, dense, &mut labels)?;
    let mut maps = [MapBuffer::new(Map::Margin, grid, DType::U8, dense, &mut margins)?];
    let volume = Volume::new(grid.clone(), DType::I16, stored.layout, vec![&stored.bytes])?;
    let planned = plan.report_for(grid, &region)?;
    let report = plan.segment(&volume, &mut buffer, &mut maps, &mut Run::default().with_region(region))?;
    assert!(planned.tiles <= planned.tiles_in_all);
    Ok((labels, margins, [report.tiles, report.tiles_in_all]))
}

fn in_any(boxes: &[Box3], at: [usize; 3]) -> bool {
    boxes.iter().any(|part| (0..3).all(|axis| (part.start[axis]..part.end[axis]).contains(&at[axis])))
}

fn parts() -> impl Strategy<Value = ([f64; 3], [usize; 3])> {
    (proptest::array::uniform3(0.0..1.0f64), proptest::array::uniform3(1..5usize))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(160))]

    #[test]
    fn a_region_has_the_bytes_of_the_whole_run(
        kind in 0..KINDS, shape in proptest::array::uniform3(6..15usize),
        spacing in proptest::array::uniform3(0.6..1.8f64), own in proptest::array::uniform3(0.8..1.3f64),
        order in orders(), flip in any::<[bool; 3]>(), places in proptest::collection::vec(parts(), 1..4),
    ) {
        let plan = plan_of(kind, spacing);
        let mut grid = Geometry { spacing: own, ..Geometry::with_shape(shape) };
        for axis in 0..3 {
            grid.direction[axis] = [0.0; 3];
            grid.direction[axis][order[axis]] = if flip[axis] { -1.0 } else { 1.0 };
        }
        let stored = store(shape, [2, 0, 1], flip, 1, |at| value(shape, at));
        let boxes: Vec<Box3> = places.iter().map(|(place, size)| {
            let start = [0, 1, 2].map(|axis| (shape[axis] as f64 * place[axis]) as usize);
            Box3 { start, end: [0, 1, 2].map(|axis| (start[axis] + size[axis]).min(shape[axis])) }
        }).collect();
        let whole = segment(&plan, &stored, &grid, Region::whole()).unwrap();
        let region = Region { boxes: boxes.clone(), ..Region::default() };
        let found = segment(&plan, &stored, &grid, region.clone()).unwrap();
        let layout = Layout::dense(shape, DType::U8);
        each(shape, |at| {
            let at_byte = position(&layout, at);
            let expected = if in_any(&boxes, at) { [whole.0[at_byte], whole.1[at_byte]] } else { [77; 2] };
            assert_eq!([found.0[at_byte], found.1[at_byte]], expected, "{kind} {at:?} {boxes:?}");
        });
        prop_assert_eq!(whole.2[0], whole.2[1]);
        prop_assert_eq!(found.2[1], whole.2[0]);
        let refused = segment(&plan, &stored, &grid, Region { when_global: WhenGlobal::Refuse, ..region });
        prop_assert_eq!(refused.is_err(), kind >= GLOBAL, "{:?}", refused.err());
    }
}

/// A line of tiles of which only those are computed that touch a box; and a buffer of the box alone.
#[test]
fn only_tiles_that_touch_it_are_computed() {
    let shape = [40, 5, 4];
    let model = Model::for_tests(Recipe::for_tests([4, 5, 4]), 3);
    let plan = plan_with(&model, &PlanOptions::default(), mixing());
    let stored = store(shape, [0, 1, 2], [false; 3], 0, |at| value(shape, at));
    let grid = Geometry::with_shape(shape);
    let whole = segment(&plan, &stored, &grid, Region::whole()).unwrap();
    assert_eq!(whole.2, [19, 19]);
    // Tiles begin at every second voxel.
    let part = Box3 { start: [20, 1, 0], end: [22, 3, 2] };
    let found = segment(&plan, &stored, &grid, Region::of(part)).unwrap();
    assert_eq!(found.2, [2, 19]);
    let far = Box3 { start: [0, 0, 0], end: [1, 1, 1] };
    let region = Region { boxes: vec![part, far], ..Region::default() };
    let both = segment(&plan, &stored, &grid, region.clone()).unwrap();
    assert_eq!(both.2, [3, 19]);
    let planned = plan.report_for(&grid, &region).unwrap();
    assert_eq!([planned.tiles, planned.tiles_in_all], [3, 19]);
    assert!(planned.run_bytes < plan.report(&grid).unwrap().run_bytes);

    let mut labels = [77; 8 + 2];
    let layout = Layout { offset: 1, ..Layout::dense(part.shape(), DType::U8) };
    let mut buffer = LabelBuffer::of_part(&grid, part, DType::U8, layout, &mut labels).unwrap();
    let volume = Volume::new(grid.clone(), DType::I16, stored.layout, vec![&stored.bytes]).unwrap();
    plan.segment(&volume, &mut buffer, &mut [], &mut Run::default().with_region(Region::of(part))).unwrap();
    let mut expected = vec![77];
    each(part.shape(), |at| {
        let at = [0, 1, 2].map(|axis| at[axis] + part.start[axis]);
        expected.push(whole.0[position(&Layout::dense(shape, DType::U8), at)]);
    });
    expected.push(77);
    assert_eq!(labels, expected[..]);
}

#[test]
fn boxes_that_leave_the_grid_are_refused_before_anything_is_computed() {
    let shape = [6, 6, 6];
    let stored = store(shape, [0, 1, 2], [false; 3], 0, |at| value(shape, at));
    let region = Region::of(Box3 { start: [0, 0, 5], end: [6, 6, 7] });
    let error = segment(&plan(true), &stored, &Geometry::with_shape(shape), region).unwrap_err();
    assert!(error.to_string().contains("options.regions"), "{error}");
}

#[test]
fn members_of_an_ensemble_compute_the_region_only() {
    let shape = [20, 9, 8];
    let stored = store(shape, [0, 1, 2], [false; 3], 0, |at| value(shape, at));
    let grid = Geometry::with_shape(shape);
    let mut plan = plan_of(1, [1.3, 0.8, 1.1]);
    plan.members.push(plan_of(0, [1.0; 3]));
    plan.postprocess = false;
    let whole = segment(&plan, &stored, &grid, Region::whole()).unwrap();
    let part = Box3 { start: [11, 2, 3], end: [14, 5, 5] };
    let found = segment(&plan, &stored, &grid, Region::of(part)).unwrap();
    assert!(found.2[0] < whole.2[0] && found.2[1] == whole.2[0]);
    each(shape, |at| {
        let at_byte = position(&Layout::dense(shape, DType::U8), at);
        let expected = if in_any(&[part], at) { whole.0[at_byte] } else { 77 };
        assert_eq!(found.0[at_byte], expected);
    });
}
