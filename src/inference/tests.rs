//! The whole way with an engine that thresholds intensities, so that the right labels are known.

mod maps;
mod regions;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use proptest::prelude::*;

use crate::engine::Precision;
use crate::engine::fake::FakeEngine;
use crate::error::{Error, Result};
use crate::inference::{Plan, PlanOptions};
use crate::labels::LabelBuffer;
use crate::model::Model;
use crate::nifti::Reader;
use crate::progress::{Cancel, Run};
use crate::recipe::{
    BoxSource, CropForeground, ImportanceMap, KeepLargest, Normalization, Padding, Recipe, RestoreMode,
    ScorePrecision, Spacing, Step, TilePlacement, Tiling,
};
use crate::restore::{Map, MapBuffer};
use crate::volume::{DType, Geometry, Layout, Volume};

/// Foreground where the intensity is over this.
const THRESHOLD: f32 = 50.0;

fn model(canonical: bool) -> Model {
    let recipe = Recipe {
        reader: Reader::Itk,
        steps: vec![
            Step::Orient { canonical, flip: [false; 3], order: [1, 2, 0] },
            Step::CropToNonzero,
            Step::Normalize(vec![Normalization::None]),
        ],
        ..Recipe::for_tests([3, 4, 5])
    };
    Model::for_tests(recipe, 2)
}

fn threshold(input: &[f32], output: &mut [f32]) -> Result<()> {
    let (background, foreground) = output.split_at_mut(input.len());
    background.fill(0.0);
    foreground.iter_mut().zip(input).for_each(|(score, &value)| *score = value - THRESHOLD);
    Ok(())
}

type Rule = Box<dyn FnMut(&[f32], &mut [f32]) -> Result<()> + Send>;

fn plan_with(model: &Model, options: &PlanOptions, rule: Rule) -> Plan {
    Plan::with_engines(model, options, vec![Arc::new(FakeEngine::new(rule))], Precision::F32, 2).unwrap()
}

fn plan(canonical: bool) -> Plan {
    plan_with(&model(canonical), &PlanOptions::default(), Box::new(threshold))
}

/// A volume whose voxel (i, j, k) has the value of `of`, stored as i16 with the axes in any order in memory.
struct Stored {
    bytes: Vec<u8>,
    layout: Layout,
}

fn layout_of(
    shape: [usize; 3],
    order: [usize; 3],
    flip: [bool; 3],
    gap: usize,
    size: usize,
) -> (Layout, usize) {
    let (mut layout, mut step) = (Layout { offset: 3, strides: [0; 3] }, size);
    for axis in order {
        layout.strides[axis] = if flip[axis] { -(step as isize) } else { step as isize };
        layout.offset += if flip[axis] { step * (shape[axis] - 1) } else { 0 };
        step = step * shape[axis] + gap;
    }
    (layout, step + 8)
}

fn store(
    shape: [usize; 3],
    order: [usize; 3],
    flip: [bool; 3],
    gap: usize,
    of: impl Fn([usize; 3]) -> i16,
) -> Stored {
    let (layout, size) = layout_of(shape, order, flip, gap, 2);
    let mut bytes = vec![0x55; size];
    each(shape, |at| {
        let position = position(&layout, at);
        bytes[position..position + 2].copy_from_slice(&of(at).to_ne_bytes());
    });
    Stored { bytes, layout }
}

fn each(shape: [usize; 3], mut visit: impl FnMut([usize; 3])) {
    (0..shape[2]).for_each(|k| (0..shape[1]).for_each(|j| (0..shape[0]).for_each(|i| visit([i, j, k]))));
}

fn position(layout: &Layout, at: [usize; 3]) -> usize {
    (0..3).fold(layout.offset as isize, |sum, axis| sum + at[axis] as isize * layout.strides[axis]) as usize
}

