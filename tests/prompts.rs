//! Sessions with prompts against their reference, nnInteractive: each step that can be compared gives its mask and its
//! changed box; near ties aside, labels are the same.

#![allow(clippy::print_stdout, reason = "the counts are what this test is for")]

#[path = "parity/image.rs"]
mod image;

use std::path::{Path, PathBuf};

use serde_json::Value;
use voxseg::inference::{Plan, PlanOptions};
use voxseg::labels::LabelBuffer;
use voxseg::model::{Model, ModelOptions};
use voxseg::progress::{Cancel, Run};
use voxseg::session::{Mask, Prompt, PromptKind, Session, SessionOptions, SessionReport};
use voxseg::volume::{DType, Geometry, Layout, Volume};

use image::Image;

const SEQUENCES: [&str; 5] = ["points", "box", "lasso", "initial", "border"];

fn folder() -> Option<PathBuf> {
    voxseg_reference::path("coverage/nninteractive")
}

fn plan(folder: &Path, threads: usize) -> (Model, Plan) {
    let model = Model::open(&folder.join("model"), &ModelOptions::default()).unwrap();
    let plan = Plan::new(&model, &PlanOptions { threads, ..PlanOptions::default() }).unwrap();
    (model, plan)
}

fn session(plan: &Plan, image: &Image, autozoom: bool) -> Session {
    let layout = Layout::dense(image.geometry.shape, DType::F32);
    let volume = Volume::new(image.geometry.clone(), DType::F32, layout, vec![&image.bytes]).unwrap();
    Session::new(plan, &volume, SessionOptions { autozoom }, &mut Run::default()).unwrap()
}

fn mask_of(session: &Session) -> Vec<u8> {
    let shape = session.geometry().shape;
    let mut found = vec![255; session.geometry().voxels()];
    let layout = Layout::dense(shape, DType::U8);
    let mut labels = LabelBuffer::new(session.geometry(), DType::U8, layout, &mut found).unwrap();
    session.labels([[0; 3], shape.map(|length| length as u64)], &mut labels).unwrap();
    found
}

/// Voxels of a box, axis 0 fastest.
fn mask(start: [i64; 3], shape: [usize; 3], voxels: &[u8]) -> Mask {
    let geometry = Geometry::with_shape(shape);
    let volume = Volume::new(geometry, DType::U8, Layout::dense(shape, DType::U8), vec![voxels]).unwrap();
    Mask::new(start, &volume).unwrap()
}

/// Pairs of a box in the reference's order, z, y, x, as first and last along x, y, z.
fn corners(value: &Value) -> [[i64; 3]; 2] {
    let end = |which: usize| [2, 1, 0].map(|axis| value[axis][which].as_i64().unwrap());
    [end(0), end(1)]
}

fn prompt(folder: &Path, step: &Value) -> Prompt {
    let place = &step["where_zyx"];
    let label = u32::from(step["include"].as_bool().unwrap_or(true));
    match step["kind"].as_str().unwrap() {
        "point" => Prompt::Point { at: [2, 1, 0].map(|axis| place[axis].as_f64().unwrap()), label },
        "box" => {
            let [start, end] = corners(place);
            Prompt::Box { start, end, label }
        }
        kind @ ("lasso" | "scribble") => {
            let [start, end] = corners(place);
            let shape = [0, 1, 2].map(|axis| (end[axis] - start[axis]) as usize);
            let file = std::fs::read(folder.join(step["mask"].as_str().unwrap())).unwrap();
            // NumPy's format, with the array's last axis the fastest: x.
            let header = 10 + usize::from(u16::from_le_bytes([file[8], file[9]]));
            let mask = mask(start, shape, &file[header..]);
            if kind == "lasso" { Prompt::Lasso { mask, label } } else { Prompt::Scribble { mask, label } }
        }
        "initial" => {
            let image = Image::read(&folder.join(step["mask"].as_str().unwrap()));
            let voxels: Vec<u8> = image.values.iter().map(|&value| value as u8).collect();
            Prompt::Mask(mask([0; 3], image.geometry.shape, &voxels))
        }
        other => panic!("{other}"),
    }
}

struct Sequence {
    image: Image,
    autozoom: bool,
    steps: Vec<Value>,
}

