//! Whole runs on a GPU by our own engine, with everything around the networks in its memory: the bytes of the host's
//! way, and what crosses between them. Where there is no Vulkan device each test says so and ends.

use std::sync::Arc;
use std::time::Duration;

use super::device_tests::{CLASSES, PATCH, SHAPE, recipe, segment};
use super::{MemoryStep, Plan, PlanOptions};
use crate::engine::{Answer, Device, DeviceOptions, OpenedGpu, Precision, crossed, injected, test_networks};
use crate::error::Error;
use crate::model::Model;
use crate::progress::{Cancel, Run};
use crate::recipe::{Recipe, RestoreMode, ScorePrecision, Tiling};
use crate::volume::Geometry;

/// A plan for two networks; `None` where there is no device.
fn plan(recipe: &Recipe, precision: Precision, budget: Option<u64>) -> Option<Plan> {
    OpenedGpu::for_tests()?;
    let mut model = Model::for_tests(recipe.clone(), CLASSES);
    model.networks = [1, 2].map(|seed| Arc::new(test_networks::small(CLASSES, seed))).to_vec();
    let device_options = DeviceOptions { memory_budget: budget, ..DeviceOptions::default() };
    let options = PlanOptions {
        device: Device::Gpu(0),
        precision,
        device_options,
        threads: 2,
        ..PlanOptions::default()
    };
    Some(Plan::new(&model, &options).unwrap())
}

/// The same plan, with the host around its networks.
fn with_the_host(plan: &Plan) -> Plan {
    let mut plan = plan.clone();
    (plan.backend, plan.on_device) = (None, false);
    plan
}

fn few_tiles() -> Recipe {
    let recipe = recipe(RestoreMode::Scores, ScorePrecision::Half, false);
    Recipe { tiling: Tiling { patch: [9, 9, 14], mirror: Vec::new(), ..recipe.tiling }, ..recipe }
}

#[test]
fn a_gpu_gives_the_labels_of_the_host() {
    for (back, regions) in [
        (RestoreMode::Scores, false),
        (RestoreMode::Scores, true),
        (RestoreMode::Probabilities, false),
        (RestoreMode::Probabilities, true),
        (RestoreMode::Labels, false),
    ] {
        for (sums, precision) in
            [(ScorePrecision::Half, Precision::F16), (ScorePrecision::Single, Precision::F32)]
        {
            let recipe = recipe(back, sums, regions);
            let Some(plan) = plan(&recipe, precision, None) else { return };
            let host = segment(&with_the_host(&plan), true, &mut Run::default()).unwrap();
            assert!(host.labels.iter().any(|&label| label != host.labels[0]), "{back:?}");
            assert_eq!(host.report.tiles_on_device, 0);
            for maps in [false, true] {
                let name = format!("{back:?}, {sums:?}, regions {regions}, maps {maps}");
                let found = segment(&plan, maps, &mut Run::default()).unwrap();
                assert!(found.labels == host.labels, "{name}: other labels");
                assert!(!maps || found.margins == host.margins, "{name}: other margins");
                assert_eq!(found.report.near_ties, host.report.near_ties, "{name}");
                assert_eq!(found.report.tiles_on_device, found.report.tiles, "{name}");
                assert_eq!(found.report.memory_step, MemoryStep::None, "{name}");
            }
        }
    }
}

/// The image's planes go there, labels come back, with a few numbers: no class scores.
#[test]
fn what_crosses_to_a_gpu_and_back() {
    let regions = 2;
    let recipe = recipe(RestoreMode::Scores, ScorePrecision::Half, true);
    let Some(plan) = plan(&recipe, Precision::F16, None) else { return };
    let planned = plan.report(&Geometry::with_shape(SHAPE)).unwrap();
    // The first run also brings what stays.
    segment(&plan, false, &mut Run::default()).unwrap();
    let (found, [there, back]) = crossed(|| segment(&plan, false, &mut Run::default()).unwrap());
    assert_eq!(found.report.tiles_on_device, found.report.tiles);
    let product = |shape: [usize; 3]| shape.iter().product::<usize>();
    let shape = plan.recipe.network_shape(&Geometry::with_shape(SHAPE)).unwrap();
    let rows = plan.tiles(shape).unwrap().rows().count();
    let (image, labels) = (4 * product(shape), 2 * product(SHAPE));
    // Weights of a tile's voxels; inputs and weights of each label along an axis; counters begin as zeros there.
    let tables = 4 * product(PATCH) + 12 * SHAPE.iter().sum::<usize>() + 8 * regions;
    assert_eq!(there as usize, image + tables);
    // A word for each run of a network, two for each row of tiles and fold, and two for a row's near ties.
    let words = planned.network_runs + 2 * rows * (2 + 1);
    assert_eq!(back as usize, labels + 4 * words);
}

