//! Regions of the reference data's models, and of a task: the bytes of the whole run. And labels as they come.

use std::path::Path;

use voxseg::Error;
use voxseg::inference::PlanOptions;
use voxseg::labels::LabelBuffer;
use voxseg::model::task::{Task, TaskOptions};
use voxseg::model::{Model, ModelOptions};
use voxseg::progress::Run;
use voxseg::task::{AnyModel, AnyPlan};
use voxseg::volume::{Box3, DType, Geometry, Layout, Region, Volume};

/// What buffers hold before a run.
const BEFORE: u8 = 0xA5;

/// A grid with its axes in another order than the models', and a margin of zeros.
fn grid() -> Geometry {
    let mut grid = Geometry { spacing: [2.1, 2.6, 3.1], ..Geometry::with_shape([72, 50, 44]) };
    grid.direction = [[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, -1.0]];
    grid
}

/// Bodies of several intensities with some texture.
fn voxels(grid: &Geometry) -> Vec<u8> {
    let [x, y, z] = grid.shape;
    let value = |n: usize| {
        let at = [n % x, n / x % y, n / x / y];
        if at[0] < 3 || at[2] + 4 > z {
            return 0;
        }
        let body = (0..3).map(|axis| (at[axis] as f64 / grid.shape[axis] as f64 - 0.5).powi(2)).sum::<f64>();
        let rod = at[1].abs_diff(24).pow(2) + at[2].abs_diff(20).pow(2) < 80;
        let inside = if body < 0.15 { 60 } else { -700 };
        inside + if rod { 180 } else { 0 } + (3 * (at[0] % 9) + 7 * (n % 13)) as i16
    };
    (0..x * y * z).flat_map(|n| value(n).to_ne_bytes()).collect()
}

/// Labels, and tiles of those in all; and the boxes whose labels were told to be final.
struct Found {
    labels: Vec<u8>,
    tiles: [usize; 2],
}

fn segment(
    plan: &AnyPlan,
    channels: usize,
    grid: &Geometry,
    run: &mut Run,
) -> Result<Found, (Error, Vec<u8>)> {
    let stored = voxels(grid);
    let volume =
        Volume::new(grid.clone(), DType::I16, Layout::dense(grid.shape, DType::I16), vec![&stored; channels]);
    let mut labels = vec![BEFORE; grid.voxels()];
    let layout = Layout::dense(grid.shape, DType::U8);
    let mut buffer = LabelBuffer::new(grid, DType::U8, layout, &mut labels).unwrap();
    match plan.segment(&volume.unwrap(), &mut buffer, &mut [], run) {
        Ok(report) => Ok(Found { labels, tiles: [report.tiles, report.tiles_in_all] }),
        Err(error) => Err((error, labels)),
    }
}

/// Numbers without order.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % limit
    }

    fn part(&mut self, shape: [usize; 3], most: usize) -> Box3 {
        let start = shape.map(|length| self.below(length));
        let size = [0; 3].map(|_: usize| 1 + self.below(most));
        Box3 { start, end: [0, 1, 2].map(|axis| (start[axis] + size[axis]).min(shape[axis])) }
    }
}

fn is_in(boxes: &[Box3], shape: [usize; 3], n: usize) -> bool {
    let at = [n % shape[0], n / shape[0] % shape[1], n / shape[0] / shape[1]];
    boxes.iter().any(|part| (0..3).all(|axis| (part.start[axis]..part.end[axis]).contains(&at[axis])))
}

/// Compares random regions with the whole run; returns the least share of tiles that one computed.
fn check(name: &str, plan: &AnyPlan, channels: usize, grid: &Geometry) -> f64 {
    let whole = segment(plan, channels, grid, &mut Run::default()).map_err(|(error, _)| error).unwrap();
    assert_eq!(whole.tiles[0], whole.tiles[1], "{name}");
    let (mut random, mut least) = (Random(7), 1.0_f64);
    for count in [1, 1, 2] {
        let boxes: Vec<Box3> = (0..count).map(|_| random.part(grid.shape, 12)).collect();
        let region = Region { boxes: boxes.clone(), ..Region::whole() };
        let planned = plan.report_for(grid, &region).unwrap();
        let found = segment(plan, channels, grid, &mut Run::default().with_region(region));
        let found = found.map_err(|(error, _)| error).unwrap();
        for (n, (&label, &expected)) in found.labels.iter().zip(&whole.labels).enumerate() {
            let expected = if is_in(&boxes, grid.shape, n) { expected } else { BEFORE };
            assert_eq!(label, expected, "{name}: voxel {n} of {boxes:?}");
        }
        assert_eq!(found.tiles[1], whole.tiles[0], "{name}");
        assert!(planned.tiles <= planned.tiles_in_all, "{name}");
        least = least.min(found.tiles[0] as f64 / found.tiles[1] as f64);
    }
    least
}