/// Values over and under the threshold without order, and a margin of zeros.
fn value(shape: [usize; 3], at: [usize; 3]) -> i16 {
    if at[0] == 0 || at[2] + 1 == shape[2] {
        return 0;
    }
    ((at[0] * 31 + at[1] * 17 + at[2] * 57) % 100 + 1) as i16
}

fn orders() -> impl Strategy<Value = [usize; 3]> {
    Just([0_usize, 1, 2]).prop_shuffle()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn memory_layout_does_not_matter(
        shape in proptest::array::uniform3(2_usize..8),
        order in orders(), flip in any::<[bool; 3]>(), gap in 0_usize..5,
        label_order in orders(), label_flip in any::<[bool; 3]>(), wide in any::<bool>(),
    ) {
        let stored = store(shape, order, flip, gap, |at| value(shape, at));
        let grid = Geometry::with_shape(shape);
        let volume = Volume::new(grid.clone(), DType::I16, stored.layout, vec![&stored.bytes]).unwrap();
        let dtype = if wide { DType::U16 } else { DType::U8 };
        let (layout, size) = layout_of(shape, label_order, label_flip, gap, dtype.size());
        let mut bytes = vec![0xAA; size];
        let mut labels = LabelBuffer::new(&grid, dtype, layout, &mut bytes).unwrap();
        let report = plan(false).segment(&volume, &mut labels, &mut [], &mut Run::default()).unwrap();
        prop_assert_eq!(report.voxels, grid.voxels());
        let mut touched = vec![false; size];
        each(shape, |at| {
            let position = position(&layout, at);
            touched[position..position + dtype.size()].fill(true);
            let expected = u8::from(f32::from(value(shape, at)) > THRESHOLD);
            let found = if wide { u16::from_ne_bytes([bytes[position], bytes[position + 1]]) } else { bytes[position].into() };
            assert_eq!(found, u16::from(expected), "{at:?}");
        });
        prop_assert!(bytes.iter().zip(touched).all(|(&byte, touched)| touched || byte == 0xAA), "gaps are written");
    }
}

/// Every way to lay the axes along the patient's, right-handed and left-handed.
fn orientations() -> Vec<([usize; 3], [bool; 3])> {
    let orders = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]];
    let flips = (0..8).map(|bits| [bits & 1 > 0, bits & 2 > 0, bits & 4 > 0]);
    flips.flat_map(|flip| orders.map(|order| (order, flip))).collect()
}

/// The patient: axes x, y, z in LPS.
const PATIENT: [usize; 3] = [7, 6, 5];

/// Segments the patient stored in every orientation, obliquely in space; calls `check` with the labels in the patient's
/// own order and the tiles that the network saw.
fn in_all_orientations(model: &Model, mut check: impl FnMut(&[u8], &[Vec<f32>])) {
    let tilt = {
        let (sin, cos) = 0.2_f64.sin_cos();
        [[cos, -sin, 0.0], [sin, cos, 0.0], [0.0, 0.0, 1.0]]
    };
    for (order, flip) in orientations() {
        // An image axis a runs along patient axis order[a], backwards where flip.
        let shape = order.map(|axis| PATIENT[axis]);
        let in_patient = |at: [usize; 3]| {
            let mut place = [0; 3];
            (0..3).for_each(|a| place[order[a]] = if flip[a] { shape[a] - 1 - at[a] } else { at[a] });
            place
        };
        let mut grid = Geometry::with_shape(shape);
        grid.direction = std::array::from_fn(|row| {
            std::array::from_fn(|a| if flip[a] { -tilt[row][order[a]] } else { tilt[row][order[a]] })
        });
        // The corner that is the patient's first voxel lies at the same place.
        for (a, _) in flip.iter().enumerate().filter(|(_, flip)| **flip) {
            (0..3).for_each(|row| grid.origin[row] -= grid.direction[row][a] * (shape[a] as f64 - 1.0));
        }
        let stored = store(shape, [0, 1, 2], [false; 3], 0, |at| value(PATIENT, in_patient(at)));
        let volume = Volume::new(grid.clone(), DType::I16, stored.layout, vec![&stored.bytes]).unwrap();
        let mut bytes = vec![9; grid.voxels()];
        let layout = Layout::dense(shape, DType::U8);
        let mut labels = LabelBuffer::new(&grid, DType::U8, layout, &mut bytes).unwrap();
        let inputs = Arc::new(std::sync::Mutex::new(Vec::new()));
        let record = inputs.clone();
        let rule = move |input: &[f32], output: &mut [f32]| {
            record.lock().unwrap().push(input.to_vec());
            threshold(input, output)
        };
        let plan = plan_with(model, &PlanOptions::default(), Box::new(rule));
        plan.segment(&volume, &mut labels, &mut [], &mut Run::default()).unwrap();
        let mut turned = vec![9; bytes.len()];
        each(shape, |at| {
            let [x, y, z] = in_patient(at);
            turned[x + PATIENT[0] * (y + PATIENT[1] * z)] = bytes[position(&layout, at)];
        });
        let inputs = inputs.lock().unwrap();
        check(&turned, &inputs);
    }
}

