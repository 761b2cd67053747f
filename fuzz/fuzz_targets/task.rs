//! Task files, and what opening one makes of a folder without weights.

#![no_main]

use std::path::Path;

use libfuzzer_sys::fuzz_target;
use voxseg::model::task::{Task, TaskOptions};

fuzz_target!(|data: &[u8]| {
    if let Ok(task) = Task::from_json(data, "x.json") {
        let _ =
            (task.name(), task.labels().len(), task.labels_in_first_order().map(<[_]>::len), task.spacing());
        let options = TaskOptions { subset: vec!["a".into()], ..TaskOptions::default() };
        assert!(task.open(Path::new("/nowhere"), &options).is_err());
    }
});
