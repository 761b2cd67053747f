//! Descriptions, records and reports are formats: what is printed for the models at hand fits the schemas in
//! docs/schemas, which know no other fields.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;
use voxseg::Error;
use voxseg::inference::PlanOptions;
use voxseg::labels::LabelBuffer;
use voxseg::model::task::{Task, TaskOptions};
use voxseg::model::{Model, ModelOptions};
use voxseg::progress::Run;
use voxseg::record::record;
use voxseg::task::AnyModel;
use voxseg::volume::{DType, Geometry, Layout, NonFinite, Volume};

const EXAMPLE: &str = "examples/models/Dataset901_TorsoCT/nnUNetTrainerNoMirroring__nnUNetPlans__3d_fullres";
const SHAPE: [usize; 3] = [20, 14, 12];

fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

/// The reference data, where it is.
fn reference() -> Option<PathBuf> {
    let folder = voxseg_reference::folder();
    let there = folder.join("nnunet").is_dir();
    if !there {
        eprintln!("only the example: the reference data is not here; set VOXSEG_REFERENCE to its folder");
    }
    there.then_some(folder)
}

fn schema(name: &str) -> Value {
    let path = root().join(format!("docs/schemas/{name}.schema.json"));
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

/// What is wrong with a document by one of the schemas: nothing, where it fits.
fn wrong(name: &str, document: &Value) -> Vec<String> {
    let mut registry = jsonschema::Registry::new();
    for name in ["model", "task", "plan", "record", "report", "session"] {
        registry = registry.add(format!("urn:voxseg:schema:{name}"), schema(name)).unwrap();
    }
    let registry = registry.prepare().unwrap();
    let validator = jsonschema::options().with_registry(&registry).build(&schema(name)).unwrap();
    validator.iter_errors(document).map(|error| format!("{}: {error}", error.instance_path())).collect()
}

fn check(name: &str, document: &Value, whose: &str) {
    let wrong = wrong(name, document);
    assert!(wrong.is_empty(), "{whose} doesn't fit {name}.schema.json: {wrong:#?}\n{document:#}");
}

fn describe(path: &Path) {
    let whose = path.display().to_string();
    let model =
        Model::open(path, &ModelOptions::default()).unwrap_or_else(|error| panic!("{whose}: {error}"));
    check("model", &model.describe(), &whose);
    match AnyModel::Model(model).plan(&PlanOptions::default()) {
        Ok(plan) => check("plan", &plan.describe(), &whose),
        // Of networks that our own engine doesn't run.
        Err(Error::RuntimeMissing { .. }) => {}
        Err(error) => panic!("{whose}: {error}"),
    }
}

#[test]
fn schemas_are_schemas() {
    for name in ["model", "task", "plan", "record", "report"] {
        jsonschema::meta::validate(&schema(name)).unwrap();
    }
}

#[test]
fn a_field_without_a_schema_is_found() {
    let mut described = Model::open(&root().join(EXAMPLE), &ModelOptions::default()).unwrap().describe();
    check("model", &described, EXAMPLE);
    described["recipe"]["tiling"]["another"] = 1.into();
    assert_eq!(wrong("model", &described).len(), 1);
}

#[test]
fn models_and_plans_fit() {
    describe(&root().join(EXAMPLE));
    let Some(reference) = reference() else { return };
    for path in voxseg_reference::MODELS {
        describe(&reference.join(path));
    }
    let model = |fold| {
        let folds = Some(vec![voxseg::model::Fold::Number(fold)]);
        let path = "nnunet/public/Dataset902_BrainAniso/nnUNetTrainer__nnUNetResEncUNetMPlans__3d_fullres";
        Model::open(&reference.join(path), &ModelOptions { folds, ..ModelOptions::default() }).unwrap()
    };
    check("model", &Model::ensemble(&[model(0), model(1)]).unwrap().describe(), "an ensemble");
    let weights = reference.join("totalseg/weights");
    for name in ["total_fast", "lung_vessels", "body", "vertebrae_pp"] {
        let task = Task::named(name).unwrap().open(&weights, &TaskOptions::default()).unwrap();
        check("task", &task.describe(), name);
    }
}

fn grid() -> Geometry {
    Geometry { spacing: [3.0; 3], ..Geometry::with_shape(SHAPE) }
}

/// What the record of a run on a small volume with one voxel that isn't finite says.
fn recorded(model: &AnyModel) -> Value {
    let mut values = vec![40.0_f32; SHAPE.iter().product()];
    values[7] = f32::NAN;
    let voxels: Vec<u8> = values.iter().flat_map(|value| value.to_ne_bytes()).collect();
    let volume = Volume::new(grid(), DType::F32, Layout::dense(SHAPE, DType::F32), vec![&voxels]).unwrap();
    let mut bytes = vec![0; grid().voxels()];
    let mut labels =
        LabelBuffer::new(&grid(), DType::U8, Layout::dense(SHAPE, DType::U8), &mut bytes).unwrap();
    let plan = model.plan(&PlanOptions::default()).unwrap();
    let mut run = Run::default().with_non_finite(NonFinite::Zero);
    let report = plan.segment(&volume, &mut labels, &mut [], &mut run).unwrap();
    check("plan", &plan.describe(), model.name());
    record(&model.describe(), &plan, &volume, &labels, &report).unwrap()
}

#[test]
fn records_fit() {
    let model = Model::open(&root().join(EXAMPLE), &ModelOptions::default()).unwrap();
    let record = recorded(&AnyModel::Model(model));
    check("record", &record, EXAMPLE);
    assert_eq!(record["run"]["non_finite_voxels"], 1);
    let task = Task::find(root().join("examples/models/organs.task.json").to_str().unwrap()).unwrap();
    let task = task.open(&root().join("examples/models"), &TaskOptions::default()).unwrap();
    check("record", &recorded(&AnyModel::Task(task)), "organs");
}

/// What the tool prints and writes.
#[test]
fn reports_of_the_tool_fit() {
    let folder = std::env::temp_dir().join(format!("voxseg-descriptions-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    let header = "ObjectType = Image\nNDims = 3\nDimSize = 20 14 12\nElementSpacing = 3 3 3\n\
                  ElementType = MET_SHORT\nElementDataFile = ct.raw\n";
    fs::write(folder.join("ct.mhd"), header).unwrap();
    fs::write(folder.join("ct.raw"), vec![0; 2 * SHAPE.iter().product::<usize>()]).unwrap();
    let tool = |arguments: &[&str]| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_voxseg"));
        let output = command.args(arguments).current_dir(&folder).output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    };
    let example = root().join(EXAMPLE);
    let model = example.to_str().unwrap();
    tool(&["run", "--model", model, "--image", "ct.mhd", "--out", "labels.mhd", "--report", "report.json"]);
    let report = serde_json::from_slice(&fs::read(folder.join("report.json")).unwrap()).unwrap();
    check("report", &report, "voxseg run");
    check("model", &serde_json::from_slice(&tool(&["info", model, "--json"])).unwrap(), "voxseg info");
    fs::remove_dir_all(&folder).unwrap();
}

/// The record of a session with each kind of prompt.
#[test]
fn records_of_sessions_fit_their_schema() {
    use voxseg::session::{Mask, Prompt, Session, SessionOptions};
    let Some(folder) = voxseg_reference::path("coverage/nninteractive/model") else { return };
    let model = Model::open(&folder, &ModelOptions::default()).unwrap();
    check("model", &model.describe(), "nnInteractive");
    let plan = voxseg::inference::Plan::new(&model, &PlanOptions::default()).unwrap();
    let grid = Geometry::with_shape(SHAPE);
    let bytes: Vec<u8> = (0..grid.voxels()).map(|voxel| (voxel * 7 % 251) as u8).collect();
    let volume = Volume::new(grid, DType::U8, Layout::dense(SHAPE, DType::U8), vec![&bytes]).unwrap();
    let options = SessionOptions { autozoom: false };
    let mut session = Session::new(&plan, &volume, options, &mut Run::default()).unwrap();
    let drawn = Mask::new([1, 2, 3], &volume.clone()).unwrap();
    for prompt in [
        Prompt::Mask(drawn.clone()),
        Prompt::Point { at: [3.0, 4.5, 6.0], label: 1 },
        Prompt::Box { start: [1, 1, 4], end: [5, 6, 5], label: 1 },
        Prompt::Scribble { mask: drawn.clone(), label: 0 },
        Prompt::Lasso { mask: drawn, label: 1 },
    ] {
        session.add(prompt).unwrap();
    }
    session.run(&mut Run::default()).unwrap();
    check("session", &session.record(&model.describe()), "a session");
}
