//! The whole way with tiles, sums and labels in a device's memory, which gives the bytes of the host's trace.

use std::sync::{Arc, Mutex};

use super::device::beside::Beside;
use crate::engine::Precision;
use crate::engine::{DeviceOptions, Engine};
use crate::error::{Error, Result};
use crate::inference::{MemoryStep, RunReport};
use crate::inference::{Plan, PlanOptions};
use crate::labels::LabelBuffer;
use crate::model::Model;
use crate::progress::{Cancel, Run};
use crate::recipe::{
    Decision, Normalization, Recipe, Region, Resample, Resampler, RestoreMode, ScorePrecision, Spline, Step,
};
use crate::restore::{Map, MapBuffer};
use crate::volume::{DType, Geometry, Layout, Volume};

pub(super) const SHAPE: [usize; 3] = [13, 11, 17];
pub(super) const PATCH: [usize; 3] = [4, 6, 5];
pub(super) const CLASSES: usize = 3;
const PLENTY: u64 = 1 << 30;

/// Three classes that take turns as intensities rise, with near ties between them.
fn rule(input: &[f32], output: &mut [f32]) {
    for (class, scores) in output.chunks_exact_mut(input.len()).enumerate() {
        let factor = class as f32;
        let score = |value: f32| value * 0.05 * factor - factor * factor * 1.1;
        scores.iter_mut().zip(input).for_each(|(out, &value)| *out = score(value));
    }
}

pub(super) fn recipe(restore: RestoreMode, sums: ScorePrecision, regions: bool) -> Recipe {
    let spline = Resampler::Spline(Spline::new(1, 0, Some(false)).unwrap());
    let resample = Resample { spacing: [Some(1.25); 3], image: spline, scores: spline, labels: spline };
    let plain = Recipe::for_tests(PATCH);
    let region = |(class, label)| Region { class, label };
    let mut steps = vec![
        Step::Orient { canonical: false, flip: [false; 3], order: [2, 1, 0] },
        Step::CropToNonzero,
        Step::Normalize(vec![Normalization::None]),
    ];
    // Labels that are decided on the network's grid come back from steps of MONAI's, which has another resampling.
    if restore != RestoreMode::Labels {
        steps.push(Step::Resample(resample));
    }
    Recipe {
        reader: plain.reader,
        steps,
        decision: match regions {
            true => Decision::Regions {
                regions: [(0, 4), (2, 7)].map(region).to_vec(),
                threshold: 0.5,
                at_half: false,
            },
            false => Decision::Highest,
        },
        restore,
        tiling: crate::recipe::Tiling { score_precision: sums, mirror: vec![0, 2], ..plain.tiling },
        ..plain
    }
}

fn plan(recipe: &Recipe, on_device: bool, batch: usize, free: u64) -> Plan {
    let model = Model::for_tests(recipe.clone(), CLASSES);
    let size = PATCH.iter().product::<usize>();
    let engine = |_| -> Arc<dyn Engine> {
        let sizes = [size, CLASSES * size];
        Arc::new(Beside { rule, on_device, batch: Mutex::new((batch, false)), free, sizes })
    };
    let options = PlanOptions {
        device_options: DeviceOptions { tile_batch: batch, ..DeviceOptions::default() },
        ..PlanOptions::default()
    };
    Plan::with_engines(&model, &options, (0..2).map(engine).collect(), Precision::F16, 2).unwrap()
}

pub(super) struct Found {
    pub labels: Vec<u8>,
    pub margins: Vec<u8>,
    pub report: RunReport,
}

pub(super) fn segment(plan: &Plan, maps: bool, run: &mut Run) -> Result<Found> {
    let grid = Geometry::with_shape(SHAPE);
    let value = |at: usize| {
        let [x, y, z] = [at % SHAPE[0], at / SHAPE[0] % SHAPE[1], at / (SHAPE[0] * SHAPE[1])];
        let margin = plan.recipe.restore != RestoreMode::Scores && (x == 0 || z == 16);
        if margin { 0 } else { (1 + x * 7 + y * 5 + z * 3 + at * 37 % 23) as u8 }
    };
    let image: Vec<u8> = (0..grid.voxels()).map(value).collect();
    let layout = Layout::dense(SHAPE, DType::U8);
    let volume = Volume::new(grid.clone(), DType::U8, layout, vec![&image]).unwrap();
    let (mut labels, mut margins) = (vec![99; grid.voxels()], vec![99; grid.voxels()]);
    let mut buffer = LabelBuffer::new(&grid, DType::U8, layout, &mut labels).unwrap();
    let mut wanted = Vec::new();
    if maps {
        wanted.push(MapBuffer::new(Map::Margin, &grid, DType::U8, layout, &mut margins).unwrap());
    }
    let report = plan.segment(&volume, &mut buffer, &mut wanted, run)?;
    Ok(Found { labels, margins, report })
}

