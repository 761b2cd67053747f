//! Small models of the published kinds that are asked for something: VISTA3D for classes, DeepEdit by clicks. Labels
//! may differ from their references' only in near ties, and in one of 1,000 foreground voxels.

#![allow(clippy::print_stdout, reason = "the counts are what this test is for")]

#[path = "parity/image.rs"]
mod image;

use std::path::{Path, PathBuf};

use serde_json::Value;
use voxseg::inference::{Plan, PlanOptions};
use voxseg::labels::LabelBuffer;
use voxseg::model::{Model, ModelOptions};
use voxseg::progress::{Cancel, Run};
use voxseg::session::{Prompt, PromptKind, Session, SessionOptions};
use voxseg::volume::{DType, Layout, Volume};

use image::Image;

/// Margins are in thousandths; up to this one the reference's two best classes nearly tie.
const NEAR_TIE: f32 = 10.0;

fn folder() -> Option<PathBuf> {
    voxseg_reference::path("coverage")
}

fn cases(folder: &Path, model: &str) -> Vec<Value> {
    let text = std::fs::read(folder.join("prompts.json")).unwrap();
    let all: Vec<Value> = serde_json::from_slice(&text).unwrap();
    all.into_iter().filter(|case| case["name"].as_str().unwrap().starts_with(model)).collect()
}

fn plan(model: &Model) -> Plan {
    Plan::new(model, &PlanOptions { threads: 2, ..PlanOptions::default() }).unwrap()
}

fn read(folder: &Path, case: &Value, model: &Model) -> Image {
    Image::read_as(&folder.join(case["image"].as_str().unwrap()), model.reader())
}

fn volume(image: &Image) -> Volume<'_> {
    let layout = Layout::dense(image.geometry.shape, DType::F32);
    Volume::new(image.geometry.clone(), DType::F32, layout, vec![&image.bytes]).unwrap()
}

/// The labels that something writes into a buffer of the image's shape.
fn written<T>(image: &Image, write: impl FnOnce(&mut LabelBuffer) -> T) -> Vec<u8> {
    let grid = &image.geometry;
    let mut found = vec![255; grid.voxels()];
    let layout = Layout::dense(grid.shape, DType::U8);
    write(&mut LabelBuffer::new(grid, DType::U8, layout, &mut found).unwrap());
    found
}

fn segmented(plan: &Plan, image: &Image) -> Vec<u8> {
    let volume = volume(image);
    written(image, |labels| plan.segment(&volume, labels, &mut [], &mut Run::default()).unwrap())
}

/// What is wrong with the labels of a case.
fn compare(folder: &Path, case: &Value, found: &[u8]) -> Option<String> {
    let values = |key: &str| Image::read(&folder.join(case[key].as_str().unwrap())).values;
    let (expected, margins) = (values("expected"), values("margin"));
    let differs = |index: &usize| f32::from(found[*index]) != expected[*index];
    let differing: Vec<usize> = (0..found.len()).filter(differs).collect();
    let beyond = differing.iter().filter(|&&index| margins[index] > NEAR_TIE).count();
    let foreground = expected.iter().filter(|&&label| label != 0.0).count();
    let (name, count) = (case["name"].as_str().unwrap(), differing.len());
    let counts =
        format!("{name}: {count} of {foreground} foreground voxels differ, {beyond} beyond a near tie");
    println!("{counts}");
    (beyond > 0 || count * 1000 > foreground).then_some(counts)
}

