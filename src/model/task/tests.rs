use super::*;

#[test]
fn every_task_is_read() {
    let names = Task::names();
    assert_eq!(names.len(), 64);
    for name in &names {
        let task = Task::named(name).unwrap();
        assert!(task.labels().len() > 1 && task.models.is_empty() == task.source.is_some(), "{name}");
        // What several models find together is named by each of them.
        assert!(task.models.len() == 1 || task.models.iter().all(|model| model.labels.is_some()), "{name}");
    }
}

#[test]
fn five_models_know_all_labels_of_total() {
    let total = Task::named("total").unwrap();
    assert_eq!((total.models.len(), total.labels().len(), total.spacing()), (5, 118, Some([1.5; 3])));
    let mut names: Vec<&String> =
        total.models.iter().flat_map(|model| model.labels.iter().flatten()).collect();
    names.sort();
    let mut expected: Vec<&String> = total.labels()[1..].iter().map(|label| &label.name).collect();
    expected.sort();
    assert_eq!(names, expected);
    assert_eq!(total.labels()[5].name, "liver");
    assert_eq!(Task::named("total_fast").unwrap().labels(), total.labels());
}

#[test]
fn tasks_crop_by_others() {
    let crop = Task::named("teeth").unwrap().crop.unwrap();
    assert_eq!((crop.task.name(), crop.margin), ("craniofacial_structures", [10.0; 3]));
    assert_eq!(crop.task.crop.as_ref().unwrap().task.name(), "total_fastest");
    let crop = Task::named("liver_lesions_mr").unwrap().crop.unwrap();
    assert_eq!((crop.task.name(), crop.labels), ("total_mr_fast", vec![5]));
}

#[test]
fn tasks_of_users() {
    let json = r#"{"name": "mine", "labels": ["cyst"], "spacing": 2, "models": [{"path": "a/b", "folds": "all"}],
        "crop": {"task": "total_fast", "labels": ["kidney_left"], "margin": [5, 5, 10]},
        "after": [{"remove_small": ["cyst"], "volume": 30}]}"#;
    let task = Task::from_json(json.as_bytes(), "mine.json").unwrap();
    assert_eq!((task.name(), task.spacing(), task.licence()), ("mine", Some([2.0; 3]), "not stated"));
    assert_eq!(task.rules, [Rule::RemoveSmall { labels: vec![1], volume: 30.0 }]);
    for (from, to, part) in [
        ("a/b", "a/../b", "`models.0.path`"),
        ("a/b", "/a", "`models.0.path`"),
        ("\"spacing\": 2", "\"spacing\": 0", "`spacing`"),
        ("total_fast", "total_slow", "total_slow"),
        ("kidney_left", "kidney", "labels of total_fast"),
        ("remove_small", "remove_large", "`after.0`"),
        ("[\"cyst\"], \"volume\"", "[\"tumour\"], \"volume\"", "labels of mine"),
        ("\"models\"", "\"model\"", "`models` is missing"),
    ] {
        let error = Task::from_json(json.replace(from, to).as_bytes(), "mine.json").unwrap_err().to_string();
        assert!(error.contains(part), "{error}");
    }
}

#[test]
fn what_is_missing_is_named_with_its_licence() {
    let folder = std::path::Path::new("no/such/folder");
    for (name, licence) in [("total", "Apache-2.0"), ("tissue_types", "free for non-commercial use")] {
        let error = Task::named(name).unwrap().open(folder, &TaskOptions::default()).unwrap_err().to_string();
        assert!(error.contains(licence) && error.contains("Dataset") && error.contains("no/such"), "{error}");
    }
}

#[test]
fn subsets_are_for_whole_body_tasks() {
    let open = |name: &str, label: &str| {
        let options = TaskOptions { subset: vec![label.into()], ..TaskOptions::default() };
        Task::named(name).unwrap().open("no/such/folder".as_ref(), &options).unwrap_err().to_string()
    };
    assert!(open("total", "liver").contains("Dataset291"), "the model of the liver is looked for first");
    assert!(open("total", "tail").contains("labels of total"));
    assert!(open("lung_vessels", "lung_veins").contains("always finds all"));
}