#[test]
fn regions_of_the_reference_models_have_the_whole_runs_bytes() {
    let mut shares = Vec::new();
    for name in voxseg_reference::MODELS {
        let Some(path) = voxseg_reference::path(name) else { return };
        let model = AnyModel::Model(Model::open(&path, &ModelOptions::default()).unwrap());
        let plan = match model.plan(&PlanOptions { threads: 2, ..PlanOptions::default() }) {
            Err(Error::RuntimeMissing { reason }) => {
                eprintln!("skipped: no ONNX Runtime here: {reason}");
                continue;
            }
            plan => plan.unwrap(),
        };
        let share = check(name, &plan, model.channels().len(), &grid());
        eprintln!("{name}: {:.0} % of the tiles", 100.0 * share);
        shares.push(share);
    }
    assert!(
        shares.iter().filter(|&&share| share < 0.9).count() > 2,
        "regions compute fewer tiles: {shares:?}"
    );
}

/// Two parts that are the example model, whose labels have names of their own in each.
fn task() -> AnyPlan {
    let model = "Dataset901_TorsoCT/nnUNetTrainerNoMirroring__nnUNetPlans__3d_fullres";
    let json = format!(
        r#"{{
            "name": "two", "spacing": 3, "labels": ["spleen", "bowel"],
            "models": [
                {{"path": "{model}", "labels": ["spleen"]}},
                {{"path": "{model}", "labels": ["", "", "bowel", "", "", "", "", "bowel", "bowel"]}}
            ]
        }}"#
    );
    let task = Task::from_json(json.as_bytes(), "two.json").unwrap();
    let models = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/models");
    let opened = task.open(&models, &TaskOptions::default()).unwrap();
    AnyModel::Task(opened).plan(&PlanOptions { threads: 2, ..PlanOptions::default() }).unwrap()
}

#[test]
fn regions_of_a_task_have_the_whole_runs_bytes() {
    // As large as several tiles of 3 mm.
    let large = Geometry { spacing: [6.0, 6.0, 7.0], ..grid() };
    assert!(check("task", &task(), 1, &large) < 0.9);
}

#[test]
fn labels_of_a_task_come_model_by_model() {
    let (plan, grid) = (task(), grid());
    let whole = segment(&plan, 1, &grid, &mut Run::default()).map_err(|(error, _)| error).unwrap();
    let mut told = Vec::new();
    let mut run = Run::default().with_labels(|labels| {
        told.push((labels.is_final, labels.part, labels.complete.to_vec()));
        true
    });
    let found = segment(&plan, 1, &grid, &mut run).map_err(|(error, _)| error).unwrap();
    assert_eq!(run.finals(), [Box3::whole(grid.shape)]);
    drop(run);
    assert_eq!(found.labels, whole.labels);
    let all = Box3::whole(grid.shape);
    assert_eq!(told, [(false, all, vec![1]), (true, all, vec![])]);
}

#[test]
fn labels_come_while_the_run_goes_on_and_stay_when_it_is_cancelled() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("examples/models/Dataset901_TorsoCT/nnUNetTrainerNoMirroring__nnUNetPlans__3d_fullres");
    let model = AnyModel::Model(Model::open(&folder, &ModelOptions::default()).unwrap());
    let plan = model.plan(&PlanOptions { threads: 2, ..PlanOptions::default() }).unwrap();
    let grid = grid();
    let whole = segment(&plan, 1, &grid, &mut Run::default()).map_err(|(error, _)| error).unwrap();

    let mut parts = Vec::new();
    let mut run = Run::default().with_labels(|labels| {
        assert!(labels.is_final && labels.complete.is_empty());
        parts.push(labels.part);
        true
    });
    let found = segment(&plan, 1, &grid, &mut run).map_err(|(error, _)| error).unwrap();
    assert_eq!(run.finals(), [Box3::whole(grid.shape)], "parts that lie next to each other are one");
    drop(run);
    assert_eq!(found.labels, whole.labels);
    assert!(parts.len() > 1, "{parts:?}");
    assert_eq!(parts.iter().map(Box3::voxels).sum::<usize>(), grid.voxels());

    // Stopped at the second part: those that were told to be final are, and no other is written.
    let mut left = 2;
    let mut run = Run::default().with_labels(|_| {
        left -= 1;
        left > 0
    });
    let (error, labels) = segment(&plan, 1, &grid, &mut run).err().unwrap();
    assert!(matches!(error, Error::Cancelled), "{error}");
    let finals = run.finals().to_vec();
    assert_eq!(
        finals.iter().map(Box3::voxels).sum::<usize>(),
        parts[..2].iter().map(Box3::voxels).sum::<usize>()
    );
    for (n, (&label, &expected)) in labels.iter().zip(&whole.labels).enumerate() {
        assert_eq!(label, if is_in(&finals, grid.shape, n) { expected } else { BEFORE });
    }
}