#[test]
fn a_device_gives_the_labels_of_the_host() {
    for (back, regions) in [
        (RestoreMode::Scores, false),
        (RestoreMode::Scores, true),
        (RestoreMode::Probabilities, false),
        (RestoreMode::Probabilities, true),
        (RestoreMode::Labels, false),
    ] {
        for sums in [ScorePrecision::Half, ScorePrecision::Single] {
            let recipe = recipe(back, sums, regions);
            let host = segment(&plan(&recipe, false, 1, 0), true, &mut Run::default()).unwrap();
            assert!(host.labels.iter().any(|&label| label != host.labels[0]), "{back:?}");
            assert_eq!(host.report.tiles_on_device, 0);
            for (batch, maps) in [(1, false), (3, false), (2, true)] {
                let plan = plan(&recipe, true, batch, PLENTY);
                let found = segment(&plan, maps, &mut Run::default()).unwrap();
                let name = format!("{back:?}, {sums:?}, regions {regions}, {batch} at once, maps {maps}");
                assert!(found.labels == host.labels, "{name}: other labels");
                assert!(!maps || found.margins == host.margins, "{name}: other margins");
                assert_eq!(found.report.near_ties, host.report.near_ties, "{name}");
                assert_eq!(found.report.tiles, host.report.tiles, "{name}");
                assert_eq!(found.report.tiles_on_device, found.report.tiles, "{name}");
                assert_eq!((found.report.tile_batch, found.report.memory_step), (batch, MemoryStep::None));
            }
        }
    }
}

#[test]
fn several_tiles_at_once_give_the_same_on_the_host() {
    let recipe = recipe(RestoreMode::Scores, ScorePrecision::Half, false);
    let one = segment(&plan(&recipe, false, 1, 0), false, &mut Run::default()).unwrap();
    for batch in 2..5 {
        let found = segment(&plan(&recipe, false, batch, 0), false, &mut Run::default()).unwrap();
        assert!(found.labels == one.labels, "{batch} at once give other labels");
        assert_eq!((found.report.tiles, found.report.tile_batch), (one.report.tiles, batch));
    }
}

/// Byte by byte less memory: first one tile at a time, then the host blends; labels stay the same.
#[test]
fn with_less_memory_the_run_goes_down_the_ladder_and_says_so() {
    let recipe = recipe(RestoreMode::Scores, ScorePrecision::Half, false);
    let whole = segment(&plan(&recipe, true, 3, PLENTY), false, &mut Run::default()).unwrap();
    let peak = |batch: usize| {
        let plan = plan(&recipe, true, batch, PLENTY);
        plan.report(&Geometry::with_shape(SHAPE)).unwrap().device_peak_bytes - plan.device_bytes()
    };
    let (three, one) = (peak(3), peak(1));
    assert!(three > one);
    let mut steps = Vec::new();
    for free in [three, (one + three) / 2, one / 2, 0] {
        let plan = plan(&recipe, true, 3, free);
        for again in [false, true] {
            let found = segment(&plan, false, &mut Run::default()).unwrap();
            assert!(found.labels == whole.labels, "{free} bytes give other labels");
            let RunReport { tiles, tiles_on_device, tile_batch, memory_step, .. } = found.report;
            let on_device = if memory_step == MemoryStep::HostBlends { 0 } else { tiles };
            assert_eq!(tiles_on_device, on_device);
            assert_eq!(tile_batch, if memory_step == MemoryStep::None { 3 } else { 1 });
            if again {
                steps.push(memory_step);
            }
        }
    }
    let expected = [MemoryStep::None, MemoryStep::OneTile, MemoryStep::HostBlends, MemoryStep::HostBlends];
    assert_eq!(steps, expected);
}

/// A plan whose budget has no room beside the networks promises no more than these need.
#[test]
fn a_budget_counts_what_is_around_the_networks() {
    let recipe = recipe(RestoreMode::Scores, ScorePrecision::Half, false);
    let free = plan(&recipe, true, 1, PLENTY);
    let grid = Geometry::with_shape(SHAPE);
    let all = free.report(&grid).unwrap().device_peak_bytes;
    assert!(all > free.device_bytes());
    let model = Model::for_tests(recipe.clone(), CLASSES);
    for (budget, expected) in [(all, all), (all - 1, 200)] {
        let size = PATCH.iter().product::<usize>();
        let sizes = [size, CLASSES * size];
        let engine = |_| -> Arc<dyn Engine> {
            Arc::new(Beside { rule, on_device: true, batch: Mutex::new((1, false)), free: PLENTY, sizes })
        };
        let device_options = DeviceOptions { memory_budget: Some(budget), ..DeviceOptions::default() };
        let options = PlanOptions { device_options, ..PlanOptions::default() };
        let engines = (0..2).map(engine).collect();
        let plan = Plan::with_engines(&model, &options, engines, Precision::F16, 2).unwrap();
        assert_eq!(plan.report(&grid).unwrap().device_peak_bytes, expected);
    }
}

#[test]
fn a_cancelled_run_leaves_the_plan_usable() {
    let recipe = recipe(RestoreMode::Scores, ScorePrecision::Half, false);
    let plan = plan(&recipe, true, 2, PLENTY);
    let whole = segment(&plan, false, &mut Run::default()).unwrap();
    for stop in [1, 5, 12] {
        let cancel = Cancel::new();
        let mut reports = 0;
        let mut run = Run::new(cancel.clone()).with_progress(|_| {
            reports += 1;
            reports < stop
        });
        assert!(matches!(segment(&plan, false, &mut run), Err(Error::Cancelled)));
    }
    assert!(segment(&plan, false, &mut Run::default()).unwrap().labels == whole.labels);
}