fn sequence(folder: &Path, name: &str) -> Sequence {
    let text = std::fs::read(folder.join(format!("expected/{name}.json"))).unwrap();
    let value: Value = serde_json::from_slice(&text).unwrap();
    Sequence {
        image: Image::read(&folder.join("expected").join(value["image"].as_str().unwrap())),
        autozoom: value["autozoom"].as_bool().unwrap(),
        steps: value["steps"].as_array().unwrap().clone(),
    }
}

/// What is wrong with a sequence.
fn compare(folder: &Path, plan: &Plan, name: &str) -> Vec<String> {
    let Sequence { image, autozoom, steps } = sequence(folder, name);
    let mut session = session(plan, &image, autozoom);
    let mut wrong = Vec::new();
    for (index, step) in steps.iter().enumerate() {
        session.add(prompt(&folder.join("expected"), step)).unwrap();
        let report = session.run(&mut Run::default()).unwrap();
        if !step["comparable"].as_bool().unwrap() {
            println!("{name} {index}: zoom {}, {} runs; not compared", report.zoom, report.network_runs);
            break;
        }
        let labels = folder.join("expected").join(step["labels"].as_str().unwrap());
        let expected = Image::read(&labels).values;
        let found = mask_of(&session);
        let differing = found.iter().zip(&expected).filter(|(a, b)| f32::from(**a) != **b).count();
        let foreground = expected.iter().filter(|&&label| label != 0.0).count();
        let SessionReport { changed, near_ties, network_runs, .. } = report;
        let counts = format!(
            "{name} {index}: {differing} of {foreground} foreground voxels differ, {near_ties} near ties, \
             {network_runs} runs, changed {changed:?}"
        );
        println!("{counts}");
        let same_box =
            corners(&step["changed_zyx"]).map(|corner| corner.map(|index| index as u64)) == changed;
        if !same_box || differing > near_ties || differing * 1000 > foreground {
            wrong.push(counts);
        }
    }
    wrong
}