#[test]
fn same_anatomy_in_all_48_orientations() {
    let mut expected = vec![0; PATIENT.iter().product()];
    each(PATIENT, |at| {
        let index = at[0] + PATIENT[0] * (at[1] + PATIENT[1] * at[2]);
        expected[index] = u8::from(f32::from(value(PATIENT, at)) > THRESHOLD);
    });
    let mut first = None;
    in_all_orientations(&model(true), |labels, inputs| {
        assert_eq!(labels, expected);
        // The network sees the same image, whichever way it is stored.
        assert_eq!(inputs, first.get_or_insert_with(|| inputs.to_vec()));
    });
}

#[test]
fn same_anatomy_in_all_48_orientations_by_monais_rules() {
    for back in [
        RestoreMode::Labels,
        RestoreMode::InterpolatedLabels,
        RestoreMode::Probabilities,
        RestoreMode::Scores,
    ] {
        let spacing = Spacing { orthogonal: true, ..Spacing::new([0.7, 1.3, 0.8]) };
        let crop = CropForeground { margin: [1; 3], allow_smaller: false, k_divisible: [1; 3] };
        let recipe = Recipe {
            reader: Reader::Itk,
            steps: vec![
                Step::Orient { canonical: true, flip: [false, true, false], order: [0, 2, 1] },
                Step::Space(spacing),
                Step::CropForeground { crop, padding: Padding::Constant(0.0), source: BoxSource::Image },
            ],
            restore: back,
            ..Recipe::for_tests([3, 4, 5])
        };
        let tiling = Tiling {
            placement: TilePlacement::Overlapping([0.5; 3]),
            importance: ImportanceMap::MonaiGaussian([0.125; 3]),
            score_precision: ScorePrecision::Single,
            ..recipe.tiling
        };
        let model = Model::for_tests(Recipe { tiling, ..recipe }, 2);
        let mut first: Option<Vec<u8>> = None;
        in_all_orientations(&model, |labels, _| {
            assert_eq!(labels, first.get_or_insert_with(|| labels.to_vec()), "{back:?}");
        });
        let foreground = first.unwrap().iter().filter(|&&label| label == 1).count();
        assert!((40..130).contains(&foreground), "{back:?}: {foreground}");
    }
}

#[test]
fn slope_and_intercept_apply() {
    let shape = [4, 4, 4];
    let stored = store(shape, [0, 1, 2], [false; 3], 0, |at| (value(shape, at) - 10) * 2);
    let volume = Volume::new(Geometry::with_shape(shape), DType::I16, stored.layout, vec![&stored.bytes]);
    let labels = run(&plan(false), &volume.unwrap().with_scaling(0.5, 10.0).unwrap()).unwrap();
    let layout = Layout::dense(shape, DType::U8);
    each(shape, |at| assert_eq!(labels[position(&layout, at)] == 1, f32::from(value(shape, at)) > THRESHOLD));
}