#[test]
fn options_that_do_not_suit_are_refused() {
    let refused = |name: &str, options: TaskOptions| {
        Task::named(name).unwrap().open("no/such/folder".as_ref(), &options).unwrap_err().to_string()
    };
    let body = || TaskOptions { crop_to_body: true, ..TaskOptions::default() };
    let network_grid = || TaskOptions { on_network_grid: true, ..TaskOptions::default() };
    let first = || TaskOptions { legacy_v1_labels: true, ..TaskOptions::default() };
    let subset = |name: &str| vec![name.to_owned()];
    for (error, part) in [
        (refused("total_mr", body()), "CT volumes only"),
        (refused("lung_vessels", body()), "a part of the volume already"),
        (refused("total", TaskOptions { subset: subset("liver"), ..body() }), "a part of the volume already"),
        (refused("total", body()), "Dataset291"),
        (refused("liver_vessels", network_grid()), "a part of the volume only"),
        (
            refused("total_fast", TaskOptions { subset: subset("liver"), ..network_grid() }),
            "a part of the volume",
        ),
        (refused("total_fast", TaskOptions { crop_to_body: true, ..network_grid() }), "a part of the volume"),
        (refused("vertebrae_pp_refined", network_grid()), "the volume's own grid"),
        (refused("skin", network_grid()), "the volume's own grid"),
        (
            refused("total", TaskOptions { resampling: TaskResampling::Network, ..network_grid() }),
            "scores back to the volume's grid",
        ),
        (refused("total_mr", first()), "one order of labels only"),
        (refused("total", TaskOptions { subset: subset("skull"), ..first() }), "TotalSegmentator 1 had"),
    ] {
        assert!(error.contains(part), "{error}");
    }
}

#[test]
fn the_v1_order_has_those_labels_that_are_left() {
    let total = Task::named("total").unwrap();
    let first = total.legacy_v1_labels.as_ref().unwrap();
    assert_eq!(
        (first.len(), first[5].name.as_str(), first[104].name.as_str()),
        (105, "liver", "urinary_bladder")
    );
    let labels = total.in_v1_order(&total.labels).unwrap();
    // Six chambers and vessels of the heart, and the face, have other tasks now.
    assert_eq!(labels.len(), 105 - 7);
    assert!(labels.iter().all(|label| first[label.value as usize] == *label));
    assert_eq!(Task::named("total_fastest").unwrap().legacy_v1_labels, total.legacy_v1_labels);
}

#[test]
fn rules_with_the_labels_of_other_tasks() {
    let refined = Task::named("vertebrae_pp_refined").unwrap();
    let Some(Rule::ClipTo { task, labels, distance }) = refined.rules.last() else { panic!("{refined:?}") };
    assert_eq!((task.name(), &labels[..], *distance), ("vertebrae_body", &[1][..], 2.0));
    let skin = Task::named("skin_fast").unwrap();
    assert_eq!(skin.rules, [Rule::Skin(vec![1, 2])]);
    assert_eq!(skin.source.unwrap().name(), "body_fast");
    let wrong = |json: &str| Task::from_json(json.as_bytes(), "mine.json").unwrap_err().to_string();
    let error = wrong(r#"{"name": "mine", "labels": ["a"], "from": "head"}"#);
    assert!(error.contains("one of"), "{error}");
    let error = wrong(r#"{"name": "mine", "labels": ["a"], "from": "body", "after": [{"dilate": 3}]}"#);
    assert!(error.contains("`from`"), "{error}");
    let error = wrong(
        r#"{"name": "mine", "labels": ["a"], "models": [{"path": "b"}], "after": [{"skin": ["body_trunc"]}]}"#,
    );
    assert!(error.contains("a task with `from`"), "{error}");
    let error = wrong(
        r#"{"name": "mine", "labels": ["a"], "models": [{"path": "b"}],
            "after": [{"clip_to": ["spleen"], "task": "body", "distance": 1}]}"#,
    );
    assert!(error.contains("labels of body"), "{error}");
}