#[test]
fn masks_are_the_references() {
    let Some(folder) = folder() else { return };
    let (model, plan) = plan(&folder, 2);
    assert_eq!(model.format(), "nnInteractive");
    let kinds =
        [PromptKind::Point, PromptKind::Box2d, PromptKind::Scribble, PromptKind::Lasso, PromptKind::Mask];
    assert_eq!(model.prompts(), kinds);
    let wrong: Vec<String> = SEQUENCES.iter().flat_map(|name| compare(&folder, &plan, name)).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// All that a user sees of a session.
fn state(session: &Session) -> (Value, Vec<u8>) {
    (session.record(&serde_json::json!({"identity": "x"})), mask_of(session))
}

#[test]
fn a_record_replays_to_the_same_bytes_on_any_number_of_threads() {
    let Some(folder) = folder() else { return };
    let Sequence { image, steps, .. } = sequence(&folder, "points");
    let (model, plan) = plan(&folder, 2);
    let about = model.describe();
    let mut first = session(&plan, &image, true);
    for step in &steps {
        first.add(prompt(&folder.join("expected"), step)).unwrap();
        first.run(&mut Run::default()).unwrap();
    }
    let record = first.record(&about);
    let text = record.to_string();
    let read: Value = serde_json::from_str(&text).unwrap();
    let one = Plan::new(&model, &PlanOptions { threads: 1, ..PlanOptions::default() }).unwrap();
    let mut second = session(&one, &image, true);
    second.replay(&read, &about, &mut Run::default()).unwrap();
    assert_eq!(mask_of(&first), mask_of(&second));
    assert_eq!(second.record(&about).to_string(), text);

    // Another model, and a record that isn't one.
    let other = serde_json::json!({"identity": "another"});
    assert!(matches!(
        second.replay(&read, &other, &mut Run::default()),
        Err(voxseg::Error::InvalidArgument { .. })
    ));
    assert!(second.replay(&Value::Null, &about, &mut Run::default()).is_err());
    assert_eq!(mask_of(&first), mask_of(&second));
}

#[test]
fn cancel_leaves_what_was_and_undo_brings_it_back() {
    let Some(folder) = folder() else { return };
    let Sequence { image, steps, .. } = sequence(&folder, "points");
    let (_, plan) = plan(&folder, 2);
    let mut session = session(&plan, &image, true);
    let empty = state(&session);
    let prompts: Vec<Prompt> = steps.iter().map(|step| prompt(&folder.join("expected"), step)).collect();
    session.add(prompts[0].clone()).unwrap();
    session.run(&mut Run::default()).unwrap();
    let first = state(&session);

    // The third prompt zooms out and looks again: at each report of progress it is stopped once.
    session.add(prompts[2].clone()).unwrap();
    let asked = state(&session);
    let mut stop_at = 0;
    let report = loop {
        let (mut calls, mut last) = (0, 0.0);
        let mut run = Run::default().with_progress(|progress| {
            assert!(progress.fraction >= last, "{} after {last}", progress.fraction);
            last = progress.fraction;
            calls += 1;
            calls <= stop_at
        });
        let outcome = session.run(&mut run);
        drop(run);
        match outcome {
            Ok(report) => {
                assert_eq!(last, 1.0);
                break report;
            }
            Err(error) => assert!(matches!(error, voxseg::Error::Cancelled), "{error}"),
        }
        assert_eq!(state(&session), asked, "stopped at {stop_at}");
        // All of the first, then some of many.
        stop_at += if stop_at < 4 { 1 } else { 5 };
    };
    assert!(report.zoom > 1.0 && report.network_runs > 2, "{report:?}");
    let flag = Cancel::new();
    flag.request();
    session.add(prompts[1].clone()).unwrap();
    let asked = state(&session);
    assert!(matches!(session.run(&mut Run::new(flag)), Err(voxseg::Error::Cancelled)));
    assert_eq!(state(&session), asked);

    session.undo().unwrap();
    session.undo().unwrap();
    assert_eq!(state(&session), first);
    // What comes then is what came without the detour.
    session.add(prompts[2].clone()).unwrap();
    assert_eq!(session.run(&mut Run::default()).unwrap().changed, report.changed);
    session.undo().unwrap();
    session.undo().unwrap();
    assert_eq!(state(&session), empty);
    assert!(matches!(session.undo(), Err(voxseg::Error::InvalidArgument { .. })));

    let initial = sequence(&folder, "initial");
    session.add(prompts[0].clone()).unwrap();
    session.run(&mut Run::default()).unwrap();
    let before = state(&session);
    session.add(prompt(&folder.join("expected"), &initial.steps[0])).unwrap();
    session.run(&mut Run::default()).unwrap();
    session.undo().unwrap();
    assert_eq!(state(&session), before);
    session.reset();
    assert_eq!(state(&session), empty);
}

#[test]
fn prompts_that_make_no_sense_are_typed_errors_and_change_nothing() {
    let Some(folder) = folder() else { return };
    let Sequence { image, .. } = sequence(&folder, "points");
    let (_, plan) = plan(&folder, 2);
    let mut session = session(&plan, &image, true);
    let before = state(&session);
    let [x, y, z] = image.geometry.shape.map(|length| length as f64);
    let far = i64::MAX - 1;
    let point = |at: [f64; 3]| Prompt::Point { at, label: 1 };
    let wrong = [
        point([f64::NAN, 1.0, 1.0]),
        point([1.0, f64::INFINITY, 1.0]),
        point([-1.0, 1.0, 1.0]),
        point([x, 1.0, 1.0]),
        point([1.0, y, 1.0]),
        point([1.0, 1.0, z]),
        point([1e300; 3]),
        Prompt::Point { at: [1.0; 3], label: 2 },
        Prompt::Box { start: [1, 1, 1], end: [1, 5, 5], label: 1 },
        Prompt::Box { start: [5, 5, 5], end: [1, 6, 1], label: 1 },
        Prompt::Box { start: [far; 3], end: [i64::MAX; 3], label: 1 },
        Prompt::Box { start: [i64::MIN; 3], end: [i64::MIN + 1, 2, 2], label: 1 },
        // The model takes flat boxes only.
        Prompt::Box { start: [1, 1, 1], end: [5, 5, 5], label: 1 },
        Prompt::Scribble { mask: mask([far; 3], [2, 2, 1], &[1; 4]), label: 1 },
        Prompt::Lasso { mask: mask([-5, 0, 0], [2, 2, 1], &[1; 4]), label: 1 },
        Prompt::Lasso { mask: mask([0; 3], [2, 2, 1], &[1; 4]), label: 3 },
    ];
    for prompt in wrong {
        let error = session.add(prompt.clone()).unwrap_err();
        assert!(matches!(error, voxseg::Error::InvalidArgument { .. }), "{prompt:?}: {error}");
        assert_eq!(state(&session), before, "{prompt:?}");
    }
    // An empty mask asks for nothing, and so a run does nothing.
    session.add(Prompt::Scribble { mask: mask([0; 3], [2, 2, 1], &[0; 4]), label: 1 }).unwrap();
    let report = session.run(&mut Run::default()).unwrap();
    assert_eq!((report.network_runs, report.changed), (0, [[0; 3]; 2]));
    // A box that reaches beyond the volume is cut.
    session.add(Prompt::Box { start: [-9, -9, 3], end: [20, 20, 4], label: 1 }).unwrap();
    assert_eq!(session.run(&mut Run::default()).unwrap().changed[0], [0; 3]);
}

#[test]
fn sessions_share_a_plan_and_tell_their_memory() {
    let Some(folder) = folder() else { return };
    let Sequence { image, steps, .. } = sequence(&folder, "points");
    let (model, plan) = plan(&folder, 1);
    let needed = Session::estimate(&plan, &image.geometry).unwrap().host_peak_bytes;
    let limited = PlanOptions { memory_budget: Some(needed - 1), ..PlanOptions::default() };
    let limited = Plan::new(&model, &PlanOptions { threads: 1, ..limited }).unwrap();
    let layout = Layout::dense(image.geometry.shape, DType::F32);
    let volume = Volume::new(image.geometry.clone(), DType::F32, layout, vec![&image.bytes]).unwrap();
    let refused = Session::new(&limited, &volume, SessionOptions::default(), &mut Run::default());
    assert!(matches!(refused, Err(voxseg::Error::MemoryBudget { .. })));

    // A model that takes prompts doesn't segment without.
    let mut found = vec![0; image.geometry.voxels()];
    let layout = Layout::dense(image.geometry.shape, DType::U8);
    let mut labels = LabelBuffer::new(&image.geometry, DType::U8, layout, &mut found).unwrap();
    let refused = plan.segment(&volume, &mut labels, &mut [], &mut Run::default());
    assert!(matches!(refused, Err(voxseg::Error::Unsupported { .. })));

    let prompt = prompt(&folder.join("expected"), &steps[0]);
    let (mut one, mut other) = (session(&plan, &image, true), session(&plan, &image, true));
    one.add(prompt.clone()).unwrap();
    one.run(&mut Run::default()).unwrap();
    assert!(mask_of(&other).iter().all(|&label| label == 0));
    other.add(prompt).unwrap();
    other.run(&mut Run::default()).unwrap();
    assert_eq!(state(&one), state(&other));
}

/// The same through the C interface, with its refusals.
#[test]
fn c_gives_the_same_masks() {
    use std::ffi::{CStr, CString};
    use std::ptr::{null, null_mut};
    use voxseg::ffi::*;

    let Some(folder) = folder() else { return };
    let Sequence { image, .. } = sequence(&folder, "lasso");
    let (_, rust) = plan(&folder, 2);
    let mut expected = session(&rust, &image, true);
    expected.add(Prompt::Point { at: [80.0, 50.0, 60.0], label: 1 }).unwrap();
    expected.run(&mut Run::default()).unwrap();
    let expected = mask_of(&expected);

    let path = CString::new(folder.join("model").to_str().unwrap()).unwrap();
    let (mut model, mut plan, mut session) = (null_mut(), null_mut(), null_mut());
    // SAFETY: each handle was made by the call before and is freed once, at the end; all buffers and structures live as
    // long as the calls that get them, and have the sizes that they state.
    unsafe {
        assert_eq!(vxs_model_open(path.as_ptr(), null(), &mut model, null_mut()), VXS_OK);
        let flags =
            VXS_PROMPT_POINT | VXS_PROMPT_BOX_2D | VXS_PROMPT_SCRIBBLE | VXS_PROMPT_LASSO | VXS_PROMPT_MASK;
        assert_eq!((vxs_model_prompts(model), vxs_model_prompts(null())), (flags, 0));
        let mut options: vxs_plan_options = std::mem::zeroed();
        vxs_plan_options_init(&mut options, size_of_val(&options) as u64);
        options.threads = 2;
        assert_eq!(vxs_plan_create(model, &options, &mut plan, null_mut()), VXS_OK);
        let mut volume: vxs_volume = std::mem::zeroed();
        vxs_volume_init(&mut volume, size_of_val(&volume) as u64);
        volume.dtype = VXS_DTYPE_F32;
        volume.data = image.bytes.as_ptr().cast();
        volume.data_size = image.bytes.len() as u64;
        volume.shape = image.geometry.shape.map(|length| length as u64);
        let mut needed: vxs_plan_report = std::mem::zeroed();
        vxs_plan_report_init(&mut needed, size_of_val(&needed) as u64);
        assert_eq!(vxs_session_estimate(plan, &volume, &mut needed, null_mut()), VXS_OK);
        assert!(needed.run_bytes > volume.data_size && needed.host_peak_bytes > needed.run_bytes);
        assert_eq!(vxs_session_create(plan, &volume, null(), &mut session, null_mut()), VXS_OK);
        // The session keeps what it needs.
        vxs_plan_free(plan);
        vxs_model_free(model);

        let place = |at: [f64; 3]| vxs_session_point(session, at.as_ptr(), 1, null_mut());
        assert_eq!(place([f64::NAN, 0.0, 0.0]), VXS_INVALID_ARGUMENT);
        assert_eq!(place([0.0, 1e9, 0.0]), VXS_INVALID_ARGUMENT);
        assert_eq!(vxs_session_point(session, null(), 1, null_mut()), VXS_NULL_POINTER);
        assert_eq!(vxs_session_point(null_mut(), [0.0; 3].as_ptr(), 1, null_mut()), VXS_NULL_POINTER);
        let (low, high) = ([5_i64; 3], [5_i64, 9, 9]);
        assert_eq!(
            vxs_session_box(session, low.as_ptr(), high.as_ptr(), 1, null_mut()),
            VXS_INVALID_ARGUMENT
        );
        assert_eq!(vxs_session_mask(session, 64, &volume, low.as_ptr(), 1, null_mut()), VXS_INVALID_ARGUMENT);
        assert_eq!(vxs_session_undo(session, null_mut(), null_mut()), VXS_INVALID_ARGUMENT);

        assert_eq!(place([80.0, 50.0, 60.0]), VXS_OK);
        let mut report: vxs_session_report = std::mem::zeroed();
        vxs_session_report_init(&mut report, size_of_val(&report) as u64);
        assert_eq!(vxs_session_run(session, null(), &mut report, null_mut()), VXS_OK);
        assert_eq!((report.network_runs, report.zoom), (1, 1.0));

        // The box that changed comes into its place in a buffer of the whole volume.
        let shape = image.geometry.shape;
        let mut found = vec![0_u8; expected.len()];
        let mut labels: vxs_labels = std::mem::zeroed();
        vxs_labels_init(&mut labels, size_of_val(&labels) as u64);
        labels.data = found.as_mut_ptr().cast();
        labels.data_size = found.len() as u64;
        labels.strides = [1, shape[0] as i64, (shape[0] * shape[1]) as i64];
        let [start, end] = [report.changed_start, report.changed_end];
        labels.offset = start[0] + shape[0] as u64 * (start[1] + shape[1] as u64 * start[2]);
        let write = |from: &[u64; 3], to: &[u64; 3]| {
            vxs_session_labels(session, from.as_ptr(), to.as_ptr(), &labels, null_mut())
        };
        assert_eq!(write(&start, &end), VXS_OK);
        assert_eq!(write(&end, &start), VXS_INVALID_ARGUMENT);
        assert_eq!(write(&start, &[u64::MAX; 3]), VXS_INVALID_ARGUMENT);
        assert!(found == expected, "the mask differs");

        // Undone, replayed from its record, it is the same again.
        let mut record = null_mut();
        assert_eq!(vxs_session_record(session, &mut record, null_mut()), VXS_OK);
        assert_eq!(vxs_session_undo(session, &mut report, null_mut()), VXS_OK);
        assert_eq!([report.changed_start, report.changed_end], [start, end]);
        let text = vxs_record_json(record);
        assert!(!CStr::from_ptr(text).to_bytes().is_empty());
        assert_eq!(vxs_session_replay(session, text, null(), null_mut()), VXS_OK);
        assert_eq!(vxs_session_replay(session, c"[".as_ptr(), null(), null_mut()), VXS_INVALID_ARGUMENT);
        vxs_record_free(record);
        found.fill(9);
        (labels.data, labels.offset, labels.strides) = (found.as_mut_ptr().cast(), 0, [0; 3]);
        assert_eq!(vxs_session_labels(session, null(), null(), &labels, null_mut()), VXS_OK);
        assert!(found == expected, "the mask differs after replaying");
        assert_eq!(vxs_session_reset(session, null_mut()), VXS_OK);
        vxs_session_free(session);
    }
}