#[test]
fn both_byte_orders_and_every_type_give_the_same_labels() {
    let shape = [5, 4, 3];
    let grid = Geometry::with_shape(shape);
    let labels_of = |dtype: DType, bytes: &[u8], swapped: bool| {
        let volume = Volume::new(grid.clone(), dtype, Layout::dense(shape, dtype), vec![bytes]).unwrap();
        run(&plan(false), &volume.with_swapped_bytes(swapped)).unwrap()
    };
    let mut values = Vec::new();
    each(shape, |at| values.push(value(shape, at) as u8));
    let expected = labels_of(DType::U8, &values, false);
    assert!(expected.contains(&1) && expected.contains(&0));
    macro_rules! types {
        ($($dtype:ident $convert:expr;)*) => {$(
            let native: Vec<u8> = values.iter().flat_map(|&value| ($convert)(value).to_ne_bytes()).collect();
            assert_eq!(labels_of(DType::$dtype, &native, false), expected, stringify!($dtype));
            let size = DType::$dtype.size();
            let swapped: Vec<u8> = native.chunks(size).flat_map(|voxel| voxel.iter().rev().copied()).collect();
            assert_eq!(labels_of(DType::$dtype, &swapped, true), expected, stringify!($dtype));
        )*};
    }
    types! {
        I8 |value| value as i8;
        U8 |value| value;
        I16 i16::from;
        U16 u16::from;
        I32 i32::from;
        U32 u32::from;
        F16 |value: u8| half::f16::from_f32(value.into());
        F32 f32::from;
        F64 f64::from;
    }
}

const CANARY: u8 = 0xEE;

fn run_with(plan: &Plan, volume: &Volume, run: &mut Run) -> (Result<crate::inference::RunReport>, Vec<u8>) {
    let grid = volume.geometry().clone();
    let mut bytes = vec![CANARY; grid.voxels()];
    let layout = Layout::dense(grid.shape, DType::U8);
    let mut labels = LabelBuffer::new(&grid, DType::U8, layout, &mut bytes).unwrap();
    (plan.segment(volume, &mut labels, &mut [], run), bytes)
}

fn run(plan: &Plan, volume: &Volume) -> Result<Vec<u8>> {
    let (result, bytes) = run_with(plan, volume, &mut Run::default());
    result.map(|_| bytes)
}

/// A volume of ones, larger than a tile.
fn ones(shape: [usize; 3]) -> Stored {
    store(shape, [0, 1, 2], [false; 3], 0, |_| 1)
}

fn view(stored: &Stored, shape: [usize; 3]) -> Volume<'_> {
    Volume::new(Geometry::with_shape(shape), DType::I16, stored.layout, vec![&stored.bytes]).unwrap()
}

#[test]
fn progress_never_falls_and_ends_at_one() {
    let shape = [12, 9, 7];
    let stored = ones(shape);
    let mut fractions = Vec::new();
    let mut watched = Run::default().with_progress(|progress| {
        fractions.push(progress.fraction);
        true
    });
    let (result, _) = run_with(&plan(false), &view(&stored, shape), &mut watched);
    drop(watched);
    assert!(result.unwrap().tiles > 8);
    assert!(fractions.windows(2).all(|pair| pair[0] <= pair[1]), "{fractions:?}");
    assert_eq!(fractions.last(), Some(&1.0));
}

