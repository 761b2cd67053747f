use super::*;

#[test]
fn every_task_is_read() {
    let names = Task::names();
    assert_eq!(names.len(), 59);
    for name in &names {
        let task = Task::named(name).unwrap();
        assert!(task.labels().len() > 1 && !task.models.is_empty(), "{name}");
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
