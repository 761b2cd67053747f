//! Tasks of users, with the example model: several parts in one map, what stops them, and weights that change.

use std::fs;
use std::path::{Path, PathBuf};

use voxseg::Error;
use voxseg::inference::{Plan, PlanOptions};
use voxseg::labels::LabelBuffer;
use voxseg::model::task::{Opening, Task, TaskOptions};
use voxseg::model::{Model, ModelOptions};
use voxseg::progress::Run;
use voxseg::task::TaskPlan;
use voxseg::volume::{DType, Geometry, Layout, Volume};

const MODEL: &str = "Dataset901_TorsoCT/nnUNetTrainerNoMirroring__nnUNetPlans__3d_fullres";
const SHAPE: [usize; 3] = [20, 14, 12];

fn models() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/models")
}

/// A grid along the axes that the model knows, which are those that a task brings every volume to.
fn grid() -> Geometry {
    let mut grid = Geometry { spacing: [3.0; 3], ..Geometry::with_shape(SHAPE) };
    grid.direction = [[-1.0, 0.0, 0.0], [0.0, -1.0, 0.0], [0.0, 0.0, 1.0]];
    grid
}

/// Tissue with a bright rod.
fn voxels() -> Vec<u8> {
    let value = |n: usize| {
        let (x, y, z) = (n % SHAPE[0], n / SHAPE[0] % SHAPE[1], n / SHAPE[0] / SHAPE[1]);
        let rod = y.abs_diff(7).pow(2) + z.abs_diff(6).pow(2) < 9;
        (if rod { 250 } else { 40 }) + (5 * (x % 7) + 11 * (n % 13)) as i16
    };
    (0..SHAPE.iter().product()).flat_map(|n| value(n).to_ne_bytes()).collect()
}

/// Three parts that are the same model, whose labels have names of their own in each.
fn task(last: &str) -> Task {
    let json = format!(
        r#"{{
            "name": "three", "spacing": 3, "labels": ["bone", "spleen", "kidney", "bowel"],
            "models": [
                {{"path": "{MODEL}", "labels": ["spleen", "kidney", "kidney"]}},
                {{"path": "{MODEL}", "labels": ["", "", "bowel", "", "", "", "", "bowel", "bowel"]}},
                {{"path": "{last}", "labels": ["", "", "", "", "", "", "", "", "", "", "bone", "bone"]}}
            ]
        }}"#
    );
    Task::from_json(json.as_bytes(), "three.json").unwrap()
}

fn segment(plan: &TaskPlan, labels: &mut [u8], run: &mut Run) -> voxseg::Result<usize> {
    let voxels = voxels();
    let volume = Volume::new(grid(), DType::I16, Layout::dense(SHAPE, DType::I16), vec![&voxels]).unwrap();
    let mut labels = LabelBuffer::new(&grid(), DType::U8, Layout::dense(SHAPE, DType::U8), labels).unwrap();
    plan.segment(&volume, &mut labels, run).map(|report| report.tiles)
}

#[test]
fn later_parts_write_over_earlier_ones() {
    let model = Model::open(&models().join(MODEL), &ModelOptions::default()).unwrap();
    let mut alone = vec![0; SHAPE.iter().product()];
    {
        let voxels = voxels();
        let layout = Layout::dense(SHAPE, DType::I16);
        let volume = Volume::new(grid(), DType::I16, layout, vec![&voxels]).unwrap();
        let layout = Layout::dense(SHAPE, DType::U8);
        let mut labels = LabelBuffer::new(&grid(), DType::U8, layout, &mut alone).unwrap();
        let plan = Plan::new(&model, &PlanOptions::default()).unwrap();
        plan.segment(&volume, &mut labels, &mut [], &mut Run::default()).unwrap();
    }
    let expected: Vec<u8> = alone
        .iter()
        .map(|label| match label {
            1 => 2,
            2 => 3,
            3 | 8 | 9 => 4,
            11 | 12 => 1,
            _ => 0,
        })
        .collect();
    let shown = (1..=4).filter(|label| expected.contains(label)).count();
    assert!(shown > 1, "the image shows {shown} of them");

    let opened = task(MODEL).open(&models(), &TaskOptions::default()).unwrap();
    let plan = TaskPlan::new(&opened, &PlanOptions::default()).unwrap();
    let planned = plan.report(&grid()).unwrap();
    assert_eq!(planned.tiles, 3);
    for _ in 0..2 {
        let mut found = vec![0xA5; expected.len()];
        assert_eq!(segment(&plan, &mut found, &mut Run::default()).unwrap(), 3);
        assert_eq!(found, expected);
        assert_eq!(plan.report(&grid()).unwrap(), planned, "it says the same before and after");
    }
}

