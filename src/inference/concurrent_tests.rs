//! Several runs of one plan at once, and runs on the host's threads.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier};

use super::{Plan, PlanOptions, WhenBusy};
use crate::engine::{DeviceEngine, Engine, EngineInfo, Precision, Workspace};
use crate::error::{Error, Result};
use crate::labels::LabelBuffer;
use crate::model::Model;
use crate::parallel::Executor;
use crate::progress::Run;
use crate::recipe::Recipe;
use crate::volume::{DType, Geometry, Layout, Volume};

const SHAPE: [usize; 3] = [9, 8, 7];
const RUNS: usize = 3;

/// Label 1 over a threshold; the first tile of each run waits until all runs have come so far.
struct Meeting {
    barrier: Barrier,
    first: AtomicUsize,
}

impl Engine for Meeting {
    fn info(&self) -> EngineInfo {
        EngineInfo { loaded_bytes: 1000, workspace_bytes: 10, ..EngineInfo::default() }
    }

    fn run(&self, _: &mut Workspace, input: &[f32], output: &mut [f32]) -> Result<()> {
        if self.first.fetch_add(1, Ordering::SeqCst) < RUNS {
            self.barrier.wait();
        }
        let (background, foreground) = output.split_at_mut(input.len());
        background.fill(0.0);
        foreground.iter_mut().zip(input).for_each(|(score, &value)| *score = value - 50.0);
        Ok(())
    }

    fn one_tile_at_a_time(&self) -> Result<bool> {
        Ok(true)
    }

    fn trim(&self) -> Result<()> {
        Ok(())
    }

    fn device(&self) -> Option<&dyn DeviceEngine> {
        None
    }
}

fn image(seed: usize) -> Vec<u8> {
    (0..SHAPE.iter().product::<usize>()).map(|at| (at * (7 + seed) % 101) as u8).collect()
}

fn segment(plan: &Plan, seed: usize) -> Result<Vec<u8>> {
    let image = image(seed);
    let grid = Geometry::with_shape(SHAPE);
    let layout = Layout::dense(SHAPE, DType::U8);
    let volume = Volume::new(grid.clone(), DType::U8, layout, vec![&image]).unwrap();
    let mut found = vec![9; grid.voxels()];
    let mut labels = LabelBuffer::new(&grid, DType::U8, layout, &mut found).unwrap();
    plan.segment(&volume, &mut labels, &mut [], &mut Run::default())?;
    Ok(found)
}

/// Each run ends only when all have begun: so they run at once, and each finds its own labels.
#[test]
fn runs_of_one_plan_are_under_way_at_once() {
    let model = Model::for_tests(Recipe::for_tests([4, 4, 4]), 2);
    let options = PlanOptions { concurrent_runs: RUNS, ..PlanOptions::default() };
    let engine = Arc::new(Meeting { barrier: Barrier::new(RUNS), first: AtomicUsize::new(0) });
    let plan = Plan::with_engines(&model, &options, vec![engine], Precision::F32, 2).unwrap();
    let found: Vec<Vec<u8>> = std::thread::scope(|scope| {
        let runs: Vec<_> = (0..RUNS)
            .map(|seed| {
                scope.spawn({
                    let plan = &plan;
                    move || segment(plan, seed)
                })
            })
            .collect();
        runs.into_iter().map(|run| run.join().unwrap().unwrap()).collect()
    });
    for (seed, found) in found.iter().enumerate() {
        let expected: Vec<u8> = image(seed).iter().map(|&value| u8::from(value > 50)).collect();
        assert!(*found == expected, "run {seed} has other labels");
    }
    let report = plan.report(&Geometry::with_shape(SHAPE)).unwrap();
    assert_eq!(report.host_peak_bytes, report.shared_bytes + report.run_bytes);
    assert!(report.shared_bytes >= report.weight_bytes + 1000 && report.run_bytes > 10);
}

#[test]
fn a_run_too_many_is_busy_or_waits() {
    let model = Model::for_tests(Recipe::for_tests([4, 4, 4]), 2);
    for when_busy in [WhenBusy::Fail, WhenBusy::Wait] {
        let options = PlanOptions { when_busy, threads: 1, ..PlanOptions::default() };
        let plan = Plan::new(&model, &options).unwrap();
        let turn = plan.runs.begin(&Run::default()).unwrap();
        std::thread::scope(|scope| {
            let further = scope.spawn(|| segment(&plan, 1));
            if when_busy == WhenBusy::Fail {
                assert!(matches!(further.join().unwrap(), Err(Error::Busy)));
                drop(turn);
            } else {
                drop(turn);
                assert!(further.join().unwrap().is_ok());
            }
        });
    }
}

/// Plans of one model with the same settings have one engine.
#[test]
fn plans_of_one_model_share_their_weights() {
    let model = Model::for_tests(Recipe::for_tests([4, 4, 4]), 2);
    let plan = |threads| Plan::new(&model, &PlanOptions { threads, ..PlanOptions::default() }).unwrap();
    let [one, same, other] = [2, 2, 1].map(plan);
    let engine = |plan: &Plan| plan.folds[0].engine().unwrap().clone();
    assert!(Arc::ptr_eq(&engine(&one), &engine(&same)) && !Arc::ptr_eq(&engine(&one), &engine(&other)));
    assert!(segment(&one, 3).unwrap() == segment(&other, 3).unwrap());
}

/// The memory of a run waits for the next one until it is given back.
#[test]
fn workspaces_are_kept_and_trimmed() {
    let model = Model::for_tests(Recipe::for_tests([4, 4, 4]), 2);
    let options = PlanOptions { threads: 2, ..PlanOptions::default() };
    let plan = Plan::new(&model, &options).unwrap();
    assert_eq!(plan.runs.idle_bytes(), 0);
    let first = segment(&plan, 0).unwrap();
    let kept = plan.runs.idle_bytes();
    assert!(kept > 0);
    assert!(segment(&plan, 0).unwrap() == first && plan.runs.idle_bytes() == kept);
    plan.trim().unwrap();
    assert_eq!(plan.runs.idle_bytes(), 0);
    assert!(segment(&plan, 0).unwrap() == first);
}

/// One task after another on the calling thread, counted.
#[derive(Default)]
struct InTurn(AtomicUsize);

impl Executor for InTurn {
    fn parallel_for(&self, tasks: usize, task: &(dyn Fn(usize) + Sync)) {
        self.0.fetch_add(1, Ordering::Relaxed);
        (0..tasks).rev().for_each(task);
    }
}

#[test]
fn the_hosts_threads_give_the_same_labels() {
    let model = Model::for_tests(Recipe::for_tests([4, 4, 4]), 2);
    let own = Plan::new(&model, &PlanOptions { threads: 3, ..PlanOptions::default() }).unwrap();
    let executor = Arc::new(InTurn::default());
    let options = PlanOptions { threads: 3, executor: Some(executor.clone()), ..PlanOptions::default() };
    let hosted = Plan::new(&model, &options).unwrap();
    let before = executor.0.load(Ordering::Relaxed);
    assert!(segment(&hosted, 5).unwrap() == segment(&own, 5).unwrap());
    assert!(executor.0.load(Ordering::Relaxed) > before);
}