#[test]
fn cancel_stops_within_a_tile_and_writes_nothing() {
    let shape = [12, 9, 7];
    let stored = ones(shape);
    let tiles = Arc::new(AtomicUsize::new(0));
    let (cancel, count) = (Cancel::new(), tiles.clone());
    let flag = cancel.clone();
    let rule = move |input: &[f32], output: &mut [f32]| {
        if count.fetch_add(1, Ordering::SeqCst) == 3 {
            flag.request();
        }
        threshold(input, output)
    };
    let plan = plan_with(&model(false), &PlanOptions::default(), Box::new(rule));
    let (result, bytes) = run_with(&plan, &view(&stored, shape), &mut Run::new(cancel.clone()));
    assert!(matches!(result, Err(Error::Cancelled)));
    assert_eq!(tiles.load(Ordering::SeqCst), 4);
    assert!(bytes.iter().all(|&byte| byte == CANARY));
    cancel.reset();
    assert!(run_with(&plan, &view(&stored, shape), &mut Run::new(cancel)).0.is_ok());
}

#[test]
fn a_receiver_can_cancel_at_any_point() {
    let shape = [6, 5, 4];
    let stored = ones(shape);
    let plan = plan(false);
    let mut calls = 0;
    for stop in 1.. {
        calls = 0;
        let mut stopping = Run::default().with_progress(|_| {
            calls += 1;
            calls < stop
        });
        let (result, bytes) = run_with(&plan, &view(&stored, shape), &mut stopping);
        drop(stopping);
        if result.is_ok() {
            break;
        }
        assert!(matches!(result, Err(Error::Cancelled)));
        assert_eq!(calls, stop);
        assert!(bytes.iter().all(|&byte| byte == CANARY));
    }
    assert!(calls > 5);
}

#[test]
fn an_engine_that_fails_leaves_labels_and_plan_as_they_were() {
    let shape = [6, 5, 4];
    let stored = ones(shape);
    let mut failures = 1;
    let rule = move |input: &[f32], output: &mut [f32]| {
        if failures > 0 {
            failures -= 1;
            return Err(Error::Runtime { action: "run".into(), reason: "no".into() });
        }
        threshold(input, output)
    };
    let plan = plan_with(&model(false), &PlanOptions::default(), Box::new(rule));
    let (result, bytes) = run_with(&plan, &view(&stored, shape), &mut Run::default());
    assert_eq!(result.unwrap_err().status(), 404);
    assert!(bytes.iter().all(|&byte| byte == CANARY));
    assert!(run(&plan, &view(&stored, shape)).unwrap().iter().all(|&label| label == 0));
}

#[test]
fn scores_that_overflow_half_precision_are_refused() {
    let shape = [6, 5, 4];
    let stored = ones(shape);
    let rule = |_: &[f32], output: &mut [f32]| {
        output.fill(1e6);
        Ok(())
    };
    let plan = plan_with(&model(false), &PlanOptions::default(), Box::new(rule));
    assert_eq!(run(&plan, &view(&stored, shape)).unwrap_err().status(), 405);
}

#[test]
fn a_small_budget_names_the_need_and_that_need_is_enough() {
    let shape = [12, 9, 7];
    let stored = ones(shape);
    let with = |budget| {
        let options = PlanOptions { memory_budget: Some(budget), ..PlanOptions::default() };
        run(&plan_with(&model(false), &options, Box::new(threshold)), &view(&stored, shape))
    };
    let Err(Error::MemoryBudget { needed, .. }) = with(1000) else {
        panic!("a budget of 1000 bytes is refused")
    };
    assert!(with(needed - 1).is_err());
    assert!(with(needed).is_ok());
}