#[test]
fn vista3d_gives_the_classes_that_it_is_asked_for() {
    let Some(folder) = folder() else { return };
    let mut wrong = Vec::new();
    for case in cases(&folder, "vista3d/").iter().filter(|case| case["prompts"].get("points").is_none()) {
        let asked = case["prompts"]["label_prompt"].as_array();
        let classes = asked.map(|asked| asked.iter().map(Value::to_string).collect());
        let options = ModelOptions { classes, ..ModelOptions::default() };
        let model = Model::open(&folder.join("vista3d/bundle"), &options).unwrap();
        let image = read(&folder, case, &model);
        let found = segmented(&plan(&model), &image);
        let table: Vec<u32> = model.labels().iter().map(|label| label.value).collect();
        assert!(found.iter().all(|&label| table.contains(&u32::from(label))), "{table:?}");
        wrong.extend(compare(&folder, case, &found));
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn classes_are_named_in_the_label_table() {
    let Some(folder) = folder() else { return };
    let open = |classes: &[&str]| {
        let classes = Some(classes.iter().map(|&class| class.to_owned()).collect());
        Model::open(&folder.join("vista3d/bundle"), &ModelOptions { classes, ..ModelOptions::default() })
    };
    let model = open(&["Spleen", "1"]).unwrap();
    let table: Vec<(u32, &str)> =
        model.labels().iter().map(|label| (label.value, label.name.as_str())).collect();
    assert_eq!(table, [(0, "background"), (1, "liver"), (3, "spleen")]);
    // Another choice is another model.
    assert_ne!(model.identity(), open(&["spleen"]).unwrap().identity());
    for wrong in [&["splean"][..], &["0"], &["133"], &[]] {
        let error = open(wrong).unwrap_err();
        assert!(matches!(error, voxseg::Error::InvalidArgument { .. }), "{wrong:?}: {error}");
    }
    let options = ModelOptions { classes: Some(vec!["1".into()]), ..ModelOptions::default() };
    let error = Model::open(&folder.join("deepedit/bundle"), &options).unwrap_err();
    assert!(matches!(error, voxseg::Error::InvalidArgument { .. }), "{error}");
}

fn deepedit(folder: &Path) -> (Model, Plan) {
    let model = Model::open(&folder.join("deepedit/bundle"), &ModelOptions::default()).unwrap();
    let plan = plan(&model);
    (model, plan)
}

fn session(plan: &Plan, image: &Image) -> Session {
    Session::new(plan, &volume(image), SessionOptions::default(), &mut Run::default()).unwrap()
}

fn mask_of(session: &Session, image: &Image) -> Vec<u8> {
    let end = image.geometry.shape.map(|length| length as u64);
    written(image, |labels| session.labels([[0; 3], end], labels).unwrap())
}

fn clicks(case: &Value) -> Vec<Prompt> {
    let of = |name: &str, label: u32| {
        let places = case["prompts"].get(name).and_then(Value::as_array).cloned().unwrap_or_default();
        places.into_iter().map(move |place| {
            let at = [0, 1, 2].map(|axis| place[axis].as_f64().unwrap());
            Prompt::Point { at, label }
        })
    };
    of("spleen", 1).chain(of("background", 0)).collect()
}

#[test]
fn deepedit_answers_to_clicks_and_segments_without() {
    let Some(folder) = folder() else { return };
    let (model, plan) = deepedit(&folder);
    assert_eq!(model.prompts(), [PromptKind::PointPerLabel]);
    assert_eq!(model.channels().len(), 1);
    let mut wrong = Vec::new();
    for case in &cases(&folder, "deepedit/") {
        let image = read(&folder, case, &model);
        let mut session = session(&plan, &image);
        let clicks = clicks(case);
        clicks.iter().for_each(|click| session.add(click.clone()).unwrap());
        session.run(&mut Run::default()).unwrap();
        let found = mask_of(&session, &image);
        wrong.extend(compare(&folder, case, &found));
        if clicks.is_empty() {
            assert!(segmented(&plan, &image) == found, "without a session the labels differ");
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn clicks_are_cancelled_undone_and_replayed() {
    let Some(folder) = folder() else { return };
    let (model, plan) = deepedit(&folder);
    let case = cases(&folder, "deepedit/both").remove(0);
    let image = read(&folder, &case, &model);
    let about = model.describe();
    let mut session = session(&plan, &image);
    let state = |session: &Session| (mask_of(session, &image), session.record(&about).to_string());
    let mut states = vec![state(&session)];
    for click in clicks(&case) {
        session.add(click).unwrap();
        let asked = state(&session);
        // Stopped after so many times that the run asked.
        for stop_at in 0.. {
            let mut times = 0;
            let mut run = Run::new(Cancel::new()).with_progress(|_| {
                times += 1;
                times <= stop_at
            });
            let outcome = session.run(&mut run);
            drop(run);
            match outcome {
                Ok(report) => {
                    assert!(report.network_runs == 1 && times <= stop_at, "{report:?}");
                    break;
                }
                Err(error) => assert!(matches!(error, voxseg::Error::Cancelled), "{error}"),
            }
            assert!(state(&session) == asked, "stopped at {stop_at}");
        }
        states.push(state(&session));
        // Nothing is left to do.
        assert_eq!(session.run(&mut Run::default()).unwrap().network_runs, 0);
    }
    let record = session.record(&about);
    let mut other = self::session(&plan, &image);
    other.replay(&record, &about, &mut Run::default()).unwrap();
    assert!(Some(&state(&other)) == states.last());
    while states.pop().is_some() && !states.is_empty() {
        let before = mask_of(&session, &image);
        let [start, end] = session.undo().unwrap();
        let now = state(&session);
        assert!(Some(&now) == states.last());
        // What the box doesn't have hasn't changed.
        let [columns, rows, _] = image.geometry.shape.map(|length| length as u64);
        let outside = |index: usize| {
            let index = index as u64;
            let at = [index % columns, index / columns % rows, index / columns / rows];
            (0..3).any(|axis| at[axis] < start[axis] || at[axis] >= end[axis])
        };
        let differs = |index: &usize| before[*index] != now.0[*index];
        assert!((0..before.len()).filter(differs).all(|index| !outside(index)));
    }
    assert!(session.undo().is_err());

    let first = state(&session);
    let wrong = [
        Prompt::Point { at: [1.0; 3], label: 2 },
        Prompt::Point { at: [-1.0, 1.0, 1.0], label: 1 },
        Prompt::Point { at: [f64::NAN; 3], label: 1 },
        Prompt::Point { at: [1e9, 1.0, 1.0], label: 0 },
        Prompt::Box { start: [1; 3], end: [2, 5, 5], label: 1 },
    ];
    for prompt in wrong {
        let error = session.add(prompt.clone()).unwrap_err();
        assert!(matches!(error, voxseg::Error::InvalidArgument { .. }), "{prompt:?}: {error}");
        assert!(state(&session) == first, "{prompt:?}");
    }
}