#[test]
fn stopping_and_going_on() {
    let opened = task(MODEL).open(&models(), &TaskOptions::default()).unwrap();
    let plan = TaskPlan::new(&opened, &PlanOptions::default()).unwrap();
    let mut labels = vec![0xA5; SHAPE.iter().product()];
    for limit in [0.0, 0.3, 0.6, 0.98] {
        let mut run = Run::default().with_progress(move |progress| progress.fraction <= limit);
        let stopped = segment(&plan, &mut labels, &mut run);
        assert!(matches!(stopped, Err(Error::Cancelled)), "{limit}");
        assert!(labels.iter().all(|&label| label == 0xA5), "{limit}");
    }
    segment(&plan, &mut labels, &mut Run::default()).unwrap();
    assert!(labels.contains(&1));

    // A flag that stops the making of a plan may later be set for something else, while models come and go.
    let options = PlanOptions::default();
    let plan = TaskPlan::new(&opened, &options).unwrap();
    options.cancel.request();
    segment(&plan, &mut labels, &mut Run::default()).unwrap();
    assert!(matches!(TaskPlan::new(&opened, &options).err(), Some(Error::Cancelled)));

    let needed = plan.report(&grid()).unwrap().host_peak_bytes;
    let options = PlanOptions { memory_budget: Some(needed - 1), ..PlanOptions::default() };
    let small = TaskPlan::new(&opened, &options).unwrap();
    let refused = segment(&small, &mut labels, &mut Run::default());
    assert!(matches!(refused, Err(Error::MemoryBudget { .. })));
}

#[test]
fn weights_that_change_are_noticed() {
    let weights = Path::new(env!("CARGO_TARGET_TMPDIR")).join("changing-weights");
    let _ = fs::remove_dir_all(&weights);
    for place in [MODEL, "copy/model"] {
        let fold = weights.join(place).join("fold_0");
        fs::create_dir_all(&fold).unwrap();
        for file in ["plans.json", "dataset.json", "fold_0/checkpoint_final.pth"] {
            fs::copy(models().join(MODEL).join(file), weights.join(place).join(file)).unwrap();
        }
    }
    let opened = task("copy/model").open(&weights, &TaskOptions::default()).unwrap();
    let plan = TaskPlan::new(&opened, &PlanOptions::default()).unwrap();
    let plans = weights.join("copy/model/plans.json");
    let text = fs::read_to_string(&plans).unwrap();
    fs::write(&plans, text.replace("\"order\": 1", "\"order\": 0")).unwrap();
    assert_ne!(fs::read_to_string(&plans).unwrap(), text);
    let mut labels = vec![0xA5; SHAPE.iter().product()];
    let error = segment(&plan, &mut labels, &mut Run::default()).unwrap_err();
    assert!(error.to_string().contains("has changed since the task was opened"), "{error}");
    fs::write(&plans, text).unwrap();
    segment(&plan, &mut labels, &mut Run::default()).unwrap();
}

#[test]
fn opening_and_loading_keep_to_a_budget_of_memory() {
    let open = |memory_budget| {
        let opening = Opening { memory_budget, ..Opening::default() };
        task(MODEL).open_with(&models(), &TaskOptions::default(), &opening)
    };
    let error = open(Some(1 << 16)).unwrap_err();
    assert!(matches!(&error, Error::Refused { reason, .. } if reason.contains("memory_budget")), "{error}");
    let enough = open(Some(64 << 20)).unwrap();
    assert_eq!(enough.identity(), open(None).unwrap().identity());
    let plan = TaskPlan::new(&enough, &PlanOptions::default()).unwrap();
    let mut labels = vec![0; SHAPE.iter().product()];
    segment(&plan, &mut labels, &mut Run::default()).unwrap();
    assert!(labels.iter().any(|&label| label != 0));
}