#[test]
fn volumes_and_buffers_that_do_not_suit_are_refused() {
    let shape = [4, 4, 4];
    let stored = ones(shape);
    let two = Volume::new(Geometry::with_shape(shape), DType::I16, stored.layout, vec![&stored.bytes; 2]);
    assert_eq!(run(&plan(false), &two.unwrap()).unwrap_err().status(), 106);
    let grid = Geometry::with_shape(shape);
    let mut bytes = vec![0; 64];
    let dense = Layout::dense(shape, DType::U8);
    assert_eq!(LabelBuffer::new(&grid, DType::F32, dense, &mut bytes).unwrap_err().status(), 101);
    assert_eq!(LabelBuffer::new(&grid, DType::U8, dense, &mut bytes[..63]).unwrap_err().status(), 105);
    let shared = Layout { offset: 0, strides: [1, 1, 16] };
    assert_eq!(LabelBuffer::new(&grid, DType::U8, shared, &mut bytes).unwrap_err().status(), 101);
    // What is only read needs bytes of its own for each voxel too.
    let eight = [1; 8];
    for (shape, strides) in [
        ([1 << 45, 1, 1], [0, 0, 1]),
        ([1, 1 << 34, 8], [0, 0, 1]),
        ([2, 2, 2], [1, 1, 4]),
        ([2, 2, 2], [0; 3]),
    ] {
        let layout = Layout { offset: 0, strides };
        let result = Volume::new(Geometry::with_shape(shape), DType::U8, layout, vec![&eight]);
        assert_eq!(result.unwrap_err().status(), 101);
    }
    let turned = Layout { offset: 3, strides: [-1, 99, 4] };
    assert!(Volume::new(Geometry::with_shape([4, 1, 2]), DType::U8, turned, vec![&eight]).is_ok());
    let mut labels =
        LabelBuffer::new(&Geometry::with_shape([4, 4, 3]), DType::U8, dense, &mut bytes).unwrap();
    let result = plan(false).segment(&view(&stored, shape), &mut labels, &mut [], &mut Run::default());
    assert_eq!(result.unwrap_err().status(), 101);
    let sheared = Geometry { direction: [[1.0, 0.1, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]], ..grid.clone() };
    let result = Volume::new(sheared, DType::I16, stored.layout, vec![&stored.bytes]);
    assert_eq!(result.unwrap_err().status(), 104);
    for spacing in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        let grid = Geometry { spacing: [1.0, spacing, 1.0], ..grid.clone() };
        assert_eq!(grid.check().unwrap_err().status(), 104);
    }
}

#[test]
fn only_the_largest_component_stays_where_that_is_asked_for() {
    let shape = [12, 9, 7];
    // A block, a smaller one behind it, and single voxels at the corners of the volume and of the block.
    let large = |[i, j, k]: [usize; 3]| (1..5).contains(&i) && (2..6).contains(&j) && (1..5).contains(&k);
    let beside = |at: [usize; 3]| at == [5, 6, 5];
    let small = |[i, j, k]: [usize; 3]| (8..10).contains(&i) && j < 3 && k > 3;
    let stored = store(shape, [0, 1, 2], [false; 3], 0, |at| {
        if large(at) || beside(at) || small(at) || at == [11, 8, 0] { 90 } else { 10 }
    });
    let volume = view(&stored, shape);
    let layout = Layout::dense(shape, DType::U8);
    let with = |labels: Vec<u16>, postprocess| {
        let mut recipe = model(false).recipe().clone();
        recipe.postprocess = vec![KeepLargest { labels, background: 0 }];
        let options = PlanOptions { postprocess, ..PlanOptions::default() };
        run(&plan_with(&Model::for_tests(recipe, 2), &options, Box::new(threshold)), &volume).unwrap()
    };
    let all = with(vec![1], false);
    assert_eq!(all, run(&plan(false), &volume).unwrap());
    assert_eq!(all, with(vec![7], true));
    let kept = with(vec![1], true);
    each(shape, |at| {
        let position = position(&layout, at);
        assert_eq!(all[position] == 1, large(at) || beside(at) || small(at) || at == [11, 8, 0], "{at:?}");
        assert_eq!(kept[position] == 1, large(at) || beside(at), "{at:?}");
    });
    let options = PlanOptions { postprocess: true, ..PlanOptions::default() };
    let plain = run(&plan_with(&model(false), &options, Box::new(threshold)), &volume).unwrap();
    assert_eq!(plain, all, "a model without rules");
}