#[test]
fn a_gpu_with_less_memory_leaves_blending_to_the_host() {
    let recipe = recipe(RestoreMode::Scores, ScorePrecision::Half, false);
    let Some(whole) = plan(&recipe, Precision::F16, None) else { return };
    let grid = Geometry::with_shape(SHAPE);
    let expected = segment(&whole, false, &mut Run::default()).unwrap();
    let all = whole.report(&grid).unwrap().device_peak_bytes;
    for (budget, step, peak) in
        [(all, MemoryStep::None, all), (all - 1, MemoryStep::HostBlends, whole.device_bytes())]
    {
        let plan = plan(&recipe, Precision::F16, Some(budget)).unwrap();
        assert_eq!(plan.report(&grid).unwrap().device_peak_bytes, peak);
        let found = segment(&plan, false, &mut Run::default()).unwrap();
        assert!(found.labels == expected.labels);
        assert_eq!(found.report.memory_step, step);
    }
}

#[test]
fn several_runs_on_a_gpu_at_once() {
    let Some(mut plan) = plan(&few_tiles(), Precision::F16, None) else { return };
    plan.runs = super::Runs::new(3, super::WhenBusy::Wait).unwrap();
    let expected = segment(&plan, false, &mut Run::default()).unwrap().labels;
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                for _ in 0..3 {
                    assert!(segment(&plan, false, &mut Run::default()).unwrap().labels == expected);
                }
            });
        }
    });
}

#[test]
fn a_gpu_that_is_lost_in_a_run_is_told_and_the_next_plan_works() {
    let Some(first) = plan(&few_tiles(), Precision::F16, None) else { return };
    let expected = segment(&first, false, &mut Run::default()).unwrap().labels;
    drop(first);
    let mut told = 0;
    for calls in [0, 1, 5, 12, 40, 90] {
        let plan = plan(&few_tiles(), Precision::F16, None).unwrap();
        let run = || segment(&plan, false, &mut Run::default());
        let (result, lost) = injected::with(calls, Answer::ERROR_DEVICE_LOST, run);
        if lost {
            told += 1;
            match result {
                Err(Error::DeviceLost { .. }) => {}
                other => panic!("call {calls}: {:?}", other.err().map(|error| error.to_string())),
            }
        } else {
            assert!(result.unwrap().labels == expected);
        }
    }
    assert!(told > 3, "{told}");
    let last = plan(&few_tiles(), Precision::F16, None).unwrap();
    assert!(segment(&last, false, &mut Run::default()).unwrap().labels == expected);
}

fn cancels(count: u64) {
    let Some(plan) = plan(&few_tiles(), Precision::F16, None) else { return };
    let started = std::time::Instant::now();
    let expected = segment(&plan, false, &mut Run::default()).unwrap().labels;
    let longest = started.elapsed().as_micros() as u64 + 1;
    let (mut state, mut cancelled) = (1_u64, 0);
    for _ in 0..count {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let (cancel, after) = (Cancel::new(), Duration::from_micros((state >> 33) % longest));
        std::thread::scope(|scope| {
            scope.spawn(|| {
                std::thread::sleep(after);
                cancel.request();
            });
            match segment(&plan, false, &mut Run::new(cancel.clone())) {
                Err(Error::Cancelled) => cancelled += 1,
                Ok(found) => assert!(found.labels == expected),
                Err(other) => panic!("{other}"),
            }
        });
    }
    assert!(cancelled > 0, "no run of {count} was cancelled");
    assert_eq!(plan.runs.device_bytes(), 0);
    assert!(segment(&plan, false, &mut Run::default()).unwrap().labels == expected);
}

#[test]
fn runs_on_a_gpu_that_are_cancelled_leave_the_plan_usable() {
    cancels(20);
}

/// `cargo xtask test GPU` leaves this one out: `cargo test --lib a_thousand_cancels_on_a_gpu -- --ignored`.
#[test]
#[ignore = "a minute on software"]
fn a_thousand_cancels_on_a_gpu() {
    cancels(1000);
}
